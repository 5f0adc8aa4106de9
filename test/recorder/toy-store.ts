/**
 * The smallest store that needs the whole commit protocol: each commit writes two pages and then the older of two meta
 * pages, which names them. It proves the recorder: with the right protocol no crash image is bad, and with a step left
 * out many are.
 *
 * Meta record, 64 bytes: u32 number, u32 first page, u32 second page, u32 CRC-32C of the 12 bytes before. Page: u32
 * checksum by the commit job, u32 number, then bytes that follow from the number. Three pairs of pages take turns, so
 * that a pair is overwritten only when neither meta page names it.
 */
import { META_COPY, META_FIRST_AT, META_SECOND_AT } from "../../src/store/format/meta.ts";
import type { CommitPlan, CoordinationFile, StoreFile } from "../../src/store/pager/storage.ts";
import { crc32c } from "./crc32c.ts";
import type { Machine } from "./machine.ts";
import type { SimulatedProcess } from "./process.ts";

export const TOY_PATH = "/toy";
export const PAGE_SIZE = 4096;
export const WINDOW_SIZE = 2 ** 17;
const FIRST_PAGE = META_SECOND_AT / PAGE_SIZE + 1;
const PAGES_PER_COMMIT = 2;
const PAIRS = 3;
const CHECKSUM_SEED = 0x12345678;
const COORDINATION_SIZE = 8192;

/** The newest word of the coordination file counts commits: live list and numbers are one in the toy. */
export class ToyStore {
  readonly file: StoreFile;
  readonly coordination: CoordinationFile;
  readonly #bytes: Uint8Array;
  number = 0;

  constructor(process: SimulatedProcess) {
    const size = (FIRST_PAGE + PAIRS * PAGES_PER_COMMIT) * PAGE_SIZE;
    const content = [META_FIRST_AT, META_SECOND_AT].flatMap((at) => [
      { at, bytes: record(0) },
      { at: at + META_COPY, bytes: record(0) },
    ]);
    process.createFile(TOY_PATH, 0o600, size, content);
    this.file = process.openFile(TOY_PATH, "readwrite");
    const path = `${TOY_PATH}-lock`;
    this.coordination =
      process.openCoordination(path, COORDINATION_SIZE) ??
      process.createCoordination(path, COORDINATION_SIZE, 0o600, () => {});
    this.file.attach(this.coordination);
    this.#bytes = this.file.mapWindow(0, WINDOW_SIZE, true).bytes;
  }

  /** Writes the pages of the next commit and returns its plan. */
  plan(): CommitPlan {
    this.number++;
    const page = firstPage(this.number);
    const runs = new Uint32Array(2 * PAGES_PER_COMMIT);
    for (let i = 0; i < PAGES_PER_COMMIT; i++) {
      writePage(this.#bytes, (page + i) * PAGE_SIZE, this.number);
      runs.set([page + i, 1], 2 * i);
    }
    return {
      pageSize: PAGE_SIZE,
      runs,
      checksumSeed: CHECKSUM_SEED,
      metaAt: this.number % 2 === 0 ? META_FIRST_AT : META_SECOND_AT,
      meta: record(this.number),
      metaCopyAt: META_COPY,
      rewrites: [],
      publishIndex: this.number,
      unlockWriter: false,
    };
  }
}

function firstPage(number: number): number {
  return FIRST_PAGE + (number % PAIRS) * PAGES_PER_COMMIT;
}

function writePage(bytes: Uint8Array, at: number, number: number): void {
  bytes.fill(number & 0xff, at, at + PAGE_SIZE);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + 4, number, true);
}

function record(number: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number, true);
  view.setUint32(4, firstPage(number), true);
  view.setUint32(8, firstPage(number) + 1, true);
  view.setUint32(12, crc32c(bytes, 0, 12, 0), true);
  return bytes;
}

/** The number of the commit that is found on this machine's disk, or what is wrong with it. */
export function recoverToy(machine: Machine): number | string {
  const file = machine.process().openFile(TOY_PATH, "readonly");
  const { bytes } = file.mapWindow(0, WINDOW_SIZE, false);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let newest = -1;
  for (const slot of [META_FIRST_AT, META_SECOND_AT]) {
    for (const at of [slot, slot + META_COPY]) {
      if (crc32c(bytes, at, at + 12, 0) === view.getUint32(at + 12, true)) {
        newest = Math.max(newest, view.getUint32(at, true));
      }
    }
  }
  if (newest <= 0) return newest === 0 ? 0 : "no meta record is whole";
  for (let page = firstPage(newest); page < firstPage(newest) + PAGES_PER_COMMIT; page++) {
    const at = page * PAGE_SIZE;
    if (crc32c(bytes, at + 4, at + PAGE_SIZE, CHECKSUM_SEED) !== view.getUint32(at, true))
      return `page ${page} is torn`;
    if (view.getUint32(at + 4, true) !== newest) return `page ${page} is of commit ${view.getUint32(at + 4, true)}`;
  }
  return newest;
}
