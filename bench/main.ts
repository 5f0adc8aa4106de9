/**
 * npm run bench: foliodb beside lmdb-js, measured in turns in one run on one machine. Only the ratios mean something:
 * the times are this machine's, of this hour.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Measurement } from "./measure.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { lmdbVersion } from "./peers.ts";
import { formatTable, type ReportRow, reportRow } from "./report.ts";
import type { SetName } from "./sets.ts";

const SET_RUN = fileURLToPath(new URL("./set-run.js", import.meta.url));

/** Runs a set in a process of its own; its progress goes to this one's stderr. */
async function runSet(set: SetName, options: BenchOptions): Promise<ReportRow[]> {
  const parameters = ["--expose-gc", SET_RUN, set, JSON.stringify(options)];
  const child = spawn(process.execPath, parameters, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const rows: ReportRow[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const row = reportRow(JSON.parse(line) as Measurement);
    process.stderr.write(`    ${row.operation}: ${row.ratio.toFixed(2)}\n`);
    rows.push(row);
  }
  const status = await ended;
  if (status !== 0) throw new Error(`measuring the set "${set}" ended with status ${status}`);
  return rows;
}

async function main(options: BenchOptions): Promise<void> {
  const machine = `node ${process.versions.node}, ${cpus()[0]?.model ?? "unknown processor"}, lmdb-js ${lmdbVersion()}`;
  const loadBefore = loadavg()[0];
  process.stderr.write(`${machine}, load ${loadBefore.toFixed(1)}\n`);
  const rows: ReportRow[] = [];
  for (const set of options.sets) rows.push(...(await runSet(set, options)));
  const loadAfter = loadavg()[0];
  process.stdout.write(`${machine}, load ${loadBefore.toFixed(1)} to ${loadAfter.toFixed(1)}\n\n${formatTable(rows)}`);
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ machine, loadBefore, loadAfter, options, rows }, undefined, 2)}\n`);
  }
}

let options: BenchOptions | undefined;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}
if (options !== undefined) await main(options);
