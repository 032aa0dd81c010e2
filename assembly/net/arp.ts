// ARP: net/ipv4/arp.c.
import {
  CONF_ARP_ACCEPT, CONF_ARP_ANNOUNCE, CONF_ARP_FILTER, CONF_ARP_IGNORE, CONF_DROP_GRATUITOUS_ARP, CONF_FORWARDING,
  CONF_PROXY_ARP, CONF_PROXY_ARP_PVLAN, CONF_ROUTE_LOCALNET, DEV_LOOPBACK, DROP_NOT_SPECIFIED, DROP_OTHERHOST, DROP_PKT_TOO_SMALL, IFF_NOARP, NUD_REACHABLE,
  NUD_STALE, PACKET_HOST, PACKET_OTHERHOST, RTN_LOCAL, RTN_UNICAST, RT_SCOPE_HOST, RT_SCOPE_LINK,
} from "../abi/net";
import { TRACE_ARP_RCV } from "../abi/bpf-trace";
import { traceFunction, watched } from "../bpf/hooks/tracing";
import { NFT_HOOK_ARP_INPUT, NFT_HOOK_ARP_OUTPUT } from "../abi/nft";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { NS_PER_JIFFY } from "../mm/timer";
import { nftFrame } from "../nft/frames";
import { ARP_LEN, ARP_REPLY, ARP_REQUEST, ArpView } from "../wire/arp";
import { mapped4, raw4 } from "../wire/bytes";
import { ETH_HEADER_LEN, ETH_P_ARP, EthernetView } from "../wire/ethernet";
import { Address, addressMatches, addressOnlink, inetSelectAddr, isLoopback4, isMulticast4 } from "./address";
import { devQueueXmit } from "./dev";
import { NEIGH_OVERRIDE, Neighbour, neighFind, neighFindOrCreate, neighUpdate } from "./neighbour";
import { proxyFind } from "./ndisc-proxy";
import { proxyDelay } from "./proxy-arp";
import { Route, inetAddrType, routeInput, routeOutputKey } from "./route";
import { skbAlloc, skbDrop, skbFree, skbLength, skbPush } from "./skb";
import { devConf, maxConf, orConf } from "./sysctl";

/** neigh/DEV/locktime: in jiffies: within it the first answer counts. */
const LOCKTIME: u64 = 250;

/** Sends one ARP packet; the Ethernet destination is `to`. */
function arpSend(dev: NetDevice, operation: u32, to0: u32, to1: u32, senderIp: u32, targetMac0: u32, targetMac1: u32,
  targetIp: u32): void {
  const skb = skbAlloc(ARP_LEN);
  if (changetype<usize>(skb) == 0) return;
  skb.tail = skb.data + <usize>ARP_LEN;
  skb.protocol = ETH_P_ARP;
  skb.dev = changetype<usize>(dev);
  ArpView.at(skb.data).write(operation, dev.mac0, dev.mac1, senderIp, targetMac0, targetMac1, targetIp);
  const at = skbPush(skb, ETH_HEADER_LEN);
  skb.mac = at;
  EthernetView.at(at).write(to0, to1, dev.mac0, dev.mac1, ETH_P_ARP);
  if (FULL) {
    skb.network = at + ETH_HEADER_LEN;
    if (!nftFrame(NFT_HOOK_ARP_OUTPUT, skb, changetype<Netns>(dev.ns), 0, changetype<usize>(dev))) return;
  }
  devQueueXmit(skb, dev);
}

/** An answer by `dev` to `to`, which asked for `sender`: it is at the MAC given, whoever that is (ebt_arpreply_tg). Addresses are raw. */
export function arpAnswerAs(dev: NetDevice, mac0: u32, mac1: u32, to0: u32, to1: u32, sender: u32, target: u32): void {
  const skb = skbAlloc(ARP_LEN);
  if (changetype<usize>(skb) == 0) return;
  skb.tail = skb.data + <usize>ARP_LEN;
  skb.protocol = ETH_P_ARP;
  skb.dev = changetype<usize>(dev);
  ArpView.at(skb.data).write(ARP_REPLY, mac0, mac1, sender, to0, to1, target);
  const at = skbPush(skb, ETH_HEADER_LEN);
  skb.mac = at;
  EthernetView.at(at).write(to0, to1, mac0, mac1, ETH_P_ARP);
  devQueueXmit(skb, dev);
}

/**
 * Asks for the MAC of `hi:lo` (arp_solicit). `packetSource`: the source of the packet that waits, raw, 0: none. `unicast`: asks the MAC
 * known so far, else everybody.
 */
export function arpSolicit(dev: NetDevice, hi: u64, lo: u64, packetSource: u32, unicast: bool, mac0: u32, mac1: u32): void {
  const ns = changetype<Netns>(dev.ns);
  const target = raw4(lo);
  let source: u32 = 0;
  const announce = maxConf(dev, CONF_ARP_ANNOUNCE);
  if (packetSource != 0 && announce < 2 && inetAddrType(ns, 0, mapped4(packetSource)) == RTN_LOCAL
    && (announce == 0 || addressOnlink(dev, 0, lo, 0, mapped4(packetSource)))) {
    source = packetSource;
  }
  if (source == 0) source = raw4(inetSelectAddr(dev, hi, lo, RT_SCOPE_LINK));
  if (unicast) arpSend(dev, ARP_REQUEST, mac0, mac1, source, 0, 0, target);
  else arpSend(dev, ARP_REQUEST, 0xffffffff, 0xffff, source, 0, 0, target);
}

/** An ARP packet, `data` at its header (arp_rcv, arp_process). */
export function arpReceive(skb: Skb, dev: NetDevice): void {
  if (FULL && watched(TRACE_ARP_RCV)) traceFunction(TRACE_ARP_RCV, skb, changetype<Netns>(dev.ns), changetype<usize>(dev));
  const ns = changetype<Netns>(dev.ns);
  if (skb.pktType == PACKET_OTHERHOST || dev.kind == DEV_LOOPBACK || (dev.flags & IFF_NOARP) != 0) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_OTHERHOST);
    return;
  }
  if (skbLength(skb) < ARP_LEN) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_SMALL);
    return;
  }
  if (FULL) {
    skb.network = skb.data;
    if (!nftFrame(NFT_HOOK_ARP_INPUT, skb, ns, changetype<usize>(dev), 0)) return;
  }
  if (arpProcess(skb, ArpView.at(skb.data), ns, dev)) skbFree(skb);
  else skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
}

/** True: understood, whether or not there was anything to do. */
function arpProcess(skb: Skb, arp: ArpView, ns: Netns, dev: NetDevice): bool {
  const operation = arp.operation;
  if (!arp.valid || (operation != ARP_REQUEST && operation != ARP_REPLY)) return false;
  const senderIp = arp.senderIp, targetIp = arp.targetIp;
  const sha0 = arp.senderMac0, sha1 = arp.senderMac1;
  if (isMulticast4(targetIp) || (isLoopback4(targetIp) && !orConf(dev, CONF_ROUTE_LOCALNET))) return false;
  if (senderIp == targetIp && orConf(dev, CONF_DROP_GRATUITOUS_ARP)) return false;
  const target = mapped4(targetIp), sender = mapped4(senderIp);

  // RFC 2131's duplicate address detection: answered, never learnt from.
  if (senderIp == 0) {
    if (operation == ARP_REQUEST && inetAddrType(ns, 0, target) == RTN_LOCAL && !ignored(ns, dev, senderIp, targetIp)) {
      arpSend(dev, ARP_REPLY, sha0, sha1, targetIp, sha0, sha1, senderIp);
    }
    return true;
  }
  if (operation == ARP_REQUEST && routeInput(skb, ns, dev, targetIp, senderIp, 0) == 0) {
    if (skb.rtType == RTN_LOCAL) {
      if (ignored(ns, dev, senderIp, targetIp)) return true;
      if (orConf(dev, CONF_ARP_FILTER)) {
        // arp_filter: only if the way back to the asker leads out of this device.
        const route = changetype<Route>(ns.scratch);
        if (routeOutputKey(ns, 0, sender, 0, target, 0, 0, route) != 0 || route.dev != changetype<usize>(dev)) return true;
      }
      heardOf(dev, sender, sha0, sha1);
      arpSend(dev, ARP_REPLY, sha0, sha1, targetIp, sha0, sha1, senderIp);
      return true;
    }
    // By another device (or an address that is proxied by itself), or (arp_fwd_pvlan) on the same segment, whose hosts do not hear each other.
    if (devConf(dev, CONF_FORWARDING) != 0 && skb.rtType == RTN_UNICAST && (skb.rtDev != changetype<usize>(dev)
      ? orConf(dev, CONF_PROXY_ARP) || (FULL && proxyFind(ns, dev, 0, target) != 0) : FULL && senderIp != targetIp && orConf(dev, CONF_PROXY_ARP_PVLAN))) {
      heardOf(dev, sender, sha0, sha1);
      if (FULL && skb.pktType != PACKET_HOST && proxyDelay(dev, sha0, sha1, senderIp, targetIp)) return true;
      arpSend(dev, ARP_REPLY, sha0, sha1, targetIp, sha0, sha1, senderIp);
      return true;
    }
  }

  const gratuitous = targetIp == senderIp && inetAddrType(ns, 0, sender) == RTN_UNICAST
    && (operation == ARP_REQUEST || (arp.targetMac0 == sha0 && arp.targetMac1 == sha1));
  let at = neighFind(dev, 0, sender);
  const accept = at != 0 ? 0 : maxConf(dev, CONF_ARP_ACCEPT);
  if (at == 0 && (accept == 1 || (FULL && accept == 2 && confirmed(dev, senderIp, 0, RT_SCOPE_LINK)))
    && (gratuitous || (operation == ARP_REPLY && inetAddrType(ns, 0, sender) == RTN_UNICAST))) {
    at = neighFindOrCreate(dev, 0, sender);
  }
  if (at == 0) return true;
  const n = changetype<Neighbour>(at);
  const replace = gratuitous || node().now / NS_PER_JIFFY > n.updated + LOCKTIME;
  const reachable = operation == ARP_REPLY && skb.pktType == PACKET_HOST;
  neighUpdate(n, true, sha0, sha1, reachable ? NUD_REACHABLE : NUD_STALE, replace ? NEIGH_OVERRIDE : 0);
  return true;
}

/** "I am `target`", for `sender`. */
export function arpReply(dev: NetDevice, mac0: u32, mac1: u32, sender: u32, target: u32): void {
  arpSend(dev, ARP_REPLY, mac0, mac1, target, mac0, mac1, sender);
}

/** Tells everybody the device's addresses anew (inetdev_send_gratuitous_arp, for arp_notify). */
export function arpAnnounce(dev: NetDevice): void {
  if (dev.kind == DEV_LOOPBACK || (dev.flags & IFF_NOARP) != 0) return;
  for (let at = dev.addresses; at != 0; at = changetype<Address>(at).next) {
    const own = raw4(changetype<Address>(at).lo);
    arpSend(dev, ARP_REQUEST, 0xffffffff, 0xffff, own, dev.mac0, dev.mac1, own);
  }
}

/** Who asks is worth remembering (neigh_event_ns). */
function heardOf(dev: NetDevice, lo: u64, mac0: u32, mac1: u32): void {
  const at = neighFindOrCreate(dev, 0, lo);
  if (at != 0) neighUpdate(changetype<Neighbour>(at), true, mac0, mac1, NUD_STALE, NEIGH_OVERRIDE);
}

/** arp_ignore: is this request to stay unanswered? */
function ignored(ns: Netns, dev: NetDevice, senderIp: u32, targetIp: u32): bool {
  const mode = maxConf(dev, CONF_ARP_IGNORE);
  if (mode == 0) return false;
  if (mode == 8) return true;
  if (mode > 3) return false;
  if (mode != 3) return !confirmed(dev, mode == 2 ? senderIp : 0, targetIp, RT_SCOPE_HOST);
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    if (confirmed(changetype<NetDevice>(d), 0, targetIp, RT_SCOPE_LINK)) return false;
  }
  return true;
}

/** Has the device the address `local` (0: any) of at most that scope, on one subnet with `peer` (0: any) (confirm_addr_indev)? */
function confirmed(dev: NetDevice, peer: u32, local: u32, scope: u32): bool {
  const least: u32 = orConf(dev, CONF_ROUTE_LOCALNET) ? RT_SCOPE_LINK : RT_SCOPE_HOST;
  let found = false, same = false;
  for (let at = dev.addresses; at != 0; at = changetype<Address>(at).next) {
    const address = changetype<Address>(at);
    if ((local == 0 || address.lo == mapped4(local)) && min<u32>(address.scope, least) <= scope) found = true;
    if ((local == 0 || addressMatches(address, 0, mapped4(local))) && (peer == 0 || addressMatches(address, 0, mapped4(peer)))) same = true;
  }
  return found && same;
}
