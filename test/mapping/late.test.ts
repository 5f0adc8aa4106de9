/** What lies at the addresses of a closed view that a job of Node's has yet to store into; conformance/04-late-stores has the rest. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/temp-folder.ts";
import { compileC, start } from "./processes.ts";

const folder = temporaryFolder();

// Where the system promises no more memory than it has, memory that takes stores would be charged for, gigabytes of it.
test.runIf(process.platform === "linux").each([
  ["memory that takes stores", "", "rw-p"],
  ["nothing, under the guard, where memory is not promised", "no-promises", "---p"],
])("at a closed view's addresses lies %s", async (_what, system, rights) => {
  const environment = { LD_PRELOAD: compileC("system.c", folder), FOLIODB_SYSTEM: system };
  const { output, errors, status } = await start("late.mjs", [join(folder, rights)], environment).ended;
  expect({ output, errors, status }).toEqual({ output: `${rights}, filled\n`, errors: "", status: 0 });
});
