/** A program that never ends: the shell's loops take CPU time, so that the cluster goes on, and what is deaf to SIGTERM is killed when its grace is over. */
import { expect, test } from "vitest";
import { createCluster } from "../../runtimes/node/index.ts";

test("an endless loop runs as any other program, and is killed like one", { timeout: 120_000 }, async () => {
  const cluster = await createCluster({ nodes: 1 });
  const spec = { terminationGracePeriodSeconds: 1, containers: [{ name: "c", image: "busybox", command: ["sh", "-c", "trap '' TERM; while true; do :; done"] }] };
  await cluster.drive((client) => client.pods.create({ metadata: { name: "spin", namespace: "default" }, spec } as never));
  await cluster.advance(500);
  const { status } = await cluster.client.pods.get("default", "spin");
  expect([status.phase, status.containerStatuses?.[0]?.ready, status.containerStatuses?.[0]?.restartCount]).toEqual(["Running", true, 0]);
  await cluster.client.pods.delete("default", "spin");
  await cluster.advance(500);
  expect((await cluster.client.pods.get("default", "spin")).metadata.deletionTimestamp).toBeDefined();
  await cluster.advance(4000);
  expect((await cluster.client.pods.list("default")).items).toEqual([]);
  cluster.close();
});
