/** What the scripts that run the suite on several versions of Node.js share: what was asked for, and how it went. */
import { existsSync, readFileSync } from "node:fs";

/** The major numbers of `--node 20,22`, or the default, and the rest of the command line, which is vitest's. */
export function parseCommand(parameters, majorsDefault) {
  const at = parameters.indexOf("--node");
  if (at === -1) return { majors: majorsDefault, filters: parameters };
  const majors = (parameters[at + 1] ?? "").split(",");
  if (!majors.every((major) => /^[1-9]\d*$/.test(major))) {
    throw new Error(`--node wants major numbers as in ${majorsDefault}, not ${parameters[at + 1]}`);
  }
  return { majors, filters: parameters.toSpliced(at, 2) };
}

/** How a run ended: from vitest's report, or one failure if there is none. */
export function countsOf(report, code) {
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  const brokenFiles = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  const failed = numFailedTests + brokenFiles.length;
  // Vitest can fail without a failed test: an error nobody caught.
  return { passed: numPassedTests, failed: code !== 0 && failed === 0 ? 1 : failed, skipped: numPendingTests };
}

/** Prints a line for each run and one for all, and sets the exit code. */
export function tellResults(results) {
  process.stdout.write("\n");
  for (const { version, seconds, passed, failed, skipped } of results) {
    const rest = skipped > 0 ? `, ${skipped} skipped` : "";
    process.stdout.write(`Node.js ${version.padEnd(8)} ${passed} passed, ${failed} failed${rest}, ${seconds} s\n`);
  }
  const sum = (field) => results.reduce((total, result) => total + result[field], 0);
  process.stdout.write(`${sum("passed")} passed, ${sum("failed")} failed\n`);
  process.exitCode = sum("failed") === 0 ? 0 : 1;
}
