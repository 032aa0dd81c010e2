/** How fast an autoscaler may move: stabilisation and policies. Follows pkg/controller/podautoscaler/horizontal.go. */
import type { HorizontalPodAutoscalerBehavior, HPAScalingRules } from "../../api/types.generated.ts";

interface Timed {
  atMs: number;
  replicas: number;
}

/** What is remembered of one autoscaler. */
export interface Memory {
  recommendations: Timed[];
  ups: Timed[];
  downs: Timed[];
}

export interface Limits {
  current: number;
  min: number;
  max: number;
}

/** A number with the reason and message of the condition that tells of it. */
export interface Judged {
  replicas: number;
  reason: string;
  message: string;
}

/** Default of --horizontal-pod-autoscaler-downscale-stabilization. */
const DOWNSCALE_STABILIZATION_SECONDS = 300;
/** Without behavior it at most doubles, from four on (scaleUpLimitFactor, scaleUpLimitMinimum). */
const UP_FACTOR = 2;
const UP_MINIMUM = 4;

const WITHIN = { reason: "DesiredWithinRange", message: "the desired count is within the acceptable range" };
const TOO_FAST_UP = { reason: "ScaleUpLimit", message: "the desired replica count is increasing faster than the maximum scale rate" };
const TOO_FAST_DOWN = { reason: "ScaleDownLimit", message: "the desired replica count is decreasing faster than the maximum scale rate" };
const TOO_MANY = { reason: "TooManyReplicas", message: "the desired replica count is more than the maximum replica count" };
const TOO_FEW = { reason: "TooFewReplicas", message: "the desired replica count is less than the minimum replica count" };

export const newMemory = (): Memory => ({ recommendations: [], ups: [], downs: [] });

/** The highest recommendation of the last minutes. Follows stabilizeRecommendation. */
export function stabilize(memory: Memory, desired: number, nowMs: number): number {
  const since = nowMs - DOWNSCALE_STABILIZATION_SECONDS * 1000;
  const recent = memory.recommendations.filter(({ atMs }) => atMs >= since);
  memory.recommendations = [...recent, { atMs: nowMs, replicas: desired }];
  return recent.reduce((max, { replicas }) => Math.max(max, replicas), desired);
}

/** Follows convertDesiredReplicasWithRules. */
export function withinRules({ current, min, max }: Limits, desired: number): Judged {
  const upLimit = Math.trunc(Math.max(UP_FACTOR * current, UP_MINIMUM));
  if (desired < min) return { replicas: min, ...TOO_FEW };
  if (desired > Math.min(max, upLimit)) return max > upLimit ? { replicas: upLimit, ...TOO_FAST_UP } : { replicas: max, ...TOO_MANY };
  return { replicas: desired, ...WITHIN };
}

/** Follows stabilizeRecommendationWithBehaviors. */
export function stabilizeWith(behavior: HorizontalPodAutoscalerBehavior, memory: Memory, current: number, desired: number, nowMs: number): Judged {
  const upCutoff = nowMs - (behavior.scaleUp?.stabilizationWindowSeconds ?? 0) * 1000;
  const downCutoff = nowMs - (behavior.scaleDown?.stabilizationWindowSeconds ?? DOWNSCALE_STABILIZATION_SECONDS) * 1000;
  let [low, high] = [desired, desired];
  for (const { atMs, replicas } of memory.recommendations) {
    if (atMs > upCutoff) low = Math.min(low, replicas);
    if (atMs > downCutoff) high = Math.max(high, replicas);
  }
  const oldest = Math.min(upCutoff, downCutoff);
  memory.recommendations = [...memory.recommendations.filter(({ atMs }) => atMs >= oldest), { atMs: nowMs, replicas: desired }];
  const replicas = Math.min(Math.max(current, low), high);
  return desired >= current
    ? { replicas, reason: "ScaleUpStabilized", message: "recent recommendations were lower than current one, applying the lowest recent recommendation" }
    : { replicas, reason: "ScaleDownStabilized", message: "recent recommendations were higher than current one, applying the highest recent recommendation" };
}

/** Follows convertDesiredReplicasWithBehaviorRate. */
export function withinRate(behavior: HorizontalPodAutoscalerBehavior, memory: Memory, { current, min, max }: Limits, desired: number, nowMs: number): Judged {
  if (desired > current) {
    const limit = Math.max(current, rateLimit(behavior.scaleUp, true, memory, current, nowMs));
    if (desired > Math.min(max, limit)) return max > limit ? { replicas: limit, ...TOO_FAST_UP } : { replicas: max, ...TOO_MANY };
  } else if (desired < current) {
    const limit = Math.min(current, rateLimit(behavior.scaleDown, false, memory, current, nowMs));
    if (desired < Math.max(min, limit)) return min < limit ? { replicas: limit, ...TOO_FAST_DOWN } : { replicas: min, ...TOO_FEW };
  }
  return { replicas: desired, ...WITHIN };
}

/** The furthest that the policies let it go. Follows calculateScaleUpLimitWithScalingRules and calculateScaleDownLimitWithBehaviors. */
function rateLimit(rules: HPAScalingRules | undefined, up: boolean, { ups, downs }: Memory, current: number, nowMs: number): number {
  if (rules?.selectPolicy === "Disabled") return current;
  const proposals = (rules?.policies ?? []).map(({ type, value, periodSeconds }) => {
    const changed = (events: readonly Timed[]): number => events.filter(({ atMs }) => atMs > nowMs - periodSeconds * 1000).reduce((sum, { replicas }) => sum + replicas, 0);
    const start = current - changed(ups) + changed(downs);
    if (type === "Pods") return up ? start + value : start - value;
    // Rounded up, or a small number would never grow.
    return up ? Math.ceil(start * (1 + value / 100)) : Math.trunc(start * (1 - value / 100));
  });
  // The policy that changes most counts, unless the one that changes least is asked for.
  return up === (rules?.selectPolicy === "Min") ? Math.min(...proposals) : Math.max(...proposals);
}

/** Follows storeScaleEvent. */
export function remember(behavior: HorizontalPodAutoscalerBehavior | undefined, memory: Memory, from: number, to: number, nowMs: number): void {
  if (behavior === undefined || from === to) return;
  const rules = to > from ? behavior.scaleUp : behavior.scaleDown;
  const longest = Math.max(0, ...(rules?.policies ?? []).map(({ periodSeconds }) => periodSeconds)) * 1000;
  const kept = (events: readonly Timed[]): Timed[] => [...events.filter(({ atMs }) => atMs >= nowMs - longest), { atMs: nowMs, replicas: Math.abs(to - from) }];
  if (to > from) memory.ups = kept(memory.ups);
  else memory.downs = kept(memory.downs);
}
