/** Worker threads as handles, and processes and threads that end in the middle of something. */
import { expect, test } from "vitest";
import { newStorePath, opened, wholeAtEnd } from "../support/opened.ts";
import { type Ended, type Message, start, startAgent } from "./processes.ts";

/** Runs a scenario of children/threads.ts to its end. */
async function run(scenario: string, path: string): Promise<{ said: Message; ended: Ended }> {
  const child = start("threads", [scenario, path]);
  const said = await child.hears("ended", "failed");
  return { said, ended: await child.ended };
}

const WELL = { status: 0, signal: null, errors: "" };

test("each of several workers writes and reads by a handle of its own, and its end is the end of its handle", async () => {
  const path = newStorePath();
  wholeAtEnd(path);
  const { said, ended } = await run("workers write", path);
  expect(said).toEqual({
    said: "ended",
    entries: [
      ["worker 0", 60],
      ["worker 1", 60],
      ["worker 2", 60],
    ],
    slotsHeld: 1,
  });
  expect(ended).toMatchObject(WELL);
});

test.each([
  "terminate during an asynchronous commit",
  "terminate during a synchronous commit",
  "terminate with a snapshot in hand",
])("%s, many times: no hang, no crash, what was acknowledged is there, nothing stays held", async (scenario) => {
  const path = newStorePath();
  wholeAtEnd(path);
  const { said, ended } = await run(scenario, path);
  expect(said).toMatchObject({ said: "ended", problems: [], acknowledged: 11, slotsHeld: 1 });
  expect(Number(said["snapshotsLive"])).toBeLessThanOrEqual(4);
  expect(ended).toMatchObject(WELL);
});

test.each([
  "terminate during an asynchronous wait",
  "terminate during a synchronous wait",
  "exit during an asynchronous wait",
])("%s for the writer lock: no hang, no crash, and nothing written", async (scenario) => {
  const path = newStorePath();
  const store = opened<string, number>(path);
  await store.put("before", 1);
  const holder = await startAgent(path);
  holder.tell("hold");
  await holder.child.hears("holding");
  const { said, ended } = await run(scenario, path);
  expect([said, ended]).toMatchObject([{ said: "ended" }, WELL]);
  await holder.child.kill();
  await store.put("after", 1);
  expect([...store.keys()]).toEqual(["after", "before"]);
});

test.each([
  ["exit during an asynchronous commit", ["acknowledged", "under way"]],
  ["exit with writes queued", ["acknowledged", "queued"]],
  ["exit with a snapshot in hand", ["acknowledged"]],
  ["exit in a transaction", ["acknowledged"]],
])("%s: no hang, no crash, and only whole commits are there", async (scenario, keysMost) => {
  const path = newStorePath();
  const watcher = opened<string, number>(path);
  const { said, ended } = await run(scenario, path);
  expect([said, ended]).toMatchObject([{ said: "ended" }, WELL]);
  watcher.refresh();
  const keys = [...watcher.keys()];
  expect(keys[0]).toBe("acknowledged");
  expect(keysMost).toEqual(expect.arrayContaining(keys));
  // A dead reader's slot is cleared by the first writer that looks whether anybody holds its state.
  for (let i = 0; i < 3; i++) watcher.putSync("after", i);
  expect(watcher.stats().slotsHeld).toBe(1);
});

test("a process that has nothing left to do but a queued write makes it and ends by itself", async () => {
  const path = newStorePath();
  const { ended } = await run("end without closing", path);
  expect(ended).toMatchObject(WELL);
  expect([...opened(path).keys()]).toEqual(["acknowledged", "queued at the end"]);
});
