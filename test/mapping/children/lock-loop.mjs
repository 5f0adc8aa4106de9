/** Takes and releases the writer lock in a tight loop, and prints how often it had it. */
import { open, spin, WRITER, waitForWriter, waitForWriterAsync } from "./addon.mjs";

const [path, milliseconds, mode, holdMs] = process.argv.slice(2);
const file = open(path);
process.stdout.write("ready\n");
await new Promise((resolve) => process.stdin.once("data", resolve));
process.stdin.destroy();

const end = performance.now() + Number(milliseconds);
let count = 0;
while (performance.now() < end) {
  if (mode === "sync") waitForWriter(file);
  else if (!file.lock(WRITER, 1, true)) await waitForWriterAsync(file, 60_000);
  count++;
  spin(Number(holdMs));
  file.unlock(WRITER, 1);
}
process.stdout.write(`${count}\n`);
file.close();
