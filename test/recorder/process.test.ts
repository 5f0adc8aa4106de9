import { describe, expect, test } from "vitest";
import { COORDINATION_NEWEST } from "../../src/store/format/coordination.ts";
import { LOCK_WAITING, LOCK_WRITER } from "../../src/store/format/locks.ts";
import { Killed } from "./killed.ts";
import { Machine } from "./machine.ts";
import { PAGE_SIZE, TOY_PATH, ToyStore, WINDOW_SIZE } from "./toy-store.ts";

const WRITER = { start: LOCK_WRITER, length: 1 };
const NEWEST = COORDINATION_NEWEST >>> 2;

describe("processes of one machine", () => {
  test("see each other's stores at once, in windows and in the coordination file", () => {
    const machine = new Machine({ seed: 1, record: false });
    const a = new ToyStore(machine.process());
    const reader = machine.process();
    const window = reader.openFile(TOY_PATH, "readonly").mapWindow(0, WINDOW_SIZE, false);
    const words = reader.openCoordination(`${TOY_PATH}-lock`, 1)?.words;
    expect(a.file.commitSync(a.plan()).result).toBe("committed");
    expect(window.view.getUint32(19 * PAGE_SIZE + 4, true)).toBe(1);
    expect(words?.[NEWEST]).toBe(1);
  });

  test("must map a file with windows of one size", () => {
    const machine = new Machine({ seed: 1 });
    new ToyStore(machine.process());
    const other = machine.process().openFile(TOY_PATH, "readwrite");
    expect(() => other.mapWindow(0, 2 * WINDOW_SIZE, true)).toThrow("windows of 131072 bytes");
  });

  test("keep a replaced coordination file and a replaced store open", () => {
    const machine = new Machine({ seed: 1 });
    const store = new ToyStore(machine.process());
    const other = machine.process();
    const fresh = other.createCoordination(`${TOY_PATH}-lock`, 8192, 0o600, (view) => view.setInt32(0, 7));
    expect(fresh.view.getInt32(0)).toBe(7);
    expect(store.coordination.view.getInt32(0)).toBe(0);
    expect(store.file.isNamed()).toBe(true);
    machine.rename(TOY_PATH, "/elsewhere");
    expect(store.file.isNamed()).toBe(false);
    machine.writeFile(TOY_PATH, new Uint8Array(10));
    expect(store.file.isNamed()).toBe(false);
    expect(other.openFile(TOY_PATH, "readwrite").identity()).not.toEqual(store.file.identity());
    expect(store.file.commitSync(store.plan()).result).toBe("committed");
  });
});

describe("a killed process", () => {
  test("loses its locks, and what it stored stays", () => {
    const machine = new Machine({ seed: 1 });
    const [dead, other] = [machine.process("dead"), machine.process()];
    const store = new ToyStore(dead);
    const file = other.openFile(TOY_PATH, "readwrite");
    const coordination = other.openCoordination(`${TOY_PATH}-lock`, 1);
    expect(store.file.tryLock(WRITER, "exclusive")).toBe(true);
    expect(store.coordination.tryLock({ start: 3, length: 1 }, "exclusive")).toBe(true);
    expect(file.tryLock(WRITER, "exclusive")).toBe(false);
    store.coordination.words[100] = 5;
    dead.kill();
    dead.kill();
    expect(file.tryLock(WRITER, "exclusive")).toBe(true);
    expect(coordination?.tryLock({ start: 3, length: 1 }, "exclusive")).toBe(true);
    expect(coordination?.words[100]).toBe(5);
  });

  test("gets Killed from every call, close and hook included", () => {
    const process = new Machine({ seed: 1 }).process("dead");
    const store = new ToyStore(process);
    const { file, coordination } = store;
    const { view } = coordination;
    const plan = store.plan();
    process.kill();
    const calls = [
      () => file.size(),
      () => file.unlock(WRITER),
      () => file.tryLock(WRITER, "shared"),
      () => file.lockedByOther(WRITER, "shared"),
      () => file.waitLock(WRITER, 1),
      () => file.waitLockAsync(WRITER, 1),
      () => file.commitSync(plan),
      () => file.commit(plan),
      () => file.flush(),
      () => file.grow(1),
      () => file.read(0, new Uint8Array(1)),
      () => file.close(),
      () => coordination.unlock(WRITER),
      () => coordination.words,
      () => coordination.close(),
      () => process.openFile(TOY_PATH, "readwrite"),
      () => process.random(1),
      () => process.bootId(),
      () => process.hook("pin: settled"),
    ];
    for (const call of calls) expect(call, String(call)).toThrow(Killed);
    expect(view.byteLength).toBe(8192);
  });

  test("stops its commit where it is, and the flush lock is free", () => {
    for (const last of ["commit: flush lock taken", "commit: flushed 1", "commit: flushed 2"] as const) {
      const machine = new Machine({ seed: 1 });
      const process = machine.process();
      const store = new ToyStore(process);
      const steps: string[] = [];
      process.hook = (step) => {
        steps.push(step);
        if (step === last) throw new Killed();
      };
      expect(process.run(() => store.file.commitSync(store.plan()))).toEqual({ killed: true });
      expect(process.killed).toBe(true);
      expect(steps.at(-1)).toBe(last);
      const other = new ToyStore(machine.process());
      expect(other.coordination.words[NEWEST]).toBe(0);
      other.number = 1;
      expect(other.file.commitSync(other.plan()).result).toBe("committed");
    }
  });

  test("stores nothing by the cleanup of the code it was running", () => {
    const machine = new Machine({ seed: 1 });
    const process = machine.process();
    const store = new ToyStore(process);
    const { words } = store.coordination;
    process.hook = () => process.die();
    const result = process.run(() => {
      words[50] = 1;
      try {
        process.hook("pin: slot stored");
      } finally {
        words[50] = 2;
      }
    });
    expect(result).toEqual({ killed: true });
    expect(words[50]).toBe(1);
  });

  test("stores nothing by what it had left to the event loop", async () => {
    const machine = new Machine({ seed: 1 });
    const process = machine.process();
    const { words } = new ToyStore(process).coordination;
    words[50] = 1;
    setImmediate(() => {
      words[50] = 0;
    });
    process.kill();
    await process.buried();
    expect(words[50]).toBe(1);
  });

  test("is killed in an asynchronous body as well", async () => {
    const process = new Machine({ seed: 1 }).process();
    const store = new ToyStore(process);
    const { words } = store.coordination;
    process.hook = (step) => {
      if (step === "commit: meta written") process.die();
    };
    const result = await process.runAsync(async () => {
      await null;
      try {
        return store.file.commitSync(store.plan());
      } finally {
        words[NEWEST] = 99;
      }
    });
    expect(result).toEqual({ killed: true });
    expect(words[NEWEST]).toBe(0);
  });
});

test("an expectation that fails in a hook is not taken for the death of the process", async () => {
  for (const kills of [true, false]) {
    const process = new Machine({ seed: 1 }).process();
    const store = new ToyStore(process);
    process.hook = () => {
      if (kills) process.kill();
      throw new Error("expected something else");
    };
    const body = (): unknown => {
      try {
        return store.file.commitSync(store.plan());
      } catch (cause) {
        throw new Error("wrapped by the engine", { cause });
      }
    };
    expect(() => process.run(body)).toThrow("expected something else");
  }
});

describe("waiting for the writer lock", () => {
  test("on this thread lets the test run its holder, and gives up when nobody can", () => {
    const machine = new Machine({ seed: 1 });
    const [a, b] = [machine.process(), machine.process()];
    const holder = new ToyStore(a).file;
    const file = b.openFile(TOY_PATH, "readwrite");
    holder.tryLock(WRITER, "exclusive");
    expect(file.waitLock(WRITER, 1000)).toBe(false);
    expect(holder.lockedByOther({ start: LOCK_WAITING, length: 1 }, "exclusive")).toBe(-1);
    let waits = 0;
    b.onWait = () => {
      expect(holder.lockedByOther({ start: LOCK_WAITING, length: 1 }, "exclusive")).toBe(LOCK_WAITING);
      if (++waits === 3) holder.unlock(WRITER);
      return waits < 10;
    };
    expect(file.waitLock(WRITER, 1000)).toBe(true);
    expect(waits).toBe(3);
  });

  test("asynchronously ends by a grant, by time, or by cancelling", async () => {
    const machine = new Machine({ seed: 1 });
    const holder = new ToyStore(machine.process()).file;
    const waiter = machine.process();
    const file = waiter.openFile(TOY_PATH, "readwrite");
    holder.tryLock(WRITER, "exclusive");
    expect(await file.waitLockAsync(WRITER, 5).granted).toBe(false);
    const cancelled = file.waitLockAsync(WRITER, 10_000);
    cancelled.cancel();
    expect(await cancelled.granted).toBe(false);
    const granted = file.waitLockAsync(WRITER, 10_000);
    setImmediate(() => holder.unlock(WRITER));
    expect(await granted.granted).toBe(true);
    expect(holder.lockedByOther(WRITER, "shared")).toBe(LOCK_WRITER);
  });

  test("is fair: who has just had the lock lets a waiting one go first", async () => {
    const machine = new Machine({ seed: 1 });
    const first = new ToyStore(machine.process()).file;
    const second = machine.process().openFile(TOY_PATH, "readwrite");
    const order: string[] = [];
    expect(first.tryLock(WRITER, "exclusive")).toBe(true);
    const other = second.waitLockAsync(WRITER, 1000).granted.then(() => {
      order.push("second");
      second.unlock(WRITER);
    });
    first.unlock(WRITER);
    const again = first.waitLockAsync(WRITER, 1000).granted.then(() => order.push("first"));
    await Promise.all([other, again]);
    expect(order).toEqual(["second", "first"]);
  });
});
