/**
 * The one interface the pager stands on: what it asks of the machine. Two implementations: the addon
 * (`addon-storage.ts`) and the recorder of the tests, which keeps every version a page ever had, so that power losses
 * and interleavings can be tried out under the unchanged engine.
 *
 * Errors of the system come as `SystemError` with the system's code ("ENOENT", "ENOSPC", "EIO", "EACCES", "EROFS", "EISDIR" …).
 */
import type { Window } from "./pages.ts";

/** Which file an opening has hold of: equal exactly when it is the same file on the same device. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** A range of lock bytes. `start` is relative to `LOCK_BASE` (2^62), far beyond the end of any file. */
export interface LockRange {
  readonly start: number;
  readonly length: number;
}

/** Anything with byte-range locks that belong to this one opening of the file and die with it (OFD locks). */
export interface Lockable {
  /** Takes the lock, or returns false at once. What this opening has locked it does not lock again. @throws SystemError */
  tryLock(range: LockRange, mode: "shared" | "exclusive"): boolean;
  /** Gives a lock back, by the range it was taken with. */
  unlock(range: LockRange): void;
  /**
   * Start (relative to LOCK_BASE) of a lock another opening holds inside `range` that would refuse `mode`, or -1. Not to be
   * asked about bytes that this opening has locked itself: Windows can't tell those from others'.
   */
  lockedByOther(range: LockRange, mode: "shared" | "exclusive"): number;
}

/** The commit's one native job. Every array belongs to the job until it is done. */
export interface CommitPlan {
  /** Bytes of a page: the unit of `runs`. */
  readonly pageSize: number;
  /** Pairs (first page, page count): runs of new pages; each gets its checksum (bytes 4 to the run's end) at byte 0 before flush 1. */
  readonly runs: Uint32Array;
  /** CRC-32C of the store id: the seed of page checksums. */
  readonly checksumSeed: number;
  /** Byte offset in the file of the older meta page. */
  readonly metaAt: number;
  /** The record; it is stored at `metaAt` and again at `metaAt + META_COPY`. Its checksum stands already. */
  readonly meta: Uint8Array;
  /** Byte offset of the second copy relative to the first. */
  readonly metaCopyAt: number;
  /**
   * Also store the bytes of the *other* meta page again before flush 1 (adoption, or repair of a slot whose two copies
   * differ). Pairs of (file offset, record): each is stored at its offset and its copy's. Usually empty.
   */
  readonly rewrites: readonly { readonly at: number; readonly record: Uint8Array }[];
  /** Index of the record in the live list that becomes the newest (and durable) on success. */
  readonly publishIndex: number;
  /** Whether the writer lock is released at the end, whatever the outcome. */
  readonly unlockWriter: boolean;
}

/** How a commit job ended. On "failed", nothing was published. `poisoned`: the job set the poison word, before anything else. */
export type CommitOutcome =
  | { readonly result: "committed" }
  | {
      readonly result: "failed";
      readonly step:
        | "flush lock"
        | "fault before flush 1"
        | "flush 1"
        | "fault before meta"
        | "flush 2"
        | "fault after flush 2";
      readonly poisoned: boolean;
      readonly cause: Error | undefined;
    };

/** A commit job under way on a thread of the addon's own. */
export interface CommitRun {
  /** Settles in a turn of the event loop after the job is done. Never rejects. */
  readonly done: Promise<CommitOutcome>;
  /** Waits for the job on this thread. May be called after `done` has settled, too. */
  wait(): CommitOutcome;
}

/** Asynchronous waiting for the writer lock, on a thread of the addon's own. */
export interface LockWait {
  /**
   * True: granted and held for this handle. False: the time was up, or `cancel` was called. A grant that the event loop
   * doesn't pick up within a short while is given back and waited for again, so a busy event loop never holds the lock.
   */
  readonly granted: Promise<boolean>;
  cancel(): void;
}

/** One opening of a store file. */
export interface StoreFile extends Lockable {
  readonly path: string;
  /** Whether the descriptor may write. The windows of a handle opened read-only are mapped read-only in either case. */
  readonly writable: boolean;
  /** Word 0 becomes non-zero when a mapped access faulted. One array for the life of the file. */
  readonly faults: Int32Array;
  identity(): FileIdentity;
  /** Whether `path` still names this very file. */
  isNamed(): boolean;
  /** Bytes, from fstat. */
  size(): number;
  /** Grows the file to `size` bytes with allocated blocks; never a hole, never smaller. @throws SystemError ENOSPC, EDQUOT, EFBIG, EIO */
  grow(size: number): void;
  /** Reads at a byte offset past all mappings; returns how many bytes there were. */
  read(at: number, target: Uint8Array): number;
  /**
   * Maps the first `length` bytes of window `index`, or more: of bytes `index * windowSize …` of the file. Called again
   * with a greater length, it maps a longer view of the same bytes; the shorter one stays valid until the file is closed,
   * and both are coherent. One call that asks for no more than there is returns the window there is.
   */
  mapWindow(index: number, windowSize: number, writable: boolean, length?: number): Window;
  /**
   * Makes bytes of a window ready for stores: pages not resident are overwritten with zeros, all are populated.
   * The old content is of no use any more. @throws SystemError ENOSPC, EIO: a full disk is an error here, not a fault later
   */
  prepare(window: Window, at: number, length: number): void;
  /** Makes durable whatever was stored in the file, sizes included. @throws SystemError */
  flush(): void;
  /** Forgets the system's cached pages of the file that are clean, so that the next read comes from the device. */
  dropCache(): void;
  /** Ties the file to its coordination file for commits (poison, publish). */
  attach(coordination: CoordinationFile): void;
  /** Runs the job on this thread. */
  commitSync(plan: CommitPlan): CommitOutcome;
  commit(plan: CommitPlan): CommitRun;
  /** Turns the exclusive lock of `range` into a shared one of one byte of it, without a moment between. */
  narrowLock(range: LockRange, byte: number): void;
  /** Waits on this thread, at most `timeoutMs`, for an exclusive lock. Fair to other waiters (see WAITING_LOCK). */
  waitLock(range: LockRange, timeoutMs: number): boolean;
  waitLockAsync(range: LockRange, timeoutMs: number): LockWait;
  /**
   * Detaches and unmaps every window, releases every lock, closes. Waits for a job under way, but not for the flush lock
   * with it: such a job fails. Twice is fine.
   */
  close(): void;
}

/** One opening of a coordination file, mapped whole and shared. Memory only: never flushed. */
export interface CoordinationFile extends Lockable {
  readonly view: DataView;
  /** The same memory, for `Atomics`. */
  readonly words: Int32Array;
  readonly byteLength: number;
  close(): void;
}

/** The machine: opens files. */
export interface Storage {
  /** @throws SystemError ENOENT, EISDIR, EACCES, EROFS … `access` "readonly" opens for reading and writing where permitted. */
  openFile(path: string, access: "readwrite" | "readonly"): StoreFile;
  /** The absolute path of a file, symbolic links followed; where there is no file yet, of the place it would have. */
  resolvePath(path: string): string;
  /**
   * Creates the file whole or not at all: `content` at its offsets, `size` bytes allocated, flushed, then linked into
   * place without replacing, directory flushed. False: the name exists already. @throws SystemError
   */
  createFile(path: string, mode: number, size: number, content: readonly { at: number; bytes: Uint8Array }[]): boolean;
  /** Makes the name of a file durable, by flushing the directory it is in. @throws SystemError EACCES, EIO */
  flushName(path: string): void;
  /** Opens and maps an existing coordination file; undefined where there is none, or it is shorter than `sizeMin`, or no regular file. */
  openCoordination(path: string, sizeMin: number): CoordinationFile | undefined;
  /** Builds a coordination file of `size` zero bytes beside `path`, lets `fill` write its content, renames it over `path`. */
  createCoordination(path: string, size: number, mode: number, fill: (view: DataView) => void): CoordinationFile;
  /** Differs between boots of the machine. 16 bytes. */
  bootId(): Uint8Array;
  /** CRC-32C of `bytes[from, to)`, continued from `seed` (0 to start: `crc32c(b, 0, n, crc32c(a, 0, m, 0))` is that of a then b). */
  crc32c(bytes: Uint8Array, from: number, to: number, seed: number): number;
  /** `length` random bytes, for ids. */
  random(length: number): Uint8Array;
  /**
   * Called at named steps of the protocol. The addon's storage has none; the recorder's lets tests act between two
   * steps, as another process would, or end this one by throwing.
   */
  readonly hook: ((step: StepName) => void) | undefined;
}

/** The named steps, in the order they occur. */
export type StepName =
  | "pin: record read"
  | "pin: slot stored"
  | "pin: settled"
  | "write: locked"
  | "write: slots read"
  | "write: metas read"
  | "write: pages written"
  | "commit: flush lock taken"
  | "commit: flushed 1"
  | "commit: meta written"
  | "commit: flushed 2"
  | "commit: published"
  | "commit: unlocked"
  | "open: presence taken"
  | "open: coordination ready";
