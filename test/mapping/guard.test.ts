import { join } from "node:path";
import { expect, test } from "vitest";
import { ON_WINDOWS } from "../support/system.ts";
import { temporaryFolder } from "../support/temp-folder.ts";
import { compileC, start } from "./processes.ts";

const folder = temporaryFolder();
let fileCount = 0;

async function see(scenario: string, ...rest: string[]): Promise<Record<string, unknown>> {
  const { status, signal, output, errors } = await start("guard.mjs", [scenario, newPath(), ...rest]).ended;
  expect({ status, signal, errors }).toEqual({ status: 0, signal: null, errors: "" });
  return JSON.parse(output);
}

function newPath(): string {
  return join(folder, `file-${fileCount++}`);
}

// Windows lets nobody truncate a file that is mapped, and has no signals: there the guard is for stray stores only.
const testFaults = test.skipIf(ON_WINDOWS);

testFaults.each(["read a truncated file", "read a truncated file in a worker"])(
  "%s: zeros are read, the file is flagged, the process lives",
  async (scenario) => {
    expect(await see(scenario)).toEqual({
      before: [0xab, 0],
      sum: 0,
      kept: 0xab,
      indexOf: true,
      fault: 1,
      size: 4096,
    });
  },
);

test("a stray store into a read-only window changes no file and flags it", async () => {
  expect(await see("store into a read-only window")).toEqual({ fault: 1, file: true });
});

testFaults("a window takes more faults than the system allows mappings", async () => {
  expect(await see("read every other page of a truncated file")).toEqual({ sum: 0, fault: 1 });
});

testFaults("a fault flags the opening whose window it hit, and no other", async () => {
  expect(await see("flag one file of two")).toEqual({ sum: 0, one: 1, other: 0 });
});

testFaults("a commit after a lost store fails before it flushes, and publishes nothing", async () => {
  const failed = { result: "failed", step: "fault before flush 1", poisoned: false };
  expect(await see("commit after a fault")).toEqual({ outcome: failed, words: [0, 0, 0] });
  expect(await see("commit a truncated run")).toEqual({ outcome: failed, words: [0, 0, 0] });
});

testFaults("a meta page that is gone fails the commit before it is written", async () => {
  const failed = { step: "fault before meta", poisoned: false, words: [0, 0, 0] };
  expect(await see("commit into a truncated meta page")).toEqual(failed);
});

test("WebAssembly still traps where it should", async () => {
  expect(await see("WebAssembly traps")).toEqual({ trapped: "RuntimeError" });
});

testFaults.each(["SIGSEGV", "SIGBUS"])("%s sent by somebody still ends the process", async (signal) => {
  const ended = await start("guard.mjs", ["a signal that somebody sent", newPath(), signal]).ended;
  expect(ended).toMatchObject({ signal, output: "" });
});

testFaults("a fault outside of the windows still ends the process", async () => {
  const crash = compileC("crash.c", folder);
  const ended = await start("guard.mjs", ["a fault elsewhere", newPath(), crash]).ended;
  expect(ended).toMatchObject({ signal: "SIGSEGV", output: "" });
});
