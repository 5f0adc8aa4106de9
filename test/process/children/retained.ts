/** Uses a store in every way with a codec of its own, closes it, and says what of it is still there once garbage is collected. */
import { open } from "foliodb";
import { say } from "./talk.ts";

const [path] = process.argv.slice(2);
/** Garbage is collected when the engine likes; after so many turns it never will be. */
const TURNS_MAX = 100;

class Codec {
  readonly name = "counted";
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();

  encode(value: string): Uint8Array {
    return this.#encoder.encode(value);
  }

  decode(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes);
  }
}

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

async function use(): Promise<{ store: WeakRef<object>; codec: WeakRef<object> }> {
  const codec = new Codec();
  const store = open<number, string>(path, { valueEncoding: codec });
  await store.put(1, "one");
  store.transactionSync((transaction) => {
    transaction.put(2, "two");
    for (const [key, value] of transaction) transaction.put(key, `${value} again`);
  });
  const snapshot = store.snapshot();
  if ([...snapshot, ...store.keys()].length !== 4) throw new Error("two entries, twice");
  snapshot.close();
  await store.close();
  return { store: new WeakRef(store), codec: new WeakRef(codec) };
}

async function run(): Promise<void> {
  const left = await use();
  const states = (): Record<string, string> =>
    Object.fromEntries(Object.entries(left).map(([name, ref]) => [name, ref.deref() ? "there" : "collected"]));
  for (let i = 0; i < TURNS_MAX && Object.values(states()).includes("there"); i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  say("ended", states());
}

void run();
