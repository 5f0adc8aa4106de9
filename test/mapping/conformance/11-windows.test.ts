/** Point 11: what holds for mappings on Windows in particular. */
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMapping, openMapping } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, codeOfAsync, isWindows, newName, STDIO, startOther } from "./others.ts";

const folder = temporaryFolder();
let fileCount = 0;
function newPath(): string {
  return join(folder, `file-${fileCount++}`);
}
const onWindows = test.runIf(isWindows);

onWindows(
  "whoever opens a file's mapping by its name has the file, too: its path, and flushes the device waits for",
  async () => {
    const path = join(folder, "na\u00efve \u{1F4BE}");
    const name = newName();
    const mapping = createMapping({ path, name, disposition: "create", size: 100_000 });
    const found = openMapping(name);
    expect(found).toMatchObject({ backing: "file", path, size: 100_000 });
    const view = found.view({ offset: 70_000 });
    view.bytes[0] = 5;
    view.flush({}, { durable: true });
    expect(readFileSync(path)[70_000]).toBe(5);
    const other = await startOther();
    expect(await other.ask("receive", { token: await found.handTo(other.pid) })).toMatchObject({ path, size: 100_000 });
    await other.ask("view");
    await other.ask("store", { at: 1, bytes: [6] });
    await other.ask("flush", { durable: true });
    expect(readFileSync(path)[1]).toBe(6);
    for (const each of [view, found, mapping]) each.close();
  },
);

onWindows("of processes that create a file and a name for it at the same moment exactly one creates them", async () => {
  const others = await Promise.all(Array.from({ length: 4 }, () => startOther()));
  for (let round = 0; round < 10; round++) {
    const request = { name: newName(), path: newPath(), disposition: "create", size: 4096 };
    const created = await Promise.all(others.map((other) => other.ask<{ existed: boolean }>("create", request)));
    expect(created.filter(({ existed }) => !existed)).toHaveLength(1);
    await Promise.all(others.map((other) => other.ask("closeMapping")));
    // Without its name it is a file like any other.
    expect(codeOf(() => createMapping(request as never))).toBe("EXISTS");
  }
});

onWindows(
  "a temporary file has a name, but nobody can open it; handed to another process it lives until that has closed it",
  async () => {
    const before = readdirSync(folder);
    const mapping = createMapping({ temporary: folder, size: 70_000 });
    const [name] = readdirSync(folder).filter((file) => !before.includes(file));
    expect(codeOf(() => createMapping({ path: join(folder, name) }))).toBe("NO_PERMISSION");
    expect(() => readFileSync(join(folder, name))).toThrow();
    const view = mapping.view();
    view.bytes[0] = 9;
    const [inherited, handed] = [mapping.inherit({ stdio: STDIO }), await startOther()];
    const child = await startOther([inherited.token], inherited.stdio);
    inherited.close();
    await child.ask("receive", { token: inherited.token });
    await handed.ask("receive", { token: await mapping.handTo(handed.pid) });
    view.close();
    mapping.close();
    for (const other of [child, handed]) {
      await other.ask("view");
      expect(await other.ask("load")).toEqual([9]);
      await other.ask("store", { at: 69_999, bytes: [1] });
      await other.ask("flush", { durable: true });
      await other.exit();
    }
    expect(readdirSync(folder)).toEqual(before);
  },
);

onWindows("paths may be longer than 260 characters, and use either slash", () => {
  const deep = join(folder, "a".repeat(120), "b".repeat(120), "c".repeat(120));
  mkdirSync(deep, { recursive: true });
  const path = join(deep, "file");
  createMapping({ path: path.replaceAll("\\", "/"), disposition: "create", size: 10 }).close();
  expect(statSync(path).size).toBe(10);
  const mapping = createMapping({ path });
  expect(mapping.path).toBe(path);
  mapping.close();
  const temporary = createMapping({ temporary: deep, size: 10 });
  temporary.close();
});

onWindows("a mapped file can't be made shorter; when it is closed everywhere, it can", () => {
  const path = newPath();
  writeFileSync(path, new Uint8Array(100_000));
  const mapping = createMapping({ path, protection: "readonly" });
  const view = mapping.view();
  mapping.close();
  // 1224, ERROR_USER_MAPPED_FILE, for which Node.js has no name.
  expect(() => truncateSync(path, 10)).toThrow();
  view.close();
  truncateSync(path, 10);
  expect(statSync(path).size).toBe(10);
});

onWindows("names are the system's own: an existing one of another kind is foreign, and case counts", async () => {
  const name = newName();
  const mapping = createMapping({ name, size: 1 });
  const other = await startOther();
  expect(await codeOfAsync(other.ask("open", { name: name.toUpperCase() }))).toBe("NAME_NOT_FOUND");
  expect(await other.ask("open", { name })).toMatchObject({ size: 4096 });
  // A name for the whole machine is another one.
  expect(await codeOfAsync(other.ask("open", { name, scope: "machine" }))).toBe("NAME_NOT_FOUND");
  mapping.close();
});
