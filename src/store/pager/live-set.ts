/**
 * Which snapshots are live: a page in use in one of them may not be taken (I5).
 *
 * Read under the writer lock, in an order that matters: first whether somebody reads unpinned, then the slots, and the
 * metas last (I6). A reader without a slot locks its byte before it reads the metas, so either the byte is seen here, or
 * the reader finds metas at least as new as those read here.
 */
import { LOCK_UNPINNED } from "../format/locks.ts";
import type { Snapshot } from "../format/meta.ts";
import type { Coordination } from "./coordination.ts";
import type { Metas } from "./metas.ts";
import type { Storage, StoreFile } from "./storage.ts";

const UNPINNED_RANGE = { start: LOCK_UNPINNED, length: 1 };

/** Whether somebody reads without a slot. Such a reader may hold any snapshot there was since it began. */
export function isReadUnpinned(file: StoreFile): boolean {
  return file.lockedByOther(UNPINNED_RANGE, "exclusive") >= 0;
}

/**
 * The live snapshots: the newest, then the others from young to old. Records of the live list that are not live any more
 * are removed. `newest` is what the transaction starts from; `readMetas` reads both meta pages from the mapping.
 */
export function readLiveSet(
  storage: Storage,
  file: StoreFile,
  coordination: Coordination,
  newest: Snapshot,
  readMetas: () => Metas,
): Snapshot[] {
  const unpinned = isReadUnpinned(file);
  const held = coordination.heldNumbers();
  storage.hook?.("write: slots read");
  const metas = readMetas();
  storage.hook?.("write: metas read");

  const live = new Map<string, Snapshot>([[newest.commitId, newest]]);
  live.set(metas.newest.commitId, metas.newest);
  if (metas.previous !== undefined) live.set(metas.previous.commitId, metas.previous);
  const { newestIndex, durableIndex } = coordination;
  for (const { index, snapshot } of coordination.records()) {
    const named = index === newestIndex || index === durableIndex || live.has(snapshot.commitId);
    if (unpinned || named || isHeld(coordination, held.get(snapshot.number | 0))) live.set(snapshot.commitId, snapshot);
    else coordination.removeRecord(index);
  }
  // A commit that failed may have left a record with a greater number than the newest has.
  live.delete(newest.commitId);
  return [newest, ...[...live.values()].sort((a, b) => b.number - a.number)];
}

/** Whether one of the owners that hold a number is alive. */
function isHeld(coordination: Coordination, owners: readonly number[] | undefined): boolean {
  return owners?.some((owner) => coordination.ownerLives(owner)) ?? false;
}
