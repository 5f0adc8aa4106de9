/** Real processes over real stores: starting them, hearing from them, and ending them with the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** What children say: a word, and what belongs to it. */
export interface Message {
  readonly said: string;
  readonly [field: string]: unknown;
}

/** How a process ended, and what it printed. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** A process that hangs is a failed test, not a hanging one. */
const HANG_MS = 40_000;

const CHILDREN = new URL("../../build/tools/test/process/children/", import.meta.url);

/** Path of a compiled child. */
export function childPath(name: string): string {
  return fileURLToPath(new URL(`${name}.js`, CHILDREN));
}

/** Options of a child's start. */
export interface StartOptions {
  /** Of Node. */
  readonly flags?: readonly string[];
  /** A command that runs Node, with its parameters. */
  readonly under?: readonly string[];
}

export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly #name: string;
  readonly #heard: Message[] = [];
  readonly #listeners = new Set<() => void>();
  #end: Ended | undefined;
  #errors = "";

  constructor(name: string, parameters: readonly string[], options: StartOptions = {}) {
    this.#name = name;
    const command = [
      ...(options.under ?? []),
      process.execPath,
      ...(options.flags ?? []),
      childPath(name),
      ...parameters,
    ];
    this.process = spawn(command[0], command.slice(1), {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      timeout: HANG_MS,
      killSignal: "SIGKILL",
    });
    let output = "";
    this.process.stdout?.on("data", (chunk) => {
      output += chunk;
    });
    this.process.stderr?.on("data", (chunk) => {
      this.#errors += chunk;
    });
    this.process.on("message", (message) => {
      this.#heard.push(message as Message);
      this.#tell();
    });
    this.ended = new Promise((resolve) => {
      this.process.on("close", (status, signal) => {
        this.#end = { status, signal, output, errors: this.#errors };
        this.#tell();
        resolve(this.#end);
      });
    });
    onTestFinished(() => this.kill());
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** The next thing the child says with one of these words; what it said meanwhile is dropped. Rejects if it ends without. */
  async hears(...words: readonly string[]): Promise<Message> {
    for (;;) {
      for (let message = this.#heard.shift(); message !== undefined; message = this.#heard.shift()) {
        if (words.includes(message.said)) return message;
      }
      if (this.#end !== undefined) {
        const { status, signal, errors } = this.#end;
        throw new Error(`${this.#name} ended (${status ?? signal}) without saying ${words.join(" or ")}\n${errors}`);
      }
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  tell(message: Message): void {
    this.process.send(message);
  }

  /** Ends it as `kill -9` does, stopped or not. Resolves when it is gone; twice is fine. */
  async kill(): Promise<void> {
    if (this.#end !== undefined) return;
    this.process.kill("SIGKILL");
    await this.ended;
  }

  /** Stops it where it stands, until `resume`. */
  async stop(): Promise<void> {
    this.process.kill("SIGSTOP");
    // The kernel reports it as stopped ("T") once no thread of it runs.
    const { readFile } = await import("node:fs/promises");
    while (!/\) [Tt] /.test(await readFile(`/proc/${this.pid}/stat`, "utf8"))) await new Promise(setImmediate);
  }

  resume(): void {
    this.process.kill("SIGCONT");
  }
}

/** Starts children/`name`; it is killed when the test ends. */
export function start(name: string, parameters: readonly string[] = [], options?: StartOptions): Child {
  return new Child(name, parameters, options);
}

/** An error another process met. */
export class RemoteError extends Error {
  readonly code: unknown;

  constructor(code: unknown, message: string) {
    super(message);
    this.code = code;
  }
}

/** What children/agent.ts does at a word; the answer comes back. */
export class Agent {
  readonly child: Child;
  #asked = 0;

  constructor(options?: StartOptions) {
    this.child = new Child("agent", [], options);
  }

  /** Sends a command and waits for its answer. @throws RemoteError with the code of the error it met */
  async ask(what: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const number = ++this.#asked;
    this.child.tell({ said: what, number, ...parameters });
    for (;;) {
      const answer = await this.child.hears("done", "failed");
      if (answer["number"] !== number) continue;
      if (answer.said === "done") return answer["result"];
      throw new RemoteError(answer["code"], String(answer["message"]));
    }
  }

  /** Sends a command whose answer nobody awaits. */
  tell(what: string, parameters: Readonly<Record<string, unknown>> = {}): void {
    this.child.tell({ said: what, number: ++this.#asked, ...parameters });
  }
}

/** Starts a process that opens the store and does what it is asked to. */
export async function startAgent(path?: string, options?: Record<string, unknown>, how?: StartOptions): Promise<Agent> {
  const agent = new Agent(how);
  if (path !== undefined) await agent.ask("open", { path, options });
  return agent;
}
