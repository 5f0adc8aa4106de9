/** One opening of a store file by a simulated process: its locks, its fault flag, its commit in flight. */
import { Buffer } from "node:buffer";
import { assert } from "../../src/errors.ts";
import { LOCK_WAITING, LOCK_WRITER } from "../../src/store/format/locks.ts";
import type { Window } from "../../src/store/pager/pages.ts";
import type {
  CommitOutcome,
  CommitPlan,
  CommitRun,
  CoordinationFile,
  FileIdentity,
  LockRange,
  LockWait,
  StoreFile,
} from "../../src/store/pager/storage.ts";
import type { CommitSite } from "./commit-job.ts";
import { CommitJob } from "./commit-job.ts";
import { CoordinationOpening } from "./coordination-opening.ts";
import type { FlushTicket } from "./disk.ts";
import { systemError } from "./failures.ts";
import type { LockMode } from "./locks.ts";
import type { SimulatedProcess } from "./process.ts";
import type { SimulatedFile } from "./simulated-file.ts";

/** All files of the simulated machine lie on one device. */
const DEVICE = 1n;
const WAITING: LockRange = { start: LOCK_WAITING, length: 1 };

export class StoreOpening implements StoreFile {
  readonly path: string;
  readonly writable: boolean;
  readonly faults = new Int32Array(1);
  readonly file: SimulatedFile;
  readonly #process: SimulatedProcess;
  readonly #mapped = new Map<number, Window>();
  /** By the memory of the window: where in the file it begins. */
  readonly #starts = new Map<ArrayBufferLike, number>();
  #coordination: CoordinationOpening | undefined;
  #job: CommitJob | undefined;
  /** Whether this opening was the last to give back the writer lock: it lets those who wait go first. */
  #hadWriterLock = false;
  #closed = false;

  constructor(process: SimulatedProcess, file: SimulatedFile, path: string, writable: boolean) {
    this.#process = process;
    this.file = file;
    this.path = path;
    this.writable = writable;
  }

  /** Whether pages of the file are mapped by this opening, and so can't be dropped from the cache. */
  get maps(): boolean {
    return this.#mapped.size > 0;
  }

  /** Sets the fault word, as the guard does when an access to the mapping faulted. */
  fault(): void {
    Atomics.store(this.faults, 0, 1);
  }

  identity(): FileIdentity {
    this.#enter();
    return { device: DEVICE, inode: BigInt(this.file.inode) };
  }

  isNamed(): boolean {
    this.#enter();
    return this.#process.machine.find(this.path) === this.file;
  }

  size(): number {
    this.#enter();
    return this.file.size;
  }

  grow(size: number): void {
    this.#enter();
    assert(this.writable, "a file opened for reading only does not grow");
    this.#process.mayFail("grow", this.path);
    const more = size - this.file.size;
    if (more > this.#process.machine.diskFree()) throw systemError("ENOSPC", "grow", this.path);
    this.file.grow(size);
  }

  read(at: number, target: Uint8Array): number {
    this.#enter();
    this.#process.mayFail("read", this.path);
    return this.file.read(at, target);
  }

  mapWindow(index: number, windowSize: number, _writable: boolean): Window {
    this.#enter();
    assert(!this.#mapped.has(index), `window ${index} is mapped once`);
    this.#process.mayFail("map", this.path);
    const memory = this.file.window(index, windowSize);
    const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
    const window = { view, bytes: Buffer.from(memory.buffer, memory.byteOffset, memory.length) };
    this.#mapped.set(index, window);
    this.#starts.set(memory.buffer, index * windowSize);
    return window;
  }

  /** Whether a page was resident is up to the seed: its old content stays, or zeros replace it. */
  prepare(window: Window, at: number, length: number): void {
    this.#enter();
    this.#process.mayFail("prepare", this.path);
    const start = this.#starts.get(window.view.buffer);
    assert(start !== undefined, "the window belongs to this opening");
    const { machine } = this.#process;
    assert(
      start + at + length <= this.file.size,
      `pages inside the file: ${start + at} + ${length} of ${this.file.size}`,
    );
    if (machine.random.coin()) window.bytes.fill(0, at, at + length);
    this.file.populate(start + at, length);
  }

  flush(): void {
    this.#enter();
    const failure = this.#endFlush(this.#beginFlush());
    if (failure !== undefined) throw failure;
  }

  /** Pages that someone maps are not dropped. */
  dropCache(): void {
    this.#enter();
    const { machine } = this.#process;
    if (machine.openings(this.file).some((opening) => opening.maps)) return;
    this.file.forgetClean((count) => machine.random.below(count));
  }

  attach(coordination: CoordinationFile): void {
    this.#enter();
    assert(coordination instanceof CoordinationOpening, "a coordination file of the recorder");
    this.#coordination = coordination;
  }

  commitSync(plan: CommitPlan): CommitOutcome {
    return this.#startCommit(plan).wait();
  }

  commit(plan: CommitPlan): CommitRun {
    const job = this.#startCommit(plan);
    this.#process.machine.schedule(job, this.#process);
    return job;
  }

  tryLock(range: LockRange, mode: LockMode): boolean {
    this.#enter();
    this.#process.mayFail("lock", this.path);
    // Linux asks for a descriptor that may write before it grants an exclusive lock.
    if (mode === "exclusive" && !this.writable) throw systemError("EBADF", "lock", this.path);
    assert(isFair(range) || !this.file.locks.overlaps(this, range), "an opening does not lock what it has locked");
    return this.file.locks.tryLock(this, range, mode);
  }

  unlock(range: LockRange): void {
    this.#enter();
    if (range.start === LOCK_WRITER && this.file.locks.heldBy(this, LOCK_WRITER) === "exclusive") {
      this.#hadWriterLock = true;
    }
    assert(isFair(range) || this.file.locks.holds(this, range), "a lock is given back as it was taken");
    this.file.locks.unlock(this, range);
  }

  lockedByOther(range: LockRange, mode: LockMode): number {
    this.#enter();
    assert(!this.file.locks.overlaps(this, range), "an opening does not ask about what it has locked");
    return this.file.locks.lockedByOther(this, range, mode);
  }

  narrowLock(range: LockRange, byte: number): void {
    this.#enter();
    assert(this.file.locks.holds(this, range), "what is narrowed is held");
    this.file.locks.narrow(this, range, byte);
  }

  /**
   * In one thread nobody gives a lock back while this call waits, unless `onWait` of the process lets others run.
   * Of the time only this counts: 0 means not to wait at all.
   */
  waitLock(range: LockRange, timeoutMs: number): boolean {
    if (!this.#letsOthersFirst(range) && this.tryLock(range, "exclusive")) return true;
    if (range.start === LOCK_WRITER) this.tryLock(WAITING, "shared");
    let granted = false;
    let again = timeoutMs > 0;
    while (!granted && again) {
      again = this.#process.waited();
      granted = this.tryLock(range, "exclusive");
    }
    if (range.start === LOCK_WRITER) this.unlock(WAITING);
    return granted;
  }

  waitLockAsync(range: LockRange, timeoutMs: number): LockWait {
    this.#enter();
    const end = performance.now() + timeoutMs;
    let cancelled = false;
    let first = true;
    const attempt = (): boolean | undefined => {
      const yields = first && this.#letsOthersFirst(range);
      first = false;
      const over = cancelled || this.#closed;
      const granted = !over && !yields && this.tryLock(range, "exclusive");
      if (!this.#closed && range.start === LOCK_WRITER) {
        if (granted || over || performance.now() >= end) this.unlock(WAITING);
        else this.tryLock(WAITING, "shared");
      }
      return granted || (over || performance.now() >= end ? false : undefined);
    };
    return {
      granted: this.#poll(attempt),
      cancel: () => {
        cancelled = true;
      },
    };
  }

  close(): void {
    this.#process.check();
    if (this.#closed) return;
    if (this.#job !== undefined && this.#job.outcome === undefined) this.#job.wait();
    this.release();
  }

  /** What close and death have in common. */
  release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#mapped.clear();
    this.file.locks.releaseAll(this);
    this.#process.forget(this);
  }

  #enter(): void {
    this.#process.enter();
    assert(!this.#closed, "the store file is open");
  }

  /** Asks once a turn of the event loop. A dead process hears nothing any more: its promise stays pending. */
  #poll(attempt: () => boolean | undefined): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      const turn = (): void => {
        if (this.#process.killed) return;
        try {
          const answer = attempt();
          if (answer === undefined) setImmediate(turn);
          else resolve(answer);
        } catch (error) {
          if (!this.#process.killed) reject(error);
        }
      };
      turn();
    });
  }

  #letsOthersFirst(range: LockRange): boolean {
    if (range.start !== LOCK_WRITER || !this.#hadWriterLock) return false;
    this.#hadWriterLock = false;
    return this.file.locks.lockedByOther(this, WAITING, "exclusive") !== -1;
  }

  #startCommit(plan: CommitPlan): CommitJob {
    this.#enter();
    assert(
      this.#job === undefined || this.#job.outcome !== undefined,
      "one commit of an opening is in flight at a time",
    );
    const process = this.#process;
    this.#job = new CommitJob(this.#site(plan), plan, {
      check: () => process.check(),
      paused: (pause) => process.paused(pause),
      waited: () => process.waited(),
      ended: (job) => process.machine.ended(job),
    });
    return this.#job;
  }

  #site(plan: CommitPlan): CommitSite {
    const coordination = this.#coordination;
    assert(coordination !== undefined, "a coordination file is attached");
    assert(plan.runs.length % 2 === 0, "runs are pairs");
    return {
      file: this.file,
      words: coordination.words,
      mutants: this.#process.mutants,
      faulted: () => Atomics.load(this.faults, 0) !== 0,
      tryLock: (range) => this.tryLock(range, "exclusive"),
      unlock: (range) => this.unlock(range),
      populate: () => this.#process.failures.take("populate", this.path),
      beginFlush: () => this.#beginFlush(),
      endFlush: (ticket) => this.#endFlush(ticket),
    };
  }

  #beginFlush(): FlushTicket | undefined {
    const { machine } = this.#process;
    machine.observeAll();
    this.file.endDeclarations();
    return this.file.disk?.beginFlush();
  }

  #endFlush(ticket: FlushTicket | undefined): Error | undefined {
    const { machine } = this.#process;
    machine.observeAll();
    const failure = this.#process.failures.take("flush", this.path);
    if (ticket === undefined) return failure;
    if (failure === undefined) this.file.disk?.endFlush(ticket);
    else this.file.disk?.failFlush(ticket, machine.options.failedFlush ?? "old");
    return failure;
  }
}

/** The addon itself keeps account of who in this opening has the writer lock, and who waits for it. */
function isFair(range: LockRange): boolean {
  return range.start === LOCK_WRITER || range.start === LOCK_WAITING;
}
