/** `cat` of the files of /proc/net that this kernel can tell, and of /proc/sys. */
import { RTN_ANYCAST, RTN_BLACKHOLE, RTN_LOCAL, RTN_PROHIBIT, RTN_THROW, RTN_UNREACHABLE } from "../../assembly/abi/net.ts";
import { parseIpv4 } from "../kernel/address.ts";
import { listConntrack } from "../kernel/conntrack.ts";
import { kernelOf } from "../kernel/namespace.ts";
import type { Netns } from "../kernel/netns.ts";
import { conntrackLine } from "./conntrack.ts";
import { extraOf } from "./conntrack-change.ts";
import { trieText, type TrieRoute } from "./fib-trie.ts";
import { parseIpv6 } from "./ip/context.ts";
import { rememberedMetrics } from "./ip/route.ts";
import { addressRecords, linkRecords, proxyRecords } from "./kernel.ts";
import { routeRecords, ruleRecords } from "./kernel-routes.ts";
import { mask } from "./net-tools.ts";
import { sendQueue, socketList } from "./sockets.ts";
import type { Streams, ToolHost } from "./tool.ts";

/** `cat FILE…` of /proc/net and /proc/sys. */
export function cat({ netns }: ToolHost, args: readonly string[], streams: Streams): number {
  let status = 0;
  for (const path of args) {
    const make = path.startsWith("/proc/net/") ? PROC_NET[path.slice("/proc/net/".length)] : undefined;
    if (make !== undefined) streams.stdout += make(netns);
    else if (path.startsWith("/proc/sys/")) streams.stdout += `${netns.sysctl(path.slice("/proc/sys/".length).replaceAll(".", "\0").replaceAll("/", ".").replaceAll("\0", "/"))}\n`;
    else {
      streams.stderr += `cat: ${path}: No such file or directory\n`;
      status = 1;
    }
  }
  return status;
}

const PROC_NET: Readonly<Record<string, (netns: Netns) => string>> = {
  route: procRoute, arp: procArp, dev: procDev, tcp: (netns) => procSockets(netns, "tcp"), udp: (netns) => procSockets(netns, "udp"),
  tcp6: (netns) => procSockets(netns, "tcp", "inet6"), udp6: (netns) => procSockets(netns, "udp", "inet6"), if_inet6: procIfInet6,
  ipv6_route: procIpv6Route, fib_trie: procFibTrie, snmp: procSnmp, nf_conntrack: procConntrack,
};

/** if6_seq_show() */
function procIfInet6(netns: Netns): string {
  const names = new Map(linkRecords(netns).map(({ ifindex, name }) => [ifindex, name]));
  const two = (value: number): string => value.toString(16).padStart(2, "0");
  return addressRecords(netns).filter(({ family }) => family === "inet6").map(({ address, ifindex, bits, scope, flags }) =>
    `${plainIpv6(address)} ${two(ifindex)} ${two(bits)} ${two(SCOPE_BITS[scope] ?? 0)} ${two(flags & 255)} ${(names.get(ifindex) ?? "").padStart(8)}\n`).join("");
}
const SCOPE_BITS: Readonly<Record<number, number>> = { 254: 0x10, 253: 0x20, 200: 0x40 };
/** An address without its colons. */
const plainIpv6 = (text: string): string => (parseIpv6(text) ?? []).map((word) => word.toString(16).padStart(4, "0")).join("");

/** rt6_native_seq_show(): all routes, and the entry that stands where there is none. */
function procIpv6Route(netns: Netns): string {
  const names = new Map(linkRecords(netns).map(({ ifindex, name }) => [ifindex, name]));
  const none = "0".repeat(32);
  const hex = (value: number): string => value.toString(16).padStart(8, "0");
  const row = (dst: string, bits: number, via: string, metric: number, references: number, flags: number, dev: string): string =>
    `${dst} ${bits.toString(16).padStart(2, "0")} ${none} 00 ${via} ${hex(metric)} ${hex(references)} 00000000 ${hex(flags >>> 0)} ${dev.padStart(8)}\n`;
  const routes = routeRecords(netns, 0).filter(({ family }) => family === "inet6");
  const rowsOf = (local: boolean): readonly string[] => routes.filter(({ table }) => (table === 255) === local).map((route) => {
    const rejects = [RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW].includes(route.type);
    const flags = (rejects ? RTF_REJECT | RTF_NONEXTHOP : RTF_UP) | (route.via === undefined ? 0 : RTF_GATEWAY) |
      (route.type === RTN_LOCAL || route.type === RTN_ANYCAST ? RTF_LOCAL | RTF_NONEXTHOP : 0);
    return row(plainIpv6(route.dst), route.bits, route.via === undefined ? none : plainIpv6(route.via), route.metric, 1, flags, names.get(route.ifindex) ?? "lo");
  });
  const end = row(none, 0, none, 0xffffffff, 1, RTF_REJECT | RTF_NONEXTHOP, "lo");
  // Tables are one behind the other; where one has no default route stands its null entry.
  const nullOf = (local: boolean): readonly string[] => (routes.some(({ table, bits }) => bits === 0 && (table === 255) === local) ? [] : [end]);
  return [...rowsOf(false), ...nullOf(false), ...rowsOf(true), ...nullOf(true)].join("");
}
// include/uapi/linux/ipv6_route.h
const [RTF_UP, RTF_GATEWAY, RTF_REJECT, RTF_NONEXTHOP, RTF_LOCAL] = [1, 2, 0x200, 0x200000, 0x80000000] as const;

/** fib_trie_seq_show(): local and main are one trie until a rule is made (fib_unmerge()). */
function procFibTrie(netns: Netns): string {
  const routes = routeRecords(netns, 0).filter(({ family }) => family === "inet");
  const merged = ruleRecords(netns).length <= 3;
  const tables = [...new Set(routes.map(({ table }) => table))].filter((table) => table < 254).sort((a, b) => (a & 255) - (b & 255) || a - b);
  const of = (wanted: (table: number) => boolean): TrieRoute[] => routes.filter(({ table }) => wanted(table)).map(({ dst, bits, scope, type }) => ({ key: parseIpv4(dst) ?? 0, bits, scope, type }));
  const both = of((table) => table >= 254);
  return tables.map((table) => trieText(`Id ${table}`, of((one) => one === table))).join("") +
    trieText("Main", merged ? both : of((table) => table === 254)) + trieText("Local", merged ? both : of((table) => table === 255));
}

/** snmp_seq_show(): the names of each protocol, then the numbers. */
function procSnmp(netns: Netns): string {
  const counters = netns.snmp();
  const value = (key: string): number | undefined => counters[key];
  const line = (name: string, keys: readonly string[], fixed: Readonly<Record<string, number>> = {}): string =>
    `${name}: ${keys.join(" ")}\n${name}: ${keys.map((key) => fixed[key] ?? value(`${name}.${key}`) ?? 0).join(" ")}\n`;
  const icmpIn = Object.keys(counters).filter((key) => key.startsWith("Icmp.")).length;
  return line("Ip", ["Forwarding", "DefaultTTL", "InReceives", "InHdrErrors", "InAddrErrors", "ForwDatagrams", "InUnknownProtos", "InDiscards", "InDelivers", "OutRequests",
    "OutDiscards", "OutNoRoutes", "ReasmTimeout", "ReasmReqds", "ReasmOKs", "ReasmFails", "FragOKs", "FragFails", "FragCreates", "OutTransmits"],
  { Forwarding: netns.sysctl("net.ipv4.ip_forward") === "0" ? 2 : 1, DefaultTTL: Number(netns.sysctl("net.ipv4.ip_default_ttl")) }) +
    line("Icmp", ["InMsgs", "InErrors", "InCsumErrors", "InDestUnreachs", "InTimeExcds", "InParmProbs", "InSrcQuenchs", "InRedirects", "InEchos", "InEchoReps",
      "InTimestamps", "InTimestampReps", "InAddrMasks", "InAddrMaskReps", "OutMsgs", "OutErrors", "OutRateLimitGlobal", "OutRateLimitHost", "OutDestUnreachs",
      "OutTimeExcds", "OutParmProbs", "OutSrcQuenchs", "OutRedirects", "OutEchos", "OutEchoReps", "OutTimestamps", "OutTimestampReps", "OutAddrMasks",
      "OutAddrMaskReps"]) + (icmpIn === 0 ? "IcmpMsg:\nIcmpMsg:\n" : icmpMessages(counters)) +
    line("Tcp", ["RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "CurrEstab", "InSegs", "OutSegs",
      "RetransSegs", "InErrs", "OutRsts", "InCsumErrors"], { RtoAlgorithm: 1, RtoMin: 200, RtoMax: 120000, MaxConn: -1 }) +
    line("Udp", ["InDatagrams", "NoPorts", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors", "InCsumErrors", "IgnoredMulti", "MemErrors"]) +
    line("UdpLite", ["InDatagrams", "NoPorts", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors", "InCsumErrors", "IgnoredMulti", "MemErrors"]);
}

/** ICMP's messages by type, where there were any. */
const ICMP_TYPES: readonly (readonly [name: string, type: number])[] = [
  ["EchoReps", 0], ["DestUnreachs", 3], ["SrcQuenchs", 4], ["Redirects", 5], ["Echos", 8], ["TimeExcds", 11], ["ParmProbs", 12], ["Timestamps", 13], ["TimestampReps", 14],
];
function icmpMessages(counters: Readonly<Record<string, number>>): string {
  const found = (["In", "Out"] as const).flatMap((way) => ICMP_TYPES.flatMap(([name, type]) => {
    const count = counters[`Icmp.${way}${name}`] ?? 0;
    return count === 0 ? [] : [[`${way}Type${type}`, count] as const];
  }));
  return `IcmpMsg:${found.map(([name]) => ` ${name}`).join("")}\nIcmpMsg:${found.map(([, count]) => ` ${count}`).join("")}\n`;
}

/** ct_seq_show() */
function procConntrack(netns: Netns): string {
  const { context, handle } = kernelOf(netns);
  return listConntrack(context, handle).map((entry) => conntrackLine(entry, extraOf(netns, entry))).join("");
}


/** An address as the little-endian number that the kernel prints. */
const hexAddress = (text: string): string => {
  const value = parseIpv4(text) ?? 0;
  return [0, 8, 16, 24].map((shift) => ((value >>> shift) & 255).toString(16).padStart(2, "0")).join("").toUpperCase();
};

/** fib_route_seq_show() */
function procRoute(netns: Netns): string {
  const links = linkRecords(netns);
  const pad = (line: string): string => `${line.padEnd(127)}\n`;
  const rows = routeRecords(netns, 254).filter(({ family }) => family === "inet").map((route) => {
    const dev = links.find(({ ifindex }) => ifindex === route.ifindex)?.name ?? "*";
    const known = rememberedMetrics(netns, route);
    const advmss = known?.get("advmss") ?? 0;
    const flags = ([RTN_UNREACHABLE, RTN_PROHIBIT].includes(route.type) ? 0x201 : 1) | (route.via === undefined ? 0 : 2) | (route.bits === 32 ? 4 : 0);
    return pad(`${dev}\t${hexAddress(route.dst)}\t${hexAddress(route.via ?? "0.0.0.0")}\t${flags.toString(16).toUpperCase().padStart(4, "0")}\t0\t0\t${route.metric}\t` +
      `${hexAddress(mask(route.bits))}\t${advmss === 0 ? 0 : advmss + 40}\t${known?.get("window") ?? 0}\t${(known?.get("rtt") ?? 0) >> 3}`);
  });
  return pad("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT") + rows.join("");
}

/** arp_format_neigh_entry(), arp_format_pneigh_entry() */
function procArp(netns: Netns): string {
  const rows = netns.neighbours().filter(({ dst, state }) => !dst.includes(":") && state !== "NOARP").map(({ dev, dst, lladdr, state }) => {
    const flags = (lladdr === undefined ? 0 : 2) | (state === "PERMANENT" ? 4 : 0);
    return `${dst.padEnd(16)} 0x${"1".padEnd(10)}0x${flags.toString(16).padEnd(10)}${(lladdr ?? "00:00:00:00:00:00").padEnd(17)}     *        ${dev}\n`;
  });
  const names = new Map(netns.links().map(({ ifindex, name }) => [ifindex, name]));
  for (const { dst, ifindex } of proxyRecords(netns)) {
    if (!dst.includes(":")) rows.push(`${dst.padEnd(16)} 0x${"1".padEnd(10)}0x${"c".padEnd(10)}00:00:00:00:00:00     *        ${names.get(ifindex) ?? "*"}\n`);
  }
  return `IP address       HW type     Flags       HW address            Mask     Device\n${rows.join("")}`;
}

/** dev_seq_printf_stats() */
function procDev(netns: Netns): string {
  const wide = (value: number, width: number): string => String(value).padStart(width);
  const rows = linkRecords(netns).map(({ name, stats }) =>
    `${name.padStart(6)}: ${wide(stats.rxBytes, 7)} ${wide(stats.rxPackets, 7)}    0 ${wide(stats.rxDropped, 4)}    0     0          0         0 ` +
    `${wide(stats.txBytes, 8)} ${wide(stats.txPackets, 7)}    0 ${wide(stats.txDropped, 4)}    0     0       0          0\n`);
  return "Inter-|   Receive                                                |  Transmit\n" +
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" + rows.join("");
}

/** Four words of 32 bits, each in the machine's byte order. */
const hexIpv6 = (address: string): string =>
  plainIpv6(address).replaceAll(/(..)(..)(..)(..)/g, "$4$3$2$1").toUpperCase();

const TCP_NUMBERS: Readonly<Record<string, number>> = {
  ESTAB: 1, "SYN-SENT": 2, "SYN-RECV": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "TIME-WAIT": 6, UNCONN: 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, LISTEN: 10, CLOSING: 11,
};

/** tcp4_seq_show(), udp4_seq_show() and those of IPv6, as far as there are such columns here. */
function procSockets(netns: Netns, kind: "tcp" | "udp", family: "inet" | "inet6" = "inet"): string {
  const title = family === "inet6" ? (kind === "tcp"
    ? "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    : "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops")
    : kind === "tcp"
    ? "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode".padEnd(149)
    : "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops".padEnd(127);
  const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0");
  const end = (address: string): string => (family === "inet" ? hexAddress(address) : hexIpv6(address));
  const rows = socketList(netns).filter(({ netid, family: of }) => netid === kind && of === family).map((socket, i) => {
    const line = `${String(i).padStart(kind === "tcp" ? 4 : 5)}: ${end(socket.address)}:${hex(socket.port, 4)} ${end(socket.remote)}:${hex(socket.remotePort, 4)} ` +
      `${hex(TCP_NUMBERS[socket.state] ?? 7, 2)} ${hex(sendQueue(socket), 8)}:${hex(socket.receive, 8)} 00:00000000 00000000     0        0 0`;
    return `${family === "inet6" ? line : line.padEnd(kind === "tcp" ? 149 : 127)}\n`;
  });
  return `${title}\n${rows.join("")}`;
}
