/**
 * The 32 bytes every page of the trees starts with, and the kinds of pages.
 *
 * Functions take `(view, at)`: the `DataView` of a window and the byte offset of the page in it. Integers are
 * little-endian. Fields that only some kinds use stand in that kind's file; here are those that all share.
 */

/** u32: CRC-32C of bytes 4 to the end of the page (of the whole run for an overflow run), seeded by the store id. */
export const PAGE_CHECKSUM = 0;
/** u32: the page's own number. */
export const PAGE_NUMBER = 4;
/** u8: the kind, one of the PAGE_TYPE constants. */
export const PAGE_TYPE = 8;
/** u8: 0 in a leaf; falls by exactly one from parent to child. */
export const PAGE_LEVEL = 9;
/** u64: the transaction that wrote the page. */
export const PAGE_TRANSACTION = 24;
/** Bytes of the header. */
export const PAGE_HEADER_SIZE = 32;

export const PAGE_TYPE_LEAF = 1;
export const PAGE_TYPE_BRANCH = 2;
export const PAGE_TYPE_OVERFLOW = 3;
export const PAGE_TYPE_MAP_LEAF = 4;
export const PAGE_TYPE_MAP_BRANCH = 5;

const PAGE_TYPE_NAMES = ["nothing", "leaf", "branch", "overflow run", "map leaf", "map branch"];
const TWO_32 = 2 ** 32;

/** "leaf page, level 0": for messages. */
export function describePage(type: number, level: number): string {
  return `${PAGE_TYPE_NAMES[type] ?? `type ${type}`} page, level ${level}`;
}

export function pageType(view: DataView, at: number): number {
  return view.getUint8(at + PAGE_TYPE);
}

export function pageLevel(view: DataView, at: number): number {
  return view.getUint8(at + PAGE_LEVEL);
}

export function pageNumber(view: DataView, at: number): number {
  return view.getUint32(at + PAGE_NUMBER, true);
}

export function pageChecksum(view: DataView, at: number): number {
  return view.getUint32(at + PAGE_CHECKSUM, true);
}

export function pageTransaction(view: DataView, at: number): number {
  return getUint53(view, at + PAGE_TRANSACTION);
}

/** Writes a fresh header: checksum and every kind's own fields are zero. */
export function initPage(
  view: DataView,
  at: number,
  page: number,
  type: number,
  level: number,
  transaction: number,
): void {
  view.setUint32(at + PAGE_CHECKSUM, 0, true);
  view.setUint32(at + PAGE_NUMBER, page, true);
  view.setUint32(at + PAGE_TYPE, type | (level << 8), true);
  view.setUint32(at + 12, 0, true);
  view.setUint32(at + 16, 0, true);
  view.setUint32(at + 20, 0, true);
  setUint53(view, at + PAGE_TRANSACTION, transaction);
}

/** A u64 field read as a number. A value of 2^53 or more loses bits: who reads unchecked bytes must refuse it. */
export function getUint53(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  const low = view.getUint32(at, true);
  // To V8 the sum is a double, which is slower to reckon with, and small numbers need not be.
  return high === 0 ? low : high * TWO_32 + low;
}

export function setUint53(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, (value / TWO_32) >>> 0, true);
}
