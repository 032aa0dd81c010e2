/** How many replicas a metric asks for. Pure. Follows pkg/controller/podautoscaler/replica_calculator.go. */
import type { Pod } from "../../api/types.generated.ts";
import { quantityMilliValue } from "../../apimachinery/quantity.ts";
import { parseTime } from "../../apimachinery/time.ts";
import { isPodReady, readyCondition } from "../controller-context.ts";
import { isTerminating } from "../controller-utils.ts";
import type { PodMetrics } from "./metrics.ts";

/** Defaults of --horizontal-pod-autoscaler-tolerance, -cpu-initialization-period and -initial-readiness-delay. */
const TOLERANCE = 0.1;
const CPU_INITIALIZATION_MS = 5 * 60_000;
const INITIAL_READINESS_MS = 30_000;

export interface Proposal {
  replicas: number;
  /** What was measured per pod (or in all, for values of objects), in thousandths. */
  usage: number;
  /** Percent of the requests. */
  utilization?: number;
}

export const withinTolerance = (ratio: number): boolean => Math.abs(1 - ratio) <= TOLERANCE;

interface Groups {
  ready: number;
  unready: Set<string>;
  missing: Set<string>;
}

/** Sorts the pods, and takes out of the metrics those that do not count. Follows groupPods. */
function groupPods(pods: readonly Pod[], metrics: PodMetrics, resource: string, nowMs: number): Groups {
  const out: Groups = { ready: 0, unready: new Set(), missing: new Set() };
  for (const pod of pods) {
    const { name } = pod.metadata;
    const metric = metrics.get(name);
    if (isTerminating(pod) || pod.status.phase === "Failed") metrics.delete(name);
    else if (pod.status.phase === "Pending") out.unready.add(name);
    else if (metric === undefined) out.missing.add(name);
    else if (resource === "cpu" && isWarmingUp(pod, metric.timestampMs, metric.windowMs, nowMs)) out.unready.add(name);
    else out.ready++;
  }
  for (const name of out.unready) metrics.delete(name);
  return out;
}

/** Whether the CPU of a pod says nothing yet. */
function isWarmingUp(pod: Pod, timestampMs: number, windowMs: number, nowMs: number): boolean {
  const condition = readyCondition(pod);
  const start = parseTime(pod.status.startTime ?? "");
  if (condition === undefined || start === undefined) return true;
  const changed = parseTime(condition.lastTransitionTime ?? "") ?? 0;
  if (start + CPU_INITIALIZATION_MS > nowMs) return condition.status === "False" || timestampMs < changed + windowMs;
  return condition.status === "False" && start + INITIAL_READINESS_MS > changed;
}

/** What all pods together request, by pod, in thousandths. Throws for a container without a request. Follows calculateRequests. */
function requestsOf(pods: readonly Pod[], resource: string, container: string | undefined): Map<string, number> {
  const out = new Map<string, number>();
  for (const { metadata: { name }, spec } of pods) {
    let sum = 0;
    for (const c of [...spec.containers, ...(spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always")]) {
      if (container !== undefined && container !== c.name) continue;
      const request = c.resources?.requests?.[resource];
      if (request === undefined) throw new Error(`missing request for ${resource} in container ${c.name} of Pod ${name}`);
      sum += quantityMilliValue(request);
    }
    out.set(name, sum);
  }
  return out;
}

interface Ratio {
  ratio: number;
  usage: number;
  utilization?: number;
}

/** Percent of the requests against the target. Follows GetResourceUtilizationRatio. */
function utilizationRatio(metrics: PodMetrics, requests: ReadonlyMap<string, number>, target: number): Ratio {
  let [used, requested, entries] = [0, 0, 0];
  for (const [name, { milli }] of metrics) {
    const request = requests.get(name);
    if (request === undefined) continue;
    used += milli;
    requested += request;
    entries++;
  }
  if (requested === 0) throw new Error("no metrics returned matched known pods");
  const utilization = Math.trunc((used * 100) / requested);
  return { ratio: utilization / target, utilization, usage: Math.trunc(used / entries) };
}

/** The average against the target, in thousandths. Follows GetMetricUsageRatio. */
function usageRatio(metrics: PodMetrics, target: number): Ratio {
  let used = 0;
  for (const { milli } of metrics.values()) used += milli;
  const usage = Math.trunc(used / metrics.size);
  return { ratio: usage / target, usage };
}

/** Follows GetResourceReplicas. `target` is a percentage. */
export function byUtilization(pods: readonly Pod[], metrics: PodMetrics, current: number, target: number, resource: string, container: string | undefined, nowMs: number): Proposal {
  let requests: Map<string, number> | undefined;
  const ratioOf = (m: PodMetrics): Ratio => utilizationRatio(m, (requests ??= requestsOf(pods, resource, container)), target);
  const fallback = (name: string): number => Math.trunc(((requests?.get(name) ?? 0) * Math.max(100, target)) / 100);
  return propose(pods, metrics, current, resource, nowMs, ratioOf, fallback, true);
}

/** Follows calcPlainMetricReplicas. `target` is in thousandths. */
export function byUsage(pods: readonly Pod[], metrics: PodMetrics, current: number, target: number, resource: string, nowMs: number): Proposal {
  return propose(pods, metrics, current, resource, nowMs, (m) => usageRatio(m, target), () => target, false);
}

function propose(pods: readonly Pod[], given: PodMetrics, current: number, resource: string, nowMs: number, ratioOf: (metrics: PodMetrics) => Ratio, fallback: (name: string) => number, strict: boolean): Proposal {
  if (pods.length === 0) throw new Error("no pods returned by selector while calculating replica count");
  const metrics: PodMetrics = new Map(given);
  const { ready, unready, missing } = groupPods(pods, metrics, resource, nowMs);
  if (metrics.size === 0) throw new Error("did not receive metrics for targeted pods (pods might be unready)");
  const { ratio, ...measured } = ratioOf(metrics);
  const result = (replicas: number): Proposal => ({ replicas, ...measured });
  const upWithUnready = unready.size > 0 && ratio > 1;
  if (!upWithUnready && missing.size === 0) return result(withinTolerance(ratio) ? current : Math.ceil(ratio * ready));
  // Of what is not known the more cautious is taken.
  const set = (name: string, milli: number): void => void metrics.set(name, { timestampMs: 0, windowMs: 0, milli });
  if (ratio < 1) for (const name of missing) set(name, fallback(name));
  else if (!strict || ratio > 1) for (const name of missing) set(name, 0);
  if (upWithUnready) for (const name of unready) set(name, 0);
  const again = ratioOf(metrics).ratio;
  if (withinTolerance(again) || (ratio < 1 && again > 1) || (ratio > 1 && again < 1)) return result(current);
  const replicas = Math.ceil(again * metrics.size);
  return result((again < 1 && replicas > current) || (again > 1 && replicas < current) ? current : replicas);
}

/** For one number for all pods. Follows getUsageRatioReplicaCount. */
export function byTotal(pods: readonly Pod[], current: number, usage: number, target: number): Proposal {
  const ratio = usage / target;
  if (current === 0) return { replicas: Math.ceil(ratio), usage };
  if (withinTolerance(ratio)) return { replicas: current, usage };
  if (pods.length === 0) throw new Error("unable to calculate ready pods: no pods returned by selector while calculating replica count");
  const ready = pods.filter((pod) => pod.status.phase === "Running" && isPodReady(pod)).length;
  return { replicas: Math.ceil(ratio * ready), usage };
}

/** For one number that the pods share. Follows GetObjectPerPodMetricReplicas. */
export function byShare(current: number, usage: number, target: number): Proposal {
  const ratio = usage / (target * current);
  return { replicas: withinTolerance(ratio) ? current : Math.ceil(usage / target), usage: Math.ceil(usage / current) };
}
