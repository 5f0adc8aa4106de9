import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Stats } from "../../src/index.ts";
import { PROJECT_ROOT, readDocument, tableRows } from "./markdown.ts";

const guide = readDocument("docs/guide.md");
const rows = tableRows(guide);

/** The names in the first column of the tables with this head, which may stand several in a cell. */
function namesUnder(head: string): string[] {
  return rows.flatMap((row) => row.get(head)?.split(", ") ?? []);
}

test("the guide explains every error code, and no others", () => {
  const union = /type ErrorCode =(.*?);/s.exec(readDocument("src/errors.ts"));
  const codes = [...(union?.[1] ?? "").matchAll(/"([A-Z_]+)"/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(20);
  expect(namesUnder("code").sort()).toEqual(codes.sort());
  for (const row of rows.filter((each) => each.has("code"))) {
    expect(row.get("cause"), row.get("code")).toMatch(/\.$/);
    expect(row.get("remedy"), row.get("code")).toMatch(/\.$/);
  }
});

test("the guide explains every option of a store and of a range", () => {
  const inSource = (path: string): string[] => {
    const list = /KNOWN_OPTIONS: readonly string\[\] = \[(.*?)\]/s.exec(readDocument(path));
    return [...(list?.[1] ?? "").matchAll(/"(\w+)"/g)].map(([, name]) => name);
  };
  const expected = [...inSource("src/store/options.ts"), ...inSource("src/store/range.ts")];
  expect(expected.length).toBeGreaterThan(10);
  expect(namesUnder("option").sort()).toEqual(expected.sort());
});

test("the guide explains every field of the statistics", () => {
  const source = /export interface Stats \{(.*?)\n\}/s.exec(readDocument("src/store/stats.ts"));
  const fields = [...(source?.[1] ?? "").matchAll(/readonly (\w+):/g)].map(([, name]) => name);
  expect(namesUnder("field").sort()).toEqual(fields.sort());
  expect(fields).toContain("entryCount" satisfies keyof Stats);
});

test("every example of the guide runs, and gives what its comments say", () => {
  const [first, ...examples] = [...guide.matchAll(/^```js\n(.*?)^```$/gms)].map(([, text]) => text);
  // A line with a comment that is a value becomes a comparison.
  const checked = examples.map((text) =>
    text.replace(/^(await )?((?:store|snapshot)\.[^;\n]*|\[\.\.\.[^;\n]*); \/\/ (.*)$/gm, (_, wait, call, value) => {
      const expected = value.replace(/: .*/, "");
      return `deepStrictEqual(${wait ?? ""}${call}, ${expected});`;
    }),
  );
  expect(checked.join().match(/deepStrictEqual/g)?.length).toBeGreaterThanOrEqual(9);
  const program = `import { deepStrictEqual } from "node:assert";\n${first}\n${checked.map((text) => `{\n${text}}\n`).join("")}
    await store.close();\n`;
  mkdirSync(join(PROJECT_ROOT, "build"), { recursive: true });
  const folder = mkdtempSync(join(PROJECT_ROOT, "build", "guide-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "guide.mjs"), program);
  execFileSync(process.execPath, ["guide.mjs"], { cwd: folder, encoding: "utf8", stdio: "pipe" });
});
