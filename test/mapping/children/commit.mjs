/**
 * One commit on this thread or on the file's own, and what it left: outcome, words of the coordination file (poison,
 * durable, newest), the two copies of the meta record, which locks another opening finds held, and how long it took. With a
 * third argument another opening has the flush lock, and keeps it.
 */
import { commitFixture, FLUSH, open, WRITER } from "./addon.mjs";

const [path, way, isFlushLocked] = process.argv.slice(2);
const { file, words, memory, plan } = commitFixture(path);
if (!file.lock(WRITER, 1, true)) throw new Error("not granted");

const other = open(path);
if (isFlushLocked && !other.lock(FLUSH, 1, true)) throw new Error("not granted");
// Asked whether it is free when it has been given back: who holds a lock is not told of it.
const isHeld = (byte) => other.lockedByOther(byte, 1, true);

const begin = performance.now();
let outcome;
if (way === "sync") outcome = file.commitSync(...plan);
else if (way === "wait") {
  const delivered = new Promise((resolve) => file.commit(resolve, ...plan));
  outcome = file.waitCommit();
  if (JSON.stringify(await delivered) !== JSON.stringify(outcome)) throw new Error("two outcomes");
} else outcome = await new Promise((resolve) => file.commit(resolve, ...plan));

const milliseconds = performance.now() - begin;
if (isFlushLocked) other.unlock(FLUSH, 1);

process.stdout.write(
  JSON.stringify({
    outcome: { ...outcome, cause: outcome.cause?.code },
    words: [words[50], words[48], words[32]],
    metas: [memory[65536], memory[65536 + 2048]],
    locked: [isHeld(WRITER), isHeld(FLUSH)],
    milliseconds,
  }),
);
