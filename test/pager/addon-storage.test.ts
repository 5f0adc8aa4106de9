/** The addon's storage on real files: creating, naming, growing, mapping, locking them. */
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import { SystemError } from "../../src/errors.ts";
import { loadAddon } from "../../src/mapping/addon.ts";
import { COORDINATION_NEWEST } from "../../src/store/format/coordination.ts";
import { LOCK_PRESENCE } from "../../src/store/format/locks.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { coordinate, FLUSH, folder, MIB, newFile, newPath, open, storage, WINDOW, WRITER } from "./addon-files.ts";

const mounts: string[] = [];

afterAll(() => {
  for (const mount of mounts) execFileSync("umount", [mount]);
});

/** A mounted file system of a few MiB, or undefined where this process may not mount. */
function mountSmall(name: string, make: (image: string, at: string) => void): string | undefined {
  const at = join(folder, name);
  mkdirSync(at);
  try {
    make(join(folder, `${name}.image`), at);
  } catch {
    return undefined;
  }
  mounts.push(at);
  return at;
}

const tmpfs = mountSmall("tmpfs", (_, at) => execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", at]));
// Without extents ext4 can't allocate, as ext3 could not.
const ext3 = mountSmall("ext3", (image, at) => {
  writeFileSync(image, new Uint8Array(8 * MIB));
  execFileSync("mkfs.ext4", ["-q", "-O", "^extent,^has_journal,^64bit", image]);
  execFileSync("mount", ["-o", "loop", image, at]);
});
/** Those that could be mounted. */
const smallDisks = Object.entries({ tmpfs, ext3 }).flatMap(([name, at]) => (at === undefined ? [] : [{ name, at }]));

test("a file is created whole, with blocks for all of it, and never replaces another", () => {
  const path = newPath();
  const content = [
    { at: 0, bytes: new Uint8Array([1, 2, 3]) },
    { at: 65536, bytes: new Uint8Array([4]) },
  ];
  expect(storage.createFile(path, 0o640, MIB, content)).toBe(true);
  expect(storage.createFile(path, 0o600, 4096, [])).toBe(false);
  const bytes = readFileSync(path);
  expect([...bytes.subarray(0, 4), bytes[65536]]).toEqual([1, 2, 3, 0, 4]);
  const { size, blocks, mode, nlink } = statSync(path);
  expect({ size, mode: mode & 0o777, nlink }).toEqual({ size: MIB, mode: ON_WINDOWS ? 0o666 : 0o640, nlink: 1 });
  if (!ON_WINDOWS) expect(blocks * 512).toBeGreaterThanOrEqual(MIB);
  expect(() => storage.createFile(join(folder, "none", "file"), 0o600, 4096, [])).toThrow(
    expect.objectContaining({ code: "ENOENT" }),
  );
});

test.each([["hard links"], ["renaming"]])("where files have no creation without a name, it is by %s", (way) => {
  const addon = loadAddon();
  vi.spyOn(addon, "createUnnamed").mockReturnValue(undefined);
  if (way === "renaming") {
    vi.spyOn(addon, "linkName").mockImplementation((_, to) => {
      throw new SystemError("EPERM", 1, "link", to, "Operation not permitted");
    });
  }
  const inFolder = join(folder, way);
  mkdirSync(inFolder);
  const path = join(inFolder, "file");
  expect(storage.createFile(path, 0o600, 8192, [{ at: 0, bytes: new Uint8Array([7]) }])).toBe(true);
  expect(storage.createFile(path, 0o600, 8192, [])).toBe(false);
  expect(readFileSync(path)[0]).toBe(7);
  expect(statSync(path).nlink).toBe(1);
  expect(readdirSync(inFolder)).toEqual(["file"]);
});

test("opening tells what is there, and a reader opens for writing where it may", () => {
  expect(() => open(newPath())).toThrow(expect.objectContaining({ code: "ENOENT" }));
  expect(() => open(folder, "readonly")).toThrow(expect.objectContaining({ code: "EISDIR" }));
  const path = newFile(4096);
  expect(open(path, "readonly").writable).toBe(true);
});

test.skipIf(tmpfs === undefined)("where nothing may be written, a reader reads and a writer is told", () => {
  const disk = tmpfs ?? "";
  const path = join(disk, "read-only");
  writeFileSync(path, new Uint8Array(4096).fill(1));
  execFileSync("mount", ["-o", "remount,ro", disk]);
  try {
    expect(() => open(path)).toThrow(expect.objectContaining({ code: "EROFS" }));
    const file = open(path, "readonly");
    expect(file.writable).toBe(false);
    expect(file.mapWindow(0, WINDOW, false).bytes[5]).toBe(1);
    expect(file.tryLock({ start: 2, length: 1 }, "shared")).toBe(true);
    expect(() => file.mapWindow(1, WINDOW, true)).toThrow(expect.objectContaining({ code: "EACCES" }));
    expect(() => storage.openCoordination(path, 1)).toThrow(expect.objectContaining({ code: "EROFS" }));
  } finally {
    execFileSync("mount", ["-o", "remount,rw", disk]);
    rmSync(path);
  }
});

test("a file knows its name, and when that is another's", () => {
  const path = newFile(4096);
  const file = open(path);
  const { dev, ino } = statSync(path, { bigint: true });
  expect(file.identity()).toEqual({ device: dev, inode: ino });
  expect(file.isNamed()).toBe(true);
  renameSync(path, `${path}-2`);
  expect(file.isNamed()).toBe(false);
  writeFileSync(path, "another");
  expect(file.isNamed()).toBe(false);
  renameSync(`${path}-2`, path);
  expect(file.isNamed()).toBe(true);
});

test("a file grows with blocks, never shrinks by growing, and reads to its end", () => {
  const path = newFile(5000, 3);
  const file = open(path);
  file.grow(4096);
  expect(file.size()).toBe(5000);
  file.grow(MIB);
  expect(file.size()).toBe(MIB);
  if (!ON_WINDOWS) expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(MIB);
  const bytes = new Uint8Array(8192);
  expect(file.read(4096, bytes)).toBe(8192);
  expect([bytes[903], bytes[904]]).toEqual([3, 0]);
  expect(file.read(MIB - 10, bytes)).toBe(10);
  expect(file.read(2 * MIB, bytes)).toBe(0);
});

test("small disks could be mounted, so that the tests on full ones mean something", ({ skip }) => {
  if (process.getuid?.() !== 0) skip("only root can mount");
  expect(smallDisks.map((disk) => disk.name)).toEqual(["tmpfs", "ext3"]);
});

test.each(smallDisks)("a full $name is an error that leaves everything as it was", ({ name, at: disk }) => {
  const path = join(disk, "store");
  expect(storage.createFile(path, 0o600, MIB, [])).toBe(true);
  const file = open(path);
  const window = file.mapWindow(0, 2 ** 26, true);
  const full = expect.objectContaining({ code: "ENOSPC" });
  expect(() => file.grow(64 * MIB)).toThrow(full);
  expect(file.size()).toBe(MIB);
  file.grow(MIB + 300_000);
  expect(file.size()).toBe(MIB + 300_000);
  expect(() => storage.createFile(join(disk, "second"), 0o600, 64 * MIB, [])).toThrow(full);
  expect(() => storage.createCoordination(join(disk, "third"), 64 * MIB, 0o600, () => {})).toThrow(full);
  // A hole, which this package never makes: as if somebody had copied the store sparsely.
  truncateSync(path, 32 * MIB);
  expect(() => file.prepare(window, 2 * MIB, 30 * MIB)).toThrow(full);
  expect(file.faults[0], name).toBe(0);
  expect(readdirSync(disk).filter((entry) => entry !== "lost+found")).toEqual(["store"]);
  file.close();
  rmSync(path);
});

test.skipIf(ext3 === undefined)("a hole that is in memory is no page to store into when the disk is full", () => {
  const disk = ext3 ?? "";
  const path = join(disk, "sparse");
  writeFileSync(path, "");
  truncateSync(path, MIB);
  const file = open(path);
  const window = file.mapWindow(0, WINDOW, true);
  expect(window.bytes[8192]).toBe(0);
  const filler = join(disk, "filler");
  expect(() => writeFileSync(filler, new Uint8Array(16 * MIB))).toThrow("ENOSPC");
  expect(() => file.prepare(window, 8192, 4096)).toThrow(expect.objectContaining({ code: "ENOSPC" }));
  expect(file.faults[0]).toBe(0);
  rmSync(filler);
  file.prepare(window, 8192, 4096);
  window.bytes[8192] = 1;
  file.flush();
  expect(readFileSync(path)[8192]).toBe(1);
  file.close();
  rmSync(path);
});

test("windows are the file, one for each index, and useless once the file is closed", () => {
  const path = newFile(3 * MIB, 5);
  const file = open(path);
  const second = file.mapWindow(1, WINDOW, true);
  expect(file.mapWindow(1, WINDOW, true)).toBe(second);
  const first = file.mapWindow(0, WINDOW, true);
  second.view.setUint8(7, 9);
  expect(readFileSync(path)[MIB + 7]).toBe(9);
  expect(first.bytes.toString("latin1", 0, 3)).toBe("\x05\x05\x05");
  expect(() => file.mapWindow(2, 2 * WINDOW, true)).toThrow(TypeError);
  file.close();
  file.close();
  expect(() => second.view.getUint8(7)).toThrow(TypeError);
  expect(first.bytes.length).toBe(0);
  expect(file.faults[0]).toBe(0);
});

test("prepared pages take stores at once and keep their neighbours", () => {
  const path = newFile(MIB, 5);
  const file = open(path);
  const window = file.mapWindow(0, WINDOW, true);
  file.flush();
  file.dropCache();
  file.prepare(window, 4096, 4096);
  file.prepare(window, 12_288, 65_536);
  expect([window.bytes[4095], window.bytes[8192], window.bytes[77_824]]).toEqual([5, 5, 5]);
  window.bytes.fill(8, 4096, 8192);
  expect(readFileSync(path)[5000]).toBe(8);
  expect(() => file.prepare(window, 100, 4096)).toThrow(TypeError);
  expect(() => file.prepare(window, WINDOW - 4096, 8192)).toThrow(TypeError);
});

test("a coordination file appears whole, is found again, and shares its words", () => {
  const path = newPath();
  writeFileSync(path, "not ours");
  writeFileSync(`${path}.new`, "left by one who was killed at it");
  const one = coordinate(path, (view) => view.setInt32(COORDINATION_NEWEST, -1, true));
  expect(one.byteLength).toBe(8192);
  const other = storage.openCoordination(path, 8192);
  if (other === undefined) throw new Error("not found");
  onTestFinished(() => other.close());
  expect(other.view.getInt32(COORDINATION_NEWEST, true)).toBe(-1);
  Atomics.store(other.words, 50, 7);
  expect(Atomics.load(one.words, 50)).toBe(7);
  // Owner bytes 0 and 3 are plain locks here, not the store file's writer and waiting bytes.
  for (const start of [0, 3]) {
    expect(one.tryLock({ start, length: 1 }, "exclusive")).toBe(true);
    expect(other.tryLock({ start, length: 1 }, "exclusive")).toBe(false);
    one.unlock({ start, length: 1 });
    expect(one.tryLock({ start, length: 1 }, "exclusive")).toBe(true);
  }
  expect(() => coordinate(path, () => fail())).toThrow("fill failed");
  const again = storage.openCoordination(path, 8192);
  expect(again?.words[50]).toBe(7);
  again?.close();
  expect(readdirSync(folder).filter((name) => name.endsWith(".new"))).toEqual([]);
});

function fail(): never {
  throw new Error("fill failed");
}

test("what can't be a coordination file is none", () => {
  const path = newFile(100);
  const special = ON_WINDOWS ? [] : [`${path}-link`, `${path}-fifo`];
  if (!ON_WINDOWS) {
    symlinkSync(newFile(8192), `${path}-link`);
    execFileSync("mkfifo", [`${path}-fifo`]);
  }
  for (const name of [newPath(), path, ...special, folder, join(path, "below"), newFile(0)]) {
    expect(storage.openCoordination(name, 4096), name).toBeUndefined();
  }
});

test("waits for any lock end in time, and the writer's can be had in a later turn", async () => {
  const path = newFile(4096);
  const [one, other] = [open(path), open(path)];
  const presence = { start: LOCK_PRESENCE, length: 10 };
  for (const range of [WRITER, FLUSH, presence]) {
    expect(one.waitLock(range, 0)).toBe(true);
    expect(other.waitLock(range, 30)).toBe(false);
    one.unlock(range);
    expect(other.waitLock(range, 1000)).toBe(true);
    other.unlock(range);
  }
  expect(one.tryLock(WRITER, "exclusive")).toBe(true);
  const wait = other.waitLockAsync(WRITER, 1000);
  one.unlock(WRITER);
  expect(await wait.granted).toBe(true);
  const late = one.waitLockAsync(WRITER, 1000);
  expect(() => one.waitLockAsync(WRITER, 1000)).toThrow("one wait at a time");
  late.cancel();
  expect(await late.granted).toBe(false);
});

test("identifiers: the boot's is the kernel's, random ones differ", () => {
  if (process.platform === "linux") {
    const kernel = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").replaceAll(/[-\n]/g, "");
    expect(Buffer.from(storage.bootId()).toString("hex")).toBe(kernel);
  }
  expect(storage.bootId()).toEqual(storage.bootId());
  expect(storage.bootId().some((byte) => byte !== 0)).toBe(true);
  expect(storage.random(16)).toHaveLength(16);
  expect(storage.random(16)).not.toEqual(storage.random(16));
  expect(storage.crc32c(Buffer.from("123456789"), 0, 9, 0)).toBe(0xe3069283);
});
