/** The list of codes, the tests that provoke them, and the guide that explains them: three times the same. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

function sorted(codes: Iterable<string>): string[] {
  return [...new Set(codes)].sort();
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

/** The codes of `ErrorCode`, from its source. */
function declared(): string[] {
  const source = readFileSync(`${ROOT}src/errors.ts`, "utf8");
  const union = source.slice(source.indexOf("export type ErrorCode ="), source.indexOf("/** What went wrong"));
  return sorted(matches(union, /\| "([A-Z_]+)"/g));
}

test("every code has a test that provokes it: one whose title begins with it", () => {
  const sources = readdirSync(`${ROOT}test/errors`).map((name) => readFileSync(`${ROOT}test/errors/${name}`, "utf8"));
  const provoked = sources.flatMap((source) => matches(source, /["`]([A-Z_]+): /g));
  expect(sorted(provoked)).toEqual(declared());
});

test("the guide explains every code, and no others", () => {
  const guide = readFileSync(`${ROOT}docs/guide.md`, "utf8");
  expect(sorted(matches(guide, /^\| `([A-Z_]+)` \|/gm))).toEqual(declared());
});
