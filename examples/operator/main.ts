/** A cluster in virtual time with the operator in it: node examples/operator/main.ts, after `npm run build` (Node 22.18 or newer). */
import { readFile } from "node:fs/promises";
import { createManager } from "kubewire/client";
import { createCluster } from "kubewire/node";
import { websites, type Website } from "./generated/websites.ts";
import { newWebsiteController } from "./controller.ts";

const file = (name: string): Promise<string> => readFile(new URL(name, import.meta.url), "utf8");

const cluster = await createCluster({ nodes: 2 });
await cluster.apply(await file("website.crd.yaml"));
cluster.start(async (context) => {
  const manager = createManager({ ...context, name: "website-operator" });
  manager.add(newWebsiteController(manager));
  await manager.start();
});

const site: Website = {
  apiVersion: "example.com/v1", kind: "Website", metadata: { name: "shop", namespace: "default" } as Website["metadata"],
  spec: { image: "nginx:1.27", replicas: 3 },
};
await cluster.drive((client) => websites(client).create(site));
await cluster.advance(10_000);
const { status } = await cluster.drive((client) => websites(client).get("default", "shop"));
process.stdout.write(`after ten seconds of virtual time: ${status?.phase}, ${status?.readyReplicas} servers, ${status?.url}\n`);
cluster.close();
