/**
 * The code for Windows, run on this machine: builds the addon by mingw-w64 and runs the tests of the store and of mappings with
 * the real node.exe under Wine. Sets up all it needs in build/windows/.
 *
 *   npm run test:windows                                   the newest Node.js 22
 *   npm run test:windows -- --node 20,22,24                these
 *   npm run test:windows -- test/store test/process        some tests only: whatever follows is vitest's
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./steps.mjs";
import { countsOf, parseCommand, tellResults } from "./suite-runs.mjs";
import { buildAddon } from "./windows/addon.mjs";
import { installMachine, installNode, installPrograms, runUnderWine, windowsPath } from "./windows/machine.mjs";
import { installProject, PROJECT } from "./windows/project.mjs";

const MAJORS_DEFAULT = ["22"];
/**
 * What touches the system. The rest of the suite is the same everywhere, and needs the tools of a developer's machine; what
 * test/model/space.test.ts flushes to a file system in memory takes Wine, which has none, longer than all else.
 */
const FILTERS_DEFAULT = [
  ...["test/store", "test/pager", "test/errors", "test/process", "test/mapping"],
  ...["test/model/files", "test/model/stories"],
];
/** A flush takes Wine many times as long. */
const TEST_TIMEOUT_MS = 240_000;
const RUN_TIMEOUT_MS = 3_600_000;

async function runSuite(executable, filters) {
  const report = join(PROJECT, `report-${process.pid}.json`);
  const vitest = windowsPath(join(PROJECT, "node_modules", "vitest", "vitest.mjs"));
  const parameters = [
    ...["run", "--reporter=default", "--reporter=json", `--outputFile.json=${windowsPath(report)}`],
    ...[`--testTimeout=${TEST_TIMEOUT_MS}`, `--hookTimeout=${TEST_TIMEOUT_MS}`],
    ...(filters.length > 0 ? filters : FILTERS_DEFAULT),
  ];
  const options = { folder: PROJECT, timeoutMs: RUN_TIMEOUT_MS, env: {} };
  try {
    const code = await runUnderWine(executable, [vitest, ...parameters], options);
    return countsOf(report, code);
  } finally {
    rmSync(report, { force: true });
  }
}

/** Takes a store written on each system to the other and back: 1 failed if either does not find what was written. */
async function exchangeStores(executable) {
  const folder = mkdtempSync(join(PROJECT, "exchange-"));
  const script = join("scripts", "windows", "exchange.mjs");
  const here = (what, name) => {
    execFileSync(process.execPath, [join(packageRoot, script), what, join(folder, name)], { stdio: "inherit" });
  };
  const there = async (what, name) => {
    const parameters = [join(PROJECT, script), join(folder, name)].map(windowsPath).toSpliced(1, 0, what);
    const options = { folder: PROJECT, timeoutMs: TEST_TIMEOUT_MS, env: {} };
    if ((await runUnderWine(executable, parameters, options)) !== 0)
      throw new Error(`${what} ${name} failed on Windows`);
  };
  let failed = 0;
  try {
    here("write", "ours");
    await there("read", "ours");
    here("read", "ours");
    await there("write", "theirs");
    here("read", "theirs");
    await there("read", "theirs");
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    failed = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`stores from ${process.platform} to win32 and back: ${failed === 0 ? "passed" : "failed"}\n`);
  return { passed: 1 - failed, failed };
}

async function main() {
  const { majors, filters } = parseCommand(process.argv.slice(2), MAJORS_DEFAULT);
  execFileSync(process.execPath, [join(packageRoot, "scripts", "setup.mjs"), "--quiet"], { stdio: "inherit" });
  installPrograms();
  installMachine();
  installProject(await buildAddon());
  const results = [];
  for (const major of majors) {
    const begin = performance.now();
    const { version, executable } = installNode(major);
    process.stdout.write(`\n--- Node.js ${version} for Windows, under Wine\n`);
    const counts = await runSuite(executable, filters);
    const { passed, failed } = await exchangeStores(executable);
    counts.passed += passed;
    counts.failed += failed;
    results.push({ version, seconds: Math.round((performance.now() - begin) / 1000), ...counts });
  }
  tellResults(results);
}

main().catch((error) => {
  process.stderr.write(`\n${error.message}\n`);
  process.exitCode = 1;
});
