/** The kinds of stores that the model tests try: which keys, which values, which pages. */
import fc from "fast-check";
import type { Key, KeyEncoding } from "../../src/store/codec/key.ts";
import type { ValueEncoding } from "../../src/store/codec/value.ts";
import { anyKey, canonical, textKey } from "../codec/arbitraries.ts";
import type { Dice } from "../support/dice.ts";
import { compareModelKeys } from "./model.ts";

export interface Kind {
  readonly name: string;
  readonly keyEncoding: KeyEncoding;
  readonly valueEncoding: ValueEncoding;
  readonly pageSize: number;
  readonly runBoundaryLog2: number;
  /** How many different keys there are; the store has at most so many entries. */
  readonly keyCount: number;
  /** Bytes of a value, at the most; small ones are far more frequent. */
  readonly valueSizeMax: number;
}

/** Every encoding, every page size, small run boundaries and so many windows. */
export const KINDS: readonly Kind[] = [
  kind("text to anything in small pages", "string", "msgpack", 4096, 17, 700, 20_000),
  kind("all kinds of keys to JSON", "ordered", "json", 8192, 18, 900, 12_000),
  kind("thousands of bytes to bytes", "binary", "binary", 4096, 17, 4000, 3000),
  kind("text to text in middling pages", "string", "string", 16_384, 18, 800, 60_000),
  kind("all kinds of keys to anything in large pages", "ordered", "msgpack", 65_536, 20, 600, 200_000),
  kind("bytes to text in pages of 32 KiB", "binary", "string", 32_768, 19, 700, 100_000),
  kind("few keys to values as large as windows allow", "string", "binary", 4096, 17, 40, 65_536),
];

function kind(
  name: string,
  keyEncoding: KeyEncoding,
  valueEncoding: ValueEncoding,
  pageSize: number,
  runBoundaryLog2: number,
  keyCount: number,
  valueSizeMax: number,
): Kind {
  return { name, keyEncoding, valueEncoding, pageSize, runBoundaryLog2, keyCount, valueSizeMax };
}

/** Different keys, in no order. */
export function keysOf(kind: Kind, dice: Dice): Key[] {
  const found: Key[] = [];
  const seen = new Set<string>();
  const add = (key: Key): void => {
    const name = identify(key);
    if (seen.has(name)) return;
    seen.add(name);
    found.push(key);
  };
  switch (kind.keyEncoding) {
    case "string": {
      for (const key of fc.sample(textKey, { seed: dice.seed(), numRuns: kind.keyCount >> 2 })) add(key);
      while (found.length < kind.keyCount) add(text(dice));
      break;
    }
    case "binary": {
      while (found.length < kind.keyCount) add(Uint8Array.from(Buffer.from(text(dice), "latin1")));
      break;
    }
    case "ordered": {
      for (const key of fc.sample(anyKey, { seed: dice.seed(), numRuns: kind.keyCount >> 2 })) add(canonical(key));
      while (found.length < kind.keyCount) add(composite(dice));
      break;
    }
  }
  return found;
}

function identify(key: Key): string {
  if (key instanceof Uint8Array) return `bytes ${Buffer.from(key).toString("hex")}`;
  if (key instanceof Date) return `date ${key.getTime()}`;
  if (Array.isArray(key)) return `[${key.map(identify).join("|")}]`;
  return `${typeof key} ${String(key)}`;
}

/** Text with few different beginnings, some of them longer than a quarter page. */
function text(dice: Dice): string {
  const shape = dice.weighted({ short: 4, deep: 3, long: 1, huge: 1 });
  const number = dice.below(1_000_000).toString(36);
  switch (shape) {
    case "short":
      return number;
    case "deep":
      return `${dice.pick(["user/settings/theme/", "user/settings/", "user/", "zürich/straße/"])}${number}`;
    case "long":
      return `${"common prefix of many keys, ".repeat(dice.between(2, 12))}${number}`;
    case "huge":
      return `${dice.pick(["x", "y"]).repeat(dice.between(900, 1900))}${number}`;
  }
}

function composite(dice: Dice): Key {
  const shape = dice.weighted({ number: 3, pair: 3, text: 2, deep: 1 });
  switch (shape) {
    case "number":
      return dice.below(100_000) - 50_000;
    case "pair":
      return [dice.pick(["user", "group", "log"]), dice.below(50), dice.below(1000)];
    case "text":
      return text(dice).slice(0, 900);
    case "deep":
      return [["path", [dice.below(3)]], text(dice).slice(0, 200), BigInt(dice.below(1000)) ** 9n];
  }
}

/** A value; no two are alike. */
export function nextValue(kind: Kind, dice: Dice, serial: number): unknown {
  const shape = dice.weighted({ small: 12, middle: 6, page: 2, big: 1 });
  const { pageSize, valueSizeMax } = kind;
  const sizes = { small: 60, middle: pageSize >> 3, page: pageSize * 2, big: valueSizeMax };
  const size = Math.min(dice.below(sizes[shape]), valueSizeMax - 64);
  const unit = dice.weighted({ ascii: 4, wide: 1 }) === "ascii" ? "abcdefghij " : "aé漢🦊 ";
  switch (kind.valueEncoding) {
    case "string":
      return filled(`${serial}:`, unit, size);
    case "binary":
      return Uint8Array.from(Buffer.from(filled(`${serial}:`, unit, size)));
    case "json":
    case "msgpack":
      return dice.chance(0.3)
        ? { serial, flags: [true, null, serial / 3], text: filled("", unit, size) }
        : filled(`${serial}:`, unit, size);
  }
}

/** `start`, and `unit` repeated, in about `size` bytes of UTF-8 and never more. */
function filled(start: string, unit: string, size: number): string {
  return start + unit.repeat(Math.floor(size / Buffer.byteLength(unit)));
}

export function sorted(keys: readonly Key[]): Key[] {
  return keys.toSorted(compareModelKeys);
}
