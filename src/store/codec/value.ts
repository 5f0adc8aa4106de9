/**
 * Values and what every value encoding offers. docs/FORMAT.md is normative for the bytes.
 *
 * An encoder leaves its result in place of returning it, so that a put of a small value allocates nothing.
 */
import { Buffer } from "node:buffer";
import { StoreError } from "../../errors.ts";
import { VALUE_SIZE_MAX } from "../format/limits.ts";
import type { CustomValueCodec, ValueEncoding } from "./encodings.ts";
import { TEXT_LOOP_MAX, UTF8_BYTES_MAX, writeAsciiGroups, writeLongText, writeShortText } from "./text.ts";

export type { CustomValueCodec, ValueEncoding };

/** One encoding of values. Not shared between threads. */
export interface ValueCodec<V> {
  readonly name: string;
  /** Whether values are text in the file, so that `fromText` may be used in place of `decode`. */
  readonly isText: boolean;
  /** The encoded value is `length` bytes of `bytes` from `from`, until the next `encode` or `release`. */
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly length: number;
  /** Whether the encoded value is known to consist of ASCII bytes only. */
  readonly ascii: boolean;
  /**
   * Encodes a value into `bytes`, `from`, `length` and `ascii`. The caller checks the length against the store's limit.
   *
   * @throws StoreError VALUE_TYPE; VALUE_SIZE if no store could hold it
   */
  encode(value: V): void;
  /**
   * The value of `length` bytes. It shares no memory with `bytes`, and with other values only if it may lie in a pool.
   * @throws CorruptionError if they are none
   */
  decode(bytes: Buffer, at: number, length: number, ascii: boolean, mayPool: boolean): V;
  /** The value of a text that was read with the key (`KeyDecoder.keyWithText`). Only if `isText`. @throws CorruptionError */
  fromText(text: string): V;
  /** Lets go of the memory that large values took. */
  release(): void;
  /** Lets go of what is the user's own. Nothing is encoded or decoded afterwards. */
  retire?(): void;
}

export function valueTypeError(expected: string, found: string, cause?: unknown): StoreError {
  return new StoreError(
    "VALUE_TYPE",
    `a value must be ${expected}, not ${found}`,
    cause === undefined ? undefined : { cause },
  );
}

const SCRATCH_SIZE = 8 * 1024;
/** Larger values get a buffer of their own. */
const SCRATCH_SIZE_MAX = 1024 * 1024;

/** Texts of up to so many bytes have a view of their length kept for them. */
const VIEW_LENGTH_MAX = 512;

/** A buffer that text is encoded into: kept from value to value while they are small. */
export class TextScratch {
  /** Where the text last written begins. */
  bytes = Buffer.allocUnsafeSlow(SCRATCH_SIZE);
  #kept = this.bytes;
  #view = viewOf(this.#kept);
  /** Views of the start of `#kept`, by their length. */
  readonly #views: (Uint8Array | undefined)[] = new Array(VIEW_LENGTH_MAX + 1);

  /** Writes UTF-8 to the start of `bytes`, and returns its length, or `LONE_SURROGATE`. @throws StoreError VALUE_SIZE */
  write(text: string): number {
    if (text.length <= TEXT_LOOP_MAX) {
      this.bytes = this.#kept;
      return writeShortText(text, this.#kept, 0, writeAsciiGroups(text, this.#view, 0));
    }
    this.#makeRoom(text);
    return writeLongText(text, this.bytes);
  }

  /**
   * The text last written, which has `length` bytes, as an array of just that length where one is at hand. Whoever copies
   * it is spared making a view of it, which costs more than copying.
   */
  written(length: number): Uint8Array {
    if (this.bytes !== this.#kept || length > VIEW_LENGTH_MAX) return this.bytes;
    let view = this.#views[length];
    if (view === undefined) {
      view = new Uint8Array(this.#kept.buffer, this.#kept.byteOffset, length);
      this.#views[length] = view;
    }
    return view;
  }

  release(): void {
    if (this.#kept.length > SCRATCH_SIZE) this.#keep(SCRATCH_SIZE);
    this.bytes = this.#kept;
  }

  #keep(size: number): void {
    this.#kept = Buffer.allocUnsafeSlow(size);
    this.#view = viewOf(this.#kept);
    this.#views.fill(undefined);
  }

  #makeRoom(text: string): void {
    this.bytes = this.#kept;
    if (text.length * UTF8_BYTES_MAX <= this.#kept.length) return;
    if (text.length * UTF8_BYTES_MAX <= SCRATCH_SIZE_MAX) {
      this.#keep(2 ** Math.ceil(Math.log2(text.length * UTF8_BYTES_MAX)));
      this.bytes = this.#kept;
      return;
    }
    // Counting costs a pass over the text, and saves allocating three times what most texts need.
    const size = Buffer.byteLength(text);
    if (size > VALUE_SIZE_MAX) {
      throw new StoreError("VALUE_SIZE", `the value takes ${size} bytes, the limit is ${VALUE_SIZE_MAX}`);
    }
    this.bytes = Buffer.allocUnsafeSlow(size);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
