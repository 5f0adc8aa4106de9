/**
 * Asynchronous writes of one turn, which become one commit. What the model makes of them is worked out when their
 * callbacks run, in call order, because a transaction reads what those before it wrote.
 */
import type { Key } from "../../src/store/codec/key.ts";
import type { Store } from "../../src/store/store.ts";
import type { Transaction } from "../../src/store/transaction.ts";
import { compareResult } from "./compare.ts";
import type { Model } from "./model.ts";

type TrialModel = Model<Key, unknown>;

/** Thrown by callbacks of transactions that shall not happen. */
export class Abandoned extends Error {}

export class Burst {
  readonly #store: Store<Key, unknown>;
  readonly #outcomes: Promise<void>[] = [];
  /** What is still to be applied to the model, in call order. */
  readonly #pending: (() => void)[] = [];
  #applied = 0;
  #model: TrialModel;

  constructor(store: Store<Key, unknown>, model: TrialModel) {
    this.#store = store;
    this.#model = model.copy();
  }

  put(key: Key, value: unknown): void {
    this.#outcomes.push(this.#store.put(key, value));
    this.#pending.push(() => this.#model.put(key, value));
  }

  delete(key: Key): void {
    let expected = false;
    this.#pending.push(() => {
      expected = this.#model.delete(key);
    });
    this.#outcomes.push(
      this.#store.delete(key).then((existed) => {
        this.#applyUpTo(this.#pending.length);
        compareResult("delete", existed, expected);
      }),
    );
  }

  clear(): void {
    this.#outcomes.push(this.#store.clear());
    this.#pending.push(() => this.#model.clear());
  }

  /** A transaction that happens, or one that throws at its end and changes nothing. */
  transaction(body: (model: TrialModel) => (transaction: Transaction<Key, unknown>) => void, abandoned: boolean): void {
    const index = this.#pending.length;
    // The callback itself takes the model further.
    this.#pending.push(() => undefined);
    const result = this.#store.transaction((transaction) => {
      this.#applyUpTo(index);
      const next = this.#model.copy();
      body(next)(transaction);
      if (abandoned) throw new Abandoned();
      this.#model = next;
      return index;
    });
    this.#outcomes.push(
      result.then(
        (returned) => compareResult("transaction", returned, index),
        (error: unknown) => {
          if (!abandoned || !(error instanceof Abandoned)) throw error;
        },
      ),
    );
  }

  #applyUpTo(index: number): void {
    while (this.#applied < index) this.#pending[this.#applied++]();
  }

  /** What the store holds once all is committed; callbacks must have run. */
  get model(): TrialModel {
    this.#applyUpTo(this.#pending.length);
    return this.#model;
  }

  /** All have ended, as they should. */
  async settled(): Promise<void> {
    await Promise.all(this.#outcomes);
  }
}
