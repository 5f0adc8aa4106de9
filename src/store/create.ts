/**
 * A new store as the bytes of its file: two meta pages that hold the same record, the catalog with the record of the
 * default store, and the space map. The file is built whole beside its name and linked into place.
 */

import { basename } from "node:path";
import { assert, StoreError } from "../errors.ts";
import { customEncodingName, encodeStoreRecord, storeRecordKey } from "./format/catalog.ts";
import { groupPages, MAP_BITS, MAP_LEAF_USED } from "./format/map.ts";
import {
  blankMeta,
  encodeMeta,
  hex,
  type Layout,
  META_COPY,
  META_FIRST_AT,
  META_SECOND_AT,
  type Snapshot,
} from "./format/meta.ts";
import { initPage, PAGE_CHECKSUM, PAGE_TYPE_MAP_LEAF } from "./format/page.ts";
import type { CheckedOptions } from "./options.ts";
import { MappedPages } from "./pager/mapped-pages.ts";
import { type Pages, type PageWriter, Window } from "./pager/pages.ts";
import type { Storage } from "./pager/storage.ts";
import { storeError } from "./pager/system-errors.ts";
import { KeyBuffer } from "./tree/key.ts";
import { TreeWriter } from "./tree/writer.ts";

/** The number of the snapshot a store is created with. */
const FIRST_NUMBER = 1;

/**
 * Bytes written at once: a page of memory. Linux keeps what one write brings as one large page of its cache, and a store
 * through a mapping makes all of that dirty: a commit of one page would write half a megabyte.
 */
const WRITE_SIZE = 4096;

/** Bytes of a file's name on the systems there are, and those that other names than its own need while files are made. */
const NAME_SIZE_MAX = 255;
const NAME_ROOM = 20;

/** What the catalog calls a value encoding. */
export function valueEncodingName(encoding: string | { readonly name: string }): string {
  return typeof encoding === "string" ? encoding : customEncodingName(encoding.name);
}

/** Creates the file. False: there is one already. @throws StoreError OPTION, NOT_FOUND, NO_PERMISSION, DISK_FULL, IO */
export function createStore<V>(storage: Storage, path: string, options: CheckedOptions<V>): boolean {
  if (Buffer.byteLength(basename(path)) > NAME_SIZE_MAX - NAME_ROOM) {
    throw new StoreError("OPTION", `the name of a store's file has at most ${NAME_SIZE_MAX - NAME_ROOM} bytes`);
  }
  const used = buildStore(storage, options);
  try {
    const size = Math.max(used.length, options.fileSizeMin);
    const bytes = Buffer.concat([used], size);
    const content = Array.from({ length: size / WRITE_SIZE }, (_, index) => {
      return { at: index * WRITE_SIZE, bytes: bytes.subarray(index * WRITE_SIZE, (index + 1) * WRITE_SIZE) };
    });
    return storage.createFile(path, options.mode, size, content);
  } catch (error) {
    throw storeError(error, `creating ${path}`);
  }
}

/** The pages of a new store. */
function buildStore<V>(storage: Storage, options: CheckedOptions<V>): Buffer {
  const { pageSize } = options;
  const metaPages = [META_FIRST_AT / pageSize, META_SECOND_AT / pageSize];
  const free = [1, 2, 3].filter((page) => !metaPages.includes(page));
  const pageCount = Math.max(...metaPages, free[1]) + 1;
  const bytes = Buffer.alloc(pageCount * pageSize);
  const layout: Layout = {
    pageSize,
    runBoundaryLog2: options.runBoundaryLog2,
    storeId: hex(storage.random(16), 0, 16),
  };
  const pages = memoryPages(bytes, layout);
  const [catalogPage, mapPage] = free;

  const writer = new OneTimeWriter(pages, [catalogPage], pageCount);
  const catalog = new TreeWriter(writer, { root: 0, level: 0, entryCount: 0 });
  const key = new KeyBuffer();
  key.set(storeRecordKey(""));
  const { keyEncoding = "ordered" } = options;
  const valueEncoding = valueEncodingName(options.valueEncoding ?? "msgpack");
  const record = encodeStoreRecord({ root: 0, level: 0, entryCount: 0, keyEncoding, valueEncoding });
  catalog.put(key, record, 0, record.length, false);

  const { view } = pages.windows[0];
  const inUse = [...metaPages, catalogPage];
  assert(Math.max(...inUse) < groupPages(pages.pageEnd));
  const mapAt = mapPage * pageSize;
  initPage(view, mapAt, mapPage, PAGE_TYPE_MAP_LEAF, 0, FIRST_NUMBER);
  view.setUint32(mapAt + MAP_LEAF_USED, inUse.length, true);
  for (const page of inUse) bytes[mapAt + MAP_BITS + (page >>> 3)] |= 1 << (page & 7);

  const seed = storage.crc32c(Buffer.from(layout.storeId, "hex"), 0, 16, 0);
  for (const page of [catalogPage, mapPage]) {
    const at = page * pageSize;
    view.setUint32(at + PAGE_CHECKSUM, storage.crc32c(bytes, at + 4, at + pageSize, seed), true);
  }
  const snapshot: Snapshot = {
    number: FIRST_NUMBER,
    commitId: hex(storage.random(16), 0, 16),
    catalogRoot: catalog.root,
    catalogLevel: 0,
    catalogCount: 1,
    mapRoot: mapPage,
    mapLevel: 0,
    pageCount,
    pageHighest: Math.max(...inUse, mapPage),
    pagesUsed: inUse.length + 1,
    userVersion: 0,
  };
  const meta = encodeMeta(blankMeta(layout), snapshot, storage.crc32c);
  for (const at of [META_FIRST_AT, META_SECOND_AT]) {
    bytes.set(meta.bytes, at);
    bytes.set(meta.bytes, at + META_COPY);
  }
  return bytes;
}

/** Pages over bytes in memory: as a file that is there already, and of one window. */
function memoryPages(bytes: Buffer, layout: Layout): Pages {
  const window = new Window(bytes);
  const file = { faults: new Int32Array(1), size: () => bytes.length, mapWindow: () => window };
  const pages = new MappedPages(file, layout, true);
  pages.reach(bytes.length / layout.pageSize);
  return pages;
}

/** Gives the pages it was made with, and no others. */
class OneTimeWriter implements PageWriter {
  readonly pages: Pages;
  readonly pageCount: number;
  readonly number = FIRST_NUMBER;
  readonly #free: number[];

  constructor(pages: Pages, free: number[], pageCount: number) {
    this.pages = pages;
    this.pageCount = pageCount;
    this.#free = free;
  }

  take(): number {
    const page = this.#free.shift();
    assert(page !== undefined, "a page for each that is taken");
    return page;
  }

  takeRun(): number {
    return this.take();
  }

  giveUp(): void {
    assert(false, "nothing is given up in a new store");
  }
}
