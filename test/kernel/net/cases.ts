/** Cases of the netfilter oracle (FORMAT.md) that need no rules, through one node: interfaces are NICs of its initial namespace. */
import { readFileSync } from "node:fs";
import type { RuleSpec } from "../../../src/kernel/netns.ts";
import { createTestNode, shared, type TestNode } from "../harness.ts";

interface Interface {
  readonly kind?: "veth" | "vxlan" | "bridge";
  readonly mac: string;
  readonly mtu?: number;
  readonly addr?: readonly string[];
  readonly master?: string;
  readonly vni?: number;
  readonly local?: string;
  readonly dev?: string;
  readonly dstport?: number;
  readonly opts?: string;
}

export interface Case {
  readonly name: string;
  readonly interfaces: Readonly<Record<string, Interface>>;
  readonly routes?: readonly {
    dst: string; via?: string; dev?: string; type?: "blackhole" | "unreachable" | "prohibit"; src?: string; metric?: number;
    table?: number; mtu?: number; onlink?: boolean;
  }[];
  readonly ip_rules?: readonly string[];
  readonly neighbors?: readonly { ip: string; mac: string; dev: string }[];
  readonly fdb?: readonly { mac: string; dev: string; dst: string }[];
  readonly sysctl?: Readonly<Record<string, string | number>>;
  readonly iptables?: string;
  readonly keep_non_ip?: boolean;
  readonly packets: readonly { at_ms: number; in: string; frame: string }[];
}

export interface Result {
  readonly out: readonly { pkt: number; dev: string; frame: string; any?: readonly (readonly [number, number])[] }[];
  readonly snmp: Readonly<Record<string, number>>;
}

const read = <T>(folder: string, name: string): T =>
  JSON.parse(readFileSync(new URL(`oracle/${folder}/${name}.json`, shared), "utf8")) as T;

export const readCase = (name: string): Case => read("cases", name);
export const readResult = (name: string): Result => read("results", name);

/** A node set up as the case says. */
export async function buildCase(test: Case): Promise<{ node: TestNode; names: Map<number, string> }> {
  const node = await createTestNode();
  const host = node.kernel.host;
  host.setLink("lo", { up: true });
  const base: Record<string, string | number> = {
    "net.ipv4.ip_forward": 1, "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv4.icmp_ratelimit": 0, "net.ipv4.icmp_ratemask": 0, "net.ipv4.icmp_msgs_per_sec": 1000000,
    "net.ipv4.icmp_msgs_burst": 1000000,
  };
  for (const [name, value] of Object.entries(base)) host.setSysctl(name, value);
  const interfaces = Object.entries(test.interfaces);
  for (const [name, { kind, mac, mtu }] of interfaces) {
    if (kind === undefined || kind === "veth") {
      host.addLink({ kind: "nic", name, mac, mtu: mtu ?? 1500 });
      host.setLink(name, { up: true });
    }
  }
  for (const [name, i] of interfaces) {
    if (i.kind === "bridge") host.addLink({ kind: "bridge", name, mac: i.mac });
    if (i.kind === "vxlan") {
      const opts = i.opts ?? "nolearning";
      host.addLink({
        kind: "vxlan", name, mac: i.mac, mtu: i.mtu ?? 1450, vni: i.vni!, local: i.local!, dev: i.dev!,
        dstPort: i.dstport ?? 4789, learning: !opts.includes("nolearning"), udpCsum: !opts.includes("noudpcsum"),
      });
    }
  }
  for (const [name, { master, addr }] of interfaces) {
    if (master !== undefined) host.setLink(name, { master });
    host.setLink(name, { up: true });
    for (const cidr of addr ?? []) host.addAddress(name, cidr);
  }
  for (const { ip, mac, dev } of test.neighbors ?? []) host.setNeigh({ dev, dst: ip, lladdr: mac });
  for (const route of test.routes ?? []) host.addRoute(route);
  for (const { mac, dev, dst } of test.fdb ?? []) host.setFdb({ dev, lladdr: mac, dst, append: true });
  for (const rule of test.ip_rules ?? []) host.addRule(parseRule(rule));
  for (const [name, value] of Object.entries(test.sysctl ?? {})) host.setSysctl(name, value);
  if (test.iptables) host.iptables.restore(test.iptables);
  await node.settle();
  node.takeFrames();
  return { node, names: new Map(host.links().map((link) => [link.ifindex, link.name])) };
}

/** The arguments of `ip rule add`. */
function parseRule(text: string): RuleSpec {
  const words = text.split(" ");
  const value = (key: string): string | undefined => {
    const at = words.indexOf(key);
    return at < 0 ? undefined : words[at + 1];
  };
  const [mark, mask] = value("fwmark")?.split("/") ?? [];
  const from = value("from");
  const to = value("to");
  return {
    pref: Number(value("pref")), table: Number(value("table") ?? value("lookup")),
    ...(mark !== undefined && { fwmark: Number(mark), ...(mask !== undefined && { fwmask: Number(mask) }) }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

/** Bytes that may be anything become zero, the IP checksum with them where it covers them. */
function masked(hex: string, any: readonly (readonly [number, number])[] = []): string {
  let text = hex;
  for (const [from, to] of any) text = text.slice(0, from * 2) + "00".repeat(to - from) + text.slice(to * 2);
  return text;
}

export interface Outcome {
  readonly out: readonly string[];
  readonly snmp: Readonly<Record<string, number>>;
}

/** What the oracle says must come out. */
export const expected = (result: Result): Outcome => ({
  out: result.out.map(({ pkt, dev, frame, any }) => `${pkt} ${dev} ${masked(frame, any)}`),
  snmp: result.snmp,
});

/** Runs the packets. Frames are masked as those of the oracle in the same place of the order are. */
export async function runCase(test: Case, result: Result): Promise<Outcome & { node: TestNode }> {
  const { node, names } = await buildCase(test);
  const ifindex = new Map([...names].map(([index, name]) => [name, index]));
  const out: string[] = [];
  let now = 0;
  const collect = (pkt: number): void => {
    for (const frame of node.takeFrames()) {
      const hex = Buffer.from(frame.bytes).toString("hex");
      if (!test.keep_non_ip && hex.slice(24, 28) !== "0800") continue;
      out.push(`${pkt} ${names.get(frame.ifindex)} ${masked(hex, result.out[out.length]?.any)}`);
    }
  };
  for (const [pkt, { at_ms, in: dev, frame }] of test.packets.entries()) {
    if (at_ms > now) {
      await node.advance(at_ms - now);
      collect(pkt);
      now = at_ms;
    }
    node.inject(ifindex.get(dev)!, frame);
    await node.settle();
    collect(pkt);
  }
  await node.advance(40);
  collect(test.packets.length - 1);
  const snmp = Object.fromEntries(
    Object.entries(node.kernel.host.snmp()).map(([name, value]) => [name.replace(".", ""), value]),
  );
  return { out, snmp, node };
}
