/**
 * Numbers as eight bytes that sort as the numbers do: IEEE 754, big-endian, with the sign bit inverted, and all other bits too when
 * the number is negative.
 */

const SIGN = 0x80000000;

/** Bytes of a number. */
export const NUMBER_SIZE = 8;

const scratch = new DataView(new ArrayBuffer(NUMBER_SIZE));

/** Writes a finite number; -0 is written as 0. */
export function writeNumber(value: number, target: Uint8Array, at: number): void {
  // Adding 0 turns -0 into 0 and changes nothing else.
  scratch.setFloat64(0, value + 0);
  let high = scratch.getInt32(0);
  let low = scratch.getInt32(4);
  if (high < 0) {
    high = ~high;
    low = ~low;
  } else {
    high ^= SIGN;
  }
  target[at] = high >>> 24;
  target[at + 1] = high >>> 16;
  target[at + 2] = high >>> 8;
  target[at + 3] = high;
  target[at + 4] = low >>> 24;
  target[at + 5] = low >>> 16;
  target[at + 6] = low >>> 8;
  target[at + 7] = low;
}

/** Reads a number. Damaged bytes may give NaN, an infinity or -0, which are never written: see `isWritableNumber`. */
export function readNumber(bytes: Uint8Array, at: number): number {
  let high = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  let low = (bytes[at + 4] << 24) | (bytes[at + 5] << 16) | (bytes[at + 6] << 8) | bytes[at + 7];
  if (high < 0) {
    high ^= SIGN;
  } else {
    high = ~high;
    low = ~low;
  }
  scratch.setInt32(0, high);
  scratch.setInt32(4, low);
  return scratch.getFloat64(0);
}

/** Whether `writeNumber` can have written this. */
export function isWritableNumber(value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0);
}
