/** The package as its users get it: packed, installed without scripts and without a compiler, imported in every way. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeBlock, PROJECT_ROOT, readDocument } from "../docs/markdown.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "foliodb-package-")));
const project = join(folder, "project");
const installed = join(project, "node_modules", "foliodb");
const tsc = join(PROJECT_ROOT, "node_modules", "typescript", "bin", "tsc");
const example = codeBlock(readDocument("README.md"), "js");
const printed = codeBlock(readDocument("README.md"), "text");

/** The file of a command of the PATH. */
function which(command: string): string {
  for (const each of (process.env["PATH"] ?? "").split(delimiter)) {
    if (readdirSyncOrNone(each).includes(command)) return realpathSync(join(each, command));
  }
  throw new Error(`there is no ${command} in the PATH`);
}

function readdirSyncOrNone(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Runs Node.js in the project, with a PATH that has Node.js and npm and nothing else: no shell tools, no compiler. */
function runNode(...parameters: string[]): string {
  const env = { ...process.env, PATH: join(folder, "bin") };
  return execFileSync(process.execPath, parameters, { cwd: project, env, encoding: "utf8" });
}

/** Every file of the installed package, by its path in it. */
function packageFiles(): string[] {
  const entries = readdirSync(installed, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1));
}

beforeAll(() => {
  mkdirSync(join(folder, "bin"));
  mkdirSync(project);
  const npm = which("npm");
  symlinkSync(process.execPath, join(folder, "bin", "node"));
  symlinkSync(npm, join(folder, "bin", "npm"));
  const packed = execFileSync(process.execPath, [npm, "pack", "--json", "--pack-destination", folder], {
    cwd: PROJECT_ROOT,
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
  });
  const [{ filename }] = JSON.parse(packed);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", private: true }));
  runNode(npm, "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", join(folder, filename));
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the package holds what its users need, and nothing that builds or runs at installation", () => {
  const files = packageFiles();
  const addon = `prebuilds/${process.platform}-${process.arch}/foliodb.node`;
  const documents = ["README.md", "LICENSE", "CHANGELOG.md", "docs/guide.md", "docs/DESIGN.md", "docs/FORMAT.md"];
  const wanted = [...documents, "package.json", "dist/index.js", "dist/index.d.ts", addon];
  expect(wanted.filter((file) => !files.includes(file))).toEqual([]);
  const places =
    /^(dist\/.*\.(js|d\.ts)|docs\/.*\.md|prebuilds\/[^/]+\/foliodb\.node|[^/]+\.md|LICENSE|package\.json)$/;
  expect(files.filter((file) => !places.test(file))).toEqual([]);
  const { scripts, gypfile } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  expect(gypfile).toBe(false);
  for (const name of ["preinstall", "install", "postinstall", "prepare"]) expect(scripts).not.toHaveProperty(name);
});

test("no file of the package names a path of the machine it was packed on, a registry, or a source map", () => {
  const secrets = [PROJECT_ROOT.replace(/\/$/, ""), `${homedir()}/`, folder, "registry.npmjs", "sourceMappingURL="];
  for (const file of packageFiles()) {
    const bytes = readFileSync(join(installed, file));
    for (const secret of secrets) expect(bytes.includes(secret), `${secret} in ${file}`).toBe(false);
  }
});

test("the README's example runs as an ES module", () => {
  writeFileSync(join(project, "example.mjs"), example);
  expect(runNode("example.mjs")).toBe(printed);
  rmSync(join(project, "visits.folio"));
});

test("the README's example runs as a CommonJS module", () => {
  const [first, ...rest] = example.split("\n");
  expect(first).toBe('import { open } from "foliodb";');
  const program = `const { open } = require("foliodb");\n(async () => {\n${rest.join("\n")}\n})();\n`;
  writeFileSync(join(project, "example.cjs"), program);
  expect(runNode("example.cjs")).toBe(printed);
  rmSync(join(project, "visits.folio"));
});

test("foliodb/mapping loads neither the store nor what encodes its values", () => {
  const program = `
    import { createMapping } from "foliodb/mapping";
    const mapping = createMapping({ size: 1 });
    const view = mapping.view();
    view.bytes[0] = 42;
    console.log(view.bytes[0]);
    view.close();
    mapping.close();`;
  writeFileSync(join(project, "mapping.mjs"), program);
  const away = [join(project, "node_modules", "msgpackr"), join(installed, "dist", "lib", "foliodb.js")];
  for (const path of away) renameSync(path, `${path}-away`);
  try {
    expect(runNode("mapping.mjs")).toBe("42\n");
    // The store misses what is away.
    expect(runNode("-e", 'import("foliodb").catch(({ code }) => console.log(code))')).toBe("ERR_MODULE_NOT_FOUND\n");
  } finally {
    for (const path of away) renameSync(`${path}-away`, path);
  }
});

test("what the store takes from the modules of mappings are functions and classes: no number is read from memory", async () => {
  const library = readFileSync(join(installed, "dist", "lib", "foliodb.js"), "utf8");
  const imports = [...library.matchAll(/^import \{([^}]*)\} from "\.\/(.*)";$/gm)];
  expect(imports.map(([, , from]) => from)).toEqual(["mapping.js"]);
  const exported = await import(join(installed, "dist", "lib", "mapping.js"));
  const names = imports[0][1].split(",").map((name) => name.trim().split(" as ")[0]);
  expect(names).not.toEqual([]);
  for (const name of names) expect([name, typeof exported[name]]).toEqual([name, "function"]);
});

const TYPED = `
async function main(): Promise<void> {
  const store: Store<string[], { visits: number }> = open("visits.folio", { valueEncoding: "json" });
  await store.put(["CH", "Bern"], { visits: 1 });
  const visits: number | undefined = store.get(["CH", "Bern"])?.visits;
  await store.transaction((transaction: Transaction<string[], { visits: number }>) => {
    transaction.put(["CH", "Bern"], { visits: (visits ?? 0) + 1 });
    transaction.put(["CH", "Arosa"], { visits: 1 });
  });
  for (const [key, value] of store.entries({ prefix: ["CH"] })) console.log(key[1], value.visits);
  const report: CheckReport = store.check();
  if (!report.ok) throw new Error(String(report.problems[0]));
  try {
    open("visits.folio", { keyEncoding: "string" });
  } catch (error) {
    const code: ErrorCode | undefined = error instanceof StoreError ? error.code : undefined;
    if (code !== "ENCODING") throw error;
  }
  await store.close();
}
void main();
`;
const IMPORT =
  'import { type CheckReport, type ErrorCode, open, type Store, StoreError, type Transaction } from "foliodb";\n';

/** Compiles what `include` names in the project. @throws with the compiler's messages */
function compile(configuration: string, compilerOptions: object, include: readonly string[]): void {
  writeFileSync(join(project, configuration), JSON.stringify({ compilerOptions, include }));
  try {
    runNode(tsc, "-p", configuration);
  } catch (error) {
    throw new Error(`tsc: ${(error as { stdout?: string }).stdout}`, { cause: error });
  }
}

const STRICT = { module: "nodenext", strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false };

test("the declarations need no types of Node.js, and no library newer than the program's own", () => {
  const program = `${IMPORT}export type { CheckReport, ErrorCode, Transaction };
export const store: Store<string, number> = open<string, number>("visits.folio");
export const keys: string[] = [...store.keys({ gt: "a", reverse: true })];
export const wrong: boolean = new StoreError("OPTION", "message") instanceof Error;
`;
  writeFileSync(join(project, "bare.mts"), program);
  expect(existsSync(join(project, "node_modules", "@types"))).toBe(false);
  for (const target of ["es2021", "es2023", "esnext"]) {
    compile("tsconfig.bare.json", { ...STRICT, target, types: [], noEmit: true }, ["bare.mts"]);
  }
});

test("TypeScript programs of both module kinds compile, declarations checked, and run", () => {
  writeFileSync(join(project, "typed-esm.mts"), IMPORT + TYPED);
  writeFileSync(join(project, "typed-cjs.cts"), IMPORT + TYPED);
  // A project for Node.js has its types; here they are those of this one.
  for (const name of ["@types", "undici-types"]) {
    symlinkSync(join(PROJECT_ROOT, "node_modules", name), join(project, "node_modules", name));
  }
  compile("tsconfig.json", { ...STRICT, target: "es2022", types: ["node"] }, ["typed-*.mts", "typed-*.cts"]);
  for (const program of ["typed-esm.mjs", "typed-cjs.cjs"]) {
    expect(runNode(program)).toBe(printed);
    rmSync(join(project, "visits.folio"));
  }
});
