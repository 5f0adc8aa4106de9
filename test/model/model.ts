/** What a store must hold: entries in key order. Written from the documentation, without a byte of the engine's. */
import { isDeepStrictEqual } from "node:util";
import type { Key } from "../../src/store/codec/key.ts";
import type { RangeOptions } from "../../src/store/range-options.ts";
import { compareKeys } from "../codec/arbitraries.ts";

type Bounds = "gt" | "gte" | "lt" | "lte" | "prefix";

/** An entry never changes: another value is another entry. */
export interface Entry<K, V> {
  readonly key: K;
  readonly value: V;
}

export class Model<K extends Key, V> {
  readonly #entries: Entry<K, V>[];

  constructor(entries: readonly Entry<K, V>[] = []) {
    this.#entries = entries.slice();
  }

  get entries(): readonly Entry<K, V>[] {
    return this.#entries;
  }

  get size(): number {
    return this.#entries.length;
  }

  copy(): Model<K, V> {
    return new Model(this.#entries);
  }

  /** The first index whose key is not less (with `after`: is greater). */
  #bound(key: K, after: boolean): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = compareModelKeys(this.#entries[middle].key, key);
      if (order < 0 || (after && order === 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get(key: K): V | undefined {
    const index = this.#bound(key, false);
    const entry = this.#entries[index];
    return entry !== undefined && compareModelKeys(entry.key, key) === 0 ? entry.value : undefined;
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  put(key: K, value: V): void {
    const index = this.#bound(key, false);
    const replaced = index < this.#entries.length && compareModelKeys(this.#entries[index].key, key) === 0;
    this.#entries.splice(index, replaced ? 1 : 0, { key, value });
  }

  /** Whether the key was there. */
  delete(key: K): boolean {
    if (!this.has(key)) return false;
    this.#entries.splice(this.#bound(key, false), 1);
    return true;
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** The entries of a range, in its order. */
  range(options: RangeOptions<K>): Entry<K, V>[] {
    // The first parts of a tuple are compared like any array.
    const { gt, gte, lt, lte, prefix, reverse, limit } = options as RangeOptions<unknown> as Record<
      Bounds,
      K | undefined
    > &
      Pick<RangeOptions<K>, "reverse" | "limit">;
    let from = 0;
    let to = this.#entries.length;
    if (gt !== undefined) from = this.#bound(gt, true);
    if (gte !== undefined) from = this.#bound(gte, false);
    if (lt !== undefined) to = this.#bound(lt, false);
    if (lte !== undefined) to = this.#bound(lte, true);
    let found = this.#entries.slice(from, Math.max(from, to));
    if (prefix !== undefined) found = found.filter(({ key }) => beginsWith(key, prefix));
    if (reverse === true) found.reverse();
    return found.slice(0, limit ?? found.length);
  }
}

/** The order of keys; as `compareKeys`, with a shorter way for the two commonest kinds. */
export function compareModelKeys(a: Key, b: Key): number {
  if (typeof a === "string" && typeof b === "string") {
    return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return compareKeys(a, b);
}

function beginsWith(key: Key, prefix: Key): boolean {
  if (typeof key === "string" && typeof prefix === "string") return key.startsWith(prefix);
  if (key instanceof Uint8Array && prefix instanceof Uint8Array) {
    return Buffer.compare(key.subarray(0, prefix.length), prefix) === 0;
  }
  if (Array.isArray(key) && Array.isArray(prefix)) {
    const parts: readonly Key[] = key;
    return prefix.every((part: Key, i) => i < parts.length && compareKeys(parts[i], part) === 0);
  }
  return false;
}

export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return typeof a === "object" && typeof b === "object" && isDeepStrictEqual(a, b);
}

/** A value or key in a few characters, for messages. */
export function show(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes ${Buffer.from(value.subarray(0, 16)).toString("hex")}`;
  if (typeof value === "bigint") return `${value}n`;
  const text =
    JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? `${part}n` : part)) ?? "undefined";
  return text.length > 120 ? `${text.slice(0, 120)}… (${text.length})` : text;
}
