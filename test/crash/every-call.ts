/**
 * The n-th call into the machine fails, for every n until there is no n-th call. A failed commit changed nothing, unless
 * a flush failed, when nobody can know; errors are the documented ones; and the store goes on.
 */
import type { FailureCode } from "../recorder/failures.ts";
import { type Engine, promised } from "./engine.ts";
import { INTERNAL, OPTIONS, STORE_PATH } from "./examine.ts";
import { codeOf, must, Scene } from "./scene.ts";
import { apply } from "./workload.ts";

/** What a failing machine may be reported as. */
const CODES: readonly string[] = ["IO", "DISK_FULL", "LOCKED", "NO_PERMISSION", "NOT_FOUND", "COORDINATION_LOST"];

function expectDocumented(what: string, code: string): void {
  must(CODES.includes(code), `${what} ends with ${code}`);
}

/** During a commit, another process having the store open. False if there was no n-th call. */
export function commitMeetsFailure(engine: Engine, nth: number, failure: FailureCode, seed: number): boolean {
  const scene = new Scene(engine, seed);
  const writer = scene.actor("writer");
  scene.commits(writer.store, 3);
  const other = scene.actor("other");
  const { failures } = writer.process;
  const failedBefore = failures.failed;
  failures.add("any", nth, failure);
  const changes = scene.begin();
  const code = codeOf(() => writer.store.transactionSync((transaction) => apply(transaction, changes)));
  const happened = failures.failed > failedBefore;
  failures.clear();
  if (code === undefined) scene.history.acknowledge();
  else expectDocumented("a commit", code);
  const isPoisoned = promised("stats", () => other.store.stats()).poisoned;
  const state = scene.look("after a failed call", other.store);
  must(state === scene.history.acknowledged, `state ${state}, but ${scene.history.acknowledged} was acknowledged last`);
  scene.losePower(3);
  const actors = [writer, other];
  if (isPoisoned) {
    for (const { store } of actors) promised("closing", () => store.closeSync());
    const opener = scene.actor("opener");
    scene.history.acknowledged = scene.look("as recovered", opener.store);
    actors.splice(0, 2, opener);
  }
  for (const { store } of actors) {
    scene.settle("after a failed call", store);
    scene.commits(store, 2);
    scene.losePower(2);
  }
  scene.end(...actors);
  return happened;
}

/** During the opening of a store that has a commit to be settled. False if there was no n-th call. */
export async function openingMeetsFailure(
  engine: Engine,
  nth: number,
  failure: FailureCode,
  seed: number,
): Promise<boolean> {
  const scene = new Scene(engine, seed);
  const dying = scene.actor("dying");
  scene.commits(dying.store, 3);
  must(scene.commitKilled(dying, "commit: meta written"), "the writer is dead");
  await dying.process.buried();
  const process = scene.process("unlucky opener");
  process.failures.add("any", nth, failure);
  const code = codeOf(() => {
    const options = { ...OPTIONS, timeout: 20 };
    engine.openStore<string, string>(process, STORE_PATH, options, INTERNAL).closeSync();
  });
  const happened = process.failures.failed > 0;
  if (code !== undefined) expectDocumented("opening", code);
  scene.losePower(3);
  const opener = scene.actor("opener");
  scene.history.acknowledged = scene.look("as opened", opener.store);
  scene.losePower(3);
  scene.settle("as opened", opener.store);
  scene.commits(opener.store, 2);
  scene.end(opener);
  return happened;
}

/** During the creation of a store: it is there whole, or not at all. False if there was no n-th call. */
export function creationMeetsFailure(engine: Engine, nth: number, failure: FailureCode, seed: number): boolean {
  const scene = new Scene(engine, seed);
  const process = scene.process("unlucky creator");
  process.failures.add("any", nth, failure);
  const code = codeOf(() => {
    const options = { ...OPTIONS, timeout: 20 };
    engine.openStore<string, string>(process, STORE_PATH, options, INTERNAL).closeSync();
  });
  const happened = process.failures.failed > 0;
  if (code !== undefined) expectDocumented("creation", code);
  const opener = scene.actor("opener");
  must(scene.look("as opened", opener.store) === 0, "the store is empty");
  scene.commits(opener.store, 2);
  // The creator may not have come to make the name durable.
  scene.losePower(6);
  scene.end(opener);
  return happened;
}
