/** Reading the project's documents: code blocks and tables. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const PROJECT_ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** The text of a file of the project. */
export function readDocument(path: string): string {
  return readFileSync(`${PROJECT_ROOT}${path}`, "utf8");
}

/** The first code block in a language. */
export function codeBlock(text: string, language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(text);
  if (found === null) throw new Error(`there is no block of ${language}`);
  return found[1];
}

/** A row of a table, by the names in the table's head. */
export type Row = ReadonlyMap<string, string>;

/** All rows of all tables. A cell keeps its text; `code` marks are left out. */
export function tableRows(text: string): Row[] {
  const rows: Row[] = [];
  let head: string[] | undefined;
  for (const line of text.split("\n")) {
    if (!line.startsWith("|")) {
      head = undefined;
      continue;
    }
    const cells = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("`", ""));
    if (head === undefined) head = cells;
    else if (!cells.every((cell) => /^-+$/.test(cell)))
      rows.push(new Map(head.map((name, i) => [name, cells[i] ?? ""])));
  }
  return rows;
}
