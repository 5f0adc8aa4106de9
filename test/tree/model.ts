/** A tree over memory pages beside a sorted array of what it must hold, and ways to compare the two. */
import { Buffer } from "node:buffer";
import type { PageBounds, TreeRoot } from "../../src/store/pager/pages.ts";
import { checkTree } from "../../src/store/tree/check.ts";
import { Cursor } from "../../src/store/tree/cursor.ts";
import { KeyBuffer } from "../../src/store/tree/key.ts";
import { loadLeafKey } from "../../src/store/tree/leaf-build.ts";
import { PutBuffer } from "../../src/store/tree/put-buffer.ts";
import { Finder } from "../../src/store/tree/search.ts";
import { TreeWriter } from "../../src/store/tree/writer.ts";
import { type MemoryOptions, MemoryPages, MemoryWriter } from "./memory-pages.ts";

export const EMPTY_TREE: TreeRoot = { root: 0, level: 0, entryCount: 0 };

/** Small, fast, and the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 … limit - 1 */
  below(limit: number): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % limit;
  }

  chance(part: number): boolean {
    return this.below(1000) < part * 1000;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
}

/** Entries in key order. Keys are latin1 strings of their bytes, which sort as the bytes do. */
export class Model {
  readonly keys: string[];
  readonly values: Map<string, Buffer>;

  constructor(keys: readonly string[] = [], values: ReadonlyMap<string, Buffer> = new Map()) {
    this.keys = [...keys];
    this.values = new Map(values);
  }

  copy(): Model {
    return new Model(this.keys, this.values);
  }

  /** First index whose key is not less. */
  lowerBound(key: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle] < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  put(key: string, value: Buffer): boolean {
    const added = !this.values.has(key);
    if (added) this.keys.splice(this.lowerBound(key), 0, key);
    this.values.set(key, value);
    return added;
  }

  delete(key: string): boolean {
    if (!this.values.delete(key)) return false;
    this.keys.splice(this.lowerBound(key), 1);
    return true;
  }
}

export function isAscii(value: Uint8Array): boolean {
  return value.every((byte) => byte < 0x80);
}

/** One entry as text for comparisons: key, value and what is known of it. */
function describeEntry(key: string, value: Uint8Array, ascii: boolean): string {
  return `${Buffer.from(key, "latin1").toString("hex")}=${Buffer.from(value).toString("hex")}${ascii ? " ascii" : ""}`;
}

export class Harness {
  readonly pages: MemoryPages;
  readonly writer: MemoryWriter;
  readonly tree: TreeWriter;
  readonly key: KeyBuffer = new KeyBuffer();
  readonly finder: Finder = new Finder();
  readonly cursor: Cursor = new Cursor();
  model = new Model();

  constructor(options: MemoryOptions = {}) {
    this.pages = new MemoryPages(options);
    this.writer = new MemoryWriter(this.pages);
    this.tree = new TreeWriter(this.writer, EMPTY_TREE);
  }

  setKey(key: string): KeyBuffer {
    this.key.set(Buffer.from(key, "latin1"));
    return this.key;
  }

  put(key: string, value: Buffer): boolean {
    this.setKey(key);
    // The value lies somewhere inside a larger buffer, as the codecs of the store hand it over.
    const padded = Buffer.concat([Buffer.from("<<"), value, Buffer.from(">>")]);
    const added = this.tree.put(this.key, padded, 2, value.length, isAscii(value));
    if (added !== this.model.put(key, value)) throw new Error(`put said new: ${added}`);
    return added;
  }

  /** Puts entries by way of a buffer, which may have to be emptied in between. */
  putAll(entries: readonly (readonly [string, Buffer])[]): void {
    const buffer = new PutBuffer();
    for (const [key, value] of entries) {
      const padded = Buffer.concat([Buffer.from("<<"), value, Buffer.from(">>")]);
      if (!buffer.add(this.setKey(key), padded, 2, value.length, isAscii(value))) {
        this.#putWaiting(buffer);
        this.put(key, value);
      }
      this.model.put(key, value);
    }
    this.#putWaiting(buffer);
  }

  #putWaiting(buffer: PutBuffer): void {
    this.tree.putAll(buffer);
    buffer.clear();
  }

  delete(key: string): boolean {
    const removed = this.tree.delete(this.setKey(key));
    if (removed !== this.model.delete(key)) throw new Error(`delete said there: ${removed}`);
    return removed;
  }

  clear(): void {
    this.tree.clear();
    this.model = new Model();
  }

  get(key: string): Buffer | undefined {
    return get(this, this.writer, this.tree.tree, key);
  }

  /** Checks the whole tree, and that exactly its pages are in use. */
  check(): void {
    const reached = checkWhole(this.pages, this.writer, this.tree.tree);
    if (this.writer.holding) return;
    const unused = [...this.writer.used].filter((page) => !reached.has(page));
    if (unused.length > 0) throw new Error(`pages ${unused.slice(0, 10).join()} are in use but not in the tree`);
    for (const page of reached) if (!this.writer.used.has(page)) throw new Error(`page ${page} is not in use`);
  }

  /** Compares all entries, forwards and backwards. */
  compare(): void {
    compareTree(this, this.writer, this.tree.tree, this.model);
  }
}

/** Throws if the tree has any problem. Returns the pages reached. */
export function checkWhole(pages: MemoryPages, bounds: PageBounds, tree: TreeRoot): Set<number> {
  const reached = new Set<number>();
  const problems: string[] = [];
  checkTree(
    pages,
    bounds,
    tree,
    (page, count) => {
      for (let each = page; each < page + count; each++) {
        if (reached.has(each)) return false;
        reached.add(each);
      }
      return true;
    },
    (page, expected, found) => problems.push(`page ${page}: expected ${expected}, found ${found}`),
  );
  if (problems.length > 0) throw new Error(`${problems.length} problems:\n${problems.slice(0, 10).join("\n")}`);
  return reached;
}

export function get(harness: Harness, bounds: PageBounds, tree: TreeRoot, key: string): Buffer | undefined {
  const { finder, pages } = harness;
  if (!finder.find(pages, bounds, tree.root, tree.level, harness.setKey(key))) return undefined;
  finder.locate(pages, bounds);
  const { window, at, length } = finder.value;
  return Buffer.from(window.bytes.subarray(at, at + length));
}

const here = new KeyBuffer();

export function keyAt(cursor: Cursor, pageEnd: number): string {
  loadLeafKey(here, cursor.window, cursor.at, cursor.slot, pageEnd);
  return here.bytes.toString("latin1", 0, here.length);
}

function entryAt(cursor: Cursor, pageEnd: number): string {
  cursor.locate();
  const { window, at, length, ascii } = cursor.value;
  return describeEntry(keyAt(cursor, pageEnd), window.bytes.subarray(at, at + length), ascii);
}

/** Compares what cursors see of a tree with a model, in both directions. */
export function compareTree(harness: Harness, bounds: PageBounds, tree: TreeRoot, model: Model): void {
  const { cursor, pages } = harness;
  const expected = model.keys.map((key) => {
    const value = model.values.get(key) ?? Buffer.alloc(0);
    return describeEntry(key, value, isAscii(value));
  });
  if (tree.entryCount !== expected.length) throw new Error(`${tree.entryCount} entries, not ${expected.length}`);
  cursor.open(pages, bounds, tree);
  let index = 0;
  for (let valid = cursor.seekFirst(); valid; valid = cursor.next()) {
    if (entryAt(cursor, pages.pageEnd) !== expected[index++]) throw new Error(`entry ${index - 1} differs`);
  }
  if (index !== expected.length) throw new Error(`${index} entries forwards, not ${expected.length}`);
  for (let valid = cursor.seekLast(); valid; valid = cursor.previous()) {
    if (entryAt(cursor, pages.pageEnd) !== expected[--index]) throw new Error(`entry ${index} differs backwards`);
  }
  if (index !== 0) throw new Error(`${index} entries are missing backwards`);
}
