/** EndpointSlices in full: packing, families, hints, trigger times, and those that mirror Endpoints. */
import { expect, test } from "vitest";
import { cpuShares, distribute } from "../../src/kube-controller-manager/endpointslice/hints.ts";
import { planGroup, reconcileType, type Slice } from "../../src/kube-controller-manager/endpointslice/reconciler.ts";
import { createTriggerTimeTracker } from "../../src/kube-controller-manager/endpointslice/trigger-time.ts";
import { planMirror } from "../../src/kube-controller-manager/endpointslicemirroring/index.ts";
import { startCluster } from "../control-plane/cluster.ts";
import type { Endpoint, Endpoints, Node, Pod, Service } from "../../src/api/types.generated.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";

const maker = { controller: "endpointslice-controller.k8s.io", endpointsMax: 100 };
const service = (spec: object = {}, metadata: object = {}): Service & KubeObject =>
  ({ apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "n", uid: "svc", ...metadata }, spec: { selector: { a: "b" }, ports: [{ name: "http", port: 80, protocol: "TCP" }], ipFamilies: ["IPv4"], ...spec } }) as unknown as Service & KubeObject;
const pod = (i: number, extra: object = {}, spec: object = {}): Pod & KubeObject => ({
  metadata: { name: `p${i}`, namespace: "n", uid: `u${i}` }, spec: { nodeName: "n1", containers: [{ name: "c" }], ...spec },
  status: { phase: "Running", podIP: `10.0.${i >> 8}.${i & 255}`, podIPs: [{ ip: `10.0.${i >> 8}.${i & 255}` }, { ip: `fd00::${i.toString(16)}` }], conditions: [{ type: "Ready", status: "True" }] }, ...extra,
}) as unknown as Pod & KubeObject;
const node = (name: string, zone?: string, cpu = "4"): Node =>
  ({ metadata: { name, labels: zone === undefined ? {} : { "topology.kubernetes.io/zone": zone } }, status: { allocatable: { cpu }, conditions: [{ type: "Ready", status: "True" }] } }) as unknown as Node;
const nodeOf = (): Node => node("n1", "z1");
const stored = (slices: readonly unknown[]): Slice[] => (slices as Slice[]).map((slice, i) => ({ ...slice, metadata: { ...slice.metadata, name: `web-${i}`, uid: `s${i}` } }));

test("250 pods fill three slices; one more goes where there is room; one that goes leaves the others alone", () => {
  const pods = Array.from({ length: 250 }, (_, i) => pod(i));
  const first = reconcileType(service(), pods, [], "IPv4", nodeOf, maker);
  expect(first.create.map(({ endpoints }) => endpoints.length)).toEqual([100, 100, 50]);
  const slices = stored(first.create);
  const more = reconcileType(service(), [...pods, pod(250)], slices, "IPv4", nodeOf, maker);
  expect([more.create.length, more.update.map(({ endpoints }) => endpoints!.length), more.delete.length]).toEqual([0, [51], 0]);
  const less = reconcileType(service(), pods.slice(1), slices, "IPv4", nodeOf, maker);
  expect([less.create.length, less.update.map(({ metadata }) => metadata.name), less.unchanged.length]).toEqual([0, ["web-0"], 2]);
});

test("a slice that is written anyway takes the new ones before another one is made", () => {
  const endpoint = (i: number): Endpoint => ({ addresses: [`10.0.0.${i}`], conditions: { ready: true } });
  const slice = (name: string, from: number, n: number): Slice => ({ metadata: { name, labels: {} }, endpoints: Array.from({ length: n }, (_, i) => endpoint(from + i)) }) as unknown as Slice;
  const wanted = new Map([...Array.from({ length: 9 }, (_, i) => i + 1), 50, 51].map((i) => [JSON.stringify([[`10.0.0.${i}`], "", "", ""]), endpoint(i)]));
  const plan = planGroup([slice("a", 0, 10), slice("b", 50, 1)], { ports: [], endpoints: wanted }, {}, () => { throw new Error("none is needed"); }, 10);
  expect([plan.update.map(({ metadata, endpoints }) => [metadata.name, endpoints!.length]), plan.unchanged.map(({ metadata }) => metadata.name)]).toEqual([[["a", 10]], ["b"]]);
});

test.each<[string, object, Pod & KubeObject, unknown]>([
  ["ready", {}, pod(1), { ready: true, serving: true, terminating: false }],
  ["terminating", {}, { ...pod(1), metadata: { ...pod(1).metadata, deletionTimestamp: "x" } }, { ready: false, serving: true, terminating: true }],
  ["not ready", {}, pod(1, { status: { ...pod(1).status, conditions: [] } }), { ready: false, serving: false, terminating: false }],
  ["published all the same", { publishNotReadyAddresses: true }, pod(1, { status: { ...pod(1).status, conditions: [] } }), { ready: true, serving: false, terminating: false }],
])("conditions: %s", (_name, spec, one, conditions) => {
  const [slice] = reconcileType(service(spec), [one], [], "IPv4", nodeOf, maker).create;
  expect(slice!.endpoints[0]!.conditions).toEqual(conditions);
});

test("named ports split slices, families have their own, a headless Service is told, a pod that ended is none", () => {
  const spec = { clusterIP: "None", ports: [{ name: "http", port: 80, targetPort: "web", protocol: "TCP" }], ipFamilies: ["IPv6"] };
  const named = (i: number, containerPort: number): Pod & KubeObject => pod(i, {}, { hostname: "h", subdomain: "web", containers: [{ name: "c", ports: [{ name: "web", containerPort }] }] });
  const plan = reconcileType(service(spec, { labels: { x: "y" } }), [named(1, 8080), named(2, 9090), pod(3, { status: { ...pod(3).status, phase: "Succeeded" } })], [], "IPv6", nodeOf, maker);
  expect(plan.create.map(({ ports, endpoints, addressType }) => [ports[0]!.port, endpoints.map((e) => [e.addresses, e.hostname, e.zone]), addressType])).toEqual([
    [8080, [[["fd00::1"], "h", "z1"]], "IPv6"], [9090, [[["fd00::2"], "h", "z1"]], "IPv6"],
  ]);
  expect(plan.create[0]!.metadata.labels).toEqual({ x: "y", "service.kubernetes.io/headless": "", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" });
});

test("a pod of an unknown node waits for it", () => {
  expect(reconcileType(service(), [pod(1)], [], "IPv4", () => undefined, maker).skipped).toEqual(["skipping Pod p1 for Service n/web: Node n1 Not Found"]);
});

test("hints: a zone with half of the CPUs gets half of the endpoints", () => {
  const nodes = [node("a", "z1"), node("b", "z2")];
  expect(cpuShares(nodes)).toEqual(new Map([["z1", 0.5], ["z2", 0.5]]));
  expect(cpuShares([node("a", "z1")])).toBe("Nodes only ready in one zone");
  expect(cpuShares([node("a", "z1"), node("b")])).toBe("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes");
  const endpoints = Array.from({ length: 6 }, (_, i): Endpoint => ({ addresses: [String(i)], conditions: { ready: true }, zone: i < 5 ? "z1" : "z2" }));
  const zones = [...(distribute(endpoints, nodes) as Map<Endpoint, string>).values()];
  expect(zones.filter((zone) => zone === "z1").length).toBe(3);
  expect(distribute(endpoints.slice(0, 1), nodes)).toBe("Insufficient number of endpoints");
});

test("trigger times: the Service's at first, then the earliest change", () => {
  const tracker = createTriggerTimeTracker();
  const at = (i: number, lastTransitionTime: string): Pod => pod(i, { status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime }] } });
  const one = service({}, { creationTimestamp: "2030-01-01T00:00:00Z" });
  expect(tracker.compute("k", one, [at(1, "2030-01-01T00:00:05Z")])).toBe("2030-01-01T00:00:00Z");
  expect(tracker.compute("k", one, [at(1, "2030-01-01T00:00:05Z")])).toBeUndefined();
  expect(tracker.compute("k", one, [at(1, "2030-01-01T00:00:09Z"), at(2, "2030-01-01T00:00:08Z")])).toBe("2030-01-01T00:00:08Z");
});

test("mirrors: families apart, at most a thousand of a subset, kept slices stay", () => {
  const endpoints = { metadata: { name: "ext", namespace: "n", uid: "e", labels: { a: "b" } }, subsets: [{ addresses: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }], notReadyAddresses: [{ ip: "192.0.2.2" }], ports: [{ port: 80 }] }] } as unknown as Endpoints & KubeObject;
  const plan = planMirror(endpoints, []);
  expect(plan.create.map(({ addressType, endpoints: list, ports }) => [addressType, list.map((e) => [e.addresses![0], e.conditions!.ready]), ports])).toEqual([
    ["IPv4", [["192.0.2.1", true], ["192.0.2.2", false]], [{ name: "", port: 80, protocol: "TCP" }]], ["IPv6", [["2001:db8::1", true]], [{ name: "", port: 80, protocol: "TCP" }]],
  ]);
  const again = planMirror(endpoints, stored(plan.create));
  expect([again.create, again.update, again.delete]).toEqual([[], [], []]);
  const many = { ...endpoints, subsets: [{ addresses: Array.from({ length: 1005 }, (_, i) => ({ ip: `10.1.${i >> 8}.${i & 255}` })), ports: [{ port: 80 }] }] } as unknown as Endpoints & KubeObject;
  const large = planMirror(many, []);
  expect([large.create.length, large.skipped]).toEqual([10, 5]);
});

test("in a cluster: annotation, traffic distribution, mirrored Endpoints that come and go", async () => {
  const { clock, client, addNode, errors, stop } = await startCluster({ complete: true });
  await addNode("n1", { labels: { "topology.kubernetes.io/zone": "z1" } });
  await clock.advance(500);
  await client.services.create({ metadata: { name: "near", namespace: "default" }, spec: { selector: { app: "near" }, trafficDistribution: "PreferClose", ports: [{ port: 80 }] } });
  await client.pods.create({ metadata: { name: "p", namespace: "default", labels: { app: "near" } }, spec: { containers: [{ name: "c", image: "x" }] } });
  await client.services.create({ metadata: { name: "ext", namespace: "default" }, spec: { ports: [{ port: 80 }] } });
  await client.endpoints.create({ metadata: { name: "ext", namespace: "default" }, subsets: [{ addresses: [{ ip: "192.0.2.9" }], ports: [{ port: 80 }] }] });
  await clock.advance(2000);
  const of = async (name: string) => (await client.endpointSlices.list("default", { labelSelector: `kubernetes.io/service-name=${name}` })).items;
  const [near] = await of("near");
  expect(near!.endpoints![0]!.hints).toEqual({ forZones: [{ name: "z1" }] });
  expect(near!.metadata.annotations?.["endpoints.kubernetes.io/last-change-trigger-time"]).toMatch(/Z$/);
  const [ext] = await of("ext");
  expect([ext!.metadata.labels?.["endpointslice.kubernetes.io/managed-by"], ext!.endpoints![0]!.addresses]).toEqual(["endpointslicemirroring-controller.k8s.io", ["192.0.2.9"]]);
  await client.endpoints.patch("default", "ext", "merge", { subsets: [{ addresses: [{ ip: "192.0.2.8" }], ports: [{ port: 80 }] }] });
  await clock.advance(1000);
  const [after] = await of("ext");
  expect([after!.metadata.name, after!.endpoints![0]!.addresses]).toEqual([ext!.metadata.name, ["192.0.2.8"]]);
  await client.endpoints.delete("default", "ext");
  await clock.advance(1000);
  expect(await of("ext")).toEqual([]);
  stop();
  expect(errors).toEqual([]);
});
