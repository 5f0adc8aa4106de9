/** Forgets snapshots and iterators, collects garbage, and says what the process was warned of and what is still held. */
import { open, type Store } from "foliodb";
import { say } from "./talk.ts";

const [path, what] = process.argv.slice(2);
const store = open<number, number>(path);
const watcher = open<number, number>(path);
const warnings: unknown[] = [];
/** Garbage is collected when the engine likes; after so many turns it never will be. */
const TURNS_MAX = 200;

process.on("warning", (warning) => {
  warnings.push("code" in warning ? warning.code : warning.name);
});

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const ways: Readonly<Record<string, (from: Store<number, number>) => void>> = {
  snapshot: (from) => {
    from.snapshot().get(1);
  },
  "snapshot with an iterator that has ended": (from) => {
    expectOne([...from.snapshot().keys({ limit: 1 })]);
  },
  iterator: (from) => {
    from.entries().next();
  },
  "closed snapshot": (from) => {
    from.snapshot().close();
  },
  "ended iterator": (from) => {
    const entries = from.entries();
    entries.next();
    entries.return?.();
  },
};

function expectOne(keys: readonly number[]): void {
  if (keys.length !== 1) throw new Error(`${keys.length} keys`);
}

/** Reader slots held by others than the watcher's own read. */
function held(): number {
  watcher.refresh();
  return watcher.stats().slotsHeld - 1;
}

async function run(): Promise<void> {
  for (let i = 0; i < 100; i++) await store.put(i, i);
  await turn();
  ways[what](store);
  await turn();
  await turn();
  const before = held();
  const turns = before === 0 ? 10 : TURNS_MAX;
  for (let i = 0; i < turns && (held() > 0 || warnings.length < before); i++) {
    collect();
    await turn();
  }
  await turn();
  say("ended", { before, after: held(), warnings });
  await Promise.all([store.close(), watcher.close()]);
}

void run();
