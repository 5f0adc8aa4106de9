/**
 * The commit job, step by step: what the addon does natively on a thread of its own, as a generator that pauses where
 * another process could act, a process could die, or the power could fail.
 *
 * The order is the protocol (facts/protocol.md, rules 1, 10, 11 and 14; design.md section 6). Each mutant breaks one
 * rule of it; a harness that doesn't notice a mutant proves nothing.
 */
import { assert, SystemError } from "../../src/errors.ts";
import { COORDINATION_DURABLE, COORDINATION_NEWEST, COORDINATION_POISON } from "../../src/store/format/coordination.ts";
import { LOCK_FLUSH, LOCK_WRITER } from "../../src/store/format/locks.ts";
import { PAGE_CHECKSUM } from "../../src/store/format/page.ts";
import type { CommitOutcome, CommitPlan, CommitRun, LockRange, StepName } from "../../src/store/pager/storage.ts";
import { crc32c } from "./crc32c.ts";
import type { FlushTicket } from "./disk.ts";
import type { SimulatedFile } from "./simulated-file.ts";

/** Where a job pauses. Those that are no StepName go to `SimulatedProcess.onPause` only. */
export type CommitPause =
  | StepName
  | "commit: checksums stored"
  | "commit: flush lock awaited"
  | "commit: rewrites stored"
  | "commit: flush 1 begun"
  | "commit: flush 1 failed"
  | "commit: first copy written"
  | "commit: flush 2 begun"
  | "commit: flush 2 failed"
  | "commit: durable stored";

/** Bugs the job can be given. */
export const COMMIT_MUTANTS = [
  "no checksum",
  "no flush lock",
  "no rewrites",
  "no flush 1",
  "no flush 2",
  "no flush 2 before publish",
  "no poison",
  "poison after unlock",
  "no fault checks",
  "one meta copy only",
  "meta before flush 1",
  "publish after unlock",
  "publish despite failure",
] as const;

export type CommitMutant = (typeof COMMIT_MUTANTS)[number];

type FailedStep = Extract<CommitOutcome, { result: "failed" }>["step"];

const WRITER: LockRange = { start: LOCK_WRITER, length: 1 };
const FLUSH: LockRange = { start: LOCK_FLUSH, length: 1 };

/** What the job asks of the opening it runs for. */
export interface CommitSite {
  readonly file: SimulatedFile;
  /** The words of the attached coordination file. */
  readonly words: Int32Array;
  readonly mutants: ReadonlySet<CommitMutant>;
  faulted(): boolean;
  tryLock(range: LockRange): boolean;
  unlock(range: LockRange): void;
  /** Makes the meta page ready for stores; the error, if that failed. */
  populate(): Error | undefined;
  beginFlush(): FlushTicket | undefined;
  /** The error, if the flush failed. */
  endFlush(ticket: FlushTicket | undefined): Error | undefined;
}

/** `yield` answers whether to go on waiting where the job waits for the flush lock. */
export type CommitSteps = Generator<CommitPause, CommitOutcome, boolean>;

export function* commitSteps(site: CommitSite, plan: CommitPlan): CommitSteps {
  const { mutants } = site;
  // 1. New pages get their checksums, which cover bytes 4 to the end of each run, before anything is flushed.
  storeChecksums(site, plan);
  yield "commit: checksums stored";
  // 2. Every meta write is done under the flush lock, held from before flush 1 to after the publish.
  if (!mutants.has("no flush lock")) {
    let granted = tryFlushLock(site);
    while (granted !== true) {
      if (granted !== false || !(yield "commit: flush lock awaited")) {
        const cause = granted || new Error("the flush lock never becomes free: its holder can't run");
        if (plan.unlockWriter) site.unlock(WRITER);
        return { result: "failed", step: "flush lock", poisoned: false, cause };
      }
      granted = tryFlushLock(site);
    }
  }
  yield "commit: flush lock taken";
  const failure = yield* underFlushLock(site, plan);
  const publishes = failure === undefined || mutants.has("publish despite failure");
  const late = mutants.has("publish after unlock");
  // 7. Only a durable commit is published, and only then may anyone see it.
  if (publishes && !late) yield* publish(site, plan);
  // 8. Locks end last, the flush lock first.
  if (!mutants.has("no flush lock")) site.unlock(FLUSH);
  if (plan.unlockWriter) site.unlock(WRITER);
  yield "commit: unlocked";
  if (publishes && late) yield* publish(site, plan);
  if (failure?.poisoned && mutants.has("poison after unlock")) poison(site);
  return failure ?? { result: "committed" };
}

/** The error, where the system refuses to lock anything. */
function tryFlushLock(site: CommitSite): boolean | SystemError {
  try {
    return site.tryLock(FLUSH);
  } catch (error) {
    if (error instanceof SystemError) return error;
    throw error;
  }
}

type Failure = Extract<CommitOutcome, { result: "failed" }>;

/** Steps 3 to 6. The failure, if there was one; the poison word is set then already. */
function* underFlushLock(site: CommitSite, plan: CommitPlan): Generator<CommitPause, Failure | undefined, boolean> {
  const { mutants } = site;
  const checksFaults = !mutants.has("no fault checks");
  // 3. A page that faulted is lost although the flush will report success.
  if (checksFaults && site.faulted()) return failed("fault before flush 1");
  if (!mutants.has("no rewrites")) {
    for (const { at, record } of plan.rewrites) {
      site.file.store(at, record);
      site.file.store(at + plan.metaCopyAt, record);
    }
    if (plan.rewrites.length > 0) yield "commit: rewrites stored";
  }
  if (mutants.has("meta before flush 1")) yield* storeMeta(site, plan);
  // 4. New pages are on the disk before anything refers to them.
  if (!mutants.has("no flush 1")) {
    const failure = yield* flush(site, 1);
    if (failure !== undefined) return failure;
  }
  yield "commit: flushed 1";
  if (checksFaults && site.faulted()) return failed("fault before meta");
  const cause = site.populate();
  if (cause !== undefined) return failed("fault before meta", cause);
  // 5. The older meta page is overwritten; the newer one stays valid.
  if (!mutants.has("meta before flush 1")) yield* storeMeta(site, plan);
  yield "commit: meta written";
  // 6. Only now is the commit durable.
  if (mutants.has("no flush 2 before publish")) yield* publish(site, plan);
  if (!mutants.has("no flush 2")) {
    const failure = yield* flush(site, 2);
    if (failure !== undefined) return failure;
  }
  yield "commit: flushed 2";
  if (checksFaults && site.faulted()) return failed("fault after flush 2");
  return undefined;
}

/** A failed flush is never retried and believed: the poison is set before anything else is done. */
function* flush(site: CommitSite, which: 1 | 2): Generator<CommitPause, Failure | undefined, boolean> {
  const ticket = site.beginFlush();
  yield `commit: flush ${which} begun`;
  const cause = site.endFlush(ticket);
  if (cause === undefined) return undefined;
  yield `commit: flush ${which} failed`;
  if (!site.mutants.has("no poison") && !site.mutants.has("poison after unlock")) poison(site);
  return { result: "failed", step: `flush ${which}`, poisoned: true, cause };
}

function* storeMeta(site: CommitSite, plan: CommitPlan): Generator<CommitPause, void, boolean> {
  site.file.store(plan.metaAt, plan.meta);
  yield "commit: first copy written";
  if (!site.mutants.has("one meta copy only")) site.file.store(plan.metaAt + plan.metaCopyAt, plan.meta);
}

function* publish(site: CommitSite, plan: CommitPlan): Generator<CommitPause, void, boolean> {
  Atomics.store(site.words, COORDINATION_DURABLE >>> 2, plan.publishIndex);
  yield "commit: durable stored";
  Atomics.store(site.words, COORDINATION_NEWEST >>> 2, plan.publishIndex);
  yield "commit: published";
}

function poison(site: CommitSite): void {
  Atomics.store(site.words, COORDINATION_POISON >>> 2, 1);
}

function failed(step: FailedStep, cause?: Error): Failure {
  return { result: "failed", step, poisoned: false, cause };
}

/** The checksum of a run covers bytes 4 to its end, so a torn page of it is known. */
function storeChecksums(site: CommitSite, plan: CommitPlan): void {
  const { pageSize } = plan;
  const word = new Uint8Array(4);
  const wordView = new DataView(word.buffer);
  for (let i = 0; i < plan.runs.length; i += 2) {
    const at = plan.runs[i] * pageSize;
    const length = plan.runs[i + 1] * pageSize;
    site.file.declare(at, length);
    if (site.mutants.has("no checksum")) continue;
    const bytes = site.file.bytes(at, length);
    wordView.setUint32(0, crc32c(bytes, PAGE_CHECKSUM + 4, length, plan.checksumSeed), true);
    site.file.store(at + PAGE_CHECKSUM, word);
  }
}

/** What drives a job: the process it belongs to, or a test. */
export interface CommitDriver {
  /** Throws where the process is dead. */
  check(): void;
  /** Looks at memory, lets the test act, and throws where that killed the process. */
  paused(pause: CommitPause): void;
  /** Lets others run while this thread waits; whether to try again. */
  waited(): boolean;
  ended(job: CommitJob): void;
}

/** A commit in flight. Whoever drives it (the event loop, a waiting caller, a test) takes one step after the other. */
export class CommitJob implements CommitRun {
  readonly done: Promise<CommitOutcome>;
  readonly #steps: CommitSteps;
  readonly #driver: CommitDriver;
  readonly #settle: (outcome: CommitOutcome) => void;
  #outcome: CommitOutcome | undefined;
  #running = false;

  constructor(site: CommitSite, plan: CommitPlan, driver: CommitDriver) {
    const { promise, resolve } = withResolvers<CommitOutcome>();
    this.done = promise;
    this.#settle = resolve;
    this.#steps = commitSteps(site, plan);
    this.#driver = driver;
  }

  /** Undefined while the job is under way, and for ever if its process was killed. */
  get outcome(): CommitOutcome | undefined {
    return this.#outcome;
  }

  /** Runs to the next pause, whose name it returns; undefined once the job is over. `waits`: whether it may wait for a lock. */
  step(waits = true): CommitPause | undefined {
    if (this.#outcome !== undefined) return undefined;
    assert(!this.#running, "a commit job is not stepped from within its own hook");
    this.#driver.check();
    this.#running = true;
    try {
      const { value, done } = this.#steps.next(waits);
      if (done) {
        this.#outcome = value;
        this.#driver.ended(this);
        this.#settle(value);
        return undefined;
      }
      this.#driver.paused(value);
      return value;
    } finally {
      this.#running = false;
    }
  }

  wait(): CommitOutcome {
    let waits = true;
    while (this.#outcome === undefined)
      waits = this.step(waits) !== "commit: flush lock awaited" || this.#driver.waited();
    return this.#outcome;
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let settle: ((value: T) => void) | undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  assert(settle !== undefined, "a promise calls its executor at once");
  return { promise, resolve: settle };
}
