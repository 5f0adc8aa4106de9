/** How the tests run: each file in a process of its own, since the addon, its guard and its locks belong to processes. */
import { defineConfig } from "vitest/config";

// Vitest wants a default export; this is the only one.
// biome-ignore lint/style/noDefaultExport: see above
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
  },
});
