/**
 * Being present at a store: how an opener finds out whether it is alone, and how those who are not find each other.
 *
 * Every handle shares a presence lock on the store file while it is open, on the byte LOCK_PRESENCE + nonce. Whoever gets
 * the whole range exclusively is alone; it builds the coordination file with a fresh nonce and turns its lock into a
 * shared one on that nonce's byte. Whoever doesn't get it joins: the coordination file it finds must be this store's,
 * and its nonce must be one that the others' locks prove. Only the kernel's locks decide.
 *
 * Who joins must not share the nonce's byte before it has looked whether others do, for Windows can't tell a lock of one's
 * own from theirs. Until then it shares the range's first byte, which is no nonce's, so that nobody gets the whole range.
 */
import { StoreError } from "../../errors.ts";
import {
  type Capacities,
  COORDINATION_BOOT_ID,
  COORDINATION_CHECKSUM,
  COORDINATION_DEVICE,
  COORDINATION_DURABLE,
  COORDINATION_INODE,
  COORDINATION_LIVE_CAPACITY,
  COORDINATION_MAGIC,
  COORDINATION_MAGIC_TEXT,
  COORDINATION_NEWEST,
  COORDINATION_NONCE,
  COORDINATION_OWNER_CAPACITY,
  COORDINATION_SLOT_CAPACITY,
  COORDINATION_SLOTS,
  COORDINATION_STORE_ID,
  COORDINATION_VERSION,
  COORDINATION_VERSION_NOW,
  coordinationSize,
} from "../format/coordination.ts";
import { LOCK_OWNER, LOCK_PRESENCE, LOCK_PRESENCE_LENGTH } from "../format/locks.ts";
import { hex } from "../format/meta.ts";
import type { CoordinationFile, FileIdentity, LockRange, Storage, StoreFile } from "./storage.ts";

const PRESENCE_RANGE: LockRange = { start: LOCK_PRESENCE, length: LOCK_PRESENCE_LENGTH };
const JOINING: LockRange = { start: LOCK_PRESENCE, length: 1 };

/** What ties a coordination file to one store file. */
export interface Belonging {
  readonly storeId: string;
  readonly identity: FileIdentity;
}

/** Path of a store's coordination file. */
export function coordinationPath(path: string): string {
  return `${path}-lock`;
}

/** Tries to be alone at the store. The lock is held until `settleIn` or the file is closed. */
export function tryAlone(file: StoreFile): boolean {
  return file.tryLock(PRESENCE_RANGE, "exclusive");
}

/** Turns the exclusive presence lock into a shared one on the nonce's byte, without a moment between. */
export function settleIn(file: StoreFile, nonce: number): void {
  file.narrowLock(PRESENCE_RANGE, LOCK_PRESENCE + nonce);
}

/** Gives up being alone. */
export function leave(file: StoreFile): void {
  file.unlock(PRESENCE_RANGE);
}

/**
 * Joins the handles whose presence keeps the store from being opened alone: opens their coordination file and shares
 * their presence byte. Undefined if it can't be done now: they have just left, or one is still opening, or the file
 * found is not theirs. The caller tries again for a while.
 */
export function tryJoin(storage: Storage, file: StoreFile, belonging: Belonging): CoordinationFile | undefined {
  const found = openOwn(storage, file, belonging);
  if (found === undefined) return undefined;
  const byte: LockRange = { start: LOCK_PRESENCE + found.view.getUint32(COORDINATION_NONCE, true), length: 1 };
  // From here on nobody can be alone. Is somebody present, and is this nonce theirs? Their locks tell.
  if (file.tryLock(JOINING, "shared")) {
    const isTheirs = file.lockedByOther(byte, "exclusive") >= 0 && isInUse(found);
    const isJoined = isTheirs && file.tryLock(byte, "shared");
    file.unlock(JOINING);
    if (isJoined) return found;
  }
  found.close();
  return undefined;
}

/**
 * Whether a handle has its place in this very file. In a copy of the others' coordination file, which has their nonce as
 * well, nobody has: the locks are on the original.
 */
function isInUse(found: CoordinationFile): boolean {
  return found.lockedByOther({ start: LOCK_OWNER, length: readCapacities(found.view).owners }, "exclusive") >= 0;
}

/** The coordination file found beside the store, if it is this store's and whole. */
export function openOwn(storage: Storage, file: StoreFile, belonging: Belonging): CoordinationFile | undefined {
  const found = storage.openCoordination(coordinationPath(file.path), COORDINATION_SLOTS);
  if (found === undefined) return undefined;
  const { view } = found;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const text = String.fromCharCode(
    ...bytes.subarray(COORDINATION_MAGIC, COORDINATION_MAGIC + COORDINATION_MAGIC_TEXT.length),
  );
  const isOwn =
    text === COORDINATION_MAGIC_TEXT &&
    view.getUint32(COORDINATION_VERSION, true) === COORDINATION_VERSION_NOW &&
    view.getUint32(COORDINATION_CHECKSUM, true) === storage.crc32c(bytes, 0, COORDINATION_CHECKSUM, 0) &&
    hex(bytes, COORDINATION_STORE_ID, 16) === belonging.storeId &&
    view.getBigUint64(COORDINATION_DEVICE, true) === belonging.identity.device &&
    view.getBigUint64(COORDINATION_INODE, true) === belonging.identity.inode &&
    view.byteLength >= coordinationSize(readCapacities(view));
  if (isOwn) return found;
  found.close();
  return undefined;
}

export function readCapacities(view: DataView): Capacities {
  return {
    slots: view.getUint32(COORDINATION_SLOT_CAPACITY, true),
    live: view.getUint32(COORDINATION_LIVE_CAPACITY, true),
    owners: view.getUint32(COORDINATION_OWNER_CAPACITY, true),
  };
}

/** Whether the coordination file was written since the machine was booted. */
export function isOfThisBoot(storage: Storage, found: CoordinationFile): boolean {
  const bootId = new Uint8Array(found.view.buffer, found.view.byteOffset + COORDINATION_BOOT_ID, 16);
  return Buffer.compare(bootId, storage.bootId()) === 0;
}

/**
 * The coordination file of an opener that is alone, empty and with a fresh nonce. One that is this store's and of the
 * right size is written anew in place; anything else is replaced by a new file.
 */
export function buildCoordination(
  storage: Storage,
  file: StoreFile,
  belonging: Belonging,
  capacities: Capacities,
  mode: number,
  found: CoordinationFile | undefined,
): CoordinationFile {
  const size = coordinationSize(capacities);
  const fill = (view: DataView): void => writeHeader(storage, view, belonging, capacities);
  if (found !== undefined && found.byteLength === size) {
    fill(found.view);
    return found;
  }
  found?.close();
  return storage.createCoordination(coordinationPath(file.path), size, mode, fill);
}

function writeHeader(storage: Storage, view: DataView, belonging: Belonging, capacities: Capacities): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  bytes.fill(0);
  for (let i = 0; i < COORDINATION_MAGIC_TEXT.length; i++) {
    bytes[COORDINATION_MAGIC + i] = COORDINATION_MAGIC_TEXT.charCodeAt(i);
  }
  view.setUint32(COORDINATION_VERSION, COORDINATION_VERSION_NOW, true);
  bytes.set(Buffer.from(belonging.storeId, "hex"), COORDINATION_STORE_ID);
  view.setBigUint64(COORDINATION_DEVICE, belonging.identity.device, true);
  view.setBigUint64(COORDINATION_INODE, belonging.identity.inode, true);
  bytes.set(storage.bootId(), COORDINATION_BOOT_ID);
  const [a, b, c, d] = storage.random(4);
  view.setUint32(
    COORDINATION_NONCE,
    ((a + b * 2 ** 8 + c * 2 ** 16 + d * 2 ** 24) % (LOCK_PRESENCE_LENGTH - 1)) + 1,
    true,
  );
  view.setUint32(COORDINATION_SLOT_CAPACITY, capacities.slots, true);
  view.setUint32(COORDINATION_LIVE_CAPACITY, capacities.live, true);
  view.setUint32(COORDINATION_OWNER_CAPACITY, capacities.owners, true);
  view.setInt32(COORDINATION_NEWEST, -1, true);
  view.setInt32(COORDINATION_DURABLE, -1, true);
  view.setUint32(COORDINATION_CHECKSUM, storage.crc32c(bytes, 0, COORDINATION_CHECKSUM, 0), true);
}

/** What to say when the others' coordination file can't be found for too long. */
export function coordinationLost(path: string): StoreError {
  return new StoreError(
    "COORDINATION_LOST",
    `other handles have ${path} open, but their coordination file ${coordinationPath(path)} is gone or not theirs: close them all, then open again`,
  );
}
