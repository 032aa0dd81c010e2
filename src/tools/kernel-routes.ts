/** Routes and routing rules as the kernel keeps them: ROUTE_*, NEXTHOP_* and RULE_* records of assembly/abi/net.ts. */
import * as abi from "../../assembly/abi/net.ts";
import { getAddress, putAddress } from "../kernel/address.ts";
import { rtnetlinkError } from "../kernel/errors.ts";
import { kernelOf } from "../kernel/namespace.ts";
import type { Netns } from "../kernel/netns.ts";
import { list, optionalAddress } from "./kernel.ts";

export interface NexthopRecord {
  readonly via: string | undefined;
  readonly ifindex: number;
  readonly weight: number;
  readonly onlink: boolean;
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
  /** ICMPV6_ROUTER_PREF_* */
  readonly pref: number;
  /** Seconds that an IPv6 route has left, 0: no end. */
  readonly expires: number;
  /** `ip route get`: a redirect is in order. */
  readonly redirect: boolean;
  /** Several next hops, of which `via` and `ifindex` are the first; empty: one. */
  readonly nexthops: readonly NexthopRecord[];
}

function route(view: DataView, at: number): RouteRecord {
  const u32 = (offset: number): number => view.getUint32(at + offset, true);
  const dst = getAddress(view, at + abi.ROUTE_DST);
  const v6 = dst.includes(":");
  return {
    family: v6 ? "inet6" : "inet", table: u32(abi.ROUTE_TABLE), type: u32(abi.ROUTE_TYPE), dst,
    bits: u32(abi.ROUTE_PREFIX) - (v6 ? 0 : 96), scope: u32(abi.ROUTE_SCOPE), ifindex: u32(abi.ROUTE_IFINDEX),
    metric: u32(abi.ROUTE_METRIC), mtu: u32(abi.ROUTE_MTU), protocol: u32(abi.ROUTE_PROTOCOL), via: optionalAddress(view, at + abi.ROUTE_GATEWAY),
    src: optionalAddress(view, at + abi.ROUTE_SOURCE), onlink: (u32(abi.ROUTE_FLAGS) & abi.ROUTE_F_ONLINK) !== 0, nexthops: [],
    pref: v6 ? u32(abi.ROUTE_PREF) : 0, expires: v6 ? u32(abi.ROUTE_EXPIRES) : 0,
    redirect: (u32(abi.ROUTE_FLAGS) & abi.ROUTE_F_REDIRECT) !== 0,
  };
}

/** Routes as the kernel dumps them: main before local when `table` is 0 (all), each by prefix, the longer one of two first. */
export function routeRecords(netns: Netns, table: number): RouteRecord[] {
  const found: { key: number; bits: string; order: number; record: RouteRecord }[] = [];
  let hops: NexthopRecord[] = [];
  let left = 0;
  list(netns, abi.NET_ROUTE_LIST, abi.ROUTE_BYTES, table, (view, at) => {
    const record = route(view, at);
    const count = view.getUint32(at + abi.ROUTE_NEXTHOPS, true);
    if (count > 1) {
      if (left === 0) {
        hops = [];
        left = count;
      }
      hops.push({ via: record.via, ifindex: record.ifindex, weight: view.getUint32(at + abi.ROUTE_WEIGHT, true), onlink: record.onlink });
      left--;
      if (hops.length > 1) return;
    }
    found.push({ key: view.getUint32(at + abi.ROUTE_DST + 12), bits: record.family === "inet6" ? prefixBits(view, at + abi.ROUTE_DST, record.bits) : "",
      order: found.length, record: count > 1 ? { ...record, nexthops: hops } : record });
  });
  return found
    .sort((a, b) => Number(a.record.family === "inet6") - Number(b.record.family === "inet6") || tableOrder(a.record.table) - tableOrder(b.record.table) ||
      (a.record.family === "inet6" ? treeOrder(a.bits, b.bits) || a.record.metric - b.record.metric || a.order - b.order
        : a.key - b.key || b.record.bits - a.record.bits || a.record.metric - b.record.metric || a.order - b.order))
    .map(({ record }) => record);
}

/** The first `bits` of the 16 bytes at `at`, as zeros and ones. */
function prefixBits(view: DataView, at: number, bits: number): string {
  let text = "";
  for (let i = 0; i * 8 < bits; i++) text += view.getUint8(at + i).toString(2).padStart(8, "0");
  return text.slice(0, bits);
}

/** fib6_walk(): what is below a prefix comes before it, else by the bits. */
function treeOrder(a: string, b: string): number {
  if (a === b) return 0;
  if (a.startsWith(b)) return -1;
  if (b.startsWith(a)) return 1;
  return a < b ? -1 : 1;
}

/** fib_table_hash order of a dump: tables by number modulo 256 buckets, user tables first. */
const tableOrder = (table: number): number => table % 256;

/** What `ip route` says of a route; what is left out is by default, or in a deletion any. */
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
  readonly pref?: number;
  readonly expires?: number;
  readonly nexthops?: readonly NexthopRecord[];
  /** NLM_F_REPLACE, NLM_F_APPEND */
  readonly mode?: "replace" | "append" | undefined;
}

/** RTM_NEWROUTE. Throws KernelError in the words of rtnetlink. */
export function addRoute(netns: Netns, change: RouteChange): void {
  send(netns, abi.NET_ROUTE_ADD, change, change.protocol ?? abi.RTPROT_BOOT, change.via === undefined && change.nexthops === undefined ? "route" : "gateway");
}

/** RTM_DELROUTE; a type of 0 is any. */
export function deleteRoute(netns: Netns, change: RouteChange): void {
  send(netns, abi.NET_ROUTE_DELETE, change, change.protocol ?? 0, "route-delete");
}

function send(netns: Netns, op: number, change: RouteChange, protocol: number, asked: "route" | "gateway" | "route-delete"): void {
  const { context, handle } = kernelOf(netns);
  const { u8, view } = context.instance;
  const { nexthops = [] } = change;
  const bytes = abi.ROUTE_BYTES + nexthops.length * abi.NEXTHOP_BYTES;
  u8.fill(0, 0, bytes);
  const put = (at: number, value: number): void => view.setUint32(at, value, true);
  put(0, handle);
  put(abi.ROUTE_FLAGS, (change.onlink === true ? abi.ROUTE_F_ONLINK : 0) |
    (change.mode === "replace" ? abi.ROUTE_F_REPLACE : change.mode === "append" ? abi.ROUTE_F_APPEND : 0));
  put(abi.ROUTE_TABLE, change.table ?? 0);
  put(abi.ROUTE_TYPE, change.type);
  put(abi.ROUTE_PREFIX, change.bits + (change.dst.includes(":") ? 0 : 96));
  put(abi.ROUTE_SCOPE, change.scope ?? abi.RT_SCOPE_NOWHERE);
  put(abi.ROUTE_IFINDEX, change.ifindex ?? 0);
  put(abi.ROUTE_METRIC, change.metric ?? 0);
  put(abi.ROUTE_MTU, change.mtu ?? 0);
  put(abi.ROUTE_PROTOCOL, protocol);
  put(abi.ROUTE_PREF, change.pref ?? 0);
  put(abi.ROUTE_EXPIRES, change.expires ?? 0);
  put(abi.ROUTE_NEXTHOPS, nexthops.length);
  putAddress(view, abi.ROUTE_DST, change.dst);
  if (change.via !== undefined) putAddress(view, abi.ROUTE_GATEWAY, change.via);
  if (change.src !== undefined) putAddress(view, abi.ROUTE_SOURCE, change.src);
  nexthops.forEach((hop, i) => {
    const at = abi.ROUTE_BYTES + i * abi.NEXTHOP_BYTES;
    put(at + abi.NEXTHOP_IFINDEX, hop.ifindex);
    put(at + abi.NEXTHOP_WEIGHT, hop.weight);
    put(at + abi.NEXTHOP_FLAGS, hop.onlink ? abi.ROUTE_F_ONLINK : 0);
    if (hop.via !== undefined) putAddress(view, at + abi.NEXTHOP_GATEWAY, hop.via);
  });
  const result = context.command(op, bytes, "route", true);
  if (result < 0) throw rtnetlinkError(-result, change.dst.includes(":") && asked !== "route-delete" ? undefined : asked);
  context.kick();
}

/** What `ip route get` asks about beside the destination. */
export interface GetOptions {
  readonly source?: string;
  readonly oif?: number;
  readonly iif?: number;
  readonly mark?: number;
  readonly tos?: number;
  readonly ipproto?: number;
  readonly sport?: number;
  readonly dport?: number;
}

/** `ip route get`: the route, or the errno (negative). */
export function routeGet(netns: Netns, destination: string, options: GetOptions = {}): RouteRecord | number {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  instance.u8.fill(0, 0, abi.GET_BYTES);
  instance.view.setUint32(0, handle, true);
  for (const [at, value] of [
    [abi.GET_OIF, options.oif], [abi.GET_MARK, options.mark], [abi.GET_IIF, options.iif], [abi.GET_TOS, options.tos], [abi.GET_PROTOCOL, options.ipproto],
    [abi.GET_SPORT, options.sport], [abi.GET_DPORT, options.dport],
  ] as const) instance.view.setUint32(at, value ?? 0, true);
  putAddress(instance.view, abi.GET_DST, destination);
  if (options.source !== undefined) putAddress(instance.view, abi.GET_SRC, options.source);
  const result = context.command(abi.NET_ROUTE_GET, abi.GET_BYTES, "route", true);
  return result < 0 ? result : route(instance.view, 0);
}

export interface RuleRecord {
  readonly pref: number;
  readonly table: number;
  readonly mark: number;
  readonly mask: number;
  /** ifindex; DETACHED: of a device that is not there. */
  readonly iif: number;
  readonly oif: number;
  readonly src: string;
  readonly srcBits: number;
  readonly dst: string;
  readonly dstBits: number;
  /** FR_ACT_* */
  readonly action: number;
  /** Preference that FR_ACT_GOTO goes to. */
  readonly target: number;
  readonly invert: boolean;
  readonly tos: number;
  readonly ipproto: number;
  /** First | last << 16; 0: any. */
  readonly sport: number;
  readonly dport: number;
  /** -1: none. */
  readonly suppress: number;
}

/** No device has it: a rule about it matches nothing (FIB_RULE_IIF_DETACHED). */
export const DETACHED = 0xffffffff;

/** Routing rules by preference. */
export function ruleRecords(netns: Netns, op: number = abi.NET_RULE_LIST): RuleRecord[] {
  const found: RuleRecord[] = [];
  list(netns, op, abi.RULE_BYTES, 0, (view, at) => {
    const u32 = (offset: number): number => view.getUint32(at + offset, true);
    const address = (ipAt: number, bitsAt: number): readonly [text: string, bits: number] => {
      const bits = u32(bitsAt);
      const text = getAddress(view, at + ipAt);
      return [text, bits === 0 ? 0 : text.includes(":") ? bits : bits - 96];
    };
    const [src, srcBits] = address(abi.RULE_SRC, abi.RULE_SRC_PREFIX);
    const [dst, dstBits] = address(abi.RULE_DST, abi.RULE_DST_PREFIX);
    found.push({
      pref: u32(abi.RULE_PREF), table: u32(abi.RULE_TABLE), mark: u32(abi.RULE_MARK), mask: u32(abi.RULE_MASK), iif: u32(abi.RULE_IIF), src, srcBits, dst, dstBits,
      oif: u32(abi.RULE_OIF), action: u32(abi.RULE_ACTION) || abi.FR_ACT_TO_TBL, target: u32(abi.RULE_TARGET),
      invert: (u32(abi.RULE_FLAGS) & abi.RULE_F_INVERT) !== 0, tos: u32(abi.RULE_TOS), ipproto: u32(abi.RULE_IPPROTO),
      sport: u32(abi.RULE_SPORT), dport: u32(abi.RULE_DPORT), suppress: u32(abi.RULE_SUPPRESS_PREFIX) - 1,
    });
  });
  return found.map((rule, i) => ({ rule, i })).sort((a, b) => a.rule.pref - b.rule.pref || a.i - b.i).map(({ rule }) => rule);
}

/** RTM_NEWRULE, or RTM_DELRULE by preference and table. Throws KernelError in the words of rtnetlink. */
export function changeRule(netns: Netns, op: number, rule: RuleRecord): void {
  const { context, handle } = kernelOf(netns);
  const { u8, view } = context.instance;
  u8.fill(0, 0, abi.RULE_BYTES);
  const put = (at: number, value: number): void => view.setUint32(at, value, true);
  put(0, handle);
  put(abi.RULE_PREF, rule.pref);
  put(abi.RULE_TABLE, rule.table);
  put(abi.RULE_MARK, rule.mark);
  put(abi.RULE_MASK, rule.mask);
  put(abi.RULE_IIF, rule.iif);
  put(abi.RULE_OIF, rule.oif);
  put(abi.RULE_ACTION, rule.action);
  put(abi.RULE_TARGET, rule.target);
  put(abi.RULE_FLAGS, rule.invert ? abi.RULE_F_INVERT : 0);
  put(abi.RULE_TOS, rule.tos);
  put(abi.RULE_IPPROTO, rule.ipproto);
  put(abi.RULE_SPORT, rule.sport);
  put(abi.RULE_DPORT, rule.dport);
  put(abi.RULE_SUPPRESS_PREFIX, rule.suppress + 1);
  for (const [text, bits, prefixAt, ipAt] of [
    [rule.src, rule.srcBits, abi.RULE_SRC_PREFIX, abi.RULE_SRC], [rule.dst, rule.dstBits, abi.RULE_DST_PREFIX, abi.RULE_DST],
  ] as const) {
    if (bits === 0) continue;
    put(prefixAt, bits + (text.includes(":") ? 0 : 96));
    putAddress(view, ipAt, text);
  }
  const result = context.command(op, abi.RULE_BYTES, "rule", true);
  if (result < 0) throw rtnetlinkError(-result);
}
