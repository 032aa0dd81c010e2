// What a timer calls when it fires: dispatch by number, since function values would need a data segment.
import { bpfTimerFire } from "../bpf/maps/timer";
import { ctGc } from "../netfilter/conntrack";
import { FULL } from "../features";
import { flowtableGc } from "../nft/flowtable";
import { nftGc } from "../nft/ruleset";
import { address6Timer, dadTimerFire } from "./addrconf";
import { fragTimer } from "./ip-defrag";
import { frag6Timer } from "./ip6-frag";
import { groupTimer, mldGeneralTimer, mldTimer } from "./mcast6";
import { proxyTimer6 } from "./ndisc-proxy";
import { routerSolicitTimer } from "./ndisc-router";
import { neighGc, neighTimer } from "./neighbour";
import { proxyTimer } from "./proxy-arp";
import { qdiscTimer } from "./sched/qdisc";
import { tcpReap } from "../sock/tcp/close";
import { Request, requestTimer } from "../sock/tcp/listen";
import { Tcp } from "../sock/tcp/tcp";
import { tcpDelackTimer, tcpWriteTimer } from "../sock/tcp/timer";
import { Timewait, timewaitKill } from "../sock/tcp/timewait";

export const TIMER_NONE: u32 = 0;
export const TIMER_NEIGHBOUR: u32 = 1;
export const TIMER_FRAGMENT: u32 = 2;
/** The sweep of a namespace's neighbours. */
export const TIMER_NEIGHBOUR_GC: u32 = 3;
/** Sweep of the connections: the node's table. */
export const TIMER_CONNTRACK_GC: u32 = 16;
// IPv6: a queue of fragments, duplicate address detection, lifetimes of an address, router solicitations, membership reports.
export const TIMER_FRAGMENT6: u32 = 4;
export const TIMER_DAD: u32 = 5;
export const TIMER_ADDRESS6: u32 = 6;
export const TIMER_ROUTER_SOLICIT: u32 = 7;
export const TIMER_MLD: u32 = 8;
export const TIMER_MLD_GENERAL: u32 = 9;
export const TIMER_GROUP6: u32 = 10;
/** Elements of nftables' sets that end: the namespace's rule set. */
export const TIMER_NFT_GC: u32 = 17;
/** Connections of a flowtable that are idle. */
export const TIMER_FLOWTABLE_GC: u32 = 18;
export const TIMER_TCP_WRITE: u32 = 32;
export const TIMER_TCP_DELACK: u32 = 33;
export const TIMER_TCP_REQUEST: u32 = 34;
export const TIMER_TCP_TIMEWAIT: u32 = 35;

/** A queueing discipline looks at its packets again. */
export const HRTIMER_QDISC: u32 = 1;
/** Answers of proxy_arp that wait. */
export const HRTIMER_PROXY_ARP: u32 = 2;
/** An answer of proxy_ndp that waits. */
export const HRTIMER_PROXY_NDP: u32 = 3;
/** A timer in the value of an eBPF map. */
export const HRTIMER_BPF: u32 = 4;

/** Called when an Hrtimer is due. */
export function hrtimerFire(kind: u32, owner: usize): void {
  if (kind == HRTIMER_QDISC) qdiscTimer(owner);
  else if (kind == HRTIMER_PROXY_ARP) proxyTimer(owner);
  else if (kind == HRTIMER_PROXY_NDP) proxyTimer6(owner);
  else if (FULL && kind == HRTIMER_BPF) bpfTimerFire(owner);
}

/** Called by the wheel with what the timer was armed with. */
export function timerFire(kind: u32, owner: usize): void {
  assert(kind != TIMER_NONE && owner != 0);
  switch (kind) {
    case TIMER_NEIGHBOUR: neighTimer(owner); break;
    case TIMER_FRAGMENT: fragTimer(owner); break;
    case TIMER_NEIGHBOUR_GC: neighGc(owner); break;
    case TIMER_CONNTRACK_GC: ctGc(owner); break;
    case TIMER_FRAGMENT6: if (FULL) frag6Timer(owner); break;
    case TIMER_DAD: if (FULL) dadTimerFire(owner); break;
    case TIMER_ADDRESS6: if (FULL) address6Timer(owner); break;
    case TIMER_ROUTER_SOLICIT: if (FULL) routerSolicitTimer(owner); break;
    case TIMER_MLD: if (FULL) mldTimer(owner); break;
    case TIMER_MLD_GENERAL: if (FULL) mldGeneralTimer(owner); break;
    case TIMER_GROUP6: if (FULL) groupTimer(owner); break;
    case TIMER_NFT_GC: if (FULL) nftGc(owner); break;
    case TIMER_FLOWTABLE_GC: if (FULL) flowtableGc(owner); break;
    case TIMER_TCP_WRITE: {
      tcpWriteTimer(changetype<Tcp>(owner));
      tcpReap(changetype<Tcp>(owner));
      break;
    }
    case TIMER_TCP_DELACK: tcpDelackTimer(changetype<Tcp>(owner)); break;
    case TIMER_TCP_REQUEST: requestTimer(changetype<Request>(owner)); break;
    case TIMER_TCP_TIMEWAIT: timewaitKill(changetype<Timewait>(owner)); break;
    default: break;
  }
}
