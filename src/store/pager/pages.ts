/**
 * The pages of one open file as readers and writers see them: windows, and the arithmetic from page number to (view, at).
 *
 * A window is a range of the file of `2 ** windowLog2` bytes, aligned to its size, with its one live `DataView`. Hot
 * paths index `windows` themselves (`windows[page >>> pages.windowShift]`, `(page & pages.windowMask) << pages.pageShift`).
 * `windows` grows in place as the file does; an entry never changes while the handle is open.
 */
import type { Buffer } from "node:buffer";

/**
 * One mapped range of the file. Reads and stores go straight to the file's memory; after close every access throws.
 * Pages that are built in memory lie in one as well: the code that reads and writes pages meets one kind of object only.
 */
export class Window {
  readonly view: DataView;
  /** The same memory as bytes. A Buffer, for its text methods; never handed to users. */
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.bytes = bytes;
  }
}

/** How page numbers become places. */
export interface PageGeometry {
  readonly pageSize: number;
  /** log2 of the page size. */
  readonly pageShift: number;
  /** log2 of the number of pages in a window. */
  readonly windowShift: number;
  /** Pages in a window, less one. */
  readonly windowMask: number;
  /** Bytes of a page that hold content: the page size less the reserved tail, which is 0 today. */
  readonly pageEnd: number;
  /** log2 in bytes of the run boundary, which no overflow run crosses. */
  readonly runBoundaryLog2: number;
}

export interface Pages extends PageGeometry {
  /** Maps of the file in order. Every page below a checked page count has its window here. */
  readonly windows: readonly Window[];
  /**
   * Word 0 is not zero once a mapped access faulted and was answered with zeros (disk full, I/O error, truncated file).
   * Checked after a decode and before its result is returned.
   */
  readonly faults: Int32Array;
}

/**
 * The geometry of a store. By shifts, since what `Math.log2` and `**` give are doubles to V8, and so would be all that is
 * reckoned with them: a search of a page would take a third longer.
 */
export function pageGeometry(pageSize: number, runBoundaryLog2: number): PageGeometry {
  const pageShift = 31 - Math.clz32(pageSize);
  const windowShift = runBoundaryLog2 - pageShift;
  return {
    pageSize: 1 << pageShift,
    pageShift,
    windowShift,
    windowMask: (1 << windowShift) - 1,
    pageEnd: 1 << pageShift,
    runBoundaryLog2,
  };
}

/** What a tree is, outside its pages: the root page (0: no entries), its level (0: the root is a leaf), how many entries. */
export interface TreeRoot {
  readonly root: number;
  readonly level: number;
  readonly entryCount: number;
}

/**
 * The bounds within which a page reached from some snapshot is genuine: below the page count, and written by a
 * transaction not newer than the snapshot. Anything else is a damaged or reused page and never data.
 */
export interface PageBounds {
  readonly pageCount: number;
  /** Greatest transaction number a page may carry. */
  readonly number: number;
}

/**
 * What a tree needs of the pager to be changed: pages to write, and a place to leave those it no longer needs.
 *
 * A page returned by `take` or `takeRun` has undefined content, is mapped and populated (stores into it do not fault),
 * and belongs to this transaction: it may be written in place until the transaction's end. Pages whose transaction
 * number (page header) equals `number` belong to it; all others must be copied before they are changed.
 */
export interface PageWriter extends PageBounds {
  readonly pages: Pages;
  /** The number every page written now carries. */
  readonly number: number;
  /**
   * A free page. `fleeting`: every commit writes it anew, as it does the root.
   * @throws StoreError DISK_FULL, STORE_FULL, IO
   */
  take(fleeting?: boolean): number;
  /** The first of `count` consecutive free pages that do not cross the run boundary. @throws as `take` */
  takeRun(count: number): number;
  /** Pages `page … page + count - 1` are no longer in use by the working tree. */
  giveUp(page: number, count: number): void;
}
