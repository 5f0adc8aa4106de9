/** From a user's key and value to the bytes a tree takes, with the store's limits checked before anything is written. */
import { StoreError } from "../errors.ts";
import type { ReadTools } from "./read-tools.ts";

/** Encodes the key into `tools.key`. @throws StoreError KEY_TYPE, KEY_SIZE */
export function encodeKey<K, V>(tools: ReadTools<K, V>, key: K): void {
  tools.key.end(tools.keyCodec.encode(key, tools.key.bytes));
}

/** Encodes the value into `tools.valueCodec` and the key into `tools.key`. @throws also VALUE_TYPE, VALUE_SIZE */
export function encodeEntry<K, V>(tools: ReadTools<K, V>, key: K, value: V, valueSizeMax: number): void {
  const { keyCodec, valueCodec } = tools;
  // Code of the user's, in the key or in the value, may use the store, and with it the codecs and the key buffer of all
  // operations. So it runs first, the key's before the value's, and nothing is kept there until it has run.
  const settled = typeof key === "object" ? keyCodec.settle(key) : key;
  valueCodec.encode(value);
  const { length } = valueCodec;
  // What is no number of bytes at all is refused as well.
  if (!(length >= 0 && length <= valueSizeMax)) {
    throw new StoreError("VALUE_SIZE", `the value takes ${length} bytes, the limit of this store is ${valueSizeMax}`);
  }
  tools.key.end(keyCodec.write(settled, tools.key.bytes));
}
