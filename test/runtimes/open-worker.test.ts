/** A whole cluster in a dedicated worker, driven from the page through Comlink. */
import { expect, test } from "vitest";
import { run } from "./harness/index.ts";

const root = new URL("../../", import.meta.url);

test.each(["chromium+isolated", "chromium"] as const)("%s: properties, results and errors cross", async (runtime) => {
  const seen = await run(runtime, { root, entry: "test/runtimes/entries/open-worker.ts" });
  expect(seen).toEqual({ nodes: ["node-1", "node-2"], nowNs: expect.any(Number), refused: "RangeError" });
});
