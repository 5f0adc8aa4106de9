/** Scenarios of readers beside a writer: what a reader has pinned stays whole while the writer goes on reusing pages. */
import type { StepName } from "../../src/store/pager/storage.ts";
import type { CommitPause } from "../recorder/commit-job.ts";
import { type Engine, promised } from "./engine.ts";
import { INTERNAL, OPTIONS, STORE_PATH, type TextStore } from "./examine.ts";
import { codeOf, must, Scene } from "./scene.ts";
import { apply } from "./workload.ts";

type Step = StepName | CommitPause;
type TextSnapshot = ReturnType<TextStore["snapshot"]>;

/** Commits a writer makes while a snapshot is held: enough to use every page of the small store again. */
const COMMITS_MEANWHILE = 12;

function expectState(what: string, scene: Scene, snapshot: TextSnapshot, expected: number): void {
  const found = promised(what, () => scene.history.identify(what, snapshot));
  must(found === expected, `${what}: state ${found}, was ${expected} before`);
}

/** A reader pins while a writer is at one step of a commit. */
export function readerPinsAtStep(engine: Engine, step: Step, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 6);
  const reader = scene.actor("reader");
  const held: { snapshot: TextSnapshot; state: number }[] = [];
  for (let round = 0; round < 3; round++) {
    scene.at(writer.process, step, () => {
      if (step === "commit: published" || step === "commit: unlocked") scene.history.acknowledge();
      const snapshot = promised("a snapshot", () => reader.store.snapshot());
      const state = promised("a snapshot", () => scene.history.identify(`a snapshot taken at ${step}`, snapshot));
      must(state >= scene.history.acknowledged, `a snapshot taken at ${step} is older than what was acknowledged`);
      held.push({ snapshot, state });
    });
    scene.commits(writer.store, COMMITS_MEANWHILE);
    for (const { snapshot, state } of held) expectState("a snapshot held", scene, snapshot, state);
  }
  scene.look("the newest", reader.store);
  for (const { snapshot } of held) snapshot.close();
  scene.end(reader, writer);
}

/** A writer commits while a reader is at one step of pinning. */
export function writerCommitsAtPin(engine: Engine, step: Step, commits: number, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 6);
  const reader = scene.actor("reader");
  // What opening the store has pinned for the turn would hold the very snapshot the reader is about to pin.
  reader.store.refresh();
  scene.at(reader.process, step, () => scene.commits(writer.store, commits));
  const before = scene.history.acknowledged;
  const snapshot = promised("a snapshot", () => reader.store.snapshot());
  const state = promised("a snapshot", () => scene.history.identify("a snapshot", snapshot));
  must(state >= before, `a snapshot of state ${state}, taken after state ${before}`);
  scene.commits(writer.store, COMMITS_MEANWHILE);
  expectState("a snapshot held", scene, snapshot, state);
  snapshot.close();
  scene.end(reader, writer);
}

/** A reader that may not write the coordination file. */
function unpinnedReader(scene: Scene): TextStore {
  const process = scene.process("unpinned reader");
  process.mayWrite = false;
  const options = { ...OPTIONS, readOnly: true };
  const reader = promised("opening", () =>
    scene.engine.openStore<string, string>(process, STORE_PATH, options, INTERNAL),
  );
  must(!reader.stats().pinned, "the reader has no slot");
  reader.refresh();
  return reader;
}

/**
 * A commit fails while somebody reads unpinned: its record stays in the live list, with a number greater than the newest
 * has, and what comes next builds on the newest all the same.
 */
export function commitFailsBesideUnpinnedReader(engine: Engine, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 4);
  const reader = unpinnedReader(scene);
  const snapshot = promised("a snapshot", () => reader.snapshot());
  const state = scene.history.identify("a snapshot", snapshot);
  writer.process.failures.add("populate", 1, "ENOSPC");
  const before = scene.history.acknowledged;
  const changes = scene.begin();
  const code = codeOf(() => writer.store.transactionSync((transaction) => apply(transaction, changes)));
  must(code === "DISK_FULL", `a commit that could not be made ends with ${code ?? "no error"}`);
  scene.settle("after a commit that failed", writer.store);
  must(scene.history.acknowledged === before, "nothing of it is there");
  scene.losePowerAlways(writer.process, 2);
  for (let i = 0; i < 2; i++) {
    scene.commit(writer.store);
    must(scene.look("the newest", writer.store) === scene.history.acknowledged, "what was committed is there");
  }
  expectState("a snapshot held unpinned", scene, snapshot, state);
  snapshot.close();
  promised("closing", () => reader.closeSync());
  scene.commits(writer.store, COMMITS_MEANWHILE);
  scene.look("the newest", writer.store);
  scene.end(writer);
}

/**
 * A writer is killed while somebody reads unpinned: what it left in the live list is no state to build on, neither for
 * another that has the store open nor for one that opens it.
 */
export function writerKilledBesideUnpinnedReader(
  engine: Engine,
  step: Step,
  next: "other" | "opener",
  seed: number,
): void {
  const scene = new Scene(engine, seed);
  const dying = scene.actor("dying");
  scene.commits(dying.store, 4);
  const other = next === "other" ? scene.actor(next) : undefined;
  const reader = unpinnedReader(scene);
  const snapshot = promised("a snapshot", () => reader.snapshot());
  const state = scene.history.identify("a snapshot", snapshot);
  must(scene.commitKilled(dying, step), `the writer came to ${step}`);
  const { process, store } = other ?? scene.actor(next);
  scene.history.acknowledged = scene.look("after the kill", store);
  scene.settle("after the next transaction", store);
  for (let i = 0; i < 4; i++) {
    scene.commit(store);
    scene.look("what was committed since", store);
    scene.losePower(3);
  }
  expectState("a snapshot held unpinned", scene, snapshot, state);
  snapshot.close();
  promised("closing", () => reader.closeSync());
  scene.commits(store, COMMITS_MEANWHILE);
  scene.look("the newest", store);
  scene.end({ process, store });
}

/** Readers that may not write the coordination file read while a writer is at one step. */
export function unpinnedReaderAtStep(engine: Engine, step: Step, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 6);
  const reader = unpinnedReader(scene);
  let held: { snapshot: TextSnapshot; state: number } | undefined;
  scene.at(writer.process, step, () => {
    const snapshot = promised("a snapshot", () => reader.snapshot());
    held = { snapshot, state: promised("a snapshot", () => scene.history.identify("a snapshot", snapshot)) };
  });
  // The live list is short, and while somebody reads unpinned every commit stays on it.
  scene.commits(writer.store, 7);
  must(held !== undefined, `the writer came to ${step}`);
  if (held !== undefined) {
    expectState("a snapshot held unpinned", scene, held.snapshot, held.state);
    held.snapshot.close();
  }
  reader.refresh();
  promised("closing", () => reader.closeSync());
  scene.commits(writer.store, COMMITS_MEANWHILE);
  scene.look("the newest", writer.store);
  scene.end(writer);
}

/** A process opens the store while others have it open: nothing of theirs is disturbed. */
export function openerAmongOthers(engine: Engine, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 5);
  const reader = scene.actor("reader");
  const snapshot = reader.store.snapshot();
  const state = scene.history.identify("a snapshot", snapshot);
  const late = scene.actor("late");
  scene.look("the newest", late.store);
  scene.commits(late.store, COMMITS_MEANWHILE);
  expectState("a snapshot held", scene, snapshot, state);
  scene.look("the newest", reader.store);
  scene.commits(writer.store, 2);
  snapshot.close();
  scene.end(late, reader, writer);
}

/** A second writer tries to write at every step of the first: it gets its turn only after the whole commit. */
export function writersTakeTurns(engine: Engine, step: Step, seed: number): void {
  const scene = new Scene(engine, seed);
  const first = scene.actor("first");
  scene.commits(first.store, 4);
  const second = scene.actor("second");
  let committed = false;
  scene.at(first.process, step, () => {
    const { latest } = scene.history;
    const code = codeOf(() => second.store.putSync("second", "was here"));
    if (code === undefined) committed = true;
    else must(code === "LOCKED", `the second writer fails with ${code}`);
    must(committed === (step === "commit: unlocked"), `at ${step} the second writer ${committed ? "wrote" : "waited"}`);
    must(latest === scene.history.latest, "nothing else happened");
  });
  const changes = scene.begin();
  promised("a commit", () => first.store.transactionSync((transaction) => apply(transaction, changes)));
  for (const { store } of [first, second]) {
    store.refresh();
    const found = promised("a read", () => store.get("second"));
    must((found !== undefined) === committed, "a commit that was acknowledged is seen");
  }
  for (const { store } of [first, second]) {
    const { ok } = promised("a check", () => store.check());
    must(ok, "the store is whole");
  }
  scene.end(first, second);
}

/** A transaction that changes nothing, or throws, is over for every other writer, too. */
export function emptyTransactionLetsGo(engine: Engine, seed: number): void {
  const scene = new Scene(engine, seed);
  const first = scene.actor("first");
  const second = scene.actor("second");
  scene.commits(first.store, 2);
  promised("a transaction without a write", () => first.store.transactionSync((transaction) => transaction.count()));
  scene.commits(second.store, 2);
  const changes = scene.workload.next();
  const thrown = new Error("given up");
  const given = codeOf(() =>
    first.store.transactionSync((transaction) => {
      apply(transaction, changes);
      throw thrown;
    }),
  );
  must(given === String(thrown), `a transaction that throws ends with ${given}`);
  scene.commits(second.store, 2);
  for (const { store } of [first, second]) {
    const state = scene.look("after all", store);
    must(state === scene.history.acknowledged, "what was given up is not there");
  }
  scene.end(first, second);
}

/** A reader dies at a step of pinning: it holds nothing, and whoever pins next is not disturbed by what it left. */
export async function readerKilledAtPin(engine: Engine, step: Step, seed: number): Promise<void> {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 5);
  const reader = scene.actor("reader");
  scene.keep(reader.store.snapshot());
  scene.at(reader.process, step, () => reader.process.die());
  const { killed } = reader.process.run(() => reader.store.snapshot());
  must(killed, `the reader came to ${step}`);
  await reader.process.buried();
  scene.commits(writer.store, 3);
  const { slotsHeld } = promised("stats", () => writer.store.stats());
  must(slotsHeld <= 1, `${slotsHeld} slots are held, though the reader is dead`);
  readersComeAndGo(scene, writer.store);
  scene.end(writer);
}

function readersComeAndGo(scene: Scene, store: TextStore): void {
  for (let i = 0; i < 5; i++) {
    const other = scene.actor("other");
    const snapshot = promised("a snapshot", () => other.store.snapshot());
    const state = scene.history.identify("a snapshot", snapshot);
    scene.commits(store, 4);
    expectState("a snapshot held", scene, snapshot, state);
    snapshot.close();
    promised("closing", () => other.store.closeSync());
  }
}

/** A reader dies with snapshots held; its pages come back. */
export async function deadReaderLetsGo(engine: Engine, seed: number): Promise<void> {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 5);
  const reader = scene.actor("reader");
  for (let i = 0; i < 4; i++) {
    scene.keep(reader.store.snapshot());
    scene.commits(writer.store, 2);
  }
  reader.process.kill();
  await reader.process.buried();
  scene.commits(writer.store, 3);
  const { snapshotsLive, slotsHeld } = promised("stats", () => writer.store.stats());
  must(slotsHeld <= 1, `${slotsHeld} slots are held, though the reader is dead`);
  must(snapshotsLive <= 3, `${snapshotsLive} snapshots are live, though the reader is dead`);
  // A slot of the dead can be used again: there are 16 in all.
  const other = scene.actor("other");
  const snapshots = Array.from({ length: 12 }, () => promised("a snapshot", () => other.store.snapshot()));
  scene.commits(writer.store, 5);
  for (const snapshot of snapshots) snapshot.close();
  scene.end(other, writer);
}
