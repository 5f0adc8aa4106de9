/**
 * Failed system calls on order: "the third flush from now fails with EIO". Every call that the real machine could
 * refuse is counted, so that a test can also fail the n-th call of any kind, for every n until none is reached.
 */
import { SystemError } from "../../src/errors.ts";

/**
 * The calls that can be made to fail. "directory flush" is the last step of creating a file; "populate" makes the meta
 * page ready within the commit job.
 */
export type FallibleCall =
  | "open"
  | "create"
  | "directory flush"
  | "read"
  | "map"
  | "grow"
  | "prepare"
  | "populate"
  | "flush"
  | "lock"
  | "open coordination"
  | "create coordination";

export type FailureCode =
  | "EIO"
  | "ENOSPC"
  | "EDQUOT"
  | "EFBIG"
  | "EACCES"
  | "EROFS"
  | "ENOENT"
  | "EBADF"
  | "ENOMEM"
  | "ENOLCK";

/** Linux's numbers. */
const ERRNO: Record<FailureCode, number> = {
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  ENOMEM: 12,
  EACCES: 13,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  ENOLCK: 37,
  EDQUOT: 122,
};

const SYSCALL: Record<FallibleCall, string> = {
  open: "open",
  create: "open",
  "directory flush": "fsync",
  read: "pread",
  map: "mmap",
  grow: "fallocate",
  prepare: "madvise",
  populate: "madvise",
  flush: "fdatasync",
  lock: "fcntl",
  "open coordination": "open",
  "create coordination": "open",
};

export function systemError(code: FailureCode, call: FallibleCall, path: string): SystemError {
  return new SystemError(code, ERRNO[code], SYSCALL[call], path, "by the recorder");
}

interface Order {
  readonly call: FallibleCall | "any";
  readonly code: FailureCode;
  readonly lasting: boolean;
  /** Matching calls still to come, the failing one included. */
  left: number;
}

export class Failures {
  /** Calls made so far, failed ones included. */
  calls = 0;
  /** Calls failed so far. */
  failed = 0;
  #orders: Order[] = [];

  /**
   * The `nth` call of this kind from now on (1: the next) fails with `code`; a lasting failure holds for all after it,
   * too.
   */
  add(call: FallibleCall | "any", nth: number, code: FailureCode, lasting = false): void {
    this.#orders.push({ call, code, lasting, left: nth });
  }

  clear(): void {
    this.#orders = [];
  }

  /** Counts a call; its error, if it is ordered to fail. */
  take(call: FallibleCall, path: string): SystemError | undefined {
    this.calls++;
    let hit: Order | undefined;
    for (const order of this.#orders) {
      if (order.call !== "any" && order.call !== call) continue;
      if (order.left > 0) order.left--;
      if (order.left === 0) hit ??= order;
    }
    if (hit === undefined) return undefined;
    this.failed++;
    this.#orders = this.#orders.filter((order) => order.left > 0 || order.lasting);
    return systemError(hit.code, call, path);
  }
}
