/** Keys, values and their encodings as users name them. Part of the published types: nothing of Node.js is imported here. */

/** What a store with the key encoding "ordered" takes as a key. Sorted by kind in this order, then by value. */
export type Key = boolean | number | bigint | Date | string | Uint8Array | readonly Key[];

/** How the keys of a store become bytes. */
export type KeyEncoding = "ordered" | "string" | "binary";

/** How the values of a store become bytes, of those that foliodb brings along. */
export type ValueEncoding = "msgpack" | "json" | "string" | "binary";

/**
 * A value encoding of one's own. Its name is kept in the file, and a store is opened only with a codec of that name.
 * The functions may use the store; what they throw comes out of the call that needed them.
 */
export interface CustomValueCodec<V> {
  /** 1 to 255 bytes of UTF-8; none of the names of `ValueEncoding`. */
  readonly name: string;
  /** The bytes are used at once and not changed; they may be the same memory each time. */
  encode(value: V): Uint8Array;
  /** `bytes` is a copy, and the codec's to keep. */
  decode(bytes: Uint8Array): V;
}
