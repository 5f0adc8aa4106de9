/**
 * Point 9: faults in views. Each scenario runs in a process of its own, which without the guard would die of a signal.
 * Windows lets nobody truncate a mapped file, and has no other of these faults but stray stores, which are taken there,
 * too, and I/O errors, against which it has nothing.
 */
import { execFileSync } from "node:child_process";
import { pbkdf2 } from "node:crypto";
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createMapping } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, isLinux, isWindows, run, sparseFile } from "./others.ts";

const deriveKey = promisify(pbkdf2);
const folder = temporaryFolder();
let fileCount = 0;
function newFile(size: number): string {
  const path = join(folder, `file-${fileCount++}`);
  writeFileSync(path, new Uint8Array(size).fill(7));
  return path;
}

interface Seen {
  readonly value: number;
  readonly viewCodes: readonly (string | undefined)[];
  readonly mappingCode: string | undefined;
  readonly mappingCodeAfter: string | undefined;
  readonly otherViewCode: string | undefined;
  readonly newValue: number | undefined;
}

test.runIf(!isWindows)(
  "a file truncated under a view reads as zeros, the next call says FAULT, the process lives",
  async () => {
    const seen = await run<Seen>("faults.mjs", ["truncated", newFile(100_000)]);
    expect(seen).toEqual({
      value: 0,
      // check, flush, flushAsync, resident, advise, discard: the view stays spoilt.
      viewCodes: ["FAULT", "FAULT", "FAULT", "FAULT", "FAULT", "FAULT"],
      // The mapping says it once.
      mappingCode: "FAULT",
      mappingCodeAfter: undefined,
      // Another view, of what is there still, is as it was.
      otherViewCode: undefined,
      newValue: 7,
    });
  },
);

test.runIf(!isWindows)(
  "a file truncated under a view is told of before anything is touched, until it is long again",
  async () => {
    const path = newFile(100_000);
    const mapping = createMapping({ path });
    const view = mapping.view({ offset: 50_000 });
    const inside = mapping.view({ length: 50_000 });
    truncateSync(path, 99_999);
    expect(() => view.check()).toThrow(/the file is shorter now/);
    const calls = [
      () => view.check(),
      () => view.flush(),
      () => view.resident(),
      () => view.advise("random"),
      () => view.discard(),
      () => mapping.view(),
      () => mapping.view({ offset: 99_999, length: 1, access: "read" }),
      () => [...mapping.views({ pieceSize: 60_000 })],
    ];
    expect(calls.map(codeOf)).toEqual(calls.map(() => "FAULT"));
    await expect(view.flushAsync()).rejects.toMatchObject({ code: "FAULT" });
    // What lies inside the file is as it was, and neither is the mapping spoilt.
    inside.check();
    mapping.check();
    mapping.view({ length: 99_999 }).close();
    truncateSync(path, 100_000);
    for (const call of calls) call();
    await view.flushAsync({}, { durable: true });
    expect([...view.bytes.subarray(-2)]).toEqual([7, 0]);
    for (const each of [view, inside, mapping]) each.close();
  },
);

test.runIf(!isWindows)("a file truncated while it is flushed: the flush says so", async () => {
  const path = newFile(100_000);
  using mapping = createMapping({ path });
  using view = mapping.view();
  // All threads of the pool are busy, so that the flush begins when the file is short already.
  const busy = Array.from({ length: 4 }, () => deriveKey("password", "salt", 200_000, 32, "sha512"));
  const flushed = view.flushAsync({}, { durable: true });
  truncateSync(path, 50_000);
  await expect(flushed).rejects.toMatchObject({ code: "FAULT" });
  await Promise.all(busy);
});

test("a store into a read view shows in that view only, the next call says READ_ONLY", async () => {
  const path = newFile(100_000);
  const before = readFileSync(path);
  const seen = await run<Seen>("faults.mjs", ["stray store", path]);
  expect(seen).toEqual({
    value: 99,
    viewCodes: Array(6).fill("READ_ONLY"),
    mappingCode: "READ_ONLY",
    mappingCodeAfter: undefined,
    otherViewCode: undefined,
    newValue: 7,
  });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("a store into a read view reaches no file, and the rest of the page is still right", () => {
  const path = newFile(50_000);
  const before = readFileSync(path);
  const mapping = createMapping({ path });
  const view = mapping.view({ access: "read", offset: 100 });
  for (let at = 0; at < view.length; at += 1000) view.bytes[at] = 1;
  expect(view.bytes.filter((byte) => byte === 7).length).toBe(view.length - Math.ceil(view.length / 1000));
  expect(readFileSync(path).equals(before)).toBe(true);
  view.close();
  mapping.close();
});

test("a store into a read view of memory without a file reaches nobody", () => {
  const mapping = createMapping({ size: 10_000 });
  const [reader, writer] = [mapping.view({ access: "read" }), mapping.view()];
  reader.bytes[5_000] = 1;
  expect(writer.bytes[5_000]).toBe(0);
  expect(codeOf(() => reader.flush())).toBe("READ_ONLY");
  writer.check();
  for (const each of [reader, writer, mapping]) each.close();
});

test.runIf(!isWindows)("optimised code, builtins, the pool and workers survive faults", async () => {
  const seen = await run<Record<string, unknown>>("faults.mjs", ["everywhere", newFile(4_000_000)]);
  expect(seen).toEqual({ sum: 0, indexOf: -1, hashed: true, worker: 0, code: "FAULT" });
});

// Linux allows 65,530 mappings, and a process without one more to have is ended by V8.
test.runIf(isLinux).each([
  ["stores into a read view", "scattered stores", "READ_ONLY"],
  ["loads from a truncated file", "scattered loads", "FAULT"],
])("more faults than there are mappings for single pages: %s", async (_what, scenario, code) => {
  const path = sparseFile(join(folder, `file-${fileCount++}`), 2 ** 30);
  expect(await run("faults.mjs", [scenario, path])).toEqual({ many: true, few: true, code });
  if (scenario === "scattered stores") expect(statSync(path)).toMatchObject({ size: 2 ** 30, blocks: 0 });
});

test.runIf(!isWindows)(
  "a commit of what is lost is never reported as done: the flush after a lost store fails",
  async () => {
    const seen = await run<Record<string, unknown>>("faults.mjs", ["lost store", newFile(100_000)]);
    expect(seen).toEqual({ flush: "FAULT", flushAsync: "FAULT", size: 4096 });
  },
);

/** A file system of 1 MiB, for those who may make one. */
function smallFileSystem(): { readonly path: string; readonly end: () => void } | undefined {
  if (!isLinux || process.getuid?.() !== 0) return undefined;
  const path = join(folder, "small");
  mkdirSync(path);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", path], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  return { path, end: () => execFileSync("umount", ["-l", path]) };
}

test.runIf(isLinux)(
  "a full disk under a hole: the store is lost, the next call says so, the process lives",
  async (context) => {
    const small = smallFileSystem();
    if (small === undefined) return context.skip("only root may mount a small file system");
    try {
      const path = join(small.path, "file");
      const seen = await run<Record<string, unknown>>("faults.mjs", ["full disk", path]);
      expect(seen).toEqual({ flush: "FAULT", mapping: "FAULT", size: 8 * 1024 * 1024 });
    } finally {
      small.end();
    }
  },
);

test.runIf(isWindows)("Windows lets nobody truncate a file that is mapped", () => {
  const path = newFile(100_000);
  const mapping = createMapping({ path });
  const view = mapping.view();
  expect(() => truncateSync(path, 10)).toThrow();
  expect(statSync(path).size).toBe(100_000);
  expect(view.bytes[99_999]).toBe(7);
  view.close();
  mapping.close();
});

test("an offset over a view of nothing but its own pages: a view ends where it says, whatever lies behind", () => {
  const path = newFile(10);
  const mapping = createMapping({ path });
  const view = mapping.view({ offset: 3 });
  expect(view.bytes.length).toBe(7);
  view.bytes[7] = 1;
  view.bytes[-1] = 1;
  expect(view.bytes[7]).toBeUndefined();
  expect(() => view.dataView.getUint8(7)).toThrow(RangeError);
  view.check();
  view.close();
  mapping.close();
  expect([...readFileSync(path)]).toEqual(Array(10).fill(7));
});
