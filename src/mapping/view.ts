/**
 * A view: a range of a mapping as bytes of this process, until it is closed.
 *
 * A store into a read view never reaches the file: the guard puts a private copy of the page in place, and takes note. After a
 * fault every method but `close` throws; plain indexing can't.
 */
import { MappingError } from "../errors.ts";
import { mappingError, native, throwFaults } from "./failures.ts";
import { ADVICES, type NativeSectionView } from "./native.ts";
import { type Backing, checkObject, choice, optionError, shown, type ViewAccess } from "./options.ts";

/** A range of a view. Default: all of it, or what follows `offset`. */
export interface ViewRange {
  readonly offset?: number;
  readonly length?: number;
}

export interface FlushOptions {
  /** Wait until the device has the bytes. Default: false, and only the writing begins. */
  readonly durable?: boolean;
}

/** "normal" takes "sequential" and "random" back. */
export type Advice = "normal" | "sequential" | "random" | "willneed" | "dontneed";

/** Memory pages of a range, and how many of them are in memory. */
export interface Residency {
  readonly pageCount: number;
  readonly residentCount: number;
}

/** Where a view really lies: from a multiple of the allocation granularity on. */
export interface ViewBase {
  readonly address: bigint;
  readonly offset: number;
  readonly length: number;
}

/** What `Mapping` makes a view of. */
export interface ViewParts {
  readonly native: NativeSectionView;
  readonly access: ViewAccess;
  readonly backing: Backing;
  /** Of the first byte, in the mapping. */
  readonly offset: bigint;
  /** Bytes between the base and the first byte. */
  readonly skip: number;
}

export class View {
  /**
   * The bytes themselves, until `close`. Afterwards its length is 0 and indexing gives `undefined`, which is all a
   * Uint8Array can say; the view's own methods throw.
   */
  readonly bytes: Uint8Array;
  /** The same bytes. After `close` every read and write of it is a `TypeError`. */
  readonly dataView: DataView;
  readonly access: ViewAccess;
  /** Of the first byte, in this process. */
  readonly address: bigint;
  /** Of the first byte, in the mapping. Beyond 2^53 it is rounded. */
  readonly offset: number;
  /** The same, exact at any size. */
  readonly offsetExact: bigint;
  readonly length: number;
  readonly base: ViewBase;
  readonly #native: NativeSectionView;
  readonly #backing: Backing;
  readonly #skip: number;
  #open = true;

  /** @internal */
  constructor(parts: ViewParts) {
    const buffer = native(() => parts.native.takeBuffer());
    this.#native = parts.native;
    this.#backing = parts.backing;
    this.#skip = parts.skip;
    this.bytes = new Uint8Array(buffer);
    this.dataView = new DataView(buffer);
    this.access = parts.access;
    this.offsetExact = parts.offset;
    this.offset = Number(parts.offset);
    this.length = buffer.byteLength;
    const baseAddress = parts.native.base();
    this.address = baseAddress + BigInt(parts.skip);
    this.base = {
      address: baseAddress,
      offset: Number(parts.offset - BigInt(parts.skip)),
      length: this.length + parts.skip,
    };
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Throws if the view is closed (CLOSED), if a fault has spoilt it (FAULT, READ_ONLY), or if the file ends before the view does
   * (FAULT, as long as that is so). To be called after reading what matters, for a fault is answered with zeros. The other
   * methods begin with it.
   */
  check(): void {
    if (!this.#open) throw new MappingError("CLOSED", "the view is closed");
    throwFaults(this.#native.faults());
  }

  /**
   * Begins to write what was stored in the range to the file; with `durable`, waits until the device has it. Without
   * `durable` it does nothing on a read or copy view and on memory without a file, for there is nothing to write; with it,
   * that is an error. @throws MappingError CLOSED, FAULT, RANGE, NOT_DURABLE, DISK_FULL, IO
   */
  flush(range: ViewRange = {}, options: FlushOptions = {}): void {
    const durable = this.#checkFlush(options);
    const [at, length] = this.#range(range);
    if (!this.#isFlushable() || length === 0) return;
    native(() => this.#native.flush(at, length, durable));
    // What faulted meanwhile is lost although the system reports success.
    throwFaults(this.#native.faults());
  }

  /** The same on another thread. The view may be closed meanwhile. */
  async flushAsync(range: ViewRange = {}, options: FlushOptions = {}): Promise<void> {
    const durable = this.#checkFlush(options);
    const [at, length] = this.#range(range);
    if (!this.#isFlushable() || length === 0) return;
    const faults = await new Promise<number>((settle, fail) => {
      this.#native.flushAsync(at, length, durable, (error, faulted) =>
        error === undefined ? settle(faulted) : fail(mappingError(error)),
      );
    });
    throwFaults(faults);
  }

  /** Asks the system to read the range ahead. Does not wait for it. */
  prefetch(range: ViewRange = {}): void {
    this.advise("willneed", range);
  }

  /**
   * Tells the system how the range will be used. Advice it doesn't know is ignored. "dontneed" takes the pages out of this
   * process; nothing that was stored is lost.
   */
  advise(advice: Advice, range: ViewRange = {}): void {
    if (choice(ADVICES, advice, "advice") === ADVICES.indexOf("discard")) throw optionError("use discard()");
    this.#advise(ADVICES.indexOf(advice), range);
  }

  /** How much of the range is in memory. */
  resident(range: ViewRange = {}): Residency {
    this.check();
    const [at, length] = this.#range(range);
    if (length === 0) return { pageCount: 0, residentCount: 0 };
    const { pageCount, residentCount } = native(() => this.#native.resident(at, length));
    return { pageCount, residentCount };
  }

  /**
   * Gives the memory of the range back: what was stored is written to the file, waiting for it, and the pages are dropped from
   * memory as far as nobody else uses them. Nothing is lost, the next access reads them in again. Private pages of a copy
   * view and memory without a file go to swap, if there is any.
   */
  discard(range: ViewRange = {}): void {
    this.#advise(ADVICES.indexOf("discard"), range);
  }

  /** Detaches the bytes and unmaps. What was stored reaches the file all the same. Twice is fine. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#native.close(this.bytes.buffer as ArrayBuffer);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #advise(advice: number, range: ViewRange): void {
    this.check();
    const [at, length] = this.#range(range);
    if (length > 0) native(() => this.#native.advise(at, length, advice));
  }

  #isFlushable(): boolean {
    return this.access === "write" && this.#backing !== "memory";
  }

  #checkFlush(options: FlushOptions): boolean {
    this.check();
    checkObject(options, "flush");
    const { durable = false } = options;
    if (typeof durable !== "boolean") throw optionError("durable must be a boolean");
    if (durable && !this.#isFlushable()) {
      const what = this.#backing === "memory" ? "memory without a file" : `a view with access "${this.access}"`;
      throw new MappingError("NOT_DURABLE", `${what} has nothing that could be made durable`);
    }
    return durable;
  }

  /** The range relative to the base. */
  #range(range: ViewRange): [at: number, length: number] {
    checkObject(range, "a range of a view", "offset and length");
    const { offset = 0, length } = range;
    // Number.isInteger is false for a bigint and for whatever else is no number, and nothing is reckoned with before.
    const isInside =
      Number.isInteger(offset) &&
      offset >= 0 &&
      (length === undefined || (Number.isInteger(length) && length >= 0)) &&
      offset + (length ?? 0) <= this.length;
    if (!isInside) {
      const extent = length === undefined ? "to the end" : `${shown(length)} bytes`;
      throw new MappingError(
        "RANGE",
        `range from ${shown(offset)}, ${extent}, is not inside the ${this.length} of the view`,
      );
    }
    return [this.#skip + offset, length ?? this.length - offset];
  }
}
