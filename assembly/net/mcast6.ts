// Groups of IPv6 and who is told that we are in them: MLDv2, RFC 3810, and MLDv1, RFC 2710, where the querier speaks that
// (net/ipv6/mcast.c). Sources are not filtered: every membership is "all but none".
import { EADDRNOTAVAIL, ENOMEM } from "../abi/core";
import { DEV_LOOPBACK } from "../abi/net";
import {
  CONF6_FORCE_MLD_VERSION, CONF6_FORWARDING, CONF6_MLDV1_UNSOLICITED_REPORT_INTERVAL, CONF6_MLDV2_UNSOLICITED_REPORT_INTERVAL, IFA_F_TENTATIVE,
  SYSCTL6_MLD_QRV,
} from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { HZ, NS_PER_JIFFY, Timer, timerDelete, timerMod, timerPending } from "../mm/timer";
import { be16, putBe16 } from "../wire/bytes";
import { ETH_P_IPV6 } from "../wire/ethernet";
import { ICMPV6_MGM_QUERY, ICMPV6_MGM_REDUCTION, ICMPV6_MGM_REPORT, ICMPV6_MLD2_REPORT } from "../wire/icmp6";
import {
  ALL_MLD2_ROUTERS_LO, ALL_NODES_LO, ALL_ROUTERS_LO, IPPROTO_ICMPV6, IPV6_HEADER_LEN, Ipv6View, MULTICAST_LINK_HI, NEXTHDR_HOP, isLinkLocal6,
  multicastScope6,
} from "../wire/ipv6";
import { Address6, linkLocalOf } from "./addrconf";
import { icmp6Checksum, icmp6OutCount } from "./icmp6";
import { IF_READY, Inet6Dev, conf6, confAll6, inet6Of, sysctl6 } from "./inet6";
import { IP6SKB_ROUTERALERT } from "./ip6-ext";
import { ip6LocalOut } from "./ip6-output";
import { ndiscRoute } from "./ndisc";
import { skbAlloc, skbFree, skbLength } from "./skb";
import { TIMER_GROUP6, TIMER_MLD, TIMER_MLD_GENERAL } from "./timers";

@unmanaged export class Group6 {
  // Timer of a report that was asked for.
  timerNext: usize; timerPrev: usize; timerExpires: u64; timerKind: u32; timerOwner: usize;
  next: usize; // Group6 of the device
  dev: usize; // NetDevice
  users: u32;
  flags: u32; // MAF_*
  hi: u64; lo: u64;
  changes: u32; // reports of its change still to send (mca_crcount)
}

const MAF_TIMER_RUNNING: u32 = 1, MAF_LAST_REPORTER: u32 = 2;
/** MAF_LOADED: the device listens to it. */
const MAF_LOADED: u32 = 4;
const MAF_NOREPORT: u32 = 8;
// Kinds of records in a report.
const MODE_IS_EXCLUDE: u32 = 2, CHANGE_TO_INCLUDE: u32 = 3, CHANGE_TO_EXCLUDE: u32 = 4;
const RECORD_BYTES: u32 = 20;
const GROUP_BYTES_OF: u32 = <u32>offsetof<Group6>();

@inline function ifcTimer(own: Inet6Dev): Timer {
  return changetype<Timer>(changetype<usize>(own) + offsetof<Inet6Dev>("mldNext"));
}
@inline function generalTimer(own: Inet6Dev): Timer {
  return changetype<Timer>(changetype<usize>(own) + offsetof<Inet6Dev>("gqNext"));
}
@inline function jiffies(): u64 {
  return node().now / NS_PER_JIFFY;
}

function find(dev: NetDevice, hi: u64, lo: u64): usize {
  if (dev.inet6 == 0) return 0;
  for (let at = inet6Of(dev).groups; at != 0; at = changetype<Group6>(at).next) {
    if (changetype<Group6>(at).lo == lo && changetype<Group6>(at).hi == hi) return at;
  }
  return 0;
}

/** Does the device belong to the group (ipv6_chk_mcast_addr)? */
export function memberOf(dev: NetDevice, hi: u64, lo: u64): bool {
  return find(dev, hi, lo) != 0;
}

/** ipv6_dev_mc_inc. 0 or -ENOMEM. */
export function groupJoin(dev: NetDevice, hi: u64, lo: u64): i32 {
  const own = inet6Of(dev);
  const found = find(dev, hi, lo);
  if (found != 0) {
    changetype<Group6>(found).users++;
    return 0;
  }
  const at = kmalloc(GROUP_BYTES_OF);
  if (at == 0) return -ENOMEM;
  const group = changetype<Group6>(at);
  group.timerKind = TIMER_GROUP6;
  group.timerOwner = at;
  group.dev = changetype<usize>(dev);
  group.users = 1;
  group.hi = hi;
  group.lo = lo;
  if ((hi == MULTICAST_LINK_HI && lo == ALL_NODES_LO) || multicastScope6(hi) < 2) group.flags = MAF_NOREPORT;
  group.next = own.groups;
  own.groups = at;
  forgetGone(own, hi, lo);
  added(group);
  return 0;
}

/** ipv6_dev_mc_dec. 0 or -EADDRNOTAVAIL. */
export function groupLeave(dev: NetDevice, hi: u64, lo: u64): i32 {
  const own = inet6Of(dev);
  let link = changetype<usize>(own) + offsetof<Inet6Dev>("groups");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const group = changetype<Group6>(at);
    if (group.hi == hi && group.lo == lo) {
      if (--group.users > 0) return 0;
      store<u32>(link, <u32>group.next);
      timerDelete(changetype<Timer>(at));
      dropped(group);
      return 0;
    }
    link = at + offsetof<Group6>("next");
  }
  return -EADDRNOTAVAIL;
}

/** The device is up: its groups are told about (ipv6_mc_up). */
export function mcastUp(dev: NetDevice): void {
  const own = inet6Of(dev);
  own.mldRobust = <u32>max<i32>(sysctl6(changetype<Netns>(dev.ns), SYSCTL6_MLD_QRV), 1);
  if (own.groups == 0) {
    // ipv6_add_dev
    groupJoin(dev, 0x01ff, ALL_NODES_LO);
    groupJoin(dev, MULTICAST_LINK_HI, ALL_NODES_LO);
    if (conf6(dev, CONF6_FORWARDING) != 0 && dev.kind != DEV_LOOPBACK) groupJoin(dev, MULTICAST_LINK_HI, ALL_ROUTERS_LO);
    return;
  }
  for (let at = own.groups; at != 0; at = changetype<Group6>(at).next) added(changetype<Group6>(at));
}

/** ipv6_mc_down, and ipv6_mc_destroy_dev where it is gone. */
export function mcastDown(dev: NetDevice, gone: bool): void {
  const own = inet6Of(dev);
  timerDelete(ifcTimer(own));
  timerDelete(generalTimer(own));
  own.mldIfc = 0;
  own.mldV1Until = 0;
  freeGone(own);
  for (let at = own.groups; at != 0; at = changetype<Group6>(at).next) {
    timerDelete(changetype<Timer>(at));
    changetype<Group6>(at).flags &= ~(MAF_LOADED | MAF_TIMER_RUNNING | MAF_LAST_REPORTER);
    changetype<Group6>(at).changes = 0;
  }
  while (gone && own.groups != 0) {
    const at = own.groups;
    own.groups = changetype<Group6>(at).next;
    kfree(at, GROUP_BYTES_OF);
  }
}

/** mld_in_v1_mode */
function speaksV1(own: Inet6Dev): bool {
  const dev = changetype<NetDevice>(own.dev);
  const forced = max<i32>(confAll6(changetype<Netns>(dev.ns), CONF6_FORCE_MLD_VERSION), conf6(dev, CONF6_FORCE_MLD_VERSION));
  if (forced == 2) return false;
  return forced == 1 || (own.mldV1Until != 0 && jiffies() < own.mldV1Until);
}

/** igmp6_group_added */
function added(group: Group6): void {
  const dev = changetype<NetDevice>(group.dev);
  if (multicastScope6(group.hi) < 2) return;
  group.flags |= MAF_LOADED;
  if (!dev.up || (group.flags & MAF_NOREPORT) != 0) return;
  const own = inet6Of(dev);
  if (speaksV1(own)) {
    // igmp6_join_group: at once, and again a while later.
    sendV1(dev, group.hi, group.lo, ICMPV6_MGM_REPORT);
    group.flags |= MAF_TIMER_RUNNING | MAF_LAST_REPORTER;
    timerMod(changetype<Timer>(changetype<usize>(group)), jiffies() + <u64>randomBelow(interval(own)));
    return;
  }
  group.changes = own.mldRobust;
  ifcEvent(own);
}

/** igmp6_group_dropped, igmp6_leave_group. Takes the group. */
function dropped(group: Group6): void {
  const dev = changetype<NetDevice>(group.dev), own = inet6Of(dev);
  const tell = dev.up && (own.flags & IF_READY) != 0 && (group.flags & MAF_NOREPORT) == 0 && (group.flags & MAF_LOADED) != 0;
  if (tell && !speaksV1(own)) {
    // mld_add_delrec: it stays to be told about.
    group.changes = own.mldRobust;
    group.next = own.mldGone;
    own.mldGone = changetype<usize>(group);
    ifcEvent(own);
    return;
  }
  if (tell && (group.flags & MAF_LAST_REPORTER) != 0) sendV1(dev, group.hi, group.lo, ICMPV6_MGM_REDUCTION);
  kfree(changetype<usize>(group), GROUP_BYTES_OF);
}

/** A group that was left is joined again before everybody heard of it (mld_del_delrec). */
function forgetGone(own: Inet6Dev, hi: u64, lo: u64): void {
  let link = changetype<usize>(own) + offsetof<Inet6Dev>("mldGone");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const group = changetype<Group6>(at);
    if (group.hi == hi && group.lo == lo) {
      store<u32>(link, <u32>group.next);
      kfree(at, GROUP_BYTES_OF);
      return;
    }
    link = at + offsetof<Group6>("next");
  }
}

function freeGone(own: Inet6Dev): void {
  while (own.mldGone != 0) {
    const at = own.mldGone;
    own.mldGone = changetype<Group6>(at).next;
    kfree(at, GROUP_BYTES_OF);
  }
}

/** Jiffies between reports of one change, at most (unsolicited_report_interval). */
function interval(own: Inet6Dev): u32 {
  const ms = conf6(changetype<NetDevice>(own.dev), speaksV1(own) ? CONF6_MLDV1_UNSOLICITED_REPORT_INTERVAL : CONF6_MLDV2_UNSOLICITED_REPORT_INTERVAL);
  return max<u32>(<u32>(<u64>max<i32>(ms, 0) * HZ / 1000), 1);
}

/** mld_ifc_event: changes are told about two jiffies from now, those of the meantime with them. */
function ifcEvent(own: Inet6Dev): void {
  own.mldIfc = own.mldRobust;
  own.mldKind = TIMER_MLD;
  own.mldOwner = changetype<usize>(own);
  timerMod(ifcTimer(own), jiffies() + 2);
}

/** Reports of changes (mld_ifc_work): each goes out as often as the link is thought to lose one. */
export function mldTimer(at: usize): void {
  const own = changetype<Inet6Dev>(at);
  sendChanges(own, false);
  if (own.mldIfc != 0 && --own.mldIfc != 0) timerMod(ifcTimer(own), jiffies() + <u64>randomBelow(interval(own)) + 2);
}

/** The link's own address is in use: what was told from :: is told again from it (ipv6_mc_dad_complete). */
export function mldDadComplete(dev: NetDevice): void {
  const own = inet6Of(dev);
  if (speaksV1(own)) return;
  sendChanges(own, true);
}

/** mld_send_cr; `initial`: all groups at once (mld_send_initial_cr). */
function sendChanges(own: Inet6Dev, initial: bool): void {
  const dev = changetype<NetDevice>(own.dev);
  const most = (min<u32>(dev.mtu, 1500) - IPV6_HEADER_LEN - 16) / RECORD_BYTES;
  let from: u32 = 0;
  while (true) {
    const skb = reportBegin(most);
    if (changetype<usize>(skb) == 0) return;
    let count: u32 = 0, index: u32 = 0;
    if (!initial) {
      for (let at = own.mldGone; at != 0; at = changetype<Group6>(at).next) {
        if (index++ < from || count >= most) continue;
        record(skb, changetype<Group6>(at), CHANGE_TO_INCLUDE, count++);
      }
    }
    for (let at = own.groups; at != 0; at = changetype<Group6>(at).next) {
      const group = changetype<Group6>(at);
      if ((group.flags & MAF_NOREPORT) != 0 || (!initial && group.changes == 0)) continue;
      if (index++ < from || count >= most) continue;
      record(skb, group, CHANGE_TO_EXCLUDE, count++);
    }
    reportSend(skb, dev, count);
    from += count;
    if (count < most) break;
  }
  if (initial) return;
  for (let at = own.groups; at != 0; at = changetype<Group6>(at).next) {
    if (changetype<Group6>(at).changes != 0) changetype<Group6>(at).changes--;
  }
  let link = changetype<usize>(own) + offsetof<Inet6Dev>("mldGone");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const group = changetype<Group6>(at);
    if (--group.changes == 0) {
      store<u32>(link, <u32>group.next);
      kfree(at, GROUP_BYTES_OF);
    } else link = at + offsetof<Group6>("next");
  }
}

// A report: {hop-by-hop with a router alert} {143, 0, checksum, 0, records} {kind, 0, sources 0, group}*
function reportBegin(records: u32): Skb {
  return skbAlloc(16 + records * RECORD_BYTES);
}

function record(skb: Skb, group: Group6, kind: u32, index: u32): void {
  const at = skb.data + 16 + <usize>(index * RECORD_BYTES);
  store<u32>(at, kind);
  store<u64>(at, group.hi, 4);
  store<u64>(at, group.lo, 12);
}

function reportSend(skb: Skb, dev: NetDevice, count: u32): void {
  store<u64>(skb.data, 0, 8);
  store<u8>(skb.data, <u8>ICMPV6_MLD2_REPORT, 8);
  putBe16(skb.data, 14, count);
  skb.tail = skb.data + 16 + <usize>(count * RECORD_BYTES);
  if (count == 0) {
    skbFree(skb);
    return;
  }
  send(skb, dev, MULTICAST_LINK_HI, ALL_MLD2_ROUTERS_LO);
}

function sendV1(dev: NetDevice, hi: u64, lo: u64, type: u32): void {
  const skb = skbAlloc(32);
  if (changetype<usize>(skb) == 0) return;
  skb.tail = skb.data + 32;
  store<u64>(skb.data, 0, 8);
  store<u8>(skb.data, <u8>type, 8);
  store<u64>(skb.data, hi, 16);
  store<u64>(skb.data, lo, 24);
  // igmp6_send: a reduction goes to the routers.
  const leave = type == ICMPV6_MGM_REDUCTION;
  send(skb, dev, leave ? MULTICAST_LINK_HI : hi, leave ? ALL_ROUTERS_LO : lo);
}

/** With a router alert in front (mld_newpack): `data` at the room for it, the message behind. */
function send(skb: Skb, dev: NetDevice, hi: u64, lo: u64): void {
  const ns = changetype<Netns>(dev.ns);
  const link = linkLocalOf(dev, IFA_F_TENTATIVE);
  const sourceHi: u64 = link == 0 ? 0 : changetype<Address6>(link).hi, sourceLo: u64 = link == 0 ? 0 : changetype<Address6>(link).lo;
  // {58, 0, router alert 5 2 0 0, PadN 1 0}
  store<u64>(skb.data, 0x000100000205003a);
  const length = skbLength(skb);
  icmp6Checksum(skb.data + 8, length - 8, sourceHi, sourceLo, hi, lo);
  skb.transport = skb.data + 8;
  skb.data -= <usize>IPV6_HEADER_LEN;
  skb.network = skb.data;
  skb.protocol = ETH_P_IPV6;
  skb.nextHeader = IPPROTO_ICMPV6;
  Ipv6View.at(skb.network).write(0, 0, length, NEXTHDR_HOP, 1, sourceHi, sourceLo, hi, lo);
  ndiscRoute(skb, dev, hi, lo);
  icmp6OutCount(ns, <u32>load<u8>(skb.transport));
  ip6LocalOut(skb, ns);
}

/** Is it a message about memberships (ipv6_is_mld)? Those are heard whoever they are for. */
export function isMldMessage(skb: Skb, protocol: u32): bool {
  if (protocol != IPPROTO_ICMPV6 || skb.transport >= skb.tail) return false;
  const type = <u32>load<u8>(skb.transport);
  return (type >= ICMPV6_MGM_QUERY && type <= ICMPV6_MGM_REDUCTION) || type == ICMPV6_MLD2_REPORT;
}

/** A querier asks (igmp6_event_query): `data` at the message, which stays the caller's. */
export function mldQuery(skb: Skb, ns: Netns, dev: NetDevice): void {
  const own = inet6Of(dev), ip = Ipv6View.at(skb.network), length = skbLength(skb);
  if (length < 24 || !isLinkLocal6(ip.sourceHi) || ip.hopLimit != 1 || (skb.ipFlags & IP6SKB_ROUTERALERT) == 0 || dev.kind == DEV_LOOPBACK) return;
  const hi = load<u64>(skb.data, 8), lo = load<u64>(skb.data, 16), general = (hi | lo) == 0;
  const code = be16(skb.data, 4);
  let wait: u64;
  if (length == 24 || speaksV1(own)) {
    // MLDv1, RFC 2710: the code is milliseconds. RFC 3810 section 9.12: for a while nobody speaks anything else.
    wait = max<u64>(<u64>code * HZ / 1000, 1);
    if (length == 24) {
      own.mldV1Until = jiffies() + <u64>own.mldRobust * 125 * HZ + wait;
      own.mldIfc = 0;
      timerDelete(ifcTimer(own));
      freeGone(own);
    }
  } else {
    if (length < 28) return;
    // RFC 3810 section 5.1.3: from 32768 on a floating-point number.
    const ms: u32 = code < 32768 ? code : ((code & 0xfff) | 0x1000) << (((code >>> 12) & 7) + 3);
    wait = max<u64>(<u64>ms * HZ / 1000, 1);
    if ((load<u8>(skb.data, 24) & 7) != 0) own.mldRobust = <u32>(load<u8>(skb.data, 24) & 7);
    if (general) {
      if (be16(skb.data, 26) != 0) return;
      // mld_gq_start_work
      own.gqKind = TIMER_MLD_GENERAL;
      own.gqOwner = changetype<usize>(own);
      const at = jiffies() + <u64>randomBelow(<u32>wait) + 2;
      if (!timerPending(generalTimer(own)) || generalTimer(own).expires > at) timerMod(generalTimer(own), at);
      return;
    }
  }
  for (let at = own.groups; at != 0; at = changetype<Group6>(at).next) {
    const group = changetype<Group6>(at);
    if ((!general && (group.hi != hi || group.lo != lo)) || (group.flags & MAF_NOREPORT) != 0) continue;
    // igmp6_group_queried
    const timer = changetype<Timer>(at), when = jiffies() + <u64>randomBelow(<u32>wait);
    if (!timerPending(timer) || timer.expires > when) timerMod(timer, when);
    group.flags |= MAF_TIMER_RUNNING;
  }
}

/** A report about one group is due (mld_mca_work). */
export function groupTimer(at: usize): void {
  const group = changetype<Group6>(at), dev = changetype<NetDevice>(group.dev);
  if (speaksV1(inet6Of(dev))) sendV1(dev, group.hi, group.lo, ICMPV6_MGM_REPORT);
  else {
    const skb = reportBegin(1);
    if (changetype<usize>(skb) == 0) return;
    record(skb, group, MODE_IS_EXCLUDE, 0);
    reportSend(skb, dev, 1);
  }
  group.flags = (group.flags | MAF_LAST_REPORTER) & ~MAF_TIMER_RUNNING;
}

/** Reports about all groups are due (mld_gq_work). */
export function mldGeneralTimer(at: usize): void {
  const own = changetype<Inet6Dev>(at), dev = changetype<NetDevice>(own.dev);
  const most = (min<u32>(dev.mtu, 1500) - IPV6_HEADER_LEN - 16) / RECORD_BYTES;
  let from: u32 = 0;
  while (true) {
    const skb = reportBegin(most);
    if (changetype<usize>(skb) == 0) return;
    let count: u32 = 0, index: u32 = 0;
    for (let g = own.groups; g != 0; g = changetype<Group6>(g).next) {
      if ((changetype<Group6>(g).flags & MAF_NOREPORT) != 0) continue;
      if (index++ < from || count >= most) continue;
      record(skb, changetype<Group6>(g), MODE_IS_EXCLUDE, count++);
    }
    reportSend(skb, dev, count);
    from += count;
    if (count < most) return;
  }
}
