/**
 * Byte-range locks of one file, as open file descriptions hold them on Linux (OFD locks): an opening never conflicts
 * with itself, a new lock replaces what the opening held in that range (conversion, in one step), an unlock may take
 * away part of a lock, and all locks of an opening end with it.
 */
import type { LockRange } from "../../src/store/pager/storage.ts";

export type LockMode = "shared" | "exclusive";

interface HeldLock {
  readonly owner: object;
  readonly start: number;
  /** First byte after the lock. */
  readonly end: number;
  readonly mode: LockMode;
}

export class LockTable {
  #held: HeldLock[] = [];

  /** Takes or converts the lock; false, and nothing changed, where another owner's lock refuses it. */
  tryLock(owner: object, range: LockRange, mode: LockMode): boolean {
    if (this.lockedByOther(owner, range, mode) !== -1) return false;
    this.unlock(owner, range);
    this.#held.push({ owner, start: range.start, end: range.start + range.length, mode });
    return true;
  }

  /** What the owner holds outside the range stays held. */
  unlock(owner: object, range: LockRange): void {
    const end = range.start + range.length;
    const left: HeldLock[] = [];
    for (const lock of this.#held) {
      if (lock.owner !== owner || lock.end <= range.start || lock.start >= end) {
        left.push(lock);
        continue;
      }
      if (lock.start < range.start) left.push({ ...lock, end: range.start });
      if (lock.end > end) left.push({ ...lock, start: end });
    }
    this.#held = left;
  }

  /** The first byte inside the range that another owner's lock refuses to `mode`, or -1. */
  lockedByOther(owner: object, range: LockRange, mode: LockMode): number {
    const end = range.start + range.length;
    let first = -1;
    for (const lock of this.#held) {
      if (lock.owner === owner || lock.end <= range.start || lock.start >= end) continue;
      if (mode === "shared" && lock.mode === "shared") continue;
      const at = Math.max(lock.start, range.start);
      if (first === -1 || at < first) first = at;
    }
    return first;
  }

  /** The mode in which the owner holds this one byte. */
  heldBy(owner: object, byte: number): LockMode | undefined {
    return this.#held.find((lock) => lock.owner === owner && lock.start <= byte && byte < lock.end)?.mode;
  }

  /** Whether the owner holds anything in the range: then Windows would refuse to lock it. */
  overlaps(owner: object, range: LockRange): boolean {
    const end = range.start + range.length;
    return this.#held.some((lock) => lock.owner === owner && lock.start < end && lock.end > range.start);
  }

  /** Whether the owner holds just this range: Windows gives back no other. */
  holds(owner: object, range: LockRange): boolean {
    const end = range.start + range.length;
    return this.#held.some((lock) => lock.owner === owner && lock.start === range.start && lock.end === end);
  }

  /** Turns the exclusive lock of a range into a shared one of one byte of it. */
  narrow(owner: object, range: LockRange, byte: number): void {
    this.unlock(owner, range);
    this.tryLock(owner, { start: byte, length: 1 }, "shared");
  }

  releaseAll(owner: object): void {
    this.#held = this.#held.filter((lock) => lock.owner !== owner);
  }

  /** Locks held by anyone. */
  get count(): number {
    return this.#held.length;
  }
}
