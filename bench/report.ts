/** The table at the end of a run. */
import type { Measurement } from "./measure.ts";
import { targetOf } from "./targets.ts";

export interface ReportRow extends Measurement {
  readonly ratio: number;
  readonly target: number | undefined;
  readonly verdict: "reached" | "missed" | "";
}

export function reportRow(measurement: Measurement): ReportRow {
  const ratio = measurement.foliodb / measurement.peer;
  const target = targetOf(measurement);
  const verdict = target === undefined ? "" : ratio <= target ? "reached" : "missed";
  return { ...measurement, ratio, target, verdict };
}

const HEADINGS = ["set", "entries", "operation", "foliodb", "lmdb-js", "unit", "ratio", "target", "verdict"];
/** Columns of text stand to the left. */
const LEFT: ReadonlySet<string> = new Set(["set", "operation", "unit", "verdict"]);

export function formatTable(rows: readonly ReportRow[]): string {
  const cells = rows.map((row) => [
    row.set,
    row.entries.toLocaleString("en"),
    row.operation,
    formatNumber(row.foliodb),
    formatNumber(row.peer),
    row.unit,
    row.ratio.toFixed(2),
    row.target?.toFixed(2) ?? "",
    row.verdict,
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((line) => line[column].length)),
  );
  const format = (line: readonly string[]): string =>
    line
      .map((cell, i) => (LEFT.has(HEADINGS[i]) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  const missed = rows.filter(({ verdict }) => verdict === "missed").length;
  const judged = rows.filter(({ verdict }) => verdict !== "").length;
  return [
    format(HEADINGS),
    ...cells.map(format),
    "",
    `${judged - missed} of ${judged} targets reached. Ratio: foliodb to the peer in the same run, less is better.`,
    "The peer of “putSync and bare flushes” is two flushes of a mapped file without a store.",
    "",
  ].join("\n");
}

function formatNumber(number: number): string {
  return number >= 100 ? Math.round(number).toLocaleString("en") : number.toFixed(1);
}
