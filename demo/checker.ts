/**
 * A process that opens the store as the first one after a kill, checks every byte of it, and tells what it holds.
 *
 *   node checker.js <path of the store>
 */
import { open, type Problem } from "foliodb";
import { generationsOf, type Place, type PlaceKey } from "./places.ts";
import { leave, report } from "./processes.ts";

export interface CheckerReport {
  readonly openMs: number;
  readonly checkMs: number;
  readonly problems: readonly Problem[];
  readonly generations: readonly number[];
  readonly entryCount: number;
}

const [path] = process.argv.slice(2);
const openBegin = performance.now();
using store = open<PlaceKey, Place>(path, { create: false });
const checkBegin = performance.now();
const { problems, entryCount } = store.check();
const checkEnd = performance.now();
const { generations } = generationsOf(store);

report({
  openMs: checkBegin - openBegin,
  checkMs: checkEnd - checkBegin,
  problems,
  generations,
  entryCount,
} satisfies CheckerReport);
leave();
