/** The value encoding "string": text as its UTF-8 bytes. */
import type { Buffer } from "node:buffer";
import { describeValue } from "./describe.ts";
import { LONE_SURROGATE, readText } from "./text.ts";
import { TextScratch, type ValueCodec, valueTypeError } from "./value.ts";

export class StringValueCodec implements ValueCodec<string> {
  readonly name = "string";
  readonly isText = true;
  readonly #scratch = new TextScratch();
  bytes: Uint8Array = this.#scratch.bytes;
  readonly from = 0;
  length = 0;
  ascii = false;

  encode(value: string): void {
    if (typeof value !== "string") throw valueTypeError("a string", describeValue(value));
    const length = this.#scratch.write(value);
    if (length === LONE_SURROGATE) throw valueTypeError("well-formed text", "a string with a lone surrogate");
    this.bytes = this.#scratch.written(length);
    this.length = length;
    this.ascii = length === value.length;
  }

  decode(bytes: Buffer, at: number, length: number, ascii: boolean): string {
    return readText(bytes, at, length, ascii);
  }

  fromText(text: string): string {
    return text;
  }

  release(): void {
    this.#scratch.release();
    this.bytes = this.#scratch.bytes;
    this.length = 0;
  }
}
