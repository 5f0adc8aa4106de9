/** The guide of foliodb/mapping: its examples run, and it names every option, code and test there is. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { PROJECT_ROOT, readDocument, tableRows } from "./markdown.ts";

const guide = readDocument("docs/mapping.md");
const rows = tableRows(guide);

/** The examples: their heads, the files each consists of (the first is the program), and what it prints. */
const examples = guide
  .slice(guide.indexOf("## Examples"), guide.indexOf("## Errors"))
  .split(/^### /m)
  .slice(1)
  .map((text) => ({
    title: text.slice(0, text.indexOf("\n")),
    files: [...text.matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```$/gms)].map(([, name, content]) => ({ name, content })),
    printed: /^```text\n(.*?)^```$/ms.exec(text)?.[1],
  }));

/** A folder inside the project, so that examples find the package by its own name. */
function exampleFolder(): string {
  mkdirSync(join(PROJECT_ROOT, "build"), { recursive: true });
  const folder = mkdtempSync(join(PROJECT_ROOT, "build", "mapping-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("there is an example of each kind of use", () => {
  expect(examples.map(({ title }) => title)).toEqual([
    "Two processes through a file",
    "Two processes through the page file",
    "Copy-on-write",
    "Walking a huge file",
    "Passing a mapping to a child",
  ]);
});

test.each(examples)("the example “$title” prints what the guide says", ({ files, printed }) => {
  const folder = exampleFolder();
  for (const { name, content } of files) writeFileSync(join(folder, name), content);
  const output = execFileSync(process.execPath, [files[0].name], { cwd: folder, encoding: "utf8" });
  expect(output).toBe(printed);
});

test("the first lines of the guide run", () => {
  const folder = exampleFolder();
  writeFileSync(join(folder, "first.mjs"), /^```js\n(.*?)^```$/ms.exec(guide)?.[1] ?? "throw 0");
  execFileSync(process.execPath, ["first.mjs"], { cwd: folder, stdio: "pipe" });
  expect(readdirSync(folder)).toContain("table.bin");
});

test("the guide explains every option of createMapping", () => {
  const source = /export interface CreateOptions \{(.*?)\n\}/s.exec(readDocument("src/mapping/options.ts"))?.[1] ?? "";
  const options = [...source.matchAll(/readonly (\w+)\?/g)].map(([, name]) => name);
  expect(options.length).toBeGreaterThan(6);
  expect(rows.flatMap((row) => row.get("option") ?? []).sort()).toEqual(options.sort());
});

test("every Win32 call has its test, and every conformance test is in both tables", () => {
  const calls = rows.filter((row) => row.has("Win32"));
  expect(calls.length).toBeGreaterThan(15);
  const linked = calls.map((row) => /\]\((.*)\)/.exec(row.get("test") ?? "")?.[1] ?? "none");
  for (const path of linked) expect(existsSync(join(PROJECT_ROOT, "docs", normalize(path))), path).toBe(true);
  const files = readdirSync(join(PROJECT_ROOT, "test/mapping/conformance")).filter((name) => name.endsWith(".test.ts"));
  const points = [...new Set(files.map((name) => name.slice(0, 2)))].sort();
  expect(points.length).toBeGreaterThanOrEqual(10);
  // Point 11 is Windows itself.
  const linkedPoints = [...new Set(linked.map((path) => path.slice(path.lastIndexOf("/") + 1).slice(0, 2)))].sort();
  expect(linkedPoints).toEqual(points.filter((point) => point !== "11"));
  const ran = rows.flatMap((row) => row.get("conformance test")?.slice(0, 2) ?? []);
  expect(ran).toEqual(points);
});
