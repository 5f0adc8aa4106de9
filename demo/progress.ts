/** How far a long step has come: a bar on a terminal, a line for every quarter elsewhere. */
import { SingleBar } from "cli-progress";
import { whole } from "./report.ts";

export interface Progress extends Disposable {
  /** `done` of the total are done. */
  update(done: number): void;
}

export function showProgress(what: string, total: number): Progress {
  return process.stdout.isTTY ? bar(what, total) : lines(what, total);
}

function bar(what: string, total: number): Progress {
  const single = new SingleBar({
    format: `   [{bar}] {percentage} %  {value} of {total} ${what}`,
    barCompleteChar: "#",
    barIncompleteChar: ".",
    barsize: 32,
  });
  single.start(total, 0);
  return { update: (done) => single.update(done), [Symbol.dispose]: () => single.stop() };
}

function lines(what: string, total: number): Progress {
  let quarters = 0;
  const update = (done: number): void => {
    const now = Math.floor((done / total) * 4);
    if (now > quarters) process.stdout.write(`   ${whole(done)} of ${whole(total)} ${what}\n`);
    quarters = now;
  };
  return { update, [Symbol.dispose]: () => undefined };
}
