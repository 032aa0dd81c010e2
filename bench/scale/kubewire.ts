/** For bench/scale.ts: `NODES PODS`, real nodes with real pods, from nothing to all Ready, in virtual time; what they take, and where. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createCluster } from "../../runtimes/node/index.ts";
import type { Scaled } from "../scale.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const [nodes = 100, pods = 1000] = process.argv.slice(2).map(Number);
const MB = 2 ** 20;
const taken = (): { rss: number; heap: number; kernel: number } => {
  collect();
  const { rss, heapUsed } = process.memoryUsage();
  return { rss: rss / MB, heap: heapUsed / MB, kernel: 0 };
};
const from = performance.now();
const cluster = await createCluster({ components: "core", nodes });
const kernels = async (): Promise<number> => (await cluster.figures()).reduce((sum, { memory }) => sum + memory.taken, 0) / MB;
const labels = { app: "web" };
await cluster.waitReady([{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "coredns", namespace: "kube-system" } }], 600_000);
const booted = performance.now();
const empty = { ...taken(), kernel: await kernels() };
// Several Deployments: nobody has 100,000 pods in one.
const each = 1000;
for (let n = 0; n * each < pods; n++) {
  const name = `web-${n}`;
  const spec = { replicas: Math.min(each, pods - n * each), selector: { matchLabels: { app: name } }, template: { metadata: { labels: { ...labels, app: name } }, spec: { containers: [{ name: "web", image: "registry.k8s.io/pause:3.10" }] } } };
  await cluster.waitReady(await cluster.apply(JSON.stringify({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name, namespace: "default" }, spec })), 3_600_000);
  if (process.argv[4] === "verbose") process.stderr.write(`${(n + 1) * each} ${((performance.now() - booted) / 1000).toFixed(1)} s ${(process.memoryUsage().rss / MB).toFixed(0)} MB\n`);
}
const ready = performance.now();
const full = { ...taken(), kernel: await kernels() };
const scaled: Scaled = { nodes, pods, bootMs: booted - from, readyMs: ready - booted, empty, full };
process.stdout.write(`${JSON.stringify(scaled)}\n`, () => process.exit(0));
