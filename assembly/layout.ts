// The memory, and the structures that more than one subsystem looks into. Structures that one subsystem alone uses
// stand in that subsystem's folder.
//
//   Region         From        Size          Written by
//   null page      0x00000     0x400         nobody: address 0 is "none"
//   BOOT           0x00400     0x3C00        the first instance, once; counters by atomics
//   NODE TABLE     0x04000     0xC000        node_create, node_destroy (under the boot lock)
//   chunks         0x10000     to the end    mm/chunk.ts: 16 KiB << order each
//
// Everything else lives in chunks: arenas (one per node), mailboxes (one per instance). No static data: the module
// has no data segment and no start function, so that many instances share one memory.

/** Bytes of the smallest chunk. */
export const CHUNK_BYTES: usize = 16384;

export const BOOT_MAGIC_AT: usize = 0x400; // u32: BOOT_MAGIC once boot() ran
export const BOOT_LOCK_AT: usize = 0x404; // u32: spin lock of the chunk allocator and the node table
export const BOOT_NEXT_AT: usize = 0x408; // u32: first byte never handed out
export const BOOT_FREE_AT: usize = 0x440; // u32[16]: free chunks by order
export const BOOT_MAGIC: u32 = 0x6b775231; // "kwR1"

export const NODE_TABLE_AT: usize = 0x4000; // {u32 Node, u32 generation}[NODES_MAX]
export const NODES_MAX: u32 = 6144;
export const CHUNKS_AT: usize = 0x10000;

/** Size classes of the arena allocator, in bytes (mm/slab.ts). */
export const SLAB_CLASSES: u32 = 13;

/** One kernel: the arena of one node. */
@unmanaged export class Node {
  handle: u32;
  /** OBSERVE_* flags. */
  observe: u32;
  /** Nanoseconds since the cluster began, moved on by work. */
  now: u64;
  // xoshiro128** state (mm/rng.ts)
  rng0: u32; rng1: u32; rng2: u32; rng3: u32;

  // mm/slab.ts: free slots by class, and all chunks of the arena for node_destroy
  slab0: usize; slab1: usize; slab2: usize; slab3: usize; slab4: usize; slab5: usize;
  slab6: usize; slab7: usize; slab8: usize; slab9: usize; slab10: usize; slab11: usize;
  slab12: usize;
  chunks: usize;
  bytesUsed: u64;
  bytesTaken: u64;

  // mm/handle.ts
  handles: usize; handlesMax: u32; handlesFree: u32; handlesUsed: u32;

  // net/dev.ts: the softirq backlog, a FIFO of Skb
  backlogHead: usize; backlogTail: usize; backlogLength: u32;
  // frames for the underlay, a FIFO of Skb
  outboxHead: usize; outboxTail: usize; outboxLength: u32;

  // mm/timer.ts
  timers: usize;
  jiffies: u64;
  // mm/hrtimer.ts: Hrtimer by time
  hrtimers: usize;
  // net/tap.ts: the last port given
  tapNext: u32;
  /** net/proxy-arp.ts: answers that wait. */
  proxyWaiting: u32;
  /** Is IPv6 on in new namespaces? Not from the start (net/inet6.ts). */
  ipv6: u32;

  // trace/observe.ts
  obsBase: usize; obsSize: u32; obsRead: u32; obsWrite: u32; obsLost: u32;

  // sock/events.ts: sockets whose readiness the driver has not heard of, a FIFO
  eventHead: usize; eventTail: usize;

  // all namespaces, the initial one first
  netns: usize;
  netnsNext: u32;
  /** The next Skb id: what the observer follows a packet by. */
  skbNext: u32;
  skbCount: u32;
  skbMax: u32;

  // One pointer per subsystem for state that spans namespaces, owned by that subsystem.
  conntrack: usize;
  flows: usize; // net/flow.ts: programs
  /** Programs of another generation are over; never 0 once there was one. */
  flowGeneration: u32;
  addresses6: usize; // netfilter/address6.ts: addresses of IPv6 by number
  sock: usize;
  /** netfilter/queue.ts: packets that wait and that no program has seen. */
  parked: u32;
  bpf: usize; // bpf/run.ts: BpfState; 0: no program yet
  bpfMaps: usize; // bpf/maps/
  bpfHooks: usize; // bpf/hooks/
  bpfTraces: usize; // bpf/hooks/tracing.ts: Tracing
  /** A bit for each point that a program watches (abi/bpf-trace.ts). */
  traced: u64;
}

/** One network namespace. */
@unmanaged export class Netns {
  next: usize; // Netns of the node
  handle: u32;
  /** Counts from 0 in order of creation: what observation records name. */
  id: u32;
  devices: usize; // NetDevice list by ifindex
  ifindexNext: u32;
  loopback: usize;
  fib: usize; // net/fib.ts
  neighbours: usize; // net/neighbour.ts
  netfilter: usize; // netfilter/
  sock: usize; // sock/: bound ports and established connections
  sysctls: usize; // net/sysctl.ts: i32 by SYSCTL_* number
  confAll: usize; // net/sysctl.ts: i32 by CONF_* number, net.ipv4.conf.all
  confDefault: usize; // net.ipv4.conf.default
  snmp: usize; // net/snmp.ts: u64 by SNMP_* number
  rules: usize; // net/rules.ts, by preference
  scratch: usize; // net/route.ts: a Route, read at once
  vxlans: usize; // net/vxlan.ts: the VXLAN devices that listen here
  tunnels: usize; // net/tunnel.ts: the other tunnels whose outer packets live here
  peers: usize; // net/peers.ts: rate limits by host
  fragments: usize; // net/ip-defrag.ts: queues by datagram
  fragmentBytes: u32;
  /** The next IP id of packets that may be fragmented. */
  ipId: u32;
  icmpCredit: u32; icmpStamp: u64;
  drops: usize; // u64 by DROP_* number
  /** Generations that caches depend on (routes, addresses, rules). */
  routeGeneration: u32;
  /** Rules and routes whose choice depends on more than addresses, devices and mark, and redirects: decisions are not remembered. */
  routeMore: u32;
  redirectsHeard: u32; // net/peers.ts: 1 once there was one
  flowSeed: u32; chosen: usize; // net/multipath.ts: FibEntry, read at once
  ruleGeneration: u32;
  routes: usize; // net/route.ts: decisions found before, once the namespace forwards
  inet6: usize; // net/inet6.ts: Netns6; 0: a kernel without IPv6
  rules6: usize; // the rules of IPv6, as rules
  bpf: usize; // bpf/hooks/netns.ts: NetnsBpf, what is attached to the namespace; 0: nothing
}

/** One network device. Kind-specific state hangs on `priv`. */
@unmanaged export class NetDevice {
  next: usize; // NetDevice of the namespace
  ns: usize; // Netns
  ifindex: u32;
  kind: u32; // DEV_* (abi/net.ts)
  up: u32;
  mtu: u32;
  mac0: u32; // first four bytes as they stand in a frame (little-endian load)
  mac1: u32; // last two bytes
  name0: u64; name1: u64; // IFNAMSIZ bytes
  peer: usize; // NetDevice: veth
  master: usize; // NetDevice: the bridge this is a port of
  portNext: usize; // NetDevice: the bridge's next port
  priv: usize;
  conf: usize; // net/sysctl.ts: i32 by CONF_* number
  confSet: u32; // bit by CONF_* number: no longer follows conf.default
  reachable: u32; // net/neighbour.ts: jiffies for which a neighbour counts as reachable
  addresses: usize; // net/address.ts list
  neighbour: usize; // net/neighbour.ts: the one found last, 0: look it up
  portFlags: u32; // BRPORT_* (abi/net.ts)
  portNumber: u32;
  rxPackets: u64; rxBytes: u64; rxDropped: u64;
  txPackets: u64; txBytes: u64; txDropped: u64;
  flags: u32; // IFF_* (abi/net.ts) beside "up"
  lower: usize; // NetDevice: the one that this stands on
  uppers: usize; // NetDevice by upperNext: those that stand on this
  upperNext: usize;
  rxHandler: u32; // DEV_MACVLAN or DEV_IPVLAN: the kind of the uppers that take what this receives
  qdisc: usize; // net/sched/qdisc.ts: Qdisc, 0: noqueue
  ingress: usize; // net/sched/filter.ts: Filter list of the ingress hook; 0: none
  vlans: usize; // net/bridge-vlan.ts: VlanTable of a bridge port or a bridge
  inet6: usize; // net/inet6.ts: Inet6Dev; 0: no IPv6
  bpf: usize; // bpf/hooks/device.ts: DeviceBpf, what is attached to the device; 0: nothing
}

/**
 * A packet. The buffer follows the structure; `data` and `tail` move in it. `network` and `transport` are addresses of
 * the L3 and L4 headers, valid once set by the receive path or the builder.
 *
 *   skb │ SKB_BYTES of fields │ headroom … data ├── bytes ──┤ tail … end
 *
 * The fields before `mac` are all that a queue looks at: a frame that a NIC receives has only them cleared until it is known to
 * need more (net/skb.ts, skbAllocBare).
 */
@unmanaged export class Skb {
  next: usize; // queue link
  size: u32; // bytes of the whole allocation
  id: u32; // journey: kept by clones, encapsulation and reassembly
  data: usize;
  tail: usize;
  end: usize;
  dev: usize; // NetDevice it came in by or goes out of
  pktType: u32; // PACKET_* (abi/net.ts)
  tstamp: u64;
  /** Devices passed: a bound on loops between devices. */
  hops: u32;
  nfct: usize; // netfilter/conntrack entry
  fragLengths: usize; // net/ip-defrag.ts: lengths of the fragments it was put together from, to be sent in the same pieces
  /** IP's notes on this packet: IPSKB_* of net/ip-input.ts. */
  ipFlags: u32;
  /** An 802.1Q tag that was taken off the bytes, or is to be put there: TPID << 16 | TCI; 0: none. */
  vlan: u32;
  ctinfo: u32;

  mac: usize; // Ethernet header, 0: none
  network: usize;
  transport: usize;
  inDev: usize; // NetDevice of arrival, for hooks after routing (0: locally made)
  protocol: u32; // ethertype in host order
  mark: u32;
  priority: u32;
  // routing decision (net/route.ts)
  rtType: u32; rtFlags: u32;
  rtDev: usize; rtMtu: u32;
  rtGatewayHi: u64; rtGatewayLo: u64; // next hop, 16 bytes in network order
  sock: usize; // sock/ socket that sent it
  nfFlags: u32; // netfilter/: traced, bridged, …
  fragMax: u32; // length of the longest fragment it was put together from, 0: none
  bridgeDev: usize; // NetDevice: the port by which a bridged packet came in
  physIn: u32; // ifindex of the port by which it passed PREROUTING as a frame, 0: it did not (struct nf_bridge_info)
  physOut: u32; // ifindex of the port it is about to leave by, 0: not known
  ctZone: u32; // of the template that CT made: zone of the original direction | of replies << 16
  ctTemplate: u32; // helper | CTT_* << 8 | bit 31: there is one
  /** Where a bridged frame was going before PREROUTING changed it (nf_bridge_info.ipv4_daddr). */
  bridgeDaddr: u32;
  cb0: u64; cb1: u64; cb2: u64; cb3: u64; // scratch of whoever owns the packet now
  /** IPv6: the protocol behind all extension headers, as net/ip6-ext.ts found it (NEXTHDR_BAD: their chain is broken). */
  nextHeader: u32;
  /** IPv6: where its fragment header stands, from `network` on; 0: none. */
  fragHeader: u32;
  /** IPv6: offset and IP6_MF of the fragment header, host order. */
  fragOffset: u32;
  /** IPv6: where the "next header" field stands, from `network` on, that the header at `transport` was named by (IP6CB nhoff). */
  nhoff: u32;
  hash: u32; // 0: not worked out
  /** For programs: bytes of metadata before the frame | queue mapping << 16. */
  metaQueue: u32;
  tunnel: u32; // bpf/hooks/tunnel.ts: number of the tunnel's metadata, 0: none
  /** tc_index | bits of bpf/hooks/context.ts << 16 */
  tcIndex: u32;
}

/** Bytes of the fields that a queue looks at. */
export const SKB_HEAD: usize = 64;
/** Bytes of the fields, rounded so that the buffer is 16-byte aligned. */
export const SKB_BYTES: usize = 240;
export const SKB_HEADROOM: usize = 128;
