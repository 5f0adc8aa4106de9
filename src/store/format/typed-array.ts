/**
 * What the language itself keeps of an array of bytes. An array of the user's may be of a subclass, or have properties of
 * its own, and then answer `length`, `buffer` and `byteOffset` with anything; these getters ask past all of that, at the
 * same speed. Elements and `set` need no such care.
 */
import { assert } from "../../errors.ts";

function getter<S, T>(owner: object, name: string): (this: S) => T {
  const found = Object.getOwnPropertyDescriptor(owner, name)?.get;
  assert(found !== undefined, "the language's own classes have their getters");
  return found;
}

const TYPED_ARRAY: object = Object.getPrototypeOf(Uint8Array.prototype);
const LENGTH = getter<Uint8Array, number>(TYPED_ARRAY, "length");
const BUFFER = getter<Uint8Array, ArrayBufferLike>(TYPED_ARRAY, "buffer");
const BYTE_OFFSET = getter<Uint8Array, number>(TYPED_ARRAY, "byteOffset");
const OWN_BYTE_LENGTH = getter<ArrayBufferLike, number>(ArrayBuffer.prototype, "byteLength");

/** 0 also if the memory has been transferred away. */
export function lengthOf(bytes: Uint8Array): number {
  return LENGTH.call(bytes);
}

/** Whether another thread may change the bytes. To an ArrayBuffer's getter a SharedArrayBuffer is a stranger. */
export function isShared(bytes: Uint8Array): boolean {
  try {
    OWN_BYTE_LENGTH.call(BUFFER.call(bytes));
    return false;
  } catch {
    return true;
  }
}

/** A view of a part. */
export function partOf(bytes: Uint8Array, from: number, length: number): Uint8Array {
  return new Uint8Array(BUFFER.call(bytes), BYTE_OFFSET.call(bytes) + from, length);
}
