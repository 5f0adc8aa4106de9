/**
 * Ends while something is under way, in the way its first argument names. Prints "ending" just before, and exits by
 * itself with 0 where it waits for the event loop to run dry.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { commitFixture, FLUSH, open, waitForWriterAsync } from "./addon.mjs";

const [scenario, path] = isMainThread ? process.argv.slice(2) : workerData;

const scenarios = {
  /** The lock is held by the process that started this one. */
  "exit in a wait": () => {
    open(path).waitLockAsync(60_000, () => {});
    setTimeout(() => process.exit(0), 20);
  },
  "exit in a commit": () => {
    const { file, plan } = commitFixture(path);
    file.commit(() => {}, ...plan);
    process.exit(0);
  },
  "exit while a commit waits": () => {
    const { file, plan } = commitFixture(path);
    const holder = holdFlushLock(path);
    file.commit(() => holder.size(), ...plan);
    setTimeout(() => process.exit(0), 20);
  },
  "run dry": async () => {
    const { file, plan } = commitFixture(path);
    if (!(await waitForWriterAsync(file, 1000))) throw new Error("not granted");
    file.commit((outcome) => process.stdout.write(`${outcome === null ? "committed" : outcome.step}\n`), ...plan);
    // Nothing else keeps the process alive, and an idle file must not.
  },
  "terminate in an asynchronous wait": () => terminate("wait"),
  "terminate in a synchronous wait": () => terminate("wait synchronously"),
  "terminate in a commit": () => terminate("commit"),
  "terminate while a commit waits": () => terminate("commit that waits", holdFlushLock),
  "terminate with a window in use": () => terminate("use a window"),

  // In the worker.
  wait: () => {
    open(path).waitLockAsync(60_000, () => {});
    parentPort.postMessage("under way");
  },
  "wait synchronously": () => {
    const file = open(path);
    parentPort.postMessage("under way");
    while (!file.waitLock(20));
  },
  commit: () => {
    const { file, plan } = commitFixture(path);
    file.commit(() => {}, ...plan);
    parentPort.postMessage("under way");
  },
  "commit that waits": () => {
    const { file, plan } = commitFixture(path);
    parentPort.postMessage("made");
    parentPort.once("message", () => {
      file.commit(() => {}, ...plan);
      parentPort.postMessage("under way");
    });
  },
  "use a window": () => {
    const { memory } = commitFixture(path);
    parentPort.postMessage("under way");
    for (let i = 0; ; i++) memory[131072 + (i & 4095)] = i;
  },
};

/** The opening that has it is to be kept from being collected. */
function holdFlushLock(ofPath) {
  const holder = open(ofPath);
  if (!holder.lock(FLUSH, 1, true)) throw new Error("not granted");
  return holder;
}

/** `prepare` is called with the path of the file that the worker has made. */
async function terminate(what, prepare) {
  for (let round = 0; round < 3; round++) {
    const workerPath = `${path}${round === 0 ? "" : round}`;
    const worker = new Worker(new URL(import.meta.url), { workerData: [what, workerPath] });
    worker.on("error", (error) => {
      throw error;
    });
    await new Promise((resolve) => worker.once("message", resolve));
    const prepared = prepare?.(workerPath);
    if (prepared !== undefined) {
      worker.postMessage("prepared");
      await new Promise((resolve) => worker.once("message", resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
    await worker.terminate();
    prepared?.close();
  }
  process.stdout.write("terminated\n");
}

await scenarios[scenario]();
