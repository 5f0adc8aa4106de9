/**
 * A separator and the child to its right go into the branch above a page that was divided: where there is room, in
 * place; where garbage makes the room, after compaction; where the separator breaks an over-long prefix, after a
 * rebuild with a shorter one; else the branch is divided as well, and its middle separator moves up.
 *
 * Dividing a page only narrows fences, so no prefix below becomes wrong.
 */
import { assert } from "../../errors.ts";
import { BRANCH_SLOT_SIZE, branchChild, branchEntrySize, setBranchChild } from "../format/branch.ts";
import { DEPTH_MAX } from "../format/limits.ts";
import { pageLevel } from "../format/page.ts";
import {
  entryCount,
  garbage,
  heapStart,
  LAST_INSERT_NONE,
  lastInsert,
  prefixLength,
  TREE_FLAG_VERIFY_PREFIX,
  TREE_SLOTS,
  treeFlags,
} from "../format/tree-page.ts";
import type { Window } from "../pager/pages.ts";
import { branchSize, insertIntoBranch, loadSeparator } from "./branch-build.ts";
import { prefixDamage } from "./checks.ts";
import { comparePrefix, type KeyBuffer, sharedPrefix } from "./key.ts";
import { loadLeafKey } from "./leaf-build.ts";
import { checkFree, setVerify, type TreePath } from "./path.ts";
import { choosePrefix, sharedWithPage } from "./prefix.ts";

/**
 * Puts the path's separator and the child to its right into the branch at `level`, behind the slot of the path. The
 * level above the root's makes the tree grow. All pages of the path are owned.
 */
export function insertSeparator(path: TreePath, level: number, child: number): void {
  path.settled = false;
  if (level > path.level) {
    growRoot(path, child);
    return;
  }
  const page = path.page[level];
  const window = path.windowOf(page);
  const view = window.view;
  const at = path.atOf(page);
  const separator = path.separator;
  const prefix = prefixLength(view, at);
  if ((treeFlags(view, at) & TREE_FLAG_VERIFY_PREFIX) !== 0) {
    const side = comparePrefix(view, at + path.pages.pageEnd - prefix, prefix, separator);
    if (side !== 0) {
      insertOutside(path, level, child, side);
      return;
    }
  }
  if (prefix > separator.length) throw prefixDamage(view, at, separator.length);
  const needed = branchEntrySize(separator.length - prefix);
  const free = heapStart(view, at) - TREE_SLOTS - entryCount(view, at) * BRANCH_SLOT_SIZE;
  if (needed > free) {
    if (needed > free + garbage(view, at)) {
      splitBranch(path, level, child);
      return;
    }
    compact(path, level);
    checkFree(path, level, needed, BRANCH_SLOT_SIZE);
  }
  insertIntoBranch(window, at, path.slot[level] + 1, separator, child);
}

/** A new root over the old one and the child that was divided off it. */
function growRoot(path: TreePath, child: number): void {
  assert(path.level + 1 < DEPTH_MAX, "depth within its limit");
  const left = path.root;
  const root = path.writer.take(true);
  const prefix = sharedWithFirst(path, left, path.separator);
  const level = path.level + 1;
  path.branches.begin(
    path.windowOf(root),
    path.atOf(root),
    root,
    level,
    path.writer.number,
    path.separator,
    prefix,
    left,
  );
  path.branches.add(path.separator, child);
  path.branches.finish(prefix > 0, 1);
  path.root = root;
  path.level = level;
}

/**
 * What the first key of a page (the first separator of a branch) shares with the separator behind it: the best guess of
 * what the separators to come will share.
 */
function sharedWithFirst(path: TreePath, page: number, separator: KeyBuffer): number {
  const window = path.windowOf(page);
  const at = path.atOf(page);
  if (pageLevel(window.view, at) === 0) loadLeafKey(path.first, window, at, 0, path.pages.pageEnd);
  else if (entryCount(window.view, at) > 1) loadSeparator(path.first, window, at, 1, path.pages.pageEnd);
  else return sharedWithPage(path, page, separator);
  return sharedPrefix(path.first, separator);
}

/** Rebuilds a branch without its garbage. */
function compact(path: TreePath, level: number): void {
  const page = path.page[level];
  const window = path.windowOf(page);
  const view = window.view;
  const at = path.atOf(page);
  const verify = (treeFlags(view, at) & TREE_FLAG_VERIFY_PREFIX) !== 0;
  const first = branchChild(view, at, 0);
  const prefix = prefixLength(view, at);
  path.branches.begin(path.scratch, 0, page, level, path.writer.number, path.separator, prefix, first);
  path.branches.copy(window, at, 1, entryCount(view, at));
  path.branches.finish(verify, lastInsert(view, at));
  path.replaceByScratch(level);
}

/** Inserts a separator that does not share the branch's prefix, and so belongs before or behind all of it. */
function insertOutside(path: TreePath, level: number, child: number, side: number): void {
  const page = path.page[level];
  const window = path.windowOf(page);
  const view = window.view;
  const at = path.atOf(page);
  const separator = path.separator;
  const count = entryCount(view, at);
  const slot = path.slot[level] + 1;
  const prefix = sharedWithPage(path, page, separator);
  const size = BRANCH_SLOT_SIZE + branchSize(view, at, 1, count, path.pages.pageEnd, prefix);
  if (size + branchEntrySize(separator.length - prefix) > path.roomFor(prefix)) {
    if (side < 0) splitOffLeft(path, level, child);
    else splitOffRight(path, level, child);
    return;
  }
  const verify = prefix > path.guaranteed(level);
  const first = branchChild(view, at, 0);
  path.branches.begin(path.scratch, 0, page, level, path.writer.number, separator, prefix, first);
  path.branches.copy(window, at, 1, slot);
  path.branches.add(separator, child);
  path.branches.copy(window, at, slot, count);
  path.branches.finish(verify, slot);
  path.replaceByScratch(level);
}

/** Starts a branch to the right with the new child alone; its separator goes further up. */
function splitOffRight(path: TreePath, level: number, child: number): void {
  const page = path.page[level];
  const separator = path.separator;
  const hasLow = path.loadLow(level);
  const guaranteed = path.loadHigh(level) ? sharedPrefix(separator, path.high) : 0;
  const right = path.writer.take();
  buildSingle(path, level, right, child, guaranteed);
  setVerify(path.windowOf(page).view, path.atOf(page), hasLow ? sharedPrefix(path.low, separator) : 0);
  insertSeparator(path, level + 1, right);
}

/** Leaves the first child alone in a new branch to the left; the new child takes its slot. */
function splitOffLeft(path: TreePath, level: number, child: number): void {
  const page = path.page[level];
  const view = path.windowOf(page).view;
  const at = path.atOf(page);
  const separator = path.separator;
  const guaranteed = path.loadLow(level) ? sharedPrefix(path.low, separator) : 0;
  const hasHigh = path.loadHigh(level);
  const left = path.writer.take();
  buildSingle(path, level, left, branchChild(view, at, 0), guaranteed);
  setBranchChild(view, at, 0, child);
  setVerify(view, at, hasHigh ? sharedPrefix(separator, path.high) : 0);
  path.replaceChild(level, left);
  insertSeparator(path, level + 1, page);
}

/** A branch with one child. Where its fences guarantee nothing, its prefix is a guess from its neighbour's separators. */
function buildSingle(path: TreePath, level: number, page: number, child: number, guaranteed: number): void {
  const separator = path.separator;
  const prefix = guaranteed > 0 ? guaranteed : sharedWithFirst(path, path.page[level], separator);
  const number = path.writer.number;
  path.branches.begin(path.windowOf(page), path.atOf(page), page, level, number, separator, prefix, child);
  path.branches.finish(prefix > guaranteed, 0);
}

/** A branch that is being divided, together with the child that is added to it. Items are slots with the new one among them. */
interface Division {
  readonly level: number;
  readonly window: Window;
  readonly at: number;
  /** Bytes of its prefix, which the new separator shares. */
  readonly prefix: number;
  /** Item that is new; its separator is the path's. */
  readonly slot: number;
  readonly child: number;
  readonly itemCount: number;
}

/** Divides a full branch, to which the path's separator and `child` are added, in two. */
function splitBranch(path: TreePath, level: number, child: number): void {
  const page = path.page[level];
  const window = path.windowOf(page);
  const at = path.atOf(page);
  const count = entryCount(window.view, at);
  const slot = path.slot[level] + 1;
  const last = lastInsert(window.view, at);
  // Ascending and descending input leaves full pages behind.
  if (slot === count && last === count - 1) {
    splitOffRight(path, level, child);
    return;
  }
  if (slot === 1 && last === 1) {
    splitOffLeft(path, level, child);
    return;
  }
  const prefix = prefixLength(window.view, at);
  const division: Division = { level, window, at, prefix, slot, child, itemCount: count + 1 };
  const cut = chooseCut(path, division);
  const right = path.writer.take();
  const middle = path.first;
  loadItem(path, division, cut, middle);
  const leftGuaranteed = path.loadLow(level) ? sharedPrefix(path.low, middle) : -1;
  const rightGuaranteed = path.loadHigh(level) ? sharedPrefix(middle, path.high) : -1;
  buildPiece(path, division, path.scratch, 0, page, 0, cut, leftGuaranteed);
  buildPiece(path, division, path.windowOf(right), path.atOf(right), right, cut, count + 1, rightGuaranteed);
  path.replaceByScratch(level);
  path.separator.copy(middle);
  insertSeparator(path, level + 1, right);
}

/** Slot of an item that is not the new one. */
function slotOf(division: Division, item: number): number {
  return item < division.slot ? item : item - 1;
}

/** Loads the separator of an item. */
function loadItem(path: TreePath, division: Division, item: number, key: KeyBuffer): void {
  if (item === division.slot) key.copy(path.separator);
  else loadSeparator(key, division.window, division.at, slotOf(division, item), path.pages.pageEnd);
}

/** Bytes the separators of items `from … to - 1` take with a prefix of this length. */
function itemsSize(path: TreePath, division: Division, from: number, to: number, prefix: number): number {
  const { window, at, slot } = division;
  const own = slot >= from && slot < to ? branchEntrySize(path.separator.length - prefix) : 0;
  const first = from > slot ? from - 1 : from;
  const last = to > slot ? to - 1 : to;
  return own + branchSize(window.view, at, first, last, path.pages.pageEnd, prefix);
}

/** The item whose separator moves up: it becomes the first of the right piece. */
function chooseCut(path: TreePath, division: Division): number {
  const { window, at, prefix, slot, itemCount } = division;
  const room = path.roomFor(prefix) - BRANCH_SLOT_SIZE;
  const total = itemsSize(path, division, 1, itemCount, prefix);
  const ascending = slot + 1 < itemCount && lastInsert(window.view, at) === slot - 1;
  let best = 0;
  let bestSize = Number.POSITIVE_INFINITY;
  let left = 0;
  for (let item = 1; item < itemCount; item++) {
    const size = itemsSize(path, division, item, item + 1, prefix);
    const larger = Math.max(left, total - left - size);
    // Ascending input goes on behind the new separator: leave what comes after it to the other page.
    if (ascending && item === slot + 1 && larger <= room) return item;
    if (larger < bestSize) {
      best = item;
      bestSize = larger;
    }
    left += size;
  }
  return best;
}

/** Builds a page of the items `from … to - 1`; the separator of the first is not in it. */
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
  const { window, at, slot, child, level } = division;
  const fits = (prefix: number): boolean =>
    BRANCH_SLOT_SIZE + itemsSize(path, division, from + 1, to, prefix) <= path.roomFor(prefix);
  // The fences have served: their buffers hold the first and the last separator of the piece now.
  let shared = 0;
  if (to - from > 1) {
    loadItem(path, division, from + 1, path.low);
    loadItem(path, division, to - 1, path.high);
    shared = sharedPrefix(path.low, path.high);
  }
  const prefix = to - from > 1 ? choosePrefix(guaranteed, shared, division.prefix, fits) : 0;
  const first = from === slot ? child : branchChild(window.view, at, slotOf(division, from));
  path.branches.begin(target, targetAt, page, level, path.writer.number, path.low, prefix, first);
  let next = from + 1;
  if (slot >= next && slot < to) {
    path.branches.copy(window, at, next, slot);
    path.branches.add(path.separator, child);
    next = slot + 1;
  }
  path.branches.copy(window, at, next > slot ? next - 1 : next, to > slot ? to - 1 : to);
  path.branches.finish(prefix > Math.max(0, guaranteed), slot > from && slot < to ? slot - from : LAST_INSERT_NONE);
}
