/** Entries that follow each other behind the last entry of a tree, written into its last leaf in one go. */
import {
  fitsInline,
  LEAF_CELL_SUFFIX,
  LEAF_META_KIND_SHIFT,
  LEAF_META_SUFFIX_NOT_ASCII,
  LEAF_META_VALUE_NOT_ASCII,
  LEAF_SLOT_CELL,
  LEAF_SLOT_SIZE,
  leafCellSize,
  leafSlotAt,
  VALUE_KIND_INLINE,
} from "../format/leaf.ts";
import {
  entryCount,
  headOf,
  heapStart,
  prefixLength,
  setEntryCount,
  setHeapStart,
  setLastInsert,
  setTreeFlags,
  treeFlags,
} from "../format/tree-page.ts";
import { checkLeaf } from "./checks.ts";
import { comparePrefix, copyRange } from "./key.ts";
import { flagsAfter, hasNonAscii } from "./leaf-build.ts";
import type { TreePath } from "./path.ts";
import { ENTRY_ASCII, ENTRY_KEY, ENTRY_KEY_LENGTH, ENTRY_VALUE_LENGTH, type PutBuffer } from "./put-buffer.ts";
import { compareLast } from "./search.ts";

/**
 * Appends entries of a sorted buffer, from `from` on, whose predecessor has just been put and whose key the buffer still
 * holds, if that is the last of the tree; as many as fit its leaf. Returns the first that was not appended.
 */
export function appendEntries(path: TreePath, buffer: PutBuffer, from: number): number {
  if (!path.settled || !path.onRightEdge(0)) return from;
  const { pageSize, pageEnd } = path.pages;
  const window = path.windowOf(path.page[0]);
  const view = window.view;
  const at = path.atOf(path.page[0]);
  checkLeaf(view, at, path.page[0], path.writer.number, pageEnd);
  const prefix = prefixLength(view, at);
  let count = entryCount(view, at);
  const isLast =
    count > 0 &&
    comparePrefix(view, at + pageEnd - prefix, prefix, buffer.key) === 0 &&
    compareLast(view, at, count, pageEnd, prefix, buffer.key) === 0;
  if (!isLast) return from;
  const { memory, entries, count: end } = buffer;
  const source = memory.view;
  let heap = heapStart(view, at);
  let metas = 0;
  let index = from;
  for (; index < end; index++) {
    const entry = entries[index];
    const keyLength = source.getUint16(entry + ENTRY_KEY_LENGTH, true);
    const valueLength = source.getUint32(entry + ENTRY_VALUE_LENGTH, true);
    const length = keyLength - prefix;
    if (length < 0 || !fitsInline(keyLength, valueLength, pageSize, pageEnd)) break;
    const cell = heap - leafCellSize(length, valueLength);
    const slotAt = leafSlotAt(at, count);
    if (at + cell < slotAt + LEAF_SLOT_SIZE) break;
    if (!buffer.follows(index, prefix)) break;
    const suffixAt = at + cell + LEAF_CELL_SUFFIX;
    view.setUint16(at + cell, valueLength, true);
    copyRange(window, suffixAt, memory, entry + ENTRY_KEY + prefix, length + valueLength);
    let meta = length | (VALUE_KIND_INLINE << LEAF_META_KIND_SHIFT);
    if (source.getUint16(entry + ENTRY_ASCII, true) === 0) meta |= LEAF_META_VALUE_NOT_ASCII;
    if (hasNonAscii(view, suffixAt, length)) meta |= LEAF_META_SUFFIX_NOT_ASCII;
    view.setUint32(slotAt, headOf(view, suffixAt, length), true);
    view.setUint32(slotAt + LEAF_SLOT_CELL, cell | (meta << 16), true);
    metas |= meta;
    heap = cell;
    count++;
  }
  setEntryCount(view, at, count);
  setHeapStart(view, at, heap);
  setLastInsert(view, at, count - 1);
  setTreeFlags(view, at, flagsAfter(treeFlags(view, at), metas));
  path.entryCount += index - from;
  return index;
}
