/**
 * The first page of an overflow run: the 32-byte header, then the value's bytes, which go on through the following
 * pages of the run without further headers. A run never crosses a multiple of the run boundary, so the value is seen in one piece.
 */
import { PAGE_HEADER_SIZE } from "./page.ts";

/** u32: pages of the run. */
export const OVERFLOW_PAGE_COUNT = 12;
/** u32: bytes of the value. */
export const OVERFLOW_VALUE_SIZE = 16;
/** Where the value begins. */
export const OVERFLOW_VALUE = PAGE_HEADER_SIZE;

/** Bytes of an overflow reference as it stands in a leaf cell: u32 first page, u32 value size. */
export const OVERFLOW_REFERENCE_SIZE = 8;
export const OVERFLOW_REFERENCE_PAGE = 0;
export const OVERFLOW_REFERENCE_VALUE_SIZE = 4;

/** Pages a value of `valueSize` bytes needs. */
export function overflowPageCount(valueSize: number, pageSize: number): number {
  return Math.ceil((OVERFLOW_VALUE + valueSize) / pageSize);
}

export function overflowRunPages(view: DataView, at: number): number {
  return view.getUint32(at + OVERFLOW_PAGE_COUNT, true);
}

export function overflowValueSize(view: DataView, at: number): number {
  return view.getUint32(at + OVERFLOW_VALUE_SIZE, true);
}
