import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";
import { expect, test } from "vitest";
import { keyCodec } from "../../src/store/codec/codecs.ts";
import { KEY_TARGET_SIZE, type Key } from "../../src/store/codec/key.ts";
import * as kinds from "../../src/store/codec/kinds.ts";

/** Normative for the bytes of keys and values. */
const DOCUMENT = new URL("../../docs/FORMAT.md", import.meta.url);

/** The cells of all table rows of a section. */
function rows(section: string): string[][] {
  const text = readFileSync(DOCUMENT, "utf8");
  const from = text.indexOf(`# ${section}`);
  expect(from, section).toBeGreaterThan(0);
  const end = text.indexOf("\n#", from);
  const lines = text.slice(from, end < 0 ? undefined : end).split("\n");
  return lines
    .filter((line) => line.startsWith("| "))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test("the document names every kind byte as the code does", () => {
  const constants = new Map<string, unknown>(Object.entries(kinds));
  const named = rows("`ordered`: kinds").filter(([, , name]) => name?.startsWith("`KIND_"));
  expect(named.length).toBe([...constants.keys()].filter((name) => name.startsWith("KIND_")).length);
  for (const [, byte, name] of named) expect(constants.get(name.slice(1, -1)), name).toBe(Number(byte));
});

test("every example of the document is what the encoder writes and the decoder reads", () => {
  const codec = keyCodec("ordered");
  const target = Buffer.alloc(KEY_TARGET_SIZE);
  const examples = rows("`ordered`: examples").filter(([source]) => source.startsWith("`"));
  expect(examples.length).toBeGreaterThan(20);
  for (const [source, bytes] of examples) {
    const key: Key = runInThisContext(`(${source.slice(1, -1)})`);
    const length = codec.encode(key, target);
    const written = bytes.replace(/, then (\d+) bytes 00/, (_, count) => " 00".repeat(Number(count)));
    expect(target.toString("hex", 0, length), source).toBe(written.replaceAll(" ", ""));
    expect(codec.decode(target, 0, 0, 0, length, false), source).toEqual(key);
  }
});
