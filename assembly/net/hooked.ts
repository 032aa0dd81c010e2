// Where a packet goes on that was held at a hook (the okfn of each NF_HOOK).
import { DROP_BRIDGE_NO_PORT } from "../abi/net";
import { HOOK_FORWARD, HOOK_INPUT, HOOK_OUTPUT, HOOK_PREROUTING } from "../abi/netfilter";
import { NetDevice, Netns, Skb } from "../layout";
import { ETH_P_IPV6 } from "../wire/ethernet";
import { bridgePushXmit } from "./bridge";
import { IPSKB_BRIDGED, bridgeNfPostRouting, bridgeNfPreRoutingDone, bridgeNfPush } from "./bridge-netfilter";
import { deviceFind } from "./devices";
import { IPSKB_LOOPED, ipForwardFinish, ipLocalDeliverFinish, ipReceiveHooked } from "./ip-input";
import { ip6InputFinish, ip6ReceiveHooked } from "./ip6-input";
import { dst6Output, finish6, loopBackFinish6 } from "./ip6-output";
import { dstOutput, finishOutput, loopBackFinish } from "./ip-output";
import { skbDrop } from "./skb";

/** Everything at `hook` has accepted the packet. */
export function netHooked(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): void {
  if (skb.protocol == ETH_P_IPV6) return hooked6(hook, skb, ns, inDev, outDev);
  const bridged = (skb.ipFlags & IPSKB_BRIDGED) != 0;
  if (hook == HOOK_PREROUTING) {
    if (bridged) bridgeNfPreRoutingDone(skb, ns);
    else ipReceiveHooked(skb, ns, changetype<NetDevice>(inDev));
  } else if (hook == HOOK_INPUT) ipLocalDeliverFinish(skb, ns, changetype<NetDevice>(inDev));
  else if (bridged) bridgedOn(hook, skb, ns, changetype<NetDevice>(outDev));
  else if (hook == HOOK_FORWARD) ipForwardFinish(skb, ns);
  else if (hook == HOOK_OUTPUT) dstOutput(skb, ns);
  else if (skb.ipFlags & IPSKB_LOOPED) loopBackFinish(skb, changetype<NetDevice>(outDev));
  else finishOutput(skb, ns);
}

function hooked6(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): void {
  if (hook == HOOK_PREROUTING) ip6ReceiveHooked(skb, ns, changetype<NetDevice>(inDev));
  else if (hook == HOOK_INPUT) ip6InputFinish(skb, ns, changetype<NetDevice>(inDev));
  else if (hook == HOOK_FORWARD || hook == HOOK_OUTPUT) dst6Output(skb, ns);
  else if (skb.ipFlags & IPSKB_LOOPED) loopBackFinish6(skb, changetype<NetDevice>(outDev));
  else finish6(skb, ns);
}

function bridgedOn(hook: u32, skb: Skb, ns: Netns, dev: NetDevice): void {
  const to = deviceFind(ns, skb.physOut);
  if (to == 0) skbDrop(skb, ns, changetype<usize>(dev), DROP_BRIDGE_NO_PORT);
  else if (hook == HOOK_FORWARD ? bridgeNfPostRouting(skb, ns, dev, changetype<NetDevice>(to)) : bridgeNfPush(skb, ns, dev, changetype<NetDevice>(to))) {
    bridgePushXmit(skb, changetype<NetDevice>(to));
  }
}
