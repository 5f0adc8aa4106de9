/**
 * Leaf pages: entries in key order. A slot of 8 bytes carries the head (the first four bytes of the key after the
 * page's prefix) and says where the cell is; the cell holds the value's length, the rest of the key and the value.
 *
 * Equal heads do not make keys equal, nor do heads with zero padding: the suffix bytes and their length decide.
 */
import { padded, TREE_SLOTS } from "./tree-page.ts";

/** Bytes of a slot. */
export const LEAF_SLOT_SIZE = 8;
/** u32: the first four suffix bytes as a big-endian number (stored little-endian), zero padded. */
export const LEAF_SLOT_HEAD = 0;
/** u16: offset of the cell in the page, in bytes. */
export const LEAF_SLOT_CELL = 4;
/** u16: suffix length, kind and text bits: the LEAF_META constants. */
export const LEAF_SLOT_META = 6;

/** Bits 0-10 of meta: bytes of the key suffix. */
export const LEAF_META_SUFFIX_LENGTH = 0x07ff;
/** Bits 11-13 of meta: the kind of the value, one of the VALUE_KIND constants. */
export const LEAF_META_KIND_SHIFT = 11;
/** Three bits. */
export const LEAF_META_KIND_MASK = 7;
/** Bit 14 of meta: the value is not known to be ASCII. */
export const LEAF_META_VALUE_NOT_ASCII = 0x4000;
/** Bit 15 of meta: the key suffix has bytes that are not ASCII. */
export const LEAF_META_SUFFIX_NOT_ASCII = 0x8000;

/** The cell holds the value itself. */
export const VALUE_KIND_INLINE = 0;
/** The cell holds an overflow reference. */
export const VALUE_KIND_OVERFLOW = 1;

/** u16: bytes of value in the cell (8 for an overflow reference). */
export const LEAF_CELL_VALUE_LENGTH = 0;
/** The key suffix, followed immediately by the value. */
export const LEAF_CELL_SUFFIX = 2;

/** Byte offset of a slot in its window. */
export function leafSlotAt(at: number, slot: number): number {
  return at + TREE_SLOTS + slot * LEAF_SLOT_SIZE;
}

export function leafHead(view: DataView, at: number, slot: number): number {
  return view.getUint32(leafSlotAt(at, slot) + LEAF_SLOT_HEAD, true);
}

/** Offset of the cell from the start of the page, unchecked. */
export function leafCell(view: DataView, at: number, slot: number): number {
  return view.getUint16(leafSlotAt(at, slot) + LEAF_SLOT_CELL, true);
}

export function leafMeta(view: DataView, at: number, slot: number): number {
  return view.getUint16(leafSlotAt(at, slot) + LEAF_SLOT_META, true);
}

/** Byte offset in the window of the key suffix; its length stands in `leafMeta`. */
export function leafSuffixAt(view: DataView, at: number, slot: number): number {
  return at + leafCell(view, at, slot) + LEAF_CELL_SUFFIX;
}

export function leafSuffixLength(view: DataView, at: number, slot: number): number {
  return leafMeta(view, at, slot) & LEAF_META_SUFFIX_LENGTH;
}

/** Byte offset in the window of the value, or of the overflow reference. */
export function leafValueAt(view: DataView, at: number, slot: number): number {
  return leafSuffixAt(view, at, slot) + leafSuffixLength(view, at, slot);
}

/** Bytes of value in the cell. */
export function leafValueLength(view: DataView, at: number, slot: number): number {
  return view.getUint16(at + leafCell(view, at, slot) + LEAF_CELL_VALUE_LENGTH, true);
}

export function valueKind(meta: number): number {
  return (meta >>> LEAF_META_KIND_SHIFT) & LEAF_META_KIND_MASK;
}

/** Bytes a cell takes in the heap. */
export function leafCellSize(suffixLength: number, valueLength: number): number {
  return padded(LEAF_CELL_SUFFIX + suffixLength + valueLength);
}

/** Bytes slot and cell take together. */
export function leafEntrySize(suffixLength: number, valueLength: number): number {
  return LEAF_SLOT_SIZE + leafCellSize(suffixLength, valueLength);
}

/**
 * Whether a value lies in the leaf: it is at most a quarter page, and slot and cell with the full key are at most half
 * of the room of a page. So two entries always fit a page, whatever becomes of its prefix.
 */
export function fitsInline(keyLength: number, valueLength: number, pageSize: number, pageEnd: number): boolean {
  return valueLength <= pageSize >>> 2 && leafEntrySize(keyLength, valueLength) * 2 <= pageEnd - TREE_SLOTS;
}
