/** Point 8: prefetch, advice, residency, discard, growth. Each is shown by something that isn't so without it. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMapping, systemInfo, type View } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, isLinux, isWindows, startOther } from "./others.ts";

const folder = temporaryFolder();
const { pageSize, allocationGranularity } = systemInfo();
const SIZE = 4 * 1024 * 1024;
const PAGE_COUNT = SIZE / pageSize;
let fileCount = 0;
function newFile(size = SIZE): string {
  const path = join(folder, `file-${fileCount++}`);
  writeFileSync(path, new Uint8Array(size).fill(7));
  return path;
}

/** Waits until a condition holds; what the system does in its own time is not to be had at once. */
async function until(condition: () => boolean): Promise<boolean> {
  for (let i = 0; i < 500; i++) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

/** What Linux knows of the mapping that a view lies in. */
function kernelSays(view: View): string {
  const head = view.base.address.toString(16);
  const maps = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return maps.find((entry) => entry.startsWith(`${head}-`)) ?? "";
}
function flagsOf(view: View): string[] {
  return /^VmFlags: (.*)$/m.exec(kernelSays(view))?.[1].trim().split(" ") ?? [];
}
function residentKiB(view: View): number {
  return Number(/^Rss:\s+(\d+)/m.exec(kernelSays(view))?.[1]);
}

test("the system's page size and allocation granularity are powers of two", () => {
  for (const size of [pageSize, allocationGranularity]) expect(Math.log2(size) % 1).toBe(0);
  expect(pageSize).toBeGreaterThanOrEqual(4096);
  if (isWindows) expect(allocationGranularity).toBe(65_536);
  else expect(allocationGranularity).toBe(pageSize);
});

// Windows tells of this process only, and keeps what was unmapped; there the next test stands alone.
test.runIf(isLinux)("discard drops pages from memory, resident counts them, prefetch brings them back", async () => {
  const mapping = createMapping({ path: newFile() });
  const view = mapping.view();
  view.bytes[0] = 99;
  expect(view.resident()).toEqual({ pageCount: PAGE_COUNT, residentCount: PAGE_COUNT });
  view.discard();
  const dropped = view.resident();
  expect(dropped.pageCount).toBe(PAGE_COUNT);
  expect(dropped.residentCount).toBeLessThan(PAGE_COUNT / 10);
  // Half of it.
  const half = { offset: SIZE / 2, length: SIZE / 2 };
  // It is advice: a busy disk may not take it.
  const prefetched = (): boolean => {
    view.prefetch(half);
    return view.resident(half).residentCount === PAGE_COUNT / 2;
  };
  expect(await until(prefetched)).toBe(true);
  expect(view.resident({ length: SIZE / 2 }).residentCount).toBeLessThan(PAGE_COUNT / 10);
  // Discarding a page that is half named: whole memory pages are taken.
  view.discard({ offset: SIZE / 2 + 1, length: 1 });
  expect(view.resident({ offset: SIZE / 2, length: 1 })).toEqual({ pageCount: 1, residentCount: 0 });
  // Nothing is lost.
  expect([view.bytes[0], view.bytes[1], view.bytes[SIZE - 1]]).toEqual([99, 7, 7]);
  view.close();
  mapping.close();
});

test("touching pages makes them resident", () => {
  const mapping = createMapping({ size: SIZE });
  const view = mapping.view();
  expect(view.resident()).toEqual({ pageCount: PAGE_COUNT, residentCount: 0 });
  for (let page = 0; page < 10; page++) view.bytes[2 * page * pageSize] = 1;
  const { residentCount } = view.resident();
  // Linux may be set up to give memory in larger pieces.
  expect(residentCount).toBeGreaterThanOrEqual(10);
  expect(view.resident({ offset: 0, length: 1 })).toEqual({ pageCount: 1, residentCount: 1 });
  expect(view.resident({ offset: 1, length: pageSize })).toMatchObject({ pageCount: 2 });
  expect(view.resident({ length: 0 })).toEqual({ pageCount: 0, residentCount: 0 });
  view.close();
  mapping.close();
});

test.runIf(isLinux)("advise sequential and random are with the kernel, and normal takes them back", () => {
  const mapping = createMapping({ path: newFile() });
  const view = mapping.view();
  expect(flagsOf(view)).toContain("rd");
  for (const [advice, flag] of [
    ["sequential", "sr"],
    ["random", "rr"],
  ] as const) {
    expect(flagsOf(view)).not.toContain(flag);
    view.advise(advice);
    expect(flagsOf(view)).toContain(flag);
    view.advise("normal");
    expect(flagsOf(view)).not.toContain(flag);
  }
  view.close();
  mapping.close();
});

test.runIf(isLinux)("advise dontneed takes pages out of this process, and loses nothing", () => {
  const mapping = createMapping({ path: newFile() });
  const memory = createMapping({ size: SIZE });
  for (const view of [mapping.view(), memory.view(), mapping.view({ access: "read" })]) {
    if (view.access === "write") view.bytes.fill(3);
    else expect(view.bytes.reduce((sum, byte) => sum + byte, 0)).toBe(3 * SIZE);
    expect(residentKiB(view)).toBeGreaterThan(SIZE / 1024 / 2);
    view.advise("dontneed");
    expect(residentKiB(view)).toBeLessThan(SIZE / 1024 / 10);
    expect(view.bytes[SIZE - 1]).toBe(3);
    view.close();
  }
  mapping.close();
  memory.close();
});

test.runIf(isLinux)("advise willneed is prefetch", async () => {
  const mapping = createMapping({ path: newFile() });
  const view = mapping.view();
  view.discard();
  expect(view.resident().residentCount).toBeLessThan(PAGE_COUNT / 10);
  view.advise("willneed");
  expect(await until(() => view.resident().residentCount === PAGE_COUNT)).toBe(true);
  view.close();
  mapping.close();
});

test("all advice is taken on every kind of view, and what is no advice is refused", () => {
  const mapping = createMapping({ path: newFile(100_000) });
  const memory = createMapping({ size: 100_000 });
  for (const view of [
    mapping.view({ offset: 3 }),
    mapping.view({ access: "read", offset: 3 }),
    mapping.view({ access: "copy", offset: 3 }),
    memory.view({ offset: 3 }),
  ]) {
    const first = view.bytes[0];
    for (const advice of ["sequential", "random", "normal", "willneed", "dontneed"] as const) {
      view.advise(advice);
      view.advise(advice, { offset: 5_000, length: 10 });
    }
    view.prefetch({ offset: 99_000, length: 1 });
    view.discard();
    expect(view.bytes[0]).toBe(first);
    expect(codeOf(() => view.advise("often" as "random"))).toBe("OPTION");
    expect(codeOf(() => view.advise("discard" as "random"))).toBe("OPTION");
    view.check();
    view.close();
  }
  mapping.close();
  memory.close();
});

test("a file grows while another process has it mapped; both go on, and new mappings reach the new end", async () => {
  const path = newFile(5_000);
  const other = await startOther();
  await other.ask("create", { path });
  expect(await other.ask("view")).toBe(5_000);
  for (let size = 100_000; size <= 500_000; size += 100_000) {
    const grown = createMapping({ path, size });
    expect(statSync(path).size).toBe(size);
    const end = grown.view({ offset: size - 1 });
    end.bytes[0] = size / 100_000;
    const start = grown.view({ length: 100 });
    await other.ask("store", { at: 1, bytes: [size / 100_000] });
    expect(start.bytes[1]).toBe(size / 100_000);
    // The other one's mapping is as long as it was; a new one of its own reaches further.
    expect(await other.ask("create", { as: "grown", path })).toMatchObject({ size });
    await other.ask("view", { of: "grown", as: "end", offset: size - 1 });
    expect(await other.ask("load", { of: "end" })).toEqual([size / 100_000]);
    for (const each of [end, start, grown]) each.close();
  }
});
