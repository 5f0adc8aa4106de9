/**
 * Reads a ledger until it is told to stop, and says what did not fit together.
 *
 *   reader <path> [read-only [<user>]]      with a user: it becomes that one before it opens
 */
import { type Key, open } from "foliodb";
import { misfit } from "./ledger.ts";
import { becomeUser, codeOf, listen, say } from "./talk.ts";

const [path, access, user] = process.argv.slice(2);
if (user !== undefined) {
  // The addon may lie where that user can't read it: it is loaded before.
  open(`${path}-other`).closeSync();
  becomeUser(Number(user));
}
const store = open<Key, unknown>(path, access === "read-only" ? { readOnly: true } : {});
let stopped = false;
let reads = 0;
let longestMs = 0;
let newest = 0;

listen((said) => {
  if (said === "stop") stopped = true;
});

function complain(problem: string): never {
  say("misfit", { problem });
  process.exit(1);
}

async function read(): Promise<void> {
  while (!stopped) {
    const begin = performance.now();
    using snapshot = store.snapshot();
    const problem = misfit(snapshot) ?? misfit(store);
    if (problem !== undefined) complain(problem);
    if (snapshot.number < newest) complain(`state ${snapshot.number} after state ${newest}`);
    newest = snapshot.number;
    const found = Number(snapshot.get(["counter", 0]));
    longestMs = Math.max(longestMs, performance.now() - begin);
    if (++reads === 1) say("begun", { pinned: store.stats().pinned });
    // The snapshot is held over a turn, in which others commit.
    await new Promise(setImmediate);
    if (Number(snapshot.get(["counter", 0])) !== found) complain("a snapshot that changed");
  }
  await store.close();
  say("ended", { reads, longestMs, newest });
  process.disconnect();
}

read().catch((error) => {
  say("failed", { code: codeOf(error), message: error instanceof Error ? error.stack : String(error) });
  process.exit(1);
});
