// Queueing disciplines: what waits before it leaves by a device, in virtual time to the nanosecond (net/sched/sch_api.c, sch_generic.c,
// sch_fifo.c). A device without one (noqueue, or a wire without a speed) sends at once.
//
//   devQueueXmit ──► enqueue(root) ──► dequeue(root), now or when a timer says so ──► devHardXmit
//                       tbf, netem ── child          htb ── classes ── child each
import { DROP_DEV_DOWN, DROP_QDISC_DROP, QDISC_BFIFO, QDISC_CLSACT, QDISC_HTB, QDISC_HTB_CLASS, QDISC_NETEM, QDISC_PFIFO, QDISC_PFIFO_FAST,
  QDISC_TBF } from "../../abi/net";
import { NetDevice, Netns, Skb } from "../../layout";
import { Hrtimer, hrtimerCancel, hrtimerStart } from "../../mm/hrtimer";
import { node } from "../../mm/node";
import { kfree, kmalloc } from "../../mm/slab";
import { nfSkbReset } from "../../netfilter/hooks";
import { devHardXmit } from "../dev";
import { skbDrop, skbLength } from "../skb";
import { HRTIMER_QDISC } from "../timers";
import { filtersFree } from "./filter";
import { htbDequeue, htbEnqueue } from "./htb";
import { netemDequeue, netemEnqueue } from "./netem";
import { tbfDequeue, tbfEnqueue } from "./tbf";

/** txqueuelen of an Ethernet device: what a FIFO without a limit of its own holds. */
export const TX_QUEUE_LEN: u32 = 1000;
const SECOND: u64 = 1_000_000_000;

/** A discipline, or a class of HTB. */
@unmanaged export class Qdisc {
  // Hrtimer comes first: its address is this one's.
  timerNext: usize; timerArmed: u32; timerExpires: u64; timerKind: u32; timerOwner: usize;
  kind: u32; // QDISC_*
  handle: u32; parent: u32;
  dev: usize; // NetDevice
  up: usize; // Qdisc: the root discipline of a class, the class above a class
  child: usize; // Qdisc below (tbf, netem, a class)
  classes: usize; // Qdisc of HTB: its classes by `sibling`, in order of creation
  sibling: usize;
  filters: usize; // sched/filter.ts
  // Own packets, a FIFO of Skb; pfifo_fast: the lower two bands follow
  head: usize; tail: usize; head1: usize; tail1: usize; head2: usize; tail2: usize;
  held: usize; // Skb: taken out to be looked at (qdisc_peek_dequeued)
  length: u32; backlog: u32; // packets and bytes, of children too
  limit: u32;
  bytes: u64; packets: u64; dropped: u32; overlimits: u32;
  // As given; abi/net.ts QDISC_*
  rate: u64; peak: u64; burst: u64; peakBurst: u64; delay: u64; jitter: u64;
  loss: u32; duplicate: u32; reorder: u32; gap: u32; corrupt: u32; otherwise: u32; prio: u32; quantum: u32;
  lossCorr: u32; delayCorr: u32; duplicateCorr: u32; reorderCorr: u32; corruptCorr: u32;
  // State: tokens are ns of sending at the rate
  tokens: i64; ctokens: i64; checkpoint: u64;
  lossLast: u32; delayLast: u32; duplicateLast: u32; reorderLast: u32; corruptLast: u32;
  counter: u32;
  level: u32; deficit: i32; // of a class
  turn: usize; // HTB: the class whose turn it is
  lends: u32; borrows: u32; // packets sent at a class' own rate, at a lender's; HTB's own `lends`: sent directly
}

@inline export function asQdisc(at: usize): Qdisc {
  return changetype<Qdisc>(at);
}

export function qdiscNew(dev: NetDevice, kind: u32, handle: u32, parent: u32, limit: u32): usize {
  const at = kmalloc(<u32>offsetof<Qdisc>());
  if (at == 0) return 0;
  const q = asQdisc(at);
  q.timerKind = HRTIMER_QDISC;
  q.timerOwner = at;
  q.kind = kind;
  q.handle = handle;
  q.parent = parent;
  q.dev = changetype<usize>(dev);
  q.limit = limit;
  q.checkpoint = node().now;
  return at;
}

/** Takes a discipline away with all below it and all that waits there. */
export function qdiscFree(at: usize): void {
  if (at == 0) return;
  const q = asQdisc(at);
  hrtimerCancel(changetype<Hrtimer>(at));
  purge(at + offsetof<Qdisc>("head"), q);
  purge(at + offsetof<Qdisc>("head1"), q);
  purge(at + offsetof<Qdisc>("head2"), q);
  purge(at + offsetof<Qdisc>("held"), q);
  filtersFree(q);
  qdiscFree(q.child);
  while (q.classes != 0) {
    const gone = q.classes;
    q.classes = asQdisc(gone).sibling;
    qdiscFree(gone);
  }
  kfree(at, <u32>offsetof<Qdisc>());
}

function purge(link: usize, q: Qdisc): void {
  while (load<u32>(link) != 0) {
    const skb = changetype<Skb>(<usize>load<u32>(link));
    store<u32>(link, <u32>skb.next);
    skbDrop(skb, changetype<Netns>(changetype<NetDevice>(q.dev).ns), q.dev, DROP_QDISC_DROP);
  }
}

/** The device's discipline goes: it ends, or has another one now. */
export function qdiscReplace(dev: NetDevice, at: usize): void {
  const old = dev.qdisc;
  dev.qdisc = at;
  qdiscFree(old);
}

/** A frame, Ethernet header at `data`, waits for its turn (__dev_xmit_skb). Takes it. */
export function qdiscSend(skb: Skb, dev: NetDevice): void {
  // While it waits, what it belonged to may end.
  skb.sock = 0;
  skb.rtDev = 0;
  skb.next = 0;
  skb.dev = changetype<usize>(dev);
  nfSkbReset(skb);
  enqueue(asQdisc(dev.qdisc), skb);
  qdiscRun(dev);
}

/** Sends what may go now. */
function qdiscRun(dev: NetDevice): void {
  while (dev.qdisc != 0) {
    const skb = dequeue(asQdisc(dev.qdisc));
    if (changetype<usize>(skb) == 0) return;
    if (dev.up) devHardXmit(skb, dev);
    else {
      dev.txDropped++;
      skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_DEV_DOWN);
    }
  }
}

/** A discipline's timer: the device's root looks again. */
export function qdiscTimer(at: usize): void {
  qdiscRun(changetype<NetDevice>(asQdisc(at).dev));
}

/** Look again at `ns` (qdisc_watchdog_schedule_ns). */
export function qdiscWatch(q: Qdisc, ns: u64): void {
  hrtimerStart(changetype<Hrtimer>(changetype<usize>(q)), ns);
}

/** ns that `length` bytes take at `rate` bytes per second (psched_l2t_ns). */
export function lengthToNs(rate: u64, length: u32): u64 {
  return rate == 0 ? 0 : <u64>length * SECOND / rate;
}

/** False: no room, the packet was dropped. */
export function enqueue(q: Qdisc, skb: Skb): bool {
  const length = skbLength(skb);
  let taken: bool;
  switch (q.kind) {
    case QDISC_TBF: taken = tbfEnqueue(q, skb); break;
    case QDISC_NETEM: return netemEnqueue(q, skb);
    case QDISC_HTB: taken = htbEnqueue(q, skb); break;
    default: taken = fifoEnqueue(q, skb);
  }
  if (!taken) return false;
  q.length++;
  q.backlog += length;
  return true;
}

/** The next packet that may go now, or null (0). */
export function dequeue(q: Qdisc): Skb {
  let skb = changetype<Skb>(q.held);
  if (q.held != 0) q.held = 0;
  else skb = take(q);
  if (changetype<usize>(skb) != 0) {
    q.length--;
    q.backlog -= skbLength(skb);
    q.packets++;
    q.bytes += <u64>skbLength(skb);
  }
  return skb;
}

function take(q: Qdisc): Skb {
  switch (q.kind) {
    case QDISC_TBF: return tbfDequeue(q);
    case QDISC_NETEM: return netemDequeue(q);
    case QDISC_HTB: return htbDequeue(q);
    default: return fifoDequeue(q);
  }
}

/** The next packet, left where it is. What is not a FIFO gives it out for that, and it waits apart (qdisc_peek_dequeued). */
export function peek(q: Qdisc): Skb {
  if (q.kind <= QDISC_PFIFO_FAST) return changetype<Skb>(q.head != 0 ? q.head : q.head1 != 0 ? q.head1 : q.head2);
  if (q.held == 0) q.held = changetype<usize>(take(q));
  return changetype<Skb>(q.held);
}

/** Drops at the entrance. */
export function reject(q: Qdisc, skb: Skb): bool {
  q.dropped++;
  const dev = changetype<NetDevice>(q.dev);
  dev.txDropped++;
  skbDrop(skb, changetype<Netns>(dev.ns), q.dev, DROP_QDISC_DROP);
  return false;
}

/** Puts a packet at the end of the FIFO at `head`. */
export function append(head: usize, skb: Skb): void {
  skb.next = 0;
  const last = <usize>load<u32>(head, 4);
  if (load<u32>(head) == 0) store<u32>(head, <u32>changetype<usize>(skb));
  else changetype<Skb>(last).next = changetype<usize>(skb);
  store<u32>(head, <u32>changetype<usize>(skb), 4);
}

/** Takes the first packet of the FIFO at `head`, or null (0). */
export function takeFirst(head: usize): Skb {
  const skb = changetype<Skb>(<usize>load<u32>(head));
  if (changetype<usize>(skb) != 0) {
    store<u32>(head, <u32>skb.next);
    skb.next = 0;
  }
  return skb;
}

function fifoEnqueue(q: Qdisc, skb: Skb): bool {
  const head = changetype<usize>(q) + offsetof<Qdisc>("head");
  if (q.kind == QDISC_PFIFO_FAST) {
    // prio2band: 1 2 2 2 1 2 0 0 1 …; each band holds as many as the device's queue.
    const band = <u32>((<u64>0x1111111100212221 >> <u64>((skb.priority & 15) << 2)) & 3);
    const at = head + <usize>(band << 3);
    let count: u32 = 0;
    for (let s = <usize>load<u32>(at); s != 0; s = changetype<Skb>(s).next) count++;
    if (count >= q.limit) return reject(q, skb);
    append(at, skb);
    return true;
  }
  if (q.kind == QDISC_BFIFO ? q.backlog + skbLength(skb) > q.limit : q.length >= q.limit) return reject(q, skb);
  append(head, skb);
  return true;
}

function fifoDequeue(q: Qdisc): Skb {
  const head = changetype<usize>(q) + offsetof<Qdisc>("head");
  let skb = takeFirst(head);
  if (q.kind != QDISC_PFIFO_FAST) return skb;
  for (let band: usize = 1; changetype<usize>(skb) == 0 && band < 3; band++) skb = takeFirst(head + (band << 3));
  return skb;
}

/** A device ends: nothing that waits anywhere may go on naming it. */
export function qdiscForget(dev: NetDevice): void {
  for (let ns = node().netns; ns != 0; ns = changetype<Netns>(ns).next) {
    for (let d = changetype<Netns>(ns).devices; d != 0; d = changetype<NetDevice>(d).next) {
      if (changetype<NetDevice>(d).qdisc != 0) forgetIn(asQdisc(changetype<NetDevice>(d).qdisc), changetype<usize>(dev));
    }
  }
}

function forgetIn(q: Qdisc, dev: usize): void {
  for (let band: usize = 0; band < 4; band++) {
    // The three FIFOs, then what is held.
    let at = <usize>load<u32>(changetype<usize>(q) + offsetof<Qdisc>("head") + (band << 3));
    for (; at != 0; at = changetype<Skb>(at).next) {
      if (changetype<Skb>(at).inDev == dev) changetype<Skb>(at).inDev = 0;
      if (changetype<Skb>(at).bridgeDev == dev) changetype<Skb>(at).bridgeDev = 0;
    }
  }
  if (q.child != 0) forgetIn(asQdisc(q.child), dev);
  for (let c = q.classes; c != 0; c = asQdisc(c).sibling) forgetIn(asQdisc(c), dev);
}

/** Is this a kind that `tc qdisc` can make? */
export function qdiscKnown(kind: u32): bool {
  return kind >= QDISC_PFIFO && kind <= QDISC_CLSACT;
}
