/** Asynchronous writes: which of them become one commit, and in which order everything happens. */
import { expect, test } from "vitest";
import { codeOf, filled, newStorePath, opened, turn } from "../support/opened.ts";

test("writes of one turn that nobody awaits join one commit", async () => {
  const store = opened();
  const before = store.stats().number;
  const done = [store.put("a", 1), store.put("b", 2), store.delete("a"), store.put("c", 3)];
  await Promise.all(done);
  expect([...store]).toEqual([
    ["b", 2],
    ["c", 3],
  ]);
  expect(store.stats().number).toBe(before + 1);
});

test("a write that changes nothing makes no commit", async () => {
  const store = filled([["a", 1]]);
  const before = store.stats().number;
  expect(await store.delete("b")).toBe(false);
  expect(store.deleteSync("b")).toBe(false);
  expect(store.transactionSync((transaction) => transaction.get("a"))).toBe(1);
  expect(store.stats().number).toBe(before);
});

test("writes made while a flush runs join the next commit", async () => {
  const store = opened();
  const before = store.stats().number;
  const first = store.put("a", 1);
  // The commit has begun at the end of this turn, and its promise can't settle before the next.
  await turn();
  const second = [store.put("b", 2), store.put("c", 3)];
  await first;
  expect([store.get("a"), store.stats().number]).toEqual([1, before + 1]);
  await Promise.all(second);
  expect([store.count(), store.stats().number]).toEqual([3, before + 2]);
});

test("plain reads do not see a queued write before it is committed", async () => {
  const store = opened();
  const done = store.put("a", 1);
  expect(store.get("a")).toBeUndefined();
  await done;
  expect(store.get("a")).toBe(1);
});

test("a synchronous write first commits what is queued, so the order of calls is kept", async () => {
  const store = opened<string, unknown>();
  const queued = [store.put("a", "queued"), store.put("b", "queued")];
  store.putSync("a", "sync");
  expect([...store]).toEqual([
    ["a", "sync"],
    ["b", "queued"],
  ]);
  const later = store.put("a", "queued later");
  await Promise.all([...queued, later]);
  expect(store.get("a")).toBe("queued later");
});

test("a synchronous write that meets a commit in flight finishes it first", async () => {
  const store = opened<string, unknown>();
  const first = store.put("a", "in flight");
  await turn();
  const second = store.put("a", "queued");
  const settled: string[] = [];
  void first.then(() => settled.push("first"));
  void second.then(() => settled.push("second"));
  store.putSync("b", "sync");
  expect([store.get("a"), store.count()]).toEqual(["queued", 2]);
  await Promise.all([first, second]);
  expect(settled).toEqual(["first", "second"]);
});

test("thousands of puts without await are all there, in as few commits as it takes", async () => {
  const store = opened<number, number>();
  const before = store.stats().number;
  await Promise.all(Array.from({ length: 20_000 }, (_, i) => store.put(i, i * 2)));
  expect(store.stats().number).toBe(before + 1);
  expect(store.count()).toBe(20_000);
  expect([...store.values()].every((value, i) => value === i * 2)).toBe(true);
});

test("a write that is refused leaves the others of its turn alone", async () => {
  const store = opened();
  const codes = Promise.all([
    codeOf(() => store.put("a", 1)),
    codeOf(() => store.put("k".repeat(3000), 2)),
    codeOf(() => store.put("f", () => 1)),
    codeOf(() => store.put("b", 3)),
  ]);
  expect(await codes).toEqual([{ returned: undefined }, "KEY_SIZE", "VALUE_TYPE", { returned: undefined }]);
  expect([...store.keys()]).toEqual(["a", "b"]);
});

test("a refused write is a rejection, never a throw", () => {
  const store = opened();
  const refused = store.put(Symbol("key") as unknown as string, 1);
  return expect(refused).rejects.toMatchObject({ code: "KEY_TYPE" });
});

test("flush resolves when all writes made so far are durable", async () => {
  const path = newStorePath();
  const store = opened(path);
  const other = opened(path);
  await store.flush();
  void store.put("a", 1);
  void store.transaction((transaction) => transaction.put("b", 2));
  await store.flush();
  expect([...other.keys()]).toEqual(["a", "b"]);
  void store.put("c", 3);
  await turn();
  void store.put("d", 4);
  await store.flush();
  other.refresh();
  expect(other.count()).toBe(4);
});

test("an async clear takes its place among the puts around it", async () => {
  const store = filled([["old", 1]]);
  await Promise.all([store.put("a", 1), store.clear(), store.put("b", 2)]);
  expect([...store]).toEqual([["b", 2]]);
});

test("two handles of one process write in turns and lose nothing", async () => {
  const path = newStorePath();
  const handles = [opened<string, number>(path), opened<string, number>(path)];
  const add = (handle: number): Promise<void> =>
    handles[handle].transaction((transaction) => transaction.put("sum", (transaction.get("sum") ?? 0) + 1));
  const count = async (handle: number): Promise<void> => {
    for (let i = 0; i < 50; i++) await add(handle);
  };
  await Promise.all([count(0), count(1)]);
  expect(handles.map((handle) => handle.get("sum"))).toEqual([100, 100]);
});

test("a synchronous write of another handle in the same thread does not wait for a queued one for ever", async () => {
  const path = newStorePath();
  const [one, other] = [opened(path), opened(path)];
  const queued = one.put("a", 1);
  await turn();
  // The first handle's commit is on a thread of its own and ends without this event loop.
  other.putSync("b", 2);
  await queued;
  one.refresh();
  expect([...one.keys()]).toEqual(["a", "b"]);
});
