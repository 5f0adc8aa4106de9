/**
 * Bytes inside an array end with 0x00. Therefore 0x00 within them is written as 0x01 0x01, and 0x01 as 0x01 0x02, which keeps their
 * order: 0x00 at the end sorts before everything, and the two escapes before every byte that stands for itself.
 *
 * The usual escape, 0x00 0xff, would make ["a"] a byte prefix of ["a\0b"]. With this one, no part's bytes begin another
 * part's bytes, so that the keys in the range of an array are exactly those that begin with its bytes.
 */
import { Buffer } from "node:buffer";
import { NO_ROOM } from "./text.ts";

const END = 0x00;
const ESCAPE = 0x01;
/** What follows ESCAPE is the byte plus one. */
const ESCAPED_MAX = 0x01;

/** Escapes the `length` bytes at `at` in place and ends them. Returns the number of bytes then, or `NO_ROOM`. */
export function escapeInPlace(bytes: Uint8Array, at: number, length: number, room: number): number {
  let escapes = 0;
  for (let index = at; index < at + length; index++) {
    if (bytes[index] <= ESCAPED_MAX) escapes++;
  }
  const size = length + escapes + 1;
  if (size > room) return NO_ROOM;
  let to = at + size - 1;
  bytes[to] = END;
  // From the end backwards, until the gap that the escapes made is used up.
  for (let from = at + length - 1; to > from + 1; from--) {
    if (bytes[from] <= ESCAPED_MAX) {
      bytes[--to] = bytes[from] + 1;
      bytes[--to] = ESCAPE;
    } else {
      bytes[--to] = bytes[from];
    }
  }
  return size;
}

/** Escaped bytes found in a key. Filled in by `findEnd`. */
export class EscapedBytes {
  /** Offset of the end byte. */
  end = 0;
  /** Escapes in it. */
  escapes = 0;
  ascii = true;

  /** Finds the end of the escaped bytes at `at`. False if there is none before `limit`, or an escape that is none. */
  find(bytes: Uint8Array, at: number, limit: number): boolean {
    let escapes = 0;
    let union = 0;
    let index = at;
    while (index < limit && bytes[index] !== END) {
      const byte = bytes[index++];
      union |= byte;
      if (byte === ESCAPE) {
        escapes++;
        const next = index < limit ? bytes[index++] : END;
        if (next !== 1 && next !== 2) return false;
      }
    }
    this.end = index;
    this.escapes = escapes;
    this.ascii = union < 0x80;
    return index < limit;
  }

  /** A copy, without escapes, of what `find` found at `at`. */
  unescape(bytes: Uint8Array, at: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(this.end - at - this.escapes);
    let to = 0;
    for (let from = at; from < this.end; from++) {
      copy[to++] = bytes[from] === ESCAPE ? bytes[++from] - 1 : bytes[from];
    }
    return copy;
  }
}
