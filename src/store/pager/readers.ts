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

  release(place: { held: boolean }): void {
    if (!place.held) return;
    place.held = false;
    this.#count--;
    if (this.#count === 0) this.#file.unlock({ start: LOCK_UNPINNED, length: 1 });
  }
}

/** The snapshot plain reads share, and those iterators of the turn that have not come to their end. */
interface Turn<P> {
  readonly place: P;
  snapshot: Snapshot;
  readonly users: Set<object>;
  /** Once the turn is over: how many iterators still hold its snapshot. */
  left: number;
}

export class Readers<P = unknown> {
  readonly #pins: Pins<P>;
  readonly #pages: MappedPages;
  #turn: Turn<P> | undefined;
  readonly #held = new Set<Pin>();
  #closed = false;
  /** Iterators that outlive their turn: whoever forgets one must not hold its snapshot for ever. */
  readonly #forgotten: FinalizationRegistry<Turn<P>>;

  constructor(pins: Pins<P>, pages: MappedPages) {
    this.#pins = pins;
    this.#pages = pages;
    this.#forgotten = new FinalizationRegistry((turn) => {
      // What the end of the handle has released was not forgotten.
      if (this.#closed) return;
      warnForgotten("an iterator");
      this.#leave(turn);
    });
  }

  /** The snapshot of this turn of the event loop: the newest when the turn first read. */
  current(): Snapshot {
    return (this.#turn ?? this.#beginTurn()).snapshot;
  }

  /**
   * The snapshot is let go when the turn ends, so that an idle handle holds nothing. The immediate is referenced: the
   * loop would otherwise sleep before it runs, with the snapshot held. It keeps the process for one turn at most.
   */
  #beginTurn(): Turn<P> {
    const place = this.#pins.claim();
    const turn: Turn<P> = { place, snapshot: this.#pinOrRelease(place), users: new Set(), left: 0 };
    this.#turn = turn;
    setImmediate(() => {
      if (this.#turn === turn) this.endTurn();
    });
    return turn;
  }

  /** Plain reads see the newest snapshot from now on, at the latest when they next read. */
  endTurn(): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    if (turn.users.size === 0) {
      this.#pins.release(turn.place);
      return;
    }
    turn.left = turn.users.size;
    for (const user of turn.users) this.#forgotten.register(user, turn, user);
    turn.users.clear();
  }

  /** The snapshot of this turn for an iterator, which may hold it for longer. `user` is what becomes garbage if forgotten. */
  share(user: object): Pin {
    const turn = this.#turn ?? this.#beginTurn();
    turn.users.add(user);
    let released = false;
    return {
      snapshot: turn.snapshot,
      release: () => {
        if (released) return;
        released = true;
        if (turn.users.delete(user)) return;
        this.#forgotten.unregister(user);
        this.#leave(turn);
      },
    };
  }

  #leave(turn: Turn<P>): void {
    turn.left--;
    if (turn.left === 0) this.#release(turn.place);
  }

  /** After the end the place is gone with the coordination file, whoever still thinks to hold it. */
  #release(place: P): void {
    if (!this.#closed) this.#pins.release(place);
  }

  /** Holds the newest snapshot for as long as the caller wants. @throws StoreError SLOTS_FULL */
  hold(): Pin {
    const place = this.#pins.claim();
    const snapshot = this.#pinOrRelease(place);
    let released = false;
    const pin: Pin = {
      snapshot,
      release: () => {
        if (released) return;
        released = true;
        this.#held.delete(pin);
        this.#release(place);
      },
    };
    this.#held.add(pin);
    return pin;
  }

  #pinOrRelease(place: P): Snapshot {
    try {
      const snapshot = this.#pins.pin(place);
      this.#pages.reach(snapshot.pageCount);
      return snapshot;
    } catch (error) {
      this.#pins.release(place);
      throw error;
    }
  }

  /** How many snapshots are held beyond the turn. */
  get heldCount(): number {
    return this.#held.size;
  }

  close(): void {
    this.endTurn();
    for (const pin of [...this.#held]) pin.release();
    this.#closed = true;
  }
}

/** What a program hears that let go of something without closing it. */
export function warnForgotten(what: string): void {
  process.emitWarning(
    `${what} of a foliodb store was forgotten: its snapshot is released now, but was held until here`,
    {
      code: "FOLIODB_FORGOTTEN",
      detail: "Call close() or use `using`; leave loops over entries with break, return or throw.",
    },
  );
}
