/** The recorder's proof: the right protocol has no bad image, and each step left out shows. */
import { describe, expect, test } from "vitest";
import { COORDINATION_NEWEST } from "../../src/store/format/coordination.ts";
import type { CommitMutant } from "./commit-job.ts";
import { Machine } from "./machine.ts";
import { recoverToy, ToyStore } from "./toy-store.ts";

const COMMITS = 12;
const IMAGES_PER_PAUSE = 50;

interface Tally {
  images: number;
  bad: number;
}

/** Commits, and at every pause of every commit opens images of a power loss at that moment. */
function crashToy(seed: number, mutants: readonly CommitMutant[]): Tally {
  const tally = { images: 0, bad: 0 };
  const machine = new Machine({ seed, compare: "strict" });
  const process = machine.process();
  const store = new ToyStore(process);
  for (const mutant of mutants) process.mutants.add(mutant);
  let next = seed * 1_000_000;
  const crash = (): void => {
    const seen = store.coordination.words[COORDINATION_NEWEST >>> 2];
    const point = machine.crashPoint();
    for (let i = 0; i < IMAGES_PER_PAUSE; i++) {
      const image = point.image(next++, { garbage: true });
      const found = recoverToy(image);
      image.close();
      tally.images++;
      // Nobody may have seen more than power loss leaves, and nothing beyond what was begun exists.
      if (typeof found === "string" || found < seen || found > store.number) tally.bad++;
    }
  };
  process.onPause = crash;
  for (let i = 0; i < COMMITS; i++) {
    const plan = store.plan();
    expect(store.file.commitSync(plan)).toEqual({ result: "committed" });
    crash();
  }
  return tally;
}

describe("a store of two pages and two meta pages", () => {
  test("has no bad image of more than 5,000", () => {
    const { images, bad } = crashToy(1, []);
    expect(images).toBeGreaterThan(5000);
    expect(bad).toBe(0);
  });

  test.each<[CommitMutant, number]>([
    ["no flush 1", 0.02],
    ["no flush 2", 0.2],
    ["no flush 2 before publish", 0.01],
    ["meta before flush 1", 0.02],
    ["no checksum", 0.5],
  ])("has many bad images with the mutant %s", (mutant, share) => {
    const { images, bad } = crashToy(2, [mutant]);
    expect(bad).toBeGreaterThan(images * share);
  });

  test("survives a second power loss after the first", () => {
    for (let seed = 0; seed < 200; seed++) {
      const machine = new Machine({ seed });
      const process = machine.process();
      const store = new ToyStore(process);
      expect(store.file.commitSync(store.plan()).result).toBe("committed");
      process.hook = (step) => {
        if (step === "commit: meta written") process.die();
      };
      expect(process.run(() => store.file.commitSync(store.plan()))).toEqual({ killed: true });
      const rebooted = machine.powerLoss(seed, { record: true });
      const found = recoverToy(rebooted);
      expect([1, 2]).toContain(found);
      // Reading changed nothing, so a second crash finds the same.
      expect(recoverToy(rebooted.powerLoss(seed + 1))).toBe(found);
    }
  });

  test("leaves, counted through exhaustively, exactly the states before and after", () => {
    const machine = new Machine({ seed: 3 });
    const process = machine.process();
    const store = new ToyStore(process);
    const found: Record<string, Set<number | string>> = {};
    process.onPause = (pause) => {
      found[pause] = new Set([...machine.imagesExhaustive(100)].map(recoverToy));
    };
    store.file.commitSync(store.plan());
    expect([...found["commit: flush 1 begun"]]).toEqual([0]);
    expect([...found["commit: first copy written"]].sort()).toEqual([0, 1]);
    expect([...found["commit: meta written"]].sort()).toEqual([0, 1]);
    expect([...found["commit: flushed 2"]]).toEqual([1]);
  });
});
