/** What the set-up scripts share: where the package is, what is out of date, and one line of progress a step. */
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));

let taken = 0;

/** How many steps this process has taken: 0 if everything was up to date. */
export function stepsTaken() {
  return taken;
}

/** Runs a step and says what it was and how long it took. `npm pack` wants standard output for itself, hence `output`. */
export function step(name, run, output = process.stdout) {
  const begin = performance.now();
  taken++;
  output.write(`${name} … `);
  try {
    run();
  } catch (error) {
    output.write("failed\n");
    throw error;
  }
  output.write(`${((performance.now() - begin) / 1000).toFixed(1)} s\n`);
}

/** Modification time in ms, or undefined if there is no such file. */
export function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/** The newest time of a file, or of anything in a folder and the folders themselves (so that a removed file counts). */
export function newest(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  let latest = found.mtimeMs;
  for (const entry of readdirSync(path)) {
    if (entry !== "node_modules") latest = Math.max(latest, newest(join(path, entry)));
  }
  return latest;
}

/** Whether `product` is missing or older than one of `sources` (paths from the package's root; folders count whole). */
export function isStale(product, sources) {
  const made = modified(product);
  return made === undefined || sources.some((source) => newest(join(packageRoot, source)) > made);
}
