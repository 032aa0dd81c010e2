/** The contract suite in every runtime: one process, page or worker each, one test per case. */
import { beforeAll, describe, expect, test } from "vitest";
import { names, type Result } from "./contract.ts";
import { RUNTIMES, run } from "./harness/index.ts";

const root = new URL("../../", import.meta.url);

describe.each(RUNTIMES)("%s", (runtime) => {
  let results: readonly Result[] = [];
  beforeAll(async () => {
    results = (await run(runtime, { root, entry: "test/runtimes/contract.ts" })) as Result[];
  });

  test.each(names())("%s", (name) => {
    const result = results.find((entry) => entry.name === name);
    expect(result).toEqual({ name });
  });
});
