/** What a transaction's callback is given: the reads, which see its own writes, and the writes. */
import { StoreError } from "../errors.ts";
import type { RangeHost } from "./range-iterator.ts";
import type { ReadTools } from "./read-tools.ts";
import { Reads } from "./reads.ts";
import type { Source } from "./source.ts";
import { encodeEntry, encodeKey } from "./write-encoding.ts";
import type { WriteSession } from "./write-session.ts";

/** One transaction, valid until its callback returns. All of its writes are committed together, or none. */
export class Transaction<K, V> extends Reads<K, V> {
  readonly #tools: ReadTools<K, V>;
  readonly #session: WriteSession;
  readonly #valueSizeMax: number;
  #over = false;
  /** @internal */
  protected override readonly changing = true;

  /** @internal */
  constructor(tools: ReadTools<K, V>, session: WriteSession, valueSizeMax: number) {
    super(tools);
    this.#tools = tools;
    this.#session = session;
    this.#valueSizeMax = valueSizeMax;
  }

  /**
   * Stores a value under a key, in place of one that is there. Puts may be written together later: what that meets (DISK_FULL,
   * STORE_FULL, IO, DAMAGED) is then the error of a later call of the transaction, or of its end.
   * @throws StoreError KEY_TYPE, KEY_SIZE, VALUE_TYPE, VALUE_SIZE, DISK_FULL, STORE_FULL, IO, TRANSACTION_OVER
   * @throws CorruptionError
   */
  put(key: K, value: V): void {
    this.#checkRunning();
    const { key: buffer, valueCodec } = this.#tools;
    encodeEntry(this.#tools, key, value, this.#valueSizeMax);
    this.#session.put(buffer, valueCodec.bytes, valueCodec.from, valueCodec.length, valueCodec.ascii);
  }

  /** Removes a key; tells whether it was there. @throws as `put` */
  delete(key: K): boolean {
    this.#checkRunning();
    encodeKey(this.#tools, key);
    return this.#session.delete(this.#tools.key);
  }

  /** Removes every entry. @throws as `put` */
  clear(): void {
    this.#checkRunning();
    this.#session.clear();
  }

  /** The callback has returned. @internal */
  end(): void {
    this.#over = true;
  }

  #checkRunning(): void {
    if (this.#over)
      throw new StoreError("TRANSACTION_OVER", "the transaction is over: it ended when its callback returned");
  }

  /** @internal */
  protected override source(): Source {
    this.#checkRunning();
    return this.#session.source;
  }

  /** @internal */
  protected override attach(): RangeHost {
    return {
      pages: this.#tools.pages,
      source: () => this.source(),
      version: () => this.#session.version,
      release: () => undefined,
    };
  }
}
