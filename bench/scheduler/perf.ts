/**
 * One workload of Kubernetes' scheduler_perf (test/integration/scheduler_perf, performance-config.yaml of v1.32) in process: API server,
 * scheduler and client share one core. Prints pods a second from the first create of the measured pods to the last binding.
 */
import { complete } from "../../src/complete.ts";
import { createClient } from "../../src/client/client.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { createScheduler } from "../../src/kube-scheduler/scheduler.ts";
import { silent } from "../../src/log.ts";
import { realClock, report, seeded } from "../apiserver/surroundings.ts";

type Labels = Record<string, string>;
interface PodKind {
  readonly labels?: Labels;
  readonly cpu?: string;
  readonly spec?: Record<string, unknown>;
}
interface Batch {
  readonly count: number;
  readonly pod: PodKind;
  readonly namespace?: string;
}
interface Workload {
  readonly nodes: number;
  readonly labels?: (n: number) => Labels;
  readonly init: readonly Batch[];
  readonly measured: Batch;
  /** Further nodes. */
  readonly extraNode?: string;
  /** Of the first batch: never bound. */
  readonly stuck?: number;
}

const ZONE = "topology.kubernetes.io/zone";
const HOST = "kubernetes.io/hostname";
const term = (labels: Labels, topologyKey: string): unknown => ({ labelSelector: { matchLabels: labels }, topologyKey, namespaces: ["sched-0", "sched-1"] });
const plain: PodKind = {};
const required = (sort: string, labels: Labels, key: string): PodKind =>
  ({ labels, spec: { affinity: { [sort]: { requiredDuringSchedulingIgnoredDuringExecution: [term(labels, key)] } } } });
const preferred = (sort: string, labels: Labels): PodKind =>
  ({ labels, spec: { affinity: { [sort]: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: term(labels, HOST) }] } } } });
const antiAffinity = required("podAntiAffinity", { color: "green" }, HOST);
const affinity = required("podAffinity", { color: "blue" }, ZONE);
const zone1 = (): Labels => ({ [ZONE]: "zone1" });
const nodeTerm = (expressions: unknown, fields?: unknown): PodKind => ({ spec: { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {
  nodeSelectorTerms: [fields === undefined ? { matchExpressions: [expressions] } : { matchFields: [fields] }] } } } } });

const WORKLOADS: Readonly<Record<string, Workload>> = {
  SchedulingBasic: { nodes: 5000, init: [{ count: 1000, pod: plain }], measured: { count: 10_000, pod: plain } },
  /** Of bench/pipeline.ts, not of scheduler_perf. */
  Pipeline: { nodes: 1000, init: [{ count: 500, pod: plain }], measured: { count: 5000, pod: plain } },
  SchedulingPodAntiAffinity: { nodes: 5000, init: [{ count: 1000, pod: antiAffinity }], measured: { count: 1000, pod: antiAffinity, namespace: "sched-1" } },
  SchedulingPodAffinity: { nodes: 5000, labels: zone1, init: [{ count: 5000, pod: affinity }], measured: { count: 1000, pod: affinity, namespace: "sched-1" } },
  TopologySpreading: { nodes: 5000, labels: (n) => ({ [ZONE]: `moon-${(n % 3) + 1}` }), init: [{ count: 5000, pod: plain }], measured: { count: 2000, pod: {
    labels: { color: "blue" }, spec: { topologySpreadConstraints: [{ maxSkew: 5, topologyKey: ZONE, whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: { color: "blue" } } }] } } } },
  PreemptionAsync: { nodes: 5000, init: [{ count: 20_000, pod: { cpu: "900m" } }], measured: { count: 5000, pod: { cpu: "3000m", spec: { priorityClassName: "high" } } } },
  Unschedulable: { nodes: 5000, init: [{ count: 200, pod: { cpu: "9" } }], stuck: 200, measured: { count: 10_000, pod: plain } },
  MixedSchedulingBasePod: { nodes: 5000, labels: zone1, init: [
    { count: 2000, pod: plain }, { count: 2000, pod: affinity }, { count: 2000, pod: antiAffinity },
    { count: 2000, pod: preferred("podAffinity", { color: "red" }) }, { count: 2000, pod: preferred("podAntiAffinity", { color: "yellow" }) },
  ], measured: { count: 1000, pod: plain } },
  SchedulingNodeAffinity: { nodes: 5000, labels: zone1, init: [{ count: 5000, pod: nodeTerm({ key: ZONE, operator: "In", values: ["zone1", "zone2"] }) }],
    measured: { count: 10_000, pod: nodeTerm({ key: ZONE, operator: "In", values: ["zone1", "zone2"] }) } },
  SchedulingDaemonset: { nodes: 15_000, extraNode: "scheduler-perf-node", init: [],
    measured: { count: 30_000, pod: nodeTerm(undefined, { key: "metadata.name", operator: "In", values: ["scheduler-perf-node"] }) } },
};

const name = process.argv[2] ?? "SchedulingBasic";
const share = Number(process.argv[3] ?? 1);
const workload = WORKLOADS[name];
if (workload === undefined) throw new Error(`no workload ${name}: ${Object.keys(WORKLOADS).join(", ")}`);

const server = createApiServer({ clock: realClock, random: seeded, log: silent, extension: complete.extension });
await server.ready;
const client = createClient(server.handle, { userAgent: "perf", resources: complete.resources });
for (const namespace of ["sched-0", "sched-1"]) {
  await client.namespaces.create({ metadata: { name: namespace } });
  await client.serviceAccounts.create({ metadata: { name: "default", namespace } });
}
await client.priorityClasses.create({ metadata: { name: "high" }, value: 10 });
const addNode = async (node: string, labels: Labels, pods = "110"): Promise<void> => {
  const amounts = { cpu: pods === "110" ? "4" : "10000", memory: pods === "110" ? "32Gi" : "100000Gi", pods };
  // Nodes come with a taint until they are ready; nobody here would take it away.
  const made = await client.nodes.create({ metadata: { name: node, labels: { [HOST]: node, ...labels } }, status: { capacity: amounts, allocatable: amounts, conditions: [{ type: "Ready", status: "True" }] } } as never);
  if (made.spec.taints !== undefined) await client.nodes.patch("", node, "merge", { spec: { taints: null } });
};
for (let n = 0; n < workload.nodes; n++) await addNode(`node-${n}`, workload.labels?.(n) ?? {});
if (workload.extraNode !== undefined) await addNode(workload.extraNode, {}, "90000");

const stop = new AbortController();
await createScheduler({ transport: server.handle, clock: realClock, random: seeded, log: silent, ...complete.scheduler() }).start(stop.signal);

let bound = 0;
let wanted = Infinity;
let reached = (): void => {};
const { metadata } = await client.pods.list("", { limit: 1 });
void (async () => {
  const unbound = new Set<string>();
  for await (const { type, object } of await client.pods.watch("", { resourceVersion: metadata.resourceVersion }, stop.signal)) {
    const { metadata: { uid, deletionTimestamp, namespace, name: podName }, spec } = object;
    if (type === "ADDED") unbound.add(uid!);
    else if (spec.nodeName !== undefined && unbound.delete(uid!) && ++bound >= wanted) reached();
    // The kubelets' part: what is being deleted ends at once.
    if (type === "MODIFIED" && deletionTimestamp !== undefined) void client.pods.delete(namespace!, podName, { gracePeriodSeconds: 0 }).catch(() => {});
  }
})().catch(() => {});

let serial = 0;
const create = ({ pod: { labels = {}, cpu = "100m", spec = {} }, namespace = "sched-0" }: Batch): Promise<unknown> =>
  client.pods.create({ metadata: { name: `p-${serial++}`, namespace, labels }, spec: { containers: [{ name: "pause", image: "registry.k8s.io/pause:3.10", resources: { requests: { cpu, memory: "500Mi" }, limits: { cpu, memory: "500Mi" } } }], ...spec } } as never);
/** Pods a second by the wall clock, and by the CPU time that they cost: what one core would do that has nothing else to do. */
const run = async (batch: Batch, count: number, expected = count): Promise<{ rate: number; byCpu: number }> => {
  const started = performance.now();
  const cpu = process.cpuUsage();
  wanted = bound + expected;
  const all = expected === 0 ? Promise.resolve() : new Promise<void>((resolve) => (reached = resolve));
  // As upstream: creates go on while pods are being bound.
  for (let at = 0; at < count; at += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - at) }, () => create(batch)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: (count * 1000) / (performance.now() - started), byCpu: (count * 1e6) / (user + system) };
};
for (const batch of workload.init) await run(batch, Math.ceil(batch.count * share), workload.stuck === undefined ? undefined : 0);
const rates = await run(workload.measured, Math.ceil(workload.measured.count * share));
report({ name, ...rates, megabytes: process.memoryUsage().rss / 2 ** 20 });
