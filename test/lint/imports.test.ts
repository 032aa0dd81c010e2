/** What is imported on use is a module of this repository: of a CommonJS package, bundled for Node, `import()` has only a default. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

test.each(["src", "runtimes/browser", "runtimes/worker", "runtimes/edge"])("%s imports no package on use", (folder) => {
  const root = new URL(`../../${folder}/`, import.meta.url);
  const found = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .flatMap((name) => [...readFileSync(new URL(name, root), "utf8").matchAll(/\bawait import\("([^."][^"]*)"\)/g)].map(([, what]) => `${name}: ${what}`));
  expect(found).toEqual([]);
});
