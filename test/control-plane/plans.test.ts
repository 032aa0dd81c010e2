/** The pure halves of the controllers and the scheduler, as tables. */
import { describe, expect, test } from "vitest";
import type { Deployment, Node, Pod, ReplicaSet, Service } from "../../src/api/types.generated.ts";
import { fenceposts, planCleanup, planNew, planOld, planScale, rolloutStatus, sameTemplate } from "../../src/kube-controller-manager/deployment/plan.ts";
import { podsToDelete, replicaSetStatus } from "../../src/kube-controller-manager/replicaset/plan.ts";
import { planSlices } from "../../src/kube-controller-manager/endpointslice/plan.ts";
import { planTaints } from "../../src/kube-controller-manager/nodelifecycle/index.ts";
import { createCidrSet } from "../../src/kube-controller-manager/nodeipam/index.ts";
import { fitError } from "../../src/kube-scheduler/scheduler.ts";
import { addPod, newNodeInfo, podInfo } from "../../src/kube-scheduler/framework.ts";
import { nodeResourcesBalancedAllocation, nodeResourcesFit } from "../../src/kube-scheduler/plugins/resources.ts";
import { taintToleration, nodeAffinity } from "../../src/kube-scheduler/plugins/node.ts";
import { logarithm } from "../../src/kube-scheduler/plugins/topology-spread.ts";
import { createIPAllocator } from "../../src/kube-apiserver/registry/allocators.ts";
import { parseManifests } from "../../src/api/manifest.ts";
import type { ManifestError } from "../../src/api/manifest.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";
import { testRandom } from "./test-clock.ts";

const deployment = (replicas: number, maxSurge: number | string, maxUnavailable: number | string): Deployment =>
  ({ metadata: { name: "d" }, spec: { replicas, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } } }, status: {} }) as unknown as Deployment;
let serial = 0;
const rs = (replicas: number, available = replicas, extra: Record<string, unknown> = {}): ReplicaSet => {
  const name = `rs-${serial++}`;
  return { metadata: { name, uid: name, creationTimestamp: `2026-01-01T00:00:${String(serial % 60).padStart(2, "0")}Z`, ...extra }, spec: { replicas }, status: { availableReplicas: available, replicas } } as unknown as ReplicaSet;
};

describe("deployment", () => {
  // deployment_util.go ResolveFenceposts: surge rounds up, unavailability down, and never both are zero.
  test.each([
    [3, "25%", "25%", 1, 0], [10, "25%", "25%", 3, 2], [1, 0, 0, 0, 1], [1, 0, "10%", 0, 1], [4, "50%", 0, 2, 0], [0, "25%", "25%", 0, 1],
  ])("%i replicas with surge %s and unavailable %s", (replicas, surge, unavailable, maxSurge, maxUnavailable) => {
    expect(fenceposts(deployment(replicas, surge, unavailable))).toEqual({ maxSurge, maxUnavailable });
  });

  // rolling.go reconcileNewReplicaSet: replicas, surge, old, new -> new.
  test.each([[10, 0, 10, 0, undefined], [10, 2, 10, 0, 2], [10, 2, 5, 0, 7], [10, 2, 10, 2, undefined], [10, 2, 2, 11, 10]])(
    "%i replicas, surge %i, %i old and %i new: %o new", (replicas, surge, old, current, expected) => {
      const [oldRS, newRS] = [rs(old), rs(current)];
      expect(planNew(deployment(replicas, surge, 0), [oldRS, newRS], newRS)?.replicas).toBe(expected);
    });

  // rolling.go reconcileOldReplicaSets: replicas, unavailable, old, new, ready old, ready new -> old.
  test.each([[10, 0, 10, 0, 10, 0, 9], [10, 2, 10, 0, 10, 0, 8], [10, 2, 10, 0, 8, 0, 8], [10, 2, 10, 0, 9, 0, 8], [10, 2, 10, 0, 7, 0, 8]])(
    "%i replicas, unavailable %i: %i old (%i new)", (replicas, unavailable, old, current, readyOld, readyNew, expected) => {
      const [oldRS, newRS] = [rs(old, readyOld), rs(current, readyNew)];
      const d = deployment(replicas, 0, unavailable);
      expect(planOld(d, [oldRS], newRS).map((s) => s.replicas)).toEqual([expected]);
    });

  test("new pods that are not available yet keep old ones alive", () => {
    expect(planOld(deployment(10, 2, 2), [rs(8, 6)], rs(4, 0))).toEqual([]);
    expect(planOld(deployment(10, 2, 2), [rs(8)], rs(4, 4)).map((s) => s.replicas)).toEqual([4]);
  });

  test("a change of size is shared out in proportion", () => {
    // sync.go scale: 10 -> 20 with two sets of 5.
    const annotated = (n: number, max: number): ReplicaSet => rs(n, n, { annotations: { "deployment.kubernetes.io/max-replicas": String(max), "deployment.kubernetes.io/desired-replicas": String(max) } });
    const plan = planScale(deployment(20, 0, 0), annotated(5, 10), [annotated(5, 10)]);
    expect(plan.map((s) => s.replicas)).toEqual([10, 10]);
    expect(planScale(deployment(5, 0, 0), rs(3), [])).toMatchObject([{ replicas: 5 }]);
    expect(planScale(deployment(0, 0, 0), annotated(5, 10), [annotated(5, 10)]).map((s) => s.replicas)).toEqual([0, 0]);
  });

  test("the oldest revisions beyond the limit go", () => {
    const old = [3, 1, 2].map((revision) => rs(0, 0, { annotations: { "deployment.kubernetes.io/revision": String(revision) }, generation: 1 }));
    for (const set of old) set.status = { replicas: 0, observedGeneration: 1 };
    const d = { ...deployment(1, 1, 0), spec: { ...deployment(1, 1, 0).spec, revisionHistoryLimit: 1 } } as Deployment;
    expect(planCleanup(d, old).map((set) => set.metadata.annotations!["deployment.kubernetes.io/revision"])).toEqual(["1", "2"]);
  });

  test("templates are equal but for the hash", () => {
    const template = (labels: Record<string, string>) => ({ metadata: { labels }, spec: { containers: [] } }) as unknown as Deployment["spec"]["template"];
    expect(sameTemplate(template({ a: "1", "pod-template-hash": "x" }), template({ a: "1" }))).toBe(true);
    expect(sameTemplate(template({ a: "2" }), template({ a: "1" }))).toBe(false);
  });

  test("without progress the deadline is exceeded", () => {
    const d = deployment(1, 1, 0);
    d.spec.progressDeadlineSeconds = 10;
    d.status = { conditions: [{ type: "Progressing", status: "True", reason: "ReplicaSetUpdated", lastUpdateTime: "2026-01-01T00:00:00Z", lastTransitionTime: "2026-01-01T00:00:00Z", message: "" }] };
    const set = rs(1, 0);
    const progressing = (seconds: number) => rolloutStatus(d, [set], set, Date.UTC(2026, 0, 1, 0, 0, seconds)).conditions!.find((c) => c.type === "Progressing")!;
    d.status.replicas = 1;
    d.status.updatedReplicas = 1;
    expect([progressing(9).reason, progressing(11).reason, progressing(11).status]).toEqual(["ReplicaSetUpdated", "ProgressDeadlineExceeded", "False"]);
  });
});

const NOW = Date.UTC(2026, 0, 2);
const pod = (name: string, { node, phase = "Running", ready = true, created = "2026-01-01T00:00:00Z", ...more }: Record<string, unknown> = {}): Pod => ({
  metadata: { name, namespace: "default", uid: name, creationTimestamp: created, labels: { app: "web" }, ...(more["meta"] as object) },
  spec: { containers: [{ name: "c", ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }], resources: more["resources"] ?? {} }], ...(node === undefined ? {} : { nodeName: node }), ...(more["spec"] as object) },
  status: { phase, ...(more["ip"] === undefined ? {} : { podIP: more["ip"] }), conditions: [{ type: "Ready", status: ready === true ? "True" : "False", lastTransitionTime: "2026-01-01T00:00:10Z" }] },
}) as unknown as Pod;

describe("replicaset", () => {
  test.each([
    ["unassigned", pod("a"), pod("b", { node: "n" }), "a"],
    ["pending", pod("a", { node: "n" }), pod("b", { node: "n", phase: "Pending" }), "b"],
    ["not ready", pod("a", { node: "n" }), pod("b", { node: "n", ready: false }), "b"],
    ["cheaper", pod("a", { node: "n" }), pod("b", { node: "n", meta: { annotations: { "controller.kubernetes.io/pod-deletion-cost": "-5" } } }), "b"],
    ["younger", pod("a", { node: "n" }), pod("b", { node: "n", created: "2026-01-01T23:59:00Z" }), "b"],
  ])("the %s pod goes first", (_, a, b, expected) => {
    for (const order of [[a, b], [b, a]]) expect(podsToDelete(order, order, 1, NOW).map((p) => p.metadata.name)).toEqual([expected]);
  });

  test("pods that share a node go first", () => {
    const list = [pod("a", { node: "n1" }), pod("b", { node: "n2" }), pod("c", { node: "n2" })];
    expect(podsToDelete(list, list, 1, NOW)[0]!.spec.nodeName).toBe("n2");
  });

  test("the status counts labels, readiness and availability", () => {
    const set = { metadata: { generation: 2 }, spec: { replicas: 3, minReadySeconds: 5, template: { metadata: { labels: { app: "web" } } } }, status: {} } as unknown as ReplicaSet;
    const at = Date.UTC(2026, 0, 1, 0, 0, 12);
    expect(replicaSetStatus(set, [pod("a"), pod("b", { ready: false })], undefined, at)).toEqual({ replicas: 2, fullyLabeledReplicas: 2, readyReplicas: 1, observedGeneration: 2 });
    expect(replicaSetStatus(set, [pod("a")], undefined, at + 4000).availableReplicas).toBe(1);
    expect(replicaSetStatus(set, [], { reason: "FailedCreate", message: "no" }, at).conditions).toMatchObject([{ type: "ReplicaFailure", status: "True", reason: "FailedCreate" }]);
  });
});

describe("endpointslice", () => {
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "default", uid: "s", labels: { l: "1" } }, spec: { selector: { app: "web" }, ports: [{ name: "h", port: 80, targetPort: "http", protocol: "TCP" }] } } as unknown as Service & KubeObject;
  const node = (): Node => ({ metadata: { labels: { "topology.kubernetes.io/zone": "z1" } } }) as unknown as Node;

  test("ready, unready and terminating pods", () => {
    const plan = planSlices(service, [pod("a", { node: "n", ip: "10.0.0.1" }), pod("b", { node: "n", ip: "10.0.0.2", ready: false }), pod("c", { node: "n", ip: "10.0.0.3", meta: { deletionTimestamp: "2026-01-01T00:00:00Z" } }), pod("d", { node: "n" }), pod("e", { ip: "10.0.0.9", phase: "Failed" })], [], node);
    expect(plan.create).toHaveLength(1);
    expect(plan.create[0]!.endpoints!.map((e) => [e!.addresses![0], e!.conditions, e!.zone, e!.targetRef?.name])).toEqual([
      ["10.0.0.1", { ready: true, serving: true, terminating: false }, "z1", "a"],
      ["10.0.0.2", { ready: false, serving: false, terminating: false }, "z1", "b"],
      ["10.0.0.3", { ready: false, serving: true, terminating: true }, "z1", "c"],
    ]);
    expect(plan.create[0]!.ports).toEqual([{ name: "h", protocol: "TCP", port: 8080 }]);
    expect(plan.create[0]!.metadata!.labels).toEqual({ l: "1", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" });
  });

  test("at most 100 endpoints a slice; what is right already stays", () => {
    const pods = Array.from({ length: 250 }, (_, i) => pod(`p${i}`, { node: "n", ip: `10.0.${i >> 8}.${i & 255}` }));
    const { create } = planSlices(service, pods, [], node);
    expect(create.map((s) => s.endpoints!.length)).toEqual([100, 100, 50]);
    const slices = create.map((s, i) => ({ ...s, metadata: { ...s.metadata, name: `s${i}` } })) as never[];
    expect(planSlices(service, pods, slices, node)).toEqual({ create: [], update: [], delete: [] });
    const next = planSlices(service, pods.slice(1), slices, node);
    expect([next.create.length, next.update.map((s) => s.metadata.name), next.delete.length]).toEqual([0, ["s0"], 0]);
  });

  test("a service without pods has one empty slice", () => {
    expect(planSlices(service, [], [], node).create).toMatchObject([{ endpoints: [], ports: [] }]);
  });

  test("fills the empty slice anew instead of putting one beside it", () => {
    const [placeholder] = planSlices(service, [], [], node).create;
    const slice = { ...placeholder, metadata: { ...placeholder?.metadata, name: "web-abcde", uid: "u1" } } as never;
    const plan = planSlices(service, [pod("a", { node: "n", ip: "10.0.0.1" })], [slice], node);
    expect(plan.create).toEqual([]);
    expect(plan.delete).toEqual([]);
    expect(plan.update).toMatchObject([{ metadata: { name: "web-abcde", uid: "u1" }, endpoints: [{ addresses: ["10.0.0.1"] }] }]);
  });
});

describe("nodes", () => {
  test("taints follow conditions", () => {
    const node = (taints: unknown, conditions?: unknown, unschedulable?: boolean): Node => ({ spec: { taints, unschedulable }, status: { conditions } }) as unknown as Node;
    const notReady = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };
    const other = { key: "x", effect: "NoSchedule" };
    expect(planTaints(node([notReady]), "t")).toEqual([notReady]);
    expect(planTaints(node([notReady, other], [{ type: "Ready", status: "True" }]), "t")).toEqual([other]);
    expect(planTaints(node(undefined, [{ type: "Ready", status: "False" }, { type: "DiskPressure", status: "True" }], true), "t").map((t) => t.key)).toEqual(["node.kubernetes.io/not-ready", "node.kubernetes.io/disk-pressure", "node.kubernetes.io/unschedulable"]);
  });

  test("pod ranges follow one another", () => {
    const set = createCidrSet("10.244.0.0/22", 24);
    set.occupy("10.244.1.0/24");
    expect([1, 2, 3, 4].map(() => set.allocateNext())).toEqual(["10.244.0.0/24", "10.244.2.0/24", "10.244.3.0/24", undefined]);
    set.release("10.244.2.0/24");
    expect(set.allocateNext()).toBe("10.244.2.0/24");
    expect(() => createCidrSet("10.244.0.0/24", 16)).toThrow("invalid cluster CIDR");
  });

  test("service addresses: static ones by number, dynamic ones above the static band", () => {
    const ips = createIPAllocator("10.96.0.0/24", testRandom());
    ips.allocate("10.96.0.1");
    expect(() => ips.allocate("10.96.0.1")).toThrow("provided IP is already allocated");
    expect(() => ips.allocate("10.97.0.1")).toThrow("the provided IP (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/24");
    const got = new Set<string>();
    for (let i = 0; i < 238; i++) got.add(ips.allocateNext());
    expect([...got].every((ip) => Number(ip.split(".")[3]) > 16)).toBe(true);
    for (let i = 0; i < 15; i++) got.add(ips.allocateNext());
    expect(got.size).toBe(253);
    expect(() => ips.allocateNext()).toThrow("range is full");
  });
});

describe("scheduler", () => {
  const node = (allocatable: Record<string, string>, taints?: unknown, labels: Record<string, string> = {}): ReturnType<typeof newNodeInfo> =>
    newNodeInfo({ metadata: { name: "n", labels }, spec: { taints }, status: { allocatable } } as unknown as Node);
  const cycle = (p: Pod) => ({ info: podInfo(p), nodes: [], plugins: [], state: new Map(), skipped: new Set<never>() });

  test("requests that do not fit are named", () => {
    const n = node({ cpu: "2", memory: "1Gi", pods: "1" });
    const wants = (requests: Record<string, string>): Pod => pod("p", { resources: { requests } });
    expect(nodeResourcesFit.filter!(cycle(wants({ cpu: "2", memory: "1Gi" })), n)).toBeUndefined();
    expect(nodeResourcesFit.filter!(cycle(wants({ cpu: "2001m", memory: "2Gi", "example.com/gpu": "1" })), n)!.reasons).toEqual(["Insufficient cpu", "Insufficient memory", "Insufficient example.com/gpu"]);
    addPod(n, podInfo(wants({ cpu: "1" })));
    expect(nodeResourcesFit.filter!(cycle(wants({ cpu: "1500m" })), n)!.reasons).toEqual(["Too many pods", "Insufficient cpu"]);
  });

  test("scores: least allocated and balanced", () => {
    // least_allocated.go: 4000m of which 3000m, 10000 of which 5000 -> (25 + 50) / 2.
    const n = node({ cpu: "4", memory: "10000", pods: "10" });
    const p = pod("p", { resources: { requests: { cpu: "3", memory: "5000" } } });
    expect(nodeResourcesFit.score!(cycle(p), n)).toBe(37);
    // balanced_allocation.go: fractions 0.75 and 0.5 -> 100 * (1 - 0.125).
    expect(nodeResourcesBalancedAllocation.score!(cycle(p), n)).toBe(87);
  });

  test("taints and affinity", () => {
    const tainted = node({}, [{ key: "dedicated", value: "db", effect: "NoSchedule" }], { disk: "ssd" });
    expect(taintToleration.filter!(cycle(pod("p")), tainted)).toEqual({ reasons: ["node(s) had untolerated taint {dedicated: db}"], unresolvable: true, plugin: "TaintToleration" });
    expect(taintToleration.filter!(cycle(pod("p", { spec: { tolerations: [{ key: "dedicated", operator: "Equal", value: "db" }] } })), tainted)).toBeUndefined();
    const affine = (p: Pod) => {
      const asked = cycle(p);
      nodeAffinity.preFilter!(asked);
      return nodeAffinity.filter!(asked, tainted);
    };
    expect(affine(pod("p", { spec: { nodeSelector: { disk: "hdd" } } }))?.reasons).toEqual(["node(s) didn't match Pod's node affinity/selector"]);
    const required = (operator: string, values: string[]) => pod("p", { spec: { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator, values }] }] } } } } });
    expect(affine(required("In", ["ssd"]))).toBeUndefined();
    expect(affine(required("NotIn", ["ssd"]))).toBeDefined();
  });

  test("the failure message, as recorded", () => {
    const taint = { reasons: ["node(s) had untolerated taint {dedicated: db}"], unresolvable: true, plugin: "TaintToleration" };
    const lacks = { reasons: ["Insufficient cpu", "Insufficient memory"], unresolvable: false, plugin: "NodeResourcesFit" };
    const refused = new Map([lacks, taint, lacks].map((rejection) => [node({}), rejection]));
    const after = "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.";
    expect(fitError({ refused, nodes: 3 }, after)).toBe(`0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: db}, 2 Insufficient cpu, 2 Insufficient memory. ${after}`);
    const absent = { reasons: ["node(s) didn't satisfy plugin(s) [NodeAffinity]"], unresolvable: true, plugin: "NodeAffinity" };
    expect(fitError({ refused: new Map([[node({}), lacks]]), absent, nodes: 3 }, "")).toBe("0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].");
    expect(fitError({ refused: new Map(), all: { reasons: ["pod has unbound immediate PersistentVolumeClaims"], unresolvable: true, plugin: "VolumeBinding" }, nodes: 1 }, ""))
      .toBe("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
  });

  test("the logarithm", () => {
    for (const x of [1, 2, 3, 5, 10, 1000, 15002]) expect(Math.abs(logarithm(x) - Math.log(x))).toBeLessThan(1e-12);
  });
});

describe("manifests", () => {
  const fails = (text: string): ManifestError => {
    try {
      parseManifests(text, "m.yaml");
    } catch (e) {
      return e as ManifestError;
    }
    throw new Error("accepted");
  };

  test("documents, lists and lines", () => {
    const text = "# first\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n";
    expect(parseManifests(text, "m.yaml").map((m) => [m.resource.kind, m.object.metadata.name, m.line])).toEqual([["Namespace", "shop", 2], ["ConfigMap", "c", 8]]);
  });

  test("what is wrong is said with file and line", () => {
    expect(fails("a: 1\nb: [1,\nc: }\n")).toMatchObject({ file: "m.yaml", line: 3 });
    expect(fails("a: 1\nb: [1,\nc: }\n").message).toMatch(/^error parsing m\.yaml: error converting YAML to JSON: yaml: line 3: /);
    expect(fails("x: 1\n").message).toContain("[apiVersion not set, kind not set]");
    expect(fails("apiVersion: v1\nkind: Foo\nmetadata: {name: a}\n").message).toContain('no matches for kind "Foo" in version "v1"');
    const unknown = fails("---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {foo: 1, template: {spec: {containers: [{name: c, imag: x}]}}}\n");
    expect(unknown.message).toContain('strict decoding error: unknown field "spec.foo", unknown field "spec.template.spec.containers[0].imag"');
    expect(unknown.line).toBe(2);
    expect(fails("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: two}\n").message).toContain("json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
  });
});
