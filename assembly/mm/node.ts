// The current node: an instance works for one arena at a time. The globals are caches, nothing else.
import { Node } from "../layout";

let current: usize = 0;

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
