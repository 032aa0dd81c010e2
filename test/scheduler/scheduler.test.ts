/** The whole scheduler against a whole control plane in virtual time: where pods go, and what they are told when they go nowhere. */
import { afterEach, describe, expect, test } from "vitest";
import type { Pod } from "../../src/api/types.generated.ts";
import type { Plugin } from "../../src/kube-scheduler/framework.ts";
import type { SchedulerSettings } from "../../src/kube-scheduler/complete/configuration.ts";
import { startCluster, type TestCluster } from "../control-plane/cluster.ts";
import { createCluster } from "../e2e/cluster.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const ZONE = "topology.kubernetes.io/zone";
const HOST = "kubernetes.io/hostname";

/** Nodes a1, a2 in zone a, b1 in zone b, with four processors each. */
async function cluster(settings: SchedulerSettings = {}): Promise<TestCluster> {
  const c = await startCluster({ complete: true, settings });
  stops.push(c.stop);
  for (const name of ["a1", "a2", "b1"]) await c.addNode(name, { cpu: "4", labels: { [ZONE]: name[0]! } });
  await c.clock.advance(2000);
  return c;
}

interface Wanted extends Record<string, unknown> {
  labels?: Record<string, string>;
  cpu?: string;
}

async function create(c: TestCluster, name: string, { labels = {}, cpu, ...spec }: Wanted = {}): Promise<void> {
  const requests = cpu === undefined ? {} : { resources: { requests: { cpu } } };
  await c.client.pods.create({ metadata: { name, namespace: "default", labels }, spec: { containers: [{ name: "c", image: "i", ...requests }], ...spec } as unknown as Pod["spec"] });
  await c.clock.advance(500);
}
const pod = (c: TestCluster, name: string): Promise<Pod> => c.client.pods.get("default", name);
const nodeOf = async (c: TestCluster, name: string): Promise<string | undefined> => (await pod(c, name)).spec.nodeName;
const told = async (c: TestCluster, name: string): Promise<string | undefined> => (await pod(c, name)).status.conditions?.find(({ type }) => type === "PodScheduled")?.message;

const near = (sort: "podAffinity" | "podAntiAffinity", app: string, topologyKey: string): Wanted => ({
  affinity: { [sort]: { requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: { matchLabels: { app } }, topologyKey }] } },
});

describe("inter-pod affinity", () => {
  test("pods that stay apart take a node each, and the next one is told so", async () => {
    const c = await cluster();
    const apart = { labels: { app: "x" }, ...near("podAntiAffinity", "x", HOST) };
    for (const name of ["p1", "p2", "p3", "p4"]) await create(c, name, apart);
    expect(new Set([await nodeOf(c, "p1"), await nodeOf(c, "p2"), await nodeOf(c, "p3")]).size).toBe(3);
    expect(await told(c, "p4")).toBe("0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.");
    // Whoever has no such rule is refused by those that have.
    await create(c, "other", { labels: { app: "x" } });
    expect(await told(c, "other")).toBe("0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.");
    await c.client.pods.delete("default", "p2", { gracePeriodSeconds: 0 });
    await c.clock.advance(15_000);
    expect([await nodeOf(c, "p4"), await nodeOf(c, "other")].filter((node) => node !== undefined)).toHaveLength(1);
  });

  test("the first of a group goes anywhere, the others to it; nobody goes to a group that is not there", async () => {
    const c = await cluster();
    const together = { labels: { app: "x" }, ...near("podAffinity", "x", ZONE) };
    await create(c, "p1", together);
    const zone = (await nodeOf(c, "p1"))![0];
    for (const name of ["p2", "p3", "p4"]) await create(c, name, together);
    for (const name of ["p2", "p3", "p4"]) expect((await nodeOf(c, name))![0]).toBe(zone);
    await create(c, "lonely", near("podAffinity", "nobody", ZONE));
    expect(await told(c, "lonely")).toBe("0/3 nodes are available: 3 node(s) didn't match pod affinity rules. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.");
    await create(c, "somebody", { labels: { app: "nobody" } });
    await c.clock.advance(15_000);
    expect((await nodeOf(c, "lonely"))![0]).toBe((await nodeOf(c, "somebody"))![0]);
  });
});

test("spreading that must hold: no zone has two more than another", async () => {
  const c = await cluster();
  const spread = { labels: { app: "x" }, topologySpreadConstraints: [{ maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: { app: "x" } } }] };
  for (let i = 0; i < 5; i++) await create(c, `p${i}`, spread);
  const zones = await Promise.all([0, 1, 2, 3, 4].map(async (i) => (await nodeOf(c, `p${i}`))![0]));
  for (let n = 1; n <= 5; n++) expect(Math.abs(zones.slice(0, n).filter((z) => z === "a").length - zones.slice(0, n).filter((z) => z === "b").length)).toBeLessThanOrEqual(1);
  await c.client.nodes.patch("", "b1", "merge", { spec: { unschedulable: true } });
  const fewer = zones.filter((z) => z === "a").length > 2 ? 1 : 2;
  for (let i = 0; i < fewer; i++) await create(c, `q${i}`, spread);
  expect(await told(c, `q${fewer - 1}`)).toBe("0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints. preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.");
});

describe("preemption", () => {
  const classes = async (c: TestCluster): Promise<void> => {
    for (const [name, value] of [["low", 1], ["high", 1000]] as const) await c.client.priorityClasses.create({ metadata: { name }, value });
    await c.client.priorityClasses.create({ metadata: { name: "polite" }, value: 500, preemptionPolicy: "Never" });
  };

  test("the less important make room, not those whose budget forbids it", async () => {
    const c = await cluster();
    await classes(c);
    for (const name of ["l1", "l2", "l3"]) await create(c, name, { labels: { app: name }, cpu: "3", priorityClassName: "low" });
    const homes = new Map(await Promise.all(["l1", "l2", "l3"].map(async (name) => [name, await nodeOf(c, name)] as const)));
    for (const name of ["l1", "l3"]) {
      await c.client.podDisruptionBudgets.create({ metadata: { name, namespace: "default" }, spec: { minAvailable: 1, selector: { matchLabels: { app: name } } } });
    }
    await c.clock.advance(2000);
    await create(c, "polite", { cpu: "2", priorityClassName: "polite" });
    expect(await told(c, "polite")).toBe("0/3 nodes are available: 3 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.");
    await create(c, "h", { cpu: "2", priorityClassName: "high" });
    await c.clock.advance(5000);
    expect(await nodeOf(c, "h")).toBe(homes.get("l2"));
    await expect(pod(c, "l2")).rejects.toMatchObject({ status: { reason: "NotFound" } });
    expect((await pod(c, "l1")).metadata.deletionTimestamp).toBeUndefined();
    const { items } = await c.client.events.list("default");
    expect(items.filter(({ reason }) => reason === "Preempted").map(({ involvedObject, message, action, related }) => [involvedObject.name, message, action, related?.name]))
      .toEqual([["l2", `Preempted by pod ${(await pod(c, "h")).metadata.uid} on node ${homes.get("l2")}`, "Preempting", "h"]]);
  });

  test("a victim that takes its time: the room is kept, and the victim says why it goes", async () => {
    const c = await cluster();
    await classes(c);
    for (const name of ["l1", "l2", "l3"]) await create(c, name, { cpu: "3", priorityClassName: "low", nodeSelector: { [HOST]: { l1: "a1", l2: "a2", l3: "b1" }[name]! } });
    // A finalizer stands for a long end.
    await c.client.pods.patch("default", "l2", "merge", { metadata: { finalizers: ["example.com/slow"] } });
    await create(c, "h", { cpu: "2", priorityClassName: "high", nodeSelector: { [HOST]: "a2" } });
    await c.clock.advance(3000);
    expect((await pod(c, "h")).status.nominatedNodeName).toBe("a2");
    expect((await pod(c, "l2")).status.conditions).toContainEqual(expect.objectContaining({ type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler", message: "default-scheduler: preempting to accommodate a higher priority pod" }));
    // Someone less important does not get in between.
    await create(c, "sneak", { cpu: "1", nodeSelector: { [HOST]: "a2" } });
    await c.clock.advance(3000);
    await c.client.pods.patch("default", "l2", "merge", { metadata: { finalizers: null } });
    await c.clock.advance(15_000);
    expect([await nodeOf(c, "h"), await nodeOf(c, "sneak")]).toEqual(["a2", "a2"]);
  });
});

describe("volumes", () => {
  const claim = async (c: TestCluster, name: string, storageClassName: string): Promise<void> => {
    await c.client.persistentVolumeClaims.create({ metadata: { name, namespace: "default" }, spec: { accessModes: ["ReadWriteOnce"], storageClassName, resources: { requests: { storage: "1Gi" } } } });
  };
  const volume = (name: string): Wanted => ({ volumes: [{ name: "v", persistentVolumeClaim: { claimName: name } }] });

  test("a claim that waits for its consumer gets the volume of a node that the pod fits on", async () => {
    const c = await cluster();
    await c.client.storageClasses.create({ metadata: { name: "local" }, provisioner: "kubernetes.io/no-provisioner", volumeBindingMode: "WaitForFirstConsumer" });
    for (const node of ["a1", "b1"]) {
      await c.client.persistentVolumes.create({ metadata: { name: `pv-${node}` }, spec: {
        capacity: { storage: "2Gi" }, accessModes: ["ReadWriteOnce"], storageClassName: "local", persistentVolumeReclaimPolicy: "Retain", local: { path: "/x" },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: HOST, operator: "In", values: [node] }] }] } },
      } });
      await c.clock.advance(100);
      const made = await c.client.persistentVolumes.get("", `pv-${node}`);
      await c.client.persistentVolumes.updateStatus({ ...made, status: { phase: "Available" } });
    }
    await claim(c, "data", "local");
    await create(c, "p", { ...volume("data"), nodeSelector: { [ZONE]: "b" } });
    // What the binder of the controller manager does, where there is none.
    await c.clock.advance(3000);
    expect((await c.client.persistentVolumes.get("", "pv-b1")).spec.claimRef).toMatchObject({ namespace: "default", name: "data" });
    const bound = await c.client.persistentVolumeClaims.get("default", "data");
    if (bound.metadata.annotations?.["pv.kubernetes.io/bind-completed"] === undefined) {
      await c.client.persistentVolumeClaims.patch("default", "data", "merge", { metadata: { annotations: { "pv.kubernetes.io/bind-completed": "yes" } }, spec: { volumeName: "pv-b1" } });
    }
    await c.clock.advance(3000);
    expect(await nodeOf(c, "p")).toBe("b1");
    await claim(c, "more", "local");
    await create(c, "q", { ...volume("more"), nodeSelector: { [ZONE]: "b" } });
    expect(await told(c, "q")).toBe("0/3 nodes are available: 1 node(s) didn't find available persistent volumes to bind, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.");
  });

  test("a claim that is not there, and one that waits for its volume", async () => {
    const c = await cluster();
    await create(c, "p", volume("missing"));
    expect(await told(c, "p")).toBe('0/3 nodes are available: persistentvolumeclaim "missing" not found. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.');
    await claim(c, "missing", "none");
    await c.clock.advance(15_000);
    expect(await told(c, "p")).toBe("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.");
  });
});

test("host ports: an address of its own beside another, all addresses beside none", async () => {
  const c = await cluster();
  const port = (hostIP?: string): Wanted => ({ nodeSelector: { [HOST]: "a1" }, containers: [{ name: "c", image: "i", ports: [{ containerPort: 80, hostPort: 80, ...(hostIP === undefined ? {} : { hostIP }) }] }] });
  await create(c, "one", port("10.0.0.1"));
  await create(c, "two", port("10.0.0.2"));
  await create(c, "all", port());
  expect([await nodeOf(c, "one"), await nodeOf(c, "two"), await nodeOf(c, "all")]).toEqual(["a1", "a1", undefined]);
  expect(await told(c, "all")).toContain("1 node(s) didn't have free ports for the requested pod ports, 2 node(s) didn't match Pod's node affinity/selector");
});

test("the core's scheduler takes no settings, and says so", async () => {
  await expect(createCluster({ components: "core", scheduler: {} })).rejects.toThrow("scheduler: only with components: complete");
});

describe("configuration", () => {
  test("a profile of its own packs nodes; pods of nobody's profile wait", async () => {
    const c = await cluster({ configuration: { profiles: [{}, {
      schedulerName: "packer",
      plugins: { score: { disabled: [{ name: "PodTopologySpread" }, { name: "NodeResourcesBalancedAllocation" }] } },
      pluginConfig: [{ name: "NodeResourcesFit", args: { scoringStrategy: { type: "MostAllocated" } } }],
    }] } });
    for (const name of ["p1", "p2", "p3"]) await create(c, name, { cpu: "1", schedulerName: "packer" });
    expect(new Set([await nodeOf(c, "p1"), await nodeOf(c, "p2"), await nodeOf(c, "p3")]).size).toBe(1);
    await create(c, "nobody", { schedulerName: "no-such" });
    expect((await pod(c, "nobody")).status.conditions).toBeUndefined();
  });

  test("a plugin of one's own filters, holds back, and is refused where it is not known", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const own: Plugin = {
      name: "OnlyB",
      filter: (_cycle, { node }) => (node.metadata.name === "b1" ? undefined : { reasons: ["node(s) are not b1"], unresolvable: false, plugin: "OnlyB" }),
      permit: async (): Promise<undefined> => void (await gate),
    };
    const profiles = [{ plugins: { multiPoint: { enabled: [{ name: "OnlyB" }] } } }];
    const c = await cluster({ configuration: { profiles }, plugins: { OnlyB: () => own } });
    await create(c, "p");
    await c.clock.advance(3000);
    expect(await nodeOf(c, "p")).toBeUndefined();
    release();
    await c.clock.advance(1000);
    expect(await nodeOf(c, "p")).toBe("b1");
    await expect(startCluster({ complete: true, settings: { configuration: { profiles } } })).rejects.toThrow('plugin "OnlyB" is not registered');
  });

  test("an extender filters and scores over HTTP; one that fails is told of", async () => {
    const asked: string[] = [];
    const fetch = async (request: Request): Promise<Response> => {
      const { pathname } = new URL(request.url);
      const body = (await request.json()) as { pod: Pod; nodes: { items: { metadata: { name: string } }[] } };
      asked.push(pathname);
      if (body.pod.metadata.name === "broken") return new Response("", { status: 500 });
      if (pathname === "/x/prioritize") return Response.json(body.nodes.items.map(({ metadata: { name } }) => ({ host: name, score: name === "a2" ? 10 : 0 })));
      return Response.json({ nodes: { items: body.nodes.items.filter(({ metadata }) => metadata.name.startsWith("a")) }, failedNodes: { b1: "not in zone a" } });
    };
    const c = await cluster({ configuration: { extenders: [{ urlPrefix: "http://extender/x", filterVerb: "filter", prioritizeVerb: "prioritize", weight: 5 }] }, fetch });
    await create(c, "p");
    await c.clock.advance(1000);
    expect(await nodeOf(c, "p")).toBe("a2");
    expect(asked.slice(0, 2)).toEqual(["/x/filter", "/x/prioritize"]);
    await create(c, "q", { nodeSelector: { [HOST]: "b1" } });
    expect(await told(c, "q")).toContain("1 not in zone a");
    await create(c, "broken");
    expect(await told(c, "broken")).toBe("failed filter with extender at URL http://extender/x/filter, code 500");
  });
});
