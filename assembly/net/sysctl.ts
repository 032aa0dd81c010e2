// sysctls by number: those of a namespace, and net.ipv4.conf.{all,default,DEV}.* with net.ipv4.neigh.DEV.* per device.
import { EINVAL, ENODEV, ENOENT } from "../abi/core";
import {
  CONF_ACCEPT_REDIRECTS, CONF_ACCEPT_SOURCE_ROUTE, CONF_FORWARDING, CONF_MAX, CONF_NEIGH_BASE_REACHABLE_MS,
  CONF_NEIGH_DELAY_PROBE_S, CONF_NEIGH_GC_STALE_S, CONF_NEIGH_MCAST_SOLICIT, CONF_NEIGH_PROXY_DELAY_MS, CONF_NEIGH_QUEUE_BYTES,
  CONF_NEIGH_RETRANS_MS, CONF_NEIGH_UCAST_SOLICIT, CONF_OF_ALL, CONF_OF_DEFAULT, CONF_SECURE_REDIRECTS,
  CONF_SEND_REDIRECTS, CONF_SHARED_MEDIA, SYSCTL_BRIDGE_NF_CALL_ARPTABLES, SYSCTL_BRIDGE_NF_CALL_IP6TABLES,
  SYSCTL_BRIDGE_NF_CALL_IPTABLES, SYSCTL_CONF, SYSCTL_CORE_RMEM_DEFAULT, SYSCTL_CORE_SOMAXCONN,
  SYSCTL_CORE_WMEM_DEFAULT, SYSCTL_ICMP_ECHO_IGNORE_BROADCASTS, SYSCTL_ICMP_IGNORE_BOGUS_ERROR_RESPONSES,
  SYSCTL_ICMP_MSGS_BURST, SYSCTL_ICMP_MSGS_PER_SEC, SYSCTL_ICMP_RATELIMIT, SYSCTL_ICMP_RATEMASK,
  SYSCTL_IPFRAG_HIGH_THRESH, SYSCTL_IPFRAG_LOW_THRESH, SYSCTL_IPFRAG_MAX_DIST, SYSCTL_IPFRAG_TIME,
  SYSCTL_IP_DEFAULT_TTL, SYSCTL_IP_PORT_HIGH, SYSCTL_IP_PORT_LOW, SYSCTL_IP_UNPRIVILEGED_PORT_START, SYSCTL_MAX,
  SYSCTL_NF_CONNTRACK_BUCKETS, SYSCTL_NF_CONNTRACK_EXPECT_MAX, SYSCTL_TCP_ADV_WIN_SCALE, SYSCTL_TCP_BASE_MSS,
  SYSCTL_TCP_ECN, SYSCTL_TCP_FIN_TIMEOUT, SYSCTL_TCP_KEEPALIVE_INTVL, SYSCTL_TCP_KEEPALIVE_PROBES,
  SYSCTL_TCP_KEEPALIVE_TIME, SYSCTL_TCP_MAX_SYN_BACKLOG, SYSCTL_TCP_MAX_TW_BUCKETS, SYSCTL_TCP_MIN_SND_MSS,
  SYSCTL_TCP_REORDERING, SYSCTL_TCP_RETRIES1, SYSCTL_TCP_RETRIES2, SYSCTL_TCP_RMEM_DEFAULT, SYSCTL_TCP_RMEM_MAX,
  SYSCTL_TCP_RTO_MAX_MS, SYSCTL_TCP_RTO_MIN_US, SYSCTL_TCP_SACK, SYSCTL_TCP_SLOW_START_AFTER_IDLE,
  SYSCTL_TCP_SYNACK_RETRIES, SYSCTL_TCP_SYNCOOKIES, SYSCTL_TCP_SYN_RETRIES, SYSCTL_TCP_TIMESTAMPS,
  SYSCTL_TCP_TW_REUSE, SYSCTL_TCP_WINDOW_SCALING, SYSCTL_TCP_WMEM_DEFAULT, SYSCTL_TCP_WMEM_MAX,
} from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { ctResize } from "../netfilter/conntrack";
import { nfNet, settingOfSysctl } from "../netfilter/state";
import { deviceFind } from "./devices";

/** A sysctl of the namespace. */
@inline export function sysctl(ns: Netns, number: u32): i32 {
  return load<i32>(ns.sysctls + (<usize>number << 2));
}

/** net.ipv4.conf.DEV.* alone (IN_DEV_CONF_GET). */
@inline export function devConf(dev: NetDevice, number: u32): i32 {
  return load<i32>(dev.conf + (<usize>number << 2));
}

/** The larger of conf.all and conf.DEV (IN_DEV_MAXCONF). */
export function maxConf(dev: NetDevice, number: u32): i32 {
  return max<i32>(load<i32>(changetype<Netns>(dev.ns).confAll + (<usize>number << 2)), devConf(dev, number));
}

/** conf.all or conf.DEV (IN_DEV_ORCONF). */
export function orConf(dev: NetDevice, number: u32): bool {
  return (load<i32>(changetype<Netns>(dev.ns).confAll + (<usize>number << 2)) | devConf(dev, number)) != 0;
}

/** The namespace's defaults, as a new one of Linux 6.18 has them. False: no memory. */
export function sysctlInit(ns: Netns): bool {
  ns.sysctls = kmalloc(SYSCTL_MAX << 2);
  ns.confAll = kmalloc(CONF_MAX << 2);
  ns.confDefault = kmalloc(CONF_MAX << 2);
  if (ns.sysctls == 0 || ns.confAll == 0 || ns.confDefault == 0) return false;
  const t = ns.sysctls;
put(t, SYSCTL_IP_DEFAULT_TTL, 64);
  put(t, SYSCTL_IP_PORT_LOW, 32768);
  put(t, SYSCTL_IP_PORT_HIGH, 60999);
  put(t, SYSCTL_IP_UNPRIVILEGED_PORT_START, 1024);
  put(t, SYSCTL_IPFRAG_TIME, 30);
  put(t, SYSCTL_IPFRAG_HIGH_THRESH, 4194304);
  put(t, SYSCTL_IPFRAG_LOW_THRESH, 3145728);
  put(t, SYSCTL_IPFRAG_MAX_DIST, 64);
  put(t, SYSCTL_ICMP_ECHO_IGNORE_BROADCASTS, 1);
  put(t, SYSCTL_ICMP_IGNORE_BOGUS_ERROR_RESPONSES, 1);
  put(t, SYSCTL_ICMP_RATELIMIT, 1000);
  put(t, SYSCTL_ICMP_RATEMASK, 6168);
  put(t, SYSCTL_ICMP_MSGS_PER_SEC, 1000);
  put(t, SYSCTL_ICMP_MSGS_BURST, 50);
  put(t, SYSCTL_BRIDGE_NF_CALL_IPTABLES, 1);
  put(t, SYSCTL_BRIDGE_NF_CALL_IP6TABLES, 1);
  put(t, SYSCTL_BRIDGE_NF_CALL_ARPTABLES, 1);
  put(t, SYSCTL_TCP_ADV_WIN_SCALE, 1);
  put(t, SYSCTL_TCP_BASE_MSS, 1024);
  put(t, SYSCTL_TCP_ECN, 2);
  put(t, SYSCTL_TCP_FIN_TIMEOUT, 60);
  put(t, SYSCTL_TCP_KEEPALIVE_INTVL, 75);
  put(t, SYSCTL_TCP_KEEPALIVE_PROBES, 9);
  put(t, SYSCTL_TCP_KEEPALIVE_TIME, 7200);
  put(t, SYSCTL_TCP_MAX_SYN_BACKLOG, 2048);
  put(t, SYSCTL_TCP_MAX_TW_BUCKETS, 131072);
  put(t, SYSCTL_TCP_MIN_SND_MSS, 48);
  put(t, SYSCTL_TCP_REORDERING, 3);
  put(t, SYSCTL_TCP_RETRIES1, 3);
  put(t, SYSCTL_TCP_RETRIES2, 15);
  put(t, SYSCTL_TCP_RTO_MAX_MS, 120000);
  put(t, SYSCTL_TCP_RTO_MIN_US, 200000);
  put(t, SYSCTL_TCP_SACK, 1);
  put(t, SYSCTL_TCP_SLOW_START_AFTER_IDLE, 1);
  put(t, SYSCTL_TCP_SYN_RETRIES, 6);
  put(t, SYSCTL_TCP_SYNACK_RETRIES, 5);
  put(t, SYSCTL_TCP_SYNCOOKIES, 1);
  put(t, SYSCTL_TCP_TIMESTAMPS, 1);
  put(t, SYSCTL_TCP_TW_REUSE, 2);
  put(t, SYSCTL_TCP_WINDOW_SCALING, 1);
  put(t, SYSCTL_TCP_RMEM_DEFAULT, 131072);
  put(t, SYSCTL_TCP_RMEM_MAX, 33554432);
  put(t, SYSCTL_TCP_WMEM_DEFAULT, 16384);
  put(t, SYSCTL_TCP_WMEM_MAX, 4194304);
  put(t, SYSCTL_CORE_SOMAXCONN, 4096);
  put(t, SYSCTL_CORE_RMEM_DEFAULT, 212992);
  put(t, SYSCTL_CORE_WMEM_DEFAULT, 212992);
  put(t, SYSCTL_NF_CONNTRACK_BUCKETS, 262144);
  put(t, SYSCTL_NF_CONNTRACK_EXPECT_MAX, 4096);
  confDefaults(ns.confAll);
  confDefaults(ns.confDefault);
  put(ns.confAll, CONF_ACCEPT_SOURCE_ROUTE, 0);
  return true;
}

export function sysctlExit(ns: Netns): void {
  kfree(ns.sysctls, SYSCTL_MAX << 2);
  kfree(ns.confAll, CONF_MAX << 2);
  kfree(ns.confDefault, CONF_MAX << 2);
}

/** A device's own values: a copy of conf.default. False: no memory. */
export function devConfInit(dev: NetDevice, ns: Netns): bool {
  if (dev.conf == 0) dev.conf = kmalloc(CONF_MAX << 2);
  if (dev.conf == 0) return false;
  memory.copy(dev.conf, ns.confDefault, CONF_MAX << 2);
  dev.confSet = 0;
  return true;
}

/** Reads a value; `target` is an ifindex, CONF_OF_ALL or CONF_OF_DEFAULT for numbers from SYSCTL_CONF on. -errno via `into` = 0. */
export function sysctlGet(ns: Netns, number: u32, target: u32, into: usize): i32 {
  const at = locate(ns, number, target);
  if (<i32>at == 0) return number < SYSCTL_CONF ? -ENOENT : -ENODEV;
  store<i32>(into, load<i32>(at));
  return 4;
}

export function sysctlSet(ns: Netns, number: u32, target: u32, value: i32): i32 {
  const at = locate(ns, number, target);
  if (at == 0) return number < SYSCTL_CONF ? -ENOENT : -ENODEV;
  if (number == SYSCTL_IP_DEFAULT_TTL && <u32>(value - 1) >= 255) return -EINVAL;
  store<i32>(at, value);
  if (FULL && number == SYSCTL_NF_CONNTRACK_BUCKETS && value > 0) ctResize(<u32>value);
  if (number < SYSCTL_CONF) return 0;
  const conf = number - SYSCTL_CONF;
  if (target == CONF_OF_ALL && conf == CONF_FORWARDING) {
    // inet_forward_change: ip_forward sets default and every device, too, and no redirects are accepted any more.
    put(ns.confDefault, CONF_FORWARDING, value);
    put(ns.confAll, CONF_ACCEPT_REDIRECTS, value == 0 ? 1 : 0);
    for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
      put(changetype<NetDevice>(d).conf, CONF_FORWARDING, value);
    }
  } else if (target == CONF_OF_DEFAULT) {
    // devinet_copy_dflt_conf: devices whose value nobody set follow the default.
    for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
      const dev = changetype<NetDevice>(d);
      if ((dev.confSet & (1 << conf)) == 0) put(dev.conf, conf, value);
    }
  } else if (target != CONF_OF_ALL) {
    changetype<NetDevice>(deviceFind(ns, target)).confSet |= 1 << conf;
  }
  ns.routeGeneration++;
  return 0;
}

function locate(ns: Netns, number: u32, target: u32): usize {
  const conntrack = ns.netfilter == 0 ? 0 : settingOfSysctl(nfNet(ns), number);
  if (conntrack != 0) return conntrack;
  if (number < SYSCTL_MAX) return ns.sysctls + (<usize>number << 2);
  if (number < SYSCTL_CONF || number >= SYSCTL_CONF + CONF_MAX) return 0;
  let table = target == CONF_OF_ALL ? ns.confAll : ns.confDefault;
  if (target < CONF_OF_DEFAULT) {
    const dev = deviceFind(ns, target);
    if (dev == 0) return 0;
    table = changetype<NetDevice>(dev).conf;
  }
  return table + (<usize>(number - SYSCTL_CONF) << 2);
}

function confDefaults(t: usize): void {
  put(t, CONF_SEND_REDIRECTS, 1);
  put(t, CONF_ACCEPT_REDIRECTS, 1);
  put(t, CONF_SECURE_REDIRECTS, 1);
  put(t, CONF_SHARED_MEDIA, 1);
  put(t, CONF_ACCEPT_SOURCE_ROUTE, 1);
  put(t, CONF_NEIGH_BASE_REACHABLE_MS, 30000);
  put(t, CONF_NEIGH_RETRANS_MS, 1000);
  put(t, CONF_NEIGH_DELAY_PROBE_S, 5);
  put(t, CONF_NEIGH_GC_STALE_S, 60);
  put(t, CONF_NEIGH_UCAST_SOLICIT, 3);
  put(t, CONF_NEIGH_MCAST_SOLICIT, 3);
  put(t, CONF_NEIGH_QUEUE_BYTES, 212992);
  put(t, CONF_NEIGH_PROXY_DELAY_MS, 800);
}

function put(table: usize, number: u32, value: i32): void {
  store<i32>(table + (<usize>number << 2), value);
}
