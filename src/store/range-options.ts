/** Ranges as users ask for them. Part of the published types: nothing of Node.js is imported here. */

/** A key, or where keys are tuples, the first parts of one: as an array it sorts before all that begin with it. */
export type KeyBound<K> = K extends readonly [infer First, ...infer Rest] ? readonly [First, ...Partial<Rest>] : K;

/** Which entries, in which order. Without bounds: all. `prefix` may be combined with the other bounds. */
export interface RangeOptions<K> {
  /** Only keys greater than this. */
  gt?: KeyBound<K> | undefined;
  /** Only keys greater than this or equal to it. */
  gte?: KeyBound<K> | undefined;
  /** Only keys less than this. */
  lt?: KeyBound<K> | undefined;
  /** Only keys less than this or equal to it. */
  lte?: KeyBound<K> | undefined;
  /** Only strings or bytes that begin with this, or arrays that begin with these parts. */
  prefix?: KeyBound<K> | undefined;
  /** From the last to the first. */
  reverse?: boolean | undefined;
  /** At most so many entries. */
  limit?: number | undefined;
}
