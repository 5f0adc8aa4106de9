/**
 * One side of stores that go from one system to another:
 *
 *   node scripts/windows/exchange.mjs write FILE      creates a store
 *   node scripts/windows/exchange.mjs read FILE       expects what `write` wrote, and whoever read it before; adds that it was read here
 */
import assert from "node:assert/strict";
import { open } from "../../dist/index.js";

const ENTRY_COUNT = 5000;
const [, , what, path] = process.argv;

function* entries() {
  for (let i = 0; i < ENTRY_COUNT; i++) yield [["number", i], { text: `value ${i} ß 漢 😀`, i }];
  yield ["large", "x".repeat(3_000_000)];
  yield [123n, new Date(86_400_000)];
}

const store = open(path, { create: what === "write" });
if (what === "write") {
  store.transactionSync((transaction) => {
    for (const [key, value] of entries()) transaction.put(key, value);
  });
  await store.put(["written on"], process.platform);
} else {
  for (const [key, value] of entries()) assert.deepEqual(store.get(key), value);
  assert.equal(store.count(), ENTRY_COUNT + 3 + [...store.keys({ prefix: ["read on"] })].length);
  assert.ok(store.check().ok);
  await store.put(["read on", process.platform], true);
}
await store.close();
