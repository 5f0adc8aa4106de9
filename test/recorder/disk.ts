/**
 * What the device may hold of one file. The page cache tells it every content a block was seen to have; the disk keeps
 * them all until a flush that completed settles which one is durable.
 *
 * A block is in one of four states, which follow from its lists:
 *
 *   settled   no entry: the device holds `durable`, and so does memory
 *   dirty     `versions` not empty: stored since the last completed flush; the device holds `durable` or any of them
 *   lost      `versions` empty: a flush of it failed, and the system believes it clean; memory holds `seen`, the device
 *             holds `durable` or any of `stuck`, and no flush will change that
 *   lost and stored again   `versions` not empty, `stuck` kept: the next flush writes it after all
 *
 * Blocks are immutable: nobody changes the bytes of one once it is in a list, so lists and images share them.
 */
import { Buffer } from "node:buffer";

/** The grain at which contents are compared and kept; no page is smaller. */
export const BLOCK_SIZE = 4096;

/** 4,096 bytes that never change. */
export type Block = Uint8Array;

/** What a block holds that was never written. */
export const ZERO_BLOCK: Block = new Uint8Array(BLOCK_SIZE);

/** What a failed flush left on the device: nothing of it, or any part. */
export type FailedFlush = "old" | "any";

interface Unsettled {
  /** Contents since the last completed flush, oldest first; the next flush writes the last one. */
  versions: Block[];
  /** Contents a failed flush may have written. */
  stuck: Block[];
  /** What memory held when last looked at. */
  seen: Block;
}

/** What a flush under way will have made durable when it returns: what was stored before it began. */
export interface FlushTicket {
  /** Block index to the number of its versions when the flush began. */
  readonly blocks: ReadonlyMap<number, number>;
  readonly size: number;
}

/** Everything that the device may hold of one block, without repetitions. The first is what the last flush made durable. */
export interface BlockCandidates {
  readonly index: number;
  readonly blocks: readonly Block[];
}

export class Disk {
  /** By block index; undefined: zeros. */
  #durable: (Block | undefined)[];
  #durableSize: number;
  /** Sizes the file had since the last completed flush, the present one last. Empty: the durable one. */
  #sizes: number[] = [];
  readonly #unsettled = new Map<number, Unsettled>();
  readonly #versionsMax: number;

  /** `versionsMax` bounds the memory kept for a file that is never flushed: the oldest versions go first. */
  constructor(blocks: readonly (Block | undefined)[], size: number, versionsMax = Number.POSITIVE_INFINITY) {
    this.#durable = blocks.slice();
    this.#durableSize = size;
    this.#versionsMax = versionsMax;
  }

  get durableSize(): number {
    return this.#durableSize;
  }

  /** Blocks that a crash may find in more than one state, or in another than memory. */
  get unsettledCount(): number {
    return this.#unsettled.size;
  }

  /** What memory held in this block when last looked at. */
  seen(index: number): Block {
    return this.#unsettled.get(index)?.seen ?? this.#durable[index] ?? ZERO_BLOCK;
  }

  /** Memory holds other bytes than `seen`: the block is dirty, and these are its newest version. */
  stored(index: number, block: Block): void {
    const entry = this.#entry(index);
    entry.seen = block;
    entry.versions.push(block);
    if (entry.versions.length > this.#versionsMax) entry.versions.shift();
  }

  /**
   * The block was stored to, perhaps with the bytes it had. That matters only for a lost block: the next flush writes
   * it after all.
   */
  touched(index: number): void {
    const entry = this.#unsettled.get(index);
    if (entry !== undefined && entry.versions.length === 0) entry.versions.push(entry.seen);
  }

  resized(size: number): void {
    this.#sizes.push(size);
  }

  /** Everything stored until now will be durable when the flush has ended. */
  beginFlush(): FlushTicket {
    const blocks = new Map<number, number>();
    for (const [index, entry] of this.#unsettled) {
      if (entry.versions.length > 0) blocks.set(index, entry.versions.length);
    }
    return { blocks, size: this.#sizes.at(-1) ?? this.#durableSize };
  }

  /** The flush returned success. What was stored after it began may have been written as well, or not. */
  endFlush(ticket: FlushTicket): void {
    for (const [index, count] of ticket.blocks) {
      const entry = this.#entry(index);
      this.#durable[index] = entry.versions[count - 1];
      entry.versions = entry.versions.slice(count);
      entry.stuck = [];
      if (entry.versions.length === 0) this.#unsettled.delete(index);
    }
    this.#durableSize = ticket.size;
    this.#sizes = this.#sizes.slice(this.#sizes.lastIndexOf(ticket.size) + 1);
  }

  /** The flush returned an error: the system believes those blocks clean, and a second flush won't write them. */
  failFlush(ticket: FlushTicket, left: FailedFlush): void {
    for (const [index, count] of ticket.blocks) {
      const entry = this.#entry(index);
      const tried = entry.versions.slice(0, count);
      entry.versions = entry.versions.slice(count);
      if (left === "any") entry.stuck.push(...tried);
    }
  }

  /**
   * The system forgets its clean pages: of each lost block the device's content, chosen by `pick` from the candidates,
   * is what memory holds from now on. Returns those blocks with their content.
   */
  forgetClean(pick: (count: number) => number): Map<number, Block> {
    const read = new Map<number, Block>();
    for (const [index, entry] of this.#unsettled) {
      if (entry.versions.length > 0) continue;
      const candidates = [this.#durable[index] ?? ZERO_BLOCK, ...entry.stuck];
      const content = candidates[pick(candidates.length)];
      this.#durable[index] = content;
      this.#unsettled.delete(index);
      read.set(index, content);
    }
    return read;
  }

  /** Sizes a crash may leave, smallest step first and without repetitions. */
  sizeCandidates(): number[] {
    return [...new Set([this.#durableSize, ...this.#sizes])];
  }

  durableBlocks(): (Block | undefined)[] {
    return this.#durable.slice();
  }

  candidates(): BlockCandidates[] {
    const all: BlockCandidates[] = [];
    for (const [index, entry] of this.#unsettled) {
      const blocks = [this.#durable[index] ?? ZERO_BLOCK, ...entry.stuck, ...entry.versions];
      all.push({ index, blocks: withoutRepetitions(blocks) });
    }
    return all.sort((a, b) => a.index - b.index);
  }

  #entry(index: number): Unsettled {
    let entry = this.#unsettled.get(index);
    if (entry === undefined) {
      entry = { versions: [], stuck: [], seen: this.#durable[index] ?? ZERO_BLOCK };
      this.#unsettled.set(index, entry);
    }
    return entry;
  }
}

function withoutRepetitions(blocks: readonly Block[]): Block[] {
  const kept: Block[] = [];
  for (const block of blocks) {
    if (!kept.some((other) => other === block || Buffer.compare(other, block) === 0)) kept.push(block);
  }
  return kept;
}
