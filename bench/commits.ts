/**
 * Durable commits of a single put.
 *
 * What lmdb-js promises differs from call to call (its option `overlappingSync`, on by default but on Windows): a promise
 * of `put` and `putSync` are kept when the commit is visible, which is before it is durable; `flushed` and
 * `transactionSync` wait until it is. foliodb always waits. Therefore the comparison is with each.
 */
import { type Measurement, measureInTurns, median, now, type Operation, PEERS, type PeerName } from "./measure.ts";
import type { Value } from "./peers.ts";
import type { EntrySet } from "./sets.ts";
import type { FilledStores } from "./writes.ts";

type CommitOperation = Extract<
  Operation,
  "put, awaited" | "put, awaited until durable" | "putSync" | "transactionSync of one put"
>;
type Commit = (key: string, value: Value) => unknown;

const US_PER_MS = 1000;

export interface CommitPlan {
  readonly set: EntrySet;
  /** Keys that are there, in random order. */
  readonly keys: readonly string[];
  readonly values: readonly Value[];
  readonly rounds: number;
  /** Commits in a round. */
  readonly commits: number;
}

export async function measureCommits({ foliodb, lmdb }: FilledStores, plan: CommitPlan): Promise<Measurement[]> {
  const kinds: { readonly [O in CommitOperation]: { readonly [P in PeerName]: Commit } } = {
    "put, awaited": {
      foliodb: (key, value) => foliodb.put(key, value),
      lmdb: (key, value) => lmdb.put(key, value),
    },
    "put, awaited until durable": {
      foliodb: (key, value) => foliodb.put(key, value),
      lmdb: async (key, value) => {
        await lmdb.put(key, value);
        await lmdb.flushed;
      },
    },
    putSync: {
      foliodb: (key, value) => foliodb.putSync(key, value),
      lmdb: (key, value) => lmdb.putSync(key, value),
    },
    "transactionSync of one put": {
      foliodb: (key, value) => foliodb.transactionSync((transaction) => transaction.put(key, value)),
      lmdb: (key, value) => lmdb.transactionSync(() => void lmdb.put(key, value)),
    },
  };
  const measurements: Measurement[] = [];
  for (const operation of Object.keys(kinds) as CommitOperation[]) {
    const next: Record<PeerName, number> = { foliodb: 0, lmdb: 0 };
    const took = await measureInTurns(PEERS, plan.rounds, async (peer) => {
      const commit = kinds[operation][peer];
      // What lmdb-js still flushes of earlier commits is not part of this round.
      await lmdb.flushed;
      const samples: number[] = [];
      for (let i = 0; i < plan.commits; i++) {
        const index = next[peer]++;
        const begin = now();
        await commit(plan.keys[index % plan.keys.length], plan.values[index % plan.values.length]);
        samples.push(now() - begin);
      }
      return median(samples);
    });
    measurements.push({
      set: plan.set.name,
      entries: plan.keys.length,
      operation,
      unit: "µs",
      foliodb: took.foliodb * US_PER_MS,
      peer: took.lmdb * US_PER_MS,
    });
  }
  return measurements;
}
