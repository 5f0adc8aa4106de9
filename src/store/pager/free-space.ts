/**
 * Which pages a transaction may take: the one rule of the space map.
 *
 * > A page may be taken exactly when it is in use neither in the map of any live snapshot nor in the transaction's own
 * > working map (I5). Pages of the maps themselves are in use because the maps' branches name them. Past the end of a
 * > map everything is free.
 *
 * Two sets of bits for each group the transaction looks at: `working`, the map that will be committed, and `busy`, the
 * union of all live maps and their own pages with what this transaction holds. Free is what is not busy. The union of a
 * group is kept between transactions and made anew only when a map page it was made from changed.
 */
import { assert, StoreError } from "../../errors.ts";
import { PAGE_COUNT_MAX } from "../format/limits.ts";
import { groupPages } from "../format/map.ts";
import type { Snapshot } from "../format/meta.ts";
import { pageTransaction } from "../format/page.ts";
import type { Pages } from "./pages.ts";
import {
  ALL_SET,
  addGroupBits,
  type CountedBits,
  countBits,
  type GroupBits,
  groupWords,
  type MapIndex,
  mapLeafOf,
  readMapIndex,
} from "./space-map.ts";

/** Arrays of bits that are kept for later. */
const SPARES_MAX = 16;
/** Maps whose bits are kept from transaction to transaction: of the newest, and of the one before it. */
const KEPT_MAPS = 2;
/** Places where fleeting pages are looked for before others are taken. */
const PLACES_MAX = 32;
/** After so many transactions they are looked for from the beginning of the file again. */
const HOME_AGE = 1024;
/** So far below the end of all pages in use they are looked for, lest they move up in the file time after time. */
const NEAR_END = 64;

/** The union of the live maps over one group, and what it was made from. */
interface Union {
  /**
   * For each live map leaf of the group its page and transaction number (a page can be written again as the leaf of the
   * same group), then the map pages that lie in the group.
   */
  readonly sources: readonly number[];
  readonly bits: GroupBits;
  readonly full: boolean;
}

/** A group as the running transaction sees it. */
interface WorkingGroup {
  readonly busy: GroupBits;
  /** Made from the newest map's when the transaction first takes or gives up a page of the group. */
  working: GroupBits | undefined;
  /** How many more pages are in use in `working` than in the newest map. */
  more: number;
}

export class FreeSpace {
  readonly #pages: Pages;
  readonly #groupPages: number;
  readonly #unions = new Map<number, Union>();
  /** Indexes of the maps of live snapshots, by commit id. */
  #indexes = new Map<string, MapIndex>();
  #live: readonly Snapshot[] = [];
  #newest: MapIndex | undefined;
  /** The own pages of the live maps, by the group they lie in. */
  #mapPages = new Map<number, Set<number>>();
  readonly #groups = new Map<number, WorkingGroup>();
  /** Arrays of bits to use again: a small commit would otherwise leave 16 KiB to be collected. */
  readonly #spares: GroupBits[] = [];
  /** No page below it is free. */
  #cursor = 0;
  /** From where on fleeting pages are looked for, transaction after transaction. */
  #home = 0;
  /** No run of `count` or more free pages begins below `from`. */
  #runHint = { count: 0, from: 0 };

  constructor(pages: Pages) {
    this.#pages = pages;
    this.#groupPages = groupPages(pages.pageEnd);
  }

  /** A transaction begins over `live`, the newest snapshot first. */
  begin(live: readonly Snapshot[]): void {
    const indexes = new Map<string, MapIndex>();
    this.#mapPages = new Map();
    for (const snapshot of live) {
      const index = this.#indexes.get(snapshot.commitId) ?? readMapIndex(this.#pages, snapshot);
      if (indexes.size >= KEPT_MAPS) this.#forgetBits(index);
      indexes.set(snapshot.commitId, index);
      for (const page of index.ownPages) {
        const group = Math.floor(page / this.#groupPages);
        const known = this.#mapPages.get(group);
        if (known === undefined) this.#mapPages.set(group, new Set([page]));
        else known.add(page);
      }
    }
    for (const [commitId, index] of this.#indexes) if (!indexes.has(commitId)) this.#forgetBits(index);
    this.#indexes = indexes;
    this.#live = live;
    this.#newest = indexes.get(live[0].commitId);
    for (const { busy, working } of this.#groups.values()) {
      this.#spare(busy);
      if (working !== undefined) this.#spare(working);
    }
    this.#groups.clear();
    this.#cursor = 0;
    this.#runHint = { count: 0, from: 0 };
    if (live[0].number % HOME_AGE === 0) this.#home = 0;
  }

  /** The handle is closed: lets go of what was kept between transactions. */
  forget(): void {
    this.#unions.clear();
    this.#indexes.clear();
    this.#groups.clear();
    this.#mapPages.clear();
    this.#spares.length = 0;
    this.#live = [];
    this.#newest = undefined;
  }

  /** The newest snapshot's map. */
  get newestMap(): MapIndex {
    assert(this.#newest !== undefined);
    return this.#newest;
  }

  /** Remembers the map of a snapshot this transaction is about to commit; what it changed is the map's from now on. */
  remember(snapshot: Snapshot, index: MapIndex): void {
    this.#indexes.set(snapshot.commitId, index);
    for (const group of index.known.keys()) this.#group(group).working = undefined;
  }

  /** The groups whose bits differ from the newest map's. */
  changed(): Map<number, CountedBits> {
    const changed = new Map<number, CountedBits>();
    for (const [group, { working, more }] of this.#groups) {
      if (working === undefined) continue;
      const { bits, used } = this.#newestBits(group);
      if (!isSame(bits, working)) changed.set(group, { bits: working, used: used + more });
    }
    return changed;
  }

  /** The highest page whose working bit is set, given that none above `from` is. */
  highestUsed(from: number): number {
    const last = Math.floor(from / this.#groupPages);
    for (let group = last; group >= 0; group--) {
      const bits = this.#groups.get(group)?.working ?? this.#newestBits(group).bits;
      for (let i = group === last ? (from % this.#groupPages) >>> 5 : bits.length - 1; i >= 0; i--) {
        if (bits[i] !== 0) return group * this.#groupPages + i * 32 + 31 - Math.clz32(bits[i]);
      }
    }
    return 0;
  }

  /**
   * Finds the lowest free page and as many free ones after it as are wanted, at most `count`, in one window, and makes
   * them busy. @throws StoreError STORE_FULL
   */
  reserve(count: number): { page: number; count: number } {
    const page = this.#nextFree(this.#cursor);
    const windowEnd = page - (page & this.#pages.windowMask) + this.#pages.windowMask + 1;
    const end = Math.min(page + count, windowEnd, PAGE_COUNT_MAX);
    let to = page + 1;
    while (to < end && !this.isBusy(to)) to++;
    this.setBusy(page, to - page, true);
    this.#cursor = to;
    return { page, count: to - page };
  }

  /**
   * As `reserve`, for pages that every commit writes anew. They are to lie together, apart from those that last: a small
   * commit is then written in few pieces, and the places where pages that last are freed one by one, here and there, are
   * left to such pages. Found where the last ones were, just below the end of all pages in use (`end`), or behind it, but never
   * beyond the file (`limit`); otherwise they are like others.
   */
  reserveTogether(count: number, end: number, limit: number): { page: number; count: number } {
    return (
      this.#findTogether(count, this.#home, limit) ??
      this.#findTogether(count, Math.max(0, end - NEAR_END), limit) ??
      this.#findTogether(count, end, limit) ??
      this.reserve(count)
    );
  }

  /** `count` free pages in one window, in one of the first few places from `home` on, made busy. */
  #findTogether(count: number, home: number, limit: number): { page: number; count: number } | undefined {
    const inWindow = this.#pages.windowMask;
    for (let from = home, places = 0; places < PLACES_MAX && from < limit; places++) {
      const page = this.#nextFree(from);
      const busy = this.#nextBusy(page, Math.min(page + count, limit, (page | inWindow) + 1));
      if (busy - page === count) {
        this.setBusy(page, count, true);
        this.#home = home;
        return { page, count };
      }
      from = Math.max(busy, page + 1);
    }
    return undefined;
  }

  /** The lowest run of `count` free pages that does not cross the run boundary; makes it busy. @throws StoreError STORE_FULL */
  reserveRun(count: number): number {
    const boundary = this.#pages.windowMask + 1;
    let from = count >= this.#runHint.count ? Math.max(this.#runHint.from, this.#cursor) : this.#cursor;
    for (;;) {
      from = this.#nextFree(from);
      const left = boundary - (from % boundary);
      if (left < count) {
        from += left;
        continue;
      }
      const busy = this.#nextBusy(from, from + count);
      if (busy === from + count) break;
      from = busy;
    }
    if (from + count > PAGE_COUNT_MAX) throw storeFull();
    this.setBusy(from, count, true);
    this.#runHint = { count, from: from + count };
    return from;
  }

  isBusy(page: number): boolean {
    const { busy } = this.#group(Math.floor(page / this.#groupPages));
    const bit = page % this.#groupPages;
    return ((busy[bit >>> 5] >>> (bit & 31)) & 1) !== 0;
  }

  setBusy(page: number, count: number, value: boolean): void {
    const end = page + count;
    for (let at = page; at < end; ) {
      const group = Math.floor(at / this.#groupPages);
      const to = Math.min(end, (group + 1) * this.#groupPages);
      setBits(this.#group(group).busy, at - group * this.#groupPages, to - group * this.#groupPages, value);
      at = to;
    }
    if (value) return;
    this.#cursor = Math.min(this.#cursor, page);
    this.#runHint = { count: 0, from: 0 };
  }

  /** Whether the working map has these pages in use. */
  setWorking(page: number, count: number, value: boolean): void {
    const end = page + count;
    for (let at = page; at < end; ) {
      const group = Math.floor(at / this.#groupPages);
      const to = Math.min(end, (group + 1) * this.#groupPages);
      const state = this.#group(group);
      state.working ??= this.#copy(this.#newestBits(group).bits);
      state.more += setBits(state.working, at - group * this.#groupPages, to - group * this.#groupPages, value);
      at = to;
    }
  }

  /** An array for the bits of a group, with anything in it. */
  #bits(): GroupBits {
    return this.#spares.pop() ?? new Int32Array(groupWords(this.#pages));
  }

  #copy(bits: GroupBits): GroupBits {
    const copy = this.#bits();
    copy.set(bits);
    return copy;
  }

  /** Nobody uses this array any more. */
  #spare(bits: GroupBits): void {
    if (this.#spares.length < SPARES_MAX) this.#spares.push(bits);
  }

  /** The bits of the newest snapshot's map. They are counted here: a count that is damaged is not to be carried on. */
  #newestBits(group: number): CountedBits {
    const known = this.newestMap.known.get(group);
    if (known !== undefined) return known;
    const bits = this.#bits().fill(0);
    addGroupBits(this.#pages, this.#live[0], this.newestMap, group, bits, this.#wordsUsed(this.#live[0], group));
    const counted = { bits, used: countBits(bits) };
    this.newestMap.known.set(group, counted);
    return counted;
  }

  #forgetBits(index: MapIndex): void {
    for (const { bits } of index.known.values()) this.#spare(bits);
    index.known.clear();
  }

  /** Words of a group's bits that lie below a snapshot's page count: those above are zero. */
  #wordsUsed(snapshot: Snapshot, group: number): number {
    const count = Math.ceil((snapshot.pageCount - group * this.#groupPages) / 32);
    return Math.max(0, Math.min(count, groupWords(this.#pages)));
  }

  #indexOf(snapshot: Snapshot): MapIndex {
    const index = this.#indexes.get(snapshot.commitId);
    assert(index !== undefined);
    return index;
  }

  #group(group: number): WorkingGroup {
    return this.#groups.get(group) ?? this.#beginGroup(group, this.#union(group));
  }

  #beginGroup(group: number, union: Union): WorkingGroup {
    const state = { busy: this.#copy(union.bits), working: undefined, more: 0 };
    this.#groups.set(group, state);
    return state;
  }

  #union(group: number): Union {
    /** The live snapshots whose map leaves of the group differ: those that share one follow each other. */
    const owners: Snapshot[] = [];
    const sources: number[] = [];
    let last = 0;
    for (const snapshot of this.#live) {
      const leaf = mapLeafOf(this.#indexOf(snapshot), group);
      if (leaf === last || leaf === 0) continue;
      last = leaf;
      owners.push(snapshot);
      const { view } = this.#pages.windows[leaf >>> this.#pages.windowShift];
      sources.push(leaf, pageTransaction(view, (leaf & this.#pages.windowMask) << this.#pages.pageShift));
    }
    const mapPages = this.#mapPages.get(group) ?? [];
    for (const page of mapPages) sources.push(page);
    const known = this.#unions.get(group);
    if (known !== undefined && isSame(known.sources, sources)) return known;

    // Forgotten first: a map page that is damaged ends this half way.
    this.#unions.delete(group);
    const bits = known?.bits ?? this.#bits();
    const newest = this.newestMap.known.get(group);
    if (newest === undefined) bits.fill(0);
    else bits.set(newest.bits);
    for (const snapshot of owners) {
      if (newest !== undefined && snapshot === this.#live[0]) continue;
      const words = this.#wordsUsed(snapshot, group);
      addGroupBits(this.#pages, snapshot, this.#indexOf(snapshot), group, bits, words);
    }
    for (const page of mapPages) {
      const bit = page % this.#groupPages;
      bits[bit >>> 5] |= 1 << (bit & 31);
    }
    const union = { sources, bits, full: isFull(bits) };
    this.#unions.set(group, union);
    return union;
  }

  /** A full union is skipped without a look at its bits: nothing in it becomes free before the next transaction. */
  #busyUnlessFull(group: number): GroupBits | undefined {
    const state = this.#groups.get(group);
    if (state !== undefined) return state.busy;
    const union = this.#union(group);
    return union.full ? undefined : this.#beginGroup(group, union).busy;
  }

  /** The first free page at or after `from`. */
  #nextFree(from: number): number {
    for (let page = from; page < PAGE_COUNT_MAX; ) {
      const group = Math.floor(page / this.#groupPages);
      const first = group * this.#groupPages;
      const busy = this.#busyUnlessFull(group);
      if (busy !== undefined) {
        let bit = page - first;
        let word = busy[bit >>> 5] | ((1 << (bit & 31)) - 1);
        for (bit &= ~31; ; word = busy[bit >>> 5]) {
          if (word !== ALL_SET) return first + bit + 31 - Math.clz32(~word & (word + 1));
          bit += 32;
          if (bit >= this.#groupPages) break;
        }
      }
      page = first + this.#groupPages;
    }
    throw storeFull();
  }

  /** The first busy page at or after `from`, or `to` if there is none below it. */
  #nextBusy(from: number, to: number): number {
    for (let page = from; page < to; page++) {
      if (this.isBusy(page)) return page;
    }
    return to;
  }
}

// Loops, for a callback for each of a thousand words costs as much as the rest of a small commit.

/** Sets or clears the bits `from … to - 1`, and tells how many more are set then. */
function setBits(bits: GroupBits, from: number, to: number, value: boolean): number {
  let more = 0;
  for (let bit = from; bit < to; bit++) {
    const mask = 1 << (bit & 31);
    const isSet = (bits[bit >>> 5] & mask) !== 0;
    if (isSet === value) continue;
    bits[bit >>> 5] ^= mask;
    more += value ? 1 : -1;
  }
  return more;
}

function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function isFull(bits: GroupBits): boolean {
  for (let i = 0; i < bits.length; i++) if (bits[i] !== ALL_SET) return false;
  return true;
}

function storeFull(): StoreError {
  return new StoreError("STORE_FULL", `the store would need more than ${PAGE_COUNT_MAX} pages`);
}
