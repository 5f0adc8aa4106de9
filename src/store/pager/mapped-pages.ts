/**
 * The windows of one open store file. A window is mapped when the first page in it comes into reach, and stays until
 * the file is closed: readers may hold it.
 *
 * A window is not shown at its full size at once but in views that double as the file grows; whoever holds an older
 * view reads the same memory. V8 counts an external ArrayBuffer as memory of the program: one over a whole window of
 * 1 GiB makes it collect all garbage when it is made (measured on Node 20, 22 and 26: 100 ms and more with a heap of 150 MB).
 * The addon does map a window whole where it can, so that a longer view costs no page faults.
 */
import { CorruptionError } from "../../errors.ts";
import type { Layout } from "../format/meta.ts";
import { type Pages, pageGeometry, type Window } from "./pages.ts";
import type { StoreFile } from "./storage.ts";
import { OPEN_FILE_CODES, storeError } from "./system-errors.ts";

/** The first view of a window has at least so many bytes. */
const VIEW_SIZE_MIN = 2 ** 24;

/** What pages need of a file. */
type WindowSource = Pick<StoreFile, "faults" | "size" | "mapWindow">;

export class MappedPages implements Pages {
  readonly pageSize: number;
  readonly pageShift: number;
  readonly windowShift: number;
  readonly windowMask: number;
  readonly pageEnd: number;
  readonly runBoundaryLog2: number;
  readonly windows: Window[] = [];
  readonly faults: Int32Array;
  readonly #file: WindowSource;
  readonly #writable: boolean;
  /** Pages the file is known to be long enough for. */
  #pageCountSeen = 0;
  /** Pages that lie in a window. */
  #pageCountMapped = 0;

  constructor(file: WindowSource, layout: Layout, writable: boolean) {
    this.#file = file;
    this.#writable = writable;
    const geometry = pageGeometry(layout.pageSize, layout.runBoundaryLog2);
    this.pageSize = geometry.pageSize;
    this.pageShift = geometry.pageShift;
    this.windowShift = geometry.windowShift;
    this.windowMask = geometry.windowMask;
    this.pageEnd = geometry.pageEnd;
    this.runBoundaryLog2 = geometry.runBoundaryLog2;
    this.faults = file.faults;
  }

  /** Brings every page below `pageCount` into reach. @throws CorruptionError if the file is shorter */
  reach(pageCount: number): void {
    if (pageCount <= this.#pageCountSeen) return;
    const size = this.#file.size();
    if (size < pageCount * this.pageSize) {
      throw new CorruptionError(-1, `a file of at least ${pageCount} pages of ${this.pageSize} bytes`, `${size} bytes`);
    }
    this.map(pageCount);
    this.#pageCountSeen = pageCount;
  }

  /** Maps the windows of pages that may not exist yet; the caller grows the file before it touches them. */
  map(pageCount: number): void {
    if (pageCount <= this.#pageCountMapped) return;
    const windowSize = 2 ** this.runBoundaryLog2;
    const size = pageCount * this.pageSize;
    const last = Math.ceil(size / windowSize) - 1;
    // All but the last window are wanted whole, and all before the last that is mapped are whole already.
    for (let index = Math.max(0, this.windows.length - 1); index <= last; index++) {
      const wanted = Math.min(windowSize, size - index * windowSize);
      if (index < this.windows.length && this.windows[index].bytes.length >= wanted) continue;
      this.windows[index] = this.#mapWindow(index, windowSize, viewSize(wanted, windowSize));
    }
    this.#pageCountMapped = (last * windowSize + this.windows[last].bytes.length) / this.pageSize;
  }

  #mapWindow(index: number, windowSize: number, length: number): Window {
    try {
      return this.#file.mapWindow(index, windowSize, this.#writable, length);
    } catch (error) {
      throw storeError(error, "mapping the store", OPEN_FILE_CODES);
    }
  }

  /** The file was shrunk or closed: nothing is known to be there. */
  forget(): void {
    this.#pageCountSeen = 0;
    this.#pageCountMapped = 0;
    this.windows.length = 0;
  }
}

/** How long a view to map for `wanted` bytes: a power of two, so that a growing file is mapped anew only now and then. */
function viewSize(wanted: number, windowSize: number): number {
  return Math.min(windowSize, Math.max(VIEW_SIZE_MIN, 2 ** Math.ceil(Math.log2(wanted))));
}
