/** Stores that outgrow the views their windows are mapped in, while they are read. */
import { readFileSync, truncateSync } from "node:fs";
import { expect, test } from "vitest";
import { openStore } from "../../src/store/open.ts";
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import { alteredStorage } from "../support/altered-storage.ts";
import { newStorePath, opened } from "../support/opened.ts";

const VALUE = "v".repeat(1000);

/** Entries enough for some MiB: the first view of a window has one. */
function grow(store: ReturnType<typeof opened<number, string>>, from: number, count: number): void {
  store.transactionSync((transaction) => {
    for (let key = from; key < from + count; key++) transaction.put(key, VALUE + key);
  });
}

test("iterators and snapshots begun before the store outgrew its view read on in it", () => {
  const path = newStorePath();
  const writer = opened<number, string>(path, { valueEncoding: "string" });
  const reader = opened<number, string>(path);
  grow(writer, 0, 100);
  reader.refresh();
  const entries = reader.entries();
  expect(entries.next().value).toEqual([0, `${VALUE}0`]);
  const snapshot = writer.snapshot();
  for (let round = 1; round <= 8; round++) grow(writer, round * 1000, 1000);
  expect(writer.stats().fileSize).toBeGreaterThan(8 * 2 ** 20);
  reader.refresh();
  expect(reader.get(8999)).toBe(`${VALUE}8999`);
  expect(reader.count()).toBe(8100);
  expect([...entries].length).toBe(99);
  expect([...snapshot.keys()]).toEqual(Array.from({ length: 100 }, (_, key) => key));
  snapshot.close();
});

test("an iterator of a transaction reads on while the transaction outgrows the view", () => {
  const store = opened<number, string>(newStorePath(), { valueEncoding: "string" });
  grow(store, 0, 100);
  store.transactionSync((transaction) => {
    let seen = 0;
    for (const [key, value] of transaction.entries({ lt: 100 })) {
      expect(value).toBe(VALUE + key);
      for (let i = 0; i < 50; i++) transaction.put(1000 + key * 50 + i, VALUE);
      seen++;
    }
    expect(seen).toBe(100);
  });
  expect(store.count()).toBe(5100);
});

test("a longer view of a window shows the same bytes, and the shorter one goes on until the file is closed", () => {
  const path = newStorePath();
  opened(path).closeSync();
  // On Windows a view ends where the file does.
  truncateSync(path, 2 ** 20);
  const file = addonStorage().openFile(path, "readwrite");
  const windowSize = 2 ** 30;
  const short = file.mapWindow(0, windowSize, true, 2 ** 20);
  file.grow(2 ** 22);
  const long = file.mapWindow(0, windowSize, true, 2 ** 22);
  expect(short.bytes.length).toBe(2 ** 20);
  expect(long.bytes.length).toBe(2 ** 22);
  expect(file.mapWindow(0, windowSize, true, 2 ** 21)).toBe(long);
  // Page 10 is free: no snapshot has it.
  short.bytes[41000] = 1;
  long.bytes[41001] = 2;
  expect([long.bytes[41000], short.bytes[41001]]).toEqual([1, 2]);
  file.prepare(long, 2 ** 21, 4096);
  long.bytes[2 ** 21] = 3;
  file.flush();
  expect(readFileSync(path)[2 ** 21]).toBe(3);
  file.close();
  expect(() => short.view.getUint8(0)).toThrow(TypeError);
  expect(() => long.view.getUint8(0)).toThrow(TypeError);
});

test("small commits write what all of them write in one piece, and neither move up in the file nor lengthen it", () => {
  const commits: number[][] = [];
  const storage = alteredStorage((file) => {
    const commitSync = file.commitSync.bind(file);
    file.commitSync = (plan) => {
      commits.push([...plan.runs.filter((_, index) => index % 2 === 0)].sort((a, b) => a - b));
      return commitSync(plan);
    };
  });
  const store = openStore<number, string>(storage, newStorePath(), { valueEncoding: "string" });
  grow(store, 0, 20_000);
  const before = store.stats();
  commits.length = 0;
  for (let i = 0; i < 1500; i++) store.putSync((i * 7919) % 20_000, VALUE + i);
  const after = store.stats();
  // A leaf and the branches between it and the root lie anywhere; the root, the catalog and the map lie in one piece.
  const pieces = commits.map((pages) => pages.filter((page, index) => page !== pages[index - 1] + 1).length);
  expect(after.depth).toBe(3);
  expect(Math.max(...pieces.slice(10))).toBeLessThanOrEqual(3);
  expect(after.pagesUsed).toBe(before.pagesUsed);
  expect(after.pageHighest).toBeLessThan(before.pageHighest + 20);
  expect(after.fileSize).toBe(before.fileSize);
  expect(store.check().problems).toEqual([]);
  store.closeSync();
});
