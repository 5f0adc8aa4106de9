/** Transactions: all or nothing, and what their callbacks may do. */
import { expect, test } from "vitest";
import type { Transaction } from "../../src/index.ts";
import { codeOf, filled, newStorePath, opened } from "../support/opened.ts";

const THOUSAND = Array.from({ length: 1000 }, (_, i): [number, string] => [i, `value ${i}`]);

test("all that a transaction wrote is committed together, and it returns what its callback returned", async () => {
  const store = filled<string, number>([["a", 1]]);
  const before = store.stats().number;
  const sum = await store.transaction((transaction) => {
    transaction.put("b", 2);
    transaction.delete("a");
    transaction.put("c", 3);
    return [...transaction.values()].reduce((total, value) => total + value, 0);
  });
  expect([sum, [...store.keys()], store.stats().number]).toEqual([5, ["b", "c"], before + 1]);
  expect(store.transactionSync((transaction) => transaction.count())).toBe(2);
});

test("a transaction reads its own writes, and nobody else does before it is committed", () => {
  const path = newStorePath();
  const store = opened<number, string>(path);
  store.putSync(1, "one");
  const other = opened<number, string>(path);
  store.transactionSync((transaction) => {
    transaction.put(2, "two");
    transaction.put(1, "uno");
    expect(transaction.get(1)).toBe("uno");
    expect(transaction.has(2)).toBe(true);
    expect(transaction.delete(1)).toBe(true);
    expect([transaction.get(1), transaction.has(1), transaction.count(), transaction.count({ gt: 1 })]).toEqual([
      undefined,
      false,
      1,
      1,
    ]);
    expect([...transaction.entries()]).toEqual([[2, "two"]]);
    expect([...store]).toEqual([[1, "one"]]);
    expect([...other]).toEqual([[1, "one"]]);
    transaction.clear();
    expect([...transaction]).toEqual([]);
    transaction.put(3, "three");
  });
  expect([...store]).toEqual([[3, "three"]]);
});

test("of a transaction that throws nothing is left, and its error comes out as it is", async () => {
  const store = filled(THOUSAND);
  const before = { number: store.stats().number, entries: [...store] };
  const error = new Error("no");
  const body = (transaction: Transaction<number, string>): void => {
    for (let i = 0; i < 3000; i += 2) transaction.put(i, "new".repeat(400));
    for (let i = 1; i < 900; i += 2) transaction.delete(i);
    throw error;
  };
  expect(() => store.transactionSync(body)).toThrow(error);
  await expect(store.transaction(body)).rejects.toBe(error);
  expect({ number: store.stats().number, entries: [...store] }).toEqual(before);
  store.putSync(5000, "goes on");
  expect(store.count()).toBe(1001);
});

test("of several transactions queued in one turn, one that throws leaves the others alone", async () => {
  const store = opened<string, string>();
  const before = store.stats().number;
  const long = "x".repeat(30_000);
  const results = await Promise.allSettled([
    store.put("plain", "1"),
    store.transaction((transaction) => transaction.put("first", long)),
    store.transaction((transaction) => {
      for (let i = 0; i < 500; i++) transaction.put(`gone ${i}`, "x".repeat(i));
      transaction.delete("plain");
      transaction.delete("first");
      throw new Error("mine");
    }),
    store.transaction((transaction) => {
      transaction.put("last", `${transaction.get("first")?.length} ${transaction.count()}`);
      return "returned";
    }),
    store.put("plain too", "2"),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(results[2]).toMatchObject({ reason: new Error("mine") });
  expect([...store]).toEqual([
    ["first", long],
    ["last", "30000 2"],
    ["plain", "1"],
    ["plain too", "2"],
  ]);
  // One commit: both would be lost together.
  expect(store.stats().snapshotsLive).toBeLessThanOrEqual(3);
  expect(store.stats().number).toBeGreaterThan(before);
});

test("what one part wrote and another gave up and a third undid is counted right", async () => {
  const store = filled(THOUSAND);
  for (let round = 0; round < 8; round++) {
    const results = await Promise.allSettled(
      Array.from({ length: 9 }, (_, part) =>
        store.transaction((transaction) => {
          for (let i = part * 40; i < part * 40 + 200; i++) {
            if ((i + round) % 3 === 0) transaction.delete(i);
            else transaction.put(i, `${round} ${part}`.repeat((i % 7) * 100));
          }
          if (part % 3 === 1) throw new Error("undone");
        }),
      ),
    );
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(3);
    expect(store.check().problems).toEqual([]);
  }
});

test("iterating a transaction while changing it gives each entry that is there when its turn comes", () => {
  const store = filled(THOUSAND);
  const seen: number[] = [];
  store.transactionSync((transaction) => {
    for (const [key] of transaction.entries()) {
      seen.push(key);
      transaction.delete(key);
      if (key % 2 === 0) transaction.delete(key + 1);
      if (key < 1000) transaction.put(key + 5000.5, "added on the way");
    }
  });
  const evens = THOUSAND.map(([key]) => key).filter((key) => key % 2 === 0);
  expect(seen).toEqual([...evens, ...evens.map((key) => key + 5000.5)]);
  expect(store.count()).toBe(0);
});

test("the same backwards, with bounds and a limit", () => {
  const store = filled(THOUSAND);
  store.transactionSync((transaction) => {
    const seen: number[] = [];
    for (const key of transaction.keys({ gt: 100, lte: 900, reverse: true, limit: 300 })) {
      seen.push(key);
      transaction.put(key, "longer than it was before".repeat(20));
      transaction.delete(key - 1);
    }
    expect(seen).toEqual(Array.from({ length: 300 }, (_, i) => 900 - 2 * i));
  });
  expect(store.count()).toBe(700);
});

test("a transaction may replace each value as it comes to it, and comes to each once", () => {
  const store = filled(THOUSAND);
  for (const reverse of [false, true]) {
    store.transactionSync((transaction) => {
      const seen: number[] = [];
      for (const [key, value] of transaction.entries({ reverse })) {
        seen.push(key);
        transaction.put(key, value.repeat(2));
      }
      expect(seen).toHaveLength(1000);
      expect(new Set(seen).size).toBe(1000);
    });
  }
  expect(store.get(999)).toBe("value 999".repeat(4));
});

test("clearing a transaction ends its iterators without an error", () => {
  const store = filled(THOUSAND);
  store.transactionSync((transaction) => {
    const seen: number[] = [];
    for (const key of transaction.keys()) {
      seen.push(key);
      if (key === 10) transaction.clear();
    }
    expect(seen).toHaveLength(11);
  });
});

test("a transaction that counts up is exact, whoever else counts", async () => {
  const store = opened<string, number>();
  await Promise.all(
    Array.from({ length: 300 }, () =>
      store.transaction((transaction) => transaction.put("n", (transaction.get("n") ?? 0) + 1)),
    ),
  );
  expect(store.get("n")).toBe(300);
});

test("a large transaction is committed whole", () => {
  const store = opened<number, string>();
  store.transactionSync((transaction) => {
    for (let i = 0; i < 20_000; i++) transaction.put((i * 7919) % 20_000, `value of ${i}`);
  });
  expect(store.check()).toMatchObject({ ok: true, entryCount: 20_000 });
  store.transactionSync((transaction) => {
    for (let i = 0; i < 20_000; i++) if (i % 10 !== 0) transaction.delete(i);
  });
  expect(store.count()).toBe(2000);
});

test("a synchronous write of the store inside a transaction is refused, and the transaction goes on", async () => {
  const store = opened<string, unknown>();
  store.transactionSync((transaction) => {
    transaction.put("a", 1);
    for (const nested of [
      () => store.putSync("b", 2),
      () => store.deleteSync("a"),
      () => store.transactionSync(() => 1),
      () => store.closeSync(),
    ]) {
      expect(nested).toThrow(expect.objectContaining({ code: "TRANSACTION_NESTED" }));
    }
  });
  expect(await codeOf(() => store.transaction(() => store.putSync("b", 2)))).toBe("TRANSACTION_NESTED");
  expect([...store]).toEqual([["a", 1]]);
});

test("an asynchronous write inside a transaction's callback becomes a commit of its own, afterwards", async () => {
  const store = opened<string, unknown>();
  let inside: Promise<void> | undefined;
  await store.transaction((transaction) => {
    inside = store.put("inside", transaction.count());
    transaction.put("own", 1);
  });
  await inside;
  store.transactionSync(() => {
    inside = store.put("inside another", 2);
  });
  await inside;
  expect([...store]).toEqual([
    ["inside", 0],
    ["inside another", 2],
    ["own", 1],
  ]);
});

test("plain reads inside a transaction go to the committed state, and disturb nothing", () => {
  const store = filled(THOUSAND);
  store.transactionSync((transaction) => {
    for (const [key, value] of store.entries({ limit: 100 })) {
      transaction.put(key, `${value} ${store.get(999 - key)}`);
      expect(store.get(key)).toBe(value);
    }
  });
  expect(store.get(7)).toBe("value 7 value 992");
});

test("a callback that waits is refused, and nothing of it is kept", async () => {
  const store = opened<string, unknown>();
  const waiting = async (transaction: Transaction<string, unknown>): Promise<void> => {
    transaction.put("a", 1);
    await Promise.resolve();
    transaction.put("b", 2);
  };
  expect(await codeOf(() => store.transaction(waiting))).toBe("TRANSACTION_ASYNC");
  expect(await codeOf(() => store.transactionSync(waiting))).toBe("TRANSACTION_ASYNC");
  // biome-ignore lint/suspicious/noThenProperty: an object that can be awaited and is no promise
  const thenable = { then: () => undefined };
  expect(await codeOf(() => store.transactionSync(() => thenable))).toBe("TRANSACTION_ASYNC");
  expect([...store]).toEqual([]);
});

test("a transaction used after its end is over, iterators included", async () => {
  const store = filled(THOUSAND);
  let kept: Transaction<number, string> | undefined;
  let iterator: Iterator<number> | undefined;
  store.transactionSync((transaction) => {
    kept = transaction;
    iterator = transaction.keys();
    iterator.next();
    transaction.put(1, "changed");
  });
  const uses = [
    () => kept?.get(1),
    () => kept?.has(1),
    () => kept?.count(),
    () => kept?.keys(),
    () => kept?.put(1, "late"),
    () => kept?.delete(1),
    () => kept?.clear(),
    () => iterator?.next(),
  ];
  for (const use of uses) expect(use).toThrow(expect.objectContaining({ code: "TRANSACTION_OVER" }));
  expect([store.get(1), store.count()]).toEqual(["changed", 1000]);
});

test("a write refused inside a transaction, and caught there, leaves the transaction as it was", () => {
  const store = opened<unknown, unknown>();
  store.transactionSync((transaction) => {
    transaction.put("a", 1);
    expect(() => transaction.put("k".repeat(2000), 1)).toThrow(expect.objectContaining({ code: "KEY_SIZE" }));
    expect(() => transaction.put({}, 1)).toThrow(expect.objectContaining({ code: "KEY_TYPE" }));
    expect(() => transaction.put("b", Symbol("b"))).toThrow(expect.objectContaining({ code: "VALUE_TYPE" }));
    transaction.put("c", 3);
  });
  expect([...store]).toEqual([
    ["a", 1],
    ["c", 3],
  ]);
});
