/**
 * The pages of the space map: which pages of the store are in use.
 *
 * A **map leaf** holds one bit for each page of its *group* of `groupPages(pageEnd)` consecutive pages: bit `i % 8` of
 * byte `MAP_BITS + i / 8` is 1 if page `group * groupPages + i` is in use. A **map branch** holds slots of child page
 * (0: no page beneath is in use) and free count. Pages of the map are not recorded in it: they are in use because its branches name them.
 */
import { PAGE_HEADER_SIZE } from "./page.ts";

/** u32: number of the first group the page covers (of the only one, in a leaf). */
export const MAP_FIRST_GROUP = 12;
/** u32: set bits in a map leaf; 0 in a map branch. */
export const MAP_LEAF_USED = 16;
/** The bits of a map leaf, to the end of the page. */
export const MAP_BITS = PAGE_HEADER_SIZE;
/** The slots of a map branch. */
export const MAP_SLOTS = PAGE_HEADER_SIZE;
/** Bytes of a slot. */
export const MAP_SLOT_SIZE = 8;
/** u32: the child page, or 0. */
export const MAP_SLOT_CHILD = 0;
/** u32: clear bits in the map leaves that exist beneath the child. */
export const MAP_SLOT_FREE = 4;

/** Pages of a group: the bits of a map leaf. */
export function groupPages(pageEnd: number): number {
  return (pageEnd - MAP_BITS) * 8;
}

/** Slots of a map branch. */
export function mapFanOut(pageEnd: number): number {
  return Math.floor((pageEnd - MAP_SLOTS) / MAP_SLOT_SIZE);
}
