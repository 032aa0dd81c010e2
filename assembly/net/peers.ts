// What is remembered about single hosts: how many ICMP errors they were sent (net/ipv4/inetpeer.c), and the path MTU towards
// them (the exceptions of net/ipv4/route.c). A small table: hosts whose places are taken replace who was quiet longest, which only makes a
// limit or a path MTU be learnt anew.
import { SYSCTL_ICMP_RATELIMIT } from "../abi/net";
import { Netns } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { NS_PER_JIFFY } from "../mm/timer";
import { sysctl } from "./sysctl";

const PEERS: u32 = 128;
const WAYS: u32 = 4;
const HZ: u32 = 250;
/** ip_rt_mtu_expires */
const MTU_EXPIRES_NS: u64 = 600_000_000_000;
/** ip_rt_min_pmtu */
const MTU_MIN: u32 = 552;

@unmanaged class Peer {
  hi: u64; lo: u64;
  last: u64; // jiffies of the last look at the tokens
  mtuUntil: u64; // ns
  tokens: u32; // jiffies
  redirects: u32;
  mtu: u32;
  // A redirect that was heard: use `gateway` instead of `instead` until then
  gateway: u64; instead: u64;
  gatewayUntil: u64; // ns
  gatewayHi: u64; insteadHi: u64; // IPv6
}

function peerFind(ns: Netns, hi: u64, lo: u64, create: bool): usize {
  if (ns.peers == 0) {
    if (!create) return 0;
    ns.peers = kmalloc(PEERS * <u32>offsetof<Peer>());
    if (ns.peers == 0) return 0;
  }
  const hash = mix32(hashWord(hashWord(<u32>hi ^ <u32>(hi >> 32), <u32>lo), <u32>(lo >> 32)));
  // One of a few places; the one that was quiet longest makes room.
  let at = ns.peers + <usize>((hash & (PEERS - WAYS)) * <u32>offsetof<Peer>());
  let victim = at;
  for (let way: u32 = 0; way < WAYS; way++) {
    const other = changetype<Peer>(at);
    if (other.lo == lo && other.hi == hi) return at;
    if (other.last < changetype<Peer>(victim).last) victim = at;
    at += offsetof<Peer>();
  }
  if (!create) return 0;
  at = victim;
  const peer = changetype<Peer>(at);
  memory.fill(at, 0, offsetof<Peer>());
  peer.hi = hi;
  peer.lo = lo;
  // inet_getpeer: as if it had been quiet for a minute.
  const now = node().now / NS_PER_JIFFY;
  peer.last = now;
  peer.tokens = 60 * HZ;
  return at;
}

export function peersExit(ns: Netns): void {
  if (ns.peers != 0) kfree(ns.peers, PEERS * <u32>offsetof<Peer>());
}

/** inet_peer_xrlim_allow: one in `cost` jiffies, six at once. */
export function peerAllowEvery(ns: Netns, hi: u64, lo: u64, cost: u32): bool {
  // With 0 the host keeps no tokens for what else is limited by them.
  return take(ns, hi, lo, cost, 6 * cost);
}

/** May one more of the limited ICMP messages go to this host (inet_peer_xrlim_allow)? */
export function peerAllow(ns: Netns, hi: u64, lo: u64): bool {
  const limit = <u32>sysctl(ns, SYSCTL_ICMP_RATELIMIT) * HZ / 1000;
  if (limit == 0) return true;
  return take(ns, hi, lo, limit, 6 * limit);
}

/** The limit of ip_error() on unreachable destinations: one a second, five at once. */
export function peerAllowError(ns: Netns, hi: u64, lo: u64): bool {
  return take(ns, hi, lo, HZ, 5 * HZ);
}

function take(ns: Netns, hi: u64, lo: u64, cost: u32, burst: u32): bool {
  const at = peerFind(ns, hi, lo, true);
  if (at == 0) return true;
  const peer = changetype<Peer>(at);
  const now = node().now / NS_PER_JIFFY;
  const passed = now - peer.last;
  peer.last = now;
  peer.tokens = <u32>min<u64>(<u64>peer.tokens + passed, <u64>burst);
  if (peer.tokens < cost) return false;
  peer.tokens -= cost;
  return true;
}

/** May a redirect go to this host (ip_rt_send_redirect: at most nine, each after twice the pause of the one before)? */
export function peerAllowRedirect(ns: Netns, hi: u64, lo: u64): bool {
  const at = peerFind(ns, hi, lo, true);
  if (at == 0) return true;
  const peer = changetype<Peer>(at);
  const now = node().now / NS_PER_JIFFY;
  const load: u32 = HZ / 50;
  if (now > peer.last + <u64>(load << 10)) {
    peer.tokens = 0;
    peer.redirects = 0;
  }
  if (peer.redirects >= 9) {
    peer.last = now;
    return false;
  }
  if (peer.redirects != 0 && now <= peer.last + <u64>(load << peer.redirects)) return false;
  peer.last = now;
  peer.redirects++;
  return true;
}

/** ip_rt_gc_timeout */
const REDIRECT_NS: u64 = 300_000_000_000;

/** A router said that packets to this host had better go by `gateway` than by itself (update_or_create_fnhe). */
export function redirectLearn(ns: Netns, hi: u64, lo: u64, gateway: u64, instead: u64): void {
  const at = peerFind(ns, hi, lo, true);
  if (at == 0) return;
  const peer = changetype<Peer>(at);
  if (ns.redirectsHeard == 0) {
    ns.redirectsHeard = 1;
    ns.routeMore++;
  }
  peer.gateway = gateway;
  peer.instead = instead;
  peer.gatewayUntil = node().now + REDIRECT_NS;
  ns.routeGeneration++;
}

/** Where packets to this host go instead of to `gateway`, 0: nowhere else. */
export function redirectOf(ns: Netns, hi: u64, lo: u64, gateway: u64): u64 {
  if (ns.redirectsHeard == 0) return 0;
  const at = peerFind(ns, hi, lo, false);
  if (at == 0) return 0;
  const peer = changetype<Peer>(at);
  return peer.gatewayUntil > node().now && peer.instead == gateway ? peer.gateway : 0;
}

// The high word of what redirectOf6 found.
export let redirectHi: u64 = 0;

/** As redirectLearn, of IPv6 (rt6_do_redirect); `until` in ns. */
export function redirectLearn6(ns: Netns, hi: u64, lo: u64, gatewayHi: u64, gatewayLo: u64, insteadHi: u64, insteadLo: u64): void {
  redirectLearn(ns, hi, lo, gatewayLo, insteadLo);
  const at = peerFind(ns, hi, lo, false);
  if (at == 0) return;
  changetype<Peer>(at).gatewayHi = gatewayHi;
  changetype<Peer>(at).insteadHi = insteadHi;
}

/** As redirectOf: the low word, the high one in `redirectHi`. */
export function redirectOf6(ns: Netns, hi: u64, lo: u64, gatewayHi: u64, gatewayLo: u64): u64 {
  const other = redirectOf(ns, hi, lo, gatewayLo);
  if (other == 0) return 0;
  const peer = changetype<Peer>(peerFind(ns, hi, lo, false));
  if (peer.insteadHi != gatewayHi) return 0;
  redirectHi = peer.gatewayHi;
  return other;
}

/** A "fragmentation needed" came about packets to this host (ipv4_update_pmtu). */
export function pmtuUpdate(ns: Netns, hi: u64, lo: u64, mtu: u32, least: u32 = MTU_MIN): void {
  const at = peerFind(ns, hi, lo, true);
  if (at == 0) return;
  const peer = changetype<Peer>(at);
  const value = max<u32>(mtu, least);
  if (peer.mtu != 0 && peer.mtuUntil > node().now && peer.mtu <= value) return;
  peer.mtu = value;
  peer.mtuUntil = node().now + MTU_EXPIRES_NS;
}

/** The smaller of `mtu` and what is known about the path to this host. */
export function pmtuOf(ns: Netns, hi: u64, lo: u64, mtu: u32): u32 {
  const at = peerFind(ns, hi, lo, false);
  if (at == 0) return mtu;
  const peer = changetype<Peer>(at);
  return peer.mtu != 0 && peer.mtuUntil > node().now ? min<u32>(mtu, peer.mtu) : mtu;
}
