/** Point 4: views. What they may be, where they lie, how long they live, and what many of them cost. */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createMapping, type Protection, systemInfo, VIEW_SIZE_MAX, type View, type ViewAccess } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, isLinux, isWindows, run, sparseFile } from "./others.ts";

const folder = temporaryFolder();
let fileCount = 0;
function newPath(): string {
  return join(folder, `file-${fileCount++}`);
}

/** A file whose 32-bit words count up. */
function countingFile(size: number): string {
  const path = newPath();
  writeFileSync(path, new Uint8Array(Uint32Array.from({ length: size / 4 }, (_, i) => i).buffer));
  return path;
}

const TABLE: readonly [Protection, ViewAccess, boolean][] = [
  ["readonly", "read", true],
  ["readonly", "write", false],
  ["readonly", "copy", true],
  ["readwrite", "read", true],
  ["readwrite", "write", true],
  ["readwrite", "copy", true],
  ["writecopy", "read", true],
  ["writecopy", "write", false],
  ["writecopy", "copy", true],
];

test.each(TABLE)("Windows' table: protection %s, access %s, allowed: %s", (protection, access, allowed) => {
  const path = countingFile(4096);
  const before = readFileSync(path);
  const mapping = createMapping({ path, protection });
  if (allowed) {
    const view = mapping.view({ access });
    expect(view.access).toBe(access);
    expect(view.dataView.getUint32(400, true)).toBe(100);
    if (access !== "read") {
      view.bytes[0] = 200;
      expect(view.bytes[0]).toBe(200);
    }
    view.close();
    expect(readFileSync(path)[0]).toBe(access === "write" ? 200 : 0);
  } else {
    expect(codeOf(() => mapping.view({ access }))).toBe("ACCESS");
    expect(readFileSync(path).equals(before)).toBe(true);
  }
  mapping.close();
});

test("without an access a view has the most its protection allows", () => {
  const path = countingFile(4096);
  for (const [protection, access] of [
    ["readonly", "read"],
    ["readwrite", "write"],
    ["writecopy", "copy"],
  ] as const) {
    const mapping = createMapping({ path, protection });
    const view = mapping.view();
    expect(view.access).toBe(access);
    view.close();
    mapping.close();
  }
  const mapping = createMapping({ path });
  expect(codeOf(() => mapping.view({ access: "execute" as "read" }))).toBe("OPTION");
  mapping.close();
});

test("any offset will do; where the view really lies is to be seen", () => {
  const { allocationGranularity, pageSize } = systemInfo();
  expect(allocationGranularity % pageSize).toBe(0);
  const mapping = createMapping({ path: countingFile(300_000) });
  for (const offset of [0, 1, 4, 4095, 4096, 65_535, 65_536, 65_540, 131_073, 299_996]) {
    const view = mapping.view({ offset, length: Math.min(10, 300_000 - offset) });
    const aligned = offset - (offset % allocationGranularity);
    expect(view).toMatchObject({ offset, offsetExact: BigInt(offset), length: view.bytes.length });
    expect(view.base).toMatchObject({ offset: aligned, length: view.length + offset - aligned });
    expect(view.address - view.base.address).toBe(BigInt(offset - aligned));
    expect(view.base.address % BigInt(allocationGranularity)).toBe(0n);
    expect(view.bytes[0]).toBe((Math.floor(offset / 4) >>> (8 * (offset % 4))) & 0xff);
    expect(view.bytes.byteOffset).toBe(0);
    view.close();
  }
  mapping.close();
});

test("length 0 is to the end of the mapping; what is not inside it is refused", () => {
  const mapping = createMapping({ path: countingFile(8192), size: 8000 });
  const view = mapping.view({ offset: 7990 });
  expect(view.length).toBe(10);
  view.close();
  for (const range of [
    { offset: 8000 },
    { offset: 8001 },
    { offset: 7999, length: 2 },
    { length: 8001 },
    { offset: 2n ** 62n },
  ]) {
    expect(codeOf(() => mapping.view(range))).toBe("RANGE");
  }
  for (const range of [{ offset: -1 }, { offset: 0.5 }, { length: -1 }, { length: Number.NaN }, { length: 2 ** 53 }]) {
    expect(codeOf(() => mapping.view(range))).toBe("OPTION");
  }
  mapping.close();
});

/** 16 GiB: further than what lies around a view. Windows maps from the bottom up, others from the top down. */
const FAR = isWindows ? 2n ** 34n : -(2n ** 34n);

test("a wanted base address is had exactly, or is an error, and nothing that is there is harmed", () => {
  const { allocationGranularity } = systemInfo();
  const mapping = createMapping({ path: countingFile(1_000_000) });
  // An address that is free, far from what there is. Not one that a view has had: it may stay taken for a while.
  const probe = mapping.view();
  const address = probe.base.address + FAR;
  probe.close();
  const view = mapping.view({ offset: 4, length: 100, baseAddress: address });
  expect(view.base.address).toBe(address);
  expect(view.address).toBe(address + 4n);
  expect(view.dataView.getUint32(0, true)).toBe(1);
  view.bytes[0] = 77;
  expect(codeOf(() => mapping.view({ baseAddress: address }))).toBe("ADDRESS_TAKEN");
  expect(codeOf(() => mapping.view({ access: "copy", baseAddress: address }))).toBe("ADDRESS_TAKEN");
  expect(view.bytes[0]).toBe(77);
  expect(codeOf(() => mapping.view({ baseAddress: address + 1n }))).toBe("OPTION");
  expect(codeOf(() => mapping.view({ baseAddress: Number(address) as unknown as bigint }))).toBe("OPTION");
  // Where the system maps nothing.
  for (const nowhere of [2n ** 63n, 2n ** 64n - 2n ** 20n]) {
    expect(codeOf(() => mapping.view({ baseAddress: nowhere }))).toBe("ADDRESS_TAKEN");
  }
  const beside = address - BigInt(allocationGranularity);
  const another = mapping.view({ baseAddress: beside, length: BigInt(allocationGranularity) });
  expect(another.address).toBe(beside);
  another.close();
  view.close();
  mapping.close();
});

test("views that overlap, and twice the same range, are coherent, each at its own address", () => {
  const mapping = createMapping({ path: countingFile(500_000) });
  const views = [0, 0, 0, 1, 1, 70_000, 70_000].map((offset) => mapping.view({ offset, length: 100_000 }));
  views.push(mapping.view({ access: "read" }));
  expect(new Set(views.map(({ address }) => address)).size).toBe(views.length);
  for (const [i, writer] of views.entries()) {
    if (writer.access === "read") continue;
    writer.bytes[75_000 - writer.offset] = 100 + i;
    for (const reader of views) expect(reader.bytes[75_000 - reader.offset]).toBe(100 + i);
  }
  for (const view of views) view.close();
  mapping.close();
});

test("closing detaches: DataView throws TypeError, bytes are empty, the view's methods throw CLOSED; twice is fine", () => {
  const mapping = createMapping({ path: countingFile(4096) });
  const view = mapping.view();
  const { bytes, dataView } = view;
  expect(view.isOpen).toBe(true);
  view.close();
  view.close();
  expect(view.isOpen).toBe(false);
  expect(() => dataView.getUint8(0)).toThrow(TypeError);
  expect(() => dataView.setUint8(0, 1)).toThrow(TypeError);
  expect(bytes.length).toBe(0);
  expect(bytes[0]).toBeUndefined();
  for (const call of ["check", "flush", "prefetch", "resident", "discard"] as const) {
    expect(
      codeOf(() => view[call]()),
      call,
    ).toBe("CLOSED");
  }
  expect(codeOf(() => view.advise("random"))).toBe("CLOSED");
  mapping.close();
  mapping.close();
  expect(codeOf(() => mapping.view())).toBe("CLOSED");
  expect(codeOf(() => mapping.check())).toBe("CLOSED");
});

test("Symbol.dispose closes mapping and view", () => {
  const mapping = createMapping({ path: countingFile(4096) });
  const view = mapping.view();
  view[Symbol.dispose]();
  mapping[Symbol.dispose]();
  expect([view.isOpen, mapping.isOpen]).toEqual([false, false]);
});

test("a read view can't be damaged: a stray store never reaches the file, and the process lives", () => {
  const path = countingFile(200_000);
  const before = readFileSync(path);
  const mapping = createMapping({ path });
  const view = mapping.view({ access: "read", offset: 4 });
  const other = mapping.view({ access: "read", offset: 4 });
  view.bytes.fill(0xee);
  view.dataView.setFloat64(100_000, 1);
  new Int32Array(view.bytes.buffer, 0, 100).fill(7);
  expect(other.dataView.getUint32(0, true)).toBe(1);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(codeOf(() => view.check())).toBe("READ_ONLY");
  other.check();
  view.close();
  other.close();
  mapping.close();
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("over 1 GiB a view is refused, at 1 GiB it is not", () => {
  const mapping = createMapping({ path: sparseFile(newPath(), 2 ** 32) });
  expect(VIEW_SIZE_MAX).toBe(2 ** 30);
  expect(codeOf(() => mapping.view())).toBe("VIEW_SIZE");
  expect(codeOf(() => mapping.view({ length: 2 ** 30 + 1 }))).toBe("VIEW_SIZE");
  const view = mapping.view({ offset: 2 ** 31 + 1, length: 2 ** 30 });
  expect(view.length).toBe(2 ** 30);
  view.bytes[2 ** 30 - 1] = 1;
  view.close();
  mapping.close();
});

test("a file of 6 GiB is walked piece by piece", () => {
  const size = 6 * 2 ** 30 + 12_345;
  const path = sparseFile(newPath(), size);
  const marks = [0, 5, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 5 * 2 ** 30 + 99, size - 1];
  const descriptor = openSync(path, "r+");
  for (const [i, at] of marks.entries()) writeSync(descriptor, Buffer.from([i + 1]), 0, 1, at);
  const mapping = createMapping({ path });
  let end = 0;
  let pieceCount = 0;
  const found: number[] = [];
  let last: View | undefined;
  for (const piece of mapping.views()) {
    expect(piece.offset).toBe(end);
    if (last !== undefined) expect(last.isOpen).toBe(false);
    for (const at of marks) {
      if (at >= piece.offset && at < piece.offset + piece.length) found.push(piece.bytes[at - piece.offset]);
    }
    if (piece.offset <= 2 ** 32 && 2 ** 32 < piece.offset + piece.length) piece.bytes[2 ** 32 - piece.offset] = 250;
    end += piece.length;
    pieceCount++;
    last = piece;
  }
  expect({ end, pieceCount, found }).toEqual({ end: size, pieceCount: 97, found: marks.map((_, i) => i + 1) });
  expect(last?.isOpen).toBe(false);
  const stored = Buffer.alloc(1);
  readSync(descriptor, stored, 0, 1, 2 ** 32);
  expect(stored[0]).toBe(250);
  closeSync(descriptor);
  // A part, in pieces that fit no boundary; leaving early closes the piece.
  const part = [...mapping.views({ offset: 2 ** 32 - 10, length: 25, pieceSize: 10, access: "read" })];
  expect(part.map(({ offset, length }) => [offset, length])).toEqual([
    [2 ** 32 - 10, 10],
    [2 ** 32, 10],
    [2 ** 32 + 10, 5],
  ]);
  for (const piece of mapping.views({ pieceSize: 1000 })) {
    last = piece;
    break;
  }
  expect(last?.isOpen).toBe(false);
  expect(codeOf(() => [...mapping.views({ pieceSize: 2 ** 30 + 1 })])).toBe("OPTION");
  mapping.close();
});

// Finalizers run between turns of the event loop; within one turn views can't be released.
test("a program that forgets its views never meets the system's limit of mappings", async () => {
  const { made, most } = await run<{ made: number; most: number }>("forgetful.mjs", [sparseFile(newPath(), 2 ** 20)]);
  expect(made).toBe(isWindows ? 40_000 : 120_000);
  // Linux allows 65,530.
  if (isLinux) expect(most).toBeLessThan(50_000);
});

test.runIf(isLinux).each(["held", "forgotten in one turn"])(
  "views that are %s, without end, are refused before the process has no mapping left",
  async (what) => {
    const { made, code, message } = await run<{ made: number; code: string; message: string }>("too-many.mjs", [what]);
    expect(code).toBe("LIMIT");
    expect(message).toMatch(/too many views/);
    const allowed = Number(readFileSync("/proc/sys/vm/max_map_count", "latin1"));
    expect(made).toBeGreaterThan(allowed * 0.7);
    expect(made).toBeLessThan(allowed * 0.8);
  },
);

test.runIf(isLinux)("views that are closed are never too many, in one turn either", async () => {
  expect(await run("too-many.mjs", ["closed"])).toEqual({ made: 200_000 });
});

test("a sparse file of 64 GiB: 1,000 views of 64 KiB cost less than a second of CPU and 50 MiB of memory", async () => {
  // Where there are no holes in files, a disk would have to hold all of it.
  const path = sparseFile(newPath(), (isWindows ? 1 : 64) * 2 ** 30);
  const seed = Date.now() % 2 ** 32;
  const cost = await run<{ size: number; sum: number; cpuMs: number; rssMoreMiB: number }>("many-views.mjs", [
    path,
    `${seed}`,
  ]);
  expect(cost.size).toBe((isWindows ? 1 : 64) * 2 ** 30);
  expect(cost.sum).toBe(0);
  expect(cost.cpuMs, `seed ${seed}`).toBeLessThan(1000);
  expect(cost.rssMoreMiB, `seed ${seed}`).toBeLessThan(50);
});

test("100,000 rounds and 10,000 forgotten views leave no mapping and no descriptor behind", async () => {
  const path = sparseFile(newPath(), 2 ** 20);
  type Count = { mappings: number; descriptors: number };
  const found = await run<{
    before: Count;
    afterRounds: Count;
    most: number;
    afterForgotten: Count;
    kept: { value: number; mappings: number };
    after: Count;
  }>("rounds.mjs", [path, "100000", "10000"]);
  expect(found.kept.value).toBe(33);
  // Elsewhere the process has only lived through it.
  if (!isLinux) return;
  expect(found.before.mappings).toBe(0);
  expect(found.afterRounds.mappings).toBe(0);
  // The collector has something to do: views were left to it, though it may have come in between.
  expect(found.most).toBeGreaterThan(100);
  expect(found.afterForgotten.mappings).toBe(0);
  expect(found.kept.mappings).toBe(1);
  expect(found.after.mappings).toBe(0);
  expect(found.after.descriptors).toBeLessThanOrEqual(found.before.descriptors);
});
