/**
 * The whole-file check. Everything a store claims about itself is put to the test, the sum of which is one equality:
 *
 * > The pages marked in use in the space map are exactly the meta pages and those reachable from the catalog; the pages
 * > of the map are exactly those of its own tree; the two sets have no page in common.
 */
import { CorruptionError } from "../errors.ts";
import { CATALOG_KIND_STORE, decodeStoreRecord } from "./format/catalog.ts";
import { groupPages } from "./format/map.ts";
import { META_FIRST_AT, META_SECOND_AT, type Snapshot } from "./format/meta.ts";
import { pageChecksum } from "./format/page.ts";
import type { Pager } from "./pager/pager.ts";
import type { TreeRoot } from "./pager/pages.ts";
import {
  addGroupBits,
  countBits,
  type GroupBits,
  groupWords,
  type MapIndex,
  mapLeafOf,
  pagesUsed,
  readMapIndex,
} from "./pager/space-map.ts";
import { faultError } from "./pager/system-errors.ts";
import { checkTree } from "./tree/check.ts";
import { Cursor } from "./tree/cursor.ts";
import { KeyBuffer } from "./tree/key.ts";
import { loadLeafKey } from "./tree/leaf-build.ts";

/** One thing that is not as it must be. `page` is a page number, or -1 where none applies. */
export interface Problem {
  readonly page: number;
  readonly expected: string;
  readonly found: string;
}

/** What the whole-file check found. */
export interface CheckReport {
  /** Whether the store is whole. */
  readonly ok: boolean;
  /** The first PROBLEMS_MAX problems. */
  readonly problems: readonly Problem[];
  /** Entries found. */
  readonly entryCount: number;
  /** Pages reached: meta pages, trees, overflow runs, the space map. */
  readonly pagesUsed: number;
  /** Pages of the store. */
  readonly pageCount: number;
}

const PROBLEMS_MAX = 100;

class Check {
  readonly problems: Problem[] = [];
  /** Pages reached from the catalog, and the meta pages. */
  readonly #reached: Uint32Array;
  readonly #pager: Pager;
  readonly #snapshot: Snapshot;
  readonly #mapPages = new Set<number>();
  reachedCount = 0;

  constructor(pager: Pager, snapshot: Snapshot) {
    this.#pager = pager;
    this.#snapshot = snapshot;
    this.#reached = new Uint32Array(Math.ceil(snapshot.pageCount / 32));
  }

  readonly report = (page: number, expected: string, found: string): void => {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push({ page, expected, found });
  };

  /** Runs a step that may meet damage it can't go on from. */
  guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (error instanceof CorruptionError) this.report(error.page, error.expected, error.found);
      else throw error;
    }
  }

  /** A page, or a run of pages, was reached; returns whether none of them was before. */
  readonly reach = (page: number, count: number): boolean => {
    let isNew = true;
    for (let each = page; each < page + count; each++) {
      if (each >= this.#snapshot.pageCount) {
        this.report(each, `a page below page count ${this.#snapshot.pageCount}`, String(each));
        return false;
      }
      if (this.isReached(each)) {
        this.report(each, "a page reached once", "reached again");
        isNew = false;
      } else this.reachedCount++;
      this.#reached[each >>> 5] |= 1 << (each & 31);
    }
    if (isNew) this.#verify(page, count);
    return isNew;
  };

  isReached(page: number): boolean {
    return ((this.#reached[page >>> 5] >>> (page & 31)) & 1) !== 0;
  }

  /** The meta pages are in use, and have no checksum of the pages' kind. */
  reachMetas(): void {
    for (const at of [META_FIRST_AT, META_SECOND_AT]) {
      const page = at / this.#pager.layout.pageSize;
      this.#reached[page >>> 5] |= 1 << (page & 31);
      this.reachedCount++;
    }
  }

  /** Compares the checksum of a page or run. */
  #verify(page: number, count: number): void {
    const { pages, storage, checksumSeed } = this.#pager;
    const { view, bytes } = pages.windows[page >>> pages.windowShift];
    const at = (page & pages.windowMask) << pages.pageShift;
    const end = at + count * pages.pageSize;
    if (end > bytes.length) {
      this.report(page, "a run that does not cross the run boundary", `${count} pages`);
      return;
    }
    const computed = storage.crc32c(bytes, at + 4, end, checksumSeed);
    const stored = pageChecksum(view, at);
    if (computed !== stored) this.report(page, `checksum ${hex(computed)}`, hex(stored));
  }

  /** The map's own pages: each once, none reached otherwise, checksums right. */
  reachMap(index: MapIndex): void {
    for (const page of index.ownPages) {
      if (this.#mapPages.has(page)) this.report(page, "a page of the space map named once", "named again");
      this.#mapPages.add(page);
      if (this.isReached(page)) this.report(page, "a page of the space map or of a tree", "both");
      this.#verify(page, 1);
    }
  }

  /** The equality: bits = pages reached. */
  compareMap(index: MapIndex): void {
    const { pages } = this.#pager;
    const capacity = groupPages(pages.pageEnd);
    const groupCount = Math.max(Math.ceil(this.#snapshot.pageCount / capacity), index.levels[0]?.pages.length ?? 0);
    for (let group = 0; group < groupCount; group++) {
      const bits = new Int32Array(groupWords(pages));
      this.guard(() => addGroupBits(pages, this.#snapshot, index, group, bits));
      const used = countBits(bits);
      const free = index.levels[0]?.free[group] ?? 0;
      const leaf = mapLeafOf(index, group);
      if (leaf !== 0 && free !== capacity - used) this.report(leaf, `free count ${capacity - used}`, String(free));
      this.#compareGroup(group * capacity, capacity, bits);
    }
  }

  #compareGroup(first: number, capacity: number, bits: GroupBits): void {
    for (let i = 0; i < capacity; i++) {
      const page = first + i;
      const isMarked = ((bits[i >>> 5] >>> (i & 31)) & 1) !== 0;
      const isReached = page < this.#snapshot.pageCount && this.isReached(page);
      if (isMarked === isReached) continue;
      if (isReached) this.report(page, "a page in use marked as such", "marked free");
      else this.report(page, "a free page marked as such", "marked in use");
    }
  }

  /** The highest page reached, the map's included. */
  highest(): number {
    let highest = 0;
    for (const page of this.#mapPages) highest = Math.max(highest, page);
    for (let page = this.#snapshot.pageCount - 1; page > highest; page--) {
      if (this.isReached(page)) return page;
    }
    return highest;
  }
}

function hex(checksum: number): string {
  return `0x${(checksum >>> 0).toString(16).padStart(8, "0")}`;
}

/** The report on a store that has not even a snapshot to check. */
export function failedCheck({ page, expected, found }: CorruptionError): CheckReport {
  return { ok: false, problems: [{ page, expected, found }], entryCount: 0, pagesUsed: 0, pageCount: 0 };
}

/** Checks the whole of one snapshot, which the caller holds. @throws StoreError IO if the file can't be read @internal */
export function checkStore(pager: Pager, snapshot: Snapshot): CheckReport {
  const check = new Check(pager, snapshot);
  let entryCount = 0;
  check.reachMetas();
  const catalog: TreeRoot = {
    root: snapshot.catalogRoot,
    level: snapshot.catalogLevel,
    entryCount: snapshot.catalogCount,
  };
  checkTree(pager.pages, snapshot, catalog, check.reach, check.report);
  check.guard(() => {
    for (const record of storeRecords(pager, snapshot, catalog)) {
      check.guard(() => {
        const tree = decodeStoreRecord(record, snapshot.catalogRoot, snapshot.pageCount);
        entryCount += tree.entryCount;
        checkTree(pager.pages, snapshot, tree, check.reach, check.report);
      });
    }
  });
  let used = check.reachedCount;
  check.guard(() => {
    const index = readMapIndex(pager.pages, snapshot);
    used += index.ownPages.length;
    check.reachMap(index);
    check.compareMap(index);
    if (pagesUsed(pager.pages, index) !== snapshot.pagesUsed) {
      check.report(-1, `${pagesUsed(pager.pages, index)} pages in use`, String(snapshot.pagesUsed));
    }
    const highest = check.highest();
    if (highest !== snapshot.pageHighest)
      check.report(-1, `highest page in use ${highest}`, String(snapshot.pageHighest));
  });
  if (pager.faulted) throw faultError();
  const { problems } = check;
  return { ok: problems.length === 0, problems, entryCount, pagesUsed: used, pageCount: snapshot.pageCount };
}

/** The values of the catalog's records of named stores. */
function storeRecords(pager: Pager, snapshot: Snapshot, catalog: TreeRoot): Uint8Array[] {
  const records: Uint8Array[] = [];
  const cursor = new Cursor();
  const key = new KeyBuffer();
  cursor.open(pager.pages, snapshot, catalog);
  for (let found = cursor.seekFirst(); found; found = cursor.next()) {
    loadLeafKey(key, cursor.window, cursor.at, cursor.slot, pager.pages.pageEnd);
    if (key.bytes[0] !== CATALOG_KIND_STORE) continue;
    cursor.locate();
    const { window, at, length } = cursor.value;
    records.push(Uint8Array.prototype.slice.call(window.bytes, at, at + length));
  }
  return records;
}
