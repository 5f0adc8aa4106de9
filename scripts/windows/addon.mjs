/** The addon for Windows by mingw-w64, into build/windows/addon/: object by object what is out of date. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { packedFolder } from "../npm-packed.mjs";
import { modified, packageRoot, step } from "../steps.mjs";
import { FOLDER, TOOLS } from "./machine.mjs";

const HEADERS_VERSION = "1.9.0";
const OUTPUT = join(FOLDER, "addon");
const FLAGS = ["-std=c++17", "-O2", "-fno-exceptions", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"];
const DEFINES = ["-DBUILDING_NODE_EXTENSION", "-DNODE_GYP_MODULE_NAME=foliodb", "-D_WIN32_WINNT=0x0A00"];

/** Sources and definitions as binding.gyp has them. */
function recipe() {
  const text = readFileSync(join(packageRoot, "binding.gyp"), "utf8").replaceAll(/#.*/g, "");
  const sources = new Set([...text.matchAll(/"(native\/[a-z0-9_]+\.cc)"/g)].map((match) => match[1]));
  const [, list] = /"defines": \[([^\]]*)\]/.exec(text);
  const defines = [...list.matchAll(/"([^"]+)"/g)].map((match) => `-D${match[1]}`);
  return { sources: [...sources].filter((source) => !source.includes("_posix")), defines };
}

/** What node.exe offers to addons, as something to link with. */
function importLibrary(headers) {
  const library = join(OUTPUT, "libnode.a");
  if (existsSync(library)) return library;
  const names = ["js_native_api.def", "node_api.def"].flatMap((file) =>
    readFileSync(join(headers, "def", file), "utf8")
      .split(/\r?\n/)
      .filter((line) => /^\w+$/.test(line) && line !== "EXPORTS"),
  );
  const definition = join(OUTPUT, "node.def");
  writeFileSync(definition, `LIBRARY node.exe\nEXPORTS\n${names.join("\n")}\n`);
  execFileSync(`${TOOLS}-dlltool`, ["-d", definition, "-D", "node.exe", "-l", library]);
  return library;
}

function compile(source, object, parameters) {
  return new Promise((resolve, reject) => {
    execFile(
      `${TOOLS}-g++`,
      [...parameters, "-c", source, "-o", object],
      { cwd: packageRoot },
      (error, _output, text) => {
        if (error === null) return resolve();
        rmSync(object, { force: true });
        reject(new Error(text));
      },
    );
  });
}

/** Builds if anything is newer, and returns the path of the addon. */
export async function buildAddon() {
  const { sources, defines } = recipe();
  const headers = packedFolder("node-api-headers", HEADERS_VERSION);
  const api = dirname(createRequire(join(packageRoot, "package.json")).resolve("node-addon-api"));
  const parameters = [...FLAGS, ...DEFINES, ...defines, "-isystem", join(headers, "include"), "-isystem", api];
  mkdirSync(OUTPUT, { recursive: true });
  const objectOf = (source) => join(OUTPUT, `${basename(source, ".cc")}.o`);
  const nativeHeaders = readdirSync(join(packageRoot, "native")).filter((name) => name.endsWith(".h"));
  const headersNewest = Math.max(...nativeHeaders.map((name) => modified(join(packageRoot, "native", name))));
  const stale = sources.filter((source) => {
    const made = modified(objectOf(source)) ?? 0;
    return made < headersNewest || made < modified(join(packageRoot, source));
  });
  const addon = join(OUTPUT, "foliodb.node");
  if (stale.length === 0 && existsSync(addon)) return addon;
  const left = [...stale];
  const compileAll = async () => {
    for (let source = left.shift(); source !== undefined; source = left.shift()) {
      await compile(source, objectOf(source), parameters);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compileAll));
  step("native addon for Windows", () => {
    const linked = ["-shared", "-static", "-s", "-o", addon, ...sources.map(objectOf), importLibrary(headers)];
    execFileSync(`${TOOLS}-g++`, linked, { stdio: ["ignore", "pipe", "pipe"] });
  });
  return addon;
}
