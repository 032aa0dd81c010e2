/** What devices do to frames: VLANs, bridges that filter them, ipvlan, tunnels, tun and tap, dummy. */
import { expect, test } from "vitest";
import { deviceCalls, openTap } from "../../../src/kernel/devices.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { createTestNode, type TestNode } from "../harness.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A namespace at the other end of a veth whose near end, `p-NAME`, is in `host`. */
function attach(node: TestNode, host: Netns, name: string, mac?: string): Netns {
  const ns = node.kernel.addNetns(name);
  host.addLink({ kind: "veth", name: `p-${name}`, peer: { name: "eth0", netns: ns, ...(mac !== undefined && { mac }) } });
  host.setLink(`p-${name}`, { up: true });
  ns.setLink("lo", { up: true });
  ns.setLink("eth0", { up: true });
  return ns;
}

async function reaches(node: TestNode, from: Netns, to: string): Promise<boolean> {
  const ping = from.sockets.ping(to, { timeoutMs: 500 }).then(() => true, () => false);
  await node.advance(500);
  return ping;
}

test("a VLAN device tags what it sends, with the PCP of its egress map, and takes what is tagged for it", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  host.addLink({ kind: "nic", name: "eth0", mac: "02:00:00:00:00:01" });
  host.setLink("eth0", { up: true });
  host.addLink({ kind: "vlan", name: "eth0.5", link: "eth0", id: 5 });
  expect(() => host.addLink({ kind: "vlan", name: "other", link: "eth0", id: 5 })).toThrow("File exists");
  expect(() => host.addLink({ kind: "vlan", name: "other", link: "eth0", id: 4096 })).toThrow("Numerical result out of range");
  deviceCalls(host).mapVlan("eth0.5", "egress", 0, 6);
  host.setLink("eth0.5", { up: true });
  host.addAddress("eth0.5", "10.5.0.1/24");
  expect(host.link("eth0.5")).toMatchObject({ kind: "vlan", mac: "02:00:00:00:00:01", mtu: 1500, linkIfindex: host.link("eth0")!.ifindex });
  host.setNeigh({ dev: "eth0.5", dst: "10.5.0.2", lladdr: "02:00:00:00:00:02" });
  const ping = host.sockets.ping("10.5.0.2", { timeoutMs: 100 });
  await node.settle();
  const [request] = node.takeFrames();
  // Destination, source, TPID, PCP 6 and VID 5, IPv4
  expect(hex(request!.bytes).slice(0, 36)).toBe("020000000002" + "020000000001" + "8100" + "c005" + "0800");
  // The same packet back, as an answer.
  const reply = request!.bytes.slice();
  reply.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], 0);
  reply.set(request!.bytes.subarray(34, 38), 30);
  reply.set(request!.bytes.subarray(30, 34), 34);
  reply[38] = 0;
  const sum = (reply[40]! << 8) + reply[41]! + 0x0800;
  const folded = (sum & 0xffff) + (sum >>> 16);
  reply[40] = folded >>> 8;
  reply[41] = folded & 255;
  node.inject(request!.ifindex, reply);
  await node.advance(100);
  expect(await ping).toBeGreaterThan(0);
  expect(host.link("eth0.5")!.stats).toMatchObject({ rxPackets: 1, txPackets: 1 });
  // Another VLAN's is another host's.
  reply[15] = 6;
  node.inject(request!.ifindex, reply);
  await node.settle();
  expect(host.drops()).toEqual({ OTHERHOST: 1 });
  // The lower device goes down and up again, and the VLAN with it; its end is the VLAN's.
  host.setLink("eth0", { up: false });
  expect(host.link("eth0.5")!.up).toBe(false);
  expect(() => host.setLink("eth0.5", { up: true })).toThrow("Network is down");
  host.setLink("eth0", { up: true });
  expect(host.link("eth0.5")!.up).toBe(true);
  host.deleteLink("eth0");
  expect(host.link("eth0.5")).toBeUndefined();
});

test("a bridge that filters VLANs keeps them apart, tags on trunks and untags on access ports", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  const calls = deviceCalls(host);
  host.addLink({ kind: "bridge", name: "br0" });
  host.setLink("br0", { up: true });
  const [a, b, c, trunk] = ["a", "b", "c", "t"].map((name) => attach(node, host, name)) as [Netns, Netns, Netns, Netns];
  for (const name of ["a", "b", "c", "t"]) host.setLink(`p-${name}`, { master: "br0" });
  a.addAddress("eth0", "10.0.0.1/24");
  b.addAddress("eth0", "10.0.0.2/24");
  c.addAddress("eth0", "10.0.0.3/24");
  trunk.addLink({ kind: "vlan", name: "v10", link: "eth0", id: 10 });
  trunk.setLink("v10", { up: true });
  trunk.addAddress("v10", "10.0.0.4/24");
  calls.setBridge("br0", { vlanFiltering: true });
  expect(calls.vlans("p-a")).toEqual([{ vid: 1, pvid: true, untagged: true }]);
  for (const port of ["p-a", "p-b"]) {
    calls.deleteVlan(port, 1);
    calls.addVlan(port, 10, { pvid: true, untagged: true });
  }
  calls.addVlan("p-t", 10);
  expect(await reaches(node, a, "10.0.0.2")).toBe(true);
  expect(await reaches(node, a, "10.0.0.3")).toBe(false);
  expect(await reaches(node, a, "10.0.0.4")).toBe(true);
  expect(await reaches(node, trunk, "10.0.0.2")).toBe(true);
  expect(await reaches(node, trunk, "10.0.0.3")).toBe(false);
  expect(host.fdb("br0").filter(({ state }) => state === "reachable").map(({ vlan }) => vlan)).toContain(10);
  // The host is in VLAN 10 by a device on the bridge, once the bridge is a member.
  host.addLink({ kind: "vlan", name: "br0.10", link: "br0", id: 10 });
  host.setLink("br0.10", { up: true });
  host.addAddress("br0.10", "10.0.0.9/24");
  expect(await reaches(node, a, "10.0.0.9")).toBe(false);
  calls.addVlan("br0", 10);
  expect(await reaches(node, a, "10.0.0.9")).toBe(true);
  expect(await reaches(node, host, "10.0.0.4")).toBe(true);
});

test("ports: flags, states and a static entry", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  host.addLink({ kind: "bridge", name: "br0" });
  host.setLink("br0", { up: true });
  const a = attach(node, host, "a", "02:00:00:00:00:0a");
  const b = attach(node, host, "b", "02:00:00:00:00:0b");
  for (const name of ["a", "b"]) host.setLink(`p-${name}`, { master: "br0" });
  a.addAddress("eth0", "10.0.0.1/24");
  b.addAddress("eth0", "10.0.0.2/24");
  host.setLink("p-b", { state: "learning" });
  expect(await reaches(node, b, "10.0.0.1")).toBe(false);
  expect(host.fdb("br0").find(({ lladdr }) => lladdr === "02:00:00:00:00:0b")).toMatchObject({ dev: "p-b", state: "reachable" });
  host.setLink("p-b", { state: "forwarding", locked: true });
  expect(await reaches(node, b, "10.0.0.1")).toBe(true); // learnt before
  host.deleteFdb("p-b", "02:00:00:00:00:0b");
  host.setLink("p-b", { learning: false });
  expect(await reaches(node, b, "10.0.0.1")).toBe(false);
  host.setFdb({ dev: "p-b", lladdr: "02:00:00:00:00:0b", exclusive: true });
  expect(() => host.setFdb({ dev: "p-b", lladdr: "02:00:00:00:00:0b", exclusive: true })).toThrow("File exists");
  expect(await reaches(node, b, "10.0.0.1")).toBe(true);
  deviceCalls(host).setBridge("br0", { ageing: 2 });
  await node.advance(3000);
  expect(await reaches(node, a, "10.0.0.2")).toBe(true);
  await node.advance(3000);
  expect(deviceCalls(host).bridge("br0")).toMatchObject({ ageing: 2, vlanFiltering: false, defaultPvid: 1 });
});

for (const mode of ["l2", "l3", "l3s"] as const) {
  test(`ipvlan in mode ${mode}`, async () => {
    const node = await createTestNode();
    const { host } = node.kernel;
    const ext = attach(node, host, "ext");
    ext.addAddress("eth0", "10.0.0.9/24");
    host.addAddress("p-ext", "10.0.0.1/24");
    const inside = ["i1", "i2"].map((name, index) => {
      const ns = node.kernel.addNetns(name);
      host.addLink({ kind: "ipvlan", name, link: "p-ext", mode });
      expect(host.link(name)!.mac).toBe(host.link("p-ext")!.mac);
      host.setLink(name, { netns: ns, name: "eth0" });
      ns.setLink("eth0", { up: true });
      ns.addAddress("eth0", `10.0.0.${11 + index}/24`);
      return ns;
    });
    if (mode !== "l2") {
      // Outside, somebody has to answer for them: the lower device.
      host.setSysctl("net.ipv4.conf.p-ext.proxy_arp", 1);
      for (const address of ["10.0.0.11", "10.0.0.12"]) {
        ext.setNeigh({ dev: "eth0", dst: address, lladdr: host.link("p-ext")!.mac });
      }
    }
    expect(await reaches(node, inside[0]!, "10.0.0.12")).toBe(true);
    expect(await reaches(node, inside[0]!, "10.0.0.9")).toBe(true);
    expect(await reaches(node, ext, "10.0.0.12")).toBe(true);
    // Not the lower device itself: it looks for them on the link.
    expect(await reaches(node, inside[0]!, "10.0.0.1")).toBe(false);
    if (mode === "l3s") {
      host.iptables.run(["-A", "INPUT", "-d", "10.0.0.12", "-j", "DROP"]);
      expect(await reaches(node, ext, "10.0.0.12")).toBe(false);
    }
    expect(() => host.addLink({ kind: "macvlan", name: "mv", link: "p-ext" })).toThrow("Device or resource busy");
  });
}

test("a macvlan of mode source takes what comes from its list alone", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  const ext = attach(node, host, "ext", "02:00:00:00:00:0e");
  ext.addAddress("eth0", "10.0.0.9/24");
  host.addLink({ kind: "macvlan", name: "mv", link: "p-ext", mode: "source", mac: "02:00:00:00:00:99" });
  host.setLink("mv", { up: true });
  ext.setNeigh({ dev: "eth0", dst: "10.0.0.1", lladdr: "02:00:00:00:00:99" });
  await reaches(node, ext, "10.0.0.1");
  expect(host.link("mv")!.stats.rxPackets).toBe(0);
  deviceCalls(host).macvlanSource("mv", "add", "02:00:00:00:00:0e");
  expect(deviceCalls(host).macvlanSources("mv")).toEqual(["02:00:00:00:00:0e"]);
  await reaches(node, ext, "10.0.0.1");
  expect(host.link("mv")!.stats.rxPackets).toBe(1);
});

/** Two namespaces with an underlay between them, and a tunnel device in each. */
async function tunnelled(kind: "ipip" | "gre" | "gretap" | "geneve"): Promise<{ node: TestNode; a: Netns; b: Netns; seen: Uint8Array[] }> {
  const node = await createTestNode();
  const { host } = node.kernel;
  const a = node.kernel.addNetns("a");
  const b = node.kernel.addNetns("b");
  // By taps, so that every frame of the underlay is seen.
  const seen: Uint8Array[] = [];
  const ends = [a, b].map((ns, index) => {
    ns.addLink({ kind: "tap", name: "eth0", mac: `02:00:00:00:00:0${index + 1}` });
    ns.setLink("eth0", { up: true });
    ns.addAddress("eth0", `192.0.2.${index + 1}/24`);
    return ns;
  });
  const taps = ends.map((ns, index) => openTap(ns, "eth0", (bytes) => {
    seen.push(bytes);
    taps[1 - index]!.send(bytes);
  }));
  const common = { name: "tun0" } as const;
  [a, b].forEach((ns, index) => {
    const remote = `192.0.2.${2 - index}`;
    const local = `192.0.2.${index + 1}`;
    if (kind === "geneve") ns.addLink({ ...common, kind, id: 77, remote });
    else if (kind === "ipip") ns.addLink({ ...common, kind, remote, local });
    else ns.addLink({ ...common, kind, remote, local, ikey: 5, okey: 5, ocsum: true, icsum: true });
    ns.setLink("tun0", { up: true });
    ns.addAddress("tun0", `10.9.0.${index + 1}/24`);
  });
  void host;
  return { node, a, b, seen };
}

for (const [kind, mtu, protocol, after] of [
  ["ipip", 1480, 4, "45"],
  ["gre", 1468, 47, "a0000800"],
  ["gretap", 1454, 47, "a0006558"],
  ["geneve", 1450, 17, ""],
] as const) {
  test(`${kind} carries packets to the other end and back`, async () => {
    const { node, a, seen } = await tunnelled(kind);
    expect(a.link("tun0")).toMatchObject({ kind, mtu });
    expect(await reaches(node, a, "10.9.0.2")).toBe(true);
    const outer = seen.filter((frame) => frame[12] === 8 && frame[13] === 0);
    expect(outer.length).toBeGreaterThanOrEqual(2);
    expect(outer[0]![23]).toBe(protocol);
    expect(hex(outer[0]!.subarray(34)).startsWith(after)).toBe(true);
    if (kind === "geneve") {
      expect(hex(outer[0]!.subarray(36, 38))).toBe("17c1"); // 6081
      expect(hex(outer[0]!.subarray(40, 50))).toBe("0000" + "00006558" + "00004d00"); // no checksum, VNI 77
    }
  });
}

test("a tun carries packets without an Ethernet header; a device that nobody has open loses what is sent", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  host.addLink({ kind: "tun", name: "tun0" });
  host.setLink("tun0", { up: true });
  host.addAddress("tun0", "10.8.0.1/24");
  const ping = (): Promise<boolean> => reaches(node, host, "10.8.0.2");
  expect(await ping()).toBe(false);
  expect(host.link("tun0")!.stats.txDropped).toBe(1);
  const tun = openTap(host, "tun0", (packet) => {
    expect(packet[0]).toBe(0x45);
    const reply = packet.slice();
    reply.set(packet.subarray(16, 20), 12);
    reply.set(packet.subarray(12, 16), 16);
    reply[20] = 0;
    const sum = (reply[22]! << 8) + reply[23]! + 0x0800;
    const folded = (sum & 0xffff) + (sum >>> 16);
    reply[22] = folded >>> 8;
    reply[23] = folded & 255;
    tun.send(reply);
  });
  expect(() => openTap(host, "tun0", () => undefined)).toThrow("Device or resource busy");
  expect(await ping()).toBe(true);
  expect(() => tun.send(new Uint8Array())).toThrow("Invalid argument");
  tun.close();
  expect(await ping()).toBe(false);
});

test("a dummy has addresses and swallows what is sent", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  host.setLink("lo", { up: true });
  host.addLink({ kind: "dummy", name: "dummy0" });
  host.setLink("dummy0", { up: true });
  host.addAddress("dummy0", "10.7.0.1/24");
  expect(await reaches(node, host, "10.7.0.1")).toBe(true);
  expect(await reaches(node, host, "10.7.0.2")).toBe(false);
  expect(host.link("dummy0")!.stats).toMatchObject({ txPackets: 1, rxPackets: 0 });
  expect(host.neighbours()).toEqual([]);
  expect(host.drops()).toEqual({});
});

test("devices of all kinds come and go without a byte that stays", async () => {
  const node = await createTestNode();
  const churn = async (): Promise<number> => {
    const { host } = node.kernel;
    const far = attach(node, host, "far");
    far.addAddress("eth0", "10.0.0.2/24");
    host.addAddress("p-far", "10.0.0.1/24");
    host.addLink({ kind: "vlan", name: "v", link: "p-far", id: 7 });
    host.addLink({ kind: "macvlan", name: "m", link: "p-far", mode: "source" });
    deviceCalls(host).macvlanSource("m", "add", "02:00:00:00:00:0e");
    for (const kind of ["dummy", "ifb", "tap", "tun"] as const) host.addLink({ kind, name: kind });
    host.addLink({ kind: "gre", name: "g", remote: "10.0.0.2", local: "10.0.0.1" });
    host.addLink({ kind: "geneve", name: "gnv", remote: "10.0.0.2", id: 4 });
    deviceCalls(host).setQdisc("p-far", { kind: "netem", latency: 5e6 });
    deviceCalls(host).setQdisc("p-far", { kind: "ingress" });
    deviceCalls(host).addFilter("p-far", { parent: "ingress", action: { kind: "redirect", dev: "ifb" } });
    for (const { name } of host.links()) if (name !== "lo") host.setLink(name, { up: true });
    void host.sockets.ping("10.0.0.2", { timeoutMs: 1 }).catch(() => undefined);
    await node.advance(3);
    for (const name of ["dummy", "tap", "tun", "g", "gnv", "p-far", "ifb"]) host.deleteLink(name);
    far.delete();
    await node.advance(2000);
    return node.kernel.memory().used;
  };
  const first = await churn();
  expect(await churn()).toBe(first);
  expect(await churn()).toBe(first);
});
