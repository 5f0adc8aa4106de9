/**
 * The whole suite on several versions of Node.js, one after the other: the newest of each major number, from npm's
 * packages of Node.js itself.
 *
 *   npm run test:nodes                                    20, 22, 24 and 26
 *   npm run test:nodes -- --node 20,26                    these only
 *   npm run test:nodes -- --node 26 test/mapping          some tests only: whatever follows is vitest's
 *
 * Addon and library are built once, by the Node.js that runs this script: the addon asks only for Node-API, which is
 * the same in all of them, and each version is asked to load it before its tests run.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { newestVersion, packedNode } from "./npm-packed.mjs";
import { packageRoot } from "./steps.mjs";
import { countsOf, parseCommand, tellResults } from "./suite-runs.mjs";

const MAJORS_DEFAULT = ["20", "22", "24", "26"];
const TARGET = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;

/** Opens a store and reads what it wrote. */
const LOAD_CHECK = `
  const { mkdtempSync, rmSync } = require("node:fs");
  const { join } = require("node:path");
  const folder = mkdtempSync(join(require("node:os").tmpdir(), "foliodb-load-"));
  import("foliodb").then(({ open }) => {
    const store = open(join(folder, "load.folio"));
    store.putSync("version", process.versions.node);
    if (store.get("version") !== process.versions.node) throw new Error("read something else than was written");
    store.closeSync();
    rmSync(folder, { recursive: true });
    console.log("addon loads; Node.js " + process.versions.node + ", Node-API " + process.versions.napi);
  });
`;

/** Loads the addon, then runs the suite. */
function runSuite(node, filters) {
  // First in the PATH, so that "node" is this one wherever a test or npm starts it by name.
  const env = { ...process.env, PATH: dirname(node) + delimiter + process.env["PATH"] };
  try {
    process.stdout.write(execFileSync(node, ["-e", LOAD_CHECK], { cwd: packageRoot, env, encoding: "utf8" }));
  } catch {
    process.stdout.write("the addon does not load\n");
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const folder = mkdtempSync(join(tmpdir(), "foliodb-nodes-"));
  const report = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  try {
    const vitest = join(packageRoot, "node_modules", "vitest", "vitest.mjs");
    const { status } = spawnSync(node, [vitest, "run", ...reporters, ...filters], {
      cwd: packageRoot,
      env,
      stdio: ["ignore", "inherit", "inherit"],
    });
    return countsOf(report, status ?? 1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main() {
  const { majors, filters } = parseCommand(process.argv.slice(2), MAJORS_DEFAULT);
  execFileSync(process.execPath, [join(packageRoot, "scripts", "setup.mjs"), "--quiet"], { stdio: "inherit" });
  const results = majors.map((major, i) => {
    const begin = performance.now();
    const version = newestVersion(`node-${TARGET}`, major);
    process.stdout.write(`\n--- Node.js ${version} (${i + 1} of ${majors.length})\n`);
    const counts = runSuite(packedNode(TARGET, version), filters);
    const seconds = Math.round((performance.now() - begin) / 1000);
    process.stdout.write(`Node.js ${version}: ${counts.passed} passed, ${counts.failed} failed\n`);
    return { version, seconds, ...counts };
  });
  tellResults(results);
}

try {
  main();
} catch (error) {
  process.stderr.write(`\n${error.message}\n`);
  process.exitCode = 1;
}
