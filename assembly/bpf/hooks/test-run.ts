// BPF_PROG_TEST_RUN (net/bpf/test_run.c): a packet made of bytes, a context made of the caller's, one program, and both back. Nothing
// leaves: a redirect is only an answer.
import { EINVAL, ENODEV, ENOMEM } from "../../abi/core";
import { NetDevice, Netns, Skb } from "../../layout";
import { node } from "../../mm/node";
import { deviceFind } from "../../net/devices";
import { skbAlloc, skbFree, skbLength } from "../../net/skb";
import { PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST } from "../../abi/net";
import { be16 } from "../../wire/bytes";
import { ETH_HEADER_LEN, EthernetView, macIsBroadcast, macIsGroup } from "../../wire/ethernet";
import { XDP_FRAME, XDP_ROOM } from "../helpers/xdp";
import { BpfProg } from "../prog";
import { BpfRun, RUN_SKB, RUN_XDP, bpfGo } from "../run";
import { SKB_CTX_BYTES, XDP_CTX_BYTES, skbCtxFill, skbCtxStore, xdpCtxFill } from "./context";
import { HR_L2, HR_TEST, HookRun, hookEnter, hookLeave, hookSkb, hookState, progFields } from "./state";

const TYPE_SCHED_CLS: u32 = 3, TYPE_SCHED_ACT: u32 = 4, TYPE_CGROUP_SKB: u32 = 8, TYPE_LWT_IN: u32 = 10, TYPE_LWT_XMIT: u32 = 12;
const XDP_DEVMAP: u32 = 33, XDP_CPUMAP: u32 = 35;
const PAGE: u32 = 4096;
/** NET_SKB_PAD, and sizeof(struct skb_shared_info). */
const SKB_PAD: u32 = 64, SHARED_INFO: u32 = 320;

/** What a run left: bytes and context where testRunDone() frees them, or the errno's negative. */
@unmanaged export class TestOut {
  r0: u64;
  fault: u32;
  dataAt: usize; dataLength: u32;
  ctxLength: u32;
  skb: usize;
}

/**
 * A run of an skb's program: `ctx` (192 bytes of struct __sk_buff, or length 0) is changed in place. 0 or -errno. The packet is
 * `out.dataAt` until testRunDone(out).
 */
export function testRunSkb(prog: BpfProg, ns: Netns, ctx: usize, ctxLength: u32, data: usize, length: u32, repeat: u32, flags: u32, out: TestOut): i32 {
  if ((flags & ~<u32>1) != 0) return -EINVAL;
  if (length < ETH_HEADER_LEN || length > PAGE - SKB_PAD - SHARED_INFO) return -EINVAL;
  if (ctxLength > SKB_CTX_BYTES && !zero(ctx, SKB_CTX_BYTES, ctxLength)) return -7; // E2BIG
  const l2 = prog.type == TYPE_SCHED_CLS || prog.type == TYPE_SCHED_ACT;
  let dev = ns.loopback;
  const whole = ctxLength != 0 ? ctxSound(ctx, min<u32>(ctxLength, SKB_CTX_BYTES), length) : 0;
  const ifindex = ctxLength > 40 ? load<u32>(ctx, 40) : 0;
  if (ifindex > 1) {
    dev = deviceFind(ns, ifindex);
    if (dev == 0) return -ENODEV;
  }
  if (whole != 0) return whole;
  if (changetype<usize>(hookState()) == 0) return -ENOMEM;
  const skb = skbAlloc(length, 128);
  if (changetype<usize>(skb) == 0) return -ENOMEM;
  skb.tail = skb.data + <usize>length;
  memory.copy(skb.data, data, <usize>length);
  const r = hookEnter(RUN_SKB, HR_TEST | (l2 ? HR_L2 : 0), changetype<usize>(ns), SKB_CTX_BYTES);
  if (changetype<usize>(r) == 0) {
    skbFree(skb);
    return -ENOMEM;
  }
  hookSkb(r, skb);
  r.dev = dev;
  skb.dev = dev;
  setHeaders(skb, changetype<NetDevice>(dev));
  if (!l2) skb.data += ETH_HEADER_LEN;
  if (ctxLength != 0) {
    skb.mark = word(ctx, ctxLength, 8);
    skb.priority = word(ctx, ctxLength, 32);
    r.iif = word(ctx, ctxLength, 36);
    skb.cb0 = <u64>word(ctx, ctxLength, 48) | <u64>word(ctx, ctxLength, 52) << 32;
    skb.cb1 = <u64>word(ctx, ctxLength, 56) | <u64>word(ctx, ctxLength, 60) << 32;
    skb.cb2 = <u64>word(ctx, ctxLength, 64);
    skb.tstamp = <u64>word(ctx, ctxLength, 152) | <u64>word(ctx, ctxLength, 156) << 32;
  }
  r.wireLen = word(ctx, ctxLength, 160);
  if (r.wireLen == 0) r.wireLen = skbLength(skb);
  r.fields = progFields(changetype<usize>(prog));
  out.r0 = 0;
  for (let i: u32 = 0; i < max<u32>(repeat, 1); i++) {
    skbCtxFill(r);
    out.r0 = bpfGo(changetype<BpfRun>(r.run), prog);
    skbCtxStore(r);
    out.fault = changetype<BpfRun>(r.run).fault;
    if (out.fault != 0) break;
  }
  const after = changetype<Skb>(r.skb);
  if (!l2) {
    after.data -= ETH_HEADER_LEN;
    memory.fill(after.data, 0, ETH_HEADER_LEN);
  }
  if (ctxLength != 0) {
    put(ctx, ctxLength, 8, after.mark);
    put(ctx, ctxLength, 32, after.priority);
    put(ctx, ctxLength, 36, r.iif);
    put(ctx, ctxLength, 40, changetype<NetDevice>(after.dev).ifindex);
    put(ctx, ctxLength, 48, <u32>after.cb0);
    put(ctx, ctxLength, 52, <u32>(after.cb0 >> 32));
    put(ctx, ctxLength, 56, <u32>after.cb1);
    put(ctx, ctxLength, 60, <u32>(after.cb1 >> 32));
    put(ctx, ctxLength, 64, <u32>after.cb2);
    put(ctx, ctxLength, 152, <u32>after.tstamp);
    put(ctx, ctxLength, 156, <u32>(after.tstamp >> 32));
    put(ctx, ctxLength, 160, r.wireLen);
  }
  out.ctxLength = min<u32>(ctxLength, SKB_CTX_BYTES);
  take(out, after, 0);
  hookLeave(r);
  return 0;
}

/** A run of an XDP program: `ctx` (struct xdp_md, or length 0) is changed in place; its `data` bytes in front of the data are metadata. */
export function testRunXdp(prog: BpfProg, ns: Netns, ctx: usize, ctxLength: u32, data: usize, length: u32, repeat: u32, flags: u32, out: TestOut): i32 {
  if (prog.attachType == XDP_DEVMAP || prog.attachType == XDP_CPUMAP) return -EINVAL;
  if ((flags & ~<u32>2) != 0) return -EINVAL;
  if (ctxLength > XDP_CTX_BYTES && !zero(ctx, XDP_CTX_BYTES, ctxLength)) return -7; // E2BIG
  const meta = word(ctx, ctxLength, 0);
  let dev = ns.loopback;
  if (ctxLength != 0) {
    if (word(ctx, ctxLength, 8) != 0 || word(ctx, ctxLength, 4) != length || meta > length) return -EINVAL;
    if ((meta & 3) != 0 || meta > 255) return -EINVAL;
    const ifindex = word(ctx, ctxLength, 12), queue = word(ctx, ctxLength, 16);
    if (word(ctx, ctxLength, 20) != 0 || (ifindex == 0 && queue != 0)) return -EINVAL;
    if (ifindex != 0) {
      dev = deviceFind(ns, ifindex);
      if (dev == 0) return -ENODEV;
      if (queue >= 1) return -EINVAL;
    }
  }
  if (length < ETH_HEADER_LEN || length - meta < ETH_HEADER_LEN || length > 0xffff) return -EINVAL;
  if (changetype<usize>(hookState()) == 0) return -ENOMEM;
  const skb = skbAlloc(length, 256);
  if (changetype<usize>(skb) == 0) return -ENOMEM;
  skb.tail = skb.data + <usize>length;
  memory.copy(skb.data, data, <usize>length);
  skb.data += <usize>meta;
  const r = hookEnter(RUN_XDP, HR_TEST | HR_L2, changetype<usize>(ns), XDP_CTX_BYTES);
  if (changetype<usize>(r) == 0) {
    skbFree(skb);
    return -ENOMEM;
  }
  hookSkb(r, skb);
  r.dev = dev;
  skb.dev = dev;
  r.meta = meta;
  r.room = XDP_ROOM - meta;
  r.limit = XDP_FRAME > length - meta ? XDP_FRAME - (length - meta) : 0;
  out.r0 = 0;
  for (let i: u32 = 0; i < max<u32>(repeat, 1); i++) {
    xdpCtxFill(r);
    out.r0 = bpfGo(changetype<BpfRun>(r.run), prog);
    out.fault = changetype<BpfRun>(r.run).fault;
    if (out.fault != 0) break;
  }
  const after = changetype<Skb>(r.skb);
  if (ctxLength != 0) {
    put(ctx, ctxLength, 0, r.meta);
    put(ctx, ctxLength, 4, r.meta + skbLength(after));
  }
  out.ctxLength = min<u32>(ctxLength, XDP_CTX_BYTES);
  take(out, after, r.meta);
  hookLeave(r);
  return 0;
}

/** Gives the packet of a test run back. */
export function testRunDone(out: TestOut): void {
  if (out.skb != 0) skbFree(changetype<Skb>(out.skb));
  out.skb = 0;
}

function take(out: TestOut, skb: Skb, meta: u32): void {
  out.skb = changetype<usize>(skb);
  out.dataAt = skb.data - <usize>meta;
  out.dataLength = skbLength(skb) + meta;
}

/** eth_type_trans, skb_reset_network_header */
function setHeaders(skb: Skb, dev: NetDevice): void {
  const eth = EthernetView.at(skb.data);
  skb.mac = skb.data;
  skb.network = skb.data + ETH_HEADER_LEN;
  skb.protocol = be16(skb.data, 12);
  if (eth.dst0 == dev.mac0 && eth.dst1 == dev.mac1) skb.pktType = PACKET_HOST;
  else if (macIsGroup(eth.dst0)) skb.pktType = macIsBroadcast(eth.dst0, eth.dst1) ? PACKET_BROADCAST : PACKET_MULTICAST;
  else skb.pktType = PACKET_OTHERHOST;
}

/** convert___sk_buff_to_skb: fields that say nothing have to be zero. */
function ctxSound(ctx: usize, length: u32, bytes: u32): i32 {
  if (!zero(ctx, 0, min<u32>(8, length)) || !zero(ctx, 12, min<u32>(32, length)) || !zero(ctx, 44, min<u32>(48, length))
    || !zero(ctx, 68, min<u32>(80, length)) || !zero(ctx, 84, min<u32>(152, length)) || !zero(ctx, 168, min<u32>(176, length))
    || !zero(ctx, 180, min<u32>(184, length))) return -EINVAL;
  const wire = word(ctx, length, 160);
  if (wire != 0 && (wire < bytes || wire > 65536)) return -EINVAL;
  return word(ctx, length, 164) > 65535 ? -EINVAL : 0;
}

function zero(at: usize, from: u32, to: u32): bool {
  for (let i = from; i < to; i++) if (load<u8>(at + <usize>i) != 0) return false;
  return true;
}

@inline function word(ctx: usize, length: u32, offset: u32): u32 {
  return offset + 4 <= length ? load<u32>(ctx + <usize>offset) : 0;
}

@inline function put(ctx: usize, length: u32, offset: u32, value: u32): void {
  if (offset + 4 <= length) store<u32>(ctx + <usize>offset, value);
}
