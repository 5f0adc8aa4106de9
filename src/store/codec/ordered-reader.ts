/** Reads keys of the encoding "ordered". Whatever the bytes are, it ends, and refuses what the writer never writes. */
import type { Buffer } from "node:buffer";
import { CorruptionError } from "../../errors.ts";
import { bigintSize, readBigint } from "./bigint.ts";
import { copyBytes } from "./bytes.ts";
import { EscapedBytes } from "./escape.ts";
import type { Key } from "./key.ts";
import {
  ARRAY_END,
  DATE_MAX,
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
import { isWritableNumber, NUMBER_SIZE, readNumber } from "./number.ts";
import { readText } from "./text.ts";

/** One key, read from its kind byte to its end. Seated anew by each `read`. */
export class OrderedReader {
  #bytes: Buffer;
  #at = 0;
  #end = 0;
  #page = -1;
  readonly #escaped = new EscapedBytes();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The key that takes the bytes from `at` to `end`. @throws CorruptionError */
  read(bytes: Buffer, at: number, end: number, page: number): Key {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#page = page;
    if (at >= end) throw this.#damage("a kind of key", "nothing");
    const key = this.#readKey(bytes[at]);
    if (this.#at !== end) throw this.#damage("the end of the key", `${end - this.#at} bytes more`);
    return key;
  }

  #readKey(kind: number): Key {
    const bytes = this.#bytes;
    const at = this.#at + 1;
    switch (kind) {
      case KIND_STRING:
        this.#at = this.#end;
        return readText(bytes, at, this.#end - at, false);
      case KIND_BYTES:
        this.#at = this.#end;
        return copyBytes(bytes, at, this.#end - at);
      case KIND_ARRAY:
        this.#at = at;
        return this.#readParts(1);
      default:
        return this.#readPart(0);
    }
  }

  /** The parts up to the end of the array: of the key at depth 1, an end byte deeper. */
  #readParts(depth: number): Key[] {
    const parts: Key[] = [];
    while (this.#at < this.#end && this.#bytes[this.#at] !== ARRAY_END) parts.push(this.#readPart(depth));
    if (depth > 1) {
      if (this.#at >= this.#end) throw this.#damage("the end of an array", "the end of the key");
      this.#at++;
    }
    return parts;
  }

  #readPart(depth: number): Key {
    const kind = this.#bytes[this.#at++];
    switch (kind) {
      case KIND_FALSE:
        return false;
      case KIND_TRUE:
        return true;
      case KIND_NUMBER:
        return this.#readNumber("a finite number");
      case KIND_DATE: {
        const milliseconds = this.#readNumber("a date");
        if (Number.isInteger(milliseconds) && Math.abs(milliseconds) <= DATE_MAX) return new Date(milliseconds);
        throw this.#damage("a date", `${milliseconds} milliseconds`);
      }
      case KIND_BIGINT: {
        const at = this.#at;
        const size = bigintSize(this.#bytes, at, this.#end);
        if (size < 0) throw this.#damage("a bigint", "other bytes");
        this.#at += size;
        return readBigint(this.#bytes, at, size);
      }
      case KIND_STRING:
      case KIND_BYTES:
        return this.#readEscaped(kind);
      case KIND_ARRAY:
        if (depth >= KEY_DEPTH_MAX) throw this.#damage(`arrays nested at most ${KEY_DEPTH_MAX} deep`, "deeper ones");
        return this.#readParts(depth + 1);
      default:
        throw this.#damage("a kind of key", `byte ${kind}`);
    }
  }

  #readNumber(expected: string): number {
    if (this.#end - this.#at < NUMBER_SIZE) throw this.#damage(expected, `${this.#end - this.#at} bytes`);
    const value = readNumber(this.#bytes, this.#at);
    if (!isWritableNumber(value)) throw this.#damage(expected, Object.is(value, -0) ? "-0" : String(value));
    this.#at += NUMBER_SIZE;
    return value;
  }

  #readEscaped(kind: number): string | Uint8Array {
    const escaped = this.#escaped;
    const at = this.#at;
    if (!escaped.find(this.#bytes, at, this.#end)) throw this.#damage("escaped bytes with an end", "other bytes");
    this.#at = escaped.end + 1;
    const bytes = escaped.escapes === 0 ? this.#bytes : escaped.unescape(this.#bytes, at);
    const from = escaped.escapes === 0 ? at : 0;
    const length = escaped.end - at - escaped.escapes;
    if (kind === KIND_STRING) return readText(bytes, from, length, escaped.ascii);
    return copyBytes(bytes, from, length);
  }

  #damage(expected: string, found: string): CorruptionError {
    return new CorruptionError(this.#page, `${expected} in a key`, found);
  }
}
