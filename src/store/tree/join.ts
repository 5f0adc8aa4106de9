/**
 * Joining two neighbours under one parent into one page, built in the scratch page with the prefix of its own fences:
 * the lower one of the left page and the upper one of the right page.
 */
import { BRANCH_SLOT_SIZE, branchChild, branchEntrySize } from "../format/branch.ts";
import { entryCount, LAST_INSERT_NONE } from "../format/tree-page.ts";
import { branchSize, loadSeparator } from "./branch-build.ts";
import { sharedPrefix } from "./key.ts";
import { leafSize, loadLeafKey } from "./leaf-build.ts";
import type { TreePath } from "./path.ts";

/** A joined page is filled no further than this, or the next insert would divide it again. */
const JOINED_FILL_MAX = 7 / 8;

/** What the fences of the page joined from the parent's slots `slot` and `slot + 1` share; -1 if one is missing. */
function guaranteedAfter(path: TreePath, level: number, slot: number): number {
  const own = path.slot[level + 1];
  path.slot[level + 1] = slot;
  const hasLow = path.loadLow(level);
  path.slot[level + 1] = slot + 1;
  const hasHigh = path.loadHigh(level);
  path.slot[level + 1] = own;
  return hasLow && hasHigh ? sharedPrefix(path.low, path.high) : -1;
}

/** The prefix with which the joined page is small enough, or -1. */
function prefixThatFits(path: TreePath, guaranteed: number, shared: number, size: (prefix: number) => number): number {
  const fits = (prefix: number): boolean => size(prefix) <= path.roomFor(prefix) * JOINED_FILL_MAX;
  if (guaranteed >= 0 && fits(guaranteed)) return guaranteed;
  return fits(shared) ? shared : -1;
}

/** Builds one leaf of two, with the number of the page on the path. Returns false if they do not fit. */
export function joinLeaves(path: TreePath, left: number, right: number, slot: number): boolean {
  const pageEnd = path.pages.pageEnd;
  const leftWindow = path.windowOf(left);
  const leftAt = path.atOf(left);
  const leftCount = entryCount(leftWindow.view, leftAt);
  const rightWindow = path.windowOf(right);
  const rightAt = path.atOf(right);
  const rightCount = entryCount(rightWindow.view, rightAt);
  loadLeafKey(path.first, leftWindow, leftAt, 0, pageEnd);
  loadLeafKey(path.last, rightWindow, rightAt, rightCount - 1, pageEnd);
  const size = (prefix: number): number =>
    leafSize(leftWindow.view, leftAt, 0, leftCount, pageEnd, prefix) +
    leafSize(rightWindow.view, rightAt, 0, rightCount, pageEnd, prefix);
  const guaranteed = guaranteedAfter(path, 0, slot);
  const prefix = prefixThatFits(path, guaranteed, sharedPrefix(path.first, path.last), size);
  if (prefix < 0) return false;
  path.leaves.begin(path.scratch, 0, path.page[0], path.writer.number, path.first, prefix);
  path.leaves.copy(leftWindow, leftAt, 0, leftCount);
  path.leaves.copy(rightWindow, rightAt, 0, rightCount);
  path.leaves.finish(prefix > Math.max(0, guaranteed), LAST_INSERT_NONE);
  return true;
}

/** Builds one branch of two and the separator between them, with the number of the page on the path. */
export function joinBranches(path: TreePath, level: number, left: number, right: number, slot: number): boolean {
  const pageEnd = path.pages.pageEnd;
  const leftWindow = path.windowOf(left);
  const leftAt = path.atOf(left);
  const leftCount = entryCount(leftWindow.view, leftAt);
  const rightWindow = path.windowOf(right);
  const rightAt = path.atOf(right);
  const rightCount = entryCount(rightWindow.view, rightAt);
  const parent = path.page[level + 1];
  const separator = path.separator;
  loadSeparator(separator, path.windowOf(parent), path.atOf(parent), slot + 1, pageEnd);
  if (leftCount > 1) loadSeparator(path.first, leftWindow, leftAt, 1, pageEnd);
  else path.first.copy(separator);
  if (rightCount > 1) loadSeparator(path.last, rightWindow, rightAt, rightCount - 1, pageEnd);
  else path.last.copy(separator);
  const size = (prefix: number): number =>
    BRANCH_SLOT_SIZE +
    branchEntrySize(separator.length - prefix) +
    branchSize(leftWindow.view, leftAt, 1, leftCount, pageEnd, prefix) +
    branchSize(rightWindow.view, rightAt, 1, rightCount, pageEnd, prefix);
  const guaranteed = guaranteedAfter(path, level, slot);
  const prefix = prefixThatFits(path, guaranteed, sharedPrefix(path.first, path.last), size);
  if (prefix < 0) return false;
  const firstChild = branchChild(leftWindow.view, leftAt, 0);
  const number = path.writer.number;
  path.branches.begin(path.scratch, 0, path.page[level], level, number, path.first, prefix, firstChild);
  path.branches.copy(leftWindow, leftAt, 1, leftCount);
  path.branches.add(separator, branchChild(rightWindow.view, rightAt, 0));
  path.branches.copy(rightWindow, rightAt, 1, rightCount);
  path.branches.finish(prefix > Math.max(0, guaranteed), LAST_INSERT_NONE);
  return true;
}
