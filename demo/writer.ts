/**
 * A writer process that is made to be killed: it commits generation after generation and says what it is doing.
 *
 *   node writer.js <path of the store>
 */
import { open } from "foliodb";
import { generationsOf, type Place, type PlaceKey, revise } from "./places.ts";
import { report, whenStopped } from "./processes.ts";

/** `acknowledged`: the promise of that generation's transaction has resolved. */
export type WriterMessage = { readonly committing: number } | { readonly acknowledged: number };

void whenStopped();
const [path] = process.argv.slice(2);
const store = open<PlaceKey, Place>(path, { create: false });
let [generation] = generationsOf(store).generations;

for (;;) {
  generation++;
  report({ committing: generation } satisfies WriterMessage);
  await store.transaction((transaction) => revise(transaction, generation));
  report({ acknowledged: generation } satisfies WriterMessage);
}
