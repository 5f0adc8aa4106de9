import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { StoreError } from "../../src/errors.ts";
import type { TreeRoot } from "../../src/store/pager/pages.ts";
import { checkTree } from "../../src/store/tree/check.ts";
import { get, Harness, Random } from "./model.ts";

/** Steps of one cursor over a damaged tree: more than it can have entries. */
const STEPS_MAX = 200_000;

function makeKey(random: Random): string {
  return `${random.pick(["", "key/", "key/with/a/long/prefix/"])}${random.below(400)}`;
}

function build(random: Random, pageSize: number): Harness {
  const harness = new Harness({ pageSize, runBoundaryLog2: 18 });
  for (let index = 0; index < 1500; index++) {
    harness.put(makeKey(random), Buffer.alloc(random.pick([0, 20, 100, 2000]), random.below(256)));
  }
  for (let index = 0; index < 300; index++) harness.delete(makeKey(random));
  harness.writer.commit();
  return harness;
}

/** Flips bits, sets extreme bytes, or copies one page over another. */
function damage(harness: Harness, random: Random): void {
  const { pages, writer } = harness;
  for (let count = 1 + random.below(8); count > 0; count--) {
    const page = 1 + random.below(writer.pageCount - 1);
    const { bytes } = pages.window(page);
    const at = pages.at(page);
    const offset = random.chance(0.5) ? random.below(80) : random.below(pages.pageSize);
    if (random.chance(0.1)) {
      const other = 1 + random.below(writer.pageCount - 1);
      bytes.set(pages.window(other).bytes.subarray(pages.at(other), pages.at(other) + pages.pageSize), at);
    } else if (random.chance(0.5)) {
      bytes[at + offset] ^= 1 << random.below(8);
    } else {
      bytes[at + offset] = random.pick([0, 255, 128, 1, random.below(256)]);
    }
  }
}

/** Runs something over a damaged tree: only errors that name the damage may come out. */
function tolerate(look: () => void): void {
  try {
    look();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(["DAMAGED", "NEWER_FORMAT"]).toContain(error.code);
  }
}

function read(harness: Harness, tree: TreeRoot, random: Random): void {
  const { cursor, pages, writer } = harness;
  for (let index = 0; index < 50; index++) tolerate(() => get(harness, writer, tree, makeKey(random)));
  for (const direction of ["next", "previous"] as const) {
    let steps = 0;
    tolerate(() => {
      cursor.open(pages, writer, tree);
      let valid = direction === "next" ? cursor.seekFirst() : cursor.seekLast();
      for (; valid; valid = cursor[direction]()) {
        tolerate(() => cursor.locate());
        if (++steps > STEPS_MAX) throw new Error("a cursor that does not end");
      }
    });
  }
}

test("damaged pages lead to errors that name them or to bounded results, never to a hang", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(4096, 4096, 65536), (seed, pageSize) => {
      const random = new Random(seed);
      const harness = build(random, pageSize);
      const { pages, writer } = harness;
      const tree = harness.tree.tree;
      const images = pages.windows.map((window) => Buffer.from(window.bytes));
      for (let round = 0; round < 40; round++) {
        for (const [index, image] of images.entries()) pages.windows[index].bytes.set(image);
        damage(harness, random);
        read(harness, tree, random);
        let reports = 0;
        const seen = new Set<number>();
        const onPage = (page: number): boolean => !seen.has(page) && seen.add(page).size > 0;
        checkTree(pages, writer, tree, onPage, () => reports++);
        expect(seen.size).toBeLessThanOrEqual(writer.pageCount);
      }
    }),
    { numRuns: 15, endOnFailure: true },
  );
});

test("writing over damaged pages fails with errors that name them", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new Random(seed);
      for (let round = 0; round < 8; round++) {
        const harness = build(random, 4096);
        const { tree, writer } = harness;
        const before = tree.tree;
        // Damaged pages can be referred to twice, so what is given up twice here is no defect of the tree.
        writer.giveUp = () => {};
        damage(harness, random);
        for (let step = 0; step < 300; step++) {
          harness.setKey(makeKey(random));
          const value = Buffer.alloc(random.below(300));
          tolerate(() => {
            if (random.chance(0.5)) tree.delete(harness.key);
            else tree.put(harness.key, value, 0, value.length, false);
          });
          if (tree.failed) tree.restore(before);
        }
        tolerate(() => tree.clear());
      }
    }),
    { numRuns: 12, endOnFailure: true },
  );
});

test("the check finds every page that carries the wrong number, type, level or transaction", () => {
  const harness = build(new Random(1), 4096);
  const { pages, writer } = harness;
  const reached: number[] = [];
  const tree = harness.tree.tree;
  checkTree(pages, writer, tree, (page) => reached.push(page) > 0, expect.fail);
  for (const page of reached) {
    for (const offset of [4, 8, 9, 31]) {
      const { bytes } = pages.window(page);
      const at = pages.at(page) + offset;
      bytes[at] ^= 0x40;
      const blamed: number[] = [];
      const seen = new Set<number>();
      const onPage = (each: number): boolean => !seen.has(each) && seen.add(each).size > 0;
      checkTree(pages, writer, tree, onPage, (each) => blamed.push(each));
      expect(blamed).toContain(page);
      bytes[at] ^= 0x40;
    }
  }
});

test("a value of a kind that is reserved needs a newer build", () => {
  const harness = new Harness();
  harness.put("a", Buffer.from("b"));
  const { window, at } = (() => {
    harness.get("a");
    return harness.finder;
  })();
  const meta = window.view.getUint16(at + 38, true);
  for (const kind of [2, 3]) {
    window.view.setUint16(at + 38, meta | (kind << 11), true);
    expect(() => harness.get("a")).toThrow(expect.objectContaining({ code: "NEWER_FORMAT" }));
    expect(() => harness.put("a", Buffer.from("c"))).toThrow(expect.objectContaining({ code: "NEWER_FORMAT" }));
  }
});

test("transaction numbers beyond 32 bits bound what may be read", () => {
  const harness = new Harness({ runBoundaryLog2: 20 });
  const { pages, writer, tree } = harness;
  const high = 3 * 2 ** 32 + 7;
  writer.number = high;
  for (let index = 0; index < 200; index++) harness.put(`key ${index}`, Buffer.alloc(index === 0 ? 5000 : 50, 65));
  harness.check();
  const bounds = (number: number) => ({ number, pageCount: writer.pageCount });
  for (const number of [high, high + 1, high + 2 ** 32 - 7, 2 ** 52]) {
    expect(get(harness, bounds(number), tree.tree, "key 0")).toHaveLength(5000);
  }
  for (const number of [high - 1, high - 2 ** 32 + 5, 8, 1]) {
    expect(() => get(harness, bounds(number), tree.tree, "key 0")).toThrow(/not newer than/);
    harness.cursor.open(pages, bounds(number), tree.tree);
    expect(() => harness.cursor.seekFirst()).toThrow(/not newer than/);
  }
});
