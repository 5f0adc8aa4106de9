/**
 * What a power loss may leave on the disk. A crash point holds, for one moment, every content each block may have on the
 * device; an image picks one for each unit of each block, at random or by counting through all combinations.
 *
 * The model (facts/flush-and-faults.md, item 14): each unit of an unsettled block holds any version it had since its
 * last completed flush; the size is any the file had since; blocks beyond the chosen size are cut; blocks that were added
 * since hold zeros, or in a mode garbage, until they are written; a name whose directory was not flushed is there or not.
 */
import { assert } from "../../src/errors.ts";
import type { Block, BlockCandidates } from "./disk.ts";
import { BLOCK_SIZE, ZERO_BLOCK } from "./disk.ts";
import type { Machine, MachineOptions } from "./machine.ts";
import type { Random } from "./random.ts";
import { asRandom } from "./random.ts";
import type { FileContent, FileKind } from "./simulated-file.ts";

/** Bytes a device writes in one piece: a word, a cache line, a sector, a block. */
export const UNITS = [8, 64, 512, 4096] as const;
export type Unit = (typeof UNITS)[number];

/** How versions are picked: evenly, or mostly the oldest or the newest, so that images with few exceptions occur. */
const TILTS = ["even", "old", "new"] as const;
type Tilt = (typeof TILTS)[number];
/** One in so many picks of a tilted image is an even one. */
const TILT_EXCEPTION = 16;

export interface ImageOptions {
  readonly unit?: Unit;
  /** Blocks added since the last completed flush may hold old rubbish of the device instead of zeros. */
  readonly garbage?: boolean;
  /** What becomes of the coordination file: "gone" (the default), or "stale", any mix of what it once held. */
  readonly coordination?: "gone" | "stale";
  /** Whether the machine after the reboot records, for a second crash. False by default, for speed. */
  readonly record?: boolean;
}

/** One file at the moment of the crash. */
export interface FrozenFile {
  readonly path: string;
  readonly kind: FileKind;
  readonly inode: number;
  /** False: a crash may undo its creation. */
  readonly named: boolean;
  readonly base: readonly (Block | undefined)[];
  readonly durableSize: number;
  readonly sizes: readonly number[];
  readonly unsettled: readonly BlockCandidates[];
}

export interface ImageFile {
  readonly path: string;
  readonly kind: FileKind;
  readonly inode: number;
  readonly content: FileContent;
}

/** The disk after a crash. */
export interface DiskImage {
  readonly files: readonly ImageFile[];
  /** How it was made, for messages. */
  readonly note: string;
}

type Boot = (options: MachineOptions, image: DiskImage) => Machine;

/** Chooses one of `count` candidates. */
type Pick = (count: number) => number;

export class CrashPoint {
  readonly #files: readonly FrozenFile[];
  readonly #options: MachineOptions;
  readonly #boot: Boot;
  readonly #words = new Map<Block, Int32Array>();

  constructor(files: readonly FrozenFile[], options: MachineOptions, boot: Boot) {
    this.#files = files;
    this.#options = options;
    this.#boot = boot;
  }

  /** Store blocks whose content is not certain. */
  get unsettledCount(): number {
    return this.#stores().reduce((count, file) => count + file.unsettled.length, 0);
  }

  /** How many different disks `imagesExhaustive` would count through, at the most. */
  get imageCount(): number {
    return this.#choices().reduce((product, count) => product * count, 1);
  }

  /** A machine booted from a disk this crash may leave. The same seed gives the same one. */
  image(from: Random | number, options: ImageOptions = {}): Machine {
    const random = asRandom(from);
    const unit = options.unit ?? this.#options.unit ?? UNITS[random.below(UNITS.length)];
    const tilt = TILTS[random.below(TILTS.length)];
    const pick = tiltedPick(random, tilt);
    const files: ImageFile[] = [];
    let note = `units of ${unit} bytes, ${tilt} versions`;
    for (const file of this.#files) {
      if (file.kind === "coordination" && options.coordination !== "stale") continue;
      if (!file.named && random.coin()) continue;
      const size = file.sizes[pick(file.sizes.length)];
      const garbage = options.garbage ? random : undefined;
      const blocks = this.#blocks(file, size, unit, pick, garbage);
      files.push({ path: file.path, kind: file.kind, inode: file.inode, content: { blocks, size } });
      note += `; ${file.path}: ${size} bytes, ${file.unsettled.length} blocks uncertain`;
    }
    return this.#reboot(random.u32(), options.record ?? false, { files, note });
  }

  /** Every disk this crash may leave, blocks being written whole. @throws if there may be more than `limit` of them */
  *imagesExhaustive(limit: number): Generator<Machine, void, undefined> {
    const counts = this.#choices();
    assert(this.imageCount <= limit, `${this.imageCount} images are not more than ${limit}`);
    const digits = counts.map(() => 0);
    for (let number = 0; ; number++) {
      const machine = this.#countedImage(digits, number);
      if (machine !== undefined) yield machine;
      let place = 0;
      while (place < counts.length && ++digits[place] === counts[place]) digits[place++] = 0;
      if (place === counts.length) return;
    }
  }

  /** For each store file: whether it has a name, its sizes, and the candidates of each uncertain block. */
  #choices(): number[] {
    return this.#stores().flatMap((file) => [
      file.named ? 1 : 2,
      file.sizes.length,
      ...file.unsettled.map(({ blocks }) => blocks.length),
    ]);
  }

  /** The image of these choices; undefined for one that has been made by other choices already. */
  #countedImage(digits: readonly number[], number: number): Machine | undefined {
    const files: ImageFile[] = [];
    let next = 0;
    for (const file of this.#stores()) {
      const nameless = digits[next++] === 1;
      const size = file.sizes[digits[next++]];
      const chosen = digits.slice(next, next + file.unsettled.length);
      next += file.unsettled.length;
      const cut = (i: number): boolean => nameless || file.unsettled[i].index * BLOCK_SIZE >= size;
      if (chosen.some((choice, i) => choice > 0 && cut(i))) return undefined;
      if (nameless) continue;
      let which = 0;
      const blocks = this.#blocks(file, size, BLOCK_SIZE, () => chosen[which++], undefined);
      files.push({ path: file.path, kind: file.kind, inode: file.inode, content: { blocks, size } });
    }
    return this.#reboot(number, false, { files, note: `choices ${digits.join(" ")}` });
  }

  #stores(): FrozenFile[] {
    return this.#files.filter((file) => file.kind === "store");
  }

  #reboot(seed: number, record: boolean, image: DiskImage): Machine {
    return this.#boot({ ...this.#options, seed, record }, image);
  }

  #blocks(
    file: FrozenFile,
    size: number,
    unit: number,
    pick: Pick,
    garbage: Random | undefined,
  ): (Block | undefined)[] {
    const end = Math.ceil(size / BLOCK_SIZE);
    const blocks = file.base.slice(0, end);
    const added = Math.ceil(file.durableSize / BLOCK_SIZE);
    if (garbage !== undefined) {
      for (let index = added; index < end; index++) if (garbage.coin()) blocks[index] = rubbish(file, garbage);
    }
    for (const { index, blocks: candidates } of file.unsettled) {
      if (index >= end) continue;
      // The first candidate is what was on the device before: rubbish, where there is some.
      const first = (garbage === undefined ? undefined : blocks[index]) ?? candidates[0];
      blocks[index] = unit === BLOCK_SIZE ? choose(first, candidates, pick) : this.#mix(first, candidates, unit, pick);
    }
    const tail = size % BLOCK_SIZE;
    const last = blocks[end - 1];
    if (tail > 0 && last !== undefined) blocks[end - 1] = withoutTail(last, tail);
    return blocks;
  }

  /** A block of which each unit comes from one of the candidates. */
  #mix(first: Block, candidates: readonly Block[], unit: number, pick: Pick): Block {
    const mixed = new Uint8Array(BLOCK_SIZE);
    const target = new Int32Array(mixed.buffer);
    const sources = candidates.map((block) => this.#wordsOf(block));
    if (first !== candidates[0]) sources[0] = wordsOf(first);
    const step = unit >>> 2;
    for (let from = 0; from < target.length; from += step) {
      const source = sources[pick(sources.length)];
      for (let i = from; i < from + step; i++) target[i] = source[i];
    }
    return mixed;
  }

  #wordsOf(block: Block): Int32Array {
    let words = this.#words.get(block);
    if (words === undefined) {
      words = wordsOf(block);
      this.#words.set(block, words);
    }
    return words;
  }
}

function wordsOf(block: Block): Int32Array {
  return new Int32Array(block.buffer, block.byteOffset, BLOCK_SIZE >>> 2);
}

function choose(first: Block, candidates: readonly Block[], pick: Pick): Block {
  const choice = pick(candidates.length);
  return choice === 0 ? first : candidates[choice];
}

function tiltedPick(random: Random, tilt: Tilt): Pick {
  if (tilt === "even") return (count) => random.below(count);
  return (count) => {
    if (random.below(TILT_EXCEPTION) === 0) return random.below(count);
    return tilt === "old" ? 0 : count - 1;
  };
}

/** What a device may hold where nothing was written yet: noise, or another page of this very store. */
function rubbish(file: FrozenFile, random: Random): Block {
  const other = file.base[random.below(file.base.length)];
  return other !== undefined && random.coin() ? other : random.bytes(BLOCK_SIZE);
}

function withoutTail(block: Block, length: number): Block {
  const cut = ZERO_BLOCK.slice();
  cut.set(block.subarray(0, length));
  return cut;
}
