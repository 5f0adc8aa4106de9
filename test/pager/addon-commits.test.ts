/** Commits of the addon on real files: what they store and publish, what they wait for, how they and their process end. */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { COORDINATION_DURABLE, COORDINATION_NEWEST, COORDINATION_POISON } from "../../src/store/format/coordination.ts";
import { LOCK_WRITER } from "../../src/store/format/locks.ts";
import type { CommitPlan } from "../../src/store/pager/storage.ts";
import { compileC, start } from "../mapping/processes.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { coordinate, FLUSH, folder, MIB, newFile, newPath, open, storage, WINDOW, WRITER } from "./addon-files.ts";

/** Far from the ten seconds that a commit waits for the flush lock, and enough for a process on a busy machine. */
const AT_ONCE_MS = 5000;

function planOf(rest: Partial<CommitPlan> = {}): CommitPlan {
  return {
    pageSize: 4096,
    runs: new Uint32Array([40, 1, 50, 3]),
    checksumSeed: 0xabcdef,
    metaAt: 65536,
    meta: new Uint8Array(512).fill(4),
    metaCopyAt: 2048,
    rewrites: [],
    publishIndex: 3,
    unlockWriter: true,
    ...rest,
  };
}

test("a commit stores checksums and both copies of the record, publishes, and unlocks", async () => {
  const path = newFile(MIB);
  const file = open(path);
  const coordination = coordinate(`${path}-lock`);
  file.attach(coordination);
  const { bytes, view } = file.mapWindow(0, WINDOW, true);
  bytes.fill(6, 40 * 4096, 41 * 4096);
  bytes.fill(7, 50 * 4096, 53 * 4096);
  for (const [index, run] of ["sync", "async", "wait"].entries()) {
    expect(file.tryLock(WRITER, "exclusive")).toBe(true);
    const plan = planOf({ publishIndex: index + 1, rewrites: [{ at: 0, record: new Uint8Array([index]) }] });
    if (run === "sync") expect(file.commitSync(plan)).toEqual({ result: "committed" });
    else {
      const commit = file.commit(plan);
      if (run === "wait") expect(commit.wait()).toEqual({ result: "committed" });
      expect(await commit.done).toEqual({ result: "committed" });
      expect(commit.wait()).toBe(await commit.done);
    }
    const words = [COORDINATION_POISON, COORDINATION_DURABLE, COORDINATION_NEWEST].map(
      (at) => coordination.words[at >> 2],
    );
    expect(words).toEqual([0, index + 1, index + 1]);
    expect([bytes[0], bytes[2048]]).toEqual([index, index]);
    expect(open(path).lockedByOther(WRITER, "exclusive")).toBe(-1);
    expect(open(path).lockedByOther(FLUSH, "exclusive")).toBe(-1);
  }
  expect(view.getUint32(40 * 4096, true)).toBe(storage.crc32c(bytes, 40 * 4096 + 4, 41 * 4096, 0xabcdef));
  expect(view.getUint32(50 * 4096, true)).toBe(storage.crc32c(bytes, 50 * 4096 + 4, 53 * 4096, 0xabcdef));
  expect(bytes[51 * 4096]).toBe(7);
  const disk = readFileSync(path);
  expect([disk[65536], disk[65536 + 511], disk[65536 + 512], disk[65536 + 2048]]).toEqual([4, 4, 0, 4]);
});

test("a commit keeps the writer lock where the plan says so", () => {
  const path = newFile(MIB);
  const file = open(path);
  file.attach(coordinate(`${path}-lock`));
  file.mapWindow(0, WINDOW, true);
  expect(file.tryLock(WRITER, "exclusive")).toBe(true);
  expect(file.commitSync(planOf({ unlockWriter: false }))).toEqual({ result: "committed" });
  expect(open(path).lockedByOther(WRITER, "exclusive")).toBe(LOCK_WRITER);
});

test("a commit waits for the flush lock until it is free", async () => {
  const path = newFile(MIB);
  const file = open(path);
  const other = open(path);
  const coordination = coordinate(`${path}-lock`);
  file.attach(coordination);
  file.mapWindow(0, WINDOW, true);
  expect(other.tryLock(FLUSH, "exclusive")).toBe(true);
  const run = file.commit(planOf());
  let isDone = false;
  run.done.then(() => {
    isDone = true;
  });
  await pause(50);
  expect({ isDone, newest: coordination.words[COORDINATION_NEWEST >> 2] }).toEqual({ isDone: false, newest: 0 });
  other.unlock(FLUSH);
  expect(await run.done).toEqual({ result: "committed" });
});

test("closing ends a commit's wait for the flush lock at once, and the commit fails", async () => {
  const path = newFile(MIB);
  const [file, other] = [open(path), open(path)];
  const coordination = coordinate(`${path}-lock`);
  file.attach(coordination);
  file.mapWindow(0, WINDOW, true);
  expect(other.tryLock(FLUSH, "exclusive")).toBe(true);
  const run = file.commit(planOf());
  await pause(20);
  const begin = performance.now();
  file.close();
  expect(performance.now() - begin).toBeLessThan(AT_ONCE_MS);
  const cause = expect.objectContaining({ code: "ECANCELED" });
  const failed = { result: "failed", step: "flush lock", poisoned: false, cause };
  expect(run.wait()).toEqual(failed);
  expect(await run.done).toEqual(failed);
  expect(readFileSync(path)[65536]).toBe(0);
  expect(coordination.words[COORDINATION_NEWEST >> 2]).toBe(0);
  expect(other.lockedByOther(WRITER, "exclusive")).toBe(-1);
});

test("closing waits for a commit that nobody is in the way of", async () => {
  const path = newFile(MIB);
  const file = open(path);
  file.attach(coordinate(`${path}-lock`));
  file.mapWindow(0, WINDOW, true);
  const run = file.commit(planOf());
  file.close();
  expect(await run.done).toEqual({ result: "committed" });
  expect(readFileSync(path)[65536]).toBe(4);
});

test("a commit gives up when the flush lock is held for ten seconds, publishes nothing and unlocks", async () => {
  const ways = ["sync", "async", "wait"].map((way) => start("commit.mjs", [newPath(), way, "flush lock held"]).ended);
  for (const { output, errors } of await Promise.all(ways)) {
    expect(errors).toBe("");
    const { milliseconds, ...rest } = JSON.parse(output);
    expect(rest).toEqual({
      outcome: { result: "failed", step: "flush lock", poisoned: false, cause: "ETIMEDOUT" },
      words: [0, 0, 0],
      metas: [0, 0],
      locked: [-1, -1],
    });
    expect(milliseconds).toBeGreaterThan(9_900);
    expect(milliseconds).toBeLessThan(15_000);
  }
});

test.each([
  ["exit while a commit waits", ""],
  ["terminate while a commit waits", "terminated\n"],
])("%s for the flush lock: the process ends at once, and nothing is committed", async (scenario, output) => {
  const path = newPath();
  const begin = performance.now();
  const ended = await start("ending.mjs", [scenario, path]).ended;
  expect(performance.now() - begin).toBeLessThan(AT_ONCE_MS);
  expect(ended).toEqual({ status: 0, signal: null, output, errors: "" });
  expect(readFileSync(path)[65536]).toBe(0);
});

const FAILURES = [
  ["flush=1", "flush 1", 0],
  ["flush=2", "flush 2", 4],
] as const;

// No library can be put in front of the system on Windows, so that flushes fail there, or take long.
test.skipIf(ON_WINDOWS).each(["sync", "async", "wait"])(
  "a failed flush poisons, publishes nothing and unlocks (%s)",
  async (way) => {
    const system = compileC("system.c", folder);
    for (const [setting, step, meta] of FAILURES) {
      const environment = { LD_PRELOAD: system, FOLIODB_SYSTEM: setting };
      const { output, errors } = await start("commit.mjs", [newPath(), way], environment).ended;
      expect(errors).toBe("");
      expect(JSON.parse(output)).toMatchObject({
        outcome: { result: "failed", step, poisoned: true, cause: "EIO" },
        words: [1, 0, 0],
        metas: [meta, meta],
        locked: [-1, -1],
      });
    }
  },
);

test.skipIf(ON_WINDOWS).each([
  ["exit in a commit", ""],
  ["terminate in a commit", "terminated\n"],
  ["run dry", "committed\n"],
])("%s: the commit comes to its end, and the process to its own", async (scenario, output) => {
  const path = newPath();
  const environment = { LD_PRELOAD: compileC("system.c", folder), FOLIODB_SYSTEM: "slow" };
  const ended = await start("ending.mjs", [scenario, path], environment).ended;
  expect(ended).toEqual({ status: 0, signal: null, output, errors: "" });
  expect(readFileSync(path)[65536]).toBe(4);
  expect(readFileSync(`${path}-lock`).readInt32LE(128)).toBe(5);
});

test("a worker is terminated while it writes a window", async () => {
  const { status, output, errors } = await start("ending.mjs", ["terminate with a window in use", newPath()]).ended;
  expect({ status, output, errors }).toEqual({ status: 0, output: "terminated\n", errors: "" });
});
