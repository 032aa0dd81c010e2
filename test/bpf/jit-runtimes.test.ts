// The compiler in every runtime: the same results everywhere; in a request of the edge nothing is compiled, and it says so.
import { expect, test } from "vitest";
import { run } from "../runtimes/harness/index.ts";
import { main, type RuntimeFigures } from "./jit-runtimes.ts";

const root = new URL("../../", import.meta.url);

test.each(["node", "deno", "chromium", "chromium-worker+isolated"] as const)("%s compiles", async (runtime) => {
  const figures = (await run(runtime, { root, entry: "test/bpf/jit-runtimes.ts" })) as RuntimeFigures;
  expect(figures).toEqual({ compiled: 120, differ: [], digest: main().digest });
});

test("workerd does not, and says so", async () => {
  const figures = (await run("workerd", { root, entry: "test/bpf/jit-runtimes.ts" })) as RuntimeFigures;
  expect(figures).toEqual({ reason: "this runtime compiles no WebAssembly", compiled: 0, differ: [], digest: main().digest });
});
