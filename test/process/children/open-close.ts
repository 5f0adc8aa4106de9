/**
 * Opens a store, writes, and closes it, so many times; now and then two handles at once.
 *
 *   open-close <path> <name> <rounds>
 */
import { open } from "foliodb";
import { codeOf, listen, say } from "./talk.ts";

const [path, name, rounds] = process.argv.slice(2);

async function loop(): Promise<void> {
  for (let i = 1; i <= Number(rounds); i++) {
    await using store = open<string, number>(path, { pageSize: 8192 });
    if (store.get(name) !== (i === 1 ? undefined : i - 1)) throw new Error(`${name} lost ${i - 1}`);
    if (i % 3 === 0) await store.put(name, i);
    else store.putSync(name, i);
    if (i % 5 === 0) {
      using other = open<string, number>(path, { readOnly: i % 2 === 0 });
      if (other.get(name) !== i) throw new Error(`another handle does not see ${i}`);
    }
    // What is queued is committed by close.
    if (i % 4 === 0) void store.put(`${name} queued`, i);
  }
}

listen(() => undefined);
loop().then(
  () => {
    say("ended");
    process.disconnect();
  },
  (error) => {
    say("failed", { code: codeOf(error), message: error instanceof Error ? error.stack : String(error) });
    process.disconnect();
  },
);
