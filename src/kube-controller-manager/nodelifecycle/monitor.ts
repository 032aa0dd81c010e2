/**
 * Node lifecycle in full: nodes whose heartbeat stops, their taints with the rate at which zones may be emptied, and their pods. Follows
 * pkg/controller/nodelifecycle/node_lifecycle_controller.go and pkg/controller/util/node/controller_utils.go.
 */
import type { Node, Taint } from "../../api/types.generated.ts";
import { deepEqual, type KubeObject } from "../../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter, type Controller } from "../../client/controller.ts";
import { BY_NODE } from "../../client/informer.ts";
import type { WorkQueue } from "../../client/workqueue.ts";
import type { ControllerContext } from "../controller-context.ts";
import type { ControllerSettings } from "../initializers.ts";
import { planTaints } from "./index.ts";
import { createZones, zoneOf } from "./zones.ts";

export interface NodeLifecycleOptions {
  /** `--node-monitor-period` (default 5 s), `--node-monitor-grace-period` (50 s), `--node-startup-grace-period` (60 s). */
  nodeMonitorPeriodMs?: number;
  nodeMonitorGracePeriodMs?: number;
  nodeStartupGracePeriodMs?: number;
  /** `--node-eviction-rate` (default 0.1 nodes a second), `--secondary-node-eviction-rate` (0.01), `--large-cluster-size-threshold` (50), `--unhealthy-zone-threshold` (0.55). */
  nodeEvictionRate?: number;
  secondaryNodeEvictionRate?: number;
  largeClusterSizeThreshold?: number;
  unhealthyZoneThreshold?: number;
}

const NOT_READY: Taint = { key: "node.kubernetes.io/not-ready", effect: "NoExecute" };
const UNREACHABLE: Taint = { key: "node.kubernetes.io/unreachable", effect: "NoExecute" };
/** What a kubelet reports; the network's condition is somebody else's. */
const REPORTED = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/** Labels by their names of today and of before (labelReconcileInfo). */
const LABELS = [["kubernetes.io/os", "beta.kubernetes.io/os"], ["kubernetes.io/arch", "beta.kubernetes.io/arch"]] as const;
const EXCLUDED = "node.kubernetes.io/exclude-disruption";
const MONITOR = "/monitor";
const TAINT = "/taint";

type Condition = NonNullable<Node["status"]["conditions"]>[number];
type LiveNode = Node & KubeObject;

interface Health {
  ready: Condition | undefined;
  leaseTime: string;
  probeMs: number;
}

const readyOf = (node: Node): Condition | undefined => node.status.conditions?.find((c) => c.type === "Ready");
const hasTaint = (node: Node, { key, effect }: Taint): boolean => node.spec.taints?.some((t) => t.key === key && t.effect === effect) === true;

/** The conditions of a node that nothing is heard of. Follows the end of tryUpdateNodeHealth. Pure. */
export function unknownConditions(node: Node, time: string): Condition[] {
  const out = [...(node.status.conditions ?? [])];
  for (const type of REPORTED) {
    const at = out.findIndex((c) => c.type === type);
    if (at < 0)
      out.push({ type, status: "Unknown", reason: "NodeStatusNeverUpdated", message: "Kubelet never posted node status.", lastHeartbeatTime: node.metadata.creationTimestamp!, lastTransitionTime: time });
    else if (out[at]!.status !== "Unknown") out[at] = { ...out[at]!, status: "Unknown", reason: "NodeStatusUnknown", message: "Kubelet stopped posting node status.", lastTransitionTime: time };
  }
  return out;
}

export function newNodeLifecycleMonitor(context: ControllerContext, settings: ControllerSettings): Controller {
  const { client, clock, informers, log } = context;
  const { nodeMonitorPeriodMs = 5000, nodeMonitorGracePeriodMs = 50_000, nodeStartupGracePeriodMs = 60_000 } = settings;
  const nodes = informers.informer("nodes");
  const pods = informers.informer("pods");
  const leases = informers.informer("leases");
  const recorder = context.recorder("node-controller");
  const zones = createZones(settings);
  const known = new Map<string, LiveNode>();
  const health = new Map<string, Health>();
  /** Nodes whose pods could not all be marked. */
  const retry = new Set<string>();
  let queue!: WorkQueue;

  const about = (node: Node): KubeObject => ({ ...node, apiVersion: "v1", kind: "Node" });
  const nodeEvent = (node: Node, reason: string, text: string): void => recorder.event(about(node), "Normal", reason, `Node ${node.metadata.name} event: ${text}`);

  /** Puts one of the two taints in place of the other. Follows SwapNodeControllerTaint. */
  async function setTaints(name: string, add: Taint | undefined, remove: readonly Taint[], signal: AbortSignal): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        const node = await client.nodes.get("", name, signal);
        const kept = (node.spec.taints ?? []).filter((t) => !remove.some(({ key, effect }) => t.key === key && t.effect === effect));
        const taints = add === undefined || kept.some((t) => t.key === add.key && t.effect === add.effect) ? kept : [...kept, { ...add, timeAdded: formatTime(clock.nowMs()) }];
        if (deepEqual(taints, node.spec.taints ?? [])) return;
        await client.nodes.patch("", name, "merge", { metadata: { resourceVersion: node.metadata.resourceVersion }, spec: { taints: taints.length > 0 ? taints : null } }, undefined, signal);
        return;
      } catch (e) {
        if (isNotFound(e)) return;
        if (!isConflict(e)) throw e;
      }
    }
  }

  async function markReachable(node: Node, signal: AbortSignal): Promise<void> {
    zones.remove(node);
    if (hasTaint(node, NOT_READY) || hasTaint(node, UNREACHABLE)) await setTaints(node.metadata.name, undefined, [NOT_READY, UNREACHABLE], signal);
  }

  /** Follows tryUpdateNodeHealth: what the node was said to be, and what it is said to be now. */
  async function updateHealth(node: LiveNode, signal: AbortSignal): Promise<{ observed: string; current: Condition | undefined }> {
    const { name } = node.metadata;
    const now = clock.nowMs();
    const ready = readyOf(node);
    const created = parseTime(node.metadata.creationTimestamp!)!;
    let own = health.get(name);
    if (own === undefined) health.set(name, (own = { ready, leaseTime: "", probeMs: ready === undefined ? created : now }));
    else if ((own.ready === undefined) !== (ready === undefined) || own.ready?.lastHeartbeatTime !== ready?.lastHeartbeatTime) own.probeMs = ready === undefined ? own.probeMs : now;
    own.ready = ready;
    const renewed = leases.get("kube-node-lease", name)?.spec?.renewTime ?? "";
    if (renewed > own.leaseTime) {
      own.leaseTime = renewed;
      own.probeMs = now;
    }
    const observed = ready?.status ?? "Unknown";
    const grace = ready === undefined ? nodeStartupGracePeriodMs : nodeMonitorGracePeriodMs;
    if (now <= own.probeMs + grace) return { observed, current: ready };
    const conditions = unknownConditions(node, formatTime(now));
    if (deepEqual(conditions, node.status.conditions ?? [])) return { observed, current: ready };
    await client.nodes.updateStatus({ ...node, status: { ...node.status, conditions } }, signal);
    return { observed, current: conditions.find((c) => c.type === "Ready") };
  }

  /** Follows MarkPodsNotReady. */
  async function markPodsNotReady(node: string, signal: AbortSignal): Promise<void> {
    retry.delete(node);
    for (const pod of pods.byIndex(BY_NODE, node)) {
      const condition = pod.status.conditions?.find((c) => c.type === "Ready");
      if (condition === undefined || condition.status === "False") continue;
      const conditions = pod.status.conditions!.map((c) => (c === condition ? { ...c, status: "False", lastTransitionTime: formatTime(clock.nowMs()) } : c));
      try {
        await client.pods.updateStatus({ ...pod, status: { ...pod.status, conditions } } as typeof pod, signal);
        recorder.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", "NodeNotReady", "Node is not ready");
      } catch (e) {
        if (isNotFound(e)) continue;
        retry.add(node);
        if (!isConflict(e)) log.error("Unable to mark pod as not ready", { pod: pod.metadata.name, err: e });
      }
    }
  }

  /** Follows processTaintBaseEviction. */
  async function taintByReadiness(node: LiveNode, status: string, signal: AbortSignal): Promise<void> {
    if (status === "True") return markReachable(node, signal);
    const [wanted, other] = status === "False" ? [NOT_READY, UNREACHABLE] : [UNREACHABLE, NOT_READY];
    // One that may be emptied already only changes its reason.
    if (hasTaint(node, other)) await setTaints(node.metadata.name, wanted, [other], signal);
    else if (!hasTaint(node, wanted)) zones.add(node);
  }

  /** Follows monitorNodeHealth. */
  async function monitor(signal: AbortSignal): Promise<void> {
    const all = nodes.list() as readonly LiveNode[];
    const names = new Set(all.map(({ metadata }) => metadata.name));
    for (const node of all) {
      if (known.has(node.metadata.name)) continue;
      nodeEvent(node, "RegisteredNode", `Registered Node ${node.metadata.name} in Controller`);
      await markReachable(node, signal);
    }
    for (const [name, node] of known) {
      if (names.has(name)) continue;
      nodeEvent(node, "RemovingNode", `Removing Node ${name} from Controller`);
      zones.remove(node);
      known.delete(name);
      health.delete(name);
      retry.delete(name);
    }
    const readiness = new Map<string, boolean[]>();
    for (const node of all) {
      known.set(node.metadata.name, node);
      let result: Awaited<ReturnType<typeof updateHealth>>;
      try {
        result = await updateHealth(node, signal);
      } catch (e) {
        if (isNotFound(e)) continue;
        if (!isConflict(e)) throw e;
        result = { observed: readyOf(node)?.status ?? "Unknown", current: readyOf(node) };
      }
      const { observed, current } = result;
      if (node.metadata.labels?.[EXCLUDED] === undefined) readiness.set(zoneOf(node), [...(readiness.get(zoneOf(node)) ?? []), current?.status === "True"]);
      if (current === undefined) continue;
      await taintByReadiness(node, current.status, signal);
      if (current.status !== "True" && observed === "True") {
        recorder.event(about(node), "Normal", "NodeNotReady", `Node ${node.metadata.name} status is now: NodeNotReady`);
        await markPodsNotReady(node.metadata.name, signal);
      } else if (retry.has(node.metadata.name) && observed !== "True") await markPodsNotReady(node.metadata.name, signal);
    }
    const now = clock.nowMs();
    const change = zones.observe(readiness, now);
    // Where nothing answers, it is the control plane that is cut off.
    if (change === "all disrupted") for (const node of all) await markReachable(node, signal);
    if (change === "recovered") for (const own of health.values()) own.probeMs = now;
    if (zones.waiting()) queue.add(TAINT);
  }

  /** Follows doNoExecuteTaintingPass: as many nodes as the zones' rates allow. Returns when the next one may come. */
  async function taintSome(signal: AbortSignal): Promise<number | undefined> {
    for (;;) {
      const next = zones.next(clock.nowMs());
      if (typeof next === "number" || next === undefined) return next;
      const node = nodes.get("", next);
      const status = node === undefined ? "True" : readyOf(node)?.status;
      if (status === "True" || status === undefined) continue;
      const [wanted, other] = status === "False" ? [NOT_READY, UNREACHABLE] : [UNREACHABLE, NOT_READY];
      await setTaints(next, wanted, [other], signal);
    }
  }

  /** Follows reconcileNodeLabels and doNoScheduleTaintingPass. */
  async function reconcileNode(node: LiveNode, signal: AbortSignal): Promise<void> {
    const { name, labels = {}, resourceVersion } = node.metadata;
    const missing: Record<string, string> = {};
    for (const [primary, secondary] of LABELS) if (labels[primary] !== undefined && labels[secondary] !== labels[primary]) missing[secondary] = labels[primary];
    if (Object.keys(missing).length > 0) await client.nodes.patch("", name, "strategic", { metadata: { labels: missing } }, undefined, signal);
    const taints = planTaints(node, formatTime(clock.nowMs()));
    if (!deepEqual(taints, node.spec.taints ?? [])) {
      // Written over what there is now, not over what the label changed.
      const live = Object.keys(missing).length > 0 ? (await client.nodes.get("", name, signal)).metadata.resourceVersion : resourceVersion;
      await client.nodes.patch("", name, "merge", { metadata: { resourceVersion: live }, spec: { taints: taints.length > 0 ? taints : null } }, undefined, signal);
    }
  }

  return {
    name: "node-lifecycle-controller",
    setup(given) {
      queue = given;
      nodes.addHandler({ add: ({ metadata }) => queue.add(metadata.name), update: ({ metadata }) => queue.add(metadata.name) });
      queue.add(MONITOR);
    },
    async reconcile(key, signal) {
      if (key === MONITOR) {
        try {
          await monitor(signal);
        } catch (e) {
          if (!signal.aborted) log.error("Error monitoring node health", { err: e });
        }
        return requeueAfter(nodeMonitorPeriodMs);
      }
      if (key === TAINT) {
        const waitMs = await taintSome(signal);
        return waitMs === undefined ? done : requeueAfter(waitMs);
      }
      const node = nodes.getByKey(key);
      if (node === undefined) return done;
      try {
        await reconcileNode(node, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
      return done;
    },
  };
}
