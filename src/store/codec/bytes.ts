/**
 * Bytes as users give and get them. What they get are plain `Uint8Array`s that share no memory with the store.
 *
 * What they give may lie: a subclass, or an object's own property, can answer `length` with anything, and the bytes may
 * have been transferred away. So nothing is asked of it but what the language itself keeps, by the getters of its own.
 */
import { Buffer } from "node:buffer";
import { types } from "node:util";
import { markAsUntransferable } from "node:worker_threads";
import { isShared, lengthOf } from "../format/typed-array.ts";

/** Bytes up to which a loop beats the constructor that copies. */
const COPY_LOOP_MAX = 24;

/** Bytes up to which V8 keeps an array in its heap, and makes its buffer, at some cost, when it is first asked for. */
const HEAP_BYTES_MAX = 64;

/** A Uint8Array, of this realm or another (a vm context has classes of its own), and not what only inherits from one. */
export function isBytes(value: unknown): value is Uint8Array {
  return types.isUint8Array(value);
}

/** The length of bytes, whatever they say. -1 if their memory has been transferred away. */
export function bytesLength(bytes: Uint8Array): number {
  const length = lengthOf(bytes);
  return length > 0 || isAttached(bytes) ? length : -1;
}

function isAttached(bytes: Uint8Array): boolean {
  try {
    return new Uint8Array(bytes).length === 0;
  } catch {
    return false;
  }
}

/**
 * Bytes to be stored, `length` of them: the value itself, or a copy if another thread may change it, and with the bytes, where
 * shared memory grows, their number. Who uses them asks them nothing but by `format/typed-array.ts`.
 */
export function soundBytes(value: Uint8Array, length: number): Uint8Array {
  // Shorter ones are copied once, and by their length, anyway; their buffer would have to be made to be looked at.
  return length > HEAP_BYTES_MAX && isShared(value) ? new Uint8Array(value) : value;
}

/** A copy with memory of its own. */
export function copyBytes(bytes: Buffer, at: number, length: number): Uint8Array {
  if (length > COPY_LOOP_MAX) return new Uint8Array(new Uint8Array(bytes.buffer, bytes.byteOffset + at, length));
  const copy = new Uint8Array(length);
  for (let index = 0; index < length; index++) copy[index] = bytes[at + index];
  return copy;
}

/** Bytes of a pool: a buffer that copies share. */
const POOL_SIZE = 2048;

/** Bytes up to which a copy may lie in a pool. */
const POOLED_MAX = 512;

/** Copies in a pool begin at multiples of this, so that typed arrays of any kind can be made over each. */
const POOL_ALIGNMENT = 8;

/**
 * Makes copies as `copyBytes` does, from one large buffer most of the time. For short ones `slice` of a plain array over the
 * buffer, which is therefore kept, is the fastest way (that of the Buffer would make views), for others the constructor that
 * copies.
 */
export class BytesCopier {
  #bytes: Buffer = Buffer.alloc(0);
  #plain: Uint8Array = new Uint8Array(0);
  #memory: ArrayBufferLike = this.#plain.buffer;
  #from = 0;
  /** The pool in use, and its bytes that are taken. */
  #pool: Uint8Array = new Uint8Array(0);
  #taken = 0;

  copy(bytes: Buffer, at: number, length: number): Uint8Array {
    if (bytes !== this.#bytes) this.#seat(bytes);
    if (length <= HEAP_BYTES_MAX) return this.#plain.slice(at, at + length);
    return new Uint8Array(new Uint8Array(this.#memory, this.#from + at, length));
  }

  /**
   * A copy among many. Making a buffer takes longer than the rest of copying, so copies that V8 does not keep in its heap, and
   * are not large, lie in a pool with their neighbours. Whoever keeps a copy keeps the pool, which is not to be transferred.
   */
  copyPooled(bytes: Buffer, at: number, length: number): Uint8Array {
    if (length <= HEAP_BYTES_MAX || length > POOLED_MAX) return this.copy(bytes, at, length);
    if (bytes !== this.#bytes) this.#seat(bytes);
    // If the pool was transferred all the same, to a byte stream say, which before Node 24 asks nobody, its length is 0.
    if (this.#taken + length > this.#pool.length) this.#renewPool();
    const copy = new Uint8Array(this.#pool.buffer, this.#taken, length);
    copy.set(new Uint8Array(this.#memory, this.#from + at, length));
    this.#taken = (this.#taken + length + POOL_ALIGNMENT - 1) & -POOL_ALIGNMENT;
    return copy;
  }

  #seat(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#memory = bytes.buffer;
    this.#from = bytes.byteOffset;
    this.#plain = new Uint8Array(this.#memory, this.#from, bytes.length);
  }

  #renewPool(): void {
    const buffer = new ArrayBuffer(POOL_SIZE);
    markAsUntransferable(buffer);
    this.#pool = new Uint8Array(buffer);
    this.#taken = 0;
  }
}
