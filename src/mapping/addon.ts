/**
 * The native addon: its interface, and the loader. The addon is a thin hand: one system call a function, no policy;
 * what to do when a file system lacks a call is decided by whoever calls these functions.
 *
 * Every function throws `SystemError` when the system refuses, and `TypeError` for an argument that is out of range
 * (an offset outside a window, say): that is a defect of the caller's, and never reaches the memory.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { StoreError, SystemError } from "../errors.ts";
import type { SectionFunctions } from "./native.ts";

/** The bytes whose locks have a meaning for the addon: writer lock, flush lock, and the byte that waiters share. */
export type LockBytes = readonly [writer: number, flush: number, waiting: number];

/**
 * What a commit job does; the caller's `CommitPlan` describes each field. By position, because native code takes long to
 * look up a name.
 */
export type NativeCommitPlan = readonly [
  pageSize: number,
  runs: Uint32Array,
  checksumSeed: number,
  metaAt: number,
  meta: Uint8Array,
  metaCopyAt: number,
  rewrites: readonly { readonly at: number; readonly record: Uint8Array }[],
  publishIndex: number,
  unlockWriter: boolean,
];

/** How a commit job failed; null: it did not. */
export type NativeCommitOutcome = null | {
  readonly result: "failed";
  readonly step:
    | "flush lock"
    | "fault before flush 1"
    | "flush 1"
    | "fault before meta"
    | "flush 2"
    | "fault after flush 2";
  readonly poisoned: boolean;
  readonly cause: Error | undefined;
};

/** One opening of a regular file. Lock starts are relative to 2^62. */
export interface NativeFile {
  /** Whether the descriptor may write. */
  readonly writable: boolean;
  /** Word 0 becomes 1 when an access to a mapped window faulted. Stays valid after `close`. */
  readonly faults: Int32Array;
  readonly device: bigint;
  readonly inode: bigint;
  /** Whether the path this file was opened by names it still. */
  isNamed(): boolean;
  size(): number;
  setSize(size: number): void;
  /** Allocates blocks for bytes [from, to) and makes the file at least `to` long. EOPNOTSUPP where there is no such call. */
  allocate(from: number, to: number): void;
  /** Fills `target` from the file; fewer bytes only at its end. */
  read(at: number, target: Uint8Array): number;
  write(at: number, source: Uint8Array): void;
  /** Names a file made by `createUnnamed`; EEXIST if the name is taken. */
  link(path: string): void;
  flush(): void;
  dropCache(): void;
  /**
   * Maps `length` bytes from `index * windowSize`; on Windows fewer where the file ends, elsewhere past its end, too. Every
   * window of a file has the same size, at most 1 GiB; a window is mapped again only with a greater length, and its shorter
   * views stay. `close` detaches the ArrayBuffers of all.
   */
  map(index: number, windowSize: number, writable: boolean, length: number): ArrayBuffer;
  /** Readies whole 4 KiB blocks of a window for stores; their content may be lost. */
  prepare(index: number, at: number, length: number): void;
  /**
   * Takes a lock, which is given back by the same range, and not taken again before. The writer byte alone, exclusively, is
   * refused while others wait and this opening has just had it.
   */
  lock(start: number, length: number, exclusive: boolean): boolean;
  unlock(start: number, length: number): void;
  /** Turns an exclusive lock into a shared one of one byte of its range, without a moment between. */
  narrowLock(start: number, length: number, byte: number): void;
  /** Not about bytes that this opening has locked: Windows can't tell those from others'. */
  lockedByOther(start: number, length: number, exclusive: boolean): number;
  /** Waits for the writer lock on this thread. Nothing interrupts it: keep `limitMs` short and call again. */
  waitLock(limitMs: number): boolean;
  /** Waits for the writer lock on the file's own thread; `callback` comes once, in a later turn. Returns a number for `cancelWait`. */
  waitLockAsync(timeoutMs: number, callback: (error: SystemError | undefined, granted: boolean) => void): number;
  cancelWait(wait: number): void;
  /** Names the words of a mapped file that commits write, as byte offsets. */
  attach(coordination: NativeFile, poisonAt: number, durableAt: number, newestAt: number): void;
  commitSync(...plan: NativeCommitPlan): NativeCommitOutcome;
  /** Runs a job on the file's own thread, one at a time; `callback` comes once, in a later turn. */
  commit(callback: (outcome: NativeCommitOutcome) => void, ...plan: NativeCommitPlan): void;
  /** Waits for the job that was started last. Its outcome can still be asked for after `close`. */
  waitCommit(): NativeCommitOutcome;
  /**
   * Detaches and unmaps, ends waits (a commit's for the flush lock, too: it fails), waits for a commit under way, releases
   * locks. Twice is fine.
   */
  close(): void;
}

export interface Addon extends SectionFunctions {
  /** Tells the addon which errors to throw. */
  initialize(systemError: typeof SystemError, storeError: typeof StoreError): void;
  /**
   * Opens for reading and writing; if that is not permitted and `mustWrite` is false, for reading. EISDIR for a directory,
   * EINVAL for anything else that is no regular file. `lockBytes` for store files.
   */
  openFile(path: string, mustWrite: boolean, followLinks: boolean, lockBytes: LockBytes | undefined): NativeFile;
  /** A new file; EEXIST if the name is taken. */
  createNamed(path: string, mode: number): NativeFile;
  /** A new file without a name in a directory; undefined where there is no such thing. */
  createUnnamed(directory: string, mode: number): NativeFile | undefined;
  linkName(from: string, to: string): void;
  renameOver(from: string, to: string): void;
  renameNoReplace(from: string, to: string): void;
  removeName(path: string): void;
  flushDirectory(path: string): void;
  /** 16 bytes that differ between boots of the machine. */
  bootId(): Uint8Array;
  /** CRC-32C of `bytes[from, to)`, continued from `seed`. */
  crc32c(bytes: Uint8Array, from: number, to: number, seed: number): number;
  /** The same without the processor's instructions, to test the other against. */
  crc32cByTable(bytes: Uint8Array, from: number, to: number, seed: number): number;
  readonly crc32cIsAccelerated: boolean;
}

/** The package's root stands two levels above this file, in src/, and above the bundle of dist/ it becomes part of. */
const PACKAGE_ROOT_FROM_HERE = "../../";

let loaded: Addon | undefined;

/** The addon, loaded by the first call. @throws StoreError ADDON: what was tried, and what to run */
export function loadAddon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const require = createRequire(import.meta.url);
  const root = fileURLToPath(new URL(PACKAGE_ROOT_FROM_HERE, import.meta.url));
  const tried: string[] = [];
  // A build in place comes first: who works on the addon wants the one just built.
  const candidates = [
    join(root, "build", "Release", "foliodb.node"),
    join(root, "prebuilds", `${process.platform}-${process.arch}`, "foliodb.node"),
  ];
  for (const candidate of candidates) {
    if (!existsSync(candidate)) {
      tried.push(`${candidate}: no such file`);
      continue;
    }
    try {
      const addon: Addon = require(candidate);
      addon.initialize(SystemError, StoreError);
      return addon;
    } catch (error) {
      tried.push(`${candidate}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new StoreError(
    "ADDON",
    `foliodb's native addon for ${process.platform}-${process.arch} could not be loaded. Tried:\n  ${tried.join("\n  ")}\n` +
      "In a clone of the repository, run `npm run setup`. The published package brings the addon for the platforms it was " +
      "packed for; on any other, clone the repository, run `npm run setup` there and install that folder.",
  );
}
