/**
 * The scheduler: one pod after the other is filtered, scored and bound. Follows pkg/scheduler (scheduler.go, schedule_one.go,
 * eventhandlers.go). What decides is in plugins; `profile.ts` lists those of every cluster, `complete/` the others.
 */
import type { Node, Pod } from "../api/types.generated.ts";
import type { Resources } from "../api/resources.ts";
import { deepEqual } from "../apimachinery/meta.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../apimachinery/status.ts";
import { formatTime } from "../apimachinery/time.ts";
import { createClient } from "../client/client.ts";
import type { Client } from "../client/client.ts";
import { createInformers } from "../client/informer.ts";
import type { Informers } from "../client/informer.ts";
import type { ApiTransport } from "../client/transport.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import { createSchedulerCache } from "./cache.ts";
import type { SchedulerCache } from "./cache.ts";
import { createStructuredRecorder } from "./events.ts";
import type { StructuredRecorder } from "./events.ts";
import { place, podInfo, SKIP, take } from "./framework.ts";
import type { Cycle, NodeInfo, Plugin, PodInfo, PostFilterResult, Rejection } from "./framework.ts";
import { newNominator, type Nominator } from "./nominator.ts";
import { allocatableChanged } from "./plugins/resources.ts";
import { coreProfile } from "./profile.ts";
import { createSchedulingQueue, UNSCHEDULABLE_CHANGED } from "./queue.ts";
import type { QueuedPod, SchedulingQueue } from "./queue.ts";

/** What plugins are made with: the scheduler's own caches, and a way to the API. */
export interface Handle {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly recorder: StructuredRecorder;
  readonly cache: SchedulerCache;
  readonly nominator: Nominator;
  readonly queue: SchedulingQueue;
  /** Whether the pod of the cycle fits the node, those counted who were promised room there. */
  fits(cycle: Cycle, node: NodeInfo): Rejection | undefined;
}

/** Asked after the plugins have filtered, and for more scores (extender.go). */
export interface Extender {
  /** The nodes that fit, and why the others do not. Throws: scheduling fails, unless it may be ignored. */
  filter?(pod: Pod, nodes: readonly NodeInfo[]): Promise<{ readonly nodes: readonly NodeInfo[]; readonly refused: ReadonlyMap<NodeInfo, Rejection> }>;
  /** Points of each node, weighed. */
  prioritize?(pod: Pod, nodes: readonly NodeInfo[]): Promise<readonly number[]>;
  /** Whether it binds this pod, and then how. */
  bind?(pod: Pod, node: string): Promise<boolean>;
}

/** How one sort of pods is scheduled: those that name it in `schedulerName`. */
export interface Profile {
  readonly schedulerName: string;
  plugins(handle: Handle): readonly Plugin[];
  readonly extenders?: readonly Extender[];
}

export interface SchedulerOptions {
  transport: ApiTransport;
  clock: Clock;
  random: Random;
  log: Logger;
  /** By default `default-scheduler` with the plugins of every cluster. */
  profiles?: readonly Profile[];
  /** What the client knows by name; default what every cluster serves. */
  resources?: Resources;
  /** Of a large cluster's nodes, how many are enough to choose from; 0 (default): fewer the larger it is. */
  percentageOfNodesToScore?: number;
  podInitialBackoffSeconds?: number;
  podMaxBackoffSeconds?: number;
}

export interface Scheduler {
  /** Starts the informers and the loop; resolves when the caches have synced and the loop runs. */
  start(signal: AbortSignal): Promise<void>;
}

interface Running {
  readonly profile: Profile;
  readonly handle: Handle;
  readonly plugins: readonly Plugin[];
  readonly filters: readonly Plugin[];
}

/** Why a pod has no node. */
interface Failure {
  readonly refused: ReadonlyMap<NodeInfo, Rejection>;
  /** A preFilter's refusal, for all nodes. */
  readonly all?: Rejection;
  /** What the nodes say that no filter has seen. */
  readonly absent?: Rejection;
  readonly nodes: number;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { clock } = options;
  const random = options.random.fork("kube-scheduler");
  const log = options.log.with({ component: "kube-scheduler" });
  const client = createClient(options.transport, { userAgent: "kube-scheduler", ...(options.resources === undefined ? {} : { resources: options.resources }) });
  const informers = createInformers(client, { clock, random, log });
  const [pods, nodes] = [informers.informer("pods"), informers.informer("nodes")];
  const cache = createSchedulerCache();
  const nominator = newNominator();
  const ties = random.fork("ties");
  const running = new Map<string, Running>();
  const queue = createSchedulingQueue({
    clock, plugins: (pod) => profileOf(pod)?.plugins ?? [],
    initialBackoffMs: (options.podInitialBackoffSeconds ?? 1) * 1000, maxBackoffMs: (options.podMaxBackoffSeconds ?? 10) * 1000,
  });
  for (const profile of options.profiles ?? [coreProfile]) {
    const recorder = createStructuredRecorder(client, clock, log, profile.schedulerName, `${profile.schedulerName}-control-plane`);
    const handle: Handle = { client, informers, clock, random, log, recorder, cache, nominator, queue, fits: (cycle, node) => fits(cycle, node) };
    const plugins = profile.plugins(handle);
    running.set(profile.schedulerName, { profile, handle, plugins, filters: plugins.filter(({ filter }) => filter !== undefined) });
  }
  /** The plugins that filter the pod that is being scheduled. */
  let filters: readonly Plugin[] = [];
  let nextStart = 0;

  const profileOf = (pod: Pod): Running | undefined => running.get(pod.spec.schedulerName ?? "");
  const isOurs = (pod: Pod): boolean => profileOf(pod) !== undefined && (pod.spec.schedulingGates ?? []).length === 0;
  const isFinished = (pod: Pod): boolean => pod.status.phase === "Succeeded" || pod.status.phase === "Failed";

  function watch(): void {
    const see = (pod: Pod, old?: Pod): void => {
      const { uid } = pod.metadata;
      if (pod.spec.nodeName !== undefined) {
        queue.delete(uid);
        nominator.delete(uid);
        if (isFinished(pod)) {
          if (old !== undefined && !isFinished(old)) removed(pod);
          return;
        }
        const added = old?.spec.nodeName === undefined;
        cache.setPod(pod);
        queue.move({ resource: "AssignedPod", action: added ? "Add" : "Update" }, old, pod);
      } else if (pod.metadata.deletionTimestamp !== undefined) {
        queue.delete(uid);
        nominator.delete(uid);
      } else if (isOurs(pod) && !cache.isAssumed(uid)) {
        nominator.see(podInfo, pod);
        queue.update(pod);
      }
    };
    const removed = (pod: Pod): void => {
      cache.removePod(pod.metadata.uid);
      queue.move({ resource: "AssignedPod", action: "Delete" }, pod);
    };
    pods.addHandler({
      add: see,
      update: see,
      delete(pod) {
        queue.delete(pod.metadata.uid);
        nominator.delete(pod.metadata.uid);
        if (pod.spec.nodeName !== undefined) removed(pod);
      },
    });
    nodes.addHandler({
      add(node) {
        cache.setNode(node);
        queue.move({ resource: "Node", action: "Add" }, undefined, node);
      },
      update(node, old) {
        cache.setNode(node);
        for (const action of nodeChanges(node, old)) queue.move({ resource: "Node", action }, old, node);
      },
      delete: (node) => cache.removeNode(node.metadata.name),
    });
  }

  /** How many nodes that fit are enough. Follows numFeasibleNodesToFind. */
  function enough(total: number): number {
    if (total < 100) return total;
    const percentage = options.percentageOfNodesToScore ?? 0;
    return Math.max(100, Math.floor((total * (percentage > 0 ? percentage : Math.max(5, 50 - Math.floor(total / 125)))) / 100));
  }

  /** Whether the node fits, with those added who were promised room there. Follows RunFilterPluginsWithNominatedPods. */
  function fits(cycle: Cycle, node: NodeInfo): Rejection | undefined {
    const promised = nominator.size === 0 ? NOBODY : nominator.of(node.node.metadata.name, cycle.info);
    if (promised.length > 0) {
      for (const pod of promised) place(cycle, pod, node);
      const rejection = filter(cycle, node);
      for (const pod of promised) take(cycle, pod, node);
      if (rejection !== undefined) return rejection;
    }
    return filter(cycle, node);
  }

  function filter(cycle: Cycle, node: NodeInfo): Rejection | undefined {
    for (const plugin of filters) {
      const rejection = plugin.filter!(cycle, node);
      if (rejection !== undefined) return rejection;
    }
    return undefined;
  }

  /** All preFilters: the nodes to look at, or why there are none. */
  function preFilter(cycle: Cycle): { names?: ReadonlySet<string>; narrowing: string[]; refused?: Rejection } {
    let names: ReadonlySet<string> | undefined;
    const narrowing: string[] = [];
    for (const plugin of cycle.plugins) {
      const result = plugin.preFilter?.(cycle);
      if (result === undefined) continue;
      if (result === SKIP) cycle.skipped.add(plugin);
      else if ("reasons" in result) return { narrowing, refused: result };
      else {
        const { nodes } = result;
        names = names === undefined ? nodes : new Set([...names].filter((name) => nodes.has(name)));
        narrowing.push(plugin.name);
        if (names.size === 0) {
          const reason = narrowing.length === 1 ? `node(s) didn't satisfy plugin ${narrowing[0]}` : `node(s) didn't satisfy plugin(s) [${narrowing.join(" ")}] simultaneously`;
          return { narrowing, refused: { reasons: [reason], unresolvable: true, plugin: plugin.name } };
        }
      }
    }
    return names === undefined ? { narrowing } : { names, narrowing };
  }

  /** The nodes that fit, or why there are none. Follows findNodesThatFitPod. */
  function find(cycle: Cycle, by: Running): readonly NodeInfo[] | Failure {
    const all = cycle.nodes;
    const { names, narrowing, refused: whole } = preFilter(cycle);
    if (whole !== undefined) return { refused: new Map(whole.unresolvable ? [] : all.map((node) => [node, whole])), all: whole, nodes: all.length };
    filters = cycle.skipped.size === 0 ? by.filters : by.filters.filter((plugin) => !cycle.skipped.has(plugin));
    const nominated = cache.node(cycle.info.pod.status.nominatedNodeName ?? "");
    if (nominated !== undefined && fits(cycle, nominated) === undefined) return [nominated];
    const wanted = enough(all.length);
    const feasible: NodeInfo[] = [];
    const refused = new Map<NodeInfo, Rejection>();
    const look = (node: NodeInfo): void => {
      const rejection = fits(cycle, node);
      if (rejection === undefined) feasible.push(node);
      else refused.set(node, rejection);
    };
    if (names !== undefined) {
      for (const name of names) {
        const node = cache.node(name);
        if (node !== undefined) look(node);
      }
    } else {
      let looked = 0;
      for (let at = nextStart % all.length; looked < all.length && feasible.length < wanted; looked++) {
        look(all[at]!);
        if (++at === all.length) at = 0;
      }
      nextStart = (nextStart + looked) % all.length;
    }
    if (feasible.length > 0) return feasible;
    const absent = names === undefined ? undefined : { reasons: [`node(s) didn't satisfy plugin(s) [${narrowing.join(" ")}]`], unresolvable: true, plugin: narrowing[0]! };
    return { refused, nodes: all.length, ...(absent === undefined ? {} : { absent }) };
  }

  /** The best of the nodes that fit. Follows prioritizeNodes and selectHost. */
  function best(cycle: Cycle, feasible: readonly NodeInfo[], plugins: readonly Plugin[], more: readonly number[] | undefined): NodeInfo {
    const totals = more === undefined ? new Array<number>(feasible.length).fill(0) : [...more];
    for (const plugin of plugins) {
      if (plugin.score === undefined || plugin.preScore?.(cycle, feasible) === false) continue;
      const scores = feasible.map((node) => plugin.score!(cycle, node));
      plugin.normalize?.(cycle, scores, feasible);
      const weight = plugin.weight ?? 1;
      for (let i = 0; i < scores.length; i++) totals[i]! += scores[i]! * weight;
    }
    let top = -Infinity;
    let count = 0;
    for (const total of totals) {
      if (total > top) [top, count] = [total, 1];
      else if (total === top) count++;
    }
    let pick = count === 1 ? 0 : ties.below(count);
    return feasible[totals.findIndex((total) => total === top && pick-- === 0)]!;
  }

  /** The node for a pod, or why there is none. */
  async function choose(cycle: Cycle, by: Running): Promise<NodeInfo | Failure> {
    let found = find(cycle, by);
    const { extenders = NO_EXTENDERS } = by.profile;
    let more: number[] | undefined;
    for (const extender of extenders) {
      if (!Array.isArray(found) || found.length === 0 || extender.filter === undefined) continue;
      const { nodes, refused } = await extender.filter(cycle.info.pod, found as readonly NodeInfo[]);
      found = nodes.length > 0 ? nodes : { refused, nodes: cycle.nodes.length };
    }
    if (!Array.isArray(found)) return found as Failure;
    const feasible = found as readonly NodeInfo[];
    if (feasible.length === 1) return feasible[0]!;
    for (const extender of extenders) {
      const points = await extender.prioritize?.(cycle.info.pod, feasible);
      if (points !== undefined) more = feasible.map((_, i) => (more?.[i] ?? 0) + points[i]!);
    }
    return best(cycle, feasible, by.plugins, more);
  }

  /** From the node chosen to the pod bound; other pods go on meanwhile. Follows bindingCycle. */
  async function bind(queued: QueuedPod, cycle: Cycle, node: NodeInfo, by: Running, signal: AbortSignal): Promise<void> {
    const { pod } = queued;
    const { namespace, name: podName, uid } = pod.metadata;
    const target = node.node.metadata.name;
    try {
      for (const plugin of by.plugins) {
        const why = await plugin.permit?.(cycle, node, signal);
        if (why !== undefined) throw new SchedulingError(why);
      }
      for (const plugin of by.plugins) if (plugin.preBind !== undefined) await plugin.preBind(cycle, node, signal);
      if (!(await bindByPlugin(pod, cycle, node, by, signal))) {
        await client.pods.subresource("POST", namespace!, podName, "binding", {
          apiVersion: "v1", kind: "Binding", metadata: { namespace, name: podName, uid }, target: { kind: "Node", name: target },
        }, signal);
      }
      queue.done(uid);
      by.handle.recorder.event(typed(pod), undefined, "Normal", "Scheduled", "Binding", `Successfully assigned ${namespace}/${podName} to ${target}`);
      for (const plugin of by.plugins) plugin.postBind?.(cycle, node);
    } catch (e) {
      for (const plugin of by.plugins) plugin.unreserve?.(cycle, node);
      cache.forget(uid);
      if (isNotFound(e) || signal.aborted) {
        queue.delete(uid);
        return;
      }
      queue.move({ resource: "AssignedPod", action: "Delete" }, pod);
      if (e instanceof SchedulingError) await fail(queued, by, e.message, NO_PLUGIN, signal);
      else {
        if (!isConflict(e)) log.error("Error scheduling pod; retrying", { pod: `${namespace}/${podName}`, err: e });
        queue.requeue(queued, NO_PLUGIN);
      }
    }
  }

  async function bindByPlugin(pod: Pod, cycle: Cycle, node: NodeInfo, { plugins, profile }: Running, signal: AbortSignal): Promise<boolean> {
    for (const extender of profile.extenders ?? NO_EXTENDERS) if ((await extender.bind?.(pod, node.node.metadata.name)) === true) return true;
    for (const plugin of plugins) if (plugin.bind !== undefined && (await plugin.bind(cycle, node, signal))) return true;
    return false;
  }

  /** Tells of the failure, and lets the pod wait. Follows handleSchedulingFailure. */
  async function fail(queued: QueuedPod, by: Running, message: string, refusedBy: ReadonlySet<string>, signal: AbortSignal, nominatedNode?: string): Promise<void> {
    const { pod } = queued;
    by.handle.recorder.event(typed(pod), undefined, "Warning", "FailedScheduling", "Scheduling", message);
    if (nominatedNode !== undefined) nominator.set(podInfo(pod), nominatedNode);
    queue.requeue(queued, refusedBy);
    const current = pod.status.conditions?.find((c) => c.type === "PodScheduled");
    const nomination = nominatedNode === undefined || nominatedNode === (pod.status.nominatedNodeName ?? "") ? {} : { nominatedNodeName: nominatedNode === "" ? null : nominatedNode };
    if (current?.status === "False" && current.reason === "Unschedulable" && current.message === message && Object.keys(nomination).length === 0) return;
    const lastTransitionTime = current?.status === "False" ? current.lastTransitionTime : formatTime(clock.nowMs());
    const condition = { type: "PodScheduled", status: "False", lastProbeTime: null, lastTransitionTime, reason: "Unschedulable", message };
    try {
      await client.pods.patch(pod.metadata.namespace!, pod.metadata.name, "strategic", { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition], ...nomination } }, "status", signal);
    } catch (e) {
      if (!isNotFound(e) && !isConflict(e) && !signal.aborted) log.error("Error updating pod", { err: e });
    }
  }

  async function tryOne(queued: QueuedPod, by: Running, signal: AbortSignal): Promise<void> {
    const all = cache.nodes();
    if (all.length === 0) return fail(queued, by, "no nodes available to schedule pods", NO_PLUGIN, signal);
    const info = podInfo(queued.pod);
    const cycle: Cycle = { info, nodes: all, plugins: by.plugins, state: new Map(), skipped: new Set() };
    const chosen = await choose(cycle, by);
    if (!("refused" in chosen)) {
      try {
        for (const plugin of by.plugins) plugin.reserve?.(cycle, chosen);
      } catch (e) {
        for (const plugin of by.plugins) plugin.unreserve?.(cycle, chosen);
        return fail(queued, by, e instanceof Error ? e.message : String(e), NO_PLUGIN, signal);
      }
      // Assumed before it is bound, so that the next pod sees the room as taken; the binding goes on by itself.
      cache.assume(info, chosen.node.metadata.name);
      nominator.delete(info.pod.metadata.uid);
      void bind(queued, cycle, chosen, by, signal);
      return undefined;
    }
    let after: PostFilterResult | undefined;
    for (const plugin of by.plugins) {
      after = await plugin.postFilter?.(cycle, chosen.refused);
      if (after !== undefined) break;
    }
    const refusedBy = new Set([...chosen.refused.values(), chosen.all, chosen.absent].flatMap((rejection) => (rejection === undefined ? [] : [rejection.plugin])));
    return fail(queued, by, fitError(chosen, after?.message ?? ""), refusedBy, signal, after?.nominatedNode);
  }

  async function run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const queued = await queue.pop();
      if (queued === undefined) return;
      const by = profileOf(queued.pod);
      try {
        if (by === undefined) queue.delete(queued.pod.metadata.uid);
        else await tryOne(queued, by, signal);
      } catch (e) {
        // A plugin or an extender that throws: the pod is tried again, the others are not held up.
        log.error("Error selecting node for pod", { pod: queued.pod.metadata.name, err: e });
        await fail(queued, by!, e instanceof Error ? e.message : String(e), NO_PLUGIN, signal);
      }
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

/** What a permit, preBind or reserve says when it gives up for a reason that is no fault. */
export class SchedulingError extends Error {}

const NOBODY: readonly PodInfo[] = [];
const NO_EXTENDERS: readonly Extender[] = [];
const NO_PLUGIN: ReadonlySet<string> = new Set();

const typed = (pod: Pod): KubeObject => ({ ...pod, kind: "Pod", apiVersion: "v1" });

/** Changes that could make room or lift a refusal. Follows NodeSchedulingPropertiesChange. */
function nodeChanges(node: Node, old: Node): string[] {
  const changes: string[] = [];
  if (allocatableChanged(old, node)) changes.push("UpdateAllocatable");
  if (!deepEqual(node.metadata.labels, old.metadata.labels)) changes.push("UpdateLabel");
  if (node.spec.unschedulable !== old.spec.unschedulable) changes.push(UNSCHEDULABLE_CHANGED);
  if (!deepEqual(node.spec.taints, old.spec.taints)) changes.push("UpdateTaint");
  return changes;
}

/** `3 Insufficient cpu, 1 node(s) …`: how often each reason was given, sorted as text. */
function tally(reasons: ReadonlyMap<string, number>): string {
  return [...reasons].map(([reason, count]) => `${count} ${reason}`).sort().join(", ");
}

/** Follows FitError.Error; `after` is what a postFilter said. */
export function fitError({ refused, all, absent, nodes }: Failure, after: string): string {
  const head = `0/${nodes} nodes are available:`;
  const tail = after === "" ? "" : ` ${after}`;
  if (all !== undefined) return `${head} ${all.reasons.join(", ")}.${tail}`;
  const counts = new Map<string, number>();
  const count = ({ reasons }: Rejection, times: number): void => {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + times);
  };
  for (const rejection of refused.values()) count(rejection, 1);
  if (absent !== undefined && refused.size < nodes) count(absent, nodes - refused.size);
  return `${head}${counts.size === 0 ? "" : ` ${tally(counts)}.`}${tail}`;
}
