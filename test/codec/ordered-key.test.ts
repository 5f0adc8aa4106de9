import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptionError, StoreError } from "../../src/errors.ts";
import { keyCodec } from "../../src/store/codec/codecs.ts";
import { KEY_TARGET_SIZE, type Key } from "../../src/store/codec/key.ts";
import { KEY_DEPTH_MAX } from "../../src/store/codec/kinds.ts";
import { KEY_SIZE_MAX } from "../../src/store/format/limits.ts";
import { anyKey, arrayKey, bytesKey, canonical, compareKeys, keyPair, textKey } from "./arbitraries.ts";

const codec = keyCodec("ordered");
const target = Buffer.alloc(KEY_TARGET_SIZE);

function encode(key: Key): Buffer {
  return Buffer.from(target.subarray(0, codec.encode(key, target)));
}

/** What callers without types can pass. */
function encodeUnchecked(key: unknown): Buffer {
  return encode(key as Key);
}

function encodePrefix(key: Key): Buffer {
  return Buffer.from(target.subarray(0, codec.encodePrefix(key, target)));
}

function decode(bytes: Uint8Array): Key {
  const buffer = Buffer.from(bytes);
  return codec.decode(buffer, 0, 0, 0, buffer.length, false);
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  return "no error";
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}

/** Cuts that a page may make: not inside a UTF-8 character of a string key, anywhere in other keys. */
function isSplit(bytes: Buffer, key: Key, at: number): boolean {
  return typeof key !== "string" || at === bytes.length || (bytes[at] & 0xc0) !== 0x80;
}

describe("order", () => {
  test("the bytes of two keys compare as the keys do", () => {
    fc.assert(
      fc.property(keyPair, ([a, b]) => {
        expect(Math.sign(Buffer.compare(encode(a), encode(b)))).toBe(Math.sign(compareKeys(a, b)));
      }),
      { numRuns: 8000 },
    );
  });

  test("kinds come in the documented order", () => {
    const keys: Key[] = [
      false,
      true,
      -Number.MAX_VALUE,
      -1,
      0,
      Number.MIN_VALUE,
      Number.MAX_VALUE,
      -(10n ** 400n),
      -(2n ** 64n),
      -1n,
      0n,
      1n,
      10n ** 400n,
      new Date(-8.64e15),
      new Date(0),
      new Date(8.64e15),
      "",
      "\0",
      "a",
      "a\0",
      "a\0b",
      "ab",
      "\uffff",
      "🦊",
      new Uint8Array(0),
      Uint8Array.of(0),
      Uint8Array.of(255),
      [],
      [false],
      [false, true],
      [1],
      ["a"],
      ["a", "b"],
      ["a\0"],
      ["b"],
      [[]],
      [[], false],
      [[false]],
      [["a"], "b"],
    ];
    expect(keys.toSorted((a, b) => Buffer.compare(encode(a), encode(b)))).toEqual(keys);
    expect(keys.toReversed().sort(compareKeys)).toEqual(keys);
  });

  test("1 and 1n are different keys", () => {
    expect(encode(1).equals(encode(1n))).toBe(false);
    expect(decode(encode(1n))).toBe(1n);
    expect(decode(encode(1))).toBe(1);
  });

  test("characters outside the first plane sort after all others, unlike in JavaScript", () => {
    expect("🦊" < "\uffff").toBe(true);
    expect(Buffer.compare(encode("🦊"), encode("\uffff"))).toBe(1);
  });
});

describe("round trip", () => {
  test("every key comes back, wherever a page prefix cuts it", () => {
    fc.assert(
      fc.property(anyKey, fc.nat({ max: 40 }), (key, gap) => {
        const bytes = encode(key);
        const ascii = bytes.every((byte) => byte < 0x80);
        expect(!codec.ascii || ascii).toBe(true);
        const decoder = codec.decoder();
        for (let split = 0; split <= Math.min(bytes.length, 60); split++) {
          if (!isSplit(bytes, key, split)) continue;
          const page = Buffer.concat([bytes.subarray(0, split), Buffer.alloc(gap, 0xff), bytes.subarray(split)]);
          const at = split + gap;
          expect(codec.decode(page, 0, split, at, bytes.length - split, ascii)).toEqual(canonical(key));
          decoder.startPage(page, 0, split);
          expect(decoder.key(at, bytes.length - split, ascii)).toEqual(canonical(key));
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("one decoder reads the entries of one page after another", () => {
    const entries = fc.array(anyKey, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(entries, textKey, fc.nat({ max: 9 }), (keys, head, cut) => {
        const decoder = codec.decoder();
        for (const page of [keys, keys.map((key): Key => [head, key]), keys.map((key): Key => [key, head])]) {
          const encoded = page.map(encode);
          let shared = Math.min(cut, ...encoded.map((bytes) => bytes.length));
          while (!encoded.every((bytes) => startsWith(bytes, encoded[0].subarray(0, shared)))) shared--;
          while (!encoded.every((bytes, index) => isSplit(bytes, page[index], shared))) shared--;
          const buffer = Buffer.concat([
            encoded[0].subarray(0, shared),
            ...encoded.map((bytes) => bytes.subarray(shared)),
          ]);
          decoder.startPage(buffer, 0, shared);
          let at = shared;
          for (const [index, bytes] of encoded.entries()) {
            expect(decoder.key(at, bytes.length - shared, false)).toEqual(canonical(page[index]));
            at += bytes.length - shared;
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a key and an ASCII value are read together", () => {
    const ascii = fc.string({ unit: "binary-ascii", maxLength: 40 });
    fc.assert(
      fc.property(fc.oneof(ascii, fc.tuple(ascii, ascii)), ascii, fc.nat({ max: 8 }), (key, value, cut) => {
        const bytes = encode(key);
        const split = Math.min(cut, bytes.length);
        const page = Buffer.concat([bytes, Buffer.from(value)]);
        const decoder = codec.decoder();
        decoder.startPage(page, 0, split);
        expect(decoder.keyWithText(split, bytes.length - split, value.length)).toEqual([key, value]);
      }),
      { numRuns: 500 },
    );
  });

  test("text of every length and width comes back", () => {
    for (const unit of ["a", "\x01", "é", "中", "🦊"]) {
      for (let length = 0; length <= 80; length++) {
        const text = unit.repeat(length);
        expect(decode(encode(text))).toBe(text);
        expect(decode(encode([text, text]))).toEqual([text, text]);
        expect(decode(encode(`${text}z`))).toBe(`${text}z`);
      }
    }
  });

  test("-0 is stored as 0", () => {
    expect(encode(-0)).toEqual(encode(0));
    expect(Object.is(decode(encode(-0)), 0)).toBe(true);
  });

  test("bytes come back as a plain Uint8Array that shares no memory with the page", () => {
    for (const key of [Uint8Array.of(1, 2, 3), Buffer.alloc(100, 7), [Buffer.from([0, 1, 2])]]) {
      const page = encode(key);
      const read = codec.decode(page, 0, 0, 0, page.length, false);
      const bytes = Array.isArray(read) ? read[0] : read;
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
      page.fill(0xee);
      expect(Array.isArray(key) ? [...key[0]] : [...key]).toEqual([...bytes]);
    }
  });
});

describe("ranges of a prefix", () => {
  test("exactly the arrays that begin with the parts of an array begin with its bytes", () => {
    const pair = fc.oneof(
      fc.tuple(arrayKey, arrayKey),
      fc.tuple(arrayKey, arrayKey).map(([a, b]): [readonly Key[], readonly Key[]] => [a, [...a, ...b]]),
      fc.tuple(textKey, textKey).map(([a, b]): [readonly Key[], readonly Key[]] => [[a], [a + b, 1]]),
      fc
        .tuple(bytesKey, bytesKey)
        .map(([a, b]): [readonly Key[], readonly Key[]] => [[a], [Uint8Array.from([...a, ...b])]]),
    );
    fc.assert(
      fc.property(pair, ([prefix, key]) => {
        const begins = prefix.length <= key.length && compareKeys(prefix, key.slice(0, prefix.length)) === 0;
        expect(startsWith(encode(key), encodePrefix(prefix))).toBe(begins);
      }),
      { numRuns: 3000 },
    );
  });

  test('the range of ["a"] does not hold ["a\\0b"]', () => {
    expect(startsWith(encode(["a\0b"]), encodePrefix(["a"]))).toBe(false);
    expect(startsWith(encode(["a", "b"]), encodePrefix(["a"]))).toBe(true);
    expect(startsWith(encode(["a"]), encodePrefix(["a"]))).toBe(true);
    expect(startsWith(encode("a"), encodePrefix(["a"]))).toBe(false);
  });

  test("the prefix of a string is a prefix of its text, and of nothing but strings", () => {
    fc.assert(
      fc.property(textKey, textKey, (a, b) => {
        expect(startsWith(encode(a + b), encodePrefix(a))).toBe(true);
        expect(startsWith(encode(b), encodePrefix(a))).toBe(b.startsWith(a));
      }),
    );
  });

  test("numbers, dates and booleans are no prefix", () => {
    for (const key of [1, 1n, true, new Date(0)]) expect(code(() => codec.encodePrefix(key, target))).toBe("BOUND");
  });
});

describe("what is no key", () => {
  test("other kinds of values are refused, alone and within arrays", () => {
    const sparse = [1, 2, 3];
    delete sparse[1];
    const wrong = [
      undefined,
      null,
      {},
      () => 1,
      Symbol("key"),
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      new Date(Number.NaN),
      new Map(),
      new Float64Array(1),
      new ArrayBuffer(1),
      new DataView(new ArrayBuffer(1)),
      "\ud800",
      "\udc00",
      "a\ud800b",
      "\udc00\ud800",
      `${"long".repeat(20)}\ud83e`,
      `\udd8a${"long".repeat(20)}`,
      `${"中".repeat(40)}\ud83e`,
      sparse,
    ];
    for (const value of wrong) {
      expect(code(() => encodeUnchecked(value))).toBe("KEY_TYPE");
      expect(code(() => encodeUnchecked([1, value]))).toBe("KEY_TYPE");
      expect(code(() => encodeUnchecked([[value]]))).toBe("KEY_TYPE");
    }
  });

  test("the message says what was given and what is possible", () => {
    expect(() => encodeUnchecked(null)).toThrow(/boolean, finite number, .* not null/);
    expect(() => encodeUnchecked(new Map())).toThrow(/not an object of class Map/);
    expect(() => encodeUnchecked(Number.NaN)).toThrow(/finite number.* not NaN/);
  });

  test("arrays nest to the limit, and a circle is no endless loop", () => {
    let nest: Key = [];
    for (let depth = 1; depth < KEY_DEPTH_MAX; depth++) nest = [nest];
    expect(decode(encode(nest))).toEqual(nest);
    expect(code(() => encode([nest]))).toBe("KEY_TYPE");
    const circle: unknown[] = [];
    circle.push(circle);
    expect(code(() => encodeUnchecked(circle))).toBe("KEY_TYPE");
  });

  test("a key of exactly the largest size is kept, and one byte more refused", () => {
    const cases: [largest: Key, larger: Key][] = [
      ["a".repeat(KEY_SIZE_MAX - 1), "a".repeat(KEY_SIZE_MAX)],
      [`${"é".repeat(988)}a`, `${"é".repeat(988)}aa`],
      [`${"中".repeat(658)}aaa`, `${"中".repeat(659)}a`],
      [new Uint8Array(KEY_SIZE_MAX - 1), new Uint8Array(KEY_SIZE_MAX)],
      [["a".repeat(KEY_SIZE_MAX - 3)], ["a".repeat(KEY_SIZE_MAX - 2)]],
      [[`${"é".repeat(987)}a`], ["é".repeat(988)]],
      [[`${"\0".repeat(987)}a`], ["\0".repeat(988)]],
      [[new Uint8Array(987), true], [new Uint8Array(988)]],
      [2n ** (8n * BigInt(KEY_SIZE_MAX - 4)) - 1n, 2n ** (8n * BigInt(KEY_SIZE_MAX - 4))],
      [-(2n ** (8n * BigInt(KEY_SIZE_MAX - 4))) + 1n, -(2n ** (8n * BigInt(KEY_SIZE_MAX - 4)))],
      [new Array(219).fill(1).concat([true, true, true, true, true, true]), new Array(220).fill(1)],
      [[["a".repeat(KEY_SIZE_MAX - 5)]], [["a".repeat(KEY_SIZE_MAX - 4)]]],
      [
        ["a".repeat(KEY_SIZE_MAX - 4), true],
        ["a".repeat(KEY_SIZE_MAX - 4), []],
      ],
    ];
    for (const [largest, larger] of cases) {
      const bytes = encode(largest);
      expect(bytes.length).toBe(KEY_SIZE_MAX);
      expect(decode(bytes)).toEqual(largest);
      expect(code(() => encode(larger))).toBe("KEY_SIZE");
    }
    expect(encode("a".repeat(KEY_SIZE_MAX - 1)).length).toBe(KEY_SIZE_MAX);
    expect(code(() => encode("a".repeat(10_000_000)))).toBe("KEY_SIZE");
  });

  test("a refused key leaves the codec fit for the next", () => {
    expect(code(() => encode([1, "\ud800"]))).toBe("KEY_TYPE");
    expect(decode(encode([1, "ok"]))).toEqual([1, "ok"]);
  });
});

describe("damaged bytes", () => {
  test("any bytes are read as a key or refused as damage", () => {
    const kinds = fc.constantFrom(0x10, 0x11, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0, 1, 0x80, 0xff);
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.array(fc.oneof(kinds, fc.nat(255)), { maxLength: 60 }).map((bytes) => Uint8Array.from(bytes)),
      // A good key with a byte changed, or cut off.
      fc.tuple(anyKey, fc.nat(), fc.nat(255), fc.boolean()).map(([key, at, byte, cut]) => {
        const bytes = encode(key);
        bytes[at % bytes.length] = byte;
        return cut ? bytes.subarray(0, at % bytes.length) : bytes;
      }),
    );
    fc.assert(
      fc.property(hostile, fc.nat({ max: 20 }), (bytes, cut) => {
        const split = Math.min(cut, bytes.length);
        let key: Key;
        try {
          key = codec.decode(Buffer.from(bytes), 0, split, split, bytes.length - split, false, 7);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError);
          expect(error instanceof CorruptionError && error.page).toBe(7);
          return;
        }
        // What is read without complaint is a key. Text need not be: U+FFFD stands for what is not UTF-8.
        expect(code(() => encode(key))).toMatch(/no error|KEY_SIZE/);
        if (!JSON.stringify([key], (_, part) => (typeof part === "bigint" ? String(part) : part)).includes("\ufffd")) {
          expect([...encode(key)]).toEqual([...bytes]);
        }
      }),
      { numRuns: 8000 },
    );
  });

  test("each way to be damaged is named", () => {
    const cases: [hex: string, message: RegExp][] = [
      ["", /a kind of key.* found nothing/],
      ["99", /found byte 153/],
      ["2000", /a finite number in a key, found 1 bytes/],
      ["20fff8000000000000", /a finite number in a key, found NaN/],
      ["207fffffffffffffff", /a finite number in a key, found -0/],
      ["20800000000000000000", /the end of the key in a key, found 1 bytes more/],
      ["1010", /the end of the key/],
      ["30", /a bigint/],
      ["307f", /a bigint/],
      ["3081", /a bigint/],
      ["308100", /a bigint/],
      ["30ff0001", /a bigint/],
      ["40bfe0000000000000", /a date in a key, found 0.5 milliseconds/],
      ["705061", /escaped bytes with an end/],
      ["7050016100", /escaped bytes with an end/],
      ["7070", /the end of an array/],
      ["7000", /the end of the key/],
      ["70".repeat(40), /nested at most 32 deep/],
    ];
    for (const [hex, message] of cases) expect(() => decode(Buffer.from(hex, "hex"))).toThrow(message);
  });

  test("a prefix or suffix longer than any key is refused", () => {
    const bytes = Buffer.alloc(5000, 0x70);
    expect(code(() => codec.decode(bytes, 0, 3000, 3000, 10, false))).toBe("DAMAGED");
    expect(code(() => codec.decode(bytes, 0, 100, 100, 2047, false))).toBe("DAMAGED");
  });
});
