/**
 * Closes a view while a job of Node's has yet to store into its bytes, and lets nothing refer to it. Prints what lies at its address
 * then, and whether the process lives when the job is done.
 */
import { pbkdf2, randomFill } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { createMapping } from "foliodb/mapping";

const deriveKey = promisify(pbkdf2);
const fillOf = promisify(randomFill);

function fillAndClose() {
  const view = createMapping({ size: 1 << 20 }).view();
  const filled = fillOf(view.bytes);
  view.close();
  return [filled.then(() => "filled"), view.address.toString(16)];
}

// So that the job begins late: all threads of the pool have something to do.
const busy = Promise.all(Array.from({ length: 4 }, () => deriveKey("password", "salt", 400_000, 32, "sha512")));
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
process.stdout.write(`${rights}, ${await filled}\n`);
await busy;
