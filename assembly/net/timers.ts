// What a timer calls when it fires: dispatch by number, since function values would need a data segment.
import { ctGc } from "../netfilter/conntrack";
import { FULL } from "../features";
import { nftGc } from "../nft/ruleset";
import { fragTimer } from "./ip-defrag";
import { neighTimer } from "./neighbour";
import { tcpReap } from "../sock/tcp/close";
import { Request, requestTimer } from "../sock/tcp/listen";
import { Tcp } from "../sock/tcp/tcp";
import { tcpDelackTimer, tcpWriteTimer } from "../sock/tcp/timer";
import { Timewait, timewaitKill } from "../sock/tcp/timewait";

export const TIMER_NONE: u32 = 0;
export const TIMER_NEIGHBOUR: u32 = 1;
export const TIMER_FRAGMENT: u32 = 2;
/** Sweep of the connections: the node's table. */
export const TIMER_CONNTRACK_GC: u32 = 16;
/** Elements of nftables' sets that end: the namespace's rule set. */
export const TIMER_NFT_GC: u32 = 17;
export const TIMER_TCP_WRITE: u32 = 32;
export const TIMER_TCP_DELACK: u32 = 33;
export const TIMER_TCP_REQUEST: u32 = 34;
export const TIMER_TCP_TIMEWAIT: u32 = 35;

/** Called by the wheel with what the timer was armed with. */
export function timerFire(kind: u32, owner: usize): void {
  assert(kind != TIMER_NONE && owner != 0);
  switch (kind) {
    case TIMER_NEIGHBOUR: neighTimer(owner); break;
    case TIMER_FRAGMENT: fragTimer(owner); break;
    case TIMER_CONNTRACK_GC: ctGc(owner); break;
    case TIMER_NFT_GC: if (FULL) nftGc(owner); break;
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
