/** What other handles, and whoever moves files about, can bring upon a handle. */
import {
  copyFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { expect, test } from "vitest";
import { SystemError } from "../../src/errors.ts";
import { open, type Store, type StoreSnapshot } from "../../src/index.ts";
import { openStore } from "../../src/store/open.ts";
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import { FreeSpace } from "../../src/store/pager/free-space.ts";
import { commitError } from "../../src/store/pager/settle.ts";
import { startAgent } from "../process/processes.ts";
import { alteredStorage } from "../support/altered-storage.ts";
import { opened, turn } from "../support/opened.ts";
import { takeAway } from "../support/system.ts";
import { EMPTY_SNAPSHOT, fakePages } from "./full-store.ts";
import { closedStore, errorOf, expectUnharmed, expectUnharmedFile } from "./store-file.ts";

test("LOCKED: while another process holds a transaction, writes give up after the timeout, and work once it is gone", async () => {
  const path = closedStore();
  const holder = await startAgent(path);
  holder.tell("hold", { write: true });
  await holder.child.hears("holding");
  const store = opened<number, string>(path, { timeout: 50 });
  const writes = [
    () => store.put(1, "waits"),
    () => store.delete(1),
    () => store.clear(),
    () => store.transaction((transaction) => transaction.clear()),
    () => store.putSync(1, "waits"),
    () => store.transactionSync((transaction) => transaction.clear()),
  ];
  for (const write of writes) await errorOf("LOCKED", write);
  expect(store.count()).toBe(600);
  const impatient = open<number, string>(path, { timeout: 0 });
  await errorOf("LOCKED", () => impatient.putSync(1, "waits"));
  await errorOf("LOCKED", () => impatient.put(1, "waits"));
  await impatient.close();
  await holder.child.kill();
  expectUnharmed(store);
});

test("LOCKED: a handle that closes while its write waits hears of it, and closes", async () => {
  const path = closedStore();
  const holder = await startAgent(path);
  holder.tell("hold");
  await holder.child.hears("holding");
  const store = open<number, string>(path, { timeout: 100 });
  const waiting = errorOf("LOCKED", () => store.put(1, "waits"));
  await turn();
  await store.close();
  await waiting;
  const synchronous = open<number, string>(path, { timeout: 100 });
  const queued = errorOf("LOCKED", () => synchronous.put(1, "waits"));
  await turn();
  synchronous.closeSync();
  await queued;
  await holder.child.kill();
  expectUnharmedFile(path);
});

function replaceByCopy(path: string): void {
  copyFileSync(path, `${path}.new`);
  takeAway(path);
  renameSync(`${path}.new`, path);
}

const THEFTS: readonly (readonly [string, (path: string) => void])[] = [
  ["deleted", (lock) => takeAway(lock)],
  ["emptied", (lock) => takeAway(lock) ?? writeFileSync(lock, "")],
  ["replaced by another file", (lock) => takeAway(lock) ?? writeFileSync(lock, Buffer.alloc(1e6, 7))],
  ["replaced by a copy", replaceByCopy],
  ["replaced by a folder", (lock) => takeAway(lock) ?? mkdirSync(lock)],
  ["replaced by a symbolic link", (lock) => renameSync(lock, `${lock}.old`) ?? symlinkSync(`${lock}.old`, lock)],
];

test.each(THEFTS)(
  "COORDINATION_LOST: while others are there and NAME-lock was %s, nobody new gets in; those inside go on",
  async (_name, steal) => {
    const path = closedStore();
    const [inside, agent] = [open<number, string>(path), await startAgent(path)];
    steal(`${path}-lock`);
    await errorOf("COORDINATION_LOST", () => open(path, { timeout: 60 }));
    await errorOf("COORDINATION_LOST", () => open(path, { timeout: 60, readOnly: true }));
    await agent.ask("put", { key: 700, value: "of the other" });
    await turn();
    expect(inside.get(700)).toBe("of the other");
    await inside.delete(700);
    await Promise.all([inside.close(), agent.ask("close")]);
    rmSync(`${path}-lock`, { recursive: true, force: true });
    expectUnharmedFile(path);
  },
);

const REPLACEMENTS: readonly (readonly [string, (path: string) => void])[] = [
  ["deleted", (path) => takeAway(path)],
  ["renamed", (path) => renameSync(path, `${path}.moved`)],
  ["replaced by a copy", replaceByCopy],
];

test.each(REPLACEMENTS)(
  "STORE_REPLACED: after the file was %s a handle writes no more, and reads on",
  async (_name, replace) => {
    const path = closedStore();
    const store = open<number, string>(path);
    copyFileSync(path, `${path}.saved`);
    replace(path);
    await errorOf("STORE_REPLACED", () => store.put(1, "to nowhere"));
    await errorOf("STORE_REPLACED", () => store.putSync(1, "to nowhere"));
    await errorOf("STORE_REPLACED", () => store.transaction((transaction) => transaction.clear()));
    await turn();
    expect([store.count(), store.get(1), store.check().ok]).toEqual([600, "value 1", true]);
    await store.close();
    renameSync(`${path}.saved`, path);
    expectUnharmedFile(path);
  },
);

test("STORE_REPLACED: a file that gets its name back is written again", async () => {
  const path = closedStore();
  const store = opened<number, string>(path);
  renameSync(path, `${path}.moved`);
  await errorOf("STORE_REPLACED", () => store.putSync(1, "to nowhere"));
  renameSync(`${path}.moved`, path);
  expectUnharmed(store);
});

test("SLOTS_FULL: more snapshots than slots are refused, and one closed makes room for one", async () => {
  const path = closedStore();
  const capacities = { slots: 3, live: 20, owners: 4 };
  const store = openStore<number, string>(addonStorage(), path, {}, { capacities });
  await turn();
  await turn();
  const snapshots: StoreSnapshot<number, string>[] = [store.snapshot(), store.snapshot(), store.snapshot()];
  await errorOf("SLOTS_FULL", () => store.snapshot());
  await errorOf("SLOTS_FULL", () => store.get(1));
  // Writers need no slot.
  store.putSync(-1, "written");
  await store.delete(-1);
  snapshots[0].close();
  expect(store.get(1)).toBe("value 1");
  expect(snapshots[1].get(1)).toBe("value 1");
  store.closeSync();
  expectUnharmedFile(path);
});

test("slots that were let go are anybody's, however many their handle held at once", async () => {
  const path = closedStore();
  const capacities = { slots: 12, live: 20, owners: 6 };
  const stores: Store<number, string>[] = [];
  for (let i = 0; i < 4; i++) {
    const store = openStore<number, string>(addonStorage(), path, {}, { capacities });
    await turn();
    await turn();
    const snapshots = Array.from({ length: 11 }, () => store.snapshot());
    expect(snapshots.map((snapshot) => snapshot.get(1))).toEqual(snapshots.map(() => "value 1"));
    for (const snapshot of snapshots) snapshot.close();
    stores.push(store);
  }
  expect(stores.map((store) => store.get(1))).toEqual(stores.map(() => "value 1"));
  for (const store of stores) store.closeSync();
  expectUnharmedFile(path);
});

test("IO: a lock that the system can't look up or take is an error of the system, and no other handle's doing", async () => {
  const path = closedStore();
  let failing = false;
  const storage = alteredStorage((file, name) => {
    const lockedByOther = file.lockedByOther.bind(file);
    file.lockedByOther = (range, mode) => {
      if (failing) throw new SystemError("ENOLCK", 37, "fcntl", name, "no locks available");
      return lockedByOther(range, mode);
    };
  });
  const store = openStore<number, string>(storage, path);
  failing = true;
  await errorOf("IO", () => store.put(1, "refused"));
  await errorOf("IO", () => store.putSync(1, "refused"));
  failing = false;
  const cause = new SystemError("ENOLCK", 37, "fcntl", path, "no locks available");
  const failure = commitError({ result: "failed", step: "flush lock", poisoned: false, cause });
  expect(failure).toMatchObject({ code: "IO", cause });
  store.putSync(1, "value 1");
  store.closeSync();
  expectUnharmedFile(path);
});

const OVERWRITINGS: readonly (readonly [string, (path: string) => void])[] = [
  ["truncated", (lock) => truncateSync(lock, 0)],
  ["overwritten by ones", (lock) => writeFileSync(lock, Buffer.alloc(statSync(lock).size, 0xff), { flag: "r+" })],
  ["overwritten by zeros", (lock) => writeFileSync(lock, Buffer.alloc(statSync(lock).size), { flag: "r+" })],
];

test.skipIf(process.platform === "win32").each(OVERWRITINGS)(
  "COORDINATION_LOST: NAME-lock was %s; nothing is read or written any more until all have closed",
  async (_name, spoil) => {
    const path = closedStore();
    const store = open<number, string>(path);
    await turn();
    await turn();
    spoil(`${path}-lock`);
    const uses = [
      () => store.get(1),
      () => store.snapshot(),
      () => [...store.keys()],
      () => store.put(1, "refused"),
      () => store.putSync(1, "refused"),
    ];
    for (const use of uses) await errorOf("COORDINATION_LOST", use);
    await store.close();
    expectUnharmedFile(path);
  },
);

test("SLOTS_FULL: more handles than the coordination file has places for are refused, until one closes or dies", async () => {
  const path = closedStore();
  const capacities = { slots: 50, live: 20, owners: 3 };
  const handles: Store<number, string>[] = [openStore<number, string>(addonStorage(), path, {}, { capacities })];
  handles.push(open<number, string>(path));
  const agent = await startAgent(path);
  await errorOf("SLOTS_FULL", () => open(path));
  await errorOf("SLOTS_FULL", () => open(path, { readOnly: true }));
  await agent.child.kill();
  handles.push(open<number, string>(path));
  await errorOf("SLOTS_FULL", () => open(path));
  await handles[1].close();
  const last = open<number, string>(path);
  expectUnharmed(last);
  for (const handle of [...handles, last]) await handle.close();
});

test("LIVE_LIST_FULL: a commit beyond the states the live list holds is refused, until a snapshot is closed", async () => {
  const path = closedStore();
  const capacities = { slots: 50, live: 5, owners: 4 };
  const store = openStore<number, string>(addonStorage(), path, {}, { capacities });
  const snapshots: StoreSnapshot<number, string>[] = [];
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) {
      await store.put(1000, `${i}`);
      snapshots.push(store.snapshot());
    }
  };
  await errorOf("LIVE_LIST_FULL", fill);
  await errorOf("LIVE_LIST_FULL", () => store.putSync(1000, "refused"));
  await errorOf("LIVE_LIST_FULL", () => store.transaction((transaction) => transaction.clear()));
  const held = snapshots.length;
  expect([store.get(1000), store.check().ok]).toEqual([`${held - 1}`, true]);
  expect(snapshots.map((snapshot) => snapshot.get(1000))).toEqual(snapshots.map((_, i) => `${i}`));
  for (const snapshot of snapshots) snapshot.close();
  await store.delete(1000);
  expectUnharmed(store);
  store.closeSync();
  expectUnharmedFile(path);
});

test("STORE_FULL: where no run of pages fits below the greatest page number there is, none is made up", async () => {
  // A store of 16 TiB is more than a test can have: the free space of one, without its pages.
  const pages = fakePages();
  const space = new FreeSpace(pages);
  space.begin([EMPTY_SNAPSHOT]);
  await errorOf("STORE_FULL", () => space.reserveRun(pages.windowMask + 2));
  expect(space.reserve(1).page).toBeGreaterThanOrEqual(0);
});
