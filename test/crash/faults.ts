/** Scenarios of a machine that fails: flushes, full disks, lost pages, torn meta pages. */
import { META_COPY, META_FIRST_AT, META_RECORD_SIZE, META_SECOND_AT } from "../../src/store/format/meta.ts";
import type { StepName } from "../../src/store/pager/storage.ts";
import type { CommitPause } from "../recorder/commit-job.ts";
import type { FailedFlush } from "../recorder/disk.ts";
import { type Engine, promised } from "./engine.ts";
import { INTERNAL, OPTIONS, STORE_PATH, type TextStore } from "./examine.ts";
import { type Actor, codeOf, must, Scene } from "./scene.ts";
import { apply } from "./workload.ts";

type Step = StepName | CommitPause;

/** How a commit that may fail is made. */
export type Way = "synchronously" | "asynchronously";

/** The code a commit ends with; undefined if it succeeded. */
async function tryCommit(scene: Scene, store: TextStore, way: Way): Promise<string | undefined> {
  const changes = scene.begin();
  if (way === "synchronously") return codeOf(() => store.transactionSync((transaction) => apply(transaction, changes)));
  const outcome = store.transaction((transaction) => apply(transaction, changes));
  const error: unknown = await outcome.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error === undefined ? undefined : codeOf(() => raise(error));
}

function raise(error: unknown): never {
  throw error;
}

/** Nobody writes any more, everybody reads what was acknowledged. */
function expectPoisoned(scene: Scene, actors: readonly Actor[]): void {
  for (const { process, store } of actors) {
    const code = codeOf(() => store.putSync("late", "too late"));
    must(code === "POISONED", `${process.name} writes after a failed flush: ${code ?? "no error"}`);
    const state = scene.look(`${process.name} after a failed flush`, store);
    must(
      state === scene.history.acknowledged,
      `state ${state} is seen, ${scene.history.acknowledged} was acknowledged`,
    );
    must(promised("stats", () => store.stats()).poisoned, "stats() says so");
  }
}

/** Everybody closes, and the next to open finds a store that works; what was acknowledged is there. */
function recover(scene: Scene, actors: readonly Actor[]): void {
  for (const { process, store } of actors) if (!process.killed) promised("closing", () => store.closeSync());
  scene.losePower(6);
  const opener = scene.actor("opener");
  scene.history.acknowledged = scene.look("as recovered", opener.store);
  must(!promised("stats", () => opener.store.stats()).poisoned, "the poison is gone");
  scene.losePower(8);
  scene.settle("as recovered", opener.store);
  scene.losePowerAlways(opener.process, 2);
  scene.commits(opener.store, 3);
  scene.end(opener);
}

/** A flush of a commit fails: nothing is retried and believed. */
export async function flushFails(
  engine: Engine,
  which: 1 | 2,
  way: Way,
  failedFlush: FailedFlush,
  seed: number,
): Promise<void> {
  const scene = new Scene(engine, seed, { failedFlush });
  const writer = scene.actor("writer");
  scene.commits(writer.store, 4);
  const other = scene.actor("other");
  const snapshot = other.store.snapshot();
  const state = scene.history.identify("a snapshot", snapshot);
  writer.process.failures.add("flush", which, "EIO");
  scene.at(writer.process, "commit: unlocked", () => {
    const code = codeOf(() => other.store.putSync("late", "too late"));
    must(code === "POISONED", `another writes once the lock is free: ${code ?? "no error"}`);
  });
  const code = await tryCommit(scene, writer.store, way);
  must(code === "IO", `a commit whose flush failed ends with ${code ?? "no error"}`);
  scene.losePower(6);
  expectPoisoned(scene, [writer, other]);
  const late = scene.actor("late");
  expectPoisoned(scene, [late, other, writer]);
  must(scene.history.identify("a snapshot held", snapshot) === state, "a snapshot held stays as it is");
  snapshot.close();
  recover(scene, [writer, other, late]);
}

/** A flush fails while another process settles what a dead writer left. */
export async function settlingFails(
  engine: Engine,
  which: 1 | 2,
  failedFlush: FailedFlush,
  seed: number,
): Promise<void> {
  const scene = new Scene(engine, seed, { failedFlush });
  const dying = scene.actor("dying");
  scene.commits(dying.store, 4);
  const other = scene.actor("other");
  must(scene.commitKilled(dying, "commit: meta written"), "the writer is dead");
  await dying.process.buried();
  other.process.failures.add("flush", which, "EIO");
  const code = codeOf(() => other.store.putSync("late", "too late"));
  must(code === "IO", `a write whose settling failed ends with ${code ?? "no error"}`);
  scene.losePower(6);
  expectPoisoned(scene, [other]);
  recover(scene, [other]);
}

/** A flush fails while an opener that is alone settles what it found; the next opener gets in. */
export async function openingFails(
  engine: Engine,
  which: 1 | 2,
  failedFlush: FailedFlush,
  seed: number,
): Promise<void> {
  const scene = new Scene(engine, seed, { failedFlush });
  const dying = scene.actor("dying");
  scene.commits(dying.store, 4);
  must(scene.commitKilled(dying, "commit: meta written"), "the writer is dead");
  await dying.process.buried();
  const process = scene.process("unlucky opener");
  process.failures.add("flush", which, "EIO");
  const code = codeOf(() => engine.openStore<string, string>(process, STORE_PATH, OPTIONS, INTERNAL));
  must(code === "IO", `an opener whose settling failed ends with ${code ?? "no error"}`);
  recover(scene, []);
}

/** The disk is full: a write that needs room fails, and the store is as it was; there may be room again later. */
export async function diskIsFull(engine: Engine, way: Way, seed: number): Promise<void> {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 6);
  const other = scene.actor("other");
  const { fileSize } = writer.store.stats();
  scene.machine.diskCapacity = fileSize;
  const big = "big ".repeat(16_000);
  const write = (): Promise<void> | void =>
    way === "synchronously" ? writer.store.putSync("big", big) : writer.store.put("big", big);
  let error: unknown;
  try {
    for (let i = 0; i < 8; i++) await (i === 0 ? write() : writer.store.put(`big ${i}`, big));
  } catch (reason) {
    error = reason;
  }
  const code = codeOf(() => raise(error));
  must(code === "DISK_FULL", `a write on a full disk ends with ${code ?? "no error"}`);
  scene.machine.diskCapacity = Number.POSITIVE_INFINITY;
  for (const { store } of [writer, other]) {
    store.refresh();
    must(promised("a check", () => store.check()).ok, "the store is whole");
  }
  promised("a write with room", () => writer.store.transactionSync((transaction) => transaction.clear()));
  scene.history.settle(0);
  scene.commits(other.store, 3);
  scene.losePower(8);
  scene.end(writer, other);
}

/** Growing, or making pages ready, fails at the n-th time; the store is as it was. False once there is no n-th time. */
export function roomFails(engine: Engine, call: "grow" | "prepare" | "populate", nth: number, seed: number): boolean {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 2);
  writer.process.failures.add(call, nth, "ENOSPC", true);
  const before = scene.history.acknowledged;
  let code: string | undefined;
  for (let i = 0; i < 100 && code === undefined; i++) {
    const changes = scene.begin();
    code = codeOf(() => writer.store.transactionSync((transaction) => apply(transaction, changes)));
    if (code === undefined) scene.history.acknowledge();
  }
  must(code === undefined || code === "DISK_FULL", `a write without room ends with ${code}`);
  writer.process.failures.clear();
  const state = scene.look("after a write without room", writer.store);
  must(state === scene.history.acknowledged && state >= before, `state ${state}: a write that failed left something`);
  scene.losePower(4);
  scene.settle("after a write without room", writer.store);
  scene.commits(writer.store, 2);
  scene.end(writer);
  return code !== undefined;
}

/** A page of the mapping is lost at a step of a commit: the flushes that follow report success, and must not be believed. */
export function pageIsLost(engine: Engine, step: Step, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 4);
  const other = scene.actor("other");
  scene.at(writer.process, step, () => writer.process.storeFiles[0].fault());
  const changes = scene.begin();
  const code = codeOf(() => writer.store.transactionSync((transaction) => apply(transaction, changes)));
  must(code === "IO", `a commit with a lost page ends with ${code ?? "no error"}`);
  const read = codeOf(() => writer.store.get("k1"));
  must(read === "IO", `a read through a lost page ends with ${read ?? "no error"}`);
  scene.look("after a page was lost", other.store);
  scene.losePower(4);
  scene.settle("after a page was lost", other.store);
  scene.commits(other.store, 2);
  writer.store.closeSync();
  scene.end(other);
}

/** A way to damage the meta pages: which copies (0, 1: of the older; 2, 3: of the newer) hold rubbish. */
export type Torn = readonly number[];

function tear(scene: Scene, torn: Torn): void {
  const bytes = scene.machine.readFile(STORE_PATH);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const numberAt = 48;
  const firstIsNewer = view.getUint32(META_FIRST_AT + numberAt, true) > view.getUint32(META_SECOND_AT + numberAt, true);
  const [older, newer] = firstIsNewer ? [META_SECOND_AT, META_FIRST_AT] : [META_FIRST_AT, META_SECOND_AT];
  const places = [older, older + META_COPY, newer, newer + META_COPY];
  for (const copy of torn) {
    scene.machine.poke(STORE_PATH, places[copy] + scene.dice.below(64), scene.dice.bytes(META_RECORD_SIZE / 2));
  }
}

/** Copies of the meta records are rubbish when the store is opened. */
export function metaIsTorn(engine: Engine, torn: Torn, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 5);
  promised("closing", () => writer.store.closeSync());
  tear(scene, torn);
  const newerIsLost = torn.includes(2) && torn.includes(3);
  if (newerIsLost && torn.length === 4) {
    const code = codeOf(() => scene.engine.openStore(scene.process(), STORE_PATH, OPTIONS, INTERNAL));
    // Rubbish may look like another version, or like nothing of ours.
    const isRefused = code === "DAMAGED" || code === "NEWER_FORMAT" || code === "NOT_A_STORE";
    must(isRefused, `a store without a whole meta record opens with ${code ?? "no error"}`);
    scene.machine.close();
    return;
  }
  const expected = scene.history.acknowledged - (newerIsLost ? 1 : 0);
  scene.history.settle(expected);
  const opener = scene.actor("opener");
  must(scene.look("as opened", opener.store) === expected, `the state is not ${expected}`);
  const isReported = promised("stats", () => opener.store.stats()).metaFallback;
  must(isReported || !newerIsLost, "falling back to the older state is reported");
  scene.losePower(8);
  scene.losePowerAlways(opener.process, 3);
  scene.commits(opener.store, 3);
  scene.end(opener);
}

/** A meta page is rubbish in memory while its old content is still on the disk; the next writer must know. */
export function metaIsTornInMemory(engine: Engine, torn: Torn, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 5);
  tear(scene, torn);
  scene.losePowerAlways(writer.process, 4);
  scene.commits(writer.store, 4);
  scene.look("at last", writer.store);
  scene.end(writer);
}
