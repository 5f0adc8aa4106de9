/** Processes that the tests of this folder start, a folder for their files, and the C they are surrounded with. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";

/** How a process ended, and what it printed. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

export interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Settles when the process has printed something; rejects if it ends without. */
  readonly said: Promise<string>;
}

/** A process that hangs is a failed test, not a hanging one. */
const HANG_MS = 20_000;
const running = new Set<ChildProcess>();

export function childPath(name: string): string {
  return fileURLToPath(new URL(`./children/${name}`, import.meta.url));
}

/** Starts children/`name` with Node; those still running when the test ends are killed. */
export function start(name: string, parameters: readonly string[], environment: Record<string, string> = {}): Child {
  // What is preloaded already stays first: so the tests run under a sanitizer, too.
  const preload = [process.env["LD_PRELOAD"], environment["LD_PRELOAD"]].filter(Boolean).join(":");
  const child = spawn(process.execPath, ["--expose-gc", childPath(name), ...parameters], {
    env: { ...process.env, ...environment, ...(preload === "" ? {} : { LD_PRELOAD: preload }) },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: HANG_MS,
    killSignal: "SIGKILL",
  });
  running.add(child);
  let output = "";
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const said = new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      output += chunk;
      resolve(output);
    });
    child.on("close", () => reject(new Error(`${name} ended without a word\n${errors}`)));
  });
  // Not everybody asks.
  said.catch(() => {});
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (status, signal) => {
      running.delete(child);
      resolve({ status, signal, output, errors });
    });
  });
  return { process: child, ended, said };
}

afterEach(async () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Compiles children/`name` to a shared library. Whoever built the addon has a compiler. */
export function compileC(name: string, folder: string): string {
  const output = join(folder, `${name}.node`);
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", output, childPath(name), "-ldl"]);
  return output;
}
