/** The kubelet's pure parts in tables: the phase, what to do next, readiness, why there is no log, patches of statuses. */
import { expect, test } from "vitest";
import type { ContainerStatus, Pod, PodStatus } from "../../src/api/types.generated.ts";
import type { ContainerStatus as Run } from "../../src/cri/types.ts";
import { podActions } from "../../src/kubelet/complete/actions.ts";
import { ownConditions } from "../../src/kubelet/complete/conditions.ts";
import { loggedContainer } from "../../src/kubelet/complete/logs.ts";
import { podPhase } from "../../src/kubelet/complete/pod-status.ts";
import { qosClass } from "../../src/kubelet/complete/qos.ts";
import { statusPatch } from "../../src/kubelet/complete/status-manager.ts";

/** R running, W waiting, B waiting after it ran (back-off), S succeeded, F failed. */
const statusOf = (letter: string, name: string, started = true): ContainerStatus => {
  const end = (exitCode: number) => ({ terminated: { exitCode, containerID: `containerd://${name}-old` } });
  const [state, lastState] = letter === "R" ? [{ running: {} }, {}] : letter === "W" ? [{ waiting: { reason: "ContainerCreating" } }, {}]
    : letter === "B" ? [{ waiting: { reason: "CrashLoopBackOff" } }, end(1)] : [end(letter === "S" ? 0 : 1), {}];
  return { name, state, lastState, ready: letter === "R" && started, started: letter === "R" && started, restartCount: 0, image: "", imageID: "", containerID: `containerd://${name}` };
};
const statuses = (letters: string): ContainerStatus[] => [...letters].map((letter, i) => statusOf(letter, `c${i}`));
const podOf = (containers: number, restartPolicy: string, inits: readonly ("init" | "sidecar")[] = []): Pod => ({
  metadata: { name: "p", uid: "u" }, status: {},
  spec: {
    restartPolicy, containers: Array.from({ length: containers }, (_, i) => ({ name: `c${i}`, image: "i" })),
    initContainers: inits.map((kind, i) => ({ name: `i${i}`, image: "i", ...(kind === "sidecar" ? { restartPolicy: "Always" } : {}) })),
  },
}) as unknown as Pod;

test.each([
  // policy, containers, terminal, phase
  ["Always", "RR", false, "Running"], ["Always", "RW", false, "Pending"], ["Always", "RB", false, "Running"], ["Always", "SS", false, "Running"], ["Always", "BB", false, "Running"],
  ["OnFailure", "RS", false, "Running"], ["OnFailure", "SS", false, "Succeeded"], ["OnFailure", "SF", false, "Running"], ["OnFailure", "BS", false, "Running"],
  ["Never", "SS", false, "Succeeded"], ["Never", "SF", false, "Failed"], ["Never", "RF", false, "Running"], ["Never", "WF", false, "Pending"],
  ["Always", "SS", true, "Succeeded"], ["Always", "SF", true, "Failed"], ["OnFailure", "SF", true, "Failed"], ["Always", "RF", true, "Running"],
])("phase with %s of %s, terminal %s: %s", (policy, letters, terminal, phase) => {
  expect(podPhase(podOf(letters.length, policy), statuses(letters), [], terminal)).toBe(phase);
});

test.each([
  // inits, their states, policy, containers, phase
  [["init"], "R", "Always", "W", "Pending"], [["init"], "S", "Always", "R", "Running"], [["init"], "F", "Never", "W", "Failed"], [["init"], "F", "OnFailure", "W", "Pending"], [["init"], "B", "Never", "W", "Failed"],
  [["sidecar"], "R", "Always", "R", "Running"], [["sidecar"], "W", "Always", "W", "Pending"], [["sidecar"], "F", "Never", "S", "Succeeded"], [["sidecar"], "R", "Never", "S", "Running"], [["sidecar", "init"], "RR", "Always", "W", "Pending"],
] as const)("phase with init containers %j %s under %s, then %s: %s", (kinds, inits, policy, letters, phase) => {
  const initStatuses = [...inits].map((letter, i) => statusOf(letter, `i${i}`));
  expect(podPhase(podOf(letters.length, policy, kinds), statuses(letters), initStatuses, false)).toBe(phase);
});

const run = (name: string, letter: string): Run =>
  ({ id: name, name, state: letter === "R" ? "CONTAINER_RUNNING" : "CONTAINER_EXITED", exitCode: letter === "F" ? 1 : 0, attempt: 0 }) as unknown as Run;

test.each([
  // policy, inits, init runs, containers' runs (- none), expected: init to start / to start / kill pod
  ["Always", [], "", "--", "/c0,c1/"], ["Always", [], "", "RR", "//"], ["Always", [], "", "RF", "/c1/"], ["Always", [], "", "RS", "/c1/"],
  ["OnFailure", [], "", "SF", "/c1/"], ["OnFailure", [], "", "SS", "//kill"], ["Never", [], "", "FF", "//kill"], ["Never", [], "", "RF", "//"],
  ["Always", ["init"], "-", "-", "i0//"], ["Always", ["init"], "R", "-", "//"], ["Always", ["init"], "F", "-", "i0//"], ["Never", ["init"], "F", "-", "//kill"], ["Never", ["init"], "S", "-", "/c0/"],
  ["Always", ["init", "init"], "S-", "-", "i1//"], ["Always", ["sidecar", "init"], "--", "-", "i0//"], ["Always", ["sidecar", "init"], "R-", "-", "i1//"], ["Always", ["sidecar"], "F", "R", "i0//"],
  ["Never", ["sidecar"], "F", "R", "i0//"], ["Never", ["sidecar"], "R", "S", "//kill"], ["Never", ["sidecar"], "F", "S", "//kill"],
] as const)("%s, %j %s, containers %s: %s", (policy, kinds, inits, letters, expected) => {
  const runs = new Map<string, Run[]>();
  [...inits].forEach((letter, i) => { if (letter !== "-") runs.set(`i${i}`, [run(`i${i}`, letter)]); });
  [...letters].forEach((letter, i) => { if (letter !== "-") runs.set(`c${i}`, [run(`c${i}`, letter)]); });
  const { initToStart, toStart, killPod } = podActions({ pod: podOf(letters.length, policy, kinds), runs, changed: () => false, started: () => true, failedProbe: () => undefined });
  expect(`${initToStart.join()}/${toStart.join()}/${killPod ? "kill" : ""}`).toBe(expected);
});

test("a container that changed, or whose probe fails, is killed and started anew; with Never only what changed", () => {
  const facts = (restartPolicy: string, changed: boolean, probe: "LivenessProbe" | undefined) => {
    const { toKill, toStart } = podActions({ pod: podOf(1, restartPolicy), runs: new Map([["c0", [run("c0", "R")]]]), changed: () => changed, started: () => true, failedProbe: () => probe });
    return [toKill.map(({ message }) => message), toStart];
  };
  expect(facts("Always", true, undefined)).toEqual([["Container c0 definition changed, will be restarted"], ["c0"]]);
  expect(facts("Never", true, undefined)).toEqual([["Container c0 definition changed, will be restarted"], ["c0"]]);
  expect(facts("Always", false, "LivenessProbe")).toEqual([["Container c0 failed liveness probe, will be restarted"], ["c0"]]);
  expect(facts("Never", false, "LivenessProbe")).toEqual([["Container c0 failed liveness probe"], []]);
});

test.each([
  ["R", "Running", [], "True", ""], ["W", "Pending", [], "False", "ContainersNotReady: containers with unready status: [c0]"], ["S", "Succeeded", [], "False", "PodCompleted: "], ["F", "Failed", [], "False", "PodFailed: "],
  ["R", "Running", [{ type: "g", status: "False" }], "False", 'ReadinessGatesNotReady: the status of pod readiness gate "g" is not "True", but False'],
  ["R", "Running", [{ type: "g", status: "True" }], "True", ""],
] as const)("Ready of a container %s in phase %s with gates %j: %s %s", (letter, phase, foreign, status, text) => {
  const pod = { ...podOf(1, "Always"), spec: { ...podOf(1, "Always").spec, readinessGates: foreign.map(({ type }) => ({ conditionType: type })) } } as Pod;
  const ready = ownConditions({ pod, phase, initStatuses: [], statuses: statuses(letter), sandboxReady: true, foreign }).find(({ type }) => type === "Ready")!;
  expect([ready.status, ready.reason === undefined ? "" : `${ready.reason}: ${ready.message ?? ""}`]).toEqual([status, text]);
});

const logsOf = (containerStatus: Partial<ContainerStatus>, previous = false): unknown =>
  loggedContainer({ containerStatuses: [{ ...statusOf("R", "c"), containerID: "", state: {}, ...containerStatus } as ContainerStatus] }, { pod: "p", container: "c", previous });

test("whose log it is, or why there is none", () => {
  const terminated = { exitCode: 1, containerID: "containerd://old" };
  expect(logsOf({ state: { running: {} }, containerID: "containerd://now" })).toEqual({ id: "now" });
  expect(logsOf({ state: { terminated } })).toEqual({ id: "old" });
  expect(logsOf({ state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: { terminated } })).toEqual({ id: "old" });
  expect(logsOf({ state: { running: {} }, lastState: { terminated } }, true)).toEqual({ id: "old" });
  expect(logsOf({ state: { running: {} } }, true)).toEqual({ error: 'previous terminated container "c" in pod "p" not found' });
  expect(logsOf({ state: { waiting: { reason: "ContainerCreating" } } })).toEqual({ error: 'container "c" in pod "p" is waiting to start: ContainerCreating' });
  expect(logsOf({ state: { waiting: { reason: "ErrImagePull" } } })).toEqual({ error: 'container "c" in pod "p" is waiting to start: image can\'t be pulled' });
  expect(logsOf({ state: { waiting: { reason: "ImagePullBackOff" } } })).toEqual({ error: 'container "c" in pod "p" is waiting to start: trying and failing to pull image' });
  expect(logsOf({ state: { waiting: {} } })).toEqual({ error: 'container "c" in pod "p" is waiting to start - no logs yet' });
  expect(loggedContainer({}, { pod: "p", container: "x", previous: false })).toEqual({ error: 'container "x" in pod "p" is not available' });
});

test("a status is patched by what changed: conditions of others stay, addresses and what is gone are replaced", () => {
  const ready = { type: "Ready", status: "True", lastTransitionTime: "t1" };
  const former: PodStatus = { phase: "Running", reason: "Old", podIPs: [{ ip: "1.1.1.1" }], conditions: [{ type: "theirs", status: "True" }, { ...ready, status: "False", reason: "Because", lastTransitionTime: "t0" }] };
  const now: PodStatus = { phase: "Running", podIPs: [{ ip: "2.2.2.2" }], conditions: [{ type: "theirs", status: "True" }, ready] };
  expect(statusPatch(former, now, false)).toEqual({
    reason: null, podIPs: [{ ip: "2.2.2.2" }, { $patch: "replace" }], conditions: [{ ...ready, reason: null }], "$setElementOrder/conditions": [{ type: "theirs" }, { type: "Ready" }],
  });
  expect(statusPatch(now, now, false)).toBeUndefined();
});

test.each([
  [[{}], "BestEffort"], [[{ requests: { cpu: "1" } }], "Burstable"], [[{ limits: { cpu: "1", memory: "1Gi" } }], "Guaranteed"],
  [[{ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Gi" } }, {}], "Burstable"], [[{ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } }], "Burstable"],
])("QoS of %j: %s", (resources, qos) => {
  const pod = podOf(resources.length, "Always");
  expect(qosClass({ ...pod, spec: { ...pod.spec, containers: pod.spec.containers.map((container, i) => ({ ...container, resources: resources[i]! })) } } as Pod)).toBe(qos);
});
