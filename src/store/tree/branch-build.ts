/** Writing branch pages: one child into a page with room for it, or a whole page anew with a prefix of its own. */
import { CorruptionError } from "../../errors.ts";
import {
  BRANCH_SLOT_CHILD,
  BRANCH_SLOT_SEPARATOR,
  BRANCH_SLOT_SIZE,
  branchChild,
  branchEntrySize,
  branchHead,
  branchSeparator,
  branchSlotAt,
  branchSuffixLength,
  setBranchChild,
} from "../format/branch.ts";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { initPage, PAGE_TYPE_BRANCH } from "../format/page.ts";
import {
  entryCount,
  garbage,
  headOf,
  heapStart,
  heapTop,
  LAST_INSERT_NONE,
  padded,
  prefixLength,
  setEntryCount,
  setGarbage,
  setHeapStart,
  setLastInsert,
  setPrefixLength,
  setTreeFlags,
  TREE_FLAG_VERIFY_PREFIX,
  TREE_SLOTS,
} from "../format/tree-page.ts";
import type { Window } from "../pager/pages.ts";
import { keyDamage, separatorDamage } from "./checks.ts";
import { copyRange, type KeyBuffer, moveUp } from "./key.ts";

/** Checks that the separator of a slot lies in the heap. */
export function checkSeparator(view: DataView, at: number, slot: number, pageEnd: number): void {
  const offset = branchSeparator(view, at, slot);
  const end = offset + branchSuffixLength(view, at, slot);
  if (offset < heapStart(view, at) || end > pageEnd - prefixLength(view, at)) {
    throw separatorDamage(view, at, slot, pageEnd);
  }
}

/** Fills a key buffer with the whole separator of a slot, which is not slot 0. */
export function loadSeparator(key: KeyBuffer, window: Window, at: number, slot: number, pageEnd: number): void {
  const view = window.view;
  checkSeparator(view, at, slot, pageEnd);
  const prefix = prefixLength(view, at);
  const length = branchSuffixLength(view, at, slot);
  if (prefix + length > KEY_SIZE_MAX) throw keyDamage(view, at, prefix + length);
  copyRange(key.memory, 0, window, at + pageEnd - prefix, prefix);
  copyRange(key.memory, prefix, window, at + branchSeparator(view, at, slot), length);
  key.end(prefix + length);
}

/** Puts a child, for whose separator there is room, in front of a slot (not 0) of an own page. */
export function insertIntoBranch(window: Window, at: number, slot: number, separator: KeyBuffer, child: number): void {
  const view = window.view;
  const count = entryCount(view, at);
  const slotAt = branchSlotAt(at, slot);
  const end = branchSlotAt(at, count);
  moveUp(window, slotAt, end, BRANCH_SLOT_SIZE);
  const prefix = prefixLength(view, at);
  const length = separator.length - prefix;
  const offset = heapStart(view, at) - padded(length);
  copyRange(window, at + offset, separator.memory, prefix, length);
  writeBranchSlot(view, slotAt, separator.view.getUint32(prefix), child, offset, length);
  setHeapStart(view, at, offset);
  setEntryCount(view, at, count + 1);
  setLastInsert(view, at, slot);
}

/** Takes a child and its separator out of an own page. Without the child of slot 0, that of slot 1 takes its place. */
export function removeFromBranch(window: Window, at: number, slot: number): void {
  const view = window.view;
  const count = entryCount(view, at);
  const gone = Math.max(1, slot);
  if (slot === 0) setBranchChild(view, at, 0, branchChild(view, at, 1));
  setGarbage(view, at, garbage(view, at) + padded(branchSuffixLength(view, at, gone)));
  const slotAt = branchSlotAt(at, gone);
  window.bytes.copyWithin(slotAt, slotAt + BRANCH_SLOT_SIZE, branchSlotAt(at, count));
  setEntryCount(view, at, count - 1);
  setLastInsert(view, at, LAST_INSERT_NONE);
}

function writeBranchSlot(
  view: DataView,
  slotAt: number,
  head: number,
  child: number,
  offset: number,
  length: number,
): void {
  view.setUint32(slotAt, head, true);
  view.setUint32(slotAt + BRANCH_SLOT_CHILD, child, true);
  view.setUint32(slotAt + BRANCH_SLOT_SEPARATOR, offset | (length << 16), true);
}

/** Bytes that slots and separators `from … to - 1` (`from` not 0) would take in a page with a prefix of this length. */
export function branchSize(
  view: DataView,
  at: number,
  from: number,
  to: number,
  pageEnd: number,
  newPrefix: number,
): number {
  const difference = prefixLength(view, at) - newPrefix;
  let size = 0;
  for (let slot = from; slot < to; slot++) {
    checkSeparator(view, at, slot, pageEnd);
    size += branchEntrySize(branchSuffixLength(view, at, slot) + difference);
  }
  return size;
}

/** Builds one branch page: `begin` with the first child, the others in order, `finish`. */
export class BranchBuilder {
  readonly #pageEnd: number;
  #target: Window;
  #at = 0;
  #page = 0;
  #prefix = 0;
  #count = 0;
  #heap = 0;

  constructor(target: Window, pageEnd: number) {
    this.#target = target;
    this.#pageEnd = pageEnd;
  }

  /** Starts a page; its prefix is the first `prefix` bytes of `key`. */
  begin(
    target: Window,
    at: number,
    page: number,
    level: number,
    transaction: number,
    key: KeyBuffer,
    prefix: number,
    firstChild: number,
  ): void {
    this.#target = target;
    this.#at = at;
    this.#page = page;
    this.#prefix = prefix;
    this.#heap = heapTop(this.#pageEnd, prefix);
    initPage(target.view, at, page, PAGE_TYPE_BRANCH, level, transaction);
    copyRange(target, at + this.#pageEnd - prefix, key.memory, 0, prefix);
    writeBranchSlot(target.view, branchSlotAt(at, 0), 0, firstChild, 0, 0);
    this.#count = 1;
  }

  /** Appends copies of the slots `from … to - 1` (`from` not 0) of another branch. */
  copy(source: Window, sourceAt: number, from: number, to: number): void {
    const view = source.view;
    const sourcePrefix = prefixLength(view, sourceAt);
    const added = Math.max(0, sourcePrefix - this.#prefix);
    const dropped = Math.max(0, this.#prefix - sourcePrefix);
    for (let slot = from; slot < to; slot++) {
      checkSeparator(view, sourceAt, slot, this.#pageEnd);
      const oldLength = branchSuffixLength(view, sourceAt, slot);
      const length = oldLength + added - dropped;
      if (length < 0 || length + this.#prefix > KEY_SIZE_MAX) throw keyDamage(view, sourceAt, length + this.#prefix);
      const offset = this.#allocate(length);
      const suffixAt = this.#at + offset;
      const target = this.#target;
      copyRange(target, suffixAt, source, sourceAt + this.#pageEnd - added, added);
      const restAt = sourceAt + branchSeparator(view, sourceAt, slot) + dropped;
      copyRange(target, suffixAt + added, source, restAt, oldLength - dropped);
      const same = added === 0 && dropped === 0;
      const head = same ? branchHead(view, sourceAt, slot) : headOf(target.view, suffixAt, length);
      this.#addSlot(head, branchChild(view, sourceAt, slot), offset, length);
    }
  }

  /** Appends a child with its separator, which shares this page's prefix. */
  add(separator: KeyBuffer, child: number): void {
    const length = separator.length - this.#prefix;
    if (length < 0) throw new CorruptionError(this.#page, "a prefix that its keys share", `${this.#prefix} bytes`);
    const offset = this.#allocate(length);
    copyRange(this.#target, this.#at + offset, separator.memory, this.#prefix, length);
    this.#addSlot(separator.view.getUint32(this.#prefix), child, offset, length);
  }

  /** Completes the header. `verify`: the prefix is longer than the fences guarantee. */
  finish(verify: boolean, lastInsert: number): void {
    const view = this.#target.view;
    setEntryCount(view, this.#at, this.#count);
    setHeapStart(view, this.#at, this.#heap);
    setPrefixLength(view, this.#at, this.#prefix);
    setTreeFlags(view, this.#at, verify ? TREE_FLAG_VERIFY_PREFIX : 0);
    setLastInsert(view, this.#at, lastInsert);
  }

  #allocate(length: number): number {
    const heap = this.#heap - padded(length);
    if (heap < TREE_SLOTS + (this.#count + 1) * BRANCH_SLOT_SIZE) {
      throw new CorruptionError(this.#page, "separators that fit a page", `${length} bytes too many`);
    }
    this.#heap = heap;
    return heap;
  }

  #addSlot(head: number, child: number, offset: number, length: number): void {
    writeBranchSlot(this.#target.view, branchSlotAt(this.#at, this.#count), head, child, offset, length);
    this.#count++;
  }
}
