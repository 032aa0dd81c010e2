// Packets copied or sent elsewhere: net/netfilter/nft_dup_netdev.c, nft_fwd_netdev.c, net/ipv4/netfilter/nft_dup_ipv4.c.
import { NF_DROP, NF_STOLEN } from "../abi/netfilter";
import { NFTV_CONTINUE, NFT_NO_REGISTER } from "../abi/nft";
import { NetDevice, Netns, Skb } from "../layout";
import { devQueueXmit } from "../net/dev";
import { deviceFind } from "../net/devices";
import { skbCopy, skbPull, skbPush } from "../net/skb";
import { tee } from "../netfilter/target";
import { ETH_HEADER_LEN } from "../wire/ethernet";
import { NFF_FRAME, NFF_NO_TRANSPORT } from "./ops";

/** Frames may go round between devices; a packet is sent on so often at most. */
const HOPS: u32 = 8;

@inline function numberAt(frame: usize, register: u32): u32 {
  return bswap<u32>(load<u32>(frame + (<usize>register << 2)));
}

/** Sends a frame whose data begin behind the Ethernet header. */
function send(skb: Skb, dev: usize): void {
  skb.nfFlags &= ~(NFF_FRAME | NFF_NO_TRANSPORT);
  skb.data = skb.mac;
  skb.dev = dev;
  devQueueXmit(skb, changetype<NetDevice>(dev));
}

/** The frame leaves by another device (nf_fwd_netdev_egress). */
export function nftFwd(op: usize, frame: usize, skb: Skb, ns: Netns): u32 {
  const dev = deviceFind(ns, numberAt(frame, <u32>load<u8>(op, 4)));
  if (dev == 0 || skb.mac == 0 || skb.mac >= skb.network || ++skb.hops > HOPS) return NF_DROP;
  send(skb, dev);
  return NF_STOLEN;
}

/** A copy goes to a host, or out of a device. */
export function nftDup(op: usize, frame: usize, skb: Skb, ns: Netns, hook: u32): u32 {
  const address = <u32>load<u8>(op, 4), device = <u32>load<u8>(op, 5);
  if (!(skb.nfFlags & NFF_FRAME)) {
    if (address != NFT_NO_REGISTER) tee(load<u32>(frame + (<usize>address << 2)), skb, ns, hook);
    return NFTV_CONTINUE;
  }
  const dev: usize = device == NFT_NO_REGISTER ? 0 : deviceFind(ns, numberAt(frame, device));
  if (dev == 0 || skb.mac == 0 || skb.mac >= skb.network || skb.hops > HOPS) return NFTV_CONTINUE;
  skbPush(skb, ETH_HEADER_LEN);
  const copy = skbCopy(skb);
  skbPull(skb, ETH_HEADER_LEN);
  if (changetype<usize>(copy) == 0) return NFTV_CONTINUE;
  copy.hops++;
  copy.mac = copy.data;
  send(copy, dev);
  return NFTV_CONTINUE;
}
