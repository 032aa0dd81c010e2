/** The peer's side of bench/boot.ts: its own controllers, scheduler, kubelets, DNS and Service, in its real time. */
import { BaseImage, Cluster, type ProcessContext } from "@ngrok/webernetes";
import type { BootTimes } from "../boot.ts";

const imported = performance.now();

class Web extends BaseImage {
  static readonly imageName = "web";
  static readonly imageVersion = "1.0";
  readonly defaultCommand = ["server"];

  override async exec(context: ProcessContext, argv: readonly string[]): Promise<number> {
    if (argv[0] !== "server") return super.exec(context, argv);
    context.listenHttp(8080, async () => ({ status: 200, body: "hello\n" }));
    return context.waitUntilKilled();
  }
}

const cluster = new Cluster({ nodes: 3 });
cluster.registerImage(Web);
await cluster.init();
const booted = performance.now();

const PODS = 4;
const readyPods = new Set<string>();
const allReady = new Promise<void>((resolve) => {
  cluster.informer("pods", (_type, { metadata, status }) => {
    const isReady = status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True");
    if (metadata?.namespace !== "shop" || isReady !== true) return;
    readyPods.add(metadata.name ?? "");
    if (readyPods.size === PODS) resolve();
  });
});

const labels = { app: "web" };
const container = { name: "web", image: "web:1.0", ports: [{ containerPort: 8080 }] };
await cluster.apply([
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080, protocol: "TCP" }] },
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "client", namespace: "shop" },
    spec: { containers: [{ name: "client", image: "busybox", command: ["sleep", "3600"] }] },
  },
]);
await allReady;
const ready = performance.now();

// DNS and the Service's endpoints may lag behind the pods: ask until there is an answer, as a client would.
for (;;) {
  const url = "http://web.shop.svc.cluster.local/";
  const { exitCode, stdout } = await cluster.exec("shop", "client", undefined, ["wget", "-qO-", url]);
  if (exitCode === 0 && stdout === "hello\n") break;
  await new Promise((resolve) => setTimeout(resolve, 1));
}
const times: BootTimes = { imported, booted, ready, answered: performance.now() };
process.stdout.write(`${JSON.stringify(times)}\n`, () => process.exit(0));
