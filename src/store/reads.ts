/** The reads that a store, a snapshot and a transaction have in common. */

import { faultError, readError } from "./pager/system-errors.ts";
import { countRange, parseRange, type RangeOptions } from "./range.ts";
import { type Part, type RangeHost, RangeIterator } from "./range-iterator.ts";
import type { ReadTools } from "./read-tools.ts";
import type { Source } from "./source.ts";

/** Iterates over entries; a `for … of` loop, a spread, or `next()` by hand. Ends by itself, by `return()` or with `using`. */
export type Entries<T> = IterableIterator<T> & Disposable;

export abstract class Reads<K, V> {
  readonly #tools: ReadTools<K, V>;

  /** @internal */
  constructor(tools: ReadTools<K, V>) {
    this.#tools = tools;
  }

  /** Where reads go now. @throws StoreError CLOSED, SNAPSHOT_CLOSED or TRANSACTION_OVER @internal */
  protected abstract source(): Source;

  /** Holds what an iterator reads until it lets go. @internal */
  protected abstract attach(user: object): RangeHost;

  /** Whether the tree can change between two reads. @internal */
  protected abstract readonly changing: boolean;

  /**
   * The value of a key, or `undefined` if there is none. It is the caller's: no memory is shared with the store.
   * @throws StoreError KEY_TYPE, KEY_SIZE, CLOSED, SNAPSHOT_CLOSED, TRANSACTION_OVER, IO
   * @throws CorruptionError
   */
  get(key: K): V | undefined {
    const { pages, valueCodec, finder } = this.#tools;
    let decoded: V | undefined;
    try {
      const source = this.source();
      if (this.#find(source, key)) {
        finder.locate(pages, source.bounds);
        const { value } = finder;
        decoded = valueCodec.decode(value.window.bytes, value.at, value.length, value.ascii);
      }
    } catch (error) {
      throw readError(error, pages);
    }
    // A fault while reading is answered with zeros: what was decoded from them, or not found among them, is no data.
    if (pages.faults[0] !== 0) throw faultError();
    return decoded;
  }

  /** Whether there is such a key. @throws as `get` */
  has(key: K): boolean {
    const { pages } = this.#tools;
    let found: boolean;
    try {
      found = this.#find(this.source(), key);
    } catch (error) {
      throw readError(error, pages);
    }
    if (pages.faults[0] !== 0) throw faultError();
    return found;
  }

  #find(source: Source, key: K): boolean {
    const { pages, keyCodec, finder, key: buffer } = this.#tools;
    buffer.end(keyCodec.encode(key, buffer.bytes));
    return finder.find(pages, source.bounds, source.tree.root, source.tree.level, buffer);
  }

  /**
   * The entries of a range in key order, as `[key, value]`. The iterator reads one snapshot from its first step on.
   * @throws StoreError OPTION, BOUND, CLOSED, SNAPSHOT_CLOSED, TRANSACTION_OVER
   */
  entries(range?: RangeOptions<K>): Entries<[key: K, value: V]> {
    return this.#iterate<[K, V]>("entry", range);
  }

  /** The keys of a range. Values are not touched. @throws as `entries` */
  keys(range?: RangeOptions<K>): Entries<K> {
    return this.#iterate<K>("key", range);
  }

  /** The values of a range. @throws as `entries` */
  values(range?: RangeOptions<K>): Entries<V> {
    return this.#iterate<V>("value", range);
  }

  [Symbol.iterator](): Entries<[key: K, value: V]> {
    return this.entries();
  }

  /** How many entries a range has; all of them without one. Counts by page, not by entry. @throws as `entries` */
  count(range?: RangeOptions<K>): number {
    const { pages, keyCodec, key } = this.#tools;
    let count: number;
    try {
      count = countRange(pages, this.source(), key, parseRange(keyCodec, key, range));
    } catch (error) {
      throw readError(error, pages);
    }
    if (pages.faults[0] !== 0) throw faultError();
    return count;
  }

  #iterate<T>(part: Part, range: RangeOptions<K> | undefined): RangeIterator<T, K, V> {
    this.source();
    const tools = this.#tools;
    const parsed = parseRange(tools.keyCodec, tools.key, range);
    return new RangeIterator<T, K, V>((user) => this.attach(user), tools, parsed, part, this.changing);
  }
}
