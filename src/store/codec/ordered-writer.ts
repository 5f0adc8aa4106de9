/**
 * Writes keys of the encoding "ordered". docs/FORMAT.md is normative.
 *
 * The parts of an array may run code of the user's when they are looked at (a getter, a proxy), which may use the store and
 * with it the very buffer that is written to. So all parts are taken first (`settleParts`), and the writer meets only
 * arrays of ours; nothing else that can be a key runs foreign code in the way it is asked here.
 */
import type { Buffer } from "node:buffer";
import { types } from "node:util";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { writeBigint } from "./bigint.ts";
import { bytesLength, isBytes } from "./bytes.ts";
import { DETACHED, describeValue } from "./describe.ts";
import { escapeInPlace } from "./escape.ts";
import { type Key, keySizeError, keyTypeError } from "./key.ts";
import {
  ARRAY_END,
  KEY_DEPTH_MAX,
  KIND_ARRAY,
  KIND_BIGINT,
  KIND_BYTES,
  KIND_DATE,
  KIND_FALSE,
  KIND_NUMBER,
  KIND_STRING,
  KIND_TRUE,
} from "./kinds.ts";
import { NUMBER_SIZE, writeNumber } from "./number.ts";
import { LONE_SURROGATE, NO_ROOM, writeText } from "./text.ts";

const EXPECTED = "a boolean, finite number, bigint, valid Date, string, Uint8Array, or an array of these";

export function orderedTypeError(found: string): Error {
  return keyTypeError(EXPECTED, found);
}

export function loneSurrogateError(): Error {
  return keyTypeError("well-formed text", "a string with a lone surrogate, which has no UTF-8 form");
}

/** Looked up once: a Date may have a method of its own. */
const timeOf = Date.prototype.getTime;

/** How many parts a key may yet have, those of arrays within it counted. Each takes a byte at least. */
interface Room {
  parts: number;
}

/** The parts of an array, in arrays that are ours. Runs all code of the user's that a key can have. */
export function settleParts(parts: readonly unknown[]): Key {
  return settleArray(parts, 1, { parts: KEY_SIZE_MAX });
}

function settleArray(parts: readonly unknown[], depth: number, room: Room): Key[] {
  if (depth > KEY_DEPTH_MAX) throw keyTypeError(`arrays nested at most ${KEY_DEPTH_MAX} deep`, "deeper ones");
  const settled: unknown[] = [];
  // A loop by index finds the holes of a sparse array, as undefined. The length of a proxy is what it says each time.
  for (let index = 0; index < parts.length; index++) {
    if (room.parts-- === 0) throw keySizeError();
    const part = parts[index];
    settled.push(typeof part === "object" && Array.isArray(part) ? settleArray(part, depth + 1, room) : part);
  }
  // What is no key is found by the writer.
  return settled as Key[];
}

/** Writes any settled key but a string, which has a faster way in `OrderedKeyCodec`. Returns its length in bytes. */
export function writeOrdered(key: Key, target: Buffer): number {
  if (isBytes(key)) {
    const length = soundLength(key);
    if (1 + length > KEY_SIZE_MAX) throw keySizeError();
    target[0] = KIND_BYTES;
    target.set(key, 1);
    return 1 + length;
  }
  if (!Array.isArray(key)) return writePart(key, target, 0);
  target[0] = KIND_ARRAY;
  return writeParts(key, target, 1);
}

/** Writes the parts of an array. Returns the offset of their end. */
function writeParts(parts: readonly unknown[], target: Buffer, at: number): number {
  for (let index = 0; index < parts.length; index++) at = writePart(parts[index], target, at);
  return at;
}

/** Writes a part of an array, or a key that is no string, bytes or array. Returns the offset of its end. */
function writePart(part: unknown, target: Buffer, at: number): number {
  switch (typeof part) {
    case "string":
      return writeTextPart(part, target, at);
    case "number":
      if (!Number.isFinite(part)) throw orderedTypeError(describeValue(part));
      return writeNumberPart(KIND_NUMBER, part, target, at);
    case "boolean":
      if (at >= KEY_SIZE_MAX) throw keySizeError();
      target[at] = part ? KIND_TRUE : KIND_FALSE;
      return at + 1;
    case "bigint": {
      const size = writeBigint(part, target, at + 1, KEY_SIZE_MAX - at - 1);
      if (size === NO_ROOM) throw keySizeError();
      target[at] = KIND_BIGINT;
      return at + 1 + size;
    }
    default:
      return writeObjectPart(part, target, at);
  }
}

function writeObjectPart(part: unknown, target: Buffer, at: number): number {
  if (Array.isArray(part)) {
    if (at >= KEY_SIZE_MAX) throw keySizeError();
    target[at] = KIND_ARRAY;
    const end = writeParts(part, target, at + 1);
    if (end >= KEY_SIZE_MAX) throw keySizeError();
    target[end] = ARRAY_END;
    return end + 1;
  }
  if (isBytes(part)) {
    const length = soundLength(part);
    if (at + 1 + length >= KEY_SIZE_MAX) throw keySizeError();
    target[at] = KIND_BYTES;
    target.set(part, at + 1);
    return endPart(target, at + 1, length);
  }
  if (types.isDate(part)) {
    const milliseconds = timeOf.call(part);
    if (Number.isNaN(milliseconds)) throw orderedTypeError("an invalid Date");
    return writeNumberPart(KIND_DATE, milliseconds, target, at);
  }
  throw orderedTypeError(describeValue(part));
}

function writeNumberPart(kind: number, value: number, target: Buffer, at: number): number {
  if (at + 1 + NUMBER_SIZE > KEY_SIZE_MAX) throw keySizeError();
  target[at] = kind;
  writeNumber(value, target, at + 1);
  return at + 1 + NUMBER_SIZE;
}

function writeTextPart(text: string, target: Buffer, at: number): number {
  const length = writeText(text, target, at + 1, KEY_SIZE_MAX - at - 1);
  if (length === LONE_SURROGATE) throw loneSurrogateError();
  if (length === NO_ROOM) throw keySizeError();
  target[at] = KIND_STRING;
  return endPart(target, at + 1, length);
}

function endPart(target: Buffer, at: number, length: number): number {
  const size = escapeInPlace(target, at, length, KEY_SIZE_MAX - at);
  if (size === NO_ROOM) throw keySizeError();
  return at + size;
}

/** Of memory that another thread makes longer meanwhile, `set` may write more than this: behind the key, where it does no harm. */
function soundLength(bytes: Uint8Array): number {
  const length = bytesLength(bytes);
  if (length < 0) throw orderedTypeError(DETACHED);
  return length;
}
