/**
 * Closes a view while something else of the process has yet to store into its bytes, and sends what became of the addresses, of
 * what was stored, and of the mappings that were made meanwhile.
 */
import { execFileSync } from "node:child_process";
import { pbkdf2, randomFill } from "node:crypto";
import { closeSync, constants, openSync, read, readFileSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { createMapping } from "foliodb/mapping";

const SIZE = 1 << 20;
const [scenario, path] = process.argv.slice(2);
const deriveKey = promisify(pbkdf2);

async function collect() {
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    await pause(5);
  }
}

/** Views where the system puts them: one of a file, others of memory. */
function mapOthers() {
  const other = createMapping({ path, disposition: "openOrCreate", size: SIZE });
  const memory = createMapping({ size: SIZE });
  return [other.view(), ...Array.from({ length: 8 }, () => memory.view())];
}

/** What an address lies in: "free" is for nothing. Only Linux tells. */
function whatIsAt(address) {
  if (process.platform !== "linux") return "not told";
  for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const [, from, to] = /^(\w+)-(\w+)/.exec(line) ?? [];
    if (from !== undefined && address >= BigInt(`0x${from}`) && address < BigInt(`0x${to}`)) return "taken";
  }
  return "free";
}

/** All of Node's threads have something to do for a while, so that what comes next begins later. */
function busyPool() {
  return Promise.all(Array.from({ length: 4 }, () => deriveKey("password", "salt", 400_000, 32, "sha512")));
}

/**
 * `begin` begins something that stores into a view's bytes, and returns what ends it. The view is closed at once, and nothing refers
 * to it any more but what was begun.
 */
async function closeEarly(begin, mapping = createMapping({ size: SIZE })) {
  const { address, end, closed } = await (async () => {
    const view = mapping.view();
    const begun = await begin(view);
    view.close();
    return { address: view.address, ...begun };
  })();
  await closed;
  await collect();
  const others = mapOthers();
  const reused = others.some((view) => view.address === address);
  const pending = whatIsAt(address);
  const stored = await end();
  const damaged = others.some((view) => view.bytes.some((byte) => byte !== 0));
  for (const view of others) view.close();
  await collect();
  return { reused, stored, damaged, pending, after: whatIsAt(address) };
}

// These two are functions of their own, so that no closure that is returned has the bytes, too.
function readOf(descriptor, bytes) {
  return new Promise((resolve) => read(descriptor, bytes, 0, 4096, null, (error, n) => resolve(error ?? n)));
}
function fillOf(bytes) {
  return new Promise((resolve) => randomFill(bytes, (error) => resolve(error ?? "filled")));
}

/** What ends a read that waits for somebody to write. */
function endOf(descriptor, done) {
  return async () => {
    writeSync(descriptor, Buffer.alloc(4096, 88));
    const stored = await done;
    closeSync(descriptor);
    return stored;
  };
}

function readLater(view) {
  const pipe = `${path}.pipe`;
  execFileSync("mkfifo", [pipe]);
  const descriptor = openSync(pipe, constants.O_RDWR);
  return endOf(descriptor, readOf(descriptor, view.bytes));
}

const promised = (promise) => () => promise;

const scenarios = {
  read: () => closeEarly((view) => ({ end: readLater(view) })),
  "read, and a flush under way": () => {
    const file = createMapping({ path: `${path}.flushed`, disposition: "create", size: SIZE });
    return closeEarly(async (view) => {
      const end = readLater(view);
      await pause(50);
      return { end, closed: view.flushAsync() };
    }, file);
  },
  fill: async () => {
    const busy = busyPool();
    const seen = await closeEarly((view) => ({ end: promised(fillOf(view.bytes)) }));
    await busy;
    return seen;
  },
  "fill after 5,000 views": async () => {
    const mapping = createMapping({ size: 4096 });
    for (let i = 0; i < 5000; i++) mapping.view().close();
    return scenarios.fill();
  },
};

process.send(await scenarios[scenario](), () => process.disconnect());
