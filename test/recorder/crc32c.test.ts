import { expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";
import { Random } from "./random.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const whole = (bytes: Uint8Array): number => crc32c(bytes, 0, bytes.length, 0);

test("CRC-32C gives the check value and the vectors of RFC 3720", () => {
  expect(whole(text("123456789"))).toBe(0xe3069283);
  expect(whole(text(""))).toBe(0);
  expect(whole(text("a"))).toBe(0xc1d04330);
  expect(whole(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(whole(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(whole(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(whole(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).toBe(0x113fdb5c);
});

test("a checksum continued over parts is that of the whole, wherever it is cut", () => {
  const bytes = new Random(1).bytes(100);
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(crc32c(bytes, cut, bytes.length, crc32c(bytes, 0, cut, 0))).toBe(whole(bytes));
  }
});

test("eight bytes a round give what one bit at a time gives", () => {
  const random = new Random(2);
  for (let length = 0; length < 64; length++) {
    const bytes = random.bytes(length);
    let crc = -1;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
    expect(whole(bytes)).toBe(~crc >>> 0);
  }
});
