/**
 * The two meta pages of a store file as they are now: which record each holds, which is the newer, what must be mended.
 *
 * Each meta page holds its record twice, so a store that was interrupted by a kill or a power loss leaves one copy whole
 * more often than not. A slot with no whole copy counts as the oldest (I2).
 */
import type { Buffer } from "node:buffer";
import { CorruptionError, StoreError } from "../../errors.ts";
import {
  type Checksum,
  checkMeta,
  copyMeta,
  type Layout,
  META_COPY,
  META_FIRST_AT,
  META_RECORD_SIZE,
  META_SECOND_AT,
  metaEquals,
  metaHasMagic,
  metaIsWhole,
  metaNumber,
  newerFormat,
  type Snapshot,
  type UncheckedMeta,
} from "../format/meta.ts";

/** Bytes a store file has at the least, whatever its page size: both meta records with their second copies. */
export const STORE_SIZE_MIN: number = META_SECOND_AT + META_COPY + META_RECORD_SIZE;

/** What one meta page holds. */
export interface MetaSlot {
  /** Byte offset of the meta page. */
  readonly at: number;
  /** The greater of its whole copies; undefined if neither is whole. */
  readonly record: UncheckedMeta | undefined;
  /** Both copies are whole and equal. */
  readonly clean: boolean;
}

/** Both meta pages of one store, checked. */
export interface Metas {
  readonly layout: Layout;
  /** The slot with the newer record, and the snapshot it holds. */
  readonly newer: MetaSlot & { readonly record: UncheckedMeta };
  readonly newest: Snapshot;
  readonly older: MetaSlot;
  /** The snapshot of the older slot, if it holds one. */
  readonly previous: Snapshot | undefined;
}

/** Reads META_RECORD_SIZE bytes at a byte offset of the file. */
export type ReadRecord = (at: number) => UncheckedMeta;

/** Both meta pages out of mapped bytes of the first window. */
export function readMapped(bytes: Uint8Array): ReadRecord {
  return (at) => copyMeta(bytes, at);
}

/** Whether mapped bytes of the first window still hold, in all four places, what `metas` was read from. */
export function areStill(bytes: Buffer, metas: Metas): boolean {
  return slotIsStill(bytes, metas.newer) && slotIsStill(bytes, metas.older);
}

function slotIsStill(bytes: Buffer, { at, record, clean }: MetaSlot): boolean {
  if (record === undefined || !clean) return false;
  const second = at + META_COPY;
  return (
    bytes.compare(record.bytes, 0, META_RECORD_SIZE, at, at + META_RECORD_SIZE) === 0 &&
    bytes.compare(record.bytes, 0, META_RECORD_SIZE, second, second + META_RECORD_SIZE) === 0
  );
}

function readSlot(read: ReadRecord, at: number, checksum: Checksum): MetaSlot {
  const first = read(at);
  const second = read(at + META_COPY);
  const firstIsWhole = metaIsWhole(first, checksum);
  const secondIsWhole = metaIsWhole(second, checksum);
  if (!firstIsWhole) return { at, record: secondIsWhole ? second : undefined, clean: false };
  if (!secondIsWhole) return { at, record: first, clean: false };
  if (metaEquals(first, second)) return { at, record: first, clean: true };
  return { at, record: metaNumber(second) > metaNumber(first) ? second : first, clean: false };
}

/**
 * Reads and checks both meta pages.
 * @throws StoreError NOT_A_STORE if nothing in them was ever a meta record, NEWER_FORMAT
 * @throws CorruptionError if no record is whole, or the two contradict each other
 */
export function readMetas(read: ReadRecord, checksum: Checksum, toWrite: boolean): Metas {
  const a = readSlot(read, META_FIRST_AT, checksum);
  const b = readSlot(read, META_SECOND_AT, checksum);
  const { record: recordA } = a;
  const { record: recordB } = b;
  if (recordA === undefined && recordB === undefined) throw nothingWhole(read);
  const bIsNewer = recordA === undefined || (recordB !== undefined && metaNumber(recordB) > metaNumber(recordA));
  const [newer, older] = bIsNewer ? [b, a] : [a, b];
  if (newer.record === undefined) throw nothingWhole(read);
  const { layout, snapshot: newest } = checkMeta(newer.record, toWrite);
  if (older.record === undefined)
    return { layout, newer: { ...newer, record: newer.record }, newest, older, previous: undefined };
  const { layout: otherLayout, snapshot: previous } = checkMeta(older.record, toWrite);
  if (
    otherLayout.storeId !== layout.storeId ||
    otherLayout.pageSize !== layout.pageSize ||
    otherLayout.runBoundaryLog2 !== layout.runBoundaryLog2
  ) {
    throw new CorruptionError(0, `two meta pages of store ${layout.storeId}`, `one of store ${otherLayout.storeId}`);
  }
  if (previous.number === newest.number && !metaEquals(older.record, newer.record)) {
    throw new CorruptionError(0, `one record of number ${newest.number}`, "two different ones");
  }
  return { layout, newer: { ...newer, record: newer.record }, newest, older, previous };
}

/** The meta pages after a commit, which stores its record in the older. */
export function metasAfter(before: Metas, record: UncheckedMeta, snapshot: Snapshot): Metas {
  return {
    layout: before.layout,
    newer: { at: before.older.at, record, clean: true },
    newest: snapshot,
    older: before.newer,
    previous: before.newest,
  };
}

/** The error for a file in whose meta pages no record is whole. */
function nothingWhole(read: ReadRecord): Error {
  const places = [META_FIRST_AT, META_FIRST_AT + META_COPY, META_SECOND_AT, META_SECOND_AT + META_COPY];
  const marked = places.map(read).filter(metaHasMagic);
  if (marked.length === 0) return new StoreError("NOT_A_STORE", "the file is not a foliodb store");
  // A record whose checksum does not fit may be one of a format that puts it elsewhere.
  const newer = marked
    .map((record) => newerFormat(record, false))
    .find((reason) => reason?.startsWith("format version"));
  if (newer !== undefined)
    return new StoreError("NEWER_FORMAT", `the store was written by a newer foliodb: it has ${newer}`);
  return new CorruptionError(0, "a whole meta record", "none among four copies");
}
