/** What `open` refuses: none of it changes the file. */
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { open, type StoreOptions } from "../../src/index.ts";
import {
  META_CHANGES,
  META_CHECKSUM_KIND,
  META_FEATURES_COMPATIBLE,
  META_FEATURES_INCOMPATIBLE,
  META_FEATURES_READ_COMPATIBLE,
  META_FORMAT_MAJOR,
  META_FORMAT_MINOR,
  META_MAP_LEVEL,
  META_PAGE_TAIL,
  META_ZEROS,
} from "../../src/store/format/meta.ts";
import { compileC } from "../mapping/processes.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { bytesOf, closedStore, ENTRIES, errorOf, expectUnharmedFile, patchMetas } from "./store-file.ts";

const STRANGERS: readonly (readonly [string, Uint8Array])[] = [
  ["an empty file", new Uint8Array(0)],
  ["a text", Buffer.from("Dear reader,\n")],
  ["a long text", Buffer.from("Dear reader,\n".repeat(20_000))],
  ["zeros", new Uint8Array(200_000)],
  ["bytes without sense", Uint8Array.from({ length: 200_000 }, (_, i) => (i * 2_654_435_761) >>> 13)],
];

test.each(STRANGERS)("NOT_A_STORE: %s is not opened, and stays what it is", async (_name, content) => {
  const path = join(tempFolder(), "file");
  writeFileSync(path, content);
  for (const options of [{}, { create: false }, { readOnly: true }]) {
    await errorOf("NOT_A_STORE", () => open(path, options));
  }
  expect(Buffer.compare(bytesOf(path), content)).toBe(0);
  expect(readdirSync(dirname(path))).toEqual(["file"]);
});

test("NOT_A_FILE: directories, pipes and devices are not opened, and not waited for", async () => {
  const folder = tempFolder();
  const inside = join(folder, "inside");
  // Windows has no pipes among its files.
  if (ON_WINDOWS) mkdirSync(inside);
  else execFileSync("mkfifo", [inside]);
  for (const path of [folder, inside, ...(ON_WINDOWS ? ["NUL"] : ["/dev/null", "/dev/zero"])]) {
    for (const options of [{}, { readOnly: true }]) await errorOf("NOT_A_FILE", () => open(path, options));
  }
  expect(readdirSync(folder)).toEqual(["inside"]);
});

test("NOT_FOUND: no file where none may be created, and no folder to create it in", async () => {
  const folder = tempFolder();
  await errorOf("NOT_FOUND", () => open(join(folder, "store"), { create: false }));
  await errorOf("NOT_FOUND", () => open(join(folder, "store"), { readOnly: true }));
  await errorOf("NOT_FOUND", () => open(join(folder, "no folder", "store")));
  expect(readdirSync(folder)).toEqual([]);
});

const WRONG_OPTIONS: readonly object[] = [
  { pageSize: 5000 },
  { pageSize: 2048 },
  { pageSize: 131_072 },
  { pageSize: "4096" },
  { keyEncoding: "utf8" },
  { valueEncoding: "xml" },
  { valueEncoding: { name: "json", encode: () => 0, decode: () => 0 } },
  { valueEncoding: { name: "", encode: () => 0, decode: () => 0 } },
  { valueEncoding: { name: "half a codec" } },
  { timeout: -1 },
  { timeout: Number.NaN },
  { timeout: "1 s" },
  { mode: 0o1777 },
  { readOnly: 1 },
  { create: "yes" },
  { readOnly: true, create: true },
  { readonly: true },
];

test.each(WRONG_OPTIONS)("OPTION: %o is refused before anything is created", async (options) => {
  const folder = tempFolder();
  await errorOf("OPTION", () => open(join(folder, "store"), options as StoreOptions));
  expect(readdirSync(folder)).toEqual([]);
  const path = closedStore();
  await errorOf("OPTION", () => open(path, options as StoreOptions));
  expectUnharmedFile(path);
});

test("OPTION: paths and options of other types, and options a range does not have", async () => {
  for (const path of ["", "a\0b", 5, null, undefined]) await errorOf("OPTION", () => open(path as string));
  const path = closedStore();
  await errorOf("OPTION", () => open(path, null as unknown as StoreOptions));
  const store = open<number, string>(path);
  const ranges = [
    { from: 1 },
    { limit: -1 },
    { limit: 1.5 },
    { reverse: "yes" },
    { reverse: 1 },
    { gt: 1, gte: 1 },
    { lt: 1, lte: 1 },
    5,
  ];
  for (const range of ranges) {
    for (const read of [() => store.entries(range as object), () => store.count(range as object)]) {
      await errorOf("OPTION", read);
    }
  }
  store.closeSync();
  expectUnharmedFile(path);
});

test("ENCODING: naming another encoding than the store's, or none where it has a codec of its user's", async () => {
  const path = closedStore();
  await errorOf("ENCODING", () => open(path, { valueEncoding: "json" }));
  await errorOf("ENCODING", () => open(path, { keyEncoding: "string" }));
  expectUnharmedFile(path);
  const own = join(tempFolder(), "own");
  const codec = {
    name: "own",
    encode: (value: number) => new Uint8Array([value]),
    decode: (bytes: Uint8Array) => bytes[0],
  };
  const store = open<string, number>(own, { valueEncoding: codec });
  store.putSync("a", 7);
  store.closeSync();
  expect((await errorOf("ENCODING", () => open(own))).message).toContain("own");
  const again = open<string, number>(own, { valueEncoding: codec });
  expect(again.get("a")).toBe(7);
  again.closeSync();
});

const NEWER: readonly (readonly [string, (view: DataView) => void])[] = [
  ["a greater major version", (view) => view.setUint16(META_FORMAT_MAJOR, 2, true)],
  ["an incompatible feature", (view) => view.setUint32(META_FEATURES_INCOMPATIBLE, 0x80, true)],
  ["another kind of checksum", (view) => view.setUint8(META_CHECKSUM_KIND, 2)],
  ["bytes reserved in every page", (view) => view.setUint16(META_PAGE_TAIL, 8, true)],
  ["a page of changes", (view) => view.setUint32(META_CHANGES, 2, true)],
  ["a field where zeros are", (view) => view.setUint8(META_ZEROS + 100, 1)],
  ["a field in the gap after the map's level", (view) => view.setUint8(META_MAP_LEVEL + 1, 1)],
];

test.each(NEWER)("NEWER_FORMAT: a store with %s is refused, and stays as it is", async (_name, change) => {
  const path = closedStore();
  patchMetas(path, change);
  const before = bytesOf(path);
  await errorOf("NEWER_FORMAT", () => open(path));
  await errorOf("NEWER_FORMAT", () => open(path, { readOnly: true }));
  expect(Buffer.compare(bytesOf(path), before)).toBe(0);
});

test("NEWER_FORMAT: a feature that allows reading only is no reason not to read", async () => {
  const path = closedStore();
  patchMetas(path, (view) => view.setUint32(META_FEATURES_READ_COMPATIBLE, 1, true));
  await errorOf("NEWER_FORMAT", () => open(path));
  const reader = open<number, string>(path, { readOnly: true });
  expect([...reader]).toEqual(ENTRIES);
  reader.closeSync();
});

test("NEWER_FORMAT: a greater minor version and compatible features are none", () => {
  const path = closedStore();
  patchMetas(path, (view) => {
    view.setUint16(META_FORMAT_MINOR, 9, true);
    view.setUint32(META_FEATURES_COMPATIBLE, 0xffff, true);
  });
  expectUnharmedFile(path);
});

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A copy of the package without its addon. */
function packageWithoutAddon(): string {
  const folder = join(tempFolder(), "foliodb");
  mkdirSync(folder);
  cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
  copyFileSync(join(ROOT, "package.json"), join(folder, "package.json"));
  const packages = join(folder, "node_modules");
  // Links need a privilege on Windows.
  if (ON_WINDOWS) cpSync(join(ROOT, "node_modules", "msgpackr"), join(packages, "msgpackr"), { recursive: true });
  else symlinkSync(join(ROOT, "node_modules"), packages);
  return folder;
}

/** Imports the package in a process of its own and opens a store; prints how that ended. */
function openWith(folder: string, path: string, environment: Readonly<Record<string, string>> = {}): unknown {
  const program = `
    const { open } = await import(process.argv[1]);
    try {
      open(process.argv[2]);
      console.log(JSON.stringify({ opened: true }));
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }));
    }`;
  const parameters = ["--input-type=module", "-e", program, pathToFileURL(join(folder, "dist", "index.js")).href, path];
  const env = { ...process.env, ...environment };
  return JSON.parse(execFileSync(process.execPath, parameters, { encoding: "utf8", env }));
}

test("ADDON: where the addon is missing or broken, the error says what was tried, and nothing is created", () => {
  const folder = packageWithoutAddon();
  const path = join(tempFolder(), "store");
  expect(openWith(folder, path)).toMatchObject({ code: "ADDON", message: expect.stringContaining("no such file") });
  const built = join(folder, "build", "Release", "foliodb.node");
  mkdirSync(dirname(built), { recursive: true });
  writeFileSync(built, "no addon");
  expect(openWith(folder, path)).toMatchObject({ code: "ADDON", message: expect.stringContaining(built) });
  expect(readdirSync(dirname(path))).toEqual([]);
  // A broken build in place does not stand in the way of the one the package brings.
  const prebuilt = join(folder, "prebuilds", `${process.platform}-${process.arch}`, "foliodb.node");
  mkdirSync(dirname(prebuilt), { recursive: true });
  copyFileSync(join(ROOT, "build", "Release", "foliodb.node"), prebuilt);
  expect(openWith(folder, path)).toEqual({ opened: true });
});

/** Maps memory by the package in a process of its own; prints how that ended. */
function viewWith(folder: string, environment: Readonly<Record<string, string>>): unknown {
  const program = `
    const { createMapping } = await import(process.argv[1]);
    try {
      createMapping({ size: 4096 }).view();
      console.log(JSON.stringify({ mapped: true }));
    } catch ({ name, code, message }) {
      console.log(JSON.stringify({ name, code, message }));
    }`;
  const parameters = ["--input-type=module", "-e", program, join(folder, "dist", "mapping", "index.js")];
  const env = { ...process.env, ...environment };
  return JSON.parse(execFileSync(process.execPath, parameters, { encoding: "utf8", env }));
}

/** A copy of the package whose addon is refused ArrayBuffers over mapped memory, and what its process must load before. */
function packageInSandbox(): { folder: string; preload: string } {
  const folder = packageWithoutAddon();
  const prebuilt = join(folder, "prebuilds", `${process.platform}-${process.arch}`, "foliodb.node");
  mkdirSync(dirname(prebuilt), { recursive: true });
  const addon = readFileSync(join(ROOT, "build", "Release", "foliodb.node"), "latin1");
  const parts = addon.split("napi_create_external_arraybuffer");
  expect(parts.length).toBeGreaterThan(1);
  writeFileSync(prebuilt, parts.join("test_create_external_arraybuffer"), "latin1");
  return { folder, preload: compileC("sandbox.c", folder) };
}

test.runIf(process.platform === "linux")(
  "ADDON: a host that refuses ArrayBuffers over mapped memory is told apart, and nothing is created or changed",
  () => {
    const { folder, preload } = packageInSandbox();
    const refused = { code: "ADDON", message: expect.stringContaining("refuses ArrayBuffers over mapped memory") };
    const path = join(tempFolder(), "store");
    expect(openWith(folder, path, { LD_PRELOAD: preload })).toMatchObject(refused);
    // Where a file is made under a name of its own, that one goes again.
    const both = `${preload}:${compileC("system.c", folder)}`;
    expect(openWith(folder, path, { LD_PRELOAD: both, FOLIODB_SYSTEM: "no-unnamed" })).toMatchObject(refused);
    expect(readdirSync(dirname(path))).toEqual([]);
    const existing = closedStore();
    const before = readFileSync(existing);
    expect(openWith(folder, existing, { LD_PRELOAD: preload })).toMatchObject(refused);
    expect(readFileSync(existing).equals(before)).toBe(true);
    expect(viewWith(folder, { LD_PRELOAD: preload })).toMatchObject({ ...refused, name: "MappingError" });
  },
);
