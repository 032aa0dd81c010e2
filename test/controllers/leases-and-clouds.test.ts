/** Who leads, what a cloud does for a cluster, and tokens in Secrets. */
import { expect, test } from "vitest";
import { acquireLease } from "../../src/client/leader-election.ts";
import { createEventRecorder } from "../../src/client/events.ts";
import { createCloudControllerManager, newBoxCloud, type CloudProvider } from "../../src/cloud-controller-manager/index.ts";
import { complete } from "../../src/complete.ts";
import { silent } from "../../src/log.ts";
import { startCluster, type TestCluster } from "../control-plane/cluster.ts";
import { testRandom } from "../control-plane/test-clock.ts";

const eventsOf = async ({ client }: TestCluster, name: string): Promise<string[]> =>
  (await client.events.list()).items.filter(({ involvedObject }) => involvedObject.name === name).map(({ type, reason, message }) => `${type} ${reason}: ${message}`);

test("one leads; when it falls silent the next one takes the Lease, and the first one hears of it", async () => {
  const cluster = await startCluster({ complete: true, controllers: false });
  const { clock, client, stop } = cluster;
  const stand = (identity: string, signal: AbortSignal, lost = (): void => {}): Promise<void> =>
    acquireLease({ client, clock, random: testRandom(1), log: silent, recorder: createEventRecorder(client, clock, silent, { component: "c" }), name: "c", identity }, lost, signal);
  const [first, second] = [new AbortController(), new AbortController()];
  await stand("a", first.signal);
  let leads = false;
  void stand("b", second.signal).then(() => (leads = true));
  await clock.advance(30_000);
  expect(leads).toBe(false);
  first.abort(new Error("gone"));
  await clock.advance(14_000);
  expect(leads).toBe(false);
  await clock.advance(5000);
  expect(leads).toBe(true);
  const { spec } = await client.leases.get("kube-system", "c");
  expect([spec?.holderIdentity, spec?.leaseTransitions, spec?.leaseDurationSeconds]).toEqual(["b", 1, 15]);
  expect((await eventsOf(cluster, "c"))).toEqual(["Normal LeaderElection: a became leader", "Normal LeaderElection: b became leader"]);
  let lost = 0;
  const third = new AbortController();
  second.abort(new Error("gone"));
  await clock.advance(1000);
  const taking = stand("c", third.signal, () => lost++);
  await clock.advance(20_000);
  await taking;
  await client.leases.patch("kube-system", "c", "merge", { spec: { holderIdentity: "thief" } });
  await clock.advance(13_000);
  expect(lost).toBe(1);
  third.abort(new Error("end"));
  stop();
});

test("a Service of type LoadBalancer gets an address and gives it back", async () => {
  const cluster = await startCluster({ complete: true });
  const { clock, client, handle, addNode, errors, stop } = cluster;
  await addNode("n1");
  const end = new AbortController();
  await createCloudControllerManager(newBoxCloud({ addresses: "192.0.2.0/29" }), { transport: handle, clock, random: testRandom(2), log: silent, resources: complete.resources }).start(end.signal);
  const make = (name: string, more: object = {}): Promise<unknown> => client.services.create({ metadata: { name, namespace: "default" }, spec: { type: "LoadBalancer", ports: [{ port: 80 }], ...more } });
  await make("a");
  await make("classy", { loadBalancerClass: "example.com/other" });
  await clock.advance(500);
  const service = await client.services.get("default", "a");
  expect([service.status?.loadBalancer, service.metadata.finalizers]).toEqual([{ ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }] }, ["service.kubernetes.io/load-balancer-cleanup"]]);
  expect((await client.services.get("default", "classy")).status?.loadBalancer).toEqual({});
  await addNode("n2");
  await clock.advance(500);
  await client.services.patch("default", "a", "merge", { spec: { type: "ClusterIP" } });
  await clock.advance(500);
  const after = await client.services.get("default", "a");
  expect([after.status?.loadBalancer, after.metadata.finalizers]).toEqual([{}, undefined]);
  expect(await eventsOf(cluster, "a")).toEqual(expect.arrayContaining([
    "Normal EnsuringLoadBalancer: Ensuring load balancer", "Normal EnsuredLoadBalancer: Ensured load balancer", "Normal UpdatedLoadBalancer: Updated load balancer with new hosts",
    "Normal Type: LoadBalancer -> ClusterIP", "Normal DeletingLoadBalancer: Deleting load balancer", "Normal DeletedLoadBalancer: Deleted load balancer",
  ]));
  await make("b");
  await clock.advance(500);
  expect((await client.services.get("default", "b")).status?.loadBalancer?.ingress?.[0]?.ip).toBe("192.0.2.1");
  await client.services.delete("default", "b");
  await clock.advance(500);
  await expect(client.services.get("default", "b")).rejects.toThrow("not found");
  end.abort(new Error("end"));
  stop();
  expect(errors).toEqual([]);
});

test("a cloud makes nodes known, takes away those it lost, and routes to their pods", async () => {
  const cluster = await startCluster({ complete: true });
  const { clock, client, handle, addNode, silence, errors, stop } = cluster;
  const instances = new Set(["n1", "n2"]);
  const routed: string[] = [];
  const cloud: CloudProvider = {
    name: "test",
    instances: {
      exists: async ({ metadata }) => instances.has(metadata.name), isShutDown: async () => true,
      metadata: async ({ metadata }) => ({ providerID: `test://${metadata.name}`, zone: "z1", region: "r", instanceType: "large" }),
    },
    routes: { list: async () => routed.map((node) => ({ name: node, node, cidr: node === "n1" ? "10.244.0.0/24" : "10.244.1.0/24" })), create: async ({ node }) => void routed.push(node), delete: async ({ node }) => void routed.splice(routed.indexOf(node), 1) },
  };
  await addNode("n1");
  await addNode("n2");
  await client.nodes.patch("", "n1", "strategic", { spec: { taints: [{ key: "node.cloudprovider.kubernetes.io/uninitialized", value: "true", effect: "NoSchedule" }] } });
  const end = new AbortController();
  await createCloudControllerManager(cloud, { transport: handle, clock, random: testRandom(2), log: silent, resources: complete.resources }).start(end.signal);
  await clock.advance(12_000);
  const { spec, metadata, status } = await client.nodes.get("", "n1");
  expect([spec.providerID, spec.taints, metadata.labels?.["topology.kubernetes.io/zone"], metadata.labels?.["node.kubernetes.io/instance-type"]]).toEqual(["test://n1", undefined, "z1", "large"]);
  expect(status.conditions?.find(({ type }) => type === "NetworkUnavailable")).toMatchObject({ status: "False", reason: "RouteCreated" });
  expect([...routed].sort()).toEqual(["n1", "n2"]);
  instances.delete("n2");
  silence("n2");
  await clock.advance(90_000);
  await expect(client.nodes.get("", "n2")).rejects.toThrow("not found");
  await clock.advance(12_000);
  expect(routed).toEqual(["n1"]);
  end.abort(new Error("end"));
  stop();
  expect(errors).toEqual([]);
});

test("a Secret asks for its account's token, and goes with the account", async () => {
  const { clock, client, errors, stop } = await startCluster({ complete: true });
  await client.serviceAccounts.create({ metadata: { name: "robot", namespace: "default" } });
  const secret = (name: string, account: string) => ({ metadata: { name, namespace: "default", annotations: { "kubernetes.io/service-account.name": account } }, type: "kubernetes.io/service-account-token" });
  await client.secrets.create(secret("t", "robot"));
  await client.secrets.create(secret("lost", "nobody"));
  await clock.advance(500);
  const { data, metadata } = await client.secrets.get("default", "t");
  const values = data as unknown as Record<string, string>;
  expect(atob(values["namespace"]!)).toBe("default");
  const claims = JSON.parse(atob(atob(values["token"]!).split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/"))) as { sub: string };
  expect(claims.sub).toBe("system:serviceaccount:default:robot");
  expect(metadata.annotations?.["kubernetes.io/service-account.uid"]).toBe((await client.serviceAccounts.get("default", "robot")).metadata.uid);
  await expect(client.secrets.get("default", "lost")).rejects.toThrow("not found");
  await client.serviceAccounts.delete("default", "robot");
  await clock.advance(500);
  await expect(client.secrets.get("default", "t")).rejects.toThrow("not found");
  stop();
  expect(errors).toEqual([]);
});
