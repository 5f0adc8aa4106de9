/** The key encoding "string": text as its UTF-8 bytes, in the order of code points. */
import type { Buffer } from "node:buffer";
import { describeValue } from "./describe.ts";
import { type KeyCodec, type KeyDecoder, keySizeError, keyTypeError } from "./key.ts";
import { KeyTextWriter } from "./key-text.ts";
import { PrefixedTexts } from "./prefixed-texts.ts";
import { LONE_SURROGATE, NO_ROOM, readText, readUnknownText } from "./text.ts";

export class StringKeyCodec implements KeyCodec<string> {
  readonly name = "string";
  ascii = false;
  readonly #text = new KeyTextWriter(0);

  encode(key: string, target: Buffer): number {
    if (typeof key !== "string") throw keyTypeError("a string", describeValue(key));
    const length = this.#text.write(key, target);
    if (length === LONE_SURROGATE) throw keyTypeError("well-formed text", "a string with a lone surrogate");
    if (length === NO_ROOM) throw keySizeError();
    this.ascii = length === key.length;
    return length;
  }

  settle(key: string): string {
    return key;
  }

  write(settled: string, target: Buffer): number {
    return this.encode(settled, target);
  }

  encodePrefix(prefix: string, target: Buffer): number {
    return this.encode(prefix, target);
  }

  decode(
    bytes: Buffer,
    prefixAt: number,
    prefixLength: number,
    suffixAt: number,
    suffixLength: number,
    suffixAscii: boolean,
  ): string {
    return readUnknownText(bytes, prefixAt, prefixLength) + readText(bytes, suffixAt, suffixLength, suffixAscii);
  }

  decoder(): KeyDecoder<string> {
    return new StringKeyDecoder();
  }
}

class StringKeyDecoder implements KeyDecoder<string> {
  readonly #texts = new PrefixedTexts();

  startPage(bytes: Buffer, prefixAt: number, prefixLength: number): void {
    this.#texts.startPage(bytes, prefixAt, prefixLength);
  }

  key(suffixAt: number, suffixLength: number, ascii: boolean): string {
    return this.#texts.read(suffixAt, suffixLength, ascii);
  }

  keyWithText(suffixAt: number, suffixLength: number, nextLength: number): [key: string, text: string] {
    return this.#texts.readWithNext(suffixAt, suffixLength, nextLength);
  }
}
