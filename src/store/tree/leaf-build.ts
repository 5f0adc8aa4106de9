/**
 * Writing the cells of leaf pages: one entry into a page with room for it, or a whole page anew from the entries of
 * others with a prefix of its own.
 */
import { CorruptionError } from "../../errors.ts";
import {
  LEAF_CELL_SUFFIX,
  LEAF_CELL_VALUE_LENGTH,
  LEAF_META_SUFFIX_LENGTH,
  LEAF_META_SUFFIX_NOT_ASCII,
  LEAF_META_VALUE_NOT_ASCII,
  LEAF_SLOT_CELL,
  LEAF_SLOT_META,
  LEAF_SLOT_SIZE,
  leafCell,
  leafCellSize,
  leafEntrySize,
  leafMeta,
  leafSlotAt,
  leafSuffixLength,
  leafValueLength,
  VALUE_KIND_INLINE,
  valueKind,
} from "../format/leaf.ts";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { initPage, PAGE_TYPE_LEAF, pageNumber } from "../format/page.ts";
import {
  entryCount,
  headOf,
  heapStart,
  heapTop,
  prefixLength,
  setEntryCount,
  setHeapStart,
  setLastInsert,
  setPrefixLength,
  setTreeFlags,
  TREE_FLAG_KEYS_ASCII,
  TREE_FLAG_VALUES_ASCII,
  TREE_FLAG_VERIFY_PREFIX,
  TREE_HEAP_START,
  TREE_SLOTS,
  treeFlags,
} from "../format/tree-page.ts";
import type { Window } from "../pager/pages.ts";
import { checkCell, keyDamage } from "./checks.ts";
import { copyBytes, copyRange, type KeyBuffer, moveUp } from "./key.ts";

/** An entry on its way into a leaf. Made once and filled again for every put. */
export class PendingEntry {
  key: KeyBuffer;
  /** What the cell holds behind the key: `length` bytes of `value` from `from`, the value itself or a reference to it. */
  value: Uint8Array = new Uint8Array(0);
  from = 0;
  length = 0;
  /** The window whose bytes `value` is, if it is one's: then it is copied by words. */
  window: Window | undefined;
  /** Kind of the value and its text bit, as they stand in the slot's meta. */
  meta = 0;

  constructor(key: KeyBuffer) {
    this.key = key;
  }
}

/** Whether any of the bytes is not ASCII. */
export function hasNonAscii(view: DataView, at: number, length: number): boolean {
  let seen = 0;
  let index = 0;
  for (; index + 4 <= length; index += 4) seen |= view.getInt32(at + index, true);
  for (; index < length; index++) seen |= view.getUint8(at + index);
  return (seen & 0x80808080) !== 0;
}

/** Writes suffix and value of an entry behind the cell's length field. Returns whether the suffix is ASCII. */
function writeCell(window: Window, cellAt: number, entry: PendingEntry, prefix: number): boolean {
  const view = window.view;
  const keyView = entry.key.view;
  const length = entry.key.length - prefix;
  const suffixAt = cellAt + LEAF_CELL_SUFFIX;
  let seen = 0;
  let index = 0;
  view.setUint16(cellAt, entry.length, true);
  for (; index + 4 <= length; index += 4) {
    const word = keyView.getInt32(prefix + index);
    seen |= word;
    view.setInt32(suffixAt + index, word);
  }
  for (; index < length; index++) {
    const byte = keyView.getUint8(prefix + index);
    seen |= byte;
    view.setUint8(suffixAt + index, byte);
  }
  if (entry.window === undefined) copyBytes(window.bytes, suffixAt + length, entry.value, entry.from, entry.length);
  else copyRange(window, suffixAt + length, entry.window, entry.from, entry.length);
  return (seen & 0x80808080) === 0;
}

/** Clears the page's text flags that a slot with this meta breaks. */
export function flagsAfter(flags: number, meta: number): number {
  let left = flags;
  if ((meta & LEAF_META_SUFFIX_NOT_ASCII) !== 0) left &= ~TREE_FLAG_KEYS_ASCII;
  if ((meta & LEAF_META_VALUE_NOT_ASCII) !== 0) left &= ~TREE_FLAG_VALUES_ASCII;
  return left;
}

/** What becomes of a slot's meta when its suffix is the `length` bytes at `suffixAt`. What is left of ASCII is ASCII. */
function metaOf(old: number, window: Window, suffixAt: number, length: number): number {
  const kept = (old & ~(LEAF_META_SUFFIX_LENGTH | LEAF_META_SUFFIX_NOT_ASCII)) | length;
  if ((old & LEAF_META_SUFFIX_NOT_ASCII) === 0) return kept;
  return hasNonAscii(window.view, suffixAt, length) ? kept | LEAF_META_SUFFIX_NOT_ASCII : kept;
}

/** Puts an entry, for which there is room and whose key shares the page's prefix, in front of a slot of an own page. */
export function insertIntoLeaf(window: Window, at: number, slot: number, entry: PendingEntry): void {
  const view = window.view;
  const count = entryCount(view, at);
  const slotAt = leafSlotAt(at, slot);
  const end = leafSlotAt(at, count);
  moveUp(window, slotAt, end, LEAF_SLOT_SIZE);
  setEntryCount(view, at, count + 1);
  setLastInsert(view, at, slot);
  writeSlot(window, at, slot, entry);
}

/** Gives a slot a cell, for which there is room, at the lower end of the heap. */
export function writeSlot(window: Window, at: number, slot: number, entry: PendingEntry): void {
  const view = window.view;
  const heap = view.getUint32(at + TREE_HEAP_START, true);
  const prefix = heap >>> 16;
  const length = entry.key.length - prefix;
  const cell = ((heap & 0xffff) << 1) - leafCellSize(length, entry.length);
  const ascii = writeCell(window, at + cell, entry, prefix);
  const meta = length | entry.meta | (ascii ? 0 : LEAF_META_SUFFIX_NOT_ASCII);
  const slotAt = leafSlotAt(at, slot);
  view.setUint32(slotAt, entry.key.view.getUint32(prefix), true);
  view.setUint32(slotAt + LEAF_SLOT_CELL, cell | (meta << 16), true);
  setHeapStart(view, at, cell);
  if ((meta & (LEAF_META_SUFFIX_NOT_ASCII | LEAF_META_VALUE_NOT_ASCII)) !== 0) {
    setTreeFlags(view, at, flagsAfter(treeFlags(view, at), meta));
  }
}

/** Overwrites the value of a slot where it lies: the new cell is not larger than the old one. */
export function overwriteValue(window: Window, at: number, slot: number, entry: PendingEntry): void {
  const view = window.view;
  const cellAt = at + leafCell(view, at, slot);
  const old = leafMeta(view, at, slot);
  const meta = (old & (LEAF_META_SUFFIX_LENGTH | LEAF_META_SUFFIX_NOT_ASCII)) | entry.meta;
  view.setUint16(cellAt, entry.length, true);
  const valueAt = cellAt + LEAF_CELL_SUFFIX + (old & LEAF_META_SUFFIX_LENGTH);
  copyBytes(window.bytes, valueAt, entry.value, entry.from, entry.length);
  view.setUint16(leafSlotAt(at, slot) + LEAF_SLOT_META, meta, true);
  setTreeFlags(view, at, flagsAfter(treeFlags(view, at), meta));
}

/** Bytes that slots and cells `from … to - 1` of a leaf would take in a page with a prefix of this length. */
export function leafSize(
  view: DataView,
  at: number,
  from: number,
  to: number,
  pageEnd: number,
  newPrefix: number,
): number {
  const difference = prefixLength(view, at) - newPrefix;
  let size = 0;
  for (let slot = from; slot < to; slot++) {
    checkCell(view, at, slot, pageEnd);
    size += leafEntrySize(leafSuffixLength(view, at, slot) + difference, leafValueLength(view, at, slot));
  }
  return size;
}

/** Fills a key buffer with the whole key of a slot. */
export function loadLeafKey(key: KeyBuffer, window: Window, at: number, slot: number, pageEnd: number): void {
  const view = window.view;
  checkCell(view, at, slot, pageEnd);
  const prefix = prefixLength(view, at);
  const length = leafSuffixLength(view, at, slot);
  if (prefix + length > KEY_SIZE_MAX) throw keyDamage(view, at, prefix + length);
  copyRange(key.memory, 0, window, at + pageEnd - prefix, prefix);
  copyRange(key.memory, prefix, window, at + leafCell(view, at, slot) + LEAF_CELL_SUFFIX, length);
  key.end(prefix + length);
}

/** Builds one leaf page: `begin`, entries in order, `finish`. Its target and its sources do not overlap. */
export class LeafBuilder {
  readonly #pageEnd: number;
  #target: Window;
  #at = 0;
  #page = 0;
  #prefix = 0;
  #flags = 0;
  #count = 0;
  #heap = 0;

  constructor(target: Window, pageEnd: number) {
    this.#target = target;
    this.#pageEnd = pageEnd;
  }

  /** Starts the page with number `page` at `at`; its prefix is the first `prefix` bytes of a key that belongs to it. */
  begin(target: Window, at: number, page: number, transaction: number, key: KeyBuffer, prefix: number): void {
    this.#target = target;
    this.#at = at;
    this.#page = page;
    this.#prefix = prefix;
    this.#count = 0;
    this.#heap = heapTop(this.#pageEnd, prefix);
    this.#flags = TREE_FLAG_VALUES_ASCII | (hasNonAscii(key.view, 0, prefix) ? 0 : TREE_FLAG_KEYS_ASCII);
    initPage(target.view, at, page, PAGE_TYPE_LEAF, 0, transaction);
    copyRange(target, at + this.#pageEnd - prefix, key.memory, 0, prefix);
  }

  /** Appends copies of the entries `from … to - 1` of another leaf, whose keys share this page's prefix. */
  copy(source: Window, sourceAt: number, from: number, to: number): void {
    const dropped = this.#prefix - prefixLength(source.view, sourceAt);
    if (dropped >= 0) this.#copyDropping(dropped, source, sourceAt, from, to);
    else this.#copyAdding(-dropped, source, sourceAt, from, to);
  }

  /** Copies entries of a leaf whose prefix is shorter by `dropped` bytes, or as long. Most of all copying is this. */
  #copyDropping(dropped: number, source: Window, sourceAt: number, from: number, to: number): void {
    const view = source.view;
    const target = this.#target.view;
    const pageAt = this.#at;
    const sourceHeap = heapStart(view, sourceAt);
    const sourceEnd = this.#pageEnd - this.#prefix + dropped;
    const suffixMax = KEY_SIZE_MAX - this.#prefix + dropped;
    let heap = this.#heap;
    let targetSlot = leafSlotAt(pageAt, this.#count);
    let metas = 0;
    for (let slot = from; slot < to; slot++) {
      const slotAt = leafSlotAt(sourceAt, slot);
      const word = view.getInt32(slotAt + LEAF_SLOT_CELL, true);
      const cell = word & 0xffff;
      const oldMeta = word >>> 16;
      const oldLength = oldMeta & LEAF_META_SUFFIX_LENGTH;
      const valueAt = cell + LEAF_CELL_SUFFIX + oldLength;
      if (cell < sourceHeap || valueAt > sourceEnd || oldLength < dropped || oldLength > suffixMax) {
        throw this.#entryDamage(dropped, view, sourceAt, slot);
      }
      const value = view.getUint16(sourceAt + cell + LEAF_CELL_VALUE_LENGTH, true);
      if (valueAt + value > sourceEnd || valueKind(oldMeta) !== VALUE_KIND_INLINE) {
        checkCell(view, sourceAt, slot, this.#pageEnd);
      }
      const length = oldLength - dropped;
      heap -= leafCellSize(length, value);
      if (pageAt + heap < targetSlot + LEAF_SLOT_SIZE) throw this.#tooMuch(leafCellSize(length, value));
      const suffixAt = pageAt + heap + LEAF_CELL_SUFFIX;
      target.setUint16(pageAt + heap, value, true);
      copyRange(this.#target, suffixAt, source, sourceAt + cell + LEAF_CELL_SUFFIX + dropped, length + value);
      let meta = oldMeta;
      if (dropped === 0) {
        target.setInt32(targetSlot, view.getInt32(slotAt, true), true);
      } else {
        target.setUint32(targetSlot, headOf(target, suffixAt, length), true);
        meta = metaOf(oldMeta, this.#target, suffixAt, length);
      }
      target.setInt32(targetSlot + LEAF_SLOT_CELL, heap | (meta << 16), true);
      targetSlot += LEAF_SLOT_SIZE;
      metas |= meta;
    }
    this.#heap = heap;
    this.#count += to - from;
    this.#flags = flagsAfter(this.#flags, metas);
  }

  /** Copies entries of a leaf whose prefix is longer by `added` bytes. */
  #copyAdding(added: number, source: Window, sourceAt: number, from: number, to: number): void {
    const view = source.view;
    const target = this.#target;
    for (let slot = from; slot < to; slot++) {
      checkCell(view, sourceAt, slot, this.#pageEnd);
      const oldLength = leafSuffixLength(view, sourceAt, slot);
      const length = oldLength + added;
      if (length + this.#prefix > KEY_SIZE_MAX) throw keyDamage(view, sourceAt, length + this.#prefix);
      const valueLength = leafValueLength(view, sourceAt, slot);
      const cellAt = this.#allocate(leafCellSize(length, valueLength));
      const suffixAt = cellAt + LEAF_CELL_SUFFIX;
      target.view.setUint16(cellAt, valueLength, true);
      copyRange(target, suffixAt, source, sourceAt + this.#pageEnd - added, added);
      const oldAt = sourceAt + leafCell(view, sourceAt, slot) + LEAF_CELL_SUFFIX;
      copyRange(target, suffixAt + added, source, oldAt, oldLength + valueLength);
      // The bytes added are not known to be ASCII.
      const meta = metaOf(leafMeta(view, sourceAt, slot) | LEAF_META_SUFFIX_NOT_ASCII, target, suffixAt, length);
      this.#addSlot(headOf(target.view, suffixAt, length), cellAt, meta);
    }
  }

  /** Appends a pending entry whose key shares this page's prefix. */
  add(entry: PendingEntry): void {
    const length = entry.key.length - this.#prefix;
    if (length < 0) throw new CorruptionError(this.#page, "a prefix that its keys share", `${this.#prefix} bytes`);
    const cellAt = this.#allocate(leafCellSize(length, entry.length));
    const ascii = writeCell(this.#target, cellAt, entry, this.#prefix);
    const meta = length | entry.meta | (ascii ? 0 : LEAF_META_SUFFIX_NOT_ASCII);
    this.#addSlot(entry.key.view.getUint32(this.#prefix), cellAt, meta);
  }

  /** Completes the header. `verify`: the prefix is longer than the fences guarantee. */
  finish(verify: boolean, lastInsert: number): void {
    const view = this.#target.view;
    setEntryCount(view, this.#at, this.#count);
    setHeapStart(view, this.#at, this.#heap);
    setPrefixLength(view, this.#at, this.#prefix);
    setTreeFlags(view, this.#at, this.#flags | (verify ? TREE_FLAG_VERIFY_PREFIX : 0));
    setLastInsert(view, this.#at, lastInsert);
  }

  /** Byte offset of a new cell. The caller has counted, so only cells that overlap in a damaged page can fail here. */
  #allocate(size: number): number {
    const heap = this.#heap - size;
    if (heap < TREE_SLOTS + (this.#count + 1) * LEAF_SLOT_SIZE) throw this.#tooMuch(size);
    this.#heap = heap;
    return this.#at + heap;
  }

  #tooMuch(size: number): CorruptionError {
    return new CorruptionError(this.#page, "entries that fit a page", `${size} bytes too many`);
  }

  /** The error for an entry of a source whose cell lies elsewhere, or whose key is too long or too short. */
  #entryDamage(dropped: number, view: DataView, sourceAt: number, slot: number): CorruptionError {
    checkCell(view, sourceAt, slot, this.#pageEnd);
    const length = this.#prefix - dropped + leafSuffixLength(view, sourceAt, slot);
    if (length >= this.#prefix) return keyDamage(view, sourceAt, length);
    return new CorruptionError(pageNumber(view, sourceAt), `keys of at least ${this.#prefix} bytes`, `${length} bytes`);
  }

  #addSlot(head: number, cellAt: number, meta: number): void {
    const slotAt = leafSlotAt(this.#at, this.#count);
    this.#target.view.setUint32(slotAt, head, true);
    this.#target.view.setUint32(slotAt + LEAF_SLOT_CELL, (cellAt - this.#at) | (meta << 16), true);
    this.#flags = flagsAfter(this.#flags, meta);
    this.#count++;
  }
}
