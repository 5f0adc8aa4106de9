/**
 * What leaf and branch pages have in common: the header fields between byte 10 and 24, the slots that follow the
 * header, and the shared prefix at the end of the page.
 *
 * ```
 * 0        32                 heapStart          heapEnd = pageEnd - prefixLength      pageEnd
 * | header | slots →   free   ← cells with garbage between | prefix shared by all keys |
 * ```
 *
 * The heap grows downwards from the greatest even offset not above heapEnd; whatever lies in it starts at an even
 * offset and takes an even number of bytes, because heapStart counts 2-byte units (64 KiB do not fit a u16).
 */
import { PAGE_HEADER_SIZE } from "./page.ts";

/** u16: entries of a leaf, children of a branch. Never 0 in a page that belongs to a tree. */
export const TREE_ENTRY_COUNT = 10;
/** u16: lowest used byte of the heap, in units of 2 bytes. */
export const TREE_HEAP_START = 12;
/** u16: bytes of the prefix that all keys of the page share; they end at pageEnd. */
export const TREE_PREFIX_LENGTH = 14;
/** u16: bytes between heapStart and the heap's end that no slot refers to. */
export const TREE_GARBAGE = 16;
/** u16: the TREE_FLAG bits. */
export const TREE_FLAGS = 18;
/** u16: slot of the latest insert, by which ascending and descending input is recognised. */
export const TREE_LAST_INSERT = 20;
/** Where the slots begin. */
export const TREE_SLOTS = PAGE_HEADER_SIZE;

/** The prefix is longer than the page's fences guarantee: whoever comes with a key must compare it. */
export const TREE_FLAG_VERIFY_PREFIX = 1;
/** Leaf: prefix and key suffixes are all ASCII. */
export const TREE_FLAG_KEYS_ASCII = 2;
/** Leaf: all values are known to be ASCII. */
export const TREE_FLAG_VALUES_ASCII = 4;

/** In TREE_LAST_INSERT: no insert since the page was built, or a delete after it. */
export const LAST_INSERT_NONE = 0xffff;

export function entryCount(view: DataView, at: number): number {
  return view.getUint16(at + TREE_ENTRY_COUNT, true);
}

/** In bytes from the start of the page. */
export function heapStart(view: DataView, at: number): number {
  return view.getUint16(at + TREE_HEAP_START, true) << 1;
}

export function prefixLength(view: DataView, at: number): number {
  return view.getUint16(at + TREE_PREFIX_LENGTH, true);
}

export function garbage(view: DataView, at: number): number {
  return view.getUint16(at + TREE_GARBAGE, true);
}

export function treeFlags(view: DataView, at: number): number {
  return view.getUint16(at + TREE_FLAGS, true);
}

export function lastInsert(view: DataView, at: number): number {
  return view.getUint16(at + TREE_LAST_INSERT, true);
}

export function setEntryCount(view: DataView, at: number, count: number): void {
  view.setUint16(at + TREE_ENTRY_COUNT, count, true);
}

/** `start` in bytes from the start of the page, even. */
export function setHeapStart(view: DataView, at: number, start: number): void {
  view.setUint16(at + TREE_HEAP_START, start >>> 1, true);
}

export function setPrefixLength(view: DataView, at: number, length: number): void {
  view.setUint16(at + TREE_PREFIX_LENGTH, length, true);
}

export function setGarbage(view: DataView, at: number, bytes: number): void {
  view.setUint16(at + TREE_GARBAGE, bytes, true);
}

export function setTreeFlags(view: DataView, at: number, flags: number): void {
  view.setUint16(at + TREE_FLAGS, flags, true);
}

export function setLastInsert(view: DataView, at: number, slot: number): void {
  view.setUint16(at + TREE_LAST_INSERT, slot, true);
}

/** The next even number: what `bytes` take in the heap. */
export function padded(bytes: number): number {
  return (bytes + 1) & ~1;
}

/** Where the heap of a page with this prefix ends, as an even offset: an odd byte before the prefix stays unused. */
export function heapTop(pageEnd: number, prefix: number): number {
  return (pageEnd - prefix) & ~1;
}

/** Head of the `length` key bytes at `at`: the first four as a big-endian number, zeros for those that are missing. */
export function headOf(view: DataView, at: number, length: number): number {
  if (length >= 4) return view.getUint32(at);
  let head = 0;
  for (let index = 0; index < length; index++) head |= view.getUint8(at + index) << (24 - (index << 3));
  return head >>> 0;
}
