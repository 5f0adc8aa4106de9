/** The reads that a store, a snapshot and a transaction have in common. */

import { faultError, readError } from "./pager/system-errors.ts";
import { countRange, parseRange } from "./range.ts";
import { type Part, type RangeHost, RangeIterator } from "./range-iterator.ts";
import type { RangeOptions } from "./range-options.ts";
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
   * @throws StoreError KEY_TYPE, KEY_SIZE, CLOSED, SNAPSHOT_CLOSED, TRANSACTION_OVER, IO; in a transaction that has put
   * something also DISK_FULL, STORE_FULL
   * @throws CorruptionError
   */
  get(key: K): V | undefined {
    const { pages, valueCodec, finder } = this.#tools;
    let decoded: V | undefined;
    try {
      const source = this.#find(key);
      if (source !== undefined) {
        finder.locate(pages, source.bounds);
        const { value } = finder;
        // A codec of the user's may read the store, and seat the finder elsewhere: nothing of it is looked at afterwards.
        decoded = valueCodec.decode(value.window.bytes, value.at, value.length, value.ascii, false);
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
      found = this.#find(key) !== undefined;
    } catch (error) {
      throw readError(error, pages);
    }
    if (pages.faults[0] !== 0) throw faultError();
    return found;
  }

  /** Seats the finder on a key's entry, and returns what it was found in; undefined if it is not there. */
  #find(key: K): Source | undefined {
    const { pages, keyCodec, finder, key: buffer } = this.#tools;
    buffer.end(keyCodec.encode(key, buffer.bytes));
    // Only now: code of the user's in the key may have written to the store, or closed it.
    const source = this.source();
    return finder.find(pages, source.bounds, source.tree.root, source.tree.level, buffer) ? source : undefined;
  }

  /**
   * The entries of a range in key order, as `[key, value]`. The iterator reads one snapshot from its first step on. Values that
   * are bytes may share an untransferable buffer of 2 KiB with their neighbours: mind `byteOffset`.
   * @throws StoreError OPTION, BOUND, CLOSED, SNAPSHOT_CLOSED, TRANSACTION_OVER; in a transaction also as `get`
   */
  entries(range?: RangeOptions<K>): Entries<[key: K, value: V]> {
    return this.#iterate<[K, V]>("entry", range);
  }

  /** The keys of a range. Values are not touched. @throws as `entries` */
  keys(range?: RangeOptions<K>): Entries<K> {
    return this.#iterate<K>("key", range);
  }

  /** The values of a range; bytes may share a buffer as those of `entries` do. @throws as `entries` */
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
      const parsed = parseRange(keyCodec, key, range);
      // Only now, as in `#find`.
      count = countRange(pages, this.source(), key, parsed);
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
