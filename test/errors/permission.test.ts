/** What may not be written: refused to writers, and read without a place in the coordination file. */
import { chmodSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, type TestContext, test } from "vitest";
import { open } from "../../src/index.ts";
import { found, misfit } from "../process/children/ledger.ts";
import { Agent, start } from "../process/processes.ts";
import { newStorePath, opened, turn } from "../support/opened.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { NOBODY, needsRoot, readOnlyView } from "./machine.ts";
import { closedStore, ENTRIES, errorOf, expectUnharmedFile } from "./store-file.ts";

function skipping(context: TestContext): (reason: string) => never {
  return (reason) => context.skip(reason);
}

/** A process without rights. It has opened some store before: the addon may lie where it can't read any more. */
async function startNobody(): Promise<Agent> {
  const agent = new Agent();
  await agent.ask("open", { path: join(tempFolder(), "store") });
  await agent.ask("close");
  await agent.ask("demote", { user: NOBODY });
  return agent;
}

/** Lets everybody into the store's folder, and read the file. */
function makeReadable(path: string, mode = 0o644): void {
  chmodSync(dirname(path), 0o755);
  chmodSync(path, mode);
}

test("NO_PERMISSION: a file that a user may not read is not opened by him, and stays as it is", async (context) => {
  needsRoot(skipping(context));
  const path = closedStore();
  makeReadable(path, 0o600);
  const nobody = await startNobody();
  for (const options of [{}, { readOnly: true }]) {
    await expect(nobody.ask("open", { path, options })).rejects.toMatchObject({ code: "NO_PERMISSION" });
  }
  expectUnharmedFile(path);
});

test("NO_PERMISSION: a file that a user may only read is not opened for writing", async (context) => {
  needsRoot(skipping(context));
  const path = closedStore();
  makeReadable(path);
  const nobody = await startNobody();
  await expect(nobody.ask("open", { path })).rejects.toMatchObject({ code: "NO_PERMISSION" });
  expect(await nobody.ask("open", { path, options: { readOnly: true } })).toBe(ENTRIES.length);
  await expect(nobody.ask("put", { key: 1, value: "" })).rejects.toMatchObject({ code: "READ_ONLY" });
  await nobody.ask("close");
  expectUnharmedFile(path);
});

test("NO_PERMISSION: nothing is created where a user may not, nor in a folder he may not enter", async (context) => {
  needsRoot(skipping(context));
  const folder = tempFolder();
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "closed"), { mode: 0o700 });
  const nobody = await startNobody();
  for (const path of [join(folder, "store"), join(folder, "closed", "store")]) {
    await expect(nobody.ask("open", { path })).rejects.toMatchObject({ code: "NO_PERMISSION" });
  }
  const own = open(join(folder, "closed", "store"));
  own.putSync("a", 1);
  own.closeSync();
});

test("NO_PERMISSION: a store one may write, in a folder where NAME-lock can't be made, is opened for reading only", async (context) => {
  needsRoot(skipping(context));
  const path = closedStore();
  makeReadable(path, 0o666);
  chmodSync(`${path}-lock`, 0o600);
  const nobody = await startNobody();
  await expect(nobody.ask("open", { path })).rejects.toMatchObject({ code: "NO_PERMISSION" });
  expect(await nobody.ask("open", { path, options: { readOnly: true } })).toBe(ENTRIES.length);
  expect(await nobody.ask("stats")).toMatchObject({ pinned: false });
  await nobody.ask("close");
  expectUnharmedFile(path);
});

test("NO_PERMISSION: through a read-only mount a store is opened for reading only", async (context) => {
  const path = closedStore();
  const view = join(readOnlyView(skipping(context), dirname(path)), "store");
  await errorOf("NO_PERMISSION", () => open(view));
  await errorOf("NO_PERMISSION", () => open(join(dirname(view), "new")));
  const reader = open<number, string>(view, { readOnly: true });
  expect([[...reader], reader.stats().pinned, reader.check().ok]).toEqual([ENTRIES, false, true]);
  reader.closeSync();
  expectUnharmedFile(path);
});

const READERS: readonly (readonly [string, (context: TestContext, path: string) => readonly string[]])[] = [
  [
    "of another user",
    (context, path) => {
      needsRoot(skipping(context));
      makeReadable(path);
      return [path, "read-only", String(NOBODY)];
    },
  ],
  [
    "on a read-only mount",
    (context, path) => [join(readOnlyView(skipping(context), dirname(path)), "store"), "read-only"],
  ],
];

test.for(READERS)(
  "an unpinned reader %s sees whole states only, while a writer goes on",
  async ([, prepare], context) => {
    const path = newStorePath();
    const store = opened(path);
    store.transactionSync(found);
    const parameters = prepare(context, path);
    const writer = start("writer", [path, "writer", `${path}-tally`]);
    const readers = [start("reader", parameters), start("reader", parameters)];
    expect(await readers[0].hears("begun", "failed")).toEqual({ said: "begun", pinned: false });
    await Promise.all([readers[1].hears("begun"), writer.hears("begun")]);
    await pause(1500);
    for (const child of [writer, ...readers]) child.tell({ said: "stop" });
    const ends = await Promise.all([writer, ...readers].map((child) => child.hears("ended", "failed", "misfit")));
    for (const end of ends) expect(end).toMatchObject({ said: "ended" });
    for (const { reads, newest } of ends.slice(1)) {
      expect(Number(reads)).toBeGreaterThan(10);
      expect(Number(newest)).toBeGreaterThan(5);
    }
    await turn();
    expect(misfit(store)).toBeUndefined();
  },
);

test("a snapshot of an unpinned reader stays whole while everything is overwritten, and gives its pages back at its end", async (context) => {
  needsRoot(skipping(context));
  const path = newStorePath();
  const store = opened<number, string>(path);
  const rewrite = (round: number): Promise<void> =>
    store.transaction((transaction) => {
      for (let i = 0; i < 100; i++) transaction.put(i, `round ${round} `.repeat(50 + i));
    });
  await rewrite(0);
  makeReadable(path);
  const nobody = await startNobody();
  await nobody.ask("open", { path, options: { readOnly: true } });
  await nobody.ask("snapshot");
  for (let round = 1; round < 20; round++) await rewrite(round);
  const entries = (await nobody.ask("snapshotEntries")) as [number, string][];
  expect(entries.every(([i, value]) => value === "round 0 ".repeat(50 + i))).toBe(true);
  expect(entries).toHaveLength(100);
  const live = store.stats().snapshotsLive;
  await nobody.child.kill();
  await rewrite(20);
  await rewrite(21);
  expect(store.stats().snapshotsLive).toBeLessThan(live);
});

test("a snapshot of an unpinned reader stays whole when every writer closes the store and another opens it", async (context) => {
  needsRoot(skipping(context));
  const path = newStorePath();
  const rewrite = async (rounds: readonly number[]): Promise<void> => {
    const store = open<number, string>(path);
    for (const round of rounds) {
      await store.transaction((transaction) => {
        for (let i = 0; i < 100; i++) transaction.put(i, `round ${round} `.repeat(50 + i));
      });
    }
    await store.close();
  };
  await rewrite([0]);
  makeReadable(path);
  const nobody = await startNobody();
  await nobody.ask("open", { path, options: { readOnly: true } });
  await nobody.ask("snapshot");
  await rewrite([1, 2, 3]);
  await rewrite([4, 5, 6]);
  await rewrite([7, 8, 9]);
  const entries = (await nobody.ask("snapshotEntries")) as [number, string][];
  expect(entries.every(([i, value]) => value === "round 0 ".repeat(50 + i))).toBe(true);
  expect(entries).toHaveLength(100);
  await nobody.ask("close");
});
