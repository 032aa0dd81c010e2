// The current node: an instance works for one arena at a time. The globals are caches, nothing else.
import { Node } from "../layout";

let current: usize = 0;
let scratchBytes: usize = 0;

/** Bytes of this instance for what a function works out and forgets; each user has its own place (SCRATCH_*). */
@inline export function scratch(place: usize): usize {
  return scratchBytes + place;
}
export function setScratch(at: usize): void {
  scratchBytes = at;
}

/** conntrack.ts: two tuples. */
export const SCRATCH_TRACK: usize = 0;
/** nat.ts: a tuple; four tuples; two ranges. */
export const SCRATCH_NAT_PACKET: usize = 32;
export const SCRATCH_NAT_SETUP: usize = 64;
export const SCRATCH_NAT_BINDING: usize = 128;
export const SCRATCH_NAT_TARGET: usize = 160;
/** An address of IPv6; the range and address of a target of IPv6 take the 48 bytes from SCRATCH_NAT_TARGET on. */
export const SCRATCH_NAT_ADDRESS: usize = 208;
/** index.ts: links of the connections of a burst of frames, 4 bytes each. */
export const SCRATCH_BURST: usize = 256;
export const BURST: u32 = 64;
/** net/flow.ts: the counters of the packet that is being recorded, 4 bytes each. */
export const SCRATCH_FLOW: usize = 512;

/** The node that `enter` selected. */
@inline export function node(): Node {
  return changetype<Node>(current);
}

export function setNode(at: usize): void {
  current = at;
}

/** Charges `ns` of the node's CPU: its clock moves on. */
@inline export function charge(ns: u32): void {
  const n = changetype<Node>(current);
  n.now += <u64>ns;
}
