/** The codecs by the names that options and catalog records give them. */
import { StoreError } from "../../errors.ts";
import { NAME_SIZE_MAX } from "../format/limits.ts";
import { BinaryKeyCodec } from "./binary-key.ts";
import { BinaryValueCodec, UserValueCodec } from "./binary-value.ts";
import { describeValue } from "./describe.ts";
import { JsonValueCodec } from "./json-value.ts";
import type { KeyCodec, KeyEncoding, KeyOf } from "./key.ts";
import { MsgpackValueCodec } from "./msgpack-value.ts";
import { OrderedKeyCodec } from "./ordered-key.ts";
import { StringKeyCodec } from "./string-key.ts";
import { StringValueCodec } from "./string-value.ts";
import { isWellFormed, utf8Length } from "./text.ts";
import type { CustomValueCodec, ValueCodec, ValueEncoding } from "./value.ts";

const keyCodecs: { readonly [E in KeyEncoding]: () => KeyCodec<KeyOf<E>> } = {
  ordered: () => new OrderedKeyCodec(),
  string: () => new StringKeyCodec(),
  binary: () => new BinaryKeyCodec(),
};

const valueCodecs: { readonly [E in ValueEncoding]: () => ValueCodec<ValueOf<E>> } = {
  msgpack: () => new MsgpackValueCodec(),
  json: () => new JsonValueCodec(),
  string: () => new StringValueCodec(),
  binary: () => new BinaryValueCodec(),
};

/** The type of value that belongs to an encoding. */
export type ValueOf<E extends ValueEncoding> = E extends "string" ? string : E extends "binary" ? Uint8Array : unknown;

export function isKeyEncoding(name: unknown): name is KeyEncoding {
  return typeof name === "string" && Object.hasOwn(keyCodecs, name);
}

export function isValueEncoding(name: unknown): name is ValueEncoding {
  return typeof name === "string" && Object.hasOwn(valueCodecs, name);
}

/** A new codec for the keys of one store. @throws StoreError OPTION for a name that is no key encoding */
export function keyCodec<E extends KeyEncoding>(name: E): KeyCodec<KeyOf<E>> {
  if (!isKeyEncoding(name)) throw optionError("key", name, Object.keys(keyCodecs));
  return keyCodecs[name]();
}

/**
 * A new codec for the values of one store: one of foliodb's by name, or the user's own.
 * @throws StoreError OPTION for a name that is no value encoding, or an object that is no codec
 */
export function valueCodec<E extends ValueEncoding>(name: E): ValueCodec<ValueOf<E>>;
export function valueCodec<V>(codec: CustomValueCodec<V>): ValueCodec<V>;
export function valueCodec(nameOrCodec: ValueEncoding | CustomValueCodec<unknown>): ValueCodec<unknown>;
export function valueCodec(nameOrCodec: unknown): unknown {
  if (isValueEncoding(nameOrCodec)) return valueCodecs[nameOrCodec]();
  if (typeof nameOrCodec === "object" && nameOrCodec !== null) return customCodec(nameOrCodec);
  throw optionError("value", nameOrCodec, [...Object.keys(valueCodecs), "or an object { name, encode, decode }"]);
}

function customCodec(codec: object): ValueCodec<unknown> {
  if (!isCustomCodec(codec)) {
    throw new StoreError("OPTION", "a value codec must have a name, and functions encode and decode");
  }
  const size = utf8Length(codec.name);
  if (size === 0 || size > NAME_SIZE_MAX || !isWellFormed(codec.name)) {
    throw new StoreError("OPTION", `the name of a value codec must be text of 1 to ${NAME_SIZE_MAX} bytes`);
  }
  if (isValueEncoding(codec.name)) {
    throw new StoreError("OPTION", `"${codec.name}" is the name of one of foliodb's own value encodings`);
  }
  return new UserValueCodec(codec);
}

function isCustomCodec(codec: object): codec is CustomValueCodec<unknown> {
  return (
    "name" in codec &&
    typeof codec.name === "string" &&
    "encode" in codec &&
    typeof codec.encode === "function" &&
    "decode" in codec &&
    typeof codec.decode === "function"
  );
}

function optionError(what: string, given: unknown, possible: readonly string[]): StoreError {
  const found = typeof given === "string" ? `"${given}"` : describeValue(given);
  return new StoreError("OPTION", `unknown ${what} encoding ${found}; possible are ${possible.join(", ")}`);
}
