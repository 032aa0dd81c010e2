import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { abiHash } from "./scripts/lib/abi.mjs";

export default defineConfig({
  define: { __KUBEWIRE_ABI__: JSON.stringify(abiHash(new URL("./", import.meta.url))) },
  resolve: { alias: { "kubewire/client": fileURLToPath(new URL("src/client/index.ts", import.meta.url)), "kubewire/bpf": fileURLToPath(new URL("runtimes/node/bpf.ts", import.meta.url)) } },
  test: {
    // *.long.ts: minutes, or bound to how much time the machine gives (`npm run test:long`).
    include: [process.env["KUBEWIRE_LONG"] === "1" ? "test/**/*.long.ts" : "test/**/*.test.ts"],
    globalSetup: ["test/setup/index.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
