/**
 * The windows of one open store file. A window is mapped when the first page in it comes into reach, and stays until
 * the file is closed: readers may hold it.
 */
import { CorruptionError } from "../../errors.ts";
import type { Layout } from "../format/meta.ts";
import type { Pages, Window } from "./pages.ts";
import type { StoreFile } from "./storage.ts";
import { OPEN_FILE_CODES, storeError } from "./system-errors.ts";

export class MappedPages implements Pages {
  readonly pageSize: number;
  readonly pageShift: number;
  readonly windowShift: number;
  readonly windowMask: number;
  readonly pageEnd: number;
  readonly runBoundaryLog2: number;
  readonly windows: Window[] = [];
  readonly faults: Int32Array;
  readonly #file: StoreFile;
  readonly #writable: boolean;
  /** Pages the file is known to be long enough for. */
  #pageCountSeen = 0;

  constructor(file: StoreFile, layout: Layout, writable: boolean) {
    this.#file = file;
    this.#writable = writable;
    this.pageSize = layout.pageSize;
    this.pageShift = Math.log2(layout.pageSize);
    this.pageEnd = layout.pageSize;
    this.runBoundaryLog2 = layout.runBoundaryLog2;
    this.windowShift = layout.runBoundaryLog2 - this.pageShift;
    this.windowMask = 2 ** this.windowShift - 1;
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
    const windowCount = Math.ceil(pageCount / (this.windowMask + 1));
    while (this.windows.length < windowCount) {
      try {
        this.windows.push(this.#file.mapWindow(this.windows.length, 2 ** this.runBoundaryLog2, this.#writable));
      } catch (error) {
        throw storeError(error, "mapping the store", OPEN_FILE_CODES);
      }
    }
  }

  /** The file was shrunk or closed: nothing is known to be there. */
  forget(): void {
    this.#pageCountSeen = 0;
    this.windows.length = 0;
  }
}
