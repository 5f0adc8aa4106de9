/** Puts what a store, a snapshot or a transaction reads beside what the model holds. */
import type { Key } from "../../src/store/codec/key.ts";
import type { KeyBound, RangeOptions } from "../../src/store/range-options.ts";
import type { Reads } from "../../src/store/reads.ts";
import type { Dice } from "../support/dice.ts";
import { compareModelKeys, type Entry, isSame, type Model, show } from "./model.ts";

/** A difference between store and model. */
export class Difference extends Error {
  override readonly name = "Difference";
}

function must(holds: boolean, message: () => string): void {
  if (!holds) throw new Difference(message());
}

/** Every entry, forwards and in number. */
export function compareAll<K extends Key, V>(what: string, reads: Reads<K, V>, model: Model<K, V>): void {
  const { entries } = model;
  let index = 0;
  for (const [key, value] of reads.entries()) {
    compareEntry(what, index, entries, key, value);
    index++;
  }
  must(index === entries.length, () => `${what}: ${index} entries, not ${entries.length}`);
  must(reads.count() === index, () => `${what}: count() is ${reads.count()}, not ${index}`);
}

function compareEntry<K extends Key, V>(
  what: string,
  index: number,
  entries: readonly Entry<K, V>[],
  key: K,
  value: V,
): void {
  const entry = entries[index];
  must(entry !== undefined, () => `${what}: entry ${index} is ${show(key)}, but there are only ${entries.length}`);
  must(
    compareModelKeys(entry.key, key) === 0 && isSame(key, entry.key),
    () => `${what}: key ${index} is ${show(key)}, not ${show(entry.key)}`,
  );
  must(isSame(value, entry.value), () => `${what}: ${show(key)} has ${show(value)}, not ${show(entry.value)}`);
}

/** One range, as entries, keys, values and count. Returns how many entries it has. */
export function compareRange<K extends Key, V>(
  what: string,
  reads: Reads<K, V>,
  model: Model<K, V>,
  range: RangeOptions<K>,
): number {
  const expected = model.range(range);
  const name = `${what} ${showRange(range)}`;
  let index = 0;
  for (const [key, value] of reads.entries(range)) compareEntry(name, index++, expected, key, value);
  must(index === expected.length, () => `${name}: ${index} entries, not ${expected.length}`);
  index = 0;
  for (const key of reads.keys(range)) {
    must(
      index < expected.length && isSame(key, expected[index].key),
      () => `${name}: keys()[${index}] is ${show(key)}`,
    );
    index++;
  }
  must(index === expected.length, () => `${name}: ${index} keys, not ${expected.length}`);
  index = 0;
  for (const value of reads.values(range)) {
    must(
      index < expected.length && isSame(value, expected[index].value),
      () => `${name}: values()[${index}] is ${show(value)}`,
    );
    index++;
  }
  must(index === expected.length, () => `${name}: ${index} values, not ${expected.length}`);
  const count = reads.count(range);
  must(count === expected.length, () => `${name}: count() is ${count}, not ${expected.length}`);
  return index;
}

export function compareKey<K extends Key, V>(what: string, reads: Reads<K, V>, model: Model<K, V>, key: K): void {
  const expected = model.get(key);
  const found = reads.get(key);
  must(isSame(found, expected), () => `${what}: get(${show(key)}) is ${show(found)}, not ${show(expected)}`);
  const there = reads.has(key);
  must(there === (expected !== undefined), () => `${what}: has(${show(key)}) is ${there}`);
}

export function compareResult(what: string, found: unknown, expected: unknown): void {
  must(isSame(found, expected), () => `${what} is ${show(found)}, not ${show(expected)}`);
}

/** A range with any of the bounds; the keys come from `pickKey`. */
export function randomRange<K extends Key>(dice: Dice, pickKey: () => K): RangeOptions<K> {
  const range: RangeOptions<K> = {};
  const lower = dice.weighted({ none: 2, gt: 2, gte: 2 });
  const upper = dice.weighted({ none: 2, lt: 2, lte: 2 });
  if (lower !== "none") range[lower] = pickKey() as KeyBound<K>;
  if (upper !== "none") range[upper] = pickKey() as KeyBound<K>;
  if (dice.chance(0.3)) {
    const prefix = prefixOf(dice, pickKey());
    if (prefix !== undefined) range.prefix = prefix as KeyBound<K>;
  }
  if (dice.chance(0.5)) range.reverse = dice.coin();
  if (dice.chance(0.3))
    range.limit = dice.weighted({ few: 3, all: 1 }) === "few" ? dice.below(12) : Number.POSITIVE_INFINITY;
  return range;
}

/** The beginning of a key that may be a prefix. */
function prefixOf<K extends Key>(dice: Dice, key: K): K | undefined {
  const wide: Key = key;
  if (typeof wide === "string")
    return Array.from(wide)
      .slice(0, dice.below(wide.length + 1))
      .join("") as K;
  if (wide instanceof Uint8Array) return wide.slice(0, dice.below(wide.length + 1)) as Key as K;
  if (Array.isArray(wide)) return wide.slice(0, dice.below(wide.length + 1)) as Key as K;
  return undefined;
}

export function showRange(range: RangeOptions<Key>): string {
  const parts = Object.entries(range).map(([name, value]) => `${name} ${show(value)}`);
  return `{ ${parts.join(", ")} }`;
}
