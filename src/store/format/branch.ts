/**
 * Branch pages: children in key order and the separators between them. A child holds the keys from its own separator
 * (included) up to the next one (excluded). Slot 0 has no separator: it stands for minus infinity.
 *
 * Separators are the shortest byte strings that separate two children, less the page's prefix. They lie in the heap
 * like the cells of a leaf: each starts at an even offset and takes an even number of bytes.
 */
import { padded, TREE_SLOTS } from "./tree-page.ts";

/** Bytes of a slot. */
export const BRANCH_SLOT_SIZE = 12;
/** u32: the first four suffix bytes of the separator as a big-endian number (stored little-endian); 0 in slot 0. */
export const BRANCH_SLOT_HEAD = 0;
/** u32: page number of the child. */
export const BRANCH_SLOT_CHILD = 4;
/** u16: offset of the separator's suffix in the page, in bytes; in slot 0 it is 0. */
export const BRANCH_SLOT_SEPARATOR = 8;
/** u16: bytes of the separator's suffix; 0 in slot 0. */
export const BRANCH_SLOT_SUFFIX_LENGTH = 10;

/** Byte offset of a slot in its window. */
export function branchSlotAt(at: number, slot: number): number {
  return at + TREE_SLOTS + slot * BRANCH_SLOT_SIZE;
}

export function branchHead(view: DataView, at: number, slot: number): number {
  return view.getUint32(branchSlotAt(at, slot) + BRANCH_SLOT_HEAD, true);
}

/** Page number of a child, unchecked. */
export function branchChild(view: DataView, at: number, slot: number): number {
  return view.getUint32(branchSlotAt(at, slot) + BRANCH_SLOT_CHILD, true);
}

export function setBranchChild(view: DataView, at: number, slot: number, child: number): void {
  view.setUint32(branchSlotAt(at, slot) + BRANCH_SLOT_CHILD, child, true);
}

/** Offset of the separator's suffix from the start of the page, unchecked. */
export function branchSeparator(view: DataView, at: number, slot: number): number {
  return view.getUint16(branchSlotAt(at, slot) + BRANCH_SLOT_SEPARATOR, true);
}

export function branchSuffixLength(view: DataView, at: number, slot: number): number {
  return view.getUint16(branchSlotAt(at, slot) + BRANCH_SLOT_SUFFIX_LENGTH, true);
}

/** Bytes slot and separator take together. */
export function branchEntrySize(suffixLength: number): number {
  return BRANCH_SLOT_SIZE + padded(suffixLength);
}
