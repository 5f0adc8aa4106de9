/** Maps views until that is refused, in one turn; sends how many there were, and how it went on. */
import { createMapping } from "foliodb/mapping";

const MOST = 200_000;
const [what] = process.argv.slice(2);
const mapping = createMapping({ size: 4096 });
const kept = [];

function mapAll() {
  for (let made = 0; made < MOST; made++) {
    try {
      const view = mapping.view();
      if (what === "held") kept.push(view);
      if (what === "closed") view.close();
    } catch (error) {
      return { made, code: error.code, message: error.message };
    }
  }
  return { made: MOST };
}

const first = mapAll();
for (const view of kept) view.close();
for (let i = 0; i < 10; i++) {
  globalThis.gc();
  await new Promise((resolve) => setImmediate(resolve));
}
mapping.view().close();
process.send(first, () => process.disconnect());
