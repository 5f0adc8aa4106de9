/**
 * A reader process: takes snapshot after snapshot while another process commits, and looks in each for two generations.
 * It ends with an error if it finds them.
 *
 *   node reader.js <path of the store>
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { open } from "foliodb";
import { generationsOf, type Place, type PlaceKey, REVISED } from "./places.ts";
import { leave, report, whenStopped } from "./processes.ts";

/** What a reader has done. */
export interface ReaderReport {
  readonly snapshots: number;
  readonly generations: number;
  readonly lookups: number;
  readonly lookupMs: number;
  readonly entriesScanned: number;
  readonly scanMs: number;
}

/** First that it begins, at last what it has done. */
export type ReaderMessage = "ready" | ReaderReport;

const LOOKUPS_PER_SNAPSHOT = 1000;
/** Of all keys every so many-th is looked up. */
const SAMPLE_STEP = 17;

let stopped = false;
void whenStopped().then(() => {
  stopped = true;
});

const [path] = process.argv.slice(2);
using store = open<PlaceKey, Place>(path, { readOnly: true });
const keys = [...store.keys()].filter((_, index) => index % SAMPLE_STEP === 0);
const seen = new Set<number>();
let snapshots = 0;
let lookups = 0;
let lookupMs = 0;
let entriesScanned = 0;
let scanMs = 0;

report("ready" satisfies ReaderMessage);
while (!stopped) {
  using snapshot = store.snapshot();
  snapshots++;

  const scanBegin = performance.now();
  const { generations, placeCount } = generationsOf(snapshot);
  scanMs += performance.now() - scanBegin;
  entriesScanned += placeCount;
  const [generation] = generations;
  if (generations.length !== 1) throw new Error(`one snapshot shows generations ${generations.join(", ")}`);
  seen.add(generation);

  const lookupBegin = performance.now();
  for (let i = 0; i < LOOKUPS_PER_SNAPSHOT; i++) {
    const key = keys[Math.floor(Math.random() * keys.length)];
    const place = snapshot.get(key);
    if (place === undefined) throw new Error(`a snapshot has no ${key.join(", ")}`);
    if (key[0] === REVISED[0] && place.generation !== generation) {
      throw new Error(`one snapshot shows generation ${generation}, and ${place.generation} at ${key.join(", ")}`);
    }
  }
  lookupMs += performance.now() - lookupBegin;
  lookups += LOOKUPS_PER_SNAPSHOT;
  await nextTurn();
}

report({ snapshots, generations: seen.size, lookups, lookupMs, entriesScanned, scanMs } satisfies ReaderMessage);
leave();
