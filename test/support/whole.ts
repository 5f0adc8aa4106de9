/**
 * Stores that are checked whole when the test ends (style: every store a test opens is). Handles that are still open are
 * checked and closed; then each store is opened once more by a handle of its own, and checked as an opener finds it.
 */
import { onTestFinished } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open.ts";
import type { InternalOptions, StoreOptions } from "../../src/store/options.ts";
import type { Storage } from "../../src/store/pager/storage.ts";
import type { Store } from "../../src/store/store.ts";
import type { Machine } from "../recorder/machine.ts";
import { SimulatedProcess } from "../recorder/process.ts";

/** Fails, naming the problems, unless the whole-file check finds none. */
export function expectWhole(store: { check: Store<unknown, unknown>["check"] }): void {
  const { ok, problems } = store.check();
  if (ok) return;
  const list = problems
    .slice(0, 10)
    .map(({ page, expected, found }) => `page ${page}: expected ${expected}, found ${found}`);
  throw new Error(`the store is not whole:\n${list.join("\n")}`);
}

/** Within a test: opens a store that is checked when the test ends. */
export function openWhole<K, V>(
  storage: Storage,
  path: string,
  options: StoreOptions<V> = {},
  internal: InternalOptions = {},
): Store<K, V> {
  const store = openStore<K, V>(storage, path, options, internal);
  onTestFinished(() => {
    const machine = storage instanceof SimulatedProcess ? storage.machine : undefined;
    if (!(storage instanceof SimulatedProcess && storage.killed)) endWhole(store);
    checkAnew(machine, machine?.process("checker") ?? storage, path, options);
  });
  return store;
}

/** Checks and closes a handle that may be closed already. */
function endWhole<K, V>(store: Store<K, V>): void {
  try {
    expectWhole(store);
  } catch (error) {
    if (error instanceof StoreError && error.code === "CLOSED") return;
    throw error;
  } finally {
    store.closeSync();
  }
}

function checkAnew<V>(machine: Machine | undefined, storage: Storage, path: string, options: StoreOptions<V>): void {
  const { valueEncoding } = options;
  let store: Store<unknown, V>;
  try {
    store = openStore<unknown, V>(storage, path, { create: false, valueEncoding });
  } catch (error) {
    // A test may have removed its store, or have left it poisoned by a process that is still there.
    if (error instanceof StoreError && error.code === "NOT_FOUND" && machine?.find(path) === undefined) return;
    throw error;
  }
  try {
    expectWhole(store);
  } finally {
    store.closeSync();
  }
}
