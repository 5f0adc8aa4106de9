/** Stores on real files for one test: a path, a handle, entries; what an error's code is; the turns of the event loop. */
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Key, open, type Store, type StoreOptions } from "../../src/index.ts";
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import { tempFolder } from "./temp-folder.ts";
import { expectWhole, openWhole } from "./whole.ts";

/** The path of a store that is not there yet, in a folder of its own. */
export function newStorePath(): string {
  return join(tempFolder(), "store");
}

/** Opens a store. When the test ends it is closed, and checked whole. */
export function opened<K = Key, V = unknown>(path: string = newStorePath(), options?: StoreOptions<V>): Store<K, V> {
  return openWhole<K, V>(addonStorage(), path, options);
}

/** A new store with these entries, open. */
export function filled<K = Key, V = unknown>(
  entries: Iterable<readonly [K, V]>,
  options?: StoreOptions<V>,
): Store<K, V> {
  const store = opened<K, V>(newStorePath(), options);
  store.transactionSync((transaction) => {
    for (const [key, value] of entries) transaction.put(key, value);
  });
  return store;
}

/** Checks a store of other processes whole when the test ends. */
export function wholeAtEnd(path: string): void {
  onTestFinished(() => {
    const store = open(path, { create: false });
    try {
      expectWhole(store);
    } finally {
      store.closeSync();
    }
  });
}

/** The next turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The code of the error a call throws, or a promise rejects with; `{ returned }` if there was none. */
export async function codeOf(call: () => unknown): Promise<unknown> {
  try {
    return { returned: await call() };
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
}

/** Whether two values of a binary store are equal. (A test runner compares byte by byte in JavaScript.) */
export function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
