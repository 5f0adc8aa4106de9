/**
 * The coordination file in use: one handle's place in it, the live list, the reader slots, the newest snapshot.
 *
 * Readers touch it without a lock and without a system call. A reader stores the number of the snapshot it wants in its
 * slot, then looks again at the newest snapshot: unchanged means pinned (I7). The writer, who alone changes the live
 * list and only under the writer lock, removes a record when no slot holds its number. Whoever stores a number too late
 * finds the newest changed, or finds in the record another number, commit id or checksum, and starts over.
 */
import { assert, StoreError } from "../../errors.ts";
import {
  type Capacities,
  COORDINATION_DURABLE,
  COORDINATION_LIVE_END,
  COORDINATION_NEWEST,
  COORDINATION_NONCE,
  COORDINATION_POISON,
  COORDINATION_SLOT_END,
  COORDINATION_SLOTS,
  LIVE_RECORD,
  LIVE_SIZE,
  LIVE_STATE,
  liveListAt,
  SLOT_NUMBER,
  SLOT_OWNER,
  SLOT_SIZE,
} from "../format/coordination.ts";
import { LOCK_OWNER } from "../format/locks.ts";
import {
  checkMeta,
  copyMeta,
  META_CHECKSUM,
  META_COMMIT_ID,
  META_NUMBER,
  META_RECORD_SIZE,
  metaIsWhole,
  type Snapshot,
  type UncheckedMeta,
} from "../format/meta.ts";
import type { CoordinationFile, Storage } from "./storage.ts";

/** How often a reader starts over before it gives up: each time a writer committed in the few nanoseconds between. */
const PIN_ATTEMPTS_MAX = 100_000;

/** How many slots that were let go are remembered: to find a free one among many takes longer. */
const RECENT_MAX = 8;

/** A reader slot claimed by this handle. */
export interface ReaderSlot {
  readonly index: number;
}

/** A record of the live list. */
export interface LiveRecord {
  readonly index: number;
  readonly meta: UncheckedMeta;
  readonly snapshot: Snapshot;
}

export class Coordination {
  readonly capacities: Capacities;
  readonly nonce: number;
  readonly #storage: Storage;
  readonly #file: CoordinationFile;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #liveAt: number;
  /** Slots this handle has let go: they may be another's by now. */
  readonly #recent: ReaderSlot[] = [];
  #owner = -1;
  /** Records as they were parsed last, by index: most are found unchanged. */
  readonly #parsed: (LiveRecord | undefined)[] = [];

  constructor(storage: Storage, file: CoordinationFile, capacities: Capacities) {
    this.#storage = storage;
    this.#file = file;
    this.capacities = capacities;
    this.#words = file.words;
    this.#view = file.view;
    this.#bytes = new Uint8Array(file.view.buffer, file.view.byteOffset, file.view.byteLength);
    this.#liveAt = liveListAt(capacities);
    this.nonce = file.view.getUint32(COORDINATION_NONCE, true);
  }

  get file(): CoordinationFile {
    return this.#file;
  }

  /**
   * Takes a place among the handles: locks an owner byte, then clears what a dead owner of that index left, and only
   * then uses it. @throws StoreError SLOTS_FULL
   */
  join(): void {
    const { owners } = this.capacities;
    const start = this.#storage.random(2).reduce((sum, byte) => sum * 256 + byte, 0) % owners;
    for (let i = 0; i < owners; i++) {
      const owner = (start + i) % owners;
      if (!this.#file.tryLock({ start: LOCK_OWNER + owner, length: 1 }, "exclusive")) continue;
      this.#clearSlots(owner);
      this.#owner = owner;
      return;
    }
    throw new StoreError(
      "SLOTS_FULL",
      `${owners} handles have the store open, which is the most its coordination file holds`,
    );
  }

  /**
   * Throws unless the file still is the one this handle joined: no handle shortens it or writes another nonce, but anybody
   * else can. @throws StoreError COORDINATION_LOST
   */
  checkWhole(): void {
    if (this.#view.getUint32(COORDINATION_NONCE, true) !== this.nonce) throw overwrittenError();
  }

  /** Whether a flush has failed somewhere, so that nobody may write. */
  get poisoned(): boolean {
    return Atomics.load(this.#words, COORDINATION_POISON >> 2) !== 0;
  }

  setPoison(poisoned: boolean): void {
    Atomics.store(this.#words, COORDINATION_POISON >> 2, poisoned ? 1 : 0);
  }

  // Readers ------------------------------------------------------------------------------------------------------------

  /** A slot for one snapshot at a time. @throws StoreError SLOTS_FULL, COORDINATION_LOST */
  claimSlot(): ReaderSlot {
    for (let recent = this.#recent.pop(); recent !== undefined; recent = this.#recent.pop()) {
      if (this.#tryClaim(recent.index)) return recent;
    }
    const index = this.#claim();
    if (index >= 0) return { index };
    this.#sweepDead();
    const swept = this.#claim();
    if (swept >= 0) return { index: swept };
    this.checkWhole();
    throw new StoreError(
      "SLOTS_FULL",
      `all ${this.capacities.slots} reader slots are in use: close snapshots or handles`,
    );
  }

  #tryClaim(index: number): boolean {
    const word = this.#slotAt(index) + (SLOT_OWNER >> 2);
    return Atomics.compareExchange(this.#words, word, 0, this.#owner + 1) === 0;
  }

  #claim(): number {
    assert(this.#owner >= 0);
    for (let index = 0; index < this.capacities.slots; index++) {
      if (Atomics.load(this.#words, this.#slotAt(index) + (SLOT_OWNER >> 2)) !== 0) continue;
      if (!this.#tryClaim(index)) continue;
      // The end only grows, so a writer that scans below it never misses a slot that is in use: it is raised before the
      // slot can hold a number.
      let end = Atomics.load(this.#words, COORDINATION_SLOT_END >> 2);
      while (end <= index) {
        const seen = Atomics.compareExchange(this.#words, COORDINATION_SLOT_END >> 2, end, index + 1);
        if (seen === end) break;
        end = seen;
      }
      return index;
    }
    return -1;
  }

  /** The slot holds nothing any more and is anybody's. */
  releaseSlot(slot: ReaderSlot): void {
    const at = this.#slotAt(slot.index);
    Atomics.store(this.#words, at + (SLOT_NUMBER >> 2), 0);
    Atomics.store(this.#words, at + (SLOT_OWNER >> 2), 0);
    if (this.#recent.length < RECENT_MAX) this.#recent.push(slot);
  }

  /**
   * Pins the newest snapshot in `slot`; whatever the slot held before is let go.
   * @throws StoreError COORDINATION_LOST
   */
  pin(slot: ReaderSlot): Snapshot {
    const words = this.#words;
    const slotWord = this.#slotAt(slot.index) + (SLOT_NUMBER >> 2);
    const { hook } = this.#storage;
    for (let attempt = 0; attempt < PIN_ATTEMPTS_MAX; attempt++) {
      const index = Atomics.load(words, COORDINATION_NEWEST >> 2);
      const record = this.#readRecord(index);
      hook?.("pin: record read");
      if (record === undefined) {
        this.checkWhole();
        continue;
      }
      Atomics.store(words, slotWord, record.snapshot.number | 0);
      hook?.("pin: slot stored");
      // I7: the slot may have been stored after a writer's scan had missed it. Then the record is gone, or is another.
      if (Atomics.load(words, COORDINATION_NEWEST >> 2) === index && this.#isStill(record)) {
        hook?.("pin: settled");
        return record.snapshot;
      }
    }
    Atomics.store(words, slotWord, 0);
    throw overwrittenError();
  }

  /** The record at `index`, parsed; undefined if it is torn (it is being replaced) or the index is none. */
  #readRecord(index: number): LiveRecord | undefined {
    if (index < 0 || index >= this.capacities.live) return undefined;
    const parsed = this.#parsed[index];
    if (parsed !== undefined && this.#isStill(parsed)) return parsed;
    const meta = copyMeta(this.#bytes, this.#liveAt + index * LIVE_SIZE + LIVE_RECORD);
    if (!metaIsWhole(meta, this.#storage.crc32c)) return undefined;
    const record = { index, meta, snapshot: checkMeta(meta, false).snapshot };
    this.#parsed[index] = record;
    return record;
  }

  /** Whether the shared record still has the number, commit id and checksum it had. */
  #isStill(record: LiveRecord): boolean {
    const at = this.#liveAt + record.index * LIVE_SIZE + LIVE_RECORD;
    const shared = this.#view;
    const own = record.meta.view;
    return (
      shared.getUint32(at + META_NUMBER, true) === own.getUint32(META_NUMBER, true) &&
      shared.getUint32(at + META_NUMBER + 4, true) === own.getUint32(META_NUMBER + 4, true) &&
      shared.getUint32(at + META_COMMIT_ID, true) === own.getUint32(META_COMMIT_ID, true) &&
      shared.getUint32(at + META_COMMIT_ID + 4, true) === own.getUint32(META_COMMIT_ID + 4, true) &&
      shared.getUint32(at + META_COMMIT_ID + 8, true) === own.getUint32(META_COMMIT_ID + 8, true) &&
      shared.getUint32(at + META_COMMIT_ID + 12, true) === own.getUint32(META_COMMIT_ID + 12, true) &&
      shared.getUint32(at + META_CHECKSUM, true) === own.getUint32(META_CHECKSUM, true)
    );
  }

  #slotAt(index: number): number {
    return (COORDINATION_SLOTS + index * SLOT_SIZE) >> 2;
  }

  // The writer, under the writer lock ---------------------------------------------------------------------------------

  /** Index of the newest snapshot's record, -1 for none. */
  get newestIndex(): number {
    return Atomics.load(this.#words, COORDINATION_NEWEST >> 2);
  }

  get durableIndex(): number {
    return Atomics.load(this.#words, COORDINATION_DURABLE >> 2);
  }

  /** Makes the record the newest and the durable one without a commit job: an opener that is alone found it durable. */
  publish(index: number): void {
    Atomics.store(this.#words, COORDINATION_DURABLE >> 2, index);
    Atomics.store(this.#words, COORDINATION_NEWEST >> 2, index);
  }

  /** The snapshot a writer builds on. @throws StoreError COORDINATION_LOST */
  newestSnapshot(): Snapshot {
    const record = this.record(this.newestIndex);
    if (record === undefined) throw overwrittenError();
    return record.snapshot;
  }

  /** The record at `index` if it is in use and whole. */
  record(index: number): LiveRecord | undefined {
    if (index < 0 || index >= this.capacities.live) return undefined;
    return this.#words[this.#liveWord(index)] === 1 ? this.#readRecord(index) : undefined;
  }

  /** Every record in use. */
  records(): LiveRecord[] {
    const found: LiveRecord[] = [];
    const end = Math.min(this.#words[COORDINATION_LIVE_END >> 2], this.capacities.live);
    for (let index = 0; index < end; index++) {
      const record = this.record(index);
      if (record !== undefined) found.push(record);
    }
    return found;
  }

  /**
   * Adds a record, or returns the index of the one that is there already. `snapshot` is what it holds, if that is known: it
   * need not be parsed then. @throws StoreError LIVE_LIST_FULL
   */
  addRecord(meta: UncheckedMeta, snapshot?: Snapshot): number {
    let free = -1;
    for (let index = 0; index < this.capacities.live; index++) {
      if (this.#words[this.#liveWord(index)] === 0) {
        if (free < 0) free = index;
        if (index >= this.#words[COORDINATION_LIVE_END >> 2]) break;
      } else {
        const at = this.#liveAt + index * LIVE_SIZE + LIVE_RECORD;
        if (Buffer.compare(this.#bytes.subarray(at, at + META_RECORD_SIZE), meta.bytes) === 0) return index;
      }
    }
    if (free < 0) {
      throw new StoreError(
        "LIVE_LIST_FULL",
        `${this.capacities.live} snapshots are held by readers, which is the most the coordination file lists`,
      );
    }
    this.#bytes.set(meta.bytes, this.#liveAt + free * LIVE_SIZE + LIVE_RECORD);
    if (snapshot !== undefined) this.#parsed[free] = { index: free, meta, snapshot };
    Atomics.store(this.#words, this.#liveWord(free), 1);
    if (free >= this.#words[COORDINATION_LIVE_END >> 2])
      Atomics.store(this.#words, COORDINATION_LIVE_END >> 2, free + 1);
    return free;
  }

  removeRecord(index: number): void {
    Atomics.store(this.#words, this.#liveWord(index), 0);
  }

  /** The low 32 bits (as i32) of every number some slot holds, with the owners that hold it. */
  heldNumbers(): Map<number, number[]> {
    const held = new Map<number, number[]>();
    const end = Math.min(Atomics.load(this.#words, COORDINATION_SLOT_END >> 2), this.capacities.slots);
    for (let index = 0; index < end; index++) {
      const at = this.#slotAt(index);
      const number = Atomics.load(this.#words, at + (SLOT_NUMBER >> 2));
      if (number === 0) continue;
      const owner = Atomics.load(this.#words, at + (SLOT_OWNER >> 2)) - 1;
      const owners = held.get(number);
      if (owners === undefined) held.set(number, [owner]);
      else owners.push(owner);
    }
    return held;
  }

  /**
   * Whether the handle with this owner index is still there. The slots of a dead one are cleared on the way. The kernel's
   * lock decides, never a process id; nobody tests its own byte, which would look free to its holder.
   */
  ownerLives(owner: number): boolean {
    if (owner === this.#owner) return true;
    if (owner < 0 || owner >= this.capacities.owners) return false;
    const range = { start: LOCK_OWNER + owner, length: 1 };
    if (!this.#file.tryLock(range, "exclusive")) return true;
    this.#clearSlots(owner);
    this.#file.unlock(range);
    return false;
  }

  #sweepDead(): void {
    const owners = new Set<number>();
    for (let index = 0; index < this.capacities.slots; index++) {
      const owner = Atomics.load(this.#words, this.#slotAt(index) + (SLOT_OWNER >> 2)) - 1;
      if (owner >= 0) owners.add(owner);
    }
    for (const owner of owners) this.ownerLives(owner);
  }

  /** Frees every slot of an owner index whose byte this handle has locked. */
  #clearSlots(owner: number): void {
    for (let index = 0; index < this.capacities.slots; index++) {
      const at = this.#slotAt(index);
      if (Atomics.load(this.#words, at + (SLOT_OWNER >> 2)) !== owner + 1) continue;
      Atomics.store(this.#words, at + (SLOT_NUMBER >> 2), 0);
      Atomics.store(this.#words, at + (SLOT_OWNER >> 2), 0);
    }
  }

  #liveWord(index: number): number {
    return (this.#liveAt + index * LIVE_SIZE + LIVE_STATE) >> 2;
  }

  // Diagnosis ----------------------------------------------------------------------------------------------------------

  /** How many slots hold a snapshot, and how many records the live list has. */
  usage(): { readonly slotsHeld: number; readonly snapshotsLive: number } {
    let slotsHeld = 0;
    for (const owners of this.heldNumbers().values()) slotsHeld += owners.length;
    return { slotsHeld, snapshotsLive: this.records().length };
  }

  /** Gives up every slot and the place among the handles. Twice is fine. */
  close(): void {
    if (this.#owner >= 0) {
      this.#clearSlots(this.#owner);
      this.#owner = -1;
    }
    this.#parsed.length = 0;
    this.#file.close();
  }
}

function overwrittenError(): StoreError {
  return new StoreError(
    "COORDINATION_LOST",
    "the store's coordination file was truncated or overwritten by somebody else: close every handle of the store, then open it again",
  );
}
