/**
 * The random tests of the store, longer than in a usual run.
 *
 *   npm run test:campaign            ten times longer
 *   npm run test:campaign -- 200     200 times longer
 *   FOLIODB_SEED=7 npm run test:campaign -- 1     one of usual length, from a given seed
 */
import { spawnSync } from "node:child_process";
import { packageRoot } from "./steps.mjs";

const FACTOR_DEFAULT = 10;

const factor = Number(process.argv[2] ?? FACTOR_DEFAULT);
if (!(factor >= 1)) {
  process.stderr.write(`how many times longer must be a number of 1 or more, not ${process.argv[2]}\n`);
  process.exit(2);
}
const seed = process.env["FOLIODB_SEED"] ?? String(Date.now() % 2 ** 31);
process.stdout.write(`campaign of ${factor} times the usual length, FOLIODB_SEED=${seed}\n`);
const { status } = spawnSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "test/model/recorder.test.ts", "test/model/files.test.ts", "test/crash"],
  { cwd: packageRoot, stdio: "inherit", env: { ...process.env, FOLIODB_CAMPAIGN: String(factor), FOLIODB_SEED: seed } },
);
process.exitCode = status ?? 1;
