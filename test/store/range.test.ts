/** Ranges: every combination of bounds, direction and limit, on the store, on a snapshot and in a transaction. */
import { expect, test } from "vitest";
import type { Key, RangeOptions } from "../../src/index.ts";
import type { Reads } from "../../src/store/reads.ts";
import { filled, newStorePath, opened, turn } from "../support/opened.ts";

type Pair = [key: number, value: string];

/** Even numbers: an odd bound lies between two entries. Enough of them for a tree of three levels. */
const PAIRS = Array.from({ length: 4000 }, (_, i): Pair => [i * 2, `value of ${i * 2}`.repeat(1 + (i % 5))]);
const LAST = PAIRS[PAIRS.length - 1][0];

/** What the range of an array that holds the same is. */
function expected(range: RangeOptions<number>): Pair[] {
  const { gt, gte, lt, lte, reverse, limit } = range;
  const inside = PAIRS.filter(
    ([key]) =>
      (gt === undefined || key > gt) &&
      (gte === undefined || key >= gte) &&
      (lt === undefined || key < lt) &&
      (lte === undefined || key <= lte),
  );
  return (reverse === true ? inside.toReversed() : inside).slice(0, limit);
}

/** Bounds at, between, before and after the entries; some make an empty range. */
function* ranges(): Generator<RangeOptions<number>> {
  const lowers: RangeOptions<number>[] = [
    {},
    ...[-5, 0, 1, 2000, 2001, LAST, LAST + 1].flatMap((key) => [{ gt: key }, { gte: key }]),
  ];
  const uppers: RangeOptions<number>[] = [
    {},
    ...[-5, 0, 1, 2000, 2002, 2003, LAST, LAST + 1].flatMap((key) => [{ lt: key }, { lte: key }]),
  ];
  for (const lower of lowers) for (const upper of uppers) yield { ...lower, ...upper };
}

function expectRanges(reads: Reads<number, string>): void {
  for (const bounds of ranges()) {
    for (const options of [{}, { reverse: true }, { limit: 0 }, { limit: 3 }, { reverse: true, limit: 3 }]) {
      const range = { ...bounds, ...options };
      const pairs = expected(range);
      const name = JSON.stringify(range);
      expect(reads.count(range), name).toBe(pairs.length);
      // The long ones are compared as text: an assertion on each entry takes far longer than reading it.
      expect([...reads.keys(range)].join(), name).toBe(pairs.map(([key]) => key).join());
      if (options.limit === undefined && pairs.length > 100) continue;
      expect([...reads.entries(range)], name).toEqual(pairs);
      expect([...reads.values(range)], name).toEqual(pairs.map(([, value]) => value));
    }
  }
}

test("a range gives what the same selection of a sorted array gives: on a store and on a snapshot", () => {
  const store = filled(PAIRS, { valueEncoding: "string" });
  expect(store.stats().depth).toBeGreaterThan(1);
  expectRanges(store);
  using snapshot = store.snapshot();
  store.transactionSync((transaction) => transaction.clear());
  expectRanges(snapshot);
  expect([...snapshot].join()).toBe(PAIRS.join());
});

test("the same inside a transaction, which wrote a part of it itself", () => {
  const store = filled(PAIRS.filter(([key]) => key % 8 !== 0));
  store.transactionSync((transaction) => {
    for (const [key, value] of PAIRS) if (key % 8 === 0) transaction.put(key, value);
    expectRanges(transaction);
  });
});

test("a prefix selects strings, bytes and arrays that begin with it", () => {
  const keys: Key[] = [
    "",
    "a",
    "a\uffff",
    "ab",
    "b",
    new Uint8Array([1]),
    new Uint8Array([1, 255]),
    new Uint8Array([2]),
  ];
  const arrays: Key[] = [["u", 1], ["u", 1, "x"], ["u", 1, "y"], ["u", 2], ["ua"], [["u"], 1]];
  const store = filled([...keys, ...arrays].map((key) => [key, 1] as const));
  const select = (range: RangeOptions<Key>): Key[] => [...store.keys(range)];
  expect(select({ prefix: "a" })).toEqual(["a", "ab", "a\uffff"]);
  expect(select({ prefix: "a", reverse: true, limit: 1 })).toEqual(["a\uffff"]);
  expect(select({ prefix: "a", gt: "a", lt: "ac" })).toEqual(["ab"]);
  expect(select({ prefix: "" })).toEqual(["", "a", "ab", "a\uffff", "b"]);
  expect(select({ prefix: new Uint8Array([1]) })).toEqual([new Uint8Array([1]), new Uint8Array([1, 255])]);
  expect(select({ prefix: ["u", 1] })).toEqual([
    ["u", 1],
    ["u", 1, "x"],
    ["u", 1, "y"],
  ]);
  expect(select({ prefix: ["u"], gt: ["u", 1, "x"] })).toEqual([
    ["u", 1, "y"],
    ["u", 2],
  ]);
  expect(select({ prefix: [["u"]] })).toEqual([[["u"], 1]]);
  expect(select({ prefix: [] })).toHaveLength(arrays.length);
  expect(store.count({ prefix: ["u", 1] })).toBe(3);
  expect(store.count({ prefix: "zz" })).toBe(0);
});

test("the first step of an iterator chooses what it reads, and it stays with that over turns and commits", async () => {
  const store = filled<number, number>(PAIRS.map(([key]) => [key, 0]));
  const iterator = store.entries({ gte: 100 });
  store.putSync(100, 1);
  expect(iterator.next().value).toEqual([100, 1]);
  for (let round = 2; round < 12; round++) {
    await store.transaction((transaction) => {
      for (const key of [...transaction.keys()]) transaction.put(key, round);
      transaction.delete(100 + round * 2);
    });
    expect(iterator.next().value).toEqual([100 + (round - 1) * 2, 0]);
  }
  await turn();
  expect([...iterator].every(([, value]) => value === 0)).toBe(true);
  expect(iterator.next()).toEqual({ done: true, value: undefined });
});

test("an iterator lets its snapshot go at its end, at break, return, throw, and at the end of `using`", async () => {
  const path = newStorePath();
  const store = opened<number, number>(path);
  const watcher = opened(path);
  await store.transaction((transaction) => {
    for (let i = 0; i < 1000; i++) transaction.put(i, i);
  });
  /** Reader slots that are held over the end of the turn. */
  const held = async (): Promise<number> => {
    await turn();
    await turn();
    const { slotsHeld } = watcher.stats();
    await turn();
    // The watcher's own read holds one.
    return slotsHeld - 1;
  };
  expect(await held()).toBe(0);
  const walk = store.keys();
  walk.next();
  expect(await held()).toBe(1);
  for (const key of walk) if (key === 900) break;
  expect(await held()).toBe(0);

  const toTheEnd = store.values();
  toTheEnd.next();
  expect(await held()).toBe(1);
  expect([...toTheEnd]).toHaveLength(999);
  expect(await held()).toBe(0);

  const returned = store.entries();
  returned.next();
  expect(await held()).toBe(1);
  expect(returned.return?.()).toEqual({ done: true, value: undefined });
  expect(await held()).toBe(0);

  const thrower = async (): Promise<void> => {
    for (const _key of store.keys()) {
      expect(await held()).toBe(1);
      throw new Error("left");
    }
  };
  await expect(thrower()).rejects.toThrow("left");
  expect(await held()).toBe(0);

  {
    using limited = store.keys({ limit: 5 });
    limited.next();
    expect(await held()).toBe(1);
  }
  expect(await held()).toBe(0);
});

test("iterators of one turn share one slot, and the last that ends frees it", async () => {
  const path = newStorePath();
  const store = opened<number, number>(path);
  const watcher = opened(path);
  await Promise.all([1, 2, 3, 4].map((i) => store.put(i, i)));
  await turn();
  const iterators = [store.keys(), store.values(), store.entries()];
  for (const iterator of iterators) iterator.next();
  for (const left of [2, 1, 0]) {
    await turn();
    expect(watcher.stats().slotsHeld - 1).toBe(1);
    await turn();
    iterators[left].return?.();
  }
  await turn();
  expect(watcher.stats().slotsHeld - 1).toBe(0);
});

test("an iterator that was made and never stepped holds nothing", async () => {
  const store = filled(PAIRS);
  const iterator = store.keys();
  await turn();
  await turn();
  expect(store.stats().slotsHeld).toBe(1);
  store.putSync(-1, "added before the first step");
  expect(iterator.next().value).toBe(-1);
  iterator.return?.();
});

test("where keys are tuples, a bound may be the first parts of one", () => {
  const store = filled<[country: string, town: string, size: number], boolean>([
    [["CH", "Bern", 1], true],
    [["CH", "Chur", 2], true],
    [["DE", "Bonn", 3], true],
  ]);
  expect([...store.keys({ prefix: ["CH"] })].length).toBe(2);
  expect([...store.keys({ prefix: ["CH", "Chur"] })]).toEqual([["CH", "Chur", 2]]);
  expect([...store.keys({ gte: ["CH", "C"] })].length).toBe(2);
  expect(store.count({ lt: ["DE"] })).toBe(2);
});
