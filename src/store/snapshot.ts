/** A snapshot held by the user: the same reads, unchanged by later commits. */
import { StoreError } from "../errors.ts";
import type { Pin } from "./pager/readers.ts";
import type { RangeHost } from "./range-iterator.ts";
import type { ReadTools } from "./read-tools.ts";
import { Reads } from "./reads.ts";
import type { Source } from "./source.ts";

/** What a snapshot needs of its store. @internal */
export interface SnapshotHost {
  readonly source: Source;
  readonly pin: Pin;
  /** @throws StoreError CLOSED */
  checkOpen(): void;
  /** The user closed the snapshot: nobody has forgotten it. */
  closed(snapshot: object): void;
}

/**
 * One committed state of a store. It costs a reader slot, and keeps the pages of this state from being used again; close
 * it when done. Closing the store closes it, too.
 */
export class StoreSnapshot<K, V> extends Reads<K, V> implements Disposable {
  readonly #tools: ReadTools<K, V>;
  readonly #host: SnapshotHost;
  #closed = false;
  /** @internal */
  protected override readonly changing = false;

  /** @internal */
  constructor(tools: ReadTools<K, V>, host: SnapshotHost) {
    super(tools);
    this.#tools = tools;
    this.#host = host;
  }

  /** The transaction number of this state: greater in every later one. */
  get number(): number {
    return this.#host.pin.snapshot.number;
  }

  /** Lets the snapshot go. Twice is fine. Its iterators end with SNAPSHOT_CLOSED. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.closed(this);
    this.#host.pin.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  protected override source(): Source {
    if (this.#closed) throw new StoreError("SNAPSHOT_CLOSED", "the snapshot is closed");
    this.#host.checkOpen();
    return this.#host.source;
  }

  /** @internal */
  protected override attach(): RangeHost {
    return { pages: this.#tools.pages, source: () => this.source(), version: () => 0, release: () => undefined };
  }
}
