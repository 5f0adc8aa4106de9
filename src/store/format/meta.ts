/**
 * The meta record: everything an opener must know to find one committed state. Two meta pages hold it, at fixed byte
 * offsets whatever the page size, so that the second is found when the first, which holds the page size, is torn. Each
 * meta page holds its record twice, at bytes 0 and META_COPY.
 *
 * A record read from a file is `unchecked` until `checkMeta` has passed it; a record whose checksum fits was written by
 * some version of foliodb, so a field this version does not know means a newer format, not damage.
 */
import { CorruptionError, StoreError } from "../../errors.ts";
import { DEPTH_MAX, PAGE_SIZE_MAX, PAGE_SIZE_MIN, RUN_BOUNDARY_LOG2_MAX, RUN_BOUNDARY_LOG2_MIN } from "./limits.ts";
import { getUint53, setUint53 } from "./page.ts";

/** Byte offsets of the two meta pages. */
export const META_FIRST_AT = 0;
export const META_SECOND_AT = 65536;
/** Byte offset of a meta page's second copy of its record. */
export const META_COPY = 2048;
/** Bytes of a record. */
export const META_RECORD_SIZE = 256;

/** 8 bytes: "foliodb", NUL. */
export const META_MAGIC = 0;
/** u16: format version; a greater one than FORMAT_MAJOR_NOW is refused. */
export const META_FORMAT_MAJOR = 8;
/** u16: format version; a greater one than ours is fine. */
export const META_FORMAT_MINOR = 10;
/** u32: features that may be ignored. */
export const META_FEATURES_COMPATIBLE = 12;
/** u32: features without which one may read but not write. */
export const META_FEATURES_READ_COMPATIBLE = 16;
/** u32: features without which one may do neither. */
export const META_FEATURES_INCOMPATIBLE = 20;
/** u8: log2 of the page size in bytes. */
export const META_PAGE_SIZE_LOG2 = 24;
/** u8: log2 of the run boundary in bytes. */
export const META_RUN_BOUNDARY_LOG2 = 25;
/** u8: kind of the page checksums; 1 is CRC-32C. */
export const META_CHECKSUM_KIND = 26;
/** u16: bytes at the end of every page that belong to a later version; 0 today. */
export const META_PAGE_TAIL = 28;
/** 16 bytes: random id of the store. */
export const META_STORE_ID = 32;
/** u64: transaction number. */
export const META_NUMBER = 48;
/** 16 bytes: random id of the commit; numbers can repeat after a power loss, ids can't. */
export const META_COMMIT_ID = 56;
/** u32: root page of the catalog tree; 0 for none. */
export const META_CATALOG_ROOT = 72;
/** u32: root page of the space map; 0 for none. */
export const META_MAP_ROOT = 76;
/** u8: level of the catalog's root. */
export const META_CATALOG_LEVEL = 80;
/** u8: level of the space map's root. */
export const META_MAP_LEVEL = 81;
/** u32: page of changes since the space map was written; 0 for none, and nothing else is known today. */
export const META_CHANGES = 84;
/** u32: pages of the store, used or free, the meta pages included. */
export const META_PAGE_COUNT = 88;
/** u32: highest page in use. */
export const META_PAGE_HIGHEST = 92;
/** u32: entries of the catalog. */
export const META_CATALOG_COUNT = 96;
/** u32: pages in use: those whose bit is set in the space map, and those of the map itself. */
export const META_PAGES_USED = 100;
/** u64: a number of the user's. */
export const META_USER_VERSION = 104;
/** Zeros to META_CHECKSUM. */
export const META_ZEROS = 112;
/** u32: CRC-32C of bytes 0 to here, seed 0. */
export const META_CHECKSUM = 252;

export const META_MAGIC_TEXT = "foliodb\0";
export const FORMAT_MAJOR_NOW = 1;
export const FORMAT_MINOR_NOW = 0;
export const CHECKSUM_KIND_CRC32C = 1;

/** What is fixed when a store is created. */
export interface Layout {
  readonly pageSize: number;
  readonly runBoundaryLog2: number;
  /** 32 hexadecimal digits. */
  readonly storeId: string;
}

/** One committed state. It never changes. */
export interface Snapshot {
  readonly number: number;
  /** 32 hexadecimal digits. */
  readonly commitId: string;
  readonly catalogRoot: number;
  readonly catalogLevel: number;
  readonly catalogCount: number;
  readonly mapRoot: number;
  readonly mapLevel: number;
  readonly pageCount: number;
  readonly pageHighest: number;
  readonly pagesUsed: number;
  readonly userVersion: number;
}

/** A record as bytes, from a file or from shared memory. `checkMeta` makes it a Layout and a Snapshot. */
export interface UncheckedMeta {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** CRC-32C over `bytes[from, to)`, continued from `seed`. */
export type Checksum = (bytes: Uint8Array, from: number, to: number, seed: number) => number;

/** A copy of the META_RECORD_SIZE bytes at `at`. */
export function copyMeta(bytes: Uint8Array, at: number): UncheckedMeta {
  const copy = Uint8Array.prototype.slice.call(bytes, at, at + META_RECORD_SIZE);
  return { bytes: copy, view: new DataView(copy.buffer, copy.byteOffset, META_RECORD_SIZE) };
}

export function metaHasMagic(meta: UncheckedMeta): boolean {
  for (let i = 0; i < META_MAGIC_TEXT.length; i++) {
    if (meta.bytes[META_MAGIC + i] !== META_MAGIC_TEXT.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether the record is whole: its magic and its checksum fit. */
export function metaIsWhole(meta: UncheckedMeta, checksum: Checksum): boolean {
  return metaHasMagic(meta) && checksum(meta.bytes, 0, META_CHECKSUM, 0) === meta.view.getUint32(META_CHECKSUM, true);
}

/** The transaction number of a whole record. */
export function metaNumber(meta: UncheckedMeta): number {
  return getUint53(meta.view, META_NUMBER);
}

/** Whether two records are the same, byte for byte. */
export function metaEquals(a: UncheckedMeta, b: UncheckedMeta): boolean {
  return Buffer.compare(a.bytes, b.bytes) === 0;
}

/** Why this version can't open (or, with `toWrite`, can't write) a store with this whole record; undefined if it can. */
export function newerFormat(meta: UncheckedMeta, toWrite: boolean): string | undefined {
  const { view } = meta;
  const major = view.getUint16(META_FORMAT_MAJOR, true);
  if (major > FORMAT_MAJOR_NOW) return `format version ${major}`;
  const incompatible = view.getUint32(META_FEATURES_INCOMPATIBLE, true);
  if (incompatible !== 0) return `incompatible features 0x${incompatible.toString(16)}`;
  const readCompatible = view.getUint32(META_FEATURES_READ_COMPATIBLE, true);
  if (toWrite && readCompatible !== 0) return `features 0x${readCompatible.toString(16)} that allow reading only`;
  const kind = view.getUint8(META_CHECKSUM_KIND);
  if (kind !== CHECKSUM_KIND_CRC32C) return `checksum kind ${kind}`;
  const tail = view.getUint16(META_PAGE_TAIL, true);
  if (tail !== 0) return `${tail} reserved bytes in every page`;
  if (view.getUint32(META_CHANGES, true) !== 0) return "a page of changes beside the space map";
  const zeros = [
    META_CHECKSUM_KIND + 1,
    META_PAGE_TAIL + 2,
    META_PAGE_TAIL + 3,
    META_MAP_LEVEL + 1,
    META_MAP_LEVEL + 2,
  ];
  for (let at = META_ZEROS; at < META_CHECKSUM; at++) zeros.push(at);
  const used = zeros.find((at) => meta.bytes[at] !== 0);
  return used === undefined ? undefined : `a field at byte ${used} of the meta record`;
}

/**
 * A whole record as Layout and Snapshot, with every field in its range.
 * @throws StoreError NEWER_FORMAT
 * @throws CorruptionError naming the field
 */
export function checkMeta(meta: UncheckedMeta, toWrite: boolean): { layout: Layout; snapshot: Snapshot } {
  const newer = newerFormat(meta, toWrite);
  if (newer !== undefined)
    throw new StoreError("NEWER_FORMAT", `the store was written by a newer foliodb: it has ${newer}`);
  const { view } = meta;
  const must = (holds: boolean, expected: string, found: number): void => {
    if (!holds) throw new CorruptionError(0, `a meta record with ${expected}`, String(found));
  };
  const major = view.getUint16(META_FORMAT_MAJOR, true);
  must(major === FORMAT_MAJOR_NOW, `format version ${FORMAT_MAJOR_NOW}`, major);
  const pageSize = 2 ** view.getUint8(META_PAGE_SIZE_LOG2);
  must(
    pageSize >= PAGE_SIZE_MIN && pageSize <= PAGE_SIZE_MAX,
    `a page size of ${PAGE_SIZE_MIN} to ${PAGE_SIZE_MAX}`,
    pageSize,
  );
  const runBoundaryLog2 = view.getUint8(META_RUN_BOUNDARY_LOG2);
  must(
    runBoundaryLog2 >= RUN_BOUNDARY_LOG2_MIN && runBoundaryLog2 <= RUN_BOUNDARY_LOG2_MAX,
    `a run boundary of 2^${RUN_BOUNDARY_LOG2_MIN} to 2^${RUN_BOUNDARY_LOG2_MAX} bytes`,
    runBoundaryLog2,
  );
  const snapshot: Snapshot = {
    number: getUint53(view, META_NUMBER),
    commitId: hex(meta.bytes, META_COMMIT_ID, 16),
    catalogRoot: view.getUint32(META_CATALOG_ROOT, true),
    catalogLevel: view.getUint8(META_CATALOG_LEVEL),
    catalogCount: view.getUint32(META_CATALOG_COUNT, true),
    mapRoot: view.getUint32(META_MAP_ROOT, true),
    mapLevel: view.getUint8(META_MAP_LEVEL),
    pageCount: view.getUint32(META_PAGE_COUNT, true),
    pageHighest: view.getUint32(META_PAGE_HIGHEST, true),
    pagesUsed: view.getUint32(META_PAGES_USED, true),
    userVersion: getUint53(view, META_USER_VERSION),
  };
  must(Number.isSafeInteger(snapshot.number) && snapshot.number >= 1, "a number of 1 to 2^53 - 1", snapshot.number);
  must(snapshot.pageCount > META_SECOND_AT / pageSize, "a page count that covers both meta pages", snapshot.pageCount);
  must(snapshot.pageHighest < snapshot.pageCount, "a highest page below the page count", snapshot.pageHighest);
  must(snapshot.catalogRoot < snapshot.pageCount, "a catalog root below the page count", snapshot.catalogRoot);
  must(snapshot.mapRoot < snapshot.pageCount, "a map root below the page count", snapshot.mapRoot);
  must(snapshot.catalogLevel < DEPTH_MAX, `a catalog of less than ${DEPTH_MAX} levels`, snapshot.catalogLevel);
  must(snapshot.mapLevel < 4, "a space map of less than 4 levels", snapshot.mapLevel);
  return { layout: { pageSize, runBoundaryLog2, storeId: hex(meta.bytes, META_STORE_ID, 16) }, snapshot };
}

/** What every record of a store begins from: the fields that never change, and zeros. */
export function blankMeta(layout: Layout): Uint8Array {
  const bytes = Buffer.alloc(META_RECORD_SIZE);
  bytes.write(META_MAGIC_TEXT, META_MAGIC, "latin1");
  bytes.writeUInt16LE(FORMAT_MAJOR_NOW, META_FORMAT_MAJOR);
  bytes.writeUInt16LE(FORMAT_MINOR_NOW, META_FORMAT_MINOR);
  bytes.writeUInt8(Math.log2(layout.pageSize), META_PAGE_SIZE_LOG2);
  bytes.writeUInt8(layout.runBoundaryLog2, META_RUN_BOUNDARY_LOG2);
  bytes.writeUInt8(CHECKSUM_KIND_CRC32C, META_CHECKSUM_KIND);
  bytes.write(layout.storeId, META_STORE_ID, "hex");
  return bytes;
}

/** The record of a snapshot, checksum included. */
export function encodeMeta(blank: Uint8Array, snapshot: Snapshot, checksum: Checksum): UncheckedMeta {
  const bytes = Buffer.allocUnsafe(META_RECORD_SIZE);
  bytes.set(blank);
  const view = new DataView(bytes.buffer, bytes.byteOffset, META_RECORD_SIZE);
  setUint53(view, META_NUMBER, snapshot.number);
  bytes.write(snapshot.commitId, META_COMMIT_ID, "hex");
  view.setUint32(META_CATALOG_ROOT, snapshot.catalogRoot, true);
  view.setUint32(META_MAP_ROOT, snapshot.mapRoot, true);
  view.setUint8(META_CATALOG_LEVEL, snapshot.catalogLevel);
  view.setUint8(META_MAP_LEVEL, snapshot.mapLevel);
  view.setUint32(META_PAGE_COUNT, snapshot.pageCount, true);
  view.setUint32(META_PAGE_HIGHEST, snapshot.pageHighest, true);
  view.setUint32(META_CATALOG_COUNT, snapshot.catalogCount, true);
  view.setUint32(META_PAGES_USED, snapshot.pagesUsed, true);
  setUint53(view, META_USER_VERSION, snapshot.userVersion);
  view.setUint32(META_CHECKSUM, checksum(bytes, 0, META_CHECKSUM, 0), true);
  return { bytes, view };
}

/** `length` bytes as hexadecimal digits. */
export function hex(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString("hex");
}
