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
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { newestVersion, packedNode } from "./npm-packed.mjs";
import { packageRoot } from "./steps.mjs";

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

/** How a run ended: from vitest's report, or one failure if there is none. */
function countsOf(report, code) {
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  const brokenFiles = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  const failed = numFailedTests + brokenFiles.length;
  // Vitest can fail without a failed test: an error nobody caught.
  return { passed: numPassedTests, failed: code !== 0 && failed === 0 ? 1 : failed, skipped: numPendingTests };
}

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

/** What the command line asks for. */
function parse(parameters) {
  const at = parameters.indexOf("--node");
  if (at === -1) return { majors: MAJORS_DEFAULT, filters: parameters };
  const majors = (parameters[at + 1] ?? "").split(",");
  if (!majors.every((major) => /^[1-9]\d*$/.test(major))) {
    throw new Error(`--node wants major numbers as in 20,26, not ${parameters[at + 1]}`);
  }
  return { majors, filters: parameters.toSpliced(at, 2) };
}

function main() {
  const { majors, filters } = parse(process.argv.slice(2));
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
  process.stdout.write("\n");
  for (const { version, seconds, passed, failed, skipped } of results) {
    const rest = skipped > 0 ? `, ${skipped} skipped` : "";
    process.stdout.write(`Node.js ${version.padEnd(8)} ${passed} passed, ${failed} failed${rest}, ${seconds} s\n`);
  }
  const sum = (field) => results.reduce((total, result) => total + result[field], 0);
  process.stdout.write(`${sum("passed")} passed, ${sum("failed")} failed\n`);
  process.exitCode = sum("failed") === 0 ? 0 : 1;
}

try {
  main();
} catch (error) {
  process.stderr.write(`\n${error.message}\n`);
  process.exitCode = 1;
}
