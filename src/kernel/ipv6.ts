/**
 * IPv6 of a namespace beyond what `Netns` tells: listings with all that `ip -6` shows, memberships, counters, sysctls. Adding and deleting
 * goes by the same calls as IPv4's (`addAddress`, `addRoute`, `addRule` with family 6, `setNeigh`, `setSysctl`), which take IPv6 text. What
 * pages load does not import this.
 */
import * as abi from "../../assembly/abi/net.ts";
import * as abi6 from "../../assembly/abi/net6.ts";
import { formatMac, getAddress, isMapped, parseIpv6, putAddress } from "./address.ts";
import type { NodeContext } from "./context.ts";
import { rtnetlinkError } from "./errors.ts";
import { kernelOf } from "./namespace.ts";
import { CONF6_NAMES, NEIGH6_NAMES, SYSCTL6_NAMES, snmp6Name } from "./names6.ts";
import { KernelError, type NeighState, type Netns } from "./netns.ts";

/** An address as `ip -6 address` lists it. Lifetimes in s, undefined: for ever. `flags` are IFA_F_*. */
export interface Address6Info {
  readonly ifindex: number;
  readonly address: string;
  readonly prefix: number;
  readonly peer?: string;
  readonly scope: "global" | "site" | "link" | "host";
  readonly flags: number;
  /** In the order and with the words that iproute2 prints. */
  readonly flagNames: readonly string[];
  readonly validLft?: number;
  readonly preferredLft?: number;
  readonly metric: number;
}

export interface Nexthop6Info {
  readonly ifindex: number;
  readonly via?: string;
  readonly weight: number;
  readonly onlink: boolean;
}

/** A route as `ip -6 route` lists it. */
export interface Route6Info {
  /** `default` is `::/0`. */
  readonly dst: string;
  readonly type: string;
  readonly ifindex: number;
  readonly via?: string;
  readonly src?: string;
  readonly metric: number;
  readonly table: number;
  /** RTPROT_* */
  readonly protocol: number;
  readonly pref: "low" | "medium" | "high";
  readonly expires?: number;
  readonly mtu?: number;
  readonly onlink: boolean;
  /** Several next hops instead of `ifindex` and `via`. */
  readonly nexthops?: readonly Nexthop6Info[];
}

export interface Neigh6Info {
  readonly ifindex: number;
  readonly dst: string;
  readonly lladdr?: string;
  readonly state: NeighState;
  readonly router: boolean;
  readonly proxy: boolean;
}

export interface Group6Info {
  readonly ifindex: number;
  readonly address: string;
  readonly users: number;
}

/** A rule as `ip -6 rule` lists it. */
export interface Rule6Info {
  readonly pref: number;
  readonly table: number;
  readonly from: string;
  readonly to: string;
  readonly fwmark: number;
  readonly fwmask: number;
  readonly iif: number;
  readonly oif: number;
  readonly action: number;
  readonly target: number;
  readonly not: boolean;
  readonly tos: number;
  readonly ipproto: number;
  readonly sport: number;
  readonly dport: number;
  readonly suppressPrefixlength: number;
}

const TYPES = ["unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw"];
const PREFS = ["medium", "high", "medium", "low"] as const;
const SCOPES = new Map<number, Address6Info["scope"]>([[abi.RT_SCOPE_HOST, "host"], [abi.RT_SCOPE_LINK, "link"], [abi.RT_SCOPE_SITE, "site"]]);
const NUD: readonly NeighState[] = ["INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "NOARP", "PERMANENT"];
/** ipaddress.c, ifa_flag_data: the order in which they are printed. */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [abi6.IFA_F_TEMPORARY, "temporary"], [abi6.IFA_F_NODAD, "nodad"], [abi6.IFA_F_OPTIMISTIC, "optimistic"], [abi6.IFA_F_DADFAILED, "dadfailed"],
  [abi6.IFA_F_HOMEADDRESS, "home"], [abi6.IFA_F_DEPRECATED, "deprecated"], [abi6.IFA_F_TENTATIVE, "tentative"],
  [abi6.IFA_F_MANAGETEMPADDR, "mngtmpaddr"], [abi6.IFA_F_NOPREFIXROUTE, "noprefixroute"], [abi6.IFA_F_STABLE_PRIVACY, "stable-privacy"],
];

/** The calls of IPv6 on one namespace. */
export interface Ipv6Calls {
  addresses(): Address6Info[];
  /** The routes of one table (default main; 0: all), as `ip -6 route` orders them: by prefix, then metric. */
  routes(table?: number): Route6Info[];
  rules(): Rule6Info[];
  /** Neighbours, then proxied addresses. */
  neighbours(): Neigh6Info[];
  /** `ip -6 neighbour add proxy ADDRESS dev DEV`. */
  setProxy(dev: string, address: string, options?: { readonly router?: boolean }): void;
  deleteProxy(dev: string, address: string): void;
  /** `ip -6 maddress`, /proc/net/igmp6. */
  groups(): Group6Info[];
  /** /proc/net/anycast6 */
  anycast(): Group6Info[];
  /** A program's membership (IPV6_JOIN_GROUP; of an address that is no group IPV6_JOIN_ANYCAST). */
  joinGroup(dev: string, address: string): void;
  leaveGroup(dev: string, address: string): void;
  /** `ip -6 route get`. Throws as the kernel answers. */
  routeGet(address: string, options?: { readonly from?: string; readonly oif?: string; readonly mark?: number }): Route6Info;
  /** /proc/net/snmp6, zero ones left out. */
  snmp(): Readonly<Record<string, number>>;
}

/**
 * Is IPv6 on in this namespace and in those that the node makes from now on? A node begins without (as with the module's parameter
 * disable_ipv6), so that what it sends depends on nothing that nobody asked for.
 */
export function setIpv6(netns: Netns, on: boolean): void {
  const { context, handle } = kernelOf(netns);
  context.instance.view.setUint32(0, handle, true);
  context.instance.view.setUint32(4, on ? 1 : 0, true);
  context.command(abi6.NET_IPV6_DEFAULT, 8, "ipv6");
  context.kick();
}

export function ipv6Of(netns: Netns): Ipv6Calls {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  const list = (op: number, size: number, wanted: number, each: (view: DataView, at: number) => void): void => {
    for (let skip = 0; ;) {
      const { view } = instance;
      view.setUint32(0, handle, true);
      view.setUint32(4, skip, true);
      view.setUint32(8, wanted, true);
      const bytes = context.command(op, 12, "list");
      if (bytes === 0) return;
      for (let at = 0; at < bytes; at += size) each(instance.view, at);
      skip += bytes / size;
    }
  };
  const record = (bytes: number): DataView => {
    instance.u8.fill(0, 0, bytes);
    instance.view.setUint32(0, handle, true);
    return instance.view;
  };
  const put = (at: number, text: string): void => {
    if (!putAddress(instance.view, at, text)) throw new KernelError("EINVAL", `Error: inet6 prefix is expected rather than "${text}".`);
  };
  const call = (op: number, bytes: number): number => {
    const result = context.command(op, bytes, undefined, true);
    if (result < 0) throw rtnetlinkError(-result);
    return result;
  };
  const ifindexOf = (dev: string): number => {
    const link = netns.link(dev);
    if (link === undefined) throw new KernelError("ENODEV", `Cannot find device "${dev}"`);
    return link.ifindex;
  };
  const text = (view: DataView, at: number): string | undefined => {
    const address = getAddress(view, at);
    return address === "::" ? undefined : address;
  };
  const readRoute = (view: DataView, at: number): Route6Info => {
    const u32 = (offset: number): number => view.getUint32(at + offset, true);
    const via = text(view, at + abi.ROUTE_GATEWAY);
    const src = text(view, at + abi.ROUTE_SOURCE);
    const mtu = u32(abi.ROUTE_MTU);
    const expires = u32(abi.ROUTE_EXPIRES);
    return {
      dst: `${getAddress(view, at + abi.ROUTE_DST)}/${u32(abi.ROUTE_PREFIX)}`,
      type: TYPES[u32(abi.ROUTE_TYPE)] ?? "unspec",
      ifindex: u32(abi.ROUTE_IFINDEX),
      ...(via !== undefined && { via }),
      ...(src !== undefined && { src }),
      metric: u32(abi.ROUTE_METRIC),
      table: u32(abi.ROUTE_TABLE),
      protocol: u32(abi.ROUTE_PROTOCOL),
      pref: PREFS[u32(abi.ROUTE_PREF)] ?? "medium",
      ...(expires !== 0 && { expires }),
      ...(mtu !== 0 && { mtu }),
      onlink: (u32(abi.ROUTE_FLAGS) & abi.ROUTE_F_ONLINK) !== 0,
    };
  };
  const groups = (op: number): Group6Info[] => {
    const found: Group6Info[] = [];
    list(op, abi6.GROUP_BYTES, 0, (view, at) => found.push({
      ifindex: view.getUint32(at + abi6.GROUP_IFINDEX, true),
      address: getAddress(view, at + abi6.GROUP_ADDRESS),
      users: view.getUint32(at + abi6.GROUP_USERS, true),
    }));
    return found;
  };
  const proxy = (op: number, dev: string, address: string, flags: number): void => {
    const ifindex = ifindexOf(dev);
    const view = record(abi.NEIGH_BYTES);
    view.setUint32(abi.NEIGH_IFINDEX, ifindex, true);
    view.setUint32(abi.NEIGH_FLAGS, abi6.NTF_PROXY | flags, true);
    put(abi.NEIGH_IP, address);
    call(op, abi.NEIGH_BYTES);
  };
  const membership = (dev: string, address: string, join: boolean): void => {
    const ifindex = ifindexOf(dev);
    const view = record(32);
    view.setUint32(4, ifindex, true);
    view.setUint32(8, join ? 1 : 0, true);
    put(16, address);
    call(abi6.NET_GROUP_CHANGE, 32);
    context.kick();
  };
  return {
    addresses() {
      const found: Address6Info[] = [];
      list(abi.NET_ADDRESS_LIST, abi.ADDRESS_BYTES, 0, (view, at) => {
        if (isMapped(view, at + abi.ADDRESS_IP)) return;
        const u32 = (offset: number): number => view.getUint32(at + offset, true);
        const peer = text(view, at + abi.ADDRESS_PEER);
        const flags = u32(abi.ADDRESS_FLAGS);
        const [valid, preferred] = [u32(abi.ADDRESS_VALID), u32(abi.ADDRESS_PREFERRED)];
        found.push({
          ifindex: u32(abi.ADDRESS_IFINDEX),
          address: getAddress(view, at + abi.ADDRESS_IP),
          prefix: u32(abi.ADDRESS_PREFIX),
          ...(peer !== undefined && { peer }),
          scope: SCOPES.get(u32(abi.ADDRESS_SCOPE)) ?? "global",
          flags,
          flagNames: [
            ...((flags & abi6.IFA_F_PERMANENT) === 0 ? ["dynamic"] : []),
            ...FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name),
          ],
          ...(valid !== abi6.LIFETIME_INFINITY && { validLft: valid }),
          ...(preferred !== abi6.LIFETIME_INFINITY && { preferredLft: preferred }),
          metric: u32(abi.ADDRESS_METRIC),
        });
      });
      return found;
    },
    routes(table = abi.RT_TABLE_MAIN) {
      const found: { key: string; index: number; route: Route6Info; hops: Nexthop6Info[] }[] = [];
      list(abi.NET_ROUTE_LIST, abi.ROUTE_BYTES, table, (view, at) => {
        if (isMapped(view, at + abi.ROUTE_DST)) return;
        const several = view.getUint32(at + abi.ROUTE_NEXTHOPS, true);
        const route = readRoute(view, at);
        const last = found[found.length - 1];
        const hop: Nexthop6Info = {
          ifindex: route.ifindex, ...(route.via !== undefined && { via: route.via }),
          weight: view.getUint32(at + abi.ROUTE_WEIGHT, true), onlink: route.onlink,
        };
        if (several !== 0 && last !== undefined && last.hops.length > 0 && last.hops.length < several) {
          last.hops.push(hop);
          return;
        }
        let key = "";
        for (let i = 0; i < 16; i++) key += String.fromCharCode(view.getUint8(at + abi.ROUTE_DST + i));
        found.push({
          key: String.fromCharCode(route.table & 0xff) + key + String.fromCharCode(128 - view.getUint32(at + abi.ROUTE_PREFIX, true)),
          index: found.length, route, hops: several === 0 ? [] : [hop],
        });
      });
      // As the tree is walked: by prefix, the longer one of two first; of one prefix by metric, then as they came.
      found.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.route.metric - b.route.metric || a.index - b.index));
      return found.map(({ route, hops }) => {
        if (hops.length === 0) return route;
        const { via: _, ...rest } = route;
        return { ...rest, ifindex: 0, nexthops: hops };
      });
    },
    rules() {
      const found: Rule6Info[] = [];
      list(abi6.NET_RULE6_LIST, abi.RULE_BYTES, 0, (view, at) => {
        const u32 = (offset: number): number => view.getUint32(at + offset, true);
        const prefix = (ip: number, bits: number): string => (u32(bits) === 0 ? "all" : `${getAddress(view, at + ip)}/${u32(bits)}`);
        found.push({
          pref: u32(abi.RULE_PREF), table: u32(abi.RULE_TABLE), from: prefix(abi.RULE_SRC, abi.RULE_SRC_PREFIX),
          to: prefix(abi.RULE_DST, abi.RULE_DST_PREFIX), fwmark: u32(abi.RULE_MARK), fwmask: u32(abi.RULE_MASK), iif: u32(abi.RULE_IIF),
          oif: u32(abi.RULE_OIF), action: u32(abi.RULE_ACTION), target: u32(abi.RULE_TARGET),
          not: (u32(abi.RULE_FLAGS) & abi.RULE_F_INVERT) !== 0, tos: u32(abi.RULE_TOS), ipproto: u32(abi.RULE_IPPROTO),
          sport: u32(abi.RULE_SPORT), dport: u32(abi.RULE_DPORT), suppressPrefixlength: u32(abi.RULE_SUPPRESS_PREFIX) - 1,
        });
      });
      return found;
    },
    neighbours() {
      const found: Neigh6Info[] = [];
      list(abi.NET_NEIGH_LIST, abi.NEIGH_BYTES, 0, (view, at) => {
        // NUD_NONE is not shown.
        if (isMapped(view, at + abi.NEIGH_IP) || view.getUint32(at + abi.NEIGH_STATE, true) === 0) return;
        const flags = view.getUint32(at + abi.NEIGH_FLAGS, true);
        const state = view.getUint32(at + abi.NEIGH_STATE, true);
        const known = (state & (abi.NUD_INCOMPLETE | abi.NUD_FAILED)) === 0 && (flags & abi6.NTF_PROXY) === 0;
        found.push({
          ifindex: view.getUint32(at + abi.NEIGH_IFINDEX, true),
          dst: getAddress(view, at + abi.NEIGH_IP),
          ...(known && { lladdr: formatMac(instance.u8, at + abi.NEIGH_MAC) }),
          state: NUD[31 - Math.clz32(state)] ?? "FAILED",
          router: (flags & abi6.NTF_ROUTER) !== 0,
          proxy: (flags & abi6.NTF_PROXY) !== 0,
        });
      });
      return found.sort((a, b) => Number(a.proxy) - Number(b.proxy) || a.ifindex - b.ifindex || (a.dst < b.dst ? -1 : a.dst > b.dst ? 1 : 0));
    },
    setProxy: (dev, address, { router = false } = {}) => proxy(abi.NET_NEIGH_SET, dev, address, router ? abi6.NTF_ROUTER : 0),
    deleteProxy: (dev, address) => proxy(abi.NET_NEIGH_DELETE, dev, address, 0),
    groups: () => groups(abi6.NET_GROUP_LIST),
    anycast: () => groups(abi6.NET_ANYCAST_LIST),
    joinGroup: (dev, address) => membership(dev, address, true),
    leaveGroup: (dev, address) => membership(dev, address, false),
    routeGet(address, { from, oif, mark = 0 } = {}) {
      const ifindex = oif === undefined ? 0 : ifindexOf(oif);
      const view = record(48);
      view.setUint32(4, ifindex, true);
      view.setUint32(8, mark, true);
      put(16, address);
      if (from !== undefined) put(32, from);
      call(abi.NET_ROUTE_GET, 48);
      return readRoute(instance.view, 0);
    },
    snmp() {
      record(4);
      const bytes = context.command(abi6.NET_SNMP6, 4, "counters");
      const counters: Record<string, number> = {};
      for (let at = 0; at < bytes; at += 8) if (instance.u64(at) !== 0) counters[snmp6Name(at / 8)] = instance.u64(at);
      return counters;
    },
  };
}

/** What a name below net.ipv6 stands for, and how its value is written where that is no number. */
export interface Sysctl6 {
  readonly number: number;
  readonly target: number;
  readonly kind: "number" | "secret" | "ratemask";
}

/** Finds a name below net.ipv6; undefined: unknown. */
export function sysctl6Of(name: string, find: (dev: string) => number | undefined): Sysctl6 | undefined {
  const rest = name.slice("net.ipv6.".length);
  if (rest === "icmp.ratemask") return { number: abi6.SYSCTL6 + abi6.SYSCTL6_ICMP_RATEMASK, target: 0, kind: "ratemask" };
  const plain = SYSCTL6_NAMES.indexOf(rest);
  if (plain >= 0) return { number: abi6.SYSCTL6 + plain, target: 0, kind: "number" };
  const conf = rest.startsWith("conf.");
  if (!conf && !rest.startsWith("neigh.")) return undefined;
  const from = conf ? 5 : 6;
  const dot = rest.lastIndexOf(".");
  if (dot <= from) return undefined;
  const dev = rest.slice(from, dot).replaceAll("/", ".");
  const target = dev === "default" ? abi.CONF_OF_DEFAULT : conf && dev === "all" ? abi.CONF_OF_ALL : find(dev);
  if (target === undefined) return undefined;
  const setting = rest.slice(dot + 1);
  if (conf && setting === "stable_secret") return { number: 0, target, kind: "secret" };
  const number = (conf ? CONF6_NAMES : NEIGH6_NAMES).indexOf(setting);
  if (number < 0) return undefined;
  return { number: abi6.SYSCTL_CONF6 + (conf ? number : abi6.CONF6_NEIGH_BASE_REACHABLE_TIME_MS + number), target, kind: "number" };
}

const EIO = 5;

/** The value as /proc/sys prints it. */
export function readSysctl6(context: NodeContext, netns: number, { number, target, kind }: Sysctl6): string {
  const get = (n: number): number => {
    const { view } = context.instance;
    view.setUint32(0, netns, true);
    view.setUint32(4, n, true);
    view.setUint32(8, target, true);
    context.command(abi.NET_SYSCTL_GET, 12, "sysctl");
    return context.instance.view.getInt32(0, true);
  };
  if (kind === "secret") {
    context.instance.view.setUint32(0, netns, true);
    context.instance.view.setUint32(4, target, true);
    const result = context.command(abi6.NET_STABLE_SECRET_GET, 8, "sysctl", [EIO]);
    if (result < 0) throw new KernelError("EIO", "sysctl: reading key: Input/output error");
    return getAddress(context.instance.view, 0);
  }
  if (kind === "number") return `${get(number)}`;
  // A bitmap as proc_do_large_bitmap prints it: ranges.
  const words = [0, 1, 2, 3].map((i) => get(number + i) >>> 0);
  const on = (bit: number): boolean => bit < 128 && ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1;
  const ranges: string[] = [];
  for (let bit = 0; bit < 128; bit++) {
    if (!on(bit)) continue;
    let end = bit;
    while (on(end + 1)) end++;
    ranges.push(end === bit ? `${bit}` : `${bit}-${end}`);
    bit = end;
  }
  return ranges.join(",");
}

/** Writes a value. Throws EINVAL for what is none. */
export function writeSysctl6(context: NodeContext, netns: number, { number, target, kind }: Sysctl6, name: string, value: string): void {
  const invalid = (): KernelError => new KernelError("EINVAL", `sysctl: setting key "${name}": Invalid argument`);
  const set = (n: number, to: number): void => {
    const { view } = context.instance;
    view.setUint32(0, netns, true);
    view.setUint32(4, n, true);
    view.setUint32(8, target, true);
    view.setInt32(12, to, true);
    const result = context.command(abi.NET_SYSCTL_SET, 16, "sysctl", true);
    if (result < 0) throw invalid();
  };
  if (kind === "secret") {
    if (parseIpv6(value.trim()) === undefined) throw invalid();
    context.instance.view.setUint32(0, netns, true);
    context.instance.view.setUint32(4, target, true);
    putAddress(context.instance.view, 16, value.trim());
    context.command(abi6.NET_STABLE_SECRET_SET, 32, "sysctl");
  } else if (kind === "ratemask") {
    const words = [0, 0, 0, 0];
    for (const range of value.trim() === "" ? [] : value.trim().split(",")) {
      const [first, last = first] = range.split("-").map(Number);
      if (first === undefined || last === undefined || !(first >= 0 && last >= first && last < 256)) throw invalid();
      for (let bit = first; bit <= Math.min(last, 127); bit++) words[bit >>> 5]! |= 1 << (bit & 31);
    }
    words.forEach((word, i) => set(number + i, word));
  } else {
    const parsed = Number(value.trim());
    if (value.trim() === "" || !Number.isInteger(parsed) || parsed < -2147483648 || parsed > 2147483647) throw invalid();
    set(number, parsed);
  }
  context.kick();
}
