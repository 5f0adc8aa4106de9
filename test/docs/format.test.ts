/** docs/FORMAT.md and the constants of src/store/format say the same, in both directions. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { PROJECT_ROOT, type Row, readDocument, tableRows } from "./markdown.ts";

const FOLDER = "src/store/format/";
const SIZES: Readonly<Record<string, string>> = { u8: "1", u16: "2", u32: "4", u64: "8", i32: "4" };

const rows = tableRows(readDocument("docs/FORMAT.md"));
/** Fields: name, offset, size and type. */
const fields = rows.filter((row) => row.has("offset"));
/** Other constants: name and value. */
const values = rows.filter((row) => row.has("value") && row.has("name"));

/** Every exported constant that is a number or a text, and the type its comment begins with. */
async function readConstants(): Promise<Map<string, { value: unknown; type: string | undefined }>> {
  const constants = new Map<string, { value: unknown; type: string | undefined }>();
  for (const file of readdirSync(PROJECT_ROOT + FOLDER)) {
    const source = readDocument(FOLDER + file);
    const noun = file.replace(/\.ts$/, "");
    const exported: Readonly<Record<string, unknown>> = await import(`../../src/store/format/${noun}.ts`);
    for (const [name, value] of Object.entries(exported)) {
      if (typeof value !== "number" && typeof value !== "string") continue;
      const comment = new RegExp(`/\\*\\* (u8|u16|u32|u64|i32|\\d+ bytes)\\b[^/]*\\*/\\nexport const ${name}\\b`).exec(
        source,
      );
      constants.set(name, { value, type: comment?.[1] });
    }
  }
  return constants;
}

function cell(row: Row, name: string): string {
  return row.get(name) ?? "";
}

/** A number or text as the tables write it: 1,024, 0x07ff, 2^32 - 1, "text". */
function parse(text: string): number | string {
  const power = /^2\^(\d+)(?: - (\d+))?$/.exec(text);
  if (power !== null) return 2 ** Number(power[1]) - Number(power[2] ?? 0);
  return text.startsWith('"') ? JSON.parse(text) : Number(text.replaceAll(",", ""));
}

const constants = await readConstants();

test("every field of the document has the offset, size and type of its constant", () => {
  expect(fields.length).toBeGreaterThan(100);
  for (const row of fields) {
    const name = cell(row, "name");
    const type = cell(row, "type");
    if (SIZES[type] !== undefined)
      expect(cell(row, "size"), `size of ${name}`).toMatch(new RegExp(`^${SIZES[type]}$|×`));
    if (name === "") continue;
    const constant = constants.get(name);
    expect(constant?.value, name).toBe(Number(cell(row, "offset")));
    if (constant?.type === undefined) continue;
    const [size, unit] = constant.type.split(" ");
    expect([type, cell(row, "size")], name).toEqual(unit === "bytes" ? ["bytes", size] : [size, SIZES[size]]);
  }
});

test("the fields of a table follow each other without gap or overlap", () => {
  let next = 0;
  for (const row of fields) {
    const offset = Number(cell(row, "offset"));
    if (offset !== 0) expect(offset, cell(row, "name")).toBe(next);
    next = offset + Number(cell(row, "size"));
    // Of what has no fixed size nothing can follow but the next table.
    if (Number.isNaN(next)) next = -1;
  }
});

test("every value of the document is that of its constant", () => {
  expect(values.length).toBeGreaterThan(40);
  for (const row of values)
    expect(constants.get(cell(row, "name"))?.value, cell(row, "name")).toBe(parse(cell(row, "value")));
});

test("every constant of the format is in the document", () => {
  const documented = new Set([...fields, ...values].map((row) => cell(row, "name")));
  expect([...constants.keys()].filter((name) => !documented.has(name))).toEqual([]);
});

test("every name in the document that looks like a constant is one of the source", () => {
  const text = readDocument("docs/FORMAT.md");
  const codecs = readdirSync(`${PROJECT_ROOT}src/store/codec`).map((file) => readDocument(`src/store/codec/${file}`));
  const errors = readDocument("src/errors.ts");
  for (const [, name] of text.matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`/g)) {
    const isOfCodec = codecs.some((source) => source.includes(`const ${name} `));
    expect(constants.has(name) || isOfCodec || errors.includes(`"${name}"`), name).toBe(true);
  }
});
