/** Random runs on the simulated machine: fast, with several processes, and with processes that get killed. */
import { describe, expect, test } from "vitest";
import type { Key } from "../../src/store/codec/key.ts";
import { Machine } from "../recorder/machine.ts";
import { Dice, seedOfRun } from "../support/dice.ts";
import { openWhole } from "../support/whole.ts";
import type { Kind } from "./kinds.ts";
import { type Sit, Trial } from "./trial.ts";

const KINDS: readonly Kind[] = [
  {
    name: "strings to msgpack in small pages and windows",
    keyEncoding: "string",
    valueEncoding: "msgpack",
    pageSize: 4096,
    runBoundaryLog2: 17,
    keyCount: 700,
    valueSizeMax: 20_000,
  },
];

const OPERATIONS_PER_KIND = 14_000;

/** Processes of one machine. */
function onMachine(seed: number, kind: Kind): Sit {
  const machine = new Machine({ seed, record: false });
  const capacities = { slots: 64, live: 64, owners: 16 };
  return (options) => {
    const process = machine.process();
    const store = openWhole<Key, unknown>(process, "/store", options, {
      runBoundaryLog2: kind.runBoundaryLog2,
      capacities,
    });
    return {
      store,
      kill: async () => {
        process.kill();
        await process.buried();
      },
    };
  };
}

describe("a store on the simulated machine does what a sorted map does", () => {
  test.each(KINDS.map((kind, index) => ({ ...kind, index })))("$name", async ({ index, ...kind }) => {
    const dice = new Dice(seedOfRun() * 64 + index);
    const trial = new Trial(kind, dice, onMachine(dice.seed(), kind));
    await trial.run(OPERATIONS_PER_KIND);
    expect(trial.operations).toBeGreaterThanOrEqual(OPERATIONS_PER_KIND);
  });
});
