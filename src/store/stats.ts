/** What a user may want to know of a store: sizes and counts. */
import type { Snapshot } from "./format/meta.ts";
import type { Pager } from "./pager/pager.ts";
import type { TreeRoot } from "./pager/pages.ts";

/** Sizes and counts of a store as of one committed state, and of its surroundings as they are now. */
export interface Stats {
  /** Entries of the store. */
  readonly entryCount: number;
  /** Levels of the tree: 0 for an empty store, 1 for a single leaf. */
  readonly depth: number;
  /** Transaction number of the state. */
  readonly number: number;
  /** Bytes of a page. */
  readonly pageSize: number;
  /** Pages that hold something: trees, overflow runs, the space map, the meta pages. */
  readonly pagesUsed: number;
  /** Number of the highest page that holds something. */
  readonly pageHighest: number;
  /** Pages of the store, free ones included. */
  readonly pageCount: number;
  /** Bytes of the file: all pages and what it has grown ahead. */
  readonly fileSize: number;
  /** How keys and values are encoded. */
  readonly keyEncoding: string;
  readonly valueEncoding: string;
  /** Committed states that can't be overwritten now, the newest included. */
  readonly snapshotsLive: number;
  /** Reader slots that hold a state now, of all handles on the machine. */
  readonly slotsHeld: number;
  /** A flush has failed: nobody writes until all have closed. */
  readonly poisoned: boolean;
  /**
   * Reads are pinned in the coordination file. False for a reader that may not write that file: while it reads, writers
   * keep every state, and what it sees may be a commit that is not durable yet.
   */
  readonly pinned: boolean;
  /** When this handle was opened, one of the two meta pages held no whole record, so that the other one counted. */
  readonly metaFallback: boolean;
}

/** @internal */
export function storeStats(
  pager: Pager,
  snapshot: Snapshot,
  tree: TreeRoot,
  encodings: { readonly key: string; readonly value: string },
): Stats {
  return {
    entryCount: tree.entryCount,
    depth: tree.root === 0 ? 0 : tree.level + 1,
    number: snapshot.number,
    pageSize: pager.layout.pageSize,
    pagesUsed: snapshot.pagesUsed,
    pageHighest: snapshot.pageHighest,
    pageCount: snapshot.pageCount,
    keyEncoding: encodings.key,
    valueEncoding: encodings.value,
    ...pager.usage(),
    poisoned: pager.poisoned,
    pinned: pager.pinned,
    metaFallback: pager.metaFallback,
  };
}
