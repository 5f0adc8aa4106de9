/**
 * The commits of a store, in order, each with the content it must have. Every commit stores its own index under
 * STATE_KEY, so that a store says which state it claims to be in, and can then be compared with that whole state.
 */
import type { Reads } from "../../src/store/reads.ts";
import { Violation } from "./engine.ts";

export const STATE_KEY = "state";

export type Content = ReadonlyMap<string, string>;
export type TextReads = Reads<string, string>;

export class History {
  /** By index; undefined: it was lost in a power loss, as it may be, and must not come back. */
  readonly #states: (Content | undefined)[] = [new Map()];
  /** The last state that was acknowledged, or that somebody saw. */
  acknowledged = 0;

  /** The last state whose commit was begun. */
  get begun(): number {
    return this.#states.length - 1;
  }

  get latest(): Content {
    return this.state(this.acknowledged);
  }

  state(index: number): Content {
    const content = this.#states[index];
    if (content === undefined) throw new Violation(`state ${index} was never committed, or was lost`);
    return content;
  }

  /** A commit begins; returns its index. The content must have it under STATE_KEY. */
  begin(contentOf: (index: number) => Content): number {
    const index = this.#states.length;
    this.#states.push(contentOf(index));
    return index;
  }

  acknowledge(): void {
    this.acknowledged = this.begun;
  }

  /** After a power loss or a kill this is the state: what was begun after it is lost. */
  settle(index: number): void {
    this.acknowledged = index;
    for (let lost = index + 1; lost < this.#states.length; lost++) this.#states[lost] = undefined;
  }

  /** Reads everything, which must be exactly one state; returns which. */
  identify(what: string, reads: TextReads): number {
    const found = reads.get(STATE_KEY);
    const index = found === undefined ? 0 : Number(found);
    const content = this.state(index);
    let count = 0;
    for (const [key, value] of reads.entries()) {
      count++;
      if (content.get(key) !== value) throw new Violation(`${what}: state ${index} has another value of ${key}`);
    }
    if (count !== content.size)
      throw new Violation(`${what}: state ${index} has ${content.size} entries, not ${count}`);
    return index;
  }
}

/** The content after some changes, STATE_KEY included. */
export function changed(content: Content, changes: readonly Change[], index: number): Content {
  const next = new Map(content);
  for (const change of changes) {
    switch (change.kind) {
      case "put":
        next.set(change.key, change.value);
        break;
      case "delete":
        next.delete(change.key);
        break;
      case "clear":
        next.clear();
        break;
    }
  }
  next.set(STATE_KEY, String(index));
  return next;
}

export type Change =
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "clear" };
