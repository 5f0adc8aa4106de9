/**
 * `foliodb/mapping`: memory-mapped files for Node.js. What the Win32 file-mapping functions offer, with one meaning on
 * Linux, macOS and Windows; docs/mapping.md is the guide.
 */
import { MappingError } from "../errors.ts";
import { native, refusal } from "./failures.ts";
import { Mapping } from "./mapping.ts";
import {
  type CreateOptions,
  checkCreateOptions,
  checkName,
  checkObject,
  isMachineWide,
  type OpenOptions,
  optionError,
} from "./options.ts";
import { decodeToken } from "./token.ts";

export type { MappingErrorCode } from "../errors.ts";
export type { HandOptions, Inheritance, InheritOptions, Stdio, StdioEntry } from "./handing.ts";
export type { Mapping, ViewsOptions } from "./mapping.ts";
export type {
  Backing,
  ByteCount,
  CreateOptions,
  Disposition,
  OpenOptions,
  Protection,
  ViewAccess,
  ViewOptions,
} from "./options.ts";
export { VIEW_SIZE_MAX } from "./options.ts";
export type { Advice, FlushOptions, Residency, View, ViewBase, ViewRange } from "./view.ts";
export { MappingError };

/** What the system measures memory in, in bytes. */
export interface SystemInfo {
  /** A page of memory: what residency is counted in, and sizes of memory without a file are rounded to. */
  readonly pageSize: number;
  /** What bases of views are multiples of. Offsets of views need not be. */
  readonly allocationGranularity: number;
}

/** @throws MappingError ADDON */
export function systemInfo(): SystemInfo {
  return native((addon) => ({ pageSize: addon.memoryPageSize, allocationGranularity: addon.allocationGranularity }));
}

/** How long a receiver waits for a sender's answer. */
const RECEIVE_TIMEOUT_MS = 5000;

/**
 * CreateFileMapping: a mapping over a file, a temporary file, or memory. If `name` is taken, the mapping is the one that
 * has it, with its size and its file, and `existed` is true.
 * @throws MappingError OPTION, ADDON, NOT_FOUND, EXISTS, NOT_A_FILE, NO_PERMISSION, EMPTY_FILE, NOT_GROWABLE, NAME_FOREIGN,
 * LIMIT, DISK_FULL, IO
 */
export function createMapping(options: CreateOptions): Mapping {
  checkObject(options, "createMapping");
  const { section, existed } = native((addon) => {
    const request = checkCreateOptions(options, addon.memoryPageSize);
    return addon.createSection(
      request.backing,
      request.path,
      request.disposition,
      request.size,
      request.protection,
      request.name,
      request.machineWide,
      request.mode,
    );
  });
  return new Mapping(section, existed);
}

/**
 * OpenFileMapping: the mapping that has a name. @throws MappingError OPTION, ADDON, NAME_NOT_FOUND, NAME_FOREIGN,
 * NO_PERMISSION
 */
export function openMapping(name: string, options: OpenOptions = {}): Mapping {
  checkObject(options, "openMapping");
  const { access = "write" } = options;
  if (access !== "read" && access !== "write") throw optionError('access must be "read" or "write"');
  const checked = checkName(name);
  const machineWide = isMachineWide(options.scope);
  return new Mapping(
    native((addon) => addon.openSection(checked, machineWide, access === "write")),
    false,
  );
}

/**
 * The mapping that another process has handed to this one, by `inherit` or `handTo`. A token is good once in a process.
 * @throws MappingError OPTION, ADDON, NOT_HANDED
 */
export function receiveMapping(token: string): Mapping {
  const { way, traits } = decodeToken(token);
  // On Windows its number leads to the very handle that the children are to inherit, which has its owner.
  if (way.kind === "inherited" && way.maker === native((addon) => addon.processMark)) throw refusal("notHanded");
  const section = native((addon) =>
    way.kind === "inherited"
      ? addon.receiveInherited(way.number, way.identity, ...traits)
      : addon.receiveHanded(way.address, RECEIVE_TIMEOUT_MS, ...traits),
  );
  return new Mapping(section, false);
}
