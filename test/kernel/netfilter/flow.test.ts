// Programs of flows (assembly/net/flow.ts) against the long way: two nodes get the same configuration and the same conversations, one of
// them by the plain evaluator, which knows no programs. Frames with their times, every counter, connections and drops must be the same,
// while rules, routes, neighbours, addresses, sysctls and devices change under the flows.
import { beforeAll, expect, test } from "vitest";
import { NF_CT_LIST, NF_EVALUATOR } from "../../../assembly/abi/netfilter.ts";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import type { IptablesHandle } from "../../../src/kernel/iptables/index.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { createTestNode, kernelModule, type TestNode } from "../harness.ts";

// Builds the kernel if it has to.
beforeAll(async () => {
  useFullIptables();
  await kernelModule("release");
}, 240_000);

type Below = (bound: number) => number;

/** A generator of numbers below a bound, from a seed. */
function random(seed: number): Below {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const SERVICE = "10.9.0.1";
const bytesOf = (address: string): number[] => address.split(".").map(Number);

function fold(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

interface Segment {
  readonly source: string;
  readonly destination: string;
  readonly sport: number;
  readonly dport: number;
  readonly tcp?: { readonly seq: number; readonly ack: number; readonly flags: number; readonly window: number };
  readonly payload: number;
}

/** An Ethernet frame for the NIC `nic`; now and then with something about it that the short way must not take. */
function frameOf(segment: Segment, nic: number, below: Below): Uint8Array {
  const { source, destination, sport, dport, tcp, payload } = segment;
  const l4 = (tcp === undefined ? 8 : 20) + payload;
  const options = below(40) === 0 ? 4 : 0;
  const frame = new Uint8Array(Math.max(14 + 20 + options + l4, below(2) === 0 ? 60 : 0));
  frame.set([2, 0, 0, 0, nic, below(50) === 0 ? 9 : 1, 2, 0, 0, 0, 0, 1, 8, 0]);
  const ip = frame.subarray(14, 14 + 20 + options + l4);
  ip.set([0x45 + options / 4, pick(below, [0, 0, 0, 0, 0x10, 0x08, 1, 3]), ip.length >> 8, ip.length & 255, 0, below(256), pick(below, [0, 0, 0x40, 0x40]), 0,
    pick(below, [64, 64, 64, 63, 2, 1]), tcp === undefined ? 17 : 6]);
  if (options > 0) ip.set([1, 1, 1, 0], 20);
  if (below(60) === 0) ip[6]! |= 0x20;
  ip.set(bytesOf(source), 12);
  ip.set(bytesOf(destination), 16);
  const head = ip.subarray(0, 20 + options);
  const checksum = fold(head, 0);
  ip.set([checksum >> 8, checksum & 255], 10);
  if (below(60) === 0) ip[10]! ^= 1;
  const at = ip.subarray(20 + options);
  for (let i = l4 - payload; i < l4; i++) at[i] = below(256);
  at.set([sport >> 8, sport & 255, dport >> 8, dport & 255]);
  if (tcp === undefined) at.set([l4 >> 8, l4 & 255], 4);
  else {
    at.set([tcp.seq >>> 24, (tcp.seq >>> 16) & 255, (tcp.seq >>> 8) & 255, tcp.seq & 255], 4);
    at.set([tcp.ack >>> 24, (tcp.ack >>> 16) & 255, (tcp.ack >>> 8) & 255, tcp.ack & 255], 8);
    at.set([0x50, tcp.flags, tcp.window >> 8, tcp.window & 255], 12);
  }
  if (tcp === undefined && below(60) === 0) at[5] = below(64);
  const pseudo = [...bytesOf(source), ...bytesOf(destination)].reduce((sum, byte, i) => sum + (i & 1 ? byte : byte << 8), 0) + (tcp === undefined ? 17 : 6) + l4;
  const sum = fold(at, pseudo) || 0xffff;
  if (tcp !== undefined || below(6) > 0) at.set([sum >> 8, sum & 255], tcp === undefined ? 6 : 16);
  if (below(60) === 0) at[tcp === undefined ? 6 : 16]! ^= 1;
  return frame;
}

function pick<T>(below: Below, list: readonly T[]): T {
  return list[below(list.length)]!;
}

/** One conversation: what both sides have sent so far. */
interface Talk {
  readonly client: string;
  readonly server: string;
  /** Who answers, and to whom: what NAT may have made of the two. */
  readonly backend: { readonly address: string; readonly port: number; readonly nic: number };
  readonly sport: number;
  readonly dport: number;
  readonly tcp: boolean;
  step: number;
  readonly seq: [number, number];
}

function talkOf(below: Below): Talk {
  const server = pick(below, ["10.0.1.5", "10.0.1.6", SERVICE, SERVICE, "10.0.2.2", "10.0.3.7"]);
  const service = server === SERVICE;
  return {
    client: `10.0.0.${2 + below(4)}`, server, sport: 1000 + below(12), dport: service ? 80 : pick(below, [53, 80, 8080]), tcp: below(2) === 0, step: 0,
    backend: { address: service ? "10.0.1.5" : server, port: service ? 8080 : 0, nic: 1 }, seq: [below(2 ** 32), below(2 ** 32)],
  };
}

/** The next packet of a conversation and the NIC that it comes in by. */
function next(talk: Talk, below: Below): { segment: Segment; nic: number } {
  const n = talk.step++;
  const reply = talk.tcp && n < 3 ? n === 1 : below(2) === 0;
  const { client, server, backend, sport, dport, seq } = talk;
  const payload = talk.tcp && n < 3 ? 0 : below(30) === 0 ? 1400 + below(100) : below(40);
  let tcp: Segment["tcp"];
  if (talk.tcp) {
    const me = reply ? 1 : 0;
    let flags = n === 0 ? 2 : n === 1 ? 0x12 : pick(below, [0x10, 0x18, 0x18, 0x50]);
    if (n > 2 && below(25) === 0) flags = pick(below, [0x11, 0x04, 0x14, 0x02, 0x30, 0x00]);
    const off = below(20) === 0 ? pick(below, [-1, -100_000, 5000, 2 ** 31]) : 0;
    tcp = { seq: (seq[me]! + off) >>> 0, ack: flags & 0x10 ? seq[1 - me]! : 0, flags, window: pick(below, [8000, 8000, 64_000, 100, 0]) };
    seq[me] = (seq[me]! + payload + (flags & 3 ? 1 : 0)) >>> 0;
  }
  if (!reply) return { segment: { source: client, destination: server, sport, dport, payload, ...(tcp && { tcp }) }, nic: 0 };
  const masqueraded = below(3) === 0;
  return {
    segment: { source: backend.address, destination: masqueraded ? "10.0.1.1" : client, sport: backend.port || dport, dport: sport, payload, ...(tcp && { tcp }) },
    nic: backend.nic,
  };
}

const DNAT = ["tcp", "udp"].map((protocol) => `-A PREROUTING -d ${SERVICE}/32 -p ${protocol} -j DNAT --to-destination 10.0.1.5:8080\n`).join("");

const RULES: readonly ((below: Below) => string)[] = [
  () => "*filter\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n",
  () => `*nat\n${DNAT}COMMIT\n`,
  () => `*nat\n${DNAT}-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n`,
  (below) => `*mangle\n-A PREROUTING -j CONNMARK --restore-mark\n-A PREROUTING -m mark --mark 0 -p tcp -j MARK --set-xmark 0x${1 + below(3)}/0xff\n`
    + "-A POSTROUTING -j CONNMARK --save-mark\nCOMMIT\n",
  (below) => `*mangle\n-A FORWARD ${pick(below, ["-m ttl --ttl-lt 40", "-m length --length 40:60", "-m tos --tos 0x10", "-m statistic --mode nth --every 3 --packet 0",
    "-m limit --limit 5/sec", "-m connmark --mark 0x1/0x1", "-m mac --mac-source 02:00:00:00:00:01", "-m ecn --ecn-ip-ect 1", "-m connbytes --connbytes 10: "
      + "--connbytes-dir both --connbytes-mode packets", "-m quota --quota 3000", "-m conntrack --ctexpire 100:200"])} `
    + `-j ${pick(below, ["MARK --set-xmark 0x7/0xff", "ACCEPT", "CLASSIFY --set-class 1:2", "TOS --set-tos 0x10/0xff", "TTL --ttl-dec 1"])}\nCOMMIT\n`,
  () => "*filter\n:CHAIN - [0:0]\n:CHAIN2 - [0:0]\n-A FORWARD -p tcp -m tcp --tcp-flags PSH,ACK PSH,ACK -j CHAIN\n-A FORWARD -p udp -j CHAIN\n-A CHAIN -i eth0 -j RETURN\n"
    + "-A CHAIN -o eth1 -p udp -m udp --dport 53\n-A CHAIN -m conntrack --ctstatus ASSURED\n-A CHAIN -m conntrack --ctdir REPLY -g CHAIN2\n"
    + "-A CHAIN2 -p tcp -m multiport --ports 80,8080 -j ACCEPT\nCOMMIT\n",
  () => "*raw\n-A PREROUTING -p udp -m udp --dport 53 -j CT --notrack\n-A PREROUTING -s 10.0.0.3/32\nCOMMIT\n",
  () => `*filter\n${Array.from({ length: 20 }, (_, i) => `-A FORWARD -s 10.0.0.${i}/32 -p tcp -m tcp --dport ${i + 70}\n`).join("")}`
    + "-A FORWARD -m addrtype --dst-type LOCAL -j DROP\n-A FORWARD -m conntrack --ctstate ESTABLISHED -m mark ! --mark 0x9 -j ACCEPT\n-A FORWARD -p tcp -j LOG\nCOMMIT\n",
  () => "*filter\nCOMMIT\n*mangle\nCOMMIT\n*raw\nCOMMIT\n",
];

/** Something changes; the same for every side. */
function change(below: Below): (side: Side) => void {
  const which = below(19), a = below(4), b = below(256), some = below(8), text = pick(below, RULES)(below);
  return ({ node, pod }) => {
    const host = node.kernel.host;
    const attempt = (run: () => void): void => {
      try {
        run();
      } catch {
        // It is that way already.
      }
    };
    if (which < 5) host.iptables.restore(text);
    else if (which === 5) host.setNeigh({ dev: "eth1", dst: `10.0.1.${5 + (a & 1)}`, lladdr: `02:00:00:00:01:${(16 + (b & 7)).toString(16)}`, state: a > 1 ? "REACHABLE" : "PERMANENT" });
    else if (which === 6) attempt(() => host.deleteNeigh("eth1", "10.0.1.5"));
    else if (which === 7) host.setLink("eth1", { mtu: pick(() => a, [1500, 1400, 9000, 1450]) });
    else if (which === 8) attempt(() => (some & 1 ? host.addRoute : host.deleteRoute).call(host, { dst: `10.0.1.${4 + (a & 1) * 2}/31`, via: `10.0.1.${7 + (some & 1)}`, dev: "eth1" }));
    else if (which === 9) host.setSysctl("net.ipv4.ip_forward", some > 1 ? 1 : 0);
    else if (which === 10) host.setSysctl("net.netfilter.nf_conntrack_udp_timeout_stream", 1 + b);
    else if (which === 11) attempt(() => (some & 1 ? host.addAddress : host.deleteAddress).call(host, "eth1", "10.9.0.1/32"));
    else if (which === 12) host.setLink("eth1", { mac: `02:00:00:00:01:0${1 + (a & 1)}` });
    else if (which === 13) host.setSysctl("net.ipv4.conf.all.rp_filter", a & 1);
    else if (which === 14) host.setSysctl("net.netfilter.nf_conntrack_checksum", a & 1);
    else if (which === 15) host.deleteConntrack((entry) => (entry.orig.sport ?? 0) % 4 === a);
    else if (which === 16) pod.setLink("eth0", { mac: `02:00:00:00:02:${(16 + (b & 3)).toString(16)}` });
    else if (which === 17) host.setSysctl("net.netfilter.nf_conntrack_acct", a & 1);
    else {
      host.setLink("eth1", { up: false });
      if (some > 0) {
        host.setLink("eth1", { up: true });
        routes(host);
      }
    }
    if (which !== 18 && host.link("eth1")!.up === false) {
      host.setLink("eth1", { up: true });
      routes(host);
    }
  };
}

interface Side {
  readonly node: TestNode;
  readonly pod: Netns;
}

function routes(host: Netns): void {
  for (let i = 2; i < 9; i++) host.setNeigh({ dev: "eth1", dst: `10.0.1.${i}`, lladdr: `02:00:00:00:01:${10 + i}`, state: "PERMANENT" });
}

async function createSide(plain: boolean, seed: number): Promise<Side> {
  const node = await createTestNode({ seed, build: "release" });
  const { host, context } = node.kernel;
  for (const [name, n] of [["eth0", 0], ["eth1", 1]] as const) {
    host.addLink({ kind: "nic", name, mac: `02:00:00:00:0${n}:01` });
    host.setLink(name, { up: true });
    host.addAddress(name, `10.0.${n}.1/24`);
    for (let i = 2; i < 9; i++) host.setNeigh({ dev: name, dst: `10.0.${n}.${i}`, lladdr: `02:00:00:00:0${n}:${10 + i}`, state: "PERMANENT" });
  }
  host.setSysctl("net.ipv4.ip_forward", 1);
  host.setSysctl("net.bridge.bridge-nf-call-iptables", seed & 1);
  const pod = node.kernel.addNetns("pod");
  host.addLink({ kind: "bridge", name: "br0", mac: "02:00:00:00:02:01" });
  host.addLink({ kind: "veth", name: "port", mac: "02:00:00:00:02:03", peer: { name: "eth0", netns: pod, mac: "02:00:00:00:02:02" } });
  host.setLink("port", { up: true, master: "br0" });
  host.setLink("br0", { up: true });
  host.addAddress("br0", "10.0.2.1/24");
  pod.setLink("lo", { up: true });
  pod.setLink("eth0", { up: true });
  pod.addAddress("eth0", "10.0.2.2/24");
  pod.addRoute({ dst: "default", via: "10.0.2.1", dev: "eth0" });
  host.addLink({ kind: "vxlan", name: "vxlan0", mac: "02:00:00:00:03:01", mtu: 1450, vni: 42, dstPort: 8472, local: "10.0.1.1", dev: "eth1", learning: false });
  host.setLink("vxlan0", { up: true });
  host.addAddress("vxlan0", "10.0.3.0/32");
  host.setNeigh({ dev: "vxlan0", dst: "10.0.3.1", lladdr: "02:00:00:00:03:02", state: "PERMANENT" });
  host.addRoute({ dst: "10.0.3.0/24", via: "10.0.3.1", dev: "vxlan0", onlink: true });
  host.setFdb({ dev: "vxlan0", lladdr: "02:00:00:00:03:02", dst: "10.0.1.3" });
  node.instance.view.setUint32(0, hostHandle(context), true);
  node.instance.view.setUint32(4, plain ? 1 : 0, true);
  context.command(NF_EVALUATOR, 8);
  return { node, pod };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** All that can be seen of a side since the last look. */
function seen({ node, pod }: Side): string[] {
  const { instance, kernel, clock } = node;
  instance.view.setUint32(0, hostHandle(kernel.context), true);
  instance.view.setUint32(4, 0, true);
  const connections = hex(instance.copy(0, kernel.context.command(NF_CT_LIST, 8)));
  const tables = ["raw", "mangle", "nat", "filter"].flatMap((table) => ((kernel.host.iptables as IptablesHandle).counters(table) ?? [])
    .map(({ chain, packets, bytes, rules }) => `${table} ${chain} ${packets}:${bytes} ${rules.join(" ")}`));
  const sent = node.takeFrames().map(({ timeNs, ifindex, bytes }) => `${timeNs} ${ifindex} ${hex(bytes)}`);
  const about = [kernel.host, pod].flatMap((ns) => [ns.links(), ns.neighbours(), ns.snmp(), ns.drops()].map((value) => JSON.stringify(value)));
  return [String(clock.nowNs()), ...tables, ...sent, ...node.observed.splice(0).map(hex), connections, JSON.stringify(kernel.host.conntrack()), ...about];
}

test("programs of flows do to the last byte, counter and nanosecond what the long way does", async () => {
  let frames = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const below = random(seed * 7919);
    const sides = [await createSide(false, seed), await createSide(true, seed)];
    const rules = pick(below, RULES)(below);
    for (const { node } of sides) {
      if (seed % 5 === 0) continue;
      node.kernel.host.iptables.restore(RULES[0]!(below));
      node.kernel.host.iptables.restore(rules);
    }
    const talks = Array.from({ length: 6 }, () => talkOf(below));
    for (let turn = 0; turn < 40; turn++) {
      const count = pick(below, [1, 10, 40, 100]);
      const story: string[] = [];
      for (let n = 0; n < count; n++) {
        const at = below(talks.length);
        if (below(80) === 0) talks[at] = talkOf(below);
        const { segment, nic: usual } = next(talks[at]!, below);
        const nic = below(60) === 0 ? 1 - usual : usual;
        const frame = frameOf(segment, nic, below);
        story.push(`${nic} ${hex(frame)}`);
        const burst = below(4) === 0;
        const wait = below(30) === 0 ? pick(below, [1, 2, 3, 4, 30, 60]) * 1e9 : 0;
        for (const { node } of sides) {
          node.inject(node.kernel.host.link(`eth${nic}`)!.ifindex, frame);
          if (!burst) node.run();
          if (wait > 0) node.kernel.charge(wait);
        }
      }
      for (const { node } of sides) node.run();
      const [flows, plain] = sides.map(seen);
      expect(flows, `seed ${seed}, turn ${turn}\n${story.join("\n")}`).toEqual(plain);
      frames += flows!.length;
      if (below(3) === 0) {
        const apply = change(below);
        for (const side of sides) apply(side);
      } else if (below(20) === 0) {
        const trace = below(2) === 0;
        for (const { node } of sides) node.kernel.observe({ capture: !trace, trace });
      } else if (below(10) === 0) for (const { node } of sides) node.kernel.observe({ capture: false, trace: false });
    }
    for (const { node } of sides) node.kernel.destroy();
  }
  expect(frames).toBeGreaterThan(20_000);
}, 240_000);
