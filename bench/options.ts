/** The options of `npm run bench`, read from the command line. */
import { parseArgs } from "node:util";
import { SET_NAMES, type SetName } from "./sets.ts";

export interface BenchOptions {
  /** Entries of the stores measured. */
  readonly sizes: readonly number[];
  /** How often each pair of measurements is repeated; the median counts. */
  readonly rounds: number;
  readonly sets: readonly SetName[];
  /** Milliseconds a reading operation of one peer is measured in a round. */
  readonly readMs: number;
  /** Durable single commits in a round, of each kind. */
  readonly commits: number;
  /** Where the measurements go as JSON. */
  readonly json: string | undefined;
}

export const USAGE = `Options of npm run bench -- …
  --sizes 1000,100000,1000000   entries of the stores
  --rounds 3                    repetitions of each pair of measurements
  --sets ${SET_NAMES.join(",")}
  --quick                       sizes up to 100,000, less time for each measurement
  --json FILE                   also write the measurements to a file
`;

/** @throws Error for an option that is none, or a value that makes no sense */
export function parseOptions(parameters: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      sizes: { type: "string" },
      rounds: { type: "string", default: "3" },
      sets: { type: "string", default: SET_NAMES.join(",") },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  const sizes = values.sizes ?? (values.quick ? "1000,100000" : "1000,100000,1000000");
  return {
    sizes: sizes.split(",").map((size) => wholeNumber("--sizes", size)),
    rounds: wholeNumber("--rounds", values.rounds),
    sets: values.sets.split(",").map(setName),
    readMs: values.quick ? 60 : 150,
    commits: values.quick ? 20 : 50,
    json: values.json,
  };
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${option} takes whole numbers, not "${text}"`);
  return number;
}

function setName(text: string): SetName {
  const name = SET_NAMES.find((each) => each === text);
  if (name === undefined) throw new Error(`there is no set "${text}"; there are ${SET_NAMES.join(", ")}`);
  return name;
}
