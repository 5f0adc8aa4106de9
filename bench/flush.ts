/**
 * What `putSync` takes beyond its two flushes: each commit's pages are noted, and the same number of pages at the same
 * places of another file are stored to and flushed, and then the page of a meta record, with nothing else done.
 */
import { join } from "node:path";
import { openStore } from "#internal/store/open.js";
import { addonStorage } from "#internal/store/pager/addon-storage.js";
import type { CommitPlan, Storage } from "#internal/store/pager/storage.js";
import { type Measurement, measureInTurns, median, now } from "./measure.ts";
import type { Value } from "./peers.ts";
import type { EntrySet } from "./sets.ts";

const WINDOW_SIZE = 2 ** 30;
const PAGE_SIZE = 4096;
/**
 * As a program that has made some thousand commits: V8 compiles half of what a commit runs through only between the thousandth
 * and the seven thousandth (Node 20), which is a fifth of all that a commit takes beside its flushes. The pages that small
 * commits take in turn have been written then, too.
 */
const WARMUP_COMMITS = 8000;
/** Many turns of a round with few commits each, for the device is now fast and now slow, and is to be so for both. */
const TURNS = 25;
const COMMITS_IN_TURN = 10;
const US_PER_MS = 1000;

export interface FlushPlan {
  readonly set: EntrySet;
  /** A store, which nobody has open. */
  readonly path: string;
  readonly folder: string;
  /** Keys that are there, in random order. */
  readonly keys: readonly string[];
  readonly values: readonly Value[];
  readonly rounds: number;
}

export async function measureFlushes(plan: FlushPlan): Promise<Measurement> {
  /** The commits of the latest turn. */
  const noted: CommitPlan[] = [];
  const store = openStore<string, Value>(
    notingStorage((commit) => noted.push(commit)),
    plan.path,
    {},
  );
  const bare = new BareFile(join(plan.folder, "bare"), store.stats().fileSize);
  let next = 0;
  for (; next < WARMUP_COMMITS; next++) {
    store.putSync(plan.keys[next % plan.keys.length], plan.values[next % plan.values.length]);
  }
  const once = (name: "putSync" | "bare"): number => {
    const samples: number[] = [];
    if (name === "bare") {
      for (const commit of noted) samples.push(bare.flushLike(commit));
      return median(samples);
    }
    noted.length = 0;
    for (let i = 0; i < COMMITS_IN_TURN; i++, next++) {
      const begin = now();
      store.putSync(plan.keys[next % plan.keys.length], plan.values[next % plan.values.length]);
      samples.push(now() - begin);
    }
    return median(samples);
  };
  const took = await measureInTurns(["putSync", "bare"], plan.rounds * TURNS, once, true);
  bare.close();
  store.closeSync();
  return {
    set: plan.set.name,
    entries: plan.keys.length,
    operation: "putSync and bare flushes",
    unit: "µs",
    foliodb: took.putSync * US_PER_MS,
    peer: took.bare * US_PER_MS,
  };
}

/** The machine's storage, which tells what is committed. */
function notingStorage(note: (plan: CommitPlan) => void): Storage {
  const storage = addonStorage();
  const openFile = storage.openFile.bind(storage);
  storage.openFile = (path, access) => {
    const file = openFile(path, access);
    const commitSync = file.commitSync.bind(file);
    file.commitSync = (plan) => {
      note(plan);
      return commitSync(plan);
    };
    return file;
  };
  return storage;
}

/** A mapped file that is stored to and flushed. All of it has been written before, as a store's pages have. */
class BareFile {
  readonly #file: ReturnType<Storage["openFile"]>;
  readonly #bytes: Uint8Array;
  #stored = 0;

  constructor(path: string, size: number) {
    const storage = addonStorage();
    storage.createFile(path, 0o600, size, []);
    this.#file = storage.openFile(path, "readwrite");
    const window = this.#file.mapWindow(0, WINDOW_SIZE, true);
    // One by one: Linux would keep many that were written at once as one large page, and flush all of it for one of them.
    for (let at = 0; at < Math.min(size, WINDOW_SIZE); at += PAGE_SIZE) this.#file.prepare(window, at, PAGE_SIZE);
    this.#file.flush();
    this.#bytes = window.bytes;
  }

  /** Milliseconds to store into as many pages as a commit wrote and to flush, twice. */
  flushLike({ runs, pageSize, metaAt }: CommitPlan): number {
    this.#stored++;
    const begin = now();
    for (let i = 0; i < runs.length; i += 2) {
      for (let page = runs[i]; page < runs[i] + runs[i + 1]; page++) this.#bytes[page * pageSize] = this.#stored;
    }
    this.#file.flush();
    this.#bytes[metaAt] = this.#stored;
    this.#file.flush();
    return now() - begin;
  }

  close(): void {
    this.#file.close();
  }
}
