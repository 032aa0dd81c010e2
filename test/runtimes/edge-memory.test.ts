/** Three nodes with their pods have to fit into the 128 MiB that edge platforms give. */
import { expect, test } from "vitest";
import { measure } from "./harness/index.ts";
import { firstRun } from "./scenario.ts";

const root = new URL("../../", import.meta.url);
const LIMIT_BYTES = 128 * 2 ** 20;

test("the first run takes less than 128 MiB more than an idle workerd", async () => {
  const scenario = await firstRun();
  const idle = await measure("workerd", { root, entry: "test/runtimes/entries/idle.ts" });
  const args = { shared: false, options: { scenario } };
  const run = await measure("workerd", { root, entry: "test/runtimes/entries/digest.ts", args });
  const bytes = run.peakBytes! - idle.peakBytes!;
  console.info(`edge: ${(bytes / 2 ** 20).toFixed(1)} MiB for three nodes with their pods`);
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(LIMIT_BYTES);
});
