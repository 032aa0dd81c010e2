/** The peer's side of bench/workloads.ts: `NODES REPLICAS`, from apply to all Ready, in its real time. */
import { BaseImage, Cluster, type ProcessContext } from "@ngrok/webernetes";
import type { WorkloadTimes } from "../workloads.ts";

class Web extends BaseImage {
  static readonly imageName = "web";
  static readonly imageVersion = "1.0";
  readonly defaultCommand = ["server"];

  override async exec(context: ProcessContext, argv: readonly string[]): Promise<number> {
    return argv[0] === "server" ? context.waitUntilKilled() : super.exec(context, argv);
  }
}

const [nodes = 50, replicas = 100] = process.argv.slice(2).map(Number);
const cluster = new Cluster({ nodes });
cluster.registerImage(Web);
await cluster.init();

const readyPods = new Set<string>();
const allReady = new Promise<void>((resolve) => {
  cluster.informer("pods", (_type, { metadata, status }) => {
    const isReady = status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True");
    if (metadata?.namespace !== "default" || isReady !== true) return;
    readyPods.add(metadata.name ?? "");
    if (readyPods.size === replicas) resolve();
  });
});
const labels = { app: "web" };
const before = process.cpuUsage();
const from = performance.now();
await cluster.apply([
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: "web", image: "web:1.0" }] } } },
  },
]);
await allReady;
const ready = performance.now() - from;
const { user, system } = process.cpuUsage(before);
const times: WorkloadTimes = { ready, cpu: (user + system) / 1000, megabytes: process.memoryUsage().rss / 2 ** 20 };
process.stdout.write(`${JSON.stringify(times)}\n`, () => process.exit(0));
