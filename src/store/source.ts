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
  #last: { snapshot: Snapshot; source: Source & { tree: StoreRecord } } | undefined;

  constructor(pages: Pages, name: string) {
    this.#pages = pages;
    this.key.set(storeRecordKey(name));
  }

  /** The tree of the store's entries in a snapshot. @throws CorruptionError if the catalog has no record of it */
  source(snapshot: Snapshot): Source & { tree: StoreRecord } {
    if (this.#last?.snapshot === snapshot) return this.#last.source;
    return this.remember(snapshot, this.#read(snapshot));
  }

  /** What the catalog of a snapshot says: who commits one knows it, and whoever reads it next need not look. */
  remember(snapshot: Snapshot, tree: StoreRecord): Source & { tree: StoreRecord } {
    const source = { bounds: snapshot, tree };
    this.#last = { snapshot, source };
    return source;
  }

  #read(snapshot: Snapshot): StoreRecord {
    const { catalogRoot, catalogLevel, pageCount } = snapshot;
    const finder = this.#finder;
    if (!finder.find(this.#pages, snapshot, catalogRoot, catalogLevel, this.key)) {
      throw new CorruptionError(catalogRoot, "a catalog with a record of the default store", "none");
    }
    finder.locate(this.#pages, snapshot);
    const { window, at, length } = finder.value;
    return decodeStoreRecord(Uint8Array.prototype.slice.call(window.bytes, at, at + length), finder.page, pageCount);
  }
}
