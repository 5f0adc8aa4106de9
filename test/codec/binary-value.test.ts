/** The memory of binary values: what those of a range share, and what of a user's is copied at once. */
import { Buffer } from "node:buffer";
import { ReadableStream } from "node:stream/web";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { valueCodec } from "../../src/store/codec/codecs.ts";

const codec = valueCodec("binary");

describe("one among many", () => {
  const page = Buffer.from(Array.from({ length: 70_016 }, (_, index) => index * 7)).subarray(16);
  const length = fc.oneof(fc.nat(130), fc.nat(600), fc.constantFrom(64, 65, 512, 513, 2048, 60_000));

  test("shares a small buffer with its neighbours, and not one byte of it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(9000), length, mayPool: fc.boolean() }), { maxLength: 60 }),
        (reads) => {
          const read = reads.map(({ at, length, mayPool }) => codec.decode(page, at, length, false, mayPool));
          for (const [index, copy] of read.entries()) {
            const { at, length, mayPool } = reads[index];
            expect(Buffer.compare(copy, page.subarray(at, at + length))).toBe(0);
            expect(Object.getPrototypeOf(copy)).toBe(Uint8Array.prototype);
            const shares = mayPool && length > 64 && length <= 512;
            expect([copy.buffer.byteLength, copy.byteOffset % 8]).toEqual([shares ? 2048 : length, 0]);
          }
          for (const [index, copy] of read.entries()) copy.fill(index);
          for (const [index, copy] of read.entries()) expect(copy.every((byte) => byte === index)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("lies in a buffer that is full before another is made", () => {
    const fresh = valueCodec("binary");
    const buffers = Array.from({ length: 5 }, () => fresh.decode(page, 3, 512, false, true).buffer);
    expect(buffers.map((buffer) => buffers.indexOf(buffer))).toEqual([0, 0, 0, 0, 4]);
  });

  test("is not transferred, and where somebody does it all the same those to come are whole", () => {
    const fresh = valueCodec("binary");
    const first = fresh.decode(page, 0, 100, false, true);
    const second = fresh.decode(page, 100, 100, false, true);
    expect(second.buffer).toBe(first.buffer);
    try {
      structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
    } catch (error) {
      expect(error).toMatchObject({ name: "DataCloneError" });
    }
    expect(Buffer.compare(second, page.subarray(100, 200))).toBe(0);
    // Node 20 and 22 let a byte stream have it, and take the memory of both.
    try {
      new ReadableStream({ type: "bytes", start: (controller) => controller.enqueue(first) });
      expect([first.length, second.length]).toEqual([0, 0]);
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
    }
    expect(Buffer.compare(fresh.decode(page, 7, 100, false, true), page.subarray(7, 107))).toBe(0);
  });
});

test("memory that another thread may change is copied at once, whatever it says it is, and no other", () => {
  const shared = new SharedArrayBuffer(100);
  const other: unknown = runInNewContext("new SharedArrayBuffer(100)");
  const growable: unknown = Reflect.construct(SharedArrayBuffer, [100, { maxByteLength: 200 }]);
  const disguised: unknown = Object.setPrototypeOf(structuredClone(shared), ArrayBuffer.prototype);
  for (const memory of [shared, other, growable, disguised] as SharedArrayBuffer[]) {
    const value = new Uint8Array(memory).fill(1);
    codec.encode(value);
    value.fill(2);
    expect([codec.length, codec.bytes.length, ...new Set(codec.bytes)]).toEqual([100, 100, 1]);
  }
  const resizable: unknown = Reflect.construct(ArrayBuffer, [100, { maxByteLength: 200 }]);
  const alone: unknown = Object.setPrototypeOf(new ArrayBuffer(100), SharedArrayBuffer.prototype);
  for (const memory of [new ArrayBuffer(100), resizable, alone, runInNewContext("new ArrayBuffer(100)")]) {
    const value = new Uint8Array(memory as ArrayBuffer);
    codec.encode(value);
    expect(codec.bytes).toBe(value);
  }
});
