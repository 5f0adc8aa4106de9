/** What reads go to: a tree as some snapshot or some transaction has it. */
import { CorruptionError } from "../errors.ts";
import { decodeStoreRecord, type StoreRecord, storeRecordKey } from "./format/catalog.ts";
import type { Snapshot } from "./format/meta.ts";
import type { PageBounds, Pages, TreeRoot } from "./pager/pages.ts";
import { KeyBuffer } from "./tree/key.ts";
import { Finder } from "./tree/search.ts";

/** A tree, and the bounds within which its pages are genuine. */
export interface Source {
  readonly bounds: PageBounds;
  readonly tree: TreeRoot;
}

/** Finds the records of named stores in the catalogs of snapshots, and remembers the last answer. */
export class CatalogReader {
  readonly #pages: Pages;
  readonly #finder = new Finder();
  /** Of the store's record. */
  readonly key: KeyBuffer = new KeyBuffer();
  #last: { snapshot: Snapshot; source: Source & { tree: StoreRecord }; bytes: Uint8Array } | undefined;

  constructor(pages: Pages, name: string) {
    this.#pages = pages;
    this.key.set(storeRecordKey(name));
  }

  /** The tree of the store's entries in a snapshot. @throws CorruptionError if the catalog has no record of it */
  source(snapshot: Snapshot): Source & { tree: StoreRecord } {
    return this.#last?.snapshot === snapshot ? this.#last.source : this.read(snapshot);
  }

  /** The same, out of the catalog in any case: a writer must not build on what is no longer there. @throws as `source` */
  read(snapshot: Snapshot): Source & { tree: StoreRecord } {
    const { catalogRoot, catalogLevel, pageCount } = snapshot;
    const finder = this.#finder;
    if (!finder.find(this.#pages, snapshot, catalogRoot, catalogLevel, this.key)) throw noRecord(catalogRoot);
    finder.locate(this.#pages, snapshot);
    const { window, at, length } = finder.value;
    const last = this.#last;
    if (last?.snapshot === snapshot && window.bytes.compare(last.bytes, 0, last.bytes.length, at, at + length) === 0) {
      return last.source;
    }
    const bytes = Uint8Array.prototype.slice.call(window.bytes, at, at + length);
    return this.remember(snapshot, decodeStoreRecord(bytes, finder.page, pageCount), bytes);
  }

  /** What the catalog of a snapshot says: who commits one knows it, and whoever reads through it next need not look. */
  remember(snapshot: Snapshot, tree: StoreRecord, bytes: Uint8Array): Source & { tree: StoreRecord } {
    const source = { bounds: snapshot, tree };
    this.#last = { snapshot, source, bytes };
    return source;
  }
}

/** The error for a catalog that has lost the store's record. */
export function noRecord(root: number): CorruptionError {
  return new CorruptionError(root, "a catalog with a record of the default store", "none");
}
