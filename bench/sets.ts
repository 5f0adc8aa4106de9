/**
 * What the peers are filled with: sets of keys and values, the same in every run.
 *
 * Keys are ASCII, so that their order as strings is their order as bytes. Values come from a pool: making a million
 * texts would measure the garbage collector.
 */

/** `short`: "user:" and ten random digits. `url`: about 80 bytes that have long beginnings in common. */
type Keys = "short" | "url";

export interface EntrySet {
  readonly name: SetName;
  readonly keys: Keys;
  readonly values: "string" | "binary";
  /** Bytes of a value. */
  readonly valueSize: number;
  /** Larger stores are not measured with this set: they would tell nothing new. */
  readonly entriesMax: number;
}

const SETS = {
  string: { keys: "short", values: "string", valueSize: 100, entriesMax: Number.POSITIVE_INFINITY },
  binary: { keys: "short", values: "binary", valueSize: 100, entriesMax: Number.POSITIVE_INFINITY },
  small: { keys: "short", values: "string", valueSize: 20, entriesMax: 100_000 },
  url: { keys: "url", values: "string", valueSize: 100, entriesMax: Number.POSITIVE_INFINITY },
} as const;

export type SetName = keyof typeof SETS;

export const SET_NAMES = Object.keys(SETS) as readonly SetName[];

export function setOf(name: SetName): EntrySet {
  return { name, ...SETS[name] };
}

/** Random numbers from 0 to below `limit`, the same in every run (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  shuffle<T>(items: T[]): T[] {
    for (let index = items.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      [items[index], items[other]] = [items[other], items[index]];
    }
    return items;
  }
}

const SECTIONS = ["electronics", "garden-furniture", "kitchen-appliances", "books", "outdoor-sports", "music"];

/** `count` different keys in random order. */
export function makeKeys(kind: Keys, count: number): string[] {
  const random = new Random(count);
  const keys = new Set<string>();
  while (keys.size < count) keys.add(kind === "short" ? shortKey(random) : urlKey(random));
  // A key is put together from pieces; joined, it is flat, as the strings of a program that read them somewhere are.
  return [...keys].map((key) => Buffer.from(key, "latin1").toString("latin1"));
}

function shortKey(random: Random): string {
  return `user:${digits(random.below(100_000), 5)}${digits(random.below(100_000), 5)}`;
}

function urlKey(random: Random): string {
  const section = SECTIONS[random.below(SECTIONS.length)];
  const shelf = digits(random.below(40), 2);
  const item = `${digits(random.below(10_000), 4)}${digits(random.below(10_000), 4)}`;
  return `https://www.example-shop.com/catalogue/en/${section}/shelf-${shelf}/item-${item}.html`;
}

function digits(number: number, length: number): string {
  return String(number).padStart(length, "0");
}

const POOL_SIZE = 1024;
const LETTERS = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789";

/** Texts of `size` ASCII characters. The value of the n-th key is the n-th of them, around and around. */
export function makeTexts(size: number): string[] {
  return makeBytes(size).map((bytes) => Buffer.from(bytes).toString("latin1"));
}

/** Bytes, each a letter, so that texts of the same bytes can be made of them. */
export function makeBytes(size: number): Uint8Array[] {
  const random = new Random(size);
  return Array.from({ length: POOL_SIZE }, () =>
    Uint8Array.from({ length: size }, () => LETTERS.charCodeAt(random.below(LETTERS.length))),
  );
}
