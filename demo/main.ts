/**
 * The demo: what foliodb does, on real data, in a few acts. Each act ends the demo with an error if something is not so.
 *
 *   1. load      all places of the world go into a store
 *   2. share     three processes read it while this one commits; none ever sees half a commit
 *   3. kill      a process is killed in the middle of committing, again and again; nothing acknowledged is lost
 *   4. read      every place is looked up and compared, and everything is scanned
 *
 * It works in a temporary folder, and leaves no file and no process behind, however it ends.
 *
 *   node build/tools/demo/main.js [--short]
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { open } from "foliodb";
import type { CheckerReport } from "./checker.ts";
import { generationsOf, type Place, type PlaceKey, type PlaceStore, REVISED, readPlaces, revise } from "./places.ts";
import { type Child, killAll, run, runningCount, start } from "./processes.ts";
import { showProgress } from "./progress.ts";
import type { ReaderMessage, ReaderReport } from "./reader.ts";
import { mebibytes, median, milliseconds, perSecond, table, whole } from "./report.ts";
import type { WriterMessage } from "./writer.ts";

const isShort = process.argv.includes("--short");
const LOAD_BATCH = 5000;
const READER_COUNT = 3;
const SHARE_MS = isShort ? 1500 : 8000;
/** On a busy machine the readers are given longer, so that they see the store change. */
const SHARE_COMMITS_MIN = 20;
const KILL_COUNT = isShort ? 2 : 6;
/** A writer is killed so long after its first commit, at random. */
const KILL_AFTER_MS = { min: 20, max: 250 };

type Rows = [name: string, value: string][];

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What the demo claims, put to the test. */
function claim(holds: boolean, failure: string): asserts holds {
  if (!holds) throw new Error(failure);
}

/** Act 1. All places, in transactions of some thousands. */
async function load(store: PlaceStore, places: readonly [PlaceKey, Place][]): Promise<Rows> {
  say(`1. Loading ${whole(places.length)} places of the world`);
  const begin = performance.now();
  {
    using progress = showProgress("places", places.length);
    for (let from = 0; from < places.length; from += LOAD_BATCH) {
      const batch = places.slice(from, from + LOAD_BATCH);
      await store.transaction((transaction) => {
        for (const [key, place] of batch) transaction.put(key, place);
      });
      progress.update(from + batch.length);
    }
  }
  const duration = performance.now() - begin;
  claim(store.count() === places.length, `${store.count()} places in the store, ${places.length} were put`);
  return [
    ["load, committed", milliseconds(duration)],
    ["load rate", perSecond(places.length, duration, "places")],
  ];
}

/** Act 2. This process commits, and each commit moves every place of a country; three others look for two generations. */
async function share(store: PlaceStore): Promise<Rows> {
  const { placeCount } = generationsOf(store);
  say(`2. ${READER_COUNT} processes read while this one commits, ${whole(placeCount)} places at a time`);
  const { readers, reports } = await startReaders(store.path);
  const begin = performance.now();
  let commits = 0;
  while (performance.now() - begin < SHARE_MS || commits < SHARE_COMMITS_MIN) {
    commits++;
    await store.transaction((transaction) => revise(transaction, commits));
  }
  const duration = performance.now() - begin;
  for (const reader of readers) reader.stop();
  for (const { ended } of readers) {
    const { code, signal } = await ended;
    claim(code === 0, `a reader process failed (${signal ?? `code ${code}`})`);
  }
  claim(reports.length === READER_COUNT, `${reports.length} of ${READER_COUNT} readers reported`);
  const leastSeen = Math.min(...reports.map(({ generations }) => generations));
  claim(leastSeen > 1, "a reader never saw the store change");
  const sum = (name: keyof ReaderReport): number => reports.reduce((total, report) => total + report[name], 0);
  const counts = [`${whole(sum("snapshots"))} snapshots`, `${whole(sum("lookups"))} lookups`];
  say(`   ${whole(commits)} commits; ${counts.join(", ")}, ${whole(sum("entriesScanned"))} entries scanned`);
  say(`   no snapshot showed two generations; each reader saw at least ${whole(leastSeen)} of them`);
  return [
    [`commits of ${whole(placeCount)} puts, while others read`, perSecond(commits, duration, "commits")],
    ["the same in puts", perSecond(commits * placeCount, duration, "puts")],
    ["lookups of each reader meanwhile", perSecond(sum("lookups"), sum("lookupMs"), "lookups")],
    ["scans of each reader meanwhile", perSecond(sum("entriesScanned"), sum("scanMs"), "entries")],
  ];
}

/** Starts the readers, and waits until all of them read. Their reports come when they have been stopped. */
async function startReaders(path: string): Promise<{ readers: Child[]; reports: ReaderReport[] }> {
  const readers: Child[] = [];
  const reports: ReaderReport[] = [];
  let readyCount = 0;
  const ready = new Promise<void>((resolve) => {
    const listen = (message: ReaderMessage): void => {
      if (message !== "ready") reports.push(message);
      else if (++readyCount === READER_COUNT) resolve();
    };
    while (readers.length < READER_COUNT) readers.push(start("reader", [path], listen));
  });
  const failed = Promise.race(readers.map(({ ended }) => ended));
  await Promise.race([ready, failed]);
  return { readers, reports };
}

/** Act 3. Writers die by SIGKILL, and after each death another process opens what it left. */
async function kill(path: string, placeCount: number): Promise<Rows> {
  say(`3. A writer process is killed while it commits, ${KILL_COUNT} times`);
  const openMs: number[] = [];
  const checkMs: number[] = [];
  for (let i = 1; i <= KILL_COUNT; i++) {
    const { acknowledged, interrupted } = await killWriter(path);
    const found = await run<CheckerReport>("checker", [path]);
    const [generation] = found.generations;
    claim(found.problems.length === 0, `after a kill the check found: ${JSON.stringify(found.problems[0])}`);
    claim(found.entryCount === placeCount, `after a kill the store holds ${found.entryCount} places of ${placeCount}`);
    claim(found.generations.length === 1, `after a kill the store shows generations ${found.generations.join(", ")}`);
    claim(generation >= acknowledged, `generation ${acknowledged} was acknowledged, the store holds ${generation}`);
    claim(generation <= acknowledged + 1, `the store holds generation ${generation}, which was never committed`);
    const where = interrupted ? `inside the commit of ${acknowledged + 1}` : "between two commits";
    say(`   acknowledged ${acknowledged}, killed ${where}: the store is whole and holds ${generation}`);
    openMs.push(found.openMs);
    checkMs.push(found.checkMs);
  }
  return [
    ["open after a kill (median)", milliseconds(median(openMs))],
    ["check of the whole file (median)", milliseconds(median(checkMs))],
  ];
}

/** Starts a writer and kills it at a random moment; tells which generation it last had acknowledged. */
async function killWriter(path: string): Promise<{ acknowledged: number; interrupted: boolean }> {
  let acknowledged = 0;
  let interrupted = false;
  let noteCommit = (): void => undefined;
  const committed = new Promise<void>((resolve) => {
    noteCommit = resolve;
  });
  const writer = start<WriterMessage>("writer", [path], (message) => {
    interrupted = "committing" in message;
    if ("committing" in message) return;
    acknowledged = message.acknowledged;
    noteCommit();
  });
  await Promise.race([committed, writer.ended]);
  await delay(KILL_AFTER_MS.min + Math.random() * (KILL_AFTER_MS.max - KILL_AFTER_MS.min));
  writer.kill();
  const { code, signal } = await writer.ended;
  claim(signal === "SIGKILL", `a writer process ended before it was killed (${signal ?? `code ${code}`})`);
  return { acknowledged, interrupted };
}

/** Act 4. With nobody else about: every place by its key, then all of them in order. */
function read(store: PlaceStore, places: readonly [PlaceKey, Place][]): Rows {
  say("4. Every place is looked up and compared, then all are scanned");
  const lookupBegin = performance.now();
  for (const [key, { region, district }] of places) {
    const found = store.get(key);
    claim(found?.region === region && found.district === district, `${key.join(", ")} is not what was put`);
  }
  const scanBegin = performance.now();
  let scanned = 0;
  for (const _ of store) scanned++;
  const scanEnd = performance.now();
  claim(scanned === places.length, `a scan gave ${scanned} places of ${places.length}`);
  const { fileSize, pagesUsed, pageSize, entryCount } = store.stats();
  return [
    ["lookups, one process", perSecond(places.length, scanBegin - lookupBegin, "lookups")],
    ["scan, one process", perSecond(scanned, scanEnd - scanBegin, "entries")],
    ["file, with room to grow", mebibytes(fileSize)],
    ["pages in use", mebibytes(pagesUsed * pageSize)],
    ["bytes in use per place", whole((pagesUsed * pageSize) / entryCount)],
  ];
}

async function play(folder: string): Promise<Rows> {
  const path = join(folder, "places.folio");
  const all = await readPlaces();
  const places = isShort ? all.filter(([[country]], index) => country === REVISED[0] || index % 10 === 0) : all;
  const rows: Rows = [];
  {
    await using store: PlaceStore = open(path);
    rows.push(...(await load(store, places)), ...(await share(store)));
  }
  rows.push(...(await kill(path, places.length)));
  {
    await using store: PlaceStore = open(path, { create: false });
    rows.push(...read(store, places));
  }
  return rows;
}

async function main(): Promise<void> {
  const begin = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "foliodb-demo-"));
  const cleanUp = (): void => {
    killAll();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", cleanUp);
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));

  const rows = await play(folder);
  claim(runningCount() === 0, `${runningCount()} processes are left behind`);
  rmSync(folder, { recursive: true });
  claim(!existsSync(folder), `${folder} is left behind`);
  say(`\n${table(rows)}`);
  say(`Everything held. ${((performance.now() - begin) / 1000).toFixed(1)} s; no process and no file is left behind.`);
}

main().catch((error) => {
  process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
