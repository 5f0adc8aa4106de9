/** Transactions that share a commit: one that throws is undone, and the others keep every byte. */
import { expect, test } from "vitest";
import { opened, sameBytes } from "../support/opened.ts";

const VALUE = Buffer.alloc(900, 1);

// An overflow run that was taken and given up again in the same transaction is free; pages that were made ready ahead then
// lay inside it. Undoing the transaction freed them, and they went on being handed out: they were taken twice, and the
// next transaction of the commit wrote leaves into a value of its own.
test("a transaction that takes a run, gives it up and throws takes no page from the next of its commit", async () => {
  const store = opened<string, Uint8Array>(undefined, { valueEncoding: "binary" });
  const big = Buffer.alloc(400_000, 3);
  for (let count = 1; count <= 40; count++) {
    await store.clear();
    const undone = store.transaction((transaction) => {
      transaction.put("undone", Buffer.alloc(400_000, 7));
      transaction.delete("undone");
      for (let i = 0; i < count; i++) transaction.put(`undone ${i}`, VALUE);
      throw new Error("undo");
    });
    const kept = store.transaction((transaction) => {
      transaction.put("big", big);
      for (let i = 0; i < 40; i++) transaction.put(`kept ${i}`, VALUE);
    });
    await expect(undone).rejects.toThrow("undo");
    await kept;
    expect(sameBytes(store.get("big"), big)).toBe(true);
    expect(store.count()).toBe(41);
    expect(store.check().problems).toEqual([]);
  }
});

test.each([[undefined], [null], [0], [""], [false]])("a transaction that throws %s rejects with it", async (thrown) => {
  const store = opened<string, number>();
  const transaction = store.transaction((t) => {
    t.put("key", 1);
    throw thrown;
  });
  await expect(
    transaction.then(
      () => "resolved",
      (error) => [error],
    ),
  ).resolves.toEqual([thrown]);
  expect(store.has("key")).toBe(false);
});

test("flush() called by a transaction's callback resolves when what the callback's commit holds is durable", async () => {
  const store = opened<string, number>();
  const seen: boolean[] = [];
  let flushed: Promise<void> | undefined;
  const before = store.put("before", 1);
  await store.transaction((transaction) => {
    transaction.put("inside", 1);
    flushed = store.flush().then(() => {
      seen.push(store.has("before"), store.has("inside"));
    });
  });
  await Promise.all([before, flushed]);
  expect(seen).toEqual([true, true]);
});
