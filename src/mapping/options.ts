/** What users may ask for, and the checks that need no system. */
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { MappingError } from "../errors.ts";
import { type ACCESSES, BACKINGS, DISPOSITIONS, PROTECTIONS } from "./native.ts";

/** PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY. */
export type Protection = (typeof PROTECTIONS)[number];
/** FILE_MAP_READ, FILE_MAP_WRITE, FILE_MAP_COPY. */
export type ViewAccess = (typeof ACCESSES)[number];
/** What a mapping stands on. */
export type Backing = (typeof BACKINGS)[number];
/** OPEN_EXISTING, CREATE_NEW, OPEN_ALWAYS. */
export type Disposition = (typeof DISPOSITIONS)[number];
/** A size or an offset in bytes. Numbers reach to 2^53 - 1; what is greater is a bigint. */
export type ByteCount = number | bigint;

/** Of `createMapping`. Neither `path` nor `temporary`: memory without a file, as backed by the page file on Windows. */
export interface CreateOptions {
  /** The file to map. */
  readonly path?: string;
  /** A new file that nobody else finds and that is gone at the end: in this folder, or `true` for the system's. */
  readonly temporary?: boolean | string;
  /** What to do if the file is there, and if it isn't. Default: "open". */
  readonly disposition?: Disposition;
  /** Bytes. 0, the default: the file's own size. A file that is shorter grows. Required where there is no file to ask. */
  readonly size?: ByteCount;
  /** Default: "readwrite". */
  readonly protection?: Protection;
  /** A name others can open the mapping by: 1 to 200 bytes of UTF-8, without slashes, backslashes and NUL. */
  readonly name?: string;
  /** Windows: whether the name is known in the session or on the whole machine. Default: "session". Elsewhere always the machine. */
  readonly scope?: "session" | "machine";
  /**
   * Permission bits of a new file and of the name; the process's umask is taken off. Default: 0o600, for this user only. The name's
   * owner may always read and write it.
   */
  readonly mode?: number;
}

export interface OpenOptions {
  /** Default: "write". */
  readonly access?: "read" | "write";
  readonly scope?: "session" | "machine";
}

/** Of `mapping.view`. */
export interface ViewOptions {
  /** Where the view begins in the mapping; any offset will do. Default: 0. */
  readonly offset?: ByteCount;
  /** Bytes, at most 1 GiB. 0, the default: to the end of the mapping. */
  readonly length?: ByteCount;
  /** Default: the most the protection allows: "write", or "copy" for writecopy, or "read". */
  readonly access?: ViewAccess;
  /** Where the view's base is to lie, a multiple of the allocation granularity: there exactly, or an error. */
  readonly baseAddress?: bigint;
}

/** A view is one ArrayBuffer, and one over 4 GiB ends Node 20; offsets under 2^31 stay small integers in V8. */
export const VIEW_SIZE_MAX = 1024 * 1024 * 1024;
const NAME_SIZE_MAX = 200;
export const SIZE_MAX = 2n ** 63n - 1n;
const RECORD_SIZE_MAX = 2n ** 20n;
const DEFAULT_MODE = 0o600;
const MODE_MAX = 0o7777;

/** Windows' table: what views a protection allows. */
const ACCESS_TABLE: Readonly<Record<Protection, readonly ViewAccess[]>> = {
  readonly: ["read", "copy"],
  writecopy: ["copy", "read"],
  readwrite: ["write", "read", "copy"],
};

export function optionError(message: string): MappingError {
  return new MappingError("OPTION", message);
}

/** Throws unless a call was given an object where it takes options or a range. `undefined` is the default's already. */
export function checkObject(given: unknown, call: string, what = "options"): void {
  if (typeof given === "object" && given !== null) return;
  throw optionError(`${call} takes an object of ${what}, not ${shown(given)}`);
}

/** A value that is not what it must be, for the text of an error. */
export function shown(value: unknown): string {
  return (typeof value === "object" && value !== null) || typeof value === "function"
    ? `a ${typeof value}`
    : String(value);
}

/** A byte count as a bigint from 0 to 2^63 - 1. */
export function byteCount(value: unknown, name: string): bigint {
  const isCount = typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value));
  if (!isCount) throw optionError(`${name} must be an integer up to 2^53 - 1 or a bigint, not ${shown(value)}`);
  const count = BigInt(value);
  if (count < 0n || count > SIZE_MAX) throw optionError(`${name} must be 0 to 2^63 - 1, not ${value}`);
  return count;
}

/** The index of one of a few words. */
export function choice(words: readonly string[], value: unknown, name: string): number {
  const index = words.indexOf(value as string);
  if (index === -1) throw optionError(`${name} must be one of ${words.join(", ")}, not ${shown(value)}`);
  return index;
}

export function checkName(name: unknown): string {
  if (typeof name !== "string") throw optionError("name must be a string");
  // No UTF-8 says half of a pair: another name would be made of it.
  if (/\p{Surrogate}/u.test(name)) throw optionError("name must be well-formed");
  const size = new TextEncoder().encode(name).length;
  if (size === 0 || size > NAME_SIZE_MAX) throw optionError(`name must have 1 to ${NAME_SIZE_MAX} bytes, not ${size}`);
  if (/[/\\\0]/.test(name)) throw optionError("name must have no slash, no backslash and no NUL");
  return name;
}

/** Whether the name is known beyond the session. */
export function isMachineWide(scope: unknown): boolean {
  return choice(["session", "machine"], scope ?? "session", "scope") === 1;
}

/** Throws unless the protection allows the access. */
export function checkAccess(protection: Protection, access: ViewAccess): void {
  if (ACCESS_TABLE[protection].includes(access)) return;
  throw new MappingError(
    "ACCESS",
    `a mapping with protection "${protection}" allows no view with access "${access}"; ` +
      `it allows ${ACCESS_TABLE[protection].map((allowed) => `"${allowed}"`).join(", ")}`,
  );
}

/** The access of a view that names none. */
export function defaultAccess(protection: Protection): ViewAccess {
  return ACCESS_TABLE[protection][0];
}

/** What `createSection` of the addon takes. */
export interface CreateRequest {
  readonly backing: number;
  readonly path: string;
  readonly disposition: number;
  readonly size: bigint;
  readonly protection: number;
  readonly name: string;
  readonly machineWide: boolean;
  readonly mode: number;
}

export function checkCreateOptions(options: CreateOptions, memoryPageSize: number): CreateRequest {
  const { path, temporary = false, disposition = "open", protection = "readwrite", mode = DEFAULT_MODE } = options;
  if (path !== undefined && typeof path !== "string") throw optionError("path must be a string");
  if (path?.length === 0 || path?.includes("\0")) throw optionError("path must be neither empty nor contain NUL");
  if (typeof temporary !== "boolean" && typeof temporary !== "string") {
    throw optionError("temporary must be true or a folder");
  }
  if (temporary === "") throw optionError("temporary must not be empty");
  const isTemporary = temporary !== false;
  if (path !== undefined && isTemporary) throw optionError("path and temporary exclude each other");
  if (isTemporary && options.name !== undefined)
    throw optionError("a temporary file has no name: use memory without a file");
  if (!Number.isInteger(mode) || mode < 0 || mode > MODE_MAX) throw optionError("mode must be permission bits");
  const backing = path !== undefined ? "file" : isTemporary ? "temporary" : "memory";
  let size = byteCount(options.size ?? 0, "size");
  if (size === 0n && (backing !== "file" || disposition === "create")) {
    throw optionError("size is required where there is no file whose size could be taken");
  }
  const pageSize = BigInt(memoryPageSize);
  if (backing === "memory") size = ((size + pageSize - 1n) / pageSize) * pageSize;
  // The record of a name lies before its memory, in one file.
  if (backing === "memory" && size > SIZE_MAX - RECORD_SIZE_MAX) {
    throw optionError("size of memory must be less than 2^63 - 2^20");
  }
  return {
    backing: BACKINGS.indexOf(backing),
    path: path !== undefined ? resolve(path) : isTemporary ? resolve(temporary === true ? tmpdir() : temporary) : "",
    disposition: choice(DISPOSITIONS, disposition, "disposition"),
    size,
    protection: choice(PROTECTIONS, protection, "protection"),
    name: options.name === undefined ? "" : checkName(options.name),
    machineWide: isMachineWide(options.scope),
    mode,
  };
}
