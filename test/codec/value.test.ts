import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptionError, StoreError } from "../../src/errors.ts";
import { valueCodec } from "../../src/store/codec/codecs.ts";
import type { CustomValueCodec, ValueCodec } from "../../src/store/codec/value.ts";
import { textKey } from "./arbitraries.ts";

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  return "no error";
}

/** Encodes a value and places it between other bytes, as in a page. */
function inPage<V>(codec: ValueCodec<V>, value: V): { page: Buffer; at: number; length: number } {
  codec.encode(value);
  const encoded = codec.bytes.subarray(codec.from, codec.from + codec.length);
  expect(encoded.length).toBe(codec.length);
  if (codec.ascii) expect(encoded.every((byte) => byte < 0x80)).toBe(true);
  return { page: Buffer.concat([Buffer.alloc(5, 0x93), encoded, Buffer.alloc(7, 0x93)]), at: 5, length: codec.length };
}

function roundTrip<V>(codec: ValueCodec<V>, value: V): V {
  const { page, at, length } = inPage(codec, value);
  const read = codec.decode(page, at, length, codec.ascii, false);
  // Nothing of what was read may be a view of the page.
  const before = structuredClone(read);
  page.fill(0xee);
  expect(read).toEqual(before);
  if (codec.ascii && codec.isText) {
    const text = Buffer.from(codec.bytes.subarray(0, codec.length)).toString("latin1");
    expect(codec.fromText(text)).toEqual(before);
  }
  return read;
}

const jsonValue = fc.jsonValue({ maxDepth: 4, stringUnit: "grapheme" });

describe("msgpack", () => {
  const codec = valueCodec("msgpack");

  test("plain values come back", () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        // msgpackr guards against prototype pollution by renaming a property __proto__, and stores -0 as 0.
        fc.pre(!JSON.stringify(value)?.includes("__proto__"));
        const read = roundTrip(codec, value);
        expect(JSON.stringify(read)).toBe(JSON.stringify(value));
      }),
      { numRuns: 2000 },
    );
  });

  test("text alone comes back at every length, from ASCII to the last plane", () => {
    fc.assert(
      fc.property(textKey, (text) => {
        expect(roundTrip<unknown>(codec, text)).toBe(text);
      }),
    );
    for (const unit of ["a", "é", "中", "🦊"]) {
      for (const length of [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 255, 256, 300, 70_000]) {
        expect(roundTrip(codec, unit.repeat(length))).toBe(unit.repeat(length));
      }
    }
  });

  test("what MessagePack has no type for comes back through extensions", () => {
    const values: unknown[] = [
      { a: undefined },
      [1, undefined],
      new Set([1, "a", new Set([2])]),
      /a+/gi,
      new Date(0),
      new Date(1_234_567_890_123),
      new Date(-1),
      new Date(8.64e15),
      new Date(-8.64e15),
      new Date(Number.NaN),
      1n,
      -(2n ** 63n),
      2n ** 64n - 1n,
      2n ** 64n,
      -(2n ** 700n),
      2n ** 70_000n,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      new Float64Array([1.5, 2]),
      new BigInt64Array([1n, -1n]),
      { a: new Int16Array([1, -2]) },
      new ArrayBuffer(3),
      [null, true, { a: [] }],
    ];
    for (const value of values) expect(roundTrip(codec, value)).toEqual(value);
    const error = roundTrip(codec, new TypeError("message"));
    expect(error instanceof TypeError && error.message).toBe("message");
  });

  test("bytes come back as plain Uint8Arrays with memory of their own, whatever the size of the value", () => {
    for (const size of [0, 1, 24, 25, 100, 1000, 70_000]) {
      for (const bytes of [new Uint8Array(size).fill(7), Buffer.alloc(size, 7)]) {
        for (const value of [bytes, { deep: [bytes] }]) {
          const read = roundTrip<unknown>(codec, value);
          const copy = read instanceof Uint8Array ? read : (read as { deep: Uint8Array[] }).deep[0];
          expect(Object.getPrototypeOf(copy)).toBe(Uint8Array.prototype);
          expect(Buffer.compare(copy, bytes)).toBe(0);
          expect(copy.buffer.byteLength).toBe(size);
        }
      }
    }
  });

  test("values outlive later decodes", () => {
    const { page, at, length } = inPage<unknown>(codec, {
      bytes: Buffer.from("first"),
      text: "first text, not a short one",
    });
    const first = codec.decode(page, at, length, false, false);
    roundTrip<unknown>(codec, { bytes: Buffer.from("other"), text: "other text, not a short one" });
    expect(first).toEqual({ bytes: new Uint8Array(Buffer.from("first")), text: "first text, not a short one" });
  });

  test("what would not come back is refused", () => {
    class Bytes extends Uint8Array {}
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    const wrong: unknown[] = [
      undefined,
      () => 1,
      Symbol("value"),
      { deep: [() => 1] },
      { deep: Symbol("value") },
      new Map([[1, 2]]),
      { deep: [new Map()] },
      Promise.resolve(1),
      circle,
      "\ud800",
      new Bytes(2),
      new SharedArrayBuffer(8),
      new AggregateError([1], "several"),
      new WeakMap(),
      new WeakSet(),
      new WeakRef({}),
      Object(1),
      Object("text"),
      (function* () {})(),
    ];
    for (const value of wrong) {
      expect(code(() => codec.encode(value))).toBe("VALUE_TYPE");
      expect(roundTrip<unknown>(codec, { after: "an error" })).toEqual({ after: "an error" });
    }
  });

  test("what is stored otherwise than given, as documented", () => {
    class Point {
      x = 1;
    }
    expect(Object.is(roundTrip<unknown>(codec, -0), 0)).toBe(true);
    expect(roundTrip<unknown>(codec, new Point())).toStrictEqual({ x: 1 });
    expect(roundTrip<unknown>(codec, ["\ud800"])).toEqual(["\ufffd\ufffd\ufffd"]);
    expect(roundTrip<unknown>(codec, JSON.parse('{"__proto__": 1}'))).toEqual({ __proto_: 1 });
    expect(roundTrip<unknown>(codec, { [Symbol("key")]: 1, a: 2 })).toEqual({ a: 2 });
  });

  test("objects with more properties than a 16-bit count come back, and the memory of large values is let go", () => {
    const large = Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [`property ${index}`, index]));
    expect(roundTrip<unknown>(codec, large)).toEqual(large);
    expect(codec.bytes.length).toBeGreaterThan(1e6);
    codec.release();
    codec.encode(1);
    expect(codec.bytes.length).toBeLessThan(1e5);
  });

  test("any bytes are read as a value or refused as damage", () => {
    const tokens = fc.constantFrom(
      0x81,
      0x92,
      0x9f,
      0xa3,
      0xc1,
      0xc4,
      0xc7,
      0xd4,
      0xd6,
      0xd9,
      0xdb,
      0xdd,
      0xdf,
      0x72,
      0x62,
      0x69,
      0x70,
      0x73,
      0x74,
      0x78,
      0x65,
      0x42,
      0xff,
      0,
    );
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.oneof(tokens, tokens, fc.nat(255)), { maxLength: 60 }).map((bytes) => Uint8Array.from(bytes)),
      fc.tuple(jsonValue, fc.nat(), fc.nat(255), fc.boolean()).map(([value, at, byte, cut]) => {
        const { page, at: from, length } = inPage<unknown>(codec, value);
        const bytes = page.subarray(from, from + length);
        bytes[at % length] = byte;
        return cut ? bytes.subarray(0, at % length) : bytes;
      }),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        const page = Buffer.concat([bytes, Buffer.alloc(300, 0x9f)]);
        try {
          codec.decode(page, 0, bytes.length, false, false);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError);
        }
      }),
      { numRuns: 6000 },
    );
    expect(roundTrip<unknown>(codec, { still: "fit" })).toEqual({ still: "fit" });
  });

  test("damage is refused for what it is: nothing, a cut, a rest, a nest without end", () => {
    for (const bytes of [
      [],
      [0xc1],
      [0x92, 1],
      [1, 1],
      [0xdb, 0xff, 0xff, 0xff, 0xff, 1],
      [0xdd, 0xff, 0xff, 0xff, 0xff],
    ]) {
      expect(code(() => codec.decode(Buffer.from(bytes), 0, bytes.length, false, false))).toBe("DAMAGED");
    }
    for (const size of [50_000, 5_000_000]) {
      expect(code(() => codec.decode(Buffer.alloc(size, 0x91), 0, size, false, false))).toBe("DAMAGED");
    }
  });
});

describe("json", () => {
  const codec = valueCodec("json");

  test("values come back as JSON gives them", () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        expect(roundTrip<unknown>(codec, value)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    expect(roundTrip<unknown>(codec, { lone: "\ud800", long: "é".repeat(100_000) })).toEqual({
      lone: "\ud800",
      long: "é".repeat(100_000),
    });
  });

  test("what JSON can't express is refused, with the cause", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    for (const value of [undefined, () => 1, Symbol("value"), 1n, { deep: 1n }, circle]) {
      expect(code(() => codec.encode(value))).toBe("VALUE_TYPE");
    }
    expect(() => codec.encode(1n)).toThrow(expect.objectContaining({ cause: expect.any(TypeError) }));
  });

  test("damaged text is refused", () => {
    for (const text of ["", "{", '{"a":1}}', "\0", "nul"]) {
      expect(code(() => codec.decode(Buffer.from(text), 0, text.length, true, false))).toBe("DAMAGED");
      expect(code(() => codec.fromText(text))).toBe("DAMAGED");
    }
  });
});

describe("string", () => {
  const codec = valueCodec("string");

  test("text comes back, and is known to be ASCII exactly if it is", () => {
    fc.assert(
      fc.property(textKey, (text) => {
        expect(roundTrip(codec, text)).toBe(text);
        expect(codec.ascii).toBe(Array.from(text).every((character) => character < "\x80"));
      }),
      { numRuns: 1000 },
    );
    for (const unit of ["a", "é", "中", "🦊"]) {
      for (const length of [19, 20, 21, 2730, 2731, 8192, 8193, 349_525, 349_526, 1_100_000]) {
        expect(roundTrip(codec, unit.repeat(length)) === unit.repeat(length)).toBe(true);
      }
    }
  });

  test("other kinds and lone surrogates are refused", () => {
    for (const value of [undefined, null, 1, {}, Buffer.from("a"), "\ud800", `${"é".repeat(5000)}\udc00`]) {
      expect(code(() => codec.encode(value as string))).toBe("VALUE_TYPE");
    }
  });

  test("a small value costs no new buffer, and the memory of a large one is let go", () => {
    codec.encode("a".repeat(2000));
    const kept = codec.bytes.buffer;
    codec.encode("b");
    expect(codec.bytes.buffer).toBe(kept);
    const view = codec.bytes;
    codec.encode("c");
    expect(codec.bytes).toBe(view);
    codec.encode("a".repeat(2_000_000));
    expect(codec.bytes.length).toBe(2_000_000);
    codec.encode("d");
    expect([codec.bytes[0], codec.length]).toEqual([100, 1]);
    codec.release();
    expect(codec.bytes.length).toBeLessThan(10_000);
  });
});

describe("binary", () => {
  const codec = valueCodec("binary");

  test("bytes come back as a plain Uint8Array", () => {
    for (const size of [0, 1, 23, 24, 25, 64, 65, 1000, 100_000]) {
      const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index * 7));
      const read = roundTrip<Uint8Array>(codec, bytes);
      expect(Object.getPrototypeOf(read)).toBe(Uint8Array.prototype);
      expect(read.buffer.byteLength).toBe(size);
      expect(Buffer.compare(read, bytes)).toBe(0);
    }
  });

  test("other kinds are refused", () => {
    const wrong: unknown[] = [undefined, null, "a", [1], new Uint16Array(2), new ArrayBuffer(2)];
    for (const value of wrong) {
      expect(code(() => codec.encode(value as Uint8Array))).toBe("VALUE_TYPE");
    }
  });
});

describe("a codec of one's own", () => {
  const reversed: CustomValueCodec<string> = {
    name: "reversed",
    encode: (value) => Buffer.from(Array.from(value).reverse().join("")),
    decode: (bytes) => Array.from(Buffer.from(bytes).toString()).reverse().join(""),
  };

  test("is used, and its bytes are its own", () => {
    const kept: Uint8Array[] = [];
    const decode = (bytes: Uint8Array): string => {
      kept.push(bytes);
      return reversed.decode(bytes);
    };
    const codec = valueCodec({ ...reversed, decode });
    expect(codec.name).toBe("reversed");
    expect(roundTrip(codec, "abc")).toBe("abc");
    expect(kept).toEqual([new Uint8Array(Buffer.from("cba"))]);
  });

  test("must return bytes, and its errors pass through", () => {
    const wrong = valueCodec({ ...reversed, encode: () => "text" as unknown as Uint8Array });
    expect(code(() => wrong.encode("a"))).toBe("VALUE_TYPE");
    const thrower = valueCodec({
      ...reversed,
      encode: () => {
        throw new RangeError("own error");
      },
    });
    expect(() => thrower.encode("a")).toThrow(RangeError);
  });

  test("must have a name and both functions", () => {
    const wrong: unknown[] = [
      "bson",
      "constructor",
      undefined,
      null,
      1,
      {},
      { ...reversed, name: "" },
      { ...reversed, name: "é".repeat(128) },
      { ...reversed, name: "\ud800" },
      { ...reversed, name: "json" },
      { ...reversed, encode: 1 },
      { name: "half", encode: reversed.encode },
    ];
    for (const option of wrong) expect(code(() => valueCodec(option as CustomValueCodec<string>))).toBe("OPTION");
    expect(valueCodec({ ...reversed, name: `a${"é".repeat(127)}` }).name.length).toBe(128);
    expect(() => valueCodec("bson" as "json")).toThrow(/"bson"; possible are msgpack, json, string, binary/);
  });
});
