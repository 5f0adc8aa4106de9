/**
 * The errors of foliodb. Every error a user can meet carries a stable `code`; docs/guide.md lists them all with what to do.
 * There are three kinds of wrong: the caller's (`StoreError`), the disk's (`CorruptionError`, code "DAMAGED"), and ours
 * (`AssertionError` from `assert`). `foliodb/mapping` has its own, `MappingError`; docs/mapping.md lists its codes.
 */

/** Every `code` of a `StoreError`, grouped by when it occurs. */
export type ErrorCode =
  // Opening.
  | "OPTION"
  | "ADDON"
  | "NOT_FOUND"
  | "NOT_A_FILE"
  | "NO_PERMISSION"
  | "NOT_A_STORE"
  | "NEWER_FORMAT"
  | "ENCODING"
  | "COORDINATION_LOST"
  // Reading and writing.
  | "KEY_TYPE"
  | "KEY_SIZE"
  | "VALUE_TYPE"
  | "VALUE_SIZE"
  | "BOUND"
  | "READ_ONLY"
  | "LOCKED"
  | "STORE_REPLACED"
  | "STORE_FULL"
  | "SLOTS_FULL"
  | "LIVE_LIST_FULL"
  | "POISONED"
  // Transactions and life cycle.
  | "TRANSACTION_OVER"
  | "TRANSACTION_ASYNC"
  | "TRANSACTION_NESTED"
  | "CLOSED"
  | "SNAPSHOT_CLOSED"
  // The machine.
  | "DISK_FULL"
  | "IO"
  | "DAMAGED";

/** What went wrong in the use of a store, or in the machine under it. */
export class StoreError extends Error {
  override readonly name: string = "StoreError";
  /** Stable across versions: match on this, never on the message. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Bytes on the disk that are not what they must be. `page` is a page number of the store file, or -1 where none applies. */
export class CorruptionError extends StoreError {
  override readonly name = "CorruptionError";
  readonly page: number;
  readonly expected: string;
  readonly found: string;

  constructor(page: number, expected: string, found: string, options?: ErrorOptions) {
    super("DAMAGED", `damaged store: ${page < 0 ? "" : `page ${page}: `}expected ${expected}, found ${found}`, options);
    this.page = page;
    this.expected = expected;
    this.found = found;
  }
}

/** A failed system call, as the addon reports it. `code` is the system's name of the error ("ENOSPC"). */
export class SystemError extends Error {
  override readonly name = "SystemError";
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;

  constructor(code: string, errno: number, syscall: string, path: string | undefined, detail: string) {
    super(`${code}: ${detail}, ${syscall}${path === undefined ? "" : ` '${path}'`}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.path = path;
  }
}

/** Every `code` of a `MappingError`, grouped by when it occurs. */
export type MappingErrorCode =
  // Making, opening and receiving mappings.
  | "OPTION"
  | "ADDON"
  | "NOT_FOUND"
  | "EXISTS"
  | "NOT_A_FILE"
  | "NO_PERMISSION"
  | "EMPTY_FILE"
  | "NOT_GROWABLE"
  | "NAME_NOT_FOUND"
  | "NAME_FOREIGN"
  | "NOT_HANDED"
  // Views.
  | "ACCESS"
  | "RANGE"
  | "VIEW_SIZE"
  | "ADDRESS_TAKEN"
  | "NOT_DURABLE"
  | "CLOSED"
  | "FAULT"
  | "READ_ONLY"
  // The machine.
  | "LIMIT"
  | "DISK_FULL"
  | "UNSUPPORTED"
  | "IO";

/** What went wrong in the use of `foliodb/mapping`, or in the machine under it. */
export class MappingError extends Error {
  override readonly name = "MappingError";
  /** Stable across versions and systems: match on this, never on the message. */
  readonly code: MappingErrorCode;
  /** The system's name of the error ("ENOSPC"), if the system has said so. */
  readonly systemCode: string | undefined;
  /** The system's number: `errno` on POSIX, that of `GetLastError` on Windows. */
  readonly errno: number | undefined;
  /** The call that failed. */
  readonly syscall: string | undefined;
  /** The file, or the name of the mapping. */
  readonly path: string | undefined;

  constructor(code: MappingErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    const system = cause instanceof SystemError ? cause : undefined;
    this.systemCode = system?.code;
    this.errno = system?.errno;
    this.syscall = system?.syscall;
    const path = cause instanceof Error && "path" in cause ? cause.path : undefined;
    this.path = typeof path === "string" ? path : undefined;
  }
}

/** A condition that only a defect of foliodb can break. */
export function assert(condition: boolean, message = "assertion failed"): asserts condition {
  if (!condition) throw new Error(`foliodb internal error: ${message}`);
}
