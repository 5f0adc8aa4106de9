import { describe, expect, test } from "vitest";
import { COORDINATION_DURABLE, COORDINATION_NEWEST, COORDINATION_POISON } from "../../src/store/format/coordination.ts";
import { LOCK_FLUSH, LOCK_WRITER } from "../../src/store/format/locks.ts";
import { META_COPY, META_FIRST_AT, META_SECOND_AT } from "../../src/store/format/meta.ts";
import type { CommitMutant, CommitPause } from "./commit-job.ts";
import type { MachineOptions } from "./machine.ts";
import { Machine } from "./machine.ts";
import type { SimulatedProcess } from "./process.ts";
import { recoverToy, TOY_PATH, ToyStore } from "./toy-store.ts";

const WRITER = { start: LOCK_WRITER, length: 1 };
const FLUSH = { start: LOCK_FLUSH, length: 1 };
const NEWEST = COORDINATION_NEWEST >>> 2;
const POISON = COORDINATION_POISON >>> 2;

function start(options: Partial<MachineOptions> = {}): {
  machine: Machine;
  process: SimulatedProcess;
  store: ToyStore;
} {
  const machine = new Machine({ seed: 1, ...options });
  const process = machine.process();
  return { machine, process, store: new ToyStore(process) };
}

describe("a commit", () => {
  test("goes through its steps in the documented order and ends with every lock given back", () => {
    const { machine, process, store } = start();
    const steps: string[] = [];
    process.hook = (step) => steps.push(step);
    const other = machine.process().openFile(TOY_PATH, "readwrite");
    store.file.tryLock(WRITER, "exclusive");
    expect(store.file.commitSync({ ...store.plan(), unlockWriter: true })).toEqual({ result: "committed" });
    expect(steps).toEqual([
      "commit: flush lock taken",
      "commit: flushed 1",
      "commit: meta written",
      "commit: flushed 2",
      "commit: published",
      "commit: unlocked",
    ]);
    expect(other.lockedByOther({ start: 0, length: 4 }, "shared")).toBe(-1);
    expect(store.coordination.words[COORDINATION_DURABLE >>> 2]).toBe(1);
    expect(store.coordination.words[NEWEST]).toBe(1);
  });

  test("stores rewrites in both copies before flush 1", () => {
    const { machine, process, store } = start();
    const record = new Uint8Array(64).fill(9);
    process.onPause = (pause) => {
      if (pause !== "commit: flushed 1") return;
      const found = machine.powerLoss(1).readFile(TOY_PATH);
      for (const at of [0, META_COPY]) expect(found.slice(at, at + 64)).toEqual(record);
    };
    process.run(() => store.file.commitSync({ ...store.plan(), rewrites: [{ at: META_FIRST_AT, record }] }));
    expect(process.killed).toBe(true);
  });

  test("in flight goes on a step a turn, and its promise settles afterwards", async () => {
    const { store } = start();
    const run = store.file.commit(store.plan());
    expect(store.coordination.words[NEWEST]).toBe(0);
    expect(await run.done).toEqual({ result: "committed" });
    expect(run.wait()).toEqual({ result: "committed" });
    expect(store.coordination.words[NEWEST]).toBe(1);
  });

  test("in flight is finished by waiting for it, by closing, or step by step by the test", async () => {
    const { machine, store } = start();
    machine.manualCommits = true;
    const run = store.file.commit(store.plan());
    expect(run.wait()).toEqual({ result: "committed" });
    store.file.commit(store.plan());
    const pauses: (CommitPause | undefined)[] = [];
    const [job] = machine.commits;
    do pauses.push(job.step());
    while (pauses.at(-1) !== undefined);
    expect(pauses).toContain("commit: flush 2 begun");
    expect(job.outcome).toEqual({ result: "committed" });
    expect(machine.commits).toEqual([]);
    const last = store.file.commit(store.plan());
    store.file.close();
    expect(await last.done).toEqual({ result: "committed" });
    expect(machine.readFile(`${TOY_PATH}-lock`)[COORDINATION_NEWEST]).toBe(3);
  });

  test("in flight ends with its process and never settles", async () => {
    const { machine, process, store } = start();
    let settled = false;
    void store.file.commit(store.plan()).done.then(() => {
      settled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    process.kill();
    expect(machine.commits).toEqual([]);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    expect(new ToyStore(machine.process()).coordination.words[NEWEST]).toBe(0);
  });

  test("that can't get the flush lock fails where nobody can give it back, and else waits", () => {
    const { machine, process, store } = start();
    const other = machine.process().openFile(TOY_PATH, "readwrite");
    other.tryLock(FLUSH, "exclusive");
    expect(store.file.commitSync(store.plan())).toMatchObject({
      result: "failed",
      step: "flush lock",
      poisoned: false,
    });
    process.onWait = () => {
      other.unlock(FLUSH);
      return true;
    };
    expect(store.file.commitSync(store.plan())).toEqual({ result: "committed" });
  });
});

describe("a flush that fails", () => {
  test.each([1, 2] as const)("(flush %i) poisons the store before any lock is given back", (which) => {
    const { process, store } = start();
    const { words } = store.coordination;
    process.failures.add("flush", which, "EIO");
    process.hook = (step) => {
      if (step === "commit: unlocked") expect(words[POISON]).toBe(1);
    };
    const outcome = store.file.commitSync(store.plan());
    expect(outcome).toMatchObject({ result: "failed", step: `flush ${which}`, poisoned: true, cause: { code: "EIO" } });
    expect(words[POISON]).toBe(1);
    expect(words[NEWEST]).toBe(0);
  });

  test("leaves old bytes on the device although the next flush succeeds", () => {
    const { machine, process, store } = start();
    expect(store.file.commitSync(store.plan()).result).toBe("committed");
    process.failures.add("flush", 2, "EIO");
    expect(store.file.commitSync(store.plan()).result).toBe("failed");
    store.file.flush();
    // Memory has the meta record of commit 2, and the device has not.
    for (let seed = 0; seed < 100; seed++) expect(recoverToy(machine.crashImage(seed))).toBe(1);
    expect(recoverToy(machine)).toBe(2);
    // Storing it again and flushing really writes it.
    store.number--;
    expect(store.file.commitSync(store.plan()).result).toBe("committed");
    for (let seed = 0; seed < 100; seed++) expect(recoverToy(machine.crashImage(seed))).toBe(2);
  });

  test("may leave anything on the device, if so configured", () => {
    const { machine, process, store } = start({ failedFlush: "any" });
    process.failures.add("flush", 2, "EIO");
    expect(store.file.commitSync(store.plan()).result).toBe("failed");
    store.file.flush();
    const found = new Set<number | string>();
    for (let seed = 0; seed < 100; seed++) found.add(recoverToy(machine.crashImage(seed)));
    expect([...found].sort()).toEqual([0, 1]);
  });

  test("is undone in memory when the cache is dropped, but not while anybody maps the file", () => {
    const { machine, process, store } = start();
    process.failures.add("flush", 2, "EIO");
    store.file.commitSync(store.plan());
    store.file.dropCache();
    expect(recoverToy(machine)).toBe(1);
    for (const each of [process, ...machine.processes]) each.kill();
    machine.process().openFile(TOY_PATH, "readwrite").dropCache();
    expect(recoverToy(machine)).toBe(0);
  });
});

describe("a fault in mapped memory", () => {
  test.each([
    ["fault before flush 1", undefined, 0],
    ["fault before meta", "commit: flushed 1", 0],
    ["fault after flush 2", "commit: flushed 2", 1],
  ] as const)("is noticed: %s", (step, when, onDisk) => {
    const { machine, process, store } = start();
    process.hook = (at) => {
      if (at === when) process.storeFiles[0].fault();
    };
    if (when === undefined) process.storeFiles[0].fault();
    const outcome = store.file.commitSync(store.plan());
    expect(outcome).toEqual({ result: "failed", step, poisoned: false, cause: undefined });
    expect(store.coordination.words[NEWEST]).toBe(0);
    expect(recoverToy(machine.crashImage(1, { unit: 4096 }))).toBe(onDisk);
  });
});

test("a meta page that can't be made ready fails the commit before it is stored", () => {
  const { machine, process, store } = start();
  process.failures.add("populate", 1, "ENOSPC");
  const outcome = store.file.commitSync(store.plan());
  expect(outcome).toMatchObject({ step: "fault before meta", poisoned: false, cause: { code: "ENOSPC" } });
  expect(recoverToy(machine)).toBe(0);
});

describe("a mutant", () => {
  /** What is wrong after a commit whose second flush fails. */
  function failSecondFlush(mutant: CommitMutant): { poison: number[]; newest: number } {
    const { process, store } = start();
    const { words } = store.coordination;
    const poison: number[] = [];
    process.mutants.add(mutant);
    process.failures.add("flush", 2, "EIO");
    process.hook = (step) => {
      if (step === "commit: unlocked") poison.push(words[POISON]);
    };
    store.file.commitSync(store.plan());
    return { poison: [...poison, words[POISON]], newest: words[NEWEST] };
  }

  test("no poison: nobody learns of the failed flush", () => {
    expect(failSecondFlush("no poison")).toEqual({ poison: [0, 0], newest: 0 });
  });

  test("poison after unlock: others can go on before they learn of it", () => {
    expect(failSecondFlush("poison after unlock")).toEqual({ poison: [0, 1], newest: 0 });
  });

  test("publish despite failure: the lost commit is the newest", () => {
    expect(failSecondFlush("publish despite failure")).toEqual({ poison: [1, 1], newest: 1 });
  });

  test("no fault checks: a commit with a lost page succeeds", () => {
    const { process, store } = start();
    process.mutants.add("no fault checks");
    process.storeFiles[0].fault();
    expect(store.file.commitSync(store.plan())).toEqual({ result: "committed" });
  });

  test("one meta copy only: the second copy keeps its old content", () => {
    const { machine, process, store } = start();
    process.mutants.add("one meta copy only");
    store.file.commitSync(store.plan());
    const bytes = machine.readFile(TOY_PATH);
    expect([bytes[META_SECOND_AT], bytes[META_SECOND_AT + META_COPY]]).toEqual([1, 0]);
  });

  test("no flush lock: two flushes go on at a time", () => {
    const { machine, process, store } = start();
    const other = machine.process().openFile(TOY_PATH, "readwrite");
    other.tryLock(FLUSH, "exclusive");
    process.mutants.add("no flush lock");
    expect(store.file.commitSync(store.plan())).toEqual({ result: "committed" });
  });

  test("no rewrites: the slot to be repaired stays as it was", () => {
    const { machine, process, store } = start();
    process.mutants.add("no rewrites");
    const record = new Uint8Array(64).fill(9);
    store.file.commitSync({ ...store.plan(), rewrites: [{ at: META_FIRST_AT, record }] });
    expect(machine.readFile(TOY_PATH)[0]).toBe(0);
  });

  test("publish after unlock: another writer can come in between", () => {
    const { process, store } = start();
    process.mutants.add("publish after unlock");
    const steps: string[] = [];
    process.hook = (step) => steps.push(step);
    store.file.commitSync(store.plan());
    expect(steps.slice(-2)).toEqual(["commit: unlocked", "commit: published"]);
  });
});
