import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Harness, Random } from "./model.ts";

/** Kinds of keys that have gone wrong in trees: ties of heads, long common parts, cut characters, padding. */
const KEY_MAKERS: Record<string, (random: Random) => string> = {
  "numbered keys": (random) => `user:${String(random.below(3000)).padStart(10, "0")}`,
  "a short alphabet": (random) => Array.from({ length: random.below(8) }, () => random.pick(["a", "b", "\0"])).join(""),
  "long shared prefixes": (random) =>
    `${"/usr/share/".repeat(random.below(4) * 7)}${"x".repeat(random.below(40))}${random.below(300)}`,
  "UTF-8 text": (random) =>
    Buffer.from(
      Array.from({ length: random.below(7) }, () => random.pick(["é", "è", "ü", "語", "誤", "😀", "😁", "a"])).join(""),
    ).toString("latin1"),
  "random bytes": (random) =>
    Buffer.from(Array.from({ length: 1 + random.below(6) }, () => random.below(256))).toString("latin1"),
  "keys of any length": (random) => {
    const length = random.chance(0.2) ? 1978 - random.below(3) : random.below(1500);
    return `${random.pick(["", "k", "key/", "ÿ"])}${String(random.below(50)).repeat(1978)}`.slice(0, length);
  },
};

function makeValue(random: Random, pageSize: number): Buffer {
  const sizes = [0, 1, 8, 100, 100, 100, 300, pageSize / 8, pageSize / 4 - 1, pageSize / 4, pageSize / 4 + 1];
  if (random.chance(0.02)) sizes.push(pageSize * 3, pageSize - 32, pageSize - 31);
  const size = random.chance(0.7) ? random.below(60) : random.pick(sizes);
  const value = Buffer.alloc(size, random.chance(0.8) ? 97 + random.below(26) : 128 + random.below(128));
  return value;
}

function runModel(
  maker: (random: Random) => string,
  seed: number,
  pageSize: number,
  steps: number,
  tailSize: number,
): void {
  const random = new Random(seed);
  const harness = new Harness({ pageSize, runBoundaryLog2: 20, tailSize });
  let deletes = 0.2;
  for (let step = 0; step < steps; step++) {
    const key = maker(random);
    if (random.chance(0.01)) {
      // Onto an empty tree more often than chance would have it.
      if (random.chance(0.3)) harness.clear();
      const count = random.pick([1, 2, 10, 30, 300]);
      harness.putAll(Array.from({ length: count }, () => [maker(random), makeValue(random, pageSize)] as const));
    } else if (random.chance(deletes)) harness.delete(key);
    else harness.put(key, makeValue(random, pageSize));
    if (random.chance(0.3)) {
      const other = maker(random);
      const expected = harness.model.values.get(other);
      const found = harness.get(other);
      if (expected === undefined ? found !== undefined : found?.equals(expected) !== true)
        throw new Error("get differs");
    }
    if (random.chance(0.01)) harness.writer.commit();
    if (random.chance(0.002)) deletes = random.pick([0.05, 0.2, 0.5, 0.8, 0.95]);
    if (step % 400 === 399) harness.check();
  }
  harness.writer.commit();
  harness.check();
  harness.compare();
}

describe("a tree holds what a sorted map holds", () => {
  for (const [name, maker] of Object.entries(KEY_MAKERS)) {
    test(`with ${name}`, { timeout: 120_000 }, () => {
      fc.assert(
        fc.property(
          fc.integer(),
          fc.constantFrom(4096, 4096, 4096, 8192, 16384, 32768, 65536),
          fc.constantFrom(0, 0, 16, 33),
          (seed, pageSize, tailSize) => runModel(maker, seed, pageSize, 3000, tailSize),
        ),
        { numRuns: 14, endOnFailure: true },
      );
    });
  }
});

test("an empty tree has no root", () => {
  const harness = new Harness();
  expect(harness.delete("a")).toBe(false);
  harness.put("a", Buffer.from("1"));
  expect(harness.delete("a")).toBe(true);
  expect(harness.tree.tree).toEqual({ root: 0, level: 0, entryCount: 0 });
  harness.check();
});
