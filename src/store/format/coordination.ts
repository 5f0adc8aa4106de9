/**
 * The coordination file (`NAME-lock` beside the store): header, reader slots, live list. It is memory that processes
 * share, never flushed and worth nothing after a reboot; only the boot it was written in can read it.
 *
 * Offsets are bytes. The fields from COORDINATION_NEWEST on are i32 words that change while the file is in use and are
 * only touched through `Atomics`; each group that different parties write stands on a cache line of its own.
 */
import { META_RECORD_SIZE } from "./meta.ts";

/** 8 bytes: "FOLIOCRD". */
export const COORDINATION_MAGIC = 0;
/** u32: layout of this file; another one is not ours. */
export const COORDINATION_VERSION = 8;
/** 16 bytes: id of the store. */
export const COORDINATION_STORE_ID = 16;
/** u64: device of the store file. */
export const COORDINATION_DEVICE = 32;
/** u64: inode of the store file. */
export const COORDINATION_INODE = 40;
/** 16 bytes: the boot of the machine this file belongs to. */
export const COORDINATION_BOOT_ID = 48;
/** u32: which presence byte the handles of this file share. */
export const COORDINATION_NONCE = 64;
/** u32: reader slots. */
export const COORDINATION_SLOT_CAPACITY = 68;
/** u32: records of the live list. */
export const COORDINATION_LIVE_CAPACITY = 72;
/** u32: handles that can have this file open. */
export const COORDINATION_OWNER_CAPACITY = 76;
/** u32: CRC-32C of bytes 0 to here. */
export const COORDINATION_CHECKSUM = 80;
/** i32: index in the live list of the newest snapshot, -1 for none yet. */
export const COORDINATION_NEWEST = 128;
/** i32: index in the live list of the newest durable snapshot, -1 for none yet. */
export const COORDINATION_DURABLE = 192;
/** i32: index plus one of the snapshot a background flush is making durable; 0 for none. Always 0 today. */
export const COORDINATION_FLUSHING = 196;
/** i32: 1 once a flush has failed: nobody writes any more. */
export const COORDINATION_POISON = 200;
/** i32: reader slots at or above this index have never been used: scans stop there. */
export const COORDINATION_SLOT_END = 256;
/** i32: live records at or above this index have never been used. */
export const COORDINATION_LIVE_END = 260;
/** Where the reader slots begin; the header has a page of its own. */
export const COORDINATION_SLOTS = 4096;

export const COORDINATION_MAGIC_TEXT = "FOLIOCRD";
export const COORDINATION_VERSION_NOW = 1;

/** i32: low 32 bits of the number of the snapshot held; 0 for none. */
export const SLOT_NUMBER = 0;
/** i32: owner index plus one of the handle that has claimed the slot; 0 for free. */
export const SLOT_OWNER = 4;
/** Bytes of a reader slot: one cache line. */
export const SLOT_SIZE = 64;

/** i32: 1 for a record in use, 0 for a free one. */
export const LIVE_STATE = 0;
/** The snapshot, as its meta record. */
export const LIVE_RECORD = 64;
/** Bytes of a record of the live list. */
export const LIVE_SIZE: number = LIVE_RECORD + META_RECORD_SIZE;

export const SLOT_CAPACITY_DEFAULT = 4096;
export const LIVE_CAPACITY_DEFAULT = 1024;
export const OWNER_CAPACITY_DEFAULT = 1024;

/** Capacities of a coordination file; they stand in its header. */
export interface Capacities {
  readonly slots: number;
  readonly live: number;
  readonly owners: number;
}

export const CAPACITIES_DEFAULT: Capacities = {
  slots: SLOT_CAPACITY_DEFAULT,
  live: LIVE_CAPACITY_DEFAULT,
  owners: OWNER_CAPACITY_DEFAULT,
};

/** Byte offset of the live list. */
export function liveListAt(capacities: Capacities): number {
  return COORDINATION_SLOTS + capacities.slots * SLOT_SIZE;
}

/** Bytes of a coordination file. */
export function coordinationSize(capacities: Capacities): number {
  return liveListAt(capacities) + capacities.live * LIVE_SIZE;
}
