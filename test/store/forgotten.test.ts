/** Snapshots and iterators that nobody closed and nobody holds any more. */
import { expect, test } from "vitest";
import { start } from "../process/processes.ts";
import { newStorePath } from "../support/opened.ts";

test.each(["snapshot", "snapshot with an iterator that has ended", "iterator"])(
  "a forgotten %s is released when it is garbage, with a warning of the process",
  async (what) => {
    const child = start("forgotten", [newStorePath(), what], { flags: ["--expose-gc"] });
    expect(await child.hears("ended")).toEqual({
      said: "ended",
      before: 1,
      after: 0,
      warnings: ["FOLIODB_FORGOTTEN"],
    });
    expect((await child.ended).errors).toContain("Call close() or use `using`");
  },
);

test.each(["closed snapshot", "ended iterator"])(
  "a snapshot or iterator that was ended warns of nothing: %s",
  async (what) => {
    const child = start("forgotten", [newStorePath(), what], { flags: ["--expose-gc"] });
    expect(await child.hears("ended")).toEqual({ said: "ended", before: 0, after: 0, warnings: [] });
  },
);

test("of a store that is closed and that nobody holds any more, nothing of the user's stays", async () => {
  const child = start("retained", [newStorePath()], { flags: ["--expose-gc"] });
  expect(await child.hears("ended")).toEqual({ said: "ended", store: "collected", codec: "collected" });
});
