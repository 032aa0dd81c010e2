/** The horizontal pod autoscaler: numbers of upstream's replica_calculator_test.go and horizontal_test.go. */
import { describe, expect, test } from "vitest";
import type { HorizontalPodAutoscalerBehavior, Pod } from "../../src/api/types.generated.ts";
import { newMemory, remember, stabilize, stabilizeWith, withinRate, withinRules } from "../../src/kube-controller-manager/podautoscaler/behavior.ts";
import type { PodMetrics } from "../../src/kube-controller-manager/podautoscaler/metrics.ts";
import { byShare, byTotal, byUsage, byUtilization } from "../../src/kube-controller-manager/podautoscaler/replicas.ts";

const NOW = Date.parse("2026-01-01T01:00:00Z");
type State = "ready" | "unready" | "pending" | "failed" | "starting";

const pod = (index: number, state: State, cpu = "1000m"): Pod => ({
  metadata: { name: `p-${index}` },
  spec: { containers: [{ name: "c", resources: { requests: { cpu } } }] },
  status: {
    phase: state === "pending" ? "Pending" : state === "failed" ? "Failed" : "Running", startTime: state === "starting" ? "2026-01-01T00:59:00Z" : "2026-01-01T00:00:00Z",
    conditions: [{ type: "Ready", status: state === "ready" ? "True" : "False", lastTransitionTime: state === "starting" ? "2026-01-01T00:59:30Z" : "2026-01-01T00:00:10Z" }],
  },
}) as unknown as Pod;
const pods = (states: readonly State[]): Pod[] => states.map((state, i) => pod(i, state));
const metrics = (levels: readonly number[]): PodMetrics => new Map(levels.map((milli, i) => [`p-${i}`, { milli, timestampMs: NOW, windowMs: 60_000 }]));

describe("by utilization", () => {
  // replica_calculator_test.go: levels, states, current, target percent -> replicas, utilization.
  test.each<[string, number[], State[], number, number, number, number]>([
    ["scales up", [300, 500, 700], ["ready", "ready", "ready"], 3, 30, 5, 50],
    ["leaves an unready one out", [300, 500, 700], ["starting", "ready", "ready"], 3, 30, 4, 60],
    ["stays when only a hot one is unready", [400, 500, 700], ["starting", "starting", "ready"], 3, 30, 3, 70],
    ["ignores failed pods", [500, 700], ["ready", "ready", "failed"], 2, 30, 4, 60],
    ["scales down", [100, 300, 500, 250, 250], ["ready", "ready", "ready", "ready", "ready"], 5, 50, 3, 28],
    ["is tolerant", [1010, 1030, 1020], ["ready", "ready", "ready"], 3, 100, 3, 102],
    ["takes missing pods as idle when it grows", [1000], ["ready", "ready"], 2, 24, 5, 100],
    ["takes missing pods as busy when it shrinks", [100, 100], ["ready", "ready", "ready"], 3, 50, 3, 10],
  ])("it %s", (_what, levels, states, current, target, replicas, utilization) => {
    expect(byUtilization(pods(states), metrics(levels), current, target, "cpu", undefined, NOW)).toMatchObject({ replicas, utilization });
  });
  test("needs requests, pods and metrics", () => {
    const bare = { ...pod(0, "ready"), spec: { containers: [{ name: "c" }] } } as unknown as Pod;
    expect(() => byUtilization([bare], metrics([100]), 1, 50, "cpu", undefined, NOW)).toThrow("missing request for cpu in container c of Pod p-0");
    expect(() => byUtilization([], metrics([100]), 1, 50, "cpu", undefined, NOW)).toThrow("no pods returned by selector while calculating replica count");
    expect(() => byUtilization(pods(["pending"]), metrics([100]), 1, 50, "cpu", undefined, NOW)).toThrow("did not receive metrics for targeted pods (pods might be unready)");
  });
});

test("by usage, in all and shared", () => {
  expect(byUsage(pods(["ready", "ready", "ready"]), metrics([20_000, 10_000, 30_000]), 3, 15_000, "", NOW)).toEqual({ replicas: 4, usage: 20_000 });
  expect(byTotal(pods(["ready", "ready", "ready"]), 3, 20_000, 15_000)).toEqual({ replicas: 4, usage: 20_000 });
  expect(byTotal([], 0, 2000, 1000)).toEqual({ replicas: 2, usage: 2000 });
  expect(byShare(3, 8600, 2150)).toEqual({ replicas: 4, usage: 2867 });
  expect(byShare(4, 8600, 2150)).toEqual({ replicas: 4, usage: 2150 });
});

describe("limits", () => {
  // horizontal_test.go TestConvertDesiredReplicasWithRules.
  test.each([
    [3, 2, 1, 10, 2, "DesiredWithinRange"], [5, 12, 1, 10, 10, "TooManyReplicas"], [5, 0, 1, 10, 1, "TooFewReplicas"], [3, 15, 1, 20, 6, "ScaleUpLimit"], [1, 9, 1, 20, 4, "ScaleUpLimit"],
  ])("%i, wanting %i of %i to %i: %i %s", (current, desired, min, max, replicas, reason) => {
    expect(withinRules({ current, min, max }, desired)).toMatchObject({ replicas, reason });
  });

  const policies = (type: string, value: number, periodSeconds = 60): HorizontalPodAutoscalerBehavior => ({ scaleUp: { policies: [{ type, value, periodSeconds }] }, scaleDown: { policies: [{ type, value, periodSeconds }] } });
  test.each([
    ["Pods", 2, 10, 20, 12, "ScaleUpLimit"], ["Percent", 50, 10, 20, 15, "ScaleUpLimit"], ["Percent", 1, 10, 20, 11, "ScaleUpLimit"], ["Pods", 2, 10, 1, 8, "ScaleDownLimit"], ["Percent", 50, 10, 1, 5, "ScaleDownLimit"],
    ["Percent", 5, 10, 1, 9, "ScaleDownLimit"], ["Pods", 200, 10, 60, 30, "TooManyReplicas"], ["Pods", 200, 10, 0, 1, "TooFewReplicas"], ["Pods", 200, 10, 12, 12, "DesiredWithinRange"],
  ])("%s %i from %i to %i: %i %s", (type, value, current, desired, replicas, reason) => {
    expect(withinRate(policies(type, value), newMemory(), { current, min: 1, max: 30 }, desired, NOW)).toMatchObject({ replicas, reason });
  });

  test("what was done within the period counts", () => {
    const behavior = policies("Pods", 3);
    const memory = newMemory();
    remember(behavior, memory, 10, 12, NOW);
    expect(withinRate(behavior, memory, { current: 12, min: 1, max: 30 }, 20, NOW + 30_000)).toMatchObject({ replicas: 13 });
    expect(withinRate(behavior, memory, { current: 12, min: 1, max: 30 }, 20, NOW + 60_000)).toMatchObject({ replicas: 15 });
  });

  test("the policy that changes most counts, or least, or none", () => {
    const both = [{ type: "Pods", value: 1, periodSeconds: 60 }, { type: "Percent", value: 100, periodSeconds: 60 }];
    const up = (selectPolicy: string): number => withinRate({ scaleUp: { selectPolicy, policies: both } }, newMemory(), { current: 10, min: 1, max: 99 }, 99, NOW).replicas;
    const down = (selectPolicy: string): number => withinRate({ scaleDown: { selectPolicy, policies: both } }, newMemory(), { current: 10, min: 1, max: 99 }, 0, NOW).replicas;
    expect([up("Max"), up("Min"), up("Disabled")]).toEqual([20, 11, 10]);
    expect([down("Max"), down("Min"), down("Disabled")]).toEqual([1, 9, 10]);
  });

  test("it shrinks to the most of the last five minutes", () => {
    const memory = newMemory();
    expect([stabilize(memory, 5, NOW), stabilize(memory, 3, NOW + 60_000), stabilize(memory, 4, NOW + 301_000), stabilize(memory, 2, NOW + 602_000)]).toEqual([5, 5, 4, 2]);
  });

  test("with windows of its own", () => {
    const memory = newMemory();
    const behavior = { scaleUp: { stabilizationWindowSeconds: 60 }, scaleDown: { stabilizationWindowSeconds: 0 } };
    expect(stabilizeWith(behavior, memory, 3, 3, NOW).replicas).toBe(3);
    expect(stabilizeWith(behavior, memory, 3, 8, NOW + 30_000)).toMatchObject({ replicas: 3, reason: "ScaleUpStabilized" });
    expect(stabilizeWith(behavior, memory, 3, 8, NOW + 70_000)).toMatchObject({ replicas: 8 });
    expect(stabilizeWith(behavior, memory, 8, 2, NOW + 80_000)).toMatchObject({ replicas: 2, reason: "ScaleDownStabilized" });
  });
});
