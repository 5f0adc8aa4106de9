/** Writes keys of the encoding "ordered". docs/FORMAT.md is normative. */
import type { Buffer } from "node:buffer";
import { types } from "node:util";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { writeBigint } from "./bigint.ts";
import { isBytes } from "./bytes.ts";
import { describeValue } from "./describe.ts";
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

/** Writes any key but a string, which has a faster way in `OrderedKeyCodec`. Returns its length in bytes. */
export function writeOrdered(key: Key, target: Buffer): number {
  if (isBytes(key)) {
    if (1 + key.length > KEY_SIZE_MAX) throw keySizeError();
    target[0] = KIND_BYTES;
    target.set(key, 1);
    return 1 + key.length;
  }
  if (!Array.isArray(key)) return writePart(key, target, 0, 0);
  target[0] = KIND_ARRAY;
  return writeParts(key, target, 1, 1);
}

/** Writes the parts of an array that is the `depth`-th of a nest. Returns the offset of their end. */
function writeParts(parts: readonly unknown[], target: Buffer, at: number, depth: number): number {
  // A loop by index finds the holes of a sparse array, as undefined.
  for (let index = 0; index < parts.length; index++) at = writePart(parts[index], target, at, depth);
  return at;
}

/** Writes a part of an array, or at depth 0 a key without end byte. Returns the offset of its end. */
function writePart(part: unknown, target: Buffer, at: number, depth: number): number {
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
      return writeObjectPart(part, target, at, depth);
  }
}

function writeObjectPart(part: unknown, target: Buffer, at: number, depth: number): number {
  if (Array.isArray(part)) {
    if (depth >= KEY_DEPTH_MAX) throw keyTypeError(`arrays nested at most ${KEY_DEPTH_MAX} deep`, "deeper ones");
    if (at >= KEY_SIZE_MAX) throw keySizeError();
    target[at] = KIND_ARRAY;
    const end = writeParts(part, target, at + 1, depth + 1);
    if (end >= KEY_SIZE_MAX) throw keySizeError();
    target[end] = ARRAY_END;
    return end + 1;
  }
  if (isBytes(part)) {
    if (at + 1 + part.length >= KEY_SIZE_MAX) throw keySizeError();
    target[at] = KIND_BYTES;
    target.set(part, at + 1);
    return endPart(target, at + 1, part.length);
  }
  if (isDate(part)) {
    const milliseconds = part.getTime();
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

/** A Date, of this realm or another. */
function isDate(value: unknown): value is Date {
  return value instanceof Date || types.isDate(value);
}
