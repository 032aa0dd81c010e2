/** A control plane on a test clock, with a kubelet that makes bound pods Running and Ready and removes deleted ones. */
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { complete } from "../../src/complete.ts";
import { createClient } from "../../src/client/client.ts";
import type { Client } from "../../src/client/client.ts";
import { createControllerManager } from "../../src/kube-controller-manager/controller-manager.ts";
import type { SchedulerSettings } from "../../src/kube-scheduler/complete/configuration.ts";
import { createScheduler } from "../../src/kube-scheduler/scheduler.ts";
import { createInformer } from "../../src/client/informer.ts";
import { isConflict, isNotFound } from "../../src/apimachinery/status.ts";
import { formatMicroTime, formatTime } from "../../src/apimachinery/time.ts";
import { silent } from "../../src/log.ts";
import type { Logger } from "../../src/log.ts";
import type { ApiTransport } from "../../src/client/transport.ts";
import type { Pod } from "../../src/api/types.generated.ts";
import { TestClock, testRandom } from "./test-clock.ts";

export interface TestCluster {
  clock: TestClock;
  client: Client;
  handle: ApiTransport;
  errors: string[];
  /** The node's kubelet gives no sign of life any more. */
  silence(node: string): void;
  addNode(name: string, options?: { cpu?: string; memory?: string; pods?: string; labels?: Record<string, string> }): Promise<void>;
  stop(): void;
}

export interface TestClusterOptions {
  seed?: number;
  controllers?: boolean;
  /** Every built-in kind and controller. */
  complete?: boolean;
  scheduler?: boolean;
  /** Of a complete one's scheduler. */
  settings?: SchedulerSettings;
  /** False: nothing runs bound pods. */
  kubelet?: boolean;
  /** Whether bound pods become ready (default yes). */
  ready?: (pod: Pod) => boolean;
}

export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const clock = new TestClock();
  const random = testRandom(options.seed ?? 1);
  const errors: string[] = [];
  const log: Logger = {
    ...silent,
    error: (message, fields) => void errors.push(`${message} ${fields?.["controller"] ?? ""} ${String((fields?.["err"] as Error | undefined)?.stack ?? fields?.["error"] ?? "")}`),
    with: () => log,
  };
  const stop = new AbortController();
  const whole = options.complete === true;
  const resources = whole ? { resources: complete.resources } : {};
  const server = createApiServer({ clock, random, log, ...(whole ? { extension: complete.extension } : {}) });
  const client = createClient(server.handle, { userAgent: "test", ...resources });
  if (options.controllers !== false) {
    const known = whole ? { known: complete.controllers, accounts: complete.accounts } : {};
    await createControllerManager({ transport: server.handle, clock, random, log, ...resources, ...known }).start(stop.signal);
  }
  // Without their controller pods would wait for the account.
  else if (whole) await client.serviceAccounts.create({ metadata: { name: "default", namespace: "default" } });
  if (options.scheduler !== false) await createScheduler({ transport: server.handle, clock, random, log, ...(whole ? complete.scheduler(options.settings) : {}) }).start(stop.signal);
  if (options.kubelet !== false) fakeKubelet(client, clock, log, stop.signal, options.ready ?? ((): boolean => true));
  const silenced = new Set<string>();
  /** Where nodes are watched over, they renew their leases. */
  const heartbeat = async (name: string): Promise<void> => {
    const metadata = { name, namespace: "kube-node-lease" };
    const spec = (): object => ({ holderIdentity: name, leaseDurationSeconds: 40, renewTime: formatMicroTime(clock.nowMs()) });
    try {
      await client.leases.create({ metadata, spec: spec() });
      for (;;) {
        await clock.sleep(10_000, stop.signal);
        if (silenced.has(name)) return;
        await client.leases.patch(metadata.namespace, name, "merge", { spec: spec() });
      }
    } catch (e) {
      if (!stop.signal.aborted && !isNotFound(e)) throw e;
    }
  };
  return {
    clock, client, handle: server.handle, errors,
    async addNode(name, { cpu = "4", memory = "8Gi", pods = "110", labels = {} } = {}) {
      const time = formatTime(clock.nowMs());
      const capacity = { cpu, memory, pods };
      await client.nodes.create({ metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } } });
      await client.nodes.patch("", name, "merge", { status: { capacity, allocatable: capacity, conditions: [{ type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: time, lastTransitionTime: time }] } }, "status");
      if (whole) void heartbeat(name);
    },
    silence: (node) => void silenced.add(node),
    stop: () => stop.abort(new Error("stopped")),
  };
}

function fakeKubelet(client: Client, clock: TestClock, log: Logger, signal: AbortSignal, isReady: (pod: Pod) => boolean): void {
  const pods = createInformer(client.pods, { clock, random: testRandom(99), log });
  let nextAddress = 2;
  const act = async (pod: Pod): Promise<void> => {
    try {
      if (pod.spec.nodeName === undefined) return;
      if (pod.metadata.deletionTimestamp !== undefined) {
        await client.pods.delete(pod.metadata.namespace!, pod.metadata.name, { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } });
        return;
      }
      if (pod.status.phase !== "Pending") return;
      await clock.sleep(100);
      const time = formatTime(clock.nowMs());
      const status = isReady(pod) ? "True" : "False";
      const podIP = `10.244.0.${nextAddress++}`;
      await client.pods.patch(pod.metadata.namespace!, pod.metadata.name, "strategic", {
        status: { phase: "Running", podIP, podIPs: [{ ip: podIP }], startTime: time, conditions: [{ type: "Ready", status, lastTransitionTime: time }, { type: "ContainersReady", status, lastTransitionTime: time }] },
      }, "status");
    } catch (e) {
      if (!isNotFound(e) && !isConflict(e)) log.error("fake kubelet", { err: e });
    }
  };
  pods.addHandler({ add: (pod) => void act(pod), update: (pod) => void act(pod) });
  pods.start(signal);
}

export const deployment = (name: string, replicas: number, image = "web:1"): Parameters<Client["deployments"]["create"]>[0] => ({
  metadata: { name, namespace: "default" },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "web", image, ports: [{ name: "http", containerPort: 8080 }] }] } },
  },
});
