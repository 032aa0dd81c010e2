/** One scenario, one digest: in every runtime, over shared and plain memory, with and without workers. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Scenario } from "../../src/digest.ts";
import { type Runtime, run } from "./harness/index.ts";
import { firstRun } from "./scenario.ts";

const root = new URL("../../", import.meta.url);

let scenario: Scenario;
let expected = "";

async function digestIn(runtime: Runtime, shared: boolean, options: object): Promise<string> {
  const args = { shared, options: { scenario, ...options } };
  const { sha256 } = (await run(runtime, { root, entry: "test/runtimes/entries/digest.ts", args })) as {
    sha256: string;
  };
  expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  return sha256;
}

beforeAll(async () => {
  scenario = await firstRun();
  expected = await digestIn("node", true, { workers: 0 });
});

describe("the digest is that of Node on shared memory", () => {
  test.each<[Runtime, number, boolean]>([
    ["node", 0, true],
    ["node", 0, false],
    ["node", 1, true],
    ["node", 2, true],
    ["node", 4, false],
    ["deno", 0, true],
    ["deno", 2, true],
    ["chromium+isolated", 0, true],
    ["chromium+isolated", 2, true],
    ["chromium", 0, false],
    ["chromium", 2, false],
    ["chromium-worker+isolated", 0, true],
    ["chromium-worker", 0, false],
    ["workerd", 0, false],
  ])("%s, %i workers, shared memory: %s", async (runtime, workers, shared) => {
    expect(await digestIn(runtime, shared, { workers })).toBe(expected);
  });
});

test("another seed and lossy links give other digests", async () => {
  const [seeded, lossy] = [await digestIn("node", true, { seed: 2 }), await digestIn("node", true, { loss: 0.05 })];
  expect(new Set([expected, seeded, lossy]).size).toBe(3);
});
