// IPv6 of a namespace and of a device (include/net/if_inet6.h, struct inet6_dev; include/net/netns/ipv6.h): settings, counters, and the
// lists of addresses and groups that addrconf.ts and mcast6.ts keep. Only the full kernel has it. Everything that both families can share
// is shared: routes (fib.ts), neighbours (neighbour.ts), sockets (sock/table.ts), connections (netfilter/).
import { DEV_BRIDGE, DEV_IPVLAN, DEV_LOOPBACK, DEV_MACVLAN, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_SITE, RT_SCOPE_UNIVERSE } from "../abi/net";
import {
  CONF6_ACCEPT_DAD, CONF6_ACCEPT_RA, CONF6_ACCEPT_RA_DEFRTR, CONF6_ACCEPT_RA_MIN_HOP_LIMIT, CONF6_ACCEPT_RA_MTU, CONF6_ACCEPT_RA_PINFO,
  CONF6_ACCEPT_RA_RTR_PREF, CONF6_ACCEPT_REDIRECTS, CONF6_AUTOCONF, CONF6_DAD_TRANSMITS, CONF6_DISABLE_IPV6, CONF6_ENHANCED_DAD,
  CONF6_HOP_LIMIT, CONF6_MAX, CONF6_MAX_ADDRESSES, CONF6_MLDV1_UNSOLICITED_REPORT_INTERVAL, CONF6_MLDV2_UNSOLICITED_REPORT_INTERVAL,
  CONF6_MTU, CONF6_NEIGH_ANYCAST_DELAY, CONF6_NEIGH_BASE_REACHABLE_TIME_MS, CONF6_NEIGH_DELAY_FIRST_PROBE_TIME,
  CONF6_NEIGH_GC_STALE_TIME, CONF6_NEIGH_MCAST_SOLICIT, CONF6_NEIGH_PROXY_DELAY, CONF6_NEIGH_RETRANS_TIME_MS,
  CONF6_NEIGH_UCAST_SOLICIT, CONF6_NEIGH_UNRES_QLEN_BYTES, CONF6_RA_DEFRTR_METRIC, CONF6_ROUTER_PROBE_INTERVAL,
  CONF6_ROUTER_SOLICITATIONS, CONF6_ROUTER_SOLICITATION_DELAY, CONF6_ROUTER_SOLICITATION_INTERVAL,
  CONF6_ROUTER_SOLICITATION_MAX_INTERVAL, CONF6_SUPPRESS_FRAG_NDISC, SNMP6_MAX, SYSCTL6_AUTO_FLOWLABELS, SYSCTL6_ICMP_RATELIMIT,
  SYSCTL6_ICMP_RATEMASK, SYSCTL6_IP6FRAG_HIGH_THRESH, SYSCTL6_IP6FRAG_LOW_THRESH, SYSCTL6_IP6FRAG_TIME, SYSCTL6_MAX,
  SYSCTL6_MAX_DST_OPTS_LENGTH, SYSCTL6_MAX_DST_OPTS_NUMBER, SYSCTL6_MAX_HBH_LENGTH, SYSCTL6_MAX_HBH_OPTS_NUMBER, SYSCTL6_MLD_QRV,
  SYSCTL6_ROUTE_MIN_ADV_MSS, SYSCTL6_ROUTE_MTU_EXPIRES,
} from "../abi/net6";
import { NetDevice, Netns } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { isLinkLocal6, isLoopback6, isMulticast6, isSiteLocal6, multicastScope6 } from "../wire/ipv6";

/** IPv6 of a namespace: Netns.inet6. */
@unmanaged export class Netns6 {
  sysctls: usize; // i32 by SYSCTL6_* number
  confAll: usize; // i32 by CONF6_* number
  confDefault: usize;
  snmp: usize; // u64 by SNMP6_* number
  fragments: usize; // net/ip6-frag.ts: queues by datagram
  fragmentBytes: u32;
  proxies: usize; // net/ndisc-proxy.ts: Proxy6 list
  seed: u32; // of identification numbers, of what DAD waits at random
  /** Memberships and addresses moved on: what caches of a later day depend on. */
  generation: u32;
  secretAll: usize; secretDefault: usize; // stable_secret, 16 bytes each; 0: none
}

/** IPv6 of a device: NetDevice.inet6. */
@unmanaged export class Inet6Dev {
  // Timer of router solicitations, then the one of membership reports: each as a Timer lies.
  rsNext: usize; rsPrev: usize; rsExpires: u64; rsKind: u32; rsOwner: usize;
  mldNext: usize; mldPrev: usize; mldExpires: u64; mldKind: u32; mldOwner: usize;
  // Answers to a general query (mc_gq_timer).
  gqNext: usize; gqPrev: usize; gqExpires: u64; gqKind: u32; gqOwner: usize;
  dev: usize; // NetDevice
  conf: usize; // i32 by CONF6_* number
  addresses: usize; // Address6, those of wider scope first
  groups: usize; // Group6, the newest first
  anycast: usize; // Anycast6
  flags: u32; // IF_*
  rsProbes: u32;
  rsInterval: u32; // ms
  reachable: u32; // as NetDevice.reachable
  mldIfc: u32; // reports still to send about changes
  mldV1Until: u64; // jiffies: a querier of the first version is there until then
  mldRobust: u32; // how many losses in a row the link is thought to have
  mldGone: usize; // Group6 that were left and of which reports go out
  secret: usize; // stable_secret, 16 bytes; 0: none
}

/** Has IPv6 been set up for traffic (the device is up, and IPv6 is not disabled)? */
export const IF_READY: u32 = 1;
export const IF_RS_SENT: u32 = 2;
export const IF_RA_RCVD: u32 = 4;
export const IF_RA_MANAGED: u32 = 8;
export const IF_RA_OTHERCONF: u32 = 16;

@inline export function netns6(ns: Netns): Netns6 {
  return changetype<Netns6>(ns.inet6);
}
/** 0 where the device has no IPv6. */
@inline export function inet6Of(dev: NetDevice): Inet6Dev {
  return changetype<Inet6Dev>(dev.inet6);
}

@inline export function sysctl6(ns: Netns, number: u32): i32 {
  return load<i32>(netns6(ns).sysctls + (<usize>number << 2));
}
/** net.ipv6.conf.DEV.* */
@inline export function conf6(dev: NetDevice, number: u32): i32 {
  return load<i32>(inet6Of(dev).conf + (<usize>number << 2));
}
@inline export function confAll6(ns: Netns, number: u32): i32 {
  return load<i32>(netns6(ns).confAll + (<usize>number << 2));
}
@inline export function snmp6Inc(ns: Netns, number: u32): void {
  const at = netns6(ns).snmp + (<usize>number << 3);
  store<u64>(at, load<u64>(at) + 1);
}
@inline export function snmp6Add(ns: Netns, number: u32, by: u32): void {
  const at = netns6(ns).snmp + (<usize>number << 3);
  store<u64>(at, load<u64>(at) + <u64>by);
}

/** The namespace's defaults, as a new one of Linux 6.18 has them. False: no memory. */
export function inet6Init(ns: Netns): bool {
  const at = kmalloc(<u32>offsetof<Netns6>());
  if (at == 0) return false;
  ns.inet6 = at;
  const n = changetype<Netns6>(at);
  n.sysctls = kmalloc(SYSCTL6_MAX << 2);
  n.confAll = kmalloc(CONF6_MAX << 2);
  n.confDefault = kmalloc(CONF6_MAX << 2);
  n.snmp = kmalloc(SNMP6_MAX << 3);
  if (n.sysctls == 0 || n.confAll == 0 || n.confDefault == 0 || n.snmp == 0) return false;
  // Not drawn: the generator's numbers are the same in a kernel that knows no IPv6.
  n.seed = mix32(hashWord(node().rng0, ns.id));
  const t = n.sysctls;
  put(t, SYSCTL6_IP6FRAG_HIGH_THRESH, 4194304);
  put(t, SYSCTL6_IP6FRAG_LOW_THRESH, 3145728);
  put(t, SYSCTL6_IP6FRAG_TIME, 60);
  put(t, SYSCTL6_MAX_DST_OPTS_LENGTH, 2147483647);
  put(t, SYSCTL6_MAX_DST_OPTS_NUMBER, 8);
  put(t, SYSCTL6_MAX_HBH_LENGTH, 2147483647);
  put(t, SYSCTL6_MAX_HBH_OPTS_NUMBER, 8);
  put(t, SYSCTL6_MLD_QRV, 2);
  put(t, SYSCTL6_AUTO_FLOWLABELS, 1);
  put(t, SYSCTL6_ICMP_RATELIMIT, 100);
  put(t, SYSCTL6_ROUTE_MTU_EXPIRES, 600);
  put(t, SYSCTL6_ROUTE_MIN_ADV_MSS, 1220);
  // icmpv6_sysctl: 0-1,3-127
  put(t, SYSCTL6_ICMP_RATEMASK, -5);
  for (let i: u32 = 1; i < 4; i++) put(t, SYSCTL6_ICMP_RATEMASK + i, -1);
  defaults(n.confAll);
  defaults(n.confDefault);
  put(n.confAll, CONF6_ACCEPT_DAD, 0);
  // The module's parameter disable_ipv6 (addrconf_init_net).
  const off = node().ipv6 == 0 ? 1 : 0;
  put(n.confAll, CONF6_DISABLE_IPV6, off);
  put(n.confDefault, CONF6_DISABLE_IPV6, off);
  return true;
}

export function inet6Exit(ns: Netns): void {
  if (ns.inet6 == 0) return;
  const n = netns6(ns);
  kfree(n.sysctls, SYSCTL6_MAX << 2);
  kfree(n.confAll, CONF6_MAX << 2);
  kfree(n.confDefault, CONF6_MAX << 2);
  kfree(n.snmp, SNMP6_MAX << 3);
  kfree(n.secretAll, 16);
  kfree(n.secretDefault, 16);
  kfree(ns.inet6, <u32>offsetof<Netns6>());
  ns.inet6 = 0;
}

function put(table: usize, number: u32, value: i32): void {
  store<i32>(table + (<usize>number << 2), value);
}

function defaults(t: usize): void {
  put(t, CONF6_HOP_LIMIT, 64);
  put(t, CONF6_MTU, 1280);
  put(t, CONF6_ACCEPT_RA, 1);
  put(t, CONF6_ACCEPT_REDIRECTS, 1);
  put(t, CONF6_AUTOCONF, 1);
  put(t, CONF6_DAD_TRANSMITS, 1);
  put(t, CONF6_ROUTER_SOLICITATIONS, -1);
  put(t, CONF6_ROUTER_SOLICITATION_INTERVAL, 4);
  put(t, CONF6_ROUTER_SOLICITATION_DELAY, 1);
  put(t, CONF6_ROUTER_SOLICITATION_MAX_INTERVAL, 3600);
  put(t, CONF6_ACCEPT_RA_DEFRTR, 1);
  put(t, CONF6_ACCEPT_RA_MIN_HOP_LIMIT, 1);
  put(t, CONF6_ACCEPT_RA_MTU, 1);
  put(t, CONF6_ACCEPT_RA_PINFO, 1);
  put(t, CONF6_ACCEPT_RA_RTR_PREF, 1);
  put(t, CONF6_ACCEPT_DAD, 1);
  put(t, CONF6_MAX_ADDRESSES, 16);
  put(t, CONF6_MLDV1_UNSOLICITED_REPORT_INTERVAL, 10000);
  put(t, CONF6_MLDV2_UNSOLICITED_REPORT_INTERVAL, 1000);
  put(t, CONF6_RA_DEFRTR_METRIC, 1024);
  put(t, CONF6_SUPPRESS_FRAG_NDISC, 1);
  put(t, CONF6_ENHANCED_DAD, 1);
  put(t, CONF6_ROUTER_PROBE_INTERVAL, 60);
  put(t, CONF6_NEIGH_BASE_REACHABLE_TIME_MS, 30000);
  put(t, CONF6_NEIGH_RETRANS_TIME_MS, 1000);
  put(t, CONF6_NEIGH_DELAY_FIRST_PROBE_TIME, 5);
  put(t, CONF6_NEIGH_GC_STALE_TIME, 60);
  put(t, CONF6_NEIGH_UCAST_SOLICIT, 3);
  put(t, CONF6_NEIGH_MCAST_SOLICIT, 3);
  put(t, CONF6_NEIGH_UNRES_QLEN_BYTES, 212992);
  put(t, CONF6_NEIGH_PROXY_DELAY, 80);
  put(t, CONF6_NEIGH_ANYCAST_DELAY, 100);
}

/** A device's own values: a copy of conf.default. False: no memory. */
export function inet6DevInit(dev: NetDevice, ns: Netns): bool {
  if (dev.inet6 == 0) {
    dev.inet6 = kmalloc(<u32>offsetof<Inet6Dev>());
    if (dev.inet6 == 0) return false;
    inet6Of(dev).conf = kmalloc(CONF6_MAX << 2);
    if (inet6Of(dev).conf == 0) {
      kfree(dev.inet6, <u32>offsetof<Inet6Dev>());
      dev.inet6 = 0;
      return false;
    }
  }
  const own = inet6Of(dev);
  own.dev = changetype<usize>(dev);
  own.mldRobust = 2;
  memory.copy(own.conf, netns6(ns).confDefault, CONF6_MAX << 2);
  put(own.conf, CONF6_MTU, dev.mtu);
  // ipv6_add_dev: no duplicates are looked for where nobody else is.
  if (dev.kind == DEV_LOOPBACK) put(own.conf, CONF6_ACCEPT_DAD, -1);
  return true;
}

export function inet6DevExit(dev: NetDevice): void {
  if (dev.inet6 == 0) return;
  const own = inet6Of(dev);
  kfree(own.conf, CONF6_MAX << 2);
  kfree(own.secret, 16);
  kfree(dev.inet6, <u32>offsetof<Inet6Dev>());
  dev.inet6 = 0;
}

/** IPV6_ADDR_SCOPE_TYPE as RFC 4007 numbers scopes: 1 node, 2 link, 5 site, 14 global; of a group its own (ipv6_addr_src_scope). */
export function scope6(hi: u64, lo: u64): u32 {
  if (isMulticast6(hi)) return multicastScope6(hi);
  if (isLinkLocal6(hi) || isLoopback6(hi, lo)) return 2;
  return isSiteLocal6(hi) ? 5 : 14;
}

/** RT_SCOPE_* of an address, as it is listed (rt_scope). */
export function rtScope6(hi: u64, lo: u64): u32 {
  if (isLoopback6(hi, lo)) return RT_SCOPE_HOST;
  if (isLinkLocal6(hi)) return RT_SCOPE_LINK;
  return isSiteLocal6(hi) ? RT_SCOPE_SITE : RT_SCOPE_UNIVERSE;
}
