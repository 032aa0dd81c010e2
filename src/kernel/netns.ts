/**
 * What the node agents (kubelet, CNI plugins, kube-proxy) configure: one network namespace through the calls that
 * iproute2 and iptables would make. All calls are synchronous: the kernel is in the same thread. Errors carry the
 * errno's name and, where a tool would print one, the tool's text.
 */
import type { Sockets } from "./sockets.ts";

/** An error of the kernel, worded as rtnetlink's: `RTNETLINK answers: File exists`. */
export class KernelError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "KernelError";
    this.code = code;
  }
}

/** `ip link add`: the kinds of this kernel. */
export type LinkSpec =
  | { readonly kind: "veth"; readonly name: string; readonly mac?: string; readonly mtu?: number;
      readonly peer: { readonly name: string; readonly netns?: Netns; readonly mac?: string; readonly mtu?: number } }
  | { readonly kind: "bridge"; readonly name: string; readonly mac?: string; readonly mtu?: number }
  | ({ readonly kind: "vxlan"; readonly name: string; readonly mac?: string; readonly mtu?: number; readonly vni: number;
      readonly local: string; readonly dev: string; readonly dstPort: number; readonly learning: boolean; readonly udpCsum?: boolean;
      readonly more?: VxlanOptions })
  | StackedLinkSpec
  /** A physical NIC on the underlay; made by the embedding cluster, one per port of the underlay switch. */
  | { readonly kind: "nic"; readonly name: string; readonly mac?: string; readonly mtu?: number };

/** Kinds that only the full kernel has; `createNodeKernel` needs `devices` (src/kernel/devices.ts) for them. */
export type StackedLinkSpec = { readonly name: string; readonly mac?: string; readonly mtu?: number } & (
  | { readonly kind: "vlan"; readonly link: string; readonly id: number; readonly protocol?: "802.1Q" | "802.1ad" }
  | { readonly kind: "macvlan"; readonly link: string; readonly mode?: "private" | "vepa" | "bridge" | "passthru" | "source" }
  | { readonly kind: "ipvlan"; readonly link: string; readonly mode?: "l2" | "l3" | "l3s"; readonly isolation?: "bridge" | "private" | "vepa" }
  | { readonly kind: "dummy" | "ifb" | "tun" | "tap" }
  | ({ readonly kind: "ipip" } & TunnelSpec)
  | ({ readonly kind: "gre" | "gretap"; readonly ikey?: number; readonly okey?: number; readonly icsum?: boolean;
      readonly ocsum?: boolean } & TunnelSpec)
  | { readonly kind: "geneve"; readonly id: number; readonly remote: string; readonly dstPort?: number; readonly ttl?: number;
      readonly tos?: number; readonly udpCsum?: boolean; readonly df?: boolean });

/** Options of a VXLAN device that only the full kernel has (`createNodeKernel` with `devices`), as `ip link add … type vxlan` takes them. */
export interface VxlanOptions {
  /** The default destination: another VTEP (`remote`) or a multicast group, which is joined on `dev` (`group`). */
  readonly remote?: string;
  /** First source port, and the last one + 1. */
  readonly srcPort?: readonly [number, number];
  /** 0 (`auto`): the namespace's, 1 to a group. */
  readonly ttl?: number | "inherit";
  readonly tos?: number | "inherit";
  readonly df?: "unset" | "set" | "inherit";
  /** Seconds that what was learnt lasts, default 300. */
  readonly ageing?: number;
  /** Most entries of the forwarding database, default (0) no limit. */
  readonly maxAddress?: number;
  /** ARP ends at the device, which answers out of its neighbour table. */
  readonly proxy?: boolean;
  /** A destination without an entry, a neighbour without a MAC (with `proxy`) is counted and noted (DeviceCalls.vxlanMisses). */
  readonly l2miss?: boolean;
  readonly l3miss?: boolean;
  /** The mark travels in the header (draft-smith-vxlan-group-policy). */
  readonly gbp?: boolean;
  /** For tunnels over IPv6; kept, and of no effect over IPv4. */
  readonly udp6ZeroCsumTx?: boolean;
  readonly udp6ZeroCsumRx?: boolean;
}

/** What IPIP and GRE share. `ttl` 0 and `tos` 1: the inner header's. */
export interface TunnelSpec {
  readonly remote?: string;
  readonly local?: string;
  readonly dev?: string;
  readonly ttl?: number;
  readonly tos?: number;
  readonly pmtudisc?: boolean;
}

/** Options of a bridge port. */
export interface PortOptions {
  readonly hairpin?: boolean;
  readonly learning?: boolean;
  readonly flood?: boolean;
  readonly mcastFlood?: boolean;
  readonly bcastFlood?: boolean;
  readonly isolated?: boolean;
  readonly locked?: boolean;
  /** `bridge link set … state`. */
  readonly state?: "disabled" | "listening" | "learning" | "forwarding" | "blocking";
}

export interface LinkInfo {
  readonly ifindex: number;
  readonly name: string;
  readonly kind: "loopback" | "veth" | "bridge" | "vxlan" | "nic" | StackedLinkSpec["kind"];
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** IFF_* of include/uapi/linux/if.h that are set beside "up" and what the kind always has: NOARP 0x80, PROMISC 0x100 … */
  readonly flags: number;
  /** BRPORT_* of abi/net.ts. */
  readonly portFlags: number;
  /** ifindex of the peer or of the device that this stands on, 0: none; `linkNetns`: it is in another namespace. */
  readonly linkIfindex: number;
  readonly linkNetns: boolean;
  /** Name of the bridge this is a port of. */
  readonly master?: string;
  readonly stats: { readonly rxPackets: number; readonly rxBytes: number; readonly rxDropped: number;
                    readonly txPackets: number; readonly txBytes: number; readonly txDropped: number };
}

/** `ip address add … scope … brd … peer …`. With `peer`, the prefix of `cidr` is the peer's. */
export interface AddressOptions {
  readonly scope?: "global" | "link" | "host";
  readonly broadcast?: string;
  readonly peer?: string;
  // Of IPv6:
  /** Lifetimes in seconds; left out: for ever. */
  readonly validLft?: number;
  readonly preferredLft?: number;
  /** Not looked for whether somebody else has it. */
  readonly nodad?: boolean;
  readonly optimistic?: boolean;
  readonly noprefixroute?: boolean;
  readonly homeaddress?: boolean;
  /** Of the prefix route. */
  readonly metric?: number;
}

/** One of several next hops: `nexthop via … dev … weight …`. */
export interface NexthopSpec {
  readonly via?: string;
  readonly dev?: string;
  /** 1 to 256, default 1. */
  readonly weight?: number;
  readonly onlink?: boolean;
}

export interface RouteSpec {
  /** `default` or a prefix such as `10.244.2.0/24` or `fd00:244::/48`; a `default` of IPv6 is told by its `via`, or is `::/0`. */
  readonly dst: string;
  readonly via?: string;
  readonly dev?: string;
  readonly src?: string;
  readonly onlink?: boolean;
  readonly metric?: number;
  readonly type?: "unicast" | "blackhole" | "unreachable" | "prohibit" | "throw" | "local" | "broadcast" | "anycast" | "multicast";
  /** Of IPv6: the router's preference (RFC 4191), and for how many seconds it holds. */
  readonly pref?: "low" | "medium" | "high";
  readonly expires?: number;
  /** `ip route append`: beside one that is there. */
  readonly append?: boolean;
  readonly scope?: "global" | "link" | "host";
  /** Routing table; default main (254), or local (255) for local and broadcast routes. */
  readonly table?: number;
  readonly mtu?: number;
  /** Several next hops, instead of `via` and `dev`. Only in the full kernel. */
  readonly nexthops?: readonly NexthopSpec[];
}

/** `ip rule`: packets that match all that is given are routed by `table`, or as `goto` or `action` says. */
export interface RuleSpec {
  readonly pref: number;
  /** 6: a rule of IPv6 (`ip -6 rule`). */
  readonly family?: 4 | 6;
  readonly table?: number;
  readonly fwmark?: number;
  readonly fwmask?: number;
  readonly from?: string;
  readonly to?: string;
  readonly iif?: string;
  // What follows only in the full kernel.
  readonly oif?: string;
  readonly not?: boolean;
  readonly tos?: number;
  /** IP's protocol number. */
  readonly ipproto?: number;
  /** A port, or the first and last of a range. */
  readonly sport?: number | readonly [number, number];
  readonly dport?: number | readonly [number, number];
  /** Routes of `table` with a prefix of at most so many bits do not count. */
  readonly suppressPrefixlength?: number;
  /** Routes of `table` by a device of that group do not count; all devices are in group 0. */
  readonly suppressIfgroup?: number;
  /** First and last uid of those who send; what is forwarded counts as root's. */
  readonly uidrange?: readonly [number, number];
  /** Id of the tunnel that a packet came by with metadata: none does here. */
  readonly tunId?: number;
  /** On with the rule of that preference, a later one. */
  readonly goto?: number;
  readonly action?: "nop" | "blackhole" | "unreachable" | "prohibit";
}

/** As `ip neigh` shows them. */
export type NeighState = "PERMANENT" | "NOARP" | "REACHABLE" | "STALE" | "DELAY" | "PROBE" | "INCOMPLETE" | "FAILED";

export interface Neigh { readonly dev: string; readonly dst: string; readonly lladdr?: string; readonly state: NeighState }
export interface FdbEntry { readonly dev: string; readonly lladdr: string; readonly dst?: string; readonly vlan?: number;
  readonly state: "permanent" | "static" | "reachable" }

/** A conntrack entry as `conntrack -L` lists it. */
export interface ConntrackEntry {
  readonly proto: "tcp" | "udp" | "icmp" | "icmpv6" | number;
  readonly state?: string;
  readonly timeoutSeconds: number;
  readonly orig: ConntrackTuple;
  readonly reply: ConntrackTuple;
  readonly flags: readonly string[];
  readonly mark: number;
  readonly zone: number;
}
export interface ConntrackTuple { readonly src: string; readonly dst: string; readonly sport?: number; readonly dport?: number;
  readonly icmpType?: number; readonly icmpCode?: number; readonly icmpId?: number }

/** A bad line of iptables-restore input, worded as iptables-restore (legacy, 1.8.9) words it, with its line number. */
export class IptablesError extends Error {
  readonly line: number;
  /** 1 or 2, the tool's exit status. */
  readonly exitCode: number;
  constructor(message: string, line: number, exitCode: number) {
    super(message);
    this.name = "IptablesError";
    this.line = line;
    this.exitCode = exitCode;
  }
}

export interface Iptables {
  /**
   * `iptables-restore`: each table of `text` changes at once at its COMMIT line. A line that is refused throws `IptablesError`; tables
   * committed before it stay changed, as with the real tool.
   */
  restore(text: string, options?: { readonly noflush?: boolean; readonly counters?: boolean }): void;
  /** `iptables-save`: loads into a real kernel by `iptables-restore`. No comment lines with dates. */
  save(options?: { readonly table?: string; readonly counters?: boolean }): string;
  /**
   * A rule by the numbers of an observation record: its chain, and its text as iptables-save prints it. Undefined if no such
   * rule is loaded now. Rule 0 is the chain's policy, behind its `rules` rules; of a
   * jump, `rules` is how many rules the chain has that it leads to.
   */
  describe(table: number, chain: number, rule: number):
    { readonly chain: string; readonly ruleText: string; readonly rules?: number } | undefined;
  /** `iptables ARGS…`, one command as typed (`["-I", "FORWARD", "-j", "DROP"]`). */
  run(args: readonly string[]): string;
}

/** One network namespace of one node. */
export interface Netns {
  readonly name: string;
  addLink(spec: LinkSpec): void;
  deleteLink(name: string): void;
  /** `ip link set`. Moving to another namespace keeps the name unless `name` is given, and takes addresses off. */
  setLink(name: string, change: { readonly up?: boolean; readonly mtu?: number; readonly mac?: string; readonly master?: string | null;
    readonly netns?: Netns; readonly name?: string; readonly promisc?: boolean; readonly allmulticast?: boolean;
    readonly arp?: boolean } & PortOptions): void;
  links(): LinkInfo[];
  link(name: string): LinkInfo | undefined;

  addAddress(dev: string, cidr: string, options?: AddressOptions): void;
  deleteAddress(dev: string, cidr: string): void;
  addresses(): ({ readonly dev: string; readonly cidr: string; readonly secondary?: boolean } & AddressOptions)[];

  addRoute(route: RouteSpec): void;
  replaceRoute(route: RouteSpec): void;
  deleteRoute(route: RouteSpec): void;
  /** The routes of one table (default main), as `ip route` orders them. */
  routes(table?: number): RouteSpec[];

  addRule(rule: RuleSpec): void;
  /** By `pref` and `table`. */
  deleteRule(rule: RuleSpec): void;

  setNeigh(neigh: { readonly dev: string; readonly dst: string; readonly lladdr: string; readonly state?: NeighState }): void;
  deleteNeigh(dev: string, dst: string): void;
  neighbours(): Neigh[];

  /** `bridge fdb replace`; with `append` one more remote beside those there are (the all-zero MAC's are where unknown MACs go). */
  setFdb(entry: { readonly dev: string; readonly lladdr: string; readonly dst?: string; readonly append?: boolean;
    readonly vlan?: number; readonly exclusive?: boolean; readonly local?: boolean }): void;
  deleteFdb(dev: string, lladdr: string, dst?: string, vlan?: number): void;
  fdb(dev: string): FdbEntry[];

  /** By name, as below /proc/sys with dots: `net.ipv4.ip_forward`. An unknown name throws ENOENT. */
  sysctl(name: string): string;
  setSysctl(name: string, value: string | number): void;

  readonly iptables: Iptables;
  /** Those of IPv6; where `useFullIptables` (kubewire/kernel) was called and the kernel is the full one. */
  readonly ip6tables?: Iptables;
  conntrack(): ConntrackEntry[];
  /** Deletes the entries for which `filter` is true, as `conntrack -D`; returns how many. */
  deleteConntrack(filter: (entry: ConntrackEntry) => boolean): number;

  readonly sockets: Sockets;
  /** Drop reasons with their counts (names as the kernel's skb_drop_reason where it has one), zero ones left out. */
  drops(): Readonly<Record<string, number>>;
  /** /proc/net/snmp counters, zero ones left out: `Ip.InReceives`, `Icmp.OutDestUnreachs` … */
  snmp(): Readonly<Record<string, number>>;
  /** Takes the namespace and everything in it away. */
  delete(): void;
}

/** The kernel of one node. */
export interface NodeKernel {
  readonly name: string;
  /** The initial network namespace ("the host"). */
  readonly host: Netns;
  /** `ip netns add`. */
  addNetns(name: string): Netns;
}
