/** Random runs on the simulated machine: fast, with several processes, and with processes that get killed. */
import { describe, expect, test } from "vitest";
import type { Key } from "../../src/store/codec/key.ts";
import { Machine } from "../recorder/machine.ts";
import { CAMPAIGN_FACTOR, Dice, seedOfRun } from "../support/dice.ts";
import { openWhole } from "../support/whole.ts";
import { KINDS, type Kind } from "./kinds.ts";
import { type Sit, Trial } from "./trial.ts";

const OPERATIONS_PER_KIND = 14_000 * CAMPAIGN_FACTOR;

const TIMEOUT = 60_000 * CAMPAIGN_FACTOR;

/** Processes of one machine. */
function onMachine(seed: number, kind: Kind): Sit {
  const machine = new Machine({ seed, record: false });
  const capacities = { slots: 64, live: 64, owners: 16 };
  return (options) => {
    const process = machine.process();
    const store = openWhole<Key, unknown>(process, "/store", options, {
      runBoundaryLog2: kind.runBoundaryLog2,
      fileSizeMin: 0,
      capacities,
    });
    return {
      store,
      kill: async () => {
        process.kill();
        await process.buried();
      },
    };
  };
}

describe("a store on the simulated machine does what a sorted map does", () => {
  test.each(KINDS.map((kind, index) => ({ ...kind, index })))(
    "$name",
    { timeout: TIMEOUT },
    async ({ index, ...kind }) => {
      const dice = new Dice(seedOfRun() * 64 + index);
      const trial = new Trial(kind, dice, onMachine(dice.seed(), kind));
      await trial.run(OPERATIONS_PER_KIND);
      expect(trial.operations).toBeGreaterThanOrEqual(OPERATIONS_PER_KIND);
    },
  );
});
