/** A complete control plane with a kubelet whose pods do what the test says. */
import type { Client } from "../../src/client/client.ts";
import type { Pod } from "../../src/api/types.generated.ts";
import { formatTime } from "../../src/apimachinery/time.ts";
import { startCluster } from "../control-plane/cluster.ts";
import type { TestCluster } from "../control-plane/cluster.ts";

export const NAMESPACE = "default";

export interface Workloads extends TestCluster {
  pods(): Promise<Pod[]>;
  names(): Promise<string[]>;
  /** Ends the only container of a pod. */
  exit(name: string, code: number): Promise<void>;
  events(reason: string): Promise<string[]>;
}

export async function startWorkloads(options: { nodes?: number; ready?: (pod: Pod) => boolean } = {}): Promise<Workloads> {
  const cluster = await startCluster({ complete: true, ...(options.ready === undefined ? {} : { ready: options.ready }) });
  const { client, clock } = cluster;
  for (let i = 1; i <= (options.nodes ?? 2); i++) await cluster.addNode(`node-${i}`);
  await clock.advance(1000);
  const pods = async (): Promise<Pod[]> => [...(await client.pods.list(NAMESPACE)).items];
  return {
    ...cluster,
    pods,
    names: async () => (await pods()).map((p) => p.metadata.name).sort(),
    async exit(name, exitCode) {
      const time = formatTime(clock.nowMs());
      const pod = await client.pods.get(NAMESPACE, name);
      await client.pods.patch(NAMESPACE, name, "strategic", {
        status: {
          phase: exitCode === 0 ? "Succeeded" : "Failed",
          conditions: [{ type: "Ready", status: "False", lastTransitionTime: time }],
          containerStatuses: pod.spec.containers.map((c) => ({ name: c.name, image: c.image, imageID: "", ready: false, restartCount: 0, state: { terminated: { exitCode, startedAt: time, finishedAt: time } } })),
        },
      }, "status");
    },
    events: async (reason) => (await client.events.list(NAMESPACE)).items.filter((e) => e.reason === reason).map((e) => e.message!),
  };
}

export const template = (image = "web:1", spec: Record<string, unknown> = {}): { metadata: { labels: Record<string, string> }; spec: Pod["spec"] } =>
  ({ metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image }], ...spec } as Pod["spec"] });

export const named = (name: string): { name: string; namespace: string } => ({ name, namespace: NAMESPACE });

type Job = Parameters<Client["jobs"]["create"]>[0];
export const job = (spec: Record<string, unknown>): Job => ({ metadata: named("j"), spec: { template: template("work:1", { restartPolicy: "Never" }), ...spec } }) as Job;
