/** A million random keys in real files of many windows: the store stays right, and pages that were given up come back. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import type { Store } from "../../src/store/store.ts";
import { Dice, seedOfRun } from "../support/dice.ts";
import { tempFolderInMemory } from "../support/temp-folder.ts";
import { openWhole } from "../support/whole.ts";

type BytesStore = Store<Uint8Array, Uint8Array>;

const KEY_COUNT = 1_000_000;
const KEY_SIZE = 16;
const VALUE_SIZE = 100;
const KEYS_PER_TRANSACTION = 1000;
const EXTENT_MAX = 256 * 1024 * 1024;
/** 1 MiB: about two hundred windows. */
const WINDOW_LOG2 = 20;
const EXTENT_UNIT = 64 * 1024;

/** Keys that look random and are told by their index. */
class Keys {
  readonly #bytes: Buffer;

  constructor(dice: Dice, count: number) {
    this.#bytes = Buffer.alloc(count * KEY_SIZE);
    for (let at = 0; at < this.#bytes.length; at += 4) this.#bytes.writeUInt32LE(dice.u32(), at);
  }

  at(index: number): Uint8Array {
    return this.#bytes.subarray(index * KEY_SIZE, (index + 1) * KEY_SIZE);
  }
}

/** The value of a key in the given round; its first bytes tell both. */
function entryValue(scratch: Buffer, index: number, round: number): Uint8Array {
  scratch.writeUInt32LE(index, 0);
  scratch.writeUInt32LE(round, 4);
  return scratch;
}

/** A random part of all indexes, in random order. */
function choose(dice: Dice, part: number): Uint32Array {
  const count = KEY_COUNT;
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < count * part; i++) {
    const j = i + dice.below(count - i);
    const swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order.subarray(0, count * part);
}

function inTransactions(store: BytesStore, chosen: Uint32Array, act: (index: number, write: Writes) => void): void {
  for (let from = 0; from < chosen.length; from += KEYS_PER_TRANSACTION) {
    store.transactionSync((transaction) => {
      for (const index of chosen.subarray(from, from + KEYS_PER_TRANSACTION)) act(index, transaction);
    });
  }
}

interface Writes {
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): boolean;
}

/** In one transaction, so that nothing but the tree itself takes room. */
function load(store: BytesStore, keys: Keys): void {
  const scratch = Buffer.alloc(VALUE_SIZE);
  store.transactionSync((transaction) => {
    for (let index = 0; index < KEY_COUNT; index++) transaction.put(keys.at(index), entryValue(scratch, index, 0));
  });
}

/** Every `stride`-th key has the value of its round. */
function expectValues(store: BytesStore, keys: Keys, rounds: Uint8Array, stride: number): void {
  const scratch = Buffer.alloc(VALUE_SIZE);
  for (let index = 0; index < KEY_COUNT; index += stride) {
    const found = store.get(keys.at(index));
    if (found === undefined || Buffer.compare(found, entryValue(scratch, index, rounds[index])) !== 0) {
      throw new Error(`key ${index} does not have the value of round ${rounds[index]}`);
    }
  }
}

/** Deletes some keys and writes them again, in many transactions. */
function churn(store: BytesStore, keys: Keys, chosen: Uint32Array, round: number, rounds: Uint8Array): void {
  const scratch = Buffer.alloc(VALUE_SIZE);
  inTransactions(store, chosen, (index, transaction) => {
    if (!transaction.delete(keys.at(index))) throw new Error(`key ${index} was not there`);
  });
  inTransactions(store, chosen, (index, transaction) => {
    transaction.put(keys.at(index), entryValue(scratch, index, round));
    rounds[index] = round;
  });
}

function oneExtentMore(size: number): number {
  return Math.ceil((size + Math.min(size / 8, EXTENT_MAX)) / EXTENT_UNIT) * EXTENT_UNIT;
}

test("half of a million keys deleted and written again take no more room than before", { timeout: 240_000 }, () => {
  const dice = new Dice(seedOfRun());
  const keys = new Keys(dice, KEY_COUNT);
  const path = join(tempFolderInMemory(), "space.folio");
  const options = { keyEncoding: "binary", valueEncoding: "binary" } as const;
  const store: BytesStore = openWhole(addonStorage(), path, options, { runBoundaryLog2: WINDOW_LOG2 });
  load(store, keys);
  const loaded = store.stats();
  const rounds = new Uint8Array(KEY_COUNT);

  churn(store, keys, choose(dice, 1 / 2), 1, rounds);
  const churned = store.stats();
  expect(churned.entryCount).toBe(KEY_COUNT);
  expect(churned.pagesUsed).toBeLessThanOrEqual(loaded.pagesUsed * 1.2);
  expect(churned.pageHighest).toBeLessThanOrEqual(loaded.pageHighest * 1.2);
  expect(churned.fileSize).toBeLessThanOrEqual(oneExtentMore(loaded.fileSize));

  // An eighth of the keys is on nearly every page, so a snapshot held meanwhile comes to hold a tree of its own.
  const snapshot = store.snapshot();
  churn(store, keys, choose(dice, 1 / 8), 2, rounds);
  const held = store.stats();
  const room = churned.pagesUsed;
  expect(held.entryCount).toBe(KEY_COUNT);
  expect(held.pagesUsed).toBeLessThanOrEqual(loaded.pagesUsed * 1.2);
  expect(held.pageHighest).toBeLessThanOrEqual(loaded.pageHighest * 1.2 + room);
  expect(held.fileSize).toBeLessThanOrEqual(oneExtentMore(loaded.fileSize + room * held.pageSize));
  expect(snapshot.count()).toBe(KEY_COUNT);
  snapshot.close();
  expectValues(store, keys, rounds, 5);
});
