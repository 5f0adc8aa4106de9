/** Scenarios of processes that are killed: nothing acknowledged is lost, and who comes after builds on what there is. */
import type { StepName } from "../../src/store/pager/storage.ts";
import type { CommitPause } from "../recorder/commit-job.ts";
import { type Engine, promised } from "./engine.ts";
import { examineOpened, INTERNAL, OPTIONS, STORE_PATH } from "./examine.ts";
import { type Actor, codeOf, must, Scene } from "./scene.ts";

type Step = StepName | CommitPause;

/** A writer is killed at a step of a commit; another, that has the store open, goes on. Power may fail at any time after. */
export async function writerKilledOtherGoesOn(engine: Engine, step: Step, seed: number): Promise<void> {
  const scene = new Scene(engine, seed);
  const dying = scene.actor("dying");
  scene.commits(dying.store, 4);
  const other = scene.actor("other");
  scene.commits(other.store, 2);
  const snapshot = other.store.snapshot();
  const state = scene.history.identify("a snapshot", snapshot);
  await killAt(scene, dying, step);
  // What is seen now was seen, whatever happens next.
  scene.history.acknowledged = scene.look("after the kill", other.store);
  scene.losePower(6);
  scene.losePowerAlways(other.process, 3);
  scene.settle("after the next writer's turn", other.store);
  scene.losePower(4);
  const { acknowledged } = scene.history;
  for (let i = 0; i < 3; i++) {
    scene.commit(other.store);
    scene.losePower(4);
  }
  must(scene.history.identify("a snapshot held", snapshot) === state, "a snapshot held stays as it is");
  must(scene.history.acknowledged > acknowledged, "the other goes on");
  snapshot.close();
  scene.look("at last", other.store);
  scene.end(other);
}

/** The steps between a failed flush and the poison, and which flush it is. */
const FAILED_FLUSHES: Partial<Record<Step, number>> = { "commit: flush 1 failed": 1, "commit: flush 2 failed": 2 };

/** Kills the actor at a step of a commit. What leads to the step is arranged. */
async function killAt(scene: Scene, dying: Actor, step: Step): Promise<void> {
  const failing = FAILED_FLUSHES[step];
  if (failing !== undefined) dying.process.failures.add("flush", failing, "EIO");
  must(scene.commitKilled(dying, step), `the writer came to ${step}`);
  await dying.process.buried();
  if (step === "commit: published" || step === "commit: unlocked") scene.history.acknowledge();
}

/** A writer that is alone is killed; whoever opens the store next finds it in order, and so does a power loss at any step of opening. */
export async function writerKilledStoreReopened(engine: Engine, step: Step, seed: number): Promise<void> {
  const scene = new Scene(engine, seed);
  const dying = scene.actor("dying");
  scene.commits(dying.store, 4);
  await killAt(scene, dying, step);
  scene.losePower(6);
  const opener = scene.actor("opener");
  // Readers see this from now on: no power loss may take it back.
  scene.history.acknowledged = scene.look("as opened", opener.store);
  scene.losePower(12);
  scene.settle("as opened", opener.store);
  scene.losePowerAlways(opener.process, 2);
  scene.commits(opener.store, 2);
  scene.end(opener);
}

/** Openers are killed one after the other at a step of opening, after a writer was killed; the next one gets in. */
export async function openerKilled(engine: Engine, writerStep: Step, openStep: Step, seed: number): Promise<void> {
  const scene = new Scene(engine, seed);
  const dying = scene.actor("dying");
  scene.commits(dying.store, 4);
  await killAt(scene, dying, writerStep);
  for (let i = 0; i < 3; i++) {
    const process = scene.process(`opener ${i}`);
    scene.at(process, openStep, () => process.die());
    const { killed } = process.run(() => engine.openStore<string, string>(process, STORE_PATH, OPTIONS, INTERNAL));
    must(killed, `the opener came to ${openStep}`);
    scene.losePower(4);
  }
  const opener = scene.actor("opener");
  scene.history.acknowledged = scene.look("as opened", opener.store);
  scene.losePower(6);
  scene.settle("as opened", opener.store);
  scene.commits(opener.store, 2);
  scene.end(opener);
}

/** After a kill at every step of a first commit ever, and a power loss behind it, the store opens. */
export function killedOnFreshStore(engine: Engine, step: Step, seed: number): void {
  const scene = new Scene(engine, seed);
  const dying = scene.actor("dying");
  must(scene.commitKilled(dying, step), `the writer came to ${step}`);
  if (step === "commit: published" || step === "commit: unlocked") scene.history.acknowledge();
  scene.losePower(10);
  scene.history.settle(examineOpened("reopened", engine, scene.machine, scene.history));
  const opener = scene.actor("opener");
  scene.commits(opener.store, 2);
  scene.losePower(5);
  scene.end(opener);
}

/** A process opens the store while another is at a step of opening it: it waits, in the end in vain, and harms nothing. */
export function openersAtOnce(engine: Engine, openStep: Step, seed: number): void {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 3);
  promised("closing", () => writer.store.closeSync());
  const process = scene.process("first");
  let code: string | undefined;
  scene.at(process, openStep, () => {
    const options = { ...OPTIONS, timeout: 5 };
    code = codeOf(() => engine.openStore<string, string>(scene.process("second"), STORE_PATH, options, INTERNAL));
  });
  const store = promised("opening", () => engine.openStore<string, string>(process, STORE_PATH, OPTIONS, INTERNAL));
  must(code === "COORDINATION_LOST", `the second opener ends with ${code ?? "no error"}`);
  const third = scene.actor("third");
  scene.commits(third.store, 2);
  scene.look("the first", store);
  scene.commits(store, 2);
  scene.look("the third", third.store);
  scene.losePower(4);
  scene.end({ process, store }, third);
}
