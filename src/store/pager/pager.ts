/**
 * The pager of one handle: pages, snapshots, transactions, commits. What is in the pages is the trees' business.
 *
 * The commit protocol, in order; no line may move (docs/DESIGN.md, invariants I1 to I13):
 *   1. writer lock                        one writer for the machine
 *   2. metas and newest compared          a commit left unpublished by a dead writer is settled first (I3)
 *   3. live set read, pages written       only pages free in every live snapshot (I5)
 *   4. commit job: flush 1, the older meta page, flush 2, publish, unlock
 */
import { assert, CorruptionError, StoreError } from "../../errors.ts";
import { LOCK_WRITER } from "../format/locks.ts";
import { blankMeta, encodeMeta, hex, type Layout, META_COPY } from "../format/meta.ts";
import type { Coordination } from "./coordination.ts";
import { FreeSpace } from "./free-space.ts";
import { readLiveSet } from "./live-set.ts";
import type { MappedPages } from "./mapped-pages.ts";
import { areStill, type Metas, metasAfter, readMapped, readMetas } from "./metas.ts";
import { type OpenOptions, openFile } from "./opening.ts";
import { LockPins, Readers, SlotPins } from "./readers.ts";
import { commitError, metasAreClean, retireOlder, settle } from "./settle.ts";
import type { CommitOutcome, CommitPlan, LockRange, LockWait, Storage, StoreFile } from "./storage.ts";
import { OPEN_FILE_CODES, readError, storeError } from "./system-errors.ts";
import { type CatalogRoot, PageTransaction, type Room } from "./transaction.ts";

/** Shared: an array literal in an object literal makes V8 copy the whole slowly. */
const NO_REWRITES: CommitPlan["rewrites"] = [];
const WRITER_RANGE: LockRange = { start: LOCK_WRITER, length: 1 };

/** A commit under way on the addon's thread. */
export interface PendingCommit {
  /** Rejects with the error of a commit that failed. */
  readonly done: Promise<void>;
  /** Waits for it on this thread. @throws the error of a commit that failed */
  wait(): void;
}

export class Pager {
  readonly path: string;
  readonly readOnly: boolean;
  readonly layout: Layout;
  readonly pages: MappedPages;
  readonly readers: Readers;
  /** The newer meta record was not whole when the store was opened. */
  readonly metaFallback: boolean;
  readonly #storage: Storage;
  readonly #file: StoreFile;
  readonly #coordination: Coordination | undefined;
  readonly #space: FreeSpace;
  readonly #checksumSeed: number;
  readonly #blankMeta: Uint8Array;
  readonly #room: Room = { short: false, fileSize: 0 };
  /** Metas as they were parsed last. */
  #parsed: Metas;
  /** Metas as read under the writer lock that is held now. */
  #metas: Metas | undefined;
  #closed = false;

  /** @throws StoreError and CorruptionError as `openFile` */
  constructor(storage: Storage, path: string, options: OpenOptions) {
    const { file, metas, pages, coordination } = openFile(storage, path, options);
    this.#storage = storage;
    this.#file = file;
    this.#coordination = coordination;
    this.path = path;
    this.readOnly = options.readOnly;
    this.layout = metas.layout;
    this.metaFallback = metas.older.record === undefined;
    this.#parsed = metas;
    this.pages = pages;
    this.#space = new FreeSpace(pages);
    this.#checksumSeed = storage.crc32c(Buffer.from(metas.layout.storeId, "hex"), 0, 16, 0);
    this.#blankMeta = blankMeta(metas.layout);
    this.readers =
      coordination === undefined
        ? new Readers(new LockPins(file, () => this.#readMetas()), pages)
        : new Readers(new SlotPins(coordination), pages);
    try {
      pages.map(1);
      if (coordination !== undefined) file.attach(coordination.file);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get storage(): Storage {
    return this.#storage;
  }

  /** CRC-32C of the store id: where page checksums start. */
  get checksumSeed(): number {
    return this.#checksumSeed;
  }

  /** Whether a mapped access of this handle was answered with zeros: nothing read since can be trusted. */
  get faulted(): boolean {
    return this.pages.faults[0] !== 0;
  }

  get poisoned(): boolean {
    return this.#coordination?.poisoned ?? false;
  }

  /** Both meta pages as they are in the mapping now; parsed only where they are not what was parsed last. */
  #readMetas(): Metas {
    const { bytes } = this.pages.windows[0];
    if (!areStill(bytes, this.#parsed)) {
      this.#parsed = readMetas(readMapped(bytes), this.#storage.crc32c, !this.readOnly);
    }
    return this.#parsed;
  }

  // The writer lock ----------------------------------------------------------------------------------------------------

  /** @throws StoreError LOCKED when the time is up, IO */
  lockWriter(timeout: number): void {
    if (!locking(() => this.#file.waitLock(WRITER_RANGE, timeout))) throw lockedError(this.path, timeout);
  }

  /** Whether the writer lock was free; it is held then. @throws StoreError IO */
  tryLockWriter(): boolean {
    return locking(() => this.#file.tryLock(WRITER_RANGE, "exclusive"));
  }

  /**
   * Waits on the addon's thread. `granted` resolves to false when the time is up: throw `lockedError` then. It rejects
   * with StoreError IO where the system can't lock.
   */
  waitForWriter(timeout: number): LockWait {
    const wait = locking(() => this.#file.waitLockAsync(WRITER_RANGE, timeout));
    const granted = wait.granted.catch((error) => {
      throw lockingError(error);
    });
    return { granted, cancel: () => wait.cancel() };
  }

  unlockWriter(): void {
    this.#metas = undefined;
    this.#file.unlock(WRITER_RANGE);
  }

  // Transactions -------------------------------------------------------------------------------------------------------

  /**
   * Begins a transaction; the writer lock is held, and released if this fails.
   * @throws StoreError POISONED, STORE_REPLACED, COORDINATION_LOST, IO
   * @throws CorruptionError
   */
  begin(): PageTransaction {
    return this.#unlockOnError(() => {
      try {
        return this.#begin();
      } catch (error) {
        throw readError(lockingError(error), this.pages);
      }
    });
  }

  #begin(): PageTransaction {
    const coordination = this.#coordination;
    assert(coordination !== undefined && !this.readOnly);
    this.#storage.hook?.("write: locked");
    coordination.checkWhole();
    if (coordination.poisoned) throw poisonedError();
    if (!this.#file.isNamed()) {
      throw new StoreError(
        "STORE_REPLACED",
        `${this.path} was deleted, renamed or replaced while it was open, or can't be looked up any more: open it again`,
      );
    }
    let metas = this.#readMetas();
    let newest = coordination.newestSnapshot();
    if (metas.newest.number > newest.number || !metasAreClean(metas)) {
      settle(this.#file, coordination, metas, this.pages.pageSize);
      metas = this.#readMetas();
      newest = metas.newest;
    }
    if (metas.newest.commitId !== newest.commitId) {
      throw new CorruptionError(
        0,
        `the meta record of commit ${newest.commitId}`,
        `that of commit ${metas.newest.commitId}`,
      );
    }
    if (this.#room.short && metas.previous?.commitId !== newest.commitId) {
      retireOlder(this.#file, coordination, metas, this.pages.pageSize);
      metas = this.#readMetas();
    }
    this.pages.reach(newest.pageCount);
    this.#metas = metas;
    this.#space.begin(readLiveSet(this.#storage, this.#file, coordination, newest, () => this.#readMetas()));
    const transaction = new PageTransaction(this.#file, this.pages, this.#space, newest, this.#room);
    transaction.checkFaults();
    return transaction;
  }

  /**
   * Ends a transaction with nothing committed and releases the writer lock: its pages are free in every map. Plain reads
   * are to see nothing older than what the transaction saw.
   */
  abort(): void {
    this.unlockWriter();
    this.readers.endTurn();
  }

  /**
   * Commits; the writer lock is released however it ends. After an error nothing was committed, unless the error says
   * that a flush failed: then nobody can know.
   */
  commitSync(transaction: PageTransaction, catalog: CatalogRoot, userVersion: number): void {
    const plan = (): CommitPlan => this.#prepare(transaction, catalog, userVersion);
    this.#ended(this.#unlockOnError(() => this.#file.commitSync(plan())));
  }

  /** The same on the addon's thread. Nothing of the transaction may be touched before it is done. */
  commit(transaction: PageTransaction, catalog: CatalogRoot, userVersion: number): PendingCommit {
    const plan = (): CommitPlan => this.#prepare(transaction, catalog, userVersion);
    const run = this.#unlockOnError(() => this.#file.commit(plan()));
    let ended: { error: unknown } | undefined;
    const end = (outcome: CommitOutcome): void => {
      if (ended === undefined) {
        ended = { error: undefined };
        try {
          this.#ended(outcome);
        } catch (error) {
          ended.error = error;
        }
      }
      if (ended.error !== undefined) throw ended.error;
    };
    return { done: run.done.then(end), wait: () => end(run.wait()) };
  }

  #unlockOnError<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      this.unlockWriter();
      throw error;
    }
  }

  #prepare(transaction: PageTransaction, catalog: CatalogRoot, userVersion: number): CommitPlan {
    const coordination = this.#coordination;
    const metas = this.#metas;
    assert(coordination !== undefined && metas !== undefined);
    const commitId = hex(this.#storage.random(16), 0, 16);
    const { snapshot, runs } = transaction.finish(catalog, userVersion, commitId);
    const meta = encodeMeta(this.#blankMeta, snapshot, this.#storage.crc32c);
    transaction.checkFaults();
    const publishIndex = coordination.addRecord(meta, snapshot);
    this.#storage.hook?.("write: pages written");
    // What the meta pages hold after the commit need not be parsed then, if they do hold it.
    this.#parsed = metasAfter(metas, meta, snapshot);
    return {
      pageSize: this.pages.pageSize,
      runs,
      checksumSeed: this.#checksumSeed,
      metaAt: metas.older.at,
      meta: meta.bytes,
      metaCopyAt: META_COPY,
      rewrites: NO_REWRITES,
      publishIndex,
      unlockWriter: true,
    };
  }

  #ended(outcome: CommitOutcome): void {
    this.#metas = undefined;
    if (outcome.result === "failed") throw commitError(outcome);
    this.readers.endTurn();
  }

  // Diagnosis and end --------------------------------------------------------------------------------------------------

  /** What a user may want to know of the machine side. */
  usage(): { fileSize: number; slotsHeld: number; snapshotsLive: number } {
    return { fileSize: this.#file.size(), ...(this.#coordination?.usage() ?? { slotsHeld: 0, snapshotsLive: 0 }) };
  }

  /** Whether reads are pinned by a slot of the coordination file. If not, every writer keeps all snapshots meanwhile. */
  get pinned(): boolean {
    return this.#coordination !== undefined;
  }

  /** Waits for a commit under way, lets every snapshot go, unmaps, closes. Twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.readers.close();
    this.#coordination?.close();
    this.#file.close();
    this.pages.forget();
    this.#space.forget();
  }
}

function locking<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw lockingError(error);
  }
}

function lockingError(error: unknown): unknown {
  return storeError(error, "locking the store", OPEN_FILE_CODES);
}

export function lockedError(path: string, timeout: number): StoreError {
  return new StoreError("LOCKED", `another writer had ${path} locked for longer than ${Math.round(timeout)} ms`);
}

export function poisonedError(): StoreError {
  return new StoreError(
    "POISONED",
    "a flush of this store has failed: nothing more is written until every handle has closed it; the next to open it recovers",
  );
}
