/**
 * Maps, stores, flushes without waiting and unmaps 100,000 times, then leaves 10,000 views to the collector; sends how many
 * mappings of its file and how many descriptors there are before, between and after. Linux counts them, others send zeros.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createMapping } from "foliodb/mapping";

const [path, roundsText, forgottenText] = process.argv.slice(2);
const isLinux = process.platform === "linux";

function count() {
  if (!isLinux) return { mappings: 0, descriptors: 0 };
  const mappings = readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .filter((line) => line.endsWith(path)).length;
  return { mappings, descriptors: readdirSync("/proc/self/fd").length };
}

/** Finalizers run in later turns. */
async function collect() {
  for (let i = 0; i < 20; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const before = count();
let mapping = createMapping({ path });
const size = mapping.size;
for (let i = 0; i < Number(roundsText); i++) {
  const view = mapping.view({ offset: (i * 4099) % (size - 100), length: 100 });
  view.bytes[0] = i;
  view.flush();
  view.close();
}
const afterRounds = count();
let most = 0;
function forget(times) {
  for (let i = 0; i < times; i++) mapping.view({ offset: (i * 4096) % size, length: 4096 }).bytes[0] = 1;
  most = Math.max(most, count().mappings);
}
for (let i = 0; i < 10; i++) {
  forget(Number(forgottenText) / 10);
  await new Promise((resolve) => setImmediate(resolve));
}
await collect();
const afterForgotten = count();
// A forgotten view whose bytes are still in use stays mapped, and usable.
let bytes = mapping.view({ length: 10 }).bytes;
bytes[3] = 33;
await collect();
const kept = { value: bytes[3], mappings: count().mappings };
bytes = undefined;
// Mapping objects, too.
for (let i = 0; i < 100; i++) createMapping({ path });
mapping = undefined;
await collect();
process.send({ before, afterRounds, most, afterForgotten, kept, after: count() }, () => process.disconnect());
