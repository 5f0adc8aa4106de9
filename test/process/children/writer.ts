/**
 * Writes to a ledger until it is told to stop. For each step whose commit was acknowledged, and only then, it adds a
 * byte to its tally, a plain file.
 *
 *   writer <path> <name> <tally>
 */
import { openSync, writeSync } from "node:fs";
import { type Key, open } from "foliodb";
import { step } from "./ledger.ts";
import { listen, say } from "./talk.ts";

const [path, name, tallyPath] = process.argv.slice(2);
const store = open<Key, unknown>(path);
const tally = openSync(tallyPath, "a");
let stopped = false;
let acknowledged = 0;
let longestMs = 0;

listen((said) => {
  if (said === "stop") stopped = true;
});

async function write(): Promise<void> {
  while (!stopped) {
    const begin = performance.now();
    if (acknowledged % 3 === 0) store.transactionSync((transaction) => step(transaction, name));
    else {
      const done = store.transaction((transaction) => step(transaction, name));
      // In the next turn the commit has begun, or the wait for the lock has.
      setImmediate(() => say("committing"));
      await done;
    }
    longestMs = Math.max(longestMs, performance.now() - begin);
    acknowledged++;
    writeSync(tally, ".");
    if (acknowledged === 1) say("begun");
    // Messages are heard between two writes.
    await new Promise(setImmediate);
  }
  await store.close();
  say("ended", { acknowledged, longestMs });
  process.disconnect();
}

write().catch((error) => {
  say("failed", { message: error instanceof Error ? error.stack : String(error) });
  process.exit(1);
});
