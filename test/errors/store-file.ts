/** Store files as the tests of errors find, break and compare them. */
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { expect } from "vitest";
import { CorruptionError, open, type Store, StoreError } from "../../src/index.ts";
import { loadAddon } from "../../src/mapping/addon.ts";
import {
  META_CHECKSUM,
  META_COPY,
  META_FIRST_AT,
  META_RECORD_SIZE,
  META_SECOND_AT,
} from "../../src/store/format/meta.ts";
import { newStorePath } from "../support/opened.ts";
import { expectWhole } from "../support/whole.ts";

export type Entries = readonly (readonly [key: number, value: string])[];

/** Enough for a branch above the leaves, some of them in overflow runs. */
export const ENTRIES: Entries = Array.from({ length: 600 }, (_, i): [number, string] => [
  i,
  i % 50 === 7 ? "large ".repeat(2000) : `value ${i}`,
]);

/** A store with ENTRIES that nobody has open. */
export function closedStore(): string {
  const path = newStorePath();
  const store = open<number, string>(path);
  store.transactionSync((transaction) => {
    for (const [key, value] of ENTRIES) transaction.put(key, value);
  });
  store.closeSync();
  return path;
}

/** Expects that a handle, this process with it, lives: it reads what it should, is whole, and writes. */
export function expectUnharmed(store: Store<number, string>, entries: Entries = ENTRIES): void {
  store.refresh();
  expect([...store]).toEqual(entries);
  expectWhole(store as Store<unknown, unknown>);
  store.putSync(-1, "written after the error");
  expect(store.get(-1)).toBe("written after the error");
  store.deleteSync(-1);
}

/** The same of a store that nobody has open. */
export function expectUnharmedFile(path: string, entries: Entries = ENTRIES): void {
  const store = open<number, string>(path, { create: false });
  try {
    expectUnharmed(store, entries);
  } finally {
    store.closeSync();
  }
}

/** The error a call throws or a promise rejects with: it must be foliodb's own, and have this code and a message. */
export async function errorOf(code: string, call: () => unknown): Promise<StoreError> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    expect((error as StoreError).code, String(error)).toBe(code);
    expect((error as StoreError).message.length).toBeGreaterThan(10);
    return error as StoreError;
  }
  throw new Error(`expected ${code}, and nothing failed`);
}

/** The same for damage, whose three fields must say something. */
export async function damageOf(call: () => unknown): Promise<CorruptionError> {
  const error = await errorOf("DAMAGED", call);
  expect(error).toBeInstanceOf(CorruptionError);
  const { page, expected, found } = error as CorruptionError;
  expect([Number.isInteger(page), expected !== "", found !== ""]).toEqual([true, true, true]);
  return error as CorruptionError;
}

/** Changes bytes of a file in place, so that whoever maps it sees the change. */
export function patch(path: string, at: number, change: (bytes: Uint8Array) => void, length = 4096): void {
  const file = openSync(path, "r+");
  try {
    const bytes = new Uint8Array(length);
    readSync(file, bytes, 0, length, at);
    change(bytes);
    writeSync(file, bytes, 0, length, at);
  } finally {
    closeSync(file);
  }
}

const META_COPIES = [META_FIRST_AT, META_FIRST_AT + META_COPY, META_SECOND_AT, META_SECOND_AT + META_COPY];

/** Changes all meta records (or those at some places) and gives them checksums that fit. */
export function patchMetas(
  path: string,
  change: (view: DataView) => void,
  places: readonly number[] = META_COPIES,
): void {
  const { crc32c } = loadAddon();
  for (const at of places) {
    patch(
      path,
      at,
      (bytes) => {
        const view = new DataView(bytes.buffer);
        change(view);
        view.setUint32(META_CHECKSUM, crc32c(bytes, 0, META_CHECKSUM, 0), true);
      },
      META_RECORD_SIZE,
    );
  }
}

export function bytesOf(path: string): Buffer {
  return readFileSync(path);
}
