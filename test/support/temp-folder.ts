/** Folders on a real disk that end with the test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Within a test: a new empty folder, removed with all it holds when the test ends. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "foliodb-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
