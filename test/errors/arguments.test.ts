/** Keys, values and bounds that can't be: refused one by one, with the store as it was. */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { open, type Store, type StoreOptions } from "../../src/index.ts";
import { openStore } from "../../src/store/open.ts";
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import { newStorePath, opened } from "../support/opened.ts";
import { closedStore, errorOf, expectUnharmed } from "./store-file.ts";

/** Every way a key goes into a store. */
function keyUses(store: Store<unknown, unknown>, key: unknown): (() => unknown)[] {
  return [
    () => store.get(key),
    () => store.has(key),
    () => store.put(key, "value"),
    () => store.putSync(key, "value"),
    () => store.delete(key),
    () => store.deleteSync(key),
    () => store.transaction((transaction) => transaction.put(key, "value")),
    () => store.transactionSync((transaction) => transaction.delete(key)),
  ];
}

const NO_KEYS = [
  undefined,
  null,
  {},
  new Map(),
  Symbol("key"),
  Number.NaN,
  new Date(Number.NaN),
  "\ud800",
  [1, [undefined]],
];

test.each(NO_KEYS)("KEY_TYPE: %o is no key, whatever is done with it", async (key) => {
  const path = closedStore();
  const store = opened<unknown, unknown>(path);
  for (const use of keyUses(store, key)) await errorOf("KEY_TYPE", use);
  expectUnharmed(store as Store<number, string>);
});

test.each<[StoreOptions["keyEncoding"], unknown]>([
  ["string", 1],
  ["string", new Uint8Array(1)],
  ["string", "\udfff"],
  ["binary", "text"],
  ["binary", [1]],
])("KEY_TYPE: a store of %s keys takes no other: %o", async (keyEncoding, key) => {
  const store = opened<unknown, unknown>(newStorePath(), { keyEncoding });
  for (const use of keyUses(store, key)) await errorOf("KEY_TYPE", use);
  expect(store.count()).toBe(0);
});

test("KEY_SIZE: a key may take 1,978 bytes and not one more", async () => {
  const store = opened<unknown, unknown>(newStorePath(), { keyEncoding: "binary" });
  const longest = new Uint8Array(1978).fill(1);
  await store.put(longest, "fits");
  for (const use of keyUses(store, new Uint8Array(1979))) await errorOf("KEY_SIZE", use);
  expect([...store]).toEqual([[longest, "fits"]]);
  const ordered = opened<unknown, unknown>(closedStore());
  for (const key of ["x".repeat(5000), ["x".repeat(1000), "y".repeat(1000)], 2n ** 20_000n]) {
    for (const use of keyUses(ordered, key)) await errorOf("KEY_SIZE", use);
  }
  expectUnharmed(ordered as Store<number, string>);
});

/** Every way a value goes into a store. */
function valueUses(store: Store<unknown, unknown>, value: unknown): (() => unknown)[] {
  return [
    () => store.put(1, value),
    () => store.putSync(1, value),
    () => store.transaction((transaction) => transaction.put(1, value)),
    () => store.transactionSync((transaction) => transaction.put(1, value)),
  ];
}

test.each([undefined, () => 1, Symbol("value"), { nested: [() => 1] }])(
  "VALUE_TYPE: %o is no value of a msgpack store",
  async (value) => {
    const store = opened<unknown, unknown>(closedStore());
    for (const use of valueUses(store, value)) await errorOf("VALUE_TYPE", use);
    expectUnharmed(store as Store<number, string>);
  },
);

test.each<[StoreOptions["valueEncoding"], unknown]>([
  ["string", 1],
  ["string", "\ud800"],
  ["binary", "text"],
  ["json", undefined],
  ["json", 1n],
])("VALUE_TYPE: a store of %s values does not take %o", async (valueEncoding, value) => {
  const store = opened<unknown, unknown>(newStorePath(), { valueEncoding });
  for (const use of valueUses(store, value)) await errorOf("VALUE_TYPE", use);
  expect(store.count()).toBe(0);
});

test("VALUE_SIZE: a value may be as large as the store's run boundary allows and not a byte larger", async () => {
  const path = newStorePath();
  const internal = { runBoundaryLog2: 17 };
  const store = openStore<unknown, Uint8Array>(addonStorage(), path, { valueEncoding: "binary" }, internal);
  await store.put(0, new Uint8Array(65_536).fill(3));
  for (const use of valueUses(store as Store<unknown, unknown>, new Uint8Array(65_537)))
    await errorOf("VALUE_SIZE", use);
  expect([store.count(), store.get(0)?.length, store.check().ok]).toEqual([1, 65_536, true]);
  store.closeSync();
});

test("VALUE_SIZE: half a GiB and one byte is too much for any store", async () => {
  const store = opened<unknown, unknown>(newStorePath(), { valueEncoding: "binary" });
  await errorOf("VALUE_SIZE", () => store.put("a", new Uint8Array(512 * 1024 * 1024 + 1)));
  expect(store.count()).toBe(0);
});

test("BOUND: bounds and prefixes that can be no key", async () => {
  const store = opened<unknown, unknown>(closedStore());
  const ranges = [
    { gt: {} },
    { gte: null },
    { lt: Number.NaN },
    { lte: [Symbol("x")] },
    { prefix: {} },
    { prefix: 5 },
    { gt: "x".repeat(3000) },
  ];
  for (const range of ranges) {
    for (const read of [
      () => store.entries(range),
      () => store.keys(range),
      () => store.values(range),
      () => store.count(range),
      () => store.transactionSync((transaction) => transaction.keys(range)),
    ]) {
      await errorOf("BOUND", read);
    }
  }
  expectUnharmed(store as Store<number, string>);
});

test("READ_ONLY: a read-only handle refuses to write, and reads on", async () => {
  const path = closedStore();
  const reader = open<number, string>(path, { readOnly: true });
  for (const use of valueUses(reader as Store<unknown, unknown>, "value")) await errorOf("READ_ONLY", use);
  await errorOf("READ_ONLY", () => reader.clear());
  expect(reader.count()).toBe(600);
  expectUnharmed(opened<number, string>(path));
  reader.closeSync();
});

test("OPTION: a transaction that is no function, a limit that is none, and a name too long for what lies beside a file", async () => {
  const store = opened<number, string>(closedStore());
  for (const callback of [5, undefined, {}]) {
    await errorOf("OPTION", () => store.transaction(callback as never));
    await errorOf("OPTION", () => store.transactionSync(callback as never));
  }
  for (const limit of [Object.create(null), Symbol("many"), "1", -1, 0.5]) {
    await errorOf("OPTION", () => store.keys({ limit: limit as never }));
  }
  expectUnharmed(store);
  const folder = dirname(newStorePath());
  await errorOf("OPTION", () => open(join(folder, "x".repeat(236))));
  expect(readdirSync(folder)).toEqual([]);
  opened(join(folder, "x".repeat(235))).putSync("fits", 1);
});
