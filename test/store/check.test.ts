/** The whole-file check: it finds every flipped byte of every page in use, and nothing in a store that is whole. */
import { copyFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type CheckReport, open } from "../../src/index.ts";
import { META_PAGE_HIGHEST, META_PAGES_USED } from "../../src/store/format/meta.ts";
import { PAGE_SIZE, type PageKinds, pageKinds } from "../errors/pages.ts";
import { closedStore, ENTRIES, patch, patchMetas } from "../errors/store-file.ts";

/** Offsets in a page: fields of the header, the slots, the middle, the last byte. */
const PLACES = [0, 4, 8, 9, 10, 12, 24, 31, 32, 40, 2000, 4095];

/** What a check of a store opened anew says; what it was refused with if it does not even open. */
function checked(path: string): Pick<CheckReport, "ok" | "problems"> {
  try {
    const store = open(path);
    try {
      return store.check();
    } finally {
      store.closeSync();
    }
  } catch (error) {
    expect(error).toMatchObject({ code: "DAMAGED" });
    return { ok: false, problems: [error as CheckReport["problems"][number]] };
  }
}

test.each<[keyof PageKinds, keyof PageKinds]>([
  ["leaf", "leaf"],
  ["branch", "branch"],
  ["overflow", "overflow"],
  ["overflowEnd", "overflow"],
  ["map", "map"],
  ["catalog", "catalog"],
])("a flipped bit anywhere in a page of kind %s is found, and the report names page %s", (kind, named) => {
  const path = closedStore();
  const kinds = pageKinds(path);
  copyFileSync(path, `${path}.saved`);
  for (const place of PLACES) {
    patch(path, kinds[kind] * PAGE_SIZE, (bytes) => {
      bytes[place] ^= 0x10;
    });
    const { ok, problems } = checked(path);
    expect([ok, problems.length > 0], `byte ${place}`).toEqual([false, true]);
    expect(
      problems.map(({ page }) => page),
      `byte ${place}`,
    ).toContain(kinds[named]);
    for (const { expected, found } of problems) expect([expected, found]).not.toContain("");
    copyFileSync(`${path}.saved`, path);
  }
});

test("flipped bytes are found while the store is open, too, and are gone when they are put right", () => {
  const path = closedStore();
  const store = open(path);
  const { leaf, overflow, map } = pageKinds(path);
  for (const page of [leaf, overflow, map]) {
    const flip = (): void =>
      patch(path, page * PAGE_SIZE, (bytes) => {
        bytes[1999] ^= 1;
      });
    flip();
    const { ok, problems } = store.check();
    expect([ok, problems[0].page]).toEqual([false, page]);
    flip();
    expect(store.check()).toMatchObject({ ok: true, problems: [], entryCount: ENTRIES.length });
  }
  store.closeSync();
});

test("counts of the meta record that do not fit what the file holds are found", () => {
  for (const field of [META_PAGE_HIGHEST, META_PAGES_USED]) {
    const path = closedStore();
    patchMetas(path, (view) => view.setUint32(field, view.getUint32(field, true) - 1, true));
    const { ok, problems } = checked(path);
    expect([ok, problems[0].page]).toEqual([false, -1]);
  }
});

test("damage in pages that nobody uses is no damage", () => {
  const path = closedStore();
  const store = open<number, string>(path);
  const { pageHighest, pageCount } = store.stats();
  for (let page = pageHighest + 1; page < pageCount; page++) patch(path, page * PAGE_SIZE, (bytes) => bytes.fill(0xaa));
  expect(store.check().problems).toEqual([]);
  store.putSync(10_000, "x".repeat(100_000));
  expect(store.check().problems).toEqual([]);
  store.closeSync();
});

test("a check reads one state, whatever is written meanwhile by others", async () => {
  const path = closedStore();
  const [store, writer] = [open<number, string>(path), open<number, string>(path)];
  const writing = Array.from({ length: 20 }, (_, i) => writer.put(i, "changed".repeat(i * 100)));
  expect(store.check()).toMatchObject({ ok: true, entryCount: ENTRIES.length });
  await Promise.all(writing);
  expect(store.check().ok).toBe(true);
  await Promise.all([store.close(), writer.close()]);
});

test("an empty store is whole", () => {
  const path = closedStore();
  const store = open(path);
  store.transactionSync((transaction) => transaction.clear());
  expect(store.check()).toMatchObject({ ok: true, entryCount: 0 });
  store.closeSync();
});
