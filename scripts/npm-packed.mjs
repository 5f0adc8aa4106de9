/**
 * Npm packages that only some scripts need (other versions of Node.js, a cross-compiler): packed by npm into build/npm/ when
 * they are first asked for, and kept there, so that `npm ci` stays small. Nothing of them is installed or run by npm.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packageRoot, step } from "./steps.mjs";

const CACHE = join(packageRoot, "build", "npm");

function npm(parameters, folder) {
  const options = { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
  // npm is a batch file on Windows, which only a shell starts.
  return execFileSync("npm", parameters, { ...options, shell: process.platform === "win32" });
}

/** A folder name of the cache without the version: a scope's slash can't be in it. */
function prefixOf(name) {
  return `${name.replace("/", "+")}@`;
}

function compareVersions(a, b) {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** The newest version of a major number that the registry has; without a registry, that the cache has. */
export function newestVersion(name, major) {
  const isRelease = (version) => /^\d+\.\d+\.\d+$/.test(version) && version.startsWith(`${major}.`);
  let versions;
  try {
    versions = [JSON.parse(npm(["view", `${name}@${major}`, "version", "--json"], packageRoot))].flat();
  } catch (error) {
    const entries = existsSync(CACHE) ? readdirSync(CACHE) : [];
    const prefix = prefixOf(name);
    versions = entries.filter((entry) => entry.startsWith(prefix)).map((entry) => entry.slice(prefix.length));
    if (!versions.some(isRelease)) throw new Error(`npm knows no ${name}@${major}\n${error.stderr ?? error.message}`);
  }
  const newest = versions.filter(isRelease).sort(compareVersions).at(-1);
  if (newest === undefined) throw new Error(`npm knows no ${name}@${major}`);
  return newest;
}

/** The folder of a package's content. */
export function packedFolder(name, version) {
  const folder = join(CACHE, prefixOf(name) + version);
  if (existsSync(folder)) return join(folder, "package");
  step(`${name} ${version} (npm pack)`, () => {
    mkdirSync(CACHE, { recursive: true });
    // Made beside and renamed: a folder that is there is whole, and two scripts may fetch the same package.
    const beside = mkdtempSync(join(CACHE, ".new-"));
    try {
      // Its last line is the archive's name; with --json it would list every file.
      const filename = npm(["pack", `${name}@${version}`, "--silent"], beside)
        .trim()
        .split("\n")
        .at(-1);
      execFileSync("tar", ["-xzf", filename], { cwd: beside });
      rmSync(join(beside, filename));
      if (!existsSync(folder)) renameSync(beside, folder);
    } finally {
      rmSync(beside, { recursive: true, force: true });
    }
  });
  return join(folder, "package");
}

/** The executable of a version of Node.js for a system and processor as npm's packages call them ("linux-x64"). */
export function packedNode(target, version) {
  const folder = packedFolder(`node-${target}`, version);
  return join(folder, "bin", target.startsWith("win-") ? "node.exe" : "node");
}
