/** Where pages are found that every commit writes anew. */
import { expect, test } from "vitest";
import { FreeSpace } from "../../src/store/pager/free-space.ts";
import { EMPTY_SNAPSHOT, fakePages } from "../errors/full-store.ts";

const FILE_PAGES = 400;

/** Pages 0 to 199 with every other one free, and what the latest snapshot has in use besides. */
function begin(space: FreeSpace, number: number, used: readonly number[]): void {
  space.begin([{ ...EMPTY_SNAPSHOT, number }]);
  for (let page = 0; page < 200; page += 2) space.setBusy(page, 1, true);
  for (const page of used) space.setBusy(page, 1, true);
}

test("fleeting pages lie behind a file of gaps, and take turns there for good", () => {
  const space = new FreeSpace(fakePages());
  let before: number[] = [];
  let latest: number[] = [];
  const highest = (): number => Math.max(199, ...before, ...latest);
  // At multiples of 1,024 they are looked for from the beginning again.
  for (let number = 1000; number < 8000; number += 8) {
    begin(space, number, [...before, ...latest]);
    const { page, count } = space.reserveTogether(3, highest() + 1, FILE_PAGES);
    expect(count).toBe(3);
    before = latest;
    latest = [page, page + 1, page + 2];
    expect(highest()).toBeLessThan(200 + 3 * 3);
  }
});

test("fleeting pages are as others where the file has no room for them together", () => {
  const space = new FreeSpace(fakePages());
  begin(space, 1, []);
  expect(space.reserveTogether(3, 200, 200)).toEqual({ page: 1, count: 1 });
  expect(space.reserveTogether(2, 200, 200)).toEqual({ page: 3, count: 1 });
  expect(space.reserveTogether(1, 200, 200)).toEqual({ page: 5, count: 1 });
});
