/** `ip link show` and `ip addr show` (ip/ipaddress.c): links with their addresses, as text, in one line, in brief, as JSON. */
import type { Netns } from "../../kernel/netns.ts";
import { IFF_ALLMULTI, IFF_NOARP, IFF_POINTOPOINT, IFF_PROMISC } from "../../../assembly/abi/net.ts";
import {
  IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_OPTIMISTIC, IFA_F_PERMANENT,
  IFA_F_STABLE_PRIVACY, IFA_F_TEMPORARY, IFA_F_TENTATIVE,
} from "../../../assembly/abi/net6.ts";
import { filtersOf } from "../fdb-filters.ts";
import { addressRecords, linkRecords, type AddressRecord, type LinkRecord } from "../kernel.ts";
import type { Printer } from "../printer.ts";
import { garbage, invalid, ToolExit, unsigned, type ToolHost, type Words } from "../tool.ts";
import { shown as shownQdiscs } from "../tc/qdisc.ts";
import { attributesOf } from "./attributes.ts";
import { findLink, line, parseIpv6, prefix, printer, SCOPES, type IpContext, type Prefix } from "./context.ts";
import { extrasOf, queueLength } from "./extras.ts";
import { printKind } from "./kind-show.ts";
import { ADDRESS, LINK } from "./usage.ts";

interface Filter {
  dev?: LinkRecord;
  master?: string;
  nomaster?: boolean;
  type?: string;
  group?: number;
  up?: boolean;
  scope?: number;
  to?: Prefix;
  label?: string;
  /** Flags that have to be there or not: permanent, dynamic … */
  primary?: boolean;
  permanent?: boolean;
}

/** rtnl_group_a2n() */
export function groupNumber(text: string): number {
  const group = text === "default" ? 0 : unsigned(text);
  if (group === undefined) throw invalid('Invalid "group" value\n', text);
  return group;
}

/** The kind as rtnetlink names it. */
export const kindName = (netns: Netns, link: LinkRecord): string =>
  link.kind === "tap" ? "tun" : link.kind === "macvlan" && extrasOf(netns, link).macvtap === true ? "macvtap" : link.kind;

/** Reads the filter of show and flush. */
export function addressFilter(context: IpContext, words: Words, linkOnly: boolean): Filter {
  const { netns } = context;
  const filter: Filter = {};
  let dev: string | undefined;
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "to") filter.to = prefix(words.next(), context.family);
    else if (word === "scope") {
      const text = words.next();
      if (text === "all") continue;
      const scope = SCOPES.number(text);
      if (scope === undefined) throw invalid('invalid "scope"\n', text);
      filter.scope = scope;
    } else if (word === "up") filter.up = true;
    else if (word === "permanent" || word === "dynamic") filter.permanent = word === "permanent";
    else if (word === "primary" || word === "secondary") filter.primary = word === "primary";
    else if (word === "label") filter.label = words.next();
    else if (word === "group") filter.group = groupNumber(words.next());
    else if (word === "vrf") words.next();
    else if (word === "master") {
      const name = words.next();
      if (findLink(netns, name) === undefined) throw invalid("Device does not exist\n", name);
      filter.master = name;
    } else if (word === "nomaster") filter.nomaster = true;
    else if (word === "type") filter.type = words.next();
    else {
      if (word === "help") throw new ToolExit(255, linkOnly ? LINK : ADDRESS);
      const name = word === "dev" ? words.next() : word;
      if (dev !== undefined) throw garbage("dev", name);
      dev = name;
    }
  }
  if (dev !== undefined) {
    const link = findLink(netns, dev);
    if (link === undefined) throw new ToolExit(1, `Device "${dev}" does not exist.\n`);
    filter.dev = link;
  }
  return filter;
}

/** Everything about a link that is not in its record. */
interface Shown {
  readonly link: LinkRecord;
  readonly flags: readonly string[];
  readonly state: string;
  /** `@…` behind its name: the other end's name, or number when that is elsewhere. */
  readonly lower: { readonly name: string; readonly json: readonly [string, string | number | null] } | undefined;
  readonly peerNetns: { readonly name: string | undefined; readonly id: number } | undefined;
}

/** Where a veth's other end is. */
export function peerOf(host: ToolHost, link: LinkRecord): { netns: Netns; link: LinkRecord; name: string | undefined; id: number } | undefined {
  if (link.kind !== "veth" || link.peer === 0) return undefined;
  const ends = (netns: Netns): LinkRecord | undefined =>
    linkRecords(netns).find(({ kind, ifindex, peer }) => kind === "veth" && ifindex === link.peer && peer === link.ifindex);
  const here = ends(host.netns);
  if (here !== undefined && here.ifindex !== link.ifindex) return { netns: host.netns, link: here, name: undefined, id: -1 };
  let id = 0;
  for (const [name, netns] of host.namespaces) {
    if (netns === host.netns) continue;
    const there = ends(netns);
    if (there !== undefined) return { netns, link: there, name, id };
    id++;
  }
  return undefined;
}

/** Kinds whose operational state nobody ever told (IF_OPER_UNKNOWN). */
const UNKNOWN: readonly string[] = ["loopback", "vxlan", "ifb", "dummy", "geneve", "ipip", "gre", "gretap", "ipvlan"];
const LOWER_KINDS: readonly string[] = ["macvlan", "ipvlan", "vlan"];

function shownOf(context: IpContext, link: LinkRecord, all: readonly LinkRecord[]): Shown {
  const peer = peerOf(context.host, link);
  const running = isRunning(link, all, peer?.link);
  const flags = deviceFlags(link, running);
  let lower: Shown["lower"];
  let index = link.ifindex;
  if (link.kind === "veth" && link.peer !== 0) {
    index = link.peer;
    lower = peer !== undefined && peer.id < 0
      ? { name: peer.link.name, json: ["link", peer.link.name] }
      : { name: `if${link.peer}`, json: ["link_index", link.peer] };
    if (peer !== undefined && peer.id < 0 && !peer.link.up) flags.push("M-DOWN");
  } else if (LOWER_KINDS.includes(link.kind) && link.linkIfindex !== 0) {
    index = link.linkIfindex;
    const below = link.linkNetns ? undefined : all.find(({ ifindex }) => ifindex === link.linkIfindex);
    lower = below === undefined ? { name: `if${link.linkIfindex}`, json: ["link_index", link.linkIfindex] } : { name: below.name, json: ["link", below.name] };
    if (below !== undefined && !below.up) flags.push("M-DOWN");
  } else if (["ipip", "gre", "gretap"].includes(link.kind)) {
    const below = all.find(({ ifindex }) => ifindex === link.linkIfindex);
    lower = below === undefined ? { name: "NONE", json: ["link", null] } : { name: below.name, json: ["link", below.name] };
  }
  const state = !link.up ? "DOWN" : UNKNOWN.includes(link.kind) ? "UNKNOWN" : running ? "UP" : index === link.ifindex ? "DOWN" : "LOWERLAYERDOWN";
  return { link, flags, state, lower, peerNetns: peer !== undefined && peer.id >= 0 ? { name: peer.name, id: peer.id } : undefined };
}

/** Kinds that are no Ethernet, by what stands behind `link/`. */
const LINK_TYPES: Readonly<Record<string, string>> = { loopback: "loopback", tun: "none", ipip: "ipip", gre: "gre" };
const NO_BROADCAST: readonly string[] = ["loopback", "tun", "ipip", "gre"];
const NO_MULTICAST: readonly string[] = ["loopback", "ifb", "dummy", "ipip", "gre"];

/** print_link_flags(), in its order. */
export function deviceFlags({ kind, up, flags: bits }: LinkRecord, running: boolean): string[] {
  return [
    ...(up && !running ? ["NO-CARRIER"] : []),
    ...(kind === "loopback" ? ["LOOPBACK"] : []),
    ...(NO_BROADCAST.includes(kind) ? [] : ["BROADCAST"]),
    ...((bits & IFF_POINTOPOINT) !== 0 ? ["POINTOPOINT"] : []),
    ...(NO_MULTICAST.includes(kind) ? [] : ["MULTICAST"]),
    ...((bits & IFF_NOARP) !== 0 ? ["NOARP"] : []),
    ...((bits & IFF_ALLMULTI) !== 0 ? ["ALLMULTI"] : []),
    ...((bits & IFF_PROMISC) !== 0 ? ["PROMISC"] : []),
    ...(up ? ["UP"] : []),
    ...(running ? ["LOWER_UP"] : []),
  ];
}

/** Does the device have a carrier (netif_carrier_ok())? */
export const hasCarrier = (host: ToolHost, link: LinkRecord): boolean => isRunning(link, linkRecords(host.netns), peerOf(host, link)?.link);

/** IFF_RUNNING: both ends of a veth are up; a port of the bridge is; a program holds the tun; others have a carrier when they are up. */
function isRunning(link: LinkRecord, all: readonly LinkRecord[], peer: LinkRecord | undefined): boolean {
  if (!link.up) return false;
  if (link.kind === "veth") return peer === undefined ? true : peer.up;
  if (link.kind === "bridge") {
    const ports = all.filter(({ masterIndex }) => masterIndex === link.ifindex);
    return ports.some(({ up }) => up);
  }
  if (link.kind === "tun" || link.kind === "tap") return false;
  return true;
}

/** `ip link show` (`linkOnly`) and `ip addr show`. */
export function listLinks(context: IpContext, words: Words, linkOnly: boolean): void {
  const filter = addressFilter(context, words, linkOnly);
  const { netns, brief, oneline, streams } = context;
  const family = linkOnly ? undefined : (context.family ?? filter.to?.family ?? (filter.label === undefined ? undefined : "inet"));
  const all = linkRecords(netns);
  const addresses = linkOnly ? [] : addressRecords(netns);
  const p = printer(context);
  p.array(undefined, () => {
    for (const link of all) {
      if (!passes(netns, link, filter)) continue;
      const own = addresses.filter(({ ifindex }) => ifindex === link.ifindex);
      const matching = own.filter((record) => addressPasses(netns, link, record, filter, context.family));
      // What chooses addresses of one family leaves out the links without any.
      const chooses = filter.to !== undefined || filter.label !== undefined || (family !== undefined && family !== "link");
      if (!linkOnly && matching.length === 0 && (own.length > 0 || chooses)) continue;
      const shown = shownOf(context, link, all);
      p.object(undefined, () => {
        if (brief) return printBrief(p, shown, matching, linkOnly || family === "link");
        if (linkOnly || family === "link" || (!oneline && filter.label === undefined) || context.json) printLink(context, p, shown, linkOnly, family);
        if (!linkOnly) {
          p.array("addr_info", () => {
            for (const record of matching) p.object(undefined, () => printAddress(context, p, link, record));
          });
        }
        if (context.stats > 0 && !linkOnly && !oneline) {
          printStats(context, p, link);
          p.fp("\n");
        }
      });
    }
  });
  streams.stdout += p.take();
}

const passes = (netns: Netns, link: LinkRecord, { dev, master, nomaster, type, up, group }: Filter): boolean =>
  (group === undefined || (extrasOf(netns, link).group ?? 0) === group) &&
  (dev === undefined || dev.ifindex === link.ifindex) &&
  (master === undefined || link.master === master) &&
  (nomaster !== true || link.master === undefined) &&
  (up !== true || link.up) &&
  (type === undefined || kindName(netns, link) === type || (type === "bridge_slave" && link.master !== undefined));

export const addressPasses = (netns: Netns, link: LinkRecord, record: AddressRecord, filter: Filter, family: IpContext["family"]): boolean => {
  const { label, secondary, lifetimes } = attributesOf(netns, link, record);
  return (
    (family === undefined || family === "link" || record.family === family) &&
    (filter.scope === undefined || record.scope === filter.scope) &&
    (filter.to === undefined || inPrefix(record.address, filter.to)) &&
    (filter.label === undefined || wildcard(filter.label, label)) &&
    (filter.primary === undefined || filter.primary === !secondary) &&
    (filter.permanent === undefined || filter.permanent === (lifetimes === undefined || !Number.isFinite(lifetimes.valid)))
  );
};

const wildcard = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`).test(text);

/** Is the address within the prefix? */
export function inPrefix(text: string, wanted: Prefix): boolean {
  if (text.includes(":") !== (wanted.family === "inet6")) return false;
  const [a, b] = [text, wanted.address].map(bitsOf);
  return a!.slice(0, wanted.bits) === b!.slice(0, wanted.bits);
}

/** An address as zeros and ones. */
export function bitsOf(text: string): string {
  const v6 = text.includes(":");
  const parts = v6 ? (parseIpv6(text) ?? []) : text.split(".").map(Number);
  return parts.map((part) => part.toString(2).padStart(v6 ? 16 : 8, "0")).join("");
}

function printBrief(p: Printer, { link, flags, state, lower }: Shown, addresses: readonly AddressRecord[], linkOnly: boolean): void {
  const name = lower === undefined ? link.name : `${link.name}@${lower.name}`;
  if (lower !== undefined) p.js(...lower.json);
  p.any("ifname", link.name, `${name.padEnd(16)} `);
  p.any("operstate", state, `${state.padEnd(14)} `);
  if (linkOnly) {
    if (LINK_TYPES[link.kind] !== "none") p.any("address", link.mac, `${link.mac} `);
    p.array("flags", () => {
      for (const flag of flags) p.js(undefined, flag);
    });
    p.fp(`<${flags.join(",")}> `);
  } else {
    p.array("addr_info", () => {
      for (const { address, bits, peer } of addresses) {
        p.object(undefined, () => {
          p.js("local", address);
          if (peer !== undefined) p.js("address", peer);
          p.js("prefixlen", bits);
          p.fp(`${address}${peer === undefined ? "" : ` peer ${peer}`}/${bits} `);
        });
      }
    });
  }
  p.fp("\n");
}

const groupName = (group: number, numeric: boolean): string => (group === 0 && !numeric ? "default" : String(group));

/** inet6_fill_ifinfo() tells the other end's number and not where it is: what has that number here is shown. */
function lower6(netns: Netns, { link }: Shown): string {
  const index = link.kind === "veth" ? link.peer : LOWER_KINDS.includes(link.kind) ? link.linkIfindex : 0;
  if (index === 0 || index === link.ifindex) return "";
  return `@${linkRecords(netns).find(({ ifindex }) => ifindex === index)?.name ?? `if${index}`}`;
}

function printLink(context: IpContext, p: Printer, shown: Shown, linkOnly: boolean, family: IpContext["family"]): void {
  const { link, flags, state, lower, peerNetns } = shown;
  const { netns } = context;
  const sep = line(context);
  const inet6 = family === "inet6";
  p.any("ifindex", link.ifindex, `${link.ifindex}: `);
  if (lower !== undefined && !inet6) p.js(...lower.json);
  p.any("ifname", link.name, `${link.name}${inet6 ? lower6(netns, shown) : lower === undefined ? "" : `@${lower.name}`}: `);
  p.array("flags", () => {
    for (const flag of flags) p.js(undefined, flag);
  });
  p.fp(`<${flags.join(",")}> `);
  p.any("mtu", link.mtu, `mtu ${link.mtu} `);
  const qdisc = qdiscName(netns, link);
  if (!inet6) p.any("qdisc", qdisc, `qdisc ${qdisc} `);
  if (link.master !== undefined && !inet6) p.any("master", link.master, `master ${link.master} `);
  p.any("operstate", state, `state ${state} `);
  if (linkOnly) p.any("linkmode", "DEFAULT", "mode DEFAULT ");
  const extras = extrasOf(netns, link);
  const group = groupName(extras.group ?? 0, context.numeric);
  if (!inet6) p.any("group", group, `group ${group} `);
  const queue = queueLength(netns, link);
  if (queue !== 0) p.any("txqlen", queue, `qlen ${queue}`);
  const withLink = family === undefined || family === "link" || context.details;
  if (withLink) {
    const type = LINK_TYPES[link.kind] ?? "ether";
    p.fp(`${sep}    `);
    p.any("link_type", type, `link/${type} `);
    const plain = type === "ipip" || type === "gre";
    if (type !== "none") {
      const broadcast = type === "loopback" ? "00:00:00:00:00:00" : plain ? "0.0.0.0" : "ff:ff:ff:ff:ff:ff";
      const address = plain ? "0.0.0.0" : link.mac;
      p.any("address", address, address);
      p.fp(" ");
      p.any("broadcast", broadcast, `brd ${broadcast}`);
    }
  }
  if (peerNetns !== undefined && !inet6) {
    p.js("link_netnsid", peerNetns.id);
    p.fp(peerNetns.name === undefined ? ` link-netnsid ${peerNetns.id}` : ` link-netns ${peerNetns.name}`);
  }
  if (context.details) printDetails(context, p, link, linkOnly);
  if ((linkOnly || context.details) && extras.alias !== undefined && extras.alias !== "") p.any("ifalias", extras.alias, `${sep}    alias ${extras.alias}`);
  if (linkOnly && context.stats > 0) {
    p.fp(sep);
    printStats(context, p, link);
  }
  if (!inet6 && (withLink || family === "inet")) {
    const names = extras.altnames ?? [];
    if (names.length > 0) {
      p.array("altnames", () => {
        for (const name of names) p.any(undefined, name, `${sep}    altname ${name}`);
      });
    }
  }
  p.fp("\n");
}

/** The discipline at the device's root, as IFLA_QDISC tells it. */
function qdiscName(netns: Netns, link: LinkRecord): string {
  const root = shownQdiscs(netns, link).find(({ kind, parent }) => kind !== "ingress" && parent === 0);
  return root?.kind ?? "noop";
}

/** Queues and segmentation limits (IFLA_GSO_* and so on): none of them has a meaning here, they are those of the kernel's drivers. */
function printDetails(context: IpContext, p: Printer, link: LinkRecord, linkOnly: boolean): void {
  const { netns } = context;
  const { kind } = link;
  // A bridge wants all frames and all groups of its ports; so do the addresses that a device is to take beside its own.
  const extra = filtersOf(netns, link).size > 0 && !UNICAST_FILTERING.includes(kind) ? 1 : 0;
  const uppers = linkRecords(netns).filter((above) => above.kind === "macvlan" && above.linkIfindex === link.ifindex && !above.linkNetns);
  const own = (link.flags & IFF_PROMISC) !== 0 ? 1 : 0;
  const stacked = uppers.some(({ up }) => up) && !UNICAST_FILTERING.includes(kind) && extra === 0 ? 1 : 0;
  const wanted = uppers.filter(({ flags }) => (flags & IFF_PROMISC) !== 0).length;
  const promiscuity = (link.master === undefined ? 0 : 1) + own + extra + stacked + wanted;
  const allmulti = (link.master === undefined ? 0 : 1) + ((link.flags & IFF_ALLMULTI) !== 0 ? 1 : 0);
  const [least, most] = kind === "loopback" || kind === "ifb" ? [0, 0] : [68, kind === "tap" ? 65521 : 65535];
  p.any("promiscuity", promiscuity, ` promiscuity ${promiscuity} `);
  p.any("allmulti", allmulti, ` allmulti ${allmulti} `);
  p.any("min_mtu", least, `minmtu ${least} `);
  p.any("max_mtu", most, `maxmtu ${most} `);
  printKind(context.host, p, link, line(context));
  if (linkOnly) p.any("inet6_addr_gen_mode", "eui64", "addrgenmode eui64 ");
  const queues = kind === "veth" ? 2 : 1;
  p.any("num_tx_queues", queues, `numtxqueues ${queues} `);
  p.any("num_rx_queues", queues, `numrxqueues ${queues} `);
  const tso = kind === "tun" || kind === "tap" || (kind === "bridge" && !linkRecords(netns).some(({ masterIndex }) => masterIndex === link.ifindex)) ? 65536 : 524280;
  for (const [key, value] of [["gso_max_size", 65536], ["gso_max_segs", 65535], ["tso_max_size", tso], ["tso_max_segs", 65535],
    ["gro_max_size", 65536]] as const) p.any(key, value, `${key} ${value} `);
}

/** Drivers that take a list of addresses without hearing everything (IFF_UNICAST_FLT). */
const UNICAST_FILTERING: readonly string[] = ["macvlan", "ipvlan", "vlan", "dummy"];

function printAddress(context: IpContext, p: Printer, link: LinkRecord, record: AddressRecord): void {
  const sep = line(context);
  const { label, secondary, broadcast, lifetimes } = attributesOf(context.netns, link, record);
  const { family, address, bits, scope, peer } = record;
  if (context.oneline) p.fp(`${link.ifindex}: ${link.name}`);
  p.any("family", family, `    ${family} `);
  p.any("local", address, address);
  if (peer !== undefined) p.any("address", peer, ` peer ${peer}`);
  p.any("prefixlen", bits, `/${bits} `);
  if (broadcast !== undefined) p.any("broadcast", broadcast, `brd ${broadcast} `);
  const name = SCOPES.name(scope, context.numeric);
  p.any("scope", name, `scope ${name} `);
  if (secondary) p.any("secondary", true, "secondary ");
  if (family === "inet6") {
    for (const [bit, word] of FLAG_NAMES) if ((record.flags & bit) !== 0) p.any(word, true, `${word} `);
    if ((record.flags & IFA_F_PERMANENT) === 0) p.any("dynamic", true, "dynamic ");
  } else {
    if (lifetimes?.preferred === 0) p.any("deprecated", true, "deprecated ");
    if (lifetimes !== undefined && Number.isFinite(lifetimes.valid)) p.any("dynamic", true, "dynamic ");
  }
  if (family === "inet") p.any("label", label, label);
  p.fp(`${sep}       `);
  const life = (key: string, name: string, seconds: number, end: string): void =>
    p.any(key, Number.isFinite(seconds) ? seconds : FOREVER, `${name} ${Number.isFinite(seconds) ? `${seconds}sec` : "forever"}${end}`);
  life("valid_life_time", "valid_lft", lifetimes?.valid ?? Infinity, " ");
  life("preferred_life_time", "preferred_lft", Number.isFinite(lifetimes?.valid ?? Infinity) ? (lifetimes?.preferred ?? Infinity) : Infinity, "");
  p.fp("\n");
}

/** ifa_flag_data: the order in which they are printed. */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [IFA_F_TEMPORARY, "temporary"], [IFA_F_NODAD, "nodad"], [IFA_F_OPTIMISTIC, "optimistic"], [IFA_F_DADFAILED, "dadfailed"], [IFA_F_HOMEADDRESS, "home"],
  [IFA_F_DEPRECATED, "deprecated"], [IFA_F_TENTATIVE, "tentative"], [IFA_F_MANAGETEMPADDR, "mngtmpaddr"], [IFA_F_NOPREFIXROUTE, "noprefixroute"],
  [IFA_F_STABLE_PRIVACY, "stable-privacy"],
];

/** INFINITY_LIFE_TIME */
const FOREVER = 0xffffffff;

/** print_stats64(): columns as wide as their widest number. */
function printStats(context: IpContext, p: Printer, link: LinkRecord): void {
  const { stats } = link;
  const sep = line(context);
  const rx = { bytes: stats.rxBytes, packets: stats.rxPackets, errors: 0, dropped: stats.rxDropped, missed: 0, mcast: 0 };
  const tx = { bytes: stats.txBytes, packets: stats.txPackets, errors: 0, dropped: stats.txDropped, carrier: 0, collsns: 0 };
  p.object("stats64", () => {
    p.object("rx", () => {
      p.js("bytes", rx.bytes);
      p.js("packets", rx.packets);
      p.js("errors", 0);
      p.js("dropped", rx.dropped);
      p.js("over_errors", 0);
      p.js("multicast", 0);
    });
    p.object("tx", () => {
      p.js("bytes", tx.bytes);
      p.js("packets", tx.packets);
      p.js("errors", 0);
      p.js("dropped", tx.dropped);
      p.js("carrier_errors", 0);
      p.js("collisions", 0);
    });
  });
  const widths = [10, 7, 6, 7, 7, 7];
  const rows = [Object.values(rx), Object.values(tx)];
  widths.forEach((width, i) => (widths[i] = Math.max(width, ...rows.map((row) => String(row[i]).length))));
  const columns = (values: readonly (string | number)[], from: number): string =>
    values.map((value, i) => `${String(value).padStart(widths[i + from]!)} `).join("");
  const title = (start: string, names: readonly string[]): string =>
    `    ${start}: ${"bytes".padStart(widths[0]! - 4)} ${columns(names, 1)}${" ".repeat(10)}${sep}`;
  p.fp(`${title("RX", ["packets", "errors", "dropped", "missed", "mcast"])}    ${columns(rows[0]!, 0)}${sep}`);
  p.fp(`${title("TX", ["packets", "errors", "dropped", "carrier", "collsns"])}    ${columns(rows[1]!, 0)}`);
}
