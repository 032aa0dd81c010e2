/** Our side of bench/boot.ts: the same job with real packets, in virtual time. */
import { createCluster } from "../../runtimes/node/index.ts";
import type { BootTimes } from "../boot.ts";

const imported = performance.now();

const MANIFESTS = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: web, image: "nginx:1.27", ports: [{ containerPort: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  selector: { app: web }
  ports: [{ port: 80, targetPort: 80, protocol: TCP }]
---
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop }
spec:
  containers:
    - { name: client, image: "busybox:1.36", command: [sleep, "3600"] }
`;

const cluster = await createCluster({ components: "core", nodes: 3 });
const booted = performance.now();

const DNS = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "coredns", namespace: "kube-system" } };
await cluster.waitReady([...(await cluster.apply(MANIFESTS)), DNS]);
const ready = performance.now();

// The Service's endpoints may lag behind the pods: ask until there is an answer, as a client would.
for (;;) {
  const url = "http://web.shop.svc.cluster.local/";
  const { exitCode, stdout } = await cluster.exec({ namespace: "shop", pod: "client" }, ["wget", "-qO-", url]);
  if (exitCode === 0 && stdout !== "") break;
  await cluster.advance(100);
}
const times: BootTimes = { imported, booted, ready, answered: performance.now() };
process.stdout.write(`${JSON.stringify(times)}\n`, () => process.exit(0));
