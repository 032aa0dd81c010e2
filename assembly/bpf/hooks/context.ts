// struct __sk_buff and struct xdp_md as programs see them (include/uapi/linux/bpf.h; net/core/filter.c, bpf_convert_ctx_access and
// xdp_convert_ctx_access). The words that a program uses are written before it runs and read back afterwards; nothing of what a
// program left there is believed but plain numbers.
import { NetDevice, Skb } from "../../layout";
import { be16 } from "../../wire/bytes";
import { Socket, localPort, remotePort } from "../../sock/socket";
import { raw4 } from "../../wire/bytes";
import { BpfRun, RUN_SKB } from "../run";
import { HR_INGRESS, HR_LWT, HR_TEST, HookRun, KEYS_AT } from "./state";
import { sockFamily, sockView } from "./sock-view";

// Words of struct __sk_buff
const LEN: u64 = 1 << 0, PKT_TYPE: u64 = 1 << 1, MARK: u64 = 1 << 2, QUEUE: u64 = 1 << 3, PROTOCOL: u64 = 1 << 4, VLAN: u64 = 7 << 5;
const PRIORITY: u64 = 1 << 8, IIF: u64 = 1 << 9, IFINDEX: u64 = 1 << 10, TC_INDEX: u64 = 1 << 11, CB: u64 = 31 << 12, HASH: u64 = 1 << 17;
const CLASSID: u64 = 1 << 18, DATA: u64 = 1 << 19, DATA_END: u64 = 1 << 20, SOCKET: u64 = 0x1fff << 22, META: u64 = <u64>1 << 35;
const KEYS: u64 = <u64>3 << 36, TSTAMP: u64 = <u64>3 << 38, WIRE_LEN: u64 = <u64>1 << 40, GSO_SEGS: u64 = <u64>1 << 41, SK: u64 = <u64>3 << 42;
const TSTAMP_TYPE: u64 = <u64>1 << 45;
/** All but the packet's bounds, its length and protocol, which most programs look at. */
const RARE: u64 = ~(LEN | PROTOCOL | DATA | DATA_END);

// Skb.tcIndex, upper half
/** The tstamp is a time of delivery (skb->tstamp_type). */
export const SKB_TSTAMP_TYPE: u32 = 0x30000;
/** The packet was sent here by bpf_redirect from an ingress hook (skb->from_ingress). */
export const SKB_FROM_INGRESS: u32 = 0x40000;

/** The whole of struct __sk_buff, and of struct xdp_md. */
export const SKB_CTX_BYTES: u32 = 192;
export const XDP_CTX_BYTES: u32 = 24;

/** skb->protocol as eth_type_trans has it, in host order. */
export function etherProtocol(skb: Skb): u32 {
  const p = skb.protocol;
  if (p >= 0x600 || skb.mac == 0) return p;
  return skb.mac + 16 <= skb.tail && load<u16>(skb.mac, 14) == 0xffff ? 1 : 4; // ETH_P_802_3, ETH_P_802_2
}

/** What an unverified program may touch of the packet. */
@inline function bounds(r: HookRun, skb: Skb, meta: u32): void {
  const run = changetype<BpfRun>(r.run);
  run.packet = skb.data - <usize>meta;
  run.packetEnd = skb.tail;
}

/** Writes the words that the program uses. */
export function skbCtxFill(r: HookRun): void {
  const skb = changetype<Skb>(r.skb), c = r.ctx, f = r.fields;
  store<u32>(c, <u32>(skb.tail - skb.data));
  store<u32>(c, <u32>bswap<u16>(<u16>etherProtocol(skb)), 16);
  store<u32>(c, <u32>skb.data, 76);
  store<u32>(c, <u32>skb.tail, 80);
  bounds(r, skb, skb.metaQueue & 0xff);
  if ((f & RARE) == 0) return;
  if (f & PKT_TYPE) store<u32>(c, skb.pktType & 7, 4);
  if (f & MARK) store<u32>(c, skb.mark, 8);
  if (f & QUEUE) store<u32>(c, skb.metaQueue >>> 16, 12);
  if (f & VLAN) {
    store<u32>(c, skb.vlan != 0 ? 1 : 0, 20);
    store<u32>(c, skb.vlan & 0xffff, 24);
    store<u32>(c, <u32>bswap<u16>(<u16>(skb.vlan >>> 16)), 28);
  }
  if (f & PRIORITY) store<u32>(c, skb.priority, 32);
  if (f & IIF) {
    const from = r.flags & HR_INGRESS ? r.dev : skb.inDev;
    store<u32>(c, r.flags & HR_TEST ? r.iif : from == 0 ? 0 : changetype<NetDevice>(from).ifindex, 36);
  }
  if (f & IFINDEX) store<u32>(c, r.dev == 0 ? 0 : changetype<NetDevice>(r.dev).ifindex, 40);
  if (f & TC_INDEX) store<u32>(c, skb.tcIndex & 0xffff, 44);
  if (f & CB) {
    store<u64>(c, skb.cb0, 48);
    store<u64>(c, skb.cb1, 56);
    store<u32>(c, <u32>skb.cb2, 64);
  }
  if (f & HASH) store<u32>(c, skb.hash, 68);
  if (f & CLASSID) store<u32>(c, r.classid, 72);
  store<u32>(c, 0, 84); // napi_id
  if (f & SOCKET) fillSocket(r, c);
  store<u32>(c, <u32>(skb.data - <usize>(skb.metaQueue & 0xff)), 140);
  if (f & KEYS) store<u64>(c, <u64>(changetype<usize>(r) + KEYS_AT), 144);
  if (f & TSTAMP) store<u64>(c, skb.tstamp, 152);
  store<u32>(c, r.wireLen, 160);
  store<u32>(c, 0, 164);
  if (f & SK) store<u64>(c, r.sock == 0 ? 0 : <u64>sockView(r, r.sock), 168);
  store<u32>(c, 0, 176);
  if (f & TSTAMP_TYPE) store<u32>(c, skb.tcIndex >>> 16 & 3, 180);
  store<u64>(c, 0, 184);
}

/** family, addresses and ports of the packet's socket. */
function fillSocket(r: HookRun, c: usize): void {
  memory.fill(c + 88, 0, 52);
  if (r.sock == 0) return;
  const sk = changetype<Socket>(r.sock);
  const family = sockFamily(r.sock);
  store<u32>(c, family, 88);
  store<u32>(c, raw4(sk.remoteLo), 92);
  store<u32>(c, raw4(sk.localLo), 96);
  if (family == 10) {
    store<u64>(c, sk.remoteHi, 100);
    store<u64>(c, sk.remoteLo, 108);
    store<u64>(c, sk.localHi, 116);
    store<u64>(c, sk.localLo, 124);
  }
  store<u32>(c, <u32>bswap<u16>(<u16>remotePort(sk)) << 16, 132);
  store<u32>(c, localPort(sk), 136);
}

/** Takes over what the program may have written. */
export function skbCtxStore(r: HookRun): void {
  const skb = changetype<Skb>(r.skb), c = r.ctx, f = r.fields;
  if ((f & RARE) == 0) return;
  if (f & MARK) skb.mark = load<u32>(c, 8);
  if (f & QUEUE) skb.metaQueue = (skb.metaQueue & 0xffff) | load<u32>(c, 12) << 16;
  if (f & PRIORITY) skb.priority = load<u32>(c, 32);
  if (f & TC_INDEX) skb.tcIndex = (skb.tcIndex & 0xffff0000) | (load<u32>(c, 44) & 0xffff);
  if (f & CB) {
    skb.cb0 = load<u64>(c, 48);
    skb.cb1 = load<u64>(c, 56);
    skb.cb2 = (skb.cb2 & ~<u64>0xffffffff) | <u64>load<u32>(c, 64);
  }
  if (f & CLASSID) r.classid = load<u32>(c, 72);
  if (f & TSTAMP) skb.tstamp = load<u64>(c, 152);
}

/** The packet's bytes moved, or a helper changed a field. */
export function skbCtxRefresh(r: HookRun): void {
  skbCtxFill(r);
}

/** Writes struct xdp_md from the packet. */
export function xdpCtxFill(r: HookRun): void {
  const skb = changetype<Skb>(r.skb), c = r.ctx;
  store<u32>(c, <u32>skb.data);
  store<u32>(c, <u32>skb.tail, 4);
  store<u32>(c, <u32>(skb.data - <usize>r.meta), 8);
  store<u32>(c, r.dev == 0 ? 0 : changetype<NetDevice>(r.dev).ifindex, 12);
  store<u32>(c, r.word0, 16); // rx_queue_index
  store<u32>(c, r.egress, 20);
  bounds(r, skb, r.meta);
}

/** The protocol of a frame: what its Ethernet header says. */
export function frameProtocol(skb: Skb): u32 {
  return be16(skb.data, 12);
}

@inline export function isLwt(r: HookRun): bool {
  return (r.flags & HR_LWT) != 0;
}
