/**
 * The texts of one page's keys, which begin with the same characters: those are read once a page.
 *
 * Joining prefix and suffix gives a string in two parts, which V8 copies into one when it is first looked into. A short
 * key is therefore put together as bytes and read in one piece, which takes half as long.
 */
import { Buffer } from "node:buffer";
import { readAscii, readText, readUnknownText, SHORT_TEXT_MAX } from "./text.ts";

/** Characters up to which a text may be read together with the text before it. */
const SHARED_TEXT_MAX = 512;

const NOTHING = Buffer.alloc(0);

export class PrefixedTexts {
  #bytes: Buffer = NOTHING;
  #prefix = "";
  /** Bytes up to which a suffix is put together with the prefix in `#short`; -1 if none is. */
  #shortSuffixMax = -1;
  /** The prefix, if it is short and ASCII, and behind it one suffix after another. */
  readonly #short: Buffer = Buffer.allocUnsafeSlow(SHORT_TEXT_MAX);

  startPage(bytes: Buffer, prefixAt: number, prefixLength: number): void {
    const prefix = readUnknownText(bytes, prefixAt, prefixLength);
    this.#bytes = bytes;
    this.#prefix = prefix;
    this.#shortSuffixMax = -1;
    if (prefixLength === 0 || prefixLength > SHORT_TEXT_MAX) return;
    let union = 0;
    for (let index = 0; index < prefixLength; index++) {
      const byte = bytes[prefixAt + index];
      union |= byte;
      this.#short[index] = byte;
    }
    if (union < 0x80) this.#shortSuffixMax = SHORT_TEXT_MAX - prefixLength;
  }

  /** The prefix and a suffix. `ascii`: the suffix is known to be ASCII. */
  read(suffixAt: number, suffixLength: number, ascii: boolean): string {
    if (ascii && suffixLength <= this.#shortSuffixMax) return this.#readShort(suffixAt, suffixLength);
    return this.#prefix + readText(this.#bytes, suffixAt, suffixLength, ascii);
  }

  /** The prefix and a suffix, and the text of `nextLength` bytes behind it. All of it is known to be ASCII. */
  readWithNext(suffixAt: number, suffixLength: number, nextLength: number): [text: string, next: string] {
    const bytes = this.#bytes;
    const nextAt = suffixAt + suffixLength;
    if (suffixLength <= this.#shortSuffixMax) {
      return [this.#readShort(suffixAt, suffixLength), readAscii(bytes, nextAt, nextLength)];
    }
    // Two short reads beat one long one, and a long next text would be held in memory for as long as the key is.
    if ((suffixLength <= SHORT_TEXT_MAX && nextLength <= SHORT_TEXT_MAX) || nextLength > SHARED_TEXT_MAX) {
      return [this.#prefix + readAscii(bytes, suffixAt, suffixLength), readAscii(bytes, nextAt, nextLength)];
    }
    const both = readAscii(bytes, suffixAt, suffixLength + nextLength);
    return [this.#prefix + both.slice(0, suffixLength), both.slice(suffixLength)];
  }

  #readShort(suffixAt: number, suffixLength: number): string {
    const bytes = this.#bytes;
    const short = this.#short;
    const prefixLength = SHORT_TEXT_MAX - this.#shortSuffixMax;
    for (let index = 0; index < suffixLength; index++) short[prefixLength + index] = bytes[suffixAt + index];
    return readAscii(short, 0, prefixLength + suffixLength);
  }
}
