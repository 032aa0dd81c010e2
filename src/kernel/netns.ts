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
  | { readonly kind: "vxlan"; readonly name: string; readonly mac?: string; readonly mtu?: number; readonly vni: number;
      readonly local: string; readonly dev: string; readonly dstPort: number; readonly learning: boolean; readonly udpCsum?: boolean }
  /** A physical NIC on the underlay; made by the embedding cluster, one per port of the underlay switch. */
  | { readonly kind: "nic"; readonly name: string; readonly mac?: string; readonly mtu?: number };

export interface LinkInfo {
  readonly ifindex: number;
  readonly name: string;
  readonly kind: "loopback" | "veth" | "bridge" | "vxlan" | "nic";
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Name of the bridge this is a port of. */
  readonly master?: string;
  readonly stats: { readonly rxPackets: number; readonly rxBytes: number; readonly rxDropped: number;
                    readonly txPackets: number; readonly txBytes: number; readonly txDropped: number };
}

export interface RouteSpec {
  /** `default` or a prefix such as `10.244.2.0/24`. */
  readonly dst: string;
  readonly via?: string;
  readonly dev?: string;
  readonly src?: string;
  readonly onlink?: boolean;
  readonly metric?: number;
  readonly type?: "unicast" | "blackhole" | "unreachable" | "prohibit" | "local" | "broadcast";
  readonly scope?: "global" | "link" | "host";
  /** Routing table; default main (254), or local (255) for local and broadcast routes. */
  readonly table?: number;
  readonly mtu?: number;
}

/** `ip rule`: packets that match all that is given are routed by `table`. */
export interface RuleSpec {
  readonly pref: number;
  readonly table: number;
  readonly fwmark?: number;
  readonly fwmask?: number;
  readonly from?: string;
  readonly to?: string;
  readonly iif?: string;
}

/** As `ip neigh` shows them. */
export type NeighState = "PERMANENT" | "NOARP" | "REACHABLE" | "STALE" | "DELAY" | "PROBE" | "INCOMPLETE" | "FAILED";

export interface Neigh { readonly dev: string; readonly dst: string; readonly lladdr?: string; readonly state: NeighState }
export interface FdbEntry { readonly dev: string; readonly lladdr: string; readonly dst?: string; readonly state: "permanent" | "static" | "reachable" }

/** A conntrack entry as `conntrack -L` lists it. */
export interface ConntrackEntry {
  readonly proto: "tcp" | "udp" | "icmp" | number;
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
    readonly netns?: Netns; readonly name?: string; readonly hairpin?: boolean; readonly learning?: boolean }): void;
  links(): LinkInfo[];
  link(name: string): LinkInfo | undefined;

  addAddress(dev: string, cidr: string): void;
  deleteAddress(dev: string, cidr: string): void;
  addresses(): { readonly dev: string; readonly cidr: string }[];

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
  setFdb(entry: { readonly dev: string; readonly lladdr: string; readonly dst?: string; readonly append?: boolean }): void;
  deleteFdb(dev: string, lladdr: string, dst?: string): void;
  fdb(dev: string): FdbEntry[];

  /** By name, as below /proc/sys with dots: `net.ipv4.ip_forward`. An unknown name throws ENOENT. */
  sysctl(name: string): string;
  setSysctl(name: string, value: string | number): void;

  readonly iptables: Iptables;
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
