/** Point 7: copy-on-write between two processes. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createMapping, systemInfo } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { isWindows, startOther } from "./others.ts";

const folder = temporaryFolder();
const { pageSize } = systemInfo();
let fileCount = 0;
function newFile(): string {
  const path = join(folder, `file-${fileCount++}`);
  writeFileSync(path, new Uint8Array(4 * pageSize).fill(1));
  return path;
}

test("two processes with copy views of one file see each their own changes, and the file's bytes stay", async () => {
  const path = newFile();
  const before = readFileSync(path);
  const [one, two] = await Promise.all([startOther(), startOther()]);
  for (const [other, mark] of [
    [one, 11],
    [two, 22],
  ] as const) {
    await other.ask("create", { path, protection: "writecopy" });
    await other.ask("view");
    await other.ask("store", { at: 5, bytes: [mark] });
    await other.ask("store", { at: 3 * pageSize, bytes: [mark, mark] });
  }
  expect(await one.ask("load", { at: 4, length: 3 })).toEqual([1, 11, 1]);
  expect(await two.ask("load", { at: 4, length: 3 })).toEqual([1, 22, 1]);
  expect(await one.ask("load", { at: 3 * pageSize, length: 3 })).toEqual([11, 11, 1]);
  await one.ask("flush");
  expect(readFileSync(path).equals(before)).toBe(true);
  await Promise.all([one.exit(), two.exit()]);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("a copied page is not touched by later changes of the file; others show them", async () => {
  const path = newFile();
  const other = await startOther();
  await other.ask("create", { path, protection: "writecopy" });
  await other.ask("view");
  await other.ask("store", { at: 0, bytes: [9] });
  const mapping = createMapping({ path });
  const view = mapping.view();
  view.bytes[1] = 50;
  view.bytes[2 * pageSize] = 60;
  // The first page was copied before the change, the third wasn't.
  expect(await other.ask("load", { at: 0, length: 2 })).toEqual([9, 1]);
  expect(await other.ask("load", { at: 2 * pageSize })).toEqual([60]);
  // And once copied, it stays.
  await other.ask("store", { at: 2 * pageSize + 1, bytes: [7] });
  view.bytes[2 * pageSize] = 61;
  expect(await other.ask("load", { at: 2 * pageSize, length: 2 })).toEqual([60, 7]);
  expect(view.bytes[2 * pageSize + 1]).toBe(1);
  view.close();
  mapping.close();
});

// POSIX leaves it open whether writes by write(2) show in private mappings; Linux and macOS, whose cache is one, show them.
test("writes by file descriptor show in pages that were not copied", async () => {
  const path = newFile();
  const mapping = createMapping({ path, protection: "writecopy" });
  const view = mapping.view();
  view.bytes[0] = 9;
  const descriptor = openSync(path, "r+");
  writeSync(descriptor, Buffer.from([70, 70]), 0, 2, 0);
  writeSync(descriptor, Buffer.from([71]), 0, 1, pageSize);
  closeSync(descriptor);
  expect([view.bytes[0], view.bytes[1]]).toEqual([9, 1]);
  if (!isWindows) expect(view.bytes[pageSize]).toBe(71);
  view.close();
  mapping.close();
});

test("copy views of one process are apart from each other, and from the mapping they come from", () => {
  const mapping = createMapping({ path: newFile() });
  const [one, two] = [mapping.view({ access: "copy" }), mapping.view({ access: "copy" })];
  const shared = mapping.view();
  one.bytes[3] = 33;
  two.bytes[3] = 44;
  expect([one.bytes[3], two.bytes[3], shared.bytes[3]]).toEqual([33, 44, 1]);
  for (const each of [one, two, shared, mapping]) each.close();
});

test("memory can be copied on write, too", async () => {
  const mapping = createMapping({ size: pageSize });
  const shared = mapping.view();
  shared.bytes[0] = 5;
  const other = await startOther();
  await other.ask("receive", { token: await mapping.handTo(other.pid) });
  await other.ask("view", { access: "copy" });
  await other.ask("store", { at: 1, bytes: [6] });
  expect(await other.ask("load", { length: 2 })).toEqual([5, 6]);
  expect(shared.bytes[1]).toBe(0);
  shared.close();
  mapping.close();
});

test("discard and advice lose no private change", () => {
  const mapping = createMapping({ path: newFile(), protection: "writecopy" });
  const view = mapping.view();
  view.bytes[0] = 99;
  view.advise("dontneed");
  view.discard();
  view.prefetch();
  expect(view.bytes[0]).toBe(99);
  view.close();
  mapping.close();
});
