/** Point 1: the mapping object, over files, new files, temporary files and memory. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMapping, systemInfo } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, isWindows, sparseFile, startOther } from "./others.ts";

const folder = temporaryFolder();
let fileCount = 0;
function newPath(): string {
  return join(folder, `file-${fileCount++}`);
}
function fileOf(content: string | Uint8Array): string {
  const path = newPath();
  writeFileSync(path, content);
  return path;
}

test("over a file: size 0 is the file's own size, and what is stored is in the file", () => {
  const path = fileOf("hello");
  const mapping = createMapping({ path });
  expect(mapping).toMatchObject({
    backing: "file",
    protection: "readwrite",
    size: 5,
    sizeExact: 5n,
    path,
    existed: false,
  });
  expect(mapping.name).toBeUndefined();
  const view = mapping.view();
  expect(Buffer.from(view.bytes).toString()).toBe("hello");
  view.bytes[0] = "j".charCodeAt(0);
  view.close();
  mapping.close();
  expect(readFileSync(path, "utf8")).toBe("jello");
});

test("a greater size grows the file with zeros, a smaller one maps its beginning, and neither shortens it", () => {
  const path = fileOf("hello");
  const grown = createMapping({ path, size: 300_000 });
  expect(grown.size).toBe(300_000);
  expect(statSync(path).size).toBe(300_000);
  const rest = grown.view({ offset: 5 });
  expect(rest.bytes.every((byte) => byte === 0)).toBe(true);
  rest.close();
  grown.close();
  const part = createMapping({ path, size: 3 });
  expect(part.size).toBe(3);
  expect(codeOf(() => part.view({ length: 4 }))).toBe("RANGE");
  part.close();
  expect(statSync(path).size).toBe(300_000);
});

test("of a new file: it is created, must not have been there, or may have been", () => {
  const path = newPath();
  expect(codeOf(() => createMapping({ path }))).toBe("NOT_FOUND");
  expect(codeOf(() => createMapping({ path, disposition: "create" }))).toBe("OPTION");
  expect(existsSync(path)).toBe(false);
  createMapping({ path, disposition: "create", size: 10 }).close();
  expect(statSync(path).size).toBe(10);
  expect(codeOf(() => createMapping({ path, disposition: "create", size: 10 }))).toBe("EXISTS");
  const either = createMapping({ path, disposition: "openOrCreate" });
  expect(either.size).toBe(10);
  either.close();
  const other = newPath();
  createMapping({ path: other, disposition: "openOrCreate", size: 7 }).close();
  expect(statSync(other).size).toBe(7);
});

test("a temporary file is found by nobody, and gone at the end", () => {
  const before = readdirSync(folder);
  const mapping = createMapping({ temporary: folder, size: 100_000 });
  expect(mapping).toMatchObject({ backing: "temporary", size: 100_000 });
  expect(mapping.path).toBeUndefined();
  const one = mapping.view();
  const two = mapping.view({ offset: 50_000 });
  one.bytes[50_001] = 9;
  expect(two.bytes[1]).toBe(9);
  one.flush({}, { durable: true });
  // Windows keeps a name for as long as the file is open, but nobody else may open it.
  if (!isWindows) expect(readdirSync(folder)).toEqual(before);
  for (const each of [one, two, mapping]) each.close();
  expect(readdirSync(folder)).toEqual(before);
  const elsewhere = createMapping({ temporary: true, size: 1 });
  expect(elsewhere.size).toBe(1);
  elsewhere.close();
});

test("memory without a file needs a size, which is rounded up to the memory page, and begins with zeros", () => {
  expect(codeOf(() => createMapping({}))).toBe("OPTION");
  expect(codeOf(() => createMapping({ size: 0 }))).toBe("OPTION");
  const mapping = createMapping({ size: 1 });
  expect(mapping).toMatchObject({ backing: "memory", size: systemInfo().pageSize });
  expect(mapping.path).toBeUndefined();
  const view = mapping.view();
  expect(view.bytes.every((byte) => byte === 0)).toBe(true);
  view.close();
  mapping.close();
});

test("an empty file with size 0 is an error, and stays empty", () => {
  const path = fileOf("");
  for (const protection of ["readonly", "readwrite", "writecopy"] as const) {
    expect(codeOf(() => createMapping({ path, protection }))).toBe("EMPTY_FILE");
  }
  expect(statSync(path).size).toBe(0);
});

test("only readwrite makes a file longer", () => {
  const path = fileOf("abc");
  expect(codeOf(() => createMapping({ path, protection: "readonly", size: 4 }))).toBe("NOT_GROWABLE");
  expect(codeOf(() => createMapping({ path, protection: "writecopy", size: 4 }))).toBe("NOT_GROWABLE");
  expect(statSync(path).size).toBe(3);
  for (const protection of ["readonly", "writecopy"] as const) {
    const mapping = createMapping({ path, protection });
    expect(mapping).toMatchObject({ protection, size: 3 });
    mapping.close();
  }
});

test("a creation that fails leaves no new file, and a file that was there as long as it was", () => {
  // Longer than files of any system in use can be; a file system that can has no room for the end's block.
  const tooLong = 2n ** 63n - 1n;
  for (const disposition of ["create", "openOrCreate"] as const) {
    for (const [code, options] of [
      ["NOT_GROWABLE", { protection: "readonly", size: 10 }],
      ["NOT_GROWABLE", { protection: "writecopy", size: 10 }],
      ["DISK_FULL", { size: tooLong }],
      [disposition === "create" ? "OPTION" : "EMPTY_FILE", { size: 0 }],
      [disposition === "create" ? "OPTION" : "EMPTY_FILE", { size: 0, protection: "readonly" }],
    ] as const) {
      const path = newPath();
      const failed = codeOf(() => createMapping({ path, disposition, ...options }));
      expect([disposition, options, failed, existsSync(path)]).toEqual([disposition, options, code, false]);
    }
  }
  const path = fileOf("there before");
  expect(codeOf(() => createMapping({ path, size: tooLong }))).toBe("DISK_FULL");
  expect(codeOf(() => createMapping({ path, disposition: "openOrCreate", size: tooLong }))).toBe("DISK_FULL");
  expect(readFileSync(path, "utf8")).toBe("there before");
  const empty = fileOf("");
  expect(codeOf(() => createMapping({ path: empty, disposition: "openOrCreate" }))).toBe("EMPTY_FILE");
  expect(existsSync(empty)).toBe(true);
});

test("what is no regular file can't be mapped", () => {
  // Windows can't open a folder as a file at all.
  expect(["NOT_A_FILE", "NO_PERMISSION"]).toContain(
    codeOf(() => createMapping({ path: folder, protection: "readonly" })),
  );
});

test("a file of 1 TiB that takes no room: its last bytes", () => {
  const size = 2 ** 40 + 17;
  // NTFS, and what Wine makes of other file systems, need not know files with holes of this size.
  const path = isWindows ? sparseFile(newPath(), 2 ** 33 + 17) : sparseFile(newPath(), size);
  const mapping = createMapping({ path });
  expect(mapping.size).toBe(isWindows ? 2 ** 33 + 17 : size);
  const view = mapping.view({ offset: mapping.size - 3 });
  expect(view.length).toBe(3);
  view.bytes[2] = 1;
  expect(view.dataView.getUint8(2)).toBe(1);
  view.close();
  mapping.close();
});

test("sizes up to 2^63 - 1 are taken as bigints, and others are refused", () => {
  const page = BigInt(systemInfo().pageSize);
  const size = 2n ** 62n;
  if (isWindows) {
    // The page file has to have room for all of it.
    expect(["LIMIT", "DISK_FULL", "IO", "OPTION"]).toContain(codeOf(() => createMapping({ size })));
  } else {
    const mapping = createMapping({ size });
    expect(mapping.sizeExact).toBe(size);
    const view = mapping.view({ offset: size - page - 1n });
    expect(view).toMatchObject({ length: Number(page) + 1, offsetExact: size - page - 1n });
    view.bytes[0] = 5;
    const again = mapping.view({ offset: size - page - 1n, length: 1n, access: "read" });
    expect(again.bytes[0]).toBe(5);
    for (const each of [view, again, mapping]) each.close();
  }
  for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53, -1n, 2n ** 63n, "5", null]) {
    expect(codeOf(() => createMapping({ size: wrong as number }))).toBe("OPTION");
  }
});

test("processes that make one file longer at the same time never make it shorter", async () => {
  const path = fileOf("x");
  const others = await Promise.all([startOther(), startOther()]);
  const rounds = isWindows ? 500 : 20_000;
  await Promise.all(others.map((other, i) => other.ask("growTogether", { path, from: 10 + 2 * i, step: 4, rounds })));
  expect(statSync(path).size).toBe(12 + 4 * (rounds - 1));
  createMapping({ path, size: 5 }).close();
  expect(statSync(path).size).toBe(12 + 4 * (rounds - 1));
});

test("options that contradict each other are refused before anything is made", () => {
  const path = newPath();
  expect(codeOf(() => createMapping({ path, temporary: true, size: 1 }))).toBe("OPTION");
  expect(codeOf(() => createMapping({ temporary: true, name: "x", size: 1 }))).toBe("OPTION");
  expect(codeOf(() => createMapping({ path, size: 1, disposition: "create", protection: "none" as "readonly" }))).toBe(
    "OPTION",
  );
  expect(codeOf(() => createMapping({ path, size: 1, disposition: "create", mode: -1 }))).toBe("OPTION");
  expect(codeOf(() => createMapping({ path: "a\0b" }))).toBe("OPTION");
  expect(existsSync(path)).toBe(false);
});
