// The compiled evaluator against the plain one: two nodes get the same rules and the same packets; verdicts, bytes sent, counters,
// connections, traces and the clock must be the same, through edits of the rules.
import { beforeAll, expect, test } from "vitest";
import { NF_CT_LIST, NF_EVALUATOR } from "../../../assembly/abi/netfilter.ts";
import type { IptablesHandle } from "../../../src/kernel/iptables/index.ts";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { createTestNode, kernelModule, type TestNode } from "../harness.ts";

// Builds the kernel if it has to.
beforeAll(() => kernelModule(), 240_000);

/** A generator of numbers below a bound, from a seed. */
function random(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const PACKETS = 60;
const ADDRESSES = ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6"];
const PORTS = [1, 2, 3, 53, 80];

/** Rules of the kinds that are looked up, mixed with those that are not. */
function ruleset(below: (bound: number) => number): { table: string; lines: string[]; chains: string[] } {
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const table = pick(["filter", "nat", "mangle", "raw"]);
  const builtin = { filter: ["FORWARD"], nat: ["PREROUTING", "POSTROUTING"], mangle: ["PREROUTING", "FORWARD", "POSTROUTING"], raw: ["PREROUTING"] }[table]!;
  const chains = ["A", "B", "C", "D"];
  const not = (): string => (below(8) === 0 ? "! " : "");
  const fields = (protocol: string): string => {
    const parts: string[] = [];
    if (below(2) === 0) parts.push(`${not()}-s ${pick(ADDRESSES)}${pick(["", "", "", "/31"])}`);
    if (below(2) === 0) parts.push(`${not()}-d ${pick(ADDRESSES)}${pick(["", "", "", "/30"])}`);
    if (protocol !== "") {
      parts.push(`-p ${protocol}`);
      if (protocol !== "icmp" && below(4) > 0) {
        parts.push(`-m ${protocol}`);
        if (below(3) === 0) parts.push(`${not()}--sport ${pick(PORTS)}${pick(["", "", ":90"])}`);
        if (below(3) > 0) parts.push(`${not()}--dport ${pick(PORTS)}${pick(["", "", ":90"])}`);
        if (protocol === "tcp" && below(6) === 0) parts.push("--tcp-option 2");
      }
    } else if (below(6) === 0) parts.push("! -p udp");
    return parts.join(" ");
  };
  const OTHER = ["", "", "", "", "-m mark --mark 0x1/0x1", "-m statistic --mode nth --every 2 --packet 0", "-m statistic --mode random --probability 0.5",
    "-m conntrack --ctstate NEW", "-m length --length 20:60", "-m limit --limit 20/sec", "-f", "-m recent --name r --set --rsource",
    "-m ttl --ttl-lt 64", "tcp -m multiport --dports 1,80"];
  const verdict = (chain: string): string => {
    const user = chains.indexOf(chain);
    const further = chains.slice(user + 1);
    const choices = ["", "-j RETURN", "-j ACCEPT", "-j DROP"];
    if (further.length > 0) choices.push(`-j ${pick(further)}`, `-j ${pick(further)}`, `-g ${pick(further)}`);
    if (table === "mangle") choices.push("-j MARK --set-xmark 0x1/0x1", "-j TTL --ttl-set 9", "-j TEE --gateway 10.0.1.7");
    if (table === "filter") choices.push("-j REJECT", "-j MARK --set-xmark 0x3/0x3");
    if (chain === "PREROUTING" && table === "nat") choices.push("udp -j DNAT --to-destination 10.0.1.6:9", "tcp -j DNAT --to-destination 10.0.1.5-10.0.1.6:80-99");
    if (chain === "POSTROUTING" && table === "nat") choices.push("-j MASQUERADE");
    const choice = pick(choices);
    return table === "nat" && choice === "-j DROP" ? "-j RETURN" : choice;
  };
  const rule = (chain: string): string => {
    const input = chain === "PREROUTING" || chain === "FORWARD" ? pick(["", "", "", "-i eth0", "-i eth1", "-i eth+"]) : "";
    // A target or match that wants a protocol begins with its name; one protocol to a rule.
    let protocol = pick(["", "tcp", "udp", "udp", "icmp"]);
    const last = verdict(chain).replace(/^(tcp|udp) /, (_, name: string) => ((protocol = name), ""));
    const middle = pick(OTHER).replace(/^tcp (.*)/, (_, match: string) => (protocol === "tcp" ? match : ""));
    return [`-A ${chain}`, input, fields(protocol), middle, last].filter((part) => part !== "").join(" ");
  };
  const lines = [];
  for (const chain of [...builtin, ...chains]) {
    for (let n = pick([2, 8, 20, 40]); n > 0; n--) lines.push(rule(chain));
    // A run as kube-proxy writes them.
    if (below(2) === 0) for (let n = 0; n < 12; n++) lines.push(`-A ${chain} -d ${pick(ADDRESSES)}/32 -p udp -m udp --dport ${pick(PORTS)} ${verdict(chain).replace(/^tcp .*|^udp /, "")}`);
  }
  return { table, lines, chains };
}

function packet(below: (bound: number) => number, n: number): Uint8Array {
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const frame = new Uint8Array(14 + 28 + below(40));
  const from = below(2);
  frame.set([2, 0, 0, 0, from, 1, 2, 0, 0, 0, 0, 1, 8, 0]);
  const ip = frame.subarray(14);
  const short = below(12) === 0;
  const length = short ? 20 + below(12) : ip.length;
  ip.set([0x45, 0, length >> 8, length & 255, 0, n & 255, 0, 0, 64, pick([6, 17, 17, 1, 132])]);
  if (below(14) === 0) ip[6] = pick([0x20, 0x00]);
  if (below(14) === 0) ip[7] = below(4);
  ip.set(pick(ADDRESSES).split(".").map(Number), 12);
  ip.set(pick(ADDRESSES).split(".").map(Number), 16);
  if (ip[9] === 1) ip[20] = pick([8, 0, 3]);
  else ip.set([0, pick(PORTS), 0, pick(PORTS)], 20);
  if (ip[9] === 17) ip.set([0, Math.max(8, length - 20)], 24);
  if (ip[9] === 6 && ip.length >= 34) ip.set([pick([0x50, 0x50, 0x60]), pick([2, 16, 18, 17, 4])], 32);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += i === 10 ? 0 : (ip[i]! << 8) | ip[i + 1]!;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
  ip.set([sum >> 8, sum & 255], 10);
  return frame;
}

const addressOfSix = (address: string): string => address.replace(/10\.0\.(\d)\.(\d)/g, "fd00:$1::$2");

/** The same rules as ip6tables has them. */
function lineOfSix(line: string): string {
  return addressOfSix(line.replace(/--to-destination ([\d.-]+):/, "--to-destination [$1]:")).replace(/\/32\b/g, "/128").replace(/(::\d)\/31\b/g, "$1/127")
    .replace(/(::\d)\/30\b/g, "$1/126").replace("-p icmp", "-p ipv6-icmp").replace("-m ttl --ttl-lt", "-m hl --hl-lt").replace("-j TTL --ttl-set", "-j HL --hl-set")
    .replace(" -f ", " ").replace(/ -f$/, "");
}

/** The packet of IPv4 as one of IPv6, some of them behind a header of options. */
function packetOfSix(frame: Uint8Array, below: (bound: number) => number): Uint8Array {
  const four = frame.subarray(14);
  const options = below(6) === 0 ? 8 : 0;
  const made = new Uint8Array(14 + 40 + options + Math.max(0, four.length - 20));
  made.set(frame.subarray(0, 12));
  made.set([0x86, 0xdd, 0x60, 0, 0, 0], 12);
  const length = Math.max(0, ((four[2]! << 8) | four[3]!) - 20) + options;
  const protocol = four[9] === 1 ? 58 : four[9]!;
  made.set([length >> 8, length & 255, options > 0 ? 60 : protocol, four[8]!], 18);
  for (const [at, from] of [[22, 12], [38, 16]] as const) {
    made.set([0xfd, 0, 0, four[from + 2]!], at);
    made[at + 15] = four[from + 3]!;
  }
  if (options > 0) made.set([protocol, 0, 1, 4], 54);
  made.set(four.subarray(20), 54 + options);
  if (protocol === 58 && made.length > 54 + options) made[54 + options] = four[20] === 8 ? 128 : four[20] === 0 ? 129 : 1;
  return made;
}

async function createSide(plain: boolean, trace: boolean, seed: number, six = false): Promise<TestNode> {
  const node = await createTestNode({ seed, build: "release" });
  const { host, context } = node.kernel;
  if (six) {
    for (const [name, value] of [["default.disable_ipv6", 0], ["all.disable_ipv6", 0], ["default.accept_dad", 0], ["all.accept_dad", 0], ["default.accept_ra", 0],
      ["default.dad_transmits", 0], ["default.router_solicitations", 0], ["all.forwarding", 1]] as const) host.setSysctl(`net.ipv6.conf.${name}`, value);
  }
  for (const [name, n] of [["eth0", 0], ["eth1", 1]] as const) {
    host.addLink({ kind: "nic", name, mac: `02:00:00:00:0${n}:01` });
    host.setLink(name, { up: true });
    host.addAddress(name, `10.0.${n}.1/24`);
    if (six) host.addAddress(name, `fd00:${n}::1/64`);
    for (let i = 2; i < 9; i++) host.setNeigh({ dev: name, dst: `10.0.${n}.${i}`, lladdr: `02:00:00:00:0${n}:${10 + i}`, state: "PERMANENT" });
    for (let i = 2; six && i < 9; i++) host.setNeigh({ dev: name, dst: `fd00:${n}::${i}`, lladdr: `02:00:00:00:0${n}:${10 + i}`, state: "PERMANENT" });
  }
  host.setSysctl("net.ipv4.ip_forward", 1);
  node.instance.view.setUint32(0, hostHandle(context), true);
  node.instance.view.setUint32(4, plain ? 1 : 0, true);
  context.command(NF_EVALUATOR, 8);
  node.kernel.observe({ capture: false, trace });
  return node;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** All that can be seen of a side since the last look. */
function seen(node: TestNode, table: string, family: "iptables" | "ip6tables" = "iptables"): string[] {
  const { instance, kernel, clock } = node;
  instance.view.setUint32(0, hostHandle(kernel.context), true);
  instance.view.setUint32(4, 0, true);
  const connections = hex(instance.copy(0, kernel.context.command(NF_CT_LIST, 8)));
  const counters = (kernel.host[family] as IptablesHandle).counters(table)!.map(({ chain, packets, bytes, rules }) => `${chain} ${packets}:${bytes} ${rules.join(" ")}`);
  const sent = node.takeFrames().map(({ timeNs, ifindex, bytes }) => `${timeNs} ${ifindex} ${hex(bytes)}`);
  return [String(clock.nowNs()), ...counters, ...sent, ...node.observed.splice(0).map(hex), connections, JSON.stringify(kernel.host.drops())];
}

test("compiled and plain evaluators see, send, count and remember the same", async () => {
  let rulesets = 0;
  let matched = 0n;
  for (let seed = 1; seed <= 150; seed++) {
    const below = random(seed * 7919);
    const trace = seed % 3 === 0;
    const sides = [await createSide(false, trace, seed), await createSide(true, trace, seed)];
    for (let turn = 0; turn < 3; turn++) {
      const { table, lines, chains } = ruleset(below);
      for (let edit = 0; edit < 3; edit++) {
        if (edit > 0) {
          // A line gone, a line twice, two lines swapped.
          const at = below(lines.length), other = below(lines.length);
          if (edit === 1) lines.splice(at, 1);
          else [lines[at], lines[other]] = [lines[other]!, lines[at]!];
          lines.push(lines[below(lines.length)]!);
        }
        const text = `*${table}\n${chains.map((chain) => `:${chain} - [0:0]\n`).join("")}${lines.join("\n")}\nCOMMIT\n`;
        for (const side of sides) side.kernel.host.iptables.restore(text);
        rulesets++;
        for (let n = 0; n < PACKETS; n++) {
          const frame = packet(below, n);
          const nic = `eth${frame[4]!}`;
          const wait = n % 16 === 0 ? below(300) * 1e6 : 0;
          for (const side of sides) {
            side.inject(side.kernel.host.link(nic)!.ifindex, frame);
            side.run();
            if (wait > 0) side.kernel.charge(wait);
          }
        }
        const [compiled, plain] = sides.map((side) => seen(side, table));
        expect(compiled, `seed ${seed}, turn ${turn}, edit ${edit}\n${text}`).toEqual(plain);
        for (const { packets } of (sides[0]!.kernel.host.iptables as IptablesHandle).counters(table)!) matched += packets;
      }
    }
    for (const side of sides) side.kernel.destroy();
  }
  expect(rulesets).toBe(1350);
  expect(matched).toBeGreaterThan(20_000n);
}, 120_000);

test("the same of IPv6", async () => {
  useFullIptables();
  let matched = 0n;
  for (let seed = 1; seed <= 60; seed++) {
    const below = random(seed * 6131);
    const sides = [await createSide(false, seed % 3 === 0, seed, true), await createSide(true, seed % 3 === 0, seed, true)];
    for (let turn = 0; turn < 3; turn++) {
      const { table, lines, chains } = ruleset(below);
      const text = `*${table}\n${chains.map((chain) => `:${chain} - [0:0]\n`).join("")}${lines.map(lineOfSix).join("\n")}\nCOMMIT\n`;
      for (const side of sides) side.kernel.host.ip6tables!.restore(text);
      for (let n = 0; n < 2 * PACKETS; n++) {
        const four = packet(below, n);
        const frame = packetOfSix(four, below);
        const nic = `eth${frame[4]!}`;
        for (const side of sides) {
          side.inject(side.kernel.host.link(nic)!.ifindex, frame);
          side.run();
        }
      }
      const [compiled, plain] = sides.map((side) => seen(side, table, "ip6tables"));
      expect(compiled, `seed ${seed}, turn ${turn}\n${text}`).toEqual(plain);
      for (const { packets } of (sides[0]!.kernel.host.ip6tables as IptablesHandle).counters(table)!) matched += packets;
    }
    for (const side of sides) side.kernel.destroy();
  }
  expect(matched).toBeGreaterThan(2_000n);
}, 120_000);
