/** Point 10: errors carry a stable code, the system's code and number, the call, the path, and what to do. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createMapping, openMapping, receiveMapping } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { errorOf, isWindows, newName } from "./others.ts";

const folder = temporaryFolder();

test("a system's error: stable code, system's code and number, call, path, cause, and what to do", () => {
  const path = join(folder, "missing");
  const error = errorOf(() => createMapping({ path }));
  expect(error).toMatchObject({ name: "MappingError", code: "NOT_FOUND", systemCode: "ENOENT", errno: 2, path });
  expect(error.syscall).toMatch(isWindows ? /^CreateFile/ : /^open$/);
  expect(error.message).toContain(path);
  expect(error.message).toMatch(/check the path/);
  expect(error.cause).toMatchObject({ name: "SystemError", errno: 2 });
});

test("a relative path is told as the absolute one it means", () => {
  expect(errorOf(() => createMapping({ path: "missing-file" })).path).toBe(resolve("missing-file"));
});

test("a name's error tells the name", () => {
  const name = newName();
  const error = errorOf(() => openMapping(name));
  expect(error.code).toBe("NAME_NOT_FOUND");
  expect(error.message).toMatch(/no mapping has this name/);
});

// Root may do everything, and Windows' permission bits are of another kind.
test.runIf(!isWindows && process.getuid?.() !== 0)("no permission", () => {
  const path = join(folder, "forbidden");
  writeFileSync(path, "x");
  chmodSync(path, 0o400);
  expect(errorOf(() => createMapping({ path }))).toMatchObject({ code: "NO_PERMISSION", systemCode: "EACCES", path });
  const mapping = createMapping({ path, protection: "readonly" });
  mapping.close();
});

test("errors of the caller's name what was wrong, and have no number", () => {
  const path = join(folder, "some");
  writeFileSync(path, "some");
  const mapping = createMapping({ path, protection: "readonly" });
  const cases: [string, RegExp, () => unknown][] = [
    ["ACCESS", /protection "readonly".*"write".*"read", "copy"/, () => mapping.view({ access: "write" })],
    ["RANGE", /from 2, 10 bytes.*inside the 4/, () => mapping.view({ offset: 2, length: 10 })],
    ["OPTION", /offset must be an integer/, () => mapping.view({ offset: 1.5 })],
    [
      "OPTION",
      /protection must be one of readonly, readwrite, writecopy/,
      () => createMapping({ path, protection: "all" as "readonly" }),
    ],
    ["OPTION", /token/, () => receiveMapping("nonsense")],
    ["OPTION", /options/, () => createMapping(undefined as never)],
    ["OPTION", /temporary/, () => createMapping({ temporary: "", size: 1 })],
    ["OPTION", /well-formed/, () => createMapping({ name: "a\ud800", size: 1 })],
    ["OPTION", /2\^63 - 2\^20/, () => createMapping({ size: 2n ** 63n - 1n })],
    // At the call, not when the first view is asked for.
    ["OPTION", /access/, () => mapping.views({ access: "nonsense" as "read" })],
    ["OPTION", /pieceSize/, () => mapping.views({ pieceSize: 0 })],
  ];
  for (const [code, message, call] of cases) {
    const error = errorOf(call);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.errno).toBeUndefined();
  }
  mapping.close();
});

test("an argument that is no object, or a range of another kind of number, is an error of this package's", async () => {
  const path = join(folder, "arguments");
  writeFileSync(path, "some");
  const mapping = createMapping({ path });
  const view = mapping.view();
  const none = Object.create(null);
  const calls: ((wrong: never) => unknown)[] = [
    (wrong) => createMapping(wrong),
    (wrong) => openMapping("x", wrong),
    (wrong) => mapping.view(wrong),
    (wrong) => mapping.views(wrong),
    (wrong) => mapping.inherit(wrong),
    (wrong) => view.flush(wrong),
    (wrong) => view.flush({}, wrong),
    (wrong) => view.advise("random", wrong),
    (wrong) => view.prefetch(wrong),
    (wrong) => view.resident(wrong),
    (wrong) => view.discard(wrong),
  ];
  for (const wrong of [null, 5, 5n, "text", true, Symbol("text"), () => {}]) {
    for (const call of calls) expect(errorOf(() => call(wrong as never))).toMatchObject({ code: "OPTION" });
    for (const promise of [
      mapping.handTo(process.pid, wrong as never),
      view.flushAsync(wrong as never),
      view.flushAsync({}, wrong as never),
    ]) {
      await expect(promise).rejects.toMatchObject({ name: "MappingError", code: "OPTION" });
    }
  }
  for (const wrong of [null, 5n, "1", Symbol("text"), none, Number.NaN, -1, 1.5, 5]) {
    for (const range of [{ offset: wrong }, { length: wrong }, { offset: 1, length: wrong }]) {
      expect(errorOf(() => view.flush(range as never)).code).toBe("RANGE");
    }
  }
  for (const wrong of ["1", Symbol("text"), none, Number.NaN, -1, 1.5]) {
    expect(errorOf(() => mapping.view({ offset: wrong as never })).code).toBe("OPTION");
    expect(errorOf(() => mapping.view({ access: wrong as never })).code).toBe("OPTION");
  }
  view.flush({ offset: undefined, length: undefined } as never, { durable: undefined } as never);
  view.flush(undefined, undefined);
  expect(view.resident({ offset: 4 })).toEqual({ pageCount: 0, residentCount: 0 });
  view.close();
  mapping.close();
});

test("every code is in the guide, and every code of the guide exists", () => {
  const root = new URL("../../../", import.meta.url);
  const source = readFileSync(new URL("src/errors.ts", root), "utf8");
  const union = /export type MappingErrorCode =(.*?);/s.exec(source)?.[1] ?? "";
  const codes = [...union.matchAll(/"([A-Z_]+)"/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(15);
  const guide = readFileSync(new URL("docs/mapping.md", root), "utf8");
  const section = guide.slice(guide.indexOf("## Errors"));
  const documented = [...section.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
  expect(documented.toSorted()).toEqual(codes.toSorted());
});
