/**
 * The space map of a snapshot: reading it from its pages, and writing the next one.
 *
 * The map is a shallow tree of bitmap pages, itself copied on write. Its own pages are not recorded in it, so writing
 * it changes no bit of it. A group whose pages are all free has no map leaf.
 */
import { CorruptionError } from "../../errors.ts";
import {
  groupPages,
  MAP_BITS,
  MAP_FIRST_GROUP,
  MAP_LEAF_USED,
  MAP_SLOT_CHILD,
  MAP_SLOT_FREE,
  MAP_SLOT_SIZE,
  MAP_SLOTS,
  mapFanOut,
} from "../format/map.ts";
import type { Snapshot } from "../format/meta.ts";
import {
  describePage,
  initPage,
  PAGE_TYPE_MAP_BRANCH,
  PAGE_TYPE_MAP_LEAF,
  pageLevel,
  pageNumber,
  pageTransaction,
  pageType,
} from "../format/page.ts";
import type { PageBounds, Pages } from "./pages.ts";

/** Whether words lie in memory as they do in the file. A thousand of them are copied in a tenth of the time then. */
const IS_LITTLE_ENDIAN = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;

/** One level of a map: for each page of it in order, its number (0: none) and the free count of what is beneath. */
export interface MapLevel {
  readonly pages: readonly number[];
  readonly free: readonly number[];
}

/** The bits of a group: 1 for a page in use. `GroupBits[i >>> 5] >>> (i & 31) & 1`. */
export type GroupBits = Int32Array;

/** The bits of a group, and how many are set. */
export interface CountedBits {
  readonly bits: GroupBits;
  readonly used: number;
}

/** Where the pages of a space map are. It never changes, as its snapshot doesn't. */
export interface MapIndex {
  /** From the map leaves (one a group) up to the root (one page); empty if the map has no page. */
  readonly levels: readonly MapLevel[];
  /** Every page of the map itself, in no order. */
  readonly ownPages: readonly number[];
  /** Groups whose bits need not be read from their pages. */
  readonly known: Map<number, CountedBits>;
}

/** The map leaf of a group in `index`, or 0. */
export function mapLeafOf(index: MapIndex, group: number): number {
  return index.levels[0]?.pages[group] ?? 0;
}

/** Checks one page of a map and tells where it is. @throws CorruptionError */
function checkMapPage(
  pages: Pages,
  bounds: PageBounds,
  page: number,
  level: number,
  firstGroup: number,
): { view: DataView; at: number } {
  const type = level === 0 ? PAGE_TYPE_MAP_LEAF : PAGE_TYPE_MAP_BRANCH;
  if (page === 0 || page >= bounds.pageCount) {
    throw new CorruptionError(page, `a page of the space map below page count ${bounds.pageCount}`, String(page));
  }
  const { view } = pages.windows[page >>> pages.windowShift];
  const at = (page & pages.windowMask) << pages.pageShift;
  if (pageNumber(view, at) !== page)
    throw new CorruptionError(page, "its own page number", String(pageNumber(view, at)));
  if (pageType(view, at) !== type || pageLevel(view, at) !== level) {
    throw new CorruptionError(page, describePage(type, level), describePage(pageType(view, at), pageLevel(view, at)));
  }
  if (pageTransaction(view, at) > bounds.number) {
    throw new CorruptionError(page, `a transaction of at most ${bounds.number}`, String(pageTransaction(view, at)));
  }
  const found = view.getUint32(at + MAP_FIRST_GROUP, true);
  if (found !== firstGroup) throw new CorruptionError(page, `first group ${firstGroup}`, String(found));
  return { view, at };
}

/** Reads where the pages of a snapshot's map are. The map leaves themselves are not touched unless the root is one. */
export function readMapIndex(pages: Pages, snapshot: Snapshot): MapIndex {
  if (snapshot.mapRoot === 0) return indexOf([]);
  if (snapshot.mapLevel === 0) {
    const { view, at } = checkMapPage(pages, snapshot, snapshot.mapRoot, 0, 0);
    const free = groupPages(pages.pageEnd) - view.getUint32(at + MAP_LEAF_USED, true);
    return indexOf([{ pages: [snapshot.mapRoot], free: [free] }]);
  }
  const fanOut = mapFanOut(pages.pageEnd);
  let span = fanOut ** snapshot.mapLevel;
  let level: MapLevel = { pages: [snapshot.mapRoot], free: [0] };
  const levels = [level];
  for (let height = snapshot.mapLevel; height > 0; height--) {
    const below = { pages: [] as number[], free: [] as number[] };
    level.pages.forEach((page, i) => {
      const place = page === 0 ? undefined : checkMapPage(pages, snapshot, page, height, i * span);
      for (let slot = 0; slot < fanOut; slot++) {
        const at = (place?.at ?? 0) + MAP_SLOTS + slot * MAP_SLOT_SIZE;
        below.pages.push(place?.view.getUint32(at + MAP_SLOT_CHILD, true) ?? 0);
        below.free.push(place?.view.getUint32(at + MAP_SLOT_FREE, true) ?? 0);
      }
    });
    span /= fanOut;
    trim(below);
    levels.unshift(below);
    level = below;
  }
  return indexOf(levels);
}

function indexOf(levels: readonly MapLevel[], known: Map<number, CountedBits> = new Map()): MapIndex {
  const ownPages: number[] = [];
  for (const level of levels) {
    for (const page of level.pages) if (page !== 0) ownPages.push(page);
  }
  return { levels, ownPages, known };
}

/** Drops the empty slots at the end. */
function trim(level: { pages: number[]; free: number[] }): void {
  let length = level.pages.length;
  while (length > 0 && level.pages[length - 1] === 0) length--;
  if (length === level.pages.length) return;
  level.pages.length = length;
  level.free.length = length;
}

/**
 * Adds (bitwise or) the first `words` words of the bits of a group, as a snapshot's map has them, to `bits`.
 * @throws CorruptionError
 */
export function addGroupBits(
  pages: Pages,
  bounds: PageBounds,
  index: MapIndex,
  group: number,
  bits: GroupBits,
  words = bits.length,
): void {
  const known = index.known.get(group)?.bits;
  if (known !== undefined) {
    for (let i = 0; i < words; i++) bits[i] |= known[i];
    return;
  }
  const page = mapLeafOf(index, group);
  if (page === 0) return;
  const { view, at } = checkMapPage(pages, bounds, page, 0, group);
  for (let i = 0; i < words; i++) bits[i] |= view.getInt32(at + MAP_BITS + i * 4, true);
}

/** A word of 32 pages in use. */
export const ALL_SET = -1;

/** Words of a group's bits. */
export function groupWords(pages: Pages): number {
  return groupPages(pages.pageEnd) >>> 5;
}

export function countBits(bits: GroupBits): number {
  let count = 0;
  for (let i = 0; i < bits.length; i++) {
    let word = bits[i];
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
}

/** Pages in use: those whose bit is set, and those of the map itself. */
export function pagesUsed(pages: Pages, index: MapIndex): number {
  const capacity = groupPages(pages.pageEnd);
  const leaves = index.levels[0];
  let used = index.ownPages.length;
  leaves?.pages.forEach((page, group) => {
    if (page !== 0) used += capacity - leaves.free[group];
  });
  return used;
}

/** A new map: where its pages are, and its root. */
export interface WrittenMap {
  readonly index: MapIndex;
  readonly root: number;
  readonly level: number;
}

/**
 * Writes the map that differs from `previous` in the given groups. `take` gives a page to write (pages of maps are not
 * recorded in maps, so taking one changes no group), `number` is the transaction's. The new index keeps `changed`.
 */
export function writeMap(
  pages: Pages,
  previous: MapIndex,
  changed: Map<number, CountedBits>,
  number: number,
  take: () => number,
): WrittenMap {
  const capacity = groupPages(pages.pageEnd);
  const fanOut = mapFanOut(pages.pageEnd);
  const leaves = previous.levels[0];
  let lower = { pages: leaves?.pages.slice() ?? [], free: leaves?.free.slice() ?? [] };
  let dirty = new Set<number>();
  for (const [group, { bits, used }] of changed) {
    while (lower.pages.length <= group) {
      lower.pages.push(0);
      lower.free.push(0);
    }
    lower.pages[group] = used === 0 ? 0 : writeMapLeaf(pages, take(), group, bits, used, number);
    lower.free[group] = used === 0 ? 0 : capacity - used;
    dirty.add(group);
  }
  trim(lower);
  const levels: MapLevel[] = [lower];
  for (let height = 1; lower.pages.length > 1; height++) {
    const old = previous.levels[height];
    const next = { pages: [] as number[], free: [] as number[] };
    // A level that did not exist before is written whole; so is a page with a changed child, or one that lost a child.
    const nextDirty = new Set([...dirty].map((child) => Math.floor(child / fanOut)));
    for (let i = 0; i * fanOut < lower.pages.length; i++) {
      const from = i * fanOut;
      const to = Math.min(from + fanOut, lower.pages.length);
      const free = sum(lower.free, from, to);
      let page = old?.pages[i] ?? 0;
      if (sum(lower.pages, from, to) === 0) page = 0;
      else if (page === 0 || nextDirty.has(i)) {
        nextDirty.add(i);
        page = take();
        writeMapBranch(pages, page, height, from * fanOut ** (height - 1), lower, from, to, number);
      }
      next.pages.push(page);
      next.free.push(free);
    }
    trim(next);
    levels.push(next);
    lower = next;
    dirty = nextDirty;
  }
  return { index: indexOf(levels, changed), root: lower.pages[0] ?? 0, level: levels.length - 1 };
}

function sum(values: readonly number[], from: number, to: number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += values[i];
  return total;
}

function writeMapLeaf(
  pages: Pages,
  page: number,
  group: number,
  bits: GroupBits,
  used: number,
  number: number,
): number {
  const { view, bytes } = pages.windows[page >>> pages.windowShift];
  const at = (page & pages.windowMask) << pages.pageShift;
  initPage(view, at, page, PAGE_TYPE_MAP_LEAF, 0, number);
  view.setUint32(at + MAP_FIRST_GROUP, group, true);
  view.setUint32(at + MAP_LEAF_USED, used, true);
  if (IS_LITTLE_ENDIAN) bytes.set(new Uint8Array(bits.buffer), at + MAP_BITS);
  else for (let i = 0; i < bits.length; i++) view.setInt32(at + MAP_BITS + i * 4, bits[i], true);
  return page;
}

function writeMapBranch(
  pages: Pages,
  page: number,
  level: number,
  firstGroup: number,
  lower: MapLevel,
  from: number,
  to: number,
  number: number,
): void {
  const { view, bytes } = pages.windows[page >>> pages.windowShift];
  const at = (page & pages.windowMask) << pages.pageShift;
  initPage(view, at, page, PAGE_TYPE_MAP_BRANCH, level, number);
  view.setUint32(at + MAP_FIRST_GROUP, firstGroup, true);
  bytes.fill(0, at + MAP_SLOTS, at + pages.pageSize);
  for (let child = from; child < to; child++) {
    const slot = at + MAP_SLOTS + (child - from) * MAP_SLOT_SIZE;
    view.setUint32(slot + MAP_SLOT_CHILD, lower.pages[child], true);
    view.setUint32(slot + MAP_SLOT_FREE, lower.free[child], true);
  }
}
