/**
 * A mapping object: what views are made of, and what other processes open by its name or are handed. Mapping and views may
 * be closed in any order; the file closes with the last of them, and what was stored reaches it either way.
 */
import { MappingError } from "../errors.ts";
import { loadAddon } from "./addon.ts";
import { native, throwFaults } from "./failures.ts";
import { type HandOptions, type Inheritance, type InheritOptions, inherit, prepareHanding } from "./handing.ts";
import { ACCESSES, ADVICES, BACKINGS, type NativeSection, type NativeTraits, PROTECTIONS } from "./native.ts";
import {
  type Backing,
  type ByteCount,
  byteCount,
  checkAccess,
  checkObject,
  choice,
  defaultAccess,
  optionError,
  type Protection,
  VIEW_SIZE_MAX,
  type ViewAccess,
  type ViewOptions,
} from "./options.ts";
import { View } from "./view.ts";

/** Of `mapping.views`. */
export interface ViewsOptions {
  /** Where the first view begins. Default: 0. */
  readonly offset?: ByteCount;
  /** Bytes of all views together, any number. 0, the default: to the end of the mapping. */
  readonly length?: ByteCount;
  /** Bytes of each view but perhaps the last, at most 1 GiB. Default: 64 MiB. */
  readonly pieceSize?: number;
  readonly access?: ViewAccess;
}

/**
 * A view up to this size is read whole when it is mapped, and nothing around it is read. Linux would read around the first
 * byte that is touched, up to 8 MiB: 1,000 views of 64 KiB at random offsets then take 10 s of CPU instead of 0.2.
 */
const READ_WHOLE_MAX = 256 * 1024;

const PIECE_SIZE_DEFAULT = 64 * 1024 * 1024;

export class Mapping {
  readonly backing: Backing;
  /** What views of this mapping may be: of one that was opened or received for reading it is "readonly". */
  readonly protection: Protection;
  /** Bytes that views may cover. Beyond 2^53 it is rounded. It never changes: for a file that has grown, make another mapping. */
  readonly size: number;
  /** The same, exact at any size. */
  readonly sizeExact: bigint;
  /** The file's absolute path, as it was when the mapping was made. */
  readonly path: string | undefined;
  readonly name: string | undefined;
  /** Whether `createMapping` found the name taken: then this is the mapping that was there, and its content is not new. */
  readonly existed: boolean;
  readonly #native: NativeSection;
  readonly #traits: NativeTraits;
  #open = true;

  /** @internal */
  constructor(section: NativeSection, existed: boolean) {
    this.#native = section;
    this.#traits = section.traits();
    this.existed = existed;
    this.backing = BACKINGS[this.#traits.backing];
    this.protection = PROTECTIONS[this.#traits.protection];
    this.sizeExact = this.#traits.size;
    this.size = Number(this.#traits.size);
    this.path = this.backing === "file" ? this.#traits.path : undefined;
    this.name = this.#traits.name === "" ? undefined : this.#traits.name;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Throws if the mapping is closed (CLOSED), or if one of its views met a fault since it was last asked (FAULT, READ_ONLY).
   * The other methods begin with it.
   */
  check(): void {
    if (!this.#open) throw new MappingError("CLOSED", "the mapping is closed");
    throwFaults(this.#native.takeFaults());
  }

  /**
   * Maps a range. The view lives on when the mapping is closed, and is to be closed itself.
   * @throws MappingError CLOSED, OPTION, ACCESS, RANGE, VIEW_SIZE, ADDRESS_TAKEN, FAULT, LIMIT
   */
  view(options: ViewOptions = {}): View {
    this.check();
    checkObject(options, "view");
    const access = this.#access(options.access);
    const [offset, length] = this.#range(options.offset, options.length);
    if (length > VIEW_SIZE_MAX) {
      throw new MappingError(
        "VIEW_SIZE",
        `a view has at most 1 GiB, not ${length} bytes: walk a longer range by views(), which maps it piece by piece`,
      );
    }
    const wanted = options.baseAddress ?? 0n;
    const granularity = BigInt(loadAddon().allocationGranularity);
    if (typeof wanted !== "bigint" || wanted < 0n || wanted >= 2n ** 64n || wanted % granularity !== 0n) {
      throw optionError(`baseAddress must be a bigint, and a multiple of ${granularity}`);
    }
    const skip = offset % granularity;
    const made = native(() =>
      this.#native.map(offset - skip, Number(length + skip), Number(skip), ACCESSES.indexOf(access), wanted),
    );
    const view = new View({ native: made, access, backing: this.backing, offset, skip: Number(skip) });
    try {
      // The file may have been truncated since the mapping was made.
      view.check();
      if (process.platform === "linux" && this.backing !== "memory" && length <= READ_WHOLE_MAX) {
        native(() => made.advise(0, Number(length + skip), ADVICES.indexOf("random")));
        native(() => made.advise(Number(skip), Number(length), ADVICES.indexOf("willneed")));
      }
      return view;
    } catch (error) {
      view.close();
      throw error;
    }
  }

  /**
   * Walks a range of any length: yields one view after the other, each closed when the next is asked for. What is to outlive
   * its turn must be copied.
   */
  views(options: ViewsOptions = {}): Generator<View, void, undefined> {
    this.check();
    checkObject(options, "views");
    const access = this.#access(options.access);
    const [from, length] = this.#range(options.offset, options.length);
    const pieceSize = byteCount(options.pieceSize ?? PIECE_SIZE_DEFAULT, "pieceSize");
    if (pieceSize === 0n || pieceSize > VIEW_SIZE_MAX) throw optionError("pieceSize must be 1 to 1 GiB");
    return this.#walk(from, length, pieceSize, access);
  }

  *#walk(from: bigint, length: bigint, pieceSize: bigint, access: ViewAccess): Generator<View, void, undefined> {
    for (let done = 0n; done < length; done += pieceSize) {
      const rest = length - done;
      const view = this.view({ offset: from + done, length: rest < pieceSize ? rest : pieceSize, access });
      try {
        yield view;
      } finally {
        view.close();
      }
    }
  }

  /**
   * Readies the mapping for a child that is about to be spawned: the options it is to be spawned with, and the token for its
   * `receiveMapping`. To be closed when the child has been spawned. @throws MappingError CLOSED, OPTION, ACCESS, LIMIT
   */
  inherit(options: InheritOptions = {}): Inheritance {
    this.check();
    checkObject(options, "inherit");
    return inherit(this.#native, this.#traits, options);
  }

  /**
   * Hands the mapping to a process that runs: resolves to the token for its `receiveMapping`. The token is a secret, good for
   * that process, once, for `timeout` milliseconds, and while this process lives. @throws MappingError CLOSED, OPTION, ACCESS,
   * NO_PERMISSION, LIMIT
   */
  async handTo(pid: number, options: HandOptions = {}): Promise<string> {
    this.check();
    checkObject(options, "handTo");
    return prepareHanding(this.#native, this.#traits, pid, options);
  }

  /** Gives up this process's mapping object; its views stay. Twice is fine. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#native.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #access(access: ViewAccess | undefined): ViewAccess {
    const chosen = access ?? defaultAccess(this.protection);
    choice(ACCESSES, chosen, "access");
    checkAccess(this.protection, chosen);
    return chosen;
  }

  /** Offset and length of a range inside the mapping. */
  #range(offset: ByteCount = 0, length: ByteCount = 0): [offset: bigint, length: bigint] {
    const from = byteCount(offset, "offset");
    const wanted = byteCount(length, "length");
    const count = wanted === 0n ? this.sizeExact - from : wanted;
    if (from >= this.sizeExact || from + count > this.sizeExact) {
      throw new MappingError(
        "RANGE",
        `range from ${from}, ${wanted === 0n ? "to the end" : `${wanted} bytes`}, is not inside the ${this.sizeExact} of the mapping`,
      );
    }
    return [from, count];
  }
}
