import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { PROJECT_ROOT, readDocument } from "./markdown.ts";

const design = readDocument("docs/DESIGN.md");

test("the invariants are numbered from I1 to I21, each once and in order", () => {
  const numbers = [...design.matchAll(/^\*\*I(\d+)\.\*\*/gm)].map(([, number]) => Number(number));
  expect(numbers).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
});

test("every invariant the source cites is one of the document's, and every file the document names exists", () => {
  const sources = [...filesOf("src"), ...filesOf("native")];
  for (const path of sources) {
    for (const [name] of readDocument(path).matchAll(/\bI\d+\b/g))
      expect(design, `${name} in ${path}`).toContain(`**${name}.**`);
  }
  for (const [, file] of design.matchAll(/`((?:[a-z-]+\/)*[a-z-]+\.(?:ts|cc))`/g)) {
    expect(
      sources.some((path) => path.endsWith(`/${file}`) || path === file),
      file,
    ).toBe(true);
  }
});

test("every heading in the table of contents is there", () => {
  const anchors = [...design.matchAll(/^## (.+)$/gm)].map(
    ([, title]) => `#${title.toLowerCase().replaceAll(" ", "-")}`,
  );
  const linked = [...design.matchAll(/\]\((#[a-z-]+)\)/g)].map(([, anchor]) => anchor);
  expect(linked).toEqual(anchors);
});

function filesOf(folder: string): string[] {
  const entries = readdirSync(PROJECT_ROOT + folder, { recursive: true, encoding: "utf8" });
  return entries.filter((entry) => /\.(ts|cc|h)$/.test(entry)).map((entry) => `${folder}/${entry}`);
}
