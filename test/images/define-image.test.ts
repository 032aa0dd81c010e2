/** The example of docs/images.md, run as it stands there. */
import { readFileSync } from "node:fs";
import { transform } from "esbuild";
import { expect, test } from "vitest";
import { createCluster, defineImage } from "../../runtimes/node/index.ts";

interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
}

test("an image of one's own has files, sockets, environment and a shell beside it", async () => {
  const [, source = ""] = /```ts\n([\s\S]*?)```/.exec(readFileSync(new URL("../../docs/images.md", import.meta.url), "utf8")) ?? [];
  const { code } = await transform(source.replace(/^import .*$/m, ""), { loader: "ts" });
  const run = new Function("createCluster", "defineImage", `return (async () => {\n${code}\nreturn ran;\n})();`) as (...parts: unknown[]) => Promise<Ran>;
  const { exitCode, stdout } = await run(createCluster, defineImage);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^12\n14\n14 at \d+(\.\d+)?\n$/);
}, 60_000);

test("without any-image an unknown image is not there, and with it answers", async () => {
  const cluster = await createCluster({ nodes: 1, anyImage: true });
  const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: mine}\nspec: {containers: [{name: c, image: 'example.com/own:1', ports: [{containerPort: 8080}]}]}\n";
  await cluster.waitReady(await cluster.apply(pod));
  expect(await cluster.exec({ pod: "mine" }, ["wget", "-qO-", "http://localhost:8080/"])).toMatchObject({ exitCode: 0, stdout: "mine\n" });
  cluster.close();
  const other = await createCluster({ nodes: 1 });
  await expect(other.waitReady(await other.apply(pod), 5_000)).rejects.toThrow(/ErrImagePull|ImagePullBackOff/);
  other.close();
}, 60_000);
