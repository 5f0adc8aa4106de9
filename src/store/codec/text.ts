/**
 * Text in buffers: UTF-8 written from strings and read back, with the shortcuts that measurement found.
 *
 * Writing: a loop over `charCodeAt` wins up to `TEXT_LOOP_MAX` characters, `TextEncoder.encodeInto` above. Reading: while
 * the bytes are known to be ASCII, `String.fromCharCode` with fixed arguments wins up to 24 characters, `latin1Slice` above;
 * `utf8Slice` reads all else. Lone surrogates have no UTF-8 form and are refused; ASCII text pays nothing for that check,
 * since text is ASCII exactly when it has as many bytes as characters.
 */
import { Buffer, constants } from "node:buffer";
import { CorruptionError } from "../../errors.ts";

/** Methods every Buffer has and @types/node does not declare. They skip the argument juggling of `toString`. */
interface TextMethods {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
  utf8Write(text: string, at: number, size: number): number;
}

/** Looked up once: V8 calls a function it knows directly, and looks up one of a Buffer, whose prototype is large, each time. */
const { latin1Slice, utf8Slice, utf8Write } = Buffer.prototype as Buffer & TextMethods;

/** In Node.js since version 20, declared only by later TypeScript libraries than ours. */
interface WellFormed {
  isWellFormed(): boolean;
}

/** Characters up to which the loop in JavaScript beats a call into the runtime. */
export const TEXT_LOOP_MAX = 20;
/** A UTF-16 unit takes at most three bytes of UTF-8 (a pair of surrogates takes four). */
export const UTF8_BYTES_MAX = 3;

/** Characters up to which `String.fromCharCode` beats a call into the runtime. */
export const SHORT_TEXT_MAX = 24;

/** Instead of a length: the text holds a lone surrogate. */
export const LONE_SURROGATE = -1;
/** Instead of a length: the text does not fit the room given. */
export const NO_ROOM = -2;

/** Looked up once: the object that holds it is slow to read. */
const TEXT_LENGTH_MAX = constants.MAX_STRING_LENGTH;

const ENCODER = new TextEncoder();

/** Whether no surrogate of `text` stands alone. Free of cost for text that V8 keeps one byte a character. */
export function isWellFormed(text: string): boolean {
  return (text as string & WellFormed).isWellFormed();
}

/**
 * Writes the text up to the last whole group of four ASCII characters, or to the first group that is not, and returns
 * how many characters that are: `writeShortText` goes on. Four bytes in one store cost little more than one.
 */
export function writeAsciiGroups(text: string, target: DataView, at: number): number {
  const end = text.length & ~3;
  for (let index = 0; index < end; index += 4) {
    const a = text.charCodeAt(index);
    const b = text.charCodeAt(index + 1);
    const c = text.charCodeAt(index + 2);
    const d = text.charCodeAt(index + 3);
    if ((a | b | c | d) >= 0x80) return index;
    target.setInt32(at + index, a | (b << 8) | (c << 16) | (d << 24), true);
  }
  return end;
}

/**
 * Writes a text of few characters and returns the bytes written, or `LONE_SURROGATE`. The first `written` are there already.
 * `target` must have room for `UTF8_BYTES_MAX` bytes a character.
 */
export function writeShortText(text: string, target: Uint8Array, at: number, written = 0): number {
  const length = text.length;
  for (let index = written; index < length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x80) return writeUnits(text, index, target, at);
    target[at + index] = unit;
  }
  return length;
}

/** The rest of `writeShortText` from the first character that is not ASCII; `first` bytes are written. */
function writeUnits(text: string, first: number, target: Uint8Array, at: number): number {
  let end = at + first;
  for (let index = first; index < text.length; index++) {
    let unit = text.charCodeAt(index);
    if (unit < 0x80) {
      target[end++] = unit;
    } else if (unit < 0x800) {
      target[end++] = 0xc0 | (unit >> 6);
      target[end++] = 0x80 | (unit & 0x3f);
    } else if (unit < 0xd800 || unit > 0xdfff) {
      target[end++] = 0xe0 | (unit >> 12);
      target[end++] = 0x80 | ((unit >> 6) & 0x3f);
      target[end++] = 0x80 | (unit & 0x3f);
    } else {
      // Past the end of the text `low` is NaN, and both comparisons are false.
      const low = text.charCodeAt(++index);
      if (unit > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) return LONE_SURROGATE;
      unit = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
      target[end++] = 0xf0 | (unit >> 18);
      target[end++] = 0x80 | ((unit >> 12) & 0x3f);
      target[end++] = 0x80 | ((unit >> 6) & 0x3f);
      target[end++] = 0x80 | (unit & 0x3f);
    }
  }
  return end - at;
}

/** Writes a text of any length to the start of `room`. Returns the bytes written, `LONE_SURROGATE` or `NO_ROOM`. */
export function writeLongText(text: string, room: Uint8Array): number {
  const { read, written } = ENCODER.encodeInto(text, room);
  if (read < text.length) return NO_ROOM;
  return written === text.length || isWellFormed(text) ? written : LONE_SURROGATE;
}

/** Writes a text within `target` without making a view of it. Returns the bytes written, `LONE_SURROGATE` or `NO_ROOM`. */
export function writeText(text: string, target: Buffer, at: number, room: number): number {
  const length = text.length;
  if (length <= TEXT_LOOP_MAX && length * UTF8_BYTES_MAX <= room) return writeShortText(text, target, at);
  if (length > room) return NO_ROOM;
  const written = utf8Write.call(target, text, at, room);
  if (written === length) return written;
  if (!isWellFormed(text)) return LONE_SURROGATE;
  // A write that ran out of room is short by at most three bytes: only then is it worth counting.
  return written > room - 4 && utf8Length(text) > room ? NO_ROOM : written;
}

/** Bytes of `text` as UTF-8. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x80) length++;
    // A pair of surrogates takes four bytes: two for each half.
    if (unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff)) length++;
  }
  return length;
}

/** Reads text. Bytes that are not UTF-8 become U+FFFD: to find them would cost every read. */
export function readText(bytes: Buffer, at: number, length: number, ascii: boolean): string {
  if (ascii) return readAscii(bytes, at, length);
  if (length > TEXT_LENGTH_MAX) refuseLength(length);
  return utf8Slice.call(bytes, at, at + length);
}

/** Reads text of which nothing is known. While it is short, looking whether it is ASCII costs less than `utf8Slice`. */
export function readUnknownText(bytes: Buffer, at: number, length: number): string {
  let union = length > SHORT_TEXT_MAX ? 0x80 : 0;
  for (let index = at; union < 0x80 && index < at + length; index++) union |= bytes[index];
  return readText(bytes, at, length, union < 0x80);
}

/** Reads text known to be ASCII. Other bytes, which only damage can bring here, are read as Latin-1. */
export function readAscii(bytes: Buffer, at: number, length: number): string {
  if (length <= SHORT_TEXT_MAX) return readShortAscii(bytes, at, length);
  if (length > TEXT_LENGTH_MAX) refuseLength(length);
  return latin1Slice.call(bytes, at, at + length);
}

function refuseLength(length: number): never {
  throw new CorruptionError(-1, `a text of at most ${TEXT_LENGTH_MAX} bytes`, `${length} bytes`);
}

const chars = String.fromCharCode;

/** Reads up to `SHORT_TEXT_MAX` characters. The arguments are spelled out because `apply` would build an array. */
function readShortAscii(b: Buffer, i: number, length: number): string {
  // biome-ignore format: one length a line
  switch (length) {
    case 0: return "";
    case 1: return chars(b[i]);
    case 2: return chars(b[i], b[i + 1]);
    case 3: return chars(b[i], b[i + 1], b[i + 2]);
    case 4: return chars(b[i], b[i + 1], b[i + 2], b[i + 3]);
    case 5: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4]);
    case 6: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5]);
    case 7: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6]);
    case 8: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7]);
    case 9: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8]);
    case 10: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9]);
    case 11: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10]);
    case 12: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11]);
    case 13: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12]);
    case 14: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13]);
    case 15: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14]);
    case 16: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15]);
    case 17: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16]);
    case 18: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17]);
    case 19: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18]);
    case 20: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18], b[i + 19]);
    case 21: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18], b[i + 19], b[i + 20]);
    case 22: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18], b[i + 19], b[i + 20], b[i + 21]);
    case 23: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18], b[i + 19], b[i + 20], b[i + 21], b[i + 22]);
    default: return chars(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10], b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18], b[i + 19], b[i + 20], b[i + 21], b[i + 22], b[i + 23]);
  }
}
