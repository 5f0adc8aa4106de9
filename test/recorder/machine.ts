/**
 * A simulated machine: files in a page cache over a disk that can lose power, and processes that share them, all in
 * one JavaScript thread. Under the unchanged engine it stands in for the operating system, so that a test can try every
 * interleaving, kill and power loss it can think of, and replay it from a seed.
 *
 *   const machine = new Machine({ seed: 1 });
 *   const writer = machine.process("writer");      // a Storage
 *   … the engine runs over `writer` …
 *   const rebooted = machine.crashImage(42);       // what a power loss at this moment may leave, on a new Machine
 *
 * With `record: false` it is nothing but a fast storage in memory, without versions and crash images.
 */
import type { Buffer } from "node:buffer";
import { assert } from "../../src/errors.ts";
import type { CommitJob } from "./commit-job.ts";
import type { DiskImage, FrozenFile, ImageOptions, Unit } from "./crash-image.ts";
import { CrashPoint } from "./crash-image.ts";
import type { FailedFlush } from "./disk.ts";
import { Killed } from "./killed.ts";
import { SimulatedProcess } from "./process.ts";
import { Random } from "./random.ts";
import type { Comparison, FileContent, FileKind } from "./simulated-file.ts";
import { contentOf, SimulatedFile } from "./simulated-file.ts";
import type { StoreOpening } from "./store-opening.ts";
import { WindowPool } from "./window-pool.ts";

export interface MachineOptions {
  /** Everything random comes from it: ids, the boot id, which prepared pages were resident. */
  readonly seed: number;
  /** Whether versions are kept, without which there are no crash images. True by default. */
  readonly record?: boolean;
  /** Bytes the device writes in one piece; chosen anew for each crash image by default. */
  readonly unit?: Unit;
  /** How stores are found; "full" by default. "declared" is for stores too large to compare at every step. */
  readonly compare?: Comparison;
  /** What a failed flush leaves on the device: nothing of it ("old", the default), or any part. */
  readonly failedFlush?: FailedFlush;
  /** Bytes all store files together may have. */
  readonly diskCapacity?: number;
}

/** Memory of all files at one moment. */
export interface MemoryCopy {
  readonly turn: number;
  readonly files: readonly { readonly file: SimulatedFile; readonly windows: readonly (Buffer | undefined)[] }[];
}

interface Entry {
  readonly file: SimulatedFile;
  /** Whether a crash can't undo the name any more. */
  readonly durable: boolean;
}

/** Inodes of a machine's first files; any number would do. */
const FIRST_INODE = 101;
const BOOT_ID_SIZE = 16;

export class Machine {
  readonly options: MachineOptions;
  readonly random: Random;
  readonly bootId: Uint8Array;
  /** The image this machine was booted from, for messages. */
  readonly image: DiskImage | undefined;
  /** True: commits in flight wait for the test to step them (`commits`), or for a caller of their process to wait. */
  manualCommits = false;
  /** Commits in flight, oldest first. */
  readonly commits: CommitJob[] = [];
  diskCapacity: number;
  readonly #pool: WindowPool;
  readonly #entries = new Map<string, Entry>();
  /** Files without a name that somebody has open still. */
  readonly #unnamed = new Set<SimulatedFile>();
  readonly #processes: SimulatedProcess[] = [];
  readonly #jobs = new Map<CommitJob, SimulatedProcess>();
  #inode = FIRST_INODE;
  #lastToEnter: SimulatedProcess | undefined;
  /** Counts how often another process than before made a call. */
  #turn = 0;

  /** `image` and `pool` are for machines booted from a crash image. */
  constructor(options: MachineOptions, image?: DiskImage, pool = new WindowPool()) {
    this.options = options;
    this.#pool = pool;
    this.image = image;
    this.diskCapacity = options.diskCapacity ?? Number.POSITIVE_INFINITY;
    this.random = new Random(options.seed);
    this.bootId = this.random.bytes(BOOT_ID_SIZE);
    for (const { path, kind, inode, content } of image?.files ?? []) {
      const file = new SimulatedFile(inode, kind, content, this.#recording, pool);
      this.#entries.set(path, { file, durable: true });
      this.#inode = Math.max(this.#inode, inode + 1);
    }
  }

  process(name = `process ${this.#processes.length + 1}`): SimulatedProcess {
    const process = new SimulatedProcess(this, name);
    this.#processes.push(process);
    return process;
  }

  /** All processes there ever were, dead ones included. */
  get processes(): readonly SimulatedProcess[] {
    return this.#processes;
  }

  /**
   * Ends the machine: its processes are killed, and its memory is used by crash images to come, which makes them more than
   * twice as fast. Nothing opened on it may be read or written afterwards. Twice is fine.
   */
  close(): void {
    for (const process of this.#processes) process.kill();
    for (const file of this.#files()) file.leaveMemory();
    this.#entries.clear();
    this.#unnamed.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Looks at all memory of store files now, so that its present content can be in a crash image. */
  observe(): void {
    if (this.options.record === false) return;
    for (const file of this.#files()) if (file.kind === "store") file.observe();
  }

  /** Looks at coordination files, too. They are never flushed and seldom matter: this is done at flushes and crashes. */
  observeAll(): void {
    if (this.options.record === false) return;
    for (const file of this.#files()) file.observe();
  }

  /** What a power loss now could leave. It stays valid while the machine goes on. */
  crashPoint(): CrashPoint {
    assert(this.options.record !== false, "the machine records");
    this.observeAll();
    const files: FrozenFile[] = [];
    for (const [path, { file, durable }] of this.#entries) {
      const { disk } = file;
      assert(disk !== undefined, "a recording machine has disks");
      const { kind, inode } = file;
      const base = disk.durableBlocks();
      files.push({
        path,
        kind,
        inode,
        named: durable,
        base,
        durableSize: disk.durableSize,
        sizes: disk.sizeCandidates(),
        unsettled: disk.candidates(),
      });
    }
    return new CrashPoint(files, this.options, (options, image) => new Machine(options, image, this.#pool));
  }

  /** A machine booted after a power loss at this moment. This one goes on. For many images of one moment use `crashPoint`. */
  crashImage(random: Random | number, options: ImageOptions = {}): Machine {
    return this.crashPoint().image(random, options);
  }

  /** The power fails: every process is dead. Returns the machine after its reboot. */
  powerLoss(random: Random | number, options: ImageOptions = {}): Machine {
    const point = this.crashPoint();
    for (const process of this.#processes) process.kill();
    return point.image(random, options);
  }

  /** A machine for every state a power loss at this moment could leave, blocks of 4,096 bytes being written whole. */
  imagesExhaustive(limit: number): Generator<Machine, void, undefined> {
    return this.crashPoint().imagesExhaustive(limit);
  }

  /** The bytes of a file as processes see them. */
  readFile(path: string): Uint8Array {
    const file = this.find(path);
    assert(file !== undefined, `${path} exists`);
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    return bytes;
  }

  /** Puts a durable file in place, a new inode, replacing what had the name. */
  writeFile(path: string, bytes: Uint8Array): void {
    this.addFile(path, "store", contentOf(bytes), true);
  }

  /** Stores bytes into a file's memory, as a stray pointer or a failing device would. */
  poke(path: string, at: number, bytes: Uint8Array): void {
    const file = this.find(path);
    assert(file !== undefined, `${path} exists`);
    file.store(at, bytes);
  }

  /** Durable at once, as are all changes of names but a creation whose directory flush failed. */
  rename(from: string, to: string): void {
    const entry = this.#entries.get(from);
    assert(entry !== undefined, `${from} exists`);
    this.unlink(to);
    this.#entries.delete(from);
    this.#entries.set(to, { ...entry, durable: true });
  }

  unlink(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    if (this.openings(entry.file).length > 0) this.#unnamed.add(entry.file);
  }

  /** Bytes that files may still grow by. */
  diskFree(): number {
    let used = 0;
    for (const file of this.#files()) if (file.kind === "store") used += file.size;
    return Math.max(0, this.diskCapacity - used);
  }

  find(path: string): SimulatedFile | undefined {
    return this.#entries.get(path)?.file;
  }

  /** A crash can't undo the name any more. */
  nameFlushed(path: string): void {
    const entry = this.#entries.get(path);
    if (entry !== undefined) this.#entries.set(path, { ...entry, durable: true });
  }

  addFile(path: string, kind: FileKind, content: FileContent, durable: boolean): SimulatedFile {
    this.unlink(path);
    const file = new SimulatedFile(this.#inode++, kind, content, this.#recording, this.#pool);
    this.#entries.set(path, { file, durable });
    return file;
  }

  /** Openings of a store file by living processes. */
  openings(file: SimulatedFile): StoreOpening[] {
    return this.#processes.flatMap((process) => process.storeFiles).filter((opening) => opening.file === file);
  }

  /** A process makes a call: memory is looked at first. */
  entered(process: SimulatedProcess): void {
    if (process !== this.#lastToEnter) {
      this.#lastToEnter = process;
      this.#turn++;
    }
    this.observe();
  }

  /** A commit in flight goes on by itself, a step a turn of the event loop, unless the test drives it. */
  schedule(job: CommitJob, process: SimulatedProcess): void {
    this.commits.push(job);
    this.#jobs.set(job, process);
    if (this.manualCommits) return;
    const turn = (): void => {
      if (process.killed || job.outcome !== undefined) return;
      try {
        job.step();
      } catch (error) {
        // Nobody is there any more to whom the death of the process would matter.
        if (!process.killed || !(error instanceof Killed)) throw error;
      }
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  ended(job: CommitJob): void {
    this.#jobs.delete(job);
    const index = this.commits.indexOf(job);
    if (index !== -1) this.commits.splice(index, 1);
  }

  /** A process is dead: its commits stop where they are. */
  stopped(process: SimulatedProcess): void {
    for (const [job, owner] of this.#jobs) if (owner === process) this.ended(job);
  }

  copyMemory(): MemoryCopy {
    const files = this.#files().map((file) => ({ file, windows: file.copyMemory() }));
    return { turn: this.#turn, files };
  }

  /** Puts a copy back, if no other process has made a call since it was taken. */
  putBack(copy: MemoryCopy): void {
    if (copy.turn !== this.#turn) return;
    for (const { file, windows } of copy.files) file.putBack(windows);
  }

  get #recording(): Comparison | undefined {
    return this.options.record === false ? undefined : (this.options.compare ?? "full");
  }

  #files(): SimulatedFile[] {
    return [...[...this.#entries.values()].map((entry) => entry.file), ...this.#unnamed];
  }
}
