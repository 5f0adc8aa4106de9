/** Asks for a while, over and over, who has the locks of a range. */
import { open } from "./addon.mjs";

const [path, milliseconds] = process.argv.slice(2);
const file = open(path);
file.lockedByOther(0, 100, true);
process.stdout.write("asking\n");
const end = performance.now() + Number(milliseconds);
while (performance.now() < end) file.lockedByOther(10, 20, true);
file.close();
