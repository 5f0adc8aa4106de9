/** What reading takes, shared by all that reads one open store, so that a read allocates little but what it returns. */
import type { KeyCodec, KeyDecoder } from "./codec/key.ts";
import type { ValueCodec } from "./codec/value.ts";
import type { Pages } from "./pager/pages.ts";
import { Cursor } from "./tree/cursor.ts";
import { KeyBuffer } from "./tree/key.ts";
import { Finder } from "./tree/search.ts";

/** What one iterator after another walks with. */
export interface Walk<K> {
  readonly cursor: Cursor;
  readonly keys: KeyDecoder<K>;
}

/** Walks kept for iterators to come. */
const WALKS_MAX = 4;

/**
 * The tools of the store that was closed last, and with them what they keep. When no object of a class is left at a major
 * collection, V8 forgets its hidden class and throws away what it has compiled for it: a program that opens a store, works
 * and closes it, again and again, would run most of its work uncompiled. They hold a few buffers, and nothing of the user's.
 */
const keptAlive: { tools?: object } = {};

export class ReadTools<K, V> {
  readonly pages: Pages;
  readonly keyCodec: KeyCodec<K>;
  readonly valueCodec: ValueCodec<V>;
  /** For any key in hand, until the next. */
  readonly key: KeyBuffer = new KeyBuffer();
  readonly finder: Finder = new Finder();
  /** What an iterator has that does not walk. */
  readonly noWalk: Walk<K>;
  /** What was read only to be near when it is wanted: kept, so that no compiler leaves the reading out. */
  fetched = 0;
  readonly #walks: Walk<K>[] = [];
  readonly #kept = new Map<unknown, object>();

  constructor(pages: Pages, keyCodec: KeyCodec<K>, valueCodec: ValueCodec<V>) {
    this.pages = pages;
    this.keyCodec = keyCodec;
    this.valueCodec = valueCodec;
    this.noWalk = { cursor: new Cursor(), keys: keyCodec.decoder() };
  }

  takeWalk(): Walk<K> {
    return this.#walks.pop() ?? { cursor: new Cursor(), keys: this.keyCodec.decoder() };
  }

  giveBack(walk: Walk<K>): void {
    walk.cursor.close();
    if (this.#walks.length < WALKS_MAX) this.#walks.push(walk);
  }

  /**
   * Keeps an object beyond its use, until the next of its class: programs that iterate or write now and then would run the
   * code for it uncompiled for much of the time.
   */
  keep(object: object): void {
    this.#kept.set(object.constructor, object);
  }

  /** The store is closed, and nothing is encoded or decoded any more. */
  retire(): void {
    this.valueCodec.retire?.();
    keptAlive.tools = this;
  }
}
