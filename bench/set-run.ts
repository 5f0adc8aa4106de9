/**
 * Measures one set, in a process of its own: code that had met the values of another set would be compiled for both.
 * Started by main.ts with the options as JSON; prints one measurement as JSON a line.
 */
import { join } from "node:path";
import { measureCommits } from "./commits.ts";
import { measureFlushes } from "./flush.ts";
import { makeFolder, removeFolder } from "./folder.ts";
import type { Measurement } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import type { Value } from "./peers.ts";
import { measureReads } from "./reads.ts";
import { type EntrySet, makeBytes, makeKeys, makeTexts, setOf } from "./sets.ts";
import { closeStores, measureWrites, warmUp } from "./writes.ts";

/** The set whose stores are also used for commits of single puts. */
const COMMIT_SET = "string";

async function measureSize(
  set: EntrySet,
  values: readonly Value[],
  entries: number,
  options: BenchOptions,
  folder: string,
): Promise<void> {
  const { rounds, commits } = options;
  const keys = makeKeys(set.keys, entries);
  const writes = await measureWrites({ set, keys, values, rounds, folder });
  writes.measurements.forEach(print);
  measureReads(writes.stores, { set, keys, rounds, ms: options.readMs }).forEach(print);
  if (set.name === COMMIT_SET) {
    (await measureCommits(writes.stores, { set, keys, values, rounds, commits })).forEach(print);
  }
  await closeStores(writes.stores);
  if (set.name === COMMIT_SET) {
    print(await measureFlushes({ set, path: join(folder, "random.foliodb"), folder, keys, values, rounds }));
  }
}

function print(measurement: Measurement): void {
  process.stdout.write(`${JSON.stringify(measurement)}\n`);
}

/** Calls back with a folder that is there until then. */
async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = makeFolder();
  try {
    await use(folder);
  } finally {
    removeFolder(folder);
  }
}

async function main(): Promise<void> {
  const [name, json] = process.argv.slice(2);
  const options = JSON.parse(json) as BenchOptions;
  const set = setOf(name as EntrySet["name"]);
  const values = set.values === "string" ? makeTexts(set.valueSize) : makeBytes(set.valueSize);
  await withFolder((folder) => warmUp(set, values, folder));
  for (const entries of options.sizes.filter((size) => size <= set.entriesMax)) {
    process.stderr.write(`  ${set.name}, ${entries.toLocaleString("en")} entries …\n`);
    await withFolder((folder) => measureSize(set, values, entries, options, folder));
  }
}

await main();
