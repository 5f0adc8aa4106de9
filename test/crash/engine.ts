/** The engine under test: the real one, or one with a bug. Scenarios are told which, and report what it breaks. */
import { openStore } from "../../src/store/store.ts";

export interface Engine {
  readonly openStore: typeof openStore;
}

export const REAL_ENGINE: Engine = { openStore };

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
