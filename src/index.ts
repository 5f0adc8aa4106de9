/**
 * foliodb: an embedded key-value store over memory-mapped files.
 *
 * The types exported here, and all they refer to, need no types of Node.js.
 */

// For programs that name neither a newer library nor @types/node, which brings the same.
/// <reference lib="esnext.disposable" preserve="true" />
/// <reference lib="es2022.error" preserve="true" />

import type { Key } from "./store/codec/encodings.ts";
import { openStore } from "./store/open.ts";
import type { StoreOptions } from "./store/options.ts";
import { addonStorage } from "./store/pager/addon-storage.ts";
import type { Store } from "./store/store.ts";

export { CorruptionError, type ErrorCode, StoreError } from "./errors.ts";
export type { CheckReport, Problem } from "./store/check.ts";
export type { CustomValueCodec, Key, KeyEncoding, ValueEncoding } from "./store/codec/encodings.ts";
export type { StoreOptions } from "./store/options.ts";
export type { KeyBound, RangeOptions } from "./store/range-options.ts";
export type { Entries } from "./store/reads.ts";
export type { StoreSnapshot } from "./store/snapshot.ts";
export type { Stats } from "./store/stats.ts";
export type { Store } from "./store/store.ts";
export type { Transaction } from "./store/transaction.ts";

/**
 * Opens a store, and creates it if there is none.
 *
 * The types of keys and values are the caller's to name; what the store's encodings can't hold is refused when it is
 * written. The handle keeps the file open until `close`.
 *
 * @param path of the store's file. Beside it lies `path` + "-lock", by which the handles of a store find each other.
 * @throws StoreError OPTION, ADDON, NOT_FOUND, NOT_A_FILE, NO_PERMISSION, NOT_A_STORE, NEWER_FORMAT, ENCODING,
 *   COORDINATION_LOST, SLOTS_FULL, DISK_FULL, IO
 * @throws CorruptionError (code DAMAGED)
 */
export function open<K = Key, V = unknown>(path: string, options?: StoreOptions<V>): Store<K, V> {
  return openStore<K, V>(addonStorage(), path, options);
}
