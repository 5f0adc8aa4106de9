/**
 * A tree that is being changed, and the way down to the leaf in hand.
 *
 * Pages that carry the writer's number belong to this transaction and are changed in place; all others are copied
 * first (`own`). Whoever writes a page owns its parent, so a page's number is never above its parent's: from the
 * first owned page on the way up, all are owned. The writer's number may grow between operations; ownership is
 * therefore never remembered, only read from the page.
 *
 * The fences of a page are the two separators above it that bound its keys: the lower one is included, the upper one
 * excluded, and at the tree's edges one is missing. What they share is shared by every key that can ever be sought or
 * put there; a page may carry a longer prefix only with the VERIFY flag.
 */
import { Buffer } from "node:buffer";
import { CorruptionError } from "../../errors.ts";
import { branchChild, setBranchChild } from "../format/branch.ts";
import { DEPTH_MAX, KEY_SIZE_MAX } from "../format/limits.ts";
import { PAGE_NUMBER, PAGE_TRANSACTION, pageTransaction, setUint53 } from "../format/page.ts";
import {
  entryCount,
  garbage,
  heapStart,
  heapTop,
  prefixLength,
  setTreeFlags,
  TREE_FLAG_VERIFY_PREFIX,
  TREE_SLOTS,
  treeFlags,
} from "../format/tree-page.ts";
import { type Pages, type PageWriter, Window } from "../pager/pages.ts";
import { BranchBuilder, loadSeparator } from "./branch-build.ts";
import { checkBranch, checkLeaf, checkPageNumber } from "./checks.ts";
import { copyBytes, KeyBuffer, sharedPrefix } from "./key.ts";
import { LeafBuilder, PendingEntry } from "./leaf-build.ts";
import { searchBranch, searchLeaf } from "./search.ts";

export class TreePath {
  /** The transaction in hand. */
  writer: PageWriter;
  readonly pages: Pages;
  /** The tree as it is now. */
  root = 0;
  level = 0;
  entryCount = 0;
  /** Whether `page` and `slot` describe a way down the tree as it is now. */
  settled = false;
  /** Whether the key in hand is known to share the prefix of the leaf. */
  sharesPrefix = false;
  /** How much of the key in hand the keys to come share, as far as is known: no leaf made for it needs a longer prefix. */
  sharedAhead: number = KEY_SIZE_MAX;
  /** Page at each level of the way, the leaf at 0. */
  readonly page: Uint32Array = new Uint32Array(DEPTH_MAX);
  /** Slot in the page at each level; at 0 what `searchLeaf` returned. */
  readonly slot: Int32Array = new Int32Array(DEPTH_MAX);

  /** A separator on its way up. */
  readonly separator: KeyBuffer = new KeyBuffer();
  /** The fences of the page in hand, where they exist. */
  readonly low: KeyBuffer = new KeyBuffer();
  readonly high: KeyBuffer = new KeyBuffer();
  /** Keys in hand while pages are divided or joined. */
  readonly first: KeyBuffer = new KeyBuffer();
  readonly last: KeyBuffer = new KeyBuffer();
  /** The entry of the put in hand. */
  readonly entry: PendingEntry = new PendingEntry(this.first);
  /** Room for one page, in which pages are rebuilt before they replace their old form. */
  readonly scratch: Window;
  readonly leaves: LeafBuilder;
  readonly branches: BranchBuilder;

  constructor(writer: PageWriter) {
    this.writer = writer;
    this.pages = writer.pages;
    this.scratch = new Window(Buffer.alloc(writer.pages.pageSize));
    this.leaves = new LeafBuilder(this.scratch, writer.pages.pageEnd);
    this.branches = new BranchBuilder(this.scratch, writer.pages.pageEnd);
  }

  windowOf(page: number): Window {
    return this.pages.windows[page >>> this.pages.windowShift];
  }

  atOf(page: number): number {
    return (page & this.pages.windowMask) << this.pages.pageShift;
  }

  /** Goes down to the leaf where a key belongs. Returns what `searchLeaf` says. The tree is not empty. */
  descend(key: KeyBuffer): number {
    const pageEnd = this.pages.pageEnd;
    const { pageCount, number } = this.writer;
    let page = this.root;
    this.settled = false;
    this.sharesPrefix = false;
    for (let level = this.level; level > 0; level--) {
      checkPageNumber(page, pageCount);
      const view = this.windowOf(page).view;
      const at = this.atOf(page);
      const slot = searchBranch(view, at, page, level, number, pageEnd, key);
      this.page[level] = page;
      this.slot[level] = slot;
      page = branchChild(view, at, slot);
    }
    checkPageNumber(page, pageCount);
    const slot = searchLeaf(this.windowOf(page).view, this.atOf(page), page, number, pageEnd, key);
    this.page[0] = page;
    this.settled = true;
    return slot;
  }

  /** Checks a page and puts it on the path. */
  enter(page: number, level: number): void {
    const writer = this.writer;
    checkPageNumber(page, writer.pageCount);
    const view = this.windowOf(page).view;
    if (level === 0) checkLeaf(view, this.atOf(page), page, writer.number, this.pages.pageEnd);
    else checkBranch(view, this.atOf(page), page, level, writer.number, this.pages.pageEnd);
    this.page[level] = page;
  }

  owns(page: number): boolean {
    return pageTransaction(this.windowOf(page).view, this.atOf(page)) === this.writer.number;
  }

  /** Makes every page of the path from the root down to `level` one of this transaction. */
  own(level: number): void {
    let below = level;
    while (below <= this.level && !this.owns(this.page[below])) below++;
    while (below > level) this.#copy(--below);
  }

  /** Copies a page of the path whose parent is owned. */
  #copy(level: number): void {
    const from = this.page[level];
    const to = this.writer.take(level === this.level);
    const source = this.windowOf(from);
    const target = this.windowOf(to);
    const at = this.atOf(to);
    const fromAt = this.atOf(from);
    copyBytes(target.bytes, at, source.bytes, fromAt, this.pages.pageSize);
    target.view.setUint32(at + PAGE_NUMBER, to, true);
    setUint53(target.view, at + PAGE_TRANSACTION, this.writer.number);
    this.replaceChild(level, to);
    this.page[level] = to;
    this.writer.giveUp(from, 1);
  }

  /** Lets the parent of the page at `level` refer to another page in its place. */
  replaceChild(level: number, page: number): void {
    if (level === this.level) {
      this.root = page;
    } else {
      const parent = this.page[level + 1];
      setBranchChild(this.windowOf(parent).view, this.atOf(parent), this.slot[level + 1], page);
    }
  }

  /** Replaces the page at `level`, which is owned, by what was built in the scratch page. */
  replaceByScratch(level: number): void {
    const page = this.page[level];
    copyBytes(this.windowOf(page).bytes, this.atOf(page), this.scratch.bytes, 0, this.pages.pageSize);
  }

  /** Whether the page at `level` lies on the tree's left edge: no entry comes before it. */
  onLeftEdge(level: number): boolean {
    for (let above = level + 1; above <= this.level; above++) if (this.slot[above] !== 0) return false;
    return true;
  }

  /** Whether the page at `level` lies on the tree's right edge. */
  onRightEdge(level: number): boolean {
    for (let above = level + 1; above <= this.level; above++) {
      const page = this.page[above];
      if (this.slot[above] !== entryCount(this.windowOf(page).view, this.atOf(page)) - 1) return false;
    }
    return true;
  }

  /** Loads the lower fence of the page at `level` into `low`. Returns whether there is one. */
  loadLow(level: number): boolean {
    for (let above = level + 1; above <= this.level; above++) {
      if (this.slot[above] > 0) {
        this.#loadFence(this.low, this.page[above], this.slot[above]);
        return true;
      }
    }
    return false;
  }

  /** Loads the upper fence of the page at `level` into `high`. Returns whether there is one. */
  loadHigh(level: number): boolean {
    for (let above = level + 1; above <= this.level; above++) {
      const page = this.page[above];
      if (this.slot[above] + 1 < entryCount(this.windowOf(page).view, this.atOf(page))) {
        this.#loadFence(this.high, page, this.slot[above] + 1);
        return true;
      }
    }
    return false;
  }

  #loadFence(key: KeyBuffer, page: number, slot: number): void {
    loadSeparator(key, this.windowOf(page), this.atOf(page), slot, this.pages.pageEnd);
  }

  /** Bytes of prefix that the fences of the page at `level` guarantee. Loads them. */
  guaranteed(level: number): number {
    return this.loadLow(level) && this.loadHigh(level) ? sharedPrefix(this.low, this.high) : 0;
  }

  /** Bytes for slots and heap in a page with a prefix of this length. */
  roomFor(prefix: number): number {
    return heapTop(this.pages.pageEnd, prefix) - TREE_SLOTS;
  }
}

/** Bytes of heap and prefix that hold something. */
export function heapUsed(view: DataView, at: number, pageEnd: number): number {
  return pageEnd - heapStart(view, at) - garbage(view, at);
}

/** Makes sure of the room in a page that was rebuilt without its garbage: the header of a damaged one promised too much. */
export function checkFree(path: TreePath, level: number, needed: number, slotSize: number): void {
  const page = path.page[level];
  const view = path.windowOf(page).view;
  const at = path.atOf(page);
  const free = heapStart(view, at) - TREE_SLOTS - entryCount(view, at) * slotSize;
  if (needed > free) throw new CorruptionError(page, `${needed} bytes free without garbage`, `${free} bytes`);
}

/** Sets or clears the VERIFY flag of an own page after its fences moved. */
export function setVerify(view: DataView, at: number, guaranteed: number): void {
  const flags = treeFlags(view, at) & ~TREE_FLAG_VERIFY_PREFIX;
  setTreeFlags(view, at, prefixLength(view, at) > guaranteed ? flags | TREE_FLAG_VERIFY_PREFIX : flags);
}
