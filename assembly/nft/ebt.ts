// What only ebtables has: net/bridge/netfilter/ebt_dnat.c, ebt_snat.c, ebt_redirect.c, ebt_arpreply.c, and a match of ebt_arp.c.
import {
  NFTEBT_ARPREPLY, NFTEBT_DNAT, NFTEBT_GRATUITOUS, NFTEBT_REDIRECT, NFTEBT_SNAT, NFTV_BREAK, NFTV_CONTINUE,
} from "../abi/nft";
import { PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST } from "../abi/net";
import { NetDevice, Skb } from "../layout";
import { arpAnswerAs } from "../net/arp";
import { ARP_LEN } from "../wire/arp";
import { be16 } from "../wire/bytes";
import { ETH_P_ARP, macIsBroadcast, macIsGroup } from "../wire/ethernet";

function isArp(skb: Skb): bool {
  return skb.protocol == ETH_P_ARP && <u32>(skb.tail - skb.network) >= ARP_LEN;
}

export function nftEbt(op: usize, skb: Skb, inDev: usize): u32 {
  const flag = load<u8>(op, 5) != 0, mac0 = load<u32>(op, 8), mac1 = <u32>load<u16>(op, 12);
  const mac = skb.mac;
  if (mac == 0 || mac >= skb.network) return NFTV_BREAK;
  // The bridge of the port it came by.
  const bridge = inDev == 0 ? <usize>0 : changetype<NetDevice>(inDev).master;
  switch (<u32>load<u8>(op, 4)) {
    case NFTEBT_DNAT:
      store<u32>(mac, mac0);
      store<u16>(mac, <u16>mac1, 4);
      if (macIsGroup(mac0)) skb.pktType = macIsBroadcast(mac0, mac1) ? PACKET_BROADCAST : PACKET_MULTICAST;
      else if (bridge != 0) {
        const dev = changetype<NetDevice>(bridge);
        skb.pktType = dev.mac0 == mac0 && dev.mac1 == mac1 ? PACKET_HOST : PACKET_OTHERHOST;
      }
      return NFTV_CONTINUE;
    case NFTEBT_SNAT:
      store<u32>(mac, mac0, 6);
      store<u16>(mac, <u16>mac1, 10);
      if (flag && isArp(skb) && load<u8>(skb.network, 4) == 6) {
        store<u32>(skb.network, mac0, 8);
        store<u16>(skb.network, <u16>mac1, 12);
      }
      return NFTV_CONTINUE;
    case NFTEBT_REDIRECT: {
      if (bridge == 0) return NFTV_BREAK;
      const dev = changetype<NetDevice>(bridge);
      store<u32>(mac, dev.mac0);
      store<u16>(mac, <u16>dev.mac1, 4);
      skb.pktType = PACKET_HOST;
      return NFTV_CONTINUE;
    }
    case NFTEBT_ARPREPLY: {
      const arp = skb.network;
      if (!isArp(skb) || inDev == 0 || be16(arp, 0) != 1 || be16(arp, 2) != 0x0800 || load<u8>(arp, 4) != 6 || load<u8>(arp, 5) != 4 || be16(arp, 6) != 1) {
        return NFTV_BREAK;
      }
      arpAnswerAs(changetype<NetDevice>(inDev), mac0, mac1, load<u32>(arp, 8), <u32>load<u16>(arp, 12), load<u32>(arp, 24), load<u32>(arp, 14));
      return NFTV_CONTINUE;
    }
    case NFTEBT_GRATUITOUS:
      if (!isArp(skb)) return NFTV_BREAK;
      return (load<u32>(skb.network, 14) == load<u32>(skb.network, 24)) != flag ? NFTV_CONTINUE : NFTV_BREAK;
    default: return NFTV_BREAK;
  }
}
