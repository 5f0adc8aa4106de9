/** A folder for the files of a run: on the disk the project is on, for a file system in memory would flush for nothing. */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What `statfs` calls tmpfs and ramfs. */
const MEMORY_FILE_SYSTEMS: readonly number[] = [0x01021994, 0x858458f6];

/** The package's folder: this file lies in build/tools/bench. */
const PACKAGE_ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** A new folder, in the system's folder for temporary files if that is on a disk, else in build/. */
export function makeFolder(): string {
  const isMemory = MEMORY_FILE_SYSTEMS.includes(statfsSync(tmpdir()).type);
  return mkdtempSync(join(isMemory ? join(PACKAGE_ROOT, "build") : tmpdir(), "foliodb-bench-"));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Where the packages of the peers are. */
export const COMPARE_FOLDER: string = join(PACKAGE_ROOT, "bench", "compare");

/** Removes a store's file and what lies beside it. */
export function removeStore(path: string): void {
  rmSync(path, { force: true });
  rmSync(`${path}-lock`, { force: true });
}
