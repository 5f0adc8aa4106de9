/** Faults in views; sends what JavaScript sees of them. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { createMapping } from "foliodb/mapping";
import { codeOf } from "./code-of.mjs";

const [scenario, path] = process.argv.slice(2);

async function codeOfAsync(promise) {
  return promise.then(
    () => undefined,
    (error) => error.code,
  );
}

/** A fault in every other page: none of what is put in their place can be one mapping with its neighbour. */
async function scattered(access, prepare, touch) {
  const mapping = createMapping({ path });
  const view = mapping.view({ access });
  prepare();
  const allowed = Number(readFileSync("/proc/sys/vm/max_map_count", "latin1"));
  const touches = view.length / 8192;
  for (let at = 0; at < view.length; at += 8192) touch(view.bytes, at);
  const mappings = readFileSync("/proc/self/maps", "latin1").split("\n").length;
  return { many: touches > allowed / 2, few: mappings < allowed / 4, code: codeOf(() => view.check()) };
}

/** What every method says after a fault. */
async function aftermath(mapping, view, value, other) {
  return {
    value,
    viewCodes: [
      codeOf(() => view.check()),
      codeOf(() => view.flush()),
      await codeOfAsync(view.flushAsync()),
      codeOf(() => view.resident()),
      codeOf(() => view.advise("random")),
      codeOf(() => view.discard()),
    ],
    mappingCode: codeOf(() => mapping.view()),
    mappingCodeAfter: codeOf(() => mapping.check()),
    otherViewCode: codeOf(() => other.check()),
    newValue: mapping.view({ length: 10, access: "read" }).bytes[1],
  };
}

const scenarios = {
  truncated: async () => {
    const mapping = createMapping({ path });
    const view = mapping.view();
    const other = mapping.view({ length: 4096 });
    truncateSync(path, 4096);
    // The page of the new end reads as zeros by itself; this is one behind it.
    return aftermath(mapping, view, view.bytes[50_000], other);
  },
  "stray store": async () => {
    const mapping = createMapping({ path });
    const view = mapping.view({ access: "read" });
    const other = mapping.view({ access: "read" });
    view.bytes[50_000] = 99;
    if (other.bytes[50_000] !== 7 || view.bytes[50_001] !== 7) throw new Error("not private, or not a copy");
    return aftermath(mapping, view, view.bytes[50_000], other);
  },
  everywhere: async () => {
    const mapping = createMapping({ path });
    const view = mapping.view();
    const sumUp = (bytes) => {
      let sum = 0;
      for (let at = 0; at < bytes.length; at++) sum += bytes[at];
      return sum;
    };
    for (let i = 0; i < 20; i++) sumUp(view.bytes.subarray(0, 100_000));
    // Views of their own: a page that was replaced by zeros does not fault again.
    const [summed, searched, hashed] = [mapping.view(), mapping.view(), mapping.view()];
    truncateSync(path, 0);
    const sum = sumUp(summed.bytes);
    const indexOf = searched.bytes.indexOf(7);
    const hash = createHash("sha256").update(hashed.bytes).digest("hex");
    const zeros = createHash("sha256").update(new Uint8Array(4_000_000)).digest("hex");
    truncateSync(path, 100_000);
    const token = await createMapping({ path }).handTo(process.pid);
    const worker = new Worker(
      `const { workerData, parentPort } = require("node:worker_threads");
       import(workerData.module).then(({ receiveMapping }) => {
         const view = receiveMapping(workerData.token).view();
         parentPort.postMessage("mapped");
         parentPort.once("message", () => parentPort.postMessage(view.bytes.reduce((sum, byte) => sum + byte, 0)));
       });`,
      { eval: true, workerData: { module: import.meta.resolve("foliodb/mapping"), token } },
    );
    await once(worker, "message");
    truncateSync(path, 0);
    worker.postMessage("read");
    const [workerSum] = await once(worker, "message");
    return { sum, indexOf, hashed: hash === zeros, worker: workerSum, code: codeOf(() => mapping.check()) };
  },
  "scattered stores": () =>
    scattered(
      "read",
      () => {},
      (bytes, at) => {
        bytes[at] = 1;
      },
    ),
  "scattered loads": () =>
    scattered(
      "write",
      () => truncateSync(path, 0),
      (bytes, at) => bytes[at],
    ),
  "lost store": async () => {
    const mapping = createMapping({ path });
    const view = mapping.view();
    const second = mapping.view();
    truncateSync(path, 4096);
    view.bytes[90_000] = 1;
    second.bytes[80_000] = 1;
    return {
      flush: codeOf(() => view.flush({}, { durable: true })),
      flushAsync: await codeOfAsync(second.flushAsync({}, { durable: true })),
      size: statSync(path).size,
    };
  },
  "full disk": async () => {
    const mapping = createMapping({ path, disposition: "create", size: 8 * 1024 * 1024 });
    const view = mapping.view();
    view.bytes.fill(1);
    return {
      flush: codeOf(() => view.flush({}, { durable: true })),
      mapping: codeOf(() => mapping.view()),
      size: statSync(path).size,
    };
  },
};

process.send(await scenarios[scenario](), () => process.disconnect());
