/** What a PodDisruptionBudget allows. Pure. Follows pkg/controller/disruption/disruption.go. */
import type { Condition, LabelSelector, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from "../../api/types.generated.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import { isPodReady } from "../controller-context.ts";
import { isTerminating } from "../controller-utils.ts";

/** An evicted pod counts as gone for so long, also while it is still there (DeletionTimeout). */
export const DELETION_TIMEOUT_MS = 2 * 60_000;

export interface Disrupted {
  pods: Record<string, string>;
  /** When the first of them is due to be looked at again, in milliseconds since the epoch. */
  recheckMs: number | undefined;
  /** Pods that were evicted and are still there. */
  overdue: Pod[];
}

/** Follows buildDisruptedPodMap. */
export function disruptedPods(pdb: PodDisruptionBudget, pods: readonly Pod[], nowMs: number): Disrupted {
  const out: Disrupted = { pods: {}, recheckMs: undefined, overdue: [] };
  const known = pdb.status.disruptedPods ?? {};
  for (const pod of pods) {
    const time = known[pod.metadata.name];
    if (time === undefined || isTerminating(pod)) continue;
    const expected = (parseTime(time) ?? 0) + DELETION_TIMEOUT_MS;
    if (expected < nowMs) {
      out.overdue.push(pod);
      continue;
    }
    out.recheckMs = Math.min(out.recheckMs ?? Infinity, expected);
    out.pods[pod.metadata.name] = time;
  }
  return out;
}

/** Follows countHealthyPods. */
export const healthyPods = (pods: readonly Pod[], disrupted: Readonly<Record<string, string>>): number =>
  pods.filter((pod) => !isTerminating(pod) && disrupted[pod.metadata.name] === undefined && isPodReady(pod)).length;

export interface Counts {
  currentHealthy: number;
  desiredHealthy: number;
  expectedPods: number;
}

/** The status for these counts; undefined when it is the present one. Follows updatePdbStatus. */
export function budgetStatus(pdb: PodDisruptionBudget, counts: Counts, disrupted: Record<string, string>, nowMs: number): PodDisruptionBudgetStatus | undefined {
  const { status, metadata: { generation } } = pdb;
  const disruptionsAllowed = counts.expectedPods <= 0 ? 0 : Math.max(0, counts.currentHealthy - counts.desiredHealthy);
  const next: PodDisruptionBudgetStatus = {
    ...counts, disruptionsAllowed, observedGeneration: generation,
    ...(Object.keys(disrupted).length === 0 ? {} : { disruptedPods: disrupted }),
    conditions: withDisruptionAllowed(status.conditions ?? [], disruptionsAllowed > 0, disruptionsAllowed > 0 ? "SufficientPods" : "InsufficientPods", "", generation, nowMs),
  };
  const { disruptedPods: was = {}, ...rest } = status;
  const { disruptedPods: now = {}, ...others } = next;
  return deepEqual(was, now) && deepEqual(rest, others) ? undefined : next;
}

/** No disruption while the controller does not know. Follows failSafe. */
export const failSafeStatus = ({ status }: PodDisruptionBudget, message: string, nowMs: number): PodDisruptionBudgetStatus =>
  ({ ...status, disruptionsAllowed: 0, conditions: withDisruptionAllowed(status.conditions ?? [], false, "SyncFailed", message, status.observedGeneration, nowMs) });

/** Follows meta.SetStatusCondition. */
function withDisruptionAllowed(conditions: readonly Condition[], allowed: boolean, reason: string, message: string, observedGeneration: number | undefined, nowMs: number): Condition[] {
  const status = allowed ? "True" : "False";
  const was = conditions.find(({ type }) => type === "DisruptionAllowed");
  const lastTransitionTime = was?.status === status ? was.lastTransitionTime : formatTime(nowMs);
  const next: Condition = { type: "DisruptionAllowed", status, reason, message, lastTransitionTime, ...(observedGeneration === undefined ? {} : { observedGeneration }) };
  return was === undefined ? [...conditions, next] : conditions.map((c) => (c === was ? next : c));
}

/** A selector as Go's %v prints it. */
export function goSelector(selector: LabelSelector | undefined): string {
  if (selector === undefined) return "nil";
  const labels = Object.keys(selector.matchLabels ?? {}).sort().map((key) => `${key}: ${selector.matchLabels![key]},`).join("");
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values }) => `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${(values ?? []).join(" ")}],},`).join("");
  return `&LabelSelector{MatchLabels:map[string]string{${labels}},MatchExpressions:[]LabelSelectorRequirement{${expressions}},}`;
}
