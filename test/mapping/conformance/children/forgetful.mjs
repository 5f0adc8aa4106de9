/** Makes 100,000 views and closes none, without asking for a collection; sends how many there were at most. */
import { readFileSync } from "node:fs";
import { createMapping } from "foliodb/mapping";

const mapping = createMapping({ path: process.argv[2] });
let forgotten = 0;
let most = 0;
for (let turn = 0; turn < 100; turn++) {
  for (let i = 0; i < 1000; i++, forgotten++) mapping.view({ offset: i * 1000, length: 100 }).bytes[0] = 1;
  if (process.platform === "linux" && turn % 10 === 9) {
    most = Math.max(most, readFileSync("/proc/self/maps", "utf8").split("\n").length);
  }
  await new Promise((resolve) => setImmediate(resolve));
}
process.send({ forgotten, most }, () => process.disconnect());
