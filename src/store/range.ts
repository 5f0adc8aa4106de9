/** Ranges over the entries of a tree: what users ask for, the bounds that makes in encoded bytes, and where they lie. */
import { StoreError } from "../errors.ts";
import { copyBytes } from "./codec/bytes.ts";
import { describeValue } from "./codec/describe.ts";
import type { KeyCodec } from "./codec/key.ts";
import type { Pages } from "./pager/pages.ts";
import type { KeyBound, RangeOptions } from "./range-options.ts";
import type { Source } from "./source.ts";
import { countEntries } from "./tree/count.ts";
import { Cursor } from "./tree/cursor.ts";
import type { KeyBuffer } from "./tree/key.ts";

/** One end of a range in encoded bytes. */
export interface Bound {
  readonly bytes: Uint8Array;
  /** Whether the bytes themselves belong to the range. */
  readonly inclusive: boolean;
}

/** A range in encoded bytes; an absent bound is no bound. */
export interface Range {
  readonly lower: Bound | undefined;
  readonly upper: Bound | undefined;
  readonly reverse: boolean;
  readonly limit: number;
}

const KNOWN_OPTIONS: readonly string[] = ["gt", "gte", "lt", "lte", "prefix", "reverse", "limit"];

/**
 * @param buffer where bounds are encoded
 * @throws StoreError OPTION for an unknown or contradictory option, BOUND for a bound that can't be a key
 */
export function parseRange<K>(codec: KeyCodec<K>, buffer: KeyBuffer, options: RangeOptions<K> | undefined): Range {
  if (options === undefined) return { lower: undefined, upper: undefined, reverse: false, limit: Infinity };
  if (options === null || typeof options !== "object")
    throw new StoreError("OPTION", "range options must be an object");
  for (const name of Object.keys(options)) {
    if (!KNOWN_OPTIONS.includes(name))
      throw new StoreError("OPTION", `a range has no option "${name}"; it has ${KNOWN_OPTIONS.join(", ")}`);
  }
  const { gt, gte, lt, lte, prefix, reverse, limit } = options;
  if (
    limit !== undefined &&
    !(typeof limit === "number" && limit >= 0 && (Number.isInteger(limit) || limit === Infinity))
  ) {
    throw new StoreError("OPTION", `limit must be a whole number of 0 or more, not ${describeValue(limit)}`);
  }
  if (reverse !== undefined && typeof reverse !== "boolean")
    throw new StoreError("OPTION", "reverse must be true or false");
  if (gt !== undefined && gte !== undefined) throw new StoreError("OPTION", "a range takes gt or gte, not both");
  if (lt !== undefined && lte !== undefined) throw new StoreError("OPTION", "a range takes lt or lte, not both");
  let lower =
    gt !== undefined
      ? encodeBound(codec, buffer, "gt", gt)
      : gte !== undefined
        ? encodeBound(codec, buffer, "gte", gte)
        : undefined;
  let upper =
    lt !== undefined
      ? encodeBound(codec, buffer, "lt", lt)
      : lte !== undefined
        ? encodeBound(codec, buffer, "lte", lte)
        : undefined;
  if (prefix !== undefined) {
    const first = encodeBound(codec, buffer, "prefix", prefix);
    const after = successor(first.bytes);
    if (lower === undefined || Buffer.compare(lower.bytes, first.bytes) < 0) lower = first;
    if (after !== undefined && (upper === undefined || Buffer.compare(after, upper.bytes) <= 0))
      upper = { bytes: after, inclusive: false };
  }
  return { lower, upper, reverse: reverse === true, limit: limit ?? Infinity };
}

function encodeBound<K>(
  codec: KeyCodec<K>,
  buffer: KeyBuffer,
  name: "gt" | "gte" | "lt" | "lte" | "prefix",
  bound: KeyBound<K>,
): Bound {
  const target = buffer.bytes;
  // The first parts of an array are an array, and encoded like one.
  const key = bound as K;
  try {
    const length = name === "prefix" ? codec.encodePrefix(key, target) : codec.encode(key, target);
    return { bytes: copyBytes(target, 0, length), inclusive: name === "gte" || name === "lte" || name === "prefix" };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StoreError("BOUND", `${name}: ${error.message}`, { cause: error });
  }
}

/** The least bytes greater than everything that begins with `bytes`; undefined if there are none. */
function successor(bytes: Uint8Array): Uint8Array | undefined {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const next = Uint8Array.prototype.slice.call(bytes, 0, length);
  next[length - 1]++;
  return next;
}

/** Seats a cursor on the first entry of the range in ascending order (or the one after its end). */
export function seekLower(cursor: Cursor, key: KeyBuffer, bound: Bound | undefined): boolean {
  if (bound === undefined) return cursor.seekFirst();
  key.set(bound.bytes);
  return bound.inclusive ? cursor.seek(key) : cursor.seekAfter(key);
}

/** Seats a cursor on the first entry after the range in ascending order. */
export function seekPastUpper(cursor: Cursor, key: KeyBuffer, bound: Bound): boolean {
  key.set(bound.bytes);
  return bound.inclusive ? cursor.seekAfter(key) : cursor.seek(key);
}

/** Seats a cursor on the last entry before the range. */
export function seekBeforeLower(cursor: Cursor, key: KeyBuffer, bound: Bound): boolean {
  key.set(bound.bytes);
  return bound.inclusive ? cursor.seekBefore(key) : cursor.seekAtOrBefore(key);
}

/** Seats a cursor on the last entry of the range. */
export function seekUpper(cursor: Cursor, key: KeyBuffer, bound: Bound | undefined): boolean {
  if (bound === undefined) return cursor.seekLast();
  key.set(bound.bytes);
  return bound.inclusive ? cursor.seekAtOrBefore(key) : cursor.seekBefore(key);
}

/** Entries in the range. Counts by leaf, not by entry. */
export function countRange(pages: Pages, source: Source, key: KeyBuffer, range: Range): number {
  if (range.limit === 0) return 0;
  if (range.lower === undefined && range.upper === undefined) return Math.min(source.tree.entryCount, range.limit);
  const from = new Cursor();
  const to = new Cursor();
  from.open(pages, source.bounds, source.tree);
  to.open(pages, source.bounds, source.tree);
  if (!seekLower(from, key, range.lower)) return 0;
  if (range.upper !== undefined) {
    if (isEmpty(range)) return 0;
    seekPastUpper(to, key, range.upper);
  }
  return Math.min(countEntries(from, to), range.limit);
}

/** Whether the lower bound lies at or above the upper one, so that nothing can be between. */
export function isEmpty({ lower, upper }: Range): boolean {
  if (lower === undefined || upper === undefined) return false;
  const order = Buffer.compare(lower.bytes, upper.bytes);
  return order > 0 || (order === 0 && !(lower.inclusive && upper.inclusive));
}
