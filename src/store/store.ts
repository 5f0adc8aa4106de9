/** A store as its user holds it: one handle. */
import { types } from "node:util";
import { CorruptionError, StoreError } from "../errors.ts";
import { type CheckReport, checkStore, failedCheck } from "./check.ts";
import { isKeyEncoding, isValueEncoding, keyCodec, valueCodec } from "./codec/codecs.ts";
import type { KeyCodec } from "./codec/key.ts";
import type { ValueCodec } from "./codec/value.ts";
import { valueEncodingName } from "./create.ts";
import type { StoreRecord } from "./format/catalog.ts";
import { valueSizeMax } from "./format/limits.ts";
import type { CheckedOptions } from "./options.ts";
import type { Pager } from "./pager/pager.ts";
import { type Pin, warnForgotten } from "./pager/readers.ts";
import type { RangeHost } from "./range-iterator.ts";
import { ReadTools } from "./read-tools.ts";
import { Reads } from "./reads.ts";
import { StoreSnapshot } from "./snapshot.ts";
import { CatalogReader, type Source } from "./source.ts";
import { type Stats, storeStats } from "./stats.ts";
import { Transaction } from "./transaction.ts";
import { copyBytes } from "./tree/key.ts";
import { encodeEntry, encodeKey } from "./write-encoding.ts";
import { nestedError, type PlainWrite, type QueuedTransaction, WriteQueue } from "./write-queue.ts";
import { WriteSession } from "./write-session.ts";

/** Name of the default store in the catalog. */
const DEFAULT_NAME = "";

/**
 * A handle of a store. Any number of handles, in any number of processes and threads, may have the same store open; one
 * of them writes at a time. Plain reads of one turn of the event loop see one committed state; a write of this handle
 * is seen by its reads as soon as it is committed.
 */
export class Store<K, V> extends Reads<K, V> implements Disposable, AsyncDisposable {
  readonly #pager: Pager;
  readonly #tools: ReadTools<K, V>;
  readonly #catalog: CatalogReader;
  readonly #queue: WriteQueue;
  readonly #timeout: number;
  readonly #valueSizeMax: number;
  readonly #encodings: { readonly key: string; readonly value: string };
  /** Snapshots of the user's that are garbage without having been closed. */
  readonly #forgotten = new FinalizationRegistry<Pin>((pin) => {
    // What the store's own close has released was not forgotten.
    if (this.#pager.closed) return;
    warnForgotten("a snapshot");
    pin.release();
  });
  #inTransaction = false;
  /** The session under way, or the latest. */
  #session: WriteSession | undefined;
  #closing: Promise<void> | undefined;
  /** @internal */
  protected override readonly changing = false;

  /** @internal */
  constructor(pager: Pager, options: CheckedOptions<V>) {
    const catalog = new CatalogReader(pager.pages, DEFAULT_NAME);
    let codecs: { readonly key: KeyCodec<K>; readonly value: ValueCodec<V> };
    try {
      codecs = chooseCodecs<K, V>(catalog.source(pager.readers.current()).tree, options);
    } catch (error) {
      pager.close();
      throw error;
    }
    const tools = new ReadTools(pager.pages, codecs.key, codecs.value);
    super(tools);
    this.#pager = pager;
    this.#tools = tools;
    this.#catalog = catalog;
    this.#timeout = options.timeout;
    this.#valueSizeMax = valueSizeMax(pager.layout.runBoundaryLog2);
    this.#encodings = { key: codecs.key.name, value: codecs.value.name };
    this.#queue = new WriteQueue(pager, options.timeout, () => this.#beginSession());
  }

  /** The store's file: an absolute path, with no symbolic link in it. */
  get path(): string {
    return this.#pager.path;
  }

  // Reading ------------------------------------------------------------------------------------------------------------

  /** @internal */
  protected override source(): Source {
    this.#checkOpen();
    return this.#catalog.source(this.#pager.readers.current());
  }

  /** @internal */
  protected override attach(user: object): RangeHost {
    this.#checkOpen();
    const pin = this.#pager.readers.share(user);
    const source = this.#sourceOf(pin);
    const checked = (): Source => {
      this.#checkOpen();
      return source;
    };
    return { pages: this.#pager.pages, source: checked, version: () => 0, release: () => pin.release() };
  }

  /** The tree of the snapshot a pin holds; the pin is let go if there is none to be read. */
  #sourceOf(pin: Pin): Source {
    try {
      return this.#catalog.source(pin.snapshot);
    } catch (error) {
      pin.release();
      throw error;
    }
  }

  /** Holds the newest committed state until it is closed. @throws StoreError CLOSED, SLOTS_FULL */
  snapshot(): StoreSnapshot<K, V> {
    this.#checkOpen();
    const pin = this.#pager.readers.hold();
    const source = this.#sourceOf(pin);
    const snapshot = new StoreSnapshot<K, V>(this.#tools, {
      source,
      pin,
      checkOpen: () => this.#checkOpen(),
      closed: (closed) => this.#forgotten.unregister(closed),
    });
    this.#forgotten.register(snapshot, pin, snapshot);
    return snapshot;
  }

  /**
   * Plain reads see what other handles have committed until now. They do so by themselves in every turn of the event
   * loop; a script that runs long without a turn calls this.
   */
  refresh(): void {
    this.#checkOpen();
    this.#pager.readers.endTurn();
  }

  // Writing, asynchronously --------------------------------------------------------------------------------------------

  /**
   * Stores a value under a key. Resolves when it is durable. Key and value are encoded at once, so they may be changed
   * after the call. Writes made in one turn of the event loop without awaiting each other become one commit.
   * Rejects with StoreError KEY_TYPE, KEY_SIZE, VALUE_TYPE, VALUE_SIZE, READ_ONLY, CLOSED, LOCKED, DISK_FULL, STORE_FULL,
   * STORE_REPLACED, POISONED, LIVE_LIST_FULL, IO or CorruptionError.
   */
  put(key: K, value: V): Promise<void> {
    try {
      this.#checkWritable();
      encodeEntry(this.#tools, key, value, this.#valueSizeMax);
      // Code of the user's in the key, the value or the codec may have closed the store.
      this.#checkWritable();
      const { key: keyBuffer, valueCodec: encoded } = this.#tools;
      const bytes = Buffer.allocUnsafe(keyBuffer.length + encoded.length);
      keyBuffer.bytes.copy(bytes, 0, 0, keyBuffer.length);
      copyBytes(bytes, keyBuffer.length, encoded.bytes, encoded.from, encoded.length);
      encoded.release();
      return this.#queue.enqueue({
        kind: "put",
        bytes,
        keyLength: keyBuffer.length,
        ascii: encoded.ascii,
        existed: false,
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Removes a key. Resolves, when it is durable, to whether the key was there. Rejects as `put`. */
  async delete(key: K): Promise<boolean> {
    this.#checkWritable();
    encodeKey(this.#tools, key);
    this.#checkWritable();
    const { key: buffer } = this.#tools;
    const bytes = Buffer.from(buffer.bytes.subarray(0, buffer.length));
    const write: PlainWrite = { kind: "delete", bytes, keyLength: bytes.length, ascii: false, existed: false };
    await this.#queue.enqueue(write);
    return write.existed;
  }

  /** Removes every entry. Resolves when it is durable. Rejects as `put`. */
  async clear(): Promise<void> {
    this.#checkWritable();
    await this.#queue.enqueue({ kind: "clear", bytes: new Uint8Array(0), keyLength: 0, ascii: false, existed: false });
  }

  /**
   * Runs a callback that reads and writes one state of the store; all it wrote is committed together. Resolves, when
   * that is durable, to what the callback returned. A callback that throws changes nothing, and the promise rejects with
   * what it threw. The callback must not be async (TRANSACTION_ASYNC): it runs while every other writer waits.
   * Rejects as `put`, and with TRANSACTION_ASYNC.
   */
  transaction<T>(callback: (transaction: Transaction<K, V>) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      checkCallback(callback);
      this.#checkWritable();
      let result: T;
      const write: QueuedTransaction = {
        kind: "transaction",
        run: (session) => {
          result = this.#runCallback(session, callback);
        },
        settle: (failure) => {
          if (failure === undefined) resolve(result);
          else reject(failure.error);
        },
        failure: undefined,
      };
      this.#queue.enqueueTransaction(write);
    });
  }

  /** Resolves when every write made so far is durable or has failed; those who made it are told. */
  async flush(): Promise<void> {
    this.#checkOpen();
    await this.#queue.settled();
  }

  // Writing, synchronously ---------------------------------------------------------------------------------------------

  /** `put` that returns when the value is durable. @throws as `put` rejects; TRANSACTION_NESTED */
  putSync(key: K, value: V): void {
    this.transactionSync((transaction) => transaction.put(key, value));
  }

  /** `delete` that returns when it is durable. @throws as `putSync` */
  deleteSync(key: K): boolean {
    return this.transactionSync((transaction) => transaction.delete(key));
  }

  /** `transaction` that returns when what was written is durable. Writes that are queued are committed first. @throws as `putSync` */
  transactionSync<T>(callback: (transaction: Transaction<K, V>) => T): T {
    checkCallback(callback);
    this.#checkWritable();
    if (this.#inTransaction) throw nestedError();
    const deadline = performance.now() + this.#timeout;
    this.#queue.drain(deadline);
    this.#pager.lockWriter(Math.max(0, deadline - performance.now()));
    const session = this.#beginSession();
    let result: T;
    try {
      result = this.#runCallback(session, callback);
    } catch (error) {
      session.abort();
      throw error;
    }
    session.commitSync();
    return result;
  }

  /** The writer lock is held; it is released if this fails. */
  #beginSession(): WriteSession {
    this.#session = new WriteSession(this.#pager, this.#catalog, this.#session);
    this.#tools.keep(this.#session);
    return this.#session;
  }

  #runCallback<T>(session: WriteSession, callback: (transaction: Transaction<K, V>) => T): T {
    const transaction = new Transaction<K, V>(this.#tools, session, this.#valueSizeMax);
    this.#inTransaction = true;
    try {
      const result = callback(transaction);
      if (isThenable(result)) {
        result.then(undefined, () => undefined);
        throw new StoreError(
          "TRANSACTION_ASYNC",
          "a transaction's callback must not be async: every other writer of the machine would wait for it",
        );
      }
      return result;
    } finally {
      this.#inTransaction = false;
      transaction.end();
      this.#tools.keep(transaction);
      this.#tools.valueCodec.release();
    }
  }

  // The store as a whole -----------------------------------------------------------------------------------------------

  /**
   * Reads and checks the whole file as of the newest commit: every page's checksum and structure, the order of all keys,
   * and that exactly the pages in use are marked as in use. Takes as long as reading the file does.
   * @throws StoreError CLOSED, SLOTS_FULL, IO
   */
  check(): CheckReport {
    this.#checkOpen();
    let pin: Pin | undefined;
    try {
      pin = this.#pager.readers.hold();
      return checkStore(this.#pager, pin.snapshot);
    } catch (error) {
      // Damage that leaves no snapshot to check: the file is too short, say.
      if (error instanceof CorruptionError) return failedCheck(error);
      throw error;
    } finally {
      pin?.release();
    }
  }

  /** Sizes and counts as of this turn. @throws StoreError CLOSED */
  stats(): Stats {
    const { tree } = this.source();
    return storeStats(this.#pager, this.#pager.readers.current(), tree, this.#encodings);
  }

  /**
   * Waits for the writes made so far, then closes the handle: snapshots and iterators end, the file is unmapped. Twice
   * is fine.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#pager.closed ? Promise.resolve() : this.#queue.settled().then(() => this.#end());
    }
    return this.#closing;
  }

  /** `close` that commits what is queued before it returns. Twice is fine. @throws StoreError TRANSACTION_NESTED */
  closeSync(): void {
    if (this.#pager.closed) return;
    if (this.#inTransaction) throw nestedError();
    this.#queue.drain(performance.now() + this.#timeout);
    this.#closing ??= Promise.resolve();
    this.#end();
  }

  #end(): void {
    this.#pager.close();
    this.#tools.retire();
  }

  [Symbol.dispose](): void {
    this.closeSync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#pager.closed) throw new StoreError("CLOSED", "the store is closed");
  }

  #checkWritable(): void {
    this.#checkOpen();
    if (this.#closing !== undefined) throw new StoreError("CLOSED", "the store is being closed");
    if (this.#pager.readOnly) throw new StoreError("READ_ONLY", "the store was opened for reading only");
  }
}

/** The codecs of a store: those it was created with, which must be those the user names, if any. @throws StoreError ENCODING */
function chooseCodecs<K, V>(
  stored: StoreRecord,
  options: CheckedOptions<V>,
): { key: KeyCodec<K>; value: ValueCodec<V> } {
  const keyEncoding = options.keyEncoding ?? stored.keyEncoding;
  const valueEncoding = options.valueEncoding ?? stored.valueEncoding;
  const valueName = valueEncodingName(valueEncoding);
  if (keyEncoding !== stored.keyEncoding) throw encodingError("key", stored.keyEncoding, keyEncoding);
  if (valueName !== stored.valueEncoding) throw encodingError("value", stored.valueEncoding, valueName);
  if (!isKeyEncoding(keyEncoding)) throw new StoreError("NEWER_FORMAT", `the store's key encoding is ${keyEncoding}`);
  if (typeof valueEncoding === "string" && !isValueEncoding(valueEncoding)) {
    throw new StoreError(
      "ENCODING",
      `the store's value encoding is ${valueEncoding}: open it with the codec of that name`,
    );
  }
  // The types of keys and values are the caller's word; what is not of them is refused when it is encoded.
  const key = keyCodec(keyEncoding) as KeyCodec<unknown> as KeyCodec<K>;
  const value = valueCodec(valueEncoding) as ValueCodec<unknown> as ValueCodec<V>;
  return { key, value };
}

function encodingError(what: string, stored: string, wanted: string): StoreError {
  return new StoreError("ENCODING", `the store's ${what} encoding is ${stored}, it was opened with ${wanted}`);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (types.isPromise(value)) return true;
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  try {
    return "then" in value && typeof value.then === "function";
  } catch {
    // A getter of the user's has thrown, or a proxy has been revoked.
    return false;
  }
}

function checkCallback(callback: unknown): void {
  if (typeof callback !== "function") throw new StoreError("OPTION", "a transaction takes a function");
}
