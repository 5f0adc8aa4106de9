/**
 * What the processes that tests start share: the addon itself, without the library around it, and the lock bytes. A
 * child is plain JavaScript so that it needs nothing compiled.
 */
import { createRequire } from "node:module";

export const addon = createRequire(import.meta.url)("../../../build/Release/foliodb.node");

class SystemError extends Error {
  constructor(code, _errno, syscall, path, detail) {
    super(`${code}: ${detail}, ${syscall} ${path}`);
    this.code = code;
  }
}

addon.initialize(SystemError, Error);

export const WRITER = 0;
export const FLUSH = 1;
export const WAITING = 3;
export const LOCK_BYTES = [WRITER, FLUSH, WAITING];
export const WINDOW = 2 ** 30;

export function open(path) {
  return addon.openFile(path, false, true, LOCK_BYTES);
}

/** Waits for the writer lock however long it takes. */
export function waitForWriter(file) {
  while (!file.waitLock(20));
}

/** A turn of the event loop later: whether the writer lock was granted. */
export function waitForWriterAsync(file, timeoutMs) {
  return new Promise((resolve, reject) => {
    file.waitLockAsync(timeoutMs, (error, granted) => (error === undefined ? resolve(granted) : reject(error)));
  });
}

/** Keeps this thread busy. */
export function spin(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/**
 * A file of `size` bytes with a coordination file attached, and a plan of two pages, as the addon takes it, that publishes
 * index 5.
 */
export function commitFixture(path, size = 1 << 20) {
  const made = addon.createNamed(path, 0o600);
  made.allocate(0, size);
  made.close();
  const file = open(path);
  const coordination = addon.createNamed(`${path}-lock`, 0o600);
  coordination.allocate(0, 4096);
  const words = new Int32Array(coordination.map(0, 4096, true, 4096));
  file.attach(coordination, 200, 192, 128);
  // No more than there is: see docs/platforms.md on Node.js 24.
  const memory = new Uint8Array(file.map(0, WINDOW, true, size));
  file.prepare(0, 131072, 8192);
  memory.fill(7, 131072, 131072 + 8192);
  const plan = Object.values({
    pageSize: 4096,
    runs: new Uint32Array([32, 2]),
    checksumSeed: 9,
    metaAt: 65536,
    meta: new Uint8Array(512).fill(4),
    metaCopyAt: 2048,
    rewrites: [],
    publishIndex: 5,
    unlockWriter: true,
  });
  return { file, coordination, words, memory, plan };
}

/** The same plan for a commit of no pages. */
export function withoutRuns(plan) {
  return plan.with(1, new Uint32Array(0));
}
