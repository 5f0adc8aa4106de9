/**
 * What goes into the package besides the sources of its documentation: dist/, and the addon for this platform in
 * prebuilds/<platform>-<arch>/, without symbols. npm runs it before it packs. The package has no install script: on a
 * platform it was packed for nothing is compiled or fetched at installation.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ADDON } from "./build-addon.mjs";
import { packageRoot, step } from "./steps.mjs";

execFileSync(process.execPath, [join(packageRoot, "scripts", "setup.mjs")], { stdio: ["ignore", 2, 2] });

const folder = join(packageRoot, "prebuilds", `${process.platform}-${process.arch}`);
const prebuilt = join(folder, "foliodb.node");
step(
  "prebuilt addon",
  () => {
    mkdirSync(folder, { recursive: true });
    copyFileSync(ADDON, prebuilt);
    execFileSync("strip", process.platform === "darwin" ? ["-x", prebuilt] : ["--strip-unneeded", prebuilt]);
  },
  process.stderr,
);
