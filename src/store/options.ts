/** The options of `open`, checked and completed. */
import { StoreError } from "../errors.ts";
import { keyCodec, valueCodec } from "./codec/codecs.ts";
import type { CustomValueCodec, KeyEncoding, ValueEncoding } from "./codec/encodings.ts";
import { CAPACITIES_DEFAULT, type Capacities } from "./format/coordination.ts";
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_SIZE_MIN, RUN_BOUNDARY_LOG2_DEFAULT } from "./format/limits.ts";

/** How a store is opened. What a store keeps in its file (page size, encodings) is fixed when it is created. */
export interface StoreOptions<V = unknown> {
  /** Open for reading only. The file must exist. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Create the file if there is none. Default true, and false with `readOnly`. */
  readonly create?: boolean | undefined;
  /** Bytes of a page: 4096 (default), 8192, 16384, 32768 or 65536. Only looked at when the store is created. */
  readonly pageSize?: number | undefined;
  /**
   * `"ordered"` (default for a new store), `"string"` or `"binary"`. A store keeps its encodings: one that is left out here
   * is the store's own, and another than the store's is an error.
   */
  readonly keyEncoding?: KeyEncoding | undefined;
  /** `"msgpack"` (default for a new store), `"json"`, `"string"`, `"binary"` or a codec of one's own. As `keyEncoding`. */
  readonly valueEncoding?: ValueEncoding | CustomValueCodec<V> | undefined;
  /** Milliseconds to wait for the writer lock, and for other handles that are just opening. Default 10,000. */
  readonly timeout?: number | undefined;
  /** Permission bits of the files created, before the process's umask. Default 0o666. */
  readonly mode?: number | undefined;
}

/** For tests: what users have no say in. */
export interface InternalOptions {
  readonly runBoundaryLog2?: number;
  readonly capacities?: Capacities;
  readonly fileSizeMin?: number;
}

/** Options with nothing left open. */
export interface CheckedOptions<V> {
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly pageSize: number;
  /** Undefined: what the file says, or the default for a new one. */
  readonly keyEncoding: KeyEncoding | undefined;
  readonly valueEncoding: ValueEncoding | CustomValueCodec<V> | undefined;
  readonly timeout: number;
  readonly mode: number;
  readonly runBoundaryLog2: number;
  readonly capacities: Capacities;
  /** Bytes of a new file at least. */
  readonly fileSizeMin: number;
}

const KNOWN_OPTIONS: readonly string[] = [
  "readOnly",
  "create",
  "pageSize",
  "keyEncoding",
  "valueEncoding",
  "timeout",
  "mode",
];
const TIMEOUT_DEFAULT_MS = 10_000;
const MODE_DEFAULT = 0o666;
/**
 * A new file is written and not only allocated: the first store into a block that was never written takes several times as
 * long as into one that was, and so does its flush, which changes the file's map of blocks too. So the first transactions
 * of a store, which are small, do not pay for what its creation can.
 */
const FILE_SIZE_MIN_DEFAULT = 512 * 1024;

/** @throws StoreError OPTION */
export function checkOptions<V>(path: string, options: StoreOptions<V>, internal: InternalOptions): CheckedOptions<V> {
  if (typeof path !== "string" || path === "" || path.includes("\0"))
    throw wrong("the path must be a string that is not empty");
  if (typeof options !== "object" || options === null) throw wrong("options must be an object");
  for (const name of Object.keys(options)) {
    if (!KNOWN_OPTIONS.includes(name))
      throw wrong(`there is no option "${name}"; there are ${KNOWN_OPTIONS.join(", ")}`);
  }
  const readOnly = flag("readOnly", options.readOnly, false);
  const create = flag("create", options.create, !readOnly);
  if (readOnly && create) throw wrong("readOnly and create exclude each other");
  const { pageSize = PAGE_SIZE_DEFAULT, timeout = TIMEOUT_DEFAULT_MS, mode = MODE_DEFAULT } = options;
  // A text that reads as a number would pass the comparisons.
  const isPageSize = typeof pageSize === "number" && Number.isInteger(Math.log2(pageSize));
  if (!isPageSize || pageSize < PAGE_SIZE_MIN || pageSize > PAGE_SIZE_MAX) {
    throw wrong(`pageSize must be a power of two of ${PAGE_SIZE_MIN} to ${PAGE_SIZE_MAX}, not ${String(pageSize)}`);
  }
  if (typeof timeout !== "number" || !(timeout >= 0))
    throw wrong("timeout must be a number of milliseconds of 0 or more");
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) throw wrong("mode must be permission bits of 0 to 0o777");
  const { keyEncoding, valueEncoding } = options;
  if (keyEncoding !== undefined) keyCodec(keyEncoding);
  if (valueEncoding !== undefined) valueCodec(valueEncoding);
  return {
    readOnly,
    create,
    pageSize,
    keyEncoding,
    valueEncoding,
    timeout,
    mode,
    runBoundaryLog2: internal.runBoundaryLog2 ?? RUN_BOUNDARY_LOG2_DEFAULT,
    capacities: internal.capacities ?? CAPACITIES_DEFAULT,
    fileSizeMin: internal.fileSizeMin ?? FILE_SIZE_MIN_DEFAULT,
  };
}

function flag(name: string, value: unknown, whenAbsent: boolean): boolean {
  if (value === undefined) return whenAbsent;
  if (typeof value !== "boolean") throw wrong(`${name} must be true or false`);
  return value;
}

function wrong(message: string): StoreError {
  return new StoreError("OPTION", message);
}
