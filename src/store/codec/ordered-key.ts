/**
 * The key encoding "ordered", the default: keys of all kinds in one total order.
 *
 * Strings are by far the most frequent keys, and have their own way past the general writer and reader.
 */
import { Buffer } from "node:buffer";
import { CorruptionError, StoreError } from "../../errors.ts";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { isBytes } from "./bytes.ts";
import { describeValue } from "./describe.ts";
import { type Key, type KeyCodec, type KeyDecoder, keySizeError } from "./key.ts";
import { KeyTextWriter } from "./key-text.ts";
import { KIND_STRING } from "./kinds.ts";
import { OrderedReader } from "./ordered-reader.ts";
import { loneSurrogateError, settleParts, writeOrdered } from "./ordered-writer.ts";
import { PrefixedTexts } from "./prefixed-texts.ts";
import { LONE_SURROGATE, readAscii, readText } from "./text.ts";

const NOTHING = Buffer.alloc(0);

export class OrderedKeyCodec implements KeyCodec<Key> {
  readonly name = "ordered";
  ascii = false;
  readonly #text = new KeyTextWriter(1);
  readonly #decoder = new OrderedKeyDecoder();

  encode(key: Key, target: Buffer): number {
    if (typeof key === "string") {
      target[0] = KIND_STRING;
      const length = this.#text.write(key, target);
      if (length < 0) throw length === LONE_SURROGATE ? loneSurrogateError() : keySizeError();
      this.ascii = length === key.length;
      return 1 + length;
    }
    return this.write(this.settle(key), target);
  }

  settle(key: Key): Key {
    return typeof key === "object" && Array.isArray(key) ? settleParts(key) : key;
  }

  write(settled: Key, target: Buffer): number {
    if (typeof settled === "string") return this.encode(settled, target);
    this.ascii = false;
    return writeOrdered(settled, target);
  }

  encodePrefix(prefix: Key, target: Buffer): number {
    // The bytes of a string, of bytes and of an array begin those of all that begin with it: see escape.ts for the parts.
    if (typeof prefix === "string" || Array.isArray(prefix) || isBytes(prefix)) return this.encode(prefix, target);
    throw new StoreError("BOUND", `a prefix must be a string, an array or a Uint8Array, not ${describeValue(prefix)}`);
  }

  decode(
    bytes: Buffer,
    prefixAt: number,
    prefixLength: number,
    suffixAt: number,
    suffixLength: number,
    suffixAscii: boolean,
    page = -1,
  ): Key {
    this.#decoder.startPage(bytes, prefixAt, prefixLength, page);
    return this.#decoder.key(suffixAt, suffixLength, suffixAscii);
  }

  decoder(): KeyDecoder<Key> {
    return new OrderedKeyDecoder();
  }
}

class OrderedKeyDecoder implements KeyDecoder<Key> {
  #bytes: Buffer = NOTHING;
  #page = -1;
  #prefixLength = 0;
  /** Whether every key of the page is a string, because the prefix holds the kind byte of strings. */
  #strings = false;
  readonly #texts = new PrefixedTexts();
  /** The page prefix, and after it the suffix of one entry after another. Made when first needed: strings don't. */
  #assembled: Buffer = NOTHING;
  readonly #reader = new OrderedReader(NOTHING);

  startPage(bytes: Buffer, prefixAt: number, prefixLength: number, page = -1): void {
    this.#bytes = bytes;
    this.#page = page;
    this.#prefixLength = prefixLength;
    this.#strings = prefixLength > 0 && bytes[prefixAt] === KIND_STRING;
    if (this.#strings) {
      this.#texts.startPage(bytes, prefixAt + 1, prefixLength - 1);
    } else if (prefixLength > 0) {
      this.#checkLength(prefixLength);
      if (this.#assembled.length === 0) this.#assembled = Buffer.allocUnsafeSlow(KEY_SIZE_MAX);
      bytes.copy(this.#assembled, 0, prefixAt, prefixAt + prefixLength);
    }
  }

  key(suffixAt: number, suffixLength: number, ascii: boolean): Key {
    if (this.#strings) return this.#texts.read(suffixAt, suffixLength, ascii);
    if (this.#prefixLength > 0) return this.#assemble(suffixAt, suffixLength);
    if (suffixLength > 0 && this.#bytes[suffixAt] === KIND_STRING) {
      return readText(this.#bytes, suffixAt + 1, suffixLength - 1, ascii);
    }
    return this.#reader.read(this.#bytes, suffixAt, suffixAt + suffixLength, this.#page);
  }

  keyWithText(suffixAt: number, suffixLength: number, nextLength: number): [key: Key, text: string] {
    if (this.#strings) return this.#texts.readWithNext(suffixAt, suffixLength, nextLength);
    return [this.key(suffixAt, suffixLength, true), readAscii(this.#bytes, suffixAt + suffixLength, nextLength)];
  }

  #assemble(suffixAt: number, suffixLength: number): Key {
    const length = this.#prefixLength + suffixLength;
    this.#checkLength(length);
    const bytes = this.#bytes;
    const assembled = this.#assembled;
    for (let to = this.#prefixLength, from = suffixAt; to < length; to++, from++) assembled[to] = bytes[from];
    return this.#reader.read(assembled, 0, length, this.#page);
  }

  #checkLength(length: number): void {
    if (length > KEY_SIZE_MAX) {
      throw new CorruptionError(this.#page, `a key of at most ${KEY_SIZE_MAX} bytes`, `${length} bytes`);
    }
  }
}
