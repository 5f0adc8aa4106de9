/** Bugs of the engine, each one line, which the scenarios must reveal. */
import type { Mutation } from "../support/mutant.ts";

const PAGER = "store/pager/pager.ts";
const LIVE_SET = "store/pager/live-set.ts";
const COORDINATION = "store/pager/coordination.ts";
const TRANSACTION = "store/pager/transaction.ts";
const FREE_SPACE = "store/pager/free-space.ts";
const OPENING = "store/pager/opening.ts";

export const MUTATIONS = {
  newerMetaOverwritten: {
    name: "newer meta overwritten",
    file: PAGER,
    from: "metaAt: metas.older.at,",
    to: "metaAt: metas.newer.at,",
  },
  olderMetaNotLive: {
    name: "older meta not live",
    file: LIVE_SET,
    from: "if (metas.previous !== undefined) live.set(",
    to: "if (metas.previous === undefined) live.set(",
  },
  readerSlotsNotLive: {
    name: "reader slots not live",
    file: LIVE_SET,
    from: "isHeld(coordination, held.get(snapshot.number | 0))",
    to: "false",
  },
  noReReadAfterPinning: {
    name: "no re-read after pinning",
    file: COORDINATION,
    from: "if (Atomics.load(words, COORDINATION_NEWEST >> 2) === index && this.#isStill(record)) {",
    to: "{",
  },
  orphanMetaNotAdopted: {
    name: "orphan meta not adopted",
    file: PAGER,
    from: "metas.newest.number > newest.number || !metasAreClean(metas)",
    to: "!metasAreClean(metas)",
  },
  tornMetaNotSettled: {
    name: "torn meta not settled before pages are chosen",
    file: PAGER,
    from: "metas.newest.number > newest.number || !metasAreClean(metas)",
    to: "metas.newest.number > newest.number",
  },
  poisonNotHeeded: {
    name: "poison not heeded",
    file: PAGER,
    from: "if (coordination.poisoned) throw poisonedError();",
    to: "",
  },
  unpinnedReadersNotLive: {
    name: "unpinned readers not live",
    file: LIVE_SET,
    from: "if (unpinned || named ||",
    to: "if (named ||",
  },
  newestNotFirst: {
    name: "a commit that failed taken for the newest",
    file: LIVE_SET,
    from: "return [newest, ...[...live.values()].sort(",
    to: "return [...[...live.values(), newest].sort(",
  },
  livingTakenForDead: {
    name: "living readers taken for dead",
    file: COORDINATION,
    from: 'if (!this.#file.tryLock(range, "exclusive")) return true;',
    to: 'if (!this.#file.tryLock(range, "exclusive")) return false;',
  },
  deadTakenForLiving: {
    name: "dead readers taken for living",
    file: COORDINATION,
    from: 'if (!this.#file.tryLock(range, "exclusive")) return true;',
    to: "return true;",
  },
  slotEndNotRaised: {
    name: "slot end not raised when a slot is claimed",
    file: COORDINATION,
    from: "while (end <= index) {",
    to: "while (end < 0) {",
  },
  writerLockNotTaken: {
    name: "writer lock not taken",
    file: PAGER,
    from: "if (!locking(() => this.#file.waitLock(WRITER_RANGE, timeout))) throw",
    to: "if (!locking(() => this.#file.waitLock(WRITER_RANGE, timeout)) && timeout < 0) throw",
  },
  othersNotSeen: {
    name: "opener takes itself for alone",
    file: OPENING,
    from: "if (alone) return",
    to: "if (alone || true) return",
  },
  openerTakesMetaForDurable: {
    name: "opener that is alone takes the newer meta for durable",
    file: OPENING,
    from: "durable = recorded !== undefined && metaEquals(recorded.meta, metas.newer.record) && metasAreClean(metas);",
    to: "durable = recorded !== undefined;",
  },
  mapPagesNotInUse: {
    name: "map pages not counted as in use",
    file: FREE_SPACE,
    from: "for (const page of index.ownPages) {",
    to: "for (const page of index.ownPages.slice(0, 0)) {",
  },
  unionsKept: {
    name: "unions of maps kept though the maps changed",
    file: FREE_SPACE,
    from: "if (known !== undefined && isSame(known.sources, sources)) return known;",
    to: "if (known !== undefined) return known;",
  },
  deferredPagesReused: {
    name: "pages of earlier parts reused at once",
    file: TRANSACTION,
    from: "this.#deferred.push({ page, count });",
    to: "this.#ready.push(page);",
  },
  undonePartsKeepPages: {
    name: "pages ready for reuse kept when a part is undone",
    file: TRANSACTION,
    from: "    this.#ready = [];\n    this.#deferred = [];\n    this.#actions = [];\n    this.#pageCount =",
    to: "    this.#deferred = [];\n    this.#actions = [];\n    this.#pageCount =",
  },
  sizeNotGrown: {
    name: "size not grown before use",
    file: TRANSACTION,
    from: "this.#growTo((page + count) * pages.pageSize);",
    to: "",
  },
  presenceGivenUp: {
    name: "presence given up when the opener has settled in",
    file: "store/pager/presence.ts",
    from: "file.narrowLock(PRESENCE_RANGE, LOCK_PRESENCE + nonce);",
    to: "file.unlock(PRESENCE_RANGE);",
  },
  poisonForgottenByOpener: {
    name: "poison ignored by the opener that is alone, and the newer meta believed",
    file: OPENING,
    from: "metas = recoverPoisoned(storage, file, pages, before, options);",
    to: "",
  },
  orphanMetaNotStoredAgain: {
    name: "newer meta published without being stored and flushed again",
    file: PAGER,
    from: "settle(this.#file, coordination, metas, this.pages.pageSize);",
    to: "coordination.publish(coordination.addRecord(metas.newer.record));",
  },
  faultsNotChecked: {
    name: "reads do not look at the fault flag",
    file: "store/reads.ts",
    from: "    if (pages.faults[0] !== 0) throw faultError();\n    return decoded;",
    to: "    return decoded;",
  },
  writerLockKept: {
    name: "writer lock kept when a transaction is given up",
    file: PAGER,
    from: "  abort(): void {\n    this.unlockWriter();",
    to: "  abort(): void {",
  },
  workingMapNotUndone: {
    name: "working map not undone with its part",
    file: TRANSACTION,
    from: "this.#space.setWorking(page, count, !taken);",
    to: "",
  },
} as const satisfies Record<string, Mutation>;
