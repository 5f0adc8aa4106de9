/**
 * The proof of the crash tests: each bug, put into the engine or into its commit job, is revealed by the scenario that
 * is there for it. A harness that does not notice a bug proves nothing.
 */
import { afterAll, describe, expect, test } from "vitest";
import type { CommitMutant } from "../recorder/commit-job.ts";
import { importMutant, type Mutation, removeMutants } from "../support/mutant.ts";
import { Campaign } from "./campaign.ts";
import { type Engine, REAL_ENGINE, Violation } from "./engine.ts";
import { flushFails, metaIsTorn, metaIsTornInMemory, pageIsLost } from "./faults.ts";
import { writerKilledOtherGoesOn, writerKilledStoreReopened } from "./kills.ts";
import { MUTATIONS } from "./mutations.ts";
import {
  commitFailsBesideUnpinnedReader,
  deadReaderLetsGo,
  emptyTransactionLetsGo,
  openerAmongOthers,
  readerPinsAtStep,
  unpinnedReaderAtStep,
  writerCommitsAtPin,
  writersTakeTurns,
} from "./readers.ts";

type Scenario = (engine: Engine, seed: number) => void | Promise<void>;

/** Seeds tried until one reveals the bug; they are fixed, so that a mutant caught once is always caught. */
const SEEDS_MAX = 12;
const CAMPAIGN_IMAGES = 600;

async function campaign(engine: Engine, seed: number): Promise<void> {
  await new Campaign({ engine, seed, images: CAMPAIGN_IMAGES }).run();
}

function failedFlush(which: 1 | 2): Scenario {
  return (engine, seed) => flushFails(engine, which, "synchronously", "old", seed);
}

const ENGINE_MUTANTS: readonly [Mutation, Scenario][] = [
  [MUTATIONS.newerMetaOverwritten, campaign],
  [MUTATIONS.olderMetaNotLive, campaign],
  [MUTATIONS.readerSlotsNotLive, (engine, seed) => readerPinsAtStep(engine, "commit: flushed 1", seed)],
  [MUTATIONS.noReReadAfterPinning, (engine, seed) => writerCommitsAtPin(engine, "pin: record read", 5, seed)],
  [MUTATIONS.orphanMetaNotAdopted, (engine, seed) => writerKilledOtherGoesOn(engine, "commit: flushed 2", seed)],
  [MUTATIONS.unpinnedReadersNotLive, (engine, seed) => unpinnedReaderAtStep(engine, "write: pages written", seed)],
  [MUTATIONS.newestNotFirst, commitFailsBesideUnpinnedReader],
  [MUTATIONS.livingTakenForDead, (engine, seed) => readerPinsAtStep(engine, "commit: unlocked", seed)],
  [MUTATIONS.deadTakenForLiving, deadReaderLetsGo],
  [MUTATIONS.slotEndNotRaised, (engine, seed) => readerPinsAtStep(engine, "commit: unlocked", seed)],
  [MUTATIONS.writerLockNotTaken, (engine, seed) => writersTakeTurns(engine, "write: pages written", seed)],
  [MUTATIONS.othersNotSeen, openerAmongOthers],
  [
    MUTATIONS.openerTakesMetaForDurable,
    (engine, seed) => writerKilledStoreReopened(engine, "commit: meta written", seed),
  ],
  [MUTATIONS.mapPagesNotInUse, campaign],
  [MUTATIONS.unionsKept, campaign],
  [MUTATIONS.deferredPagesReused, campaign],
  [MUTATIONS.undonePartsKeepPages, campaign],
  [MUTATIONS.sizeNotGrown, campaign],
  [MUTATIONS.workingMapNotUndone, campaign],
  [MUTATIONS.tornMetaNotSettled, (engine, seed) => metaIsTornInMemory(engine, [0, 1], seed)],
  [MUTATIONS.presenceGivenUp, openerAmongOthers],
  [MUTATIONS.orphanMetaNotStoredAgain, (engine, seed) => writerKilledOtherGoesOn(engine, "commit: meta written", seed)],
  [MUTATIONS.faultsNotChecked, (engine, seed) => pageIsLost(engine, "commit: flushed 1", seed)],
  [MUTATIONS.poisonNotHeeded, failedFlush(2)],
  [MUTATIONS.poisonForgottenByOpener, failedFlush(2)],
  [MUTATIONS.writerLockKept, emptyTransactionLetsGo],
];

const COMMIT_MUTANTS: readonly [CommitMutant, Scenario][] = [
  ["no checksum", campaign],
  ["no flush 1", campaign],
  ["no flush 2", campaign],
  ["no flush 2 before publish", campaign],
  ["meta before flush 1", campaign],
  ["one meta copy only", (engine, seed) => metaIsTorn(engine, [2], seed)],
  ["no poison", failedFlush(1)],
  ["poison after unlock", failedFlush(1)],
  ["publish despite failure", failedFlush(2)],
  ["no fault checks", (engine, seed) => pageIsLost(engine, "commit: flush 1 begun", seed)],
  ["publish after unlock", (engine, seed) => writersTakeTurns(engine, "commit: unlocked", seed)],
];

let caught = 0;
/** Scenarios and seeds that are known to report nothing of the real engine. */
const passed = new Map<Scenario, Set<number>>();

async function passes(scenario: Scenario, seed: number): Promise<void> {
  const seeds = passed.get(scenario) ?? new Set();
  passed.set(scenario, seeds);
  if (!seeds.has(seed)) await scenario(REAL_ENGINE, seed);
  seeds.add(seed);
}

/** What the scenario reports with one of the seeds; it must report nothing of the real engine. */
async function reveal(scenario: Scenario, engine: Engine): Promise<Violation | undefined> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    try {
      await scenario(engine, seed);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      await passes(scenario, seed);
      caught++;
      return error;
    }
  }
  return undefined;
}

afterAll(() => {
  removeMutants();
  process.stdout.write(`mutants caught: ${caught} of ${ENGINE_MUTANTS.length + COMMIT_MUTANTS.length}\n`);
});

describe("a bug of the engine is revealed", () => {
  test.each(ENGINE_MUTANTS.map(([mutation, scenario]) => ({ name: mutation.name, mutation, scenario })))(
    "$name",
    async ({ mutation, scenario }) => {
      const { openStore } = await importMutant(mutation);
      const violation = await reveal(scenario, { openStore, commitMutants: [] });
      expect(violation).toBeInstanceOf(Violation);
    },
  );
});

describe("a bug of the commit job is revealed", () => {
  test.each(COMMIT_MUTANTS)("%s", async (mutant, scenario) => {
    const violation = await reveal(scenario, { ...REAL_ENGINE, commitMutants: [mutant] });
    expect(violation).toBeInstanceOf(Violation);
  });
});
