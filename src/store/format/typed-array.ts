/**
 * What the language itself keeps of an array of bytes. An array of the user's may be of a subclass, or have properties of
 * its own, and then answer `length`, `buffer` and `byteOffset` with anything; these getters ask past all of that, at the
 * same speed. Elements and `set` need no such care.
 */
import { assert } from "../../errors.ts";

function getter<T>(name: string): (this: Uint8Array) => T {
  const found = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name)?.get;
  assert(found !== undefined, "typed arrays have their getters");
  return found;
}

const LENGTH = getter<number>("length");
const BUFFER = getter<ArrayBufferLike>("buffer");
const BYTE_OFFSET = getter<number>("byteOffset");

/** 0 also if the memory has been transferred away. */
export function lengthOf(bytes: Uint8Array): number {
  return LENGTH.call(bytes);
}

export function bufferOf(bytes: Uint8Array): ArrayBufferLike {
  return BUFFER.call(bytes);
}

/** A view of a part. */
export function partOf(bytes: Uint8Array, from: number, length: number): Uint8Array {
  return new Uint8Array(BUFFER.call(bytes), BYTE_OFFSET.call(bytes) + from, length);
}
