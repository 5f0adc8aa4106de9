/**
 * The project as it would be on Windows, in build/windows/project/: what the tests read, the packages for that system, and
 * the addon. Copies, for Node.js under Wine sees through symbolic links and would load this system's addon.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { packageRoot, step } from "../steps.mjs";
import { FOLDER } from "./machine.mjs";

export const PROJECT = join(FOLDER, "project");
const FOLDERS = ["src", "test", "docs", "demo", "dist", "build/tools", "scripts"];
const FILES = ["package.json", "vitest.config.ts", "tsconfig.json", "README.md", "CHANGELOG.md", "LICENSE", ".npmrc"];

function copyChanged(from, to) {
  const source = lstatSync(from);
  const target = lstatSync(to, { throwIfNoEntry: false });
  if (target !== undefined && target.size === source.size && target.mtimeMs === source.mtimeMs) return;
  copyFileSync(from, to);
  utimesSync(to, source.atime, source.mtime);
}

/** Makes a folder equal to another, file by file. */
function mirror(from, to) {
  mkdirSync(to, { recursive: true });
  const wanted = readdirSync(from, { withFileTypes: true });
  const names = new Set(wanted.map(({ name }) => name));
  for (const name of readdirSync(to)) if (!names.has(name)) rmSync(join(to, name), { recursive: true });
  for (const entry of wanted) {
    if (entry.isDirectory()) mirror(join(from, entry.name), join(to, entry.name));
    else if (entry.isFile()) copyChanged(join(from, entry.name), join(to, entry.name));
  }
}

/** Installs the packages as they are for Windows, if package-lock.json has changed. */
function installPackages() {
  const wanted = join(packageRoot, "package-lock.json");
  const installed = join(PROJECT, "package-lock.json");
  const isInstalled =
    existsSync(join(PROJECT, "node_modules", ".package-lock.json")) &&
    existsSync(installed) &&
    readFileSync(installed).equals(readFileSync(wanted));
  if (isInstalled) return;
  step("packages for Windows (npm ci)", () => {
    copyFileSync(wanted, installed);
    const parameters = ["ci", "--os=win32", "--cpu=x64", "--ignore-scripts", "--no-audit", "--no-fund"];
    execFileSync("npm", parameters, { cwd: PROJECT, stdio: ["ignore", "pipe", "pipe"] });
  });
}

export function installProject(addon) {
  for (const folder of FOLDERS) mirror(join(packageRoot, folder), join(PROJECT, folder));
  for (const file of FILES) copyChanged(join(packageRoot, file), join(PROJECT, file));
  installPackages();
  mkdirSync(join(PROJECT, "build", "Release"), { recursive: true });
  copyChanged(addon, join(PROJECT, "build", "Release", "foliodb.node"));
}
