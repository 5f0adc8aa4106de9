import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { keyCodec } from "../../src/store/codec/codecs.ts";
import { KEY_TARGET_SIZE } from "../../src/store/codec/key.ts";
import { KEY_SIZE_MAX } from "../../src/store/format/limits.ts";
import { bytesKey, compareKeys, textKey } from "./arbitraries.ts";

const target = Buffer.alloc(KEY_TARGET_SIZE);
const text = keyCodec("string");
const bytes = keyCodec("binary");

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  return "no error";
}

describe('the key encoding "string"', () => {
  function encode(key: string): Buffer {
    return Buffer.from(target.subarray(0, text.encode(key, target)));
  }

  test("is UTF-8 and nothing else, so that keys sort by code point", () => {
    fc.assert(
      fc.property(textKey, textKey, (a, b) => {
        expect(encode(a)).toEqual(Buffer.from(a));
        expect(text.encodePrefix(a, target)).toBe(Buffer.byteLength(a));
        expect(Math.sign(Buffer.compare(encode(a), encode(b)))).toBe(Math.sign(compareKeys(a, b)));
      }),
      { numRuns: 1000 },
    );
  });

  test("a key comes back, wherever a page prefix cuts it between characters", () => {
    fc.assert(
      fc.property(textKey, (key) => {
        const encoded = encode(key);
        const decoder = text.decoder();
        for (let split = 0; split <= encoded.length; split++) {
          if (split < encoded.length && (encoded[split] & 0xc0) === 0x80) continue;
          const ascii = encoded.subarray(split).every((byte) => byte < 0x80);
          const rest = encoded.length - split;
          expect(text.decode(encoded, 0, split, split, rest, ascii)).toBe(key);
          decoder.startPage(encoded, 0, split);
          expect(decoder.key(split, rest, ascii)).toBe(key);
          const page = Buffer.concat([encoded, Buffer.from("the value")]);
          decoder.startPage(page, 0, split);
          if (!ascii) continue;
          expect(decoder.keyWithText(split, rest, 9)).toEqual([key, "the value"]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a key and its value are read together at every pair of lengths", () => {
    const decoder = text.decoder();
    const page = Buffer.alloc(2000, "abcdefghijklmnopqrstuvwxyz");
    decoder.startPage(page, 0, 3);
    for (let suffix = 0; suffix < 40; suffix++) {
      for (const value of [0, 1, 15, 16, 17, 40, 511, 512, 513, 1000]) {
        const key = `abc${page.toString("latin1", 26, 26 + suffix)}`;
        const text = page.toString("latin1", 26 + suffix, 26 + suffix + value);
        expect(decoder.keyWithText(26, suffix, value)).toEqual([key, text]);
      }
    }
  });

  test("other kinds, lone surrogates and keys over the limit are refused", () => {
    for (const key of [1, undefined, null, Buffer.from("a"), ["a"], "\ud800", `${"a".repeat(50)}\udc00`]) {
      expect(code(() => text.encode(key as string, target))).toBe("KEY_TYPE");
    }
    expect(encode("a".repeat(KEY_SIZE_MAX)).length).toBe(KEY_SIZE_MAX);
    expect(encode("é".repeat(KEY_SIZE_MAX / 2)).length).toBe(KEY_SIZE_MAX);
    for (const key of ["a".repeat(KEY_SIZE_MAX + 1), "é".repeat(KEY_SIZE_MAX / 2 + 1), "a".repeat(1e6)]) {
      expect(code(() => text.encode(key, target))).toBe("KEY_SIZE");
    }
  });

  test("bytes that are not UTF-8 are read with replacement characters, and stop nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 60 }), (hostile, cut) => {
        const split = Math.min(cut, hostile.length);
        const page = Buffer.from(hostile);
        for (const ascii of [false, true]) {
          expect(typeof text.decode(page, 0, split, split, hostile.length - split, ascii)).toBe("string");
        }
      }),
    );
  });

  test("a new target is noticed", () => {
    const long = "long enough for the way past the loop";
    const other = Buffer.alloc(KEY_TARGET_SIZE);
    text.encode(long, target);
    expect(other.toString("utf8", 0, text.encode(long, other))).toBe(long);
    const within = Buffer.alloc(3 * KEY_TARGET_SIZE).subarray(KEY_TARGET_SIZE);
    expect(within.toString("utf8", 0, text.encode(long, within))).toBe(long);
  });
});

describe('the key encoding "binary"', () => {
  test("is the bytes themselves, and gives a plain copy back", () => {
    fc.assert(
      fc.property(bytesKey, fc.nat({ max: 40 }), (key, cut) => {
        const length = bytes.encode(key, target);
        const page = Buffer.from(target.subarray(0, length));
        expect([...page]).toEqual([...key]);
        const split = Math.min(cut, length);
        const decoder = bytes.decoder();
        decoder.startPage(page, 0, split);
        const read = [
          bytes.decode(page, 0, split, split, length - split, false),
          decoder.key(split, length - split, false),
        ];
        page.fill(0xee);
        for (const copy of read) {
          expect(copy).toEqual(key);
          expect(Object.getPrototypeOf(copy)).toBe(Uint8Array.prototype);
        }
      }),
    );
  });

  test("takes any Uint8Array and nothing else, up to the limit", () => {
    expect(bytes.encode(Buffer.alloc(KEY_SIZE_MAX), target)).toBe(KEY_SIZE_MAX);
    expect(code(() => bytes.encode(Buffer.alloc(KEY_SIZE_MAX + 1), target))).toBe("KEY_SIZE");
    const wrong: unknown[] = ["a", new Uint16Array(1), new ArrayBuffer(1), [1], undefined, null];
    for (const key of wrong) {
      expect(code(() => bytes.encode(key as Uint8Array, target))).toBe("KEY_TYPE");
    }
  });

  test("the text of a value is read beside the key", () => {
    const decoder = bytes.decoder();
    decoder.startPage(Buffer.from("keyvalue"), 0, 1);
    expect(decoder.keyWithText(1, 2, 5)).toEqual([new Uint8Array(Buffer.from("key")), "value"]);
  });
});

test("an unknown key encoding is named, with what is possible", () => {
  expect(code(() => keyCodec("utf8" as "string"))).toBe("OPTION");
  expect(code(() => keyCodec("toString" as "string"))).toBe("OPTION");
  expect(() => keyCodec("utf8" as "string")).toThrow(
    'unknown key encoding "utf8"; possible are ordered, string, binary',
  );
  for (const name of ["ordered", "string", "binary"] as const) expect(keyCodec(name).name).toBe(name);
});
