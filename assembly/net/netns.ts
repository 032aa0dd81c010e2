// Network namespaces: creation, look-up, end.
import { DEV_LOOPBACK, DROPS_MAX, SNMP_MAX } from "../abi/net";
import { netnsBpfExit } from "../bpf/hooks/netns";
import { FULL } from "../features";
import { Netns, Node } from "../layout";
import { HANDLE_NETNS, handleFree, handleGet, handleNew } from "../mm/handle";
import { node } from "../mm/node";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { nfNetnsExit, nfNetnsInit } from "../netfilter/hooks";
import { sockNetnsExit, sockNetnsInit } from "../sock/receive";
import { deviceNew, devicesExit } from "./devices";
import { fibExit, fibInit } from "./fib";
import { icmpInit } from "./icmp";
import { fragFlush } from "./ip-defrag";
import { inet6Exit, inet6Init } from "./inet6";
import { frag6Flush } from "./ip6-frag";
import { proxiesForget } from "./ndisc-proxy";
import { multipathExit } from "./multipath";
import { neighExit, neighInit } from "./neighbour";
import { peersExit } from "./peers";
import { Route, routesExit } from "./route";
import { sysctlExit, sysctlInit } from "./sysctl";

const LOOPBACK_MTU: u32 = 65536;
/** A Route, and behind it up to 40 bytes of IP options. */
const SCRATCH_BYTES: u32 = <u32>offsetof<Route>() + 40;

/** The namespace behind a handle, or null (0). */
export function netnsGet(handle: u32): Netns {
  return changetype<Netns>(handleGet(HANDLE_NETNS, handle));
}

/** A new namespace with a loopback device (down, as Linux leaves it); null (0) when there is no memory. */
export function netnsCreate(): Netns {
  const n = node();
  const at = kmalloc(<u32>offsetof<Netns>());
  if (at == 0) return changetype<Netns>(0);
  const ns = changetype<Netns>(at);
  ns.ifindexNext = 1;
  ns.ipId = random32() & 0xffff;
  ns.flowSeed = ns.ipId * 0x9e3779b1;
  if (!fill(ns)) {
    if (ns.loopback != 0) devicesExit(ns);
    release(ns);
    return changetype<Netns>(0);
  }
  ns.id = n.netnsNext++;
  if (n.netns == 0) {
    n.netns = at;
  } else {
    let last = changetype<Netns>(n.netns);
    while (last.next != 0) last = changetype<Netns>(last.next);
    last.next = at;
  }
  return ns;
}

/** Everything a namespace has from the start; false: no memory. */
function fill(ns: Netns): bool {
  ns.drops = kmalloc(DROPS_MAX << 3);
  ns.snmp = kmalloc(SNMP_MAX << 3);
  ns.scratch = kmalloc(SCRATCH_BYTES);
  if (ns.drops == 0 || ns.snmp == 0 || ns.scratch == 0 || !sysctlInit(ns) || (FULL && !inet6Init(ns)) || !neighInit(ns) || !fibInit(ns)) return false;
  ns.handle = handleNew(HANDLE_NETNS, changetype<usize>(ns));
  if (ns.handle == 0) return false;
  icmpInit(ns);
  const name = kmalloc(16);
  if (name == 0) return false;
  store<u16>(name, 0x6f6c); // "lo"
  ns.loopback = deviceNew(ns, DEV_LOOPBACK, name, LOOPBACK_MTU, true, 0, 0);
  kfree(name, 16);
  return ns.loopback != 0 && nfNetnsInit(ns) && sockNetnsInit(ns);
}

/** Ends a namespace that is not the node's first: sockets, devices, tables. */
export function netnsDelete(ns: Netns): void {
  const n = node();
  let link = changetype<usize>(n) + offsetof<Node>("netns");
  while (load<u32>(link) != 0 && <usize>load<u32>(link) != changetype<usize>(ns)) link = <usize>load<u32>(link);
  if (load<u32>(link) != 0) store<u32>(link, <u32>ns.next);
  sockNetnsExit(ns);
  devicesExit(ns);
  fragFlush(ns, 0);
  if (FULL) {
    frag6Flush(ns, 0);
    proxiesForget(ns, 0);
  }
  nfNetnsExit(ns);
  release(ns);
}

function release(ns: Netns): void {
  if (ns.handle != 0) handleFree(ns.handle);
  fibExit(ns);
  if (FULL) {
    multipathExit(ns);
    inet6Exit(ns);
    netnsBpfExit(ns);
  }
  neighExit(ns);
  peersExit(ns);
  routesExit(ns);
  sysctlExit(ns);
  kfree(ns.drops, DROPS_MAX << 3);
  kfree(ns.snmp, SNMP_MAX << 3);
  kfree(ns.scratch, SCRATCH_BYTES);
  kfree(changetype<usize>(ns), <u32>offsetof<Netns>());
}
