/** Real files for the tests of the addon's storage, closed after each test. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, vi } from "vitest";
import { LOCK_FLUSH, LOCK_WRITER } from "../../src/store/format/locks.ts";
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import type { CoordinationFile, LockRange, StoreFile } from "../../src/store/pager/storage.ts";
import { temporaryFolder } from "../support/temp-folder.ts";

export const storage: ReturnType<typeof addonStorage> = addonStorage();
export const folder: string = temporaryFolder();
export const WRITER: LockRange = { start: LOCK_WRITER, length: 1 };
export const FLUSH: LockRange = { start: LOCK_FLUSH, length: 1 };
export const WINDOW: number = 2 ** 20;
export const MIB: number = 2 ** 20;
const opened: { close(): void }[] = [];
let fileCount = 0;

afterEach(() => {
  vi.restoreAllMocks();
  for (const file of opened.splice(0)) file.close();
});

export function newPath(inFolder = folder): string {
  return join(inFolder, `file-${fileCount++}`);
}

export function open(path: string, access: "readwrite" | "readonly" = "readwrite"): StoreFile {
  const file = storage.openFile(path, access);
  opened.push(file);
  return file;
}

export function newFile(size: number, fill = 0): string {
  const path = newPath();
  writeFileSync(path, new Uint8Array(size).fill(fill));
  return path;
}

export function coordinate(path: string, fill: (view: DataView) => void = () => {}): CoordinationFile {
  const coordination = storage.createCoordination(path, 8192, 0o600, fill);
  opened.push(coordination);
  return coordination;
}
