/** The value encoding "json": the text of `JSON.stringify`. What JSON drops within a value (functions, undefined) is dropped. */
import type { Buffer } from "node:buffer";
import { CorruptionError } from "../../errors.ts";
import { describeError, describeValue } from "./describe.ts";
import { readText } from "./text.ts";
import { TextScratch, type ValueCodec, valueTypeError } from "./value.ts";

export class JsonValueCodec implements ValueCodec<unknown> {
  readonly name = "json";
  readonly isText = true;
  readonly #scratch = new TextScratch();
  bytes: Uint8Array = this.#scratch.bytes;
  readonly from = 0;
  length = 0;
  ascii = false;

  encode(value: unknown): void {
    const text = stringify(value);
    // JSON.stringify escapes lone surrogates, so this text has none.
    this.length = this.#scratch.write(text);
    this.bytes = this.#scratch.written(this.length);
    this.ascii = this.length === text.length;
  }

  decode(bytes: Buffer, at: number, length: number, ascii: boolean): unknown {
    return this.fromText(readText(bytes, at, length, ascii));
  }

  fromText(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new CorruptionError(-1, "a value in JSON", describeError(cause), { cause });
    }
  }

  release(): void {
    this.#scratch.release();
    this.bytes = this.#scratch.bytes;
    this.length = 0;
  }
}

function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    // A bigint, a cycle, or an error of a toJSON method or a getter.
    throw valueTypeError("something JSON can express", `${describeValue(value)} (${describeError(cause)})`, cause);
  }
  if (text === undefined) throw valueTypeError("something JSON can express", describeValue(value));
  return text;
}
