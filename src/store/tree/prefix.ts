/**
 * Choosing the prefix of a page that is built.
 *
 * Where both fences exist, what they share is the prefix: nobody has to verify it and no insert can break it. Pages at
 * an edge have no such guarantee; they take what their keys share now, with the VERIFY flag, because the heads of
 * keys like "user:…" would be all the same otherwise. So does a page whose entries do not fit with less.
 */
import { CorruptionError } from "../../errors.ts";
import { prefixLength } from "../format/tree-page.ts";
import { CONTINUATION_MAX, type KeyBuffer, sharedLength, wholeCharacters } from "./key.ts";
import type { TreePath } from "./path.ts";

/** Bytes of the prefix of a page that a key shares, not ending inside a character of either. */
export function sharedWithPage(path: TreePath, page: number, key: KeyBuffer): number {
  const view = path.windowOf(page).view;
  const at = path.atOf(page);
  const prefix = prefixLength(view, at);
  const prefixAt = at + path.pages.pageEnd - prefix;
  const shorter = Math.min(prefix, key.length);
  let shared = 0;
  while (shared < shorter && view.getUint8(prefixAt + shared) === key.bytes[shared]) shared++;
  if (shared === prefix) return shared;
  let whole = shared;
  const least = Math.max(0, shared - CONTINUATION_MAX);
  while (whole > least && (view.getUint8(prefixAt + whole) & 0xc0) === 0x80) whole--;
  return Math.min(whole, wholeCharacters(key, shared));
}

/**
 * The prefix of a new page. `guaranteed` is what its fences share, or -1 if one is missing; `shared` what its keys
 * share; `current` a prefix with which they are known to fit.
 */
export function choosePrefix(
  guaranteed: number,
  shared: number,
  current: number,
  fits: (prefix: number) => boolean,
): number {
  if (guaranteed >= 0 && fits(guaranteed)) return guaranteed;
  return shared > current && fits(shared) ? shared : current;
}

/** Makes the shortest key that is above `lower` and not above `upper`: the separator of the two, keys of `page`. */
export function separate(separator: KeyBuffer, lower: KeyBuffer, upper: KeyBuffer, page: number): void {
  const shared = sharedLength(lower, upper);
  if (shared === upper.length)
    throw new CorruptionError(page, "keys in ascending order", "one that is not above another");
  separator.copy(upper, shared + 1);
}
