/**
 * The value encoding "msgpack", the default, through msgpackr.
 *
 * Plain values are plain MessagePack that every implementation reads. What MessagePack has no type for (undefined within a value, Set,
 * Error, RegExp, typed arrays, bigints beyond 64 bits) is written as msgpackr's extensions, since the alternative is silent
 * loss: without `moreTypes` msgpackr writes a Set as an array and a Float64Array as bytes that are not its own.
 *
 * A value is decoded from a copy at the start of a small buffer. That is faster than decoding in place (msgpackr has shortcuts for
 * values near the start of their buffer), a damaged length can't lead the decoder through the rest of the window, and bytes in
 * the result are never views of mapped memory.
 */
import { Buffer } from "node:buffer";
import { types } from "node:util";
import { Packr } from "msgpackr";
import { assert, CorruptionError } from "../../errors.ts";
import { describeError, describeValue } from "./describe.ts";
import { isWellFormed, readUnknownText } from "./text.ts";
import { type ValueCodec, valueTypeError } from "./value.ts";

/** For what can't be read the store need not be to blame. */
const NOT_READ_BACK =
  "unless the value was one that MessagePack writes and can't read back, such as a typed array of a class of one's own within it";

const EXPECTED = "something MessagePack can express";

/** msgpackr's REUSE_BUFFER_MODE | RESET_BUFFER_MODE: the result stays in the encoder's buffer, and the next goes to the same place. */
const IN_PLACE = 512 | 1024;
/** The encoder's buffer is kept from value to value up to this size. */
const PACK_SIZE_KEPT = 1024 * 1024;
const PACK_SIZE = 8 * 1024;
/** Bytes up to which a value is copied to be decoded; a longer one gets a view of its own, whose cost it outweighs. */
const COPY_SIZE_MAX = 64 * 1024;
/** Bytes up to which a loop copies faster than `copy`. */
const COPY_LOOP_MAX = 40;

/** First bytes of values. */
const NEVER_USED = 0xc1;
const FIXSTR = 0xa0;
const FIXSTR_SIZE_MAX = 31;
const STR_8 = 0xd9;

/** What the views that msgpackr knows inherit from. It writes others, such as subclasses of these, in a way it can't read. */
const VIEWS: ReadonlySet<unknown> = new Set([
  Buffer.prototype,
  DataView.prototype,
  Int8Array.prototype,
  Uint8Array.prototype,
  Uint8ClampedArray.prototype,
  Int16Array.prototype,
  Uint16Array.prototype,
  Int32Array.prototype,
  Uint32Array.prototype,
  Float32Array.prototype,
  Float64Array.prototype,
  BigInt64Array.prototype,
  BigUint64Array.prototype,
]);
/** Properties that msgpackr asks a view for. A view that has one of its own would be written as something it is not. */
const VIEW_PROPERTIES: readonly string[] = ["constructor", "buffer", "byteOffset", "byteLength", "length"];

/** How many values are being encoded now, one within the other: a getter or a `toJSON` of the user's may put another. */
let encoding = 0;

/** What `pack` returns in place: the encoder's buffer, with the range of the result. */
interface Packed extends Buffer {
  readonly start: number;
  readonly end: number;
}

/** A plain array, since slices of a Buffer are Buffers, with the one method of a Buffer that msgpackr looks for. */
function makeUnpackSource(): Uint8Array {
  const source = new Uint8Array(COPY_SIZE_MAX);
  const latin1Slice: unknown = Reflect.get(Buffer.prototype, "latin1Slice");
  return Object.assign(source, { latin1Slice });
}

/** Refuses what msgpackr would store and not give back, at any depth, by way of options that it reads just when it meets such a thing. */
class LosslessPackr extends Packr {
  /** A Map would come back as an object if its keys are simple, and not at all if they aren't. */
  get mapAsEmptyObject(): never {
    throw new TypeError("a Map would not come back as a Map");
  }

  /** A function would come back as undefined. */
  writeFunction(): never {
    throw new TypeError("a function can't be stored");
  }
}

export class MsgpackValueCodec implements ValueCodec<unknown> {
  readonly name = "msgpack";
  readonly isText = false;
  bytes: Uint8Array = Buffer.alloc(0);
  from = 0;
  length = 0;
  readonly ascii = false;
  readonly #packr = new LosslessPackr({
    useRecords: false,
    // Objects take two bytes less, and may have more than 65,535 properties.
    variableMapSize: true,
    moreTypes: true,
    copyBuffers: true,
  });
  #source: Uint8Array | undefined;

  encode(value: unknown): void {
    refuseLoss(value);
    let packed: Packed;
    encoding++;
    try {
      packed = this.#packr.pack(value, IN_PLACE) as Packed;
    } catch (cause) {
      throw valueTypeError(EXPECTED, `${describeValue(value)} (${describeError(cause)})`, cause);
    } finally {
      encoding--;
    }
    // An object within the value that lies about its length leads the encoder astray.
    if (!isRange(packed.start, packed.end, packed.length)) throw valueTypeError(EXPECTED, describeValue(value));
    this.bytes = packed;
    this.from = packed.start;
    this.length = packed.end - packed.start;
  }

  decode(bytes: Buffer, at: number, length: number, _ascii: boolean): unknown {
    const first = bytes[at];
    if (length === 1 && first < 0x80) return first;
    // A value that is a text and nothing else needs no decoder.
    if (first === FIXSTR + length - 1 && length <= 1 + FIXSTR_SIZE_MAX)
      return readUnknownText(bytes, at + 1, length - 1);
    if (first === STR_8 && length >= 2 && bytes[at + 1] === length - 2) {
      return readUnknownText(bytes, at + 2, length - 2);
    }
    return this.#unpack(bytes, at, length);
  }

  fromText(_text: string): unknown {
    assert(false, "MessagePack is not text");
  }

  release(): void {
    // The buffer belongs to all of msgpackr's encoders in this thread; what they have returned stays valid. While one of
    // them is at work it can't be taken away.
    if (encoding === 0 && this.bytes.length > PACK_SIZE_KEPT) this.#packr.useBuffer(Buffer.allocUnsafeSlow(PACK_SIZE));
    this.bytes = Buffer.alloc(0);
    this.length = 0;
  }

  #unpack(bytes: Buffer, at: number, length: number): unknown {
    try {
      if (length === 0 || bytes[at] === NEVER_USED) throw new Error("no type of value");
      if (length > COPY_SIZE_MAX) {
        return this.#packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset + at, length));
      }
      this.#source ??= makeUnpackSource();
      const source = this.#source;
      if (length <= COPY_LOOP_MAX) for (let index = 0; index < length; index++) source[index] = bytes[at + index];
      else bytes.copy(source, 0, at, at + length);
      return this.#packr.unpack(source, length);
    } catch (cause) {
      throw new CorruptionError(-1, "a value in MessagePack", `${describeError(cause)} (${NOT_READ_BACK})`, { cause });
    }
  }
}

/** Refuses what msgpackr would store and not give back, as far as the value shows it without being searched. */
function refuseLoss(value: unknown): void {
  switch (typeof value) {
    case "undefined":
    case "function":
    case "symbol":
      throw valueTypeError(EXPECTED, describeValue(value));
    case "string":
      if (!isWellFormed(value)) throw valueTypeError("well-formed text", "a string with a lone surrogate");
      return;
    case "object":
      if (value instanceof Promise) throw valueTypeError("awaited", "a promise");
      if (isUnknownKind(value)) throw valueTypeError(EXPECTED, describeValue(value));
      if (ArrayBuffer.isView(value) && !isKnownView(value)) {
        throw valueTypeError(EXPECTED, describeValue(value));
      }
      return;
  }
}

/** Whether msgpackr would take it for an object without properties, or for another kind of error. */
function isUnknownKind(value: object | null): boolean {
  return (
    types.isSharedArrayBuffer(value) ||
    types.isBoxedPrimitive(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isGeneratorObject(value) ||
    value instanceof WeakRef ||
    value instanceof AggregateError
  );
}

/** Whether a view is just what its class makes, and its memory is there. */
function isKnownView(view: ArrayBufferView): boolean {
  if (!VIEWS.has(Object.getPrototypeOf(view))) return false;
  return !VIEW_PROPERTIES.some((name) => Object.hasOwn(view, name));
}

/** Whether a range of bytes lies within `length` bytes. */
function isRange(from: number, to: number, length: number): boolean {
  return Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to > from && to <= length;
}
