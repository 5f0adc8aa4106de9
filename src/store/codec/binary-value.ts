/** The value encoding "binary" (bytes as they are), and the codecs that users bring, which make bytes. */
import type { Buffer } from "node:buffer";
import { assert } from "../../errors.ts";
import { BytesCopier, copyBytes, isBytes } from "./bytes.ts";
import { describeValue } from "./describe.ts";
import { type CustomValueCodec, type ValueCodec, valueTypeError } from "./value.ts";

const NOTHING = new Uint8Array(0);

export class BinaryValueCodec implements ValueCodec<Uint8Array> {
  readonly name = "binary";
  readonly isText = false;
  /** The user's own bytes, until they are copied into a page. */
  bytes: Uint8Array = NOTHING;
  readonly from = 0;
  length = 0;
  readonly ascii = false;
  readonly #copier = new BytesCopier();

  encode(value: Uint8Array): void {
    if (!isBytes(value)) throw valueTypeError("a Uint8Array", describeValue(value));
    this.bytes = value;
    this.length = value.length;
  }

  decode(bytes: Buffer, at: number, length: number, _ascii: boolean): Uint8Array {
    return this.#copier.copy(bytes, at, length);
  }

  fromText(_text: string): Uint8Array {
    assert(false, "binary values are not text");
  }

  release(): void {
    this.bytes = NOTHING;
    this.length = 0;
  }
}

/** Errors of the user's functions pass through as they are. */
export class UserValueCodec<V> implements ValueCodec<V> {
  readonly name: string;
  readonly isText = false;
  bytes: Uint8Array = NOTHING;
  readonly from = 0;
  length = 0;
  readonly ascii = false;
  readonly #codec: CustomValueCodec<V>;

  constructor(codec: CustomValueCodec<V>) {
    this.name = codec.name;
    this.#codec = codec;
  }

  encode(value: V): void {
    const bytes: unknown = this.#codec.encode(value);
    if (!isBytes(bytes)) {
      throw valueTypeError(`encoded as a Uint8Array by the codec "${this.name}"`, describeValue(bytes));
    }
    this.bytes = bytes;
    this.length = bytes.length;
  }

  decode(bytes: Buffer, at: number, length: number, _ascii: boolean): V {
    return this.#codec.decode(copyBytes(bytes, at, length));
  }

  fromText(_text: string): V {
    assert(false, "values of a user's codec are not text");
  }

  release(): void {
    this.bytes = NOTHING;
    this.length = 0;
  }
}
