/** What tests ask of the system they run on, where systems differ. */
import { renameSync, rmSync } from "node:fs";

export const ON_WINDOWS: boolean = process.platform === "win32";

/** Takes a name away from a file that is open. Windows removes none that is mapped, but lets it have another name. */
export function takeAway(path: string): void {
  if (ON_WINDOWS) renameSync(path, `${path}.away`);
  else rmSync(path);
}
