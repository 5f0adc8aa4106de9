/** Processes that open and close a store at the same time as others do. */
import { expect, test } from "vitest";
import { newStorePath, opened, turn, wholeAtEnd } from "../support/opened.ts";
import { start, startAgent } from "./processes.ts";

const PROCESSES = 4;

test("processes that create the same store at once get one store, and all write to it", async () => {
  for (let round = 0; round < 3; round++) {
    const path = newStorePath();
    wholeAtEnd(path);
    const agents = await Promise.all(Array.from({ length: PROCESSES }, () => startAgent()));
    await Promise.all(agents.map((agent) => agent.ask("open", { path })));
    await Promise.all(agents.map((agent, i) => agent.ask("put", { key: `process ${i}`, value: i })));
    for (const agent of agents) expect(await agent.ask("count")).toBe(PROCESSES);
    await Promise.all(agents.map((agent) => agent.ask("close")));
    expect(opened(path).count()).toBe(PROCESSES);
    await Promise.all(agents.map((agent) => agent.child.kill()));
  }
});

test("processes that open, write and close in loops meet no error, and leave a whole store with all they wrote", async () => {
  const path = newStorePath();
  wholeAtEnd(path);
  const rounds = 60;
  const children = Array.from({ length: PROCESSES }, (_, i) =>
    start("open-close", [path, `process ${i}`, String(rounds)]),
  );
  const ends = await Promise.all(children.map((child) => child.hears("ended", "failed")));
  expect(ends).toEqual(children.map(() => ({ said: "ended" })));
  await Promise.all(children.map((child) => child.ended));
  const store = opened<string, number>(path);
  for (let i = 0; i < PROCESSES; i++) {
    expect(store.get(`process ${i}`)).toBe(rounds);
    expect(store.get(`process ${i} queued`)).toBe(rounds);
  }
});

test("a handle that stays open serves as the store's memory for those that come and go", async () => {
  const path = newStorePath();
  const store = opened<string, number>(path);
  using snapshot = store.snapshot();
  const children = [0, 1].map((i) => start("open-close", [path, `process ${i}`, "30"]));
  expect(await Promise.all(children.map((child) => child.hears("ended", "failed")))).toEqual([
    { said: "ended" },
    { said: "ended" },
  ]);
  await turn();
  expect([snapshot.count(), store.count()]).toEqual([0, 4]);
});

test("the last to close leaves nothing for the next to repair", async () => {
  const path = newStorePath();
  for (let i = 0; i < 3; i++) {
    const agent = await startAgent(path);
    expect(await agent.ask("count")).toBe(i);
    await agent.ask("put", { key: i, value: i });
    await agent.ask("close");
    await agent.child.kill();
  }
  expect(opened(path).stats()).toMatchObject({ entryCount: 3, metaFallback: false, poisoned: false });
});
