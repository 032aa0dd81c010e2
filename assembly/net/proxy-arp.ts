// Answers for others that wait a while, so that the host itself may answer first (net/core/neighbour.c, pneigh_enqueue): at random up to
// neigh/DEV/proxy_delay. Requests by unicast are answered at once.
import { CONF_NEIGH_PROXY_DELAY_MS } from "../abi/net";
import { Hrtimer, hrtimerStart } from "../mm/hrtimer";
import { NS_PER_JIFFY } from "../mm/timer";
import { node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { arpReply } from "./arp";
import { deviceFind } from "./devices";
import { netnsGet } from "./netns";
import { NetDevice, Netns } from "../layout";
import { devConf } from "./sysctl";
import { HRTIMER_PROXY_ARP } from "./timers";

/** neigh/DEV/proxy_qlen */
const QUEUE_MAX: u32 = 64;

@unmanaged class Waiting {
  // Hrtimer comes first: its address is this one's.
  timerNext: usize; timerArmed: u32; timerExpires: u64; timerKind: u32; timerOwner: usize;
  netns: u32; ifindex: u32; // by name, not by address: the device may end meanwhile
  mac0: u32; mac1: u32; sender: u32; target: u32;
}

/** Answers the request for `target` from `sender` in a while; false: at once, says the device. */
export function proxyDelay(dev: NetDevice, mac0: u32, mac1: u32, sender: u32, target: u32): bool {
  const delay = <u32>(devConf(dev, CONF_NEIGH_PROXY_DELAY_MS) / 4);
  if (delay == 0) return false;
  const n = node();
  if (n.proxyWaiting >= QUEUE_MAX) return true;
  const at = kmalloc(<u32>offsetof<Waiting>());
  if (at == 0) return true;
  n.proxyWaiting++;
  const w = changetype<Waiting>(at);
  w.timerKind = HRTIMER_PROXY_ARP;
  w.timerOwner = at;
  w.netns = changetype<Netns>(dev.ns).handle;
  w.ifindex = dev.ifindex;
  w.mac0 = mac0;
  w.mac1 = mac1;
  w.sender = sender;
  w.target = target;
  hrtimerStart(changetype<Hrtimer>(at), (n.now / NS_PER_JIFFY + <u64>randomBelow(delay)) * NS_PER_JIFFY);
  return true;
}

/** The while is over. */
export function proxyTimer(at: usize): void {
  const w = changetype<Waiting>(at);
  node().proxyWaiting--;
  const ns = netnsGet(w.netns);
  const dev: usize = changetype<usize>(ns) == 0 ? 0 : deviceFind(ns, w.ifindex);
  if (dev != 0 && changetype<NetDevice>(dev).up) arpReply(changetype<NetDevice>(dev), w.mac0, w.mac1, w.sender, w.target);
  kfree(at, <u32>offsetof<Waiting>());
}
