/**
 * Prepares blocks of a file that is full of nines, under conditions that its second argument names, stores into them, and
 * prints as JSON what the file holds then, what failed, and whether a fault was flagged.
 */
import { readFileSync, truncateSync } from "node:fs";
import { addon, open, WINDOW } from "./addon.mjs";

const [path, condition] = process.argv.slice(2);
const BLOCK = 4096;
const BLOCKS = 64;

const made = addon.createNamed(path, 0o600);
made.allocate(0, BLOCKS * BLOCK);
made.write(0, new Uint8Array(BLOCKS * BLOCK).fill(9));
made.flush();
if (condition !== "in memory") made.dropCache();
made.close();

const file = open(path);
const memory = new Uint8Array(file.map(0, WINDOW, true, WINDOW));
if (condition === "partly in memory") {
  // The second half of what is prepared; a write reads nothing around it.
  file.write(16 * BLOCK, new Uint8Array(8 * BLOCK).fill(8));
}
file.prepare(0, 8 * BLOCK, 16 * BLOCK);
const prepared = [8, 15, 16, 23].map((block) => readFileSync(path)[block * BLOCK + 1]);
memory.fill(7, 8 * BLOCK, 24 * BLOCK);
file.flush();

const kept = readFileSync(path);
let refused = "";
truncateSync(path, 12 * BLOCK);
try {
  file.prepare(0, 8 * BLOCK, 16 * BLOCK);
} catch (error) {
  refused = error.code;
}
process.stdout.write(
  JSON.stringify({
    prepared,
    around: [kept[8 * BLOCK - 1], kept[24 * BLOCK]],
    stored: kept.subarray(8 * BLOCK, 24 * BLOCK).every((byte) => byte === 7),
    refused,
    size: readFileSync(path).length,
    fault: file.faults[0],
  }),
);
