/** Jobs: counting, indexes, limits, policies, backoff. Values are upstream's (pkg/controller/job/*_test.go and its documentation). */
import { describe, expect, test } from "vitest";
import type { Job, Pod } from "../../src/api/types.generated.ts";
import { nextRecord, remainingMs } from "../../src/kube-controller-manager/job/backoff.ts";
import { generateNameOf, podsForRemoval } from "../../src/kube-controller-manager/job/indexes.ts";
import { Indexes } from "../../src/kube-controller-manager/job/intervals.ts";
import { matchFailurePolicy, matchSuccessPolicy } from "../../src/kube-controller-manager/job/policies.ts";
import { job, NAMESPACE, startWorkloads } from "./helpers.ts";
import type { Workloads } from "./helpers.ts";

describe("intervals of indexes", () => {
  test.each([
    ["", 10, "", 0], ["0", 10, "0", 1], ["0,1", 10, "0,1", 2], ["0-2", 10, "0-2", 3], ["0,1,2", 10, "0-2", 3], ["1,3-5,7", 5, "1,3,4", 3], ["8", 5, "", 0], ["x", 5, "", 0],
  ])("%o of %i is %o", (text, completions, canonical, total) => {
    const parsed = Indexes.parse(text, completions);
    expect([parsed.toString(), parsed.total]).toEqual([canonical, total]);
  });
  test("grow and merge", () => {
    expect(Indexes.parse("0,4-5", 10).with([1, 2, 8]).toString()).toBe("0-2,4,5,8");
    expect(Indexes.parse("0,4-5", 10).with([3]).toString()).toBe("0,3-5");
    expect(Indexes.parse("1,2,5", 8).missing(3, 8)).toEqual([0, 3, 4]);
    expect(Indexes.parse("0-6", 8).missing(3, 8)).toEqual([7]);
  });
});

describe("policies", () => {
  const failed = (exitCode: number, container = "main"): Pod => ({ metadata: { namespace: "ns", name: "p" }, spec: {}, status: { phase: "Failed", containerStatuses: [{ name: container, state: { terminated: { exitCode } } }] } }) as unknown as Pod;
  const rules = [
    { action: "FailJob", onExitCodes: { containerName: "main", operator: "In", values: [42] } },
    { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
    { action: "FailIndex", onExitCodes: { operator: "NotIn", values: [1, 2] } },
  ];
  test.each([
    [failed(42), { action: "FailJob", counts: true, message: "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 0" }],
    [failed(42, "other"), { action: "FailIndex", counts: true }],
    [failed(1), { counts: true }],
    [{ ...failed(1), status: { phase: "Failed", conditions: [{ type: "DisruptionTarget", status: "True" }] } } as unknown as Pod, { action: "Ignore", counts: false }],
  ])("of failures", (pod, expected) => {
    expect(matchFailurePolicy({ rules }, pod)).toEqual(expected);
  });
  test.each([
    [[{ succeededIndexes: "0-2" }], "0-1", undefined], [[{ succeededIndexes: "0-2" }], "0-2,7", "Matched rules at index 0"],
    [[{ succeededIndexes: "0-2", succeededCount: 1 }], "1", "Matched rules at index 0"], [[{ succeededIndexes: "9" }, { succeededCount: 2 }], "0,3", "Matched rules at index 1"],
    [[{ succeededCount: 2 }], "0", undefined],
  ])("of success: %j of %s", (list, done, expected) => {
    expect(matchSuccessPolicy({ rules: list }, 10, Indexes.parse(done, 10))).toBe(expected);
  });
});

test("the pause doubles from 10 s to 10 min, and a success ends it", () => {
  const at = (seconds: number): Pod => ({ metadata: { creationTimestamp: "2026-01-01T00:00:00Z" }, status: { containerStatuses: [{ state: { terminated: { finishedAt: `2026-01-01T00:00:${String(seconds).padStart(2, "0")}Z` } } }] } }) as unknown as Pod;
  const start = Date.parse("2026-01-01T00:00:00Z");
  const one = nextRecord(undefined, [], [at(1)]);
  expect(remainingMs(one, start + 1000)).toBe(10_000);
  const three = nextRecord(one, [], [at(2), at(3)]);
  expect(remainingMs(three, start + 3000)).toBe(40_000);
  expect(remainingMs({ failures: 30, lastFailureMs: start }, start)).toBe(600_000);
  expect(nextRecord(three, [at(5)], [at(4)])).toBeUndefined();
  expect(nextRecord(three, [at(5)], [at(4), at(6)])).toEqual({ failures: 1, lastFailureMs: start + 6000 });
});

test("names of indexed pods stay within a label", () => {
  expect(generateNameOf({ metadata: { name: "j" } } as Job, 3)).toBe("j-3-");
  expect(generateNameOf({ metadata: { name: "x".repeat(60) } } as Job, 12)).toBe(`${"x".repeat(54)}-12-`);
});

test("repeated indexes go, the readier pod stays", () => {
  const pod = (name: string, index: string, phase: string): Pod => ({ metadata: { name, annotations: { "batch.kubernetes.io/job-completion-index": index }, creationTimestamp: "2026-01-01T00:00:00Z" }, spec: { nodeName: "n" }, status: { phase } }) as unknown as Pod;
  const indexed = { spec: { completionMode: "Indexed", completions: 2 } } as Job;
  expect(podsForRemoval(indexed, [pod("a", "0", "Pending"), pod("b", "0", "Running"), pod("c", "1", "Running"), pod("d", "5", "Running")], 0).map((p) => p.metadata.name).sort()).toEqual(["a", "d"]);
});

async function status(w: Workloads): Promise<Job["status"]> {
  return (await w.client.jobs.get(NAMESPACE, "j")).status;
}

const conditions = (s: Job["status"]): string[] => (s.conditions ?? []).map((c) => `${c.type}=${c.status} ${c.reason}`);

describe("a Job", () => {
  test("retries failed pods with growing pauses until its limit", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({ backoffLimit: 2 }));
    const made: number[] = [];
    for (let failures = 0; failures < 3; failures++) {
      await w.clock.until(async () => (await w.pods()).some((p) => p.status.phase === "Running"), 120_000);
      made.push(w.clock.nowMs());
      await w.exit((await w.pods()).find((p) => p.status.phase === "Running")!.metadata.name, 1);
    }
    await w.clock.until(async () => conditions(await status(w)).includes("Failed=True BackoffLimitExceeded"), 60_000);
    expect((await status(w)).failed).toBe(3);
    expect(made[1]! - made[0]!).toBeGreaterThanOrEqual(10_000);
    expect(made[2]! - made[1]!).toBeGreaterThanOrEqual(20_000);
    expect((await w.pods()).every((p) => p.metadata.finalizers === undefined)).toBe(true);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("with a limit per index goes on with the other indexes", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({ completionMode: "Indexed", completions: 3, parallelism: 3, backoffLimitPerIndex: 1 }));
    const of = async (index: number): Promise<Pod | undefined> =>
      (await w.pods()).find((p) => p.metadata.annotations?.["batch.kubernetes.io/job-completion-index"] === String(index) && p.status.phase === "Running");
    for (const [index, code] of [[0, 0], [1, 1], [2, 0], [1, 1]] as const) {
      await w.clock.until(async () => (await of(index)) !== undefined, 120_000);
      const pod = (await of(index))!;
      expect(pod.spec.hostname).toBe(`j-${index}`);
      await w.exit(pod.metadata.name, code);
    }
    await w.clock.until(async () => conditions(await status(w)).includes("Failed=True FailedIndexes"), 60_000);
    expect(await status(w)).toMatchObject({ completedIndexes: "0,2", failedIndexes: "1", succeeded: 2, failed: 2 });
    const counts = (await w.pods()).filter((p) => p.metadata.annotations?.["batch.kubernetes.io/job-completion-index"] === "1").map((p) => p.metadata.annotations?.["batch.kubernetes.io/job-index-failure-count"]);
    expect(counts.sort()).toEqual(["0", "1"]);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("fails at once by its policy, and says which rule", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({ parallelism: 2, completions: 2, podFailurePolicy: { rules: [{ action: "FailJob", onExitCodes: { operator: "In", values: [42] } }] } }));
    await w.clock.until(async () => (await w.pods()).filter((p) => p.status.phase === "Running").length === 2);
    const [first] = await w.pods();
    await w.exit(first!.metadata.name, 42);
    await w.clock.until(async () => conditions(await status(w)).includes("FailureTarget=True PodFailurePolicy"));
    expect((await status(w)).conditions![0]!.message).toBe(`Container c for pod default/${first!.metadata.name} failed with exit code 42 matching FailJob rule at index 0`);
    await w.clock.until(async () => conditions(await status(w)).includes("Failed=True PodFailurePolicy"));
    expect((await w.pods()).filter((p) => p.status.phase === "Running")).toEqual([]);
    w.stop();
  });

  test("succeeds by its policy and stops the rest", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({ completionMode: "Indexed", completions: 3, parallelism: 3, successPolicy: { rules: [{ succeededIndexes: "1" }] } }));
    await w.clock.until(async () => (await w.pods()).filter((p) => p.status.phase === "Running").length === 3);
    await w.exit((await w.names()).find((n) => n.startsWith("j-1-"))!, 0);
    await w.clock.until(async () => conditions(await status(w)).includes("Complete=True SuccessPolicy"));
    expect(conditions(await status(w))).toEqual(["SuccessCriteriaMet=True SuccessPolicy", "Complete=True SuccessPolicy"]);
    expect(await status(w)).toMatchObject({ succeeded: 1, completedIndexes: "1" });
    w.stop();
  });

  test("that is suspended loses its pods, and starts anew", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({ parallelism: 2, completions: 2 }));
    await w.clock.until(async () => (await w.pods()).filter((p) => p.status.phase === "Running").length === 2);
    await w.client.jobs.patch(NAMESPACE, "j", "merge", { spec: { suspend: true } });
    await w.clock.until(async () => (await w.pods()).length === 0);
    expect(conditions(await status(w))).toEqual(["Suspended=True JobSuspended"]);
    expect((await status(w)).failed).toBeUndefined();
    await w.client.jobs.patch(NAMESPACE, "j", "merge", { spec: { suspend: false } });
    await w.clock.until(async () => (await w.pods()).filter((p) => p.status.phase === "Running").length === 2);
    expect(conditions(await status(w))).toEqual(["Suspended=False JobResumed"]);
    w.stop();
  });

  test("goes when its time to live is over", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({ ttlSecondsAfterFinished: 30 }));
    await w.clock.until(async () => (await w.pods()).some((p) => p.status.phase === "Running"));
    await w.exit((await w.names())[0]!, 0);
    await w.clock.advance(25_000);
    expect(conditions(await status(w))).toContain("Complete=True CompletionsReached");
    await w.clock.advance(20_000);
    expect((await w.client.jobs.list(NAMESPACE)).items).toEqual([]);
    expect(await w.names()).toEqual([]);
    w.stop();
  });

  test("counts a pod that was deleted as failed, and replaces it", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({}));
    await w.clock.until(async () => (await w.pods()).some((p) => p.status.phase === "Running"));
    const [name] = await w.names();
    await w.client.pods.delete(NAMESPACE, name!);
    await w.clock.advance(20_000);
    expect((await status(w)).failed).toBe(1);
    expect(await w.names()).not.toContain(name);
    expect((await w.pods()).length).toBe(1);
    w.stop();
  });

  test("of another controller is left alone", async () => {
    const w = await startWorkloads();
    await w.client.jobs.create(job({ managedBy: "example.com/mine" }));
    await w.clock.advance(10_000);
    expect(await w.pods()).toEqual([]);
    w.stop();
  });
});
