/** Two pods and their host, for tests of what lies on the way: how they are wired, datagrams between them, what rules have counted. */
import { setIpv6 } from "../../src/kernel/ipv6.ts";
import type { IptablesHandle } from "../../src/kernel/iptables/index.ts";
import type { Netns } from "../../src/kernel/netns.ts";
import { createTestNode, type TestNode } from "./harness.ts";

export interface TwoPods {
  readonly node: TestNode;
  readonly host: Netns;
  readonly a: Netns;
  readonly b: Netns;
}

/** a (10.0.1.2) and b (10.0.2.2), routed by the host; or both behind its bridge br0 (10.0.1.2, 10.0.1.3). Their host's ends are p-a, p-b. */
export async function twoPods(bridged = false): Promise<TwoPods> {
  const node = await createTestNode();
  const { host } = node.kernel;
  host.setLink("lo", { up: true });
  host.setSysctl("net.ipv4.ip_forward", 1);
  if (bridged) {
    host.addLink({ kind: "bridge", name: "br0" });
    host.setLink("br0", { up: true });
    host.addAddress("br0", "10.0.1.1/24");
    host.setSysctl("net.bridge.bridge-nf-call-iptables", 1);
  }
  const pod = (name: string, net: number, address: string): Netns => {
    const ns = addPod(node, name, { master: bridged ? "br0" : undefined });
    if (!bridged) host.addAddress(`p-${name}`, `10.0.${net}.1/24`);
    ns.addAddress("eth0", `${address}/24`);
    ns.addRoute({ dst: "default", via: `10.0.${net}.1` });
    return ns;
  };
  const a = pod("a", 1, "10.0.1.2");
  return { node, host, a, b: bridged ? pod("b", 1, "10.0.1.3") : pod("b", 2, "10.0.2.2") };
}

/** a (2001:db8:1::2) and b (2001:db8:2::2), routed by the host; their addresses are in use at once, their links settled. */
export async function twoPods6(): Promise<TwoPods> {
  const node = await createTestNode();
  const { host } = node.kernel;
  setIpv6(host, true);
  host.setSysctl("net.ipv6.conf.default.accept_dad", 0);
  host.setLink("lo", { up: true });
  host.setSysctl("net.ipv6.conf.all.forwarding", 1);
  const pod = (name: string, net: number): Netns => {
    const ns = addPod(node, name, { ready6: true });
    host.addAddress(`p-${name}`, `2001:db8:${net}::1/64`);
    ns.addAddress("eth0", `2001:db8:${net}::2/64`);
    ns.addRoute({ dst: "::/0", via: `2001:db8:${net}::1` });
    return ns;
  };
  const [a, b] = [pod("a", 1), pod("b", 2)];
  await node.advance(4000);
  return { node, host, a, b };
}

/** A namespace with lo and eth0 up; eth0's peer is p-NAME, in `master`. With `ready6`, addresses of IPv6 are in use at once. */
function addPod({ kernel }: TestNode, name: string, { master, ready6 = false }: { master?: string | undefined; ready6?: boolean } = {}): Netns {
  const { host } = kernel;
  const ns = kernel.addNetns(name);
  if (ready6) ns.setSysctl("net.ipv6.conf.default.accept_dad", 0);
  host.addLink({ kind: "veth", name: `p-${name}`, peer: { name: "eth0", netns: ns } });
  host.setLink(`p-${name}`, { up: true, ...(master === undefined ? {} : { master }) });
  ns.setLink("lo", { up: true });
  ns.setLink("eth0", { up: true });
  return ns;
}

/** Datagrams from one namespace to port 7000 of an address of another, `waitMs` apart; what arrived, as text. */
export async function sendDatagrams(
  { node }: TwoPods, from: Netns, to: Netns, address: string, texts: readonly string[], waitMs = 50,
): Promise<string[]> {
  const any = address.includes(":") ? { address: "::" } : {};
  const server = to.sockets.udp({ local: { port: 7000, ...any } });
  const got: string[] = [];
  const listen = (async () => {
    for (;;) {
      const { data } = await server.receive();
      got.push(Buffer.from(data).toString());
    }
  })().catch(() => undefined);
  const client = from.sockets.udp({ local: any });
  try {
    for (const text of texts) {
      client.send(Buffer.from(text), { address, port: 7000 });
      await node.advance(waitMs);
    }
  } finally {
    client.close();
    server.close();
  }
  await listen;
  return got;
}

/** What each rule of a chain has counted. */
export const packetsOf = (tables: Netns["ip6tables"], table: string, chain: string): number[] =>
  (tables as IptablesHandle).counters(table)!.find((one) => one.chain === chain)!.rules.map(([packets]) => Number(packets));
