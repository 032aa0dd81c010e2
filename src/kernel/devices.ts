/**
 * Devices beyond those of pods and overlays, and what `bridge` and `tc` configure: VLANs, macvlans, ipvlans, tunnels, tun and tap,
 * queueing disciplines. Only the full kernel has them; what pages load does not import this.
 */
import * as abi from "../../assembly/abi/net.ts";
import {
  IFA_F_HOMEADDRESS, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_OPTIMISTIC, LIFETIME_INFINITY,
} from "../../assembly/abi/net6.ts";
import { formatMac, getAddress, parseMac, useIpv6Text } from "./address.ts";
import { formatIpv6, parseIpv6 } from "./address6.ts";
import type { DriverExtension, ListedNexthop } from "./context.ts";
import { rtnetlinkError } from "./errors.ts";
import { readSysctl6, sysctl6Of, writeSysctl6 } from "./ipv6.ts";
import { kernelOf } from "./namespace.ts";
import { KernelError, type Netns, type RuleSpec, type StackedLinkSpec, type VxlanOptions } from "./netns.ts";

const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;
const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const;

const KINDS = ["vlan", "macvlan", "ipvlan", "dummy", "ifb", "tun", "tap", "ipip", "gre", "gretap", "geneve"] as const;
const PORT_FLAGS = {
  flood: abi.BRPORT_FLOOD, mcastFlood: abi.BRPORT_MCAST_FLOOD, bcastFlood: abi.BRPORT_BCAST_FLOOD, isolated: abi.BRPORT_ISOLATED,
  locked: abi.BRPORT_LOCKED,
} as const;
// Without a spanning tree a blocking port goes on to forwarding at once (br_port_state_selection).
const PORT_STATES = {
  forwarding: 0, blocking: 0, listening: abi.BRPORT_BLOCKED, learning: abi.BRPORT_BLOCKED | abi.BRPORT_BLOCKED_LEARNS,
  disabled: abi.BRPORT_BLOCKED | abi.BRPORT_DISABLED,
} as const;
const DEVICE_FLAGS = { promisc: abi.IFF_PROMISC, allmulticast: abi.IFF_ALLMULTI, arp: abi.IFF_NOARP } as const;
const VXLAN_FLAGS = {
  proxy: abi.LINK_F_PROXY, l2miss: abi.LINK_F_L2MISS, l3miss: abi.LINK_F_L3MISS, gbp: abi.LINK_F_GBP,
  udp6ZeroCsumTx: abi.LINK_F_UDP6ZEROCSUMTX, udp6ZeroCsumRx: abi.LINK_F_UDP6ZEROCSUMRX,
} as const;
const RULE_ACTIONS = {
  table: abi.FR_ACT_TO_TBL, nop: abi.FR_ACT_NOP, blackhole: abi.FR_ACT_BLACKHOLE, unreachable: abi.FR_ACT_UNREACHABLE,
  prohibit: abi.FR_ACT_PROHIBIT,
} as const;
const SCOPES = { global: abi.RT_SCOPE_UNIVERSE, link: abi.RT_SCOPE_LINK, host: abi.RT_SCOPE_HOST } as const;

/** What of `change` is a flag by the table `of`: the bits that are set, and those that are given. */
function bits(change: object, of: Readonly<Record<string, number>>): [number, number] {
  let set = 0;
  let given = 0;
  for (const key in of) {
    const value = (change as Readonly<Record<string, unknown>>)[key];
    if (value === undefined) continue;
    given |= of[key]!;
    if (value === true) set |= of[key]!;
  }
  return [set, given];
}

/** Give it to `createNodeKernel` as `devices`. */
export const devices: DriverExtension = {
  kinds: KINDS,
  ipv6Text: { parse: parseIpv6, format: formatIpv6 },
  link: encodeLink,
  vxlan: encodeVxlan,
  change(change, view) {
    let [port, portMask] = bits(change, PORT_FLAGS);
    if (change.state !== undefined) {
      port |= PORT_STATES[change.state];
      portMask |= PORT_STATES.learning | PORT_STATES.disabled;
    }
    if (portMask !== 0) {
      view.setUint32(abi.SETLINK_PORT_FLAGS, view.getUint32(abi.SETLINK_PORT_FLAGS, true) | port, true);
      view.setUint32(abi.SETLINK_PORT_MASK, view.getUint32(abi.SETLINK_PORT_MASK, true) | portMask, true);
    }
    const [flags, mask] = bits(change, DEVICE_FLAGS);
    // `arp` is the opposite of NOARP.
    view.setUint32(abi.SETLINK_FLAGS, flags ^ (mask & abi.IFF_NOARP), true);
    view.setUint32(abi.SETLINK_FLAGS_MASK, mask, true);
    return (portMask !== 0 ? abi.SET_PORT : 0) | (mask !== 0 ? abi.SET_FLAGS : 0);
  },
  address(options, view, putIp) {
    const { scope, peer, broadcast } = options;
    view.setUint32(abi.ADDRESS_FLAGS, (options.nodad === true ? IFA_F_NODAD : 0) | (options.optimistic === true ? IFA_F_OPTIMISTIC : 0)
      | (options.noprefixroute === true ? IFA_F_NOPREFIXROUTE : 0) | (options.homeaddress === true ? IFA_F_HOMEADDRESS : 0), true);
    if (options.validLft !== undefined || options.preferredLft !== undefined) {
      view.setUint32(abi.ADDRESS_VALID, options.validLft ?? LIFETIME_INFINITY, true);
      view.setUint32(abi.ADDRESS_PREFERRED, options.preferredLft ?? LIFETIME_INFINITY, true);
    }
    view.setUint32(abi.ADDRESS_METRIC, options.metric ?? 0, true);
    if (scope !== undefined) view.setUint32(abi.ADDRESS_SCOPE, SCOPES[scope], true);
    if (peer !== undefined) putIp(abi.ADDRESS_PEER, peer);
    if (broadcast !== undefined) putIp(abi.ADDRESS_BROADCAST, broadcast);
  },
  readAddress(view, at) {
    const scope = view.getUint32(at + abi.ADDRESS_SCOPE, true);
    // Left out where it is the one that iproute2 chooses by itself.
    const usual = view.getUint8(at + abi.ADDRESS_IP + 12) === 127 ? abi.RT_SCOPE_HOST : abi.RT_SCOPE_UNIVERSE;
    return {
      ...(view.getUint32(at, true) !== 0 && { secondary: true }),
      ...(scope !== usual && { scope: scope === abi.RT_SCOPE_HOST ? "host" : scope === abi.RT_SCOPE_LINK ? "link" : "global" }),
      ...(view.getUint32(at + abi.ADDRESS_PEER + 12) !== 0 && { peer: getAddress(view, at + abi.ADDRESS_PEER) }),
      ...(view.getUint32(at + abi.ADDRESS_BROADCAST + 12) !== 0 && { broadcast: getAddress(view, at + abi.ADDRESS_BROADCAST) }),
    };
  },
  route({ nexthops = [] }, ifindex) {
    const by = nexthops.map(({ dev }) => (dev === undefined ? 0 : ifindex(dev)));
    return {
      bytes: nexthops.length * abi.NEXTHOP_BYTES,
      write(view, putIp) {
        view.setUint32(abi.ROUTE_NEXTHOPS, nexthops.length, true);
        nexthops.forEach(({ via, weight = 1, onlink }, index) => {
          const at = abi.ROUTE_BYTES + index * abi.NEXTHOP_BYTES;
          view.setUint32(at + abi.NEXTHOP_IFINDEX, by[index]!, true);
          view.setUint32(at + abi.NEXTHOP_WEIGHT, weight, true);
          view.setUint32(at + abi.NEXTHOP_FLAGS, onlink === true ? abi.ROUTE_F_ONLINK : 0, true);
          if (via !== undefined) putIp(at + abi.NEXTHOP_GATEWAY, via);
        });
      },
    };
  },
  readNexthop(view, at, before) {
    const several = view.getUint32(at + abi.ROUTE_NEXTHOPS, true);
    if (several === 0) return undefined;
    const hop: ListedNexthop = {
      ifindex: view.getUint32(at + abi.ROUTE_IFINDEX, true),
      ...(view.getUint32(at + abi.ROUTE_GATEWAY + 12) !== 0 && { via: getAddress(view, at + abi.ROUTE_GATEWAY) }),
      weight: view.getUint32(at + abi.ROUTE_WEIGHT, true),
      ...((view.getUint32(at + abi.ROUTE_FLAGS, true) & abi.ROUTE_F_ONLINK) !== 0 && { onlink: true }),
    };
    if (before === undefined || before.length >= several) return [hop];
    before.push(hop);
    return true;
  },
  sysctl6(context, netns, name, find, value) {
    const found = sysctl6Of(name, find);
    if (found === undefined) return undefined;
    if (value === undefined) return readSysctl6(context, netns, found);
    writeSysctl6(context, netns, found, name, value);
    return value;
  },
  rule(rule, ifindex) {
    const oif = rule.oif === undefined ? 0 : ifindex(rule.oif);
    const ports = (range: RuleSpec["sport"]): number =>
      range === undefined ? 0 : typeof range === "number" ? range * 0x10001 : range[1] * 0x10000 + range[0];
    return {
      bytes: 0,
      write(view) {
        view.setUint32(abi.RULE_ACTION, rule.goto !== undefined ? abi.FR_ACT_GOTO : RULE_ACTIONS[rule.action ?? "table"], true);
        view.setUint32(abi.RULE_TARGET, rule.goto ?? 0, true);
        view.setUint32(abi.RULE_FLAGS, rule.not === true ? abi.RULE_F_INVERT : 0, true);
        view.setUint32(abi.RULE_OIF, oif, true);
        view.setUint32(abi.RULE_TOS, rule.tos ?? 0, true);
        view.setUint32(abi.RULE_IPPROTO, rule.ipproto ?? 0, true);
        view.setUint32(abi.RULE_SPORT, ports(rule.sport), true);
        view.setUint32(abi.RULE_DPORT, ports(rule.dport), true);
        view.setUint32(abi.RULE_SUPPRESS_PREFIX, (rule.suppressPrefixlength ?? -1) + 1, true);
        view.setUint32(abi.RULE_SUPPRESS_GROUP, (rule.suppressIfgroup ?? -1) + 1, true);
        view.setUint32(abi.RULE_UID_FIRST, rule.uidrange?.[0] ?? 0, true);
        view.setUint32(abi.RULE_UID_END, rule.uidrange === undefined ? 0 : rule.uidrange[1] + 1, true);
        view.setUint32(abi.RULE_TUN_ID, rule.tunId ?? 0, true);
      },
    };
  },
};

/** From here on the node of `netns` knows all kinds of devices, as if it had been created with `devices`. */
export function knowDevices(netns: Netns): void {
  kernelOf(netns).context.devices ??= devices;
  useIpv6Text(devices.ipv6Text);
}

function encodeLink(spec: StackedLinkSpec, view: DataView, putIp: (at: number, text: string) => void): number {
  const put = (at: number, value: number | undefined): void => view.setUint32(at, value ?? 0, true);
  const flag = (bit: number, on: boolean | undefined): number => (on === true ? bit : 0);
  switch (spec.kind) {
    case "vlan":
      put(abi.LINK_VNI, spec.id);
      return flag(abi.LINK_F_8021AD, spec.protocol === "802.1ad");
    case "macvlan":
      put(abi.LINK_MODE, MACVLAN_MODES[spec.mode ?? "vepa"]);
      return 0;
    case "ipvlan":
      put(abi.LINK_MODE, IPVLAN_MODES[spec.mode ?? "l3"]);
      return flag(abi.LINK_F_PRIVATE, spec.isolation === "private") | flag(abi.LINK_F_VEPA, spec.isolation === "vepa");
    case "geneve":
      put(abi.LINK_VNI, spec.id);
      put(abi.LINK_DSTPORT, spec.dstPort);
      put(abi.LINK_TTL, spec.ttl);
      put(abi.LINK_TOS, spec.tos);
      putIp(abi.LINK_REMOTE, spec.remote);
      return flag(abi.LINK_F_NOUDPCSUM, spec.udpCsum !== true) | flag(abi.LINK_F_DF, spec.df);
    case "ipip":
    case "gre":
    case "gretap": {
      put(abi.LINK_TTL, spec.ttl);
      put(abi.LINK_TOS, spec.tos);
      if (spec.remote !== undefined) putIp(abi.LINK_REMOTE, spec.remote);
      if (spec.local !== undefined) putIp(abi.LINK_LOCAL, spec.local);
      let flags = flag(abi.LINK_F_NOPMTUDISC, spec.pmtudisc === false);
      if (spec.kind !== "ipip") {
        put(abi.LINK_IKEY, spec.ikey);
        put(abi.LINK_OKEY, spec.okey);
        flags |= flag(abi.LINK_F_IKEY, spec.ikey !== undefined) | flag(abi.LINK_F_OKEY, spec.okey !== undefined)
          | flag(abi.LINK_F_ICSUM, spec.icsum) | flag(abi.LINK_F_OCSUM, spec.ocsum);
      }
      return flags;
    }
    default:
      return 0;
  }
}

function encodeVxlan(options: VxlanOptions, view: DataView, putIp: (at: number, text: string) => void): number {
  const put = (at: number, value: number | undefined): void => view.setUint32(at, value ?? 0, true);
  const { ttl, tos, df, remote, srcPort } = options;
  put(abi.LINK_TTL, ttl === "inherit" ? 0 : ttl);
  put(abi.LINK_TOS, tos === "inherit" ? 1 : tos);
  put(abi.LINK_SPORT_LOW, srcPort?.[0]);
  put(abi.LINK_SPORT_HIGH, srcPort?.[1]);
  put(abi.LINK_AGEING, options.ageing);
  put(abi.LINK_MAXADDRESS, options.maxAddress);
  if (remote !== undefined) putIp(abi.LINK_REMOTE, remote);
  return (ttl === "inherit" ? abi.LINK_F_TTL_INHERIT : 0) | (df === "set" ? abi.LINK_F_DF : 0) | (df === "inherit" ? abi.LINK_F_DF_INHERIT : 0)
    | bits(options, VXLAN_FLAGS)[0];
}

/** An open tun or tap. */
export interface Tap {
  /** A frame (tap) or an IP packet (tun) comes in by the device. Throws KernelError EINVAL for one that is too short. */
  send(bytes: Uint8Array): void;
  /** What the host sends by it is lost from now on. */
  close(): void;
}

/**
 * Opens a tun or tap: `onFrame` gets what the host sends by it, at the virtual time `timeNs`, while the kernel is run. Throws
 * KernelError EBUSY when it is open already, EOPNOTSUPP for another kind of device.
 */
export function openTap(netns: Netns, name: string, onFrame: (bytes: Uint8Array<ArrayBuffer>, timeNs: number) => void): Tap {
  const { context, handle } = kernelOf(netns);
  const ifindex = indexOf(netns, name);
  const request = (op: number, value: number, bytes = 12): number => {
    const { view } = context.instance;
    view.setUint32(0, handle, true);
    view.setUint32(4, ifindex, true);
    view.setUint32(8, value, true);
    const result = context.command(op, bytes, "tap", true);
    if (result < 0) throw rtnetlinkError(-result);
    return result;
  };
  const port = request(abi.NET_TAP_OPEN, 0);
  context.taps.set(port, onFrame);
  return {
    send(bytes) {
      context.instance.u8.set(bytes, 12);
      request(abi.NET_TAP_SEND, bytes.length, 12 + bytes.length);
      context.kick();
    },
    close() {
      if (context.taps.delete(port) && netns.link(name)?.ifindex === ifindex) request(abi.NET_TAP_OPEN, 1);
    },
  };
}

/** What `ip -d link` says about a device, as numbers of abi/net.ts. */
export interface DeviceDetails {
  readonly mode: number;
  readonly options: number;
  /** VNI, VLAN id. */
  readonly id: number;
  readonly dstPort: number;
  readonly local?: string;
  readonly remote?: string;
  readonly ikey: number;
  readonly okey: number;
  readonly ttl: number;
  readonly tos: number;
  /** VXLAN. */
  readonly srcPort: readonly [number, number];
  readonly ageing: number;
  readonly maxAddress: number;
  readonly l2Misses: number;
  readonly l3Misses: number;
}

/** What a VXLAN device had no answer for, as `ip monitor neigh` shows it (`miss`). */
export type VxlanMiss = { readonly kind: "l2"; readonly lladdr: string } | { readonly kind: "l3"; readonly dst: string };

export interface BridgeOptions {
  /** Seconds. */
  readonly ageing?: number;
  readonly vlanFiltering?: boolean;
  /** 0: none. */
  readonly defaultPvid?: number;
  readonly vlanProtocol?: "802.1Q" | "802.1ad";
  readonly groupFwdMask?: number;
}

export interface BridgeVlan { readonly vid: number; readonly pvid: boolean; readonly untagged: boolean }

/** `tc qdisc` and `tc class`. Rates in bytes per second, times in ns, probabilities from 0 to 1. */
export interface QdiscSpec {
  readonly kind: "pfifo" | "bfifo" | "pfifo_fast" | "tbf" | "netem" | "htb" | "ingress" | "class";
  /** major << 16, of a class the classid. */
  readonly handle?: number;
  /** Absent: the root. */
  readonly parent?: number;
  readonly limit?: number;
  readonly rate?: number;
  /** tbf's peak rate, a class' ceil. */
  readonly peak?: number;
  /** Bytes: tbf's and a class' burst, tbf's mtu and a class' cburst. */
  readonly burst?: number;
  readonly peakBurst?: number;
  /** tbf: how long a packet may wait, instead of `limit` (ns). netem: delay. */
  readonly latency?: number;
  readonly jitter?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly gap?: number;
  readonly corrupt?: number;
  readonly correlation?: { readonly delay?: number; readonly loss?: number; readonly duplicate?: number; readonly reorder?: number;
    readonly corrupt?: number };
  /** HTB: minor of the default class. */
  readonly default?: number;
  readonly prio?: number;
  readonly quantum?: number;
}

/** A discipline or class as it is, with its statistics. */
export interface QdiscInfo extends Required<Omit<QdiscSpec, "latency" | "correlation" | "loss" | "duplicate" | "reorder" | "corrupt" | "burst" | "peakBurst">> {
  readonly delay: number;
  /** ns at the rate. */
  readonly burstNs: number;
  readonly peakBurstNs: number;
  /** Probabilities as numbers of 2^32. */
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly corrupt: number;
  readonly stats: { readonly bytes: number; readonly packets: number; readonly dropped: number; readonly overlimits: number;
    readonly backlog: number; readonly qlen: number };
}

/** `tc filter`. */
export interface FilterSpec {
  /** `ingress`, or the handle of HTB or of a class. */
  readonly parent: "ingress" | number;
  readonly pref?: number;
  /** Ethertype, default all. */
  readonly protocol?: number;
  /** u32: words of the packet from its IP header on, `value` and `mask` as in network order. */
  readonly u32?: readonly { readonly value: number; readonly mask: number; readonly at: number }[];
  readonly fw?: { readonly handle: number; readonly mask?: number };
  /** Neither: matchall. */
  readonly classid?: number;
  readonly action?: { readonly kind: "redirect" | "mirror"; readonly dev: string } | { readonly kind: "drop" | "pass" };
}

export interface DeviceCalls {
  details(name: string): DeviceDetails;
  /** What was missed since the last call, oldest first, the last 64 (`l2miss`, `l3miss`). */
  vxlanMisses(name: string): VxlanMiss[];
  setBridge(name: string, options: BridgeOptions): void;
  bridge(name: string): Required<BridgeOptions>;
  /** `bridge vlan add dev DEV vid FIRST[-LAST] [pvid] [untagged]`; a bridge's own (`self`) by its name. */
  addVlan(dev: string, first: number, options?: { readonly last?: number; readonly pvid?: boolean; readonly untagged?: boolean }): void;
  deleteVlan(dev: string, first: number, last?: number): void;
  vlans(dev: string): BridgeVlan[];
  /** `ingress-qos-map FROM:TO`, `egress-qos-map FROM:TO`. */
  mapVlan(dev: string, direction: "ingress" | "egress", from: number, to: number): void;
  macvlanSource(dev: string, op: "add" | "del", mac: string): void;
  macvlanSources(dev: string): string[];
  /** `tc qdisc replace`, `tc class replace`. */
  setQdisc(dev: string, spec: QdiscSpec): void;
  /** The root with all below it; a class by its id; `ingress`. */
  deleteQdisc(dev: string, handle?: number | "ingress"): void;
  qdiscs(dev: string): QdiscInfo[];
  /** Returns the preference. */
  addFilter(dev: string, filter: FilterSpec): number;
  deleteFilter(dev: string, parent: "ingress" | number, pref?: number): void;
  filters(dev: string, parent: "ingress" | number): (FilterSpec & { readonly pref: number; readonly packets: number })[];
}

const QDISC_KINDS = ["", "pfifo", "bfifo", "pfifo_fast", "tbf", "netem", "htb", "ingress", "class"] as const;
const ACTIONS = ["classify", "redirect", "mirror", "drop", "pass"] as const;

function indexOf(netns: Netns, name: string): number {
  const link = netns.link(name);
  if (link === undefined) throw new KernelError("ENODEV", `Cannot find device "${name}"`);
  return link.ifindex;
}

/** Seldom-used calls of a namespace. */
export function deviceCalls(netns: Netns): DeviceCalls {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;

  /** A zeroed record {netns, ifindex, …}. */
  const record = (bytes: number, ifindex: number): DataView => {
    instance.u8.fill(0, 0, bytes);
    instance.view.setUint32(0, handle, true);
    instance.view.setUint32(4, ifindex, true);
    return instance.view;
  };
  const call = (op: number, bytes: number): number => {
    const result = context.command(op, bytes, undefined, true);
    if (result < 0) throw rtnetlinkError(-result);
    return result;
  };
  const list = (op: number, size: number, ifindex: number, parent: number, each: (view: DataView, at: number) => void): void => {
    for (let skip = 0; ;) {
      const view = record(16, skip);
      view.setUint32(8, ifindex, true);
      view.setUint32(12, parent, true);
      const bytes = call(op, 16);
      if (bytes === 0) return;
      for (let at = 0; at < bytes; at += size) each(instance.view, at);
      skip += bytes / size;
    }
  };
  const u64 = (at: number, value: number | undefined): void => instance.putU64(at, Math.round(value ?? 0));
  const chance = (value: number | undefined): number => Math.min(0xffffffff, Math.round((value ?? 0) * 0xffffffff));
  const hook = (parent: "ingress" | number): number => (parent === "ingress" ? abi.TC_INGRESS : parent);

  return {
    details(name) {
      record(8, indexOf(netns, name));
      call(abi.NET_LINK_GET, 8);
      const { view } = instance;
      const address = (at: number): string | undefined => (view.getUint32(at + 12, true) === 0 ? undefined : getAddress(view, at));
      const local = address(abi.LINKINFO_LOCAL);
      const remote = address(abi.LINKINFO_REMOTE);
      return {
        mode: view.getUint32(abi.LINKINFO_MODE, true), options: view.getUint32(abi.LINKINFO_OPTIONS, true),
        id: view.getUint32(abi.LINKINFO_VNI, true), dstPort: view.getUint32(abi.LINKINFO_DSTPORT, true),
        ikey: view.getUint32(abi.LINKINFO_IKEY, true), okey: view.getUint32(abi.LINKINFO_OKEY, true),
        ttl: view.getUint32(abi.LINKINFO_TTL, true), tos: view.getUint32(abi.LINKINFO_TOS, true),
        srcPort: [view.getUint32(abi.LINKINFO_SPORT_LOW, true), view.getUint32(abi.LINKINFO_SPORT_HIGH, true)],
        ageing: view.getUint32(abi.LINKINFO_AGEING, true), maxAddress: view.getUint32(abi.LINKINFO_MAXADDRESS, true),
        l2Misses: view.getUint32(abi.LINKINFO_L2MISSES, true), l3Misses: view.getUint32(abi.LINKINFO_L3MISSES, true),
        ...(local !== undefined && { local }), ...(remote !== undefined && { remote }),
      };
    },
    vxlanMisses(name) {
      record(8, indexOf(netns, name));
      const bytes = call(abi.NET_VXLAN_MISSES, 8);
      const { u8, view } = instance;
      const misses: VxlanMiss[] = [];
      for (let at = 0; at < bytes; at += abi.MISS_BYTES) {
        misses.push(view.getUint32(at + abi.MISS_KIND, true) === abi.MISS_L2
          ? { kind: "l2", lladdr: formatMac(u8, at + abi.MISS_MAC) } : { kind: "l3", dst: getAddress(view, at + abi.MISS_IP) });
      }
      return misses;
    },
    setBridge(name, options) {
      const view = record(abi.BRIDGE_BYTES, indexOf(netns, name));
      let mask = 0;
      const put = (bit: number, at: number, value: number | undefined): void => {
        if (value === undefined) return;
        mask |= bit;
        view.setUint32(at, value, true);
      };
      put(1, abi.BRIDGE_AGEING, options.ageing === undefined ? undefined : Math.round(options.ageing * 100));
      put(2, abi.BRIDGE_VLAN_FILTERING, options.vlanFiltering === undefined ? undefined : Number(options.vlanFiltering));
      put(4, abi.BRIDGE_DEFAULT_PVID, options.defaultPvid);
      put(8, abi.BRIDGE_VLAN_PROTOCOL,
        options.vlanProtocol === undefined ? undefined : options.vlanProtocol === "802.1ad" ? 0x88a8 : 0x8100);
      put(16, abi.BRIDGE_GROUP_FWD_MASK, options.groupFwdMask);
      view.setUint32(abi.BRIDGE_MASK, mask, true);
      call(abi.NET_BRIDGE_SET, abi.BRIDGE_BYTES);
    },
    bridge(name) {
      record(8, indexOf(netns, name));
      call(abi.NET_BRIDGE_GET, 8);
      const { view } = instance;
      return {
        ageing: view.getUint32(abi.BRIDGE_AGEING, true) / 100,
        vlanFiltering: view.getUint32(abi.BRIDGE_VLAN_FILTERING, true) !== 0,
        defaultPvid: view.getUint32(abi.BRIDGE_DEFAULT_PVID, true),
        vlanProtocol: view.getUint32(abi.BRIDGE_VLAN_PROTOCOL, true) === 0x88a8 ? "802.1ad" : "802.1Q",
        groupFwdMask: view.getUint32(abi.BRIDGE_GROUP_FWD_MASK, true),
      };
    },
    addVlan(dev, first, options = {}) {
      const view = record(abi.BRVLAN_BYTES, indexOf(netns, dev));
      view.setUint32(abi.BRVLAN_FIRST, first, true);
      view.setUint32(abi.BRVLAN_LAST, options.last ?? first, true);
      view.setUint32(abi.BRVLAN_FLAGS,
        (options.pvid === true ? abi.BRVLAN_F_PVID : 0) | (options.untagged === true ? abi.BRVLAN_F_UNTAGGED : 0), true);
      call(abi.NET_BRVLAN_SET, abi.BRVLAN_BYTES);
    },
    deleteVlan(dev, first, last = first) {
      const view = record(abi.BRVLAN_BYTES, indexOf(netns, dev));
      view.setUint32(abi.BRVLAN_FIRST, first, true);
      view.setUint32(abi.BRVLAN_LAST, last, true);
      call(abi.NET_BRVLAN_DELETE, abi.BRVLAN_BYTES);
    },
    vlans(dev) {
      const found: BridgeVlan[] = [];
      list(abi.NET_BRVLAN_LIST, abi.BRVLAN_BYTES, indexOf(netns, dev), 0, (view, at) => {
        const flags = view.getUint32(at + abi.BRVLAN_FLAGS, true);
        found.push({
          vid: view.getUint32(at + abi.BRVLAN_FIRST, true), pvid: (flags & abi.BRVLAN_F_PVID) !== 0,
          untagged: (flags & abi.BRVLAN_F_UNTAGGED) !== 0,
        });
      });
      return found;
    },
    mapVlan(dev, direction, from, to) {
      const view = record(16, indexOf(netns, dev));
      view.setUint32(8, (direction === "egress" ? 0x80000000 : 0) + from, true);
      view.setUint32(12, to, true);
      call(abi.NET_VLAN_MAP, 16);
    },
    macvlanSource(dev, op, mac) {
      const bytes = parseMac(mac);
      if (bytes === undefined) throw new KernelError("EINVAL", `"${mac}" is invalid lladdr.`);
      const view = record(24, indexOf(netns, dev));
      view.setUint32(8, op === "add" ? 1 : 0, true);
      instance.u8.set(bytes, 16);
      call(abi.NET_MACVLAN_SOURCE, 24);
    },
    macvlanSources(dev) {
      const found: string[] = [];
      list(abi.NET_MACVLAN_SOURCES, 8, indexOf(netns, dev), 0, (_view, at) => found.push(formatMac(instance.u8, at)));
      return found;
    },
    setQdisc(dev, spec) {
      const view = record(abi.QDISC_BYTES, indexOf(netns, dev));
      const put = (at: number, value: number | undefined): void => view.setUint32(at, value ?? 0, true);
      const rate = spec.rate ?? 0;
      const isClass = spec.kind === "class";
      const peak = spec.peak ?? (isClass ? rate : 0);
      // tc's calc_xmittime: bytes as time at the rate. HTB's default burst is what a tick of the rate and a packet need.
      const ns = (bytes: number | undefined, at: number): number => (at === 0 ? 0 : ((bytes ?? (isClass ? 1600 : 0)) * 1e9) / at);
      put(abi.QDISC_KIND, QDISC_KINDS.indexOf(spec.kind));
      put(abi.QDISC_HANDLE, spec.handle);
      put(abi.QDISC_PARENT, spec.parent);
      put(abi.QDISC_LIMIT, spec.kind === "tbf" && spec.latency !== undefined
        ? Math.floor(Math.min((rate * spec.latency) / 1e9 + (spec.burst ?? 0),
          peak === 0 ? Infinity : (peak * spec.latency) / 1e9 + (spec.peakBurst ?? 0)))
        : spec.limit);
      u64(abi.QDISC_RATE, rate);
      u64(abi.QDISC_PEAK, peak);
      u64(abi.QDISC_BURST, ns(spec.burst, rate));
      u64(abi.QDISC_PEAK_BURST, ns(spec.peakBurst, peak));
      if (spec.kind !== "tbf") u64(abi.QDISC_DELAY, spec.latency);
      u64(abi.QDISC_JITTER, spec.jitter);
      put(abi.QDISC_LOSS, chance(spec.loss));
      put(abi.QDISC_DUPLICATE, chance(spec.duplicate));
      put(abi.QDISC_REORDER, chance(spec.reorder));
      put(abi.QDISC_GAP, spec.gap);
      put(abi.QDISC_CORRUPT, chance(spec.corrupt));
      put(abi.QDISC_DEFAULT, spec.default);
      put(abi.QDISC_PRIO, spec.prio);
      put(abi.QDISC_QUANTUM, spec.quantum);
      put(abi.QDISC_LOSS_CORR, chance(spec.correlation?.loss));
      put(abi.QDISC_DELAY_CORR, chance(spec.correlation?.delay));
      put(abi.QDISC_DUPLICATE_CORR, chance(spec.correlation?.duplicate));
      put(abi.QDISC_REORDER_CORR, chance(spec.correlation?.reorder));
      put(abi.QDISC_CORRUPT_CORR, chance(spec.correlation?.corrupt));
      call(abi.NET_QDISC_SET, abi.QDISC_BYTES);
    },
    deleteQdisc(dev, which = 0) {
      record(12, indexOf(netns, dev)).setUint32(8, which === "ingress" ? abi.TC_INGRESS : which, true);
      call(abi.NET_QDISC_DELETE, 12);
    },
    qdiscs(dev) {
      const found: QdiscInfo[] = [];
      list(abi.NET_QDISC_LIST, abi.QDISC_BYTES, indexOf(netns, dev), 0, (view, at) => {
        const u32 = (offset: number): number => view.getUint32(at + offset, true);
        found.push({
          kind: QDISC_KINDS[u32(abi.QDISC_KIND)] as QdiscSpec["kind"],
          handle: u32(abi.QDISC_HANDLE), parent: u32(abi.QDISC_PARENT), limit: u32(abi.QDISC_LIMIT),
          rate: instance.u64(at + abi.QDISC_RATE), peak: instance.u64(at + abi.QDISC_PEAK),
          burstNs: instance.u64(at + abi.QDISC_BURST), peakBurstNs: instance.u64(at + abi.QDISC_PEAK_BURST),
          delay: instance.u64(at + abi.QDISC_DELAY), jitter: instance.u64(at + abi.QDISC_JITTER),
          loss: u32(abi.QDISC_LOSS), duplicate: u32(abi.QDISC_DUPLICATE), reorder: u32(abi.QDISC_REORDER), gap: u32(abi.QDISC_GAP),
          corrupt: u32(abi.QDISC_CORRUPT), default: u32(abi.QDISC_DEFAULT), prio: u32(abi.QDISC_PRIO),
          quantum: u32(abi.QDISC_QUANTUM),
          stats: {
            bytes: instance.u64(at + abi.QDISC_STATS), packets: instance.u64(at + abi.QDISC_STATS + 8),
            dropped: u32(abi.QDISC_STATS + 16), overlimits: u32(abi.QDISC_STATS + 20),
            backlog: u32(abi.QDISC_STATS + 24), qlen: u32(abi.QDISC_STATS + 28),
          },
        });
      });
      return found;
    },
    addFilter(dev, filter) {
      const { action } = filter;
      const target = action !== undefined && "dev" in action ? indexOf(netns, action.dev) : 0;
      const ifindex = indexOf(netns, dev);
      const view = record(abi.FILTER_BYTES, ifindex);
      view.setUint32(abi.FILTER_PARENT, hook(filter.parent), true);
      view.setUint32(abi.FILTER_PREF, filter.pref ?? 0, true);
      view.setUint32(abi.FILTER_PROTOCOL, filter.protocol ?? 3, true);
      view.setUint32(abi.FILTER_KIND,
        filter.u32 !== undefined ? abi.FILTER_U32 : filter.fw !== undefined ? abi.FILTER_FW : abi.FILTER_MATCHALL, true);
      view.setUint32(abi.FILTER_HANDLE, filter.fw?.handle ?? 0, true);
      view.setUint32(abi.FILTER_MASK, filter.fw?.mask ?? 0xffffffff, true);
      view.setUint32(abi.FILTER_CLASSID, filter.classid ?? 0, true);
      view.setUint32(abi.FILTER_ACTION, action === undefined ? 0 : ACTIONS.indexOf(action.kind), true);
      view.setUint32(abi.FILTER_TARGET, target, true);
      const keys = filter.u32 ?? [];
      if (keys.length > 8) throw new KernelError("EINVAL", "RTNETLINK answers: Invalid argument");
      view.setUint32(abi.FILTER_KEYS, keys.length, true);
      keys.forEach(({ value, mask, at }, index) => {
        view.setUint32(abi.FILTER_KEY + index * 12, value);
        view.setUint32(abi.FILTER_KEY + index * 12 + 4, mask);
        view.setInt32(abi.FILTER_KEY + index * 12 + 8, at, true);
      });
      return call(abi.NET_FILTER_ADD, abi.FILTER_BYTES);
    },
    deleteFilter(dev, parent, pref = 0) {
      const view = record(16, indexOf(netns, dev));
      view.setUint32(8, hook(parent), true);
      view.setUint32(12, pref, true);
      call(abi.NET_FILTER_DELETE, 16);
    },
    filters(dev, parent) {
      const names = new Map(netns.links().map(({ ifindex, name }) => [ifindex, name]));
      const found: (FilterSpec & { readonly pref: number; readonly packets: number })[] = [];
      list(abi.NET_FILTER_LIST, abi.FILTER_BYTES, indexOf(netns, dev), hook(parent), (view, at) => {
        const u32 = (offset: number): number => view.getUint32(at + offset, true);
        const kind = u32(abi.FILTER_KIND);
        const action = ACTIONS[u32(abi.FILTER_ACTION)];
        const to = names.get(u32(abi.FILTER_TARGET)) ?? "";
        found.push({
          parent, pref: u32(abi.FILTER_PREF), protocol: u32(abi.FILTER_PROTOCOL), packets: instance.u64(at + abi.FILTER_HITS),
          ...(kind === abi.FILTER_U32 && {
            u32: Array.from({ length: u32(abi.FILTER_KEYS) }, (_, index) => {
              const key = at + abi.FILTER_KEY + index * 12;
              return { value: view.getUint32(key), mask: view.getUint32(key + 4), at: view.getInt32(key + 8, true) };
            }),
          }),
          ...(kind === abi.FILTER_FW && { fw: { handle: u32(abi.FILTER_HANDLE), mask: u32(abi.FILTER_MASK) } }),
          ...(u32(abi.FILTER_CLASSID) !== 0 && { classid: u32(abi.FILTER_CLASSID) }),
          ...(action === "redirect" || action === "mirror" ? { action: { kind: action, dev: to } } : {}),
          ...(action === "drop" || action === "pass" ? { action: { kind: action } } : {}),
        });
      });
      return found;
    },
  };
}
