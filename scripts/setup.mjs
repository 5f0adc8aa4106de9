/**
 * From a bare clone to something that runs, doing only what is out of date: packages, native addon, dist/ (the library),
 * build/tools/ (demo, benches and the processes that tests start, which import the library by its own name).
 *
 *   node scripts/setup.mjs            set up
 *   node scripts/setup.mjs --quiet    the same, and prints nothing if there is nothing to do
 *   node scripts/setup.mjs --bench    also the packages of the benches against peers (bench/compare)
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isStale, modified, packageRoot, step, stepsTaken } from "./steps.mjs";

/** Runs a command; its output is shown only if it fails. */
function run(command, parameters, folder = packageRoot) {
  try {
    execFileSync(command, parameters, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
  } catch (error) {
    throw new Error(`${command} ${parameters.join(" ")} failed\n${error.stdout ?? ""}${error.stderr ?? error.message}`);
  }
}

/** Whether what npm installed last is what package-lock.json names now; optional packages may be another platform's. */
function isInstalled(folder) {
  const installedList = join(folder, "node_modules", ".package-lock.json");
  const wantedList = join(folder, "package-lock.json");
  if (!existsSync(installedList)) return false;
  if (modified(installedList) >= modified(wantedList)) return true;
  // A checkout dates the list anew without changing it.
  const installed = JSON.parse(readFileSync(installedList, "utf8")).packages;
  const { "": _root, ...wanted } = JSON.parse(readFileSync(wantedList, "utf8")).packages;
  const same =
    Object.entries(wanted).every(([path, entry]) =>
      installed[path] === undefined ? entry.optional === true : installed[path].version === entry.version,
    ) && Object.keys(installed).every((path) => wanted[path] !== undefined);
  const now = new Date();
  if (same) utimesSync(installedList, now, now);
  return same;
}

/** Installs exactly what package-lock.json names. */
function installPackages(folder, name) {
  if (isInstalled(folder)) return;
  step(name, () => run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], folder));
}

/** When a configuration was last compiled without an error. Not beside the output: dist/ is packed whole. */
function stampOf(configuration) {
  return join("build", `${configuration}.compiled`);
}

/** Compiles one configuration if a source is newer than its output, and runs a script of ours on what came of it. */
function compile(name, configuration, output, sources, script) {
  const stamp = join(packageRoot, stampOf(configuration));
  const upToDate =
    existsSync(join(packageRoot, output)) &&
    !isStale(stamp, [
      configuration,
      "tsconfig.json",
      "package.json",
      ...sources,
      ...(script === undefined ? [] : [script]),
    ]);
  if (upToDate) return;
  step(name, () => {
    // Outputs of sources that are gone must not stay.
    rmSync(join(packageRoot, output), { recursive: true, force: true });
    run(process.execPath, [join(packageRoot, "node_modules", "typescript", "bin", "tsc"), "-p", configuration]);
    if (script !== undefined) run(process.execPath, [join(packageRoot, script)]);
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, "");
  });
}

/** Whether a folder of the package holds anything to compile. */
function hasTypeScript(folder) {
  const path = join(packageRoot, folder);
  const isOurs = (name) => name.endsWith(".ts") && !name.includes("node_modules") && !name.startsWith("compare");
  return existsSync(path) && readdirSync(path, { recursive: true }).some(isOurs);
}

async function main() {
  installPackages(packageRoot, "packages (npm ci)");
  const { buildAddon } = await import("./build-addon.mjs");
  buildAddon();
  compile("library (dist/)", "tsconfig.build.json", "dist", ["src"], "scripts/bundle.mjs");
  const tools = ["demo", "bench", "test/process/children"].filter(hasTypeScript);
  if (tools.length > 0) {
    const sources = [stampOf("tsconfig.build.json"), ...tools];
    compile("demo, benches, test processes (build/tools/)", "tsconfig.tools.json", "build/tools", sources);
  }
  if (process.argv.includes("--bench")) {
    const compare = join(packageRoot, "bench", "compare");
    if (existsSync(join(compare, "package.json"))) installPackages(compare, "packages of bench/compare (npm ci)");
    else process.stdout.write("bench/compare has no package.json: benches against peers are left out\n");
  }
  if (stepsTaken() === 0 && !process.argv.includes("--quiet"))
    process.stdout.write("set-up: everything is up to date\n");
}

main().catch((error) => {
  process.stderr.write(`\nset-up failed: ${error.message}\n`);
  process.exitCode = 1;
});
