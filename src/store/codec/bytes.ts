/** Bytes as users give and get them: plain `Uint8Array`s that share no memory with the store. */
import { Buffer } from "node:buffer";
import { types } from "node:util";

/** Bytes up to which a loop beats the constructor that copies. */
const COPY_LOOP_MAX = 24;

/** A Uint8Array, of this realm or another (a vm context has classes of its own). */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || types.isUint8Array(value);
}

/** A copy that belongs to the caller. Not from a pool: one kept value would pin the others', and a transfer take them away. */
export function copyBytes(bytes: Buffer, at: number, length: number): Uint8Array {
  if (length > COPY_LOOP_MAX) return new Uint8Array(new Uint8Array(bytes.buffer, bytes.byteOffset + at, length));
  const copy = new Uint8Array(length);
  for (let index = 0; index < length; index++) copy[index] = bytes[at + index];
  return copy;
}

/**
 * Makes copies as `copyBytes` does, from one large buffer most of the time. `slice` of a plain array over the buffer, which
 * is therefore kept, takes a fifth less than other ways to copy; that of the Buffer would make views.
 */
export class BytesCopier {
  #bytes: Buffer = Buffer.alloc(0);
  #plain: Uint8Array = new Uint8Array(0);

  copy(bytes: Buffer, at: number, length: number): Uint8Array {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    return this.#plain.slice(at, at + length);
  }
}
