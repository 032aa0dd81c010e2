/**
 * DefaultPreemption: when no node has room, less important pods are evicted from one that then has.
 * Follows pkg/scheduler/framework/preemption/preemption.go and plugins/defaultpreemption/default_preemption.go.
 */
import type { Pod, PodDisruptionBudget } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import { place, priorityOf, take } from "../framework.ts";
import type { Cycle, NodeInfo, Plugin, PodInfo, PostFilterResult, Rejection } from "../framework.ts";
import { fitError } from "../scheduler.ts";
import type { Handle } from "../scheduler.ts";

export interface PreemptionArgs {
  /** Of the nodes that could help, how many are tried: at least this share, and at least so many. */
  readonly minCandidateNodesPercentage?: number;
  readonly minCandidateNodesAbsolute?: number;
}

const NAME = "DefaultPreemption";
const NO_VICTIMS: Rejection = { reasons: ["No preemption victims found for incoming pod"], unresolvable: true, plugin: NAME };
const NOT_HELPFUL: Rejection = { reasons: ["Preemption is not helpful for scheduling"], unresolvable: true, plugin: NAME };

interface Candidate {
  readonly node: NodeInfo;
  /** The most important first. */
  readonly victims: readonly PodInfo[];
  readonly violations: number;
}

export function defaultPreemption(handle: Handle, args: PreemptionArgs = {}): Plugin {
  const { informers, cache, client, clock, log, nominator, queue, recorder, random } = handle;
  const { minCandidateNodesPercentage: share = 10, minCandidateNodesAbsolute: least = 100 } = args;
  const budgets = informers.informer("podDisruptionBudgets");
  const offsets = random.fork("preemption");

  /** Follows PodEligibleToPreemptOthers: not while the room it was promised is being made. */
  const notEligible = (pod: Pod, refused: ReadonlyMap<NodeInfo, Rejection>): string | undefined => {
    if (pod.spec.preemptionPolicy === "Never") return "not eligible due to preemptionPolicy=Never.";
    const node = cache.node(pod.status.nominatedNodeName ?? "");
    if (node === undefined || refused.get(node)?.unresolvable === true) return undefined;
    for (const { pod: other } of node.pods.values()) {
      const terminating = other.metadata.deletionTimestamp !== undefined && other.status.conditions?.some(({ type, status, reason }) =>
        type === "DisruptionTarget" && status === "True" && reason === "PreemptionByScheduler");
      if (terminating === true && priorityOf(other) < priorityOf(pod)) return "not eligible due to a terminating pod on the nominated node.";
    }
    return undefined;
  };

  /** Who has to go from the node, or why that does not help. Follows SelectVictimsOnNode. */
  const victimsOn = (cycle: Cycle, node: NodeInfo): Candidate | Rejection => {
    const priority = priorityOf(cycle.info.pod);
    const lower = [...node.pods.values()].filter(({ pod }) => priorityOf(pod) < priority);
    if (lower.length === 0) return NO_VICTIMS;
    for (const pod of lower) take(cycle, pod, node);
    const gone = new Set(lower);
    const victims: PodInfo[] = [];
    let violations = 0;
    const rejection = handle.fits(cycle, node);
    if (rejection === undefined) {
      lower.sort(byImportance);
      const [violating, others] = splitByBudgets(lower, budgets.list());
      // As many as possible stay, those protected by a budget first.
      const reprieve = (pod: PodInfo): boolean => {
        place(cycle, pod, node);
        gone.delete(pod);
        if (handle.fits(cycle, node) === undefined) return true;
        take(cycle, pod, node);
        gone.add(pod);
        victims.push(pod);
        return false;
      };
      for (const pod of violating) if (!reprieve(pod)) violations++;
      for (const pod of others) reprieve(pod);
      victims.sort(byImportance);
    }
    for (const pod of gone) place(cycle, pod, node);
    return rejection ?? { node, victims, violations };
  };

  const candidates = (cycle: Cycle, refused: ReadonlyMap<NodeInfo, Rejection>): { found: Candidate[]; why: Map<NodeInfo, Rejection> } => {
    const potential = [...refused].flatMap(([node, { unresolvable }]) => (unresolvable ? [] : [node]));
    const why = new Map<NodeInfo, Rejection>();
    const found: Candidate[] = [];
    if (potential.length === 0) return { found, why };
    const enough = Math.min(potential.length, Math.max(least, Math.floor((potential.length * share) / 100)));
    const offset = offsets.below(potential.length);
    // Candidates that break no budget are what is looked for: with none of them, all are tried.
    let clean = 0;
    for (let i = 0; i < potential.length && (found.length < enough || clean === 0); i++) {
      const node = potential[(offset + i) % potential.length]!;
      const result = victimsOn(cycle, node);
      if ("reasons" in result) why.set(node, result);
      else {
        found.push(result);
        if (result.violations === 0) clean++;
      }
    }
    return { found, why };
  };

  /** Evicts the victims. Follows prepareCandidate. */
  const prepare = async ({ node, victims }: Candidate, pod: Pod): Promise<void> => {
    const target = node.node.metadata.name;
    await Promise.all(victims.map(async ({ pod: victim }) => {
      const { namespace = "", name, uid } = victim.metadata;
      const message = `${pod.spec.schedulerName}: preempting to accommodate a higher priority pod`;
      const condition = { type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler", message, lastTransitionTime: formatTime(clock.nowMs()) };
      try {
        await client.pods.patch(namespace, name, "strategic", { metadata: { uid }, status: { conditions: [condition] } }, "status");
        await client.pods.delete(namespace, name, { preconditions: { uid } });
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
      recorder.event(asPod(victim), asPod(pod), "Normal", "Preempted", "Preempting", `Preempted by pod ${pod.metadata.uid} on node ${target}`);
    }));
    // Less important pods that were promised room there have to look again.
    for (const { pod: lower } of nominator.on(target)) {
      if (priorityOf(lower) >= priorityOf(pod)) continue;
      nominator.delete(lower.metadata.uid);
      await client.pods.patch(lower.metadata.namespace!, lower.metadata.name, "merge", { status: { nominatedNodeName: null } }, "status");
      queue.update(lower);
    }
  };

  return {
    name: NAME,
    events: [],
    async postFilter(cycle, refused): Promise<PostFilterResult> {
      const { pod } = cycle.info;
      const told = (message: string): string => `preemption: ${message}`;
      const reason = notEligible(pod, refused);
      if (reason !== undefined) return { message: told(reason) };
      const { found, why } = candidates(cycle, refused);
      const best = pick(found);
      if (best === undefined) {
        return { nominatedNode: "", message: told(fitError({ refused: why, nodes: cycle.nodes.length, absent: NOT_HELPFUL }, "")) };
      }
      try {
        await prepare(best, pod);
      } catch (e) {
        log.error("Preemption failed", { pod: pod.metadata.name, err: e });
        return { message: told(e instanceof Error ? e.message : String(e)) };
      }
      return { nominatedNode: best.node.node.metadata.name, message: "" };
    },
  };
}

const asPod = (pod: Pod): KubeObject => ({ ...pod, kind: "Pod", apiVersion: "v1" });

const startOf = ({ pod }: PodInfo): string => pod.status.startTime ?? "9999";

/** The more important first: by priority, then who has run longer. Follows util.MoreImportantPod. */
function byImportance(a: PodInfo, b: PodInfo): number {
  const [x, y] = [priorityOf(a.pod), priorityOf(b.pod)];
  if (x !== y) return y - x;
  return startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0;
}

/** Those whose eviction would break a budget, and the others. Follows filterPodsWithPDBViolation. */
function splitByBudgets(pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]): [PodInfo[], PodInfo[]] {
  const split: [PodInfo[], PodInfo[]] = [[], []];
  if (budgets.length === 0) return [split[0], [...pods]];
  const selectors = budgets.map(({ spec: { selector } }) => labelSelector(selector));
  const allowed = budgets.map(({ status: { disruptionsAllowed = 0 } }) => disruptionsAllowed);
  for (const info of pods) {
    const { metadata: { namespace, name, labels } } = info.pod;
    let violates = false;
    // A pod without labels is nobody's.
    if (labels !== undefined) {
      budgets.forEach(({ metadata, status: { disruptedPods = {} } }, i) => {
        const selector = selectors[i]!;
        if (metadata.namespace !== namespace || selector.requirements.length === 0 || !matches(selector, labels) || disruptedPods[name] !== undefined) return;
        allowed[i]!--;
        if (allowed[i]! < 0) violates = true;
      });
    }
    split[violates ? 0 : 1].push(info);
  }
  return split;
}

/** The candidate that hurts least. Follows pickOneNodeForPreemption, criterion by criterion. */
function pick(candidates: readonly Candidate[]): Candidate | undefined {
  const criteria: readonly ((candidate: Candidate) => number | string)[] = [
    ({ violations }) => violations,
    ({ victims }) => (victims.length === 0 ? -Infinity : priorityOf(victims[0]!.pod)),
    ({ victims }) => victims.reduce((sum, { pod }) => sum + priorityOf(pod) + 2 ** 31, 0),
    ({ victims }) => victims.length,
  ];
  let left = [...candidates];
  for (const of of criteria) {
    if (left.length < 2) return left[0];
    const values = left.map(of);
    const min = values.reduce((a, b) => (b < a ? b : a));
    left = left.filter((_, i) => values[i] === min);
  }
  // Last, where the most important victims have started latest.
  const earliest = ({ victims }: Candidate): string => victims.filter(({ pod }) => priorityOf(pod) === priorityOf(victims[0]!.pod)).map(startOf).reduce((a, b) => (b < a ? b : a), "9999");
  return left.reduce<Candidate | undefined>((best, one) => (best === undefined || earliest(one) > earliest(best) ? one : best), undefined);
}
