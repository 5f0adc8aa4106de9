/** Stores into read views from everywhere JavaScript can store; sends what came of them. */
import { once } from "node:events";
import { closeSync, openSync, readSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { createMapping } from "foliodb/mapping";
import { codeOf } from "./code-of.mjs";

const [path] = process.argv.slice(2);
const mapping = createMapping({ path });

/** What a view says after stores of `store`: whether they are there, and whether it was noticed. */
function after(store) {
  const view = mapping.view({ access: "read" });
  store(view.bytes);
  const seen = { stored: view.bytes[view.length - 1], code: codeOf(() => view.check()) };
  view.close();
  // The mapping says it once, to whatever asks it next.
  if (codeOf(() => mapping.check()) !== seen.code) throw new Error("the mapping was told something else");
  return seen;
}

const fillByLoop = (bytes) => {
  for (let at = 0; at < bytes.length; at++) bytes[at] = 1;
};
// Compiled by the time that it meets memory for reading only.
for (let i = 0; i < 50; i++) fillByLoop(new Uint8Array(50_000));

const inWorker = new Worker(
  `const { workerData, parentPort } = require("node:worker_threads");
   import(workerData.module).then(({ receiveMapping }) => {
     const mapping = receiveMapping(workerData.token);
     const view = mapping.view({ access: "read" });
     view.bytes.fill(1);
     let code;
     try { view.check(); } catch (error) { code = error.code; }
     parentPort.postMessage({ stored: view.bytes[view.length - 1], code });
   });`,
  {
    eval: true,
    workerData: { module: import.meta.resolve("foliodb/mapping"), token: await mapping.handTo(process.pid) },
  },
);
const [worker] = await once(inWorker, "message");

/** The system refuses to write there, or writes into the view's private copy. */
function readInto(bytes) {
  const descriptor = openSync(path);
  try {
    readSync(descriptor, bytes, 0, bytes.length, 0);
  } catch (error) {
    return error.code;
  } finally {
    closeSync(descriptor);
  }
  return undefined;
}
const readView = mapping.view({ access: "read" });
const systemCode = readInto(readView.bytes);

const untouched = mapping.view();
process.send(
  {
    loop: after(fillByLoop),
    fill: after((bytes) => bytes.fill(1)),
    set: after((bytes) => bytes.set(new Uint8Array(bytes.length).fill(1))),
    copyWithin: after((bytes) => {
      bytes[0] = 1;
      bytes.copyWithin(bytes.length - 1, 0, 1);
    }),
    // Across the boundary of two memory pages.
    across: after((bytes) => {
      const view = new DataView(bytes.buffer);
      for (let at = 4092; at + 8 <= bytes.length; at += 4096) view.setFloat64(at, 1);
      bytes[bytes.length - 1] = 1;
    }),
    atomics: after((bytes) => {
      const words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
      for (let at = 0; at < words.length; at += 1000) Atomics.add(words, at, 1);
      Atomics.store(bytes, bytes.length - 1, 1);
    }),
    worker,
    systemCode,
    unchanged: untouched.bytes.every((byte) => byte === 7),
  },
  () => process.disconnect(),
);
