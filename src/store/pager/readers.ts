/**
 * The snapshots a handle reads from: one that plain reads share for a turn of the event loop, and those held for longer.
 *
 * Two ways to keep a snapshot from being overwritten: a slot in the coordination file (`SlotPins`), or, for a handle that
 * may not write that file, a shared lock on the unpinned-reader byte (`LockPins`), which makes every writer keep all
 * snapshots from then on.
 */
import { StoreError } from "../../errors.ts";
import { LOCK_UNPINNED } from "../format/locks.ts";
import type { Snapshot } from "../format/meta.ts";
import type { Coordination, ReaderSlot } from "./coordination.ts";
import type { MappedPages } from "./mapped-pages.ts";
import type { Metas } from "./metas.ts";
import type { StoreFile } from "./storage.ts";

/** A snapshot that stays as it is until `release`. */
export interface Pin {
  readonly snapshot: Snapshot;
  /** Twice is fine. */
  release(): void;
}

/** One way of pinning. `P` is what holds a pin. */
interface Pins<P> {
  claim(): P;
  pin(place: P): Snapshot;
  unpin(place: P): void;
  release(place: P): void;
}

export class SlotPins implements Pins<ReaderSlot> {
  readonly #coordination: Coordination;

  constructor(coordination: Coordination) {
    this.#coordination = coordination;
  }

  claim(): ReaderSlot {
    return this.#coordination.claimSlot();
  }

  pin(slot: ReaderSlot): Snapshot {
    return this.#coordination.pin(slot);
  }

  unpin(slot: ReaderSlot): void {
    this.#coordination.unpin(slot);
  }

  release(slot: ReaderSlot): void {
    this.#coordination.releaseSlot(slot);
  }
}

/** The lock is taken first and the metas are read afterwards: the writer tests the lock before it reads them (I6). */
export class LockPins implements Pins<{ held: boolean }> {
  readonly #file: StoreFile;
  readonly #readMetas: () => Metas;
  #count = 0;

  constructor(file: StoreFile, readMetas: () => Metas) {
    this.#file = file;
    this.#readMetas = readMetas;
  }

  claim(): { held: boolean } {
    return { held: false };
  }

  pin(place: { held: boolean }): Snapshot {
    if (!place.held) {
      if (this.#count === 0 && !this.#file.tryLock({ start: LOCK_UNPINNED, length: 1 }, "shared")) {
        throw new StoreError("LOCKED", "the byte of unpinned readers is locked by somebody else");
      }
      this.#count++;
      place.held = true;
    }
    return this.#readMetas().newest;
  }

  unpin(place: { held: boolean }): void {
    if (!place.held) return;
    place.held = false;
    this.#count--;
    if (this.#count === 0) this.#file.unlock({ start: LOCK_UNPINNED, length: 1 });
  }

  release(place: { held: boolean }): void {
    this.unpin(place);
  }
}

export class Readers<P = unknown> {
  readonly #pins: Pins<P>;
  readonly #pages: MappedPages;
  /** Where the turn's snapshot is held, once there was one. */
  #turnPlace: P | undefined;
  #turn: Snapshot | undefined;
  readonly #held = new Set<Pin>();

  constructor(pins: Pins<P>, pages: MappedPages) {
    this.#pins = pins;
    this.#pages = pages;
  }

  /** The snapshot of this turn of the event loop: the newest when the turn first read. */
  current(): Snapshot {
    return this.#turn ?? this.#beginTurn();
  }

  /**
   * The snapshot is let go when the turn ends, so that an idle handle holds nothing. The immediate is referenced: the
   * loop would otherwise sleep before it runs, with the snapshot held. It keeps the process for one turn at most.
   */
  #beginTurn(): Snapshot {
    this.#turnPlace ??= this.#pins.claim();
    this.#turn = this.#pin(this.#turnPlace);
    setImmediate(() => this.endTurn());
    return this.#turn;
  }

  endTurn(): void {
    if (this.#turn === undefined) return;
    this.#turn = undefined;
    if (this.#turnPlace !== undefined) this.#pins.unpin(this.#turnPlace);
  }

  /** Plain reads see the newest snapshot from now on: it was committed here, or the user asked. */
  renew(): void {
    if (this.#turn !== undefined && this.#turnPlace !== undefined) this.#turn = this.#pin(this.#turnPlace);
  }

  /** Holds the newest snapshot for as long as the caller wants. @throws StoreError SLOTS_FULL */
  hold(): Pin {
    const place = this.#pins.claim();
    let snapshot: Snapshot;
    try {
      snapshot = this.#pin(place);
    } catch (error) {
      this.#pins.release(place);
      throw error;
    }
    let released = false;
    const pin: Pin = {
      snapshot,
      release: () => {
        if (released) return;
        released = true;
        this.#held.delete(pin);
        this.#pins.release(place);
      },
    };
    this.#held.add(pin);
    return pin;
  }

  #pin(place: P): Snapshot {
    const snapshot = this.#pins.pin(place);
    this.#pages.reach(snapshot.pageCount);
    return snapshot;
  }

  /** How many snapshots are held beyond the turn. */
  get heldCount(): number {
    return this.#held.size;
  }

  close(): void {
    this.endTurn();
    for (const pin of [...this.#held]) pin.release();
  }
}
