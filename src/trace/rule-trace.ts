/**
 * Which rules a packet matched, told as `iptables -j TRACE` tells it in the kernel log and as `nft monitor trace` tells it. Every
 * packet is told, as if `-t raw -I PREROUTING -j TRACE` and the same in OUTPUT stood before all rules. A record says which rule it
 * was, not what the packet looked like then: that is put together from the frame that came or left and the translations between.
 */
import { TABLE_NAMES } from "../kernel/iptables/tables.ts";
import { NFTV_CONTINUE, NFTV_GOTO, NFTV_JUMP, NFTV_RETURN } from "../../assembly/abi/nft.ts";
import type { Observations, RuleText } from "./observer.ts";
import { packetLog } from "./packet-log.ts";
import { decodeRecords, type TraceEvent } from "./records.ts";

type RuleEvent = Extract<TraceEvent, { type: "rule" }>;
type NftEvent = Extract<TraceEvent, { type: "nft" }>;
type NatEvent = Extract<TraceEvent, { type: "nat" }>;

/** One rule, policy or return that a packet came by. */
interface Hit {
  readonly event: RuleEvent | NftEvent;
  readonly in: string;
  readonly out: string;
  readonly ethernet: Uint8Array | undefined;
  readonly ip: Uint8Array;
}

const ETHERNET = 14;
const PREROUTING = 0;
const INPUT = 1;
const OUTPUT = 3;
const POSTROUTING = 4;

/**
 * Lines of the kernel's log: `TRACE: filter:FORWARD:rule:1 IN=eth0 OUT=eth1 MAC=… SRC=…`, in order of time. That a chain was left at its
 * end is in no record: it shows in that the next rule stands in a chain that led there.
 */
export const traceLines = (observations: Observations): string[] => {
  const lines: string[] = [];
  /** Per traversal of a table: the chains entered, outermost first, with the number of the line after their last rule. */
  const entered = new Map<string, { chain: string; end: number; returned: boolean }[]>();
  for (const { event, in: from, out, ethernet, ip } of hits(observations)) {
    const nft = event.type === "nft" ? nftText(observations, event, event.chain, event.handle) : undefined;
    // Of nftables' rules those of iptables-nft are told this way, and the policies of its chains.
    if (event.type === "nft" && (nft === undefined || nft.family !== "ip" || !TABLE_NAMES.includes(nft.table ?? "") || (event.handle !== 0 && nft.iptables === undefined))) continue;
    const described = event.type === "nft" ? nft : textOf(observations, event);
    const chain = described?.chain ?? "?";
    const packet = packetLog({ in: from, out, ip, ...(ethernet === undefined ? {} : { ethernet }) },
      { tcpSequence: true, tcpOptions: true, ipOptions: true });
    const table = event.type === "nft" ? nft!.table! : TABLE_NAMES[event.table];
    const say = (where: string, what: string): number => lines.push(`TRACE: ${table}:${where}:${what} ${packet}`);
    if (event.type === "nft") {
      say(chain, event.handle === 0 ? `policy:${nft!.number}` : `rule:${nft!.number}`);
      continue;
    }
    const key = `${event.skb}/${event.hook}/${event.table}`;
    const stack = entered.get(key) ?? [];
    entered.set(key, stack);
    for (let top = stack.at(-1); top !== undefined && top.chain !== chain; top = stack.at(-1)) {
      if (!top.returned) say(top.chain, `return:${top.end}`);
      stack.pop();
    }
    say(chain, event.rule === 0 ? `policy:${described?.number ?? 0}` : `rule:${event.rule}`);
    const target = described?.ruleText.slice(described.ruleText.lastIndexOf(" ") + 1) ?? "";
    const top = stack.at(-1);
    if (top !== undefined) top.returned = target === "RETURN";
    const behind = described?.number ?? 0;
    if (event.rule !== 0 && behind > 0) stack.push({ chain: target, end: behind, returned: false });
  }
  return lines;
};

const NFT_VERDICTS = ["drop", "accept", "stolen", "queue", "repeat"] as const;

/** Lines of `nft monitor trace`; a rule's text is iptables-save's. */
export const nftTraceLines = (observations: Observations): string[] => {
  const lines: string[] = [];
  let described = "";
  for (const { event, in: from, out, ethernet, ip } of hits(observations)) {
    if (event.type === "nft") {
      const rule = nftText(observations, event, event.chain, event.handle);
      const head = `trace id ${event.skb.toString(16).padStart(8, "0")} ${rule?.family ?? "ip"} ${rule?.table ?? "?"} ${rule?.chain ?? "?"}`;
      const key = `${event.skb}/${event.hook}/${rule?.family}/${rule?.table}`;
      if (key !== described) lines.push(`${head} packet: ${nftPacket(from, out, ethernet, ip, rule?.family)} `);
      described = key;
      const to = event.to === 0 ? undefined : nftText(observations, event, event.to, 0)?.chain;
      const word = NFT_WORDS[event.verdict] ?? NFT_VERDICTS[event.verdict & 255] ?? "continue";
      const verdict = to === undefined ? word : `${word} ${to}`;
      lines.push(event.handle === 0 ? `${head} policy ${verdict} ` : `${head} rule ${rule?.ruleText ?? "?"} (verdict ${verdict})`);
      continue;
    }
    const table = TABLE_NAMES[event.table] ?? "?";
    const rule = textOf(observations, event);
    const head = `trace id ${event.skb.toString(16).padStart(8, "0")} ip ${table} ${rule?.chain ?? "?"}`;
    const packet = `packet: ${nftPacket(from, out, ethernet, ip)}`;
    // nft tells the packet once per base chain.
    const key = `${event.skb}/${event.hook}/${event.table}`;
    if (key !== described) lines.push(`${head} ${packet} `);
    described = key;
    const verdict = NFT_VERDICTS[event.verdict] ?? "continue";
    lines.push(event.rule === 0 ? `${head} policy ${verdict} ` : `${head} rule ${rule?.ruleText ?? "?"} (verdict ${verdict})`);
  }
  return lines;
};

/** Verdicts beside those of NF_* (nft_verdicts). */
const NFT_WORDS: Readonly<Record<number, string>> = {
  [NFTV_CONTINUE]: "continue", [NFTV_JUMP]: "jump", [NFTV_GOTO]: "goto", [NFTV_RETURN]: "return",
};

const nftText = ({ rules }: Observations, { netns }: NftEvent, chain: number, handle: number): RuleText | undefined => rules[`${netns}/nft/${chain}/${handle}`];

const textOf = ({ rules }: Observations, { netns, table, chain, rule }: RuleEvent): { chain: string; ruleText: string; number: number } | undefined => {
  const found = rules[`${netns}/${table}/${chain}/${rule}`];
  if (found === undefined) return undefined;
  return { ...found, number: found.rules === undefined ? 0 : found.rules + 1 };
};

/** All rule records with the packet as it then was. */
const hits = (observations: Observations): Hit[] => {
  const byPacket = new Map<number, TraceEvent[]>();
  const order: { event: RuleEvent | NftEvent; at: number }[] = [];
  for (const chunk of observations.records) {
    for (const event of decodeRecords(chunk)) {
      if (event.skb === 0) continue;
      let events = byPacket.get(event.skb);
      if (events === undefined) byPacket.set(event.skb, (events = []));
      if (event.type === "rule" || event.type === "nft") order.push({ event, at: events.length });
      events.push(event);
    }
  }
  const name = (netns: number, ifindex: number): string =>
    observations.devices.find((device) => device.netns === netns && device.ifindex === ifindex)?.name ?? "";
  return order.flatMap(({ event, at }) => {
    const found = packetAt(byPacket.get(event.skb)!, at);
    if (found === undefined) return [];
    const { rx, tx } = found;
    const from = rx === undefined || event.hook === OUTPUT ? "" : name(rx.netns, rx.ifindex);
    const to = event.hook === PREROUTING || event.hook === INPUT ? "" : name(event.netns, tx ?? 0);
    return [{ event, in: from, out: to, ip: found.ip, ethernet: rx?.bytes }];
  });
};

/** The packet as it was before event `at`: from the frame received before it, else from the next one sent, changed back. */
const packetAt = (events: readonly TraceEvent[], at: number):
  { rx: Extract<TraceEvent, { type: "frame" }> | undefined; tx: number | undefined; ip: Uint8Array } | undefined => {
  let rx: Extract<TraceEvent, { type: "frame" }> | undefined;
  let since = 0;
  for (let i = 0; i < at; i++) {
    const event = events[i]!;
    if (event.type !== "frame" || event.direction !== "rx") continue;
    rx = event;
    since = i + 1;
  }
  const route = events.slice(0, at).findLast((event) => event.type === "route") ?? events.slice(at).find((event) => event.type === "route");
  const tx = route?.type === "route" ? route.out : undefined;
  if (rx !== undefined) {
    const ip = rx.bytes.slice(ETHERNET);
    if (ip.length < 20) return undefined;
    for (const event of events.slice(since, at)) if (event.type === "nat") translate(ip, event, false);
    const { hook } = events[at] as RuleEvent | NftEvent;
    if (ip[8]! > 0 && (hook === 2 || hook === POSTROUTING)) decrementTtl(ip);
    return { rx, tx, ip };
  }
  const sent = events.findIndex((event, i) => i >= at && event.type === "frame");
  const frame = events[sent];
  if (frame === undefined || frame.type !== "frame" || frame.bytes.length < ETHERNET + 20) return undefined;
  const ip = frame.bytes.slice(ETHERNET);
  for (const event of events.slice(at, sent).reverse()) if (event.type === "nat") translate(ip, event, true);
  return { rx: undefined, tx: tx ?? frame.ifindex, ip };
};

const decrementTtl = (ip: Uint8Array): void => {
  ip[8] = ip[8]! - 1;
};

/** Writes a translation's new address and port into a packet (`back`: the old ones). Checksums are not told and not kept. */
const translate = (ip: Uint8Array, { kind, from, fromPort, to, toPort }: NatEvent, back: boolean): void => {
  const address = (back ? from : to).split(".").map(Number);
  ip.set(address, kind === "source" ? 12 : 16);
  const header = (ip[0]! & 15) * 4;
  const port = back ? fromPort : toPort;
  const protocol = ip[9]!;
  const fragment = ((ip[6]! & 0x1f) << 8) | ip[7]!;
  if (fragment !== 0 || ip.length < header + 8 || ![1, 6, 17, 132, 136].includes(protocol)) return;
  const at = header + (protocol === 1 ? 4 : kind === "source" ? 0 : 2);
  ip[at] = port >> 8;
  ip[at + 1] = port & 255;
};

const be16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
const mac = (bytes: Uint8Array, at: number): string =>
  Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
const dotted = (bytes: Uint8Array, at: number): string => bytes.subarray(at, at + 4).join(".");

const ECN = ["not-ect", "ect1", "ect0", "ce"] as const;
/** By the six bits (dscp_type_tbl of nftables' src/proto.c). */
const DSCP: Readonly<Record<number, string>> = {
  0: "cs0", 8: "cs1", 16: "cs2", 24: "cs3", 32: "cs4", 40: "cs5", 48: "cs6", 56: "cs7", 10: "af11", 12: "af12", 14: "af13", 18: "af21",
  20: "af22", 22: "af23", 26: "af31", 28: "af32", 30: "af33", 34: "af41", 36: "af42", 38: "af43", 46: "ef",
};
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 132: "sctp" };
const TCP_BITS = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"] as const;
const ICMP_TYPES: Readonly<Record<number, string>> = {
  0: "echo-reply", 3: "destination-unreachable", 4: "source-quench", 5: "redirect", 8: "echo-request", 9: "router-advertisement",
  10: "router-solicitation", 11: "time-exceeded", 12: "parameter-problem", 13: "timestamp-request", 14: "timestamp-reply",
};

/** `iif "eth0" ether saddr … ip saddr … tcp sport …`, as trace_print_packet of nftables' src/netlink.c orders it. */
const nftPacket = (from: string, out: string, ethernet: Uint8Array | undefined, ip: Uint8Array, family = "ip"): string => {
  const words: string[] = [];
  if (from !== "") words.push(`iif "${from}"`);
  if (out !== "") words.push(`oif "${out}"`);
  if (ethernet !== undefined) words.push(`ether saddr ${mac(ethernet, 6)} ether daddr ${mac(ethernet, 0)}`);
  const dscp = ip[1]! >> 2;
  words.push(`ip saddr ${dotted(ip, 12)} ip daddr ${dotted(ip, 16)} ip dscp ${DSCP[dscp] ?? `0x${dscp.toString(16).padStart(2, "0")}`} ` +
    `ip ecn ${ECN[ip[1]! & 3]} ip ttl ${ip[8]} ip id ${be16(ip, 4)}`);
  const protocol = ip[9]!;
  const header = (ip[0]! & 15) * 4;
  const l4 = ip.subarray(header);
  if ((protocol !== 6 && protocol !== 17 && protocol !== 1) || family === "inet") words.push(`ip protocol ${PROTOCOLS[protocol] ?? protocol}`);
  words.push(`ip length ${be16(ip, 2)}`);
  if ((be16(ip, 6) & 0x1fff) === 0) {
    if (protocol === 6 && l4.length >= 20) {
      // One flag by its name, several as the number that they are.
      const names = TCP_BITS.filter((_, i) => l4[13]! & (1 << i));
      const flags = names.length === 1 ? names[0]! : names.length === 0 ? "" : `0x${l4[13]!.toString(16).padStart(2, "0")}`;
      words.push(`tcp sport ${be16(l4, 0)} tcp dport ${be16(l4, 2)} tcp flags == ${flags === "" ? "0x0" : flags} tcp window ${be16(l4, 14)}`);
    } else if (protocol === 17 && l4.length >= 8) {
      words.push(`udp sport ${be16(l4, 0)} udp dport ${be16(l4, 2)} udp length ${be16(l4, 4)}`);
      if (l4.length > 8) words.push(payload(l4, 8));
    } else if (protocol === 1 && l4.length >= 8) {
      words.push(`icmp type ${ICMP_TYPES[l4[0]!] ?? l4[0]} icmp code ${icmpCode(l4[0]!, l4[1]!)} icmp id ${be16(l4, 4)} icmp sequence ${be16(l4, 6)}`);
      if (l4.length > 8) words.push(payload(l4, 8));
    } else if (l4.length > 0) words.push(payload(l4, 0));
  }
  return words.join(" ");
};

const ICMP_CODES = ["net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "frag-needed"] as const;
const icmpCode = (type: number, code: number): string | number => (type === 3 ? (ICMP_CODES[code] ?? code) : code === 0 ? ICMP_CODES[0] : code);

/** NFT_TRACETYPE_TH_HSIZE: so much of the transport header and what follows is in a trace. */
const TRACED = 20;

/** What nft has no name for, from byte `from` of the transport header on. */
const payload = (l4: Uint8Array, from: number): string => {
  const bytes = l4.subarray(from, TRACED);
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("").replace(/^0+(?=.)/, "");
  return `@th,${from * 8},${bytes.length * 8} 0x${digits}`;
};
