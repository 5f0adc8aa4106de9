/** What the addon throws, as the `MappingError`s that users meet: a stable code, the system's words, and what to do. */
import { MappingError, type MappingErrorCode, StoreError, SystemError } from "../errors.ts";
import { type Addon, loadAddon } from "./addon.ts";
import { FAULT_CUT_OFF, FAULT_LOST, FAULT_STORE, type Refusal } from "./native.ts";

const REFUSALS: Readonly<Record<Refusal, readonly [code: MappingErrorCode, message: string]>> = {
  emptyFile: ["EMPTY_FILE", "an empty file can't be mapped with its own size: name a size, and the file grows to it"],
  notGrowable: [
    "NOT_GROWABLE",
    'the size is greater than the file\'s, and only protection "readwrite" makes a file longer: leave the size out, or ask for "readwrite"',
  ],
  noSuchName: ["NAME_NOT_FOUND", "no mapping has this name: nobody has created it, or its last user is gone"],
  foreignName: [
    "NAME_FOREIGN",
    "what has this name is no mapping, or one of another version of foliodb: remove it, if nobody needs it, or choose another name",
  ],
  movedFile: [
    "NAME_FOREIGN",
    "this name does not lead to its mapping, for its file was moved, replaced or removed: put it back, or end the processes " +
      "that use the name, or choose another name",
  ],
  addressTaken: [
    "ADDRESS_TAKEN",
    "the wanted address is not free, or the system maps nothing there: try another, or let the system choose",
  ],
  notHanded: [
    "NOT_HANDED",
    "the mapping of this token is not to be had: it was received already, its time is up, its sender has ended, or it is " +
      "meant for another process, as is what this one has readied for its children. Ask the sender for a new token",
  ],
};

/** Codes of systems; on Windows the addon uses the same names for what they have in common. */
const SYSTEM_CODES: Readonly<Record<string, readonly [code: MappingErrorCode, advice: string]>> = {
  ENOENT: ["NOT_FOUND", "check the path, or let the file be created"],
  ENOTDIR: ["NOT_FOUND", "a part of the path is no folder"],
  EEXIST: ["EXISTS", "choose another path, or open the file that is there"],
  EISDIR: ["NOT_A_FILE", "only regular files can be mapped"],
  EINVAL: ["NOT_A_FILE", "only regular files can be mapped"],
  ENODEV: ["NOT_A_FILE", "its file system can't map files"],
  ENXIO: ["NOT_A_FILE", "only regular files can be mapped"],
  ELOOP: ["NOT_FOUND", "too many symbolic links"],
  EACCES: ["NO_PERMISSION", "ask for less access, or have the permissions changed"],
  EPERM: ["NO_PERMISSION", "ask for less access, or have the permissions changed"],
  EROFS: [
    "NO_PERMISSION",
    "the file system is read-only: a file there can be mapped with protection readonly, and no name be made",
  ],
  ETXTBSY: ["NO_PERMISSION", "the file is a program that runs"],
  EBUSY: ["NO_PERMISSION", "another process keeps the file to itself: try again when it is done"],
  ENOSPC: ["DISK_FULL", "free some space"],
  EDQUOT: ["DISK_FULL", "free some space, or have the quota raised"],
  EFBIG: ["DISK_FULL", "files can't be this long here"],
  EMFILE: ["LIMIT", "close mappings that are not needed, or raise the limit of open files"],
  ENFILE: ["LIMIT", "too many files are open on this machine"],
  ENOMEM: ["LIMIT", "no memory or address space is left, or too many views are open: close some"],
  ENOTSUP: ["UNSUPPORTED", "this system or file system has no such call"],
  EOPNOTSUPP: ["UNSUPPORTED", "this system or file system has no such call"],
  ENOSYS: ["UNSUPPORTED", "this system has no such call"],
  ENAMETOOLONG: ["OPTION", "choose a shorter path or name"],
  ETIMEDOUT: ["IO", "another process stopped in the middle of its work: end or continue it"],
};

/** The error for an outcome with a meaning of its own. `path` is what it is about, if that is no parameter of the call. */
export function refusal(outcome: Refusal, path?: string, cause?: Error): MappingError {
  const [code, message] = REFUSALS[outcome];
  return new MappingError(code, path === undefined ? message : `${message} (${path})`, cause);
}

function refusalOf(error: Error): Refusal | undefined {
  const refusal = "refusal" in error ? error.refusal : undefined;
  return typeof refusal === "string" && refusal in REFUSALS ? (refusal as Refusal) : undefined;
}

/** The `MappingError` for what the addon has thrown; anything else as it is. */
export function mappingError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const outcome = refusalOf(error);
  if (outcome !== undefined) {
    return refusal(outcome, "path" in error && typeof error.path === "string" ? error.path : undefined, error);
  }
  if (error instanceof SystemError) {
    const [code, advice] = SYSTEM_CODES[error.code] ?? ["IO", "the system or the device has failed"];
    return new MappingError(code, `${error.message}: ${advice}`, error);
  }
  return error instanceof StoreError && error.code === "ADDON"
    ? new MappingError("ADDON", error.message, error)
    : error;
}

/** Makes a call of the addon's, and turns what it throws into a `MappingError`. */
export function native<Result>(call: (addon: Addon) => Result): Result {
  try {
    return call(loadAddon());
  } catch (error) {
    throw mappingError(error);
  }
}

/** Throws if any bit of a fault word is set. */
export function throwFaults(faults: number): void {
  if ((faults & FAULT_LOST) !== 0) {
    throw new MappingError(
      "FAULT",
      "memory of a view could not be had (the file was truncated, the disk is full or has failed): zeros were read there, " +
        "and what was stored is lost. Close the view, look after the file, and map it anew",
    );
  }
  if ((faults & FAULT_CUT_OFF) !== 0) {
    throw new MappingError(
      "FAULT",
      "the file is shorter now than this view needs it to be: zeros are read behind its end, and what is stored there is lost. " +
        "Close the view, and map what is left of the file; or let it be made as long as it was",
    );
  }
  if ((faults & FAULT_STORE) !== 0) {
    throw new MappingError(
      "READ_ONLY",
      "something was stored into a read view. The file has not changed; the view has, and shows it. Close it, and map with " +
        'access "write" or "copy" to store',
    );
  }
}
