/** Random choices of tests, and the seed that replays them. */
import { onTestFailed } from "vitest";
import { Random } from "../recorder/random.ts";

export class Dice extends Random {
  /** `from` … `to`, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** True in `share` of all cases, 0 to 1. */
  chance(share: number): boolean {
    return this.below(1_000_000) < share * 1_000_000;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  /** One of the named cases, each as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const names = Object.keys(weights) as T[];
    let left = this.below(names.reduce((sum, name) => sum + weights[name], 0));
    for (const name of names) {
      left -= weights[name];
      if (left < 0) return name;
    }
    return names[0];
  }

  /** A seed for something that has a generator of its own. */
  seed(): number {
    return this.u32();
  }
}

/** The seed of this run: a new one each time, or that of the variable FOLIODB_SEED. */
const SEED_OF_RUN: number =
  process.env["FOLIODB_SEED"] === undefined ? Date.now() % 2 ** 31 : Number(process.env["FOLIODB_SEED"]);

/** Within a test: the seed of this run, printed if the test fails. */
export function seedOfRun(): number {
  onTestFailed(() => {
    process.stderr.write(`\nto replay: FOLIODB_SEED=${SEED_OF_RUN}\n`);
  });
  return SEED_OF_RUN;
}

/** How many times longer than usual the random tests run: the variable FOLIODB_CAMPAIGN. */
export const CAMPAIGN_FACTOR: number = Number(process.env["FOLIODB_CAMPAIGN"] ?? 1);
