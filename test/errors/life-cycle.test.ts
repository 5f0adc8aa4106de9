/** Transactions, snapshots and handles used after their end, or within themselves. */
import { expect, test } from "vitest";
import { opened } from "../support/opened.ts";
import { closedStore, errorOf, expectUnharmed, expectUnharmedFile } from "./store-file.ts";

test("TRANSACTION_OVER: a transaction kept beyond its callback, committed or thrown out of, changes nothing", async () => {
  const store = opened<number, string>(closedStore());
  const committed = (): void => undefined;
  const thrown = (): void => {
    throw new Error("thrown");
  };
  for (const end of [committed, thrown]) {
    let late: (() => unknown)[] = [];
    const body = store.transaction((transaction) => {
      late = [
        () => transaction.put(1, "late"),
        () => transaction.delete(1),
        () => transaction.clear(),
        () => transaction.get(1),
        () => transaction.count(),
      ];
      end();
    });
    await body.catch(() => undefined);
    for (const use of late) await errorOf("TRANSACTION_OVER", use);
  }
  expectUnharmed(store);
});

test("TRANSACTION_ASYNC: of an async callback nothing is kept, and its own late failure stays its own", async () => {
  const store = opened<number, string>(closedStore());
  const callback = async (transaction: { put(key: number, value: string): void }): Promise<void> => {
    transaction.put(1, "before the first await");
    await Promise.resolve();
    transaction.put(2, "after it");
  };
  await errorOf("TRANSACTION_ASYNC", () => store.transaction(callback));
  await errorOf("TRANSACTION_ASYNC", () => store.transactionSync(callback));
  // Whatever `await` would wait for.
  // biome-ignore lint/suspicious/noThenProperty: it is what is tested
  const thenable = Object.assign(() => undefined, { then: (settle?: () => void) => settle?.() });
  await errorOf("TRANSACTION_ASYNC", () => store.transactionSync(() => thenable));
  expectUnharmed(store);
});

test("TRANSACTION_NESTED: a synchronous write or close within a transaction, which goes on", async () => {
  const store = opened<number, string>(closedStore());
  const nested = [
    () => store.putSync(1, "nested"),
    () => store.deleteSync(1),
    () => store.transactionSync(() => undefined),
    () => store.closeSync(),
  ];
  for (const use of nested) {
    await errorOf("TRANSACTION_NESTED", () => store.transactionSync(use));
    await errorOf("TRANSACTION_NESTED", () => store.transaction(use));
  }
  expectUnharmed(store);
});

test("CLOSED: a closed handle does nothing, and the store is as it was", async () => {
  const path = closedStore();
  const store = opened<number, string>(path);
  const iterator = store.keys();
  iterator.next();
  await store.close();
  for (const use of [() => store.get(1), () => store.put(1, "late"), () => iterator.next(), () => store.snapshot()]) {
    await errorOf("CLOSED", use);
  }
  expectUnharmedFile(path);
});

test("SNAPSHOT_CLOSED: a closed snapshot does not read, and the store does", async () => {
  const store = opened<number, string>(closedStore());
  const snapshot = store.snapshot();
  const iterator = snapshot.entries({ gt: 5 });
  expect(iterator.next().value?.[0]).toBe(6);
  snapshot.close();
  for (const use of [() => snapshot.get(1), () => snapshot.count(), () => iterator.next()]) {
    await errorOf("SNAPSHOT_CLOSED", use);
  }
  expectUnharmed(store);
});
