/** Holds the writer lock until it is killed. */
import { open, waitForWriter } from "./addon.mjs";

const file = open(process.argv[2]);
waitForWriter(file);
process.stdout.write("held\n");
setInterval(() => file.size(), 1000);
