/**
 * Reading, measured. A call does many operations and returns a sum over what it read, so that nothing read can be left
 * out by the compiler and both peers can be seen to have read the same. The loops are the same for both, and written
 * twice: shared, they would meet objects of two kinds, and neither peer's would be compiled as a program's would.
 */
import { type Measurement, measureCalls, type Operation, type Pair } from "./measure.ts";
import type { Foliodb, Lmdb, Value } from "./peers.ts";
import { type EntrySet, Random } from "./sets.ts";

/** Operations in one call. */
const GETS = 1000;
const RANGES = 20;
const RANGE_ENTRIES = 100;
/** Keys that are looked up, around and around; more would only measure how slowly they are read themselves. */
const PROBES_MAX = 200_000;
/** Turns of each peer in a round: many short ones meet the machine's moods alike, which last for a second or two. */
const TURNS = 4;
const NS_PER_MS = 1e6;

/** How a value is looked at: its last character or byte. */
type Touch = (value: Value) => number;

interface Probes {
  /** Keys that are there. */
  readonly present: readonly string[];
  /** Keys half of which are there. */
  readonly mixed: readonly string[];
  readonly touch: Touch;
}

type ReadOperation = Extract<Operation, "get" | "has" | "range of 100" | "scan" | "keys only">;
type Calls = { readonly [O in ReadOperation]: () => number };

export interface ReadPlan {
  readonly set: EntrySet;
  /** The keys in the stores, in any order. */
  readonly keys: readonly string[];
  readonly rounds: number;
  readonly ms: number;
}

export function measureReads(stores: { foliodb: Foliodb; lmdb: Lmdb }, plan: ReadPlan): Measurement[] {
  const { set, keys, rounds, ms } = plan;
  const probes = makeProbes(keys, set);
  const calls: Pair<Calls> = { foliodb: foliodbCalls(stores.foliodb, probes), lmdb: lmdbCalls(stores.lmdb, probes) };
  // Operations of one call; those of a range and of a scan are the entries.
  const counts: { readonly [O in ReadOperation]: number } = {
    get: GETS,
    has: GETS,
    "range of 100": RANGES * RANGE_ENTRIES,
    scan: keys.length,
    "keys only": keys.length,
  };
  return (Object.keys(counts) as ReadOperation[]).map((operation) => {
    const pair = { foliodb: calls.foliodb[operation], lmdb: calls.lmdb[operation] };
    const took = measureCalls(pair, rounds * TURNS, ms / TURNS);
    const scale = NS_PER_MS / counts[operation];
    return {
      set: set.name,
      entries: keys.length,
      operation,
      unit: "ns",
      foliodb: took.foliodb * scale,
      peer: took.lmdb * scale,
    };
  });
}

function makeProbes(keys: readonly string[], set: EntrySet): Probes {
  const present = new Random(1).shuffle([...keys]).slice(0, PROBES_MAX);
  const mixed = present.map((key, index) => (index % 2 === 0 ? key : flat(`${key.slice(0, -1)}~`)));
  return { present, mixed, touch: set.values === "string" ? touchText : touchBytes };
}

/** The same text in one piece. */
function flat(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function touchText(value: Value): number {
  return (value as string).charCodeAt(value.length - 1);
}

function touchBytes(value: Value): number {
  return (value as Uint8Array)[value.length - 1];
}

function foliodbCalls(store: Foliodb, { present, mixed, touch }: Probes): Calls {
  let nextGet = 0;
  let nextHas = 0;
  let nextRange = 0;
  return {
    get: () => {
      let sum = 0;
      for (let i = 0; i < GETS; i++) {
        const value = store.get(present[nextGet]);
        if (value !== undefined) sum += touch(value);
        if (++nextGet >= present.length) nextGet = 0;
      }
      return sum;
    },
    has: () => {
      let found = 0;
      for (let i = 0; i < GETS; i++) {
        if (store.has(mixed[nextHas])) found++;
        if (++nextHas >= mixed.length) nextHas = 0;
      }
      return found;
    },
    "range of 100": () => {
      let sum = 0;
      for (let i = 0; i < RANGES; i++) {
        for (const [key, value] of store.entries({ gte: present[nextRange], limit: RANGE_ENTRIES })) {
          sum += key.charCodeAt(key.length - 1) + touch(value);
        }
        if (++nextRange >= present.length) nextRange = 0;
      }
      return sum;
    },
    scan: () => {
      let sum = 0;
      for (const [key, value] of store.entries()) sum += key.charCodeAt(key.length - 1) + touch(value);
      return sum;
    },
    "keys only": () => {
      let sum = 0;
      for (const key of store.keys()) sum += key.charCodeAt(key.length - 1);
      return sum;
    },
  };
}

function lmdbCalls(store: Lmdb, { present, mixed, touch }: Probes): Calls {
  let nextGet = 0;
  let nextHas = 0;
  let nextRange = 0;
  return {
    get: () => {
      let sum = 0;
      for (let i = 0; i < GETS; i++) {
        const value = store.get(present[nextGet]);
        if (value !== undefined) sum += touch(value);
        if (++nextGet >= present.length) nextGet = 0;
      }
      return sum;
    },
    has: () => {
      let found = 0;
      for (let i = 0; i < GETS; i++) {
        if (store.doesExist(mixed[nextHas])) found++;
        if (++nextHas >= mixed.length) nextHas = 0;
      }
      return found;
    },
    "range of 100": () => {
      let sum = 0;
      for (let i = 0; i < RANGES; i++) {
        for (const { key, value } of store.getRange({ start: present[nextRange], limit: RANGE_ENTRIES })) {
          sum += key.charCodeAt(key.length - 1) + touch(value);
        }
        if (++nextRange >= present.length) nextRange = 0;
      }
      return sum;
    },
    scan: () => {
      let sum = 0;
      for (const { key, value } of store.getRange()) sum += key.charCodeAt(key.length - 1) + touch(value);
      return sum;
    },
    "keys only": () => {
      let sum = 0;
      for (const key of store.getKeys()) sum += key.charCodeAt(key.length - 1);
      return sum;
    },
  };
}
