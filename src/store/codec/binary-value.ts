/** The value encoding "binary" (bytes as they are), and the codecs that users bring, which make bytes. */
import type { Buffer } from "node:buffer";
import { assert } from "../../errors.ts";
import { BytesCopier, bytesLength, copyBytes, isBytes, soundBytes } from "./bytes.ts";
import { DETACHED, describeValue } from "./describe.ts";
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
    const length = isBytes(value) ? bytesLength(value) : -1;
    if (length < 0) throw valueTypeError("a Uint8Array", describeBytes(value));
    this.bytes = soundBytes(value, length);
    this.length = length;
  }

  decode(bytes: Buffer, at: number, length: number, _ascii: boolean, mayPool: boolean): Uint8Array {
    return mayPool ? this.#copier.copyPooled(bytes, at, length) : this.#copier.copy(bytes, at, length);
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
  /** Undefined once the store is closed. */
  #codec: CustomValueCodec<V> | undefined;

  constructor(codec: CustomValueCodec<V>) {
    this.name = codec.name;
    this.#codec = codec;
  }

  encode(value: V): void {
    const encoded = this.#users().encode(value);
    const length = isBytes(encoded) ? bytesLength(encoded) : -1;
    if (length < 0) {
      throw valueTypeError(`encoded as a Uint8Array by the codec "${this.name}"`, describeBytes(encoded));
    }
    this.bytes = soundBytes(encoded, length);
    this.length = length;
  }

  decode(bytes: Buffer, at: number, length: number, _ascii: boolean): V {
    return this.#users().decode(copyBytes(bytes, at, length));
  }

  fromText(_text: string): V {
    assert(false, "values of a user's codec are not text");
  }

  release(): void {
    this.bytes = NOTHING;
    this.length = 0;
  }

  retire(): void {
    this.#codec = undefined;
  }

  #users(): CustomValueCodec<V> {
    assert(this.#codec !== undefined, "the codec of a store that is open");
    return this.#codec;
  }
}

/** What stands where bytes should. */
function describeBytes(value: unknown): string {
  return isBytes(value) ? DETACHED : describeValue(value);
}
