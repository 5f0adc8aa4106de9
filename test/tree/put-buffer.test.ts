import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyBuffer } from "../../src/store/tree/key.ts";
import { ENTRY_KEY, ENTRY_KEY_LENGTH, PutBuffer } from "../../src/store/tree/put-buffer.ts";
import { Harness, Random } from "./model.ts";

const key = new KeyBuffer();

function add(buffer: PutBuffer, text: string, value: Uint8Array = new Uint8Array(0)): boolean {
  key.set(Buffer.from(text, "latin1"));
  return buffer.add(key, value, 0, value.length, true);
}

function keysOf(buffer: PutBuffer): string[] {
  const { bytes, view } = buffer.memory;
  return Array.from(buffer.entries.subarray(0, buffer.count), (entry) => {
    const from = entry + ENTRY_KEY;
    return bytes.toString("latin1", from, from + view.getUint16(entry + ENTRY_KEY_LENGTH, true));
  });
}

/** Few different bytes, zeros among them, so that keys are equal, prefixes of each other, and tie for long. */
const bytes = fc.constantFrom("\0", "\0", "a", "b", "\xff").map((byte) => byte);
const text = fc.oneof(
  fc.array(bytes, { maxLength: 12 }).map((parts) => parts.join("")),
  fc
    .nat(40)
    .map((number) => `key with a long beginning ${number % 3} ${"and a long middle".repeat(number % 2)} ${number}`),
  fc.nat(300).map((number) => String(number)),
);

test("entries are sorted by the bytes of their keys, and equal keys by when they came", () => {
  fc.assert(
    fc.property(
      fc.array(text, { maxLength: 200 }),
      fc.constantFrom("", "one beginning for all "),
      (texts, beginning) => {
        const buffer = new PutBuffer();
        const keys = texts.map((each) => beginning + each);
        for (const each of keys) expect(add(buffer, each)).toBe(true);
        buffer.sort();
        // Array.prototype.sort is stable, and latin1 text sorts as its bytes do.
        expect(keysOf(buffer)).toEqual([...keys].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
        const places = buffer.entries.subarray(0, buffer.count);
        const found = keysOf(buffer);
        for (let i = 1; i < found.length; i++)
          if (found[i] === found[i - 1]) expect(places[i]).toBeGreaterThan(places[i - 1]);
        for (let i = 1; i < found.length; i++) {
          if (found[i] === found[i - 1]) expect(buffer.follows(i, 0)).toBe(false);
          else if (buffer.follows(i, 3)) expect(found[i].slice(0, 3)).toBe(found[i - 1].slice(0, 3));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test("a full buffer takes nothing more, and after it was emptied it does", () => {
  const value = Buffer.alloc(16 * 1024, "v");
  const buffer = new PutBuffer();
  expect(add(buffer, "too large", Buffer.alloc(16 * 1024 + 1))).toBe(false);
  let count = 0;
  while (add(buffer, `key ${count}`, value)) count++;
  expect(count).toBe(Math.floor((1024 * 1024) / (16 * 1024 + 16)));
  expect(buffer.count).toBe(count);
  buffer.clear();
  expect([buffer.count, add(buffer, "again", value), buffer.count]).toEqual([0, true, 1]);
  let many = 0;
  const small = new PutBuffer();
  while (add(small, String(many))) many++;
  small.sort();
  expect(keysOf(small)).toEqual(Array.from({ length: many }, (_, i) => String(i)).sort());
});

test("an empty tree that is filled from a buffer has full leaves, whatever order the entries came in", () => {
  const random = new Random(7);
  const pagesOf = (ordered: boolean, waiting: boolean): number => {
    const harness = new Harness();
    const entries = Array.from({ length: 3000 }, (_, i) => {
      return [`key ${String(i).padStart(6, "0")}`, Buffer.alloc(100, "v")] as const;
    });
    if (!ordered) entries.sort(() => random.below(3) - 1);
    if (waiting) harness.putAll(entries);
    else for (const [each, value] of entries) harness.put(each, value);
    harness.check();
    harness.compare();
    return harness.writer.used.size;
  };
  const full = pagesOf(true, false);
  expect(pagesOf(true, true)).toBe(full);
  expect(pagesOf(false, true)).toBeLessThanOrEqual(full + 1);
  expect(pagesOf(false, false)).toBeGreaterThan(full * 1.2);
});
