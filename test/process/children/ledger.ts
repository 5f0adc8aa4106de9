/**
 * A store whose every state fits together, so that a reader sees at once if it was shown anything but one state.
 *
 * Each transaction of writer w moves money between two accounts, counts the generation up in all counters, adds an
 * entry to its log and removes the one LOG_LENGTH before, counts itself, and now and then replaces a large value.
 */
import type { Key } from "foliodb";

const COUNTERS = 16;
const ACCOUNTS = 16;
const BALANCE = 1000;
const LOG_LENGTH = 40;
const LARGE_SIZE = 30_000;
const LARGE_EVERY = 7;

/** What reading takes: a store, a snapshot or a transaction. */
export interface Reads {
  get(key: Key): unknown;
  count(range: { prefix: Key }): number;
  values(range: { prefix: Key }): Iterable<unknown>;
  entries(range: { prefix: Key }): Iterable<[Key, unknown]>;
}

/** What writing takes: a transaction. */
export interface Writes extends Reads {
  put(key: Key, value: unknown): void;
  delete(key: Key): boolean;
}

/** Writes the first state. */
export function found(transaction: Writes): void {
  for (let i = 0; i < COUNTERS; i++) transaction.put(["counter", i], 0);
  for (let i = 0; i < ACCOUNTS; i++) transaction.put(["account", i], BALANCE);
}

/** One step of a writer; returns how many it has made. */
export function step(transaction: Writes, writer: string): number {
  const generation = Number(transaction.get(["counter", 0])) + 1;
  for (let i = 0; i < COUNTERS; i++) transaction.put(["counter", i], generation);
  const [from, to] = [generation % ACCOUNTS, (generation * 7 + 3) % ACCOUNTS];
  const amount = generation % 10;
  transaction.put(["account", from], Number(transaction.get(["account", from])) - amount);
  transaction.put(["account", to], Number(transaction.get(["account", to])) + amount);
  const steps = Number(transaction.get(["steps", writer]) ?? 0) + 1;
  transaction.put(["steps", writer], steps);
  transaction.put(["log", writer, steps], `step ${steps} in generation ${generation}`);
  transaction.delete(["log", writer, steps - LOG_LENGTH]);
  if (steps % LARGE_EVERY === 0) transaction.put(["large", writer], "x".repeat(LARGE_SIZE + steps) + generation);
  return steps;
}

/** What does not fit together in a state; undefined if all does. */
export function misfit(reads: Reads): string | undefined {
  const counters = new Set(reads.values({ prefix: ["counter"] }));
  if (counters.size !== 1) return `counters of ${[...counters].join(", ")}`;
  const generation = Number([...counters][0]);
  let sum = 0;
  for (const balance of reads.values({ prefix: ["account"] })) sum += Number(balance);
  if (sum !== ACCOUNTS * BALANCE) return `accounts with ${sum} in all`;
  let total = 0;
  for (const [key, value] of reads.entries({ prefix: ["steps"] })) {
    const steps = Number(value);
    total += steps;
    const writer = Array.isArray(key) ? String(key[1]) : "";
    const logged = reads.count({ prefix: ["log", writer] });
    if (logged !== Math.min(steps, LOG_LENGTH)) return `${logged} log entries after ${steps} steps of ${writer}`;
    const large = reads.get(["large", writer]);
    const whole = steps - (steps % LARGE_EVERY);
    if (whole > 0 && !String(large).startsWith("x".repeat(LARGE_SIZE + whole)))
      return `a large value of ${writer} torn`;
  }
  return total === generation ? undefined : `${total} steps in generation ${generation}`;
}
