/** How a store is opened, and what it keeps of that in its file. */
import { realpathSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { CustomValueCodec, Key, Store, StoreOptions } from "../../src/index.ts";
import { open } from "../../src/index.ts";
import { codeOf, filled, newStorePath, opened } from "../support/opened.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { tempFolder } from "../support/temp-folder.ts";

test("open creates a store where there is none, and with create: false does not", async () => {
  const path = newStorePath();
  expect(await codeOf(() => open(path, { create: false }))).toBe("NOT_FOUND");
  expect(await codeOf(() => open(path, { readOnly: true }))).toBe("NOT_FOUND");
  const store = opened(path);
  expect(store.path).toBe(path);
  expect(store.stats()).toMatchObject({
    entryCount: 0,
    depth: 0,
    pageSize: 4096,
    keyEncoding: "ordered",
    valueEncoding: "msgpack",
    poisoned: false,
    pinned: true,
    metaFallback: false,
  });
  expect(opened(path, { create: false }).count()).toBe(0);
});

test("a read-only handle reads, sees others' commits, and refuses every write", async () => {
  const path = newStorePath();
  const writer = opened<string, number>(path);
  writer.putSync("a", 1);
  const reader = open<string, number>(path, { readOnly: true });
  using snapshot = reader.snapshot();
  expect([reader.get("a"), reader.stats().pinned, reader.check().ok]).toEqual([1, true, true]);
  for (const write of [
    () => reader.put("b", 2),
    () => reader.delete("a"),
    () => reader.clear(),
    () => reader.transaction(() => 1),
    () => reader.putSync("b", 2),
    () => reader.deleteSync("a"),
    () => reader.transactionSync(() => 1),
  ]) {
    expect(await codeOf(write)).toBe("READ_ONLY");
  }
  await writer.put("b", 2);
  expect([reader.count(), snapshot.count()]).toEqual([2, 1]);
  await reader.flush();
  await reader.close();
});

test("a read-only handle may be the only one, and another may write afterwards", async () => {
  const path = newStorePath();
  await opened<string, number>(path)
    .put("a", 1)
    .then(() => undefined);
  {
    using reader = open<string, number>(path, { readOnly: true });
    expect([...reader]).toEqual([["a", 1]]);
    using writer = open<string, number>(path);
    writer.putSync("b", 2);
    reader.refresh();
    expect(reader.count()).toBe(2);
  }
});

const ENCODINGS: readonly (readonly [StoreOptions, unknown, unknown])[] = [
  [{ keyEncoding: "ordered", valueEncoding: "msgpack" }, ["a", 1], { a: new Date(5), b: 5n }],
  [{ keyEncoding: "string", valueEncoding: "json" }, "key", { list: [1, null, "text"] }],
  [{ keyEncoding: "string", valueEncoding: "string" }, "key", "text é"],
  [{ keyEncoding: "binary", valueEncoding: "binary" }, new Uint8Array([0, 255]), new Uint8Array([1, 2])],
];

test.each(ENCODINGS)("encodings %o are kept in the file: who names none gets them", async (options, key, value) => {
  const path = newStorePath();
  await opened<unknown, unknown>(path, options).put(key, value);
  const again = opened<unknown, unknown>(path);
  expect([...again]).toEqual([[key, value]]);
  expect(again.stats()).toMatchObject(options);
  const named = opened<unknown, unknown>(path, options);
  expect(named.get(key)).toEqual(value);
});

test("naming another encoding than the file's is an error, and the file is as it was", async () => {
  const path = newStorePath();
  const store = opened<string, unknown>(path, { keyEncoding: "string", valueEncoding: "json" });
  await store.put("a", [1]);
  const codec: CustomValueCodec<unknown> = { name: "mine", encode: () => new Uint8Array(1), decode: () => 1 };
  const wrong: StoreOptions[] = [
    { keyEncoding: "ordered" },
    { keyEncoding: "binary" },
    { valueEncoding: "msgpack" },
    { valueEncoding: "string" },
    { valueEncoding: codec },
  ];
  for (const options of wrong) {
    expect(await codeOf(() => open(path, options))).toBe("ENCODING");
    expect(await codeOf(() => open(path, { ...options, readOnly: true }))).toBe("ENCODING");
  }
  await store.put("b", [2]);
  expect(opened<string, unknown>(path).count()).toBe(2);
});

/** Points as two 32-bit numbers. */
const points: CustomValueCodec<{ x: number; y: number }> = {
  name: "points",
  encode: ({ x, y }) => new Uint8Array(Int32Array.of(x, y).buffer),
  decode: (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return { x: view.getInt32(0, true), y: view.getInt32(4, true) };
  },
};

test("a codec of one's own writes and reads values, and the store opens only with one of its name", async () => {
  const path = newStorePath();
  const store = opened<string, { x: number; y: number }>(path, { valueEncoding: points });
  await store.put("a", { x: 1, y: -2 });
  store.putSync("b", { x: 2 ** 31 - 1, y: 0 });
  expect([store.get("a"), ...store.values()]).toEqual([
    { x: 1, y: -2 },
    { x: 1, y: -2 },
    { x: 2 ** 31 - 1, y: 0 },
  ]);
  await store.close();
  expect(await codeOf(() => open(path))).toBe("ENCODING");
  expect(await codeOf(() => open(path, { valueEncoding: { ...points, name: "other points" } }))).toBe("ENCODING");
  const again = opened<string, { x: number; y: number }>(path, { valueEncoding: points });
  expect(again.get("a")).toEqual({ x: 1, y: -2 });
});

test("what a codec of one's own throws comes out as the cause, and nothing is written", async () => {
  const failing: CustomValueCodec<number> = {
    name: "failing",
    encode: (value) => {
      if (value < 0) throw new Error("negative");
      return new Uint8Array([value]);
    },
    decode: (bytes) => {
      if (bytes[0] === 13) throw new Error("unlucky");
      return bytes[0];
    },
  };
  const store = opened<string, number>(newStorePath(), { valueEncoding: failing });
  await Promise.allSettled([store.put("a", -1), store.put("b", 13), store.put("c", 1)]);
  expect([...store.keys()]).toEqual(["b", "c"]);
  expect(() => store.get("b")).toThrow();
  expect(store.get("c")).toBe(1);
});

test("the page size is fixed when the store is created", () => {
  const path = newStorePath();
  const store = opened(path, { pageSize: 16_384 });
  expect(store.stats().pageSize).toBe(16_384);
  expect(opened(path, { pageSize: 4096 }).stats().pageSize).toBe(16_384);
});

// On Windows the folder's inheritable permissions say who may use a new file.
test.skipIf(ON_WINDOWS)("the mode is that of the new files", () => {
  const path = newStorePath();
  opened(path, { mode: 0o600 });
  expect([path, `${path}-lock`].map((name) => statSync(name).mode & 0o777)).toEqual([0o600, 0o600]);
});

test("stats tell sizes that fit the file", () => {
  const store = filled(Array.from({ length: 3000 }, (_, i): [number, string] => [i, "value ".repeat(i % 30)]));
  const stats = store.stats();
  expect(stats.entryCount).toBe(3000);
  expect(stats.depth).toBe(2);
  expect(stats.fileSize).toBe(statSync(store.path).size);
  expect(stats.pageCount * stats.pageSize).toBeLessThanOrEqual(stats.fileSize);
  expect(stats.pageHighest).toBeLessThan(stats.pageCount);
  expect(stats.pagesUsed).toBe(store.check().pagesUsed);
  expect(store.check()).toMatchObject({ ok: true, entryCount: 3000, pageCount: stats.pageCount });
});

test("a path is the file's own: relative ones outlive a change of folder, and links lead to the same store", () => {
  const folder = realpathSync(tempFolder());
  const before = process.cwd();
  const path = join(folder, "store");
  // Windows wants a privilege for links to files; those to folders need none, but Wine makes neither.
  if (!ON_WINDOWS) symlinkSync(path, join(folder, "link"));
  process.chdir(folder);
  let store: Store<Key, unknown>;
  try {
    store = opened("store");
  } finally {
    process.chdir(before);
  }
  expect(store.path).toBe(path);
  store.putSync("key", "value");
  const other = opened(join(folder, ON_WINDOWS ? "STORE" : "link"));
  expect(other.get("key")).toBe("value");
  if (!ON_WINDOWS) expect(other.path).toBe(path);
  other.putSync("key", "other");
  store.refresh();
  expect(store.get("key")).toBe("other");
});

test("a path that is too long is refused", async () => {
  expect(await codeOf(() => open(join(tempFolder(), "x".repeat(300))))).toBe("OPTION");
});
