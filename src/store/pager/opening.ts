/**
 * Opening a store file: what it is, whether others have it open, and what an opener that is alone owes to those who come.
 *
 * There is no log and no replay: opening is choosing the newer whole meta record, at any size of the file.
 */
import { CorruptionError, StoreError } from "../../errors.ts";
import type { Capacities } from "../format/coordination.ts";
import { copyMeta, type Layout, META_RECORD_SIZE, metaEquals } from "../format/meta.ts";
import { Coordination, type LiveRecord } from "./coordination.ts";
import { isReadUnpinned } from "./live-set.ts";
import { MappedPages } from "./mapped-pages.ts";
import { type Metas, type ReadRecord, readMapped, readMetas, STORE_SIZE_MIN } from "./metas.ts";
import type { Window } from "./pages.ts";
import {
  type Belonging,
  buildCoordination,
  coordinationLost,
  isOfThisBoot,
  leave,
  openOwn,
  readCapacities,
  settleIn,
  tryAlone,
  tryJoin,
} from "./presence.ts";
import { metasAreClean, settle } from "./settle.ts";
import type { CoordinationFile, Storage, StoreFile } from "./storage.ts";
import { storeError } from "./system-errors.ts";

/** Codes of the system for a coordination file that can't be made or written: forbidden, or no room. */
const NOT_WRITABLE: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT"]);

/** How long an opener waits between two looks at handles that are just opening or closing. */
const RETRY_MS = 2;

export interface OpenOptions {
  readonly readOnly: boolean;
  /** Milliseconds to wait for other handles that are just opening or closing, and for the writer lock. */
  readonly timeout: number;
  /** Permission bits of the coordination file. */
  readonly mode: number;
  readonly capacities: Capacities;
}

/** A store file that is open, with its place among the handles. */
export interface Opened {
  readonly file: StoreFile;
  /** As the meta pages were before anything was settled. */
  readonly metas: Metas;
  readonly pages: MappedPages;
  /** Undefined for a reader that may not write the coordination file. */
  readonly coordination: Coordination | undefined;
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The meta pages as the file has them, before anything is mapped. */
export function readUnmapped(file: StoreFile): ReadRecord {
  return (at) => {
    const bytes = new Uint8Array(META_RECORD_SIZE);
    file.read(at, bytes);
    return copyMeta(bytes, 0);
  };
}

/**
 * @throws StoreError NOT_FOUND, NOT_A_FILE, NO_PERMISSION, NOT_A_STORE, NEWER_FORMAT, COORDINATION_LOST, SLOTS_FULL, IO
 * @throws CorruptionError
 */
export function openFile(storage: Storage, path: string, options: OpenOptions): Opened {
  let file: StoreFile;
  try {
    file = storage.openFile(path, options.readOnly ? "readonly" : "readwrite");
  } catch (error) {
    throw storeError(error, `opening ${path}`);
  }
  try {
    const size = file.size();
    if (size < STORE_SIZE_MIN)
      throw new StoreError("NOT_A_STORE", `${path} is not a foliodb store: it has only ${size} bytes`);
    const metas = readMetas(readUnmapped(file), storage.crc32c, !options.readOnly);
    if (size < metas.newest.pageCount * metas.layout.pageSize) {
      const expected = `a file of ${metas.newest.pageCount} pages of ${metas.layout.pageSize} bytes`;
      throw new CorruptionError(-1, expected, `${size} bytes`);
    }
    const { layout } = metas;
    const pages = new MappedPages(file, layout, !options.readOnly);
    const coordination = options.readOnly && !file.writable ? undefined : enter(storage, file, pages, layout, options);
    return { file, metas, pages, coordination };
  } catch (error) {
    file.close();
    throw storeError(error, `opening ${path}`);
  }
}

/** Takes a place among the handles, alone or among others. Undefined: a reader that can't have the coordination file. */
function enter(
  storage: Storage,
  file: StoreFile,
  pages: MappedPages,
  layout: Layout,
  options: OpenOptions,
): Coordination | undefined {
  const belonging: Belonging = { storeId: layout.storeId, identity: file.identity() };
  const deadline = performance.now() + options.timeout;
  for (;;) {
    let alone = false;
    try {
      alone = tryAlone(file);
      if (alone) return enterAlone(storage, file, pages, belonging, options);
      const joined = tryJoin(storage, file, belonging);
      if (joined !== undefined) return takePlace(storage, joined);
    } catch (error) {
      // A reader need not write anything: where the coordination file can't be written, it reads unpinned.
      const code = (error as { code?: unknown }).code;
      if (options.readOnly && typeof code === "string" && NOT_WRITABLE.has(code)) {
        if (alone) leave(file);
        return undefined;
      }
      throw error;
    }
    if (performance.now() >= deadline) throw coordinationLost(file.path);
    sleep(RETRY_MS);
  }
}

function takePlace(storage: Storage, joined: CoordinationFile): Coordination {
  const coordination = new Coordination(storage, joined, readCapacities(joined.view));
  try {
    coordination.join();
    return coordination;
  } catch (error) {
    joined.close();
    throw error;
  }
}

/** Nobody else has the store open: the newest snapshot is made sure of and published in a coordination file built anew. */
function enterAlone(
  storage: Storage,
  file: StoreFile,
  pages: MappedPages,
  belonging: Belonging,
  options: OpenOptions,
): Coordination {
  storage.hook?.("open: presence taken");
  const found = openOwn(storage, file, belonging);
  const ofThisBoot = found !== undefined && isOfThisBoot(storage, found);
  let metas = readMetas(readUnmapped(file), storage.crc32c, !options.readOnly);
  let durable = false;
  let kept: LiveRecord[] = [];
  if (found !== undefined && ofThisBoot) {
    const before = new Coordination(storage, found, readCapacities(found.view));
    // Readers without slots are not present, but may hold any snapshot of the list.
    if (isReadUnpinned(file)) kept = before.records();
    if (before.poisoned) {
      metas = recoverPoisoned(storage, file, pages, before, options);
      durable = true;
    } else {
      const recorded = before.record(before.durableIndex);
      durable = recorded !== undefined && metaEquals(recorded.meta, metas.newer.record) && metasAreClean(metas);
    }
  }
  const coordination = takePlace(
    storage,
    buildCoordination(storage, file, belonging, options.capacities, options.mode, found),
  );
  try {
    for (const { meta } of kept) coordination.addRecord(meta);
    if (durable) coordination.publish(coordination.addRecord(metas.newer.record));
    else {
      flushName(storage, file.path);
      settleAlone(storage, file, pages, coordination, options.readOnly);
    }
    storage.hook?.("open: coordination ready");
    settleIn(file, coordination.nonce);
    return coordination;
  } catch (error) {
    coordination.close();
    throw error;
  }
}

/**
 * The name may not be durable: whoever created the file may have been killed, or have failed, between giving it its name
 * and flushing the directory. Commits are not promised before it is. A directory that may be searched but not read can't
 * be flushed; its user must have seen to that.
 */
function flushName(storage: Storage, path: string): void {
  try {
    storage.flushName(path);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code !== "EACCES" && code !== "EPERM") throw error;
  }
}

/**
 * A flush failed and then everybody closed: what the system has cached may not be what the device holds. The cache is
 * dropped, the newer meta record read again from the device, stored and flushed (I16). The poison is cleared last, when
 * the coordination file is built anew.
 */
function recoverPoisoned(
  storage: Storage,
  file: StoreFile,
  pages: MappedPages,
  before: Coordination,
  options: OpenOptions,
): Metas {
  file.dropCache();
  const metas = readMetas(readUnmapped(file), storage.crc32c, !options.readOnly);
  const acknowledged = before.record(before.durableIndex)?.snapshot.number ?? 0;
  if (metas.newest.number < acknowledged) {
    const expected = `a meta record of at least number ${acknowledged}, which was durable`;
    throw new CorruptionError(0, expected, `number ${metas.newest.number}`);
  }
  settleAlone(storage, file, pages, before, options.readOnly);
  return metas;
}

/** `settle` for an opener that is alone; a handle that maps read-only does it through an opening of its own. */
function settleAlone(
  storage: Storage,
  file: StoreFile,
  pages: MappedPages,
  coordination: Coordination,
  readOnly: boolean,
): void {
  if (readOnly) {
    const writing = storage.openFile(file.path, "readwrite");
    try {
      settleMapped(
        storage,
        writing,
        writing.mapWindow(0, 2 ** pages.runBoundaryLog2, true),
        coordination,
        pages.pageSize,
        readOnly,
      );
    } finally {
      writing.close();
    }
  } else {
    pages.map(1);
    settleMapped(storage, file, pages.windows[0], coordination, pages.pageSize, readOnly);
  }
}

function settleMapped(
  storage: Storage,
  file: StoreFile,
  window: Window,
  coordination: Coordination,
  pageSize: number,
  readOnly: boolean,
): void {
  file.attach(coordination.file);
  // Storing the bytes that are there takes no more knowledge of the format than reading them.
  settle(file, coordination, readMetas(readMapped(window.bytes), storage.crc32c, !readOnly), pageSize);
}
