/** Processes that act between any two steps of another one's commit, by the hooks of the simulated machine. */
import { describe, test } from "vitest";
import { seedOfRun } from "../support/dice.ts";
import { REAL_ENGINE } from "./engine.ts";
import {
  killedOnFreshStore,
  openerKilled,
  openersAtOnce,
  writerKilledOtherGoesOn,
  writerKilledStoreReopened,
} from "./kills.ts";
import {
  commitFailsBesideUnpinnedReader,
  deadReaderLetsGo,
  emptyTransactionLetsGo,
  openerAmongOthers,
  readerKilledAtPin,
  readerPinsAtStep,
  unpinnedReaderAtStep,
  writerCommitsAtPin,
  writerKilledBesideUnpinnedReader,
  writersTakeTurns,
} from "./readers.ts";
import { WRITE_STEPS } from "./scene.ts";

const OPEN_STEPS = ["open: presence taken", "open: coordination ready"] as const;
/** Where a writer can die: those steps, and those between a failed flush and the poison. */
const DEATHS = [...WRITE_STEPS, "commit: flush 1 failed", "commit: flush 2 failed"] as const;
const PIN_STEPS = ["pin: record read", "pin: slot stored", "pin: settled"] as const;

describe("a reader keeps its snapshot while the writer reuses freed pages", () => {
  test.each(WRITE_STEPS)("if it pins at %s", (step) => readerPinsAtStep(REAL_ENGINE, step, seedOfRun()));

  test.each(PIN_STEPS)("if the writer commits at %s", (step) => {
    for (const commits of [1, 2, 3, 5, 9]) writerCommitsAtPin(REAL_ENGINE, step, commits, seedOfRun());
  });

  test.each(WRITE_STEPS)("if it may not pin and reads at %s", (step) => {
    unpinnedReaderAtStep(REAL_ENGINE, step, seedOfRun());
  });

  test("if a third process opens the store", () => openerAmongOthers(REAL_ENGINE, seedOfRun()));
});

test("a commit that fails beside a reader that may not pin leaves nothing to build on", () => {
  commitFailsBesideUnpinnedReader(REAL_ENGINE, seedOfRun());
});

describe("a writer killed beside a reader that may not pin leaves nothing to build on", () => {
  test.each(WRITE_STEPS)("at %s", (step) => {
    for (const next of ["other", "opener"] as const) {
      writerKilledBesideUnpinnedReader(REAL_ENGINE, step, next, seedOfRun());
    }
  });
});

test.each(PIN_STEPS)("a reader that died at %s holds nothing", (step) => {
  return readerKilledAtPin(REAL_ENGINE, step, seedOfRun());
});

test.each(OPEN_STEPS)("an opener waits for one that is at %s", (step) => openersAtOnce(REAL_ENGINE, step, seedOfRun()));

test("a reader that died holds nothing", () => deadReaderLetsGo(REAL_ENGINE, seedOfRun()));

test("a transaction given up leaves nothing, least of all its lock", () => {
  emptyTransactionLetsGo(REAL_ENGINE, seedOfRun());
});

describe("a second writer has its turn after the first", () => {
  test.each(WRITE_STEPS)("though it tries at %s", (step) => writersTakeTurns(REAL_ENGINE, step, seedOfRun()));
});

describe("a writer killed leaves nothing to repair", () => {
  test.each(DEATHS)("at %s, another process going on", (step) => {
    return writerKilledOtherGoesOn(REAL_ENGINE, step, seedOfRun());
  });

  test.each(DEATHS)("at %s, another process opening the store", (step) => {
    return writerKilledStoreReopened(REAL_ENGINE, step, seedOfRun());
  });

  test.each(WRITE_STEPS)("at %s of the first commit ever", (step) => {
    killedOnFreshStore(REAL_ENGINE, step, seedOfRun());
  });

  describe.each(OPEN_STEPS)("nor do openers killed at %s", (openStep) => {
    test.each(DEATHS)("after a writer killed at %s", (writerStep) => {
      return openerKilled(REAL_ENGINE, writerStep, openStep, seedOfRun());
    });
  });
});
