/**
 * The scheduler: one pod after the other is filtered, scored and bound. Follows pkg/scheduler (scheduler.go,
 * schedule_one.go) with the default plugins as far as they exist here.
 */
import type { Node, Pod } from "../api/types.generated.ts";
import { deepEqual } from "../apimachinery/meta.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../apimachinery/status.ts";
import { formatTime } from "../apimachinery/time.ts";
import { createClient } from "../client/client.ts";
import { createEventRecorder } from "../client/events.ts";
import { createInformers } from "../client/informer.ts";
import type { ApiTransport } from "../client/transport.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import { createSchedulerCache } from "./cache.ts";
import { podInfo } from "./framework.ts";
import type { Cycle, NodeInfo, Plugin, Rejection } from "./framework.ts";
import { nodeAffinity, nodeName, nodePorts, nodeUnschedulable, taintToleration } from "./plugins/node.ts";
import { nodeResourcesBalancedAllocation, nodeResourcesFit } from "./plugins/resources.ts";
import { podTopologySpread } from "./plugins/topology-spread.ts";
import { createSchedulingQueue } from "./queue.ts";
import type { QueuedPod } from "./queue.ts";

export interface SchedulerOptions {
  transport: ApiTransport;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Pods with this `schedulerName` are its own (default `default-scheduler`). */
  schedulerName?: string;
}

export interface Scheduler {
  /** Starts the informers and the loop; resolves when the caches have synced and the loop runs. */
  start(signal: AbortSignal): Promise<void>;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { clock } = options;
  const name = options.schedulerName ?? "default-scheduler";
  const random = options.random.fork("kube-scheduler");
  const log = options.log.with({ component: "kube-scheduler" });
  const client = createClient(options.transport, { userAgent: "kube-scheduler" });
  const informers = createInformers(client, { clock, random, log });
  const [pods, nodes, services, replicaSets] = [informers.informer("pods"), informers.informer("nodes"), informers.informer("services"), informers.informer("replicaSets")];
  const recorder = createEventRecorder(client, clock, log, { component: name });
  const cache = createSchedulerCache();
  const queue = createSchedulingQueue(clock);
  const ties = random.fork("ties");
  // Filters run in this order and the first that refuses names the reason.
  const plugins: readonly Plugin[] = [
    nodeUnschedulable, nodeName, taintToleration, nodeAffinity, nodePorts, nodeResourcesFit,
    podTopologySpread(services, replicaSets), nodeResourcesBalancedAllocation,
  ];
  let nextStart = 0;

  const isOurs = (pod: Pod): boolean => pod.spec.schedulerName === name && (pod.spec.schedulingGates ?? []).length === 0;
  const isFinished = (pod: Pod): boolean => pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
  const typed = (pod: Pod): KubeObject => ({ ...pod, kind: "Pod", apiVersion: "v1" });

  function watch(): void {
    const see = (pod: Pod): void => {
      if (pod.spec.nodeName !== undefined) {
        queue.delete(pod.metadata.uid);
        if (isFinished(pod)) {
          cache.removePod(pod.metadata.uid);
          queue.moveAll();
        } else cache.setPod(pod);
      } else if (pod.metadata.deletionTimestamp !== undefined) queue.delete(pod.metadata.uid);
      else if (isOurs(pod) && !cache.isAssumed(pod.metadata.uid)) queue.update(pod);
    };
    pods.addHandler({
      add: see,
      update: see,
      delete(pod) {
        queue.delete(pod.metadata.uid);
        if (pod.spec.nodeName === undefined) return;
        cache.removePod(pod.metadata.uid);
        queue.moveAll();
      },
    });
    nodes.addHandler({
      add(node) {
        cache.setNode(node);
        queue.moveAll();
      },
      update(node, old) {
        cache.setNode(node);
        if (nodeChanged(node, old)) queue.moveAll();
      },
      delete: (node) => cache.removeNode(node.metadata.name),
    });
  }

  /** How many nodes that fit are enough. Follows numFeasibleNodesToFind. */
  function enough(total: number): number {
    if (total < 100) return total;
    const percentage = Math.max(5, 50 - Math.floor(total / 125));
    return Math.max(100, Math.floor((total * percentage) / 100));
  }

  /** The node for a pod, or why there is none. */
  function schedule(pod: Pod): { node: NodeInfo } | { message: string } {
    const all = cache.nodes();
    if (all.length === 0) return { message: "no nodes available to schedule pods" };
    const cycle: Cycle = { info: podInfo(pod), nodes: all, state: new Map() };
    const feasible: NodeInfo[] = [];
    const rejections: Rejection[] = [];
    const wanted = enough(all.length);
    let looked = 0;
    for (; looked < all.length && feasible.length < wanted; looked++) {
      const node = all[(nextStart + looked) % all.length]!;
      const rejection = filter(cycle, node);
      if (rejection === undefined) feasible.push(node);
      else rejections.push(rejection);
    }
    nextStart = (nextStart + looked) % all.length;
    if (feasible.length === 0) return { message: failureMessage(pod, rejections, all.length) };
    if (feasible.length === 1) return { node: feasible[0]! };
    return { node: best(cycle, feasible) };
  }

  function filter(cycle: Cycle, node: NodeInfo): Rejection | undefined {
    for (const plugin of plugins) {
      const rejection = plugin.filter?.(cycle, node);
      if (rejection !== undefined) return rejection;
    }
    return undefined;
  }

  function best(cycle: Cycle, feasible: readonly NodeInfo[]): NodeInfo {
    const totals = new Array<number>(feasible.length).fill(0);
    for (const plugin of plugins) {
      if (plugin.score === undefined || plugin.preScore?.(cycle, feasible) === false) continue;
      const scores = feasible.map((node) => plugin.score!(cycle, node));
      plugin.normalize?.(cycle, scores, feasible);
      for (let i = 0; i < scores.length; i++) totals[i] = totals[i]! + scores[i]! * (plugin.weight ?? 1);
    }
    const top = Math.max(...totals);
    const candidates = feasible.filter((_, i) => totals[i] === top);
    return candidates[candidates.length === 1 ? 0 : ties.below(candidates.length)]!;
  }

  async function bind(queued: QueuedPod, node: string, signal: AbortSignal): Promise<void> {
    const { pod } = queued;
    const { namespace, name: podName, uid } = pod.metadata;
    try {
      await client.pods.subresource("POST", namespace!, podName, "binding", {
        apiVersion: "v1", kind: "Binding", metadata: { namespace, name: podName, uid }, target: { kind: "Node", name: node },
      }, signal);
      recorder.event(typed(pod), "Normal", "Scheduled", `Successfully assigned ${namespace}/${podName} to ${node}`);
    } catch (e) {
      cache.forget(uid);
      if (isNotFound(e) || signal.aborted) {
        queue.delete(uid);
        return;
      }
      if (!isConflict(e)) log.error("Error scheduling pod; retrying", { pod: `${namespace}/${podName}`, err: e });
      queue.requeue(queued);
      queue.moveAll();
    }
  }

  async function fail(queued: QueuedPod, message: string, signal: AbortSignal): Promise<void> {
    const { pod } = queued;
    recorder.event(typed(pod), "Warning", "FailedScheduling", message);
    queue.requeue(queued);
    const conditions = pod.status.conditions ?? [];
    const current = conditions.find((c) => c.type === "PodScheduled");
    if (current?.status === "False" && current.reason === "Unschedulable" && current.message === message) return;
    const lastTransitionTime = current?.status === "False" ? current.lastTransitionTime : formatTime(clock.nowMs());
    const condition = { type: "PodScheduled", status: "False", lastProbeTime: null, lastTransitionTime, reason: "Unschedulable", message };
    try {
      await client.pods.patch(pod.metadata.namespace!, pod.metadata.name, "strategic", { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } }, "status", signal);
    } catch (e) {
      if (!isNotFound(e) && !isConflict(e) && !signal.aborted) log.error("Error updating pod", { err: e });
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const queued = await queue.pop();
      if (queued === undefined) return;
      const { pod } = queued;
      const outcome = schedule(pod);
      if ("message" in outcome) {
        await fail(queued, outcome.message, signal);
        continue;
      }
      const node = outcome.node.node.metadata.name;
      // Assumed before it is bound, so that the next pod sees the room as taken; the binding goes on by itself.
      cache.assume(podInfo(pod), node);
      void bind(queued, node, signal);
    }
  }

  return {
    async start(signal) {
      watch();
      informers.start(signal);
      if (signal.aborted) queue.close();
      else signal.addEventListener("abort", () => queue.close(), { once: true });
      await informers.waitForSync();
      void run(signal);
    },
  };
}

/** Changes that could make room or lift a refusal. Follows nodeSchedulingPropertiesChange. */
function nodeChanged(node: Node, old: Node): boolean {
  return node.spec.unschedulable !== old.spec.unschedulable || !deepEqual(node.spec.taints, old.spec.taints) ||
    !deepEqual(node.status.allocatable, old.status.allocatable) || !deepEqual(node.metadata.labels, old.metadata.labels);
}

/** `3 Insufficient cpu, 1 node(s) …`: how often each reason was given, sorted as text. */
function tally(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => `${count} ${reason}`).sort().join(", ");
}

/** Follows FitError.Error and the DefaultPreemption plugin's message. */
export function failureMessage(pod: Pod, rejections: readonly Rejection[], nodes: number): string {
  const head = `0/${nodes} nodes are available: ${tally(rejections.flatMap((r) => r.reasons))}.`;
  if (pod.spec.preemptionPolicy === "Never") return `${head} preemption: not eligible due to preemptionPolicy=Never.`;
  const preemption = rejections.map((r) => (r.unresolvable ? "Preemption is not helpful for scheduling" : "No preemption victims found for incoming pod"));
  return `${head} preemption: 0/${nodes} nodes are available: ${tally(preemption)}.`;
}
