/** What a user gave, in words for messages: its kind, never its content, which may be long or secret. */

/** Of bytes that are no longer there. */
export const DETACHED = "one whose memory has been transferred away";

/** "an object of class Map": for messages. */
export function describeValue(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "undefined";
  if (typeof value === "number") return Number.isFinite(value) ? "a number" : String(value);
  if (typeof value !== "object") return typeof value === "function" ? "a function" : `a ${typeof value}`;
  try {
    if (Array.isArray(value)) return "an array";
    const name: unknown = value.constructor?.name;
    return typeof name === "string" && name !== "" && name !== "Object" ? `an object of class ${name}` : "an object";
  } catch {
    // A getter of the user's, or a proxy that has been revoked.
    return "an object";
  }
}

/** The message of whatever was thrown. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : `${describeValue(error)} was thrown`;
}
