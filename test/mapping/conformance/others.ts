/** Other processes for the tests of sharing, and a folder for their files. Every one is a real process, talked to by messages. */
import { type ChildProcess, fork, type StdioOptions } from "node:child_process";
import { closeSync, openSync, truncateSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MappingError } from "foliodb/mapping";
import { afterEach, expect } from "vitest";

export const isWindows = process.platform === "win32";
export const isLinux = process.platform === "linux";

/** A process that hangs is a failed test, not a hanging one. Wine on a busy machine is slow, and its tests have four minutes. */
const HANG_MS = isWindows ? 200_000 : 40_000;
const running = new Set<ChildProcess>();

/** What a child says in answer to a message, or unasked. */
interface Answer {
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string };
}

/** An error of another process. */
export class OtherError extends Error {
  readonly code: string | undefined;
  constructor(name: string, code: string | undefined, message: string) {
    super(`${name} ${code}: ${message}`);
    this.code = code;
  }
}

function path(name: string): string {
  return fileURLToPath(new URL(`./children/${name}`, import.meta.url));
}

/** A process that runs children/user.mjs. */
export class Other {
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #last = 0;

  constructor(child: ChildProcess) {
    this.#process = child;
    this.pid = child.pid ?? -1;
    child.on("message", (message) => {
      const answer = message as Answer;
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
    this.ended = new Promise((resolve) => child.on("exit", () => resolve()));
  }

  /** Has the process call one of the functions of children/user.mjs. */
  async ask<Value = unknown>(call: string, options: Record<string, unknown> = {}): Promise<Value> {
    const id = ++this.#last;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, resolve);
      this.ended.then(() => reject(new Error(`the other process ended during ${call}`)));
      this.#process.send({ id, call, options });
    });
    this.#waiting.delete(id);
    if (answer.error !== undefined) throw new OtherError(answer.error.name, answer.error.code, answer.error.message);
    return answer.value as Value;
  }

  /** As kill -9 does. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }

  async exit(): Promise<void> {
    this.#process.disconnect();
    await this.ended;
  }
}

function begin(name: string, parameters: readonly string[], stdio: StdioOptions): ChildProcess {
  const child = fork(path(name), parameters, { stdio, execArgv: ["--expose-gc"] });
  running.add(child);
  const limit = setTimeout(() => child.kill("SIGKILL"), HANG_MS);
  child.on("exit", () => {
    clearTimeout(limit);
    running.delete(child);
  });
  return child;
}

export const STDIO: ("ignore" | "inherit" | "ipc")[] = ["ignore", "inherit", "inherit", "ipc"];

/** Starts a process and waits until it listens. */
export async function startOther(parameters: readonly string[] = [], stdio: StdioOptions = STDIO): Promise<Other> {
  const child = begin("user.mjs", parameters, stdio);
  const other = new Other(child);
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", () => reject(new Error("the other process ended before it listened")));
  });
  return other;
}

/** Runs children/`name` to its end. What it sends is the result. */
export async function run<Result>(name: string, parameters: readonly string[] = []): Promise<Result> {
  const child = begin(name, parameters, STDIO);
  return await new Promise<Result>((resolve, reject) => {
    let result: { readonly value: Result } | undefined;
    child.on("message", (value) => {
      result = { value: value as Result };
    });
    child.on("exit", (status, signal) => {
      if (status === 0 && result !== undefined) resolve(result.value);
      else reject(new Error(`${name} ended with ${status ?? signal}`));
    });
  });
}

afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
});

/** A file of `size` bytes that takes no room. */
export function sparseFile(path: string, size: number): string {
  closeSync(openSync(path, "w"));
  truncateSync(path, size);
  return path;
}

/** The code that a call throws. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}

/** The error that a call throws, which is one of the package's. */
export function errorOf(call: () => unknown): MappingError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(MappingError);
    expect(error).toBeInstanceOf(Error);
    return error as MappingError;
  }
  throw new Error("no error was thrown");
}

/** The code that a promise rejects with. */
export async function codeOfAsync(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  );
}

let nameCount = 0;
/** A name that no other test has. */
export function newName(): string {
  return `test-${process.pid}-${Date.now().toString(36)}-${nameCount++}`;
}
