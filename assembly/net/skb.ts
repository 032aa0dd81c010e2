// Packet buffers. One allocation holds the fields and the bytes; a full pool is an error for the caller to count.
import { DROP_NO_MEMORY, PACKET_HOST } from "../abi/net";
import { TRACE_CONSUME_SKB, TRACE_KFREE_SKB } from "../abi/bpf-trace";
import { traceDrop, tracePacket, watched } from "../bpf/hooks/tracing";
import { FULL } from "../features";
import { Netns, NetDevice, Node, Skb, SKB_BYTES, SKB_HEAD, SKB_HEADROOM } from "../layout";
import { node } from "../mm/node";
import { clearBytes, copyBytes } from "../mm/copy";
import { SLAB_384, SLAB_512, kfree, kfree512, kmalloc, kmalloc512, kmallocRaw } from "../mm/slab";
import { nfSkbReset } from "../netfilter/hooks";
import { observeDrop } from "../trace/observe";
import { flowForget } from "./flow";

/** Free bytes behind every packet: what a TCP option takes that a rule puts in. */
const TAILROOM: u32 = 16;

/** A packet with `headroom` free bytes before `data` and room for `room` bytes behind it; null (0) when the pool is full. */
export function skbAlloc(room: u32, headroom: u32 = <u32>SKB_HEADROOM): Skb {
  const n = node();
  const size = <u32>SKB_BYTES + headroom + room + TAILROOM;
  if (n.skbCount >= n.skbMax) return changetype<Skb>(0);
  const at = size <= SLAB_512 && size > SLAB_384 ? kmalloc512() : kmallocRaw(size);
  if (at == 0) return changetype<Skb>(0);
  clearBytes(at, offsetof<Skb>() + 15 & ~15);
  n.skbCount++;
  const skb = changetype<Skb>(at);
  skb.size = size;
  skb.data = at + SKB_BYTES + <usize>headroom;
  skb.tail = skb.data;
  skb.end = skb.data + <usize>(room + TAILROOM);
  skb.id = ++n.skbNext;
  return skb;
}

/** `pktType` of a packet of which only the first SKB_HEAD bytes of the fields are cleared. */
export const PACKET_BARE: u32 = 0xff;

/**
 * A packet for a received frame of `length` bytes: bare, until skbComplete. Its IP header begins a cache line. Null (0) when the pool is
 * full.
 */
@inline export function skbAllocBare(n: Node, length: u32): Skb {
  const size = <u32>(SKB_BYTES + SKB_HEADROOM) + 2 + length + TAILROOM;
  if (n.skbCount >= n.skbMax) return changetype<Skb>(0);
  const at = size <= SLAB_512 && size > SLAB_384 ? kmalloc512() : kmallocRaw(size);
  if (at == 0) return changetype<Skb>(0);
  clearBytes(at, SKB_HEAD);
  n.skbCount++;
  const skb = changetype<Skb>(at);
  skb.size = size;
  skb.pktType = PACKET_BARE;
  // ETH_HEADER_LEN bytes behind it the 64 begin anew.
  skb.data = at + SKB_BYTES + SKB_HEADROOM + 2;
  skb.tail = skb.data + <usize>length;
  skb.end = at + <usize>size;
  skb.id = ++n.skbNext;
  return skb;
}

/** Makes a bare packet one like any other. */
export function skbComplete(skb: Skb): void {
  clearBytes(changetype<usize>(skb) + SKB_HEAD, (offsetof<Skb>() + 15 & ~15) - SKB_HEAD);
  skb.pktType = PACKET_HOST;
}

/** Gives a packet back, without a word about why: delivered, or its drop was counted. */
export function skbFree(skb: Skb): void {
  if (FULL && watched(TRACE_CONSUME_SKB)) tracePacket(TRACE_CONSUME_SKB, skb, skb.dev == 0 ? changetype<Netns>(0) : changetype<Netns>(changetype<NetDevice>(skb.dev).ns), 0);
  release(skb);
}

function release(skb: Skb): void {
  if (skb.nfct != 0) nfSkbReset(skb);
  if (skb.fragLengths != 0) kfree(skb.fragLengths, load<u32>(skb.fragLengths));
  node().skbCount--;
  skbRelease(skb);
}

function skbRelease(skb: Skb): void {
  if (skb.size <= SLAB_512 && skb.size > SLAB_384) kfree512(changetype<usize>(skb));
  else kfree(changetype<usize>(skb), skb.size);
}

/** Counts the drop in the namespace, tells the observer, and gives the packet back. `reason`: DROP_* of abi/net.ts. */
export function skbDrop(skb: Skb, ns: Netns, dev: usize, reason: u32): void {
  const counter = ns.drops + (<usize>reason << 3);
  store<u64>(counter, load<u64>(counter) + 1);
  observeDrop(skb, changetype<usize>(ns), dev, reason);
  if (FULL && watched(TRACE_KFREE_SKB)) traceDrop(skb, ns, reason);
  release(skb);
}

/** Bytes from `data` on. */
@inline export function skbLength(skb: Skb): u32 {
  return <u32>(skb.tail - skb.data);
}

/** Makes `bytes` room before the data and returns the new start. The caller knows the headroom, or asked skbRoom. */
@inline export function skbPush(skb: Skb, bytes: u32): usize {
  skb.data -= <usize>bytes;
  return skb.data;
}

/** Takes `bytes` off the front. */
@inline export function skbPull(skb: Skb, bytes: u32): usize {
  skb.data += <usize>bytes;
  return skb.data;
}

/** Free bytes before the data. */
@inline export function skbHeadroom(skb: Skb): u32 {
  return <u32>(skb.data - changetype<usize>(skb) - SKB_BYTES);
}

/** A copy with its own bytes and the same journey id, with at least `headroom` free bytes; null (0) when the pool is full. */
export function skbCopy(skb: Skb, headroom: u32 = <u32>SKB_HEADROOM): Skb {
  const length = skbLength(skb);
  const copy = skbAlloc(length, headroom);
  if (changetype<usize>(copy) == 0) return copy;
  const shift = copy.data - skb.data;
  copyBytes(copy.data, skb.data, <usize>length);
  copy.tail = copy.data + <usize>length;
  copy.id = skb.id;
  if (skb.mac != 0) copy.mac = skb.mac + shift;
  if (skb.network != 0) copy.network = skb.network + shift;
  if (skb.transport != 0) copy.transport = skb.transport + shift;
  copy.dev = skb.dev;
  copy.inDev = skb.inDev;
  copy.protocol = skb.protocol;
  copy.pktType = skb.pktType;
  copy.mark = skb.mark;
  copy.priority = skb.priority;
  copy.hops = skb.hops;
  copy.vlan = skb.vlan;
  if (FULL) {
    copy.hash = skb.hash;
    copy.tunnel = skb.tunnel;
    copy.tcIndex = skb.tcIndex;
    copy.metaQueue = skb.metaQueue & 0xffff0000;
  }
  copy.nextHeader = skb.nextHeader;
  copy.fragHeader = skb.fragHeader;
  copy.fragOffset = skb.fragOffset;
  return copy;
}

/** What `from` was put together of, for a copy that is to leave in the same pieces. Without memory the copy goes as one. */
export function skbCopyPieces(from: Skb, to: Skb): void {
  to.fragMax = from.fragMax;
  to.ipFlags = from.ipFlags;
  if (from.fragLengths == 0) return;
  const bytes = load<u32>(from.fragLengths);
  to.fragLengths = kmalloc(bytes);
  if (to.fragLengths != 0) memory.copy(to.fragLengths, from.fragLengths, <usize>bytes);
}

/** The route of `from`, for a packet that goes the same way. */
export function skbCopyRoute(from: Skb, to: Skb): void {
  to.rtType = from.rtType;
  to.rtFlags = from.rtFlags;
  to.rtDev = from.rtDev;
  to.rtMtu = from.rtMtu;
  to.rtGatewayHi = from.rtGatewayHi;
  to.rtGatewayLo = from.rtGatewayLo;
}

/**
 * The packet with at least `bytes` free before the data: itself, or itself in a larger buffer, with all that belongs to it. Null
 * (0): no memory, and the packet was dropped, counted at `dev`.
 */
export function skbEnsureHeadroom(skb: Skb, bytes: u32, dev: NetDevice): Skb {
  if (skbHeadroom(skb) >= bytes) return skb;
  const length = skbLength(skb);
  const larger = skbAlloc(length, <u32>SKB_HEADROOM);
  if (changetype<usize>(larger) == 0) {
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_NO_MEMORY);
    return larger;
  }
  const size = larger.size, data = larger.data, end = larger.end;
  memory.copy(changetype<usize>(larger), changetype<usize>(skb), SKB_BYTES);
  larger.size = size;
  larger.data = data;
  larger.end = end;
  larger.tail = data + <usize>length;
  memory.copy(data, skb.data, <usize>length);
  const shift = data - skb.data;
  larger.mac = 0;
  if (skb.network != 0) larger.network = skb.network + shift;
  if (skb.transport != 0) larger.transport = skb.transport + shift;
  node().skbCount--;
  skbRelease(skb);
  return larger;
}

/**
 * The packet with `bytes` from its network header on, whatever they are, and all that stands before them: itself, or itself in a larger
 * buffer. Null (0): no memory, nothing has changed.
 */
export function skbResize(skb: Skb, bytes: u32): Skb {
  if (skb.network + <usize>bytes <= skb.end) {
    skb.tail = skb.network + <usize>bytes;
    return skb;
  }
  const head = changetype<usize>(skb) + SKB_BYTES;
  const larger = skbAlloc(bytes, <u32>(skb.network - head));
  if (changetype<usize>(larger) == 0) return larger;
  const size = larger.size, network = larger.data, end = larger.end, shift = network - skb.network;
  memory.copy(changetype<usize>(larger), changetype<usize>(skb), skb.network - changetype<usize>(skb));
  larger.size = size;
  larger.end = end;
  larger.tail = network + <usize>bytes;
  larger.network = network;
  larger.data += shift;
  if (skb.mac != 0) larger.mac += shift;
  if (skb.transport != 0) larger.transport += shift;
  node().skbCount--;
  skbRelease(skb);
  return larger;
}

/**
 * The packet with at least `headroom` free bytes before the data and `tailroom` behind it: itself, or itself in a larger buffer with all
 * that belongs to it (pskb_expand_head). Null (0): no memory, nothing has changed.
 */
export function skbExpand(skb: Skb, headroom: u32, tailroom: u32): Skb {
  if (skbHeadroom(skb) >= headroom && <u32>(skb.end - skb.tail) >= tailroom) return skb;
  // Metadata of programs stands before the data.
  const length = skbLength(skb), meta = skb.metaQueue & 0xff;
  const larger = skbAlloc(length + tailroom, max<u32>(headroom + meta, <u32>SKB_HEADROOM) + 15 & ~15);
  if (changetype<usize>(larger) == 0) return larger;
  flowForget();
  const size = larger.size, data = larger.data, end = larger.end, shift = data - skb.data;
  memory.copy(changetype<usize>(larger), changetype<usize>(skb), SKB_BYTES);
  larger.size = size;
  larger.data = data;
  larger.end = end;
  larger.tail = data + <usize>length;
  // Headers may stand before the data.
  const before = min<u32>(skbHeadroom(skb), <u32>(data - changetype<usize>(larger) - SKB_BYTES));
  memory.copy(data - <usize>before, skb.data - <usize>before, <usize>(before + length));
  if (skb.mac != 0) larger.mac = skb.mac + shift;
  if (skb.network != 0) larger.network = skb.network + shift;
  if (skb.transport != 0) larger.transport = skb.transport + shift;
  node().skbCount--;
  skbRelease(skb);
  return larger;
}

/**
 * What goes on to another device of the host leaves its connection and route behind, and, where that device is in another
 * namespace, its mark too (skb_scrub_packet).
 */
export function skbScrub(skb: Skb, dev: NetDevice): void {
  nfSkbReset(skb);
  if (skb.dev == 0 || changetype<NetDevice>(skb.dev).ns != dev.ns) skb.mark = 0;
  skb.priority = 0;
  skb.ipFlags = 0;
  skb.fragMax = 0;
  skb.bridgeDev = 0;
  skb.physIn = 0;
  skb.physOut = 0;
  skb.pktType = PACKET_HOST;
  skb.rtDev = 0;
  skb.rtType = 0;
  skb.sock = 0;
  skb.inDev = 0;
  skb.network = 0;
  skb.transport = 0;
  if (FULL) {
    skb.metaQueue = 0;
    skb.tunnel = 0;
    skb.tcIndex = 0;
  }
  skb.dev = changetype<usize>(dev);
}
