/** Folders of the real machine that end with the test. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";

/** Windows may keep a name for a moment after the process that had the file open has ended. */
function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

/** Within a test: a new empty folder, removed with all it holds when the test ends. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "foliodb-test-"));
  onTestFinished(() => remove(folder));
  return folder;
}

/** For a whole test file: the same, removed after its tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "foliodb-test-"));
  afterAll(() => remove(folder));
  return folder;
}

/** A file system in memory, where there is one: files are as real, and flushing them costs nothing. */
const MEMORY_FOLDER = "/dev/shm";

/** As `tempFolder`, for stores whose size matters and not their disk. */
export function tempFolderInMemory(): string {
  const folder = mkdtempSync(join(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), "foliodb-test-"));
  onTestFinished(() => remove(folder));
  return folder;
}
