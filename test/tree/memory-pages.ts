/**
 * Pages in plain memory, for tests of the tree: small windows, immediate reuse of what a transaction gave up of its
 * own, and reuse of everything else only when no snapshot is held any more.
 *
 * Pages are overwritten with rubbish the moment they may be reused, so that whoever reads one afterwards is found out.
 */
import { Buffer } from "node:buffer";
import type { Pages, PageWriter, TreeRoot, Window } from "../../src/store/pager/pages.ts";

export interface MemoryOptions {
  readonly pageSize?: number;
  /** log2 of the bytes of a window; at least the run boundary. */
  readonly windowLog2?: number;
  readonly runBoundaryLog2?: number;
  /** Bytes at the end of every page that are no content. */
  readonly tailSize?: number;
}

const RUBBISH = 0xdd;

export class MemoryPages implements Pages {
  readonly pageSize: number;
  readonly pageShift: number;
  readonly windowShift: number;
  readonly windowMask: number;
  readonly pageEnd: number;
  readonly runBoundaryLog2: number;
  readonly windows: Window[] = [];
  readonly faults: Int32Array = new Int32Array(1);

  constructor(options: MemoryOptions = {}) {
    this.pageSize = options.pageSize ?? 4096;
    this.pageShift = Math.log2(this.pageSize);
    this.runBoundaryLog2 = options.runBoundaryLog2 ?? 18;
    const windowLog2 = options.windowLog2 ?? this.runBoundaryLog2;
    this.windowShift = windowLog2 - this.pageShift;
    this.windowMask = 2 ** this.windowShift - 1;
    this.pageEnd = this.pageSize - (options.tailSize ?? 0);
  }

  /** Makes windows up to and including the one that holds `page`. */
  cover(page: number): void {
    while (this.windows.length <= page >>> this.windowShift) {
      const bytes = Buffer.alloc(this.pageSize * (this.windowMask + 1), RUBBISH);
      this.windows.push({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) });
    }
  }

  at(page: number): number {
    return (page & this.windowMask) << this.pageShift;
  }

  window(page: number): Window {
    return this.windows[page >>> this.windowShift];
  }

  spoil(page: number): void {
    this.window(page).bytes.fill(RUBBISH, this.at(page), this.at(page) + this.pageSize);
  }
}

/** What a sub-transaction goes back to. */
export interface Savepoint {
  readonly number: number;
  readonly tree: TreeRoot;
  readonly taken: ReadonlySet<number>;
  readonly retired: number;
}

export class MemoryWriter implements PageWriter {
  readonly pages: MemoryPages;
  number: number;
  pageCount = 1;
  /** Pages in use by the working tree or by a snapshot that is held. */
  readonly used: Set<number> = new Set();
  /** Whether pages of earlier transactions must stay as they are. */
  holding = false;
  /** Called before a page is handed out; throws to say that there is none. */
  onTake: () => void = () => {};
  readonly #free: number[] = [];
  /** Given up, and not to be reused before the next commit (or before nobody holds a snapshot). */
  readonly #retired: number[] = [];
  /** Taken since the last commit or savepoint, and so free as soon as given up. */
  #taken: Set<number> = new Set();

  constructor(pages: MemoryPages, number = 1) {
    this.pages = pages;
    this.number = number;
  }

  take(): number {
    this.onTake();
    const page = this.#free.pop() ?? this.pageCount++;
    this.#hand(page);
    return page;
  }

  takeRun(count: number): number {
    this.onTake();
    const perBoundary = 2 ** (this.pages.runBoundaryLog2 - this.pages.pageShift);
    if (count > perBoundary) throw new Error(`a run of ${count} pages does not fit the run boundary`);
    let first = this.pageCount;
    if (Math.floor(first / perBoundary) !== Math.floor((first + count - 1) / perBoundary)) {
      first = (Math.floor(first / perBoundary) + 1) * perBoundary;
    }
    for (let page = this.pageCount; page < first; page++) {
      this.pages.cover(page);
      this.#free.push(page);
    }
    this.pageCount = first + count;
    for (let page = first; page < first + count; page++) this.#hand(page);
    return first;
  }

  giveUp(page: number, count: number): void {
    for (let each = page; each < page + count; each++) {
      if (!this.used.delete(each)) throw new Error(`page ${each} was given up without being in use`);
      if (this.#taken.delete(each)) this.#release(each);
      else this.#retired.push(each);
    }
  }

  /** Ends the transaction: the next one has a new number, and owns nothing. */
  commit(): void {
    this.number++;
    this.#taken = new Set();
    if (!this.holding) for (const page of this.#retired.splice(0)) this.#release(page);
  }

  /** Begins a sub-transaction. */
  save(tree: TreeRoot): Savepoint {
    const savepoint = { number: this.number, tree, taken: this.#taken, retired: this.#retired.length };
    this.#taken = new Set();
    this.number++;
    return savepoint;
  }

  /** Undoes what happened since the savepoint. The number does not go back. */
  undo(savepoint: Savepoint): void {
    for (const page of this.#taken) {
      this.used.delete(page);
      this.#release(page);
    }
    for (const page of this.#retired.splice(savepoint.retired)) this.used.add(page);
    this.#taken = new Set(savepoint.taken);
    this.number++;
  }

  #hand(page: number): void {
    this.pages.cover(page);
    if (this.used.has(page)) throw new Error(`page ${page} was handed out twice`);
    this.used.add(page);
    this.#taken.add(page);
  }

  #release(page: number): void {
    this.pages.spoil(page);
    this.#free.push(page);
  }
}
