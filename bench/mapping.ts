/**
 * npm run bench:mapping: a file of 1 GiB mapped and touched in views, beside the same file read by `fs.readSync`, in one
 * run. Both find the file in the system's cache. Only the ratios mean something.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createMapping, type Mapping } from "foliodb/mapping";
import { makeFolder, removeFolder } from "./folder.ts";
import { measureInTurns, now } from "./measure.ts";

const MIB = 2 ** 20;
const FILE_SIZE = 1024 * MIB;
const ROUNDS = 5;
/** What is asked for at once: of `readSync` and of a view. */
const PIECE_SIZES = [MIB, 64 * MIB, 1024 * MIB];
/** Bytes from one that is looked at to the next: of each page of memory, and of each line of the processor's cache. */
const STRIDES = [4096, 64];

function writeFile(path: string): void {
  const file = openSync(path, "w");
  const bytes = new Uint8Array(MIB);
  for (let at = 0; at < bytes.length; at += 64) bytes[at] = at >>> 6;
  for (let at = 0; at < FILE_SIZE; at += MIB) writeSync(file, bytes);
  fsyncSync(file);
  closeSync(file);
}

function touch(bytes: Uint8Array, stride: number): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += stride) sum += bytes[at];
  return sum;
}

function touchViews(mapping: Mapping, pieceSize: number, stride: number): number {
  let sum = 0;
  for (const view of mapping.views({ access: "read", pieceSize })) sum += touch(view.bytes, stride);
  return sum;
}

function touchRead(path: string, pieceSize: number, stride: number): number {
  const file = openSync(path, "r");
  const bytes = new Uint8Array(pieceSize);
  let sum = 0;
  for (let at = 0; at < FILE_SIZE; at += pieceSize) {
    readSync(file, bytes, 0, pieceSize, at);
    sum += touch(bytes, stride);
  }
  closeSync(file);
  return sum;
}

async function main(): Promise<void> {
  const folder = makeFolder();
  try {
    const path = join(folder, "file");
    writeFile(path);
    process.stdout.write("touched every  in pieces of  mapped       readSync     ratio\n");
    for (const stride of STRIDES) {
      for (const pieceSize of PIECE_SIZES) {
        const sums = new Set<number>();
        const took = await measureInTurns(["mapped", "read"], ROUNDS, (name) => {
          const begin = now();
          if (name === "read") {
            sums.add(touchRead(path, pieceSize, stride));
          } else {
            using mapping = createMapping({ path, protection: "readonly" });
            sums.add(touchViews(mapping, pieceSize, stride));
          }
          return now() - begin;
        });
        if (sums.size !== 1) throw new Error("what was mapped and what was read differ");
        const row = [
          `${stride} bytes`.padEnd(15),
          `${pieceSize / MIB} MiB`.padEnd(14),
          `${took.mapped.toFixed(0)} ms`.padEnd(13),
          `${took.read.toFixed(0)} ms`.padEnd(13),
          (took.mapped / took.read).toFixed(2),
        ];
        process.stdout.write(`${row.join("")}\n`);
      }
    }
  } finally {
    removeFolder(folder);
  }
}

await main();
