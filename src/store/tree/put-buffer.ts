/**
 * Puts that wait to be made in the order of their keys. In that order a tree is filled from leaf to leaf: a leaf is looked
 * for once and not for every key, new leaves get full before the next begins, and memory is gone through once.
 *
 * The bytes of an entry lie together in one growing memory, from a multiple of 4 on. An entry is known by its byte offset, so
 * that of two with the same key the later one has the greater. All sorting keeps the order of equal keys.
 *
 * They are sorted by radix: by the four bytes behind what all keys share, runs of equal ones by the four behind what the run
 * shares, and so on.
 */
import { Buffer } from "node:buffer";
import { KEY_SIZE_MAX } from "../format/limits.ts";
import { Window } from "../pager/pages.ts";
import { compareSuffix, copyBytes, copyRange, KeyBuffer } from "./key.ts";

/** u32. */
export const ENTRY_VALUE_LENGTH = 0;
/** u16. */
export const ENTRY_KEY_LENGTH = 4;
/** u16: 1 if the value is known to be ASCII. */
export const ENTRY_ASCII = 6;
/** The key's bytes, and behind them the value's. */
export const ENTRY_KEY = 8;

/** Bytes of memory at first and at most: what the processor's caches hold. */
const SIZE_FIRST = 64 * 1024;
const SIZE_MAX = 1024 * 1024;
/** Entries at first and at most. */
const COUNT_FIRST = 1024;
const COUNT_MAX = 2 ** 15;
/** Values beyond it don't wait: copying them twice would cost more than order saves. */
const VALUE_SIZE_MAX = 16 * 1024;
/** Up to so many entries are sorted by comparing keys. */
const FEW = 16;

export class PutBuffer {
  #memory: Window = new Window(Buffer.allocUnsafeSlow(SIZE_FIRST));
  #end = 0;
  #count = 0;
  /** The entries as they came, and in the order of their keys once they are sorted. */
  #entries: Uint32Array = new Uint32Array(COUNT_FIRST);
  /** Of each entry the four bytes behind those that are shared, while they are sorted. */
  #heads: Uint32Array = new Uint32Array(COUNT_FIRST);
  #otherEntries: Uint32Array = new Uint32Array(COUNT_FIRST);
  #otherHeads: Uint32Array = new Uint32Array(COUNT_FIRST);
  /** How often each value of each of the heads' bytes occurs. */
  readonly #counts: Uint32Array = new Uint32Array(1024);
  /** Leading bytes all keys share. */
  #shared = 0;
  /** Whether each key is above the one before. Then `#heads` has what each shares with the one before. */
  #ascends = true;
  /** For the key of the entry in hand. */
  readonly key: KeyBuffer = new KeyBuffer();

  get count(): number {
    return this.#count;
  }

  /** Whether each key is above the one before. */
  get ascends(): boolean {
    return this.#ascends;
  }

  /** Where the bytes are. Replaced as it grows. */
  get memory(): Window {
    return this.#memory;
  }

  /** Their byte offsets: `count` of them, in the order of their keys once they are sorted. */
  get entries(): Uint32Array {
    return this.#entries;
  }

  /** Takes an entry as `TreeWriter.put` does, unless there is no room: then the others are to be put first. */
  add(key: KeyBuffer, value: Uint8Array, from: number, length: number, ascii: boolean): boolean {
    const at = this.#end;
    const end = (at + ENTRY_KEY + key.length + length + 3) & ~3;
    if (length > VALUE_SIZE_MAX || (end > this.#memory.bytes.length && !this.#grow(end))) return false;
    if (this.#count === this.#entries.length && !this.#growCount()) return false;
    const { view, bytes } = this.#memory;
    view.setUint32(at + ENTRY_VALUE_LENGTH, length, true);
    view.setUint16(at + ENTRY_KEY_LENGTH, key.length, true);
    view.setUint16(at + ENTRY_ASCII, ascii ? 1 : 0, true);
    copyRange(this.#memory, at + ENTRY_KEY, key.memory, 0, key.length);
    copyBytes(bytes, at + ENTRY_KEY + key.length, value, from, length);
    this.#entries[this.#count] = at;
    this.#noteOrder(this.#count++, at);
    this.#end = end;
    return true;
  }

  /** Sorts the entries by their keys, those of equal keys by when they came. */
  sort(): void {
    if (!this.#ascends) this.#sort(0, this.#count, this.#shared);
  }

  /** Fills `key` with the key of an entry. */
  loadKey(entry: number): void {
    const length = this.#keyLength(entry);
    copyRange(this.key.memory, 0, this.#memory, entry + ENTRY_KEY, length);
    this.key.end(length);
  }

  /** Leading bytes that the key at a place of the sorted order shares with that `ahead` places further, or the last. */
  sharedAhead(place: number, ahead: number): number {
    return this.#sharedBy(this.#entries[place], this.#entries[Math.min(place + ahead, this.#count - 1)], KEY_SIZE_MAX);
  }

  /** Whether the key at a place of the sorted order is another than the one before and shares `prefix` bytes with it. */
  follows(place: number, prefix: number): boolean {
    if (this.#ascends) return this.#heads[place] >= prefix;
    const before = this.#entries[place - 1];
    const entry = this.#entries[place];
    if (prefix > this.#shared && this.#sharedBy(before, entry, prefix) < prefix) return false;
    return this.#heads[place] !== this.#heads[place - 1] || this.#compare(before, entry, this.#shared) !== 0;
  }

  /** Forgets all entries. */
  clear(): void {
    this.#count = 0;
    this.#end = 0;
    this.#ascends = true;
  }

  /** What an entry that has just come tells of the order of all. */
  #noteOrder(place: number, entry: number): void {
    if (place === 0) {
      this.#shared = this.#keyLength(entry);
      return;
    }
    const before = this.#entries[place - 1];
    // All share what the least of the neighbours share.
    const shared = this.#sharedBy(before, entry, this.#ascends ? KEY_SIZE_MAX : this.#shared);
    this.#shared = Math.min(this.#shared, shared);
    if (!this.#ascends) return;
    this.#heads[place] = shared;
    this.#ascends =
      shared < this.#keyLength(entry) &&
      (shared === this.#keyLength(before) ||
        this.#memory.view.getUint8(before + ENTRY_KEY + shared) <
          this.#memory.view.getUint8(entry + ENTRY_KEY + shared));
  }

  #grow(size: number): boolean {
    if (size > SIZE_MAX) return false;
    const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(size)));
    larger.set(this.#memory.bytes.subarray(0, this.#end));
    this.#memory = new Window(larger);
    return true;
  }

  #growCount(): boolean {
    const count = this.#entries.length * 2;
    if (count > COUNT_MAX) return false;
    this.#entries = lengthened(this.#entries, count);
    this.#heads = lengthened(this.#heads, count);
    this.#otherEntries = new Uint32Array(count);
    this.#otherHeads = new Uint32Array(count);
    return true;
  }

  #keyLength(entry: number): number {
    return this.#memory.view.getUint16(entry + ENTRY_KEY_LENGTH, true);
  }

  /** Leading bytes of two keys that are equal, at most `most`. The first `from` are known to be. */
  #sharedBy(left: number, right: number, most: number, from = 0): number {
    const { view } = this.#memory;
    const length = Math.min(most, this.#keyLength(left), this.#keyLength(right));
    let index = from;
    while (
      index + 4 <= length &&
      view.getInt32(left + ENTRY_KEY + index) === view.getInt32(right + ENTRY_KEY + index)
    ) {
      index += 4;
    }
    while (index < length && view.getUint8(left + ENTRY_KEY + index) === view.getUint8(right + ENTRY_KEY + index))
      index++;
    return index;
  }

  /** The four bytes of a key from `from` on as a number; zeros behind its end. */
  #head(entry: number, from: number): number {
    const { view } = this.#memory;
    const at = entry + ENTRY_KEY + from;
    const rest = this.#keyLength(entry) - from;
    if (rest >= 4) return view.getUint32(at);
    let head = 0;
    for (let index = 0; index < rest; index++) head |= view.getUint8(at + index) << (24 - 8 * index);
    return head >>> 0;
  }

  /**
   * Sorts the entries `from … to - 1`, whose keys share `shared` bytes: those of equal keys stay in the order they came in.
   */
  #sort(from: number, to: number, shared: number): void {
    const entries = this.#entries;
    const heads = this.#heads;
    for (let i = from; i < to; i++) heads[i] = this.#head(entries[i], shared);
    this.#sortByHeads(from, to);
    for (let i = from; i < to; ) {
      const head = heads[i];
      const first = i;
      do i++;
      while (i < to && heads[i] === head);
      if (i - first > 1) this.#sortTies(first, i, shared);
    }
  }

  /** Radix sort: by each byte of the heads from the last to the first, keeping the order there is. */
  #sortByHeads(from: number, to: number): void {
    const counts = this.#counts;
    counts.fill(0);
    let heads = this.#heads;
    for (let i = from; i < to; i++) {
      const head = heads[i];
      counts[head & 0xff]++;
      counts[256 + ((head >>> 8) & 0xff)]++;
      counts[512 + ((head >>> 16) & 0xff)]++;
      counts[768 + (head >>> 24)]++;
    }
    let entries = this.#entries;
    let otherEntries = this.#otherEntries;
    let otherHeads = this.#otherHeads;
    for (let pass = 0; pass < 4; pass++) {
      const shift = pass * 8;
      const first = pass * 256;
      // All have the same byte here.
      if (counts[first + ((heads[from] >>> shift) & 0xff)] === to - from) continue;
      let place = from;
      for (let i = first; i < first + 256; i++) {
        const count = counts[i];
        counts[i] = place;
        place += count;
      }
      for (let i = from; i < to; i++) {
        const head = heads[i];
        const target = counts[first + ((head >>> shift) & 0xff)]++;
        otherHeads[target] = head;
        otherEntries[target] = entries[i];
      }
      [heads, otherHeads] = [otherHeads, heads];
      [entries, otherEntries] = [otherEntries, entries];
    }
    if (entries === this.#entries) return;
    this.#heads.set(heads.subarray(from, to), from);
    this.#entries.set(entries.subarray(from, to), from);
  }

  /** Sorts a run of entries whose keys share `shared` bytes and are equal in the four behind, as far as they go. */
  #sortTies(from: number, to: number, shared: number): void {
    const entries = this.#entries;
    if (to - from > FEW) {
      let length = this.#keyLength(entries[from]);
      let shortest = length;
      for (let i = from + 1; i < to; i++) {
        shortest = Math.min(shortest, this.#keyLength(entries[i]));
        length = this.#sharedBy(entries[from], entries[i], length, shared);
      }
      // Where a key ends others may go on with zeros, which a head can't tell.
      if (length >= shared + 4 && length < shortest) this.#sort(from, to, length);
      else entries.subarray(from, to).sort((left, right) => this.#compare(left, right, shared));
      return;
    }
    for (let i = from + 1; i < to; i++) {
      const entry = entries[i];
      let place = i;
      while (place > from && this.#compare(entries[place - 1], entry, shared) > 0) {
        entries[place] = entries[place - 1];
        place--;
      }
      entries[place] = entry;
    }
  }

  /** Order of two keys that share `shared` bytes and are equal in the four behind, as far as they go. */
  #compare(left: number, right: number, shared: number): number {
    const { view } = this.#memory;
    const skipped = ENTRY_KEY + shared;
    const leftRest = this.#keyLength(left) - shared;
    return compareSuffix(view, left + skipped, leftRest, view, right + skipped, this.#keyLength(right) - shared);
  }
}

function lengthened(numbers: Uint32Array, length: number): Uint32Array {
  const longer = new Uint32Array(length);
  longer.set(numbers);
  return longer;
}

/** One for the next transaction of any store: its memory has been used, and is in the processor's caches. */
let spare: PutBuffer | undefined;

export function takePutBuffer(): PutBuffer {
  const taken = spare ?? new PutBuffer();
  spare = undefined;
  return taken;
}

/** Gives a buffer back; the caller uses it no longer. */
export function givePutBufferBack(buffer: PutBuffer): void {
  buffer.clear();
  spare = buffer;
}
