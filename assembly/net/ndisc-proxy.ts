// Answering for others: proxied addresses (`ip neighbour add proxy`; net/core/neighbour.c, pneigh_*; net/ipv6/ndisc.c), with the pause
// that lets the host itself answer first. Those of IPv4 stand in the same list, and are asked for by ARP (arp.ts).
import { ENOENT, ENOMEM } from "../abi/core";
import { CONF6_NEIGH_PROXY_DELAY, NTF_ROUTER } from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { Hrtimer, hrtimerStart } from "../mm/hrtimer";
import { node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { NS_PER_JIFFY } from "../mm/timer";
import { isMapped4 } from "../wire/bytes";
import { NDISC_REDIRECT, NDISC_ROUTER_SOLICITATION } from "../wire/icmp6";
import { IPPROTO_ICMPV6, Ipv6View, MULTICAST_LINK_HI, isLinkLocal6, solicitedNodeLo } from "../wire/ipv6";
import { deviceFind } from "./devices";
import { Netns6, conf6, netns6 } from "./inet6";
import { groupJoin, groupLeave } from "./mcast6";
import { ndiscAnswer } from "./ndisc";
import { netnsGet } from "./netns";
import { HRTIMER_PROXY_NDP } from "./timers";

@unmanaged export class Proxy6 {
  next: usize; // Proxy6 of the namespace
  ifindex: u32; // 0: any
  flags: u32; // NTF_*
  hi: u64; lo: u64;
}

@unmanaged class Waiting {
  // Hrtimer comes first: its address is this one's.
  timerNext: usize; timerArmed: u32; timerExpires: u64; timerKind: u32; timerOwner: usize;
  netns: u32; ifindex: u32; router: u32; hasLink: u32;
  fromHi: u64; fromLo: u64; targetHi: u64; targetLo: u64;
  link: u64; // the link-layer address option
}

/** neigh/DEV/proxy_qlen */
const QUEUE_MAX: u32 = 64;

/** The entry by which an address is proxied on `dev`, or 0. */
export function proxyFind(ns: Netns, dev: NetDevice, hi: u64, lo: u64): usize {
  for (let at = netns6(ns).proxies; at != 0; at = changetype<Proxy6>(at).next) {
    const p = changetype<Proxy6>(at);
    if (p.lo == lo && p.hi == hi && (p.ifindex == 0 || p.ifindex == dev.ifindex)) return at;
  }
  return 0;
}

export function proxyIsRouter(at: usize): i32 {
  return changetype<Proxy6>(at).flags & NTF_ROUTER ? 1 : 0;
}

/** `ip -6 neighbour add proxy`, `del proxy`. 0, -ENOENT or -ENOMEM. */
export function proxyChange(ns: Netns, ifindex: u32, hi: u64, lo: u64, flags: u32, add: bool): i32 {
  let link = changetype<usize>(netns6(ns)) + offsetof<Netns6>("proxies");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const p = changetype<Proxy6>(at);
    if (p.lo == lo && p.hi == hi && p.ifindex == ifindex) {
      if (add) {
        p.flags = flags;
        return 0;
      }
      store<u32>(link, <u32>p.next);
      membership(ns, p, false);
      kfree(at, <u32>offsetof<Proxy6>());
      return 0;
    }
    link = at; // `next` is the first field
  }
  if (!add) return -ENOENT;
  const at = kmalloc(<u32>offsetof<Proxy6>());
  if (at == 0) return -ENOMEM;
  const p = changetype<Proxy6>(at);
  p.ifindex = ifindex;
  p.hi = hi;
  p.lo = lo;
  p.flags = flags;
  store<u32>(link, <u32>at);
  membership(ns, p, true);
  return 0;
}

/** Solicitations for it are to be heard (pndisc_constructor). */
function membership(ns: Netns, p: Proxy6, join: bool): void {
  const dev: usize = p.ifindex == 0 || isMapped4(p.hi, p.lo & 0xffffffff) ? 0 : deviceFind(ns, p.ifindex);
  if (dev == 0) return;
  if (join) groupJoin(changetype<NetDevice>(dev), MULTICAST_LINK_HI, solicitedNodeLo(p.lo));
  else groupLeave(changetype<NetDevice>(dev), MULTICAST_LINK_HI, solicitedNodeLo(p.lo));
}

/** The device ends (its ifindex), or the namespace does (0). */
export function proxiesForget(ns: Netns, ifindex: u32): void {
  let link = changetype<usize>(netns6(ns)) + offsetof<Netns6>("proxies");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    if (ifindex != 0 && changetype<Proxy6>(at).ifindex != ifindex) {
      link = at;
      continue;
    }
    store<u32>(link, <u32>changetype<Proxy6>(at).next);
    kfree(at, <u32>offsetof<Proxy6>());
  }
}

/**
 * A packet to be forwarded to an address that is proxied where it came in (ip6_forward_proxy_check): 1, neighbour discovery is taken here;
 * -1, to an address of the link is refused; 0, it goes on.
 */
export function forwardProxy(skb: Skb): i32 {
  const ip = Ipv6View.at(skb.network);
  if (skb.nextHeader == IPPROTO_ICMPV6) {
    if (skb.transport + 1 > skb.tail) return 0;
    const type = <u32>load<u8>(skb.transport);
    if (type >= NDISC_ROUTER_SOLICITATION && type <= NDISC_REDIRECT) return 1;
  }
  return isLinkLocal6(ip.destinationHi) ? -1 : 0;
}

/** Answers the solicitation from `from` in a while (pneigh_enqueue); `link`: its link-layer address option, 0: none. */
export function proxyDelay6(dev: NetDevice, fromHi: u64, fromLo: u64, targetHi: u64, targetLo: u64, link: usize, router: i32): void {
  const n = node();
  if (n.proxyWaiting >= QUEUE_MAX) return;
  const at = kmalloc(<u32>offsetof<Waiting>());
  if (at == 0) return;
  n.proxyWaiting++;
  const w = changetype<Waiting>(at);
  w.timerKind = HRTIMER_PROXY_NDP;
  w.timerOwner = at;
  w.netns = changetype<Netns>(dev.ns).handle;
  w.ifindex = dev.ifindex;
  w.router = router != 0 ? 1 : 0;
  w.fromHi = fromHi;
  w.fromLo = fromLo;
  w.targetHi = targetHi;
  w.targetLo = targetLo;
  if (link != 0) {
    w.hasLink = 1;
    w.link = load<u64>(link);
  }
  // proxy_delay stands in hundredths of a second, jiffies are of 4 ms.
  const most = max<u32>(<u32>conf6(dev, CONF6_NEIGH_PROXY_DELAY) * 10 / 4, 1);
  hrtimerStart(changetype<Hrtimer>(at), (n.now / NS_PER_JIFFY + <u64>randomBelow(most)) * NS_PER_JIFFY);
}

export function proxyTimer6(at: usize): void {
  const w = changetype<Waiting>(at);
  node().proxyWaiting--;
  const ns = netnsGet(w.netns);
  const devAt: usize = changetype<usize>(ns) == 0 ? 0 : deviceFind(ns, w.ifindex);
  if (devAt != 0 && changetype<NetDevice>(devAt).up) {
    ndiscAnswer(changetype<NetDevice>(devAt), w.fromHi, w.fromLo, w.targetHi, w.targetLo, w.hasLink != 0 ? at + offsetof<Waiting>("link") : 0,
      w.router != 0, true);
  }
  kfree(at, <u32>offsetof<Waiting>());
}
