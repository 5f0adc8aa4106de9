/**
 * Taking an entry out of the leaf of the path, and pages that have become empty out of the branches above.
 *
 * A page that falls below a third of its room is joined with a neighbour if the two fit one page with something to
 * spare; so pages do not swing between dividing and joining.
 *
 * Taking an empty page out removes a separator, and that **widens the fences** of the neighbour it bounded and of every
 * page down the neighbour's edge: each of them whose prefix is longer than its new fences guarantee gets the VERIFY
 * flag in the same transaction (`widen`). Without it, keys that do not share the prefix would be lost silently.
 */
import { BRANCH_SLOT_SIZE, branchChild, setBranchChild } from "../format/branch.ts";
import { LEAF_SLOT_SIZE } from "../format/leaf.ts";
import { entryCount, prefixLength, TREE_FLAG_VERIFY_PREFIX, TREE_SLOTS, treeFlags } from "../format/tree-page.ts";
import { removeFromBranch } from "./branch-build.ts";
import { joinBranches, joinLeaves } from "./join.ts";
import { dropSlot } from "./leaf-insert.ts";
import { heapUsed, setVerify, type TreePath } from "./path.ts";

/** Below this part of its room a page is joined with a neighbour. */
const FILL_MIN = 1 / 3;

/** Takes the entry of a slot out of the leaf. All pages of the path are owned. */
export function removeEntry(path: TreePath, slot: number): void {
  dropSlot(path, slot);
  const page = path.page[0];
  if (entryCount(path.windowOf(page).view, path.atOf(page)) === 0) removePage(path, 0);
  else joinIfSmall(path, 0);
}

/** Takes the empty page at `level` out of the tree. */
function removePage(path: TreePath, level: number): void {
  path.settled = false;
  path.writer.giveUp(path.page[level], 1);
  if (level === path.level) {
    path.root = 0;
    path.level = 0;
    return;
  }
  const parent = path.page[level + 1];
  const window = path.windowOf(parent);
  const at = path.atOf(parent);
  const slot = path.slot[level + 1];
  if (entryCount(window.view, at) === 1) {
    removePage(path, level + 1);
    return;
  }
  removeFromBranch(window, at, slot);
  path.slot[level + 1] = Math.max(0, slot - 1);
  widen(path, level, slot > 0);
  afterRemoval(path, level + 1);
}

/**
 * Flags what has to be flagged after the page in the path's slot above `level` lost its upper (`right`) or lower fence
 * for a wider one: that page, and those below it along the same edge. Leaves the path on them.
 */
function widen(path: TreePath, level: number, right: boolean): void {
  let deepest = -1;
  for (let below = level; below >= 0; below--) {
    const parent = path.page[below + 1];
    path.enter(branchChild(path.windowOf(parent).view, path.atOf(parent), path.slot[below + 1]), below);
    const page = path.page[below];
    const view = path.windowOf(page).view;
    const at = path.atOf(page);
    if (below > 0) path.slot[below] = right ? entryCount(view, at) - 1 : 0;
    const verified = (treeFlags(view, at) & TREE_FLAG_VERIFY_PREFIX) !== 0;
    if (!verified && prefixLength(view, at) > path.guaranteed(below)) deepest = below;
  }
  if (deepest < 0) return;
  path.own(deepest);
  for (let below = level; below >= deepest; below--) {
    const page = path.page[below];
    setVerify(path.windowOf(page).view, path.atOf(page), path.guaranteed(below));
  }
}

/** What a branch that lost a child may need: the root may have one child left, others may have become small. */
function afterRemoval(path: TreePath, level: number): void {
  if (level < path.level) {
    joinIfSmall(path, level);
    return;
  }
  while (path.level > 0) {
    const view = path.windowOf(path.root).view;
    const at = path.atOf(path.root);
    if (entryCount(view, at) !== 1) return;
    const child = branchChild(view, at, 0);
    path.writer.giveUp(path.root, 1);
    path.root = child;
    path.level--;
    path.settled = false;
    // The next one down was the root's only child and is owned or not: its header is checked before it is believed.
    path.enter(child, path.level);
  }
}

/** Joins the page at `level` with a neighbour if it is small and a neighbour has room for it. */
function joinIfSmall(path: TreePath, level: number): void {
  if (level === path.level) return;
  const page = path.page[level];
  const view = path.windowOf(page).view;
  const at = path.atOf(page);
  const slotSize = level === 0 ? LEAF_SLOT_SIZE : BRANCH_SLOT_SIZE;
  const used = entryCount(view, at) * slotSize + heapUsed(view, at, path.pages.pageEnd);
  if (used > (path.pages.pageEnd - TREE_SLOTS) * FILL_MIN) return;
  const parent = path.page[level + 1];
  const slot = path.slot[level + 1];
  const count = entryCount(path.windowOf(parent).view, path.atOf(parent));
  if (slot > 0 && joinAt(path, level, slot - 1)) return;
  if (slot + 1 < count) joinAt(path, level, slot);
}

/** Joins the children in slots `slot` and `slot + 1` of the parent if they fit one page. One of them is on the path. */
function joinAt(path: TreePath, level: number, slot: number): boolean {
  const parent = path.page[level + 1];
  const window = path.windowOf(parent);
  const at = path.atOf(parent);
  const own = path.page[level];
  const ownSlot = path.slot[level + 1];
  const other = branchChild(window.view, at, ownSlot === slot ? slot + 1 : slot);
  path.enter(other, level);
  path.page[level] = own;
  const left = ownSlot === slot ? own : other;
  const right = ownSlot === slot ? other : own;
  const joined = level === 0 ? joinLeaves(path, left, right, slot) : joinBranches(path, level, left, right, slot);
  if (!joined) return false;
  path.settled = false;
  path.slot[level + 1] = slot;
  path.replaceByScratch(level);
  path.writer.giveUp(other, 1);
  setBranchChild(window.view, at, slot, own);
  removeFromBranch(window, at, slot + 1);
  afterRemoval(path, level + 1);
  return true;
}
