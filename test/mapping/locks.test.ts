import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadAddon, type NativeFile } from "../../src/mapping/addon.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { temporaryFolder } from "../support/temp-folder.ts";
import { start } from "./processes.ts";

const addon = loadAddon();
const folder = temporaryFolder();
const WRITER = 0;
const FLUSH = 1;
const WAITING = 3;
const PRESENCE = 2 ** 32;

let path = "";
let fileCount = 0;
const opened: NativeFile[] = [];

beforeEach(() => {
  path = join(folder, `file-${fileCount++}`);
  writeFileSync(path, new Uint8Array(4096));
});

afterEach(() => {
  for (const file of opened.splice(0)) file.close();
});

function open(): NativeFile {
  const file = addon.openFile(path, true, true, [WRITER, FLUSH, WAITING]);
  opened.push(file);
  return file;
}

function wait(file: NativeFile, timeoutMs: number): { granted: Promise<boolean>; number: number } {
  let number = 0;
  const granted = new Promise<boolean>((resolve, reject) => {
    number = file.waitLockAsync(timeoutMs, (error, isGranted) =>
      error === undefined ? resolve(isGranted) : reject(error),
    );
  });
  return { granted, number };
}

function spin(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test("two openings of one process conflict, and an opening's locks end with it", () => {
  const [one, other] = [open(), open()];
  expect(one.lock(10, 1, true)).toBe(true);
  expect(other.lock(10, 1, false)).toBe(false);
  expect(other.lockedByOther(8, 10, false)).toBe(10);
  expect(other.lockedByOther(8, 2, false)).toBe(-1);
  one.close();
  expect(other.lock(10, 1, true)).toBe(true);
});

test("presence: exclusive over the range, then shared on one byte of it, never free in between", () => {
  const [one, other, third] = [open(), open(), open()];
  const byte = PRESENCE + 123_456;
  expect(one.lock(PRESENCE, PRESENCE, true)).toBe(true);
  expect(other.lock(byte, 1, false)).toBe(false);
  expect(other.lockedByOther(byte, 1, false)).toBe(byte);
  one.narrowLock(PRESENCE, PRESENCE, byte);
  expect(other.lock(PRESENCE, PRESENCE, true)).toBe(false);
  expect(other.lockedByOther(PRESENCE, PRESENCE, true)).toBe(byte);
  expect(other.lockedByOther(PRESENCE, PRESENCE, false)).toBe(-1);
  expect(other.lock(byte, 1, false)).toBe(true);
  one.unlock(byte, 1);
  expect(third.lockedByOther(PRESENCE, PRESENCE, true)).toBe(byte);
  expect(third.lock(PRESENCE, byte - PRESENCE, true)).toBe(true);
  expect(third.lock(byte + 1, 2 * PRESENCE - byte - 1, true)).toBe(true);
});

test.each([0, 2 ** 32 - 1])("an exclusive lock is narrowed to the byte at an end of its range (%d)", (offset) => {
  const [one, other] = [open(), open()];
  expect(one.lock(PRESENCE, PRESENCE, true)).toBe(true);
  one.narrowLock(PRESENCE, PRESENCE, PRESENCE + offset);
  expect(other.lockedByOther(PRESENCE, PRESENCE, true)).toBe(PRESENCE + offset);
});

test("to ask who has a lock never keeps another from getting it", async () => {
  const file = open();
  const asker = start("lock-ask.mjs", [path, "2000"]);
  await asker.said;
  let refused = 0;
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    if (!file.lock(10, 1, false)) refused++;
    else file.unlock(10, 1);
    if (!file.lock(20, 1, true)) refused++;
    else file.unlock(20, 1);
  }
  expect(refused).toBe(0);
  expect(await asker.ended).toMatchObject({ status: 0, errors: "" });
});

test("a killed holder's lock is free at once", async () => {
  const file = open();
  const holder = start("lock-hold.mjs", [path]);
  await holder.said;
  expect(file.lock(WRITER, 1, true)).toBe(false);
  expect(file.waitLock(5)).toBe(false);
  holder.process.kill("SIGKILL");
  await holder.ended;
  expect(file.lock(WRITER, 1, true)).toBe(true);
});

test("a waiter is granted the lock when its holder is killed", async () => {
  const file = open();
  const holder = start("lock-hold.mjs", [path]);
  await holder.said;
  const { granted } = wait(file, 10_000);
  holder.process.kill("SIGKILL");
  expect(await granted).toBe(true);
  expect(open().lock(WRITER, 1, true)).toBe(false);
});

test.each([
  ["sync", "sync"],
  ["async", "async"],
  ["sync", "async"],
])("two writers in tight loops (%s, %s) both get on", async (...modes) => {
  const children = modes.map((mode) => start("lock-loop.mjs", [path, "500", mode, "0.5"]));
  await Promise.all(children.map((child) => child.said));
  for (const child of children) child.process.stdin?.write("go\n");
  const counts = (await Promise.all(children.map((child) => child.ended))).map(({ output }) =>
    Number(output.split("\n")[1]),
  );
  const total = counts[0] + counts[1];
  expect(total).toBeGreaterThan(50);
  // Waits sleep longer on Windows, whose timers are coarser: then the one that has just had the lock gets it more often.
  expect(Math.min(...counts) / total).toBeGreaterThan(ON_WINDOWS ? 0.03 : 0.05);
});

test("who has just held the lock lets a waiter go first", async () => {
  const [one, other] = [open(), open()];
  expect(one.lock(WRITER, 1, true)).toBe(true);
  const { granted } = wait(other, 5000);
  await pause(20);
  one.unlock(WRITER, 1);
  // At once: the waiter sleeps up to a millisecond.
  expect(one.lock(WRITER, 1, true)).toBe(false);
  expect(await granted).toBe(true);
});

test("an asynchronous wait ends with false when its time is up, or when it is cancelled", async () => {
  const [holder, waiter] = [open(), open()];
  holder.lock(WRITER, 1, true);
  expect(await wait(waiter, 20).granted).toBe(false);
  const cancelled = wait(waiter, 60_000);
  await pause(5);
  waiter.cancelWait(cancelled.number);
  expect(await cancelled.granted).toBe(false);
  waiter.cancelWait(cancelled.number);
  expect(holder.lockedByOther(WAITING, 1, true)).toBe(-1);
});

test("a grant that a busy event loop doesn't pick up is given back, and granted again later", async () => {
  const [one, other] = [open(), open()];
  const { granted } = wait(one, 10_000);
  spin(200);
  expect(other.lock(WRITER, 1, true)).toBe(true);
  await pause(20);
  expect(one.lock(WRITER, 1, true)).toBe(false);
  other.unlock(WRITER, 1);
  expect(await granted).toBe(true);
});

test("a synchronous call takes over a grant that its own event loop has not picked up yet", async () => {
  const [one, other] = [open(), open()];
  const { granted } = wait(one, 10_000);
  spin(20);
  expect(one.lock(WRITER, 1, true)).toBe(true);
  // Longer than a grant lasts: the lock is the caller's now, and must not be given back behind its back.
  spin(150);
  expect(other.lock(WRITER, 1, true)).toBe(false);
  await pause(20);
  one.unlock(WRITER, 1);
  expect(await granted).toBe(true);
});

test("closing a file ends its waits", async () => {
  const [holder, waiter] = [open(), open()];
  holder.lock(WRITER, 1, true);
  const { granted } = wait(waiter, 60_000);
  waiter.close();
  expect(await granted).toBe(false);
});

test.each([
  ["exit in a wait", ""],
  ["terminate in an asynchronous wait", "terminated\n"],
  ["terminate in a synchronous wait", "terminated\n"],
])("%s: neither a hang nor a crash", async (scenario, output) => {
  for (const suffix of ["1", "2"]) writeFileSync(path + suffix, new Uint8Array(4096));
  const holders = ["", "1", "2"].map((suffix) => {
    const file = addon.openFile(path + suffix, true, true, [WRITER, FLUSH, WAITING]);
    opened.push(file);
    return file;
  });
  for (const holder of holders) expect(holder.lock(WRITER, 1, true)).toBe(true);
  const ended = await start("ending.mjs", [scenario, path]).ended;
  expect(ended).toEqual({ status: 0, signal: null, output, errors: "" });
});
