/** Point 6: mapping and views may be closed in any order, or not at all; stores reach the file in every one. */
import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMapping, type Mapping, type View } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { isLinux, startOther } from "./others.ts";

const folder = temporaryFolder();
let fileCount = 0;
function newFile(): string {
  const path = join(folder, `file-${fileCount++}`);
  writeFileSync(path, new Uint8Array(10_000));
  return path;
}

/** Whether this process has the file open. Only Linux tells. */
function isOpen(path: string): boolean {
  return readdirSync("/proc/self/fd").some((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`) === path;
    } catch {
      // The descriptor of the folder that is being read.
      return false;
    }
  });
}

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

const NAMES = ["mapping", "first view", "second view"] as const;

test.each(permutations(NAMES))("closed in the order %s, %s, %s", (...order) => {
  const path = newFile();
  const mapping = createMapping({ path });
  const first = mapping.view();
  const second = mapping.view({ offset: 5_000 });
  const parts: Record<(typeof NAMES)[number], Mapping | View> = { mapping, "first view": first, "second view": second };
  first.bytes[0] = 1;
  second.bytes[0] = 2;
  for (const [i, name] of order.entries()) {
    if (isLinux) expect(isOpen(path)).toBe(true);
    parts[name].close();
    // Those that are still open go on working.
    if (first.isOpen) first.bytes[10 + i] = 3;
    if (second.isOpen) second.bytes[10 + i] = 4;
    for (const view of [first, second]) if (view.isOpen) view.check();
  }
  // The file closes with the last of them.
  if (isLinux) expect(isOpen(path)).toBe(false);
  const content = readFileSync(path);
  expect([content[0], content[5_000]]).toEqual([1, 2]);
  const firstClosed = order.indexOf("first view");
  const secondClosed = order.indexOf("second view");
  for (let i = 0; i < 3; i++) {
    expect(content[10 + i]).toBe(i < firstClosed ? 3 : 0);
    expect(content[5_010 + i]).toBe(i < secondClosed ? 4 : 0);
  }
  // Nothing holds it any more, so that even Windows lets go of it.
  renameSync(path, `${path}-moved`);
  rmSync(`${path}-moved`);
});

test("what a process stored before it ended or was killed is in the file", async () => {
  for (const end of ["exit", "kill"] as const) {
    const path = newFile();
    const other = await startOther();
    await other.ask("create", { path });
    await other.ask("view", { offset: 4_000 });
    await other.ask("store", { bytes: [71, 72] });
    await other[end]();
    expect([...readFileSync(path).subarray(4_000, 4_002)]).toEqual([71, 72]);
  }
});

test("what a forgotten view stored is in the file", async () => {
  const path = newFile();
  const other = await startOther();
  await other.ask("create", { path });
  await other.ask("view");
  await other.ask("store", { at: 9_999, bytes: [81] });
  await other.ask("closeMapping");
  await other.ask("forget");
  await other.ask("collect");
  await other.ask("collect");
  expect(readFileSync(path)[9_999]).toBe(81);
  await other.exit();
});

test("memory lives as long as its last view", () => {
  const mapping = createMapping({ size: 4096 });
  const one = mapping.view();
  const two = mapping.view();
  mapping.close();
  one.bytes[0] = 1;
  one.close();
  expect(two.bytes[0]).toBe(1);
  two.check();
  two.close();
});
