/**
 * The engine with one bug. `src/` is copied to `build/mutants/<process>/<name>/`, some text of one file is replaced, and the copy is
 * imported beside the real one. The errors stay the real ones, since the simulated machine throws them.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as engine from "../../src/store/open.ts";

const PACKAGE_ROOT = join(import.meta.dirname, "..", "..");
/** Several runs of the tests may share one working tree. */
const OWN_FOLDER = join(PACKAGE_ROOT, "build", "mutants", String(process.pid));

/** One bug. `from` must occur exactly once in the file, or the mutant tests nothing. */
export interface Mutation {
  readonly name: string;
  /** Below `src/`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Where the mutated sources lie. @throws if the text is not there exactly once */
export function writeMutant({ name, file, from, to }: Mutation): string {
  const folder = join(OWN_FOLDER, name.replaceAll(/[^a-z0-9]+/gi, "-"));
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(PACKAGE_ROOT, "src"), folder, { recursive: true });
  const path = join(folder, file);
  const parts = readFileSync(path, "utf8").split(from);
  if (parts.length !== 2) {
    throw new Error(
      `mutant "${name}": its text is ${parts.length - 1} times in src/${file}, must be there once: ${from}`,
    );
  }
  writeFileSync(path, parts.join(to));
  writeFileSync(join(folder, "errors.ts"), 'export * from "../../../../src/errors.ts";\n');
  return folder;
}

export async function importMutant(mutation: Mutation): Promise<typeof engine> {
  const path = join(writeMutant(mutation), "store", "open.ts");
  return (await import(/* @vite-ignore */ pathToFileURL(path).href)) as typeof engine;
}

/** To be called when the tests that use mutants end. */
export function removeMutants(): void {
  rmSync(OWN_FOLDER, { recursive: true, force: true });
}
