/** The end of a handle. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { open } from "../../src/index.ts";
import { codeOf, filled, newStorePath, opened, turn } from "../support/opened.ts";

const HUNDRED = Array.from({ length: 100 }, (_, i): [number, string] => [i, `value ${i}`]);

test("a closed handle refuses everything with CLOSED, and closing it again is fine", async () => {
  const store = filled(HUNDRED);
  const snapshot = store.snapshot();
  const [iterator, ofSnapshot] = [store.entries(), snapshot.entries()];
  iterator.next();
  ofSnapshot.next();
  await store.close();
  const uses: (() => unknown)[] = [
    () => store.get(1),
    () => store.has(1),
    () => store.count(),
    () => store.entries(),
    () => store.snapshot(),
    () => store.refresh(),
    () => store.stats(),
    () => store.check(),
    () => store.putSync(1, "late"),
    () => store.deleteSync(1),
    () => store.transactionSync(() => 1),
    () => store.put(1, "late"),
    () => store.delete(1),
    () => store.clear(),
    () => store.flush(),
    () => store.transaction(() => 1),
    () => snapshot.get(1),
    () => snapshot.keys(),
    () => iterator.next(),
    () => ofSnapshot.next(),
  ];
  for (const use of uses) expect(await codeOf(use), String(use)).toBe("CLOSED");
  snapshot.close();
  await store.close();
  store.closeSync();
  store[Symbol.dispose]();
  expect(iterator.next()).toEqual({ done: true, value: undefined });
});

test("close commits what is queued; whoever queued it is told", async () => {
  const path = newStorePath();
  const store = opened<string, number>(path);
  const done = [store.put("a", 1), store.put("b", 2), store.transaction(() => "result")];
  const closed = store.close();
  expect(await codeOf(() => store.put("c", 3))).toBe("CLOSED");
  expect(await codeOf(() => store.putSync("c", 3))).toBe("CLOSED");
  await closed;
  expect(await Promise.all(done)).toEqual([undefined, undefined, "result"]);
  expect([...opened(path)]).toEqual([
    ["a", 1],
    ["b", 2],
  ]);
});

test("close waits for the commit in flight and for the one behind it", async () => {
  const path = newStorePath();
  const store = opened<string, number>(path);
  const first = store.put("a", 1);
  await turn();
  const second = store.put("b", 2);
  await store.close();
  await Promise.all([first, second]);
  expect(opened(path).count()).toBe(2);
});

test("closeSync commits what is in flight and what is queued before it returns", async () => {
  const path = newStorePath();
  const store = opened<string, number>(path);
  const first = store.put("a", 1);
  await turn();
  const second = store.put("b", 2);
  store.closeSync();
  expect(opened(path).count()).toBe(2);
  await Promise.all([first, second]);
});

test("closeSync during an asynchronous close does it at once", async () => {
  const path = newStorePath();
  const store = opened<string, number>(path);
  const done = store.put("a", 1);
  const closed = store.close();
  store.closeSync();
  await Promise.all([done, closed]);
  expect(opened(path).count()).toBe(1);
});

test("a handle ends with its scope: `using` and `await using`", async () => {
  const path = newStorePath();
  let kept: unknown;
  {
    using store = open<string, number>(path);
    kept = store;
    void store.put("a", 1);
  }
  expect(await codeOf(() => (kept as { count(): number }).count())).toBe("CLOSED");
  {
    await using store = open<string, number>(path);
    void store.put("b", 2);
  }
  expect(opened(path).count()).toBe(2);
});

test("what was read before the close stays", async () => {
  const store = filled<number, unknown>([
    [1, "short"],
    [2, "x".repeat(100_000)],
    [3, { list: ["a".repeat(5000), new Uint8Array(5000).fill(1)] }],
  ]);
  const read = [...store];
  const text = JSON.stringify(read);
  await store.close();
  expect(JSON.stringify(read)).toBe(text);
});

test("handles of one store close without regard to each other", async () => {
  const path = newStorePath();
  const [one, other] = [opened<string, number>(path), opened<string, number>(path)];
  await one.put("a", 1);
  await one.close();
  await other.put("b", 2);
  expect(other.count()).toBe(2);
  await other.close();
  expect(opened(path).count()).toBe(2);
  expect(existsSync(`${path}-lock`)).toBe(true);
});

test("a store opens and closes hundreds of times", async () => {
  const path = newStorePath();
  for (let i = 0; i < 200; i++) {
    const store = open<string, number>(path);
    expect(store.get("n")).toBe(i === 0 ? undefined : i - 1);
    if (i % 2 === 0) store.putSync("n", i);
    else await store.put("n", i);
    if (i % 3 === 0) store.closeSync();
    else await store.close();
  }
  expect(opened(path).get("n")).toBe(199);
});
