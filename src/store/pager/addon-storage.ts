/**
 * The storage of real files: the addon's functions, and the decisions between them (what to do where a file system lacks
 * a call, in which order a file is built and named).
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { assert, SystemError } from "../../errors.ts";
import { type Addon, loadAddon, type NativeFile } from "../../mapping/addon.ts";
import { COORDINATION_DURABLE, COORDINATION_NEWEST, COORDINATION_POISON } from "../format/coordination.ts";
import { LOCK_FLUSH, LOCK_WAITING, LOCK_WRITER } from "../format/locks.ts";
import type { Window } from "./pages.ts";
import type {
  CommitOutcome,
  CommitPlan,
  CommitRun,
  CoordinationFile,
  FileIdentity,
  Lockable,
  LockRange,
  LockWait,
  Storage,
  StoreFile,
} from "./storage.ts";

/** Zeros are written in blocks of this size where blocks can't be allocated. */
const ZEROS_SIZE = 1024 * 1024;
/** How long a synchronous wait stays in native code: only between calls can it be interrupted (worker.terminate()). */
const WAIT_SLICE_MS = 20;
/** How long a wait for any other lock than the writer's sleeps between two tries. */
const WAIT_POLL_MS = 1;
/** No coordination file is as large; the addon maps no more in one piece. */
const COORDINATION_SIZE_MAX = 2 ** 30;
/** What an opening of something that can't be a coordination file fails with. */
const NOT_A_COORDINATION_FILE: ReadonlySet<string> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "EINVAL",
  "ELOOP",
  "ENXIO",
  "ENODEV",
]);

/** The storage of this machine's files. @throws StoreError ADDON */
export function addonStorage(): Storage {
  return new AddonStorage(loadAddon());
}

class AddonStorage implements Storage {
  readonly hook = undefined;
  readonly crc32c: Storage["crc32c"];
  readonly bootId: Storage["bootId"];
  readonly #addon: Addon;

  constructor(addon: Addon) {
    this.#addon = addon;
    // Taken as they are, so that a checksum costs one call and can be handed around.
    this.crc32c = addon.crc32c;
    this.bootId = addon.bootId;
  }

  random(length: number): Uint8Array {
    return new Uint8Array(randomBytes(length));
  }

  openFile(path: string, access: "readwrite" | "readonly"): StoreFile {
    const lockBytes = [LOCK_WRITER, LOCK_FLUSH, LOCK_WAITING] as const;
    return new AddonStoreFile(path, this.#addon.openFile(path, access === "readwrite", true, lockBytes));
  }

  createFile(
    path: string,
    mode: number,
    size: number,
    content: readonly { readonly at: number; readonly bytes: Uint8Array }[],
  ): boolean {
    const directory = dirname(path);
    const build = (file: NativeFile): void => {
      lengthen(file, 0, size);
      for (const { at, bytes } of content) file.write(at, bytes);
      // Before it has a name: whoever finds the name finds the whole file, after a power loss, too.
      file.flush();
    };
    const created = this.#createUnnamed(path, mode, directory, build) ?? this.#createNamed(path, mode, build);
    if (created) this.#addon.flushDirectory(directory);
    return created;
  }

  /** Undefined where there are no files without names, or none that can be given one. */
  #createUnnamed(
    path: string,
    mode: number,
    directory: string,
    build: (file: NativeFile) => void,
  ): boolean | undefined {
    const file = this.#addon.createUnnamed(directory, mode);
    if (file === undefined) return undefined;
    try {
      build(file);
      return unlessExisting(() => file.link(path));
    } catch (error) {
      // Without /proc there is no way to name it.
      if (isSystemError(error, "ENOENT", "EOPNOTSUPP", "ENOTSUP") && error.syscall === "link") return undefined;
      throw error;
    } finally {
      file.close();
    }
  }

  #createNamed(path: string, mode: number, build: (file: NativeFile) => void): boolean {
    const beside = temporaryName(path);
    const file = this.#addon.createNamed(beside, mode);
    let renamed = false;
    try {
      build(file);
      return unlessExisting(() => {
        try {
          this.#addon.linkName(beside, path);
        } catch (error) {
          // File systems without hard links (FAT, some network ones) can at least rename without replacing.
          if (!isSystemError(error, "EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK")) throw error;
          this.#addon.renameNoReplace(beside, path);
          renamed = true;
        }
      });
    } finally {
      file.close();
      if (!renamed) this.#addon.removeName(beside);
    }
  }

  openCoordination(path: string, sizeMin: number): CoordinationFile | undefined {
    let file: NativeFile;
    try {
      // Never through a symbolic link: the name may lie in a directory others can write.
      file = this.#addon.openFile(path, true, false, undefined);
    } catch (error) {
      if (error instanceof SystemError && NOT_A_COORDINATION_FILE.has(error.code)) return undefined;
      throw error;
    }
    try {
      const size = file.size();
      if (size >= Math.max(sizeMin, 1) && size <= COORDINATION_SIZE_MAX) return new AddonCoordinationFile(file, size);
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    return undefined;
  }

  createCoordination(path: string, size: number, mode: number, fill: (view: DataView) => void): CoordinationFile {
    const beside = temporaryName(path);
    const file = this.#addon.createNamed(beside, mode);
    let renamed = false;
    try {
      // Allocated, not a hole: a full disk is an error here and no fault in a reader later.
      lengthen(file, 0, size);
      const coordination = new AddonCoordinationFile(file, size);
      fill(coordination.view);
      this.#addon.renameOver(beside, path);
      renamed = true;
      return coordination;
    } finally {
      if (!renamed) {
        file.close();
        this.#addon.removeName(beside);
      }
    }
  }
}

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

class AddonWindow implements Window {
  readonly view: DataView;
  readonly bytes: Buffer;
  readonly index: number;

  constructor(memory: ArrayBuffer, index: number) {
    this.view = new DataView(memory);
    this.bytes = Buffer.from(memory);
    this.index = index;
  }
}

class AddonStoreFile extends AddonLocks implements StoreFile {
  readonly path: string;
  readonly writable: boolean;
  readonly faults: Int32Array;
  readonly #windows: (AddonWindow | undefined)[] = [];
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

  mapWindow(index: number, windowSize: number, writable: boolean): Window {
    const window = this.#windows[index] ?? new AddonWindow(this.native.map(index, windowSize, writable), index);
    this.#windows[index] = window;
    return window;
  }

  prepare(window: Window, at: number, length: number): void {
    assert(window instanceof AddonWindow, "a window of this storage");
    this.native.prepare(window.index, at, length);
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
    return this.native.commitSync(plan);
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
    native.commit(plan, (outcome) => {
      this.#outcome ??= outcome;
      settle(this.#outcome);
    });
  }

  wait(): CommitOutcome {
    // Before the next job is started somebody has waited for this one, so that "the last job" is this one.
    this.#outcome ??= this.#native.waitCommit();
    return this.#outcome;
  }
}

class AddonCoordinationFile extends AddonLocks implements CoordinationFile {
  readonly view: DataView;
  readonly words: Int32Array;
  readonly byteLength: number;

  constructor(native: NativeFile, size: number) {
    super(native);
    const memory = native.map(0, size, true);
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
function lengthen(file: NativeFile, before: number, size: number): void {
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

/** False if `call` fails because the name exists. */
function unlessExisting(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false;
    throw error;
  }
}

function isSystemError(error: unknown, ...codes: string[]): error is SystemError {
  return error instanceof SystemError && codes.includes(error.code);
}

function temporaryName(path: string): string {
  return `${path}.${randomBytes(6).toString("hex")}.new`;
}

const sleepWord = new Int32Array(new SharedArrayBuffer(4));

function sleep(milliseconds: number): void {
  Atomics.wait(sleepWord, 0, 0, milliseconds);
}
