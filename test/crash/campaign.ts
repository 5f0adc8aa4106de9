/**
 * Random commits of every shape on a small store, with a power loss at any step and between any two stores of a
 * transaction; now and then the store goes on from what a power loss left.
 */
import { assert } from "../../src/errors.ts";
import { Machine } from "../recorder/machine.ts";
import type { SimulatedProcess } from "../recorder/process.ts";
import { Dice } from "../support/dice.ts";
import { type Engine, promised, Violation } from "./engine.ts";
import { examineImage, INTERNAL, OPTIONS, STORE_PATH, type TextStore } from "./examine.ts";
import { type Change, changed, History, STATE_KEY } from "./history.ts";
import { Publications } from "./scene.ts";
import { apply, Workload } from "./workload.ts";

export interface CampaignOptions {
  readonly engine: Engine;
  readonly seed: number;
  /** It ends once so many images were opened. */
  readonly images: number;
}

/** Processes that take turns in writing. */
const WRITERS = 2;

export class Campaign {
  images = 0;
  commits = 0;
  powerLosses = 0;
  readonly #options: CampaignOptions;
  readonly #dice: Dice;
  readonly #workload: Workload;
  #history = new History();
  #violation: Violation | undefined;
  #machine: Machine;
  #writers: { process: SimulatedProcess; store: TextStore }[] = [];

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#dice = new Dice(options.seed);
    this.#workload = new Workload(this.#dice);
    this.#machine = new Machine({ seed: this.#dice.seed() });
    this.#openAll();
  }

  /** @throws Violation */
  async run(): Promise<void> {
    while (this.images < this.#options.images) {
      const { store } = this.#dice.pick(this.#writers);
      if (this.#dice.chance(0.5)) this.#commitSync(store);
      else await this.#commitAsync(store);
      this.#history.acknowledge();
      this.commits++;
      this.#crash();
      if (this.#violation !== undefined) throw this.#violation;
      if (this.#dice.chance(0.04)) await this.#losePower();
      else if (this.#dice.chance(0.05)) this.#reopen();
    }
    this.#closeAll();
    this.#machine.close();
  }

  #openAll(): void {
    for (let i = 0; i < WRITERS; i++) {
      const process = this.#machine.process(`writer ${i}`);
      for (const mutant of this.#options.engine.commitMutants) process.mutants.add(mutant);
      const store = this.#options.engine.openStore<string, string>(process, STORE_PATH, OPTIONS, INTERNAL);
      const publications = new Publications(this.#history);
      process.onPause = (pause) => {
        publications.at(pause);
        if (this.#dice.chance(0.6)) this.#crash();
      };
      process.hook = (step) => {
        if (step.startsWith("write: ")) publications.at(step);
        if (this.#dice.chance(0.2)) this.#crash();
      };
      this.#writers.push({ process, store });
    }
  }

  #closeAll(): void {
    for (const { process, store } of this.#writers) {
      process.onPause = undefined;
      process.hook = undefined;
      store.closeSync();
    }
    this.#writers = [];
  }

  #reopen(): void {
    this.#closeAll();
    this.#openAll();
  }

  /** What a power loss now could leave must be in order. Called from hooks, so what is not is told by `run`. */
  #crash(): void {
    if (this.#violation !== undefined) return;
    try {
      this.#openImages();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#violation = error;
    }
  }

  #openImages(): void {
    const point = this.#machine.crashPoint();
    for (let i = this.#dice.between(1, 2); i > 0; i--) {
      const image = point.image(this.#dice.seed(), {
        garbage: this.#dice.coin(),
        coordination: this.#dice.chance(0.2) ? "stale" : "gone",
      });
      examineImage(this.#options.engine, image, this.#history);
      this.images++;
    }
  }

  /** The power fails, amid a commit or not, and the store goes on from what is left. */
  async #losePower(): Promise<void> {
    const { process, store } = this.#dice.pick(this.#writers);
    let steps = this.#dice.below(16);
    process.hook = undefined;
    process.onPause = () => {
      if (steps-- === 0) process.die();
    };
    const { changes } = this.#nextCommit();
    process.run(() => store.transactionSync((transaction) => apply(transaction, changes)));
    const seed = this.#dice.seed();
    const before = this.#machine;
    this.#history.settle(examineImage(this.#options.engine, before.crashImage(seed), this.#history));
    this.#machine = before.powerLoss(seed, { record: true });
    for (const writer of this.#writers) await writer.process.buried();
    before.close();
    this.#writers = [];
    this.#openAll();
    this.powerLosses++;
  }

  #nextCommit(): { changes: Change[]; index: number } {
    const changes = this.#workload.next();
    const latest = this.#history.latest;
    const index = this.#history.begin((next) => changed(latest, changes, next));
    changes.push({ kind: "put", key: STATE_KEY, value: String(index) });
    return { changes, index };
  }

  #commitSync(store: TextStore): void {
    const { changes } = this.#nextCommit();
    promised("a commit", () =>
      store.transactionSync((transaction) => {
        for (const change of changes) {
          apply(transaction, [change]);
          if (this.#dice.chance(0.05)) this.#crash();
        }
      }),
    );
  }

  /** The same as plain asynchronous writes and transactions, some of which are undone. */
  async #commitAsync(store: TextStore): Promise<void> {
    const { changes } = this.#nextCommit();
    const outcomes: Promise<unknown>[] = [];
    for (const change of changes) {
      if (this.#dice.chance(0.1)) outcomes.push(this.#abandon(store));
      if (this.#dice.chance(0.3)) outcomes.push(store.transaction((transaction) => apply(transaction, [change])));
      else if (change.kind === "put") outcomes.push(store.put(change.key, change.value));
      else if (change.kind === "delete") outcomes.push(store.delete(change.key));
      else outcomes.push(store.clear());
    }
    await Promise.all(outcomes).catch((error: unknown) => {
      throw new Violation(`an asynchronous commit: ${String(error)}`, { cause: error });
    });
  }

  async #abandon(store: TextStore): Promise<void> {
    const reason = new Error("abandoned");
    const changes = this.#workload.next();
    const outcome = store.transaction((transaction) => {
      apply(transaction, changes);
      throw reason;
    });
    const error: unknown = await outcome.catch((thrown: unknown) => thrown);
    assert(error === reason, `an abandoned transaction rejects with its own reason, not ${String(error)}`);
  }
}
