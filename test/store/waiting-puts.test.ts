/** Puts into an empty tree wait for each other: nobody is to notice but by the clock. */
import { expect, test } from "vitest";
import { SystemError } from "../../src/errors.ts";
import type { Store, StoreOptions, Transaction } from "../../src/index.ts";
import { alteredStorage } from "../support/altered-storage.ts";
import { codeOf, newStorePath, opened } from "../support/opened.ts";
import { openWhole } from "../support/whole.ts";

const SCATTERED = Array.from({ length: 3000 }, (_, i): [number, string] => [(i * 7919) % 3001, `value ${i}`]);
const SORTED = [...SCATTERED].sort(([a], [b]) => a - b);

test("a transaction reads what waits: by key, by range, by count, while an iterator is under way", () => {
  const store = opened<number, string>();
  store.transactionSync((transaction) => {
    for (const [key, value] of SCATTERED.slice(0, 100)) transaction.put(key, value);
    expect(transaction.get(SCATTERED[50][0])).toBe(SCATTERED[50][1]);
    for (const [key, value] of SCATTERED.slice(100, 200)) transaction.put(key, value);
    expect(transaction.count()).toBe(200);
    expect(transaction.delete(SCATTERED[0][0])).toBe(true);
    expect(transaction.delete(SCATTERED[0][0])).toBe(false);
    transaction.clear();
    for (const [key] of SCATTERED) transaction.put(key, "first");
    for (const [key, value] of SCATTERED) transaction.put(key, value);
    expect(transaction.has(SCATTERED[2999][0])).toBe(true);
    expect([...transaction.entries()]).toEqual(SORTED);
    transaction.clear();
    expect(transaction.count()).toBe(0);
    transaction.put(10, "ten");
    const seen: number[] = [];
    for (const key of transaction.keys()) {
      seen.push(key);
      if (key < 15) transaction.put(key + 1, "one more");
    }
    expect(seen).toEqual([10, 11, 12, 13, 14, 15]);
  });
  expect([...store.keys()]).toEqual([10, 11, 12, 13, 14, 15]);
});

test("a clear forgets what waits, a throw undoes it, and the next transaction has nothing of it", async () => {
  const store = opened<number, string>();
  store.transactionSync((transaction) => {
    for (const [key, value] of SCATTERED) transaction.put(key, value);
    transaction.clear();
  });
  expect(store.count()).toBe(0);
  const failed = expect(
    store.transaction((transaction) => {
      for (const [key, value] of SCATTERED) transaction.put(key, value);
      throw new Error("changed my mind");
    }),
  ).rejects.toThrow("changed my mind");
  const put = store.put(5, "kept");
  const second = store.transaction((transaction) => {
    transaction.put(3, "kept, too");
    return transaction.count();
  });
  await failed;
  await put;
  expect([await second, ...store]).toEqual([2, [3, "kept, too"], [5, "kept"]]);
});

test("transactions of two stores inside each other keep their puts apart", () => {
  const outer = opened<number, string>();
  const inner = opened<number, string>();
  outer.transactionSync((transaction) => {
    for (const [key] of SCATTERED.slice(0, 500)) {
      transaction.put(key, "outer");
      if (key % 100 !== 0) continue;
      inner.transactionSync((other) => {
        for (const [each] of SCATTERED.slice(0, 300)) other.put(each, "inner");
      });
      inner.transactionSync((other) => other.clear());
    }
    inner.transactionSync((other) => {
      for (const [each] of SCATTERED.slice(0, 300)) other.put(each, "inner");
    });
  });
  expect([outer.count(), new Set(outer.values())]).toEqual([500, new Set(["outer"])]);
  expect([inner.count(), new Set(inner.values())]).toEqual([300, new Set(["inner"])]);
});

/** A store whose file has no room for more pages from a moment on. */
function withoutRoom(options: StoreOptions<string> = {}): {
  store: Store<number, string>;
  full: (now: boolean) => void;
} {
  let isFull = false;
  const storage = alteredStorage((file, path) => {
    const prepare = file.prepare.bind(file);
    file.prepare = (window, at, length) => {
      if (isFull) throw new SystemError("ENOSPC", 28, "madvise", path, "no space left");
      prepare(window, at, length);
    };
  });
  const full = (now: boolean): void => {
    isFull = now;
  };
  return { store: openWhole<number, string>(storage, newStorePath(), options), full };
}

test("what the writing of puts that waited meets is the error of the call that wanted them written, and nothing is left", async () => {
  const { store, full } = withoutRoom();
  type Last = (transaction: Transaction<number, string>) => unknown;
  const fill = (last: Last): unknown =>
    store.transactionSync((transaction) => {
      for (const [key, value] of SCATTERED) transaction.put(key, value);
      return last(transaction);
    });
  const lasts: Last[] = [() => 0, (t) => t.get(1), (t) => t.count(), (t) => t.delete(1), (t) => [...t.keys()]];
  full(true);
  for (const last of lasts) {
    expect(await codeOf(() => fill(last))).toBe("DISK_FULL");
    const caught: Last = (transaction) => {
      try {
        last(transaction);
      } catch {
        // It ends the transaction all the same.
      }
    };
    expect(await codeOf(() => fill(caught))).toBe("DISK_FULL");
  }
  expect(await codeOf(() => store.put(1, "x"))).toBe("DISK_FULL");
  full(false);
  expect(store.count()).toBe(0);
  expect(store.check().problems).toEqual([]);
  fill(() => 0);
  expect([...store]).toEqual(SORTED);
});

test("of asynchronous transactions that become one commit, one whose puts can't be written fails alone", async () => {
  const { store, full } = withoutRoom();
  const first = store.transaction((transaction) => transaction.count());
  const failing = store.transaction((transaction) => {
    for (const [key, value] of SCATTERED) transaction.put(key, value);
    full(true);
  });
  const last = store.transaction((transaction) => {
    full(false);
    transaction.put(2, "last");
    transaction.put(1, "of all");
    return [...transaction.keys()];
  });
  const codes = await Promise.all([codeOf(() => first), codeOf(() => failing), codeOf(() => last)]);
  expect(codes).toEqual([{ returned: 0 }, "DISK_FULL", { returned: [1, 2] }]);
  expect([...store]).toEqual([
    [1, "of all"],
    [2, "last"],
  ]);
});

test("puts that come in order, and then don't, more than wait at once, and large values among them", () => {
  const store = opened<number | string, string>();
  const wanted = new Map<number | string, string>();
  store.transactionSync((transaction) => {
    const put = (key: number | string, value: string): void => {
      transaction.put(key, value);
      wanted.set(key, value);
    };
    for (let i = 0; i < 20; i++) put(i, "ascending");
    for (const [key] of SCATTERED) put(key, "scattered");
    transaction.clear();
    wanted.clear();
    for (const [key] of SCATTERED) put(key, "x".repeat(key % 17 === 0 ? 20_000 : key % 5 === 0 ? 2000 : 100));
    for (const [key] of SCATTERED) put(`text ${key}`, "y".repeat(key % 700));
  });
  const order = [...wanted].sort(([a], [b]) => {
    return typeof a === typeof b ? (a < b ? -1 : 1) : typeof a === "number" ? -1 : 1;
  });
  expect([...store]).toEqual(order);
});
