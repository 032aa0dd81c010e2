// What the observer hears of packets that reach a socket or leave one.
import { OBS_DELIVER, OBS_SEND } from "../abi/core";
import { Netns, Skb } from "../layout";
import { observeRecord, tracing } from "../trace/observe";

/** A packet reached this socket (handle 0: one that the driver does not hold). */
export function observeDelivery(skb: Skb, ns: Netns, protocol: u32, handle: u32): void {
  if (tracing()) record(OBS_DELIVER, skb, changetype<usize>(ns), skb.dev, protocol, handle);
}

/** A socket handed this packet to IP. */
export function observeSend(skb: Skb, ns: Netns, protocol: u32, handle: u32): void {
  if (tracing()) record(OBS_SEND, skb, changetype<usize>(ns), 0, protocol, handle);
}

function record(type: u32, skb: Skb, ns: usize, dev: usize, protocol: u32, handle: u32): void {
  const at = observeRecord(type, skb, ns, dev, 8);
  if (at == 0) return;
  store<u32>(at, protocol);
  store<u32>(at, handle, 4);
}
