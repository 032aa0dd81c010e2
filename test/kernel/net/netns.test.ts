/** The driver's calls and what they do to packets: namespaces, veth, bridge, neighbours in time. */
import { expect, test } from "vitest";
import { KernelError, type Netns } from "../../../src/kernel/netns.ts";
import { createTestNode, type TestNode } from "../harness.ts";

const text = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof KernelError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "fulfilled";
};

/** A pod's namespace behind the host's bridge. */
function addPod(node: TestNode, name: string, address: string): Netns {
  const pod = node.kernel.addNetns(name);
  const { host } = node.kernel;
  host.addLink({ kind: "veth", name: `veth-${name}`, peer: { name: "eth0", netns: pod } });
  host.setLink(`veth-${name}`, { up: true, master: "cni0" });
  pod.setLink("lo", { up: true });
  pod.setLink("eth0", { up: true });
  pod.addAddress("eth0", `${address}/24`);
  pod.addRoute({ dst: "default", via: "10.244.1.1" });
  return pod;
}

async function bridged(): Promise<{ node: TestNode; a: Netns; b: Netns }> {
  const node = await createTestNode();
  const { host } = node.kernel;
  host.setLink("lo", { up: true });
  host.addLink({ kind: "bridge", name: "cni0" });
  host.setLink("cni0", { up: true });
  host.addAddress("cni0", "10.244.1.1/24");
  host.setSysctl("net.ipv4.ip_forward", 1);
  return { node, a: addPod(node, "a", "10.244.1.2"), b: addPod(node, "b", "10.244.1.3") };
}

test("two namespaces ping each other over veth and bridge, and the host", async () => {
  const { node, a, b } = await bridged();
  const replies = Promise.all([a.sockets.ping("10.244.1.3"), b.sockets.ping("10.244.1.1"), a.sockets.ping("127.0.0.1")]);
  await node.advance(100);
  for (const ns of await replies) expect(ns).toBeGreaterThan(0);
  expect(a.neighbours()).toMatchObject([
    { dev: "eth0", dst: "10.244.1.3", lladdr: b.link("eth0")!.mac, state: "REACHABLE" },
  ]);
  expect(node.kernel.host.fdb("cni0").filter(({ state }) => state === "reachable").map(({ lladdr }) => lladdr).sort())
    .toEqual([a.link("eth0")!.mac, b.link("eth0")!.mac].sort());
});

test("a neighbour goes stale, is probed by unicast, and fails when it is gone", async () => {
  const { node, a, b } = await bridged();
  const state = (): string | undefined => a.neighbours().find(({ dst }) => dst === "10.244.1.3")?.state;
  const first = a.sockets.ping("10.244.1.3");
  await node.advance(10);
  await first;
  expect(state()).toBe("REACHABLE");
  await node.advance(60_000); // at most 1.5 times base_reachable_time, and the look after it
  expect(state()).toBe("STALE");
  const second = a.sockets.ping("10.244.1.3");
  await node.advance(10);
  await second;
  expect(state()).toBe("DELAY");
  await node.advance(5_100); // delay_first_probe_time, then one unicast request is answered
  expect(state()).toBe("REACHABLE");
  await node.advance(60_000);
  b.setLink("eth0", { up: false });
  const third = a.sockets.ping("10.244.1.3", { timeoutMs: 20_000 }).then(() => "answered", (error: { code: string }) => error.code);
  await node.advance(5_100);
  expect(state()).toBe("PROBE");
  await node.advance(20_000);
  expect(state()).toBe("FAILED");
  expect(await third).toBe("ETIMEDOUT");
});

test("a host that is not there is unreachable after three requests", async () => {
  const { node, a } = await bridged();
  const ping = a.sockets.ping("10.244.1.99", { timeoutMs: 10_000 }).then(() => "answered", (error: { code: string }) => error.code);
  await node.advance(2_900);
  expect(a.neighbours().find(({ dst }) => dst === "10.244.1.99")?.state).toBe("INCOMPLETE");
  await node.advance(200);
  expect(a.neighbours().find(({ dst }) => dst === "10.244.1.99")?.state).toBe("FAILED");
  await node.advance(10_000);
  expect(await ping).toBe("EHOSTUNREACH");
});

test("links, addresses and routes are listed as they were set, and go with their device", async () => {
  const { node, a } = await bridged();
  const { host } = node.kernel;
  expect(host.link("cni0")).toMatchObject({ kind: "bridge", mtu: 1500, up: true });
  expect(host.link("veth-a")).toMatchObject({ kind: "veth", master: "cni0" });
  expect(a.routes()).toEqual([
    { dst: "default", via: "10.244.1.1", dev: "eth0" },
    { dst: "10.244.1.0/24", dev: "eth0", src: "10.244.1.2", scope: "link" },
  ]);
  a.addRoute({ dst: "10.9.0.0/16", via: "10.244.1.3", metric: 5 });
  expect(a.routes()).toContainEqual({ dst: "10.9.0.0/16", via: "10.244.1.3", dev: "eth0", metric: 5 });
  a.setLink("eth0", { up: false });
  expect(a.routes()).toEqual([]);
  host.deleteLink("veth-a");
  expect(a.link("eth0")).toBeUndefined();
  expect(a.addresses()).toEqual([{ dev: "lo", cidr: "127.0.0.1/8" }]);
});

test("refusals are worded as iproute2 words them", async () => {
  const { node, a } = await bridged();
  const { host } = node.kernel;
  expect(text(() => host.addLink({ kind: "bridge", name: "cni0" }))).toBe("EEXIST RTNETLINK answers: File exists");
  expect(text(() => host.addLink({ kind: "bridge", name: "averyveryverylongname" })))
    .toBe("ERANGE Error: Attribute failed policy validation.");
  expect(text(() => host.deleteLink("nosuch"))).toBe('ENODEV Cannot find device "nosuch"');
  expect(text(() => a.addAddress("eth0", "10.244.1.2/24"))).toBe("EEXIST Error: ipv4: Address already assigned.");
  expect(text(() => a.addRoute({ dst: "default", via: "10.244.1.1" }))).toBe("EEXIST RTNETLINK answers: File exists");
  expect(text(() => a.addRoute({ dst: "10.1.0.0/16", via: "192.168.7.7" }))).toBe("ENETUNREACH Error: Nexthop has invalid gateway.");
  expect(text(() => a.deleteRoute({ dst: "10.1.0.0/16" }))).toBe("ESRCH RTNETLINK answers: No such process");
  expect(text(() => host.setFdb({ dev: "veth-a", lladdr: "02:00:00:00:00:09", dst: "10.0.0.1" })))
    .toBe("EOPNOTSUPP RTNETLINK answers: Operation not supported");
  expect(text(() => host.sysctl("net.ipv4.nosuch"))).toContain("ENOENT");
});

test("sysctls are read and written by name", async () => {
  const { host } = (await createTestNode()).kernel;
  expect(host.sysctl("net.ipv4.ip_forward")).toBe("0");
  host.setSysctl("net.ipv4.ip_forward", 1);
  expect(host.sysctl("net.ipv4.conf.lo.forwarding")).toBe("1");
  expect(host.sysctl("net.ipv4.ip_local_port_range")).toBe("32768\t60999");
  host.setSysctl("net.ipv4.ip_local_port_range", "40000 41000");
  expect(host.sysctl("net.ipv4.ip_local_port_range")).toBe("40000\t41000");
  host.setSysctl("net.ipv4.conf.default.rp_filter", 2);
  expect(host.sysctl("net.ipv4.conf.lo.rp_filter")).toBe("2");
  expect(host.sysctl("net.bridge.bridge-nf-call-iptables")).toBe("1");
});

test("namespaces that come and go leave memory where it was", async () => {
  const { node } = await bridged();
  const round = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) {
      const pod = addPod(node, `p${i}`, `10.244.1.${10 + i}`);
      const ping = pod.sockets.ping("10.244.1.2");
      await node.advance(20);
      await ping;
      pod.delete();
    }
    await node.advance(10_000);
  };
  await round();
  const before = node.kernel.memory().used;
  await round();
  await round();
  expect(node.kernel.memory().used - before).toBeLessThan(4096);
  expect(node.kernel.host.links().map(({ name }) => name)).toEqual(["lo", "cni0", "veth-a", "veth-b"]);
});
