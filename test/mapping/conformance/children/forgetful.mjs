/**
 * Makes 120,000 views (on Windows 40,000) and closes none, without asking for a collection: the newest 20,000 are in use, the
 * others are forgotten when they are old. Sends how many mappings there were at most.
 */
import { readFileSync } from "node:fs";
import { createMapping } from "foliodb/mapping";

const IN_USE = 20_000;
/** Windows has no such limit, and Wine takes its time for a view among so many. */
const TURNS = process.platform === "win32" ? 40 : 120;
const mapping = createMapping({ path: process.argv[2] });
const inUse = new Array(IN_USE);
let made = 0;
let most = 0;
for (let turn = 0; turn < TURNS; turn++) {
  for (let i = 0; i < 1000; i++, made++) inUse[made % IN_USE] = mapping.view({ offset: i * 1000, length: 100 });
  if (process.platform === "linux" && turn % 5 === 4) {
    most = Math.max(most, readFileSync("/proc/self/maps", "utf8").split("\n").length);
  }
  await new Promise((resolve) => setImmediate(resolve));
}
process.send({ made, most }, () => process.disconnect());
