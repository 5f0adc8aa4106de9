/**
 * Code of the user's that runs in the middle of an operation: getters and proxies in keys, `toJSON` and getters in values,
 * the functions of a codec. It may use the store, or end what is under way, and no key or value becomes another by it.
 */
import { expect, test } from "vitest";
import type { CustomValueCodec, Key, Store, Transaction } from "../../src/index.ts";
import { codeOf, filled, newStorePath, opened } from "../support/opened.ts";

/** A key whose last part is the result of a function. */
function keyEndingWith(parts: readonly Key[], last: () => Key): Key[] {
  const key = [...parts];
  Object.defineProperty(key, parts.length, { enumerable: true, get: last });
  return key;
}

/** Values are texts; what a test hangs in here runs at each call. */
class Meddler implements CustomValueCodec<string> {
  readonly name = "meddler";
  whileEncoding: (value: string) => void = () => undefined;
  whileDecoding: (value: string) => void = () => undefined;

  encode(value: string): Uint8Array {
    this.whileEncoding(value);
    return new TextEncoder().encode(value);
  }

  decode(bytes: Uint8Array): string {
    const value = new TextDecoder().decode(bytes);
    this.whileDecoding(value);
    return value;
  }
}

/** A store of numbered texts, whose codec meddles. */
function meddled(count: number): { store: Store<number, string>; codec: Meddler } {
  const codec = new Meddler();
  const store = filled<number, string>(
    Array.from({ length: count }, (_, i) => [i, `value ${i}`]),
    { valueEncoding: codec },
  );
  return { store, codec };
}

test("a getter within a key that reads the store does not turn it into another key", async () => {
  const store = opened<Key, unknown>();
  const wanted = ["aaaa", "bbbb", "cccc"];
  const meddling = (): Key =>
    keyEndingWith(["aaaa", "bbbb"], () => {
      store.get("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
      return "cccc";
    });
  await store.put(meddling(), 1);
  store.putSync(meddling(), 2);
  store.transactionSync((transaction) => transaction.put(meddling(), 3));
  expect([...store]).toEqual([[wanted, 3]]);
  expect([store.get(meddling()), store.has(meddling()), store.count({ prefix: meddling() })]).toEqual([3, true, 1]);
  expect([...store.keys({ gte: meddling(), lte: meddling() })]).toEqual([wanted]);
  expect(await store.delete(meddling())).toBe(true);
});

test("a proxy within a key that reads the store does not turn it into another key", async () => {
  const store = opened<Key, unknown>();
  const proxy: Key[] = new Proxy(["aaaa", "bbbb"], {
    get(parts, name) {
      store.has("zzzzzzzzzzzzzzzzzzzzzzzz");
      return Reflect.get(parts, name);
    },
  });
  await store.put(["outer", proxy], 1);
  expect([...store.keys()]).toEqual([["outer", ["aaaa", "bbbb"]]]);
});

test("a key that puts another entry while it is put keeps its own value", async () => {
  const store = opened<Key, string>();
  const key = keyEndingWith(["a"], () => {
    void store.put("other", "y".repeat(5000));
    return "b";
  });
  await store.put(key, "mine");
  expect([...store]).toEqual([
    ["other", "y".repeat(5000)],
    [["a", "b"], "mine"],
  ]);
});

test("a key that commits, or closes the store, while it is looked up is looked up in what is there then", async () => {
  const store = filled<Key, number>(Array.from({ length: 2000 }, (_, i): [Key, number] => [["k", i], i]));
  store.get(["k", 5]);
  const key = keyEndingWith(["k"], () => {
    for (let i = 0; i < 10; i++) store.putSync(["k", 5], -i);
    return 5;
  });
  expect(store.get(key)).toBe(-9);
  expect(store.count({ gte: key })).toBe(1995);
  const closing = keyEndingWith(["k"], () => {
    store.closeSync();
    return 5;
  });
  expect(await codeOf(() => store.get(closing))).toBe("CLOSED");
});

test("a key that claims to have more parts than any key can is refused, before it has taken all memory", async () => {
  const store = opened<Key, unknown>();
  let nest: Key[] = [];
  for (let depth = 0; depth < 30; depth++) nest = [nest, nest];
  const endless: Key[] = new Proxy([], { get: (_, name) => (name === "length" ? 2 ** 32 : true) });
  for (const key of [nest, endless]) expect(await codeOf(() => store.get(key))).toBe("KEY_SIZE");
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  expect(
    await codeOf(() =>
      store.get([
        "a",
        {
          get constructor() {
            throw new Error("mine");
          },
        } as unknown as Key,
      ]),
    ),
  ).toBe("KEY_TYPE");
  expect(await codeOf(() => store.put("a", 1).then(() => store.get(revoked as Key)))).toBeInstanceOf(TypeError);
});

test("a value that puts a large one while it is encoded comes back as it is", async () => {
  const store = opened<string, unknown>();
  const large = "x".repeat(3_000_000);
  const value = {
    before: "first part",
    get middle(): string {
      void store.put("large", large);
      return "second part";
    },
    after: "third part",
  };
  await store.put("value", value);
  expect(store.get("value")).toEqual({ before: "first part", middle: "second part", after: "third part" });
  expect(store.get("large")).toBe(large);
  class Meddling {
    toJSON(): unknown {
      void store.put("large", "small");
      return ["from", "toJSON"];
    }
  }
  await store.put("value", new Meddling());
  expect([store.get("value"), store.get("large")]).toEqual([["from", "toJSON"], "small"]);
});

test("CLOSED: a codec that closes the store while it encodes", async () => {
  const { store, codec } = meddled(3);
  codec.whileEncoding = () => store.closeSync();
  expect(await codeOf(() => store.put(1, "late"))).toBe("CLOSED");
  const other = meddled(3);
  other.codec.whileEncoding = () => void other.store.close();
  expect(await codeOf(() => other.store.put(1, "late"))).toBe("CLOSED");
  const deleting = opened<Key, unknown>();
  const key = keyEndingWith([1], () => {
    deleting.closeSync();
    return 2;
  });
  expect(await codeOf(() => deleting.delete(key))).toBe("CLOSED");
});

test("TRANSACTION_NESTED: a codec that closes the store within a transaction", async () => {
  const { store, codec } = meddled(3);
  codec.whileEncoding = () => store.closeSync();
  expect(await codeOf(() => store.putSync(1, "late"))).toBe("TRANSACTION_NESTED");
  codec.whileEncoding = () => undefined;
  store.putSync(1, "in time");
  expect(store.get(1)).toBe("in time");
});

test("a codec that reads while it decodes gives every caller its own value", () => {
  const { store, codec } = meddled(300);
  let reading = false;
  codec.whileDecoding = () => {
    if (reading) return;
    reading = true;
    expect(store.get(299)).toBe("value 299");
    expect([...store.values({ limit: 2 })]).toEqual(["value 0", "value 1"]);
    reading = false;
  };
  expect(store.get(7)).toBe("value 7");
  expect([...store.values()]).toEqual(Array.from({ length: 300 }, (_, i) => `value ${i}`));
});

test("an iterator ended while an entry is decoded gives that entry, and no other", () => {
  const { store, codec } = meddled(300);
  for (const part of ["values", "entries"] as const) {
    const iterator = store[part]({ gte: 5 });
    codec.whileDecoding = (value) => {
      if (value === "value 6") iterator.return?.();
    };
    expect([...iterator].length).toBe(2);
    expect(iterator.next().done).toBe(true);
  }
});

test("an iterator that is asked for the next entry while one is decoded gives each entry once", () => {
  const { store, codec } = meddled(6);
  const iterator = store.values();
  const within: unknown[] = [];
  codec.whileDecoding = (value) => {
    if (value === "value 2") within.push(iterator.next().value);
  };
  expect([...iterator]).toEqual(["value 0", "value 1", "value 2", "value 4", "value 5"]);
  expect(within).toEqual(["value 3"]);
});

test("CLOSED: an iterator whose store is closed while an entry is decoded gives that entry, then the error", async () => {
  const { store, codec } = meddled(6);
  const iterator = store.entries();
  codec.whileDecoding = () => store.closeSync();
  expect(iterator.next().value).toEqual([0, "value 0"]);
  expect(await codeOf(() => iterator.next())).toBe("CLOSED");
});

test("in a transaction, a codec that deletes the entry it decodes makes the iterator skip none", () => {
  for (const reverse of [false, true]) {
    const { store, codec } = meddled(1000);
    store.transactionSync((transaction: Transaction<number, string>) => {
      codec.whileDecoding = (value) => transaction.delete(Number(value.slice("value ".length)));
      const given = [...transaction.entries({ reverse })];
      expect(given.length).toBe(1000);
      expect(transaction.count()).toBe(0);
    });
    codec.whileDecoding = () => undefined;
    expect(store.count()).toBe(0);
  }
});

test("values of several pages are given whole by iterators whose codec meddles", () => {
  const codec = new Meddler();
  const store = opened<number, string>(newStorePath(), { valueEncoding: codec });
  const values = Array.from({ length: 20 }, (_, i) => String(i % 10).repeat(3000 + i * 1000));
  store.transactionSync((transaction) => {
    for (const [i, value] of values.entries()) transaction.put(i, value);
  });
  store.transactionSync((transaction) => {
    let i = 0;
    codec.whileDecoding = () => transaction.delete(i++);
    expect([...transaction.values()]).toEqual(values);
  });
});
