/** Keys of every kind for random tests, and what the order of keys is: written from the specification, not from the encoder. */
import fc from "fast-check";
import type { Key } from "../../src/store/codec/key.ts";

const KINDS = ["false", "true", "number", "bigint", "date", "string", "bytes", "array"];

function kind(key: Key): number {
  if (typeof key === "object") {
    const name = key instanceof Date ? "date" : key instanceof Uint8Array ? "bytes" : "array";
    return KINDS.indexOf(name);
  }
  return KINDS.indexOf(typeof key === "boolean" ? String(key) : typeof key);
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compare(a[index], b[index]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function codePoints(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}

/** The order of keys: by kind, then by value; strings by code point, arrays part by part. */
export function compareKeys(a: Key, b: Key): number {
  if (kind(a) !== kind(b)) return kind(a) - kind(b);
  if (typeof a === "number" && typeof b === "number") return compareNumbers(a, b);
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "string" && typeof b === "string") return compareLists(codePoints(a), codePoints(b), compareNumbers);
  if (a instanceof Date && b instanceof Date) return compareNumbers(a.getTime(), b.getTime());
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareLists([...a], [...b], compareNumbers);
  if (Array.isArray(a) && Array.isArray(b)) return compareLists<Key>(a, b, compareKeys);
  return 0;
}

/** What a key is when it is read again: -0 has become 0, and a Buffer a Uint8Array. */
export function canonical(key: Key): Key {
  if (Object.is(key, -0)) return 0;
  return Array.isArray(key) ? key.map((part: Key) => canonical(part)) : key;
}

/** Well-formed text with much of what is special: NUL, 0x01, the edges of UTF-8 lengths, characters beyond the first plane. */
export const textKey: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom(
      "\0",
      "\x01",
      "\x02",
      "a",
      "\x7f",
      "\x80",
      "\u07ff",
      "\u0800",
      "\ud7ff",
      "\ue000",
      "\uffff",
      "𐀀",
      "🦊",
    ),
    maxLength: 30,
  }),
);

export const numberKey: fc.Arbitrary<number> = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(0, -0, Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 53, -(2 ** 53)),
);

export const bigintKey: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: -300n, max: 300n }),
  fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }),
  fc.bigInt({ min: -(2n ** 1100n), max: 2n ** 1100n }),
  // The edges of every length.
  fc
    .tuple(fc.integer({ min: 0, max: 1100 }), fc.constantFrom(-1n, 0n, 1n), fc.boolean())
    .map(([bits, delta, negative]) => (2n ** BigInt(bits) + delta) * (negative ? -1n : 1n)),
);

const dateKey = fc.date({ noInvalidDate: true });

export const bytesKey: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.array(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff), { maxLength: 12 }).map((bytes) => Uint8Array.from(bytes)),
);

const scalarKey: fc.Arbitrary<Key> = fc.oneof(fc.boolean(), numberKey, bigintKey, dateKey, textKey, bytesKey);

export const arrayKey: fc.Arbitrary<readonly Key[]> = fc.letrec<{ key: Key; array: readonly Key[] }>((tie) => ({
  key: fc.oneof({ maxDepth: 4, withCrossShrink: true }, scalarKey, tie("array")),
  array: fc.array(tie("key"), { maxLength: 4 }),
})).array;

export const anyKey: fc.Arbitrary<Key> = fc.oneof(scalarKey, scalarKey, arrayKey);

/** Pairs that are likely to be alike, since two arbitrary keys differ at their first byte. */
export const keyPair: fc.Arbitrary<[Key, Key]> = fc.oneof(
  fc.tuple(anyKey, anyKey),
  fc.tuple(numberKey, numberKey),
  fc.tuple(bigintKey, bigintKey),
  fc.tuple(dateKey, dateKey),
  fc.tuple(textKey, textKey),
  fc.tuple(bytesKey, bytesKey),
  fc.tuple(arrayKey, arrayKey),
  fc.tuple(arrayKey, scalarKey, scalarKey).map(([array, a, b]): [Key, Key] => [
    [...array, a],
    [...array, b],
  ]),
  fc.tuple(textKey, textKey, textKey).map(([head, a, b]): [Key, Key] => [[head + a], [head + b]]),
  fc.tuple(bytesKey, bytesKey, bytesKey).map(([head, a, b]): [Key, Key] => [
    [Uint8Array.from([...head, ...a]), true],
    [Uint8Array.from([...head, ...b]), false],
  ]),
);
