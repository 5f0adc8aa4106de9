/**
 * The part of the addon that `foliodb/mapping` stands on; addon.ts has the rest and the loader. Checks of sizes, ranges and
 * the table of accesses are made in TypeScript; the addon makes them again where memory depends on them.
 *
 * These functions throw `SystemError`, or an error with the property `refusal` where the outcome has a meaning of its own.
 */

/** Outcomes with a meaning of their own; the `Refusal` of native/section.h says what each is. */
export type Refusal =
  | "emptyFile"
  | "notGrowable"
  | "noSuchName"
  | "foreignName"
  | "movedFile"
  | "addressTaken"
  | "notHanded";

/** In the order of native/section.h, as are the next four. */
export const BACKINGS = ["file", "temporary", "memory"] as const;
export const PROTECTIONS = ["readonly", "readwrite", "writecopy"] as const;
export const ACCESSES = ["read", "write", "copy"] as const;
export const DISPOSITIONS = ["open", "create", "openOrCreate"] as const;
export const ADVICES = ["normal", "sequential", "random", "willneed", "dontneed", "discard"] as const;

/** Bits of `takeFaults` and `faults`: memory that was not to be had, a store into a read view. */
export const FAULT_LOST = 1;
export const FAULT_STORE = 2;
/** Of `faults` only: the file ends before the view does. */
export const FAULT_CUT_OFF = 4;

/** What a section is. Enumerations are indexes into the arrays above. */
export interface NativeTraits {
  readonly backing: number;
  readonly size: bigint;
  readonly protection: number;
  readonly path: string;
  readonly name: string;
  readonly machineWide: boolean;
  readonly start: bigint;
}

export interface NativeSection {
  traits(): NativeTraits;
  /** What has faulted in any view since the last call. */
  takeFaults(): number;
  /** `at` and `wanted` are multiples of the granularity; the ArrayBuffer of the view begins `skip` bytes after its base. */
  map(at: bigint, length: number, skip: number, access: number, wanted: bigint): NativeSectionView;
  /**
   * A descriptor or handle for a child; closed by `closeHandle`, or when `handle` is collected. Until then the section's name has
   * this user.
   */
  inherit(readOnly: boolean): { readonly number: number; readonly identity: string; readonly handle: object };
  hand(readOnly: boolean, pid: number, limitMs: number): string;
  close(): void;
}

/** Ranges are relative to the mapped base, and taken whole memory pages. */
export interface NativeSectionView {
  base(): bigint;
  /** To be called once. */
  takeBuffer(): ArrayBuffer;
  /** What has faulted since the view was made, and whether it is cut off now. */
  faults(): number;
  flush(at: number, length: number, durable: boolean): void;
  flushAsync(
    at: number,
    length: number,
    durable: boolean,
    callback: (error: Error | undefined, faults: number) => void,
  ): void;
  advise(at: number, length: number, advice: number): void;
  resident(at: number, length: number): { readonly residentCount: number; readonly pageCount: number };
  /** Detaches the buffer and unmaps. Twice is fine. */
  close(buffer: ArrayBuffer): void;
}

/** A section's traits as arguments. */
export type TraitArguments = [
  backing: number,
  size: bigint,
  protection: number,
  path: string,
  name: string,
  machineWide: boolean,
  start: bigint,
];

export interface SectionFunctions {
  readonly memoryPageSize: number;
  readonly allocationGranularity: number;
  createSection(
    backing: number,
    path: string,
    disposition: number,
    size: bigint,
    protection: number,
    name: string,
    machineWide: boolean,
    mode: number,
  ): { readonly section: NativeSection; readonly existed: boolean };
  openSection(name: string, machineWide: boolean, forWrite: boolean): NativeSection;
  receiveInherited(number: number, identity: string, ...traits: TraitArguments): NativeSection;
  receiveHanded(address: string, limitMs: number, ...traits: TraitArguments): NativeSection;
  closeHandle(handle: object): void;
  /** Random; the same in every thread of this process, and in no other process. */
  readonly processMark: string;
}
