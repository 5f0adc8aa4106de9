import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { TreeRoot } from "../../src/store/pager/pages.ts";
import type { Savepoint } from "./memory-pages.ts";
import { compareTree, EMPTY_TREE, Harness, type Model, Random } from "./model.ts";

interface Version {
  readonly tree: TreeRoot;
  readonly model: Model;
  readonly number: number;
  readonly pageCount: number;
}

function change(harness: Harness, random: Random, steps: number): void {
  for (let step = 0; step < steps; step++) {
    const key = `key ${"x".repeat(random.pick([0, 0, 0, 300]))}${random.below(1500)}`;
    if (random.chance(0.4)) harness.delete(key);
    else harness.put(key, Buffer.alloc(random.pick([5, 50, 500, 3000]), random.below(256)));
  }
}

test("earlier roots hold what they held while later transactions go on", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new Random(seed);
      const harness = new Harness({ runBoundaryLog2: 20 });
      harness.writer.holding = true;
      const versions: Version[] = [];
      for (let round = 0; round < 12; round++) {
        change(harness, random, 150);
        if (round === 8) {
          harness.tree.clear();
          harness.model = new Harness().model;
        }
        const { number, pageCount } = harness.writer;
        versions.push({ tree: harness.tree.tree, model: harness.model.copy(), number, pageCount });
        harness.writer.commit();
        for (const version of versions) compareTree(harness, version, version.tree, version.model);
      }
    }),
    { numRuns: 6, endOnFailure: true },
  );
});

test("a sub-transaction that is undone leaves the tree as it was before", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new Random(seed);
      const harness = new Harness({ runBoundaryLog2: 20 });
      const stack: { savepoint: Savepoint; model: Model }[] = [];
      for (let round = 0; round < 60; round++) {
        change(harness, random, 40);
        if (stack.length < 4 && random.chance(0.4)) {
          stack.push({ savepoint: harness.writer.save(harness.tree.tree), model: harness.model.copy() });
        } else if (random.chance(0.5)) {
          const before = stack.pop();
          if (before === undefined) continue;
          harness.writer.undo(before.savepoint);
          harness.tree.restore(before.savepoint.tree);
          harness.model = before.model;
        }
        harness.check();
      }
      harness.compare();
    }),
    { numRuns: 8, endOnFailure: true },
  );
});

test("an operation that finds no page fails, and the tree can be restored to its committed root", () => {
  const random = new Random(5);
  const harness = new Harness({ runBoundaryLog2: 20 });
  change(harness, random, 2000);
  harness.writer.commit();
  const { writer, tree } = harness;
  for (let allowed = 0; allowed < 30; allowed++) {
    const model = harness.model.copy();
    const savepoint = writer.save(tree.tree);
    let left = allowed;
    writer.onTake = () => {
      if (left-- === 0) throw new Error("no page");
    };
    expect(() => change(harness, random, 1000)).toThrow("no page");
    writer.onTake = () => {};
    writer.undo(savepoint);
    tree.restore(savepoint.tree);
    harness.model = model;
    expect(tree.failed).toBe(false);
    harness.check();
    harness.compare();
  }
});

test("clear gives up every page, overflow runs included", () => {
  const harness = new Harness({ runBoundaryLog2: 20 });
  change(harness, new Random(9), 3000);
  harness.writer.commit();
  harness.tree.clear();
  expect(harness.tree.tree).toEqual(EMPTY_TREE);
  expect(harness.writer.used.size).toBe(0);
});
