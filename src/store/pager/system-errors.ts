/** What an error of the system means to the user of a store. */
import { CorruptionError, type ErrorCode, StoreError, SystemError } from "../../errors.ts";
import type { Pages } from "./pages.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "NOT_FOUND",
  ENOTDIR: "NOT_FOUND",
  EISDIR: "NOT_A_FILE",
  EINVAL: "NOT_A_FILE",
  ENAMETOOLONG: "OPTION",
  ELOOP: "OPTION",
  EACCES: "NO_PERMISSION",
  EPERM: "NO_PERMISSION",
  EROFS: "NO_PERMISSION",
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
  EFBIG: "DISK_FULL",
};

const REASONS: Partial<Record<ErrorCode, string>> = {
  OPTION: "not a path",
  NOT_FOUND: "there is no such path",
  NOT_A_FILE: "not a regular file",
  NO_PERMISSION: "no permission",
  DISK_FULL: "no space left",
};

/**
 * The StoreError for an error met while `doing` something; errors that are StoreErrors already, and those that are not
 * the system's, come back as they are. `codes` overrides what a code of the system means here.
 */
export function storeError(error: unknown, doing: string, codes: Readonly<Record<string, ErrorCode>> = CODES): unknown {
  if (!(error instanceof SystemError)) return error;
  const code = codes[error.code] ?? "IO";
  return new StoreError(code, `${doing}: ${REASONS[code] ?? "the system failed"} (${error.message})`, { cause: error });
}

/** Codes for calls on a file that is open: only a full disk has a meaning of its own. */
export const OPEN_FILE_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
  EFBIG: "DISK_FULL",
};

/** The error of a handle one of whose mapped accesses was answered with zeros: nothing it read can be trusted. */
export function faultError(cause?: unknown): StoreError {
  return new StoreError(
    "IO",
    "a mapped page of the store could not be read or written: close the store and open it again",
    cause === undefined ? undefined : { cause },
  );
}

/** What to throw for an error met in reading: after an access was answered with zeros, damage that is found may be none. */
export function readError(error: unknown, pages: Pages): unknown {
  const isOfPages = error instanceof CorruptionError || (error instanceof StoreError && error.code === "NOT_A_STORE");
  return isOfPages && pages.faults[0] !== 0 ? faultError(error) : error;
}
