/** What foliodb is to reach at this stage, as the ratio of its time or size to the peer's. */
import type { Measurement } from "./measure.ts";

/** From this many entries on sizes count: below, a store's own few pages do. */
const SIZE_ENTRIES_MIN = 100_000;

/** The greatest ratio wanted, or undefined where there is none. */
export function targetOf({ operation, set, entries }: Measurement): number | undefined {
  switch (operation) {
    case "get":
    case "has":
    case "range of 100":
    case "scan":
    case "keys only":
      return set === "url" ? 1.0 : 0.7;
    case "puts, random":
    case "puts, sorted":
      return 0.8;
    case "size, random":
      return entries < SIZE_ENTRIES_MIN ? undefined : 0.95;
    case "size, sorted":
      return entries < SIZE_ENTRIES_MIN ? undefined : 1.0;
    case "putSync and bare flushes":
      return 1.5;
    case "put, awaited":
    case "put, awaited until durable":
    case "putSync":
    case "transactionSync of one put":
      return undefined;
  }
}
