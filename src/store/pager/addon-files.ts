/**
 * Real files that are open: a store file with its windows, commits and locks, and a coordination file.
 */
import { Buffer } from "node:buffer";
import { assert, SystemError } from "../../errors.ts";
import type { NativeCommitOutcome, NativeCommitPlan, NativeFile } from "../../mapping/addon.ts";
import { COORDINATION_DURABLE, COORDINATION_NEWEST, COORDINATION_POISON } from "../format/coordination.ts";
import { LOCK_WRITER } from "../format/locks.ts";
import { Window } from "./pages.ts";
import type {
  CommitOutcome,
  CommitPlan,
  CommitRun,
  CoordinationFile,
  FileIdentity,
  Lockable,
  LockRange,
  LockWait,
  StoreFile,
} from "./storage.ts";

/** Zeros are written in blocks of this size where blocks can't be allocated. */
const ZEROS_SIZE = 1024 * 1024;
/** How long a synchronous wait stays in native code: only between calls can it be interrupted (worker.terminate()). */
const WAIT_SLICE_MS = 20;
/** How long a wait for any other lock than the writer's sleeps between two tries. */
const WAIT_POLL_MS = 1;

/** The locks of one opening. */
class AddonLocks implements Lockable {
  protected readonly native: NativeFile;

  constructor(native: NativeFile) {
    this.native = native;
  }

  tryLock(range: LockRange, mode: "shared" | "exclusive"): boolean {
    return this.native.lock(range.start, range.length, mode === "exclusive");
  }

  unlock(range: LockRange): void {
    this.native.unlock(range.start, range.length);
  }

  lockedByOther(range: LockRange, mode: "shared" | "exclusive"): number {
    return this.native.lockedByOther(range.start, range.length, mode === "exclusive");
  }

  close(): void {
    this.native.close();
  }
}

const COMMITTED: CommitOutcome = { result: "committed" };

export class AddonStoreFile extends AddonLocks implements StoreFile {
  readonly path: string;
  readonly writable: boolean;
  readonly faults: Int32Array;
  /** The newest view of each window that was mapped. */
  readonly #windows: (Window | undefined)[] = [];
  /** The newest asynchronous commit, until its outcome is known. */
  #run: AddonCommitRun | undefined;
  /** Whether a wait was begun that has neither ended nor been cancelled. */
  #waiting = false;

  constructor(path: string, native: NativeFile) {
    super(native);
    this.path = path;
    this.writable = native.writable;
    this.faults = native.faults;
  }

  identity(): FileIdentity {
    return { device: this.native.device, inode: this.native.inode };
  }

  isNamed(): boolean {
    return this.native.isNamed();
  }

  size(): number {
    return this.native.size();
  }

  grow(size: number): void {
    const before = this.native.size();
    if (size > before) lengthen(this.native, before, size);
  }

  read(at: number, target: Uint8Array): number {
    return this.native.read(at, target);
  }

  mapWindow(index: number, windowSize: number, writable: boolean, length: number = windowSize): Window {
    const mapped = this.#windows[index];
    if (mapped !== undefined && mapped.bytes.length >= length) return mapped;
    const window = new Window(Buffer.from(this.native.map(index, windowSize, writable, length)));
    this.#windows[index] = window;
    return window;
  }

  prepare(window: Window, at: number, length: number): void {
    const index = this.#windows.indexOf(window);
    assert(index >= 0, "a window of this file");
    this.native.prepare(index, at, length);
  }

  flush(): void {
    this.native.flush();
  }

  dropCache(): void {
    this.native.dropCache();
  }

  attach(coordination: CoordinationFile): void {
    assert(coordination instanceof AddonCoordinationFile, "a coordination file of this storage");
    coordination.attachTo(this.native);
  }

  commitSync(plan: CommitPlan): CommitOutcome {
    this.#run?.wait();
    return this.native.commitSync(...byPosition(plan)) ?? COMMITTED;
  }

  commit(plan: CommitPlan): CommitRun {
    // One at a time; the outcome of the one before is kept for whoever asks.
    this.#run?.wait();
    const run = new AddonCommitRun(this.native, plan);
    this.#run = run;
    run.done.then(() => {
      if (this.#run === run) this.#run = undefined;
    });
    return run;
  }

  narrowLock(range: LockRange, byte: number): void {
    this.native.narrowLock(range.start, range.length, byte);
  }

  waitLock(range: LockRange, timeoutMs: number): boolean {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const left = Math.max(0, deadline - performance.now());
      const slice = Math.min(left, WAIT_SLICE_MS);
      if (isWriterLock(range)) {
        if (this.native.waitLock(slice)) return true;
      } else {
        if (this.tryLock(range, "exclusive")) return true;
        sleep(Math.min(slice, WAIT_POLL_MS));
      }
      if (left <= slice) return false;
    }
  }

  waitLockAsync(range: LockRange, timeoutMs: number): LockWait {
    assert(isWriterLock(range), "only the writer lock is waited for asynchronously");
    // They are served one after the other: a second would not see its time pass.
    assert(!this.#waiting, "one wait at a time");
    let ended = false;
    const end = (): void => {
      if (!ended) this.#waiting = false;
      ended = true;
    };
    let settle: (error: SystemError | undefined, granted: boolean) => void = () => {};
    const granted = new Promise<boolean>((resolve, reject) => {
      settle = (error, isGranted) => (error === undefined ? resolve(isGranted) : reject(error));
    });
    const wait = this.native.waitLockAsync(timeoutMs, (error, isGranted) => {
      end();
      settle(error, isGranted);
    });
    this.#waiting = true;
    const cancel = (): void => {
      end();
      this.native.cancelWait(wait);
    };
    return { granted, cancel };
  }

  override close(): void {
    // Ends the job's wait for the flush lock, and returns when the job is done.
    super.close();
    this.#windows.length = 0;
  }
}

/** A plan as the addon takes it. */
function byPosition(plan: CommitPlan): NativeCommitPlan {
  return [
    plan.pageSize,
    plan.runs,
    plan.checksumSeed,
    plan.metaAt,
    plan.meta,
    plan.metaCopyAt,
    plan.rewrites,
    plan.publishIndex,
    plan.unlockWriter,
  ];
}

class AddonCommitRun implements CommitRun {
  readonly done: Promise<CommitOutcome>;
  readonly #native: NativeFile;
  #outcome: CommitOutcome | undefined;

  constructor(native: NativeFile, plan: CommitPlan) {
    this.#native = native;
    let settle: (outcome: CommitOutcome) => void = () => {};
    this.done = new Promise((resolve) => {
      settle = resolve;
    });
    // Not inside the promise's executor: a job that can't be started is this call's exception, not a promise's.
    const ended = (outcome: NativeCommitOutcome): void => {
      this.#outcome ??= outcome ?? COMMITTED;
      settle(this.#outcome);
    };
    native.commit(ended, ...byPosition(plan));
  }

  wait(): CommitOutcome {
    // Before the next job is started somebody has waited for this one, so that "the last job" is this one.
    this.#outcome ??= this.#native.waitCommit() ?? COMMITTED;
    return this.#outcome;
  }
}

export class AddonCoordinationFile extends AddonLocks implements CoordinationFile {
  readonly view: DataView;
  readonly words: Int32Array;
  readonly byteLength: number;

  constructor(native: NativeFile, size: number) {
    super(native);
    const memory = native.map(0, size, true, size);
    this.view = new DataView(memory);
    this.words = new Int32Array(memory, 0, size >>> 2);
    this.byteLength = size;
  }

  /** Lets the commits of a store file set and publish in this one. */
  attachTo(storeFile: NativeFile): void {
    storeFile.attach(this.native, COORDINATION_POISON, COORDINATION_DURABLE, COORDINATION_NEWEST);
  }
}

function isWriterLock(range: LockRange): boolean {
  return range.start === LOCK_WRITER && range.length === 1;
}

/** Lengthens a file of `before` bytes to `size` with allocated blocks, or leaves it as it was. */
export function lengthen(file: NativeFile, before: number, size: number): void {
  try {
    try {
      file.allocate(before, size);
    } catch (error) {
      if (!isSystemError(error, "EOPNOTSUPP", "ENOTSUP", "ENOSYS")) throw error;
      // Zeros take blocks like any content. (A store into a hole of a full disk would be a fault.)
      const zeros = new Uint8Array(Math.min(ZEROS_SIZE, size - before));
      for (let at = before; at < size; at += zeros.length) file.write(at, zeros.subarray(0, size - at));
    }
  } catch (error) {
    // What was added is ours alone: the size changes only under the writer lock.
    if (file.size() > before) file.setSize(before);
    throw error;
  }
}

export function isSystemError(error: unknown, ...codes: string[]): error is SystemError {
  return error instanceof SystemError && codes.includes(error.code);
}

const sleepWord = new Int32Array(new SharedArrayBuffer(4));

function sleep(milliseconds: number): void {
  Atomics.wait(sleepWord, 0, 0, milliseconds);
}
