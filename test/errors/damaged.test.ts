/** Bytes on the disk that are not what they must be: reported with page, expectation and finding, never as data. */
import { copyFileSync, readFileSync, truncateSync } from "node:fs";
import { expect, test } from "vitest";
import { open, type Store } from "../../src/index.ts";
import { MAP_BITS, MAP_LEAF_USED } from "../../src/store/format/map.ts";
import {
  META_CATALOG_ROOT,
  META_COPY,
  META_FIRST_AT,
  META_MAP_LEVEL,
  META_MAP_ROOT,
  META_NUMBER,
  META_PAGE_COUNT,
  META_PAGE_HIGHEST,
  META_PAGE_SIZE_LOG2,
  META_RUN_BOUNDARY_LOG2,
  META_SECOND_AT,
  META_STORE_ID,
  META_USER_VERSION,
} from "../../src/store/format/meta.ts";
import {
  getUint53,
  PAGE_TYPE,
  PAGE_TYPE_BRANCH,
  PAGE_TYPE_LEAF,
  pageType,
  setUint53,
} from "../../src/store/format/page.ts";
import { entryCount, TREE_ENTRY_COUNT, TREE_HEAP_START, TREE_LAST_INSERT } from "../../src/store/format/tree-page.ts";
import { startAgent } from "../process/processes.ts";
import { codeOf, newStorePath } from "../support/opened.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { PAGE_SIZE, pageKinds } from "./pages.ts";
import { closedStore, damageOf, ENTRIES, expectUnharmed, expectUnharmedFile, patch, patchMetas } from "./store-file.ts";

const SECOND = [META_SECOND_AT, META_SECOND_AT + META_COPY];

test("DAMAGED: a file that is shorter than its pages are", async () => {
  const path = closedStore();
  const whole = open(path, { readOnly: true });
  const { pageCount, pageSize } = whole.stats();
  whole.closeSync();
  copyFileSync(path, `${path}.saved`);
  truncateSync(path, (pageCount - 1) * pageSize);
  const { page, expected, found } = await damageOf(() => open(path));
  expect([page, expected, found]).toEqual([-1, expect.stringContaining("pages"), expect.stringContaining("bytes")]);
  await damageOf(() => open(path, { readOnly: true }));
});

test("DAMAGED: neither meta page has a whole record", async () => {
  const path = closedStore();
  copyFileSync(path, `${path}.saved`);
  for (const at of [META_FIRST_AT, META_SECOND_AT]) {
    for (const copy of [0, META_COPY]) patch(path, at + copy, (bytes) => (bytes[60] ^= 1), 256);
  }
  expect((await damageOf(() => open(path))).page).toBe(0);
  copyFileSync(`${path}.saved`, path);
  expectUnharmedFile(path);
});

test("a single torn meta page is no damage: the other is taken, and stats say so", () => {
  for (const at of [META_FIRST_AT, META_SECOND_AT]) {
    const path = closedStore();
    for (const copy of [0, META_COPY]) patch(path, at + copy, (bytes) => bytes.fill(0xee, 40, 200), 256);
    const store = open<number, string>(path);
    expect(store.stats().metaFallback).toBe(true);
    expect(store.check().problems).toEqual([]);
    // The state of the other meta page: the filled store, or the empty one before it.
    expect([0, ENTRIES.length]).toContain(store.count());
    store.putSync(1, "value 1");
    store.closeSync();
    const again = open<number, string>(path);
    expect([again.get(1), again.stats().metaFallback, again.check().ok]).toEqual(["value 1", false, true]);
    again.closeSync();
  }
});

test("a single torn copy of a record is mended from the other", () => {
  for (const at of [META_FIRST_AT, META_FIRST_AT + META_COPY, ...SECOND]) {
    const path = closedStore();
    patch(path, at, (bytes) => bytes.fill(0xee, 100, 256), 256);
    expectUnharmedFile(path);
  }
});

const CONTRADICTIONS: readonly (readonly [string, (view: DataView) => void])[] = [
  ["of another store", (view) => view.setUint8(META_STORE_ID, view.getUint8(META_STORE_ID) ^ 1)],
  ["of another page size", (view) => view.setUint8(META_PAGE_SIZE_LOG2, 13)],
];

test.each(CONTRADICTIONS)("DAMAGED: two meta pages, one of them %s", async (_name, change) => {
  const path = closedStore();
  patchMetas(path, change, SECOND);
  await damageOf(() => open(path));
  await damageOf(() => open(path, { readOnly: true }));
});

test("DAMAGED: two meta pages of one number that differ", async () => {
  const path = closedStore();
  patchMetas(path, (view) => setUint53(view, META_NUMBER, 50));
  patchMetas(path, (view) => setUint53(view, META_USER_VERSION, 8), SECOND);
  expect((await damageOf(() => open(path))).found).toContain("different");
});

const WRONG_FIELDS: readonly (readonly [string, (view: DataView) => void])[] = [
  ["a page size no store has", (view) => view.setUint8(META_PAGE_SIZE_LOG2, 20)],
  ["a run boundary no store has", (view) => view.setUint8(META_RUN_BOUNDARY_LOG2, 40)],
  ["a number of 0", (view) => setUint53(view, META_NUMBER, 0)],
  ["a number that is none", (view) => view.setUint32(META_NUMBER + 4, 0xffff_ffff, true)],
  ["a catalog root past the last page", (view) => view.setUint32(META_CATALOG_ROOT, 0x7fff_ffff, true)],
  ["a map root past the last page", (view) => view.setUint32(META_MAP_ROOT, 0x7fff_ffff, true)],
  ["a map higher than any", (view) => view.setUint8(META_MAP_LEVEL, 9)],
  ["a page count below the meta pages", (view) => view.setUint32(META_PAGE_COUNT, 3, true)],
  ["a highest page past the last", (view) => view.setUint32(META_PAGE_HIGHEST, 0x7fff_ffff, true)],
];

test.each(WRONG_FIELDS)("DAMAGED: whole meta records with %s", async (_name, change) => {
  const path = closedStore();
  patchMetas(path, change);
  const { page, message } = await damageOf(() => open(path));
  expect([page, message]).toEqual([0, expect.stringContaining("expected")]);
});

/** Opens, reads everything in every way, and closes. */
function readAll(path: string): void {
  const store = open<number, string>(path);
  try {
    for (const [key, value] of ENTRIES) if (store.get(key) !== value) throw new Error(`a wrong value for ${key}`);
    expect([...store]).toEqual(ENTRIES);
  } finally {
    store.closeSync();
  }
}

test.each(["catalog", "branch", "leaf", "overflow"] as const)(
  "DAMAGED: a page of zeros in place of a %s page is named by whoever comes to it",
  async (kind) => {
    const path = closedStore();
    const page = pageKinds(path)[kind];
    copyFileSync(path, `${path}.saved`);
    patch(path, page * PAGE_SIZE, (bytes) => bytes.fill(0));
    const damage = await damageOf(() => readAll(path));
    expect(damage.page).toBe(page);
    // A damaged file is not made worse by looking at it.
    copyFileSync(`${path}.saved`, path);
    expectUnharmedFile(path);
  },
);

test("DAMAGED: what is not damaged can be read and written on, and the handle lives through it", async () => {
  const path = closedStore();
  const store = open<number, string>(path);
  const { leaf } = pageKinds(path);
  let saved = new Uint8Array(0);
  patch(path, leaf * PAGE_SIZE, (bytes) => {
    saved = bytes.slice();
    bytes.fill(0);
  });
  store.refresh();
  const lost = ENTRIES.filter(([key]) => {
    try {
      return store.get(key) === undefined;
    } catch (error) {
      expect(error).toMatchObject({ code: "DAMAGED", page: leaf });
      return true;
    }
  });
  expect(lost.length).toBeGreaterThan(5);
  expect(lost.length).toBeLessThan(ENTRIES.length / 2);
  const [key] = lost[0];
  await damageOf(() => [...store]);
  await damageOf(() => store.put(key, "into the damage"));
  await damageOf(() => store.putSync(key, "into the damage"));
  expect(store.check().ok).toBe(false);
  await store.put(-7, "elsewhere");
  await store.delete(-7);
  patch(path, leaf * PAGE_SIZE, (bytes) => bytes.set(saved));
  store.refresh();
  expectUnharmed(store);
  store.closeSync();
});

test("DAMAGED: a page of another state put in a page's place is never taken for it", async () => {
  const path = closedStore();
  const { leaf, branch, overflow } = pageKinds(path);
  copyFileSync(path, `${path}.saved`);
  for (const [to, from] of [
    [leaf, branch],
    [branch, leaf],
    [leaf, leaf + 1],
    [overflow, leaf],
  ]) {
    let other = new Uint8Array(0);
    patch(path, from * PAGE_SIZE, (bytes) => {
      other = bytes.slice();
    });
    patch(path, to * PAGE_SIZE, (bytes) => bytes.set(other));
    expect((await damageOf(() => readAll(path))).page).toBe(to);
    copyFileSync(`${path}.saved`, path);
  }
  expectUnharmedFile(path);
});

test("DAMAGED: a page that claims to be newer than the state that leads to it", async () => {
  const path = closedStore();
  const { leaf } = pageKinds(path);
  patch(path, leaf * PAGE_SIZE, (bytes) => {
    const view = new DataView(bytes.buffer);
    setUint53(view, 24, getUint53(view, 24) + 1);
  });
  expect((await damageOf(() => readAll(path))).page).toBe(leaf);
});

test("DAMAGED: no write over a catalog that a damaged map called free is acknowledged", async () => {
  const path = newStorePath();
  const options = { keyEncoding: "string", valueEncoding: "string" } as const;
  const filled = open<string, string>(path, options);
  filled.transactionSync((transaction) => {
    for (let i = 0; i < 2000; i++) transaction.put(`k${i}`, "v".repeat(50));
  });
  filled.closeSync();
  const { map, catalog } = pageKinds(path);
  expect(catalog).toBeLessThan(8);
  patch(path, map * PAGE_SIZE, (bytes) => bytes.fill(0, MAP_BITS, MAP_BITS + 1));
  const store = open<string, string>(path, options);
  for (let i = 0; i < 6; i++) {
    const key = i % 2 === 0 ? `k${i * 300}` : `q${i}32`;
    await damageOf(() => (i % 2 === 0 ? store.put(key, "y".repeat(60)) : store.putSync(key, "x".repeat(100))));
  }
  expect(store.check().ok).toBe(false);
  store.closeSync();
});

test.each(["0", "one less", "one more", "2^32 - 1"])(
  "a map leaf that counts its pages wrong (%s) loses nothing, and is mended by the next write",
  (wrong) => {
    const path = closedStore();
    const { map } = pageKinds(path);
    patch(path, map * PAGE_SIZE, (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const used = view.getUint32(MAP_LEAF_USED, true);
      const wrongs = { "0": 0, "one less": used - 1, "one more": used + 1, "2^32 - 1": 2 ** 32 - 1 };
      view.setUint32(MAP_LEAF_USED, wrongs[wrong as keyof typeof wrongs], true);
    });
    const store = open<number, string>(path);
    expect(store.check().ok).toBe(false);
    store.putSync(0, "value 0 again");
    expect(store.check().ok).toBe(true);
    store.putSync(0, ENTRIES[0][1]);
    expectUnharmed(store);
    store.closeSync();
    expectUnharmedFile(path);
  },
);

/** The only leaf that has so many entries. */
function leafOf(path: string, entries: number): number {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const starts = Array.from({ length: bytes.length / PAGE_SIZE }, (_, page) => page * PAGE_SIZE);
  const isLeaf = (at: number): boolean => pageType(view, at) === PAGE_TYPE_LEAF && entryCount(view, at) === entries;
  return starts.findIndex(isLeaf);
}

test.each([
  ["a heap from behind its end", TREE_HEAP_START, 0x7fff],
  ["a heap from the next page on", TREE_HEAP_START, 3000],
  ["more entries than fit", TREE_ENTRY_COUNT, 0xffff],
  ["another kind", PAGE_TYPE, PAGE_TYPE_BRANCH],
] as const)("DAMAGED: a leaf that gets %s while ascending keys are put", async (_name, field, value) => {
  const path = newStorePath();
  const store = open<string, string>(path, { keyEncoding: "string", valueEncoding: "string" });
  store.putSync("a", "v");
  let before: Uint8Array = new Uint8Array(0);
  const write = (): void =>
    store.transactionSync((transaction) => {
      for (const key of "bcdefg") transaction.put(key, "v");
      // Those that waited are put before anything is read.
      expect(transaction.has("g")).toBe(true);
      patch(path, leafOf(path, 7) * PAGE_SIZE, (bytes) => {
        const view = new DataView(bytes.buffer);
        view.setUint16(field, value, true);
        if (field === TREE_ENTRY_COUNT) view.setUint16(TREE_LAST_INSERT, value - 1, true);
      });
      before = readFileSync(path);
      transaction.put("z", "into another page?");
    });
  await damageOf(write);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect([...store.keys()]).toEqual(["a"]);
  store.closeSync();
});

// Windows lets nobody truncate a file that is mapped.
test.skipIf(ON_WINDOWS)(
  "a file truncated under an open store: reads and writes fail with IO or DAMAGED, nothing wrong is read, the process lives",
  async () => {
    const path = closedStore();
    const agent = await startAgent(path);
    const store = open<number, string>(path);
    const values = new Map(ENTRIES);
    truncateSync(path, 8192);
    const expectFailure = async (call: () => unknown): Promise<void> => {
      let result: unknown;
      try {
        result = await call();
      } catch (error) {
        expect(["IO", "DAMAGED"]).toContain((error as { code?: unknown }).code);
        return;
      }
      throw new Error(`read or wrote something: ${String(result)}`);
    };
    for (const key of [1, 7, 300, 599]) {
      await expectFailure(() => store.get(key) !== values.get(key) && "something wrong");
      await expectFailure(() => agent.ask("get", { key }));
    }
    await expectFailure(() => store.count({ gt: 100 }));
    await expectFailure(() => [...store]);
    await expectFailure(() => store.put(1, "into nothing"));
    await expectFailure(() => store.putSync(1, "into nothing"));
    // Either the report says what is missing, or zeros were read in its place, and there is no report.
    const isWhole = (report: unknown): boolean =>
      Array.isArray(report) ? report.length === 0 : (report as { ok: boolean }).ok;
    for (const check of [() => store.check(), () => agent.ask("check", {})]) {
      const reported = await codeOf(async () => isWhole(await check()));
      expect([{ returned: false }, "IO"]).toContainEqual(reported);
    }
    for (const what of ["entries", "putSync"]) await expectFailure(() => agent.ask(what, { key: 1, value: "" }));
    store.closeSync();
    await agent.ask("close");
    agent.tell("exit", { status: 7 });
    expect(await agent.child.ended).toMatchObject({ status: 7, signal: null, errors: "" });
  },
);

test("DAMAGED: a damaged store does not keep the same process from using others", async () => {
  const path = closedStore();
  patch(path, pageKinds(path).catalog * PAGE_SIZE, (bytes) => bytes.fill(1));
  await damageOf(() => open(path));
  const other: Store<number, string> = open(closedStore());
  expectUnharmed(other);
  other.closeSync();
});
