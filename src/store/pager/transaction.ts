/**
 * A write transaction at the level of pages: it takes and gives up pages, and at its end writes the space map and
 * prepares the commit. It lives under the writer lock.
 *
 * One commit can hold several **parts**, each of which can be undone without the others (asynchronous writes that share
 * a flush). A part has a transaction number of its own: pages of earlier parts are copied before they are changed, so
 * that undoing a part is going back to the roots it began with. The commit bears the number of its last part.
 */
import type { Snapshot } from "../format/meta.ts";
import { pageTransaction } from "../format/page.ts";
import type { FreeSpace } from "./free-space.ts";
import type { MappedPages } from "./mapped-pages.ts";
import type { PageWriter } from "./pages.ts";
import { pagesUsed, writeMap } from "./space-map.ts";
import type { StoreFile } from "./storage.ts";
import { faultError, OPEN_FILE_CODES, storeError } from "./system-errors.ts";

/** A file grows by about an eighth of itself, at most so much, and always to a multiple of EXTENT_UNIT. */
const EXTENT_MAX = 256 * 1024 * 1024;
const EXTENT_UNIT = 64 * 1024;
/**
 * Pages are made ready in batches: of what the transaction is expected to take, then of as many as it has taken so far up to
 * a few, then of a quarter of those, at most so many. What is made ready is flushed, whether it is used or not, and each
 * batch costs about as much as making two or three pages ready.
 */
const BATCH_FEW = 8;
const BATCH_MAX = 64;

/** Pages of one kind that are made ready ahead of their use. */
class Batch {
  page = 0;
  count = 0;
  /** Pages taken from this batch and those before it. */
  taken = 0;
  /** Pages that will be taken if any is, and have not been made ready. */
  expected = 0;
}

/** The trees' side of a snapshot: where the catalog is. */
export interface CatalogRoot {
  readonly catalogRoot: number;
  readonly catalogLevel: number;
  readonly catalogCount: number;
}

/** What a transaction does to a page, so that a part can be undone. */
interface Action {
  readonly taken: boolean;
  readonly page: number;
  readonly count: number;
  /** Given up: whether this very part had taken it. */
  readonly own: boolean;
}

/** The next transaction number: those whose low 32 bits are 0 are skipped, as 0 in a reader slot means none. */
export function nextNumber(number: number): number {
  return (number + 1) % 2 ** 32 === 0 ? number + 2 : number + 1;
}

/** What a handle knows of the room for more pages, from transaction to transaction. */
export interface Room {
  /** Whether the disk was full when the handle last needed more of it. */
  short: boolean;
  /** Bytes the file has at least, for other writers make it longer; 0 if nobody has looked. */
  fileSize: number;
}

export class PageTransaction implements PageWriter {
  readonly pages: MappedPages;
  /** What it builds on. */
  readonly base: Snapshot;
  readonly #room: Room;
  readonly #file: StoreFile;
  readonly #space: FreeSpace;
  readonly #firstNumber: number;
  #number: number;
  #pageCount: number;
  /** What this transaction has written and not given up: first page to page count. */
  readonly #written = new Map<number, number>();
  /** Single pages taken and given up again: they are ready for stores. */
  #ready: number[] = [];
  /** Pages of earlier parts given up in this one; free once this part is kept. */
  #deferred: { page: number; count: number }[] = [];
  /** Pages that stay as they are until an entry of theirs changes, and those that every commit writes anew. */
  readonly #lasting = new Batch();
  readonly #fleeting = new Batch();
  /** Whatever is taken from now on is fleeting. */
  #onlyFleeting = false;
  /** No page above it is in use by the working map. */
  #highest: number;
  #actions: Action[] = [];
  #pageCountOfPart: number;
  /** What its commit makes, from `finish` on. */
  snapshot: Snapshot | undefined;

  constructor(file: StoreFile, pages: MappedPages, space: FreeSpace, base: Snapshot, room: Room) {
    this.pages = pages;
    this.base = base;
    this.#room = room;
    this.#file = file;
    this.#space = space;
    this.#firstNumber = nextNumber(base.number);
    this.#number = this.#firstNumber;
    this.#pageCount = base.pageCount;
    this.#pageCountOfPart = base.pageCount;
    this.#highest = base.pageHighest;
    if (room.fileSize === 0) room.fileSize = file.size();
    // The root, the catalog's pages, the map's: of more than one leaf two at least, for where pages lie that last, and
    // where those do that don't.
    this.#fleeting.expected = 1 + base.catalogLevel + 1 + base.mapLevel + (base.mapLevel > 0 ? 2 : 1);
  }

  /** The entries are written; what follows the next commit will write anew. */
  entriesDone(): void {
    this.#onlyFleeting = true;
  }

  get number(): number {
    return this.#number;
  }

  get pageCount(): number {
    return this.#pageCount;
  }

  // Parts --------------------------------------------------------------------------------------------------------------

  /** Keeps what was done since the last part began; what follows can be undone by itself. */
  keepPart(): void {
    for (const { page, count } of this.#deferred) {
      if (count === 1) this.#ready.push(page);
      else this.#space.setBusy(page, count, false);
    }
    this.#deferred = [];
    this.#actions = [];
    this.#pageCountOfPart = this.#pageCount;
    this.#number = nextNumber(this.#number);
  }

  /** Undoes what was done since the last part began. The caller goes back to the roots it had then. */
  undoPart(): void {
    // Pages made ready ahead may lie where a run was taken and given up again: they are free before all that is undone,
    // and would be taken twice if they stayed in the batch.
    for (const batch of [this.#lasting, this.#fleeting]) {
      this.#space.setBusy(batch.page, batch.count, false);
      batch.count = 0;
    }
    for (let i = this.#actions.length - 1; i >= 0; i--) {
      const { taken, page, count, own } = this.#actions[i];
      this.#space.setWorking(page, count, !taken);
      if (taken) {
        this.#space.setBusy(page, count, false);
        this.#written.delete(page);
      } else if (own) {
        this.#space.setBusy(page, count, true);
        this.#written.set(page, count);
      } else if (this.#isWritten(page)) {
        this.#written.set(page, count);
      }
    }
    // Pages ready for reuse may have come from the part that is undone, and be free twice over if they stayed here.
    this.#ready = [];
    this.#deferred = [];
    this.#actions = [];
    this.#pageCount = this.#pageCountOfPart;
    this.#number = nextNumber(this.#number);
  }

  // Pages --------------------------------------------------------------------------------------------------------------

  take(fleeting = false): number {
    const page = this.#ready.pop() ?? this.#takeFrom(fleeting || this.#onlyFleeting ? this.#fleeting : this.#lasting);
    this.#noteTaken(page, 1);
    return page;
  }

  takeRun(count: number): number {
    if (count === 1) return this.take();
    const page = this.#space.reserveRun(count);
    try {
      this.#makeReady(page, count);
    } catch (error) {
      this.#space.setBusy(page, count, false);
      throw error;
    }
    this.#noteTaken(page, count);
    return page;
  }

  giveUp(page: number, count: number): void {
    const { view } = this.pages.windows[page >>> this.pages.windowShift];
    const transaction = pageTransaction(view, (page & this.pages.windowMask) << this.pages.pageShift);
    const own = transaction === this.#number;
    this.#space.setWorking(page, count, false);
    this.#actions.push({ taken: false, page, count, own });
    if (own) {
      this.#written.delete(page);
      if (count === 1) this.#ready.push(page);
      else this.#space.setBusy(page, count, false);
    } else if (this.#written.delete(page)) {
      this.#deferred.push({ page, count });
    }
  }

  /** Whether an earlier part of this transaction wrote the page. */
  #isWritten(page: number): boolean {
    const { view } = this.pages.windows[page >>> this.pages.windowShift];
    return pageTransaction(view, (page & this.pages.windowMask) << this.pages.pageShift) >= this.#firstNumber;
  }

  #noteTaken(page: number, count: number): void {
    this.#space.setWorking(page, count, true);
    this.#written.set(page, count);
    this.#actions.push({ taken: true, page, count, own: true });
    this.#pageCount = Math.max(this.#pageCount, page + count);
    this.#highest = Math.max(this.#highest, page + count - 1);
  }

  #takeFrom(batch: Batch): number {
    if (batch.count === 0) {
      const few = Math.min(batch.taken, BATCH_FEW);
      const wanted = Math.min(Math.max(batch.taken >> 2, few, batch.expected, 1), BATCH_MAX);
      const { page, count } =
        batch.expected > 0
          ? this.#space.reserveTogether(
              wanted,
              this.#highest + 1,
              Math.floor(this.#room.fileSize / this.pages.pageSize),
            )
          : this.#space.reserve(wanted);
      try {
        this.#makeReady(page, count);
      } catch (error) {
        this.#space.setBusy(page, count, false);
        throw error;
      }
      batch.page = page;
      batch.count = count;
      batch.expected = Math.max(0, batch.expected - count);
    }
    batch.taken++;
    batch.count--;
    return batch.page++;
  }

  /** Grows the file if need be, maps, and populates: a full disk is an error here and not a fault later. */
  #makeReady(page: number, count: number): void {
    const { pages } = this;
    this.#growTo((page + count) * pages.pageSize);
    pages.map(page + count);
    const window = pages.windows[page >>> pages.windowShift];
    try {
      this.#file.prepare(window, (page & pages.windowMask) << pages.pageShift, count * pages.pageSize);
    } catch (error) {
      this.#room.short = true;
      throw storeError(error, "making pages ready", OPEN_FILE_CODES);
    }
  }

  #growTo(size: number): void {
    const room = this.#room;
    if (size <= room.fileSize) return;
    const extent = Math.min(Math.floor(room.fileSize / 8), EXTENT_MAX);
    const wanted = Math.ceil(Math.max(size, room.fileSize + extent) / EXTENT_UNIT) * EXTENT_UNIT;
    try {
      this.#file.grow(wanted);
      room.fileSize = wanted;
      room.short = false;
    } catch {
      // Too little room for an extent may still be room for what is needed now.
      try {
        this.#file.grow(size);
        room.fileSize = size;
      } catch (error) {
        room.short = true;
        throw storeError(error, "growing the store", OPEN_FILE_CODES);
      }
    }
  }

  // Commit -------------------------------------------------------------------------------------------------------------

  /**
   * Writes the space map and tells what there is to commit: the snapshot that would be, and the runs of pages whose
   * checksums the commit job computes. Nothing may be taken or given up afterwards.
   */
  finish(catalog: CatalogRoot, userVersion: number, commitId: string): { snapshot: Snapshot; runs: Uint32Array } {
    const changed = this.#space.changed();
    const map = writeMap(this.pages, this.#space.newestMap, changed, this.#number, () => this.#takeForMap());
    let highest = this.#space.highestUsed(this.#highest);
    for (const page of map.index.ownPages) highest = Math.max(highest, page);
    const snapshot: Snapshot = {
      number: this.#number,
      commitId,
      catalogRoot: catalog.catalogRoot,
      catalogLevel: catalog.catalogLevel,
      catalogCount: catalog.catalogCount,
      mapRoot: map.root,
      mapLevel: map.level,
      pageCount: this.#pageCount,
      pageHighest: highest,
      pagesUsed: pagesUsed(this.pages, map.index),
      userVersion,
    };
    this.#space.remember(snapshot, map.index);
    this.snapshot = snapshot;
    const runs = new Uint32Array(this.#written.size * 2);
    let i = 0;
    for (const [page, count] of this.#written) {
      runs[i++] = page;
      runs[i++] = count;
    }
    return { snapshot, runs };
  }

  /** A page for the map itself: it is busy, but no bit of the working map. */
  #takeForMap(): number {
    const page = this.#ready.pop() ?? this.#takeFrom(this.#fleeting);
    this.#written.set(page, 1);
    this.#pageCount = Math.max(this.#pageCount, page + 1);
    return page;
  }

  /** The transaction has ended, and is only kept: lets go of what grew with it. */
  forget(): void {
    this.#written.clear();
    this.#ready = [];
    this.#deferred = [];
    this.#actions = [];
  }

  /** @throws StoreError IO if a store into the mapping was lost */
  checkFaults(): void {
    if (this.pages.faults[0] !== 0) throw faultError();
  }
}
