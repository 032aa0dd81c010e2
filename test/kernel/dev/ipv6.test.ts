/** IPv6 over devices: ipvlan in its modes, GRE, and which ends a VXLAN device may have. */
import { expect, test } from "vitest";
import { setIpv6 } from "../../../src/kernel/ipv6.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import { createTestNode, type TestNode } from "../harness.ts";

useFullIptables();

async function world(): Promise<{ node: TestNode; host: Netns; ext: Netns }> {
  const node = await createTestNode();
  const { host } = node.kernel;
  setIpv6(host, true);
  host.setSysctl("net.ipv6.conf.default.accept_dad", 0);
  const ext = node.kernel.addNetns("ext");
  ext.setSysctl("net.ipv6.conf.default.accept_dad", 0);
  host.addLink({ kind: "veth", name: "p", peer: { name: "eth0", netns: ext } });
  host.setLink("p", { up: true });
  ext.setLink("eth0", { up: true });
  return { node, host, ext };
}

async function hears(node: TestNode, from: Netns, to: Netns, address: string): Promise<boolean> {
  const server = to.sockets.udp({ local: { port: 7000, address: "::" } });
  let got = false;
  const waiting = server.receive().then(() => (got = true), () => false);
  const client = from.sockets.udp({ local: { address: "::" } });
  client.send(new Uint8Array(9), { address, port: 7000 });
  await node.advance(3500);
  client.close();
  server.close();
  await waiting;
  return got;
}

for (const mode of ["l2", "l3", "l3s"] as const) {
  test(`ipvlan in mode ${mode} knows addresses of IPv6`, async () => {
    const { node, host, ext } = await world();
    ext.addAddress("eth0", "2001:db8::9/64");
    host.addAddress("p", "2001:db8::1/64");
    const inside = ["i1", "i2"].map((name, index) => {
      const ns = node.kernel.addNetns(name);
      ns.setSysctl("net.ipv6.conf.default.accept_dad", 0);
      host.addLink({ kind: "ipvlan", name, link: "p", mode });
      host.setLink(name, { netns: ns, name: "eth0" });
      ns.setLink("eth0", { up: true });
      ns.addAddress("eth0", `2001:db8::1${index + 1}/64`);
      return ns;
    });
    // Outside, nobody answers for them in the modes of layer 3.
    if (mode !== "l2") for (const dst of ["2001:db8::11", "2001:db8::12"]) ext.setNeigh({ dev: "eth0", dst, lladdr: host.link("p")!.mac });
    await node.advance(3000);
    const [one, two] = inside as [Netns, Netns];
    expect(await hears(node, one, two, "2001:db8::12")).toBe(true);
    expect(await hears(node, one, ext, "2001:db8::9")).toBe(true);
    expect(await hears(node, ext, two, "2001:db8::12")).toBe(true);
    if (mode === "l3s") {
      host.ip6tables!.run(["-A", "INPUT", "-d", "2001:db8::12", "-j", "DROP"]);
      expect(await hears(node, ext, two, "2001:db8::12")).toBe(false);
    }
  });
}

test("GRE carries IPv6: hop limit, traffic class and length of the inner header count; IPIP does not", async () => {
  const { node, host, ext } = await world();
  host.addAddress("p", "10.0.0.1/24");
  ext.addAddress("eth0", "10.0.0.2/24");
  for (const [ns, local, remote, own] of [[host, "10.0.0.1", "10.0.0.2", 1], [ext, "10.0.0.2", "10.0.0.1", 2]] as const) {
    for (const [kind, net] of [["gre", "2001:db8:7"], ["ipip", "2001:db8:8"]] as const) {
      ns.addLink({ kind, name: `${kind}1`, local, remote });
      ns.setLink(`${kind}1`, { up: true });
      ns.addAddress(`${kind}1`, `${net}::${own}/64`);
    }
  }
  await node.advance(3000);
  expect(await hears(node, host, ext, "2001:db8:7::2")).toBe(true);
  expect(await hears(node, ext, host, "2001:db8:7::1")).toBe(true);
  expect(await hears(node, host, ext, "2001:db8:8::2")).toBe(false);
});

test("the ends of a VXLAN device are of one family, and so is where its entries lead", async () => {
  const { host } = await world();
  const add = (name: string, vni: number, local: string, remote?: string, dev = "p"): void => host.addLink({
    kind: "vxlan", name, vni, local, dstPort: 4789, dev, learning: false, ...(remote !== undefined && { more: { remote } }),
  });
  expect(() => add("x", 1, "10.0.0.1", "2001:db8::2")).toThrow("Invalid argument");
  expect(() => add("x", 1, "2001:db8::1", "10.0.0.2")).toThrow("Invalid argument");
  expect(() => add("x", 1, "2001:db8::1", "fe80::2")).toThrow("Invalid argument");
  expect(() => add("x", 1, "fe80::1", "2001:db8::2")).toThrow("Invalid argument");
  expect(() => add("x", 1, "fe80::1", "fe80::2", "")).toThrow("Invalid argument");
  expect(() => add("x", 1, "ff02::1")).toThrow("Invalid argument");
  expect(() => add("x", 1, "::", "ff02::5", "")).toThrow("Invalid argument");
  expect(() => add("x", 1, "::", "ff02::5")).toThrow("Operation not supported");
  add("six", 1, "2001:db8::1");
  expect(host.link("six")!.mtu).toBe(1430);
  expect(() => host.setLink("six", { mtu: 1431 })).toThrow("Invalid argument");
  add("four", 1, "10.0.0.1");
  expect(host.link("four")!.mtu).toBe(1450);
  expect(() => add("again", 1, "2001:db8::3")).toThrow("File exists");
  const entry = { lladdr: "02:00:00:00:00:07" };
  expect(() => host.setFdb({ dev: "six", ...entry, dst: "10.0.0.2" })).toThrow("EAFNOSUPPORT");
  expect(() => host.setFdb({ dev: "four", ...entry, dst: "2001:db8::2" })).toThrow("EAFNOSUPPORT");
  host.setFdb({ dev: "six", ...entry, dst: "2001:db8::" });
  expect(host.fdb("six").map(({ lladdr, dst }) => [lladdr, dst])).toEqual([["02:00:00:00:00:07", "2001:db8::"]]);
  host.deleteFdb("six", entry.lladdr, "2001:db8::");
  expect(host.fdb("six")).toEqual([]);
});
