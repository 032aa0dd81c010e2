/**
 * A rule of ebtables: from the words of a command to the text of ebtables-save, to operations of nftables, and to what nft lists of it
 * (iptables/xtables-eb.c, extensions/libebt_*.c of iptables 1.8.9). Errors are those of ebtables-nft.
 */
import * as abi from "../../../assembly/abi/nft.ts";
import { NF_ACCEPT, NF_DROP } from "../../../assembly/abi/netfilter.ts";
import { parseNumber, usage } from "../iptables/text.ts";

import { Writer, type Segment } from "./model.ts";
import { bytesFrom, parseIpv6, type } from "./types.ts";

export interface EbRule {
  /** As ebtables-save prints it behind `-A CHAIN`, a space before it. */
  readonly text: string;
  readonly chain: string | undefined;
  readonly segments: readonly Segment[];
  /** Matches, a counter without its place for the state; the verdict comes with the chains' numbers. */
  readonly ops: (chainId: (name: string) => number) => Uint8Array;
  /** The target needs a chain that such a hook reaches: `dnat`, `snat`, `redirect`, `arpreply`. */
  readonly places: readonly string[] | undefined;
  /** What the kernel's checkentry refuses. */
  readonly refused: boolean;
  readonly counters: readonly [bigint, bigint] | undefined;
}

const VERDICTS: Readonly<Record<string, number>> = { ACCEPT: NF_ACCEPT, DROP: NF_DROP, CONTINUE: abi.NFTV_CONTINUE, RETURN: abi.NFTV_RETURN };
const ETHERTYPES: Readonly<Record<string, number>> = {
  ipv4: 0x0800, ip: 0x0800, ip4: 0x0800, x25: 0x0805, arp: 0x0806, "802_1q": 0x8100, vlan: 0x8100, ipv6: 0x86dd, ip6: 0x86dd, ppp: 0x880b, mpls: 0x8847,
  atmmpoa: 0x884c, ppp_disc: 0x8863, ppp_ses: 0x8864, rarp: 0x8035, aarp: 0x80f3, ipx: 0x8137,
};
const ETHERTYPE_NAMES: Readonly<Record<number, string>> = { 0x0800: "IPv4", 0x0806: "ARP", 0x8100: "802_1Q", 0x86dd: "IPv6" };
const NFT_ETHERTYPES: Readonly<Record<number, string>> = { 0x0800: "ip", 0x0806: "arp", 0x8100: "8021q", 0x86dd: "ip6" };
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, igmp: 2, gre: 47, esp: 50, ah: 51, "ipv6-icmp": 58, sctp: 132, dccp: 33 };
const protocolName = (value: number): string => Object.entries(PROTOCOLS).find(([, number]) => number === value)?.[0] ?? String(value);
const ARP_OPERATIONS = ["Request", "Reply", "Request_Reverse", "Reply_Reverse", "DRARP_Request", "DRARP_Reply", "DRARP_Error", "InARP_Request", "ARP_NAK"];
const ICMP_TYPES: Readonly<Record<string, number>> = {
  "echo-reply": 0, "destination-unreachable": 3, redirect: 5, "echo-request": 8, "router-advertisement": 9, "router-solicitation": 10,
  "time-exceeded": 11, "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14,
};
const PACKET_TYPES: Readonly<Record<string, number>> = { host: 0, broadcast: 1, multicast: 2, otherhost: 3 };
const LEVELS = ["emerg", "alert", "critical", "error", "warning", "notice", "info", "debug"];
const NFT_LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const MACS: Readonly<Record<string, readonly [address: string, mask: string]>> = {
  Unicast: ["00:00:00:00:00:00", "01:00:00:00:00:00"], Multicast: ["01:00:00:00:00:00", "01:00:00:00:00:00"],
  Broadcast: ["ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff"], BGA: ["01:80:c2:00:00:00", "ff:ff:ff:ff:ff:ff"],
};
const FULL_MAC = "ff:ff:ff:ff:ff:ff";

function macBytes(text: string): Uint8Array | undefined {
  const parts = text.split(":");
  if (parts.length !== 6 || !parts.every((part) => /^[0-9a-fA-F]{1,2}$/.test(part))) return undefined;
  return Uint8Array.from(parts, (part) => parseInt(part, 16));
}
const macText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
const shortMac = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16)).join(":");

/** Loads of fields and comparisons. */
class Ops {
  readonly writer = new Writer();
  meta(key: number): this {
    this.writer.op(abi.NFTOP_META, 0, (w) => w.u32(key));
    return this;
  }
  payload(base: number, offset: number, length: number): this {
    this.writer.op(abi.NFTOP_PAYLOAD, 0, (w) => w.u8(base, length).u16(offset));
    return this;
  }
  mask(mask: Uint8Array): this {
    this.writer.op(abi.NFTOP_BITWISE, 0, (w) => w.u8(0, mask.length).u16(0).data(mask).data(new Uint8Array(mask.length)));
    return this;
  }
  compare(bytes: Uint8Array, not = false): this {
    this.writer.op(abi.NFTOP_CMP, 0, (w) => w.u8(not ? abi.NFTCMP_NE : abi.NFTCMP_EQ, bytes.length).u16(0).data(bytes));
    return this;
  }
  range(low: Uint8Array, high: Uint8Array, not: boolean): this {
    this.writer.op(abi.NFTOP_RANGE, 0, (w) => w.u8(not ? 1 : 0, low.length).u16(0).data(low).data(high));
    return this;
  }
}

interface Given {
  readonly value: string;
  readonly not: boolean;
}

const OPTIONS: Readonly<Record<string, string>> = {
  "-p": "p", "--protocol": "p", "-s": "s", "--source": "s", "--src": "s", "-d": "d", "--destination": "d", "--dst": "d", "-i": "i", "--in-interface": "i",
  "--in-if": "i", "-o": "o", "--out-interface": "o", "--out-if": "o", "--logical-in": "logical-in", "--logical-out": "logical-out", "-j": "j", "--jump": "j",
  "--ip-src": "ip-src", "--ip-source": "ip-src", "--ip-dst": "ip-dst", "--ip-destination": "ip-dst", "--ip-tos": "ip-tos", "--ip-proto": "ip-proto",
  "--ip-protocol": "ip-proto", "--ip-sport": "ip-sport", "--ip-source-port": "ip-sport", "--ip-dport": "ip-dport", "--ip-destination-port": "ip-dport",
  "--ip-icmp-type": "ip-icmp-type", "--ip6-src": "ip6-src", "--ip6-source": "ip6-src", "--ip6-dst": "ip6-dst", "--ip6-destination": "ip6-dst",
  "--ip6-proto": "ip6-proto", "--ip6-protocol": "ip6-proto", "--arp-op": "arp-op", "--arp-opcode": "arp-op", "--arp-htype": "arp-htype",
  "--arp-ptype": "arp-ptype", "--arp-ip-src": "arp-ip-src", "--arp-ip-dst": "arp-ip-dst", "--arp-mac-src": "arp-mac-src", "--arp-mac-dst": "arp-mac-dst",
  "--mark": "mark", "--vlan-id": "vlan-id", "--vlan-prio": "vlan-prio", "--vlan-encap": "vlan-encap", "--pkttype-type": "pkttype-type",
  "--stp-type": "stp-type", "--limit": "limit", "--limit-burst": "limit-burst", "--log-level": "log-level", "--log-prefix": "log-prefix",
  "--nflog-group": "nflog-group", "--nflog-prefix": "nflog-prefix", "--to-destination": "to-dst", "--to-dst": "to-dst", "--dnat-target": "dnat-target", "--to-source": "to-src",
  "--to-src": "to-src", "--snat-target": "snat-target", "--redirect-target": "redirect-target", "--mark-set": "mark-set", "--mark-or": "mark-or",
  "--mark-and": "mark-and", "--mark-xor": "mark-xor", "--mark-target": "mark-target", "--set-mark": "mark-set", "--arpreply-mac": "arpreply-mac",
  "--arpreply-target": "arpreply-target",
};
const FLAGS: Readonly<Record<string, string>> = {
  "--arp-gratuitous": "arp-gratuitous", "--log": "log", "--log-ip": "log-ip", "--log-arp": "log-arp", "--nflog": "nflog", "--snat-arp": "snat-arp",
};
const EXTENSIONS = ["dnat", "snat", "redirect", "mark", "arpreply"];
export const isEbTarget = (name: string): boolean => name in VERDICTS || EXTENSIONS.includes(name);

function number(text: string | undefined, what: string, max: number): number {
  const value = text === undefined ? undefined : parseNumber(text, 0, max);
  if (value === undefined) throw usage(what);
  return value;
}

/** The rule in `words`; `chain` is where it goes. Throws Refusal. */
export function parseEbRule(words: readonly string[], chain: string): EbRule {
  const given = new Map<string, Given>();
  let counters: readonly [bigint, bigint] | undefined;
  let not = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === "!") {
      not = true;
      continue;
    }
    if (word === "-c" || word === "--set-counters") {
      counters = [BigInt(number(words[i + 1], "Packet counter '(null)' invalid", Number.MAX_SAFE_INTEGER)), BigInt(number(words[i + 2], "Packet counter '(null)' invalid", Number.MAX_SAFE_INTEGER))];
      i += 2;
      continue;
    }
    const flag = FLAGS[word];
    if (flag !== undefined) {
      given.set(flag, { value: "", not });
      not = false;
      continue;
    }
    const option = OPTIONS[word];
    if (option === undefined) throw usage(word.startsWith("-") ? `Unknown argument: '${word.length > 2 ? "(null)" : word}'` : `Bad argument: '${word}'`);
    if (given.has(option)) throw usage("Multiple use of same option not allowed");
    if (words[i + 1] === "!") {
      not = true;
      i++;
    }
    const value = words[++i];
    if (value === undefined) throw usage("Unknown argument: '(null)'");
    given.set(option, { value, not });
    not = false;
  }
  return build(given, chain, counters);
}

function build(given: ReadonlyMap<string, Given>, chain: string, counters: readonly [bigint, bigint] | undefined): EbRule {
  let text = "";
  const segments: string[] = [];
  const ops = new Ops();
  let refused = false;
  const bang = (option: Given): string => (option.not ? "! " : "");
  const not = (option: Given): string => (option.not ? "!= " : "");

  // The rule's own
  const protocol = given.get("p");
  let ethertype = 0;
  let protocolText = "";
  if (protocol !== undefined) {
    ethertype = parseNumber(protocol.value, 0, 0xffff) ?? (/^[0-9a-fA-F]{4}$/.test(protocol.value) ? parseInt(protocol.value, 16) : ETHERTYPES[protocol.value.toLowerCase()] ?? 0);
    if (ethertype === 0) throw usage(`Problem with the specified Ethernet protocol '${protocol.value}', perhaps /etc/ethertypes is missing`);
    text += ` -p ${bang(protocol)}${ETHERTYPE_NAMES[ethertype] ?? `0x${ethertype.toString(16)}`}`;
    protocolText = `ether type ${not(protocol)}${NFT_ETHERTYPES[ethertype] ?? `0x${ethertype.toString(16).padStart(4, "0")}`}`;
  }
  const is = (wanted: number): boolean => protocol !== undefined && !protocol.not && ethertype === wanted;
  const faces: string[] = [];
  const macs: { text: string; run: () => void }[] = [];
  for (const [name, field, offset] of [["s", "saddr", 6], ["d", "daddr", 0]] as const) {
    const option = given.get(name);
    if (option === undefined) continue;
    const known = Object.entries(MACS).find(([key]) => key.toLowerCase() === option.value.toLowerCase());
    const [addressText, maskText = FULL_MAC] = known?.[1] ?? option.value.split("/");
    const address = macBytes(addressText!);
    const mask = macBytes(maskText);
    if (address === undefined || mask === undefined) throw usage(`Problem with specified ${name === "s" ? "source" : "destination"} mac '${option.value}'`);
    const network = address.map((byte, i) => byte & mask[i]!);
    const word = Object.entries(MACS).find(([, [a, m]]) => a === macText(network) && m === macText(mask))?.[0];
    text += ` -${name} ${bang(option)}${word ?? `${macText(network)}${macText(mask) === FULL_MAC ? "" : `/${macText(mask)}`}`}`;
    macs.push({
      text: macMatch(field, network, mask, option.not),
      run: () => {
        ops.payload(abi.NFTBASE_LINK, offset, 6);
        if (macText(mask) !== FULL_MAC) ops.mask(mask);
        ops.compare(network, option.not);
      },
    });
  }
  for (const [name, key, label] of [["i", abi.NFTMETA_IIFNAME, "iifname"], ["o", abi.NFTMETA_OIFNAME, "oifname"], ["logical-in", abi.NFTMETA_BRI_IIFNAME, "meta ibrname"], ["logical-out", abi.NFTMETA_BRI_OIFNAME, "meta obrname"]] as const) {
    const option = given.get(name);
    if (option === undefined) continue;
    if (option.value.length >= 16) throw usage(`interface name \`${option.value}' must be shorter than IFNAMSIZ (15)`);
    if (name === "o" && ["INPUT", "PREROUTING", "BROUTING"].includes(chain)) throw usage("Use -o only in OUTPUT, FORWARD and POSTROUTING chains");
    if (name === "i" && ["OUTPUT", "POSTROUTING"].includes(chain)) throw usage("Use -i only in INPUT, FORWARD, PREROUTING and BROUTING chains");
    const wildcard = option.value.endsWith("+");
    const stem = wildcard ? option.value.slice(0, -1) : option.value;
    text += ` ${name.length > 1 ? "--" : "-"}${name} ${bang(option)}${option.value}`;
    faces.push(`${label} ${not(option)}"${wildcard ? `${stem}*` : stem}"`);
    const bytes = new Uint8Array(wildcard ? stem.length : 16);
    for (let i = 0; i < stem.length; i++) bytes[i] = stem.charCodeAt(i);
    ops.meta(key).compare(bytes, option.not);
  }
  segments.push(...faces);
  for (const mac of macs) {
    segments.push(mac.text);
    mac.run();
  }
  if (protocol !== undefined) {
    segments.push(protocolText);
    ops.payload(abi.NFTBASE_LINK, 12, 2).compare(bytesFrom(ethertype, 2), protocol.not);
  }

  // Matches
  const needs = (options: readonly string[], wanted: number): boolean => {
    if (!options.some((name) => given.has(name))) return false;
    if (!is(wanted)) refused = true;
    return true;
  };
  if (needs(["ip-src", "ip-dst", "ip-tos", "ip-proto"], 0x0800) || (given.has("ip-sport") && ethertype !== 0x86dd) || (given.has("ip-dport") && ethertype !== 0x86dd)) {
    if (!is(0x0800)) refused = true;
    const l4 = ipMatch(given, ops, segments);
    text += l4.text;
    refused ||= l4.refused;
  }
  if (needs(["ip6-src", "ip6-dst"], 0x86dd)) text += ip6Match(given, ops, segments);
  if (needs(["arp-op", "arp-htype", "arp-ptype", "arp-ip-src", "arp-ip-dst", "arp-mac-src", "arp-mac-dst", "arp-gratuitous"], 0x0806)) text += arpMatch(given, ops, segments);
  const mark = given.get("mark");
  if (mark !== undefined) {
    const [valueText = "", maskText] = mark.value.split("/");
    const value = number(valueText, `Bad mark value '${mark.value}'`, 0xffffffff);
    const mask = maskText === undefined ? 0xffffffff : number(maskText, `Bad mark mask '${maskText}'`, 0xffffffff);
    const hex = (n: number): string => `0x${n.toString(16)}`;
    text += ` --mark ${bang(mark)}${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`;
    segments.push(mask === 0xffffffff ? `meta mark ${not(mark)}${hex(value)}` : `meta mark and ${hex(mask)} ${not(mark)}${hex(value)}`);
    ops.meta(abi.NFTMETA_MARK).mask(bytesFrom(mask, 4)).compare(bytesFrom(value, 4), mark.not);
  }
  if (needs(["vlan-id", "vlan-prio", "vlan-encap"], 0x8100)) text += vlanMatch(given, ops, segments);
  const packetType = given.get("pkttype-type");
  if (packetType !== undefined) {
    const value = PACKET_TYPES[packetType.value] ?? number(packetType.value, `Bad packet type '${packetType.value}'`, 7);
    const name = Object.entries(PACKET_TYPES).find(([, n]) => n === value)?.[0] ?? String(value);
    text += ` --pkttype-type ${bang(packetType)}${name}`;
    segments.push(`meta pkttype ${not(packetType)}${name === "otherhost" ? "other" : name}`);
    ops.meta(abi.NFTMETA_PKTTYPE).compare(Uint8Array.of(value), packetType.not);
  }
  const stp = given.get("stp-type");
  if (stp !== undefined) {
    // Frames of 802.3 to the bridges' group address: a header of LLC, then the BPDU.
    if (given.get("d")?.value.toLowerCase() !== "bga") refused = true;
    const value = stp.value === "config" ? 0 : stp.value === "tcn" ? 0x80 : number(stp.value, `Bad --stp-type value '${stp.value}'`, 255);
    text += ` --stp-type ${bang(stp)}${value === 0 ? "config" : value === 0x80 ? "tcn" : value}`;
    segments.push("xt match stp");
    ops.payload(abi.NFTBASE_NETWORK, 0, 6).compare(Uint8Array.of(0x42, 0x42, 0x03, 0, 0, 0)).payload(abi.NFTBASE_NETWORK, 6, 1).compare(Uint8Array.of(value), stp.not);
  }
  const limit = given.get("limit");
  if (limit !== undefined) {
    const match = /^(\d+)(?:\/([a-z]+))?$/.exec(limit.value);
    const unit = match === null ? undefined : ["sec", "min", "hour", "day"].find((name) => name.startsWith(match[2]?.slice(0, 3) ?? "sec"));
    if (match === null || unit === undefined) throw usage(`bad rate \`${limit.value}'`);
    const burst = number(given.get("limit-burst")?.value ?? "5", "bad --limit-burst", 10000);
    text += ` --limit ${match[1]}/${unit} --limit-burst ${burst}`;
    const seconds = { sec: 1, min: 60, hour: 3600, day: 86400 }[unit]!;
    segments.push(`limit rate ${match[1]}/${{ sec: "second", min: "minute", hour: "hour", day: "day" }[unit]}${burst === 5 ? "" : ` burst ${burst} packets`}`);
    ops.writer.op(abi.NFTOP_LIMIT, 0, (w) => w.u32(0).u64(Number(match[1])).u64(seconds * 1e9).u32(burst).u32(0));
  }
  if (["log", "log-level", "log-prefix", "log-ip", "log-arp"].some((name) => given.has(name))) {
    const name = given.get("log-level")?.value ?? "notice";
    const level = parseNumber(name, 0, 7) ?? LEVELS.indexOf(name);
    if (level < 0) throw usage(`Problem with the log-level`);
    const prefix = given.get("log-prefix")?.value;
    text += ` --log-level ${LEVELS[level]}${prefix === undefined ? "" : ` --log-prefix "${prefix}"`}${given.has("log-ip") ? " --log-ip" : ""}${given.has("log-arp") ? " --log-arp" : ""}`;
    segments.push(`log${prefix === undefined ? "" : ` prefix "${prefix}"`} level ${NFT_LEVELS[level]} flags ether`);
    ops.writer.op(abi.NFTOP_LOG, 0);
  }
  if (given.has("nflog") || given.has("nflog-group")) {
    const group = number(given.get("nflog-group")?.value ?? "1", "--nflog-group must be a number!", 65535);
    text += ` --nflog-group ${group}`;
    segments.push(`log group ${group}`);
    ops.writer.op(abi.NFTOP_LOG, 0);
  }
  return target(given, text, segments, ops.writer, refused, counters);
}

function macMatch(field: string, network: Uint8Array, mask: Uint8Array, not: boolean): string {
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const length = bits.indexOf("0") < 0 ? 48 : bits.indexOf("0");
  if (length === 48) return `ether ${field} ${not ? "!= " : ""}${macText(network)}`;
  if (!bits.includes("01")) return `ether ${field} ${not ? "!= " : ""}${macText(network)}/${length}`;
  return `ether ${field} & ${macText(mask)} ${not ? "!=" : "=="} ${macText(network)}`;
}

function addressOf(text: string, v6: boolean): { bytes: Uint8Array; mask: Uint8Array; shown: string } {
  const [address = "", maskText] = text.split("/");
  const size = v6 ? 16 : 4;
  const parse = (one: string): Uint8Array | undefined => (v6 ? parseIpv6(one) : ipv4Bytes(one));
  const raw = parse(address);
  if (raw === undefined) throw usage(`Problem with the specified address '${text}'`);
  const bits = maskText === undefined ? size * 8 : parseNumber(maskText, 0, size * 8);
  const mask = bits !== undefined ? Uint8Array.from({ length: size }, (_, i) => (0xff00 >> Math.min(Math.max(bits - 8 * i, 0), 8)) & 255) : parse(maskText!);
  if (mask === undefined) throw usage(`Problem with the specified mask '${maskText}'`);
  const bytes = raw.map((byte, i) => byte & mask[i]!);
  const said = type(v6 ? "ipv6_addr" : "ipv4_addr").format(bytes);
  return { bytes, mask, shown: bits === size * 8 ? said : `${said}/${maskText}` };
}
function ipv4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split(".").map(Number);
  return parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256) ? Uint8Array.from(parts) : undefined;
}

function addresses(given: ReadonlyMap<string, Given>, ops: Ops, segments: string[], prefix: "ip" | "ip6", base: number): string {
  let text = "";
  for (const [name, field, offset] of [["src", "saddr", prefix === "ip" ? 12 : 8], ["dst", "daddr", prefix === "ip" ? 16 : 24]] as const) {
    const option = given.get(`${prefix}-${name}`);
    if (option === undefined) continue;
    const { bytes, mask, shown } = addressOf(option.value, prefix === "ip6");
    text += ` --${prefix}-${name} ${option.not ? "! " : ""}${shown}`;
    segments.push(`${prefix} ${field} ${option.not ? "!= " : ""}${shown}`);
    ops.payload(base, offset, bytes.length).mask(mask).compare(bytes, option.not);
  }
  return text;
}

function ipMatch(given: ReadonlyMap<string, Given>, ops: Ops, segments: string[]): { text: string; refused: boolean } {
  let text = addresses(given, ops, segments, "ip", abi.NFTBASE_NETWORK);
  const tos = given.get("ip-tos");
  if (tos !== undefined) {
    const value = number(tos.value, "Problem with specified IP tos", 255);
    text += ` --ip-tos ${tos.not ? "! " : ""}0x${value.toString(16).padStart(2, "0").toUpperCase()}`;
    segments.push(`ip dscp ${tos.not ? "!= " : ""}0x${value.toString(16).padStart(2, "0")}`);
    ops.payload(abi.NFTBASE_NETWORK, 1, 1).compare(Uint8Array.of(value), tos.not);
  }
  const protocol = given.get("ip-proto");
  const value = protocol === undefined ? 0 : (PROTOCOLS[protocol.value] ?? number(protocol.value, `Unknown specified IP protocol - ${protocol.value}`, 255));
  if (protocol !== undefined) {
    text += ` --ip-proto ${protocol.not ? "! " : ""}${protocolName(value)}`;
    ops.payload(abi.NFTBASE_NETWORK, 9, 1).compare(Uint8Array.of(value), protocol.not);
  }
  let said = false;
  const l4 = portsMatch(given, ops, segments, value);
  said ||= l4 !== "";
  text += l4;
  const icmp = given.get("ip-icmp-type");
  if (icmp !== undefined) {
    const kind = ICMP_TYPES[icmp.value] ?? number(icmp.value.split("/")[0], "Unknown ICMP type", 255);
    const name = Object.entries(ICMP_TYPES).find(([, n]) => n === kind)?.[0] ?? String(kind);
    text += ` --ip-icmp-type ${icmp.not ? "! " : ""}${name}`;
    segments.push(`icmp type ${icmp.not ? "!= " : ""}${kind}`);
    ops.payload(abi.NFTBASE_TRANSPORT, 0, 1).compare(Uint8Array.of(kind), icmp.not);
    said = true;
  }
  if (protocol !== undefined && !said) segments.push(`ip protocol ${protocol.not ? "!= " : ""}${protocolName(value)}`);
  const withPorts = given.has("ip-sport") || given.has("ip-dport");
  return { text, refused: (withPorts && ![6, 17, 132, 33, 136].includes(value)) || (icmp !== undefined && value !== 1) };
}

function portsMatch(given: ReadonlyMap<string, Given>, ops: Ops, segments: string[], protocol: number): string {
  let text = "";
  for (const [name, field, offset] of [["ip-sport", "sport", 0], ["ip-dport", "dport", 2]] as const) {
    const option = given.get(name);
    if (option === undefined) continue;
    const [lowText = "", highText = lowText] = option.value.split(":");
    const low = number(lowText === "" ? "0" : lowText, `invalid port/service \`${lowText}' specified`, 65535);
    const high = number(highText === "" ? "65535" : highText, `invalid port/service \`${highText}' specified`, 65535);
    text += ` --${name} ${option.not ? "! " : ""}${low === high ? low : `${low}:${high}`}`;
    segments.push(`${protocolName(protocol)} ${field} ${option.not ? "!= " : ""}${low === high ? low : `${low}-${high}`}`);
    ops.payload(abi.NFTBASE_TRANSPORT, offset, 2).range(bytesFrom(low, 2), bytesFrom(high, 2), option.not);
  }
  return text;
}

function ip6Match(given: ReadonlyMap<string, Given>, ops: Ops, segments: string[]): string {
  let text = addresses(given, ops, segments, "ip6", abi.NFTBASE_NETWORK);
  const protocol = given.get("ip6-proto");
  if (protocol !== undefined) {
    const value = PROTOCOLS[protocol.value] ?? number(protocol.value, `Unknown specified IP protocol - ${protocol.value}`, 255);
    text += ` --ip6-proto ${protocol.not ? "! " : ""}${protocolName(value)}`;
    segments.push(`ip6 nexthdr ${protocol.not ? "!= " : ""}${protocolName(value)}`);
    ops.payload(abi.NFTBASE_NETWORK, 6, 1).compare(Uint8Array.of(value), protocol.not);
  }
  return text;
}

function arpMatch(given: ReadonlyMap<string, Given>, ops: Ops, segments: string[]): string {
  let text = "";
  const word = (name: string, offset: number, parse: (value: string) => number, shown: (value: number) => string): void => {
    const option = given.get(name);
    if (option === undefined) return;
    const value = parse(option.value);
    text += ` --${name} ${option.not ? "! " : ""}${shown(value)}`;
    ops.payload(abi.NFTBASE_NETWORK, offset, 2).compare(bytesFrom(value, 2), option.not);
  };
  word("arp-op", 6, (value) => {
    const at = ARP_OPERATIONS.findIndex((name) => name.toLowerCase() === value.toLowerCase());
    return at >= 0 ? at + 1 : number(value, "Problem with specified ARP opcode", 65535);
  }, (value) => ARP_OPERATIONS[value - 1] ?? String(value));
  word("arp-htype", 0, (value) => number(value === "Ethernet" ? "1" : value, "Problem with specified ARP hardware type", 65535), String);
  word("arp-ptype", 2, (value) => ETHERTYPES[value.toLowerCase()] ?? number(value, "Problem with specified ARP protocol type", 65535), (value) => `0x${value.toString(16)}`);
  for (const [name, offset] of [["arp-ip-src", 14], ["arp-ip-dst", 24]] as const) {
    const option = given.get(name);
    if (option === undefined) continue;
    const { bytes, mask, shown } = addressOf(option.value, false);
    text += ` --${name} ${option.not ? "! " : ""}${shown}`;
    ops.payload(abi.NFTBASE_NETWORK, offset, 4).mask(mask).compare(bytes, option.not);
  }
  for (const [name, offset] of [["arp-mac-src", 8], ["arp-mac-dst", 18]] as const) {
    const option = given.get(name);
    if (option === undefined) continue;
    const [addressText = "", maskText = FULL_MAC] = option.value.split("/");
    const address = macBytes(addressText);
    const mask = macBytes(maskText);
    if (address === undefined || mask === undefined) throw usage(`Problem with specified MAC address '${option.value}'`);
    text += ` --${name} ${option.not ? "! " : ""}${macText(address)}${maskText === FULL_MAC ? "" : `/${macText(mask)}`}`;
    ops.payload(abi.NFTBASE_NETWORK, offset, 6).mask(mask).compare(address.map((byte, i) => byte & mask[i]!), option.not);
  }
  const gratuitous = given.get("arp-gratuitous");
  if (gratuitous !== undefined) {
    text += ` ${gratuitous.not ? "! " : ""}--arp-gratuitous`;
    ops.writer.op(abi.NFTOP_EBT, 0, (w) => w.u8(abi.NFTEBT_GRATUITOUS, gratuitous.not ? 1 : 0).u16(0).u32(0).u32(0));
  }
  segments.push("xt match arp");
  return text;
}

function vlanMatch(given: ReadonlyMap<string, Given>, ops: Ops, segments: string[]): string {
  let text = "";
  for (const [name, word, max, shift, bits] of [["vlan-id", "id", 4095, 0, 0x0fff], ["vlan-prio", "pcp", 7, 13, 0xe000]] as const) {
    const option = given.get(name);
    if (option === undefined) continue;
    const value = number(option.value, `Invalid --${name} range ('${option.value}')`, max);
    text += ` --${name} ${option.not ? "! " : ""}${value}`;
    segments.push(`vlan ${word} ${option.not ? "!= " : ""}${value}`);
    ops.payload(abi.NFTBASE_LINK, 14, 2).mask(bytesFrom(bits, 2)).compare(bytesFrom(value << shift, 2), option.not);
  }
  const encap = given.get("vlan-encap");
  if (encap !== undefined) {
    const value = ETHERTYPES[encap.value.toLowerCase()] ?? (/^[0-9a-fA-F]{1,4}$/.test(encap.value) ? parseInt(encap.value, 16) : number(encap.value, `Unknown --vlan-encap value ('${encap.value}')`, 65535));
    const hex = value.toString(16).toUpperCase().padStart(4, "0");
    text += ` --vlan-encap ${encap.not ? "! " : ""}${hex}`;
    segments.push(`vlan type ${encap.not ? "!= " : ""}0x${hex.toLowerCase()}`);
    ops.payload(abi.NFTBASE_LINK, 16, 2).compare(bytesFrom(value, 2), encap.not);
  }
  return text;
}

/** A limit has a state, which stands before the counter's. */
const limited = (text: string): Segment => (text.startsWith("limit rate ") ? ({ state }) => (state(), text) : text);

/** Chains in which the targets may stand, by the chain packets begin in. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  dnat: ["nat PREROUTING", "nat OUTPUT", "broute BROUTING"], snat: ["nat POSTROUTING"], redirect: ["nat PREROUTING", "broute BROUTING"], arpreply: ["nat PREROUTING"],
};

function target(given: ReadonlyMap<string, Given>, matches: string, segments: readonly string[], writer: Writer, refused: boolean, counters: EbRule["counters"]): EbRule {
  const name = given.get("j")?.value ?? "CONTINUE";
  let text = `${matches} -j ${name}`;
  const counter: Segment = ({ stateless, state }) => {
    const [packets, bytes] = state();
    return stateless ? "counter" : `counter packets ${packets} bytes ${bytes}`;
  };
  const [packets, bytes] = counters ?? [0n, 0n];
  writer.op(abi.NFTOP_COUNTER, 0, (w) => w.u32(0).u64(packets).u64(bytes));
  let said = name in VERDICTS ? (name === "CONTINUE" ? "" : name.toLowerCase()) : "";
  let verdict = VERDICTS[name] ?? abi.NFTV_CONTINUE;
  const then = (option: string, otherwise: string): string => {
    const value = given.get(option)?.value ?? otherwise;
    if (!(value in VERDICTS)) throw usage(`Illegal target '${value}'`);
    verdict = VERDICTS[value]!;
    return value;
  };
  const mac = (option: string): Uint8Array => {
    const parsed = macBytes(given.get(option)?.value ?? "");
    if (parsed === undefined) throw usage(given.has(option) ? `Problem with specified --${option} mac` : `No --${option} option specified`);
    return parsed;
  };
  const ebt = (kind: number, address: Uint8Array, flags = 0): void =>
    void writer.op(abi.NFTOP_EBT, 0, (w) => w.u8(kind, flags).u16(0).data(Uint8Array.from([...address, 0, 0])));
  const nftVerdict = (value: string): string => (value === "RETURN" ? " return" : ` ${value.toLowerCase()}`);
  switch (name) {
    case "dnat": case "snat": {
      const address = mac(name === "dnat" ? "to-dst" : "to-src");
      const value = then(`${name}-target`, "ACCEPT");
      const arp = given.has("snat-arp");
      text += ` --to-${name === "dnat" ? "dst" : "src"} ${macText(address)}${arp ? " --snat-arp" : ""} --${name}-target ${value}`;
      said = arp ? "xt target snat" : `ether ${name === "dnat" ? "daddr" : "saddr"} set ${shortMac(address)}${nftVerdict(value)}`;
      ebt(name === "dnat" ? abi.NFTEBT_DNAT : abi.NFTEBT_SNAT, address, arp ? 1 : 0);
      break;
    }
    case "redirect": {
      const value = then("redirect-target", "ACCEPT");
      text += value === "ACCEPT" ? " " : ` --redirect-target ${value}`;
      said = `meta set pkttype host${value === "ACCEPT" ? "" : nftVerdict(value)}`;
      ebt(abi.NFTEBT_REDIRECT, new Uint8Array(6));
      break;
    }
    case "arpreply": {
      const address = mac("arpreply-mac");
      const given_ = given.has("arpreply-target");
      const value = then("arpreply-target", "DROP");
      text += ` --arpreply-mac ${macText(address)}${given_ && value !== "DROP" ? ` --arpreply-target ${value}` : ""}`;
      said = "xt target arpreply";
      ebt(abi.NFTEBT_ARPREPLY, address);
      break;
    }
    case "mark": {
      const how = ["mark-set", "mark-or", "mark-and", "mark-xor"].find((option) => given.has(option));
      if (how === undefined) throw usage("mark target: --mark value not specified");
      const value = number(given.get(how)!.value, `Bad --${how} value`, 0xffffffff);
      const next = then("mark-target", "ACCEPT");
      const word = how.slice(5);
      const hex = `0x${value.toString(16)}`;
      text += ` --${how} ${hex} --mark-target ${next}`;
      said = `meta mark set ${word === "set" ? hex : `meta mark ${word} ${hex}`}${nftVerdict(next)}`;
      const bytes_ = bytesFrom(value, 4);
      if (word === "set") writer.op(abi.NFTOP_IMMEDIATE, 0, (w) => w.u32(4).data(bytes_));
      else {
        writer.op(abi.NFTOP_META, 0, (w) => w.u32(abi.NFTMETA_MARK));
        const [keep, flip] = word === "and" ? [bytes_, new Uint8Array(4)] : word === "or" ? [bytes_.map((byte) => ~byte & 255), bytes_] : [new Uint8Array(4).fill(255), bytes_];
        writer.op(abi.NFTOP_BITWISE, 0, (w) => w.u8(0, 4).u16(0).data(keep).data(flip));
      }
      writer.op(abi.NFTOP_META_SET, 0, (w) => w.u32(abi.NFTMETA_MARK));
      break;
    }
    default:
      if (!(name in VERDICTS)) said = `jump ${name}`;
  }
  const chain = isEbTarget(name) ? undefined : name;
  const body = writer.take();
  return {
    text, chain, refused, counters, segments: [...segments.map(limited), counter, ...(said === "" ? [] : [said])], places: PLACES[name],
    ops: (chainId) => {
      const whole = new Writer();
      whole.data(body);
      if (chain !== undefined) whole.op(abi.NFTOP_VERDICT, 0, (w) => w.u32(abi.NFTV_JUMP).u32(chainId(chain)));
      else if (verdict !== abi.NFTV_CONTINUE) whole.op(abi.NFTOP_VERDICT, 0, (w) => w.u32(verdict).u32(0));
      return whole.take();
    },
  };
}

