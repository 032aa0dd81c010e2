// BPF_PROG_TEST_RUN (net/bpf/test_run.c): a packet made of bytes, a context made of the caller's, one program, and both back. Nothing
// leaves: a redirect is only an answer.
import {
  BPF_FUEL, BPF_OUTCOME_ADDRESS, BPF_OUTCOME_BYTES, BPF_OUTCOME_CTX_LENGTH, BPF_OUTCOME_DATA_LENGTH, BPF_OUTCOME_FAULT, BPF_OUTCOME_FUEL, BPF_OUTCOME_HELPER,
  BPF_OUTCOME_R0, BPF_OUTCOME_SIZE, BPF_OUTCOME_SLOT, BPF_TEST_BATCH, BPF_TEST_BYTES, BPF_TEST_CPU, BPF_TEST_CTX_LENGTH, BPF_TEST_DATA_LENGTH, BPF_TEST_FLAGS,
  BPF_TEST_F_UPLOAD, BPF_TEST_NETNS, BPF_TEST_PROGRAM, BPF_TEST_REPEAT,
} from "../../abi/bpf";
import { E2BIG, EBADF, EINVAL, ENODEV, ENOMEM, ENOSPC, MAILBOX_BYTES } from "../../abi/core";
import { NetDevice, Netns, Skb } from "../../layout";
import { node } from "../../mm/node";
import { deviceFind } from "../../net/devices";
import { skbAlloc, skbFree, skbLength } from "../../net/skb";
import { DEV_LOOPBACK, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST } from "../../abi/net";
import { be16 } from "../../wire/bytes";
import { IPV4_HEADER_LEN } from "../../wire/ipv4";
import { IPV6_HEADER_LEN } from "../../wire/ipv6";
import { ETH_HEADER_LEN, ETH_P_IP, ETH_P_IPV6, EthernetView, macIsBroadcast, macIsGroup } from "../../wire/ethernet";
import { XDP_FRAME, XDP_ROOM } from "../helpers/xdp";
import { kfree, kmalloc } from "../../mm/slab";
import { netnsGet } from "../../net/netns";
import { BpfProg, progGet } from "../prog";
import { BpfRun, RUN_SKB, RUN_XDP, bpfGo, bpfReady } from "../run";
import { testRunMore } from "./test-run-more";
import { SKB_CTX_BYTES, XDP_CTX_BYTES, skbCtxFill, skbCtxStore, xdpCtxFill } from "./context";
import { HR_L2, HR_TEST, HookRun, hookEnter, hookLeave, hookSkb, hookState, progFields } from "./state";

const TYPE_SOCKET_FILTER: u32 = 1, TYPE_SCHED_CLS: u32 = 3, TYPE_SCHED_ACT: u32 = 4, TYPE_XDP: u32 = 6, TYPE_CGROUP_SKB: u32 = 8, TYPE_LWT_IN: u32 = 10,
  TYPE_LWT_OUT: u32 = 11, TYPE_LWT_XMIT: u32 = 12;
const XDP_DEVMAP: u32 = 33, XDP_CPUMAP: u32 = 35;
const PAGE: u32 = 4096;
/** NET_SKB_PAD, and sizeof(struct skb_shared_info). */
const SKB_PAD: u32 = 64, SHARED_INFO: u32 = 320;

/** BPF_PROG_TEST_RUN: the record BPF_TEST_*, then (or uploaded) the context and the data. */
export function testRun(at: usize, length: u32, upload: usize, uploaded: u32): i32 {
  const found = progGet(load<u32>(at + BPF_TEST_PROGRAM));
  if (found == 0) return -EBADF;
  if (length < BPF_TEST_BYTES) return -EINVAL;
  const prog = changetype<BpfProg>(found);
  const flags = load<u32>(at + BPF_TEST_FLAGS), far = (flags & BPF_TEST_F_UPLOAD) != 0;
  const ctxLength = load<u32>(at + BPF_TEST_CTX_LENGTH), bytes = load<u32>(at + BPF_TEST_DATA_LENGTH);
  const handle = load<u32>(at + BPF_TEST_NETNS);
  const ns = handle == 0 ? changetype<Netns>(node().netns) : netnsGet(handle);
  if (changetype<usize>(ns) == 0) return -EBADF;
  const room = far ? uploaded : length - BPF_TEST_BYTES;
  if (ctxLength > room || bytes > room - ctxLength || ctxLength > PAGE || bytes > 0x10000) return -EINVAL;
  const repeat = load<u32>(at + BPF_TEST_REPEAT);
  if (load<u32>(at + BPF_TEST_BATCH) != 0 || load<u32>(at + BPF_TEST_CPU) != 0) return -EINVAL;
  if (!bpfReady()) return -ENOMEM;
  const out = changetype<TestOut>(kmalloc(<u32>offsetof<TestOut>()));
  const copy = kmalloc(ctxLength + 8);
  if (changetype<usize>(out) == 0 || copy == 0) return -ENOMEM;
  const from = far ? upload : at + BPF_TEST_BYTES;
  memory.copy(copy, from, <usize>ctxLength);
  let result: i32;
  const data = from + <usize>ctxLength, kept = flags & ~BPF_TEST_F_UPLOAD;
  switch (prog.type) {
    case TYPE_SOCKET_FILTER: case TYPE_SCHED_CLS: case TYPE_SCHED_ACT: case TYPE_CGROUP_SKB: case TYPE_LWT_IN: case TYPE_LWT_OUT: case TYPE_LWT_XMIT: {
      result = testRunSkb(prog, ns, copy, ctxLength, data, bytes, repeat, kept, out);
      break;
    }
    case TYPE_XDP: result = testRunXdp(prog, ns, copy, ctxLength, data, bytes, repeat, kept, out); break;
    default: result = testRunMore(prog, ns, copy, ctxLength, data, bytes, repeat, kept, out);
  }
  if (result == 0 && BPF_OUTCOME_BYTES + out.ctxLength + out.dataLength > MAILBOX_BYTES) result = -ENOSPC;
  if (result == 0) {
    store<u64>(at + BPF_OUTCOME_R0, out.r0);
    store<u32>(at + BPF_OUTCOME_FAULT, out.fault);
    store<u32>(at + BPF_OUTCOME_SLOT, out.slot);
    store<u64>(at + BPF_OUTCOME_ADDRESS, out.address);
    store<u32>(at + BPF_OUTCOME_SIZE, out.size);
    store<u32>(at + BPF_OUTCOME_HELPER, out.helper);
    store<u32>(at + BPF_OUTCOME_CTX_LENGTH, out.ctxLength);
    store<u32>(at + BPF_OUTCOME_DATA_LENGTH, out.dataLength);
    store<u64>(at + BPF_OUTCOME_FUEL, out.fuel);
    memory.copy(at + BPF_OUTCOME_BYTES, copy, <usize>out.ctxLength);
    memory.copy(at + BPF_OUTCOME_BYTES + <usize>out.ctxLength, out.dataAt, <usize>out.dataLength);
    result = <i32>(BPF_OUTCOME_BYTES + out.ctxLength + out.dataLength);
  }
  testRunDone(out);
  kfree(copy, ctxLength + 8);
  kfree(changetype<usize>(out), <u32>offsetof<TestOut>());
  return result;
}

/** How the run ended. */
export function testOutcome(out: TestOut, r: HookRun, r0: u64): void {
  const run = changetype<BpfRun>(r.run);
  out.r0 = r0;
  out.fault = run.fault;
  out.slot = run.faultSlot;
  out.address = run.faultAddress;
  out.size = run.faultSize;
  out.helper = run.fault != 0 ? run.helper : 0;
  out.fuel = <u64>run.fuel;
}

/** What a run left: bytes and context where testRunDone() frees them, or the errno's negative. */
@unmanaged export class TestOut {
  r0: u64;
  address: u64;
  fuel: u64;
  fault: u32; slot: u32; size: u32; helper: u32;
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
  if (ctxLength > SKB_CTX_BYTES && !zero(ctx, SKB_CTX_BYTES, ctxLength)) return -E2BIG;
  const l2 = prog.type == TYPE_SCHED_CLS || prog.type == TYPE_SCHED_ACT;
  let dev = ns.loopback;
  const whole = ctxLength != 0 ? ctxSound(ctx, min<u32>(ctxLength, SKB_CTX_BYTES), length) : 0;
  const ifindex = ctxLength > 40 ? load<u32>(ctx, 40) : 0;
  if (ifindex > 1) {
    dev = deviceFind(ns, ifindex);
    if (dev == 0) return -ENODEV;
  }
  if (whole != 0) return whole;
  const ether = be16(data, 12);
  if (length - ETH_HEADER_LEN < (ether == ETH_P_IP ? IPV4_HEADER_LEN : ether == ETH_P_IPV6 ? IPV6_HEADER_LEN : 0)) return -EINVAL;
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
  if (ctxLength != 0 && r.wireLen == 0) r.wireLen = skbLength(skb);
  r.fields = progFields(changetype<usize>(prog));
  out.r0 = 0;
  for (let i: u32 = 0; i < max<u32>(repeat, 1); i++) {
    skbCtxFill(r);
    changetype<BpfRun>(r.run).fuel = <i64>BPF_FUEL;
    testOutcome(out, r, bpfGo(changetype<BpfRun>(r.run), prog));
    skbCtxStore(r);
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
  if (ctxLength > XDP_CTX_BYTES && !zero(ctx, XDP_CTX_BYTES, ctxLength)) return -E2BIG;
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
  r.room = XDP_ROOM;
  r.low = XDP_ROOM;
  r.limit = XDP_FRAME > length - meta ? XDP_FRAME - (length - meta) : 0;
  out.r0 = 0;
  for (let i: u32 = 0; i < max<u32>(repeat, 1); i++) {
    xdpCtxFill(r);
    changetype<BpfRun>(r.run).fuel = <i64>BPF_FUEL;
    testOutcome(out, r, bpfGo(changetype<BpfRun>(r.run), prog));
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
  else if (macIsGroup(eth.dst0)) skb.pktType = macIsBroadcast(eth.dst0, eth.dst1) && dev.kind != DEV_LOOPBACK ? PACKET_BROADCAST : PACKET_MULTICAST;
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
