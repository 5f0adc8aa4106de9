import { expect, test } from "vitest";
import { LOCK_PRESENCE, LOCK_PRESENCE_LENGTH } from "../../src/store/format/locks.ts";
import { LockTable } from "./locks.ts";
import { Machine } from "./machine.ts";

const range = (start: number, length = 1): { start: number; length: number } => ({ start, length });
const a = { name: "a" };
const b = { name: "b" };
const c = { name: "c" };

test("shared locks of different openings go together, and nothing goes with an exclusive one", () => {
  const modes = ["shared", "exclusive"] as const;
  for (const first of modes) {
    for (const second of modes) {
      const locks = new LockTable();
      expect(locks.tryLock(a, range(5, 10), first)).toBe(true);
      expect(locks.tryLock(b, range(14, 10), second)).toBe(first === "shared" && second === "shared");
      expect(locks.tryLock(c, range(0, 5), second)).toBe(true);
    }
  }
});

test("an opening never conflicts with itself: a new lock turns the old one into its mode", () => {
  const locks = new LockTable();
  expect(locks.tryLock(a, range(0), "shared")).toBe(true);
  expect(locks.tryLock(a, range(0), "exclusive")).toBe(true);
  expect(locks.heldBy(a, 0)).toBe("exclusive");
  expect(locks.tryLock(b, range(0), "shared")).toBe(false);
  expect(locks.tryLock(a, range(0), "shared")).toBe(true);
  expect(locks.tryLock(b, range(0), "shared")).toBe(true);
});

test("a conversion that is refused leaves the lock as it was", () => {
  const locks = new LockTable();
  locks.tryLock(a, range(0, 4), "shared");
  locks.tryLock(b, range(2), "shared");
  expect(locks.tryLock(a, range(0, 4), "exclusive")).toBe(false);
  expect(locks.heldBy(a, 0)).toBe("shared");
  expect(locks.heldBy(a, 3)).toBe("shared");
});

test("an unlock in the middle leaves both ends locked", () => {
  const locks = new LockTable();
  locks.tryLock(a, range(0, 10), "exclusive");
  locks.unlock(a, range(4, 2));
  expect([0, 3, 4, 5, 6, 9].map((byte) => locks.heldBy(a, byte) !== undefined)).toEqual([
    true,
    true,
    false,
    false,
    true,
    true,
  ]);
  expect(locks.tryLock(b, range(4, 2), "exclusive")).toBe(true);
  expect(locks.tryLock(b, range(3, 2), "exclusive")).toBe(false);
});

test("a shared byte of an exclusively locked range is what a presence lock comes down to", () => {
  const locks = new LockTable();
  const presence = range(LOCK_PRESENCE, LOCK_PRESENCE_LENGTH);
  expect(locks.tryLock(a, presence, "exclusive")).toBe(true);
  const own = range(LOCK_PRESENCE + 77);
  expect(locks.tryLock(b, own, "shared")).toBe(false);
  expect(locks.tryLock(a, own, "shared")).toBe(true);
  locks.unlock(a, range(LOCK_PRESENCE, 77));
  locks.unlock(a, range(LOCK_PRESENCE + 78, LOCK_PRESENCE_LENGTH - 78));
  expect(locks.tryLock(b, own, "shared")).toBe(true);
  expect(locks.tryLock(c, presence, "exclusive")).toBe(false);
  expect(locks.lockedByOther(c, presence, "exclusive")).toBe(LOCK_PRESENCE + 77);
  expect(locks.lockedByOther(c, presence, "shared")).toBe(-1);
});

test("lockedByOther reports the first refusing byte inside the range, and never an own lock", () => {
  const locks = new LockTable();
  locks.tryLock(a, range(0, 10), "exclusive");
  locks.tryLock(b, range(20, 5), "shared");
  expect(locks.lockedByOther(a, range(0, 10), "exclusive")).toBe(-1);
  expect(locks.lockedByOther(b, range(5, 10), "shared")).toBe(5);
  expect(locks.lockedByOther(a, range(0, 100), "exclusive")).toBe(20);
  expect(locks.lockedByOther(a, range(0, 100), "shared")).toBe(-1);
  expect(locks.lockedByOther(c, range(10, 10), "exclusive")).toBe(-1);
});

test("two openings of one process conflict, and closing one releases only its own locks", () => {
  const process = new Machine({ seed: 1, record: false }).process();
  process.createFile("/s", 0o600, 4096, []);
  const first = process.openFile("/s", "readwrite");
  const second = process.openFile("/s", "readwrite");
  expect(first.tryLock(range(0), "exclusive")).toBe(true);
  expect(second.tryLock(range(1), "exclusive")).toBe(true);
  expect(second.tryLock(range(0), "exclusive")).toBe(false);
  first.close();
  first.close();
  expect(second.tryLock(range(0), "exclusive")).toBe(true);
  expect(process.openFile("/s", "readwrite").lockedByOther(range(0, 2), "exclusive")).toBe(0);
});

test("a descriptor that may not write gets no exclusive lock", () => {
  const machine = new Machine({ seed: 1, record: false });
  machine.process().createFile("/s", 0o600, 4096, []);
  const reader = machine.process();
  reader.mayWrite = false;
  expect(() => reader.openFile("/s", "readwrite")).toThrow("EACCES");
  const file = reader.openFile("/s", "readonly");
  expect(file.writable).toBe(false);
  expect(file.tryLock(range(0), "shared")).toBe(true);
  expect(() => file.tryLock(range(0), "exclusive")).toThrow("EBADF");
});
