// Hierarchical token buckets (net/sched/sch_htb.c): classes have a rate of their own and may borrow from their parents up to a ceiling.
// A leaf that may send at its own rate goes before one that borrows, the nearer lender before the farther, lower `prio` first; equals take
// turns by quantum (deficit round robin).
import { QDISC_HTB_CLASS } from "../../abi/net";
import { Skb } from "../../layout";
import { node } from "../../mm/node";
import { skbLength } from "../skb";
import { filterClassify } from "./filter";
import { Qdisc, append, asQdisc, dequeue, enqueue, lengthToNs, qdiscWatch, reject, takeFirst } from "./qdisc";

/** TC_HTB_MAXDEPTH */
export const HTB_DEPTH: u32 = 8;
/** cl->mbuffer: a minute */
const MBUFFER: i64 = 60_000_000_000;
const CAN_SEND: u32 = 0, MAY_BORROW: u32 = 1, CANT_SEND: u32 = 2;

/** The class of that id, or 0. */
export function htbFind(q: Qdisc, classid: u32): usize {
  for (let at = q.classes; at != 0; at = asQdisc(at).sibling) if (asQdisc(at).handle == classid) return at;
  return 0;
}

/** htb_classify: the leaf, or 0: sent directly. */
function classify(q: Qdisc, skb: Skb): usize {
  if (skb.priority == q.handle) return 0;
  const direct = htbFind(q, skb.priority);
  if (direct != 0 && asQdisc(direct).level == 0) return direct;
  let filters = q;
  for (let depth: u32 = 0; depth < HTB_DEPTH; depth++) {
    const classid = filterClassify(filters, skb);
    if (classid == 0) break;
    if (classid == q.handle) return 0;
    const found = htbFind(q, classid);
    if (found == 0) break;
    if (asQdisc(found).level == 0) return found;
    filters = asQdisc(found); // an inner class has filters of its own
  }
  const found = htbFind(q, (q.handle & 0xffff0000) | q.otherwise);
  return found != 0 && asQdisc(found).level == 0 ? found : 0;
}

export function htbEnqueue(q: Qdisc, skb: Skb): bool {
  const at = classify(q, skb);
  if (at != 0) {
    const leaf = asQdisc(at);
    const length = skbLength(skb);
    if (!enqueue(asQdisc(leaf.child), skb)) {
      q.dropped++;
      leaf.dropped++;
      return false;
    }
    leaf.length++;
    leaf.backlog += length;
    return true;
  }
  let waiting: u32 = 0;
  for (let s = q.head; s != 0; s = changetype<Skb>(s).next) waiting++;
  if (waiting >= q.limit) return reject(q, skb);
  q.lends++;
  append(changetype<usize>(q) + offsetof<Qdisc>("head"), skb);
  return true;
}

/** htb_class_mode; `wait` becomes earlier where the mode changes before. */
function modeOf(c: Qdisc, now: u64): u32 {
  const diff = min<i64>(<i64>(now - c.checkpoint), MBUFFER);
  const ceil = c.ctokens + diff;
  if (ceil < 0) {
    wait = min<u64>(wait, now + <u64>(-ceil));
    return CANT_SEND;
  }
  const own = c.tokens + diff;
  if (own >= 0) return CAN_SEND;
  wait = min<u64>(wait, now + <u64>(-own));
  return MAY_BORROW;
}

// When the next class of those looked at may do more than now: set by modeOf, used within one dequeue.
let wait: u64 = 0;

export function htbDequeue(q: Qdisc): Skb {
  const direct = takeFirst(changetype<usize>(q) + offsetof<Qdisc>("head"));
  if (changetype<usize>(direct) != 0) return direct;
  const now = node().now;
  wait = u64.MAX_VALUE;
  // A child that holds its packets back (tbf, netem) is passed over: at most as many looks as there are classes.
  let looks: u32 = 1;
  for (let at = q.classes; at != 0; at = asQdisc(at).sibling) looks++;
  let passed: usize = 0;
  while (looks-- > 0) {
    const at = choose(q, now, passed);
    if (at == 0) break;
    const leaf = asQdisc(at);
    const skb = dequeue(asQdisc(leaf.child));
    if (changetype<usize>(skb) == 0) {
      passed++;
      leaf.gap = 1; // nothing to be had from it now
      continue;
    }
    const length = skbLength(skb);
    leaf.length--;
    leaf.backlog -= length;
    leaf.deficit -= <i32>length;
    if (leaf.deficit < 0) {
      leaf.deficit += <i32>leaf.quantum;
      q.turn = leaf.sibling;
    } else q.turn = at;
    chargeClass(leaf, length, now);
    unmark(q, passed);
    return skb;
  }
  unmark(q, passed);
  if (wait != u64.MAX_VALUE) {
    q.overlimits++;
    qdiscWatch(q, wait);
  }
  return changetype<Skb>(0);
}

function unmark(q: Qdisc, passed: usize): void {
  if (passed == 0) return;
  for (let at = q.classes; at != 0; at = asQdisc(at).sibling) asQdisc(at).gap = 0;
}

// The level that lends to the leaf that `choose` chose.
let lender: u32 = 0;

/** The leaf whose packet goes next, or 0. */
function choose(q: Qdisc, now: u64, passed: usize): usize {
  let best: usize = 0, bestLevel: u32 = HTB_DEPTH, bestPrio: u32 = 0;
  let at = q.turn != 0 ? q.turn : q.classes;
  const start = at;
  while (at != 0) {
    const leaf = asQdisc(at);
    if (leaf.level == 0 && leaf.length != 0 && (passed == 0 || leaf.gap == 0)) {
      let level: u32 = HTB_DEPTH;
      for (let c = at; c != 0 && asQdisc(c).kind == QDISC_HTB_CLASS; c = asQdisc(c).up) {
        const mode = modeOf(asQdisc(c), now);
        if (mode == CAN_SEND) level = asQdisc(c).level;
        if (mode != MAY_BORROW) break;
      }
      if (level < bestLevel || (level == bestLevel && level < HTB_DEPTH && leaf.prio < bestPrio)) {
        best = at;
        bestLevel = level;
        bestPrio = leaf.prio;
      }
    }
    at = leaf.sibling != 0 ? leaf.sibling : q.classes;
    if (at == start) break;
  }
  lender = bestLevel;
  return best;
}

/** htb_charge_class */
function chargeClass(leaf: Qdisc, length: u32, now: u64): void {
  for (let at = changetype<usize>(leaf); at != 0 && asQdisc(at).kind == QDISC_HTB_CLASS; at = asQdisc(at).up) {
    const c = asQdisc(at);
    const diff = min<i64>(<i64>(now - c.checkpoint), MBUFFER);
    if (c.level == lender) c.lends++;
    else if (c.level < lender) c.borrows++;
    if (c.level >= lender) c.tokens = account(c.tokens + diff, c.burst, lengthToNs(c.rate, length));
    else c.tokens += diff;
    c.ctokens = account(c.ctokens + diff, c.peakBurst, lengthToNs(c.peak, length));
    c.checkpoint = now;
    c.packets++;
    c.bytes += <u64>length;
  }
}

function account(tokens: i64, most: u64, cost: u64): i64 {
  const left = min<i64>(tokens, <i64>most) - <i64>cost;
  return left <= -MBUFFER ? 1 - MBUFFER : left;
}
