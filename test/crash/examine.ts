/** Opens what a power loss left, and judges it. */
import {
  copyMeta,
  META_COPY,
  META_FIRST_AT,
  META_RECORD_SIZE,
  META_SECOND_AT,
  metaIsWhole,
  metaNumber,
} from "../../src/store/format/meta.ts";
import type { Store } from "../../src/store/store.ts";
import { crc32c } from "../recorder/crc32c.ts";
import type { Machine } from "../recorder/machine.ts";
import { type Engine, promised, Violation } from "./engine.ts";
import type { History } from "./history.ts";

export const STORE_PATH = "/store";
export const OPTIONS = { keyEncoding: "string", valueEncoding: "string" } as const;
/** Small windows, and a small coordination file, which every image builds anew. */
export const INTERNAL = { runBoundaryLog2: 17, fileSizeMin: 0, capacities: { slots: 16, live: 16, owners: 8 } };

export type TextStore = Store<string, string>;

export function openOn(engine: Engine, machine: Machine, name?: string): TextStore {
  return engine.openStore<string, string>(machine.process(name), STORE_PATH, OPTIONS, INTERNAL);
}

/** The store as an opener finds it is whole and exactly one state; returns which. */
export function examineOpened(what: string, engine: Engine, machine: Machine, history: History): number {
  const store = promised(what, () => openOn(engine, machine, "examiner"));
  const index = promised(what, () => examineStore(what, store, history));
  store.closeSync();
  return index;
}

export function examineStore(what: string, store: TextStore, history: History): number {
  const { ok, problems } = store.check();
  if (!ok) {
    const [{ page, expected, found }] = problems;
    throw new Violation(`${what}: not whole: page ${page}: expected ${expected}, found ${found}`);
  }
  return history.identify(what, store);
}

/**
 * An image must hold a state at or after the last acknowledged one and not beyond what was begun, and behind it, in the
 * older meta page, if that is whole, another state, to which an opener could fall back. The image is used up.
 */
export function examineImage(engine: Engine, image: Machine, history: History): number {
  const note = image.image?.note ?? "image";
  const index = examineOpened(note, engine, image, history);
  if (index < history.acknowledged) {
    throw new Violation(`${note}: state ${index}, but ${history.acknowledged} was acknowledged`);
  }
  if (destroyNewerMeta(image)) examineOpened(`${note}; older meta`, engine, image, history);
  image.close();
  return index;
}

/** Puts zeros over the newer meta record. False if the other is not whole, or the same. */
export function destroyNewerMeta(machine: Machine): boolean {
  const bytes = machine.readFile(STORE_PATH);
  const numbers = [META_FIRST_AT, META_SECOND_AT].map((at) => {
    const copies = [at, at + META_COPY].map((copy) => copyMeta(bytes, copy));
    return Math.max(0, ...copies.filter((copy) => metaIsWhole(copy, crc32c)).map(metaNumber));
  });
  if (Math.min(...numbers) === 0) return false;
  const newerAt = numbers[1] > numbers[0] ? META_SECOND_AT : META_FIRST_AT;
  const zeros = new Uint8Array(META_RECORD_SIZE);
  machine.poke(STORE_PATH, newerAt, zeros);
  machine.poke(STORE_PATH, newerAt + META_COPY, zeros);
  machine.unlink(`${STORE_PATH}-lock`);
  return true;
}
