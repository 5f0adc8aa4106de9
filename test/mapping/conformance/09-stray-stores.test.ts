/** Point 9, continued: whatever stores into a read view, the file never changes, the process lives, and the view says so. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { run } from "./others.ts";

const folder = temporaryFolder();

test("compiled code, builtins, atomics, stores across pages and workers: all go into a private copy, and are noticed", async () => {
  const path = join(folder, "file");
  const before = new Uint8Array(400_000).fill(7);
  writeFileSync(path, before);
  const noticed = { stored: 1, code: "READ_ONLY" };
  const { systemCode, ...seen } = await run<Record<string, unknown>>("stores.mjs", [path]);
  expect(seen).toEqual({
    ...{ loop: noticed, fill: noticed, set: noticed, copyWithin: noticed, across: noticed, atomics: noticed },
    worker: noticed,
    unchanged: true,
  });
  // A system call that is to write there is refused. Node.js 20 has another name for it on Windows.
  expect(["EFAULT", "EACCES"]).toContain(systemCode);
  expect(readFileSync(path).equals(before)).toBe(true);
});
