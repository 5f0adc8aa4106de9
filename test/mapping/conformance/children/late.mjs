/**
 * Closes a view while something else of the process has yet to store into its bytes, and sends what became of the addresses, of
 * what was stored, and of the mappings that were made meanwhile.
 */
import { execFileSync } from "node:child_process";
import { randomFill } from "node:crypto";
import { constants, openSync, read, readFileSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { createMapping } from "foliodb/mapping";

const SIZE = 1 << 20;
const READ_SIZE = 4096;
const [scenario, path] = process.argv.slice(2);

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
  return new Promise((resolve) => read(descriptor, bytes, 0, bytes.length, null, (error, n) => resolve(error ?? n)));
}
function fillOf(bytes) {
  return new Promise((resolve) => randomFill(bytes, (error) => resolve(error ?? "filled")));
}

function openPipe() {
  const pipe = `${path}.pipe`;
  execFileSync("mkfifo", [pipe]);
  return openSync(pipe, constants.O_RDWR);
}

/** Begins a read that waits for somebody to write, and returns what does that. */
function readLater(view) {
  const descriptor = openPipe();
  const done = readOf(descriptor, view.bytes.subarray(0, READ_SIZE));
  return () => {
    writeSync(descriptor, Buffer.alloc(READ_SIZE, 88));
    return done;
  };
}

/** All of Node's threads wait for somebody to write, so that the filling does not begin before. */
function fillLater(view) {
  const descriptor = openPipe();
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
  for (let i = 0; i < threads; i++) readOf(descriptor, Buffer.alloc(1));
  const done = fillOf(view.bytes);
  return () => {
    writeSync(descriptor, Buffer.alloc(threads));
    return done;
  };
}

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
  fill: () => closeEarly((view) => ({ end: fillLater(view) })),
  "fill after 5,000 views": async () => {
    const mapping = createMapping({ size: 4096 });
    for (let i = 0; i < 5000; i++) mapping.view().close();
    return scenarios.fill();
  },
};

process.send(await scenarios[scenario](), () => process.disconnect());
