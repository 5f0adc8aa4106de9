/** One machine, one store, the processes that act on it, and the history of what they committed. */
import { StoreError } from "../../src/errors.ts";
import type { StepName } from "../../src/store/pager/storage.ts";
import type { CommitPause } from "../recorder/commit-job.ts";
import { Killed } from "../recorder/killed.ts";
import { Machine, type MachineOptions } from "../recorder/machine.ts";
import type { SimulatedProcess } from "../recorder/process.ts";
import { Dice } from "../support/dice.ts";
import { type Engine, promised, Violation } from "./engine.ts";
import { examineImage, examineStore, INTERNAL, OPTIONS, STORE_PATH, type TextStore } from "./examine.ts";
import { type Change, changed, History, STATE_KEY } from "./history.ts";
import { apply, Workload } from "./workload.ts";

/** One process with the store open. */
export interface Actor {
  readonly process: SimulatedProcess;
  readonly store: TextStore;
}

/** Every step of a writing transaction, those of the commit job included, in order. */
export const WRITE_STEPS: readonly (StepName | CommitPause)[] = [
  "write: locked",
  "write: slots read",
  "write: metas read",
  "write: pages written",
  "commit: checksums stored",
  "commit: flush lock taken",
  "commit: flush 1 begun",
  "commit: flushed 1",
  "commit: first copy written",
  "commit: meta written",
  "commit: flush 2 begun",
  "commit: flushed 2",
  "commit: durable stored",
  "commit: published",
  "commit: unlocked",
];

export class Scene {
  readonly engine: Engine;
  readonly dice: Dice;
  readonly history = new History();
  readonly workload: Workload;
  machine: Machine;
  /** The dead have no garbage collector, which would end what they held, in memory they share with the living. */
  readonly #graveyard: unknown[] = [];

  constructor(engine: Engine, seed: number, options: Partial<MachineOptions> = {}) {
    this.engine = engine;
    this.dice = new Dice(seed);
    this.workload = new Workload(this.dice);
    this.machine = new Machine({ seed, ...options });
  }

  /** Another process opens the store. */
  actor(name?: string): Actor {
    const process = this.process(name);
    const open = (): TextStore => this.engine.openStore<string, string>(process, STORE_PATH, OPTIONS, INTERNAL);
    return this.keep({ process, store: promised("opening the store", open) });
  }

  process(name?: string): SimulatedProcess {
    const process = this.machine.process(name);
    for (const mutant of this.engine.commitMutants) process.mutants.add(mutant);
    return process;
  }

  keep<T>(thing: T): T {
    this.#graveyard.push(thing);
    return thing;
  }

  /** What the next commit changes; its state counts as begun. */
  begin(): Change[] {
    const changes = this.workload.next();
    const { latest } = this.history;
    const index = this.history.begin((next) => changed(latest, changes, next));
    return [...changes, { kind: "put", key: STATE_KEY, value: String(index) }];
  }

  /** A commit that succeeds. */
  commit(store: TextStore): void {
    const changes = this.begin();
    promised("a commit", () => store.transactionSync((transaction) => apply(transaction, changes)));
    this.history.acknowledge();
  }

  commits(store: TextStore, count: number): void {
    for (let i = 0; i < count; i++) this.commit(store);
  }

  /** Calls `act` once, at the first time the process is at this step. */
  at(process: SimulatedProcess, step: StepName | CommitPause, act: () => void): void {
    let done = false;
    const once = (reached: string): void => {
      if (done || reached !== step) return;
      done = true;
      act();
    };
    process.onPause = once;
    if (!step.startsWith("commit: ")) process.hook = once;
  }

  /** A commit amid which the process is killed. False if it came to its end before that. */
  commitKilled(actor: Actor, step: StepName | CommitPause): boolean {
    this.at(actor.process, step, () => actor.process.die());
    const changes = this.begin();
    const { killed } = actor.process.run(() =>
      actor.store.transactionSync((transaction) => apply(transaction, changes)),
    );
    if (!killed) this.history.acknowledge();
    return killed;
  }

  /** Which state a handle sees now; it must be one that was acknowledged, or begun after it. */
  look(what: string, store: TextStore): number {
    const index = promised(what, () => {
      store.refresh();
      return examineStore(what, store, this.history);
    });
    if (index < this.history.acknowledged) {
      throw new Violation(`${what}: state ${index}, but ${this.history.acknowledged} was acknowledged`);
    }
    return index;
  }

  /** Whatever was left open by a death is settled by the next writer: its state is the state from now on. */
  settle(what: string, store: TextStore): void {
    promised(what, () => store.transactionSync((transaction) => transaction.count()));
    this.history.settle(this.look(what, store));
  }

  /** Power losses at this moment. */
  losePower(count: number): void {
    const point = this.machine.crashPoint();
    for (let i = 0; i < count; i++) {
      examineImage(this.engine, point.image(this.dice.seed(), { garbage: this.dice.coin() }), this.history);
    }
  }

  /** Power losses at every pause of what the process does from now on. */
  losePowerAlways(process: SimulatedProcess, count: number): void {
    const publications = new Publications(this.history);
    process.hook = (step) => {
      if (step.startsWith("write: ")) publications.at(step);
    };
    process.onPause = (pause) => {
      publications.at(pause);
      this.losePower(count);
    };
  }

  end(...actors: readonly Actor[]): void {
    for (const { process, store } of actors) {
      process.onPause = undefined;
      process.hook = undefined;
      if (!process.killed) promised("closing the store", () => store.closeSync());
    }
    this.machine.close();
  }
}

/** Acknowledges a commit once it is published. What is published while a transaction begins is an older one. */
export class Publications {
  readonly #history: History;
  #written = false;

  constructor(history: History) {
    this.#history = history;
  }

  /** For every hook and pause of the process that commits. */
  at(step: StepName | CommitPause): void {
    if (step === "write: pages written") this.#written = true;
    if (step !== "commit: published") return;
    if (this.#written) this.#history.acknowledge();
    this.#written = false;
  }
}

/** The code of the StoreError an action ends with; undefined if it succeeds. */
export function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof Killed) throw error;
    return error instanceof StoreError || hasCode(error) ? error.code : String(error);
  }
}

/** Mutated engines have classes of their own. */
function hasCode(error: unknown): error is { code: string } {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string";
}

export function must(holds: boolean, message: string): void {
  if (!holds) throw new Violation(message);
}
