/** Power losses of a store at work: whatever the device kept, it is a committed state, and not an older one than was promised. */
import { expect, test } from "vitest";
import { CAMPAIGN_FACTOR, seedOfRun } from "../support/dice.ts";
import { Campaign } from "./campaign.ts";
import { REAL_ENGINE } from "./engine.ts";
import { exhaust, histories } from "./exhaustive.ts";

const IMAGES = 12_000 * CAMPAIGN_FACTOR;
const IMAGES_EXHAUSTIVE = 5000;
const TIMEOUT = 120_000 * CAMPAIGN_FACTOR;

test("a power loss at any moment leaves a committed state at or after the last acknowledged one", {
  timeout: TIMEOUT,
}, async () => {
  const campaign = new Campaign({ engine: REAL_ENGINE, seed: seedOfRun(), images: IMAGES });
  await campaign.run();
  expect(campaign.images).toBeGreaterThanOrEqual(IMAGES);
});

test("so does one at any step of every history of up to three commits on a fresh store", { timeout: TIMEOUT }, () => {
  const seed = seedOfRun();
  let images = 0;
  for (const history of histories()) images += exhaust(REAL_ENGINE, history, seed);
  expect(images).toBeGreaterThan(IMAGES_EXHAUSTIVE);
});
