/**
 * Tokens: what a process is told so that it finds a mapping handed to it. A token is text without blanks; it is valid once, and
 * whoever has that of a running hand-over and is the process it was made for gets the mapping.
 */
import { Buffer } from "node:buffer";
import { MappingError } from "../errors.ts";
import { BACKINGS, type NativeTraits, PROTECTIONS, type TraitArguments } from "./native.ts";
import { checkName, SIZE_MAX } from "./options.ts";

/** How the mapping comes: under a number the process was born with (`maker` marks the one it was born of), or from an address. */
export type Way =
  | { readonly kind: "inherited"; readonly number: number; readonly identity: string; readonly maker: string }
  | { readonly kind: "handed"; readonly address: string };

const PREFIX = "foliodb-mapping-1.";
/** Descriptors are C ints, and Windows' handles fit into one, too: they have 32 bits that mean something, and are positive. */
const NUMBER_MAX = 2 ** 31 - 1;
/** What `handSection` of native/section.h gives: a secret, and where the receiver is to ask for it. */
const ADDRESS = /^[0-9a-f]{32}:[^\0]{1,200}$/;

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

/** An integer from 0 to `max`. */
const isUpTo = (value: unknown, max: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
const isIndexOf = (words: readonly string[], value: unknown): value is number => isUpTo(value, words.length - 1);
const isText = (value: unknown): value is string => typeof value === "string";

/** A number of 64 bits, as text. */
function wide(value: unknown): bigint {
  return isText(value) && /^\d{1,19}$/.test(value) ? BigInt(value) : refuse();
}

/** @throws MappingError OPTION: it is none */
export function decodeToken(token: string): { readonly way: Way; readonly traits: TraitArguments } {
  const { kind, number, identity, maker, address, path, name, machineWide, ...content } = decode(token);
  const { backing, protection } = content;
  if (!isIndexOf(BACKINGS, backing) || !isIndexOf(PROTECTIONS, protection)) refuse();
  if (!isText(path) || !isText(name) || typeof machineWide !== "boolean") refuse();
  if (name !== "") checkName(name);
  const size = wide(content["size"]);
  const start = wide(content["start"]);
  if (size === 0n || start + size > SIZE_MAX) refuse();
  const traits: TraitArguments = [backing, size, protection, path, name, machineWide, start];
  if (kind === "inherited" && isUpTo(number, NUMBER_MAX) && isText(identity) && isText(maker)) {
    return { way: { kind, number, identity, maker }, traits };
  }
  if (kind === "handed" && isText(address) && ADDRESS.test(address)) return { way: { kind, address }, traits };
  return refuse();
}
