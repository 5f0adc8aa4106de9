/** A disk that is full, and one that fails to write. */
import { closeSync, existsSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, type TestContext, test } from "vitest";
import { open, type Store } from "../../src/index.ts";
import { startAgent } from "../process/processes.ts";
import { Machine } from "../recorder/machine.ts";
import { opened, turn } from "../support/opened.ts";
import { openWhole } from "../support/whole.ts";
import { failFlushes, SMALL_FILE_SYSTEMS } from "./machine.ts";
import { closedStore, ENTRIES, errorOf, expectUnharmed, expectUnharmedFile } from "./store-file.ts";

function skipping(context: TestContext): (reason: string) => never {
  return (reason) => context.skip(reason);
}

/** Fills the disk with a file that is no store's. */
function fillDisk(path: string): void {
  const file = openSync(path, "w");
  try {
    for (const size of [65_536, 4096, 512]) {
      const block = Buffer.alloc(size, 1);
      try {
        for (;;) writeSync(file, block);
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
      }
    }
  } finally {
    closeSync(file);
  }
}

for (const [name, mountSmall] of Object.entries(SMALL_FILE_SYSTEMS)) {
  test(`a store that fills a ${name} by itself can be cleared and written again`, async (context) => {
    const folder = mountSmall(skipping(context), 24);
    const store = open<number, string>(join(folder, "store"));
    const fill = (from: number): Promise<unknown> =>
      errorOf("DISK_FULL", () => {
        for (let key = from; ; key++) store.putSync(key, "x".repeat(100_000));
      });
    await fill(0);
    await store.clear();
    // All of the disk is the store's, and all of the store is free but for what the last two commits hold.
    store.putSync(0, "y".repeat(1_000_000));
    expect(store.get(0)).toBe("y".repeat(1_000_000));
    await fill(1);
    expect(store.check().problems).toEqual([]);
    store.closeSync();
  });

  test(`DISK_FULL: on a full ${name} a transaction fails whole, and goes through once there is room`, async (context) => {
    const folder = mountSmall(skipping(context), 24);
    const path = join(folder, "store");
    const store = open<number, string>(path);
    store.transactionSync((transaction) => {
      for (const [key, value] of ENTRIES) transaction.put(key, value);
    });
    fillDisk(join(folder, "filler"));
    const large = "x".repeat(4 * 1024 * 1024);
    for (let round = 0; round < 3; round++) {
      await errorOf("DISK_FULL", () => store.put(1000, large));
      await errorOf("DISK_FULL", () => store.putSync(1000, large));
      await errorOf("DISK_FULL", () =>
        store.transactionSync((transaction) => {
          for (let i = 0; i < 5000; i++) transaction.put(i, `${large.slice(0, 500)}${i}`);
        }),
      );
      expect([...store]).toEqual(ENTRIES);
      expect(store.check().problems).toEqual([]);
    }
    rmSync(join(folder, "filler"));
    await store.put(1000, large);
    expect(store.get(1000)).toBe(large);
    await store.delete(1000);
    expectUnharmed(store);
    await store.close();
    expectUnharmedFile(path);
  });

  test(`DISK_FULL: on a full ${name} no store is created, and nothing is left of the attempt`, async (context) => {
    const folder = mountSmall(skipping(context), 8);
    fillDisk(join(folder, "filler"));
    const path = join(folder, "store");
    await errorOf("DISK_FULL", () => open(path));
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(folder)).toEqual(["filler"]);
    rmSync(join(folder, "filler"));
    const store = open(path);
    store.putSync("a", 1);
    store.closeSync();
  });

  test(`on a full ${name} a store that has lost its NAME-lock can still be read`, async (context) => {
    const folder = mountSmall(skipping(context), 8);
    const path = join(folder, "store");
    const store = open<number, string>(path);
    store.putSync(1, "before");
    store.closeSync();
    rmSync(`${path}-lock`);
    fillDisk(join(folder, "filler"));
    await errorOf("DISK_FULL", () => open(path));
    const reader = open<number, string>(path, { readOnly: true });
    expect([[...reader], reader.stats().pinned]).toEqual([[[1, "before"]], false]);
    reader.closeSync();
    expect(readdirSync(folder).sort()).toEqual(["filler", "store"]);
  });

  test(`DISK_FULL: a transaction that catches the error of a put on a full ${name} can't commit a part of it`, async (context) => {
    const folder = mountSmall(skipping(context), 16);
    const store = open<number, string>(join(folder, "store"));
    store.putSync(1, "before");
    fillDisk(join(folder, "filler"));
    const body = (transaction: { put(key: number, value: string): void }): void => {
      transaction.put(2, "small");
      try {
        transaction.put(3, "x".repeat(8 * 1024 * 1024));
      } catch {
        // Goes on as if nothing had been.
      }
    };
    await errorOf("DISK_FULL", () => store.transactionSync(body));
    await errorOf("DISK_FULL", () => store.transaction(body));
    expect([...store]).toEqual([[1, "before"]]);
    await store.close();
  });
}

/** What a failed flush must leave, whichever handle it was of. */
async function expectPoisoned(store: Store<number, string>): Promise<void> {
  await errorOf("POISONED", () => store.put(5, "after the failure"));
  await errorOf("POISONED", () => store.putSync(5, "after the failure"));
  store.refresh();
  expect([...store]).toEqual(ENTRIES);
  expect(store.stats().poisoned).toBe(true);
}

const FAILING_FLUSHES = [
  { write: "put", from: "first", when: "1+" },
  { write: "putSync", from: "first", when: "1+" },
  { write: "putSync", from: "second", when: "2+" },
];

test.for(FAILING_FLUSHES)(
  "POISONED: $write, whose $from flush fails, ends with IO; then nobody writes, all read, and the next opener recovers",
  async ({ write, when }, context) => {
    const path = closedStore();
    const agent = await startAgent(path);
    const store = open<number, string>(path);
    const flushes = await failFlushes(skipping(context), agent.child.pid, when);
    const failed = agent.ask(write, { key: 5, value: "whose flush fails" });
    await expect(failed).rejects.toMatchObject({ code: "IO" });
    await expect(agent.ask(write, { key: 5, value: "again" })).rejects.toMatchObject({ code: "POISONED" });
    await expectPoisoned(store);
    expect(await agent.ask("count")).toBe(ENTRIES.length);
    await flushes.stop();
    // Poison stays as long as anybody who may have seen it is there.
    const late = open<number, string>(path);
    await expectPoisoned(late);
    await Promise.all([late.close(), store.close(), agent.ask("close")]);
    const next = opened<number, string>(path);
    expect(next.stats().poisoned).toBe(false);
    // Of the write whose flush failed nobody can know; everything acknowledged is there.
    next.putSync(5, "value 5");
    expectUnharmed(next);
  },
);

test("IO: a flush that fails on the recorder, and POISONED until all have closed", async () => {
  using machine = new Machine({ seed: 1 });
  const [one, other] = [machine.process("one"), machine.process("other")];
  const store = openWhole<number, string>(one, "store");
  const second = openWhole<number, string>(other, "store");
  store.putSync(1, "acknowledged");
  one.failures.add("flush", 1, "EIO");
  await errorOf("IO", () => store.put(1, "lost"));
  await errorOf("POISONED", () => store.put(1, "refused"));
  await errorOf("POISONED", () => second.putSync(1, "refused"));
  second.refresh();
  expect([store.get(1), second.get(1)]).toEqual(["acknowledged", "acknowledged"]);
  store.closeSync();
  second.closeSync();
  const next = openWhole<number, string>(machine.process("next"), "store");
  next.putSync(2, "written");
  expect([...next]).toEqual([
    [1, "acknowledged"],
    [2, "written"],
  ]);
});

test("IO: where the system can't lock, a write fails, waiting or not, and later ones go through", async () => {
  using machine = new Machine({ seed: 1 });
  const [one, other] = [machine.process("one"), machine.process("other")];
  const store = openWhole<number, string>(one, "store");
  const holder = openWhole<number, string>(other, "store");
  store.putSync(1, "acknowledged");
  one.failures.add("lock", 1, "ENOLCK");
  await errorOf("IO", () => store.put(1, "refused at once"));
  one.failures.add("lock", 1, "ENOLCK");
  await errorOf("IO", () => store.putSync(1, "refused at once"));
  // The other holds the lock when the first looks, so the first waits, and fails while it does.
  let waiting: Promise<unknown> | undefined;
  other.onPause = (pause) => {
    if (pause !== "commit: flushed 1" || waiting !== undefined) return;
    waiting = errorOf("IO", () => store.put(1, "refused while it waits"));
  };
  machine.manualCommits = true;
  const held = holder.put(2, "of the other");
  while (machine.commits.length === 0) await turn();
  while (waiting === undefined) machine.commits[0].step();
  await turn();
  one.failures.add("lock", 1, "ENOLCK");
  await waiting;
  machine.manualCommits = false;
  while (machine.commits.length > 0) machine.commits[0].step();
  await held;
  await store.put(3, "written");
  expect([...store]).toEqual([
    [1, "acknowledged"],
    [2, "of the other"],
    [3, "written"],
  ]);
});
