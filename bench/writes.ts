/** Transactions of many puts into a new store, measured until they are durable, and the size of what they make. */
import { join } from "node:path";
import { removeStore } from "./folder.ts";
import { type Measurement, measureInTurns, now, type Operation, PEERS, type PeerName } from "./measure.ts";
import { type Foliodb, type Lmdb, openFoliodb, openLmdb, type Value } from "./peers.ts";
import { type EntrySet, makeKeys } from "./sets.ts";

/** Stores of few entries are written so often that their commits' flushes, which vary, come to a steady median. */
const SMALL = 10_000;
const ROUNDS_SMALL = 101;

/** Puts of each peer before anything is measured, so that the compiler has settled. */
const WARMUP_ENTRIES = 20_000;
const WARMUP_ROUNDS = 10;

const NS_PER_MS = 1e6;

export interface WritePlan {
  readonly set: EntrySet;
  /** In random order. */
  readonly keys: readonly string[];
  readonly values: readonly Value[];
  readonly rounds: number;
  readonly folder: string;
}

/** Fills stores with the keys and values of a set before anything is measured. */
export async function warmUp(set: EntrySet, values: readonly Value[], folder: string): Promise<void> {
  const plan = { set, keys: makeKeys(set.keys, WARMUP_ENTRIES), values, rounds: WARMUP_ROUNDS, folder };
  const { stores } = await measureWrites(plan);
  await closeStores(stores);
}

/** The stores of the last round of random puts; the caller closes them. */
export interface FilledStores {
  readonly foliodb: Foliodb;
  readonly lmdb: Lmdb;
}

/** Measures puts in random and in sorted order. The stores written in random order stay. */
export async function measureWrites(plan: WritePlan): Promise<{ measurements: Measurement[]; stores: FilledStores }> {
  const sorted = await measureOrder(plan, "sorted", [...plan.keys].sort());
  await closeStores(sorted.stores);
  const random = await measureOrder(plan, "random", plan.keys);
  return { measurements: [...random.measurements, ...sorted.measurements], stores: random.stores };
}

export async function closeStores(stores: FilledStores): Promise<void> {
  await stores.foliodb.close();
  await stores.lmdb.close();
}

async function measureOrder(
  plan: WritePlan,
  order: "random" | "sorted",
  keys: readonly string[],
): Promise<{ measurements: Measurement[]; stores: FilledStores }> {
  const { set, values, folder } = plan;
  let foliodb: Foliodb | undefined;
  let lmdb: Lmdb | undefined;
  const once = async (peer: PeerName): Promise<number> => {
    const path = join(folder, `${order}.${peer}`);
    if (peer === "foliodb") {
      await foliodb?.close();
      removeStore(path);
      foliodb = openFoliodb(path, set);
      const begin = now();
      fillFoliodb(foliodb, keys, values);
      return now() - begin;
    }
    await lmdb?.close();
    removeStore(path);
    lmdb = openLmdb(path, set);
    const begin = now();
    fillLmdb(lmdb, keys, values);
    return now() - begin;
  };
  const small = keys.length < SMALL;
  const took = await measureInTurns(PEERS, small ? ROUNDS_SMALL : plan.rounds, once, small);
  if (foliodb === undefined || lmdb === undefined) throw new Error("nothing was measured");
  const scale = NS_PER_MS / keys.length;
  const row = (operation: Operation, unit: "ns" | "pages", ours: number, theirs: number): Measurement => {
    return { set: set.name, entries: keys.length, operation, unit, foliodb: ours, peer: theirs };
  };
  return {
    measurements: [
      row(`puts, ${order}`, "ns", took.foliodb * scale, took.lmdb * scale),
      row(`size, ${order}`, "pages", foliodb.stats().pagesUsed, lmdbPages(lmdb, foliodb.stats().pageSize)),
    ],
    stores: { foliodb, lmdb },
  };
}

function fillFoliodb(store: Foliodb, keys: readonly string[], values: readonly Value[]): void {
  store.transactionSync((transaction) => {
    for (let i = 0; i < keys.length; i++) transaction.put(keys[i], values[i % values.length]);
  });
}

function fillLmdb(store: Lmdb, keys: readonly string[], values: readonly Value[]): void {
  store.transactionSync(() => {
    for (let i = 0; i < keys.length; i++) store.put(keys[i], values[i % values.length]);
  });
}

/** Pages of the tree, in pages of foliodb's size. */
function lmdbPages(store: Lmdb, pageSize: number): number {
  const stats = store.getStats();
  const pages = stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
  return (pages * stats.pageSize) / pageSize;
}
