// Imports a TypeScript module of this repository in Node: bundled first, packages left where they are.
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { build } from "esbuild";
import { bundleOptions } from "./bundle.mjs";

/** The module's exports. The bundle stands right below the root, as `runtimes/files.ts` wants it. */
export async function importTs(root, path, { packages = "external" } = {}) {
  const outfile = `.cache/script-${randomBytes(6).toString("hex")}.mjs`;
  await build({ ...bundleOptions(root), entryPoints: [path], outfile, packages, platform: "node", target: "node20" });
  try {
    return await import(new URL(outfile, root).href);
  } finally {
    rmSync(new URL(outfile, root), { force: true });
  }
}
