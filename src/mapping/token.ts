/**
 * Tokens: what a process is told so that it finds a mapping handed to it. A token is text without blanks; it is valid once, and
 * whoever has that of a running hand-over and is the process it was made for gets the mapping.
 */
import { Buffer } from "node:buffer";
import { MappingError } from "../errors.ts";
import type { NativeTraits, TraitArguments } from "./native.ts";

/** How the mapping comes: under a number the process was born with, or from an address. */
export type Way =
  | { readonly kind: "inherited"; readonly number: number; readonly identity: string }
  | { readonly kind: "handed"; readonly address: string };

const PREFIX = "foliodb-mapping-1.";

export function encodeToken(way: Way, traits: NativeTraits): string {
  const content = { ...way, ...traits, size: String(traits.size), start: String(traits.start) };
  return PREFIX + Buffer.from(JSON.stringify(content)).toString("base64url");
}

function refuse(): never {
  throw new MappingError("OPTION", "this is no token of a mapping: it must be passed on exactly as it was given");
}

function decode(token: string): Record<string, unknown> {
  if (typeof token !== "string" || !token.startsWith(PREFIX)) refuse();
  try {
    const content: unknown = JSON.parse(Buffer.from(token.slice(PREFIX.length), "base64url").toString());
    return typeof content === "object" && content !== null ? { ...content } : refuse();
  } catch {
    return refuse();
  }
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const isText = (value: unknown): value is string => typeof value === "string";
const isDecimal = (value: unknown): value is string => isText(value) && /^\d{1,19}$/.test(value);

/** @throws MappingError OPTION: it is none */
export function decodeToken(token: string): { readonly way: Way; readonly traits: TraitArguments } {
  const { kind, number, identity, address, backing, size, protection, path, name, machineWide, start } = decode(token);
  if (!isCount(backing) || !isDecimal(size) || !isCount(protection) || !isText(path)) refuse();
  if (!isText(name) || typeof machineWide !== "boolean" || !isDecimal(start)) refuse();
  const traits: TraitArguments = [backing, BigInt(size), protection, path, name, machineWide, BigInt(start)];
  if (kind === "inherited" && isCount(number) && isText(identity)) return { way: { kind, number, identity }, traits };
  if (kind === "handed" && isText(address)) return { way: { kind, address }, traits };
  return refuse();
}
