/** Values too large for a leaf: writing their overflow runs, and giving them up. */
import {
  OVERFLOW_PAGE_COUNT,
  OVERFLOW_REFERENCE_PAGE,
  OVERFLOW_REFERENCE_VALUE_SIZE,
  OVERFLOW_VALUE,
  OVERFLOW_VALUE_SIZE,
  overflowPageCount,
} from "../format/overflow.ts";
import { initPage, PAGE_TYPE_OVERFLOW } from "../format/page.ts";
import type { PageWriter } from "../pager/pages.ts";
import { copyBytes } from "./key.ts";

/** Writes a value into a run of its own. Returns the run's first page. @throws what `takeRun` throws */
export function writeRun(writer: PageWriter, value: Uint8Array, from: number, length: number): number {
  const pages = writer.pages;
  const count = overflowPageCount(length, pages.pageSize);
  const page = writer.takeRun(count);
  const window = pages.windows[page >>> pages.windowShift];
  const at = (page & pages.windowMask) << pages.pageShift;
  initPage(window.view, at, page, PAGE_TYPE_OVERFLOW, 0, writer.number);
  window.view.setUint32(at + OVERFLOW_PAGE_COUNT, count, true);
  window.view.setUint32(at + OVERFLOW_VALUE_SIZE, length, true);
  copyBytes(window.bytes, at + OVERFLOW_VALUE, value, from, length);
  // The pages' content was undefined; the run's checksum covers all of it.
  window.bytes.fill(0, at + OVERFLOW_VALUE + length, at + count * pages.pageSize);
  return page;
}

/** Writes an overflow reference as it stands in a cell. */
export function writeReference(view: DataView, at: number, page: number, size: number): void {
  view.setUint32(at + OVERFLOW_REFERENCE_PAGE, page, true);
  view.setUint32(at + OVERFLOW_REFERENCE_VALUE_SIZE, size, true);
}

/** Gives up the run of a value of `size` bytes. */
export function giveUpRun(writer: PageWriter, page: number, size: number): void {
  writer.giveUp(page, overflowPageCount(size, writer.pages.pageSize));
}
