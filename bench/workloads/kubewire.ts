/** Our side of bench/workloads.ts: `NODES REPLICAS`, from apply to all Ready, in virtual time. */
import { createCluster } from "../../runtimes/node/index.ts";
import type { WorkloadTimes } from "../workloads.ts";

const [nodes = 50, replicas = 1000] = process.argv.slice(2).map(Number);
const cluster = await createCluster({ components: "core", nodes });
const labels = { app: "web" };
const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default" },
  spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: "web", image: "nginx:1.27" }] } } },
};
const DNS = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "coredns", namespace: "kube-system" } };
await cluster.waitReady([DNS]);
const before = process.cpuUsage();
const from = performance.now();
await cluster.waitReady(await cluster.apply(JSON.stringify(deployment)));
const ready = performance.now() - from;
const { user, system } = process.cpuUsage(before);
const times: WorkloadTimes = { ready, cpu: (user + system) / 1000, megabytes: process.memoryUsage().rss / 2 ** 20 };
process.stdout.write(`${JSON.stringify(times)}\n`, () => process.exit(0));
