// The driver's requests about links, addresses, routes, neighbours and sysctls (what rtnetlink does).
import { ENOENT } from "../abi/core";

/** `op` is one of NET_* (abi/net.ts); the record stands at `record`, the answer replaces it. */
export function netCommand(op: u32, record: usize, length: u32): i32 {
  return -ENOENT;
}

/** A frame of the underlay arrives at the NIC `ifindex` of the initial namespace. */
export function nicDeliver(ifindex: u32, frame: usize, length: u32): i32 {
  return -ENOENT;
}
