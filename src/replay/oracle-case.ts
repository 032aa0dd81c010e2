/**
 * Drives one node's kernel through a case of the netfilter oracle (../shared/oracle/FORMAT.md) and gives a result of the same format:
 * interfaces are NICs, packets are injected at their times, and what left, what was delivered, connections, counters and statistics are
 * written down as the oracle writes them.
 */
import { EACCES, EHOSTUNREACH, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS, EPERM } from "../../assembly/abi/core.ts";
import {
  NFSTAT_CLASH_RESOLVE, NFSTAT_DROP, NFSTAT_EARLY_DROP, NFSTAT_ICMP_ERROR, NFSTAT_INSERT_FAILED, NFSTAT_INVALID, NF_LOCAL_OUT,
  NF_STAT,
} from "../../assembly/abi/netfilter.ts";
import { NET_NETNS_HOST } from "../../assembly/abi/net.ts";
import { listConntrack } from "../kernel/conntrack.ts";
import type { NodeContext } from "../kernel/context.ts";
import type { IptablesHandle } from "../kernel/iptables/index.ts";
import { useFullIptables } from "../kernel/iptables/full.ts";
import { restoreIpsets } from "../kernel/ipset.ts";
import { devices } from "../kernel/devices.ts";
import { createNodeKernel, type NodeKernelHandle } from "../kernel/kernel.ts";
import type { KernelInstance } from "../kernel/memory.ts";
import { ebtablesOf } from "../kernel/nft/ebtables.ts";
import { nftOf, type NftHandle } from "../kernel/nft/index.ts";
import type { LinkSpec, Netns, RuleSpec } from "../kernel/netns.ts";
import { rawSocket } from "../kernel/socket-calls.ts";
import type { UdpSocket } from "../kernel/sockets.ts";
import { manualClock } from "./clock.ts";
import { delivered6, forwardIpv6, frame6, hasIpv6, isNdp, prepareIpv6 } from "./ipv6-case.ts";
import { Observer, type Observations } from "../trace/observer.ts";
import { ReplayError } from "./check-case.ts";
import { Normaliser, hexBytes } from "./packet.ts";
import { vxlanOpts } from "./vxlan-opts.ts";

export interface OracleInterface {
  readonly mac: string;
  readonly addr?: readonly string[];
  readonly mtu?: number;
  readonly kind?: "veth" | "vxlan" | "bridge";
  readonly master?: string;
  readonly vni?: number;
  readonly local?: string;
  readonly dev?: string;
  readonly dstport?: number;
  readonly opts?: string;
}
export interface OraclePacket {
  readonly at_ms?: number;
  readonly in: string;
  readonly frame: string;
  readonly quiet_ms?: number;
}
export interface OracleRoute {
  readonly dst: string;
  readonly via?: string;
  readonly dev?: string;
  readonly type?: string;
  readonly src?: string;
  readonly metric?: number;
  readonly table?: number;
  readonly mtu?: number;
  readonly onlink?: boolean;
  readonly scope?: string;
}
/** A case, as FORMAT.md describes it. */
export interface OracleCase {
  readonly name: string;
  readonly interfaces: Readonly<Record<string, OracleInterface>>;
  readonly routes?: readonly OracleRoute[];
  readonly ip_rules?: readonly string[];
  readonly neighbors?: readonly { readonly ip: string; readonly mac: string; readonly dev: string }[];
  readonly fdb?: readonly { readonly mac: string; readonly dev: string; readonly dst: string }[];
  readonly sysctl?: Readonly<Record<string, string | number>>;
  readonly ipset?: string;
  readonly iptables?: string;
  /** Text for `nft -f -`, after iptables-restore; the result then has `nft`, the lines of `nft list ruleset` at the end. */
  readonly nft?: string;
  /** Text for `ip6tables-restore`. */
  readonly ip6tables?: string;
  /** Text for `ebtables-restore`; the result then has `ebtables`, the lines of `ebtables-save -c` at the end. */
  readonly ebtables?: string;
  readonly packets: readonly OraclePacket[];
  readonly udp_echo?: readonly { readonly addr?: string; readonly port: number }[];
  readonly tcp_listen?: readonly { readonly addr?: string; readonly port: number }[];
  readonly tcp_listen_as?: readonly number[];
  readonly known_ports?: readonly number[];
  readonly raw_protos?: readonly number[];
  readonly ct_trace?: boolean;
  readonly any_port?: { readonly addr: string; readonly range: readonly [number, number] };
  readonly keep_non_ip?: boolean;
  /** Keep what IPv6 says by itself: neighbour discovery, group membership. */
  readonly keep_ndp?: boolean;
}
/** A result, as FORMAT.md describes it. */
export type OracleResult = Record<string, unknown>;

// The oracle's waits: after each packet, and at the end.
const QUIET_MS = 8;
const FINAL_MS = 40;
/** Until what IPv6 says of its addresses and groups is over. */
const QUIET_IPV6_MS = 2000;
const NS_PER_MS = 1e6;

const BASE_SYSCTLS: Readonly<Record<string, number>> = {
  "net.ipv4.ip_forward": 1, "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0,
  "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.default.send_redirects": 0, "net.ipv4.icmp_ratelimit": 0,
  "net.ipv4.icmp_ratemask": 0, "net.ipv4.icmp_msgs_per_sec": 1000000, "net.ipv4.icmp_msgs_burst": 1000000,
};

/** The kernel's handle of a node's initial namespace. */
export const hostHandle = (context: NodeContext): number => context.command(NET_NETNS_HOST, 0, "netns") >>> 0;

/** `ip rule add` arguments. */
function parseRule(text: string): RuleSpec {
  const rule: { -readonly [K in keyof RuleSpec]?: RuleSpec[K] } = {};
  const words = text.split(/\s+/);
  const ports = (range: string): number | [number, number] => {
    const [first = 0, last] = range.split("-").map(Number);
    return last === undefined ? first : [first, last];
  };
  for (let i = 0; i < words.length; i += 2) {
    const value = words[i + 1] ?? "";
    switch (words[i]) {
      case "fwmark": {
        const [mark = "", mask] = value.split("/");
        rule.fwmark = Number(mark);
        if (mask !== undefined) rule.fwmask = Number(mask);
        break;
      }
      case "table":
      case "lookup": rule.table = value === "main" ? 254 : value === "local" ? 255 : value === "default" ? 253 : Number(value); break;
      case "pref":
      case "priority": rule.pref = Number(value); break;
      case "from": if (value !== "all") rule.from = value; break;
      case "to": if (value !== "all") rule.to = value; break;
      case "iif": rule.iif = value; break;
      case "oif": rule.oif = value; break;
      case "tos":
      case "dsfield": rule.tos = Number(value); break;
      case "ipproto": rule.ipproto = { icmp: 1, tcp: 6, udp: 17, gre: 47, sctp: 132 }[value] ?? Number(value); break;
      case "sport": rule.sport = ports(value); break;
      case "dport": rule.dport = ports(value); break;
      case "suppress_prefixlength": rule.suppressPrefixlength = Number(value); break;
      case "suppress_ifgroup": rule.suppressIfgroup = Number(value); break;
      case "uidrange": {
        const [first = 0, last = first] = value.split("-").map(Number);
        rule.uidrange = [first, last];
        break;
      }
      case "tun_id": rule.tunId = Number(value); break;
      case "goto": rule.goto = Number(value); break;
      case "not":
        rule.not = true;
        i--;
        break;
      case "blackhole":
      case "unreachable":
      case "prohibit":
      case "nop":
        rule.action = words[i] as NonNullable<RuleSpec["action"]>;
        i--;
        break;
      default: throw new Error(`ip rule: ${words[i]}`);
    }
  }
  return rule as RuleSpec;
}

/** So many turns of the promise queue, until programs have answered what they received. */
const TURNS = 12;

/**
 * Runs a case on a node of its own in `instance`; `seed` is the kernel's chance. Rejects with ReplayError, which names the place, for
 * what this kernel does not know.
 */
export const replayCase = async (instance: KernelInstance, oracleCase: OracleCase, seed = 1): Promise<OracleResult> =>
  (await watchCase(instance, oracleCase, false, seed)).result;

/** The same, and with `watch` every frame and step: what journeys and captures are made of. */
export async function watchCase(
  instance: KernelInstance,
  oracleCase: OracleCase,
  watch = true,
  seed = 1,
): Promise<{ readonly result: OracleResult; readonly observations: Observations }> {
  const { clock, set, nextNs, fire } = manualClock();
  const frames: { pkt: number; dev: string; bytes: Uint8Array }[] = [];
  const localIn: Delivered[] = [];
  let round = 0;
  const names = new Map<number, string>();
  let current = -1;
  let kicked = false;
  let observer: Observer | undefined;
  const rawProtocols = oracleCase.raw_protos ?? [1, 6, 17];
  useFullIptables();
  const kernel: NodeKernelHandle = createNodeKernel(instance, {
    name: "router",
    devices,
    seed,
    clock,
    onFrame: ({ ifindex, bytes }) => frames.push({ pkt: current, dev: names.get(ifindex) ?? String(ifindex), bytes }),
    onObserved: (records) => {
      if (watch) observer?.take(records);
    },
    onKick: () => {
      kicked = true;
    },
  });
  try {
    const { host } = kernel;
    const iptables = host.iptables as IptablesHandle;
    build(kernel, oracleCase, names);
    observer = new Observer({ node: "router", namespaces: [host], podOf: () => undefined });
    observer.options = { capture: watch, trace: watch };
    if (watch) kernel.observe({ capture: true, trace: true });
    const raw = rawSocket(kernel.context, hostHandle(kernel.context));

    let deadlineNs = Infinity;
    const run = async (): Promise<void> => {
      for (let turn = 0; turn < 2; turn++) {
        do {
          kicked = false;
          round++;
          const status = kernel.runUntil(clock.nowNs());
          set(status.nowNs);
          for (const bytes of raw.receive()) {
            if (bytes[0]! >> 4 === 6 || rawProtocols.includes(bytes[9]!)) localIn.push({ pkt: current, round, bytes });
          }
          deadlineNs = status.deadlineNs;
          for (let i = 0; i < TURNS; i++) await Promise.resolve();
        } while (kicked);
      }
    };
    const advance = async (toNs: number): Promise<void> => {
      await run();
      while (true) {
        const next = Math.min(deadlineNs, nextNs());
        if (next > toNs) break;
        set(Math.max(next, clock.nowNs()));
        fire();
        await run();
      }
      set(toNs);
    };

    if (hasIpv6(oracleCase)) await advance(clock.nowNs() + QUIET_IPV6_MS * NS_PER_MS);
    loadRules(kernel, oracleCase);
    openSockets(host, oracleCase);
    await run();
    frames.length = 0;
    localIn.length = 0;
    observer.observations();
    const normaliser = new Normaliser(oracleCase);
    const rules = (oracleCase.iptables ?? "").trim() !== "";
    const trace: unknown[] = [];
    const hits: [string, number][][] = [];
    const sendErrors: Record<string, number> = {};
    let before = rules ? packetCounters(iptables) : new Map<string, number[]>();
    const startNs = clock.nowNs();
    for (let n = 0; n < oracleCase.packets.length; n++) {
      const packet = oracleCase.packets[n]!;
      const at = startNs + (packet.at_ms ?? 0) * NS_PER_MS;
      if (at > clock.nowNs()) await advance(at);
      current = n;
      const bytes = hexBytes(packet.frame);
      if (packet.in === "local") {
        const errno = sendLocal(kernel, bytes);
        if (errno !== 0) sendErrors[n] = errno;
      } else kernel.deliver(host.link(packet.in)!.ifindex, bytes);
      await advance(clock.nowNs() + (packet.quiet_ms ?? QUIET_MS) * NS_PER_MS);
      if (oracleCase.ct_trace) trace.push(conntrack(kernel, normaliser));
      if (rules) {
        const now = packetCounters(iptables);
        hits.push(movedCounters(before, now));
        before = now;
      }
    }
    await advance(clock.nowNs() + FINAL_MS * NS_PER_MS);
    const result = collect(kernel, oracleCase, normaliser, { frames, localIn, trace, hits, sendErrors, rules });
    return { result, observations: observer.observations() };
  } finally {
    kernel.destroy();
  }
}

/** Runs one step of the set-up; what refuses it is told with the part of the case it is about. */
const part = (place: string, run: () => void): void => {
  try {
    run();
  } catch (error) {
    throw new ReplayError(place, (error as Error).message);
  }
};

function build(kernel: NodeKernelHandle, oracleCase: OracleCase, names: Map<number, string>): void {
  const { host } = kernel;
  for (const [name, value] of Object.entries(BASE_SYSCTLS)) host.setSysctl(name, value);
  const links = Object.entries(oracleCase.interfaces);
  const six = hasIpv6(oracleCase);
  if (six) prepareIpv6(host);
  host.setLink("lo", { up: true });
  const add = (name: string, link: OracleInterface): LinkSpec => {
    const common = { name, mac: link.mac, ...(link.mtu === undefined ? {} : { mtu: link.mtu }) };
    if (link.kind === "bridge") return { kind: "bridge", ...common };
    if (link.kind !== "vxlan") return { kind: "nic", ...common };
    return {
      kind: "vxlan", ...common, mtu: link.mtu ?? 1450, vni: link.vni ?? 0, local: link.local ?? "", dev: link.dev ?? "",
      dstPort: link.dstport ?? 4789, ...vxlanOpts(link.opts ?? "nolearning"),
    };
  };
  for (const kind of ["veth", "vxlan", "bridge"]) {
    for (const [name, link] of links) {
      if ((link.kind ?? "veth") !== kind) continue;
      part(`interfaces.${name}`, () => host.addLink(add(name, link)));
      names.set(host.link(name)!.ifindex, name);
      if (kind === "veth") host.setLink(name, { up: true });
    }
  }
  for (const [name, link] of links) {
    part(`interfaces.${name}`, () => {
      if (link.master !== undefined) host.setLink(name, { master: link.master });
      host.setLink(name, { up: true });
      for (const cidr of link.addr ?? []) host.addAddress(name, cidr.includes("/") ? cidr : `${cidr}/${cidr.includes(":") ? 128 : 32}`);
    });
  }
  if (six) forwardIpv6(host);
  const each = <T>(name: string, items: readonly T[] | undefined, run: (item: T) => void): void =>
    items?.forEach((item, i) => part(`${name}[${i}]`, () => run(item)));
  each("neighbors", oracleCase.neighbors, ({ ip, mac, dev }) => host.setNeigh({ dev, dst: ip, lladdr: mac, state: "PERMANENT" }));
  each("routes", oracleCase.routes, (route) => host.addRoute(route as Parameters<Netns["addRoute"]>[0]));
  each("ip_rules", oracleCase.ip_rules, (rule) =>
    host.addRule(rule.startsWith("-6 ") ? { ...parseRule(rule.slice(3)), family: 6 } : parseRule(rule)));
  each("fdb", oracleCase.fdb, ({ mac, dev, dst }) => host.setFdb({ dev, lladdr: mac, dst, append: true }));
  for (const [name, value] of Object.entries(oracleCase.sysctl ?? {})) part(`sysctl.${name}`, () => host.setSysctl(name, value));
}

function loadRules(kernel: NodeKernelHandle, oracleCase: OracleCase): void {
  const { host } = kernel;
  const { ipset, iptables = "" } = oracleCase;
  if (ipset !== undefined) part("ipset", () => restoreIpsets(kernel.context, hostHandle(kernel.context), ipset));
  if (iptables.trim() !== "") part("iptables", () => host.iptables.restore(iptables));
  const { nft, ebtables, ip6tables = "" } = oracleCase;
  if (ip6tables.trim() !== "") part("ip6tables", () => host.ip6tables!.restore(ip6tables));
  if (nft !== undefined) part("nft", () => void nftOf(host).run(nft, { source: "/dev/stdin" }));
  if (ebtables !== undefined) part("ebtables", () => ebtablesOf(host).restore(ebtables));
}

/** Sockets that answer: UDP echo from the address asked, listening TCP. */
function openSockets(host: Netns, oracleCase: OracleCase): void {
  const own = ["127.0.0.1", ...host.addresses().map(({ cidr }) => cidr.split("/")[0]!)];
  for (const { addr, port } of oracleCase.udp_echo ?? []) {
    // One socket per address, so that the answer comes from the address that was asked.
    for (const address of addr === undefined ? new Set(own) : [addr]) echo(host.sockets.udp({ local: { port, address } }));
  }
  for (const { addr, port } of oracleCase.tcp_listen ?? []) {
    host.sockets.listen({ port, ...(addr === undefined ? {} : { address: addr }) });
  }
}

/** Sends every datagram back. */
function echo(socket: UdpSocket): void {
  const run = async (): Promise<void> => {
    while (true) {
      const { data, from } = await socket.receive();
      try {
        socket.send(data, from);
      } catch {
        continue; // asked by an address that no answer can go to
      }
    }
  };
  run().catch(() => socket.close());
}

const SEND_ERRORS = [EPERM, EACCES, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS, EHOSTUNREACH];

/** A raw socket's IP_HDRINCL send; the errno, 0: sent. */
function sendLocal(kernel: NodeKernelHandle, packet: Uint8Array): number {
  const { instance } = kernel.context;
  instance.view.setUint32(0, hostHandle(kernel.context), true);
  instance.view.setUint32(4, packet.length, true);
  instance.u8.set(packet, 8);
  return -kernel.context.command(NF_LOCAL_OUT, 8 + packet.length, "send", SEND_ERRORS);
}

const TABLES = ["raw", "mangle", "nat", "filter", "security"];

function packetCounters(iptables: IptablesHandle): Map<string, number[]> {
  const result = new Map<string, number[]>();
  for (const table of TABLES) {
    for (const { chain, rules } of iptables.counters(table) ?? []) {
      result.set(`${table}/${chain}`, rules.map(([packets]) => Number(packets)));
    }
  }
  return result;
}

function movedCounters(before: Map<string, number[]>, now: Map<string, number[]>): [string, number][] {
  const moved: [string, number][] = [];
  for (const key of [...now.keys()].sort()) {
    now.get(key)!.forEach((count, i) => {
      if (count !== (before.get(key)?.[i] ?? 0)) moved.push([key, i + 1]);
    });
  }
  return moved;
}

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 33: "dccp", 47: "gre", 132: "sctp", 136: "udplite" };
const GRE = 47;
// A remaining time is shown as the default timeout it was set to.
const TIMEOUT_CLASSES = [3, 10, 30, 60, 120, 180, 210, 300, 600, 432000];

function conntrack(kernel: NodeKernelHandle, normaliser: Normaliser): Record<string, unknown>[] {
  return listConntrack(kernel.context, hostHandle(kernel.context))
    .map((entry) => {
      const tuple = (from: typeof entry.orig): Record<string, unknown> => ({
        src: from.src,
        dst: from.dst,
        ...(from.sport === undefined ? {} : { sport: from.sport, dport: from.dport }),
        ...(entry.proto === GRE ? { sport: 0, dport: 0 } : {}),
        ...(from.icmpId === undefined ? {} : { icmp_id: from.icmpId, icmp_type: from.icmpType, icmp_code: from.icmpCode }),
      });
      const orig = tuple(entry.orig);
      const reply = tuple(entry.reply);
      if (normaliser.isTunnel(orig)) {
        orig["sport"] = "any";
        reply["dport"] = "any";
      }
      normaliser.conntrackTuple(orig);
      normaliser.conntrackTuple(reply);
      const has = (flag: string): boolean => entry.flags.includes(flag);
      const seconds = Math.floor(entry.timeoutMs / 1000);
      return {
        proto: typeof entry.proto === "number" ? (PROTOCOL_NAMES[entry.proto] ?? String(entry.proto)) : entry.proto,
        orig,
        reply,
        assured: has("ASSURED"),
        unreplied: !has("SEEN_REPLY"),
        snat: has("SRC_NAT"),
        dnat: has("DST_NAT"),
        flags: entry.flags,
        mark: entry.mark,
        ...(entry.zone === 0 ? {} : { zone: entry.zone }),
        ...(entry.helper === undefined ? {} : { helper: entry.helper }),
        ...(entry.state === undefined ? {} : { state: entry.state }),
        ...(entry.proto === "tcp" ? { wscale: entry.wscale, tcp_flags: entry.tcpFlags } : {}),
        timeout_class: TIMEOUT_CLASSES.find((value) => value >= seconds) ?? seconds,
      };
    })
    .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

const sortKey = (entry: Record<string, unknown>): string => canonical([entry["proto"], entry["orig"], entry["reply"], entry["mark"]]);

/** JSON with sorted keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${canonical(item)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

/** A packet for the router itself; `round` counts the runs of the kernel. */
interface Delivered {
  readonly pkt: number;
  readonly round: number;
  readonly bytes: Uint8Array;
}

interface Seen {
  readonly frames: readonly { readonly pkt: number; readonly dev: string; readonly bytes: Uint8Array }[];
  readonly localIn: readonly Delivered[];
  readonly trace: readonly unknown[];
  readonly hits: readonly [string, number][][];
  readonly sendErrors: Readonly<Record<string, number>>;
  readonly rules: boolean;
}

const STATISTICS: readonly (readonly [string, number])[] = [
  ["invalid", NFSTAT_INVALID], ["insert_failed", NFSTAT_INSERT_FAILED], ["drop", NFSTAT_DROP], ["early_drop", NFSTAT_EARLY_DROP],
  ["icmp_error", NFSTAT_ICMP_ERROR], ["clash_resolve", NFSTAT_CLASH_RESOLVE],
];

function collect(kernel: NodeKernelHandle, oracleCase: OracleCase, normaliser: Normaliser, seen: Seen): OracleResult {
  const out: unknown[] = [];
  const noise: unknown[] = [];
  const six = hasIpv6(oracleCase);
  for (const { pkt, dev, bytes } of seen.frames) {
    const type = bytes.length < 14 ? 0 : (bytes[12]! << 8) | bytes[13]!;
    if (type === 0x86dd && six && bytes.length >= 54) {
      if (oracleCase.keep_ndp || !isNdp(bytes.subarray(14))) out.push(frame6(pkt, dev, bytes, oracleCase));
    } else if (type !== 0x0800 && !oracleCase.keep_non_ip) noise.push([dev, normaliser.frame(pkt, dev, bytes)["frame"]]);
    else out.push(normaliser.frame(pkt, dev, bytes));
  }
  const counters: Record<string, unknown> = {};
  const policies: Record<string, unknown> = {};
  if (seen.rules) {
    for (const table of TABLES) {
      for (const { chain, policy, packets, bytes, rules } of (kernel.host.iptables as IptablesHandle).counters(table) ?? []) {
        counters[`${table}/${chain}`] = rules.map(([p, b]) => [Number(p), Number(b)]);
        if (policy !== undefined) policies[`${table}/${chain}`] = [policy, Number(packets), Number(bytes)];
      }
    }
  }
  if ((oracleCase.ip6tables ?? "").trim() !== "") {
    for (const table of TABLES) {
      for (const { chain, policy, packets, bytes, rules } of (kernel.host.ip6tables as IptablesHandle).counters(table) ?? []) {
        counters[`ip6:${table}/${chain}`] = rules.map(([p, b]) => [Number(p), Number(b)]);
        if (policy !== undefined) policies[`ip6:${table}/${chain}`] = [policy, Number(packets), Number(bytes)];
      }
    }
  }
  if (six && oracleCase.nft !== undefined) {
    const nft = nftOf(kernel.host) as NftHandle;
    for (const { family, name, chains } of nft.ruleset.tables.values()) {
      for (const chain of chains.values()) {
        const states = nft.states(chain);
        counters[`nft:${family} ${name}/${chain.name}`] = chain.rules.map((_, i) => {
          const counter = states[i]?.[0];
          return counter === undefined ? null : [Number(counter[0]), Number(counter[1])];
        });
      }
    }
  }
  const snmp: Record<string, number> = {};
  for (const [name, value] of Object.entries(kernel.host.snmp())) {
    const key = name.replace(".", "");
    if (!key.startsWith("TcpExt") && !key.startsWith("IcmpMsg")) snmp[key] = value;
  }
  const statistics: Record<string, number> = {};
  for (const [name, number] of STATISTICS) {
    const { instance } = kernel.context;
    instance.view.setUint32(0, hostHandle(kernel.context), true);
    instance.view.setUint32(4, number, true);
    const value = kernel.context.command(NF_STAT, 8, "conntrack");
    if (value !== 0) statistics[name] = value;
  }
  return {
    name: oracleCase.name,
    // The tables are the legacy ones: iptables-nft's rules are nft's (`nft`).
    backend: "iptables-legacy",
    out,
    ...(noise.length > 0 ? { noise } : {}),
    // The oracle reads one raw socket per protocol after the other, then lets its other sockets answer.
    local_in: seen.localIn
      .map((delivered, i) => ({ ...delivered, i }))
      .sort((a, b) => a.pkt - b.pkt || a.round - b.round || (six ? 0 : a.bytes[9]! - b.bytes[9]!) || a.i - b.i)
      .map(({ pkt, bytes }) => (bytes[0]! >> 4 === 6 ? delivered6(pkt, bytes, oracleCase) : normaliser.packet(pkt, bytes)))
      .filter((packet) => packet !== undefined),
    conntrack: conntrack(kernel, normaliser),
    ...(oracleCase.ct_trace ? { ct_trace: seen.trace } : {}),
    counters,
    policies,
    ...(oracleCase.nft === undefined || six ? {} : { nft: nftOf(kernel.host).list().replace(/ (?:expires|used) \w+/g, "").trimEnd().split("\n") }),
    ...(oracleCase.ebtables === undefined ? {} : { ebtables: ebtablesOf(kernel.host).save({ counters: true }).trimEnd().split("\n") }),
    ...(seen.rules ? { hits: seen.hits } : {}),
    snmp: Object.fromEntries(Object.entries(snmp).sort(([a], [b]) => (a < b ? -1 : 1))),
    ct_stat: statistics,
    ...(Object.keys(seen.sendErrors).length > 0 ? { send_errors: seen.sendErrors } : {}),
  };
}

/** Fields of a result that have to be equal; what else the oracle writes is compared where `all` is asked for. */
const COMPARED = ["out", "local_in", "conntrack", "ct_trace", "counters", "policies", "hits", "nft", "ebtables", "send_errors"];
const ALSO = ["snmp", "ct_stat", "noise"];

/** The first difference between a result and the recorded one, or undefined. */
export function compareResults(want: OracleResult, got: OracleResult, all = false): string | undefined {
  for (const key of all ? [...COMPARED, ...ALSO] : COMPARED) {
    const difference = firstDifference(key, want[key], got[key]);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function firstDifference(path: string, want: unknown, got: unknown): string | undefined {
  if (Array.isArray(want) && Array.isArray(got)) {
    for (let i = 0; i < Math.max(want.length, got.length); i++) {
      const difference = firstDifference(`${path}[${i}]`, want[i], got[i]);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  const isObject = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === "object" && !Array.isArray(value);
  if (isObject(want) && isObject(got)) {
    for (const key of [...new Set([...Object.keys(want), ...Object.keys(got)])].sort()) {
      const difference = firstDifference(`${path}.${key}`, want[key], got[key]);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  return canonicalOr(want) === canonicalOr(got) ? undefined : `${path}: ${canonicalOr(want)} wanted, got ${canonicalOr(got)}`;
}

const canonicalOr = (value: unknown): string => (value === undefined ? "nothing" : canonical(value));
