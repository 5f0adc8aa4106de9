/** Ways to other processes: inheritance by a child, and handing to a process that runs. */
import { MappingError } from "../errors.ts";
import { native } from "./failures.ts";
import { type NativeSection, type NativeTraits, PROTECTIONS } from "./native.ts";
import { optionError } from "./options.ts";
import { encodeToken } from "./token.ts";

/** An entry of `stdio` of `child_process`: a word, or a descriptor. */
export type StdioEntry = "pipe" | "overlapped" | "ignore" | "inherit" | "ipc" | number | null | undefined;
/** One word for the three standard streams, or a list. */
export type Stdio = "pipe" | "overlapped" | "ignore" | "inherit" | readonly StdioEntry[];

export interface InheritOptions {
  /** "read": what the child gets can't be mapped for writing. Default: what this mapping may. */
  readonly access?: "read" | "write";
  /** What the child's `stdio` would be without the mapping. Default: "pipe". For `fork`, the list must have an "ipc". */
  readonly stdio?: Stdio;
}

export interface HandOptions {
  /** As for `inherit`. */
  readonly access?: "read" | "write";
  /** Milliseconds the receiver has. Default: 30,000. Means nothing on Windows. */
  readonly timeout?: number;
}

const TIMEOUT_DEFAULT = 30_000;
const TIMEOUT_MAX = 2 ** 31 - 1;
const PID_MAX = 2 ** 32 - 1;
/** No system gives greater ones, and what asks for a process would take only the lower half of the bits. */
const PID_GIVEN_MAX = 2 ** 31 - 1;
/** Descriptors 0 to 2 of a child are its standard streams. */
const STREAM_COUNT = 3;

/** A mapping ready to be inherited. */
export class Inheritance {
  /** For the options of `spawn` or `fork`. */
  readonly stdio: StdioEntry[];
  /** For the child, as an argument or in its environment: `receiveMapping(token)`. Good for each child, once. */
  readonly token: string;
  readonly #handle: object;

  /** @internal */
  constructor(stdio: readonly StdioEntry[], token: string, handle: object) {
    this.stdio = [...stdio];
    this.token = token;
    this.#handle = handle;
  }

  /**
   * To be called when the child has been spawned; for a mapping with a name, when the child has received it, if nobody else is a
   * user of the name. Twice is fine.
   */
  close(): void {
    native((addon) => addon.closeHandle(this.#handle));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether to narrow, and the traits as the receiver will have them. */
function narrow(traits: NativeTraits, access: unknown): { readonly readOnly: boolean; readonly traits: NativeTraits } {
  const isWritable = PROTECTIONS[traits.protection] === "readwrite";
  const wanted = access ?? (isWritable ? "write" : "read");
  if (wanted !== "read" && wanted !== "write") throw optionError('access must be "read" or "write"');
  if (wanted === "write" && !isWritable) {
    throw new MappingError(
      "ACCESS",
      `a mapping with protection "${PROTECTIONS[traits.protection]}" can be handed on for reading only`,
    );
  }
  const isNarrowed = wanted === "read" && isWritable;
  const protection = isNarrowed ? PROTECTIONS.indexOf("readonly") : traits.protection;
  return { readOnly: wanted === "read", traits: { ...traits, protection } };
}

export function inherit(section: NativeSection, from: NativeTraits, options: InheritOptions): Inheritance {
  const { readOnly, traits } = narrow(from, options.access);
  const given = options.stdio ?? "pipe";
  if (typeof given !== "string" && !Array.isArray(given)) throw optionError("stdio must be a word or a list");
  const stdio: StdioEntry[] = typeof given === "string" ? Array(STREAM_COUNT).fill(given) : [...given];
  const { number, identity, handle } = native(() => section.inherit(readOnly));
  const maker = native((addon) => addon.processMark);
  if (process.platform === "win32") {
    return new Inheritance(stdio, encodeToken({ kind: "inherited", number, identity, maker }, traits), handle);
  }
  while (stdio.length < STREAM_COUNT) stdio.push("pipe");
  const token = encodeToken({ kind: "inherited", number: stdio.length, identity, maker }, traits);
  return new Inheritance([...stdio, number], token, handle);
}

/** The system would not say so itself: POSIX waits for a receiver, Windows calls the number invalid. */
function checkRuns(pid: number): void {
  try {
    if (pid <= PID_GIVEN_MAX) {
      process.kill(pid, 0);
      return;
    }
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) return;
  }
  throw new MappingError("NOT_FOUND", `no process has the number ${pid}: hand the mapping to one that runs`);
}

export function prepareHanding(section: NativeSection, from: NativeTraits, pid: number, options: HandOptions): string {
  const { readOnly, traits } = narrow(from, options.access);
  const { timeout = TIMEOUT_DEFAULT } = options;
  if (!Number.isInteger(pid) || pid <= 0 || pid > PID_MAX) throw optionError("pid must be the number of a process");
  if (!Number.isInteger(timeout) || timeout < 0 || timeout > TIMEOUT_MAX) {
    throw optionError("timeout must be a number of milliseconds");
  }
  checkRuns(pid);
  return encodeToken({ kind: "handed", address: native(() => section.hand(readOnly, pid, timeout)) }, traits);
}
