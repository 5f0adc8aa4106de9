/**
 * Changing a tree inside one transaction: copy on write over a `PageWriter`.
 *
 * What the tree is at any moment is its `root`, `level` and `entryCount`; earlier roots go on to describe the tree as
 * it was then, as long as their pages are not taken again. Cursors over the tree must seek again after a change.
 *
 * An operation that throws half way (no page could be had, a damaged page was met) may leave pages that refer to each
 * other wrongly. `failed` says so; every further operation is refused until `restore` goes back to an earlier root,
 * whose pages no operation since has changed in place.
 */
import { assert, CorruptionError } from "../../errors.ts";
import { branchChild } from "../format/branch.ts";
import {
  fitsInline,
  LEAF_META_KIND_SHIFT,
  LEAF_META_VALUE_NOT_ASCII,
  leafMeta,
  VALUE_KIND_INLINE,
  VALUE_KIND_OVERFLOW,
  valueKind,
} from "../format/leaf.ts";
import { DEPTH_MAX, KEY_SIZE_MAX } from "../format/limits.ts";
import { OVERFLOW_REFERENCE_SIZE } from "../format/overflow.ts";
import { pageTransaction } from "../format/page.ts";
import { entryCount, LAST_INSERT_NONE, lastInsert, prefixLength } from "../format/tree-page.ts";
import type { PageWriter, TreeRoot, Window } from "../pager/pages.ts";
import { appendEntries } from "./append.ts";
import { checkLeaf } from "./checks.ts";
import { comparePrefix, type KeyBuffer, wholeCharacters } from "./key.ts";
import { insertEntry, replaceEntry } from "./leaf-insert.ts";
import { giveUpRun, writeReference, writeRun } from "./overflow-run.ts";
import { TreePath } from "./path.ts";
import { ENTRY_ASCII, ENTRY_KEY, ENTRY_VALUE_LENGTH, type PutBuffer } from "./put-buffer.ts";
import { removeEntry } from "./remove.ts";
import { compareLast, searchLeaf } from "./search.ts";
import { ValuePlace } from "./value.ts";

/** What `#near` returns if the key may not belong to the leaf of the path. */
const ELSEWHERE = -0x80000000;

export class TreeWriter {
  readonly #path: TreePath;
  readonly #place: ValuePlace = new ValuePlace();
  readonly #reference = new Uint8Array(OVERFLOW_REFERENCE_SIZE);
  readonly #referenceView: DataView = new DataView(this.#reference.buffer);
  #failed = false;
  /** The leaf the latest put went to, and whether the one before it went there as well: then it is worth a look first. */
  #latestLeaf = 0;
  #stays = false;

  constructor(writer: PageWriter, tree: TreeRoot) {
    this.#path = new TreePath(writer);
    this.restore(tree);
  }

  /** Goes on with another tree of the same file in another transaction: its buffers are worth keeping. */
  begin(writer: PageWriter, tree: TreeRoot): void {
    assert(writer.pages === this.#path.pages, "a transaction of the same file");
    this.#path.writer = writer;
    this.restore(tree);
  }

  /** The tree as it is now. */
  get tree(): TreeRoot {
    return { root: this.#path.root, level: this.#path.level, entryCount: this.#path.entryCount };
  }

  get root(): number {
    return this.#path.root;
  }

  get level(): number {
    return this.#path.level;
  }

  get entryCount(): number {
    return this.#path.entryCount;
  }

  /** Whether an operation threw half way, so that the tree must not be used. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Goes back to an earlier root. What was written since is no longer referred to; giving it up is the pager's matter. */
  restore(tree: TreeRoot): void {
    if (tree.level >= DEPTH_MAX) {
      throw new CorruptionError(tree.root, `a tree of at most ${DEPTH_MAX} levels`, `level ${tree.level}`);
    }
    const path = this.#path;
    path.root = tree.root;
    path.level = tree.level;
    path.entryCount = tree.entryCount;
    path.settled = false;
    path.sharedAhead = KEY_SIZE_MAX;
    this.#latestLeaf = 0;
    this.#stays = false;
    this.#failed = false;
  }

  /**
   * Puts an entry: `length` bytes of `value` from `from`. `ascii`: the value is known to be ASCII. `window`: the one whose
   * bytes `value` is, if it is one's.
   * @returns whether the key is new. @throws CorruptionError, StoreError (what the page writer throws, NEWER_FORMAT)
   */
  put(key: KeyBuffer, value: Uint8Array, from: number, length: number, ascii: boolean, window?: Window): boolean {
    assert(!this.#failed, "a tree that did not fail");
    const path = this.#path;
    const slot = path.root === 0 ? ~0 : this.#seek(key);
    let oldRun = 0;
    let oldSize = 0;
    if (slot >= 0 && this.#locateRun(slot)) {
      oldRun = this.#place.run;
      oldSize = this.#place.length;
    }
    this.#fillEntry(key, value, from, length, ascii, window);
    this.#failed = true;
    if (path.root === 0) this.#plant();
    else path.own(0);
    if (slot >= 0) {
      replaceEntry(path, slot);
    } else {
      insertEntry(path, ~slot);
      path.entryCount++;
    }
    if (oldRun !== 0) giveUpRun(path.writer, oldRun, oldSize);
    this.#failed = false;
    return slot < 0;
  }

  /** Puts all entries of a buffer in the order of their keys. @throws as `put` */
  putAll(buffer: PutBuffer): void {
    buffer.sort();
    const { memory, entries, count, key } = buffer;
    const path = this.#path;
    /** Entries that went into the latest leaf: about as many will go into the next. */
    let inLeaf = 0;
    for (let i = 0; i < count; ) {
      const entry = entries[i];
      const length = memory.view.getUint32(entry + ENTRY_VALUE_LENGTH, true);
      const ascii = memory.view.getUint16(entry + ENTRY_ASCII, true) !== 0;
      buffer.loadKey(entry);
      path.sharedAhead = wholeCharacters(key, buffer.sharedAhead(i, inLeaf));
      this.put(key, memory.bytes, entry + ENTRY_KEY + key.length, length, ascii, memory);
      this.#failed = true;
      const next = appendEntries(path, buffer, i + 1);
      this.#failed = false;
      if (next - i > 1) inLeaf = next - i;
      i = next;
    }
    path.sharedAhead = KEY_SIZE_MAX;
  }

  /** Takes the entry of a key out. @returns whether there was one. @throws as `put` */
  delete(key: KeyBuffer): boolean {
    assert(!this.#failed, "a tree that did not fail");
    const path = this.#path;
    if (path.root === 0) return false;
    const slot = this.#seek(key);
    if (slot < 0) return false;
    const hasRun = this.#locateRun(slot);
    this.#failed = true;
    path.own(0);
    removeEntry(path, slot);
    path.entryCount--;
    if (hasRun) giveUpRun(path.writer, this.#place.run, this.#place.length);
    this.#failed = false;
    return true;
  }

  /** Takes all entries out and gives up every page of the tree, overflow runs included. @throws as `put` */
  clear(): void {
    assert(!this.#failed, "a tree that did not fail");
    const path = this.#path;
    if (path.root === 0) return;
    this.#failed = true;
    this.#giveUpBelow(path.root, path.level);
    this.restore({ root: 0, level: 0, entryCount: 0 });
  }

  /** Goes to the leaf where the key belongs. Returns what `searchLeaf` says. */
  #seek(key: KeyBuffer): number {
    const path = this.#path;
    if (this.#stays) {
      const slot = this.#near(key);
      if (slot !== ELSEWHERE) return slot;
    }
    const slot = path.descend(key);
    this.#stays = path.page[0] === this.#latestLeaf;
    this.#latestLeaf = path.page[0];
    return slot;
  }

  /**
   * Looks in the leaf of the path first: neighbouring keys often follow each other. The key certainly belongs there if
   * it falls between two of its entries, or beyond the last one of the tree. An owned leaf means that nothing else
   * happened: a sub-transaction has another number, and whatever else moves pages unsettles the path.
   */
  #near(key: KeyBuffer): number {
    const path = this.#path;
    const page = path.page[0];
    if (!path.settled) return ELSEWHERE;
    const view = path.windowOf(page).view;
    const at = path.atOf(page);
    if (pageTransaction(view, at) !== path.writer.number) return ELSEWHERE;
    const pageEnd = path.pages.pageEnd;
    checkLeaf(view, at, page, path.writer.number, pageEnd);
    const prefix = prefixLength(view, at);
    if (prefix !== 0 && comparePrefix(view, at + pageEnd - prefix, prefix, key) !== 0) return ELSEWHERE;
    path.sharesPrefix = true;
    const count = entryCount(view, at);
    // Ascending input goes behind the last entry, time after time.
    const slot =
      lastInsert(view, at) === count - 1 && compareLast(view, at, count, pageEnd, prefix, key) < 0
        ? ~count
        : searchLeaf(view, at, page, path.writer.number, pageEnd, key);
    if (slot === ~0 && !path.onLeftEdge(0)) return ELSEWHERE;
    if (slot === ~count && !path.onRightEdge(0)) return ELSEWHERE;
    return slot;
  }

  /** Seats `#place` on the value of a slot of the leaf if it lies in an overflow run. */
  #locateRun(slot: number): boolean {
    const path = this.#path;
    const page = path.page[0];
    const window = path.windowOf(page);
    const at = path.atOf(page);
    if (valueKind(leafMeta(window.view, at, slot)) === VALUE_KIND_INLINE) return false;
    this.#place.locate(path.pages, path.writer, window, at, slot);
    return true;
  }

  /** Fills the path's pending entry; a value too large for a leaf goes into a run of its own. */
  #fillEntry(
    key: KeyBuffer,
    value: Uint8Array,
    from: number,
    length: number,
    ascii: boolean,
    window: Window | undefined,
  ): void {
    const { writer, pages, entry } = this.#path;
    const text = ascii ? 0 : LEAF_META_VALUE_NOT_ASCII;
    entry.key = key;
    if (fitsInline(key.length, length, pages.pageSize, pages.pageEnd)) {
      entry.value = value;
      entry.from = from;
      entry.length = length;
      entry.window = window;
      entry.meta = text | (VALUE_KIND_INLINE << LEAF_META_KIND_SHIFT);
      return;
    }
    writeReference(this.#referenceView, 0, writeRun(writer, value, from, length), length);
    entry.value = this.#reference;
    entry.from = 0;
    entry.length = OVERFLOW_REFERENCE_SIZE;
    entry.window = undefined;
    entry.meta = text | (VALUE_KIND_OVERFLOW << LEAF_META_KIND_SHIFT);
  }

  /**
   * Makes the empty tree an empty leaf, into which the first entry goes. Its prefix is the whole key: the prefix of a
   * root shrinks with every key that does not share it, so it always is what all keys have in common.
   */
  #plant(): void {
    const path = this.#path;
    const key = path.entry.key;
    const page = path.writer.take();
    path.leaves.begin(path.windowOf(page), path.atOf(page), page, path.writer.number, key, key.length);
    path.leaves.finish(key.length > 0, LAST_INSERT_NONE);
    path.root = page;
    path.level = 0;
    path.page[0] = page;
    path.settled = true;
  }

  #giveUpBelow(page: number, level: number): void {
    const path = this.#path;
    path.enter(page, level);
    const view = path.windowOf(page).view;
    const at = path.atOf(page);
    const count = entryCount(view, at);
    for (let slot = 0; slot < count; slot++) {
      if (level > 0) {
        this.#giveUpBelow(branchChild(view, at, slot), level - 1);
      } else if (valueKind(leafMeta(view, at, slot)) !== VALUE_KIND_INLINE) {
        this.#place.locate(path.pages, path.writer, path.windowOf(page), at, slot);
        giveUpRun(path.writer, this.#place.run, this.#place.length);
      }
    }
    path.writer.giveUp(page, 1);
  }
}
