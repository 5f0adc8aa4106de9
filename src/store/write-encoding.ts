/** From a user's key and value to the bytes a tree takes, with the store's limits checked before anything is written. */
import { StoreError } from "../errors.ts";
import type { ReadTools } from "./read-tools.ts";

/** Encodes the key into `tools.key`. @throws StoreError KEY_TYPE, KEY_SIZE */
export function encodeKey<K, V>(tools: ReadTools<K, V>, key: K): void {
  tools.key.end(tools.keyCodec.encode(key, tools.key.bytes));
}

/** Encodes the value into `tools.valueCodec` and the key into `tools.key`. @throws also VALUE_TYPE, VALUE_SIZE */
export function encodeEntry<K, V>(tools: ReadTools<K, V>, key: K, value: V, valueSizeMax: number): void {
  const { valueCodec } = tools;
  // The value first: a codec of the user's may read the store meanwhile, which uses the same key buffer.
  valueCodec.encode(value);
  if (valueCodec.length > valueSizeMax) {
    throw new StoreError(
      "VALUE_SIZE",
      `the value takes ${valueCodec.length} bytes, the limit of this store is ${valueSizeMax}`,
    );
  }
  encodeKey(tools, key);
}
