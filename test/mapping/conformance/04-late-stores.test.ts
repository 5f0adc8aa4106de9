/**
 * Point 4, once more: what is stored into a view's memory by somebody who was told so before it was closed. The addresses stay
 * taken until nobody can be using them, so that nothing else is harmed. Windows can't keep them: docs/mapping.md says so.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { isLinux, isWindows, run } from "./others.ts";

const folder = temporaryFolder();
let fileCount = 0;
function newPath(): string {
  return join(folder, `file-${fileCount++}`);
}
const onLinux = (told: string): string => (isLinux ? told : "not told");

test.skipIf(isWindows).each([
  ["a read that waits", "read", 4096],
  ["a read that waits, and a flush under way at the close", "read, and a flush under way", 4096],
  ["a job that has the memory, but no object of JavaScript's", "fill", "filled"],
  ["a job, when thousands of closed views have yet to be collected", "fill after 5,000 views", "filled"],
])(
  "a view is closed before %s stores into it: nothing else is harmed, and the addresses are free afterwards",
  async (...of) => {
    const [, scenario, stored] = of;
    expect(await run("late.mjs", [scenario, newPath()])).toEqual({
      reused: false,
      pending: onLinux("taken"),
      stored,
      damaged: false,
      after: onLinux("free"),
    });
  },
);
