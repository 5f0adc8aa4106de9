/** The space map from transaction to transaction: its bits, its counts, and which pages are busy, against sets of numbers. */
import { expect, test } from "vitest";
import { groupPages } from "../../src/store/format/map.ts";
import type { Snapshot } from "../../src/store/format/meta.ts";
import { FreeSpace } from "../../src/store/pager/free-space.ts";
import { type Pages, pageGeometry, Window } from "../../src/store/pager/pages.ts";
import {
  addGroupBits,
  countBits,
  groupWords,
  type MapIndex,
  mapLeafOf,
  readMapIndex,
  writeMap,
} from "../../src/store/pager/space-map.ts";
import { EMPTY_SNAPSHOT } from "../errors/full-store.ts";
import { CAMPAIGN_FACTOR, Dice, seedOfRun } from "../support/dice.ts";

const PAGE_SIZE = 4096;
const GROUP = groupPages(PAGE_SIZE);
const GROUPS = 4;
/** The map's own pages are taken from the first few; only they are looked at, and have memory. */
const MAP_PAGES = 64;
const TRANSACTIONS = 150 * CAMPAIGN_FACTOR;

function memoryPages(): Pages {
  const windows = [new Window(Buffer.alloc(MAP_PAGES * PAGE_SIZE))];
  return { ...pageGeometry(PAGE_SIZE, 30), windows, faults: new Int32Array(1) };
}

/** One state of the map, and what it should hold. */
interface State {
  readonly snapshot: Snapshot;
  readonly used: ReadonlySet<number>;
}

function expectMap(pages: Pages, { snapshot, used }: State): MapIndex {
  const index = readMapIndex(pages, snapshot);
  for (let group = 0; group < GROUPS; group++) {
    const bits = new Int32Array(groupWords(pages));
    addGroupBits(pages, snapshot, index, group, bits);
    const expected = new Int32Array(bits.length);
    let count = 0;
    for (const page of used) {
      if (Math.floor(page / GROUP) !== group) continue;
      const bit = page % GROUP;
      expected[bit >>> 5] |= 1 << (bit & 31);
      count++;
    }
    expect(Buffer.compare(new Uint8Array(bits.buffer), new Uint8Array(expected.buffer))).toBe(0);
    expect(countBits(bits)).toBe(count);
    expect(mapLeafOf(index, group) === 0).toBe(count === 0);
    if (count > 0) expect(index.levels[0].free[group]).toBe(GROUP - count);
  }
  return index;
}

/** Some pages that lie together, most often few, sometimes a whole group. */
function someRange(dice: Dice): [page: number, count: number] {
  const group = dice.below(GROUPS) * GROUP;
  if (dice.chance(0.1)) return [group, GROUP];
  const from = MAP_PAGES + dice.below(GROUP - MAP_PAGES - 40);
  return [group + from, dice.between(1, 40)];
}

test("bits, counts and busy pages are right whoever writes, whatever fails, and after groups were empty", () => {
  const dice = new Dice(seedOfRun());
  const pages = memoryPages();
  const handles = [new FreeSpace(pages), new FreeSpace(pages)];
  /** The newest, the one before it, and one that a reader may hold. */
  let live: State[] = [{ snapshot: { ...EMPTY_SNAPSHOT, pageCount: GROUPS * GROUP }, used: new Set() }];
  for (let i = 0; i < TRANSACTIONS; i++) {
    if (dice.chance(0.02)) handles[dice.below(2)] = new FreeSpace(pages);
    const space = handles[dice.chance(0.8) ? 0 : 1];
    space.begin(live.map(({ snapshot }) => snapshot));
    const own = new Set(live.flatMap(({ snapshot }) => readMapIndex(pages, snapshot).ownPages));
    for (let look = 0; look < 100; look++) {
      const page = dice.chance(0.3) ? dice.below(MAP_PAGES) : someRange(dice)[0];
      expect(space.isBusy(page)).toBe(own.has(page) || live.some(({ used }) => used.has(page)));
    }

    const used = new Set(live[0].used);
    for (let change = dice.between(0, 6); change > 0; change--) {
      const [page, count] = someRange(dice);
      const value = dice.coin();
      space.setWorking(page, count, value);
      for (let at = page; at < page + count; at++) {
        if (value) used.add(at);
        else used.delete(at);
      }
    }
    if (dice.chance(0.1)) continue; // Aborted.
    const number = live[0].snapshot.number + 1;
    let next = dice.below(MAP_PAGES);
    const take = (): number => {
      do next = 1 + ((next + 1) % (MAP_PAGES - 1));
      while (own.has(next));
      own.add(next);
      return next;
    };
    const { index, root, level } = writeMap(pages, space.newestMap, space.changed(), number, take);
    const commitId = dice.seed().toString(16);
    const snapshot = { ...live[0].snapshot, number, commitId, mapRoot: root, mapLevel: level };
    space.remember(snapshot, index);
    const state = { snapshot, used };
    const written = expectMap(pages, state);
    expect(new Set(written.ownPages)).toEqual(new Set(index.ownPages));
    expect(written.levels[0]?.free ?? []).toEqual(index.levels[0].free);
    if (dice.chance(0.1)) continue; // The commit fails, and its pages are written again.
    live = [state, live[0], ...(dice.coin() ? live.slice(2, 3) : live.slice(1, 2))];
    live = live.filter((one, at) => live.indexOf(one) === at);
  }
});
