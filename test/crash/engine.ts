/** The engine under test: the real one, or one with a bug. Scenarios are told which, and report what it breaks. */
import { openStore } from "../../src/store/open.ts";
import type { CommitMutant } from "../recorder/commit-job.ts";

export interface Engine {
  readonly openStore: typeof openStore;
  /** Bugs of the commit job, which the recorder has in place of the addon. */
  readonly commitMutants: readonly CommitMutant[];
}

export const REAL_ENGINE: Engine = { openStore, commitMutants: [] };

/** A promise of the store was broken. Everything else that goes wrong in a scenario is a mistake of the scenario. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What the engine answers with an error here breaks a promise. */
export function promised<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof Violation) throw error;
    throw new Violation(`${what}: ${String(error)}`, { cause: error });
  }
}
