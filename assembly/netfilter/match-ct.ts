// Matches of the packet's connection: net/netfilter/xt_conntrack.c, xt_state.c, xt_connmark.c.
import {
  CTMD_ADDRESSES, CTMD_EXPIRES, CTMD_PORTS, CTMD_PROTO, CTMD_STATE, CTMD_STATUS, CTM_DIRECTION, CTM_EXPIRES, CTM_ORIGSRC,
  CTM_ORIGSRC_PORT, CTM_PROTO, CTM_STATE, CTM_STATUS, CTSTATE_DNAT, CTSTATE_INVALID, CTSTATE_SNAT, CTSTATE_UNTRACKED,
  IPS_CONFIRMED, IPS_DST_NAT, IPS_SRC_NAT, IP_CT_UNTRACKED,
} from "../abi/netfilter";
import { CONNTRACK6_ADDRESSES } from "../abi/xtables";
import { Skb } from "../layout";
import { bytes6 } from "./address6";
import { ctExpires, ctIsReply, ctTuple, skbCt } from "./conntrack";
import { isV6 } from "./l3";
import { MATCH_NO, MATCH_YES } from "./match";
import { Tuple } from "./tuple";

/** The packet's state as a bit CTSTATE_* (XT_CONNTRACK_STATE_BIT). */
function stateBit(skb: Skb): u32 {
  if (skb.nfct == 0) return skb.ctinfo == IP_CT_UNTRACKED ? CTSTATE_UNTRACKED : CTSTATE_INVALID;
  return 1 << (skb.ctinfo % 3 + 1);
}

export function matchState(states: u32, skb: Skb): bool {
  return (stateBit(skb) & states) != 0;
}

/** Every option is one test; all of them have to hold. */
export function matchConntrack(d: usize, skb: Skb): bool {
  const look = <u32>load<u16>(d), inverted = <u32>load<u16>(d, 2);
  const ct = skbCt(skb), tracked = skb.nfct != 0, six = isV6(skb.network);
  if (look & CTM_STATE) {
    let bits = stateBit(skb);
    if (tracked) {
      if (ct.status & IPS_SRC_NAT) bits |= CTSTATE_SNAT;
      if (ct.status & IPS_DST_NAT) bits |= CTSTATE_DNAT;
    }
    if (((bits & load<u32>(d, CTMD_STATE)) != 0) == ((inverted & CTM_STATE) != 0)) return false;
  }
  if (look == CTM_STATE) return true;
  if (!tracked) return (look & CTM_STATE) != 0;
  if (look & CTM_DIRECTION && !ctIsReply(skb.ctinfo) == ((inverted & CTM_DIRECTION) != 0)) return false;
  const orig = Tuple.at(ctTuple(ct, false)), reply = Tuple.at(ctTuple(ct, true));
  for (let i: u32 = 0; i < 4; i++) {
    const flag = CTM_ORIGSRC << i, at = d + CTMD_ADDRESSES + <usize>(i << 3);
    const t = i < 2 ? orig : reply;
    if (look & flag) {
      const address = i & 1 ? t.dst : t.src;
      const yes = six ? under6(address, d + CONNTRACK6_ADDRESSES + <usize>(i << 5)) : (address & load<u32>(at, 4)) == load<u32>(at);
      if (yes == ((inverted & flag) != 0)) return false;
    }
    const portFlag = CTM_ORIGSRC_PORT << i, range = d + (six ? CTMD_ADDRESSES : CTMD_PORTS) + <usize>(i << 2);
    if (look & portFlag) {
      const port = <u32>bswap<u16>(i & 1 ? t.dport : t.sport);
      const yes = port >= <u32>load<u16>(range) && port <= <u32>load<u16>(range, 2);
      if (yes == ((inverted & portFlag) != 0)) return false;
    }
  }
  if (look & CTM_PROTO && (<u32>orig.proto == load<u32>(d, CTMD_PROTO)) == ((inverted & CTM_PROTO) != 0)) return false;
  if (look & CTM_STATUS) {
    const want = load<u32>(d, CTMD_STATUS);
    // NONE is no bit: it holds of nothing, its opposite of everything.
    const yes = (ct.status & want) != 0;
    if (yes == ((inverted & CTM_STATUS) != 0)) return false;
  }
  if (look & CTM_EXPIRES) {
    // The timeout of one that is not confirmed counts from nowhere yet.
    const seconds: u32 = ct.status & IPS_CONFIRMED ? <u32>(ctExpires(ct) / 1_000_000_000) : 0;
    const yes = seconds >= load<u32>(d, CTMD_EXPIRES) && seconds <= load<u32>(d, CTMD_EXPIRES + 4);
    if (yes == ((inverted & CTM_EXPIRES) != 0)) return false;
  }
  return true;
}

/** Is the address of a number the one at `at` under the mask behind it? */
function under6(number: u32, at: usize): bool {
  const bytes = bytes6(number);
  return (load<u64>(bytes) & load<u64>(at, 16)) == load<u64>(at) && (load<u64>(bytes, 8) & load<u64>(at, 24)) == load<u64>(at, 8);
}

export function matchConnmark(d: usize, skb: Skb, inverted: bool): u32 {
  if (skb.nfct == 0) return MATCH_NO;
  return ((skbCt(skb).mark & load<u32>(d, 4)) == load<u32>(d)) != inverted ? MATCH_YES : MATCH_NO;
}
