/** Opens files and forgets them, or maps windows until the addresses that it may use are exhausted. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { addon, commitFixture, LOCK_BYTES, WINDOW, waitForWriterAsync } from "./addon.mjs";

const [path, what] = process.argv.slice(2);

function isOurs(descriptor) {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(path);
  } catch {
    // The descriptor that listed the folder is closed by now.
    return false;
  }
}

function inUse() {
  return {
    descriptors: readdirSync("/proc/self/fd").filter(isOurs).length,
    threads: readdirSync("/proc/self/task").length,
    mapped: readFileSync("/proc/self/maps", "utf8").split(path).length - 1,
  };
}

async function forget(count) {
  for (let i = 0; i < count; i++) {
    const { file, plan } = commitFixture(`${path}-${i}`);
    await waitForWriterAsync(file, 1000);
    await new Promise((resolve) => file.commit(resolve, ...plan));
  }
}

async function untilCollected(before) {
  for (let round = 0; round < 100; round++) {
    globalThis.gc();
    await pause(5);
    const now = inUse();
    if (now.descriptors <= before.descriptors && now.threads <= before.threads && now.mapped === 0) return "collected";
  }
  return `left: ${JSON.stringify(inUse())}, before: ${JSON.stringify(before)}`;
}

function mapUntilItFails() {
  addon.createNamed(path, 0o600).close();
  const file = addon.openFile(path, true, true, LOCK_BYTES);
  try {
    for (let index = 0; index < 1000; index++) file.map(index, WINDOW, true, WINDOW);
    return "no error";
  } catch (error) {
    return `${error.code} ${error.message.match(/, (\w+) /)[1]}`;
  }
}

if (what === "too many windows") process.stdout.write(`${mapUntilItFails()}\n`);
else {
  const before = inUse();
  await forget(5);
  process.stdout.write(`${await untilCollected(before)}\n`);
}
