/**
 * A simulated process: the machine as one process sees it, and the means of a test to watch it, to make its calls fail,
 * and to kill it.
 *
 * Death: `kill` releases the locks of every opening, stops the commit in flight where it is, and leaves memory as it
 * was. From then on every call throws `Killed`, so that the engine's own cleanup can't unlock or publish anything. What
 * JavaScript can't forbid is a plain store into shared memory by a `finally` of the dead process; `run` takes such stores
 * back, so kill from within `run` wherever the engine is on the stack.
 */
import { assert } from "../../src/errors.ts";
import type { CoordinationFile, StepName, Storage, StoreFile } from "../../src/store/pager/storage.ts";
import type { CommitMutant, CommitPause } from "./commit-job.ts";
import { CoordinationOpening } from "./coordination-opening.ts";
import { crc32c } from "./crc32c.ts";
import type { FallibleCall } from "./failures.ts";
import { Failures, systemError } from "./failures.ts";
import { Killed } from "./killed.ts";
import type { Machine, MemoryCopy } from "./machine.ts";
import { contentOf } from "./simulated-file.ts";
import { StoreOpening } from "./store-opening.ts";

/** How a body ended that may have been killed. */
export type RunResult<T> = { readonly killed: false; readonly value: T } | { readonly killed: true };

type Hook = (step: StepName) => void;

export class SimulatedProcess implements Storage {
  readonly name: string;
  readonly machine: Machine;
  readonly failures = new Failures();
  /** Bugs of this process's commit jobs. */
  readonly mutants = new Set<CommitMutant>();
  /** Called at every pause of a commit job, finer than the named steps of the protocol. May kill. */
  onPause: ((pause: CommitPause) => void) | undefined;
  /**
   * Called when a lock this thread waits for is not free, so that the test can run other processes. Returns whether
   * to call it again if the lock is still not free.
   */
  onWait: (() => boolean) | undefined;
  /** False: the process may not write here (another user, a read-only mount). Set it before anything is opened. */
  mayWrite = true;
  #hook: Hook | undefined;
  #killed = false;
  readonly #openings = new Set<StoreOpening | CoordinationOpening>();
  /** Bodies of `run` on the stack. */
  #depth = 0;
  /** Memory as it was when the first call after the kill came back to the body. */
  #atDeath: MemoryCopy | undefined;
  /** What a hook threw that is no kill: a failed expectation, most likely. */
  #complaint: { readonly error: unknown } | undefined;
  readonly #step: Hook = (step) => {
    this.enter();
    this.#ask(() => this.#hook?.(step));
  };

  constructor(machine: Machine, name: string) {
    this.machine = machine;
    this.name = name;
  }

  /** What the engine calls at its steps: it looks at memory, then calls the test's hook, which may kill. */
  get hook(): Hook {
    return this.#step;
  }

  set hook(hook: Hook | undefined) {
    this.#hook = hook;
  }

  get killed(): boolean {
    return this.#killed;
  }

  /** The store files this process has open. */
  get storeFiles(): StoreOpening[] {
    return [...this.#openings].filter((opening) => opening instanceof StoreOpening);
  }

  /** Ends the process as `kill -9` does. Twice is fine. */
  kill(): void {
    if (this.#killed) return;
    this.machine.observe();
    this.#killed = true;
    for (const opening of [...this.#openings]) opening.release();
    this.machine.stopped(this);
  }

  /** Kills the process and ends what it is doing: for hooks, `() => process.die()`. */
  die(): never {
    this.kill();
    this.check();
    throw new Killed(this.name);
  }

  /**
   * Runs a synchronous body of this process that may get killed in it. Whatever the body stored, returned or threw
   * after its death never happened.
   */
  run<T>(body: () => T): RunResult<T> {
    this.check();
    this.#depth++;
    try {
      const value = body();
      if (this.#killed) return this.#died(undefined);
      this.#complaint = undefined;
      return { killed: false, value };
    } catch (error) {
      return this.#died(error);
    } finally {
      this.#depth--;
      this.#bury();
    }
  }

  /**
   * As `run`. Between the kill and the end of the body other processes may have gone on (the body awaited something):
   * then nothing is taken back.
   */
  async runAsync<T>(body: () => Promise<T>): Promise<RunResult<T>> {
    this.check();
    this.#depth++;
    try {
      const value = await body();
      if (this.#killed) return this.#died(undefined);
      this.#complaint = undefined;
      return { killed: false, value };
    } catch (error) {
      return this.#died(error);
    } finally {
      this.#depth--;
      this.#bury();
    }
  }

  /**
   * Lets the timers and promises of a dead process run out, and takes back what they stored: an engine that was killed
   * between two calls still has an end of its turn to come, which would clear a reader slot.
   */
  async buried(): Promise<void> {
    assert(this.#killed, "only the dead are buried");
    const copy = this.machine.copyMemory();
    await new Promise((resolve) => setImmediate(resolve));
    this.machine.putBack(copy);
  }

  /** There are no links and no working folder. */
  resolvePath(path: string): string {
    return path;
  }

  openFile(path: string, access: "readwrite" | "readonly"): StoreFile {
    this.enter();
    this.mayFail("open", path);
    const file = this.machine.find(path);
    if (file === undefined) throw systemError("ENOENT", "open", path);
    if (access === "readwrite" && !this.mayWrite) throw systemError("EACCES", "open", path);
    const opening = new StoreOpening(this, file, path, this.mayWrite);
    this.#openings.add(opening);
    return opening;
  }

  createFile(
    path: string,
    _mode: number,
    size: number,
    content: readonly { at: number; bytes: Uint8Array }[],
  ): boolean {
    this.enter();
    this.mayFail("create", path);
    if (!this.mayWrite) throw systemError("EACCES", "create", path);
    if (this.machine.find(path) !== undefined) return false;
    if (size > this.machine.diskFree()) throw systemError("ENOSPC", "create", path);
    const bytes = new Uint8Array(size);
    for (const part of content) bytes.set(part.bytes, part.at);
    // A name is durable once its directory was flushed. Where that fails, the file is there, and a crash may undo it.
    const failure = this.failures.take("directory flush", path);
    this.machine.addFile(path, "store", contentOf(bytes), failure === undefined);
    if (failure !== undefined) throw failure;
    return true;
  }

  flushName(path: string): void {
    this.enter();
    this.mayFail("directory flush", path);
    this.machine.nameFlushed(path);
  }

  openCoordination(path: string, sizeMin: number): CoordinationFile | undefined {
    this.enter();
    this.mayFail("open coordination", path);
    const file = this.machine.find(path);
    if (file === undefined || file.size < sizeMin) return undefined;
    if (!this.mayWrite) throw systemError("EACCES", "open coordination", path);
    return this.#openCoordination(path);
  }

  createCoordination(path: string, size: number, _mode: number, fill: (view: DataView) => void): CoordinationFile {
    this.enter();
    this.mayFail("create coordination", path);
    if (!this.mayWrite) throw systemError("EACCES", "create coordination", path);
    const bytes = new Uint8Array(size);
    fill(new DataView(bytes.buffer));
    this.check();
    this.machine.addFile(path, "coordination", contentOf(bytes), true);
    return this.#openCoordination(path);
  }

  bootId(): Uint8Array {
    this.enter();
    return this.machine.bootId.slice();
  }

  crc32c(bytes: Uint8Array, from: number, to: number, seed: number): number {
    return crc32c(bytes, from, to, seed);
  }

  random(length: number): Uint8Array {
    this.check();
    return this.machine.random.bytes(length);
  }

  /** Throws where the process is dead. */
  check(): void {
    if (!this.#killed) return;
    if (this.#depth > 0) this.#atDeath ??= this.machine.copyMemory();
    throw new Killed(this.name);
  }

  /** Every call into the machine begins here. */
  enter(): void {
    this.check();
    this.machine.entered(this);
  }

  /** The error ordered for this call, if there is one. */
  mayFail(call: FallibleCall, path: string): void {
    const failure = this.failures.take(call, path);
    if (failure !== undefined) throw failure;
  }

  /** A commit job pauses: a test may look, act as another process, or kill. */
  paused(pause: CommitPause): void {
    this.enter();
    this.#ask(() => this.onPause?.(pause));
    if (isStepName(pause) && this.#hook !== undefined) this.#step(pause);
  }

  /** This thread waits for a lock; whether to ask for it again. */
  waited(): boolean {
    this.enter();
    return this.#ask(() => this.onWait?.()) ?? false;
  }

  forget(opening: StoreOpening | CoordinationOpening): void {
    this.#openings.delete(opening);
  }

  #openCoordination(path: string): CoordinationOpening {
    const file = this.machine.find(path);
    assert(file !== undefined, "the file is there");
    const opening = new CoordinationOpening(this, file, path);
    this.#openings.add(opening);
    return opening;
  }

  /** Lets the test act in the middle of a call of this process. */
  #ask<T>(act: () => T): T {
    let answer: T;
    try {
      answer = act();
    } catch (error) {
      // A test may also kill by throwing `new Killed()`; one that bears a name is another process's, gone astray.
      if (error instanceof Killed && error.process === undefined) this.kill();
      else if (!(error instanceof Killed)) this.#complaint ??= { error };
      throw error;
    }
    this.check();
    return answer;
  }

  #bury(): void {
    if (this.#depth > 0) return;
    if (this.#atDeath !== undefined) this.machine.putBack(this.#atDeath);
    this.#atDeath = undefined;
  }

  /** The body ended by an error or was killed: what the test itself threw on the way must not be taken for the death. */
  #died<T>(error: unknown): RunResult<T> {
    const complaint = this.#complaint;
    this.#complaint = undefined;
    if (complaint !== undefined) throw complaint.error;
    if (!this.#killed) throw error;
    return { killed: true };
  }
}

/** The pauses the engine's interface has no name for. */
const FINER_PAUSES: ReadonlySet<string> = new Set<Exclude<CommitPause, StepName>>([
  "commit: checksums stored",
  "commit: flush lock awaited",
  "commit: rewrites stored",
  "commit: flush 1 begun",
  "commit: flush 1 failed",
  "commit: first copy written",
  "commit: flush 2 begun",
  "commit: flush 2 failed",
  "commit: durable stored",
]);

function isStepName(pause: CommitPause): pause is StepName {
  return !FINER_PAUSES.has(pause);
}
