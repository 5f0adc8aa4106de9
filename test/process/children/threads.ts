/**
 * Worker threads as handles, and ends in the middle of something, in the way the first argument names. The main thread
 * says "ended" when it has seen what it wanted.
 *
 *   threads <scenario> <path>
 */
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { open } from "foliodb";
import { say, standStill } from "./talk.ts";

const WORKERS = 3;
const WRITES = 60;
const TERMINATIONS = 12;

const [scenario, path, part = 0] = isMainThread ? process.argv.slice(2) : (workerData as [string, string, number]);

function startWorker(inside: string, number = 0): Worker {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: [inside, path, number] });
  worker.on("error", (error) => say("failed", { message: error.stack }));
  return worker;
}

function message(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => worker.once("message", resolve));
}

function exit(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => worker.once("exit", resolve));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Starts a worker again and again, and terminates it when it is in the middle. */
async function terminate(inside: string): Promise<void> {
  for (let i = 0; i < TERMINATIONS; i++) {
    const worker = startWorker(inside, i);
    await message(worker);
    await worker.terminate();
  }
}

const inMain: Readonly<Record<string, () => Promise<void>>> = {
  "workers write": async () => {
    const store = open<string, number>(path);
    await Promise.all(Array.from({ length: WORKERS }, (_, i) => exit(startWorker("write", i))));
    await turn();
    say("ended", { entries: [...store], slotsHeld: store.stats().slotsHeld });
    await store.close();
  },
  "terminate during an asynchronous commit": async () => {
    await terminate("commit");
    await state();
  },
  "terminate during a synchronous commit": async () => {
    await terminate("commit synchronously");
    await state();
  },
  "terminate with a snapshot in hand": async () => {
    await terminate("hold a snapshot");
    await state();
  },
  "terminate during an asynchronous wait": async () => {
    await terminate("wait");
    say("ended");
  },
  "terminate during a synchronous wait": async () => {
    await terminate("wait synchronously");
    say("ended");
  },
  "exit during an asynchronous commit": async () => {
    const store = open<string, number>(path);
    await store.put("acknowledged", 1);
    void store.put("under way", 1);
    await turn();
    say("ended");
    process.exit(0);
  },
  "exit with writes queued": async () => {
    const store = open<string, number>(path);
    await store.put("acknowledged", 1);
    void store.put("queued", 1);
    say("ended");
    process.exit(0);
  },
  "exit during an asynchronous wait": async () => {
    const store = open<string, number>(path);
    void store.put("waiting", 1);
    await turn();
    await turn();
    say("ended");
    process.exit(0);
  },
  "exit with a snapshot in hand": async () => {
    const store = open<string, number>(path);
    await store.put("acknowledged", 1);
    const entries = store.snapshot().entries();
    entries.next();
    say("ended");
    process.exit(0);
  },
  "exit in a transaction": async () => {
    const store = open<string, number>(path);
    store.putSync("acknowledged", 1);
    store.transactionSync((transaction) => {
      transaction.put("never committed", 1);
      say("ended");
      process.exit(0);
    });
  },
  "end without closing": async () => {
    const store = open<string, number>(path);
    await store.put("acknowledged", store.count());
    void store.put("queued at the end", 1);
    say("ended");
  },
};

async function state(): Promise<void> {
  const store = open<string, number>(path);
  store.putSync("after", 1);
  await turn();
  const { slotsHeld, snapshotsLive } = store.stats();
  say("ended", { problems: store.check().problems, acknowledged: store.get("acknowledged"), slotsHeld, snapshotsLive });
  await store.close();
}

const inWorker: Readonly<Record<string, () => Promise<void>>> = {
  write: async () => {
    const store = open<string, number>(path);
    for (let i = 1; i <= WRITES; i++) {
      if (i % 2 === 0) await store.put(`worker ${part}`, i);
      else store.putSync(`worker ${part}`, i);
      if (store.get(`worker ${part}`) !== i) throw new Error(`worker ${part} does not see ${i}`);
    }
    if (part === 1) await store.close();
    // The others leave without: the end of a worker is the end of its handles.
  },
  commit: async () => {
    const store = open<string, number>(path);
    for (let i = 0; ; i++) {
      const done = store.put(`worker ${part} ${i % 50}`, i);
      if (i === 3) setImmediate(() => parentPort?.postMessage("under way"));
      await done;
      if (i === 0) await store.put("acknowledged", Number(part));
    }
  },
  "commit synchronously": async () => {
    const store = open<string, number>(path);
    store.putSync("acknowledged", Number(part));
    parentPort?.postMessage("under way");
    for (let i = 0; ; i++) store.putSync(`worker ${part} ${i % 50}`, i);
  },
  "hold a snapshot": async () => {
    const store = open<string, number>(path);
    store.putSync("acknowledged", Number(part));
    const snapshot = store.snapshot();
    const entries = snapshot.entries();
    entries.next();
    parentPort?.postMessage("under way");
    standStill();
    snapshot.close();
  },
  wait: async () => {
    const store = open<string, number>(path);
    void store.put("waiting", 1);
    setImmediate(() => parentPort?.postMessage("under way"));
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  },
  "wait synchronously": async () => {
    const store = open<string, number>(path);
    parentPort?.postMessage("under way");
    store.putSync("waiting", 1);
  },
};

(isMainThread ? inMain : inWorker)[scenario]().catch((error) => {
  if (isMainThread) say("failed", { message: error.stack });
  throw error;
});
