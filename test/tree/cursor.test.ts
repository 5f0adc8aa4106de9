import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countEntries } from "../../src/store/tree/count.ts";
import { Cursor } from "../../src/store/tree/cursor.ts";
import { KeyBuffer } from "../../src/store/tree/key.ts";
import { Harness, keyAt, Random } from "./model.ts";

const SEEKS = ["seek", "seekAfter", "seekAtOrBefore", "seekBefore"] as const;

/** Index in the sorted keys where each seek has to land. */
function landing(keys: readonly string[], lower: number, key: string, seek: (typeof SEEKS)[number]): number {
  const here = keys[lower] === key;
  if (seek === "seek") return lower;
  if (seek === "seekAfter") return here ? lower + 1 : lower;
  if (seek === "seekBefore") return lower - 1;
  return here ? lower : lower - 1;
}

function fill(harness: Harness, random: Random, count: number, maker: () => string): void {
  for (let index = 0; index < count; index++) harness.put(maker(), Buffer.alloc(random.below(200), 65));
}

const makers: Record<string, (random: Random) => string> = {
  short: (random) => Array.from({ length: random.below(6) }, () => random.pick(["a", "b", "\0", "ÿ"])).join(""),
  long: (random) => `${"p".repeat(random.pick([0, 20, 900]))}${random.below(500)}`,
};

describe("a cursor lands where the order of keys says, and walks on from there", () => {
  for (const [name, maker] of Object.entries(makers)) {
    test(`among ${name} keys`, () => {
      fc.assert(
        fc.property(fc.integer(), fc.integer({ min: 0, max: 1200 }), (seed, count) => {
          const random = new Random(seed);
          const harness = new Harness();
          fill(harness, random, count, () => maker(random));
          const { cursor, model, pages } = harness;
          cursor.open(pages, harness.writer, harness.tree.tree);
          for (let round = 0; round < 60; round++) {
            const key = maker(random);
            const seek = random.pick(SEEKS);
            let index = landing(model.keys, model.lowerBound(key), key, seek);
            let valid = cursor[seek](harness.setKey(key));
            const forwards = random.chance(0.5);
            for (let step = 0; step < 80; step++) {
              expect(valid).toBe(index >= 0 && index < model.keys.length);
              expect(cursor.valid).toBe(valid);
              if (!valid) break;
              expect(keyAt(cursor, pages.pageEnd)).toBe(model.keys[index]);
              valid = forwards ? cursor.next() : cursor.previous();
              index += forwards ? 1 : -1;
            }
          }
        }),
        { numRuns: 25, endOnFailure: true },
      );
    });
  }
});

test("an empty tree has no place for a cursor", () => {
  const harness = new Harness();
  const { cursor } = harness;
  cursor.open(harness.pages, harness.writer, harness.tree.tree);
  expect(cursor.seekFirst()).toBe(false);
  expect(cursor.seekLast()).toBe(false);
  for (const seek of SEEKS) expect(cursor[seek](harness.setKey("a"))).toBe(false);
  expect(cursor.next()).toBe(false);
  expect(cursor.previous()).toBe(false);
});

test("a cursor can be walked by whole leaves in both directions", () => {
  const harness = new Harness();
  for (let index = 0; index < 2000; index++) harness.put(`key ${index}`, Buffer.from("value"));
  const { cursor, model } = harness;
  cursor.open(harness.pages, harness.writer, harness.tree.tree);
  let forwards = 0;
  for (let valid = cursor.seekFirst(); valid; valid = cursor.nextLeaf()) {
    expect(cursor.slot).toBe(0);
    forwards += cursor.count;
  }
  expect(forwards).toBe(model.keys.length);
  let backwards = 0;
  for (let valid = cursor.seekLast(); valid; valid = cursor.previousLeaf()) {
    expect(cursor.slot).toBe(cursor.count - 1);
    backwards += cursor.count;
  }
  expect(backwards).toBe(model.keys.length);
});

test("entries between two bounds are counted", () => {
  const harness = new Harness();
  const random = new Random(11);
  const make = (): string => String(random.below(5000));
  fill(harness, random, 3000, make);
  const from = new Cursor();
  const to = new Cursor();
  const upper = new KeyBuffer();
  for (let round = 0; round < 300; round++) {
    const [low, high] = [make(), make()].sort();
    for (const cursor of [from, to]) cursor.open(harness.pages, harness.writer, harness.tree.tree);
    from.seek(harness.setKey(low));
    upper.set(Buffer.from(high));
    to.seek(upper);
    const { model } = harness;
    expect(countEntries(from, to)).toBe(model.lowerBound(high) - model.lowerBound(low));
    from.seek(harness.setKey(low));
    to.seekLast();
    to.next();
    expect(countEntries(from, to)).toBe(model.keys.length - model.lowerBound(low));
  }
});
