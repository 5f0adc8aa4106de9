import { expect, test } from "vitest";
import type { Block } from "./disk.ts";
import { BLOCK_SIZE, Disk, ZERO_BLOCK } from "./disk.ts";

const block = (value: number): Block => new Uint8Array(BLOCK_SIZE).fill(value);
/** What the device may hold of each uncertain block, by the first byte. */
const candidates = (disk: Disk): Record<number, number[]> =>
  Object.fromEntries(disk.candidates().map(({ index, blocks }) => [index, blocks.map((bytes) => bytes[0])]));

test("a block holds any version since the last completed flush, and after the flush only the last", () => {
  const disk = new Disk([block(1), block(2)], 2 * BLOCK_SIZE);
  disk.stored(1, block(3));
  disk.stored(1, block(4));
  expect(candidates(disk)).toEqual({ 1: [2, 3, 4] });
  disk.endFlush(disk.beginFlush());
  expect(candidates(disk)).toEqual({});
  expect(disk.seen(1)[0]).toBe(4);
  disk.stored(1, block(5));
  expect(candidates(disk)).toEqual({ 1: [4, 5] });
});

test("what was stored after a flush began is not durable when it ends", () => {
  const disk = new Disk([block(1)], BLOCK_SIZE);
  disk.stored(0, block(2));
  const ticket = disk.beginFlush();
  disk.stored(0, block(3));
  disk.endFlush(ticket);
  expect(candidates(disk)).toEqual({ 0: [2, 3] });
});

test("a version that occurs twice is one candidate", () => {
  const disk = new Disk([block(1)], BLOCK_SIZE);
  for (const value of [2, 1, 2]) disk.stored(0, block(value));
  expect(candidates(disk)).toEqual({ 0: [1, 2] });
});

test("after a failed flush the next one succeeds and the device keeps the old bytes", () => {
  const disk = new Disk([block(1)], BLOCK_SIZE);
  disk.stored(0, block(2));
  disk.failFlush(disk.beginFlush(), "old");
  disk.endFlush(disk.beginFlush());
  expect(disk.seen(0)[0]).toBe(2);
  expect(candidates(disk)).toEqual({ 0: [1] });
});

test("after a failed flush that may have written anything, a successful one settles nothing of it", () => {
  const disk = new Disk([block(1)], BLOCK_SIZE);
  disk.stored(0, block(2));
  disk.stored(0, block(3));
  disk.failFlush(disk.beginFlush(), "any");
  disk.endFlush(disk.beginFlush());
  expect(candidates(disk)).toEqual({ 0: [1, 2, 3] });
});

test("a lost block that is stored again, even with the same bytes, is written by the next flush", () => {
  const disk = new Disk([block(1), block(1)], 2 * BLOCK_SIZE);
  disk.stored(0, block(2));
  disk.stored(1, block(2));
  disk.failFlush(disk.beginFlush(), "any");
  disk.touched(0);
  disk.endFlush(disk.beginFlush());
  expect(candidates(disk)).toEqual({ 1: [1, 2] });
  expect(disk.seen(0)[0]).toBe(2);
});

test("when the system forgets its clean pages, lost blocks are read from the device and dirty ones stay", () => {
  const disk = new Disk([block(1), block(1)], 2 * BLOCK_SIZE);
  disk.stored(0, block(2));
  disk.failFlush(disk.beginFlush(), "old");
  disk.stored(1, block(3));
  const read = disk.forgetClean(() => 0);
  expect([...read].map(([index, bytes]) => [index, bytes[0]])).toEqual([[0, 1]]);
  expect(candidates(disk)).toEqual({ 1: [1, 3] });
});

test("the size is any since the last completed flush", () => {
  const disk = new Disk([], 0);
  disk.resized(10);
  const ticket = disk.beginFlush();
  disk.resized(20);
  disk.resized(30);
  expect(disk.sizeCandidates()).toEqual([0, 10, 20, 30]);
  disk.endFlush(ticket);
  expect(disk.sizeCandidates()).toEqual([10, 20, 30]);
  disk.endFlush(disk.beginFlush());
  expect(disk.sizeCandidates()).toEqual([30]);
});

test("a file that is never flushed keeps a bounded number of versions", () => {
  const disk = new Disk([], BLOCK_SIZE, 3);
  for (let value = 1; value < 10; value++) disk.stored(0, block(value));
  expect(candidates(disk)).toEqual({ 0: [ZERO_BLOCK[0], 7, 8, 9] });
});
