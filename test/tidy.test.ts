/** The rules of the house that no linter knows: which way imports run, how long files are, what must not stand in them. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { PROJECT_ROOT } from "./docs/markdown.ts";

const LINES_MAX = 450;

/** Source files by their path in the project. */
const sources = new Map(
  readdirSync(join(PROJECT_ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => [`src/${path}`, readFileSync(join(PROJECT_ROOT, "src", path), "utf8")]),
);

/** What the files that git tracks are called. */
function trackedFiles(): string[] {
  return execFileSync("git", ["ls-files", "-z"], { cwd: PROJECT_ROOT, encoding: "utf8" }).split("\0").filter(Boolean);
}

/** The files of the project that a source imports, types included. */
function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(/^(?:import|export) [^;]*?from "(\.[^"]+)";/gms)].map(([, to]) =>
    normalize(join(dirname(path), to)),
  );
}

/** Text without comments and without what stands in quotes. */
function code(text: string): string {
  return text.replace(/\/\*.*?\*\/|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|(?<![:\\])\/\/[^\n]*/gs, " ");
}

/** The layers from the bottom up. A file belongs to the first one that fits, and imports its own layer and those it may. */
const LAYERS: readonly { readonly name: string; readonly files: RegExp; readonly mayImport: readonly string[] }[] = [
  { name: "errors", files: /^src\/errors\.ts$/, mayImport: [] },
  { name: "mapping", files: /^src\/mapping\//, mayImport: ["errors"] },
  { name: "format", files: /^src\/store\/format\//, mayImport: ["errors"] },
  {
    name: "storage",
    files: /^src\/store\/pager\/addon-(files|storage)\.ts$/,
    mayImport: ["errors", "mapping", "format", "pager"],
  },
  { name: "pager", files: /^src\/store\/pager\//, mayImport: ["errors", "format"] },
  { name: "tree", files: /^src\/store\/tree\//, mayImport: ["errors", "format", "page types"] },
  { name: "codec", files: /^src\/store\/codec\//, mayImport: ["errors", "format"] },
  { name: "store", files: /^src\/store\/[^/]+\.ts$/, mayImport: ["errors", "format", "pager", "tree", "codec"] },
  { name: "index", files: /^src\/index\.ts$/, mayImport: ["errors", "store", "codec", "storage"] },
];

/** The part of the pager that trees know: interfaces, and how page numbers become places. */
const PAGE_TYPES = "src/store/pager/pages.ts";

function layerOf(path: string): (typeof LAYERS)[number] {
  const layer = LAYERS.find(({ files }) => files.test(path));
  if (layer === undefined) throw new Error(`${path} belongs to no layer`);
  return layer;
}

describe("imports", () => {
  test("run downwards only", () => {
    const wrong: string[] = [];
    let count = 0;
    for (const [path, text] of sources) {
      const layer = layerOf(path);
      for (const to of importsOf(path, text)) {
        const target = layerOf(to);
        count++;
        const isAllowed =
          target === layer ||
          layer.mayImport.includes(target.name) ||
          (to === PAGE_TYPES && layer.mayImport.includes("page types"));
        if (!isAllowed) wrong.push(`${path} imports ${to}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(250);
  });

  test("are of files that exist", () => {
    for (const [path, text] of sources) {
      for (const to of importsOf(path, text)) expect(sources.has(to), `${to} in ${path}`).toBe(true);
    }
  });

  test("make no circle", () => {
    const done = new Set<string>();
    const visit = (path: string, way: readonly string[]): void => {
      expect(way.includes(path), `circle: ${[...way, path].join(" → ")}`).toBe(false);
      if (done.has(path)) return;
      for (const to of importsOf(path, sources.get(path) ?? "")) visit(to, [...way, path]);
      done.add(path);
    };
    for (const path of sources.keys()) visit(path, []);
  });

  test("of the native addon are in src/mapping only", () => {
    const loaders = [...sources].filter(([, text]) => text.includes('.node"') || text.includes("createRequire"));
    expect(loaders.map(([path]) => dirname(path)).filter((folder) => folder !== "src/mapping")).toEqual([]);
    expect(loaders.length).toBeGreaterThan(0);
  });

  test("of packages are few", () => {
    const packages = new Set<string>();
    for (const text of sources.values()) {
      for (const [, name] of text.matchAll(/from "([^".][^"]*)";/g)) if (!name.startsWith("node:")) packages.add(name);
    }
    expect([...packages]).toEqual(["msgpackr"]);
  });
});

describe("a source file", () => {
  test(`has at most ${LINES_MAX} lines, and begins with what it is for`, () => {
    for (const [path, text] of sources) {
      expect(text.split("\n").length, path).toBeLessThanOrEqual(LINES_MAX + 1);
      expect(text.startsWith("/**"), `${path} begins with a comment`).toBe(true);
    }
  });

  test("has no any, no assertion that something is not null, no enum, no default export, and prints nothing", () => {
    const forbidden = [
      /:\s*any\b/,
      /\bas any\b/,
      /<any\b/,
      /[\w)\]]!(?=[.;,)[\]])/,
      /\benum\s+\w/,
      /\bnamespace\s+\w/,
      /\bexport default\b/,
      /\bconsole\.\w/,
    ];
    for (const [path, text] of sources) {
      for (const pattern of forbidden) expect(pattern.exec(code(text))?.[0], path).toBeUndefined();
    }
  });

  test("leaves nothing to do", () => {
    for (const [path, text] of sources) expect(/\b(TODO|FIXME|XXX|HACK)\b/.exec(text)?.[0], path).toBeUndefined();
  });
});

describe("a tracked file", () => {
  // Written in pieces, so that this file passes its own test.
  const words = [
    ["registry.", "npmjs.org"],
    ["npm.", "pkg.github.com"],
    [PROJECT_ROOT],
    ["/home", "/"],
    ["/Users", "/"],
    ["/root", "/"],
    ["Cla", "ude"],
    ["Anth", "ropic"],
    ["Chat", "GPT"],
    ["Co-", "Authored-By"],
    ["AI ", "assistant"],
    ["language ", "model"],
  ].map((pieces) => pieces.join(""));
  const files = trackedFiles().filter((path) => existsSync(join(PROJECT_ROOT, path)));

  test("names no registry, no path of one machine, and nobody who is no part of the project", () => {
    expect(files.length).toBeGreaterThan(100);
    const found: string[] = [];
    for (const path of files) {
      const text = readFileSync(join(PROJECT_ROOT, path), "utf8").toLowerCase();
      for (const word of words) if (text.includes(word.toLowerCase())) found.push(`${word} in ${path}`);
    }
    expect(found).toEqual([]);
  });

  test("is no build product, no log and no secret", () => {
    expect(
      files.filter((path) => /(^|\/)(node_modules|dist|build|prebuilds)\/|\.(log|tgz|node|env|pem)$/.test(path)),
    ).toEqual([]);
  });
});
