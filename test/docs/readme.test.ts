import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { codeBlock, PROJECT_ROOT, readDocument } from "./markdown.ts";

test("the README's example prints what the README says, and has ten lines", () => {
  const readme = readDocument("README.md");
  const example = codeBlock(readme, "js");
  // Inside the project, so that the example finds the package by its own name.
  mkdirSync(join(PROJECT_ROOT, "build"), { recursive: true });
  const folder = mkdtempSync(join(PROJECT_ROOT, "build", "readme-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "example.mjs"), example);
  const printed = execFileSync(process.execPath, ["example.mjs"], { cwd: folder, encoding: "utf8" });
  expect(printed).toBe(codeBlock(readme, "text"));
  expect(example.split("\n").filter((line) => line !== "")).toHaveLength(10);
});

test("the README names only files that exist and commands that package.json has", () => {
  const readme = readDocument("README.md");
  const { scripts } = JSON.parse(readDocument("package.json"));
  for (const [, name] of readme.matchAll(/npm run ([a-z]+)/g)) expect(Object.keys(scripts)).toContain(name);
  for (const [, path] of readme.matchAll(/\]\(((?!https:)[^)]+)\)/g))
    expect(() => readDocument(path), path).not.toThrow();
});
