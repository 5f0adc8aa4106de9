import { describe, expect, test } from "vitest";
import type { StoreFile } from "../../src/store/pager/storage.ts";
import type { MachineOptions } from "./machine.ts";
import { Machine } from "./machine.ts";
import type { SimulatedProcess } from "./process.ts";
import { Random } from "./random.ts";
import { recoverToy, TOY_PATH, ToyStore, WINDOW_SIZE } from "./toy-store.ts";

const BLOCK = 4096;
const PATH = "/file";

interface Opened {
  machine: Machine;
  process: SimulatedProcess;
  file: StoreFile;
  bytes: Uint8Array;
}

/** A file of four blocks of ones. */
function open(options: Partial<MachineOptions> = {}): Opened {
  const machine = new Machine({ seed: 1, ...options });
  const process = machine.process();
  process.createFile(PATH, 0o600, 4 * BLOCK, [{ at: 0, bytes: new Uint8Array(4 * BLOCK).fill(1) }]);
  const file = process.openFile(PATH, "readwrite");
  const { bytes } = file.mapWindow(0, WINDOW_SIZE, true);
  return { machine, process, file, bytes };
}

describe("a crash image", () => {
  test.each([8, 64, 512, 4096] as const)("mixes versions by units of %i bytes", (unit) => {
    const { machine, bytes } = open({ unit });
    bytes.fill(2, BLOCK, 2 * BLOCK);
    machine.observe();
    bytes.fill(3, BLOCK, 2 * BLOCK);
    const point = machine.crashPoint();
    const kinds = new Set<number>();
    let differing = 0;
    for (let seed = 0; seed < 50; seed++) {
      const found = point.image(seed).readFile(PATH);
      for (let at = 0; at < found.length; at += unit) {
        const first = found[at];
        kinds.add(first);
        expect(found.subarray(at, at + unit).every((byte) => byte === first)).toBe(true);
        if (at < BLOCK || at >= 2 * BLOCK) expect(first).toBe(1);
        else if (first !== found[BLOCK]) differing++;
      }
    }
    expect([...kinds].sort()).toEqual([1, 2, 3]);
    expect(differing > 0).toBe(unit < BLOCK);
  });

  test("is the same for the same seed, and another for another", () => {
    const digest = (machineSeed: number, imageSeed: number): string => {
      const { machine, process, bytes } = open({ seed: machineSeed });
      bytes.set(process.random(BLOCK), BLOCK);
      machine.observe();
      bytes.set(process.random(BLOCK), BLOCK);
      const image = machine.crashImage(imageSeed, { unit: 8 });
      return Buffer.from(image.readFile(PATH)).toString("base64") + image.process().bootId().join();
    };
    expect(digest(1, 1)).toBe(digest(1, 1));
    expect(digest(1, 2)).not.toBe(digest(1, 1));
    expect(digest(2, 1)).not.toBe(digest(1, 1));
  });

  test("does not change the machine it was taken of, and that one not the image", () => {
    const { machine, bytes } = open();
    bytes.fill(2, 0, BLOCK);
    const image = machine.crashPoint();
    bytes.fill(3, 0, BLOCK);
    machine.observe();
    const rebooted = image.image(new Random(1), { unit: 4096 });
    expect([1, 2]).toContain(rebooted.readFile(PATH)[0]);
    rebooted.poke(PATH, 0, Uint8Array.of(77));
    expect(machine.readFile(PATH)[0]).toBe(3);
    expect(image.image(1).readFile(PATH)[0]).not.toBe(77);
  });

  test("belongs to another boot and knows no locks", () => {
    const { machine, file, process } = open();
    file.tryLock({ start: 0, length: 1 }, "exclusive");
    const rebooted = machine.powerLoss(1);
    expect(process.killed).toBe(true);
    const after = rebooted.process();
    expect(after.bootId()).not.toEqual(machine.bootId);
    expect(after.openFile(PATH, "readwrite").tryLock({ start: 0, length: 1 }, "exclusive")).toBe(true);
  });

  test("has any size since the last flush, and zeros or garbage in blocks that were added", () => {
    const { machine, file } = open();
    file.grow(6 * BLOCK);
    file.grow(8 * BLOCK);
    const sizes = new Set<number>();
    let garbage = 0;
    for (let seed = 0; seed < 100; seed++) {
      const clean = machine.crashImage(seed).readFile(PATH);
      sizes.add(clean.length / BLOCK);
      expect(clean.subarray(4 * BLOCK).every((byte) => byte === 0)).toBe(true);
      const dirty = machine.crashImage(seed, { garbage: true }).readFile(PATH);
      if (dirty.subarray(4 * BLOCK).some((byte) => byte !== 0)) garbage++;
      expect(dirty.subarray(0, 4 * BLOCK).every((byte) => byte === 1)).toBe(true);
    }
    expect([...sizes].sort()).toEqual([4, 6, 8]);
    expect(garbage).toBeGreaterThan(20);
    file.flush();
    expect(machine.crashImage(1, { garbage: true }).readFile(PATH).length).toBe(8 * BLOCK);
  });

  test("cuts what was stored past the size it has", () => {
    const { machine, file, bytes } = open();
    file.grow(5 * BLOCK);
    bytes.fill(2, 4 * BLOCK, 5 * BLOCK);
    const found = [...machine.imagesExhaustive(10)].map((image) => {
      const content = image.readFile(PATH);
      return `${content.length / BLOCK}:${content.at(-1)}`;
    });
    expect(found.sort()).toEqual(["4:1", "5:0", "5:2"]);
  });

  test("exists for every combination, once each, or is refused when there are too many", () => {
    const { machine, bytes } = open();
    for (const block of [0, 1, 3]) bytes.fill(2, block * BLOCK, (block + 1) * BLOCK);
    machine.observe();
    bytes.fill(3, 3 * BLOCK, 4 * BLOCK);
    expect(machine.crashPoint().imageCount).toBe(12);
    const found = [...machine.imagesExhaustive(12)].map((image) => {
      const content = image.readFile(PATH);
      return [0, 1, 2, 3].map((block) => content[block * BLOCK]).join("");
    });
    expect(new Set(found).size).toBe(12);
    expect(found.length).toBe(12);
    expect(() => [...machine.imagesExhaustive(11)]).toThrow("12 images are not more than 11");
  });

  test("has no coordination file, or a stale one with any of what it held", () => {
    const machine = new Machine({ seed: 1 });
    const store = new ToyStore(machine.process());
    for (let i = 0; i < 3; i++) store.file.commitSync(store.plan());
    const path = `${TOY_PATH}-lock`;
    expect(machine.crashImage(1).process().openCoordination(path, 1)).toBeUndefined();
    const newest = new Set<number | undefined>();
    for (let seed = 0; seed < 100; seed++) {
      const rebooted = machine.crashImage(seed, { coordination: "stale" }).process();
      newest.add(rebooted.openCoordination(path, 1)?.words[32]);
    }
    expect(newest).toContain(undefined);
    expect(newest).toContain(0);
    expect(newest).toContain(2);
    expect(newest).toContain(3);
  });

  test("is the same in memory that a closed machine left", () => {
    const { machine, file, bytes } = open();
    file.grow(9 * BLOCK);
    bytes.fill(2, BLOCK, 2 * BLOCK);
    const point = machine.crashPoint();
    const load = (seed: number): { image: Machine; memory: Buffer } => {
      const image = point.image(seed);
      return { image, memory: image.process().openFile(PATH, "readwrite").mapWindow(0, WINDOW_SIZE, true).bytes };
    };
    const fresh = Array.from({ length: 10 }, (_, seed) => load(seed).memory);
    fresh.forEach((expected, seed) => {
      const { image, memory } = load(seed);
      expect(memory.equals(expected)).toBe(true);
      memory.fill(0xff);
      image.close();
      image.close();
    });
    expect(() => machine.process().openFile(PATH, "readwrite").size()).not.toThrow();
  });

  test("has a created file whole, or not at all while its directory was not flushed", () => {
    const machine = new Machine({ seed: 1 });
    const process = machine.process();
    process.createFile("/durable", 0o600, BLOCK, []);
    process.failures.add("directory flush", 1, "EIO");
    expect(() => process.createFile("/new", 0o600, BLOCK, [{ at: 0, bytes: Uint8Array.of(5) }])).toThrow("EIO");
    let there = 0;
    for (let seed = 0; seed < 40; seed++) {
      const after = machine.crashImage(seed);
      expect(after.find("/durable")).toBeDefined();
      if (after.find("/new") === undefined) continue;
      there++;
      expect(after.readFile("/new")[0]).toBe(5);
    }
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThan(40);
    expect([...machine.imagesExhaustive(2)].length).toBe(2);
  });
});

describe("calls that fail", () => {
  test("fail at the n-th time, once or lastingly, and leave things as they were", () => {
    const { process, file } = open();
    process.failures.add("grow", 2, "EDQUOT");
    file.grow(5 * BLOCK);
    expect(() => file.grow(6 * BLOCK)).toThrow("EDQUOT");
    expect(file.size()).toBe(5 * BLOCK);
    file.grow(6 * BLOCK);
    process.failures.add("flush", 1, "EIO", true);
    expect(() => file.flush()).toThrow("EIO");
    expect(() => file.flush()).toThrow("EIO");
    process.failures.clear();
    file.flush();
    process.failures.add("any", 1, "ENOMEM");
    expect(() => file.mapWindow(1, WINDOW_SIZE, true)).toThrow("ENOMEM");
    expect(process.failures.failed).toBe(4);
  });

  test("include growth beyond the capacity of the disk", () => {
    const { machine, file, process } = open({ diskCapacity: 6 * BLOCK });
    file.grow(6 * BLOCK);
    expect(() => file.grow(7 * BLOCK)).toThrow("ENOSPC");
    expect(file.size()).toBe(6 * BLOCK);
    expect(() => process.createFile("/more", 0o600, BLOCK, [])).toThrow("ENOSPC");
    machine.diskCapacity = 8 * BLOCK;
    file.grow(7 * BLOCK);
  });

  test("include a file that isn't there", () => {
    const { process } = open();
    expect(() => process.openFile("/none", "readonly")).toThrow("ENOENT");
    expect(process.createFile(PATH, 0o600, BLOCK, [])).toBe(false);
  });
});

describe("the ways of finding stores", () => {
  test("declared: only announced blocks are looked at, and each flush ends the announcements", () => {
    const { machine, file, bytes } = open({ compare: "declared" });
    file.prepare({ view: new DataView(bytes.buffer), bytes: Buffer.from(bytes.buffer) }, BLOCK, BLOCK);
    bytes.fill(2, BLOCK, 2 * BLOCK);
    bytes.fill(2, 2 * BLOCK, 3 * BLOCK);
    expect(machine.crashPoint().unsettledCount).toBe(1);
  });

  test("strict: a store that nobody announced is an error at the next flush", () => {
    const { file, bytes } = open({ compare: "strict" });
    bytes.fill(2, BLOCK, 2 * BLOCK);
    expect(() => file.flush()).toThrow("blocks 1 of file 101 were stored to undeclared");
  });

  test("a store past the end of the file is an error when the file grows there", () => {
    const { file, bytes } = open();
    bytes[4 * BLOCK + 5] = 1;
    expect(() => file.grow(5 * BLOCK)).toThrow("nothing stored at 16384, past the end");
  });

  test("prepared pages hold their old content or zeros", () => {
    const { process, bytes } = open();
    const file = process.openFile(PATH, "readwrite");
    const window = file.mapWindow(0, WINDOW_SIZE, true);
    const found = new Set<number>();
    for (let i = 0; i < 20; i++) {
      bytes.fill(1, 0, BLOCK);
      file.prepare(window, 0, BLOCK);
      found.add(bytes[0]);
    }
    expect([...found].sort()).toEqual([0, 1]);
  });
});

describe("a machine that does not record", () => {
  test("is a storage in memory without crash images", () => {
    const { machine, file, bytes } = open({ record: false });
    bytes.fill(9, 0, BLOCK);
    file.flush();
    const target = new Uint8Array(2);
    expect(file.read(BLOCK - 1, target)).toBe(2);
    expect([...target]).toEqual([9, 1]);
    expect(file.read(4 * BLOCK - 1, target)).toBe(1);
    expect(() => machine.crashImage(1)).toThrow("the machine records");
  });
});

test("more than 3,000 images a second of a store of 40 pages with 10 unflushed can be opened", () => {
  const { machine, file, bytes } = open();
  file.grow(32 * BLOCK);
  file.flush();
  for (let version = 2; version < 5; version++) {
    bytes.fill(version, 3 * BLOCK, 13 * BLOCK);
    machine.observe();
  }
  const begin = performance.now();
  const point = machine.crashPoint();
  const count = 2000;
  for (let seed = 0; seed < count; seed++) {
    point.image(seed).process().openFile(PATH, "readwrite").mapWindow(0, WINDOW_SIZE, true);
  }
  // A busy machine of two cores takes its time: a third of the speed promised is what fails.
  expect(count / (performance.now() - begin)).toBeGreaterThan(1);
});

test("the toy store opens on the image of an image", () => {
  const machine = new Machine({ seed: 1 });
  const store = new ToyStore(machine.process());
  store.file.commitSync(store.plan());
  const once = machine.powerLoss(1, { record: true });
  const again = new ToyStore(once.process());
  again.number = 1;
  again.file.commitSync(again.plan());
  expect(recoverToy(once.powerLoss(2))).toBe(2);
});
