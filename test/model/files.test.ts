/** Random runs on real files, by way of the addon. Several handles share one process; none can be killed here. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Key } from "../../src/store/codec/key.ts";
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import { CAMPAIGN_FACTOR, Dice, seedOfRun } from "../support/dice.ts";
import { tempFolderInMemory } from "../support/temp-folder.ts";
import { openWhole } from "../support/whole.ts";
import { KINDS } from "./kinds.ts";
import { Trial } from "./trial.ts";

const OPERATIONS_PER_KIND = 3000 * CAMPAIGN_FACTOR;
const TIMEOUT = 60_000 * CAMPAIGN_FACTOR;

describe("a store in real files does what a sorted map does", () => {
  const kinds = KINDS.map((kind, index) => ({ ...kind, index }));
  test.each(kinds)("$name", { timeout: TIMEOUT }, async ({ index, ...kind }) => {
    const dice = new Dice(seedOfRun() * 64 + 32 + index);
    const path = join(tempFolderInMemory(), "model.folio");
    const { runBoundaryLog2 } = kind;
    const trial = new Trial(kind, dice, (options) => ({
      store: openWhole<Key, unknown>(addonStorage(), path, options, { runBoundaryLog2, fileSizeMin: 0 }),
      kill: undefined,
    }));
    await trial.run(OPERATIONS_PER_KIND);
    expect(trial.operations).toBeGreaterThanOrEqual(OPERATIONS_PER_KIND);
  });
});
