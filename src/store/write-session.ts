/**
 * One stay under the writer lock: the tree of the store's entries and the catalog as they are being changed, in parts
 * that can be undone one by one, ended by a commit or an abort.
 */
import { encodeStoreRecord, type StoreRecord } from "./format/catalog.ts";
import type { Pager, PendingCommit } from "./pager/pager.ts";
import type { TreeRoot } from "./pager/pages.ts";
import type { CatalogRoot, PageTransaction } from "./pager/transaction.ts";
import { type CatalogReader, noRecord, type Source } from "./source.ts";
import type { KeyBuffer } from "./tree/key.ts";
import { givePutBufferBack, type PutBuffer, takePutBuffer } from "./tree/put-buffer.ts";
import { TreeWriter } from "./tree/writer.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** So many puts that come in the order of their keys are taken for a beginning of many. */
const ASCENDING_COUNT = 16;

export class WriteSession {
  readonly #pager: Pager;
  readonly #transaction: PageTransaction;
  /** Writes the tree of the entries, and when that is done the catalog. */
  readonly #tree: TreeWriter;
  readonly #catalog: CatalogReader;
  /** As the transaction found it, and at its end as it leaves it. */
  #record: StoreRecord;
  /** The record as it was written. */
  #recordBytes = NO_BYTES;
  /** The tree as it was when the part began. */
  #partRoot: TreeRoot;
  #version = 0;
  /** Puts that wait to be made together. */
  #waiting: PutBuffer | undefined;
  /** The first puts came in the order of their keys: the next need not wait. */
  #ascending = false;
  /** An error that may have left the tree half changed: the part can only be undone. */
  #broken: { readonly error: unknown } | undefined;

  /**
   * The writer lock is held; it is released if this fails.
   *
   * @param previous the handle's session before this one, which has ended: its buffers are used again
   * @throws as `Pager.begin`
   */
  constructor(pager: Pager, catalog: CatalogReader, previous: WriteSession | undefined) {
    this.#pager = pager;
    this.#catalog = catalog;
    this.#transaction = pager.begin();
    try {
      const { base } = this.#transaction;
      this.#record = catalog.read(base).tree;
      this.#tree = writerOf(previous === undefined ? undefined : previous.#tree, this.#transaction, this.#record);
    } catch (error) {
      pager.abort();
      throw error;
    }
    this.#partRoot = this.#tree.tree;
  }

  /** Where reads of the transaction go: its own changes included. @throws as `settle` */
  get source(): Source {
    this.settle();
    return { bounds: this.#transaction, tree: this.#tree.tree };
  }

  /** Changes with every write. */
  get version(): number {
    return this.#version;
  }

  /**
   * Puts an entry, or keeps it to be put with others in the order of their keys: then what it meets is an error of a later
   * call. @throws StoreError DISK_FULL, STORE_FULL, IO; CorruptionError
   */
  put(key: KeyBuffer, value: Uint8Array, from: number, length: number, ascii: boolean): void {
    this.checkWhole();
    this.#version++;
    if (this.#tree.root === 0 && !this.#ascending) {
      this.#waiting ??= takePutBuffer();
      if (this.#waiting.add(key, value, from, length, ascii)) {
        if (this.#waiting.count !== ASCENDING_COUNT || !this.#waiting.ascends) return;
        this.#ascending = true;
        this.settle();
        return;
      }
      this.settle();
    }
    try {
      this.#tree.put(key, value, from, length, ascii);
    } catch (error) {
      throw this.#break(error);
    }
  }

  /** Makes the puts that wait. @throws the error that broke the part, now or before */
  settle(): void {
    this.checkWhole();
    if (this.#waiting === undefined || this.#waiting.count === 0) return;
    try {
      this.#tree.putAll(this.#waiting);
      this.#waiting.clear();
    } catch (error) {
      throw this.#break(error);
    }
  }

  /** Whether the key was there. @throws as `put` */
  delete(key: KeyBuffer): boolean {
    this.settle();
    this.#version++;
    try {
      return this.#tree.delete(key);
    } catch (error) {
      throw this.#break(error);
    }
  }

  /** @throws as `put` */
  clear(): void {
    this.checkWhole();
    this.#version++;
    this.#forgetWaiting();
    try {
      this.#tree.clear();
    } catch (error) {
      throw this.#break(error);
    }
  }

  #forgetWaiting(): void {
    this.#waiting?.clear();
    this.#ascending = false;
  }

  #break(error: unknown): unknown {
    this.#broken = { error };
    return error;
  }

  /** @throws the error that broke the part, whoever caught it then */
  checkWhole(): void {
    if (this.#broken !== undefined) throw this.#broken.error;
    this.#transaction.checkFaults();
  }

  /** What was written until now stays, whatever is undone later. @throws the error that broke the part, if one did */
  keepPart(): void {
    this.settle();
    if (isSameTree(this.#tree.tree, this.#partRoot)) return;
    this.#transaction.keepPart();
    this.#partRoot = this.#tree.tree;
  }

  /** What was written since the last part is undone. */
  undoPart(): void {
    this.#forgetWaiting();
    this.#transaction.undoPart();
    this.#tree.restore(this.#partRoot);
    this.#version++;
    this.#broken = undefined;
  }

  // Every way out releases the writer lock.

  abort(): void {
    this.#release();
    this.#transaction.forget();
    this.#pager.abort();
  }

  /** Commits and waits. @throws as `Pager.commitSync` */
  commitSync(): void {
    const catalog = this.#finish();
    if (catalog === undefined) return;
    try {
      this.#pager.commitSync(this.#transaction, catalog, this.#transaction.base.userVersion);
    } finally {
      this.#ended();
    }
  }

  /** Starts the commit; undefined if nothing was changed. */
  commit(): PendingCommit | undefined {
    const catalog = this.#finish();
    if (catalog === undefined) return undefined;
    try {
      return this.#pager.commit(this.#transaction, catalog, this.#transaction.base.userVersion);
    } finally {
      this.#ended();
    }
  }

  /** If the commit fails, nobody ever reads the snapshot that would have been. */
  #ended(): void {
    this.#release();
    const { snapshot } = this.#transaction;
    if (snapshot !== undefined) this.#catalog.remember(snapshot, this.#record, this.#recordBytes);
    this.#transaction.forget();
  }

  #release(): void {
    if (this.#waiting !== undefined) givePutBufferBack(this.#waiting);
    this.#waiting = undefined;
  }

  /** Writes the store's record into the catalog. Undefined, and the lock released, if nothing was changed. */
  #finish(): CatalogRoot | undefined {
    try {
      this.settle();
      const { root, level, entryCount } = this.#tree.tree;
      const { keyEncoding, valueEncoding } = this.#record;
      if (isSameTree(this.#tree.tree, this.#record)) {
        this.abort();
        return undefined;
      }
      this.#record = { root, level, entryCount, keyEncoding, valueEncoding };
      const bytes = encodeStoreRecord(this.#record);
      this.#recordBytes = bytes;
      const { base } = this.#transaction;
      this.#transaction.entriesDone();
      const catalog = this.#tree;
      catalog.restore({ root: base.catalogRoot, level: base.catalogLevel, entryCount: base.catalogCount });
      // It was there when the transaction began: pages it wrote were in use, though the map said they were free.
      if (catalog.put(this.#catalog.key, bytes, 0, bytes.length, false)) throw noRecord(base.catalogRoot);
      return { catalogRoot: catalog.root, catalogLevel: catalog.level, catalogCount: catalog.entryCount };
    } catch (error) {
      this.abort();
      throw error;
    }
  }
}

function writerOf(previous: TreeWriter | undefined, transaction: PageTransaction, tree: TreeRoot): TreeWriter {
  if (previous === undefined) return new TreeWriter(transaction, tree);
  previous.begin(transaction, tree);
  return previous;
}

/** Whether nothing was changed: a change copies the root, and no page in use can be taken for the copy. */
function isSameTree(a: TreeRoot, b: TreeRoot): boolean {
  return a.root === b.root && a.level === b.level && a.entryCount === b.entryCount;
}
