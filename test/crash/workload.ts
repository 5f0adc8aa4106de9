/** Commits of every shape, small enough for a small store: one put, several, deletions, overflow runs, growth, clear. */
import type { Dice } from "../support/dice.ts";
import type { Change } from "./history.ts";

const KEYS = 60;

export class Workload {
  readonly #dice: Dice;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** What one commit changes. */
  next(): Change[] {
    const dice = this.#dice;
    const shape = dice.weighted({ one: 6, few: 6, many: 2, deletions: 3, overflow: 3, clear: 1 });
    switch (shape) {
      case "one":
        return [this.#put(200)];
      case "few":
        return Array.from({ length: dice.between(2, 6) }, () => (dice.chance(0.3) ? this.#delete() : this.#put(900)));
      case "many":
        return Array.from({ length: dice.between(10, 40) }, () => this.#put(1200));
      case "deletions":
        return Array.from({ length: dice.between(1, 20) }, () => this.#delete());
      case "overflow":
        return [this.#put(30_000), ...(dice.coin() ? [this.#put(12_000)] : [])];
      case "clear":
        return [...(dice.coin() ? [this.#put(3000)] : []), { kind: "clear" }, ...(dice.coin() ? [this.#put(300)] : [])];
    }
  }

  #key(): string {
    const number = this.#dice.below(KEYS);
    return number % 3 === 0 ? `a key with a long beginning ${number}` : `k${number}`;
  }

  #put(sizeMax: number): Change {
    const text = `${this.#dice.u32()} `;
    return { kind: "put", key: this.#key(), value: text.repeat(1 + this.#dice.below(sizeMax / text.length)) };
  }

  #delete(): Change {
    return { kind: "delete", key: this.#key() };
  }
}

interface Writes {
  put(key: string, value: string): void;
  delete(key: string): boolean;
  clear(): void;
}

export function apply(writes: Writes, changes: readonly Change[]): void {
  for (const change of changes) {
    if (change.kind === "put") writes.put(change.key, change.value);
    else if (change.kind === "delete") writes.delete(change.key);
    else writes.clear();
  }
}
