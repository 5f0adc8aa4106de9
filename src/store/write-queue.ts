/**
 * The writes of one handle, in call order.
 *
 * Asynchronous writes are encoded at once and wait in a queue until the turn of the event loop ends; then all of them
 * are applied under the writer lock and become one commit, whose flushes run on the addon's thread. Writes made
 * meanwhile join the next. A synchronous write first finishes what is under way and commits what is queued.
 *
 * State of the queue, and who leaves it:
 *   idle       → scheduled   `enqueue`
 *   scheduled  → locking     the end of the turn, if the writer lock is not free
 *   scheduled  → applying    the end of the turn
 *   locking    → applying    the lock is granted
 *   applying   → committing  every write is applied; the commit job runs
 *   committing → scheduled or idle   the commit is done
 * `drain` takes it from any of them to idle, on this thread.
 */
import { StoreError } from "../errors.ts";
import { lockedError, type Pager, type PendingCommit } from "./pager/pager.ts";
import type { LockWait } from "./pager/storage.ts";
import { KeyBuffer } from "./tree/key.ts";
import type { WriteSession } from "./write-session.ts";

/** A plain write, encoded. */
export interface PlainWrite {
  readonly kind: "put" | "delete" | "clear";
  /** The key's bytes and behind them the value's. */
  readonly bytes: Uint8Array;
  readonly keyLength: number;
  readonly ascii: boolean;
  /** After it was applied: whether the key was there. */
  existed: boolean;
}

/** A queued transaction: its callback and what became of it. */
export interface QueuedTransaction {
  readonly kind: "transaction";
  /** Runs the callback; throws what it throws. */
  readonly run: (session: WriteSession) => void;
  /** Tells its caller how it ended: well, or with what its callback threw (which may be `undefined`), or the commit did. */
  readonly settle: (failure: Failure | undefined) => void;
  /** What its callback threw. */
  failure: Failure | undefined;
}

/** Something was thrown, be it `undefined`. */
export interface Failure {
  readonly error: unknown;
}

type Write = PlainWrite | QueuedTransaction;

/** Writes that become one commit. */
interface Batch {
  readonly writes: Write[];
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Whether anybody holds `done`: only then may it reject. */
  hasPlainWrites: boolean;
}

type State =
  | { readonly name: "idle" }
  | { readonly name: "scheduled" }
  | { readonly name: "locking"; readonly wait: LockWait }
  | { readonly name: "applying"; readonly batch: Batch }
  | { readonly name: "committing"; readonly batch: Batch; readonly commit: PendingCommit };

export class WriteQueue {
  readonly #pager: Pager;
  readonly #timeout: number;
  readonly #begin: () => WriteSession;
  readonly #key = new KeyBuffer();
  #state: State = { name: "idle" };
  #batch: Batch | undefined;

  constructor(pager: Pager, timeout: number, begin: () => WriteSession) {
    this.#pager = pager;
    this.#timeout = timeout;
    this.#begin = begin;
  }

  /** Queues a plain write; the promise, which those of one turn share, resolves when it is durable. */
  enqueue(write: PlainWrite): Promise<void> {
    const batch = this.#openBatch();
    batch.writes.push(write);
    batch.hasPlainWrites = true;
    return batch.done;
  }

  /** Queues a transaction; how it ends it hears by its own `settle`. */
  enqueueTransaction(write: QueuedTransaction): void {
    this.#openBatch().writes.push(write);
  }

  #openBatch(): Batch {
    if (this.#batch === undefined) {
      const { promise, resolve, reject } = promiseWithResolvers();
      this.#batch = { writes: [], done: promise, resolve, reject, hasPlainWrites: false };
    }
    if (this.#state.name === "idle") this.#schedule();
    return this.#batch;
  }

  #schedule(): void {
    this.#state = { name: "scheduled" };
    setImmediate(() => {
      if (this.#state.name === "scheduled") this.#start();
    });
  }

  /** The turn is over: applies what is queued, at once if the writer lock is free. */
  #start(): void {
    let wait: LockWait;
    try {
      if (this.#pager.tryLockWriter()) {
        this.#apply();
        return;
      }
      wait = this.#pager.waitForWriter(this.#timeout);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#state = { name: "locking", wait };
    // A synchronous write that comes meanwhile cancels the wait and does the work.
    const isStill = (): boolean => this.#state.name === "locking" && this.#state.wait === wait;
    wait.granted.then(
      (granted) => {
        if (!isStill()) return;
        if (granted) this.#apply();
        else this.#fail(lockedError(this.#pager.path, this.#timeout));
      },
      (error) => {
        if (isStill()) this.#fail(error);
      },
    );
  }

  /** The writer lock is held: applies the batch and starts its commit. */
  #apply(): void {
    const batch = this.#takeBatch();
    if (batch === undefined) {
      this.#pager.unlockWriter();
      this.#state = { name: "idle" };
      return;
    }
    let commit: PendingCommit | undefined;
    try {
      commit = this.#run(batch).commit();
    } catch (error) {
      this.#finish(batch, { error });
      return;
    }
    if (commit === undefined) {
      this.#finish(batch, undefined);
      return;
    }
    const state: State = { name: "committing", batch, commit };
    this.#state = state;
    const over = (failure: Failure | undefined): void => {
      if (this.#state === state) this.#finish(batch, failure);
    };
    commit.done.then(
      () => over(undefined),
      (error) => over({ error }),
    );
  }

  /** Applies the writes of a batch. The session is aborted if it throws. */
  #run(batch: Batch): WriteSession {
    this.#state = { name: "applying", batch };
    const session = this.#begin();
    try {
      for (const write of batch.writes) {
        if (write.kind === "transaction") this.#runTransaction(session, write);
        else this.#runPlain(session, write);
      }
      return session;
    } catch (error) {
      session.abort();
      throw error;
    }
  }

  #runPlain(session: WriteSession, write: PlainWrite): void {
    if (write.kind === "clear") {
      session.clear();
      return;
    }
    const { bytes, keyLength } = write;
    this.#key.set(bytes, keyLength);
    if (write.kind === "delete") write.existed = session.delete(this.#key);
    else session.put(this.#key, bytes, keyLength, bytes.length - keyLength, write.ascii);
  }

  /** A callback that throws undoes its own part; the others of the batch stay. */
  #runTransaction(session: WriteSession, write: QueuedTransaction): void {
    session.keepPart();
    try {
      write.run(session);
      // What it left waiting is its own matter.
      session.settle();
    } catch (error) {
      write.failure = { error };
      session.undoPart();
    }
  }

  #takeBatch(): Batch | undefined {
    const batch = this.#batch;
    this.#batch = undefined;
    return batch;
  }

  /** The batch has ended; the next begins if there is one. */
  #finish(batch: Batch, failure: Failure | undefined): void {
    this.#state = { name: "idle" };
    for (const write of batch.writes) {
      if (write.kind === "transaction") write.settle(write.failure ?? failure);
    }
    if (failure === undefined || !batch.hasPlainWrites) batch.resolve();
    else batch.reject(failure.error);
    if (this.#batch !== undefined) this.#schedule();
  }

  #fail(error: unknown): void {
    const batch = this.#takeBatch();
    if (batch === undefined) this.#state = { name: "idle" };
    else this.#finish(batch, { error });
  }

  /**
   * Brings everything queued to its end, on this thread, waiting at most until `deadline` (of `performance.now()`) for
   * the writer lock. What fails is told to those who queued it.
   */
  drain(deadline: number): void {
    const state = this.#state;
    if (state.name === "committing") {
      let failure: Failure | undefined;
      try {
        state.commit.wait();
      } catch (error) {
        failure = { error };
      }
      this.#finish(state.batch, failure);
    } else if (state.name === "locking") {
      state.wait.cancel();
    }
    const batch = this.#takeBatch();
    this.#state = { name: "idle" };
    if (batch === undefined) return;
    let failure: Failure | undefined;
    try {
      this.#pager.lockWriter(Math.max(0, deadline - performance.now()));
      this.#run(batch).commitSync();
    } catch (error) {
      failure = { error };
    }
    this.#finish(batch, failure);
  }

  /** Resolves when nothing is queued and nothing under way. Failures are told to those who queued what failed. */
  async settled(): Promise<void> {
    for (;;) {
      const state = this.#state;
      const batch = state.name === "applying" || state.name === "committing" ? state.batch : this.#batch;
      if (batch === undefined) return;
      await batch.done.catch(() => undefined);
    }
  }
}

function promiseWithResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** The error of a synchronous write inside a transaction's callback. */
export function nestedError(): StoreError {
  return new StoreError("TRANSACTION_NESTED", "a transaction of this store is running: write through it, or after it");
}
