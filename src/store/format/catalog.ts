/**
 * Records of the catalog, the tree whose root stands in the meta record. A record's key is its kind byte and its name,
 * its value the bytes below. The default store is the named store with the empty name. Records of unknown kind are kept.
 */
import { CorruptionError } from "../../errors.ts";
import { DEPTH_MAX } from "./limits.ts";
import { getUint53, setUint53 } from "./page.ts";

export const CATALOG_KIND_STORE = 1;
/** Reserved for later versions. */
export const CATALOG_KIND_SNAPSHOT = 2;
export const CATALOG_KIND_SETTING = 3;

/** u8: the kind, as in the key. */
export const CATALOG_KIND = 0;
/** u8: level of the tree's root. */
export const CATALOG_LEVEL = 1;
/** u16: flags; 0 today. */
export const CATALOG_FLAGS = 2;
/** u32: root page of the tree; 0 for an empty one. */
export const CATALOG_ROOT = 4;
/** u64: entries of the tree. */
export const CATALOG_ENTRY_COUNT = 8;
/** u8: key encoding: 1 ordered, 2 string, 3 binary. */
export const CATALOG_KEY_ENCODING = 16;
/** u8: version of the key encoding; 1 today. */
export const CATALOG_KEY_ENCODING_VERSION = 17;
/** u8: value encoding: 1 msgpack, 2 json, 3 string, 4 binary, 255 one of the user's. */
export const CATALOG_VALUE_ENCODING = 18;
/** u8: version of the value encoding; 1 today. */
export const CATALOG_VALUE_ENCODING_VERSION = 19;
/** u16: bytes of the value encoding's name; 0 unless it is the user's. */
export const CATALOG_VALUE_NAME_SIZE = 20;
/** 10 bytes: zero. */
export const CATALOG_RESERVED = 22;
/** UTF-8: the value encoding's name. */
export const CATALOG_VALUE_NAME = 32;

const KEY_ENCODINGS: readonly string[] = ["", "ordered", "string", "binary"];
const VALUE_ENCODINGS: readonly string[] = ["", "msgpack", "json", "string", "binary"];
const VALUE_ENCODING_CUSTOM = 255;

/** A named store as the catalog keeps it. Encodings are by name; one of the user's is "custom:" and its name. */
export interface StoreRecord {
  readonly root: number;
  readonly level: number;
  readonly entryCount: number;
  readonly keyEncoding: string;
  readonly valueEncoding: string;
}

const CUSTOM_PREFIX = "custom:";
const NO_NAME = new Uint8Array(0);

/** The name under which the catalog keeps a value encoding of the user's. */
export function customEncodingName(name: string): string {
  return CUSTOM_PREFIX + name;
}

/** Key of the record of a named store. */
export function storeRecordKey(name: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(CATALOG_KIND_STORE), Buffer.from(name)]);
}

export function encodeStoreRecord({ root, level, entryCount, keyEncoding, valueEncoding }: StoreRecord): Uint8Array {
  const custom = valueEncoding.startsWith(CUSTOM_PREFIX);
  const name = custom ? Buffer.from(valueEncoding.slice(CUSTOM_PREFIX.length)) : NO_NAME;
  const bytes = new Uint8Array(CATALOG_VALUE_NAME + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(CATALOG_KIND, CATALOG_KIND_STORE);
  view.setUint8(CATALOG_LEVEL, level);
  view.setUint32(CATALOG_ROOT, root, true);
  setUint53(view, CATALOG_ENTRY_COUNT, entryCount);
  view.setUint8(CATALOG_KEY_ENCODING, KEY_ENCODINGS.indexOf(keyEncoding));
  view.setUint8(CATALOG_KEY_ENCODING_VERSION, 1);
  const known = VALUE_ENCODINGS.indexOf(valueEncoding);
  view.setUint8(CATALOG_VALUE_ENCODING, custom ? VALUE_ENCODING_CUSTOM : known);
  view.setUint8(CATALOG_VALUE_ENCODING_VERSION, 1);
  view.setUint16(CATALOG_VALUE_NAME_SIZE, name.length, true);
  bytes.set(name, CATALOG_VALUE_NAME);
  return bytes;
}

/** @throws CorruptionError if the bytes are not such a record */
export function decodeStoreRecord(bytes: Uint8Array, page: number, pageCount: number): StoreRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const must = (holds: boolean, expected: string, found: unknown): void => {
    if (!holds) throw new CorruptionError(page, `a catalog record with ${expected}`, String(found));
  };
  must(bytes.length >= CATALOG_VALUE_NAME, `at least ${CATALOG_VALUE_NAME} bytes`, bytes.length);
  const nameSize = view.getUint16(CATALOG_VALUE_NAME_SIZE, true);
  must(bytes.length === CATALOG_VALUE_NAME + nameSize, "a name as long as it says", bytes.length);
  const kind = view.getUint8(CATALOG_KIND);
  must(kind === CATALOG_KIND_STORE, `kind ${CATALOG_KIND_STORE}`, kind);
  const root = view.getUint32(CATALOG_ROOT, true);
  must(root < pageCount, `a root below ${pageCount}`, root);
  const level = view.getUint8(CATALOG_LEVEL);
  must(level < DEPTH_MAX, `less than ${DEPTH_MAX} levels`, level);
  const entryCount = getUint53(view, CATALOG_ENTRY_COUNT);
  must(Number.isSafeInteger(entryCount), "an entry count below 2^53", entryCount);
  const keyEncoding = KEY_ENCODINGS[view.getUint8(CATALOG_KEY_ENCODING)];
  const valueKind = view.getUint8(CATALOG_VALUE_ENCODING);
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + CATALOG_VALUE_NAME, nameSize).toString();
  const valueEncoding = valueKind === VALUE_ENCODING_CUSTOM ? customEncodingName(name) : VALUE_ENCODINGS[valueKind];
  // Numbers of encodings are given out by the format; an unknown one is a newer format's, and opening says so.
  return {
    root,
    level,
    entryCount,
    keyEncoding: keyEncoding || `unknown ${view.getUint8(CATALOG_KEY_ENCODING)}`,
    valueEncoding: valueEncoding || `unknown ${valueKind}`,
  };
}
