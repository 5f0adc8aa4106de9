/** Faults in mapped memory, in the way its first argument names. Prints what it saw as JSON; some ways end the process. */
import { readFileSync, truncateSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { addon, LOCK_BYTES, open, WINDOW } from "./addon.mjs";

const [scenario, path] = isMainThread ? process.argv.slice(2) : workerData;

function make(size) {
  const file = addon.createNamed(path, 0o600);
  file.allocate(0, size);
  file.write(0, new Uint8Array(size).fill(0xab));
  file.close();
}

function say(result) {
  if (isMainThread) process.stdout.write(`${JSON.stringify(result)}\n`);
  else parentPort.postMessage(result);
}

function readTruncated() {
  make(1 << 20);
  const file = open(path);
  const memory = Buffer.from(file.map(0, WINDOW, true, WINDOW), 0, 1 << 20);
  const before = [memory[700_000], file.faults[0]];
  truncateSync(path, 4096);
  let sum = 0;
  // Enough turns for the optimising compiler, whose code faults as well.
  for (let i = 4096; i < 1 << 20; i += 1) sum += memory[i];
  const kept = memory[100];
  memory[900_000] = 5;
  return { before, sum, kept, indexOf: memory.indexOf(0xcd, 500_000) < 0, fault: file.faults[0], size: file.size() };
}

const scenarios = {
  "read a truncated file": () => say(readTruncated()),
  "read a truncated file in a worker": () => {
    new Worker(new URL(import.meta.url), { workerData: ["read a truncated file", path] }).on("message", say);
  },
  "store into a read-only window": () => {
    make(8192);
    const file = addon.openFile(path, false, true, LOCK_BYTES);
    const memory = new Uint8Array(file.map(0, WINDOW, false, WINDOW));
    memory[10] = 1;
    memory.fill(2, 4096, 8192);
    say({ fault: file.faults[0], file: readFileSync(path).every((byte) => byte === 0xab) });
  },
  "read every other page of a truncated file": () => {
    make(8192);
    truncateSync(path, WINDOW);
    const file = open(path);
    const memory = new Uint8Array(file.map(0, WINDOW, true, WINDOW));
    truncateSync(path, 4096);
    let sum = 0;
    for (let at = 8192; at < WINDOW; at += 8192) sum += memory[at];
    say({ sum, fault: file.faults[0] });
  },
  "flag one file of two": () => {
    make(8192);
    const one = open(path);
    const other = open(path);
    const memory = new Uint8Array(one.map(0, WINDOW, true, WINDOW));
    other.map(0, WINDOW, true, WINDOW);
    truncateSync(path, 0);
    say({ sum: memory[5000], one: one.faults[0], other: other.faults[0] });
  },
  "commit after a fault": async () => {
    const { commitFixture, withoutRuns } = await import("./addon.mjs");
    const { file, words, memory, plan } = commitFixture(path);
    truncateSync(path, 100_000);
    memory[140_000] = 1;
    const outcome = file.commitSync(...withoutRuns(plan));
    say({ outcome, words: [words[50], words[48], words[32]] });
  },
  "commit a truncated run": async () => {
    const { commitFixture } = await import("./addon.mjs");
    const { file, words, plan } = commitFixture(path);
    truncateSync(path, 131072);
    const outcome = file.commitSync(...plan);
    say({ outcome, words: [words[50], words[48], words[32]] });
  },
  "commit into a truncated meta page": async () => {
    const { commitFixture, withoutRuns } = await import("./addon.mjs");
    const { file, words, plan } = commitFixture(path);
    truncateSync(path, 65536);
    const outcome = file.commitSync(...withoutRuns(plan));
    say({ step: outcome.step, poisoned: outcome.poisoned, words: [words[50], words[48], words[32]] });
  },
  /** A fault outside our ranges must end the process as ever. The signal arrives by the kernel's hand in "crash". */
  "a signal that somebody sent": () => {
    make(8192);
    open(path).map(0, WINDOW, true, WINDOW);
    process.kill(process.pid, process.argv[4]);
    setTimeout(() => say("alive"), 2000);
  },
  "a fault elsewhere": () => {
    make(8192);
    open(path).map(0, WINDOW, true, WINDOW);
    process.dlopen({ exports: {} }, process.argv[4]);
    say("alive");
  },
  "WebAssembly traps": async () => {
    make(8192);
    open(path).map(0, WINDOW, true, WINDOW);
    // (module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load))
    const code = new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 8, 1, 4, 108, 111, 97,
      100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11,
    ]);
    const { instance } = await WebAssembly.instantiate(code);
    let trapped = "";
    try {
      instance.exports.load(1 << 20);
    } catch (error) {
      trapped = error.constructor.name;
    }
    say({ trapped });
  },
};

await scenarios[scenario]();
