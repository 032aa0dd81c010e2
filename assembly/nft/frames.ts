// Chains of the families bridge, arp and netdev, and of inet at ingress: frames, not packets of IP, pass by (net/netfilter/nft_chain_filter.c).
import { NF_ACCEPT, NF_DROP, NF_STOLEN } from "../abi/netfilter";
import { NFTCHAIN_FLOWTABLE, NFT_HOOK_BRIDGE, NFT_HOOK_BROUTING, NFT_HOOK_INGRESS } from "../abi/nft";
import { DROP_NETFILTER } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { nfNet } from "../netfilter/state";
import { skbDrop } from "../net/skb";
import { be16 } from "../wire/bytes";
import { ETH_P_IP } from "../wire/ethernet";
import { nftDoChain } from "./eval";
import { flowtableInput } from "./flowtable";
import { NFF_FRAME, NFF_NO_TRANSPORT } from "./ops";
import { HOOK_ENTRY_BYTES, NftChain, frameCount, frameEntries, nftNet } from "./ruleset";

/** Is anything at this hook (NFT_HOOK_*)? */
@inline export function nftFrames(ns: Netns, hook: u32): bool {
  return ns.netfilter != 0 && nfNet(ns).nft != 0 && (nftNet(nfNet(ns)).frameHooks & (1 << hook)) != 0;
}

/** Is the header at `network` one of IPv4 that can be read (nft_set_pktinfo_ipv4_validate)? */
function ipv4Whole(skb: Skb): bool {
  const ip = skb.network, left = <u32>(skb.tail - ip);
  if (skb.protocol != ETH_P_IP || left < 20) return false;
  const head = <u32>load<u8>(ip), total = be16(ip, 2);
  return head >>> 4 == 4 && (head & 15) >= 5 && total <= left && total >= (head & 15) << 2;
}

function named(chain: NftChain, dev: usize): bool {
  if (dev == 0) return false;
  const d = changetype<NetDevice>(dev);
  for (let i: u32 = 0; i < chain.deviceCount; i++) {
    const name = chain.devices + (<usize>i << 4);
    if (load<u64>(name) == d.name0 && load<u64>(name, 8) == d.name1) return true;
  }
  return false;
}

/** Runs the chains of a hook over a frame: NF_ACCEPT, NF_DROP or NF_STOLEN; the frame stays its owner's but for the last. */
export function nftFrameVerdict(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  const nf = nfNet(ns), n = nftNet(nf), entries = frameEntries(n), count = frameCount(n);
  let verdict = NF_ACCEPT;
  for (let i: u32 = 0; i < count && verdict == NF_ACCEPT; i++) {
    const entry = entries + <usize>(i * HOOK_ENTRY_BYTES);
    if (load<u32>(entry, 8) != hook) continue;
    const chain = changetype<NftChain>(<usize>load<u32>(entry, 12));
    if (hook >= NFT_HOOK_INGRESS && !named(chain, inDev != 0 ? inDev : outDev)) continue;
    if (chain.flags & NFTCHAIN_FLOWTABLE) {
      verdict = flowtableInput(chain, skb, ns, changetype<NetDevice>(inDev));
      continue;
    }
    skb.nfFlags |= NFF_FRAME | (ipv4Whole(skb) ? 0 : NFF_NO_TRANSPORT);
    verdict = nftDoChain(chain, skb, ns, nf, hook >= NFT_HOOK_BRIDGE && hook < NFT_HOOK_BROUTING ? hook - NFT_HOOK_BRIDGE : 0, inDev, outDev);
    if (verdict != NF_STOLEN) skb.nfFlags &= ~(NFF_FRAME | NFF_NO_TRANSPORT);
    // Nothing waits for a program here.
    if (verdict != NF_ACCEPT && verdict != NF_STOLEN) verdict = NF_DROP;
  }
  return verdict;
}

/** The same; true: the frame goes on; false: it was taken. */
export function nftFrame(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): bool {
  if (!nftFrames(ns, hook)) return true;
  const verdict = nftFrameVerdict(hook, skb, ns, inDev, outDev);
  if (verdict == NF_ACCEPT) return true;
  if (verdict != NF_STOLEN) skbDrop(skb, ns, inDev != 0 ? inDev : outDev, DROP_NETFILTER);
  return false;
}
