/** Plain reads and writes, and what of them is whose. */
import { expect, test } from "vitest";
import type { Key } from "../../src/index.ts";
import { open } from "../../src/index.ts";
import { filled, newStorePath, opened, sameBytes } from "../support/opened.ts";

test("a value put is there at once after the promise resolves, and a missing key is undefined", async () => {
  const store = opened();
  expect(store.get("a")).toBeUndefined();
  expect(store.has("a")).toBe(false);
  await store.put("a", { one: 1 });
  expect(store.get("a")).toEqual({ one: 1 });
  expect(store.has("a")).toBe(true);
  expect(store.has("b")).toBe(false);
  expect(store.count()).toBe(1);
});

test("a put replaces the value that was there", async () => {
  const store = filled([["a", 1]]);
  await store.put("a", 2);
  expect([...store]).toEqual([["a", 2]]);
  store.putSync("a", 3);
  expect([...store]).toEqual([["a", 3]]);
});

test("delete tells whether the key was there", async () => {
  const store = filled([
    ["a", 1],
    ["b", 2],
  ]);
  expect(await store.delete("a")).toBe(true);
  expect(await store.delete("a")).toBe(false);
  expect(store.deleteSync("b")).toBe(true);
  expect(store.deleteSync("b")).toBe(false);
  expect(store.count()).toBe(0);
});

test("of two deletes of one key in one turn, the first finds it", async () => {
  const store = filled([["a", 1]]);
  expect(await Promise.all([store.delete("a"), store.delete("a"), store.delete("b")])).toEqual([true, false, false]);
});

test("clear empties a store of any size, which goes on as before", async () => {
  const store = filled(Array.from({ length: 5000 }, (_, i): [number, string] => [i, `value ${i}`]));
  await store.clear();
  expect([store.count(), [...store], store.stats().depth]).toEqual([0, [], 0]);
  await store.put(1, "again");
  expect([...store]).toEqual([[1, "again"]]);
  store.transactionSync((transaction) => transaction.clear());
  expect(store.count()).toBe(0);
});

test("null is a value, and undefined always means that there is none", async () => {
  const store = opened();
  await store.put("null", null);
  await expect(store.put("undefined", undefined)).rejects.toMatchObject({ code: "VALUE_TYPE" });
  expect([store.get("null"), store.get("undefined")]).toEqual([null, undefined]);
  expect([store.has("null"), store.has("undefined")]).toEqual([true, false]);
});

test("key and value may be changed after the call", async () => {
  const store = opened<Key, unknown>();
  const key = new Uint8Array([1, 2, 3]);
  const value = { list: [1, 2], bytes: new Uint8Array(5000).fill(7) };
  const done = store.put(key, value);
  key.fill(9);
  value.list.push(3);
  value.bytes.fill(8);
  await done;
  expect([...store.keys()]).toEqual([new Uint8Array([1, 2, 3])]);
  expect(store.get(new Uint8Array([1, 2, 3]))).toEqual({ list: [1, 2], bytes: new Uint8Array(5000).fill(7) });
});

test.each([10, 100, 1000, 100_000])(
  "a value of %d bytes that was read is the reader's: changing it changes no file, and commits and close leave it alone",
  async (size) => {
    const store = opened<string, Uint8Array>(newStorePath(), { valueEncoding: "binary" });
    const repeated = (byte: number): Uint8Array => new Uint8Array(size).fill(byte);
    await store.put("a", repeated(1));
    const first = store.get("a");
    const [listed] = store.values();
    expect(sameBytes(first, repeated(1))).toBe(true);
    first?.fill(9);
    expect(sameBytes(store.get("a"), repeated(1))).toBe(true);
    for (let i = 0; i < 20; i++) store.putSync("a", repeated(i + 2));
    expect(sameBytes(listed, repeated(1))).toBe(true);
    const last = store.get("a");
    await store.close();
    expect([sameBytes(listed, repeated(1)), sameBytes(last, repeated(21))]).toEqual([true, true]);
  },
);

test("values of a range that share a buffer are each the reader's, and those of get share none", async () => {
  const store = opened<Key, Uint8Array>(newStorePath(), { valueEncoding: "binary" });
  const value = (index: number): Uint8Array => new Uint8Array(60 + index * 8).fill(index);
  const ordered = Array.from({ length: 70 }, (_, index) => value(index));
  // Beside so long a key there is no room for the value in a leaf.
  const long = "k".repeat(1970);
  ordered.push(new Uint8Array(500).fill(99));
  await store.transaction((transaction) => {
    for (const [index, each] of ordered.entries()) transaction.put(index < 70 ? index : long, each);
  });
  const forward = [...store.values()];
  const reads = [...forward, ...store.values({ reverse: true }), ...Array.from(store.entries(), ([, read]) => read)];
  expect(forward.map((read) => read.buffer.byteLength === 2048)).toEqual(
    ordered.map(({ length }) => length > 64 && length <= 512),
  );
  expect(reads).toEqual([...ordered, ...[...ordered].reverse(), ...ordered]);
  for (const read of reads) read.fill(0xff);
  for (const [index, each] of ordered.entries()) {
    const read = store.get(index < 70 ? index : long);
    expect(read).toEqual(each);
    expect(read?.buffer.byteLength).toBe(each.length);
  }
});

test("bytes and keys inside msgpack values are copies, too", async () => {
  const store = opened();
  await store.put(new Uint8Array([5]), { bytes: new Uint8Array([1, 2, 3]) });
  const [[key, value]] = store.entries() as Iterable<[Uint8Array, { bytes: Uint8Array }]>;
  key.fill(0);
  value.bytes.fill(0);
  expect([...store]).toEqual([[new Uint8Array([5]), { bytes: new Uint8Array([1, 2, 3]) }]]);
});

/** In the order the store promises. */
const KEYS_IN_ORDER: Key[] = [
  false,
  true,
  -Number.MAX_VALUE,
  -1e300,
  -2,
  -1.5,
  0,
  Number.MIN_VALUE,
  1,
  1.5,
  2,
  256,
  2 ** 53,
  Number.MAX_VALUE,
  -(2n ** 100n),
  -1n,
  0n,
  1n,
  2n ** 64n,
  new Date(-1),
  new Date(0),
  new Date(1e12),
  "",
  "\0",
  "\0\0",
  "\u0001",
  "A",
  "a",
  "a\0",
  "a\0b",
  "aa",
  "b",
  "é",
  "\uffff",
  "😀",
  new Uint8Array(0),
  new Uint8Array([0]),
  new Uint8Array([0, 0]),
  new Uint8Array([1]),
  new Uint8Array([255]),
  [],
  [false],
  [1],
  [1, "a"],
  [1, "b"],
  [1, []],
  [1, [1]],
  [2],
  ["a"],
  ["a", 1],
  ["a", "b"],
  ["aa"],
  [[1], 2],
  [[1, 2]],
];

test("keys of every kind come back as they were and in the order of kinds, then of values", async () => {
  const store = opened();
  // Written in an order that has nothing to do with theirs.
  const shuffled = KEYS_IN_ORDER.map((_, i) => KEYS_IN_ORDER[(i * 23 + 7) % KEYS_IN_ORDER.length]);
  expect(new Set(shuffled).size).toBe(KEYS_IN_ORDER.length);
  await Promise.all(shuffled.map((key) => store.put(key, key)));
  expect([...store.keys()]).toEqual(KEYS_IN_ORDER);
  expect([...store.keys({ reverse: true })]).toEqual(KEYS_IN_ORDER.toReversed());
  for (const [i, key] of KEYS_IN_ORDER.entries()) {
    expect(store.get(key)).toEqual(key);
    expect(store.count({ lt: key })).toBe(i);
    expect([...store.keys({ gt: key, limit: 1 })]).toEqual(KEYS_IN_ORDER.slice(i + 1, i + 2));
  }
});

test("-0 is the key 0, and 1 and 1n are two keys", async () => {
  const store = opened();
  await Promise.all([store.put(-0, "zero"), store.put(1, "number"), store.put(1n, "bigint")]);
  expect([...store]).toEqual([
    [0, "zero"],
    [1, "number"],
    [1n, "bigint"],
  ]);
});

test.each([4096, 8192, 16_384, 32_768, 65_536])(
  "a store of %d-byte pages holds the longest keys, large values and many entries",
  async (pageSize) => {
    const path = newStorePath();
    const store = opened<Uint8Array, Uint8Array>(path, { pageSize, keyEncoding: "binary", valueEncoding: "binary" });
    const longest = (i: number): Uint8Array => Buffer.alloc(1978, "k").fill(`${i}`.padStart(5, "0"), 1970, 1975);
    const shorter = (i: number): Uint8Array => Buffer.from(`${i}`.padStart(5, "0"));
    const large = Buffer.alloc(3 * 1024 * 1024 + 17, "as long as it takes");
    store.transactionSync((transaction) => {
      for (let i = 0; i < 200; i++) transaction.put(longest(i), new Uint8Array(i * 40).fill(i));
      for (let i = 0; i < 3000; i++) transaction.put(shorter(i), new Uint8Array(i % 50).fill(i));
      transaction.put(shorter(77_777), large);
    });
    store.transactionSync((transaction) => {
      for (let i = 0; i < 200; i += 2) transaction.delete(longest(i));
    });
    await store.close();
    const again = opened<Uint8Array, Uint8Array>(path);
    expect(again.stats()).toMatchObject({ pageSize, entryCount: 3101 });
    for (let i = 0; i < 200; i++) {
      if (i % 2 === 0) expect(again.has(longest(i))).toBe(false);
      else expect(sameBytes(again.get(longest(i)), new Uint8Array(i * 40).fill(i))).toBe(true);
    }
    for (let i = 0; i < 3000; i++) expect(again.get(shorter(i))?.length).toBe(i % 50);
    expect(sameBytes(again.get(shorter(77_777)), large)).toBe(true);
    expect(again.check()).toMatchObject({ ok: true, problems: [], entryCount: 3101 });
  },
);

test("values of many sizes up to some MiB come back whole, after reopening, too", async () => {
  const path = newStorePath();
  const store = opened<number, string>(path, { valueEncoding: "string" });
  const sizes = [0, 1, 1023, 1024, 1025, 2000, 4063, 4064, 4065, 8160, 8161, 65_536, 1_000_000, 5_000_000];
  const text = (size: number): string => `${size} é`.repeat(Math.ceil(size / 3)).slice(0, size);
  for (const size of sizes) store.putSync(size, text(size));
  for (const size of sizes) expect(store.get(size) === text(size)).toBe(true);
  await store.close();
  const again = open<number, string>(path);
  for (const size of sizes) expect(again.get(size) === text(size)).toBe(true);
  again.closeSync();
});
