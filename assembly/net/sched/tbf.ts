// The token bucket filter (net/sched/sch_tbf.c): packets leave at a rate, after a burst. The bandwidth CNI plugin's.
import { Skb } from "../../layout";
import { node } from "../../mm/node";
import { skbLength } from "../skb";
import { Qdisc, asQdisc, dequeue, enqueue, lengthToNs, peek, qdiscWatch, reject } from "./qdisc";

/** A packet that not even a full bucket pays for can never leave. */
export function tbfEnqueue(q: Qdisc, skb: Skb): bool {
  const length = skbLength(skb);
  if (lengthToNs(q.rate, length) > q.burst || (q.peak != 0 && lengthToNs(q.peak, length) > q.peakBurst)) return reject(q, skb);
  if (!enqueue(asQdisc(q.child), skb)) {
    q.dropped++;
    return false;
  }
  return true;
}

export function tbfDequeue(q: Qdisc): Skb {
  const child = asQdisc(q.child);
  const skb = peek(child);
  if (changetype<usize>(skb) == 0) return skb;
  const now = node().now;
  const length = skbLength(skb);
  let tokens = <i64>min<u64>(now - q.checkpoint, q.burst);
  let peakTokens: i64 = 0;
  if (q.peak != 0) {
    peakTokens = min<i64>(tokens + q.ctokens, <i64>q.peakBurst) - <i64>lengthToNs(q.peak, length);
  }
  tokens = min<i64>(tokens + q.tokens, <i64>q.burst) - <i64>lengthToNs(q.rate, length);
  if ((tokens | peakTokens) >= 0) {
    q.checkpoint = now;
    q.tokens = tokens;
    q.ctokens = peakTokens;
    return dequeue(child);
  }
  q.overlimits++;
  qdiscWatch(q, now + <u64>max<i64>(-tokens, -peakTokens));
  return changetype<Skb>(0);
}
