/** Which pages a store file has of each kind. */
import { readFileSync } from "node:fs";
import {
  META_CATALOG_ROOT,
  META_FIRST_AT,
  META_MAP_ROOT,
  META_NUMBER,
  META_SECOND_AT,
} from "../../src/store/format/meta.ts";
import { overflowRunPages } from "../../src/store/format/overflow.ts";
import {
  getUint53,
  PAGE_TYPE_BRANCH,
  PAGE_TYPE_LEAF,
  PAGE_TYPE_OVERFLOW,
  pageNumber,
  pageTransaction,
  pageType,
} from "../../src/store/format/page.ts";

export const PAGE_SIZE = 4096;

/** Page numbers in the newest state of a store that was filled by one transaction. */
export interface PageKinds {
  readonly catalog: number;
  readonly map: number;
  /** The root of the entries' tree. */
  readonly branch: number;
  /** A leaf, neither the first nor the last. */
  readonly leaf: number;
  /** The first page of an overflow run, and the last. */
  readonly overflow: number;
  readonly overflowEnd: number;
}

export function pageKinds(path: string): PageKinds {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const newerAt = [META_FIRST_AT, META_SECOND_AT].toSorted(
    (a, b) => getUint53(view, b + META_NUMBER) - getUint53(view, a + META_NUMBER),
  )[0];
  const number = getUint53(view, newerAt + META_NUMBER);
  const catalog = view.getUint32(newerAt + META_CATALOG_ROOT, true);
  const map = view.getUint32(newerAt + META_MAP_ROOT, true);
  const found = new Map<number, number[]>();
  for (let page = 1; page < bytes.length / PAGE_SIZE; page++) {
    const at = page * PAGE_SIZE;
    if (pageNumber(view, at) !== page || pageTransaction(view, at) !== number) continue;
    if (page !== catalog && page !== map)
      found.set(pageType(view, at), [...(found.get(pageType(view, at)) ?? []), page]);
  }
  const overflow = found.get(PAGE_TYPE_OVERFLOW)?.[2] ?? 0;
  return {
    catalog,
    map,
    branch: found.get(PAGE_TYPE_BRANCH)?.[0] ?? 0,
    leaf: found.get(PAGE_TYPE_LEAF)?.[3] ?? 0,
    overflow,
    overflowEnd: overflow + overflowRunPages(view, overflow * PAGE_SIZE) - 1,
  };
}
