/**
 * Integers of any size as bytes that sort as the integers do and know their own end.
 *
 * A length byte, then the magnitude, big-endian without leading zeros. The length byte is 0x80 for zero, 0x80 + n for a magnitude of
 * n <= 126 bytes, and 0xff for a longer one, whose length then stands in a big-endian u16. A negative integer is written like
 * its magnitude with every byte inverted.
 */
import { Buffer } from "node:buffer";
import { NO_ROOM } from "./text.ts";

const ZERO = 0x80;
const LONG = 0xff;
const SHORT_SIZE_MAX = 126;
/** Below this magnitude a DataView converts; hexadecimal text is the only other way there is, and slower. */
const TWO_64 = 2n ** 64n;

const scratch = new DataView(new ArrayBuffer(8));

/** Writes an integer and returns the number of bytes, or `NO_ROOM` if there would be more than `room`. */
export function writeBigint(value: bigint, target: Uint8Array, at: number, room: number): number {
  const negative = value < 0n;
  const magnitude = negative ? -value : value;
  if (magnitude >= TWO_64) return writeLarge(magnitude, negative, target, at, room);
  scratch.setBigUint64(0, magnitude);
  let first = 0;
  while (first < 8 && scratch.getUint8(first) === 0) first++;
  const size = 8 - first;
  if (1 + size > room) return NO_ROOM;
  const invert = negative ? 0xff : 0;
  target[at] = (ZERO + size) ^ invert;
  for (let index = 0; index < size; index++) target[at + 1 + index] = scratch.getUint8(first + index) ^ invert;
  return 1 + size;
}

function writeLarge(magnitude: bigint, negative: boolean, target: Uint8Array, at: number, room: number): number {
  const digits = magnitude.toString(16);
  const size = Math.ceil(digits.length / 2);
  const headerSize = size <= SHORT_SIZE_MAX ? 1 : 3;
  if (headerSize + size > room) return NO_ROOM;
  if (headerSize === 1) {
    target[at] = ZERO + size;
  } else {
    target[at] = LONG;
    target[at + 1] = size >> 8;
    target[at + 2] = size & 0xff;
  }
  target.set(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex"), at + headerSize);
  const end = at + headerSize + size;
  if (negative) for (let index = at; index < end; index++) target[index] ^= 0xff;
  return end - at;
}

/** Bytes of the integer at `at`, or -1 if what stands between `at` and `end` is none that `writeBigint` writes. */
export function bigintSize(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const invert = bytes[at] < ZERO ? 0xff : 0;
  const header = bytes[at] ^ invert;
  if (header === ZERO) return invert === 0 ? 1 : -1;
  let headerSize = 1;
  let size = header - ZERO;
  if (header === LONG) {
    if (end - at < 3) return -1;
    headerSize = 3;
    size = ((bytes[at + 1] ^ invert) << 8) | (bytes[at + 2] ^ invert);
    if (size <= SHORT_SIZE_MAX) return -1;
  }
  // A leading zero would give one integer two encodings.
  return headerSize + size <= end - at && bytes[at + headerSize] !== invert ? headerSize + size : -1;
}

/** Reads the integer of `size` bytes, as `bigintSize` has found it. */
export function readBigint(bytes: Buffer, at: number, size: number): bigint {
  const invert = bytes[at] < ZERO ? 0xff : 0;
  const headerSize = (bytes[at] ^ invert) === LONG ? 3 : 1;
  const magnitudeSize = size - headerSize;
  let magnitude: bigint;
  if (magnitudeSize <= 8) {
    scratch.setBigUint64(0, 0n);
    for (let index = 0; index < magnitudeSize; index++) {
      scratch.setUint8(8 - magnitudeSize + index, bytes[at + headerSize + index] ^ invert);
    }
    magnitude = scratch.getBigUint64(0);
  } else {
    const copy = Buffer.from(bytes.subarray(at + headerSize, at + size));
    if (invert !== 0) for (let index = 0; index < copy.length; index++) copy[index] ^= 0xff;
    magnitude = BigInt(`0x${copy.toString("hex")}`);
  }
  return invert === 0 ? magnitude : -magnitude;
}
