/** What the tools list that `Netns` does not tell: the kernel's own records (assembly/abi/net.ts), decoded. */
import * as abi from "../../assembly/abi/net.ts";
import { LIFETIME_INFINITY, NTF_PROXY, NTF_ROUTER } from "../../assembly/abi/net6.ts";
import { getAddress, putAddress } from "../kernel/address.ts";
import { rtnetlinkError } from "../kernel/errors.ts";
import { kernelOf } from "../kernel/namespace.ts";
import type { FdbEntry, LinkInfo, Netns } from "../kernel/netns.ts";

export interface LinkRecord extends LinkInfo {
  /** ifindex of a veth's other end, in its namespace; 0: none. */
  readonly peer: number;
  readonly masterIndex: number;
  /** BRPORT_* */
  readonly portFlags: number;
  readonly vni: number;
  /** It has been up once: it has a queueing discipline. */
  readonly activated: boolean;
}

export type Each = (view: DataView, at: number, u8: Uint8Array) => void;

export function list(netns: Netns, op: number, size: number, wanted: number, each: Each): void {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  for (let skip = 0; ;) {
    instance.u8.fill(0, 0, 12);
    instance.view.setUint32(0, handle, true);
    instance.view.setUint32(4, skip, true);
    instance.view.setUint32(8, wanted, true);
    const bytes = context.command(op, 12, "dump");
    if (bytes === 0) return;
    for (let at = 0; at < bytes; at += size) each(instance.view, at, instance.u8);
    skip += bytes / size;
  }
}

/** All links, by ifindex. */
export function linkRecords(netns: Netns): LinkRecord[] {
  const infos = netns.links();
  const found: LinkRecord[] = [];
  list(netns, abi.NET_LINK_LIST, abi.LINKINFO_BYTES, 0, (view, at) => {
    const u32 = (offset: number): number => view.getUint32(at + offset, true);
    const info = infos.find(({ ifindex }) => ifindex === u32(abi.LINKINFO_IFINDEX));
    if (info === undefined) return;
    found.push({ ...info, peer: u32(abi.LINKINFO_PEER), masterIndex: u32(abi.LINKINFO_MASTER), portFlags: u32(abi.LINKINFO_PORT_FLAGS),
      vni: u32(abi.LINKINFO_VNI), activated: u32(abi.LINKINFO_FLAGS) >= abi.IFF_ACTIVATED });
  });
  return found.sort((a, b) => a.ifindex - b.ifindex);
}

/** An address of a record; all zero: none. */
export function optionalAddress(view: DataView, at: number): string | undefined {
  const text = getAddress(view, at);
  return text === "0.0.0.0" || text === "::" ? undefined : text;
}

export interface AddressRecord {
  readonly ifindex: number;
  readonly family: "inet" | "inet6";
  readonly address: string;
  readonly bits: number;
  readonly scope: number;
  /** The other end of a point-to-point address, whose prefix is the address' then. */
  readonly peer: string | undefined;
  readonly broadcast: string | undefined;
  /** IFA_F_* of IPv6. */
  readonly flags: number;
  /** Seconds that are left of an IPv6 address, Infinity: for ever. */
  readonly valid: number;
  readonly preferred: number;
}

const seconds = (view: DataView, at: number): number => {
  const value = view.getUint32(at, true);
  return value === LIFETIME_INFINITY ? Infinity : value;
};

/** All addresses in the kernel's order: by device, first ones first. */
export function addressRecords(netns: Netns): AddressRecord[] {
  const found: AddressRecord[] = [];
  list(netns, abi.NET_ADDRESS_LIST, abi.ADDRESS_BYTES, 0, (view, at) => {
    const address = getAddress(view, at + abi.ADDRESS_IP);
    const v6 = address.includes(":");
    found.push({
      ifindex: view.getUint32(at + abi.ADDRESS_IFINDEX, true), family: v6 ? "inet6" : "inet", address,
      bits: view.getUint32(at + abi.ADDRESS_PREFIX, true) - (v6 ? 0 : 96), scope: view.getUint32(at + abi.ADDRESS_SCOPE, true),
      peer: optionalAddress(view, at + abi.ADDRESS_PEER), broadcast: v6 ? undefined : optionalAddress(view, at + abi.ADDRESS_BROADCAST),
      flags: view.getUint32(at + abi.ADDRESS_FLAGS, true), valid: v6 ? seconds(view, at + abi.ADDRESS_VALID) : Infinity,
      preferred: v6 ? seconds(view, at + abi.ADDRESS_PREFERRED) : Infinity,
    });
  });
  return found;
}

/** Switches flags of a bridge port (BRPORT_*): those in `mask` become what they are in `flags`. */
export function setPortFlags(netns: Netns, ifindex: number, flags: number, mask: number): void {
  const { context, handle } = kernelOf(netns);
  const { u8, view } = context.instance;
  u8.fill(0, 0, abi.SETLINK_BYTES);
  view.setUint32(0, handle, true);
  view.setUint32(abi.SETLINK_IFINDEX, ifindex, true);
  view.setUint32(abi.SETLINK_MASK, abi.SET_PORT, true);
  view.setUint32(abi.SETLINK_PORT_FLAGS, flags, true);
  view.setUint32(abi.SETLINK_PORT_MASK, mask, true);
  const result = context.command(abi.NET_LINK_SET, abi.SETLINK_BYTES, "link", true);
  if (result < 0) throw rtnetlinkError(-result);
}

/** What an address is given beside its prefix. */
export interface AddressMore {
  /** IFA_F_* of IPv6, and its lifetimes in seconds. */
  readonly flags?: number;
  readonly valid?: number;
  readonly preferred?: number;
  readonly peer?: string | undefined;
  readonly broadcast?: string | undefined;
}

/** RTM_NEWADDR with a scope; with a peer the prefix is the peer's. Throws KernelError in the words of rtnetlink. */
export function addAddress(netns: Netns, ifindex: number, address: string, bits: number, scope: number, more: AddressMore = {}): void {
  const { context, handle } = kernelOf(netns);
  const { u8, view } = context.instance;
  u8.fill(0, 0, abi.ADDRESS_BYTES);
  view.setUint32(0, handle, true);
  view.setUint32(abi.ADDRESS_IFINDEX, ifindex, true);
  view.setUint32(abi.ADDRESS_PREFIX, bits + (address.includes(":") ? 0 : 96), true);
  view.setUint32(abi.ADDRESS_SCOPE, scope, true);
  putAddress(view, abi.ADDRESS_IP, address);
  if (more.peer !== undefined) putAddress(view, abi.ADDRESS_PEER, more.peer);
  if (more.broadcast !== undefined) putAddress(view, abi.ADDRESS_BROADCAST, more.broadcast);
  const v6 = address.includes(":");
  if (v6) {
    view.setUint32(abi.ADDRESS_FLAGS, more.flags ?? 0, true);
    for (const [at, value] of [[abi.ADDRESS_VALID, more.valid], [abi.ADDRESS_PREFERRED, more.preferred]] as const) {
      view.setUint32(at, value === undefined ? 0 : Number.isFinite(value) ? value : LIFETIME_INFINITY, true);
    }
  }
  const result = context.command(abi.NET_ADDRESS_ADD, abi.ADDRESS_BYTES, "address", true);
  if (result < 0) throw rtnetlinkError(-result, v6 ? undefined : "address");
  context.kick();
}

export interface ProxyRecord {
  readonly ifindex: number;
  readonly dst: string;
  readonly router: boolean;
}

/** Addresses that are answered for (`ip neigh add proxy`), those of IPv4 first, newest first. */
export function proxyRecords(netns: Netns): ProxyRecord[] {
  const found: ProxyRecord[] = [];
  list(netns, abi.NET_NEIGH_LIST, abi.NEIGH_BYTES, 0, (view, at) => {
    const flags = view.getUint32(at + abi.NEIGH_FLAGS, true);
    if ((flags & NTF_PROXY) === 0) return;
    found.push({ ifindex: view.getUint32(at + abi.NEIGH_IFINDEX, true), dst: getAddress(view, at + abi.NEIGH_IP), router: (flags & NTF_ROUTER) !== 0 });
  });
  return found.sort((a, b) => Number(a.dst.includes(":")) - Number(b.dst.includes(":")));
}

/** The place of each entry in a bridge's table, by port and address: younger ones come first. */
export function fdbOrder(netns: Netns, bridge: number): (entry: FdbEntry) => number {
  const names = new Map(netns.links().map(({ ifindex, name }) => [ifindex, name]));
  const places = new Map<string, number>();
  list(netns, abi.NET_FDB_LIST, abi.FDB_BYTES, bridge, (view, at, u8) => {
    const vlan = view.getUint32(at + abi.FDB_VID, true);
    const mac = Array.from(u8.subarray(at + abi.FDB_MAC, at + abi.FDB_MAC + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
    places.set(`${names.get(view.getUint32(at + abi.FDB_IFINDEX, true))} ${mac} ${vlan}`, view.getUint32(at + abi.FDB_SEQUENCE, true));
  });
  return ({ dev, lladdr, vlan = 0 }) => -(places.get(`${dev} ${lladdr} ${vlan}`) ?? 0);
}
