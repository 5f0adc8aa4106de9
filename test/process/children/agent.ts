/** A handle in another process: does what it is told, one thing after the other, and answers each. */
import { open, type Store, type StoreSnapshot } from "foliodb";
import { becomeUser, codeOf, listen, say, standStill } from "./talk.ts";

type Parameters = Readonly<Record<string, unknown>>;

let store: Store<unknown, unknown> | undefined;
let snapshot: StoreSnapshot<unknown, unknown> | undefined;

function opened(): Store<unknown, unknown> {
  if (store === undefined) throw new Error("nothing is open");
  return store;
}

function held(): StoreSnapshot<unknown, unknown> {
  if (snapshot === undefined) throw new Error("no snapshot is held");
  return snapshot;
}

const commands: Readonly<Record<string, (parameters: Parameters) => unknown>> = {
  open: ({ path, options }) => {
    store = open<unknown, unknown>(String(path), (options ?? {}) as object);
    return store.count();
  },
  close: () => opened().close(),
  closeSync: () => opened().closeSync(),
  put: ({ key, value }) => opened().put(key, value),
  putSync: ({ key, value }) => opened().putSync(key, value),
  delete: ({ key }) => opened().delete(key),
  get: ({ key }) => opened().get(key),
  entries: () => [...opened()],
  count: () => opened().count(),
  stats: () => opened().stats(),
  check: () => opened().check().problems,
  snapshot: () => {
    snapshot = opened().snapshot();
    return snapshot.number;
  },
  snapshotEntries: () => [...held()],
  closeSnapshot: () => held().close(),
  /** Holds the writer lock until the process is killed, or for a while. */
  hold: ({ milliseconds, write }) => {
    opened().transactionSync((transaction) => {
      if (write === true) for (let i = 0; i < 500; i++) transaction.put(["held", i], "never committed".repeat(i % 50));
      say("holding");
      standStill(milliseconds === undefined ? undefined : Number(milliseconds));
    });
  },
  /** Becomes a user without rights. */
  demote: ({ user }) => becomeUser(Number(user)),
  exit: ({ status }) => process.exit(Number(status ?? 0)),
};

async function obey(what: string, parameters: Parameters): Promise<void> {
  const { number } = parameters;
  try {
    const result = await commands[what](parameters);
    say("done", { number, result });
  } catch (error) {
    say("failed", { number, code: codeOf(error), message: error instanceof Error ? error.stack : String(error) });
  }
}

listen((said, parameters) => void obey(said, parameters));
