/** Failures the random runs have found, told one by one. */
import { expect, test } from "vitest";
import { Machine } from "../recorder/machine.ts";
import { openWhole } from "../support/whole.ts";

const INTERNAL = { runBoundaryLog2: 17, fileSizeMin: 0, capacities: { slots: 64, live: 64, owners: 16 } };

function freshStore(): ReturnType<typeof openWhole<number, string>> {
  const machine = new Machine({ seed: 1, record: false });
  return openWhole<number, string>(machine.process(), "/store", {}, INTERNAL);
}

// An iterator took "how many are left" for the sign of having given something; without a limit that is always infinity.
test("an iterator without a limit goes on behind the key it gave last when its transaction writes", () => {
  const store = freshStore();
  store.transactionSync((transaction) => {
    for (let i = 0; i < 100; i++) transaction.put(i, "old");
    const seen: number[] = [];
    for (const key of transaction.keys({ gte: 10 })) {
      seen.push(key);
      transaction.put(key, "new");
    }
    expect(seen).toEqual(Array.from({ length: 90 }, (_, i) => i + 10));
    const backwards: number[] = [];
    for (const key of transaction.keys({ lt: 50, reverse: true })) {
      backwards.push(key);
      transaction.delete(key);
    }
    expect(backwards).toEqual(Array.from({ length: 50 }, (_, i) => 49 - i));
  });
});

// Another handle had deleted the key in the same turn; deleteSync said so, and get went on returning the value.
test("reads after a transaction see nothing older than what the transaction saw, even if it changed nothing", () => {
  const machine = new Machine({ seed: 1, record: false });
  const [a, b] = [1, 2].map(() => openWhole<string, number>(machine.process(), "/store", {}, INTERNAL));
  a.putSync("key", 1);
  b.refresh();
  expect(b.get("key")).toBe(1);
  a.deleteSync("key");
  expect(b.get("key")).toBe(1);
  expect(b.deleteSync("key")).toBe(false);
  expect(b.get("key")).toBe(undefined);
});
