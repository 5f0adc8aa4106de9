/**
 * Where the value of an entry lies: in its leaf, or in an overflow run. A `ValuePlace` is re-seated by every `locate`;
 * the bytes belong to the file and are good as long as the snapshot is held.
 */
import { Buffer } from "node:buffer";
import { CorruptionError } from "../../errors.ts";
import {
  LEAF_CELL_SUFFIX,
  LEAF_CELL_VALUE_LENGTH,
  LEAF_META_SUFFIX_LENGTH,
  LEAF_META_VALUE_NOT_ASCII,
  LEAF_SLOT_CELL,
  leafSlotAt,
  leafValueAt,
  VALUE_KIND_INLINE,
  valueKind,
} from "../format/leaf.ts";
import {
  OVERFLOW_REFERENCE_PAGE,
  OVERFLOW_REFERENCE_VALUE_SIZE,
  OVERFLOW_VALUE,
  overflowPageCount,
  overflowRunPages,
  overflowValueSize,
} from "../format/overflow.ts";
import { describePage, PAGE_TYPE_OVERFLOW, pageLevel, pageNumber, pageTransaction, pageType } from "../format/page.ts";
import { TREE_HEAP_START } from "../format/tree-page.ts";
import { type PageBounds, type Pages, Window } from "../pager/pages.ts";
import { cellDamage, checkCell } from "./checks.ts";

/** What a re-seatable object holds before it is seated. */
export const NO_WINDOW: Window = new Window(Buffer.alloc(0));

export class ValuePlace {
  /** The window the value lies in. */
  window: Window = NO_WINDOW;
  /** Byte offset of the value in the window. */
  at = 0;
  /** Bytes of the value. */
  length = 0;
  /** Whether all its bytes are known to be ASCII. */
  ascii = false;
  /** First page of the value's overflow run, or 0 if it lies in the leaf. */
  run = 0;

  /**
   * Seats this place on the value of a leaf slot. The leaf has been checked.
   * @throws CorruptionError, StoreError NEWER_FORMAT
   */
  locate(pages: Pages, bounds: PageBounds, window: Window, at: number, slot: number): void {
    const view = window.view;
    const word = view.getUint32(leafSlotAt(at, slot) + LEAF_SLOT_CELL, true);
    const heap = view.getUint32(at + TREE_HEAP_START, true);
    const heapEnd = pages.pageEnd - (heap >>> 16);
    const offset = word & 0xffff;
    const meta = word >>> 16;
    const valueOffset = offset + LEAF_CELL_SUFFIX + (meta & LEAF_META_SUFFIX_LENGTH);
    if (offset < (heap & 0xffff) << 1 || valueOffset > heapEnd) throw cellDamage(view, at, slot, pages.pageEnd);
    const length = view.getUint16(at + offset + LEAF_CELL_VALUE_LENGTH, true);
    if (valueOffset + length > heapEnd) throw cellDamage(view, at, slot, pages.pageEnd);
    this.ascii = (meta & LEAF_META_VALUE_NOT_ASCII) === 0;
    if (valueKind(meta) === VALUE_KIND_INLINE) {
      this.window = window;
      this.at = at + valueOffset;
      this.length = length;
      this.run = 0;
    } else {
      this.#locateRun(pages, bounds, view, at, slot);
    }
  }

  #locateRun(pages: Pages, bounds: PageBounds, view: DataView, at: number, slot: number): void {
    checkCell(view, at, slot, pages.pageEnd);
    const valueAt = leafValueAt(view, at, slot);
    const page = view.getUint32(valueAt + OVERFLOW_REFERENCE_PAGE, true);
    const size = view.getUint32(valueAt + OVERFLOW_REFERENCE_VALUE_SIZE, true);
    checkRun(pages, bounds, page, size);
    this.window = pages.windows[page >>> pages.windowShift];
    this.at = ((page & pages.windowMask) << pages.pageShift) + OVERFLOW_VALUE;
    this.length = size;
    this.run = page;
  }
}

/** Checks the first page of an overflow run against the reference that led to it. @throws CorruptionError */
export function checkRun(pages: Pages, bounds: PageBounds, page: number, size: number): void {
  const count = overflowPageCount(size, pages.pageSize);
  const last = page + count - 1;
  if (page === 0 || last >= bounds.pageCount) {
    throw new CorruptionError(
      page,
      `a run of ${count} pages below page ${bounds.pageCount}`,
      `its end at page ${last}`,
    );
  }
  const boundary = pages.runBoundaryLog2 - pages.pageShift;
  if (page >>> boundary !== last >>> boundary) {
    throw new CorruptionError(page, "a run that crosses no run boundary", `pages ${page} to ${last}`);
  }
  const view = pages.windows[page >>> pages.windowShift].view;
  const at = (page & pages.windowMask) << pages.pageShift;
  const own = pageNumber(view, at);
  if (own !== page) throw new CorruptionError(page, `its own number ${page}`, String(own));
  if (pageType(view, at) !== PAGE_TYPE_OVERFLOW || pageLevel(view, at) !== 0) {
    const found = describePage(pageType(view, at), pageLevel(view, at));
    throw new CorruptionError(page, describePage(PAGE_TYPE_OVERFLOW, 0), found);
  }
  if (pageTransaction(view, at) > bounds.number) {
    const found = String(pageTransaction(view, at));
    throw new CorruptionError(page, `a transaction not newer than ${bounds.number}`, found);
  }
  if (overflowValueSize(view, at) !== size || overflowRunPages(view, at) !== count) {
    const found = `${overflowValueSize(view, at)} bytes in ${overflowRunPages(view, at)} pages`;
    throw new CorruptionError(page, `an overflow run of ${size} bytes in ${count} pages`, found);
  }
}
