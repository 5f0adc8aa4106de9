/**
 * What every build of the package must be able to do, in one process: for machines on which the test suite can't run, an
 * emulated processor among them. Prints a line a check; ends with an exit code other than 0 at the first that fails.
 *
 *   node scripts/smoke.mjs FOLDER      of a package as it is published: dist/ and prebuilds/
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread, Worker, workerData } from "node:worker_threads";

const ENTRY_COUNT = 3000;
const WORKER_COUNT = 200;

const packageFolder = resolve(isMainThread ? process.argv[2] : workerData.packageFolder);
const { open } = await import(pathToFileURL(join(packageFolder, "dist", "index.js")).href);
const { createMapping, openMapping } = await import(
  pathToFileURL(join(packageFolder, "dist", "mapping", "index.js")).href
);

function check(name, run) {
  const result = run();
  const report = () => process.stdout.write(`  ${name}\n`);
  return result instanceof Promise ? result.then(report) : report();
}

function madeValue(number) {
  return { number, text: "x".repeat((number * 37) % 9000) };
}

/** Reads everything and compares; the whole file is checked, too. */
function expectContent(store, count, workerCount) {
  let seen = 0;
  for (const [key, value] of store.entries()) {
    if (key[0] === "main") {
      assert.deepEqual(value, madeValue(key[1]));
      seen++;
    }
  }
  assert.equal(seen, count);
  assert.equal([...store.keys({ prefix: ["worker"] })].length, workerCount);
  assert.deepEqual(store.check().problems, []);
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "foliodb-smoke-"));
  const path = join(folder, "smoke.folio");
  try {
    check("checksums by instruction and by table are the same", () => {
      const prebuilt = join(packageFolder, "prebuilds", `${process.platform}-${process.arch}`, "foliodb.node");
      const addon = createRequire(import.meta.url)(prebuilt);
      const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 2_654_435_761) >>> 7);
      for (const [from, to] of [
        [0, 0],
        [1, 4096],
        [3, 10_000],
        [8, 776],
      ]) {
        assert.equal(addon.crc32c(bytes, from, to, 7), addon.crc32cByTable(bytes, from, to, 7));
      }
      process.stdout.write(`  processor instructions for checksums: ${addon.crc32cIsAccelerated ? "used" : "none"}\n`);
    });
    const store = open(path);
    check("a store takes one entry and gives it back", () => {
      store.putSync(["main", 0], madeValue(0));
      assert.deepEqual(store.get(["main", 0]), madeValue(0));
    });
    await check("transactions make the file longer than its first views", async () => {
      for (let from = 1; from < ENTRY_COUNT; from += 500) {
        await store.transaction((transaction) => {
          for (let i = from; i < Math.min(from + 500, ENTRY_COUNT); i++) transaction.put(["main", i], madeValue(i));
        });
      }
    });
    await check("a worker writes through a handle of its own at the same time", async () => {
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { packageFolder, path } });
      const ended = new Promise((done, failed) => worker.on("exit", done).on("error", failed));
      for (let i = 0; i < WORKER_COUNT; i++) await store.put(["main", i], madeValue(i));
      assert.equal(await ended, 0);
    });
    check("everything is there, in one handle and in a second", () => {
      expectContent(store, ENTRY_COUNT, WORKER_COUNT);
      const reader = open(path, { readOnly: true });
      expectContent(reader, ENTRY_COUNT, WORKER_COUNT);
      reader.closeSync();
    });
    check("everything is there after closing and opening", () => {
      store.closeSync();
      const again = open(path);
      expectContent(again, ENTRY_COUNT, WORKER_COUNT);
      again.deleteSync(["main", 0]);
      assert.equal(again.get(["main", 0]), undefined);
      again.closeSync();
    });
    check("a file truncated under a store is an error, and not the end of the process", () => {
      const victim = open(path);
      truncateSync(path, 8192);
      assert.throws(
        () => [...victim.entries()],
        (error) => error.code === "IO" || error.code === "DAMAGED",
      );
      victim.closeSync();
    });
    check("views of a file are coherent, copy views are not seen, closed views are gone", () => {
      const file = join(folder, "mapped");
      const mapping = createMapping({ path: file, disposition: "create", size: 100_000 });
      const view = mapping.view();
      const part = mapping.view({ offset: 70_001, length: 10, access: "read" });
      const copy = mapping.view({ access: "copy" });
      view.bytes[70_003] = 7;
      assert.equal(part.bytes[2], 7);
      copy.bytes[1] = 9;
      assert.equal(view.bytes[1], 0);
      view.flush({ durable: true });
      for (const each of [view, part, copy]) each.close();
      assert.equal(part.bytes.length, 0);
      mapping.close();
      assert.equal(readFileSync(file)[70_003], 7);
    });
    check("memory with a name is found by it, and gone with its last user", () => {
      const name = `foliodb-smoke-${process.pid}`;
      const mapping = createMapping({ name, size: 4096 });
      const view = mapping.view();
      view.bytes[0] = 1;
      const found = openMapping(name);
      const other = found.view();
      assert.equal(other.bytes[0], 1);
      for (const each of [other, found, view, mapping]) each.close();
      assert.throws(() => openMapping(name), { code: "NAME_NOT_FOUND" });
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (isMainThread) {
  await main();
} else {
  const store = open(workerData.path);
  for (let i = 0; i < WORKER_COUNT; i++) store.putSync(["worker", i], i);
  store.closeSync();
}
