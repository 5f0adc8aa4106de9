/**
 * Objects that are not what they seem: subclasses, overridden properties, memory that is gone or another thread's. What is
 * stored is what the language keeps of them, or they are refused; no lie about a length reaches a page.
 */
import { Buffer } from "node:buffer";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { keyCodec, valueCodec } from "../../src/store/codec/codecs.ts";
import { KEY_TARGET_SIZE } from "../../src/store/codec/key.ts";
import { codeOf, filled, newStorePath, opened } from "../support/opened.ts";

const LIES = [-1, 0, 1.5, 2 ** 31, 1e9, Number.NaN, "3", undefined];
const SIZES = [0, 3, 40, 100, 5000];

/** Arrays of these bytes that say of themselves what is not so. */
function liars(bytes: Uint8Array): Uint8Array[] {
  return LIES.flatMap((lie) => {
    class Subclass extends Uint8Array {
      override get length(): number {
        return lie as number;
      }
      override get byteLength(): number {
        return lie as number;
      }
      override subarray(): Uint8Array<ArrayBuffer> {
        return new Uint8Array(7);
      }
    }
    const own = ["length", "byteLength", "byteOffset", "buffer"].map((name) =>
      Object.defineProperty(new Uint8Array(bytes), name, { value: lie }),
    );
    const method = Object.assign(new Uint8Array(bytes), { subarray: () => new Uint8Array(7), slice: () => lie });
    const buffer = Object.defineProperty(Buffer.from(bytes), "length", { value: lie });
    return [new Subclass(bytes), ...own, method, buffer];
  });
}

function counted(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => i * 7 + 1);
}

/** An array whose memory has been transferred away. */
function detached(): Uint8Array {
  const bytes = new Uint8Array(100);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

test.each(["ordered", "binary"] as const)("as keys (%s), bytes that lie about themselves are what they are", (name) => {
  const codec = keyCodec(name);
  const target = Buffer.alloc(KEY_TARGET_SIZE);
  for (const size of SIZES.slice(0, -1)) {
    const bytes = counted(size);
    const wanted = target.subarray(0, codec.encode(bytes, target)).toString("hex");
    for (const liar of liars(bytes)) {
      expect(target.subarray(0, codec.encode(liar, target)).toString("hex")).toBe(wanted);
    }
  }
});

test("the same of bytes in arrays: none of them hangs", () => {
  const codec = keyCodec("ordered");
  const target = Buffer.alloc(KEY_TARGET_SIZE);
  const bytes = counted(40);
  const wanted = target.subarray(0, codec.encode(["a", bytes, 1], target)).toString("hex");
  for (const liar of liars(bytes)) {
    expect(target.subarray(0, codec.encode(["a", liar, 1], target)).toString("hex")).toBe(wanted);
  }
});

test("as values, and as what a codec makes of them, bytes that lie about themselves are what they are", async () => {
  const custom = { name: "as they are", encode: (value: Uint8Array) => value, decode: (bytes: Uint8Array) => bytes };
  for (const valueEncoding of ["binary", custom] as const) {
    const store = opened<number, Uint8Array>(newStorePath(), { valueEncoding });
    const wanted: Uint8Array[] = [];
    for (const size of SIZES) {
      for (const liar of liars(counted(size))) {
        store.putSync(wanted.push(counted(size)) - 1, liar);
        await store.put(wanted.push(counted(size)) - 1, liar);
      }
    }
    expect([...store.values()].every((value, i) => Buffer.compare(value, wanted[i]) === 0)).toBe(true);
  }
});

test("msgpack refuses a view that is not just what its class makes, and survives one that lies within a value", async () => {
  const store = filled<string, unknown>([["there", "stays"]]);
  for (const liar of liars(counted(40)).filter((each) => !Object.hasOwn(each, "subarray"))) {
    expect(await codeOf(() => store.putSync("a", liar))).toBe("VALUE_TYPE");
    // Of one within a value all that is promised is that no other entry is harmed.
    await codeOf(() => store.putSync("b", { deep: [liar] }));
    await codeOf(() => store.get("b"));
  }
  expect(store.get("there")).toBe("stays");
  store.putSync("a", { after: counted(40) });
  expect(store.get("a")).toEqual({ after: counted(40) });
});

test("bytes whose memory has been transferred away are neither key nor value", async () => {
  const store = opened<unknown, unknown>(newStorePath(), { valueEncoding: "binary" });
  for (const key of [detached(), ["a", detached()]]) expect(await codeOf(() => store.get(key))).toBe("KEY_TYPE");
  expect(await codeOf(() => store.put("a", detached()))).toBe("VALUE_TYPE");
  const binary = opened<Uint8Array, unknown>(newStorePath(), { keyEncoding: "binary" });
  expect(await codeOf(() => binary.get(detached()))).toBe("KEY_TYPE");
  for (const value of [detached(), { deep: detached() }, detached().buffer]) {
    expect(await codeOf(() => binary.put(counted(1), value))).toBe("VALUE_TYPE");
  }
  expect([store.count(), binary.count()]).toEqual([0, 0]);
});

test("a key whose getter transfers the value away does not store what is not there", async () => {
  const store = opened<unknown, unknown>(newStorePath(), { valueEncoding: "binary" });
  const value = new Uint8Array(5000).fill(1);
  const key: unknown[] = ["a"];
  Object.defineProperty(key, 1, { get: () => structuredClone(1, { transfer: [value.buffer] }) });
  expect(await codeOf(() => store.put(key, value))).toBe("VALUE_TYPE");
  expect(store.count()).toBe(0);
});

test("shared memory, resizable memory and bytes of another realm are keys and values like others", () => {
  const store = opened<unknown, Uint8Array>(newStorePath(), { valueEncoding: "binary" });
  for (const size of SIZES.slice(0, -1)) {
    const wanted = counted(size);
    const shared = new Uint8Array(new SharedArrayBuffer(size));
    shared.set(wanted);
    const other = runInNewContext("Uint8Array.from(bytes)", { bytes: wanted }) as Uint8Array;
    for (const bytes of [shared, Buffer.from(shared.buffer), other]) {
      store.putSync(["bytes", bytes], bytes);
      expect([...store.entries({ prefix: ["bytes", bytes] })]).toEqual([[["bytes", wanted], wanted]]);
    }
  }
});

test("msgpack refuses bytes of another realm, which it would take for an object", () => {
  const other: unknown = runInNewContext("new Uint8Array(3)");
  expect(() => valueCodec("msgpack").encode(other)).toThrow(expect.objectContaining({ code: "VALUE_TYPE" }));
});

test("a Date is its time, whatever its methods say, and what only inherits from one is no key", async () => {
  const store = opened<unknown, unknown>();
  for (const lie of [() => 1.5, () => Number.NaN, () => "x", () => 1e300]) {
    const date = Object.assign(new Date(5), { getTime: lie, valueOf: lie });
    store.putSync([date], 1);
    store.putSync(date, 1);
  }
  expect([...store.keys()]).toEqual([new Date(5), [new Date(5)]]);
  const impostors = [Object.create(Date.prototype), Object.create(Uint8Array.prototype), new Proxy(new Date(), {})];
  for (const impostor of impostors) {
    for (const key of [impostor, [impostor]]) expect(await codeOf(() => store.get(key))).toBe("KEY_TYPE");
  }
});

test("a message about something hostile is a message all the same", async () => {
  const store = opened<unknown, unknown>(newStorePath(), { valueEncoding: "binary" });
  const thrower = {
    get constructor(): never {
      throw new Error("mine");
    },
  };
  expect(await codeOf(() => store.get(thrower))).toBe("KEY_TYPE");
  expect(await codeOf(() => store.put("a", thrower))).toBe("VALUE_TYPE");
});

test("a value that msgpack can write and not read back is named as a possibility by the error", () => {
  class Own extends Uint8Array {}
  const store = filled<string, unknown>([["a", { deep: new Own(3) }]]);
  expect(() => store.get("a")).toThrow(/typed array of a class of one's own/);
});
