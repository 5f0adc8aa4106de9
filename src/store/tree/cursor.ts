/**
 * A cursor over one tree: it stands on an entry and moves to its neighbours.
 *
 * It is re-seated, never made anew: `open` for another tree, a seek for another place. A cursor reads pages in place,
 * so it is good as long as its snapshot is held; over a tree that is being changed it must seek again after any change.
 *
 * Consumers that want speed do not call `next` for every entry: they loop over the slots of the leaf in hand (`slot` up
 * to `count - 1`, or down to 0) and call `nextLeaf` or `previousLeaf` at its end. Headers are checked on the way;
 * whoever decodes slots calls `checkCell` or `checkCells` first, or `locate` for a value.
 */
import { assert, CorruptionError } from "../../errors.ts";
import { branchChild } from "../format/branch.ts";
import { DEPTH_MAX } from "../format/limits.ts";
import { entryCount } from "../format/tree-page.ts";
import type { PageBounds, Pages, TreeRoot, Window } from "../pager/pages.ts";
import { checkBranch, checkLeaf, checkPageNumber } from "./checks.ts";
import type { KeyBuffer } from "./key.ts";
import { searchBranch, searchLeaf } from "./search.ts";
import { NO_WINDOW, ValuePlace } from "./value.ts";

const NO_BOUNDS: PageBounds = { pageCount: 0, number: 0 };

export class Cursor {
  /** Whether the cursor stands on an entry; the fields below mean something only then. */
  valid = false;
  /** The window of the leaf in hand. */
  window: Window = NO_WINDOW;
  /** The leaf and its byte offset in the window. */
  page = 0;
  at = 0;
  /** Entries of the leaf, and the slot of the entry the cursor stands on. May be set to any other slot of the leaf. */
  count = 0;
  slot = 0;
  /** Where the value lies, after `locate`. */
  readonly value: ValuePlace = new ValuePlace();

  #pages: Pages | undefined;
  #bounds: PageBounds = NO_BOUNDS;
  #root = 0;
  #level = 0;
  /** The way down: page and slot of the branch at each level (1 and up). */
  readonly #pathPage = new Uint32Array(DEPTH_MAX);
  readonly #pathSlot = new Int32Array(DEPTH_MAX);

  /** Seats the cursor on a tree, on no entry yet. */
  open(pages: Pages, bounds: PageBounds, tree: TreeRoot): void {
    if (tree.level >= DEPTH_MAX) {
      throw new CorruptionError(tree.root, `a tree of at most ${DEPTH_MAX} levels`, `level ${tree.level}`);
    }
    this.#pages = pages;
    this.#bounds = bounds;
    this.#root = tree.root;
    this.#level = tree.level;
    this.valid = false;
  }

  /** Lets go of the tree. */
  close(): void {
    this.#pages = undefined;
    this.#bounds = NO_BOUNDS;
    this.window = NO_WINDOW;
    this.value.window = NO_WINDOW;
    this.#root = 0;
    this.valid = false;
  }

  /** To the first entry. Every seek and step returns whether there is such an entry. @throws CorruptionError */
  seekFirst(): boolean {
    return this.#root !== 0 && this.#descendFirst(this.#root, this.#level);
  }

  /** To the last entry. */
  seekLast(): boolean {
    return this.#root !== 0 && this.#descendLast(this.#root, this.#level);
  }

  /** To the first entry that is not less than the key. */
  seek(key: KeyBuffer): boolean {
    if (!this.#descend(key)) return false;
    if (this.slot < 0) this.slot = ~this.slot;
    return this.#orNextLeaf();
  }

  /** To the first entry that is greater than the key. */
  seekAfter(key: KeyBuffer): boolean {
    if (!this.#descend(key)) return false;
    this.slot = this.slot < 0 ? ~this.slot : this.slot + 1;
    return this.#orNextLeaf();
  }

  /** To the last entry that is not greater than the key. */
  seekAtOrBefore(key: KeyBuffer): boolean {
    if (!this.#descend(key)) return false;
    if (this.slot < 0) this.slot = ~this.slot - 1;
    return this.#orPreviousLeaf();
  }

  /** To the last entry that is less than the key. */
  seekBefore(key: KeyBuffer): boolean {
    if (!this.#descend(key)) return false;
    this.slot = (this.slot < 0 ? ~this.slot : this.slot) - 1;
    return this.#orPreviousLeaf();
  }

  /** To the next entry. */
  next(): boolean {
    if (!this.valid) return false;
    this.slot++;
    return this.#orNextLeaf();
  }

  /** To the previous entry. */
  previous(): boolean {
    if (!this.valid) return false;
    this.slot--;
    return this.#orPreviousLeaf();
  }

  /** To the first entry of the next leaf. */
  nextLeaf(): boolean {
    for (let level = 1; level <= this.#level; level++) {
      const slot = this.#pathSlot[level] + 1;
      const page = this.#pathPage[level];
      const pages = this.#open();
      const view = pages.windows[page >>> pages.windowShift].view;
      const at = (page & pages.windowMask) << pages.pageShift;
      if (slot < entryCount(view, at)) {
        this.#pathSlot[level] = slot;
        return this.#descendFirst(branchChild(view, at, slot), level - 1);
      }
    }
    this.valid = false;
    return false;
  }

  /** To the last entry of the previous leaf. */
  previousLeaf(): boolean {
    for (let level = 1; level <= this.#level; level++) {
      const slot = this.#pathSlot[level] - 1;
      if (slot >= 0) {
        const page = this.#pathPage[level];
        const pages = this.#open();
        const view = pages.windows[page >>> pages.windowShift].view;
        const at = (page & pages.windowMask) << pages.pageShift;
        this.#pathSlot[level] = slot;
        return this.#descendLast(branchChild(view, at, slot), level - 1);
      }
    }
    this.valid = false;
    return false;
  }

  /** Seats `value` on the value of the entry. @throws CorruptionError, StoreError NEWER_FORMAT */
  locate(): void {
    this.value.locate(this.#open(), this.#bounds, this.window, this.at, this.slot);
  }

  #open(): Pages {
    assert(this.#pages !== undefined, "an open cursor");
    return this.#pages;
  }

  #orNextLeaf(): boolean {
    if (this.slot < this.count) {
      this.valid = true;
      return true;
    }
    return this.nextLeaf();
  }

  #orPreviousLeaf(): boolean {
    if (this.slot >= 0) {
      this.valid = true;
      return true;
    }
    return this.previousLeaf();
  }

  /** Down to the leaf where the key belongs; `slot` is then what `searchLeaf` says. */
  #descend(key: KeyBuffer): boolean {
    this.valid = false;
    let page = this.#root;
    if (page === 0) return false;
    const pages = this.#open();
    const { pageCount, number } = this.#bounds;
    for (let level = this.#level; level > 0; level--) {
      checkPageNumber(page, pageCount);
      const view = pages.windows[page >>> pages.windowShift].view;
      const at = (page & pages.windowMask) << pages.pageShift;
      const slot = searchBranch(view, at, page, level, number, pages.pageEnd, key);
      this.#pathPage[level] = page;
      this.#pathSlot[level] = slot;
      page = branchChild(view, at, slot);
    }
    checkPageNumber(page, pageCount);
    const window = pages.windows[page >>> pages.windowShift];
    const at = (page & pages.windowMask) << pages.pageShift;
    this.slot = searchLeaf(window.view, at, page, number, pages.pageEnd, key);
    this.#seat(window, page, at);
    return true;
  }

  #descendFirst(from: number, fromLevel: number): boolean {
    const pages = this.#open();
    let page = from;
    this.valid = false;
    for (let level = fromLevel; level > 0; level--) {
      const at = this.#enterBranch(pages, page, level);
      this.#pathSlot[level] = 0;
      page = branchChild(pages.windows[page >>> pages.windowShift].view, at, 0);
    }
    this.#enterLeaf(pages, page);
    this.slot = 0;
    this.valid = true;
    return true;
  }

  #descendLast(from: number, fromLevel: number): boolean {
    const pages = this.#open();
    let page = from;
    this.valid = false;
    for (let level = fromLevel; level > 0; level--) {
      const at = this.#enterBranch(pages, page, level);
      const view = pages.windows[page >>> pages.windowShift].view;
      const slot = entryCount(view, at) - 1;
      this.#pathSlot[level] = slot;
      page = branchChild(view, at, slot);
    }
    this.#enterLeaf(pages, page);
    this.slot = this.count - 1;
    this.valid = true;
    return true;
  }

  /** Checks a branch and puts it on the path. Returns its byte offset. */
  #enterBranch(pages: Pages, page: number, level: number): number {
    const bounds = this.#bounds;
    checkPageNumber(page, bounds.pageCount);
    const at = (page & pages.windowMask) << pages.pageShift;
    checkBranch(pages.windows[page >>> pages.windowShift].view, at, page, level, bounds.number, pages.pageEnd);
    this.#pathPage[level] = page;
    return at;
  }

  #enterLeaf(pages: Pages, page: number): void {
    const bounds = this.#bounds;
    checkPageNumber(page, bounds.pageCount);
    const window = pages.windows[page >>> pages.windowShift];
    const at = (page & pages.windowMask) << pages.pageShift;
    checkLeaf(window.view, at, page, bounds.number, pages.pageEnd);
    this.#seat(window, page, at);
  }

  /** Takes a checked leaf in hand. */
  #seat(window: Window, page: number, at: number): void {
    this.window = window;
    this.page = page;
    this.at = at;
    this.count = entryCount(window.view, at);
  }
}
