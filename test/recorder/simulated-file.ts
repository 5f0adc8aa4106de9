/**
 * One file of the simulated machine: its page cache, its locks, and, when recording, what the device may hold of it.
 *
 * The page cache is one growing set of windows, plain `ArrayBuffer`s which all openings of all processes share: that is
 * what makes mappings coherent. Stores through a mapping happen behind the recorder's back, so versions are found by
 * comparing memory with what was last seen, at every step the recorder takes part in. A content that came and went
 * between two steps is not known.
 *
 * Until a window is mapped its bytes are blocks shared with the disk or with the image the machine was booted from:
 * a file that nobody maps costs nothing.
 */
import { Buffer } from "node:buffer";
import { assert } from "../../src/errors.ts";
import type { Block } from "./disk.ts";
import { BLOCK_SIZE, Disk, ZERO_BLOCK } from "./disk.ts";
import { LockTable } from "./locks.ts";
import type { WindowPool } from "./window-pool.ts";

/** A coordination file is memory only: never flushed. */
export type FileKind = "store" | "coordination";

/**
 * How stores are found. "full": every block of the file is compared. "declared": only blocks named by `prepare`, commit
 * plans and the recorder's own stores. "strict": as full, and at each flush a block that changed undeclared is an error.
 */
export type Comparison = "full" | "declared" | "strict";

/** Versions kept of a block of a file that is never flushed. */
const COORDINATION_VERSIONS_MAX = 16;

export interface FileContent {
  /** By block index; undefined: zeros. */
  readonly blocks: readonly (Block | undefined)[];
  readonly size: number;
}

export class SimulatedFile {
  readonly inode: number;
  readonly kind: FileKind;
  readonly locks = new LockTable();
  /** What the device may hold; undefined where nothing is recorded. */
  readonly disk: Disk | undefined;
  readonly #comparison: Comparison;
  readonly #pool: WindowPool;
  readonly #blocks: (Block | undefined)[];
  readonly #windows: (Buffer | undefined)[] = [];
  #windowSize = 0;
  #size: number;
  /** Blocks that were announced since the last flush began. */
  #declared = new Set<number>();
  #undeclared = new Set<number>();

  constructor(
    inode: number,
    kind: FileKind,
    content: FileContent,
    recording: Comparison | undefined,
    pool: WindowPool,
  ) {
    this.#pool = pool;
    this.inode = inode;
    this.kind = kind;
    this.#blocks = content.blocks.slice();
    this.#size = content.size;
    this.#comparison = recording ?? "full";
    if (recording !== undefined) this.disk = kind === "store" ? durableDisk(content) : volatileDisk(content);
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of a window; 0 while none was mapped. */
  get windowSize(): number {
    return this.#windowSize;
  }

  /** The memory of a window. Every opening must use the same window size. */
  window(index: number, windowSize: number): Buffer {
    if (this.#windowSize === 0) {
      assert(windowSize >= BLOCK_SIZE && windowSize % BLOCK_SIZE === 0, `a window of whole blocks, not ${windowSize}`);
      this.#windowSize = windowSize;
    }
    assert(
      windowSize === this.#windowSize,
      `windows of ${this.#windowSize} bytes as in other openings, not ${windowSize}`,
    );
    const mapped = this.#windows[index];
    if (mapped !== undefined) return mapped;
    const { window, isZeros } = this.#pool.take(windowSize);
    const first = (index * windowSize) / BLOCK_SIZE;
    const end = Math.max(first, Math.min(first + windowSize / BLOCK_SIZE, this.#blocks.length));
    for (let block = first; block < end; block++) {
      const content = this.#blocks[block] ?? (isZeros ? undefined : ZERO_BLOCK);
      if (content !== undefined) window.set(content, (block - first) * BLOCK_SIZE);
    }
    if (!isZeros) window.fill(0, (end - first) * BLOCK_SIZE);
    this.#windows[index] = window;
    return window;
  }

  /** Copies bytes at a file offset, up to the end of the file; returns how many there were. */
  read(at: number, target: Uint8Array): number {
    const length = Math.max(0, Math.min(target.length, this.#size - at));
    for (let done = 0; done < length; ) {
      const { memory, offset } = this.#memory(at + done);
      const part = Math.min(length - done, BLOCK_SIZE - (offset % BLOCK_SIZE));
      target.set(memory.subarray(offset, offset + part), done);
      done += part;
    }
    return length;
  }

  /** Stores bytes as a process would through its mapping, and says so: the blocks are declared and dirty. */
  store(at: number, bytes: Uint8Array): void {
    assert(at + bytes.length <= this.#size, `a store inside the file: ${at} + ${bytes.length} of ${this.#size}`);
    this.declare(at, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const part = Math.min(bytes.length - done, BLOCK_SIZE - ((at + done) % BLOCK_SIZE));
      this.#ownMemory(at + done);
      const { memory, offset } = this.#memory(at + done);
      memory.set(bytes.subarray(done, done + part), offset);
      done += part;
    }
    this.#touch(at, bytes.length);
  }

  /** Bytes of the file that lie in one window, as memory. */
  bytes(at: number, length: number): Buffer {
    const window = this.#windows[Math.floor(at / this.#windowSize)];
    assert(window !== undefined, `byte ${at} is mapped`);
    const offset = at % this.#windowSize;
    assert(offset + length <= this.#windowSize, "a range inside one window");
    return window.subarray(offset, offset + length);
  }

  /** Announces stores into these bytes. */
  declare(at: number, length: number): void {
    if (this.disk === undefined || length === 0) return;
    for (let block = Math.floor(at / BLOCK_SIZE); block * BLOCK_SIZE < at + length; block++) this.#declared.add(block);
  }

  /** These bytes are populated for stores: announced, and dirty from now on whether or not they change. */
  populate(at: number, length: number): void {
    this.declare(at, length);
    this.#touch(at, length);
  }

  grow(size: number): void {
    if (size <= this.#size) return;
    this.#mustBeZeros(this.#size, size);
    this.#size = size;
    this.disk?.resized(size);
  }

  /** Notes what memory holds now. Called at every step the recorder takes part in. */
  observe(): void {
    const { disk } = this;
    if (disk === undefined) return;
    if (this.#comparison === "declared" && this.kind === "store") {
      for (const block of this.#declared) this.#observeBlock(disk, block);
      return;
    }
    const perWindow = this.#windowSize / BLOCK_SIZE;
    for (let index = 0; index < this.#windows.length; index++) {
      if (this.#windows[index] === undefined) continue;
      const end = Math.min((index + 1) * perWindow, Math.ceil(this.#size / BLOCK_SIZE));
      for (let block = index * perWindow; block < end; block++) this.#observeBlock(disk, block);
    }
  }

  /** To be called when a flush begins, after everything this commit stores was announced. */
  endDeclarations(): void {
    const stray = [...this.#undeclared].filter((block) => !this.#declared.has(block));
    assert(stray.length === 0, `blocks ${stray.join(", ")} of file ${this.inode} were stored to undeclared`);
    this.#undeclared = new Set();
    this.#declared = new Set();
  }

  /** The system forgets clean pages: memory of blocks that a failed flush lost holds what the device does. */
  forgetClean(pick: (count: number) => number): void {
    if (this.disk === undefined) return;
    for (const [block, content] of this.disk.forgetClean(pick)) {
      this.#ownMemory(block * BLOCK_SIZE);
      const { memory, offset } = this.#memory(block * BLOCK_SIZE);
      memory.set(content, offset);
    }
  }

  /** Copies of all mapped memory, to be put back by `putBack`. */
  copyMemory(): (Buffer | undefined)[] {
    return this.#windows.map((window) => (window === undefined ? undefined : Buffer.from(window)));
  }

  putBack(copies: readonly (Buffer | undefined)[]): void {
    copies.forEach((copy, index) => {
      if (copy !== undefined) this.#windows[index]?.set(copy);
    });
  }

  /**
   * Leaves the memory of a store file to others; nobody may have it mapped. That of a coordination file is not left: the
   * engine's end of a turn may still clear a slot in it.
   */
  leaveMemory(): void {
    if (this.kind === "store") for (const window of this.#windows) if (window !== undefined) this.#pool.give(window);
    this.#windows.length = 0;
  }

  /** Where the memory of a byte is, for reading. */
  #memory(at: number): { memory: Uint8Array; offset: number } {
    const window = this.#windowSize === 0 ? undefined : this.#windows[Math.floor(at / this.#windowSize)];
    if (window !== undefined) return { memory: window, offset: at % this.#windowSize };
    return { memory: this.#blocks[Math.floor(at / BLOCK_SIZE)] ?? ZERO_BLOCK, offset: at % BLOCK_SIZE };
  }

  /** Makes sure that the memory of a byte may be stored to: blocks of unmapped windows are shared and never change. */
  #ownMemory(at: number): void {
    if (!this.#isMapped(at)) this.#blocks[Math.floor(at / BLOCK_SIZE)] = this.#memory(at).memory.slice();
  }

  #isMapped(at: number): boolean {
    return this.#windowSize !== 0 && this.#windows[Math.floor(at / this.#windowSize)] !== undefined;
  }

  #observeBlock(disk: Disk, block: number): void {
    const at = block * BLOCK_SIZE;
    const { memory, offset } = this.#memory(at);
    const seen = disk.seen(block);
    if (memory === seen || Buffer.compare(seen, memory.subarray(offset, offset + BLOCK_SIZE)) === 0) return;
    disk.stored(block, Uint8Array.prototype.slice.call(memory, offset, offset + BLOCK_SIZE));
    if (this.#comparison === "strict" && this.kind === "store") this.#undeclared.add(block);
  }

  /** The blocks were stored to, perhaps with the bytes they had. */
  #touch(at: number, length: number): void {
    if (this.disk === undefined) return;
    for (let block = Math.floor(at / BLOCK_SIZE); block * BLOCK_SIZE < at + length; block++) {
      this.#observeBlock(this.disk, block);
      this.disk.touched(block);
    }
  }

  /** A store past the end of the file would have been a fault on a real machine. */
  #mustBeZeros(from: number, to: number): void {
    for (let at = from; at < to; at += BLOCK_SIZE - (at % BLOCK_SIZE)) {
      if (!this.#isMapped(at)) continue;
      const { memory, offset } = this.#memory(at);
      const part = memory.subarray(offset, offset + BLOCK_SIZE - (at % BLOCK_SIZE));
      assert(Buffer.compare(part, ZERO_BLOCK.subarray(0, part.length)) === 0, `nothing stored at ${at}, past the end`);
    }
  }
}

function durableDisk(content: FileContent): Disk {
  return new Disk(content.blocks, content.size);
}

/** Nothing of a coordination file was ever flushed: an empty file of zeros is among what a crash may leave of it. */
function volatileDisk(content: FileContent): Disk {
  const disk = new Disk([], 0, COORDINATION_VERSIONS_MAX);
  disk.resized(content.size);
  content.blocks.forEach((block, index) => {
    if (block !== undefined) disk.stored(index, block);
  });
  return disk;
}

/** Bytes as the content of a file. */
export function contentOf(bytes: Uint8Array): FileContent {
  const blocks: (Block | undefined)[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_SIZE) {
    const part = bytes.subarray(at, at + BLOCK_SIZE);
    const isZeros = Buffer.compare(part, ZERO_BLOCK.subarray(0, part.length)) === 0;
    blocks.push(isZeros ? undefined : wholeBlock(part));
  }
  return { blocks, size: bytes.length };
}

function wholeBlock(bytes: Uint8Array): Block {
  const block = new Uint8Array(BLOCK_SIZE);
  block.set(bytes);
  return block;
}
