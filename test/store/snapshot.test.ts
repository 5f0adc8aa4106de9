/** Snapshots, and the one that plain reads share for a turn of the event loop. */
import { expect, test } from "vitest";
import { filled, newStorePath, opened, turn } from "../support/opened.ts";

test("a snapshot stays as it is while everything in the store is overwritten many times", async () => {
  const store = filled(Array.from({ length: 2000 }, (_, i): [number, string] => [i, `first ${i}`.repeat(i % 20)]));
  using snapshot = store.snapshot();
  for (let round = 0; round < 15; round++) {
    await store.transaction((transaction) => {
      for (let i = 0; i < 2000; i++) {
        if ((i + round) % 4 === 0) transaction.delete(i);
        else transaction.put(i, `round ${round} ${i}`);
      }
      transaction.put(5000 + round, "x".repeat(50_000));
    });
  }
  expect(snapshot.count()).toBe(2000);
  expect([...snapshot].every(([i, value]) => value === `first ${i}`.repeat(i % 20))).toBe(true);
  expect([snapshot.get(7), snapshot.has(5000), snapshot.get(5000)]).toEqual(["first 7".repeat(7), false, undefined]);
  expect(store.get(5014)).toHaveLength(50_000);
});

test("a snapshot bears the number of its state, and each later one a greater number", async () => {
  const store = opened();
  const numbers: number[] = [];
  for (let i = 0; i < 3; i++) {
    using snapshot = store.snapshot();
    expect(snapshot.number).toBe(store.stats().number);
    numbers.push(snapshot.number);
    await store.put("a", i);
  }
  expect(numbers.toSorted((a, b) => a - b)).toEqual([...new Set(numbers)]);
});

test("a snapshot takes the newest state, even where plain reads of this turn still see an older one", () => {
  const path = newStorePath();
  const [store, other] = [opened<string, number>(path), opened<string, number>(path)];
  expect(store.get("a")).toBeUndefined();
  other.putSync("a", 1);
  expect(store.get("a")).toBeUndefined();
  using snapshot = store.snapshot();
  expect([snapshot.get("a"), store.get("a")]).toEqual([1, undefined]);
});

test("a closed snapshot refuses all reads, iterators under way included; closing it twice is fine", () => {
  const store = filled<number, number>(Array.from({ length: 1000 }, (_, i) => [i, i]));
  const snapshot = store.snapshot();
  const iterator = snapshot.keys();
  iterator.next();
  snapshot.close();
  snapshot.close();
  for (const use of [
    () => snapshot.get(1),
    () => snapshot.has(1),
    () => snapshot.count(),
    () => snapshot.entries(),
    () => iterator.next(),
  ]) {
    expect(use).toThrow(expect.objectContaining({ code: "SNAPSHOT_CLOSED" }));
  }
  expect(store.count()).toBe(1000);
});

test("each snapshot holds a slot and its state until it is closed", async () => {
  const store = opened<number, number>();
  const snapshots = [];
  for (let i = 0; i < 10; i++) {
    await store.put(i, i);
    snapshots.push(store.snapshot());
  }
  await turn();
  expect(store.stats().slotsHeld).toBe(11);
  await store.put(10, 10);
  expect(store.stats().snapshotsLive).toBeGreaterThanOrEqual(11);
  for (const [i, snapshot] of snapshots.entries()) {
    expect(snapshot.count()).toBe(i + 1);
    snapshot.close();
  }
  await turn();
  expect(store.stats().slotsHeld).toBe(1);
  await store.put(11, 11);
  await store.put(12, 12);
  expect(store.stats().snapshotsLive).toBeLessThanOrEqual(4);
});

test("pages that only a closed snapshot used are used again", async () => {
  const store = opened<number, string>();
  const rewrite = (): Promise<void> =>
    store.transaction((transaction) => {
      for (let i = 0; i < 50; i++) transaction.put(i, "x".repeat(20_000));
    });
  await rewrite();
  {
    using _held = store.snapshot();
    for (let i = 0; i < 5; i++) await rewrite();
  }
  const { pageCount } = store.stats();
  for (let i = 0; i < 20; i++) await rewrite();
  expect(store.stats().pageCount).toBe(pageCount);
});

test("plain reads of one turn see one state, and the next turn sees what others committed meanwhile", async () => {
  const path = newStorePath();
  const [reader, writer] = [opened<string, number>(path), opened<string, number>(path)];
  writer.putSync("a", 1);
  await turn();
  expect(reader.get("a")).toBe(1);
  writer.putSync("a", 2);
  await Promise.resolve();
  expect([reader.get("a"), [...reader], reader.stats().entryCount]).toEqual([1, [["a", 1]], 1]);
  await turn();
  expect(reader.get("a")).toBe(2);
});

test("refresh shows what others committed without a turn", async () => {
  const path = newStorePath();
  const [reader, writer] = [opened<string, number>(path), opened<string, number>(path)];
  for (let i = 0; i < 100; i++) {
    writer.putSync("a", i);
    reader.refresh();
    expect(reader.get("a")).toBe(i);
  }
});

test("a handle sees its own commits at once, within the turn", () => {
  const store = opened<string, number>();
  for (let i = 0; i < 100; i++) {
    store.putSync("a", i);
    expect(store.get("a")).toBe(i);
  }
});

test("an idle handle holds nothing", async () => {
  const path = newStorePath();
  const [idle, watcher] = [opened<string, number>(path), opened<string, number>(path)];
  await idle.put("a", 1);
  expect([idle.get("a"), [...idle]]).toEqual([1, [["a", 1]]]);
  await turn();
  await turn();
  const { slotsHeld } = watcher.stats();
  // Its own read is the only one.
  expect(slotsHeld).toBe(1);
});
