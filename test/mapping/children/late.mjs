/**
 * Closes a view while a job of Node's has yet to store into its bytes, and lets nothing refer to it. Prints what lies at its address
 * then, and whether the process lives when the job is done.
 */
import { execFileSync } from "node:child_process";
import { randomFill } from "node:crypto";
import { constants, openSync, read, readFileSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { createMapping } from "foliodb/mapping";

const fillOf = promisify(randomFill);

function fillAndClose() {
  const view = createMapping({ size: 1 << 20 }).view();
  const filled = fillOf(view.bytes);
  view.close();
  return [filled.then(() => "filled"), view.address.toString(16)];
}

// All threads of the pool wait for somebody to write, so that the job does not begin before.
const [pipe] = process.argv.slice(2);
execFileSync("mkfifo", [pipe]);
const descriptor = openSync(pipe, constants.O_RDWR);
const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
for (let i = 0; i < threads; i++) read(descriptor, Buffer.alloc(1), 0, 1, null, () => {});
const [filled, address] = fillAndClose();
for (let i = 0; i < 5; i++) {
  globalThis.gc();
  await pause(5);
}
const at = BigInt(`0x${address}`);
const rights = readFileSync("/proc/self/maps", "utf8")
  .split("\n")
  .map((line) => /^(\w+)-(\w+) (\S+)/.exec(line) ?? [])
  .find(([, from, to]) => from !== undefined && at >= BigInt(`0x${from}`) && at < BigInt(`0x${to}`))?.[3];
writeSync(descriptor, Buffer.alloc(threads));
process.stdout.write(`${rights}, ${await filled}\n`);
