/** Folders of the real machine that end with the test. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Within a test: a new empty folder, removed with all it holds when the test ends. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "foliodb-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file system in memory, where there is one: files are as real, and flushing them costs nothing. */
const MEMORY_FOLDER = "/dev/shm";

/** As `tempFolder`, for stores whose size matters and not their disk. */
export function tempFolderInMemory(): string {
  const folder = mkdtempSync(join(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), "foliodb-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
