/**
 * Checking a whole tree: everything a reader or writer relies on is looked at, and what is wrong is reported, not
 * thrown. It terminates on any bytes: levels fall by one on the way down, and no page is entered twice.
 */
import { CorruptionError } from "../../errors.ts";
import { branchChild, branchHead, branchSeparator, branchSuffixLength } from "../format/branch.ts";
import {
  LEAF_CELL_SUFFIX,
  LEAF_META_SUFFIX_NOT_ASCII,
  LEAF_META_VALUE_NOT_ASCII,
  leafCell,
  leafCellSize,
  leafHead,
  leafMeta,
  leafSuffixLength,
  leafValueLength,
  VALUE_KIND_INLINE,
  valueKind,
} from "../format/leaf.ts";
import { DEPTH_MAX } from "../format/limits.ts";
import { overflowPageCount } from "../format/overflow.ts";
import { pageTransaction } from "../format/page.ts";
import {
  entryCount,
  garbage,
  headOf,
  heapStart,
  heapTop,
  padded,
  prefixLength,
  TREE_FLAG_KEYS_ASCII,
  TREE_FLAG_VALUES_ASCII,
  TREE_FLAG_VERIFY_PREFIX,
  treeFlags,
} from "../format/tree-page.ts";
import type { PageBounds, Pages, TreeRoot, Window } from "../pager/pages.ts";
import { loadSeparator } from "./branch-build.ts";
import { checkBranch, checkLeaf, checkPageNumber } from "./checks.ts";
import { compareKeys, comparePrefix, KeyBuffer, sharedLength } from "./key.ts";
import { hasNonAscii, loadLeafKey } from "./leaf-build.ts";
import { ValuePlace } from "./value.ts";

/** Told of each thing that is wrong. `page` is -1 where none is to blame. */
export type OnProblem = (page: number, expected: string, found: string) => void;
/**
 * Told of each page (`count` 1) and overflow run reached. Returns whether none of them was reached before: if it always
 * said so, damaged branches could make the walk take for ever.
 */
export type OnPage = (page: number, count: number) => boolean;

/** Checks the tree and reports what is wrong with it. */
export function checkTree(
  pages: Pages,
  bounds: PageBounds,
  tree: TreeRoot,
  onPage: OnPage,
  onProblem: OnProblem,
): void {
  if (tree.level >= DEPTH_MAX || tree.level < 0) {
    onProblem(tree.root, `a tree of at most ${DEPTH_MAX} levels`, `level ${tree.level}`);
    return;
  }
  const walk = new Walk(pages, bounds, onPage, onProblem);
  if (tree.root !== 0) walk.page(tree.root, tree.level, undefined, undefined, bounds.number);
  if (walk.entryCount !== tree.entryCount) {
    onProblem(tree.root === 0 ? -1 : tree.root, `${tree.entryCount} entries in the tree`, String(walk.entryCount));
  }
}

class Walk {
  entryCount = 0;
  readonly #pages: Pages;
  readonly #bounds: PageBounds;
  readonly #onPage: OnPage;
  readonly #onProblem: OnProblem;
  readonly #place = new ValuePlace();
  readonly #key = new KeyBuffer();
  readonly #previous = new KeyBuffer();
  /** Separators around a child, two for each level: a child's walk must not lose its ancestors' fences. */
  readonly #fences: KeyBuffer[] = [];

  constructor(pages: Pages, bounds: PageBounds, onPage: OnPage, onProblem: OnProblem) {
    this.#pages = pages;
    this.#bounds = bounds;
    this.#onPage = onPage;
    this.#onProblem = onProblem;
  }

  /** Checks a page and all below it. `number` is the transaction of its parent, which is never older. */
  page(page: number, level: number, low: KeyBuffer | undefined, high: KeyBuffer | undefined, number: number): void {
    const pages = this.#pages;
    let entered = false;
    this.#guard(page, () => {
      checkPageNumber(page, this.#bounds.pageCount);
      if (!this.#onPage(page, 1)) {
        this.#onProblem(page, "a page that is referred to once", "a second reference");
        return;
      }
      const view = pages.windows[page >>> pages.windowShift].view;
      const at = (page & pages.windowMask) << pages.pageShift;
      if (level === 0) checkLeaf(view, at, page, number, pages.pageEnd);
      else checkBranch(view, at, page, level, number, pages.pageEnd);
      entered = true;
    });
    if (!entered) return;
    const window = pages.windows[page >>> pages.windowShift];
    const at = (page & pages.windowMask) << pages.pageShift;
    this.#prefix(page, window, at, low, high);
    if (level === 0) this.#leaf(page, window, at, low, high);
    else this.#branch(page, level, window, at, low, high);
  }

  /** Turns what is thrown into a report: damage as such, anything else as a page that cannot be read. */
  #guard(page: number, look: () => void): void {
    try {
      look();
    } catch (error) {
      if (error instanceof CorruptionError) this.#onProblem(error.page, error.expected, error.found);
      else this.#onProblem(page, "a readable page", error instanceof Error ? error.message : String(error));
    }
  }

  /** Without the VERIFY flag the prefix is one that both fences share. */
  #prefix(page: number, window: Window, at: number, low: KeyBuffer | undefined, high: KeyBuffer | undefined): void {
    const prefix = prefixLength(window.view, at);
    if (prefix === 0 || (treeFlags(window.view, at) & TREE_FLAG_VERIFY_PREFIX) !== 0) return;
    const guaranteed = low === undefined || high === undefined ? 0 : sharedLength(low, high);
    const prefixAt = at + this.#pages.pageEnd - prefix;
    if (prefix > guaranteed || low === undefined) {
      this.#onProblem(page, `a prefix of at most ${guaranteed} bytes, or the VERIFY flag`, `${prefix} bytes`);
    } else if (comparePrefix(window.view, prefixAt, prefix, low) !== 0) {
      this.#onProblem(page, "a prefix that the fences share", "another one");
    }
  }

  /** The key in hand comes behind the one before it and lies between the fences. */
  #order(page: number, slot: number, first: boolean, low: KeyBuffer | undefined, high: KeyBuffer | undefined): void {
    const key = this.#key;
    if (!first && compareKeys(this.#previous, key) >= 0) {
      this.#onProblem(page, `a key in slot ${slot} above the one before`, "a lower or equal one");
    }
    if (low !== undefined && compareKeys(key, low) < 0) {
      this.#onProblem(page, `a key in slot ${slot} not below the lower fence`, "a lower one");
    }
    if (high !== undefined && compareKeys(key, high) >= 0) {
      this.#onProblem(page, `a key in slot ${slot} below the upper fence`, "a higher or equal one");
    }
    this.#previous.copy(key);
  }

  #leaf(page: number, window: Window, at: number, low: KeyBuffer | undefined, high: KeyBuffer | undefined): void {
    const view = window.view;
    const pageEnd = this.#pages.pageEnd;
    const count = entryCount(view, at);
    const flags = treeFlags(view, at);
    const cells: number[] = [];
    const prefix = prefixLength(view, at);
    this.entryCount += count;
    const prefixText = !hasNonAscii(view, at + pageEnd - prefix, prefix);
    if (!prefixText && (flags & TREE_FLAG_KEYS_ASCII) !== 0) this.#onProblem(page, "an ASCII prefix", "another one");
    let first = true;
    for (let slot = 0; slot < count; slot++) {
      this.#guard(page, () => {
        loadLeafKey(this.#key, window, at, slot, pageEnd);
        this.#order(page, slot, first, low, high);
        first = false;
        const suffix = leafSuffixLength(view, at, slot);
        const cell = leafCell(view, at, slot);
        cells.push(cell, leafCellSize(suffix, leafValueLength(view, at, slot)));
        const head = headOf(view, at + cell + LEAF_CELL_SUFFIX, suffix);
        if (leafHead(view, at, slot) !== head) {
          this.#onProblem(page, `head ${head} in slot ${slot}`, String(leafHead(view, at, slot)));
        }
        this.#text(page, window, at, slot, flags);
        this.#value(page, window, at, slot);
      });
    }
    this.#heap(page, view, at, cells);
  }

  /** The bits that say which bytes are ASCII are right where decoding depends on them. */
  #text(page: number, window: Window, at: number, slot: number, flags: number): void {
    const view = window.view;
    const meta = leafMeta(view, at, slot);
    const suffixAt = at + leafCell(view, at, slot) + LEAF_CELL_SUFFIX;
    const notAscii = hasNonAscii(view, suffixAt, leafSuffixLength(view, at, slot));
    if (notAscii !== ((meta & LEAF_META_SUFFIX_NOT_ASCII) !== 0)) {
      this.#onProblem(page, `the right text bit of the key in slot ${slot}`, "the wrong one");
    }
    if (notAscii && (flags & TREE_FLAG_KEYS_ASCII) !== 0) {
      this.#onProblem(page, "only ASCII keys, as the page's flags say", `another one in slot ${slot}`);
    }
    if ((meta & LEAF_META_VALUE_NOT_ASCII) !== 0 && (flags & TREE_FLAG_VALUES_ASCII) !== 0) {
      this.#onProblem(page, "only ASCII values, as the page's flags say", `another one in slot ${slot}`);
    }
  }

  /** The value can be read, is ASCII if it is said to be, and its run is referred to once. */
  #value(page: number, window: Window, at: number, slot: number): void {
    const place = this.#place;
    const kind = valueKind(leafMeta(window.view, at, slot));
    place.locate(this.#pages, this.#bounds, window, at, slot);
    if (place.ascii && hasNonAscii(place.window.view, place.at, place.length)) {
      this.#onProblem(page, `an ASCII value in slot ${slot}`, "other bytes");
    }
    if (kind === VALUE_KIND_INLINE) return;
    const runWindow = place.window.view;
    const runAt = (place.run & this.#pages.windowMask) << this.#pages.pageShift;
    const transaction = pageTransaction(runWindow, runAt);
    if (transaction > pageTransaction(window.view, at)) {
      this.#onProblem(place.run, "a run not newer than its leaf", `transaction ${transaction}`);
    }
    if (!this.#onPage(place.run, overflowPageCount(place.length, this.#pages.pageSize))) {
      this.#onProblem(place.run, "an overflow run that is referred to once", "a second reference");
    }
  }

  /** What lies in the heap (pairs of offset and size) does not overlap, and the rest is the garbage the header tells. */
  #heap(page: number, view: DataView, at: number, pieces: number[]): void {
    const start = heapStart(view, at);
    const top = heapTop(this.#pages.pageEnd, prefixLength(view, at));
    const order = Array.from({ length: pieces.length / 2 }, (_, index) => index * 2);
    order.sort((left, right) => pieces[left] - pieces[right]);
    let end = start;
    let used = 0;
    for (const index of order) {
      if ((pieces[index] & 1) !== 0) this.#onProblem(page, "heap pieces at even offsets", `offset ${pieces[index]}`);
      if (pieces[index] < end) this.#onProblem(page, `the next heap piece from ${end} on`, `offset ${pieces[index]}`);
      end = pieces[index] + pieces[index + 1];
      used += pieces[index + 1];
    }
    if (end > top) this.#onProblem(page, `heap pieces up to ${top}`, `the end of one at ${end}`);
    if (top - start - used !== garbage(view, at)) {
      this.#onProblem(page, `${top - start - used} bytes of garbage`, String(garbage(view, at)));
    }
  }

  #branch(
    page: number,
    level: number,
    window: Window,
    at: number,
    low: KeyBuffer | undefined,
    high: KeyBuffer | undefined,
  ): void {
    const view = window.view;
    const pageEnd = this.#pages.pageEnd;
    const count = entryCount(view, at);
    const pieces: number[] = [];
    let readable = 0;
    if (branchHead(view, at, 0) !== 0 || branchSuffixLength(view, at, 0) !== 0) {
      this.#onProblem(page, "minus infinity in slot 0", "a separator");
    }
    for (let slot = 1; slot < count; slot++) {
      this.#guard(page, () => {
        loadSeparator(this.#key, window, at, slot, pageEnd);
        readable++;
        this.#order(page, slot, slot === 1, low, high);
        const length = branchSuffixLength(view, at, slot);
        const offset = branchSeparator(view, at, slot);
        if (length > 0) pieces.push(offset, padded(length));
        const head = headOf(view, at + offset, length);
        if (branchHead(view, at, slot) !== head) {
          this.#onProblem(page, `head ${head} in slot ${slot}`, String(branchHead(view, at, slot)));
        }
      });
    }
    this.#heap(page, view, at, pieces);
    if (readable === count - 1) this.#children(level, window, at, low, high);
  }

  #children(level: number, window: Window, at: number, low: KeyBuffer | undefined, high: KeyBuffer | undefined): void {
    const view = window.view;
    const count = entryCount(view, at);
    const number = pageTransaction(view, at);
    const lower = this.#fence(level * 2);
    const upper = this.#fence(level * 2 + 1);
    for (let slot = 0; slot < count; slot++) {
      if (slot > 0) loadSeparator(lower, window, at, slot, this.#pages.pageEnd);
      if (slot + 1 < count) loadSeparator(upper, window, at, slot + 1, this.#pages.pageEnd);
      this.page(
        branchChild(view, at, slot),
        level - 1,
        slot > 0 ? lower : low,
        slot + 1 < count ? upper : high,
        number,
      );
    }
  }

  #fence(index: number): KeyBuffer {
    while (this.#fences.length <= index) this.#fences.push(new KeyBuffer());
    return this.#fences[index];
  }
}
