/** Many processes at one store: what readers see, what writers keep, and what the dead leave behind. */
import { statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import type { Key, Store } from "../../src/index.ts";
import { newStorePath, opened, turn, wholeAtEnd } from "../support/opened.ts";
import { ON_WINDOWS } from "../support/system.ts";
import { found, misfit } from "./children/ledger.ts";
import { type Agent, type Child, start, startAgent } from "./processes.ts";

/** Nobody waits as long for anybody: writers take turns, readers never wait. */
const BLOCKED_MS_MAX = 2000;

type LedgerStore = Store<Key, unknown>;

function newLedger(): { path: string; store: LedgerStore } {
  const path = newStorePath();
  const store: LedgerStore = opened(path);
  store.transactionSync(found);
  return { path, store };
}

interface Writer {
  readonly child: Child;
  readonly name: string;
  /** Steps that were acknowledged. */
  tally(): number;
}

function startWriter(path: string, name: string): Writer {
  const tallyPath = `${path}-tally-${name}`;
  return { child: start("writer", [path, name, tallyPath]), name, tally: () => statSync(tallyPath).size };
}

/** Tells all to stop, and hears how they fared. */
async function stop(children: readonly Child[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
  for (const child of children) child.tell({ said: "stop" });
  return Promise.all(children.map((child) => child.hears("ended", "failed", "misfit")));
}

async function reads(store: LedgerStore): Promise<LedgerStore> {
  await turn();
  return store;
}

test("4 readers and 2 writers: every snapshot fits together, nothing acknowledged is lost, nobody is blocked", async () => {
  const { path, store } = newLedger();
  const writers = ["a", "b"].map((name) => startWriter(path, name));
  const readers = [1, 2, 3, 4].map((i) => start("reader", i === 4 ? [path, "read-only"] : [path]));
  const children = [...writers.map(({ child }) => child), ...readers];
  await Promise.all(children.map((child) => child.hears("begun")));
  await pause(3000);
  const ends = await stop(children);
  for (const end of ends) {
    expect(end).toMatchObject({ said: "ended" });
    expect(Number(end["longestMs"])).toBeLessThan(BLOCKED_MS_MAX);
  }
  for (const { name, tally } of writers) {
    expect(tally()).toBeGreaterThan(20);
    expect((await reads(store)).get(["steps", name])).toBe(tally());
  }
  for (const end of ends.slice(2)) expect(Number(end["reads"])).toBeGreaterThan(20);
  expect(misfit(store)).toBeUndefined();
  expect((await reads(store)).stats().slotsHeld).toBe(1);
});

test("writers killed in the middle of commits lose nothing acknowledged and hold up nobody", async () => {
  const { path, store } = newLedger();
  const reader = start("reader", [path]);
  const survivor = startWriter(path, "survivor");
  await Promise.all([reader.hears("begun"), survivor.child.hears("begun")]);
  for (let round = 0; round < 10; round++) {
    const writer = startWriter(path, `writer ${round}`);
    await writer.child.hears("begun");
    await writer.child.hears("committing");
    await writer.child.kill();
    const steps = Number((await reads(store)).get(["steps", writer.name]));
    // The last commit may have been published and not acknowledged.
    expect(steps - writer.tally()).toBeOneOf([0, 1]);
    expect(misfit(store)).toBeUndefined();
  }
  const [ofReader, ofSurvivor] = await stop([reader, survivor.child]);
  expect(ofReader).toMatchObject({ said: "ended" });
  expect(ofSurvivor).toMatchObject({ said: "ended", acknowledged: survivor.tally() });
  expect((await reads(store)).get(["steps", "survivor"])).toBe(survivor.tally());
});

async function startAgents(path: string, count: number): Promise<Agent[]> {
  return Promise.all(Array.from({ length: count }, () => startAgent(path)));
}

test("a reader killed with a snapshot in hand gives its slot and its state back", async () => {
  const path = newStorePath();
  const store = opened<number, string>(path);
  await store.put(1, "first");
  const [reader] = await startAgents(path, 1);
  await reader.ask("snapshot");
  const rewrite = async (rounds: number): Promise<void> => {
    for (let i = 0; i < rounds; i++) await store.put(1, `${i}`.repeat(40_000));
  };
  await rewrite(10);
  const { slotsHeld, snapshotsLive } = store.stats();
  expect(slotsHeld).toBe(2);
  await reader.child.kill();
  await rewrite(2);
  expect(store.stats().slotsHeld).toBe(1);
  expect(store.stats().snapshotsLive).toBe(snapshotsLive - 1);
});

test("a killed idle handle leaves nothing, and the others go on", async () => {
  const path = newStorePath();
  const store = opened<number, string>(path);
  const [idle, other] = await startAgents(path, 2);
  // Idle: its latest turn is over. Were it killed within one, its slot would be cleared only when a writer misses the place.
  await pause(50);
  await idle.child.kill();
  await store.put(1, "one");
  await other.ask("put", { key: 2, value: "two" });
  await vi.waitFor(() => expect([store.count(), store.stats().slotsHeld]).toEqual([2, 1]));
  expect(await other.ask("close")).toBeUndefined();
});

test("a process killed while it waits for the writer lock is out of the way, and so is the one that held it", async () => {
  const path = newStorePath();
  const store = opened<number, string>(path);
  await store.put(0, "before");
  const [holder, waiter, synchronous] = await startAgents(path, 3);
  holder.tell("hold", { write: true });
  await holder.child.hears("holding");
  waiter.tell("put", { key: 1, value: "of the waiter" });
  synchronous.tell("putSync", { key: 2, value: "of the synchronous one" });
  const queued = store.put(3, "of this one");
  await pause(100);
  await Promise.all([waiter.child.kill(), synchronous.child.kill()]);
  await holder.child.kill();
  await queued;
  expect([...store]).toEqual([
    [0, "before"],
    [3, "of this one"],
  ]);
});

// Windows has no signal that stops a process.
test.skipIf(ON_WINDOWS)(
  "a stopped reader holds up no writer, and finds its snapshot as it was when it goes on",
  async () => {
    const path = newStorePath();
    const store = opened<number, string>(path);
    store.transactionSync((transaction) => {
      for (let i = 0; i < 300; i++) transaction.put(i, `first ${i}`.repeat(i));
    });
    const [reader] = await startAgents(path, 1);
    await reader.ask("snapshot");
    await reader.child.stop();
    for (let round = 0; round < 20; round++) {
      await store.transaction((transaction) => {
        for (let i = 0; i < 300; i++) transaction.put(i, `round ${round} `.repeat(i));
      });
    }
    expect(store.check().problems).toEqual([]);
    reader.child.resume();
    const entries = (await reader.ask("snapshotEntries")) as [number, string][];
    expect(entries).toHaveLength(300);
    expect(entries.every(([i, value]) => value === `first ${i}`.repeat(i))).toBe(true);
    expect(await reader.ask("count")).toBe(300);
    await reader.ask("closeSnapshot");
  },
);

test("handles in one process and in others see each other's commits", async () => {
  const path = newStorePath();
  const store = opened<string, number>(path);
  const agents = await startAgents(path, 2);
  for (let i = 0; i < 30; i++) {
    await agents[i % 2].ask(i % 3 === 0 ? "putSync" : "put", { key: "n", value: i });
    await turn();
    expect([store.get("n"), await agents[(i + 1) % 2].ask("get", { key: "n" })]).toEqual([i, i]);
  }
});

test("all killed at once leave a store that opens as if nothing had been", async () => {
  const { path, store } = newLedger();
  await store.close();
  for (let round = 0; round < 4; round++) {
    const writers = ["a", "b"].map((name) => startWriter(path, name));
    const readers = [start("reader", [path]), start("reader", [path])];
    const children = [...writers.map(({ child }) => child), ...readers];
    await Promise.all(children.map((child) => child.hears("begun")));
    await writers[round % 2].child.hears("committing");
    await Promise.all(children.map((child) => child.kill()));
    const after: LedgerStore = opened(path);
    expect(misfit(after)).toBeUndefined();
    for (const { name, tally } of writers) {
      // A tally goes on over the rounds; so do the steps, with one more at most for each kill.
      const ahead = Number(after.get(["steps", name])) - tally();
      expect(ahead).toBeGreaterThanOrEqual(0);
      expect(ahead).toBeLessThanOrEqual(round + 1);
    }
    expect(after.stats().slotsHeld).toBe(1);
    await after.close();
  }
  wholeAtEnd(path);
});
