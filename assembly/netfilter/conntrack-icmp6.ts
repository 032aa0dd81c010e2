// ICMPv6 in connection tracking, net/netfilter/nf_conntrack_proto_icmpv6.c: what is not tracked, and errors about connections.
import { HOOK_PREROUTING, IP_CT_UNTRACKED, NFCT_CHECKSUM, NFSTAT_ICMP_ERROR } from "../abi/netfilter";
import { Netns, Skb } from "../layout";
import {
  ICMPV6_MGM_QUERY, ICMPV6_MLD2_REPORT, NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_REDIRECT, ND_OPT_REDIRECT_HDR,
} from "../wire/icmp6";
import { IPPROTO_ICMPV6, isLinkLocal6 } from "../wire/ipv6";
import { address6 } from "./address6";
import { ctRelate, l4ChecksumOk } from "./conntrack";
import { NfNet, setting, statCount } from "./state";

/** Bytes of a redirect before its options, and of the option's header. */
const REDIRECT_BYTES: u32 = 40, OPTION_BYTES: u32 = 8;

/** nf_conntrack_icmpv6_error. 0: an ordinary message, go on; 1: done, it is RELATED, untracked or invalid. */
export function icmp6Error(skb: Skb, ns: Netns, nf: NfNet, hook: u32, icmp: usize, room: u32, tuple: usize, other: usize): u32 {
  const ip = skb.network;
  if (room < 8 || (hook == HOOK_PREROUTING && setting(nf, NFCT_CHECKSUM) != 0 && !l4ChecksumOk(ip, icmp, room, IPPROTO_ICMPV6))) {
    return invalid(nf);
  }
  const type = <u32>load<u8>(icmp);
  // Neighbour discovery and group membership, but for redirects.
  if ((type >= ICMPV6_MGM_QUERY && type <= NDISC_NEIGHBOUR_ADVERTISEMENT) || type == ICMPV6_MLD2_REPORT) {
    skb.ctinfo = IP_CT_UNTRACKED;
    return 1;
  }
  let skip: u32 = 8;
  if (type == NDISC_REDIRECT) {
    if (room < REDIRECT_BYTES) return invalid(nf);
    if (load<u8>(icmp, 1) != 0) return 0;
    if (load<u8>(ip, 7) != 255 || !isLinkLocal6(load<u64>(ip, 8))) return invalid(nf);
    if (room < REDIRECT_BYTES + 2 || load<u8>(icmp, REDIRECT_BYTES + 1) == 0) return invalid(nf);
    if (<u32>load<u8>(icmp, REDIRECT_BYTES) != ND_OPT_REDIRECT_HDR) return 0;
    skip = REDIRECT_BYTES + OPTION_BYTES;
  } else if (type >= 128) return 0;
  const destination = address6(load<u64>(ip, 24), load<u64>(ip, 32));
  if (room >= skip && ctRelate(skb, ns, icmp + <usize>skip, room - skip, destination, tuple, other)) return 1;
  return invalid(nf);
}

function invalid(nf: NfNet): u32 {
  statCount(nf, NFSTAT_ICMP_ERROR);
  return 1;
}
