/** What a creation that another process overtakes leaves behind. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createMapping, type Mapping } from "foliodb/mapping";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/temp-folder.ts";
import { compileC, start } from "./processes.ts";

const folder = temporaryFolder();

/** A process creates a mapping with a name, and when it is about to give it the name, somebody else is faster. */
async function overtaken(options: object, faster: () => Mapping): Promise<unknown> {
  const environment = { LD_PRELOAD: compileC("system.c", folder), FOLIODB_SYSTEM: "wait-link" };
  const slow = start("create.mjs", [JSON.stringify(options)], environment);
  expect(await slow.said).toBe("at linkat\n");
  using mapping = faster();
  expect(mapping.existed).toBe(false);
  slow.process.stdin?.write("\n");
  const { output } = await slow.ended;
  return JSON.parse(output.slice(output.indexOf("{")));
}

test.runIf(process.platform === "linux")(
  "who loses the race for a name leaves no file of its own behind, unless it is the winner's, too",
  async () => {
    const name = `test-${process.pid}-creation`;
    const winner = { path: join(folder, "winner"), disposition: "openOrCreate", size: 10, name } as const;
    const loser = { ...winner, path: join(folder, "loser"), disposition: "create" };
    const found = { existed: true, path: winner.path };
    expect(await overtaken(loser, () => createMapping(winner))).toEqual(found);
    expect([existsSync(winner.path), existsSync(loser.path)]).toEqual([true, false]);

    // Both want the same file, and the slow one has made it.
    const shared = { ...winner, path: join(folder, "shared") };
    expect(await overtaken(shared, () => createMapping(shared))).toEqual({ existed: true, path: shared.path });
    expect(existsSync(shared.path)).toBe(true);

    // The winner's mapping is none the slow one may have: an error, and again no file.
    const reader = () => createMapping({ ...winner, protection: "readonly" });
    expect(await overtaken(loser, reader)).toEqual({ code: "NO_PERMISSION" });
    expect(existsSync(loser.path)).toBe(false);

    // Somebody is at work with the slow one's file by now.
    const grown = () => {
      createMapping({ path: loser.path, size: 20 }).close();
      return createMapping(winner);
    };
    expect(await overtaken(loser, grown)).toEqual(found);
    expect(existsSync(loser.path)).toBe(true);
  },
);
