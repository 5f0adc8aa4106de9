/**
 * Making a committed snapshot that may not be durable durable, and publishing it: what an opener that is alone does with
 * the newest snapshot it finds, and a writer with one that a dead writer committed but did not publish (I3, I4, I13).
 *
 * The same bytes are stored again: a kill can fall between a failed flush and the poison, and a flush that succeeds says
 * nothing about pages whose earlier write failed (I3). It is the commit job with no page of its own.
 */
import { StoreError, SystemError } from "../../errors.ts";
import { META_COPY } from "../format/meta.ts";
import type { Coordination } from "./coordination.ts";
import type { MetaSlot, Metas } from "./metas.ts";
import type { CommitOutcome, CommitPlan, StoreFile } from "./storage.ts";
import { OPEN_FILE_CODES, storeError } from "./system-errors.ts";

/** Whether both meta pages are whole: with a torn one, its old content may still be what the device holds (I13). */
export function metasAreClean(metas: Metas): boolean {
  return metas.newer.clean && metas.older.clean;
}

/**
 * @param file open for writing, its first window mapped for writing, attached to the coordination file; the writer lock
 *   is held, or the caller is alone
 * @throws StoreError IO, DISK_FULL; the store is poisoned if a flush failed
 */
export function settle(file: StoreFile, coordination: Coordination, metas: Metas, pageSize: number): void {
  const rewrites = [metas.newer, metas.older]
    .filter(
      (slot): slot is MetaSlot & { record: NonNullable<MetaSlot["record"]> } =>
        !slot.clean && slot.record !== undefined,
    )
    .map(({ at, record }) => ({ at, record: record.bytes }));
  storeAgain(file, coordination, metas, metas.newer.at, rewrites, pageSize);
}

/**
 * Stores the newer record into the older meta page as well, so that the older snapshot need not be kept: on a full disk
 * its pages may be all there is to write to. The newest is durable, so either meta page alone is enough from then on.
 *
 * @throws as `settle`
 */
export function retireOlder(file: StoreFile, coordination: Coordination, metas: Metas, pageSize: number): void {
  storeAgain(file, coordination, metas, metas.older.at, [], pageSize);
}

/** A commit job with no pages of its own: the newer record again, at `metaAt`. */
function storeAgain(
  file: StoreFile,
  coordination: Coordination,
  metas: Metas,
  metaAt: number,
  rewrites: CommitPlan["rewrites"],
  pageSize: number,
): void {
  const outcome = file.commitSync({
    pageSize,
    runs: new Uint32Array(0),
    checksumSeed: 0,
    metaAt,
    meta: metas.newer.record.bytes,
    metaCopyAt: META_COPY,
    rewrites,
    publishIndex: coordination.addRecord(metas.newer.record),
    unlockWriter: false,
  });
  if (outcome.result === "failed") throw commitError(outcome);
}

/** Codes of a wait for the flush lock that was not granted; any other is the system's. */
const GIVEN_UP: ReadonlySet<string> = new Set(["ETIMEDOUT", "ECANCELED"]);

/** The error for a commit job that failed. */
export function commitError(outcome: Extract<CommitOutcome, { result: "failed" }>): unknown {
  const { step, poisoned, cause } = outcome;
  if (step === "flush lock" && (cause === undefined || (cause instanceof SystemError && GIVEN_UP.has(cause.code)))) {
    return new StoreError("LOCKED", "the flush lock was held by another handle for too long", { cause });
  }
  const consequence = poisoned
    ? "; nothing more is written to the store until every handle has closed it"
    : "; close the store and open it again";
  if (cause === undefined) return new StoreError("IO", `${step}: a mapped page of the store was lost${consequence}`);
  const error = storeError(cause, `${step} of a commit failed${consequence}`, OPEN_FILE_CODES);
  return error instanceof StoreError
    ? error
    : new StoreError("IO", `${step} of a commit failed${consequence}`, { cause });
}
