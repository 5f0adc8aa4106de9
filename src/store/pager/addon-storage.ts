/**
 * The storage of real files: the addon's functions, and the decisions between them (what to do where a file system lacks
 * a call, in which order a file is built and named). What is open then is addon-files.ts's.
 */
import { randomBytes, randomFillSync } from "node:crypto";
import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { SystemError } from "../../errors.ts";
import { type Addon, loadAddon, type NativeFile } from "../../mapping/addon.ts";
import { LOCK_FLUSH, LOCK_WAITING, LOCK_WRITER } from "../format/locks.ts";
import { AddonCoordinationFile, AddonStoreFile, isSystemError, lengthen } from "./addon-files.ts";
import type { CoordinationFile, Storage, StoreFile } from "./storage.ts";

/** No coordination file is as large; the addon maps no more in one piece. */
const COORDINATION_SIZE_MAX = 2 ** 30;
/** What an opening of something that can't be a coordination file fails with. */
const NOT_A_COORDINATION_FILE: ReadonlySet<string> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "EINVAL",
  "ELOOP",
  "ENXIO",
  "ENODEV",
]);

/** Of the name of a file that is being made, until it gets its own. */
const NEW_SUFFIX = ".new";

/** Random bytes fetched at once; nobody asks for more. */
const RANDOM_POOL_SIZE = 1024;

/** The storage of this machine's files. @throws StoreError ADDON */
export function addonStorage(): Storage {
  return new AddonStorage(loadAddon());
}

class AddonStorage implements Storage {
  readonly hook = undefined;
  readonly crc32c: Storage["crc32c"];
  readonly bootId: Storage["bootId"];
  /** Random bytes fetched ahead: to fetch them takes as long for a thousand as for one id. */
  readonly #random = new Uint8Array(RANDOM_POOL_SIZE);
  #randomAt = RANDOM_POOL_SIZE;
  readonly #addon: Addon;

  constructor(addon: Addon) {
    this.#addon = addon;
    // Taken as they are, so that a checksum costs one call and can be handed around.
    this.crc32c = addon.crc32c;
    this.bootId = addon.bootId;
  }

  random(length: number): Uint8Array {
    if (this.#randomAt + length > RANDOM_POOL_SIZE) {
      randomFillSync(this.#random);
      this.#randomAt = 0;
    }
    this.#randomAt += length;
    return this.#random.slice(this.#randomAt - length, this.#randomAt);
  }

  openFile(path: string, access: "readwrite" | "readonly"): StoreFile {
    const lockBytes = [LOCK_WRITER, LOCK_FLUSH, LOCK_WAITING] as const;
    return new AddonStoreFile(path, this.#addon.openFile(path, access === "readwrite", true, lockBytes));
  }

  resolvePath(path: string): string {
    try {
      return realpathSync(path);
    } catch {
      // No file yet: its folder may be reached by a link all the same. What is wrong with the path, opening tells.
      const absolute = resolve(path);
      try {
        return join(realpathSync(dirname(absolute)), basename(absolute));
      } catch {
        return absolute;
      }
    }
  }

  createFile(
    path: string,
    mode: number,
    size: number,
    content: readonly { readonly at: number; readonly bytes: Uint8Array }[],
  ): boolean {
    const directory = dirname(path);
    const build = (file: NativeFile): void => {
      lengthen(file, 0, size);
      for (const { at, bytes } of content) file.write(at, bytes);
      // Before it has a name: whoever finds the name finds the whole file, after a power loss, too.
      file.flush();
    };
    const created = this.#createUnnamed(path, mode, directory, build) ?? this.#createNamed(path, mode, build);
    if (created) this.#addon.flushDirectory(directory);
    return created;
  }

  flushName(path: string): void {
    this.#addon.flushDirectory(dirname(path));
  }

  /** Undefined where there are no files without names, or none that can be given one. */
  #createUnnamed(
    path: string,
    mode: number,
    directory: string,
    build: (file: NativeFile) => void,
  ): boolean | undefined {
    const file = this.#addon.createUnnamed(directory, mode);
    if (file === undefined) return undefined;
    try {
      build(file);
      return unlessExisting(() => file.link(path));
    } catch (error) {
      // Without /proc there is no way to name it.
      if (isSystemError(error, "ENOENT", "EOPNOTSUPP", "ENOTSUP") && error.syscall === "link") return undefined;
      throw error;
    } finally {
      file.close();
    }
  }

  #createNamed(path: string, mode: number, build: (file: NativeFile) => void): boolean {
    const beside = temporaryName(path);
    const file = this.#addon.createNamed(beside, mode);
    let renamed = false;
    try {
      build(file);
      return unlessExisting(() => {
        try {
          this.#addon.linkName(beside, path);
        } catch (error) {
          // File systems without hard links (FAT, some network ones) can at least rename without replacing.
          if (!isSystemError(error, "EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK")) throw error;
          this.#addon.renameNoReplace(beside, path);
          renamed = true;
        }
      });
    } finally {
      file.close();
      if (!renamed) this.#addon.removeName(beside);
    }
  }

  #createAnew(path: string, mode: number): NativeFile {
    try {
      return this.#addon.createNamed(path, mode);
    } catch (error) {
      if (!isSystemError(error, "EEXIST")) throw error;
      this.#addon.removeName(path);
      return this.#addon.createNamed(path, mode);
    }
  }

  openCoordination(path: string, sizeMin: number): CoordinationFile | undefined {
    let file: NativeFile;
    try {
      // Never through a symbolic link: the name may lie in a directory others can write.
      file = this.#addon.openFile(path, true, false, undefined);
    } catch (error) {
      if (error instanceof SystemError && NOT_A_COORDINATION_FILE.has(error.code)) return undefined;
      throw error;
    }
    try {
      const size = file.size();
      if (size >= Math.max(sizeMin, 1) && size <= COORDINATION_SIZE_MAX) return new AddonCoordinationFile(file, size);
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    return undefined;
  }

  createCoordination(path: string, size: number, mode: number, fill: (view: DataView) => void): CoordinationFile {
    // Only who is alone at the store makes one, so one name will do, and what a kill has left under it goes with the next.
    const beside = `${path}${NEW_SUFFIX}`;
    const file = this.#createAnew(beside, mode);
    let renamed = false;
    try {
      // Allocated, not a hole: a full disk is an error here and no fault in a reader later.
      lengthen(file, 0, size);
      const coordination = new AddonCoordinationFile(file, size);
      fill(coordination.view);
      this.#addon.renameOver(beside, path);
      renamed = true;
      return coordination;
    } finally {
      if (!renamed) {
        file.close();
        this.#addon.removeName(beside);
      }
    }
  }
}

/** False if `call` fails because the name exists. */
function unlessExisting(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false;
    throw error;
  }
}

function temporaryName(path: string): string {
  return `${path}.${randomBytes(6).toString("hex")}${NEW_SUFFIX}`;
}
