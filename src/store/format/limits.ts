/** The limits of the format, each with a name. docs/FORMAT.md states them; nobody else writes these numbers. */

/** Encoded bytes of a key, at every page size: slot and cell of the largest key with an overflow reference fit half a 4 KiB page. */
export const KEY_SIZE_MAX = 1978;
/** Bytes of a value, if the run boundary allows it: a run may not cross a boundary and its first page carries a header. */
export const VALUE_SIZE_MAX = 512 * 1024 * 1024;
/** What a run needs besides its value, at the most: the largest value is no greater than the run boundary less this. */
export const RUN_OVERHEAD_MAX = 64 * 1024;
/** Levels of a tree, leaf included. */
export const DEPTH_MAX = 16;
/** Bytes of the name of a named store, snapshot or setting. */
export const NAME_SIZE_MAX = 255;
/** Pages of a store: page numbers are u32, and the count must be one as well. */
export const PAGE_COUNT_MAX = 2 ** 32 - 1;
export const PAGE_SIZE_MIN = 4096;
export const PAGE_SIZE_MAX = 65536;
export const PAGE_SIZE_DEFAULT = 4096;
/** log2 of the run boundary in bytes. Small ones are for tests: one 64 KiB page of room besides `RUN_OVERHEAD_MAX` is the least. */
export const RUN_BOUNDARY_LOG2_MIN = 17;
export const RUN_BOUNDARY_LOG2_DEFAULT = 30;
export const RUN_BOUNDARY_LOG2_MAX = 30;

/** The largest value in bytes of a store whose overflow runs may not cross multiples of `2 ** runBoundaryLog2` bytes. */
export function valueSizeMax(runBoundaryLog2: number): number {
  return Math.min(VALUE_SIZE_MAX, 2 ** runBoundaryLog2 - RUN_OVERHEAD_MAX);
}
