/** Measuring two peers against each other: in turns, so that what disturbs the machine disturbs both. */
import { Bench } from "tinybench";

export const PEERS = ["foliodb", "lmdb"] as const;

export type PeerName = (typeof PEERS)[number];

/** One thing for each peer. */
export type Pair<T> = { readonly [P in PeerName]: T };

/** One row of the result. */
export interface Measurement {
  readonly set: string;
  readonly entries: number;
  readonly operation: Operation;
  readonly unit: "ns" | "µs" | "pages";
  readonly foliodb: number;
  /** Of lmdb-js, but for "putSync and bare flushes": of two flushes without a store. */
  readonly peer: number;
}

export type Operation =
  | "get"
  | "has"
  | "range of 100"
  | "scan"
  | "keys only"
  | "puts, random"
  | "puts, sorted"
  | "size, random"
  | "size, sorted"
  | "put, awaited"
  | "put, awaited until durable"
  | "putSync"
  | "transactionSync of one put"
  | "putSync and bare flushes";

/** Milliseconds of calls before the first round: enough for the compiler to have settled. */
const WARMUP_MS = 200;

/**
 * Milliseconds one call takes in each peer: the median over the rounds of a round's median.
 * What the calls return must be equal, so that both did the same.
 */
export function measureCalls(calls: Pair<() => number>, rounds: number, ms: number): Pair<number> {
  if (calls.foliodb() !== calls.lmdb()) throw new Error("the peers returned different results");
  const samples = { foliodb: [] as number[], lmdb: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({
      time: ms,
      iterations: 1,
      warmup: round === 0,
      warmupTime: WARMUP_MS,
      warmupIterations: 1,
      throws: true,
    });
    for (const peer of PEERS) bench.add(peer, calls[peer]);
    collectGarbage();
    bench.runSync();
    for (const { name, result } of bench.tasks) {
      if (result.state !== "completed") throw new Error(`measuring ${name} ended as ${result.state}`);
      samples[name as PeerName].push(result.latency.p50);
    }
  }
  return { foliodb: median(samples.foliodb), lmdb: median(samples.lmdb) };
}

/**
 * Medians of what `once` measures by itself, in turns. Garbage is collected before each turn, or once for many `short` ones:
 * a full collection leaves the processor's caches cold and throws compiled code away, which would be most of what a turn of a
 * millisecond measures.
 */
export async function measureInTurns<N extends string>(
  names: readonly N[],
  rounds: number,
  once: (name: N) => number | Promise<number>,
  short = false,
): Promise<Record<N, number>> {
  const samples = new Map<N, number[]>(names.map((name) => [name, []]));
  collectGarbage();
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      if (!short) collectGarbage();
      samples.get(name)?.push(await once(name));
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(samples.get(name) ?? [])])) as Record<N, number>;
}

/** Milliseconds since some moment. */
export function now(): number {
  return performance.now();
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One peer's garbage is not to be collected on the other's time. */
function collectGarbage(): void {
  globalThis.gc?.();
}
