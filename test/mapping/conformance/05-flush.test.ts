/** Point 5: flushing a range or the whole view, at once or off the thread, with the device or without. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createMapping, systemInfo } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, codeOfAsync, isLinux, startOther } from "./others.ts";

const folder = temporaryFolder();
let fileCount = 0;
function newFile(size: number): string {
  const path = join(folder, `file-${fileCount++}`);
  writeFileSync(path, new Uint8Array(size));
  return path;
}

test("a flush of the whole view or of a range, with the device or without, leaves the bytes in the file", async () => {
  const path = newFile(300_000);
  const mapping = createMapping({ path });
  const view = mapping.view({ offset: 10, length: 200_000 });
  const stores: [at: number, flush: () => void | Promise<void>][] = [
    [0, () => view.flush()],
    [5, () => view.flush({ offset: 5, length: 1 })],
    [70_001, () => view.flush({ offset: 70_000 }, { durable: true })],
    [70_002, () => view.flush({}, { durable: true })],
    [100_000, () => view.flushAsync()],
    [199_999, () => view.flushAsync({ offset: 199_999, length: 1 }, { durable: true })],
    [199_998, () => view.flush({ offset: 200_000, length: 0 })],
  ];
  for (const [i, [at, flush]] of stores.entries()) {
    view.bytes[at] = i + 1;
    await flush();
    expect(readFileSync(path)[10 + at]).toBe(i + 1);
  }
  view.close();
  mapping.close();
});

test("bounds are checked before anything is flushed", async () => {
  const mapping = createMapping({ path: newFile(10_000) });
  const view = mapping.view({ length: 5_000 });
  for (const range of [
    { offset: 5_001 },
    { offset: 4_999, length: 2 },
    { offset: -1 },
    { offset: 0.5 },
    { length: 5_001 },
    { length: -1 },
    { length: Number.NaN },
  ]) {
    expect(codeOf(() => view.flush(range))).toBe("RANGE");
    expect(await codeOfAsync(view.flushAsync(range))).toBe("RANGE");
    expect(codeOf(() => view.prefetch(range))).toBe("RANGE");
    expect(codeOf(() => view.discard(range))).toBe("RANGE");
    expect(codeOf(() => view.resident(range))).toBe("RANGE");
  }
  expect(codeOf(() => view.flush({}, { durable: "yes" as unknown as boolean }))).toBe("OPTION");
  view.close();
  mapping.close();
});

test("on read and copy views and on memory a flush does nothing; what can't be durable is refused", async () => {
  const path = newFile(5_000);
  const file = createMapping({ path });
  const memory = createMapping({ size: 5_000 });
  const copy = file.view({ access: "copy" });
  copy.bytes[0] = 9;
  for (const view of [file.view({ access: "read" }), copy, memory.view(), memory.view({ access: "copy" })]) {
    view.flush();
    view.flush({ offset: 100, length: 10 });
    await view.flushAsync();
    expect(codeOf(() => view.flush({}, { durable: true }))).toBe("NOT_DURABLE");
    expect(await codeOfAsync(view.flushAsync({}, { durable: true }))).toBe("NOT_DURABLE");
    view.close();
  }
  expect(readFileSync(path)[0]).toBe(0);
  file.close();
  memory.close();
});

test("an asynchronous flush goes on when the view is closed meanwhile, and so does everything else", async () => {
  const path = newFile(2_000_000);
  const mapping = createMapping({ path });
  const view = mapping.view();
  view.bytes.fill(5);
  const flushed = view.flushAsync({}, { durable: true });
  let turns = 0;
  const turning = setImmediate(() => turns++);
  view.close();
  mapping.close();
  await flushed;
  clearImmediate(turning);
  expect(readFileSync(path).every((byte) => byte === 5)).toBe(true);
  expect(await codeOfAsync(view.flushAsync())).toBe("CLOSED");
});

test("another process sees what was stored, flushed or not", async () => {
  const path = newFile(4096);
  const mapping = createMapping({ path });
  const view = mapping.view();
  const other = await startOther();
  await other.ask("create", { path });
  await other.ask("view");
  view.bytes[1] = 21;
  expect(await other.ask("load", { at: 1 })).toEqual([21]);
  await other.ask("store", { at: 2, bytes: [22] });
  await other.ask("flush", { durable: true });
  expect(view.bytes[2]).toBe(22);
  view.close();
  mapping.close();
});

function hasStrace(): boolean {
  if (!isLinux) return false;
  try {
    execFileSync("strace", ["-o", "/dev/null", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

// The system's own record of which call was made for which range.
test.runIf(hasStrace() && systemInfo().pageSize === 4096)(
  "durable waits for the device for just that range, and without it writing only begins",
  () => {
    const path = newFile(100_000);
    const log = join(folder, "strace");
    const script = fileURLToPath(new URL("./children/flushes.mjs", import.meta.url));
    execFileSync("strace", ["-f", "-o", log, "-e", "trace=msync,sync_file_range", process.execPath, script, path]);
    const calls = readFileSync(log, "utf8").match(/(msync|sync_file_range)\([^)]*\)\s+= 0/g) ?? [];
    expect(calls).toHaveLength(3);
    // Whole pages of 4 KiB: from the one of byte 9,000 to that of byte 12,387, and the same for the second.
    expect(calls[0]).toMatch(/^sync_file_range\(\d+, 8192, 8192, SYNC_FILE_RANGE_WRITE\)/);
    expect(calls[1]).toMatch(/^msync\(0x[0-9a-f]+000, 8192, MS_SYNC\)/);
    expect(calls[2]).toMatch(/^msync\(0x[0-9a-f]+000, 100000, MS_SYNC\)/);
  },
);
