/** Plays what a random program does with a store: picks keys, values and ranges, and writes the scripts of transactions. */
import type { Key } from "../../src/store/codec/key.ts";
import type { RangeOptions } from "../../src/store/range-options.ts";
import type { Reads } from "../../src/store/reads.ts";
import type { Transaction } from "../../src/store/transaction.ts";
import type { Dice } from "../support/dice.ts";
import { compareAll, compareKey, compareRange, compareResult, randomRange } from "./compare.ts";
import { type Kind, keysOf, nextValue } from "./kinds.ts";
import type { Model } from "./model.ts";
import { Walk } from "./walk.ts";

type TrialModel = Model<Key, unknown>;

/** In longer transactions nothing is read between the writes. */
const READ_WRITES_MAX = 50;

export class Player {
  /** Operations so far: every write, and every read that is compared. */
  operations = 0;
  readonly #kind: Kind;
  readonly #dice: Dice;
  readonly #keys: readonly Key[];
  #serial = 0;

  constructor(kind: Kind, dice: Dice) {
    this.#kind = kind;
    this.#dice = dice;
    this.#keys = keysOf(kind, dice);
  }

  key(): Key {
    return this.#dice.pick(this.#keys);
  }

  value(): unknown {
    return nextValue(this.#kind, this.#dice, this.#serial++);
  }

  anyRange(): RangeOptions<Key> {
    return randomRange(this.#dice, () => this.key());
  }

  lookUp(reads: Reads<Key, unknown>, model: TrialModel): void {
    compareKey("get", reads, model, this.key());
    this.operations++;
  }

  range(what: string, reads: Reads<Key, unknown>, model: TrialModel): void {
    compareRange(what, reads, model, this.anyRange());
    this.operations++;
  }

  /** What a transaction does: it writes, reads its own writes, and iterates over what it is changing. */
  body(model: TrialModel, writes: number): (transaction: Transaction<Key, unknown>) => void {
    const dice = this.#dice;
    return (transaction) => {
      let walk: Walk | undefined;
      for (let i = 0; i < writes; i++) {
        this.#write(transaction, model);
        if (writes > READ_WRITES_MAX) continue;
        if (dice.chance(0.1)) this.lookUp(transaction, model);
        if (dice.chance(0.05)) this.range("transaction", transaction, model);
        if (dice.chance(0.1)) walk = Walk.over(transaction, this.anyRange(), model);
        for (let steps = dice.below(4); walk !== undefined && steps > 0 && !walk.over; steps--) walk.step();
      }
      if (dice.chance(0.02)) compareAll("transaction", transaction, model);
    };
  }

  #write(transaction: Transaction<Key, unknown>, model: TrialModel): void {
    const key = this.key();
    this.operations++;
    switch (this.#dice.weighted({ put: 700, delete: 300, refused: 10, clear: 1 })) {
      case "put": {
        const value = this.value();
        transaction.put(key, value);
        model.put(key, value);
        break;
      }
      case "delete":
        compareResult("delete", transaction.delete(key), model.delete(key));
        break;
      case "refused":
        this.#expectRefused(transaction);
        break;
      case "clear":
        transaction.clear();
        model.clear();
        break;
    }
  }

  /** A key that is too long is refused before anything is written, and the transaction goes on. */
  #expectRefused(transaction: Transaction<Key, unknown>): void {
    const key = this.#kind.keyEncoding === "binary" ? new Uint8Array(5000) : "k".repeat(5000);
    let code: unknown;
    try {
      transaction.put(key, this.value());
    } catch (error) {
      code = (error as { code?: unknown }).code;
    }
    compareResult("a key that is too long", code, "KEY_SIZE");
  }
}
