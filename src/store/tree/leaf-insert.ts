/**
 * Putting the pending entry into the leaf of the path: where there is room, in place; where garbage makes the room,
 * after compaction; where the key breaks an over-long prefix, after a rebuild with a shorter one; else the leaf is
 * divided in two.
 *
 * Two pages are always enough: slot and cell with the full key take at most half of a page's room, and a key that does
 * not share the prefix belongs at an end of the page, where it gets a page of its own.
 */
import {
  LEAF_META_SUFFIX_LENGTH,
  LEAF_SLOT_SIZE,
  leafCellSize,
  leafEntrySize,
  leafMeta,
  leafSlotAt,
  leafSuffixLength,
  leafValueLength,
} from "../format/leaf.ts";
import {
  entryCount,
  garbage,
  heapStart,
  heapTop,
  LAST_INSERT_NONE,
  lastInsert,
  prefixLength,
  setEntryCount,
  setGarbage,
  setLastInsert,
  TREE_FLAG_VERIFY_PREFIX,
  TREE_HEAP_START,
  TREE_SLOTS,
  treeFlags,
} from "../format/tree-page.ts";
import type { Window } from "../pager/pages.ts";
import { insertSeparator } from "./branch-insert.ts";
import { checkCell } from "./checks.ts";
import { comparePrefix, type KeyBuffer, sharedPrefix } from "./key.ts";
import { insertIntoLeaf, leafSize, loadLeafKey, overwriteValue, writeSlot } from "./leaf-build.ts";
import { checkFree, setVerify, type TreePath } from "./path.ts";
import { choosePrefix, separate, sharedWithPage } from "./prefix.ts";

/** Puts the path's pending entry in front of a slot of the leaf. All pages of the path are owned. */
export function insertEntry(path: TreePath, slot: number): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const view = window.view;
  const at = path.atOf(page);
  const entry = path.entry;
  const heap = view.getUint32(at + TREE_HEAP_START, true);
  const prefix = heap >>> 16;
  if (!path.sharesPrefix && (treeFlags(view, at) & TREE_FLAG_VERIFY_PREFIX) !== 0) {
    const side = comparePrefix(view, at + path.pages.pageEnd - prefix, prefix, entry.key);
    if (side !== 0) {
      insertOutside(path, slot, side);
      return;
    }
  }
  const needed = leafEntrySize(entry.key.length - prefix, entry.length);
  const free = ((heap & 0xffff) << 1) - TREE_SLOTS - entryCount(view, at) * LEAF_SLOT_SIZE;
  if (needed > free) {
    if (needed > free + garbage(view, at)) {
      splitLeaf(path, slot);
      return;
    }
    compact(path);
    checkFree(path, 0, needed, LEAF_SLOT_SIZE);
  }
  insertIntoLeaf(window, at, slot, entry);
}

/** Gives the entry of a slot of the leaf the pending entry's value. All pages of the path are owned. */
export function replaceEntry(path: TreePath, slot: number): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const view = window.view;
  const at = path.atOf(page);
  const entry = path.entry;
  checkCell(view, at, slot, path.pages.pageEnd);
  const suffix = leafMeta(view, at, slot) & LEAF_META_SUFFIX_LENGTH;
  const oldSize = leafCellSize(suffix, leafValueLength(view, at, slot));
  const newSize = leafCellSize(suffix, entry.length);
  if (newSize <= oldSize) {
    overwriteValue(window, at, slot, entry);
    setGarbage(view, at, garbage(view, at) + oldSize - newSize);
  } else if (newSize <= heapStart(view, at) - TREE_SLOTS - entryCount(view, at) * LEAF_SLOT_SIZE) {
    writeSlot(window, at, slot, entry);
    setGarbage(view, at, garbage(view, at) + oldSize);
  } else {
    dropSlot(path, slot);
    insertEntry(path, slot);
  }
}

/** Takes a slot out of the leaf, which is owned. Its cell becomes garbage. */
export function dropSlot(path: TreePath, slot: number): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const view = window.view;
  const at = path.atOf(page);
  checkCell(view, at, slot, path.pages.pageEnd);
  const suffix = leafMeta(view, at, slot) & LEAF_META_SUFFIX_LENGTH;
  setGarbage(view, at, garbage(view, at) + leafCellSize(suffix, leafValueLength(view, at, slot)));
  const count = entryCount(view, at);
  const slotAt = leafSlotAt(at, slot);
  window.bytes.copyWithin(slotAt, slotAt + LEAF_SLOT_SIZE, leafSlotAt(at, count));
  setEntryCount(view, at, count - 1);
  setLastInsert(view, at, LAST_INSERT_NONE);
}

/** Rebuilds the leaf without its garbage. */
function compact(path: TreePath): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const at = path.atOf(page);
  const prefix = prefixLength(window.view, at);
  const verify = (treeFlags(window.view, at) & TREE_FLAG_VERIFY_PREFIX) !== 0;
  path.leaves.begin(path.scratch, 0, page, path.writer.number, path.entry.key, prefix);
  path.leaves.copy(window, at, 0, entryCount(window.view, at));
  path.leaves.finish(verify, lastInsert(window.view, at));
  path.replaceByScratch(0);
}

/** Inserts an entry that does not share the leaf's prefix, and so belongs before (`side` < 0) or behind all of it. */
function insertOutside(path: TreePath, slot: number, side: number): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const view = window.view;
  const at = path.atOf(page);
  const entry = path.entry;
  const count = entryCount(view, at);
  const prefix = sharedWithPage(path, page, entry.key);
  const size = leafSize(view, at, 0, count, path.pages.pageEnd, prefix);
  if (size + leafEntrySize(entry.key.length - prefix, entry.length) > path.roomFor(prefix)) {
    if (side < 0) splitOffLeft(path);
    else splitOffRight(path);
    return;
  }
  const verify = prefix > path.guaranteed(0);
  path.leaves.begin(path.scratch, 0, page, path.writer.number, entry.key, prefix);
  path.leaves.copy(window, at, 0, slot);
  path.leaves.add(entry);
  path.leaves.copy(window, at, slot, count);
  path.leaves.finish(verify, slot);
  path.replaceByScratch(0);
}

/** Puts the entry, which comes behind all others of the leaf, into a new leaf to the right. */
function splitOffRight(path: TreePath): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const at = path.atOf(page);
  const { separator, entry } = path;
  loadLeafKey(path.last, window, at, entryCount(window.view, at) - 1, path.pages.pageEnd);
  separate(separator, path.last, entry.key, page);
  const hasLow = path.loadLow(0);
  const guaranteed = path.loadHigh(0) ? sharedPrefix(separator, path.high) : 0;
  const right = path.writer.take();
  loadLeafKey(path.first, window, at, 0, path.pages.pageEnd);
  buildSingle(path, right, guaranteed, sharedPrefix(path.first, entry.key));
  setVerify(window.view, at, hasLow ? sharedPrefix(path.low, separator) : 0);
  insertSeparator(path, 1, right);
}

/** Puts the entry, which comes before all others of the leaf, into a new leaf to the left. */
function splitOffLeft(path: TreePath): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const at = path.atOf(page);
  const { separator, entry } = path;
  loadLeafKey(path.first, window, at, 0, path.pages.pageEnd);
  separate(separator, entry.key, path.first, page);
  const guaranteed = path.loadLow(0) ? sharedPrefix(path.low, separator) : 0;
  const hasHigh = path.loadHigh(0);
  const left = path.writer.take();
  loadLeafKey(path.last, window, at, entryCount(window.view, at) - 1, path.pages.pageEnd);
  buildSingle(path, left, guaranteed, sharedPrefix(entry.key, path.last));
  setVerify(window.view, at, hasHigh ? sharedPrefix(separator, path.high) : 0);
  path.replaceChild(0, left);
  insertSeparator(path, 1, page);
}

/**
 * A leaf with the pending entry alone. Where its fences guarantee less than its neighbour's entries share with it
 * (`shared`), it takes that for its prefix: it is the best guess of what the keys to come will share, and unlike the
 * neighbour's own prefix it grows again after it had to shrink.
 */
function buildSingle(path: TreePath, page: number, guaranteed: number, shared: number): void {
  const entry = path.entry;
  const prefix = guaranteed > 0 ? guaranteed : Math.min(shared, path.sharedAhead);
  path.leaves.begin(path.windowOf(page), path.atOf(page), page, path.writer.number, entry.key, prefix);
  path.leaves.add(entry);
  path.leaves.finish(prefix > guaranteed, 0);
}

/** A leaf that is being divided, together with the pending entry. Items are slots with the new one among them. */
interface Division {
  readonly window: Window;
  readonly at: number;
  /** Bytes of its prefix, which the new key shares. */
  readonly prefix: number;
  /** Item that is new. */
  readonly slot: number;
  readonly itemCount: number;
  /** Bytes all items take with this prefix, and those of the left piece once the cut is chosen. */
  readonly size: number;
  leftSize: number;
}

/** Divides a full leaf, to which the pending entry is added, in two. */
function splitLeaf(path: TreePath, slot: number): void {
  const page = path.page[0];
  const window = path.windowOf(page);
  const at = path.atOf(page);
  const count = entryCount(window.view, at);
  const last = lastInsert(window.view, at);
  // Ascending and descending input leaves full pages behind.
  if (slot === count && last === count - 1) {
    splitOffRight(path);
    return;
  }
  if (slot === 0 && last === 0) {
    splitOffLeft(path);
    return;
  }
  const prefix = prefixLength(window.view, at);
  const used = heapTop(path.pages.pageEnd, prefix) - heapStart(window.view, at) - garbage(window.view, at);
  const size = used + count * LEAF_SLOT_SIZE + leafEntrySize(path.entry.key.length - prefix, path.entry.length);
  const division: Division = { window, at, prefix, slot, itemCount: count + 1, size, leftSize: 0 };
  const cut = chooseCut(path, division);
  const right = path.writer.take();
  const separator = path.separator;
  loadItem(path, division, cut - 1, path.last);
  loadItem(path, division, cut, path.first);
  separate(separator, path.last, path.first, page);
  const leftGuaranteed = path.loadLow(0) ? sharedPrefix(path.low, separator) : -1;
  const rightGuaranteed = path.loadHigh(0) ? sharedPrefix(separator, path.high) : -1;
  buildPiece(path, division, path.scratch, 0, page, 0, cut, leftGuaranteed);
  buildPiece(path, division, path.windowOf(right), path.atOf(right), right, cut, count + 1, rightGuaranteed);
  path.replaceByScratch(0);
  insertSeparator(path, 1, right);
}

/** Slot of an item that is not the new one. */
function slotOf(division: Division, item: number): number {
  return item < division.slot ? item : item - 1;
}

/** Loads the key of an item. */
function loadItem(path: TreePath, division: Division, item: number, key: KeyBuffer): void {
  if (item === division.slot) key.copy(path.entry.key);
  else loadLeafKey(key, division.window, division.at, slotOf(division, item), path.pages.pageEnd);
}

/** Bytes an item takes with the prefix the leaf has. */
function itemSize(path: TreePath, division: Division, item: number): number {
  const { window, at, prefix, slot } = division;
  const entry = path.entry;
  if (item === slot) return leafEntrySize(entry.key.length - prefix, entry.length);
  const view = window.view;
  const other = slotOf(division, item);
  checkCell(view, at, other, path.pages.pageEnd);
  return leafEntrySize(leafSuffixLength(view, at, other), leafValueLength(view, at, other));
}

/** Bytes the items `from … to - 1` take with a prefix of this length. */
function itemsSize(path: TreePath, division: Division, from: number, to: number, prefix: number): number {
  const { window, at, slot } = division;
  const entry = path.entry;
  const own = slot >= from && slot < to ? leafEntrySize(entry.key.length - prefix, entry.length) : 0;
  const first = from > slot ? from - 1 : from;
  const last = to > slot ? to - 1 : to;
  return own + leafSize(window.view, at, first, last, path.pages.pageEnd, prefix);
}

/** The first item of the right piece: the pieces get as equal as can be, or leave ascending input room behind it. */
function chooseCut(path: TreePath, division: Division): number {
  const { window, at, prefix, slot, itemCount, size } = division;
  const room = path.roomFor(prefix);
  if (slot > 0 && slot + 1 < itemCount && lastInsert(window.view, at) === slot - 1) {
    division.leftSize = itemsSize(path, division, 0, slot + 1, prefix);
    if (division.leftSize <= room && size - division.leftSize <= room) return slot + 1;
  }
  let cut = 1;
  let left = itemSize(path, division, 0);
  while (cut + 1 < itemCount) {
    const next = left + itemSize(path, division, cut);
    if (Math.max(next, size - next) >= Math.max(left, size - left)) break;
    left = next;
    cut++;
  }
  division.leftSize = left;
  return cut;
}

/** Builds a page of the items `from … to - 1`. */
function buildPiece(
  path: TreePath,
  division: Division,
  target: Window,
  targetAt: number,
  page: number,
  from: number,
  to: number,
  guaranteed: number,
): void {
  const { window, at, slot } = division;
  const size = from === 0 ? division.leftSize : division.size - division.leftSize;
  // With a longer prefix the items take no more than with the old one, which is most often proof enough.
  const fits = (prefix: number): boolean =>
    (prefix >= division.prefix && size <= path.roomFor(prefix)) ||
    itemsSize(path, division, from, to, prefix) <= path.roomFor(prefix);
  loadItem(path, division, from, path.first);
  loadItem(path, division, to - 1, path.last);
  const shared = sharedPrefix(path.first, path.last);
  const prefix = choosePrefix(guaranteed, shared, division.prefix, fits);
  path.leaves.begin(target, targetAt, page, path.writer.number, path.first, prefix);
  let next = from;
  if (slot >= from && slot < to) {
    path.leaves.copy(window, at, from, slot);
    path.leaves.add(path.entry);
    next = slot + 1;
  }
  path.leaves.copy(window, at, next > slot ? next - 1 : next, to > slot ? to - 1 : to);
  path.leaves.finish(prefix > Math.max(0, guaranteed), slot >= from && slot < to ? slot - from : LAST_INSERT_NONE);
}
