import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { loadAddon } from "../../src/mapping/addon.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { temporaryFolder } from "../support/temp-folder.ts";
import { childPath, compileC, start } from "./processes.ts";

const addon = loadAddon();
const folder = temporaryFolder();
const LOCK_BYTES = [0, 1, 3] as const;
const WINDOW = 2 ** 30;
let fileCount = 0;

function newPath(): string {
  return join(folder, `file-${fileCount++}`);
}

function newFile(size: number, fill = 0): string {
  const path = newPath();
  writeFileSync(path, new Uint8Array(size).fill(fill));
  return path;
}

test("an addon that can't be loaded is an error that says what was tried and what to run", async () => {
  const root = join(folder, "package");
  mkdirSync(join(root, "src", "mapping"), { recursive: true });
  mkdirSync(join(root, "build", "Release"), { recursive: true });
  for (const file of ["src/errors.ts", "src/mapping/addon.ts"]) {
    copyFileSync(new URL(`../../${file}`, import.meta.url), join(root, file));
  }
  writeFileSync(join(root, "build", "Release", "foliodb.node"), "no library");
  const copy = await import(pathToFileURL(join(root, "src", "mapping", "addon.ts")).href);
  const prebuilt = join(root, "prebuilds", `${process.platform}-${process.arch}`, "foliodb.node");
  expect(() => copy.loadAddon()).toThrow(
    expect.objectContaining({
      code: "ADDON",
      message: expect.stringContaining(`${prebuilt}: no such file`),
    }),
  );
  expect(() => copy.loadAddon()).toThrow(join(root, "build"));
  expect(() => copy.loadAddon()).toThrow("npm run setup");
});

test("errors of the system carry code, call and path", () => {
  const path = join(folder, "missing");
  expect(() => addon.openFile(path, true, true, undefined)).toThrow(
    expect.objectContaining({ name: "SystemError", code: "ENOENT", errno: 2, syscall: "open", path }),
  );
});

// Windows has neither pipes nor devices among its files; test/errors/opening.test.ts has its "NUL".
test.skipIf(ON_WINDOWS)("what is no regular file is refused without waiting for it", () => {
  const fifo = newPath();
  execFileSync("mkfifo", [fifo]);
  expect(() => addon.openFile(folder, false, true, undefined)).toThrow(expect.objectContaining({ code: "EISDIR" }));
  expect(() => addon.openFile(fifo, false, true, undefined)).toThrow(expect.objectContaining({ code: "EINVAL" }));
  expect(() => addon.openFile("/dev/null", false, true, undefined)).toThrow(
    expect.objectContaining({ code: "EINVAL" }),
  );
});

// On Windows a view ends where the file does: test/store/growth.test.ts.
test.skipIf(ON_WINDOWS)(
  "a window shows the file, past its end too once it has grown, and is unmapped and unusable after close",
  () => {
    const path = newFile(4096, 1);
    const file = addon.openFile(path, true, true, LOCK_BYTES);
    const memory = file.map(0, WINDOW, true, WINDOW);
    const bytes = new Uint8Array(memory);
    const view = new DataView(memory);
    expect(bytes[4095]).toBe(1);
    file.allocate(4096, 1 << 20);
    bytes[(1 << 20) - 1] = 7;
    expect(readFileSync(path)[(1 << 20) - 1]).toBe(7);
    const mapped = (): boolean => readFileSync("/proc/self/maps", "utf8").includes(path);
    expect(mapped()).toBe(true);
    file.close();
    file.close();
    expect(mapped()).toBe(false);
    expect(memory.byteLength).toBe(0);
    expect(() => view.getUint8(0)).toThrow(TypeError);
    expect(() => file.size()).toThrow("closed");
  },
);

test("a window can be mapped and unmapped again and again", () => {
  const path = newFile(4096, 1);
  for (let i = 0; i < 200; i++) {
    const file = addon.openFile(path, true, true, LOCK_BYTES);
    expect(new Uint8Array(file.map(0, WINDOW, true, WINDOW))[5]).toBe(1);
    file.close();
  }
});

test("a forgotten file gives back descriptor, windows and threads when it is collected", async () => {
  const { status, errors, output } = await start("forgotten.mjs", [newPath()]).ended;
  expect({ status, errors, output }).toEqual({ status: 0, errors: "", output: "collected\n" });
});

// Windows can't limit a process's addresses, and maps a window anew where its file has grown.
test.skipIf(ON_WINDOWS).each([
  { addresses: "unlimited", system: "", anew: process.platform !== "linux" },
  { addresses: String(32 * 1024 * 1024), system: "", anew: true },
  { addresses: "unlimited", system: "no-gigabyte", anew: true },
])("a longer ArrayBuffer of a window shows the same memory (addresses: $addresses $system)", (condition) => {
  const { addresses, system, anew } = condition;
  const command = `ulimit -v ${addresses} && exec "$0" "$@"`;
  const parameters = ["-c", command, process.execPath, childPath("longer.mjs"), newPath()];
  const env = { ...process.env, LD_PRELOAD: compileC("system.c", folder), FOLIODB_SYSTEM: system };
  expect(JSON.parse(execFileSync("sh", parameters, { encoding: "utf8", env }))).toEqual({
    lengths: [512, 1024],
    shared: [3, 5],
    flushed: [5, 3, 3, 3, 3],
    anew,
    fault: 0,
  });
});

// Windows can't limit a process's addresses.
test.skipIf(ON_WINDOWS)("without address space a window is an error, and the process lives", () => {
  // 32 GiB of addresses, of which Node takes some.
  const command = `ulimit -v ${32 * 1024 * 1024} && exec "$0" "$@"`;
  const parameters = ["-c", command, process.execPath, childPath("forgotten.mjs"), newPath(), "too many windows"];
  expect(execFileSync("sh", parameters, { encoding: "utf8" })).toBe("ENOMEM mmap\n");
});

/** The type of a tmpfs: there is nothing that its pages could be read from again. */
const TMPFS = 0x01021994;
/** What the first, eighth, ninth and last of 16 prepared blocks hold where the system can do everything. */
const PREPARED = [
  { condition: "in memory", prepared: [9, 9, 9, 9] },
  { condition: "not in memory", prepared: [0, 0, 0, 0] },
  { condition: "partly in memory", prepared: [0, 0, 8, 8] },
];

// Windows tells nobody what is in memory: blocks are always written there.
test.skipIf(ON_WINDOWS).each(["", "no-count", "no-populate", "no-count,no-populate"])(
  "prepared blocks take stores, absent ones become zeros, and the end of the file is kept (system: '%s')",
  async (system) => {
    const environment = { LD_PRELOAD: compileC("system.c", folder), FOLIODB_SYSTEM: system };
    const dropped = statfsSync(folder).type !== TMPFS;
    for (const { condition, prepared } of PREPARED) {
      const { output, errors } = await start("prepare.mjs", [newPath(), condition], environment).ended;
      expect(errors).toBe("");
      expect(JSON.parse(output), condition).toEqual({
        // Without populating, a write of zeros over all of it makes sure of the blocks.
        prepared: system.includes("no-populate") ? [0, 0, 0, 0] : prepared.map((byte) => (dropped ? byte : byte || 9)),
        around: [9, 9],
        stored: true,
        refused: "EIO",
        size: 12 * 4096,
        fault: 0,
      });
    }
  },
);

test("no argument, however wrong, reaches the memory", () => {
  const path = newFile(1 << 16);
  const file = addon.openFile(path, true, true, LOCK_BYTES);
  const coordination = addon.openFile(newFile(4096), true, true, undefined);
  coordination.map(0, 4096, true, 4096);
  file.map(0, WINDOW, true, WINDOW);
  file.attach(coordination, 200, 192, 128);
  // In the order of the addon's parameters.
  const plan = {
    pageSize: 4096,
    runs: new Uint32Array([2, 2]),
    checksumSeed: 1,
    metaAt: 0,
    meta: new Uint8Array(512),
    metaCopyAt: 2048,
    rewrites: [],
    publishIndex: 0,
    unlockWriter: false,
  };
  const detached = new Uint32Array([2, 2]);
  structuredClone(detached, { transfer: [detached.buffer] });
  const wrongPlans: object[] = [
    { ...plan, runs: detached },
    { ...plan, runs: new Uint32Array([2 ** 18 - 1, 2]) },
    { ...plan, runs: new Uint32Array([2 ** 32 - 1, 1]) },
    { ...plan, runs: new Uint32Array([1, 2 ** 32 - 1]) },
    { ...plan, runs: new Uint32Array([1, 0]) },
    { ...plan, runs: new Uint32Array([1]) },
    { ...plan, runs: [1, 1] },
    { ...plan, runs: new Uint32Array([2, 2, 2]) },
    { ...plan, runs: new Int32Array([2, 2]) },
    { ...plan, runs: Number.NaN },
    { ...plan, pageSize: 0 },
    { ...plan, pageSize: Number.NaN },
    { ...plan, pageSize: 4096.5 },
    { ...plan, pageSize: 2 ** 17 },
    { ...plan, pageSize: Number.POSITIVE_INFINITY },
    { ...plan, metaAt: WINDOW - 512 },
    { ...plan, metaAt: -1 },
    { ...plan, metaAt: 2 ** 60 },
    { ...plan, metaCopyAt: 0 },
    { ...plan, metaCopyAt: 2 ** 31 },
    { ...plan, meta: new Uint8Array(0) },
    { ...plan, meta: "text" },
    { ...plan, meta: new Uint8ClampedArray(512) },
    { ...plan, meta: new DataView(new ArrayBuffer(512)) },
    { ...plan, meta: new Uint8Array(4096) },
    { ...plan, rewrites: [{ at: 2 ** 40, record: new Uint8Array(4) }] },
    { ...plan, rewrites: [{ at: -1, record: new Uint8Array(4) }] },
    { ...plan, rewrites: [{ at: 0, record: "text" }] },
    { ...plan, rewrites: [{}] },
    { ...plan, rewrites: [5] },
    { ...plan, rewrites: new Array(1) },
    { ...plan, rewrites: "text" },
    { ...plan, publishIndex: -1 },
    { ...plan, publishIndex: 2 ** 31 },
    { ...plan, checksumSeed: 2 ** 32 },
    { ...plan, checksumSeed: "1" },
    { ...plan, unlockWriter: 1 },
    {},
  ];
  const right: readonly unknown[] = Object.values(plan);
  const wrongArguments = [
    ...wrongPlans.map((wrong) => Object.values(wrong)),
    // Something is missing, at the end or before it, or the plan comes in one piece.
    ...right.map((_, index) => right.slice(0, index)),
    ...right.map((_, index) => right.with(index, undefined)),
    [plan],
  ];
  const callback = (): void => {};
  for (const wrong of wrongArguments) {
    expect(() => Reflect.apply(file.commitSync, file, wrong), JSON.stringify(wrong)).toThrow(TypeError);
    expect(() => Reflect.apply(file.commit, file, [callback, ...wrong]), JSON.stringify(wrong)).toThrow(TypeError);
  }
  for (const wrong of [[], right, [undefined, ...right], [plan, callback], [...right, callback]]) {
    expect(() => Reflect.apply(file.commit, file, wrong), JSON.stringify(wrong)).toThrow(TypeError);
  }
  const values = [
    -1,
    0.5,
    Number.NaN,
    2 ** 53,
    2 ** 31,
    1,
    undefined,
    null,
    "",
    "a\0b",
    {},
    [],
    new Uint8Array(3),
    () => {},
    1n,
  ];
  const methods: [keyof typeof file, number][] = [
    ["map", 3],
    ["prepare", 3],
    ["allocate", 2],
    ["read", 2],
    ["write", 2],
    ["attach", 4],
    ["lock", 3],
    ["unlock", 2],
    ["lockedByOther", 3],
    ["waitLockAsync", 2],
    ["cancelWait", 1],
    ["commitSync", 9],
    ["commit", 10],
  ];
  let state = 12345;
  for (const [method, parameterCount] of methods) {
    for (let round = 0; round < 200; round++) {
      const parameters = Array.from({ length: parameterCount }, () => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return values[(state >>> 16) % values.length];
      });
      // Growing the file to 2 GiB would be right, and slow.
      if (method === "allocate" || method === "write") parameters[0] = "no offset";
      try {
        Reflect.apply(file[method] as () => void, file, parameters);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
  }
  // One wrong value among right ones; a few are right as well.
  const alone = right.flatMap((_, index) => values.map((value) => right.with(index, value)));
  const committed = alone.filter((parameters) => {
    try {
      return Reflect.apply(file.commitSync, file, parameters) === null;
    } catch (error) {
      expect(error, JSON.stringify(parameters.map(String))).toBeInstanceOf(TypeError);
      return false;
    }
  });
  expect(committed.length).toBe(6);
  expect(() => Reflect.apply(file.size, {}, [])).toThrow(TypeError);
  expect(Reflect.apply(file.commitSync, file, right)).toBeNull();
  const commitWith = (rewrite: object): unknown =>
    Reflect.apply(file.commitSync, file, Object.values({ ...plan, rewrites: [rewrite] }));
  const record = new Uint8Array(4);
  expect(commitWith({ at: 0, record })).toBeNull();
  const refuse = (): never => {
    throw new RangeError("the getter's");
  };
  expect(() => commitWith(Object.defineProperty({ record }, "at", { get: refuse }))).toThrow("the getter's");
  expect(() => commitWith(Object.defineProperty({ at: 0 }, "record", { get: refuse }))).toThrow("the getter's");
  const close = (): number => {
    file.close();
    return 0;
  };
  expect(() => commitWith(Object.defineProperty({ record }, "at", { get: close }))).toThrow("closed");
  coordination.close();
});
