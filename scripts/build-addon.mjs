/**
 * Builds the native addon with the node-gyp of node_modules, offline: the headers are those of the Node that runs this
 * script. Does nothing if build/Release/foliodb.node is newer than everything it is made from.
 */
import { execFileSync } from "node:child_process";
import { existsSync, realpathSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isStale, packageRoot, step } from "./steps.mjs";

export const ADDON = join(packageRoot, "build", "Release", "foliodb.node");

/** The folder that holds include/node: the one above Node's own bin. */
function headersFolder() {
  const folder = dirname(dirname(realpathSync(process.execPath)));
  if (existsSync(join(folder, "include", "node", "node_api.h"))) return folder;
  throw new Error(
    `no headers of Node.js at ${join(folder, "include", "node")}. Use a Node.js that brings them (the official archives do; ` +
      "distributions have a package such as libnode-dev or nodejs-devel).",
  );
}

function runNodeGyp() {
  const nodeGyp = join(packageRoot, "node_modules", "node-gyp", "bin", "node-gyp.js");
  // npm hands its own settings down as npm_config_*; node-gyp would take them for options of its own.
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)));
  // Not "rebuild": it would empty build/, and with it what else is built there.
  const headers = headersFolder();
  for (const command of ["configure", "build"]) {
    try {
      execFileSync(process.execPath, [nodeGyp, command, "--release", `--nodedir=${headers}`, "--loglevel=error"], {
        cwd: packageRoot,
        env: environment,
        stdio: ["ignore", "pipe", "pipe"],
        encoding: "utf8",
      });
    } catch (error) {
      throw new Error(`node-gyp failed; it needs Python 3, make and a C++17 compiler.\n${error.stdout}${error.stderr}`);
    }
  }
  // make leaves the file alone if a source was touched but not changed; it is up to date all the same.
  const now = new Date();
  utimesSync(ADDON, now, now);
}

/** Builds if anything it is made from is newer. */
export function buildAddon() {
  const sources = ["native", "binding.gyp", "node_modules/node-addon-api/package.json"];
  if (!isStale(ADDON, sources)) return;
  step("native addon", runNodeGyp);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) buildAddon();
