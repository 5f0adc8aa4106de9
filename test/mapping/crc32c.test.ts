import { expect, test } from "vitest";
import { loadAddon } from "../../src/mapping/addon.ts";

const addon = loadAddon();

/** xorshift32, so that every run sees the same bytes. */
function randomBytes(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}

test("the checksum is the CRC-32C of RFC 3720's examples", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  const examples: [Uint8Array, number][] = [
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(255), 0x62a8ab43],
    [ascending, 0x46dd794e],
    [ascending.toReversed(), 0x113fdb5c],
    [new TextEncoder().encode("123456789"), 0xe3069283],
    [new Uint8Array(0), 0],
  ];
  for (const [bytes, expected] of examples) {
    expect(addon.crc32c(bytes, 0, bytes.length, 0)).toBe(expected);
    expect(addon.crc32cByTable(bytes, 0, bytes.length, 0)).toBe(expected);
  }
});

test("instructions and tables agree at every length, alignment and seed", () => {
  const bytes = randomBytes(20_000, 0x1234567);
  const lengths = [
    ...Array.from({ length: 300 }, (_, i) => i),
    767,
    768,
    769,
    1535,
    1536,
    1543,
    4092,
    4096,
    16_384,
    19_990,
  ];
  for (const length of lengths) {
    const from = length % 9;
    const seed = (length * 0x9e3779b1) >>> 0;
    expect(addon.crc32c(bytes, from, from + length, seed)).toBe(addon.crc32cByTable(bytes, from, from + length, seed));
  }
});

test("the checksum of one part continues that of the part before", () => {
  const bytes = randomBytes(5000, 99);
  const whole = addon.crc32c(bytes, 0, 5000, 0);
  for (const cut of [0, 1, 7, 256, 768, 4096, 5000]) {
    expect(addon.crc32c(bytes, cut, 5000, addon.crc32c(bytes, 0, cut, 0))).toBe(whole);
  }
});
