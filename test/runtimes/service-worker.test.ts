/** `fetch("/api/v1/…")` in a page, answered by the cluster in that page. */
import { expect, test } from "vitest";
import { run } from "./harness/index.ts";

const root = new URL("../../", import.meta.url);

test.each(["chromium+isolated", "chromium"] as const)("%s: objects, errors, a watch, and what is none of the API's", async (runtime) => {
  const seen = await run(runtime, { root, entry: "test/runtimes/entries/service-worker.ts" });
  expect(seen).toEqual({ nodes: ["node-1"], created: [201, { a: "ü" }], missing: [404, "NotFound"], other: 404 });
});
