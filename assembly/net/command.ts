// The driver's requests about links, addresses, routes, neighbours and sysctls (what rtnetlink does).
import { ENOENT, ENOMEM } from "../abi/core";
import { NET_NETNS_ADD, NET_NETNS_HOST } from "../abi/net";
import { Netns } from "../layout";
import { node } from "../mm/node";
import { netnsCreate } from "./netns";

/** `op` is one of NET_* (abi/net.ts); the record stands at `record`, the answer replaces it. */
export function netCommand(op: u32, record: usize, length: u32): i32 {
  if (op == NET_NETNS_HOST) return <i32>changetype<Netns>(node().netns).handle;
  if (op == NET_NETNS_ADD) {
    const ns = netnsCreate();
    return changetype<usize>(ns) == 0 ? -ENOMEM : <i32>ns.handle;
  }
  return -ENOENT;
}

/** A frame of the underlay arrives at the NIC `ifindex` of the initial namespace. */
export function nicDeliver(ifindex: u32, frame: usize, length: u32): i32 {
  return -ENOENT;
}
