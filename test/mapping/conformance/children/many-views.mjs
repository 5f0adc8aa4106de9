/** Opens, reads and closes 1,000 views at random offsets of a sparse file, one after another, and sends what it cost. */
import { createMapping } from "foliodb/mapping";

const [path, seedText] = process.argv.slice(2);
let seed = Number(seedText);
/** Numerical Recipes' generator: the same offsets for the same seed. */
function random() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}

const mapping = createMapping({ path, protection: "readonly" });
const rssBefore = process.memoryUsage.rss();
const cpuBefore = process.cpuUsage();
let rssMax = 0;
let sum = 0;
for (let i = 0; i < 1000; i++) {
  const view = mapping.view({ offset: Math.floor(random() * (mapping.size - 65536)), length: 65536 });
  for (let at = 0; at < 65536; at += 8) sum += view.dataView.getFloat64(at, true);
  rssMax = Math.max(rssMax, process.memoryUsage.rss());
  view.check();
  view.close();
}
const { user, system } = process.cpuUsage(cpuBefore);
process.send(
  { size: mapping.size, sum, cpuMs: (user + system) / 1000, rssMoreMiB: (rssMax - rssBefore) / 2 ** 20 },
  () => process.disconnect(),
);
