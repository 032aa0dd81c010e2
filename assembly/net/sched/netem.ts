// A network to be imagined (net/sched/sch_netem.c): delay with jitter, loss, duplicates, reordering, damage, a rate. Chance comes from
// the node's generator.
import { NetDevice, Skb } from "../../layout";
import { node } from "../../mm/node";
import { random32, randomBelow } from "../../mm/rng";
import { skbCopy, skbLength } from "../skb";
import { Qdisc, append, asQdisc, dequeue, enqueue, lengthToNs, qdiscWatch, reject, takeFirst } from "./qdisc";

/** A random number that leans on the one before (get_crandom); `last` is where that stands. */
function correlated(rho: u32, last: usize): u32 {
  const value = random32();
  if (rho == 0) return value;
  const weight = <u64>rho + 1;
  const answer = <u32>((<u64>value * ((<u64>1 << 32) - weight) + <u64>load<u32>(last) * weight) >> 32);
  store<u32>(last, answer);
  return answer;
}

/** Does it happen, with this probability? */
function happens(probability: u32, rho: u32, last: usize): bool {
  return probability != 0 && probability >= correlated(rho, last);
}

export function netemEnqueue(q: Qdisc, packet: Skb): bool {
  const at = changetype<usize>(q);
  let count = 1;
  if (happens(q.duplicate, q.duplicateCorr, at + offsetof<Qdisc>("duplicateLast"))) count++;
  if (happens(q.loss, q.lossCorr, at + offsetof<Qdisc>("lossLast"))) count--;
  if (count == 0) {
    reject(q, packet);
    return false;
  }
  const skb = packet;
  let twin = changetype<Skb>(0);
  if (count > 1) {
    twin = skbCopy(skb);
    if (changetype<usize>(twin) != 0) {
      twin.inDev = skb.inDev;
      twin.ipFlags = skb.ipFlags;
      twin.vlan = skb.vlan;
    }
  }
  if (happens(q.corrupt, q.corruptCorr, at + offsetof<Qdisc>("corruptLast")) && skbLength(skb) != 0) {
    const byte = skb.data + <usize>randomBelow(skbLength(skb));
    store<u8>(byte, <u8>(<u32>load<u8>(byte) ^ (1 << randomBelow(8))));
  }
  if (q.length >= q.limit) {
    if (changetype<usize>(twin) != 0) reject(q, twin);
    return reject(q, skb);
  }
  if (changetype<usize>(twin) != 0) {
    // From the top of the tree again, and not doubled again.
    const duplicate = q.duplicate;
    q.duplicate = 0;
    enqueue(asQdisc(changetype<NetDevice>(q.dev).qdisc), twin);
    q.duplicate = duplicate;
  }
  q.length++;
  q.backlog += skbLength(skb);
  if (q.gap == 0 || q.counter < q.gap - 1 || q.reorder < correlated(q.reorderCorr, at + offsetof<Qdisc>("reorderLast"))) {
    let delay = <i64>q.delay;
    if (q.jitter != 0) {
      delay += <i64>(<u64>correlated(q.delayCorr, at + offsetof<Qdisc>("delayLast")) % (2 * q.jitter)) - <i64>q.jitter;
    }
    let now = node().now;
    if (q.rate != 0) {
      if (q.head != 0 && changetype<Skb>(q.tail).tstamp > now) {
        // The one before is still on the wire: its time is no delay of ours.
        delay = max<i64>(0, delay - <i64>(changetype<Skb>(q.tail).tstamp - now));
        now = changetype<Skb>(q.tail).tstamp;
      }
      delay += <i64>lengthToNs(q.rate, skbLength(skb));
    }
    skb.tstamp = delay < 0 && <u64>(-delay) > now ? 0 : now + <u64>delay;
    q.counter++;
    insert(q, skb);
  } else {
    // One that overtakes all that wait.
    skb.tstamp = 0;
    q.counter = 0;
    skb.next = q.head;
    if (q.head == 0) q.tail = changetype<usize>(skb);
    q.head = changetype<usize>(skb);
  }
  return true;
}

/** By time, behind those of the same time (tfifo_enqueue). */
function insert(q: Qdisc, skb: Skb): void {
  const head = changetype<usize>(q) + offsetof<Qdisc>("head");
  if (q.head == 0 || changetype<Skb>(q.tail).tstamp <= skb.tstamp) {
    append(head, skb);
    return;
  }
  let link = head;
  while (changetype<Skb>(<usize>load<u32>(link)).tstamp <= skb.tstamp) link = <usize>load<u32>(link); // `next` is the first field
  skb.next = <usize>load<u32>(link);
  store<u32>(link, <u32>changetype<usize>(skb));
}

export function netemDequeue(q: Qdisc): Skb {
  const now = node().now;
  const head = changetype<usize>(q) + offsetof<Qdisc>("head");
  while (q.head != 0 && changetype<Skb>(q.head).tstamp <= now) {
    const skb = takeFirst(head);
    if (q.child == 0) return skb;
    // What the child does not take is no longer here.
    const length = skbLength(skb);
    if (!enqueue(asQdisc(q.child), skb)) {
      q.length--;
      q.backlog -= length;
    }
  }
  if (q.head != 0) qdiscWatch(q, changetype<Skb>(q.head).tstamp);
  return q.child != 0 ? dequeue(asQdisc(q.child)) : changetype<Skb>(0);
}
