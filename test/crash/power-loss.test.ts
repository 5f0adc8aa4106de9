/** Power losses of a store at work: whatever the device kept, it is a committed state, and not an older one than was promised. */
import { expect, test } from "vitest";
import { seedOfRun } from "../support/dice.ts";
import { Campaign } from "./campaign.ts";
import { REAL_ENGINE } from "./engine.ts";

const IMAGES = 3_000;

test("a power loss at any moment leaves a committed state at or after the last acknowledged one", async () => {
  const campaign = new Campaign({ engine: REAL_ENGINE, seed: seedOfRun(), images: IMAGES });
  await campaign.run();
  expect(campaign.images).toBeGreaterThanOrEqual(IMAGES);
});
