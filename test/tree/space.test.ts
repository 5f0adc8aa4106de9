import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import { Harness, Random } from "./model.ts";

const VALUE = Buffer.alloc(100, 65);

function name(index: number): string {
  return `user:${String(index).padStart(11, "0")}`;
}

function order(count: number, seed: number): number[] {
  const random = new Random(seed);
  const all = Array.from({ length: count }, (_, index) => index);
  for (let index = count - 1; index > 0; index--) {
    const other = random.below(index + 1);
    [all[index], all[other]] = [all[other], all[index]];
  }
  return all;
}

/** Bytes of slots, cells without garbage and pages in use. */
function fillOf(harness: Harness, suffix: number): number {
  const entrySize = 8 + 2 + suffix + VALUE.length;
  return (harness.model.keys.length * entrySize) / (harness.writer.used.size * (harness.pages.pageSize - 32));
}

test("ascending and descending input fills its pages", () => {
  for (const direction of [1, -1]) {
    const harness = new Harness();
    for (let index = 0; index < 20_000; index++) harness.put(name(direction > 0 ? index : 20_000 - index), VALUE);
    harness.check();
    expect(fillOf(harness, 4)).toBeGreaterThan(0.95);
  }
});

test("ascending input into many places at once fills its pages well", () => {
  const harness = new Harness();
  for (let index = 0; index < 1000; index++) {
    for (let place = 0; place < 20; place++) harness.put(`${place}/${String(index).padStart(8, "0")}`, VALUE);
  }
  harness.check();
  expect(fillOf(harness, 4)).toBeGreaterThan(0.85);
});

test("random input fills its pages by about two thirds", () => {
  const harness = new Harness();
  for (const index of order(20_000, 3)) harness.put(name(index), VALUE);
  expect(fillOf(harness, 5)).toBeGreaterThan(0.64);
});

test("deleting half at random and putting it again takes no more than a fifth more pages, time and again", () => {
  const harness = new Harness();
  for (const index of order(20_000, 3)) harness.put(name(index), VALUE);
  harness.writer.commit();
  const before = harness.writer.used.size;
  for (let round = 0; round < 6; round++) {
    const half = order(20_000, round).slice(0, 10_000);
    for (const index of half) harness.delete(name(index));
    harness.writer.commit();
    for (const index of order(10_000, round + 50)) harness.put(name(half[index]), VALUE);
    harness.writer.commit();
    harness.check();
    expect(harness.writer.used.size).toBeLessThan(before * 1.2);
  }
});

test("deleting nearly everything gives nearly every page back", () => {
  const harness = new Harness();
  for (let index = 0; index < 20_000; index++) harness.put(name(index), VALUE);
  const before = harness.writer.used.size;
  for (const index of order(20_000, 8).slice(0, 19_800)) harness.delete(name(index));
  harness.check();
  expect(harness.writer.used.size).toBeLessThan(before / 20);
});

test("values that grow and shrink do not use up their pages", () => {
  const harness = new Harness({ runBoundaryLog2: 20 });
  const random = new Random(4);
  for (let step = 0; step < 20_000; step++) {
    harness.put(name(random.below(200)), Buffer.alloc(random.below(random.chance(0.1) ? 5000 : 300), 200));
    if (step % 1000 === 999) harness.check();
  }
  harness.compare();
  expect(harness.writer.used.size).toBeLessThan(120);
});
