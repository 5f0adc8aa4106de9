/**
 * Maps the first half of a file and makes its pages ready, then all of it; prints as JSON whether both ArrayBuffers are the same
 * memory, and how many pages had to be fetched anew for stores through the longer one.
 */
import { readFileSync } from "node:fs";
import { addon, open, WINDOW } from "./addon.mjs";

const [path] = process.argv.slice(2);
const PAGE = 4096;
/** Many, for other threads of Node fetch pages of their own meanwhile. */
const PAGES = 1024;
const HALF = PAGES / 2;

const made = addon.createNamed(path, 0o600);
made.allocate(0, PAGES * PAGE);
made.close();

const file = open(path);
const short = new Uint8Array(file.map(0, WINDOW, true, HALF * PAGE));
file.prepare(0, 0, HALF * PAGE);
const long = new Uint8Array(file.map(0, WINDOW, true, PAGES * PAGE));
// The function's own memory is there before anything is counted.
const fill = (bytes, from, to, value) => {
  for (let page = from; page < to; page++) bytes[page * PAGE + 1] = value;
};
fill(new Uint8Array(PAGES * PAGE), 0, PAGES, 1);
const before = process.resourceUsage().minorPageFault;
fill(long, 0, HALF, 3);
const faults = process.resourceUsage().minorPageFault - before;
file.prepare(0, HALF * PAGE, HALF * PAGE);
fill(long, HALF, PAGES, 3);
fill(short, 0, 1, 5);
file.flush();
const content = readFileSync(path);
process.stdout.write(
  JSON.stringify({
    lengths: [short.length, long.length].map((length) => length / PAGE),
    shared: [short[PAGE + 1], long[1]],
    flushed: [0, 1, HALF - 1, HALF, PAGES - 1].map((page) => content[page * PAGE + 1]),
    anew: faults >= HALF / 8,
    fault: file.faults[0],
  }),
);
