/**
 * One random run: a store, its handles and what it must hold. Every step picks something a program could do, does it to
 * the store and to the model, and compares what both say.
 */
import type { Key } from "../../src/store/codec/key.ts";
import type { StoreOptions } from "../../src/store/options.ts";
import type { Reads } from "../../src/store/reads.ts";
import type { StoreSnapshot } from "../../src/store/snapshot.ts";
import type { Store } from "../../src/store/store.ts";
import type { Dice } from "../support/dice.ts";
import { expectWhole } from "../support/whole.ts";
import { Abandoned, Burst } from "./burst.ts";
import { compareAll, compareKey, compareResult, Difference } from "./compare.ts";
import type { Kind } from "./kinds.ts";
import { Model } from "./model.ts";
import { Player } from "./player.ts";
import { Walk } from "./walk.ts";

export type TrialStore = Store<Key, unknown>;
type TrialModel = Model<Key, unknown>;

/** One process, or something like it, that has the store open. */
export interface Seat {
  store: TrialStore;
  /** Ends it as `kill -9` would; undefined where that can't be tried. */
  readonly kill: (() => Promise<void>) | undefined;
}

/** Where stores are opened. */
export type Sit = (options: StoreOptions<unknown>) => Seat;

const SEATS_MAX = 3;
const HELD_MAX = 6;
const OPERATIONS_PER_CHECK = 600;

/** How often each kind of step is taken. */
const STEPS = {
  putSync: 8,
  deleteSync: 4,
  burst: 10,
  duel: 2,
  transactionSync: 10,
  bulk: 1,
  cull: 1,
  clear: 0.15,
  lookUp: 20,
  range: 12,
  wholeStore: 1,
  hold: 3,
  compareHeld: 3,
  letGo: 2,
  startWalk: 3,
  walk: 10,
  sitDown: 1,
  standUp: 1,
  kill: 2,
  turn: 3,
} as const;
const WEIGHTS = Object.fromEntries(Object.entries(STEPS).map(([name, weight]) => [name, weight * 100]));

export class Trial {
  model: TrialModel = new Model();
  readonly #kind: Kind;
  readonly #dice: Dice;
  readonly #sit: Sit;
  readonly #player: Player;
  readonly #seats: Seat[] = [];
  #held: { seat: Seat; snapshot: StoreSnapshot<Key, unknown>; model: TrialModel }[] = [];
  #walks: { seat: Seat; walk: Walk }[] = [];
  /** The dead have no garbage collector, which would end what they held, in memory they share with the living. */
  readonly #graveyard: unknown[] = [];
  #checked = 0;

  constructor(kind: Kind, dice: Dice, sit: Sit) {
    this.#kind = kind;
    this.#dice = dice;
    this.#sit = sit;
    this.#player = new Player(kind, dice);
    this.#sitDown();
  }

  /** Operations so far: every write, and every read that is compared. */
  get operations(): number {
    return this.#player.operations;
  }

  /** Goes on until so many operations are done. */
  async run(operations: number): Promise<void> {
    while (this.#player.operations < operations) {
      const step = this.#dice.weighted(WEIGHTS);
      try {
        await this.#step(step as keyof typeof STEPS);
        if (this.#player.operations - this.#checked > OPERATIONS_PER_CHECK) {
          this.#checked = this.#player.operations;
          expectWhole(this.#seat().store);
        }
      } catch (error) {
        throw new Error(`${this.#kind.name}, operation ${this.#player.operations}, ${step}: ${String(error)}`, {
          cause: error,
        });
      }
    }
    this.#compareEverything();
  }

  async #step(step: keyof typeof STEPS): Promise<void> {
    const seat = this.#seat();
    switch (step) {
      case "putSync":
        return this.#putSync(seat);
      case "deleteSync":
        return this.#deleteSync(seat);
      case "burst":
        return this.#burst(seat);
      case "duel":
        return this.#duel();
      case "transactionSync":
        return this.#transactionSync(seat, this.#dice.between(1, 25));
      case "bulk":
        return this.#transactionSync(seat, this.#dice.between(100, 400));
      case "cull":
        return this.#cull(seat);
      case "clear":
        await seat.store.clear();
        this.model.clear();
        this.#player.operations++;
        return;
      case "lookUp":
        seat.store.refresh();
        for (let i = 0; i < 4; i++) this.#player.lookUp(seat.store, this.model);
        return;
      case "range":
        seat.store.refresh();
        return this.#player.range("range", seat.store, this.model);
      case "wholeStore":
        seat.store.refresh();
        compareAll("store", seat.store, this.model);
        this.#player.operations++;
        return;
      case "hold":
        if (this.#held.length < HELD_MAX) {
          this.#held.push({ seat, snapshot: seat.store.snapshot(), model: this.model.copy() });
        }
        return;
      case "compareHeld":
        for (const { snapshot, model } of this.#held) {
          if (this.#dice.chance(0.3)) compareAll("snapshot", snapshot, model);
          this.#player.lookUp(snapshot, model);
          this.#player.range("snapshot", snapshot, model);
        }
        return;
      case "letGo":
        this.#held.splice(this.#dice.below(HELD_MAX), 1)[0]?.snapshot.close();
        return;
      case "startWalk": {
        seat.store.refresh();
        if (this.#walks.length < HELD_MAX) {
          const range = this.#player.anyRange();
          this.#walks.push({ seat, walk: Walk.over(seat.store, range, this.model.copy()) });
        }
        return;
      }
      case "walk":
        return this.#walk();
      case "sitDown":
        if (this.#seats.length < SEATS_MAX) this.#sitDown();
        return;
      case "standUp":
        return this.#standUp(seat);
      case "kill":
        return this.#kill(seat);
      case "turn":
        return turn();
    }
  }

  #seat(): Seat {
    return this.#dice.pick(this.#seats);
  }

  // Reading ------------------------------------------------------------------------------------------------------------

  /** Takes some steps of an iterator that began a while ago. */
  #walk(): void {
    if (this.#walks.length === 0) return;
    const index = this.#dice.below(this.#walks.length);
    const { walk } = this.#walks[index];
    for (let i = this.#dice.below(20); i > 0 && !walk.over; i--) {
      walk.step();
      this.#player.operations++;
    }
    if (this.#dice.chance(0.1)) walk.end();
    if (walk.over) this.#walks.splice(index, 1);
  }

  #compareEverything(): void {
    for (const { snapshot, model } of this.#held) compareAll("snapshot", snapshot, model);
    for (const { walk } of this.#walks) while (!walk.over) walk.step();
    for (const { store } of this.#seats) {
      store.refresh();
      compareAll("store", store, this.model);
      expectWhole(store);
    }
  }

  // Writing ------------------------------------------------------------------------------------------------------------

  #putSync({ store }: Seat): void {
    const key = this.#player.key();
    const value = this.#player.value();
    store.putSync(key, value);
    this.model.put(key, value);
    this.#player.operations++;
    compareKey("after putSync", store, this.model, key);
  }

  #deleteSync({ store }: Seat): void {
    const key = this.#player.key();
    compareResult("deleteSync", store.deleteSync(key), this.model.delete(key));
    this.#player.operations++;
    compareKey("after deleteSync", store, this.model, key);
  }

  #transactionSync({ store }: Seat, writes: number): void {
    const next = this.model.copy();
    const body = this.#player.body(next, writes);
    if (this.#dice.chance(0.15)) {
      try {
        store.transactionSync((transaction) => {
          body(transaction);
          throw new Abandoned();
        });
      } catch (error) {
        if (!(error instanceof Abandoned)) throw error;
      }
    } else {
      store.transactionSync(body);
      this.model = next;
    }
    store.refresh();
    this.#player.lookUp(store, this.model);
  }

  /** Deletes most of a range, so that pages empty and join. */
  #cull({ store }: Seat): void {
    const { entries } = this.model;
    const from = this.#dice.below(entries.length + 1);
    const doomed = entries.slice(from, from + this.#dice.below(600)).filter(() => this.#dice.chance(0.95));
    store.transactionSync((transaction) => {
      for (const { key } of doomed) compareResult("delete", transaction.delete(key), true);
    });
    for (const { key } of doomed) this.model.delete(key);
    this.#player.operations += doomed.length;
  }

  /** Several asynchronous writes of one turn; a synchronous one may bring them to their end early. */
  async #burst(seat: Seat): Promise<void> {
    const { store } = seat;
    const burst = this.#queue(store);
    if (this.#dice.chance(0.2)) {
      for (let turns = this.#dice.below(8); turns > 0; turns--) await turn();
      const count = store.transactionSync((transaction) => transaction.count());
      this.model = burst.model;
      compareResult("count", count, this.model.size);
      this.#transactionSync(seat, 3);
      await burst.settled();
    } else {
      // Nothing of this handle's is seen before it is committed.
      store.refresh();
      this.#player.lookUp(store, this.model);
      await burst.settled();
      this.model = burst.model;
    }
    store.refresh();
    this.#player.lookUp(store, this.model);
  }

  /** Every handle writes at once, each keys of its own; whoever comes first, all of it is there in the end. */
  async #duel(): Promise<void> {
    const outcomes: Promise<unknown>[] = [];
    const taken = new Set<Key>();
    for (let i = this.#dice.between(2, 8); i > 0; i--) {
      for (const { store } of this.#seats) {
        const key = this.#player.key();
        if (taken.has(key)) continue;
        taken.add(key);
        this.#player.operations++;
        if (this.#dice.chance(0.7)) {
          const value = this.#player.value();
          outcomes.push(store.put(key, value));
          this.model.put(key, value);
        } else {
          const expected = this.model.delete(key);
          outcomes.push(store.delete(key).then((existed) => compareResult("delete", existed, expected)));
        }
      }
      if (this.#dice.chance(0.3)) await turn();
    }
    await Promise.all(outcomes);
    for (const { store } of this.#seats) {
      store.refresh();
      for (const key of taken) compareKey("after a duel", store, this.model, key);
    }
  }

  #queue(store: TrialStore): Burst {
    const burst = new Burst(store, this.model);
    for (let i = this.#dice.between(1, 12); i > 0; i--) {
      this.#player.operations++;
      switch (this.#dice.weighted({ put: 400, delete: 200, transaction: 150, abandoned: 100, clear: 1 })) {
        case "put":
          burst.put(this.#player.key(), this.#player.value());
          break;
        case "delete":
          burst.delete(this.#player.key());
          break;
        case "transaction":
          burst.transaction((model) => this.#player.body(model, this.#dice.between(1, 6)), false);
          break;
        case "abandoned":
          burst.transaction((model) => this.#player.body(model, this.#dice.between(1, 6)), true);
          break;
        case "clear":
          burst.clear();
          break;
      }
    }
    return burst;
  }

  // Coming and going ---------------------------------------------------------------------------------------------------

  #sitDown(): void {
    const { keyEncoding, valueEncoding, pageSize } = this.#kind;
    this.#seats.push(this.#sit({ keyEncoding, valueEncoding, pageSize }));
  }

  async #standUp(seat: Seat): Promise<void> {
    if (this.#dice.coin()) seat.store.closeSync();
    else await seat.store.close();
    this.#leave(seat);
  }

  /** Kills a process, perhaps amid a commit; then the store is as before the commit or as after it, and stays so. */
  async #kill(seat: Seat): Promise<void> {
    if (seat.kill === undefined) return;
    const burst = this.#dice.coin() ? this.#queue(seat.store) : undefined;
    // Its promises stay pending for ever, or are rejected by the death of the process.
    burst?.settled().catch(() => undefined);
    for (let turns = this.#dice.below(12); burst !== undefined && turns > 0; turns--) await turn();
    await seat.kill();
    this.#leave(seat);
    const { store } = this.#seat();
    const candidates = burst === undefined ? [this.model] : [this.model, burst.model];
    this.model = store.transactionSync((transaction) => firstThatFits(transaction, candidates));
    store.refresh();
    compareAll("store", store, this.model);
  }

  #leave(seat: Seat): void {
    this.#graveyard.push(seat, this.#held, this.#walks);
    this.#held = this.#held.filter((held) => held.seat !== seat);
    this.#walks = this.#walks.filter((walk) => walk.seat !== seat);
    this.#seats.splice(this.#seats.indexOf(seat), 1);
    if (this.#seats.length === 0) this.#sitDown();
  }
}

/** The model that is what is read; a difference from the last one if none is. */
function firstThatFits(reads: Reads<Key, unknown>, candidates: readonly TrialModel[]): TrialModel {
  for (const model of candidates.slice(0, -1)) {
    try {
      compareAll("store after a kill", reads, model);
      return model;
    } catch (error) {
      if (!(error instanceof Difference)) throw error;
    }
  }
  const last = candidates[candidates.length - 1];
  compareAll("store after a kill", reads, last);
  return last;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
