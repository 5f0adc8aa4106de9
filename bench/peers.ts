/** The two peers, opened and called the way their users would. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { open, type Store } from "foliodb";
import { COMPARE_FOLDER } from "./folder.ts";
import type { EntrySet } from "./sets.ts";

export type Value = string | Uint8Array;

export type Foliodb = Store<string, Value>;

/** What is used of lmdb-js. */
export interface Lmdb {
  get(key: string): Value | undefined;
  doesExist(key: string): boolean;
  getRange(options?: { start: string; limit: number }): Iterable<{ key: string; value: Value }>;
  getKeys(): Iterable<string>;
  put(key: string, value: Value): Promise<boolean>;
  putSync(key: string, value: Value): boolean;
  transactionSync<T>(callback: () => T): T;
  getStats(): {
    pageSize: number;
    treeBranchPageCount: number;
    treeLeafPageCount: number;
    overflowPages: number;
  };
  readonly flushed: PromiseLike<unknown>;
  close(): Promise<void>;
}

interface LmdbModule {
  open(options: { path: string; encoding: "string" | "binary" }): Lmdb;
}

export function openFoliodb(path: string, set: EntrySet): Foliodb {
  return open<string, Value>(path, { valueEncoding: set.values });
}

const requirePeer = createRequire(join(COMPARE_FOLDER, "package.json"));

export function openLmdb(path: string, set: EntrySet): Lmdb {
  const { open: openPeer } = requirePeer("lmdb") as LmdbModule;
  return openPeer({ path, encoding: set.values });
}

/** Version of the lmdb-js measured. */
export function lmdbVersion(): string {
  const description = readFileSync(join(COMPARE_FOLDER, "node_modules", "lmdb", "package.json"), "utf8");
  return (JSON.parse(description) as { version: string }).version;
}
