/**
 * A process that uses mappings as its parent tells it to, by messages: { id, call, options }, answered by { id, value } or
 * { id, error }. Mappings and views are kept under the names the parent gives them.
 */
import { fstatSync, readFileSync, statSync, writeSync } from "node:fs";
import { createMapping, openMapping, receiveMapping } from "foliodb/mapping";

const mappings = new Map();
const views = new Map();

/** What the parent learns of a mapping. */
function keep(key, mapping) {
  mappings.set(key, mapping);
  const { size, protection, backing, name, path, existed } = mapping;
  return { size, protection, backing, name, path, existed };
}

const calls = {
  create: ({ as = "m", ...options }) => keep(as, createMapping(options)),
  open: ({ as = "m", name, ...options }) => keep(as, openMapping(name, options)),
  receive: ({ as = "m", token }) => keep(as, receiveMapping(token)),
  handTo: ({ of = "m", pid, ...options }) => mappings.get(of).handTo(pid, options),
  view: ({ of = "m", as = "v", ...options }) => {
    views.set(as, mappings.get(of).view(options));
    return views.get(as).length;
  },
  load: ({ of = "v", at = 0, length = 1 }) => [...views.get(of).bytes.subarray(at, at + length)],
  store: ({ of = "v", at = 0, bytes }) => views.get(of).bytes.set(bytes, at),
  add: ({ of = "v", index = 0, times }) => {
    const view = views.get(of);
    const words = new Int32Array(view.bytes.buffer, view.bytes.byteOffset, view.length >> 2);
    for (let i = 0; i < times; i++) Atomics.add(words, index, 1);
  },
  check: ({ of = "v" }) => views.get(of).check(),
  flush: ({ of = "v", ...options }) => views.get(of).flush({}, options),
  closeView: ({ of = "v" }) => views.get(of).close(),
  closeMapping: ({ of = "m" }) => mappings.get(of).close(),
  forget: ({ of = "v" }) => views.delete(of),
  collect: () => globalThis.gc(),
  exit: () => setImmediate(() => process.exit(0)),
  isOpenDescriptor: ({ number }) => fstatSync(number).isFile(),
  writeDescriptor: ({ number }) => writeSync(number, "x"),
  descriptorFlags: ({ number }) =>
    Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${number}`))[1], 8),
  argument: () => process.argv[2],
  /** Uses names together with others, and leaves each at the same moment as they do. */
  leaveTogether: ({ names, users }) => {
    for (const name of names) {
      const own = createMapping({ name, size: 4096 });
      const view = own.view();
      const words = new Int32Array(view.bytes.buffer);
      Atomics.add(words, 0, 1);
      while (Atomics.load(words, 0) < users);
      view.close();
      own.close();
    }
  },
  /** Makes a file longer step by step; a step may be no step where another is ahead, but never one back. */
  growTogether: ({ path, from, step, rounds }) => {
    for (let i = 0; i < rounds; i++) {
      const size = from + i * step;
      createMapping({ path, size }).close();
      const found = statSync(path).size;
      if (found < size) throw new Error(`round ${i}: the file has ${found} bytes and should have ${size} at least`);
    }
  },
  /** Joins and leaves a name as often as it can; while it is a user, the name must mean the memory it has. */
  churn: ({ name, slot, durationMs }) => {
    let rounds = 0;
    let created = 0;
    for (const end = Date.now() + durationMs; Date.now() < end; rounds++) {
      const own = createMapping({ name, size: 4096 });
      if (!own.existed) created++;
      const view = own.view();
      view.bytes[slot] = 1 + (rounds % 255);
      const again = openMapping(name, { access: "read" });
      const seen = again.view();
      if (seen.bytes[slot] !== 1 + (rounds % 255)) throw new Error(`round ${rounds}: the name means other memory`);
      for (const each of [seen, again, view, own]) each.close();
    }
    return { rounds, created };
  },
};

process.on("message", async ({ id, call, options }) => {
  try {
    process.send({ id, value: await calls[call](options ?? {}) });
  } catch (error) {
    process.send({ id, error: { name: error.name, code: error.code, message: error.message } });
  }
});
process.on("disconnect", () => process.exit(0));
process.send({ ready: true });
