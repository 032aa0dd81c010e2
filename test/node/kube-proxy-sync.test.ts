import { expect, test } from "vitest";
import type { ConntrackEntry } from "../../src/kernel/netns.ts";
import { boundedFrequencyRunner } from "../../src/kube-proxy/kube-proxy.ts";
import { TurnedClock } from "./clock.ts";
import { testCluster } from "./cluster.ts";

const service = (name: string, clusterIP: string, protocol = "TCP"): object => ({
  metadata: { name, namespace: "default" }, spec: { clusterIP, ports: [{ port: 53, protocol }] },
});
const slice = (name: string, addresses: readonly string[], protocol = "TCP"): object => ({
  metadata: { name: `${name}-1`, namespace: "default", labels: { "kubernetes.io/service-name": name } }, addressType: "IPv4",
  ports: [{ name: "", port: 53, protocol }], endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
});

test("a change writes only the chains of its Service, and deletes those that are not used any more", async () => {
  const cluster = await testCluster();
  const { kernel, agent } = cluster.addNode(1);
  const { client } = cluster;
  await client.services.create(service("a", "10.96.0.20") as never);
  await client.services.create(service("b", "10.96.0.21") as never);
  await client.endpointSlices.create(slice("a", ["10.244.1.5"]) as never);
  const sliceB = await client.endpointSlices.create(slice("b", ["10.244.1.6"]) as never);
  await cluster.clock.advance(5000);
  const { model } = kernel.host;
  const before = model.writes.length;
  await client.endpointSlices.update({ ...sliceB, ...slice("b", ["10.244.1.7"]), metadata: sliceB.metadata } as never);
  await cluster.clock.advance(5000);
  const writes = model.writes.slice(before);
  expect(writes).toHaveLength(1);
  expect(writes[0]).toContain("10.244.1.7:53");
  expect(writes[0]).toMatch(/\n-X KUBE-SEP-[A-Z2-7]{16}\n/);
  expect(writes[0]).not.toContain("--to-destination 10.244.1.5:53");
  expect(model.save()).toContain("--to-destination 10.244.1.5:53");
  expect(model.save()).not.toContain("10.244.1.6");
  expect(cluster.problems).toEqual([]);
  await agent.stop();
});

test("tables that someone flushed are written anew within the sync period", async () => {
  const cluster = await testCluster();
  const { kernel, agent } = cluster.addNode(1);
  await cluster.clock.advance(1000);
  kernel.host.model.tables.clear();
  await cluster.clock.advance(31_000);
  expect(kernel.host.model.save()).toContain('-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES');
  expect(kernel.host.model.save()).toContain("-A KUBE-SERVICES -d 10.96.0.1/32");
  await agent.stop();
});

test("conntrack entries of a UDP endpoint that is gone are deleted, no others", async () => {
  const cluster = await testCluster();
  const { kernel, agent } = cluster.addNode(1);
  const { client } = cluster;
  await client.services.create(service("dns", "10.96.0.30", "UDP") as never);
  const made = await client.endpointSlices.create(slice("dns", ["10.244.1.5", "10.244.1.6"], "UDP") as never);
  await cluster.clock.advance(5000);
  const entry = (dst: string, to: string, proto: "udp" | "tcp" = "udp"): ConntrackEntry => ({
    proto, timeoutSeconds: 30, flags: [], mark: 0, zone: 0,
    orig: { src: "10.244.1.9", dst, sport: 4000, dport: 53 }, reply: { src: to, dst: "10.244.1.9", sport: 53, dport: 4000 },
  });
  const gone = entry("10.96.0.30", "10.244.1.6");
  const kept = [entry("10.96.0.30", "10.244.1.5"), entry("10.96.0.31", "10.244.1.6"), entry("10.96.0.30", "10.244.1.6", "tcp")];
  kernel.host.conntrackList = [gone, ...kept];
  await client.endpointSlices.update({ ...made, ...slice("dns", ["10.244.1.5"], "UDP"), metadata: made.metadata } as never);
  await cluster.clock.advance(5000);
  expect(kernel.host.conntrackList).toEqual(kept);
  await agent.stop();
});

test("two runs at once, then one per period; requests meanwhile are joined; a failure is tried again", async () => {
  const clock = new TurnedClock();
  const runs: number[] = [], start = clock.nowMs();
  let failing = false;
  const runner = boundedFrequencyRunner(clock, 1000, 5000, () => {
    runs.push(Math.round(clock.nowMs() - start));
    if (failing) throw new Error("no");
  }, () => undefined);
  for (let i = 0; i < 30; i++) {
    runner.request();
    runner.request();
    await clock.advance(100);
  }
  expect(runs).toEqual([0, 100, 1000, 2000, 3000]);
  failing = true;
  await clock.advance(10_000);
  runs.length = 0;
  runner.request();
  await clock.advance(100);
  failing = false;
  await clock.advance(20_000);
  expect(runs).toHaveLength(2);
  expect(runs[1]! - runs[0]!).toBe(5000);
  runner.stop();
});
