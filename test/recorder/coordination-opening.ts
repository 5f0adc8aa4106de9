/** One opening of a coordination file by a simulated process: the whole file as shared memory. */
import { assert } from "../../src/errors.ts";
import type { CoordinationFile, LockRange } from "../../src/store/pager/storage.ts";
import { BLOCK_SIZE } from "./disk.ts";
import type { LockMode } from "./locks.ts";
import type { SimulatedProcess } from "./process.ts";
import type { SimulatedFile } from "./simulated-file.ts";

export class CoordinationOpening implements CoordinationFile {
  readonly byteLength: number;
  readonly file: SimulatedFile;
  readonly path: string;
  readonly #process: SimulatedProcess;
  readonly #view: DataView;
  readonly #words: Int32Array;
  #closed = false;

  constructor(process: SimulatedProcess, file: SimulatedFile, path: string) {
    this.#process = process;
    this.file = file;
    this.path = path;
    this.byteLength = file.size;
    const memory = file.window(0, Math.max(1, Math.ceil(file.size / BLOCK_SIZE)) * BLOCK_SIZE);
    this.#view = new DataView(memory.buffer, 0, file.size);
    this.#words = new Int32Array(memory.buffer, 0, file.size >>> 2);
  }

  /** Getters, so that at least code that asks each time can't store anything for a dead process. */
  get view(): DataView {
    this.#process.check();
    return this.#view;
  }

  get words(): Int32Array {
    this.#process.check();
    return this.#words;
  }

  tryLock(range: LockRange, mode: LockMode): boolean {
    this.#enter();
    this.#process.mayFail("lock", this.path);
    assert(!this.file.locks.overlaps(this, range), "an opening does not lock what it has locked");
    return this.file.locks.tryLock(this, range, mode);
  }

  unlock(range: LockRange): void {
    this.#enter();
    assert(this.file.locks.holds(this, range), "a lock is given back as it was taken");
    this.file.locks.unlock(this, range);
  }

  lockedByOther(range: LockRange, mode: LockMode): number {
    this.#enter();
    assert(!this.file.locks.overlaps(this, range), "an opening does not ask about what it has locked");
    return this.file.locks.lockedByOther(this, range, mode);
  }

  close(): void {
    this.#process.check();
    this.release();
  }

  /** What close and death have in common. */
  release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.file.locks.releaseAll(this);
    this.#process.forget(this);
  }

  #enter(): void {
    this.#process.enter();
    assert(!this.#closed, "the coordination file is open");
  }
}
