/** Creates the mapping that its argument describes, and prints what came of it. */
import { createMapping } from "foliodb/mapping";

try {
  const { existed, path } = createMapping(JSON.parse(process.argv[2]));
  process.stdout.write(JSON.stringify({ existed, path }));
} catch (error) {
  process.stdout.write(JSON.stringify({ code: error.code }));
}
process.stdin.destroy();
