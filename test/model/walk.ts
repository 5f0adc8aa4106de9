/** An iterator that is stepped by hand, beside the model it iterates over: a state that stays, or one that changes. */
import type { Key } from "../../src/store/codec/key.ts";
import type { RangeOptions } from "../../src/store/range-options.ts";
import type { Entries, Reads } from "../../src/store/reads.ts";
import { Difference, showRange } from "./compare.ts";
import { isSame, type Model, show } from "./model.ts";

export class Walk {
  over = false;
  readonly #entries: Entries<[Key, unknown]>;
  readonly #range: RangeOptions<Key>;
  readonly #model: Model<Key, unknown>;
  #last: Key | undefined;
  #given = 0;

  /** The first step is taken at once: that is when an iterator settles for a state. */
  static over(reads: Reads<Key, unknown>, range: RangeOptions<Key>, model: Model<Key, unknown>): Walk {
    const walk = new Walk(reads.entries(range), range, model);
    walk.step();
    return walk;
  }

  private constructor(entries: Entries<[Key, unknown]>, range: RangeOptions<Key>, model: Model<Key, unknown>) {
    this.#entries = entries;
    this.#range = range;
    this.#model = model;
  }

  /** The next entry is the one after the last that was given, as the tree is now. */
  step(): void {
    const expected = this.#expected();
    const result = this.#entries.next();
    const found = result.done === true ? undefined : result.value;
    const same = isSame(found?.[0], expected?.key) && isSame(found?.[1], expected?.value);
    if (!same) {
      throw new Difference(
        `iterator ${showRange(this.#range)} after ${show(this.#last)}: ${show(found)}, not ${show(expected)}`,
      );
    }
    this.#last = found?.[0];
    this.#given++;
    this.over = found === undefined;
  }

  #expected(): { key: Key; value: unknown } | undefined {
    const { limit = Number.POSITIVE_INFINITY, ...bounds } = this.#range;
    if (this.#given >= limit) return undefined;
    const last = this.#last;
    if (last === undefined) return this.#model.range({ ...bounds, limit: 1 })[0];
    const { gt: _gt, gte: _gte, lt: _lt, lte: _lte, ...rest } = bounds;
    const beyond: RangeOptions<Key> =
      bounds.reverse === true
        ? { ...rest, ...lowerOf(bounds), lt: last, limit: 1 }
        : { ...rest, ...upperOf(bounds), gt: last, limit: 1 };
    return this.#model.range(beyond)[0];
  }

  end(): void {
    this.#entries.return?.();
    this.over = true;
  }
}

function lowerOf({ gt, gte }: RangeOptions<Key>): RangeOptions<Key> {
  return gt !== undefined ? { gt } : { gte };
}

function upperOf({ lt, lte }: RangeOptions<Key>): RangeOptions<Key> {
  return lt !== undefined ? { lt } : { lte };
}
