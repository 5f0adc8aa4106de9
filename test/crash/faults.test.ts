/** A machine that fails under a store: what was acknowledged stays, and what failed is not believed. */
import { describe, expect, test } from "vitest";
import { seedOfRun } from "../support/dice.ts";
import { REAL_ENGINE } from "./engine.ts";
import { commitMeetsFailure, creationMeetsFailure, openingMeetsFailure } from "./every-call.ts";
import {
  diskIsFull,
  flushFails,
  metaIsTorn,
  metaIsTornInMemory,
  openingFails,
  pageIsLost,
  roomFails,
  settlingFails,
} from "./faults.ts";

const WAYS = ["synchronously", "asynchronously"] as const;
const WHICH = [1, 2] as const;
/** What a failed flush leaves on the device. */
const LEFT = ["old", "any"] as const;

describe.each(LEFT)("a failed flush that leaves %s versions is never believed", (left) => {
  describe.each(WHICH)("flush %i", (which) => {
    test.each(WAYS)("of a commit made %s", (way) => flushFails(REAL_ENGINE, which, way, left, seedOfRun()));

    test("of a writer that settles what a dead one left", () => settlingFails(REAL_ENGINE, which, left, seedOfRun()));

    test("of an opener that is alone", () => openingFails(REAL_ENGINE, which, left, seedOfRun()));
  });
});

describe("on a full disk the store is as it was", () => {
  test.each(WAYS)("after a write made %s", (way) => diskIsFull(REAL_ENGINE, way, seedOfRun()));

  test.each(["grow", "prepare", "populate"] as const)("whenever %s fails", (call) => {
    const seed = seedOfRun();
    let nth = 1;
    while (nth < 40 && roomFails(REAL_ENGINE, call, nth, seed)) nth++;
    expect(nth).toBeGreaterThan(1);
  });
});

test.each(["write: pages written", "commit: flush 1 begun", "commit: flushed 1", "commit: flush 2 begun"] as const)(
  "a commit whose page was lost at %s fails, though every flush succeeds",
  (step) => pageIsLost(REAL_ENGINE, step, seedOfRun()),
);

describe.each(["EIO", "ENOSPC"] as const)("no failed call, whichever it is, harms the store: %s", (code) => {
  /** Calls until one reports that there was no such call. */
  async function untilNone(meets: (nth: number) => boolean | Promise<boolean>): Promise<number> {
    let nth = 1;
    while (await meets(nth)) nth++;
    return nth - 1;
  }

  test("of a commit", async () => {
    const seed = seedOfRun();
    expect(await untilNone((nth) => commitMeetsFailure(REAL_ENGINE, nth, code, seed))).toBeGreaterThan(5);
  });

  test("of opening a store whose last writer was killed", async () => {
    const seed = seedOfRun();
    expect(await untilNone((nth) => openingMeetsFailure(REAL_ENGINE, nth, code, seed))).toBeGreaterThan(8);
  });

  test("of creating a store", async () => {
    const seed = seedOfRun();
    expect(await untilNone((nth) => creationMeetsFailure(REAL_ENGINE, nth, code, seed))).toBeGreaterThan(8);
  });
});

// Copies 0 and 1 are the older record, 2 and 3 the newer.
const TORN = Array.from({ length: 15 }, (_, i) => [0, 1, 2, 3].filter((copy) => ((i + 1) >> copy) & 1));

describe("a store opens with the newest whole meta record", () => {
  test.each(TORN.map((torn) => ({ torn })))("when copies $torn of four are torn", ({ torn }) => {
    metaIsTorn(REAL_ENGINE, torn, seedOfRun());
  });
});

describe("a writer mends the older meta page first", () => {
  test.each([[[0]], [[1]], [[0, 1]]])("when copies %j of it are torn in memory", (torn) => {
    metaIsTornInMemory(REAL_ENGINE, torn, seedOfRun());
  });
});
