// Matches and targets of xtables in rules of nftables, net/netfilter/nft_compat.c.
import { NF_DROP, RULE_HEADER, TARGET_NONE } from "../abi/netfilter";
import { NFTV_BREAK, NFTV_CONTINUE, NFTXT_BREAKS, NFTXT_NATIVE, NFT_XT_HEADER } from "../abi/nft";
import { Netns, Skb } from "../layout";
import { MATCH_HOTDROP, match } from "../netfilter/match";
import { NfNet, XtTable } from "../netfilter/state";
import { xtRuleFree, xtRuleNew } from "../netfilter/table";
import { target } from "../netfilter/target";
import { XT_CONTINUE } from "../netfilter/xtables";

/** Sets the rule of an operation up. False: no memory. A malformed one never matches. */
export function nftXtInit(op: usize, nf: NfNet): bool {
  const at = xtRuleNew(op + NFT_XT_HEADER, <u32>load<u16>(op, 2) - NFT_XT_HEADER, nf);
  store<u32>(op, at < 16 ? 0 : <u32>at, 4);
  store<u32>(op, <u32>changetype<usize>(nf), 8);
  return at != 0;
}

export function nftXtExit(op: usize): void {
  const at = <usize>load<u32>(op, 4);
  if (at != 0) xtRuleFree(at, changetype<NfNet>(<usize>load<u32>(op, 8)));
  store<u32>(op, 0, 4);
}

/** How many of its parts need connection tracking. */
export function nftXtTracks(op: usize): u32 {
  const at = <usize>load<u32>(op, 4);
  return at == 0 ? 0 : changetype<XtTable>(at).conntrackUsers;
}

/** nft_match_eval, nft_target_eval. */
export function nftXt(op: usize, skb: Skb, ns: Netns, hook: u32, inDev: usize, outDev: usize): u32 {
  const at = <usize>load<u32>(op, 4);
  if (at == 0) return NFTV_BREAK;
  const t = changetype<XtTable>(at), flags = load<u32>(op, 12), rule = t.rulesAt, targetAt = rule + <usize>load<u32>(rule, 4);
  for (let m = rule + RULE_HEADER; m < targetAt; m += <usize>load<u16>(m, 2)) {
    const matched = match(m, skb, ns, t, flags & 255, hook, inDev, outDev);
    if (matched == MATCH_HOTDROP) return flags & NFTXT_NATIVE ? NFTV_BREAK : NF_DROP;
    if (matched != 1) return NFTV_BREAK;
  }
  if (<u32>load<u8>(targetAt) == TARGET_NONE) return NFTV_CONTINUE;
  const verdict = target(targetAt, skb, ns, t, hook, inDev, outDev);
  if (flags & NFTXT_BREAKS) return verdict == NF_DROP ? NFTV_BREAK : NFTV_CONTINUE;
  return verdict == XT_CONTINUE ? NFTV_CONTINUE : verdict;
}
