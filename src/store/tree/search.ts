/**
 * Finding a key: the hottest code of the store. Nothing here allocates, and nothing is called but on equal heads.
 *
 * Within a page: binary search over the heads down to 32 (leaf) or 16 (branch) candidates, then linear, then ties
 * four bytes at a time. The numbers are measured: a linear tail runs along one cache line that is there already, while
 * every step of a binary search is a coin toss for the branch predictor.
 *
 * `Finder` is re-seated by every `find` and tells where the entry lies; it may be used until the next `find`, and only
 * as long as the snapshot (or the transaction, without changes in between) is held.
 */
import { BRANCH_SLOT_CHILD, BRANCH_SLOT_SEPARATOR, BRANCH_SLOT_SIZE, branchSlotAt } from "../format/branch.ts";
import {
  LEAF_CELL_SUFFIX,
  LEAF_META_SUFFIX_LENGTH,
  LEAF_SLOT_CELL,
  LEAF_SLOT_SIZE,
  leafHead,
  leafSlotAt,
} from "../format/leaf.ts";
import {
  TREE_ENTRY_COUNT,
  TREE_FLAG_VERIFY_PREFIX,
  TREE_FLAGS,
  TREE_HEAP_START,
  TREE_PREFIX_LENGTH,
  TREE_SLOTS,
} from "../format/tree-page.ts";
import type { PageBounds, Pages, Window } from "../pager/pages.ts";
import { cellDamage, checkBranch, checkLeaf, checkPageNumber, prefixDamage, separatorDamage } from "./checks.ts";
import { comparePrefix, compareSuffix, type KeyBuffer } from "./key.ts";
import { NO_WINDOW, ValuePlace } from "./value.ts";

/** Candidates at which binary search in a leaf gives way to linear search. */
const LEAF_LINEAR = 32;
/** The same in a branch. */
const BRANCH_LINEAR = 16;

/**
 * The slot of the key in a leaf, or `~slot` of the first greater entry (`~count` if there is none). The header is checked
 * first, as by `checkLeaf`.
 */
export function searchLeaf(
  view: DataView,
  at: number,
  page: number,
  number: number,
  pageEnd: number,
  key: KeyBuffer,
): number {
  checkLeaf(view, at, page, number, pageEnd);
  const count = view.getUint16(at + TREE_ENTRY_COUNT, true);
  const prefix = view.getUint16(at + TREE_PREFIX_LENGTH, true);
  if (prefix !== 0) {
    if ((view.getUint16(at + TREE_FLAGS, true) & TREE_FLAG_VERIFY_PREFIX) !== 0) {
      const side = comparePrefix(view, at + pageEnd - prefix, prefix, key);
      if (side !== 0) return side < 0 ? ~0 : ~count;
    } else if (prefix > key.length) {
      throw prefixDamage(view, at, key.length);
    }
  }
  const head = key.view.getUint32(prefix);
  const slots = at + TREE_SLOTS;
  let low = 0;
  let high = count;
  while (high - low > LEAF_LINEAR) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(slots + middle * LEAF_SLOT_SIZE, true) < head) low = middle + 1;
    else high = middle;
  }
  let slotAt = slots + low * LEAF_SLOT_SIZE;
  const end = slots + count * LEAF_SLOT_SIZE;
  while (slotAt < end) {
    const found = view.getUint32(slotAt, true);
    if (found >= head) {
      low = (slotAt - slots) / LEAF_SLOT_SIZE;
      if (found !== head) return ~low;
      const order = compareEntry(view, at, low, pageEnd, prefix, key);
      if (order === 0) return low;
      return order > 0 ? ~low : searchLeafTies(view, at, low + 1, count, pageEnd, prefix, head, key);
    }
    slotAt += LEAF_SLOT_SIZE;
  }
  return ~count;
}

/** Goes on from a slot whose head is equal and whose key is less: binary, for keys with long common parts tie by dozens. */
function searchLeafTies(
  view: DataView,
  at: number,
  from: number,
  count: number,
  pageEnd: number,
  prefix: number,
  head: number,
  key: KeyBuffer,
): number {
  let low = from;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(leafSlotAt(at, middle), true) !== head) {
      high = middle;
      continue;
    }
    const order = compareEntry(view, at, middle, pageEnd, prefix, key);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return ~low;
}

/** Order of the last of a leaf's `count` entries, of which there is one, to a key that shares the leaf's prefix. */
export function compareLast(
  view: DataView,
  at: number,
  count: number,
  pageEnd: number,
  prefix: number,
  key: KeyBuffer,
): number {
  const last = leafHead(view, at, count - 1);
  const head = key.view.getUint32(prefix);
  if (last !== head) return last < head ? -1 : 1;
  return compareEntry(view, at, count - 1, pageEnd, prefix, key);
}

/** Order of the entry in a leaf slot to a key with an equal head. */
function compareEntry(
  view: DataView,
  at: number,
  slot: number,
  pageEnd: number,
  prefix: number,
  key: KeyBuffer,
): number {
  const word = view.getUint32(leafSlotAt(at, slot) + LEAF_SLOT_CELL, true);
  const offset = word & 0xffff;
  const length = (word >>> 16) & LEAF_META_SUFFIX_LENGTH;
  const heap = view.getUint16(at + TREE_HEAP_START, true) << 1;
  if (offset < heap || offset + LEAF_CELL_SUFFIX + length > pageEnd - prefix) throw cellDamage(view, at, slot, pageEnd);
  return compareSuffix(view, at + offset + LEAF_CELL_SUFFIX, length, key.view, prefix, key.length - prefix);
}

/**
 * The slot of a branch whose child holds the key: the last one with a separator not above it. The header is checked
 * first, as by `checkBranch`.
 */
export function searchBranch(
  view: DataView,
  at: number,
  page: number,
  level: number,
  number: number,
  pageEnd: number,
  key: KeyBuffer,
): number {
  checkBranch(view, at, page, level, number, pageEnd);
  const count = view.getUint16(at + TREE_ENTRY_COUNT, true);
  const prefix = view.getUint16(at + TREE_PREFIX_LENGTH, true);
  if (prefix !== 0) {
    if ((view.getUint16(at + TREE_FLAGS, true) & TREE_FLAG_VERIFY_PREFIX) !== 0) {
      const side = comparePrefix(view, at + pageEnd - prefix, prefix, key);
      if (side !== 0) return side < 0 ? 0 : count - 1;
    } else if (prefix > key.length) {
      throw prefixDamage(view, at, key.length);
    }
  }
  const head = key.view.getUint32(prefix);
  const slots = at + TREE_SLOTS;
  let low = 1;
  let high = count;
  while (high - low > BRANCH_LINEAR) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(slots + middle * BRANCH_SLOT_SIZE, true) < head) low = middle + 1;
    else high = middle;
  }
  let slotAt = slots + low * BRANCH_SLOT_SIZE;
  const end = slots + count * BRANCH_SLOT_SIZE;
  while (slotAt < end) {
    const found = view.getUint32(slotAt, true);
    if (found >= head) {
      low = (slotAt - slots) / BRANCH_SLOT_SIZE;
      return found !== head ? low - 1 : searchBranchTies(view, at, low, count, pageEnd, prefix, head, key);
    }
    slotAt += BRANCH_SLOT_SIZE;
  }
  return count - 1;
}

/** Goes on from the first slot whose head is equal. */
function searchBranchTies(
  view: DataView,
  at: number,
  from: number,
  count: number,
  pageEnd: number,
  prefix: number,
  head: number,
  key: KeyBuffer,
): number {
  let low = from;
  let high = count;
  const heap = view.getUint16(at + TREE_HEAP_START, true) << 1;
  // Most often the head is that of one slot only; afterwards binary search.
  let middle = from;
  while (low < high) {
    const slotAt = branchSlotAt(at, middle);
    if (view.getUint32(slotAt, true) !== head) {
      high = middle;
    } else {
      const word = view.getUint32(slotAt + BRANCH_SLOT_SEPARATOR, true);
      const offset = word & 0xffff;
      const length = word >>> 16;
      if (offset < heap || offset + length > pageEnd - prefix) throw separatorDamage(view, at, middle, pageEnd);
      if (compareSuffix(view, at + offset, length, key.view, prefix, key.length - prefix) <= 0) low = middle + 1;
      else high = middle;
    }
    middle = (low + high) >>> 1;
  }
  return low - 1;
}

export class Finder {
  /** The window of the leaf in hand. */
  window: Window = NO_WINDOW;
  /** The leaf and its byte offset in the window. */
  page = 0;
  at = 0;
  /** The slot of the entry found. */
  slot = -1;
  /** Where the value lies, after `locate`. */
  readonly value: ValuePlace = new ValuePlace();

  /**
   * Looks a key up in the tree with this root page (0: empty) and level, and seats the finder on its entry.
   * @returns whether the key is there. @throws CorruptionError
   */
  find(pages: Pages, bounds: PageBounds, root: number, level: number, key: KeyBuffer): boolean {
    if (root === 0) return false;
    const windows = pages.windows;
    const windowShift = pages.windowShift;
    const windowMask = pages.windowMask;
    const pageShift = pages.pageShift;
    const pageEnd = pages.pageEnd;
    const pageCount = bounds.pageCount;
    const number = bounds.number;
    // With its sign, since V8 would carry a u32 from level to level as a double.
    let child = root | 0;
    for (let below = level; below > 0; below--) {
      const page = child >>> 0;
      checkPageNumber(page, pageCount);
      const view = windows[page >>> windowShift].view;
      const at = (page & windowMask) << pageShift;
      const slot = searchBranch(view, at, page, below, number, pageEnd, key);
      child = view.getInt32(at + TREE_SLOTS + slot * BRANCH_SLOT_SIZE + BRANCH_SLOT_CHILD, true);
    }
    const page = child >>> 0;
    checkPageNumber(page, pageCount);
    const window = windows[page >>> windowShift];
    const at = (page & windowMask) << pageShift;
    const slot = searchLeaf(window.view, at, page, number, pageEnd, key);
    if (slot < 0) return false;
    this.window = window;
    this.page = page;
    this.at = at;
    this.slot = slot;
    return true;
  }

  /** Seats `value` on the value of the entry found. @throws CorruptionError, StoreError NEWER_FORMAT */
  locate(pages: Pages, bounds: PageBounds): void {
    this.value.locate(pages, bounds, this.window, this.at, this.slot);
  }
}
