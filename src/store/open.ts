/** Opening a store, which is creating it first if there is none. Apart from the store, whose types are published. */
import { StoreError } from "../errors.ts";
import { createStore } from "./create.ts";
import { checkOptions, type InternalOptions, type StoreOptions } from "./options.ts";
import { Pager } from "./pager/pager.ts";
import type { Storage } from "./pager/storage.ts";
import { Store } from "./store.ts";

/** Opens a store on some machine; `open` is this with the real one. */
export function openStore<K, V>(
  storage: Storage,
  path: string,
  options: StoreOptions<V> = {},
  internal: InternalOptions = {},
): Store<K, V> {
  const checked = checkOptions(path, options, internal);
  // Of its own name, whatever link led to it: there the coordination file lies, and the working folder may change.
  const open = (): Pager => new Pager(storage, storage.resolvePath(path), checked);
  if (!checked.create) return new Store<K, V>(open(), checked);
  try {
    return new Store<K, V>(open(), checked);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "NOT_FOUND") throw error;
  }
  createStore(storage, storage.resolvePath(path), checked);
  return new Store<K, V>(open(), checked);
}
