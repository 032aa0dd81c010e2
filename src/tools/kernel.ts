/** What the tools list that `Netns` does not tell: the kernel's own records (assembly/abi/net.ts), decoded. */
import * as abi from "../../assembly/abi/net.ts";
import { getAddress, putAddress } from "../kernel/address.ts";
import { rtnetlinkError } from "../kernel/errors.ts";
import { kernelOf } from "../kernel/namespace.ts";
import type { LinkInfo, Netns } from "../kernel/netns.ts";

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

type Each = (view: DataView, at: number, u8: Uint8Array) => void;

function list(netns: Netns, op: number, size: number, wanted: number, each: Each): void {
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

export interface AddressRecord {
  readonly ifindex: number;
  readonly family: "inet" | "inet6";
  readonly address: string;
  readonly bits: number;
  readonly scope: number;
}

/** All addresses in the kernel's order: by device, first ones first. */
export function addressRecords(netns: Netns): AddressRecord[] {
  const found: AddressRecord[] = [];
  list(netns, abi.NET_ADDRESS_LIST, abi.ADDRESS_BYTES, 0, (view, at) => {
    const address = getAddress(view, at + abi.ADDRESS_IP);
    const v6 = address.includes(":");
    found.push({
      ifindex: view.getUint32(at + abi.ADDRESS_IFINDEX, true), family: v6 ? "inet6" : "inet", address,
      bits: view.getUint32(at + abi.ADDRESS_PREFIX, true) - (v6 ? 0 : 96), scope: view.getUint32(at + abi.ADDRESS_SCOPE, true),
    });
  });
  return found;
}

export interface RouteRecord {
  readonly family: "inet" | "inet6";
  readonly table: number;
  /** RTN_* */
  readonly type: number;
  readonly dst: string;
  readonly bits: number;
  readonly scope: number;
  readonly ifindex: number;
  readonly metric: number;
  readonly mtu: number;
  /** RTPROT_* */
  readonly protocol: number;
  readonly via: string | undefined;
  readonly src: string | undefined;
  readonly onlink: boolean;
}

function route(view: DataView, at: number): RouteRecord {
  const u32 = (offset: number): number => view.getUint32(at + offset, true);
  const dst = getAddress(view, at + abi.ROUTE_DST);
  const v6 = dst.includes(":") && u32(abi.ROUTE_PREFIX) !== 96;
  const optional = (offset: number): string | undefined => {
    const text = getAddress(view, at + offset);
    return text === "0.0.0.0" || text === "::" ? undefined : text;
  };
  return {
    family: v6 ? "inet6" : "inet", table: u32(abi.ROUTE_TABLE), type: u32(abi.ROUTE_TYPE), dst,
    bits: u32(abi.ROUTE_PREFIX) - (v6 ? 0 : 96), scope: u32(abi.ROUTE_SCOPE), ifindex: u32(abi.ROUTE_IFINDEX),
    metric: u32(abi.ROUTE_METRIC), mtu: u32(abi.ROUTE_MTU), protocol: u32(abi.ROUTE_PROTOCOL), via: optional(abi.ROUTE_GATEWAY),
    src: optional(abi.ROUTE_SOURCE), onlink: (u32(abi.ROUTE_FLAGS) & abi.ROUTE_F_ONLINK) !== 0,
  };
}

/** Routes as the kernel dumps them: main before local when `table` is 0 (all), each by prefix, the longer one of two first. */
export function routeRecords(netns: Netns, table: number): RouteRecord[] {
  const found: { key: number; record: RouteRecord }[] = [];
  list(netns, abi.NET_ROUTE_LIST, abi.ROUTE_BYTES, table, (view, at) => {
    found.push({ key: view.getUint32(at + abi.ROUTE_DST + 12), record: route(view, at) });
  });
  return found
    .sort((a, b) => tableOrder(a.record.table) - tableOrder(b.record.table) || a.key - b.key || b.record.bits - a.record.bits ||
      a.record.metric - b.record.metric)
    .map(({ record }) => record);
}

/** fib_table_hash order of a dump: tables by number modulo 256 buckets, user tables first. */
const tableOrder = (table: number): number => table % 256;

/** What `ip route add` and the like say of a route; what is left out is by default. */
export interface RouteChange {
  readonly dst: string;
  readonly bits: number;
  readonly type: number;
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
  readonly ifindex?: number | undefined;
  readonly via?: string | undefined;
  readonly src?: string | undefined;
  readonly metric?: number | undefined;
  readonly mtu?: number | undefined;
  readonly protocol?: number | undefined;
  readonly onlink?: boolean;
  /** NLM_F_REPLACE, NLM_F_APPEND */
  readonly mode?: "replace" | "append" | undefined;
}

/** RTM_NEWROUTE. Throws KernelError in the words of rtnetlink. */
export function addRoute(netns: Netns, change: RouteChange): void {
  const { context, handle } = kernelOf(netns);
  const { u8, view } = context.instance;
  u8.fill(0, 0, abi.ROUTE_BYTES);
  const put = (at: number, value: number): void => view.setUint32(at, value, true);
  view.setUint32(0, handle, true);
  put(abi.ROUTE_FLAGS, (change.onlink === true ? abi.ROUTE_F_ONLINK : 0) |
    (change.mode === "replace" ? abi.ROUTE_F_REPLACE : change.mode === "append" ? abi.ROUTE_F_APPEND : 0));
  put(abi.ROUTE_TABLE, change.table ?? 0);
  put(abi.ROUTE_TYPE, change.type);
  put(abi.ROUTE_PREFIX, change.bits + (change.dst.includes(":") ? 0 : 96));
  put(abi.ROUTE_SCOPE, change.scope ?? abi.RT_SCOPE_NOWHERE);
  put(abi.ROUTE_IFINDEX, change.ifindex ?? 0);
  put(abi.ROUTE_METRIC, change.metric ?? 0);
  put(abi.ROUTE_MTU, change.mtu ?? 0);
  put(abi.ROUTE_PROTOCOL, change.protocol ?? abi.RTPROT_BOOT);
  putAddress(view, abi.ROUTE_DST, change.dst);
  if (change.via !== undefined) putAddress(view, abi.ROUTE_GATEWAY, change.via);
  if (change.src !== undefined) putAddress(view, abi.ROUTE_SOURCE, change.src);
  const result = context.command(abi.NET_ROUTE_ADD, abi.ROUTE_BYTES, "route", true);
  if (result < 0) throw rtnetlinkError(-result, change.via === undefined ? "route" : "gateway");
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

/** RTM_NEWADDR with a scope. Throws KernelError in the words of rtnetlink. */
export function addAddress(netns: Netns, ifindex: number, address: string, bits: number, scope: number): void {
  const { context, handle } = kernelOf(netns);
  const { u8, view } = context.instance;
  u8.fill(0, 0, abi.ADDRESS_BYTES);
  view.setUint32(0, handle, true);
  view.setUint32(abi.ADDRESS_IFINDEX, ifindex, true);
  view.setUint32(abi.ADDRESS_PREFIX, bits + (address.includes(":") ? 0 : 96), true);
  view.setUint32(abi.ADDRESS_SCOPE, scope, true);
  putAddress(view, abi.ADDRESS_IP, address);
  const result = context.command(abi.NET_ADDRESS_ADD, abi.ADDRESS_BYTES, "address", true);
  if (result < 0) throw rtnetlinkError(-result, "address");
  context.kick();
}

/** `ip route get`: the route, or the errno (negative). */
export function routeGet(netns: Netns, destination: string, options: { source?: string; oif?: number; mark?: number } = {}): RouteRecord | number {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  instance.u8.fill(0, 0, 48);
  instance.view.setUint32(0, handle, true);
  instance.view.setUint32(4, options.oif ?? 0, true);
  instance.view.setUint32(8, options.mark ?? 0, true);
  putAddress(instance.view, 16, destination);
  if (options.source !== undefined) putAddress(instance.view, 32, options.source);
  const result = context.command(abi.NET_ROUTE_GET, 48, "route", true);
  return result < 0 ? result : route(instance.view, 0);
}

export interface RuleRecord {
  readonly pref: number;
  readonly table: number;
  readonly mark: number;
  readonly mask: number;
  readonly iif: number;
  readonly src: string;
  readonly srcBits: number;
  readonly dst: string;
  readonly dstBits: number;
}

/** Routing rules by preference. */
export function ruleRecords(netns: Netns): RuleRecord[] {
  const found: RuleRecord[] = [];
  list(netns, abi.NET_RULE_LIST, abi.RULE_BYTES, 0, (view, at) => {
    const u32 = (offset: number): number => view.getUint32(at + offset, true);
    const bits = (offset: number): number => Math.max(0, u32(offset) - 96);
    found.push({
      pref: u32(abi.RULE_PREF), table: u32(abi.RULE_TABLE), mark: u32(abi.RULE_MARK), mask: u32(abi.RULE_MASK), iif: u32(abi.RULE_IIF),
      src: getAddress(view, at + abi.RULE_SRC), srcBits: bits(abi.RULE_SRC_PREFIX),
      dst: getAddress(view, at + abi.RULE_DST), dstBits: bits(abi.RULE_DST_PREFIX),
    });
  });
  return found.sort((a, b) => a.pref - b.pref);
}

