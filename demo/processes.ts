/** Child processes of the demo. None outlives the process that started it. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const running = new Set<ChildProcess>();

/** How a process ended: with an exit code, or by a signal. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  /** Resolves when the process is gone and all it sent has arrived. */
  readonly ended: Promise<Ending>;
  /** Asks it to come to its end. */
  stop(): void;
  /** SIGKILL: it has no chance to do anything any more. */
  kill(): void;
}

/** Starts one of the scripts beside this file. What it sends is handed to `onMessage`. */
export function start<T>(script: string, parameters: readonly string[], onMessage: (message: T) => void): Child {
  const file = fileURLToPath(new URL(`./${script}.js`, import.meta.url));
  const child = fork(file, parameters, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  running.add(child);
  child.on("message", (message) => onMessage(message as T));
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once("error", reject);
    // "close" comes after the last message, "exit" may come before it.
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  return {
    ended,
    stop: () => child.connected && child.send("stop"),
    kill: () => child.kill("SIGKILL"),
  };
}

/** Runs one of the scripts to its end; it must send one message, which is the result, and succeed. */
export async function run<T>(script: string, parameters: readonly string[]): Promise<T> {
  const results: T[] = [];
  const { code, signal } = await start<T>(script, parameters, (message) => results.push(message)).ended;
  if (code !== 0 || results.length !== 1) throw new Error(`the ${script} process failed (${signal ?? `code ${code}`})`);
  return results[0];
}

/** Processes that have not ended yet. */
export function runningCount(): number {
  return running.size;
}

export function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

// In the child ---------------------------------------------------------------------------------------------------------

/** Sends a message to the process that started this one. Ends this one if that is gone. */
export function report(message: unknown): void {
  process.send?.(message);
}

/** Resolves when the process that started this one asks it to stop; if that is gone, this one ends at once. */
export function whenStopped(): Promise<void> {
  process.once("disconnect", () => process.exit(1));
  return new Promise((resolve) => {
    process.once("message", () => resolve());
  });
}

/** Lets this process end once nothing is left to do. */
export function leave(): void {
  process.removeAllListeners("disconnect");
  process.disconnect();
}
