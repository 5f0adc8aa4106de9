/** Point 2: names. Every test that is about sharing has two processes or more. */
import { once } from "node:events";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { createMapping, openMapping } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, codeOfAsync, errorOf, isLinux, isWindows, newName, type Other, startOther } from "./others.ts";

const folder = temporaryFolder();

/** Names that this process finds left over in the folder of shared memory. */
function leftOver(name: string): string[] {
  return isLinux ? readdirSync("/dev/shm").filter((file) => file.endsWith(name)) : [];
}

test("who creates a name is told whether somebody has it already, and then shares that memory", async () => {
  const name = newName();
  const other = await startOther();
  expect(await other.ask("create", { name, size: 10_000 })).toMatchObject({ existed: false, name, backing: "memory" });
  await other.ask("view");
  await other.ask("store", { at: 9_999, bytes: [42] });
  const mapping = createMapping({ name, size: 500_000 });
  // The mapping that is there, with its own size.
  expect(mapping).toMatchObject({ existed: true, size: isWindows ? mapping.size : 12_288, name });
  const view = mapping.view();
  expect(view.bytes[9_999]).toBe(42);
  view.bytes[0] = 7;
  expect(await other.ask("load")).toEqual([7]);
  view.close();
  mapping.close();
  await other.exit();
  expect(leftOver(name)).toEqual([]);
});

test("a name is opened for writing or for reading", async () => {
  const name = newName();
  const mapping = createMapping({ name, size: 4096 });
  const view = mapping.view();
  view.bytes[1] = 11;
  const other = await startOther();
  expect(await other.ask("open", { name, access: "read" })).toMatchObject({ protection: "readonly", size: 4096 });
  expect(await codeOfAsync(other.ask("view", { access: "write" }))).toBe("ACCESS");
  await other.ask("view");
  expect(await other.ask("load", { at: 1 })).toEqual([11]);
  expect(await other.ask("open", { as: "w", name })).toMatchObject({ protection: "readwrite", size: 4096 });
  await other.ask("view", { of: "w", as: "wv" });
  await other.ask("store", { of: "wv", at: 2, bytes: [12] });
  expect(view.bytes[2]).toBe(12);
  // A copy view of what was opened for reading is one's own.
  await other.ask("view", { as: "cv", access: "copy" });
  await other.ask("store", { of: "cv", at: 2, bytes: [99] });
  expect(view.bytes[2]).toBe(12);
  view.close();
  mapping.close();
  await other.exit();
  expect(leftOver(name)).toEqual([]);
});

test("a name that is not there can't be opened", () => {
  expect(codeOf(() => openMapping(newName()))).toBe("NAME_NOT_FOUND");
  expect(codeOf(() => openMapping(newName(), { access: "read" }))).toBe("NAME_NOT_FOUND");
});

test("a name goes with its last user, in whatever order they leave", async () => {
  const name = newName();
  const mapping = createMapping({ name, size: 1 });
  const other = await startOther();
  await other.ask("open", { name });
  mapping.close();
  // The other one keeps it.
  const again = openMapping(name, { access: "read" });
  again.close();
  await other.ask("closeMapping");
  expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
  expect(leftOver(name)).toEqual([]);
  // Created anew, it is new.
  const fresh = createMapping({ name, size: 1 });
  expect(fresh.existed).toBe(false);
  fresh.close();
  await other.exit();
});

test("a process that ends without closing leaves no name behind", async () => {
  const name = newName();
  const other = await startOther();
  await other.ask("create", { name, size: 1 });
  await other.exit();
  expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
});

test("a worker thread that ends gives its names up, closed or not", async () => {
  const name = newName();
  const worker = new Worker(
    `const { workerData, parentPort } = require("node:worker_threads");
     import(workerData.module).then(({ createMapping }) => {
       globalThis.kept = createMapping({ name: workerData.name, size: 1 });
       globalThis.view = kept.view();
       parentPort.postMessage("created");
       parentPort.once("message", () => process.exit());
     });`,
    { eval: true, workerData: { name, module: import.meta.resolve("foliodb/mapping") } },
  );
  await once(worker, "message");
  const found = openMapping(name);
  found.close();
  worker.postMessage("end");
  await once(worker, "exit");
  expect(leftOver(name)).toEqual([]);
  expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
});

test("after kill -9 of all users the name is as if it had never been", async () => {
  const name = newName();
  const others = await Promise.all([startOther(), startOther(), startOther()]);
  const created = await Promise.all(
    others.map((other) => other.ask<{ existed: boolean }>("create", { name, size: 4096 })),
  );
  expect(created.filter(({ existed }) => !existed)).toHaveLength(1);
  await others[0].ask("view");
  await others[0].ask("store", { bytes: [1] });
  await others[0].kill();
  await others[1].kill();
  // One lives still.
  const shared = openMapping(name);
  const view = shared.view();
  expect(view.bytes[0]).toBe(1);
  view.close();
  shared.close();
  await others[2].kill();
  expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
  const fresh = createMapping({ name, size: 4096 });
  expect(fresh.existed).toBe(false);
  const freshView = fresh.view();
  expect(freshView.bytes[0]).toBe(0);
  freshView.close();
  fresh.close();
  expect(leftOver(name)).toEqual([]);
});

test("of processes that create one name at the same moment exactly one is the first", async () => {
  const others = await Promise.all(Array.from({ length: 5 }, () => startOther()));
  for (let round = 0; round < 20; round++) {
    const name = newName();
    const created = await Promise.all(
      others.map((other) => other.ask<{ existed: boolean }>("create", { name, size: 4096 })),
    );
    expect(created.filter(({ existed }) => !existed)).toHaveLength(1);
    await Promise.all(others.map((other) => other.ask("closeMapping")));
    expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
    expect(leftOver(name)).toEqual([]);
  }
});

test("of users that leave at the same moment one removes the name", async () => {
  const names = Array.from({ length: 300 }, () => newName());
  const others = await Promise.all([startOther(), startOther()]);
  await Promise.all(others.map((other) => other.ask("leaveTogether", { names, users: others.length })));
  expect(names.flatMap((name) => leftOver(name))).toEqual([]);
  for (const name of names) expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
});

test("while users come, go and are killed, a name always means the memory of who uses it", async () => {
  const name = newName();
  const durationMs = 1500;
  const churn = (other: Other, slot: number) =>
    other.ask<{ rounds: number; created: number }>("churn", { name, slot, durationMs });
  const others = await Promise.all(Array.from({ length: 3 }, () => startOther()));
  const churned = others.map((other, slot) => churn(other, slot));
  const end = Date.now() + durationMs - 700;
  while (Date.now() < end) {
    const victim = await startOther();
    const died = churn(victim, 100).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await victim.kill();
    await died;
  }
  for (const { rounds, created } of await Promise.all(churned)) {
    expect(rounds).toBeGreaterThan(20);
    expect(created).toBeLessThanOrEqual(rounds);
  }
  expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
  expect(leftOver(name)).toEqual([]);
});

test("a mapping of a file can have a name; who opens it needs no path", async () => {
  const path = join(folder, "named");
  writeFileSync(path, "content");
  const name = newName();
  const mapping = createMapping({ path, name, size: 20 });
  expect(mapping).toMatchObject({ existed: false, name, size: 20, backing: "file" });
  const other = await startOther();
  expect(await other.ask("open", { name })).toMatchObject({ size: 20, protection: "readwrite", name });
  await other.ask("view");
  expect(await other.ask("load", { length: 7 })).toEqual([...Buffer.from("content")]);
  await other.ask("store", { at: 19, bytes: [3] });
  const view = mapping.view();
  expect(view.bytes[19]).toBe(3);
  view.close();
  mapping.close();
  await other.exit();
  expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
});

// On Windows the section itself has the name; on POSIX a record with the file's path.
test.runIf(!isWindows)("a name whose file was moved is an error, not another file", () => {
  const path = join(folder, "moved");
  writeFileSync(path, "content");
  const name = newName();
  const mapping = createMapping({ path, name });
  renameSync(path, `${path}-away`);
  expect(errorOf(() => openMapping(name))).toMatchObject({ code: "NAME_FOREIGN", path });
  expect(errorOf(() => openMapping(name)).message).toMatch(/its file was moved.*put it back/);
  writeFileSync(path, "another");
  expect(codeOf(() => openMapping(name))).toBe("NAME_FOREIGN");
  mapping.close();
});

/** Bytes of a record, as native/section_posix_names.cc has them: the version, the size, where the memory begins. */
const [RECORD_VERSION, RECORD_SIZE, RECORD_SPACE] = [16, 32, 65_536];

// Where names are files.
test.runIf(isLinux)("what is no record of a name is told with its path, and is gone when that file is removed", () => {
  const name = newName();
  const path = `/dev/shm/foliodb.${name}`;
  const made = createMapping({ name, size: 4096 });
  const record = readFileSync(path);
  made.close();
  const other = Buffer.from(record);
  other[RECORD_VERSION] = 99;
  const wrapping = Buffer.from(record);
  wrapping.writeBigUInt64LE(2n ** 64n - 4096n, RECORD_SIZE);
  const empty = Buffer.from(record);
  empty.writeBigUInt64LE(0n, RECORD_SIZE);
  const foreign: [string, () => void][] = [
    ["text", () => writeFileSync(path, "something else")],
    ["an empty file", () => writeFileSync(path, "")],
    ["another version's", () => writeFileSync(path, other)],
    ["too short for its memory", () => writeFileSync(path, record.subarray(0, RECORD_SPACE + 4095))],
    ["of a size beyond 2^63", () => writeFileSync(path, wrapping)],
    ["of no size", () => writeFileSync(path, empty)],
    ["a folder", () => mkdirSync(path)],
    ["a symbolic link", () => symlinkSync("/dev/null", path)],
  ];
  for (const [what, put] of foreign) {
    put();
    try {
      for (const call of [() => openMapping(name), () => createMapping({ name, size: 4096 })]) {
        const error = errorOf(call);
        expect([what, error.code, error.path]).toEqual([what, "NAME_FOREIGN", path]);
        expect(error.message).toMatch(/remove/);
        expect(error.message).toContain(path);
      }
      expect(lstatSync(path)).toBeDefined();
    } finally {
      rmSync(path, { recursive: true });
    }
    using fresh = createMapping({ name, size: 4096 });
    expect([what, fresh.existed]).toEqual([what, false]);
  }
});

test.runIf(isLinux)("who leaves a name that means another mapping by now does not remove it", async () => {
  const name = newName();
  const before = createMapping({ name, size: 4096 });
  // As another process does that finds the record without a user, in the moment in which the last one leaves.
  rmSync(`/dev/shm/foliodb.${name}`);
  const other = await startOther();
  expect(await other.ask("create", { name, size: 8192 })).toMatchObject({ existed: false });
  before.close();
  const found = openMapping(name);
  expect(found.size).toBe(8192);
  found.close();
  await other.exit();
  expect(leftOver(name)).toEqual([]);
});

test("what was named readonly can't be opened for writing", () => {
  const path = join(folder, "readonly");
  writeFileSync(path, "content");
  const name = newName();
  const mapping = createMapping({ path, name, protection: "readonly" });
  expect(codeOf(() => openMapping(name))).toBe("NO_PERMISSION");
  const reader = openMapping(name, { access: "read" });
  expect(reader.size).toBe(7);
  reader.close();
  mapping.close();
});

// Where names are files.
test.runIf(isLinux)("a name is private to the user unless a mode says otherwise", () => {
  const name = newName();
  const mapping = createMapping({ name, size: 1 });
  expect(statSync(`/dev/shm/foliodb.${name}`).mode & 0o777).toBe(0o600);
  mapping.close();
  const shared = newName();
  const mask = 0o022;
  const before = process.umask(mask);
  const group = createMapping({ name: shared, size: 1, mode: 0o664 });
  process.umask(before);
  expect(statSync(`/dev/shm/foliodb.${shared}`).mode & 0o777).toBe(0o664 & ~mask);
  group.close();
  // Its owner has to read and write it, if it is not root.
  const readable = createMapping({ name: shared, size: 1, mode: 0o444 });
  expect(statSync(`/dev/shm/foliodb.${shared}`).mode & 0o777).toBe(0o644);
  readable.close();
});

test("names are 1 to 200 bytes without slashes, backslashes and NUL", () => {
  for (const name of ["", "a/b", "a\\b", "a\0b", "x".repeat(201), "\u00e4".repeat(101), "a\ud800", "\udc00"]) {
    expect(codeOf(() => createMapping({ name, size: 1 }))).toBe("OPTION");
    expect(codeOf(() => openMapping(name))).toBe("OPTION");
  }
  for (const name of ["x".repeat(200), "..", "\u00fcber \u{1F4BE} *"]) {
    const unique = `${newName()}${name}`.slice(0, 100);
    const mapping = createMapping({ name: unique, size: 1 });
    const found = openMapping(unique);
    expect(found.name).toBe(unique);
    found.close();
    mapping.close();
  }
});
