/** The free space of a store so large that no test could have its file. */
import type { Snapshot } from "../../src/store/format/meta.ts";
import type { Pages } from "../../src/store/pager/pages.ts";

/** Pages of 64 KiB, none of which is ever looked at, in windows of a quarter of all pages there can be. */
export function fakePages(): Pages {
  return {
    pageSize: 65_536,
    pageShift: 16,
    windowShift: 30,
    windowMask: 2 ** 30 - 1,
    pageEnd: 65_536,
    runBoundaryLog2: 46,
    windows: [],
    faults: new Int32Array(1),
  };
}

/** A state without a space map: every page is free. */
export const EMPTY_SNAPSHOT: Snapshot = {
  number: 1,
  commitId: "00".repeat(16),
  catalogRoot: 0,
  catalogLevel: 0,
  catalogCount: 0,
  mapRoot: 0,
  mapLevel: 0,
  pageCount: 0,
  pageHighest: 0,
  pagesUsed: 0,
  userVersion: 0,
};
