/**
 * Keys and what every key encoding offers. docs/FORMAT.md is normative for the bytes.
 *
 * A tree compares encoded keys byte by byte and nothing else, so an encoding is an order. A page keeps the bytes its keys
 * share once, as the page prefix, which never ends inside a UTF-8 character but may end anywhere else.
 */
import type { Buffer } from "node:buffer";
import { StoreError } from "../../errors.ts";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import type { Key, KeyEncoding } from "./encodings.ts";

export type { Key, KeyEncoding };

/** The type of key that belongs to an encoding. */
export type KeyOf<E extends KeyEncoding> = E extends "ordered" ? Key : E extends "string" ? string : Uint8Array;

/** Bytes the target of `encode` must have at least: the largest key, and what may be written before its size is checked. */
export const KEY_TARGET_SIZE = KEY_SIZE_MAX + 70;

/** One encoding of keys. Not shared between threads; `encode` may be called while decoders are in use. */
export interface KeyCodec<K> {
  readonly name: KeyEncoding;
  /** Whether the key last encoded is known to consist of ASCII bytes only, and so every suffix of it. */
  readonly ascii: boolean;
  /**
   * Writes the encoded key to the start of `target` (at least `KEY_TARGET_SIZE` bytes) and returns its length in bytes.
   * Calls run faster when they bring the same target each time. Code of the user's in the key (a getter of an array, say)
   * runs before the first byte is written: it may use the target. It has run when this returns.
   *
   * @throws StoreError KEY_TYPE, KEY_SIZE
   */
  encode(key: K, target: Buffer): number;
  /** The first half of `encode`: runs the user's code. @throws StoreError KEY_TYPE, KEY_SIZE, if it is seen already */
  settle(key: K): K;
  /** The second half: writes what `settle` has returned, and runs no code of the user's. @throws StoreError KEY_TYPE, KEY_SIZE */
  write(settled: K, target: Buffer): number;
  /**
   * Writes the bytes that exactly the keys in the range of `prefix` begin with, and returns their number: for a string or bytes
   * all keys of the same kind that begin with it, for an array all arrays that begin with its parts, itself included.
   *
   * @throws StoreError KEY_TYPE, KEY_SIZE; BOUND for a key of another kind
   */
  encodePrefix(prefix: K, target: Buffer): number;
  /**
   * The key made of a page prefix and a suffix, both in `bytes`, which the result does not refer to. `suffixAscii`: the suffix is
   * known to be ASCII. `page` is for messages.
   *
   * @throws CorruptionError if the bytes are no key
   */
  decode(
    bytes: Buffer,
    prefixAt: number,
    prefixLength: number,
    suffixAt: number,
    suffixLength: number,
    suffixAscii: boolean,
    page?: number,
  ): K;
  /** A decoder of its own for a cursor. */
  decoder(): KeyDecoder<K>;
}

/** Decodes the keys of one leaf page after another. */
export interface KeyDecoder<K> {
  /** Moves to a page: its shared prefix is looked at once. `page` is for messages. */
  startPage(bytes: Buffer, prefixAt: number, prefixLength: number, page?: number): void;
  /** The key of an entry of the page. @throws CorruptionError */
  key(suffixAt: number, suffixLength: number, ascii: boolean): K;
  /**
   * The key, and the text of the `nextLength` bytes that follow the suffix, in an array of its own: they are read from
   * memory together if that is faster. Suffix and text must be known to be ASCII. @throws CorruptionError
   */
  keyWithText(suffixAt: number, suffixLength: number, nextLength: number): [key: K, text: string];
}

/** The error for something that can't be a key. */
export function keyTypeError(expected: string, found: string): StoreError {
  return new StoreError("KEY_TYPE", `a key must be ${expected}, not ${found}`);
}

/** The error for a key that has more bytes than a key may have. */
export function keySizeError(): StoreError {
  return new StoreError("KEY_SIZE", `the key takes more than ${KEY_SIZE_MAX} bytes when encoded`);
}
