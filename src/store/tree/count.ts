/** Counting the entries of a range: leaf by leaf, by the counts in their headers. */
import type { Cursor } from "./cursor.ts";

/**
 * Entries from where `from` stands (included) up to where `to` stands (excluded; not valid: to the end of the tree).
 * Both cursors are on the same tree; `from` is moved. A range that ends before it begins has to be excluded by the
 * caller, who knows the keys. @throws CorruptionError
 */
export function countEntries(from: Cursor, to: Cursor): number {
  if (!from.valid) return 0;
  if (to.valid && to.page === from.page) return to.slot > from.slot ? to.slot - from.slot : 0;
  let total = from.count - from.slot;
  while (from.nextLeaf()) {
    if (to.valid && from.page === to.page) return total + to.slot;
    total += from.count;
  }
  return total;
}
