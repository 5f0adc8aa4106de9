/** The key encoding "binary": bytes as they are. */
import { Buffer } from "node:buffer";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { bytesLength, copyBytes, isBytes } from "./bytes.ts";
import { DETACHED, describeValue } from "./describe.ts";
import { type KeyCodec, type KeyDecoder, keySizeError, keyTypeError } from "./key.ts";
import { readAscii } from "./text.ts";

const NOTHING = Buffer.alloc(0);

export class BinaryKeyCodec implements KeyCodec<Uint8Array> {
  readonly name = "binary";
  readonly ascii = false;

  encode(key: Uint8Array, target: Buffer): number {
    if (!isBytes(key)) throw keyTypeError("a Uint8Array", describeValue(key));
    const length = bytesLength(key);
    if (length < 0) throw keyTypeError("a Uint8Array", DETACHED);
    if (length > KEY_SIZE_MAX) throw keySizeError();
    target.set(key, 0);
    return length;
  }

  settle(key: Uint8Array): Uint8Array {
    return key;
  }

  write(settled: Uint8Array, target: Buffer): number {
    return this.encode(settled, target);
  }

  encodePrefix(prefix: Uint8Array, target: Buffer): number {
    return this.encode(prefix, target);
  }

  decode(
    bytes: Buffer,
    prefixAt: number,
    prefixLength: number,
    suffixAt: number,
    suffixLength: number,
    _suffixAscii: boolean,
  ): Uint8Array {
    return joinBytes(bytes, prefixAt, prefixLength, suffixAt, suffixLength);
  }

  decoder(): KeyDecoder<Uint8Array> {
    return new BinaryKeyDecoder();
  }
}

class BinaryKeyDecoder implements KeyDecoder<Uint8Array> {
  #bytes: Buffer = NOTHING;
  #prefixAt = 0;
  #prefixLength = 0;

  startPage(bytes: Buffer, prefixAt: number, prefixLength: number): void {
    this.#bytes = bytes;
    this.#prefixAt = prefixAt;
    this.#prefixLength = prefixLength;
  }

  key(suffixAt: number, suffixLength: number, _ascii: boolean): Uint8Array {
    return joinBytes(this.#bytes, this.#prefixAt, this.#prefixLength, suffixAt, suffixLength);
  }

  keyWithText(suffixAt: number, suffixLength: number, nextLength: number): [key: Uint8Array, text: string] {
    return [this.key(suffixAt, suffixLength, true), readAscii(this.#bytes, suffixAt + suffixLength, nextLength)];
  }
}

function joinBytes(
  bytes: Buffer,
  prefixAt: number,
  prefixLength: number,
  suffixAt: number,
  suffixLength: number,
): Uint8Array {
  if (prefixLength === 0) return copyBytes(bytes, suffixAt, suffixLength);
  const key = new Uint8Array(prefixLength + suffixLength);
  for (let index = 0; index < prefixLength; index++) key[index] = bytes[prefixAt + index];
  for (let index = 0; index < suffixLength; index++) key[prefixLength + index] = bytes[suffixAt + index];
  return key;
}
