import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import {
  branchChild,
  branchEntrySize,
  branchHead,
  branchSeparator,
  branchSuffixLength,
} from "../../src/store/format/branch.ts";
import { KEY_SIZE_MAX } from "../../src/store/format/limits.ts";
import { PAGE_TYPE_BRANCH, pageLevel, pageType } from "../../src/store/format/page.ts";
import { entryCount, prefixLength, TREE_SLOTS } from "../../src/store/format/tree-page.ts";
import { Harness } from "../tree/model.ts";

test("a branch holds its children and the shortest separators between them", () => {
  const harness = new Harness();
  for (let index = 0; index < 12; index++) {
    harness.put(`${String.fromCharCode(97 + index)} long key`, Buffer.alloc(900, 65));
  }
  const page = harness.tree.root;
  const { view, bytes } = harness.pages.window(page);
  const at = harness.pages.at(page);
  expect(pageType(view, at)).toBe(PAGE_TYPE_BRANCH);
  expect(pageLevel(view, at)).toBe(1);
  expect(prefixLength(view, at)).toBe(0);
  expect(entryCount(view, at)).toBe(3);
  expect([branchHead(view, at, 0), branchSeparator(view, at, 0), branchSuffixLength(view, at, 0)]).toEqual([0, 0, 0]);
  for (const [slot, separator] of [
    [1, "e"],
    [2, "i"],
  ] as const) {
    const length = branchSuffixLength(view, at, slot);
    const from = at + branchSeparator(view, at, slot);
    expect(bytes.subarray(from, from + length).toString()).toBe(separator);
    expect(branchHead(view, at, slot)).toBe(separator.charCodeAt(0) * 2 ** 24);
  }
  const children = [0, 1, 2].map((slot) => branchChild(view, at, slot));
  expect(new Set(children).size).toBe(3);
});

test("a branch with two of the longest separators fits every page", () => {
  expect(branchEntrySize(0) + 2 * branchEntrySize(KEY_SIZE_MAX)).toBeLessThanOrEqual(4096 - TREE_SLOTS);
});
