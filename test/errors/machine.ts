/** A machine that refuses: small file systems, read-only ones, flushes that fail. Each says why where it can't be had. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { tempFolder } from "../support/temp-folder.ts";

/** Ends the test as skipped, with the reason. */
export type Skip = (reason: string) => never;

function mount(skip: Skip, folder: string, parameters: readonly string[]): string {
  try {
    execFileSync("mount", [...parameters, folder], { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
  } catch (error) {
    return skip(`nothing can be mounted here: ${String((error as { stderr?: unknown }).stderr ?? error)}`);
  }
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", folder]);
  });
  return folder;
}

function newFolder(name: string): string {
  const folder = join(tempFolder(), name);
  mkdirSync(folder);
  return folder;
}

const MIB = 1024 * 1024;

/** Each mounts a file system of about so many bytes of room, and returns its folder. */
export const SMALL_FILE_SYSTEMS: Readonly<Record<string, (skip: Skip, mib: number) => string>> = {
  tmpfs: (skip, mib) => mount(skip, newFolder("small"), ["-t", "tmpfs", "-o", `size=${mib}m`, "none"]),
  ext4: (skip, mib) => {
    const folder = newFolder("small");
    const image = `${folder}.img`;
    try {
      execFileSync("truncate", ["-s", String(mib * MIB), image]);
      execFileSync("mkfs.ext4", ["-q", "-O", "^has_journal", "-m", "0", image], { stdio: "pipe" });
    } catch (error) {
      return skip(`no ext4 image can be made here: ${String(error)}`);
    }
    mount(skip, folder, ["-o", "loop", image]);
    rmSync(join(folder, "lost+found"), { recursive: true });
    return folder;
  },
};

/** The folder again, mounted so that nobody may write through it. */
export function readOnlyView(skip: Skip, of: string): string {
  const folder = mount(skip, newFolder("read-only"), ["--bind", of]);
  try {
    execFileSync("mount", ["-o", "remount,ro,bind", folder], { stdio: "pipe" });
  } catch (error) {
    return skip(`nothing can be mounted read-only here: ${String(error)}`);
  }
  return folder;
}

/** Lets the flushes of a running process fail with EIO, until `stop`; `when` as strace has it, counted for each thread. */
export async function failFlushes(skip: Skip, pid: number, when = "1+"): Promise<{ stop(): Promise<void> }> {
  const calls = "fdatasync,fsync,sync_file_range,msync";
  const parameters = ["-f", "-p", String(pid), "-e", `trace=${calls}`, "-e", `inject=${calls}:error=EIO:when=${when}`];
  const tracer: ChildProcess = spawn("strace", parameters, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<void>((resolve) => tracer.on("close", () => resolve()));
  const attached = new Promise<string>((resolve) => {
    let errors = "";
    tracer.on("error", (error) => resolve(`no strace: ${error.message}`));
    tracer.stderr?.on("data", (chunk) => {
      errors += chunk;
      if (/attached/.test(errors)) resolve("");
    });
    tracer.on("close", () => resolve(`strace can't attach to a process here: ${errors}`));
  });
  const reason = await attached;
  if (reason !== "") skip(reason);
  const stop = async (): Promise<void> => {
    if (tracer.exitCode === null) tracer.kill("SIGINT");
    await ended;
  };
  onTestFinished(stop);
  return { stop };
}

/** Ends the test as skipped unless this process may become another user. */
export function needsRoot(skip: Skip): void {
  if (process.getuid?.() !== 0) skip("only root can become another user");
}

/** A user without rights: nobody. */
export const NOBODY = 65_534;
