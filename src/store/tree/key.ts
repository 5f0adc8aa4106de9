/**
 * Keys as the trees see them: raw encoded bytes in a buffer of their own, compared four bytes at a time.
 *
 * A `KeyBuffer` is made once and filled again for every operation, so that no operation allocates. Behind the key there
 * are always zeros enough that a head (four bytes, big-endian) may be read at any position up to the key's end.
 */
import { Buffer } from "node:buffer";
import { assert } from "../../errors.ts";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { lengthOf, partOf } from "../format/typed-array.ts";
import { Window } from "../pager/pages.ts";

/** Zeros behind the longest key. */
const KEY_PADDING = 8;
/** Bytes of a key buffer: encoders may write up to here before they learn that the key is too long. */
export const KEY_BUFFER_SIZE = 2048 + KEY_PADDING;

export class KeyBuffer {
  /** Room for the key, as something to copy from and to. Who writes here calls `end` afterwards. */
  readonly memory: Window = new Window(Buffer.alloc(KEY_BUFFER_SIZE));
  readonly bytes: Buffer = this.memory.bytes;
  readonly view: DataView = this.memory.view;
  /** Bytes of the key. */
  length = 0;

  /** Declares the first `length` bytes to be the key, and puts the zeros behind it. */
  end(length: number): void {
    // Not by a function: at the end of the paths that find a key V8 has no more room to inline one.
    if (length > KEY_SIZE_MAX) throw new Error("foliodb internal error: a key beyond its limit");
    this.view.setUint32(length, 0);
    this.view.setUint32(length + 4, 0);
    this.length = length;
  }

  /** Makes a copy of the first `length` bytes the key. */
  set(source: Uint8Array, length: number = source.length): void {
    copyBytes(this.bytes, 0, source, 0, length);
    this.end(length);
  }

  /** Makes a copy of another key, or of its first `length` bytes, the key. */
  copy(other: KeyBuffer, length: number = other.length): void {
    copyRange(this.memory, 0, other.memory, 0, length);
    this.end(length);
  }

  /** Shortens the key. */
  truncate(length: number): void {
    assert(length <= this.length, "a key is only ever shortened");
    this.end(length);
  }
}

/**
 * Looked up once: V8 calls a function it knows directly, and looks up one of a Buffer, whose prototype is large, each time.
 */
const { copyWithin, set } = Uint8Array.prototype;

/** Up to here a loop beats `set`, which needs a view of the source. */
const COPY_LOOP_MAX = 24;

/** Copies bytes. Source and target do not overlap. The source may be a user's, and lie about itself. */
export function copyBytes(target: Uint8Array, to: number, source: Uint8Array, from: number, length: number): void {
  if (length <= COPY_LOOP_MAX) {
    for (let index = 0; index < length; index++) target[to + index] = source[from + index];
  } else if (target === source) {
    copyWithin.call(target, to, from, from + length);
  } else if (length === lengthOf(source)) {
    set.call(target, source, to);
  } else {
    // Not `subarray`: of a Buffer it makes a Buffer, which costs more than the copy.
    set.call(target, partOf(source, from, length), to);
  }
}

/** Up to here a loop over words beats `copyWithin`. */
const MOVE_WORDS_MAX = 48;
/** Up to here a loop over words beats `set`, which needs a view of the source. */
const COPY_WORDS_MAX = 192;

/** Copies bytes from window to window, or from or to the memory of a key. Source and target do not overlap. */
export function copyRange(target: Window, to: number, source: Window, from: number, length: number): void {
  const read = source.view;
  const write = target.view;
  if (length > (read === write ? MOVE_WORDS_MAX : COPY_WORDS_MAX)) {
    copyBytes(target.bytes, to, source.bytes, from, length);
    return;
  }
  let index = 0;
  for (; index + 16 <= length; index += 16) {
    const first = read.getInt32(from + index, true);
    const second = read.getInt32(from + index + 4, true);
    const third = read.getInt32(from + index + 8, true);
    const fourth = read.getInt32(from + index + 12, true);
    write.setInt32(to + index, first, true);
    write.setInt32(to + index + 4, second, true);
    write.setInt32(to + index + 8, third, true);
    write.setInt32(to + index + 12, fourth, true);
  }
  for (; index + 4 <= length; index += 4) write.setInt32(to + index, read.getInt32(from + index, true), true);
  for (; index < length; index++) write.setUint8(to + index, read.getUint8(from + index));
}

/** Up to here a loop over pairs of words beats `copyWithin`. */
const MOVE_PAIRS_MAX = 96;

/** Moves the words from `from` to below `to` up by `by` bytes. */
export function moveUp(window: Window, from: number, to: number, by: number): void {
  if (to - from > MOVE_PAIRS_MAX) {
    copyWithin.call(window.bytes, from + by, from, to);
    return;
  }
  const view = window.view;
  let at = to - 8;
  for (; at >= from; at -= 8) {
    const first = view.getInt32(at, true);
    const second = view.getInt32(at + 4, true);
    view.setInt32(at + by, first, true);
    view.setInt32(at + by + 4, second, true);
  }
  if (at + 4 >= from) view.setInt32(at + 4 + by, view.getInt32(at + 4, true), true);
}

/**
 * Order of the `length` suffix bytes at `at` to the last `rest` bytes of a key, which begin at `from`: below, above or
 * equal to 0. The heads of both must have been found equal: that settles the first four bytes, padding included, so
 * that where one of the two is shorter than four bytes only the lengths are left.
 */
export function compareSuffix(
  view: DataView,
  at: number,
  length: number,
  keyView: DataView,
  from: number,
  rest: number,
): number {
  const shorter = Math.min(length, rest);
  let index = 4;
  for (; index + 4 <= shorter; index += 4) {
    const left = view.getUint32(at + index);
    const right = keyView.getUint32(from + index);
    if (left !== right) return left < right ? -1 : 1;
  }
  for (; index < shorter; index++) {
    const difference = view.getUint8(at + index) - keyView.getUint8(from + index);
    if (difference !== 0) return difference;
  }
  return length - rest;
}

/**
 * Where a key lies relative to all keys that start with the `length` bytes at `at`: 0 among them, -1 before, 1 behind.
 */
export function comparePrefix(view: DataView, at: number, length: number, key: KeyBuffer): number {
  const keyView = key.view;
  const shorter = Math.min(length, key.length);
  let index = 0;
  for (; index + 4 <= shorter; index += 4) {
    const prefix = view.getUint32(at + index);
    const own = keyView.getUint32(index);
    if (prefix !== own) return own < prefix ? -1 : 1;
  }
  for (; index < shorter; index++) {
    const difference = keyView.getUint8(index) - view.getUint8(at + index);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return key.length < length ? -1 : 0;
}

/** Order of two keys: below, above or equal to 0. */
export function compareKeys(left: KeyBuffer, right: KeyBuffer): number {
  const a = left.view.getUint32(0);
  const b = right.view.getUint32(0);
  if (a !== b) return a < b ? -1 : 1;
  return compareSuffix(left.view, 0, left.length, right.view, 0, right.length);
}

/** Leading bytes two keys have in common. */
export function sharedLength(left: KeyBuffer, right: KeyBuffer): number {
  const shorter = Math.min(left.length, right.length);
  for (let index = 0; index < shorter; index += 4) {
    const difference = left.view.getInt32(index) ^ right.view.getInt32(index);
    if (difference !== 0) return Math.min(index + (Math.clz32(difference) >>> 3), shorter);
  }
  return shorter;
}

/** A character has at most this many continuation bytes in UTF-8. */
export const CONTINUATION_MAX = 3;

/**
 * The greatest prefix not above `length` that does not end inside a UTF-8 character of `key`: otherwise prefix and
 * suffix of the key could not be decoded separately. Bytes that are no UTF-8 lose at most three.
 */
export function wholeCharacters(key: KeyBuffer, length: number): number {
  let whole = length;
  const least = Math.max(0, length - CONTINUATION_MAX);
  while (whole > least && whole < key.length && (key.bytes[whole] & 0xc0) === 0x80) whole--;
  return whole;
}

/** The prefix two sorted keys share with everything between them; it does not end inside a character. */
export function sharedPrefix(lower: KeyBuffer, upper: KeyBuffer): number {
  return wholeCharacters(upper, sharedLength(lower, upper));
}
