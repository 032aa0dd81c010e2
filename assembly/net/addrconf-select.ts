// Which of its addresses this host speaks from: RFC 6724 section 5 as net/ipv6/addrconf.c, ipv6_dev_get_saddr, has it. Labels are those of
// the default policy table (net/ipv6/addrlabel.c).
import { CONF6_USE_OIF_ADDRS_ONLY, CONF6_USE_OPTIMISTIC, IFA_F_DEPRECATED, IFA_F_OPTIMISTIC, IFA_F_TEMPORARY, IFA_F_TENTATIVE } from "../abi/net6";
import { NetDevice, Netns } from "../layout";
import { isMapped4 } from "../wire/bytes";
import { isLoopback6, isMulticast6 } from "../wire/ipv6";
import { Address6 } from "./addrconf";
import { conf6, confAll6, inet6Of, scope6 } from "./inet6";

// What the last sourceFor() found.
export let saddrHi: u64 = 0;
export let saddrLo: u64 = 0;

/** The label of an address (ip6addrlbl_init_table). */
function labelOf(hi: u64, lo: u64): u32 {
  const first = <u32>bswap<u16>(<u16>hi);
  if (isLoopback6(hi, lo)) return 0;
  if (isMapped4(hi, lo & 0xffffffff)) return 4;
  if (hi == 0 && <u32>lo == 0) return 3; // ::/96
  if (first == 0x2002) return 2;
  if (first == 0x2001 && <u32>(hi >> 16 & 0xffff) == 0) return 6; // 2001::/32
  if ((hi & 0xf0ffffff) == 0x10000120) return 7; // 2001:10::/28
  if ((first & 0xfe00) == 0xfc00) return 5;
  if ((first & 0xffc0) == 0xfec0) return 11;
  return first == 0x3ffe ? 12 : 1;
}

/** ipv6_addr_diff, bounded: how many bits the two have in common. */
function commonBits(aHi: u64, aLo: u64, bHi: u64, bLo: u64): u32 {
  const hi = bswap<u64>(aHi ^ bHi);
  if (hi != 0) return <u32>clz<u64>(hi);
  const lo = bswap<u64>(aLo ^ bLo);
  return lo == 0 ? 128 : 64 + <u32>clz<u64>(lo);
}

/**
 * The source for packets to `hi:lo` that go out of `devAt` (0: not known), in `saddrHi`, `saddrLo`; false: none. Only addresses of that
 * device come into question for groups and the link, others too for the rest, of lesser value.
 */
export function sourceFor(ns: Netns, devAt: usize, hi: u64, lo: u64): bool {
  const out = changetype<NetDevice>(devAt);
  const scope = scope6(hi, lo);
  const label = labelOf(hi, lo);
  // A route to one of our own addresses stands on its device; its own loopback stands for all of them.
  const only = devAt != 0 && (isMulticast6(hi) || scope <= 2
    || (out.inet6 != 0 && (conf6(out, CONF6_USE_OIF_ADDRS_ONLY) != 0 || confAll6(ns, CONF6_USE_OIF_ADDRS_ONLY) != 0)));
  let best: usize = 0;
  for (let d: usize = only ? devAt : ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    const dev = changetype<NetDevice>(d);
    if (dev.inet6 != 0) {
      for (let at = inet6Of(dev).addresses; at != 0; at = changetype<Address6>(at).next) {
        const a = changetype<Address6>(at);
        // Tentative ones are none, optimistic ones are if the device says so.
        if ((a.flags & IFA_F_TENTATIVE) != 0 && ((a.flags & IFA_F_OPTIMISTIC) == 0)) continue;
        if (best == 0 || better(ns, a, changetype<Address6>(best), devAt, hi, lo, scope, label)) best = at;
      }
    }
    if (only) break;
  }
  if (best == 0) return false;
  saddrHi = changetype<Address6>(best).hi;
  saddrLo = changetype<Address6>(best).lo;
  return true;
}

/** Is `a` to be preferred to `b` (ipv6_get_saddr_eval, rule by rule)? */
function better(ns: Netns, a: Address6, b: Address6, out: usize, hi: u64, lo: u64, scope: u32, label: u32): bool {
  // 1: the destination itself.
  const sameA = a.hi == hi && a.lo == lo, sameB = b.hi == hi && b.lo == lo;
  if (sameA != sameB) return sameA;
  // 2: the smallest scope that reaches it.
  const scopeA = scopeValue(a, scope), scopeB = scopeValue(b, scope);
  if (scopeA != scopeB) return scopeA > scopeB;
  // 3: not deprecated, not optimistic.
  const flags = IFA_F_DEPRECATED | optimisticBit(ns, a);
  const badA = (a.flags & flags) != 0, badB = (b.flags & (IFA_F_DEPRECATED | optimisticBit(ns, b))) != 0;
  if (badA != badB) return badB;
  // 5: of the device that it goes out of.
  if (out != 0) {
    const ownA = a.dev == out, ownB = b.dev == out;
    if (ownA != ownB) return ownA;
  }
  // 6: the same label.
  const labelA = labelOf(a.hi, a.lo) == label, labelB = labelOf(b.hi, b.lo) == label;
  if (labelA != labelB) return labelA;
  // 7: not a temporary one, as use_tempaddr 0 has it.
  const tempA = (a.flags & IFA_F_TEMPORARY) != 0, tempB = (b.flags & IFA_F_TEMPORARY) != 0;
  if (tempA != tempB) return tempB;
  // 8: the longest prefix in common, up to the address's own.
  const bitsA = min<u32>(commonBits(a.hi, a.lo, hi, lo), a.prefix), bitsB = min<u32>(commonBits(b.hi, b.lo, hi, lo), b.prefix);
  if (bitsA != bitsB) return bitsA > bitsB;
  // IPV6_SADDR_RULE_NOT_OPTIMISTIC
  const optimisticA = (a.flags & IFA_F_OPTIMISTIC) != 0, optimisticB = (b.flags & IFA_F_OPTIMISTIC) != 0;
  return optimisticA != optimisticB && optimisticB;
}

/** IPV6_SADDR_RULE_SCOPE: those at least as wide, the nearest first; those too narrow behind all of them, the widest first. */
function scopeValue(a: Address6, scope: u32): i32 {
  const own = scope6(a.hi, a.lo);
  return own >= scope ? -<i32>own : <i32>own - 128;
}

function optimisticBit(ns: Netns, a: Address6): u32 {
  return conf6(changetype<NetDevice>(a.dev), CONF6_USE_OPTIMISTIC) != 0 || confAll6(ns, CONF6_USE_OPTIMISTIC) != 0 ? 0 : IFA_F_OPTIMISTIC;
}
