/**
 * Iterators over the entries of a range.
 *
 * An iterator walks leaf by leaf: within a leaf it counts slots and decodes in place; keys are compared only to find the
 * two ends. Over a transaction's own tree, which may change between two steps, it seeks again from the last key it gave.
 */
import { assert, CorruptionError } from "../errors.ts";
import type { KeyDecoder } from "./codec/key.ts";
import type { ValueCodec } from "./codec/value.ts";
import {
  LEAF_CELL_SUFFIX,
  LEAF_META_SUFFIX_LENGTH,
  LEAF_META_SUFFIX_NOT_ASCII,
  LEAF_META_VALUE_NOT_ASCII,
  LEAF_SLOT_CELL,
  leafSlotAt,
  VALUE_KIND_INLINE,
  valueKind,
} from "./format/leaf.ts";
import { KEY_SIZE_MAX } from "./format/limits.ts";
import { prefixLength } from "./format/tree-page.ts";
import type { Pages } from "./pager/pages.ts";
import { faultError, readError } from "./pager/system-errors.ts";
import { isEmpty, type Range, seekBeforeLower, seekLower, seekPastUpper, seekUpper } from "./range.ts";
import type { ReadTools, Walk } from "./read-tools.ts";
import type { Source } from "./source.ts";
import { checkCells } from "./tree/checks.ts";
import type { Cursor } from "./tree/cursor.ts";
import { KeyBuffer } from "./tree/key.ts";

/** What an iterator needs of the object that made it. */
export interface RangeHost {
  readonly pages: Pages;
  /** The tree to read now. @throws StoreError when the object is closed or over */
  source(): Source;
  /** Changes with every change of the tree; for a snapshot it never does. */
  version(): number;
  /** The iterator needs its snapshot no more. */
  release(): void;
}

/** What of each entry an iterator gives. */
export type Part = "entry" | "key" | "value";

/** What an iterator that is over has in place of the object that made it. */
function detached(): never {
  assert(false, "an iterator that is over attaches to nothing");
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Iterates over a range. It holds its snapshot from the first step to its end, `return`, or the close of the store. All of
 * these may happen while a codec of the user's decodes a value: that entry is still given, and none after it.
 */
export class RangeIterator<T, K, V> implements IterableIterator<T>, Disposable {
  #attach: (user: object) => RangeHost;
  readonly #range: Range;
  readonly #part: Part;
  readonly #tools: ReadTools<K, V>;
  readonly #values: ValueCodec<V>;
  readonly #valuesAreText: boolean;
  readonly #reverse: boolean;
  /** From the first step to the end. */
  #host: RangeHost | undefined;
  #walk: Walk<K> | undefined;
  #cursor: Cursor;
  #keys: KeyDecoder<K>;
  #over: boolean;
  /** Entries yet to give; below 0: all. */
  #left: number;
  #version = 0;
  /** The leaf the key decoder was told of last. */
  #decodedPage = -1;
  #pageEnd = 0;
  /** The slot at which the walk through the leaf in hand ends: not in the range, or not in the leaf. */
  #stop = 0;
  /** The leaf the range ends in, in the walk's direction, and the first slot there that is not in it; -1: the tree's end. */
  #endPage = -1;
  #endSlot = -1;
  /** Over a tree that changes: the key given last, and whether there is one yet. */
  readonly #lastKey: KeyBuffer | undefined;
  #hasLastKey = false;

  constructor(
    attach: (user: object) => RangeHost,
    tools: ReadTools<K, V>,
    range: Range,
    part: Part,
    changing: boolean,
  ) {
    this.#attach = attach;
    this.#tools = tools;
    this.#range = range;
    this.#part = part;
    this.#values = tools.valueCodec;
    this.#valuesAreText = part === "entry" && tools.valueCodec.isText;
    this.#reverse = range.reverse;
    this.#cursor = tools.noWalk.cursor;
    this.#keys = tools.noWalk.keys;
    this.#left = range.limit === Number.POSITIVE_INFINITY ? -1 : range.limit;
    this.#over = range.limit === 0 || isEmpty(range);
    this.#lastKey = changing ? new KeyBuffer() : undefined;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T, undefined> {
    if (this.#over) return DONE;
    try {
      if (this.#left === 0 || !this.#toEntry()) {
        // Zeros in place of a page can look like the end.
        if (this.#tools.pages.faults[0] !== 0) throw faultError();
        this.#finish();
        return DONE;
      }
      return { done: false, value: this.#decode() };
    } catch (error) {
      this.#finish();
      throw readError(error, this.#tools.pages);
    }
  }

  /** Ends the iteration and lets its snapshot go; a `for` loop calls it when it is left early. */
  return(): IteratorReturnResult<undefined> {
    this.#finish();
    return DONE;
  }

  [Symbol.dispose](): void {
    this.#finish();
  }

  #finish(): void {
    this.#over = true;
    this.#host?.release();
    this.#host = undefined;
    if (this.#walk === undefined) return;
    this.#tools.giveBack(this.#walk);
    this.#walk = undefined;
    // What is kept must not keep the snapshot of the user's that this came from.
    this.#attach = detached;
    this.#tools.keep(this);
  }

  /** Brings the cursor to the entry to give next. */
  #toEntry(): boolean {
    const host = this.#host;
    if (host === undefined) {
      if (!this.#begin()) return false;
    } else {
      // Asked at every step: after close the mapped bytes are gone, and indexing them would not even throw.
      host.source();
      if (this.#version !== host.version() && !this.#seek(host)) return false;
    }
    const cursor = this.#cursor;
    if (this.#reverse) {
      while (cursor.slot <= this.#stop) {
        if (cursor.page === this.#endPage || !cursor.previousLeaf()) return false;
        this.#enterLeaf();
      }
    } else {
      while (cursor.slot >= this.#stop) {
        if (cursor.page === this.#endPage || !cursor.nextLeaf()) return false;
        this.#enterLeaf();
      }
    }
    return true;
  }

  #begin(): boolean {
    const host = this.#attach(this);
    this.#host = host;
    const walk = this.#tools.takeWalk();
    this.#walk = walk;
    this.#cursor = walk.cursor;
    this.#keys = walk.keys;
    this.#pageEnd = host.pages.pageEnd;
    return this.#seek(host);
  }

  /** Seats the cursor on the first entry to give, and finds out where the range ends. */
  #seek(host: RangeHost): boolean {
    const { lower, upper, reverse } = this.#range;
    const source = host.source();
    this.#version = host.version();
    this.#decodedPage = -1;
    const { key } = this.#tools;
    const cursor = this.#cursor;
    // The end first, for the cursor stays on the entry that is looked up last.
    cursor.open(host.pages, source.bounds, source.tree);
    const end = reverse ? lower : upper;
    const hasEnd = end !== undefined && (reverse ? seekBeforeLower(cursor, key, end) : seekPastUpper(cursor, key, end));
    this.#endPage = hasEnd ? cursor.page : -1;
    this.#endSlot = cursor.slot;
    const last = this.#lastKey;
    let found: boolean;
    if (last !== undefined && this.#hasLastKey) found = reverse ? cursor.seekBefore(last) : cursor.seekAfter(last);
    else found = reverse ? seekUpper(cursor, key, upper) : seekLower(cursor, key, lower);
    if (found) this.#enterLeaf();
    return found;
  }

  #enterLeaf(): void {
    const cursor = this.#cursor;
    if (this.#reverse) this.#stop = cursor.page === this.#endPage ? this.#endSlot : -1;
    else this.#stop = cursor.page === this.#endPage ? this.#endSlot : cursor.count;
    const { window, at, slot } = cursor;
    const left = this.#left < 0 ? cursor.count : this.#left;
    const from = this.#reverse ? Math.max(this.#stop + 1, slot + 1 - left) : slot;
    const to = this.#reverse ? slot + 1 : Math.min(this.#stop, slot + left);
    this.#tools.fetched = checkCells(window.view, at, from, to, this.#pageEnd, this.#part !== "key");
  }

  /** Goes past the entry in hand, before it is decoded: a codec of the user's may change the tree, end this iterator or ask it. */
  #pass(): void {
    if (this.#lastKey !== undefined) this.#remember(this.#lastKey);
    this.#cursor.slot += this.#reverse ? -1 : 1;
    this.#left--;
  }

  /** The cell of the entry in hand has been checked. */
  #remember(last: KeyBuffer): void {
    const { window, at, slot, page } = this.#cursor;
    const { view, bytes } = window;
    const prefix = prefixLength(view, at);
    const word = view.getUint32(leafSlotAt(at, slot) + LEAF_SLOT_CELL, true);
    const suffixAt = at + (word & 0xffff) + LEAF_CELL_SUFFIX;
    const suffix = (word >>> 16) & LEAF_META_SUFFIX_LENGTH;
    if (prefix + suffix > KEY_SIZE_MAX) {
      throw new CorruptionError(page, `a key of at most ${KEY_SIZE_MAX} bytes`, `${prefix + suffix} bytes`);
    }
    bytes.copy(last.bytes, 0, at + this.#pageEnd - prefix, at + this.#pageEnd);
    bytes.copy(last.bytes, prefix, suffixAt, suffixAt + suffix);
    last.end(prefix + suffix);
    this.#hasLastKey = true;
  }

  #decode(): T {
    const keys = this.#keys;
    const { window, at, slot, page } = this.#cursor;
    const { view, bytes } = window;
    const word = view.getUint32(leafSlotAt(at, slot) + LEAF_SLOT_CELL, true);
    const cell = at + (word & 0xffff);
    const meta = word >>> 16;
    const suffixAt = cell + LEAF_CELL_SUFFIX;
    const suffix = meta & LEAF_META_SUFFIX_LENGTH;
    const inline = valueKind(meta) === VALUE_KIND_INLINE;
    if (this.#part !== "key" && !inline) this.#cursor.locate();
    this.#pass();
    // From here on nothing is asked of the cursor: see `#pass`.
    if (this.#part === "value") return this.#checked(this.#value(meta, cell, suffixAt + suffix)) as T;
    if (page !== this.#decodedPage) {
      const prefix = prefixLength(view, at);
      keys.startPage(bytes, at + this.#pageEnd - prefix, prefix, page);
      this.#decodedPage = page;
    }
    if (this.#part === "key") {
      return this.#checked(keys.key(suffixAt, suffix, (meta & LEAF_META_SUFFIX_NOT_ASCII) === 0)) as T;
    }
    const allAscii = (meta & (LEAF_META_SUFFIX_NOT_ASCII | LEAF_META_VALUE_NOT_ASCII)) === 0;
    if (this.#valuesAreText && allAscii && inline) {
      const entry: [K, unknown] = keys.keyWithText(suffixAt, suffix, view.getUint16(cell, true));
      entry[1] = this.#values.fromText(entry[1] as string);
      return this.#checked(entry) as T;
    }
    const key = keys.key(suffixAt, suffix, (meta & LEAF_META_SUFFIX_NOT_ASCII) === 0);
    return this.#checked([key, this.#value(meta, cell, suffixAt + suffix)]) as T;
  }

  /** The value of the entry in hand; one that is not inline has been located. */
  #value(meta: number, cell: number, valueAt: number): V {
    const cursor = this.#cursor;
    if (valueKind(meta) === VALUE_KIND_INLINE) {
      const { view, bytes } = cursor.window;
      const length = view.getUint16(cell, true);
      return this.#values.decode(bytes, valueAt, length, (meta & LEAF_META_VALUE_NOT_ASCII) === 0, true);
    }
    const { value } = cursor;
    return this.#values.decode(value.window.bytes, value.at, value.length, value.ascii, true);
  }

  /** A fault while decoding was answered with zeros: what was decoded is no data. */
  #checked(decoded: unknown): unknown {
    if (this.#tools.pages.faults[0] !== 0) throw faultError();
    return decoded;
  }
}
