import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import {
  fitsInline,
  LEAF_META_SUFFIX_NOT_ASCII,
  LEAF_META_VALUE_NOT_ASCII,
  leafCell,
  leafEntrySize,
  leafHead,
  leafMeta,
  leafSuffixAt,
  leafSuffixLength,
  leafValueAt,
  leafValueLength,
  VALUE_KIND_INLINE,
  VALUE_KIND_OVERFLOW,
  valueKind,
} from "../../src/store/format/leaf.ts";
import { KEY_SIZE_MAX } from "../../src/store/format/limits.ts";
import { OVERFLOW_REFERENCE_SIZE } from "../../src/store/format/overflow.ts";
import { headOf, heapTop, padded, TREE_SLOTS } from "../../src/store/format/tree-page.ts";
import { Harness } from "../tree/model.ts";

test("a leaf has the bytes that the tables of the format say", () => {
  const harness = new Harness({ pageSize: 4096 });
  harness.put("key:b", Buffer.from("two"));
  harness.put("key:é", Buffer.from("\u00ff", "latin1"));
  const page = harness.tree.root;
  const bytes = harness.pages.window(page).bytes.subarray(harness.pages.at(page), harness.pages.at(page) + 4096);
  expect(bytes.subarray(0, 48).toString("hex")).toBe(
    [
      "00000000", // checksum, which the pager fills in
      "01000000", // own number
      "0100", // type, level
      "0200", // entries
      "f907", // heap start 4082 in units of 2 bytes
      "0400", // prefix length
      "0000", // garbage
      "0100", // flags: VERIFY_PREFIX only
      "0100", // last insert
      "0000",
      "0100000000000000", // transaction
      "00000062f60f0100", // head "b", cell at 4086: suffix of 1 byte, all ASCII
      "000000e9f20f01c0", // head 0xe9, cell at 4082: suffix and value not ASCII
    ].join(""),
  );
  expect(bytes.subarray(4082).toString("latin1")).toBe("\u0001\0\u00e9\u00ff\u0003\0btwokey:");
});

describe("the fields of a slot", () => {
  test("are read where they lie", () => {
    const harness = new Harness();
    harness.put("abc", Buffer.from("value"));
    harness.put("abd", Buffer.alloc(3000, 1));
    harness.get("abc");
    const { at, window } = harness.finder;
    const { view, bytes } = window;
    expect(leafHead(view, at, 0)).toBe(0x63000000);
    expect(leafSuffixLength(view, at, 0)).toBe(1);
    expect(leafValueLength(view, at, 0)).toBe(5);
    const valueAt = leafValueAt(view, at, 0);
    expect(bytes.subarray(leafSuffixAt(view, at, 0), valueAt + 5).toString()).toBe("cvalue");
    expect(leafCell(view, at, 0) % 2).toBe(0);
    expect(valueKind(leafMeta(view, at, 0))).toBe(VALUE_KIND_INLINE);
    expect(valueKind(leafMeta(view, at, 1))).toBe(VALUE_KIND_OVERFLOW);
    expect(leafValueLength(view, at, 1)).toBe(OVERFLOW_REFERENCE_SIZE);
  });

  test("tell which bytes are ASCII", () => {
    const harness = new Harness();
    harness.put("aé", Buffer.from("plain"));
    harness.put("ab", Buffer.from("é"));
    harness.get("ab");
    const { at, window } = harness.finder;
    expect(leafMeta(window.view, at, 0) & LEAF_META_SUFFIX_NOT_ASCII).toBe(0);
    expect(leafMeta(window.view, at, 0) & LEAF_META_VALUE_NOT_ASCII).not.toBe(0);
    expect(leafMeta(window.view, at, 1) & LEAF_META_SUFFIX_NOT_ASCII).not.toBe(0);
    expect(leafMeta(window.view, at, 1) & LEAF_META_VALUE_NOT_ASCII).toBe(0);
  });
});

test("two entries with the longest keys fit every page", () => {
  for (const pageSize of [4096, 8192, 16384, 32768, 65536]) {
    expect(2 * leafEntrySize(KEY_SIZE_MAX, OVERFLOW_REFERENCE_SIZE)).toBeLessThanOrEqual(pageSize - TREE_SLOTS);
    expect(fitsInline(10, pageSize / 4, pageSize, pageSize)).toBe(true);
    expect(fitsInline(10, pageSize / 4 + 1, pageSize, pageSize)).toBe(false);
  }
  expect(fitsInline(KEY_SIZE_MAX, 44, 4096, 4096)).toBe(true);
  expect(fitsInline(KEY_SIZE_MAX, 45, 4096, 4096)).toBe(false);
});

test("a head is the first four bytes as a big-endian number, zero padded", () => {
  const view = new DataView(Uint8Array.from([0xff, 2, 3, 4, 5]).buffer);
  expect([0, 1, 2, 3, 4, 5].map((length) => headOf(view, 0, length))).toEqual([
    0, 0xff000000, 0xff020000, 0xff020300, 0xff020304, 0xff020304,
  ]);
});

test("heap pieces start at even offsets, whatever the prefix", () => {
  expect([0, 1, 2, 3].map((prefix) => heapTop(65536, prefix))).toEqual([65536, 65534, 65534, 65532]);
  expect([0, 1, 2, 3].map(padded)).toEqual([0, 2, 2, 4]);
});
