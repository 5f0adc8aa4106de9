/**
 * Makes the JavaScript of dist/: the modules of the store in one file and those of mappings in another, with the numbers that name places in pages
 * written where they are used. V8 reads an imported constant from memory at every use, checks that it is initialized
 * and what type it is; in the search of a page that is most of the work (measured: `get` takes 0.85 of the time, and
 * `has` 0.84, bundled). What users and the tools import are small files that pass its exports on.
 *
 *   node scripts/bundle.mjs
 */
import { join } from "node:path";
import { rolldown } from "rolldown";
import { packageRoot } from "./steps.mjs";

/** Modules that can be imported, by their names in src/ and dist/: the package's own, and what the tools of this project use. */
const ENTRIES = ["index", "mapping/index", "store/open", "store/pager/addon-storage"];

/** All but what follows. */
const LIBRARY = "lib/foliodb";
/**
 * What `foliodb/mapping` consists of, and the store stands on: apart, so that who maps files loads neither the store nor its
 * codecs. As deep below the package's root as the module of src/ that looks for the addon from where it stands.
 */
const MAPPING = { name: "lib/mapping", test: /[\\/]src[\\/](mapping[\\/]|errors\.ts$)/ };

const bundle = await rolldown({
  cwd: packageRoot,
  input: Object.fromEntries(ENTRIES.map((entry) => [entry, join("src", `${entry}.ts`)])),
  platform: "node",
  external: [/^node:/, "msgpackr"],
  preserveEntrySignatures: "strict",
  transform: { target: "es2023" },
  optimization: { inlineConst: { mode: "all", pass: 3 } },
});
await bundle.write({
  dir: join(packageRoot, "dist"),
  format: "esm",
  entryFileNames: "[name].js",
  codeSplitting: { groups: [{ ...MAPPING, priority: 1 }, { name: LIBRARY }] },
  chunkFileNames: "[name].js",
});
await bundle.close();
