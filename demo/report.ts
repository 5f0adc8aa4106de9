/** Numbers as people read them, and the table at the end. */

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function milliseconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${whole(value)} ms`;
}

export function perSecond(count: number, durationMs: number, unit: string): string {
  return `${whole((count / durationMs) * 1000)} ${unit}/s`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >>> 1];
}

/** Rows of name and value, aligned. */
export function table(rows: readonly (readonly [name: string, value: string])[]): string {
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const valueWidth = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value]) => `   ${name.padEnd(nameWidth)}   ${value.padStart(valueWidth)}\n`).join("");
}
