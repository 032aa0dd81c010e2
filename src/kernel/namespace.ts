/**
 * Network namespaces of one node: the calls of iproute2 over the kernel's records (assembly/abi/net.ts). Errors are worded as
 * iproute2 words them.
 */
import { NTF_PROXY } from "../../assembly/abi/net6.ts";
import * as abi from "../../assembly/abi/net.ts";
import { NET_RULE6_ADD, NET_RULE6_DELETE } from "../../assembly/abi/net6.ts";
import { formatIpv4, formatMac, getAddress, isMapped, parseIpv4, parseIpv6, parseMac, putAddress } from "./address.ts";
import { deleteConntrack, listConntrack } from "./conntrack.ts";
import type { DriverExtension, ListedNexthop, NodeContext } from "./context.ts";
import { ipv6Family } from "./iptables/family.ts";
import { createIptables } from "./iptables/index.ts";
import { rtnetlinkError } from "./errors.ts";
import {
  KernelError, type AddressOptions, type FdbEntry, type Iptables, type LinkInfo, type LinkSpec, type Neigh, type NeighState, type Netns, type RouteSpec,
  type RuleSpec,
} from "./netns.ts";
import { createSockets, type NetnsSockets } from "./socket-calls.ts";
import { countersOf, sysctlGet, sysctlSet } from "./sysctls.ts";
import { DROP_NAMES, SNMP_NAMES } from "./names.ts";

/** The namespaces of one node. */
export interface NetnsTable {
  /** The initial namespace. */
  readonly host: Netns;
  /** `ip netns add`. */
  add(name: string): Netns;
}

const KINDS: readonly string[] = ["", "loopback", "veth", "bridge", "vxlan", "nic"];
const ROUTE_TYPES = ["", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit",
  "throw"] as const;
/** What rules look at only in the full kernel. */
const RULE_MORE = ["oif", "not", "tos", "ipproto", "sport", "dport", "suppressPrefixlength", "goto", "action"];
const SCOPES = { global: abi.RT_SCOPE_UNIVERSE, link: abi.RT_SCOPE_LINK, host: abi.RT_SCOPE_HOST } as const;
const NUD: Readonly<Record<NeighState, number>> = {
  INCOMPLETE: abi.NUD_INCOMPLETE, REACHABLE: abi.NUD_REACHABLE, STALE: abi.NUD_STALE, DELAY: abi.NUD_DELAY,
  PROBE: abi.NUD_PROBE, FAILED: abi.NUD_FAILED, NOARP: abi.NUD_NOARP, PERMANENT: abi.NUD_PERMANENT,
};

/** The kernel's handle of a namespace, kept out of the `Netns` that callers see. */
const handles = new WeakMap<Netns, number>();
const contexts = new WeakMap<Netns, NodeContext>();

/** What the host's tools (src/tools) list that `Netns` does not tell goes by the kernel's own records. Throws for a foreign object. */
export function kernelOf(netns: Netns): { readonly context: NodeContext; readonly handle: number } {
  const context = contexts.get(netns);
  const handle = handles.get(netns);
  if (context === undefined || handle === undefined) throw new KernelError("EBADF", "not a network namespace of this kernel");
  return { context, handle };
}

/**
 * `10.1.2.0/24`, `fd00::/8`, a host's address or `default` (of IPv6 with `six`) as address and prefix length, of the 16 bytes that it is
 * everywhere in the kernel.
 */
function parsePrefix(text: string, six = text.includes(":")): { address: string; bits: number } {
  if (text === "default") return six ? { address: "::", bits: 0 } : { address: "0.0.0.0", bits: 96 };
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const most = six ? 128 : 32;
  const bits = slash < 0 ? most : Number(text.slice(slash + 1));
  if ((six ? parseIpv6(address) : parseIpv4(address)) === undefined || !Number.isInteger(bits) || bits < 0 || bits > most || text.endsWith("/")) {
    throw new KernelError("EINVAL", `Error: any valid prefix is expected rather than "${text}".`);
  }
  return { address, bits: 128 - most + bits };
}

/** What drivers outside of this file need of a namespace; undefined for one that is not of this kernel. */
export function driverOf(netns: Netns): { readonly context: NodeContext; readonly handle: number } | undefined {
  return netns instanceof NetnsCalls ? netns.driver() : undefined;
}

export function createNetnsTable(context: NodeContext): NetnsTable {
  const open = (name: string, handle: number): Netns => {
    const netns = new NetnsCalls(context, name, handle);
    handles.set(netns, handle);
    contexts.set(netns, context);
    return netns;
  };
  return {
    host: open("", context.command(abi.NET_NETNS_HOST, 0, "netns") >>> 0),
    add: (name) => open(name, context.command(abi.NET_NETNS_ADD, 0, "netns") >>> 0),
  };
}

class NetnsCalls implements Netns {
  readonly name: string;
  readonly #context: NodeContext;
  readonly #handle: number;
  #iptables: Iptables | undefined;
  #ip6tables: Iptables | undefined;
  #sockets: NetnsSockets | undefined;

  constructor(context: NodeContext, name: string, handle: number) {
    this.#context = context;
    this.name = name;
    this.#handle = handle;
  }

  driver(): { readonly context: NodeContext; readonly handle: number } {
    return { context: this.#context, handle: this.#handle };
  }

  addLink(spec: LinkSpec): void {
    const on = "link" in spec ? spec.link : "dev" in spec ? spec.dev : undefined;
    const lower = on === undefined || on === "" ? 0 : this.#ifindex(on);
    const { devices } = this.#context;
    const view = this.#record(abi.LINK_BYTES);
    view.setUint32(abi.LINK_KIND, KINDS.concat(devices?.kinds ?? []).indexOf(spec.kind), true);
    view.setUint32(abi.LINK_MTU, spec.mtu ?? 0, true);
    this.#putName(abi.LINK_NAME, spec.name);
    let flags = this.#putMac(abi.LINK_MAC, spec.mac) ? abi.LINK_F_MAC : 0;
    if (spec.kind === "veth") {
      const { peer } = spec;
      if (peer.netns !== undefined) view.setUint32(abi.LINK_PEER_NETNS, handles.get(peer.netns) ?? 0xffffffff, true);
      view.setUint32(abi.LINK_PEER_MTU, peer.mtu ?? 0, true);
      this.#putName(abi.LINK_PEER_NAME, peer.name);
      if (this.#putMac(abi.LINK_PEER_MAC, peer.mac)) flags |= abi.LINK_F_PEER_MAC;
    } else if (spec.kind !== "vxlan" && spec.kind !== "bridge" && spec.kind !== "nic") {
      if (devices === undefined) throw new KernelError("EOPNOTSUPP", "Error: Unknown device type.");
      view.setUint32(abi.LINK_LOWER, lower, true);
      flags |= devices.link(spec, view, (at, text) => this.#putIp(at, text));
    } else if (spec.kind === "vxlan") {
      view.setUint32(abi.LINK_VNI, spec.vni, true);
      view.setUint32(abi.LINK_DSTPORT, spec.dstPort, true);
      this.#putIp(abi.LINK_LOCAL, spec.local);
      view.setUint32(abi.LINK_LOWER, lower, true);
      if (!spec.learning) flags |= abi.LINK_F_NOLEARNING;
      if (spec.udpCsum === false) flags |= abi.LINK_F_NOUDPCSUM;
      if (spec.more !== undefined) {
        if (devices === undefined) throw new KernelError("EOPNOTSUPP", "Error: Unknown device type.");
        flags |= devices.vxlan(spec.more, view, (at, text) => this.#putIp(at, text));
      }
    }
    view.setUint32(abi.LINK_FLAGS, flags, true);
    this.#call(abi.NET_LINK_ADD, abi.LINK_BYTES);
  }

  deleteLink(name: string): void {
    const ifindex = this.#ifindex(name);
    this.#record(8).setUint32(4, ifindex, true);
    this.#call(abi.NET_LINK_DELETE, 8);
  }

  setLink(name: string, change: Parameters<Netns["setLink"]>[1]): void {
    const ifindex = this.#ifindex(name);
    const master = change.master === undefined || change.master === null ? 0 : this.#ifindex(change.master);
    const view = this.#record(abi.SETLINK_BYTES);
    let mask = 0;
    view.setUint32(abi.SETLINK_IFINDEX, ifindex, true);
    if (change.up !== undefined) {
      mask |= abi.SET_UP;
      view.setUint32(abi.SETLINK_UP, change.up ? 1 : 0, true);
    }
    if (change.mtu !== undefined) {
      mask |= abi.SET_MTU;
      view.setUint32(abi.SETLINK_MTU, change.mtu, true);
    }
    if (change.master !== undefined) {
      mask |= abi.SET_MASTER;
      view.setUint32(abi.SETLINK_MASTER, master, true);
    }
    if (change.netns !== undefined) {
      mask |= abi.SET_NETNS;
      view.setUint32(abi.SETLINK_NETNS, handles.get(change.netns) ?? 0xffffffff, true);
    }
    let port = 0;
    let portMask = 0;
    if (change.hairpin !== undefined) {
      portMask |= abi.BRPORT_HAIRPIN;
      if (change.hairpin) port |= abi.BRPORT_HAIRPIN;
    }
    if (change.learning !== undefined) {
      portMask |= abi.BRPORT_LEARNING;
      if (change.learning) port |= abi.BRPORT_LEARNING;
    }
    if (portMask !== 0) {
      mask |= abi.SET_PORT;
      view.setUint32(abi.SETLINK_PORT_FLAGS, port, true);
      view.setUint32(abi.SETLINK_PORT_MASK, portMask, true);
    }
    mask |= this.#context.devices?.change(change, view) ?? 0;
    if (change.name !== undefined) {
      mask |= abi.SET_NAME;
      this.#putName(abi.SETLINK_NAME, change.name);
    }
    if (this.#putMac(abi.SETLINK_MAC, change.mac)) mask |= abi.SET_MAC;
    view.setUint32(abi.SETLINK_MASK, mask, true);
    this.#call(abi.NET_LINK_SET, abi.SETLINK_BYTES);
    this.#context.kick();
  }

  links(): LinkInfo[] {
    const found: { link: Omit<LinkInfo, "master">; master: number }[] = [];
    this.#list(abi.NET_LINK_LIST, abi.LINKINFO_BYTES, 0, (view, at) => found.push(this.#readLink(view, at)));
    return found.map(({ link, master }) => {
      const bridge = found.find((other) => other.link.ifindex === master);
      return bridge === undefined ? link : { ...link, master: bridge.link.name };
    });
  }

  link(name: string): LinkInfo | undefined {
    const ifindex = this.#find(name);
    if (ifindex === undefined) return undefined;
    const { link, master } = this.#getLink(ifindex);
    return master === 0 ? link : { ...link, master: this.#getLink(master).link.name };
  }

  addAddress(dev: string, cidr: string, options?: AddressOptions): void {
    this.#address(abi.NET_ADDRESS_ADD, dev, cidr, options);
  }

  deleteAddress(dev: string, cidr: string): void {
    this.#address(abi.NET_ADDRESS_DELETE, dev, cidr);
  }

  addresses(): ReturnType<Netns["addresses"]> {
    const found: { ifindex: number; more: { cidr: string; secondary?: boolean } & AddressOptions }[] = [];
    this.#list(abi.NET_ADDRESS_LIST, abi.ADDRESS_BYTES, 0, (view, at) => {
      if (!isMapped(view, at + abi.ADDRESS_IP)) return;
      found.push({
        ifindex: view.getUint32(at + abi.ADDRESS_IFINDEX, true),
        more: {
          cidr: `${getAddress(view, at + abi.ADDRESS_IP)}/${view.getUint32(at + abi.ADDRESS_PREFIX, true) - 96}`,
          ...this.#context.devices?.readAddress(view, at),
        },
      });
    });
    const name = this.#names();
    return found.map(({ ifindex, more }) => ({ dev: name(ifindex), ...more }));
  }

  addRoute(route: RouteSpec): void {
    this.#route(abi.NET_ROUTE_ADD, route, route.append === true ? abi.ROUTE_F_APPEND : 0);
  }

  replaceRoute(route: RouteSpec): void {
    this.#route(abi.NET_ROUTE_ADD, route, abi.ROUTE_F_REPLACE);
  }

  deleteRoute(route: RouteSpec): void {
    this.#route(abi.NET_ROUTE_DELETE, route, 0);
  }

  routes(table: number = abi.RT_TABLE_MAIN): RouteSpec[] {
    const found: { key: number; bits: number; metric: number; ifindex: number; spec: RouteSpec; hops: ListedNexthop[] | undefined }[] = [];
    this.#list(abi.NET_ROUTE_LIST, abi.ROUTE_BYTES, table, (view, at) => {
      if (!isMapped(view, at + abi.ROUTE_DST)) return;
      const bits = view.getUint32(at + abi.ROUTE_PREFIX, true) - 96;
      const key = view.getUint32(at + abi.ROUTE_DST + 12);
      const type = ROUTE_TYPES[view.getUint32(at + abi.ROUTE_TYPE, true)] as NonNullable<RouteSpec["type"]>;
      const scope = view.getUint32(at + abi.ROUTE_SCOPE, true);
      const gateway = view.getUint32(at + abi.ROUTE_GATEWAY + 12);
      const source = view.getUint32(at + abi.ROUTE_SOURCE + 12);
      const metric = view.getUint32(at + abi.ROUTE_METRIC, true);
      const mtu = view.getUint32(at + abi.ROUTE_MTU, true);
      const hops = this.#context.devices?.readNexthop(view, at, found[found.length - 1]?.hops);
      if (hops === true) return;
      const one = hops === undefined;
      const dst = bits === 0 ? "default" : bits === 32 ? formatIpv4(key) : `${formatIpv4(key)}/${bits}`;
      found.push({
        key, bits, metric, hops, ifindex: one ? view.getUint32(at + abi.ROUTE_IFINDEX, true) : 0,
        spec: {
          dst,
          ...(gateway !== 0 && one && { via: formatIpv4(gateway) }),
          ...(source !== 0 && { src: formatIpv4(source) }),
          ...((view.getUint32(at + abi.ROUTE_FLAGS, true) & abi.ROUTE_F_ONLINK) !== 0 && one && { onlink: true }),
          ...(metric !== 0 && { metric }),
          ...(mtu !== 0 && { mtu }),
          ...(type !== "unicast" && { type }),
          ...(scope === abi.RT_SCOPE_LINK && { scope: "link" as const }),
          ...(scope === abi.RT_SCOPE_HOST && { scope: "host" as const }),
          ...(table !== abi.RT_TABLE_MAIN && { table }),
        },
      });
    });
    const name = this.#names();
    // As the trie lists them: by prefix, the longer one of two first.
    return found
      .sort((a, b) => a.key - b.key || b.bits - a.bits || a.metric - b.metric)
      .map(({ ifindex, spec, hops }) => ({
        ...spec,
        ...(ifindex !== 0 && { dev: name(ifindex) }),
        ...(hops !== undefined && { nexthops: hops.map(({ ifindex: by, ...hop }) => ({ dev: name(by), ...hop })) }),
      }));
  }

  addRule(rule: RuleSpec): void {
    this.#rule(rule.family === 6 ? NET_RULE6_ADD : abi.NET_RULE_ADD, rule);
  }

  deleteRule(rule: RuleSpec): void {
    this.#rule(rule.family === 6 ? NET_RULE6_DELETE : abi.NET_RULE_DELETE, rule);
  }

  setNeigh(neigh: Parameters<Netns["setNeigh"]>[0]): void {
    const ifindex = this.#ifindex(neigh.dev);
    const view = this.#record(abi.NEIGH_BYTES);
    view.setUint32(abi.NEIGH_IFINDEX, ifindex, true);
    view.setUint32(abi.NEIGH_STATE, NUD[neigh.state ?? "PERMANENT"], true);
    this.#putIp(abi.NEIGH_IP, neigh.dst);
    this.#putMac(abi.NEIGH_MAC, neigh.lladdr);
    this.#call(abi.NET_NEIGH_SET, abi.NEIGH_BYTES);
    this.#context.kick();
  }

  deleteNeigh(dev: string, dst: string): void {
    const ifindex = this.#ifindex(dev);
    const view = this.#record(abi.NEIGH_BYTES);
    view.setUint32(abi.NEIGH_IFINDEX, ifindex, true);
    this.#putIp(abi.NEIGH_IP, dst);
    this.#call(abi.NET_NEIGH_DELETE, abi.NEIGH_BYTES);
  }

  neighbours(): Neigh[] {
    const states = Object.entries(NUD) as [NeighState, number][];
    const found: { ifindex: number; key: number; neigh: Omit<Neigh, "dev"> }[] = [];
    this.#list(abi.NET_NEIGH_LIST, abi.NEIGH_BYTES, 0, (view, at, u8) => {
      if (!isMapped(view, at + abi.NEIGH_IP) || view.getUint32(at + abi.NEIGH_FLAGS, true) & NTF_PROXY) return;
      const state = view.getUint32(at + abi.NEIGH_STATE, true);
      const known = (state & (abi.NUD_INCOMPLETE | abi.NUD_FAILED)) === 0;
      found.push({
        ifindex: view.getUint32(at + abi.NEIGH_IFINDEX, true),
        key: view.getUint32(at + abi.NEIGH_IP + 12),
        neigh: {
          dst: getAddress(view, at + abi.NEIGH_IP),
          ...(known && { lladdr: formatMac(u8, at + abi.NEIGH_MAC) }),
          state: states.find(([, bit]) => bit === state)?.[0] ?? "FAILED",
        },
      });
    });
    const name = this.#names();
    return found
      .sort((a, b) => a.ifindex - b.ifindex || a.key - b.key)
      .map(({ ifindex, neigh }) => ({ dev: name(ifindex), ...neigh }));
  }

  setFdb(entry: Parameters<Netns["setFdb"]>[0]): void {
    const flags = (entry.append === true ? abi.FDB_F_APPEND : 0) | (entry.exclusive === true ? abi.FDB_F_EXCL : 0)
      | (entry.local === true ? abi.FDB_F_LOCAL : 0);
    this.#fdbChange(abi.NET_FDB_SET, entry.dev, entry.lladdr, entry.dst, flags, entry.vlan);
  }

  deleteFdb(dev: string, lladdr: string, dst?: string, vlan?: number): void {
    this.#fdbChange(abi.NET_FDB_DELETE, dev, lladdr, dst, 0, vlan);
  }

  fdb(dev: string): FdbEntry[] {
    const ifindex = this.#ifindex(dev);
    const found: { port: number; entry: Omit<FdbEntry, "dev"> }[] = [];
    this.#list(abi.NET_FDB_LIST, abi.FDB_BYTES, ifindex, (view, at, u8) => {
      found.push({
        port: view.getUint32(at + abi.FDB_IFINDEX, true),
        entry: {
          lladdr: formatMac(u8, at + abi.FDB_MAC),
          ...(view.getUint32(at + abi.FDB_VID, true) !== 0 && { vlan: view.getUint32(at + abi.FDB_VID, true) }),
          ...(view.getUint32(at + abi.FDB_HAS_DST, true) !== 0 && { dst: getAddress(view, at + abi.FDB_DST) }),
          state: (["permanent", "static", "reachable"] as const)[view.getUint32(at + abi.FDB_FLAGS, true)] ?? "permanent",
        },
      });
    });
    const name = this.#names();
    const order = (e: { entry: Omit<FdbEntry, "dev"> }): string => e.entry.lladdr;
    return found
      .sort((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0))
      .map(({ port, entry }) => ({ dev: name(port), ...entry }));
  }

  sysctl(name: string): string {
    return sysctlGet(this.#context, this.#handle, name, (dev) => this.#find(dev));
  }

  setSysctl(name: string, value: string | number): void {
    sysctlSet(this.#context, this.#handle, name, String(value), (dev) => this.#find(dev));
  }

  get iptables(): Iptables {
    return (this.#iptables ??= createIptables(this.#context, this.#handle));
  }

  get ip6tables(): Iptables {
    if (this.#ip6tables === undefined) {
      const family = ipv6Family();
      if (family === undefined) throw new Error("ip6tables: not known here, see useFullIptables");
      this.#ip6tables = createIptables(this.#context, this.#handle, family);
    }
    return this.#ip6tables;
  }

  conntrack(): ReturnType<Netns["conntrack"]> {
    return listConntrack(this.#context, this.#handle);
  }

  deleteConntrack(filter: Parameters<Netns["deleteConntrack"]>[0]): number {
    return deleteConntrack(this.#context, this.#handle, filter);
  }

  get sockets(): NetnsSockets {
    return (this.#sockets ??= createSockets(this.#context, this.#handle, (dev) => this.#find(dev)));
  }

  drops(): Readonly<Record<string, number>> {
    return countersOf(this.#context, this.#handle, abi.NET_DROPS, DROP_NAMES);
  }

  snmp(): Readonly<Record<string, number>> {
    return countersOf(this.#context, this.#handle, abi.NET_SNMP, SNMP_NAMES);
  }

  delete(): void {
    this.#sockets?.closeAll(true);
    this.#record(4);
    this.#call(abi.NET_NETNS_DELETE, 4);
    this.#context.kick();
  }

  /** A zeroed record of this namespace in the mailbox. */
  #record(bytes: number): DataView {
    const { u8, view } = this.#context.instance;
    u8.fill(0, 0, bytes);
    view.setUint32(0, this.#handle, true);
    return view;
  }

  #call(op: number, bytes: number): number {
    const result = this.#context.command(op, bytes, undefined, true);
    if (result < 0) throw rtnetlinkError(-result);
    return result;
  }

  #list(op: number, size: number, wanted: number, each: (view: DataView, at: number, u8: Uint8Array) => void): void {
    for (let skip = 0; ;) {
      const record = this.#record(12);
      record.setUint32(4, skip, true);
      record.setUint32(8, wanted, true);
      const bytes = this.#call(op, 12);
      if (bytes === 0) return;
      const { view, u8 } = this.#context.instance;
      for (let at = 0; at < bytes; at += size) each(view, at, u8);
      skip += bytes / size;
    }
  }

  #find(name: string): number | undefined {
    if (name.length === 0 || name.length > 15) return undefined;
    this.#record(20);
    this.#putName(4, name);
    const result = this.#context.command(abi.NET_LINK_FIND, 20, undefined, true);
    return result > 0 ? result : undefined;
  }

  #ifindex(name: string): number {
    const found = this.#find(name);
    if (found === undefined) throw new KernelError("ENODEV", `Cannot find device "${name}"`);
    return found;
  }

  #getLink(ifindex: number): { link: Omit<LinkInfo, "master">; master: number } {
    this.#record(8).setUint32(4, ifindex, true);
    this.#call(abi.NET_LINK_GET, 8);
    return this.#readLink(this.#context.instance.view, 0);
  }

  #readLink(view: DataView, at: number): { link: Omit<LinkInfo, "master">; master: number } {
    const { instance } = this.#context;
    const kind = view.getUint32(at + abi.LINKINFO_KIND, true);
    const stat = (index: number): number => instance.u64(at + abi.LINKINFO_STATS + index * 8);
    return {
      master: view.getUint32(at + abi.LINKINFO_MASTER, true),
      link: {
        ifindex: view.getUint32(at + abi.LINKINFO_IFINDEX, true),
        name: readName(instance.u8, at + abi.LINKINFO_NAME),
        kind: (KINDS[kind] ?? this.#context.devices?.kinds[kind - KINDS.length] ?? "loopback") as LinkInfo["kind"],
        mac: formatMac(instance.u8, at + abi.LINKINFO_MAC),
        mtu: view.getUint32(at + abi.LINKINFO_MTU, true),
        up: view.getUint32(at + abi.LINKINFO_UP, true) !== 0,
        flags: view.getUint32(at + abi.LINKINFO_FLAGS, true) & 0xffff,
        portFlags: view.getUint32(at + abi.LINKINFO_PORT_FLAGS, true),
        linkIfindex: view.getUint32(at + abi.LINKINFO_LOWER, true),
        linkNetns: view.getUint32(at + abi.LINKINFO_LINK_NETNS, true) !== 0,
        stats: {
          rxPackets: stat(0), rxBytes: stat(1), rxDropped: stat(2), txPackets: stat(3), txBytes: stat(4), txDropped: stat(5),
        },
      },
    };
  }

  /** Device names by ifindex. */
  #names(): (ifindex: number) => string {
    const names = new Map<number, string>();
    this.#list(abi.NET_LINK_LIST, abi.LINKINFO_BYTES, 0, (view, at, u8) => {
      names.set(view.getUint32(at, true), readName(u8, at + abi.LINKINFO_NAME));
    });
    return (ifindex) => names.get(ifindex) ?? `if${ifindex}`;
  }

  #putName(at: number, name: string): void {
    const { u8 } = this.#context.instance;
    if (name.length > 15) throw new KernelError("ERANGE", "Error: Attribute failed policy validation.");
    for (let i = 0; i < name.length; i++) u8[at + i] = name.charCodeAt(i);
  }

  #putMac(at: number, mac: string | undefined): boolean {
    if (mac === undefined) return false;
    const bytes = parseMac(mac);
    if (bytes === undefined) throw new KernelError("EINVAL", `"${mac}" is invalid lladdr.`);
    this.#context.instance.u8.set(bytes, at);
    return true;
  }

  #putIp(at: number, text: string): void {
    if (!putAddress(this.#context.instance.view, at, text)) {
      throw new KernelError("EINVAL", `Error: any valid address is expected rather than "${text}".`);
    }
  }

  #address(op: number, dev: string, cidr: string, options?: AddressOptions): void {
    const ifindex = this.#ifindex(dev);
    const { address, bits } = parsePrefix(cidr);
    const view = this.#record(abi.ADDRESS_BYTES);
    view.setUint32(abi.ADDRESS_IFINDEX, ifindex, true);
    view.setUint32(abi.ADDRESS_PREFIX, bits, true);
    // iproute2's default_scope
    view.setUint32(abi.ADDRESS_SCOPE, address.startsWith("127.") ? abi.RT_SCOPE_HOST : abi.RT_SCOPE_UNIVERSE, true);
    if (options !== undefined) this.#extension().address(options, view, (at, text) => this.#putIp(at, text));
    this.#putIp(abi.ADDRESS_IP, address);
    const result = this.#context.command(op, abi.ADDRESS_BYTES, undefined, true);
    if (result < 0) throw rtnetlinkError(-result, op === abi.NET_ADDRESS_ADD ? "address" : "address-delete");
    this.#context.kick();
  }

  #route(op: number, route: RouteSpec, flags: number): void {
    const ifindex = route.dev === undefined ? 0 : this.#ifindex(route.dev);
    const more = route.nexthops === undefined ? undefined : this.#extension().route(route, (name) => this.#ifindex(name));
    const { address, bits } = parsePrefix(route.dst, route.dst.includes(":") || (route.dst === "default" && isIpv6Route(route)));
    const bytes = abi.ROUTE_BYTES + (more?.bytes ?? 0);
    const view = this.#record(bytes);
    const add = op === abi.NET_ROUTE_ADD;
    view.setUint32(abi.ROUTE_FLAGS, flags | (route.onlink === true ? abi.ROUTE_F_ONLINK : 0), true);
    view.setUint32(abi.ROUTE_TABLE, route.table ?? 0, true);
    view.setUint32(abi.ROUTE_TYPE, route.type === undefined ? (add ? abi.RTN_UNICAST : 0) : ROUTE_TYPES.indexOf(route.type), true);
    view.setUint32(abi.ROUTE_PREFIX, bits, true);
    view.setUint32(abi.ROUTE_SCOPE, route.scope === undefined ? abi.RT_SCOPE_NOWHERE : SCOPES[route.scope], true);
    view.setUint32(abi.ROUTE_IFINDEX, ifindex, true);
    view.setUint32(abi.ROUTE_METRIC, route.metric ?? 0, true);
    view.setUint32(abi.ROUTE_MTU, route.mtu ?? 0, true);
    view.setUint32(abi.ROUTE_PROTOCOL, abi.RTPROT_BOOT, true);
    this.#putIp(abi.ROUTE_DST, address);
    if (route.pref !== undefined) view.setUint32(abi.ROUTE_PREF, route.pref === "low" ? 3 : route.pref === "high" ? 1 : 0, true);
    if (route.expires !== undefined) view.setUint32(abi.ROUTE_EXPIRES, route.expires, true);
    if (route.via !== undefined) this.#putIp(abi.ROUTE_GATEWAY, route.via);
    if (route.src !== undefined) this.#putIp(abi.ROUTE_SOURCE, route.src);
    more?.write(view, (at, text) => this.#putIp(at, text));
    const result = this.#context.command(op, bytes, undefined, true);
    if (result < 0) throw rtnetlinkError(-result, add ? (route.via === undefined && more === undefined ? "route" : "gateway") : "route-delete");
  }

  #rule(op: number, rule: RuleSpec): void {
    const iif = rule.iif === undefined ? 0 : this.#ifindex(rule.iif);
    const more = this.#context.devices?.rule(rule, (name) => this.#ifindex(name));
    if (more === undefined && RULE_MORE.some((key) => key in rule)) this.#extension();
    const view = this.#record(abi.RULE_BYTES);
    view.setUint32(abi.RULE_PREF, rule.pref, true);
    view.setUint32(abi.RULE_TABLE, rule.table ?? 0, true);
    more?.write(view, (at, text) => this.#putIp(at, text));
    if (rule.fwmark !== undefined) {
      view.setUint32(abi.RULE_MARK, rule.fwmark, true);
      view.setUint32(abi.RULE_MASK, rule.fwmask ?? 0xffffffff, true);
    }
    view.setUint32(abi.RULE_IIF, iif, true);
    for (const [text, prefixAt, ipAt] of [
      [rule.from, abi.RULE_SRC_PREFIX, abi.RULE_SRC],
      [rule.to, abi.RULE_DST_PREFIX, abi.RULE_DST],
    ] as const) {
      if (text === undefined) continue;
      const { address, bits } = parsePrefix(text);
      view.setUint32(prefixAt, bits, true);
      this.#putIp(ipAt, address);
    }
    this.#call(op, abi.RULE_BYTES);
  }

  #extension(): DriverExtension {
    const { devices } = this.#context;
    if (devices === undefined) throw new KernelError("EOPNOTSUPP", "RTNETLINK answers: Operation not supported");
    return devices;
  }

  #fdbChange(op: number, dev: string, lladdr: string, dst: string | undefined, flags: number, vlan = 0): void {
    const ifindex = this.#ifindex(dev);
    const view = this.#record(abi.FDB_BYTES);
    view.setUint32(abi.FDB_IFINDEX, ifindex, true);
    view.setUint32(abi.FDB_FLAGS, flags, true);
    view.setUint32(abi.FDB_VID, vlan, true);
    this.#putMac(abi.FDB_MAC, lladdr);
    if (dst !== undefined) {
      view.setUint32(abi.FDB_HAS_DST, 1, true);
      this.#putIp(abi.FDB_DST, dst);
    }
    this.#call(op, abi.FDB_BYTES);
  }
}

/** Is a default route one of IPv6, by its next hops? */
function isIpv6Route({ via, src, nexthops }: RouteSpec): boolean {
  return [via, src, ...(nexthops ?? []).map((hop) => hop.via)].some((text) => text?.includes(":") === true);
}

function readName(u8: Uint8Array, at: number): string {
  let name = "";
  for (let i = 0; i < 16; i++) {
    const c = u8[at + i] ?? 0;
    if (c === 0) break;
    name += String.fromCharCode(c);
  }
  return name;
}
