// Classifiers and actions: u32, fw, matchall, each with mirred or a verdict (net/sched/cls_u32.c, cls_fw.c, cls_matchall.c, act_mirred.c,
// act_gact.c), at the ingress hook of a device and at HTB. And ifb (drivers/net/ifb.c), where received frames are sent to be queued:
//
//   device ── ingress ── redirect ──► ifb's discipline ──► back to the device, behind its ingress hook
import { EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM } from "../../abi/core";
import {
  DEV_IFB, DROP_DEV_DOWN, DROP_TC_EGRESS, DROP_TC_INGRESS, DROP_TOO_MANY_HOPS, FILTER_BPF, TCA_BPF_FLAG_ACT_DIRECT, FILTER_ACTION, FILTER_BYTES, FILTER_CLASSID, FILTER_FW, FILTER_HANDLE, FILTER_HITS,
  FILTER_IFINDEX, FILTER_KEY, FILTER_KEYS, FILTER_KIND, FILTER_MASK, FILTER_MATCHALL, FILTER_PARENT, FILTER_PREF, FILTER_PROTOCOL,
  FILTER_TARGET, FILTER_U32, TC_ACT_DROP, TC_ACT_MIRROR, TC_ACT_PASS, TC_ACT_REDIRECT,
} from "../../abi/net";
import { DeviceBpf, deviceBpf } from "../../bpf/hooks/device";
import { hookState } from "../../bpf/hooks/state";
import { tcClassid } from "../../bpf/hooks/tc";
import { BpfProg, progGet, progHold, progPut } from "../../bpf/prog";
import { NetDevice, Netns, Skb } from "../../layout";
import { kfree, kmalloc } from "../../mm/slab";
import { be16 } from "../../wire/bytes";
import { ETH_HEADER_LEN } from "../../wire/ethernet";
import { devQueueXmit, netifRx } from "../dev";
import { deviceFind } from "../devices";
import { skbCopy, skbDrop, skbLength, skbPull, skbPush } from "../skb";
import { Qdisc, asQdisc } from "./qdisc";

/** Notes on a packet (Skb.ipFlags): has been through ingress; came from ingress to an ifb, `inDev` is the device. */
export const SKB_TC_SKIP: u32 = 0x400;
export const SKB_REDIRECTED: u32 = 0x800;
const ETH_P_ALL: u32 = 3;
/** BPF_PROG_TYPE_SCHED_CLS */
const TYPE_SCHED_CLS: u32 = 3;
const KEYS_MAX: u32 = 8;
/** A frame that went so often from filter to device goes round. */
const HOPS_MAX: u32 = 64;

@unmanaged export class Filter {
  next: usize; // Filter of the hook, by preference
  pref: u32; protocol: u32; kind: u32; handle: u32; mask: u32; classid: u32; action: u32; target: u32;
  keys: u32;
  k0: u64; k1: u64; k2: u64; k3: u64; k4: u64; k5: u64; k6: u64; k7: u64; k8: u64; k9: u64; k10: u64; k11: u64; // eight of 12 bytes
  packets: u64; bytes: u64;
  prog: usize; // BpfProg of cls_bpf, a reference
  direct: u32; // its answer is the action
}

/** Does a filter that is no program match? `skb.data` at the Ethernet header. */
function hits(f: Filter, skb: Skb, network: usize): bool {
  if (f.kind == FILTER_FW) return f.handle == 0 ? skb.mark != 0 : (skb.mark & f.mask) == f.handle;
  let hit = true;
  for (let k: u32 = 0; hit && k < f.keys; k++) {
    const key = changetype<usize>(f) + offsetof<Filter>("k0") + <usize>(k * 12);
    const where = network + <usize>load<i32>(key, 8);
    if (where < skb.data || where + 4 > skb.tail) hit = load<u32>(key, 4) == 0;
    else hit = ((load<u32>(where) ^ load<u32>(key)) & load<u32>(key, 4)) == 0;
  }
  return hit;
}

@inline function counted(f: Filter, skb: Skb, network: usize): void {
  f.packets++;
  f.bytes += <u64>(skb.tail - network) + ETH_HEADER_LEN;
}

/** The same, counted: for a list that has programs, too (bpf/hooks/tc.ts). */
export function filterHits(f: Filter, skb: Skb, network: usize): bool {
  if (!hits(f, skb, network)) return false;
  counted(f, skb, network);
  return true;
}

/** The first filter of the list that matches; `skb.data` at the Ethernet header, 0: none. */
function match(q: Qdisc, skb: Skb, network: usize, protocol: u32): usize {
  for (let at = q.filters; at != 0; at = changetype<Filter>(at).next) {
    const f = changetype<Filter>(at);
    if ((f.protocol != ETH_P_ALL && f.protocol != protocol) || f.kind == FILTER_BPF || !hits(f, skb, network)) continue;
    counted(f, skb, network);
    return at;
  }
  return 0;
}

/** HTB asks: the class of a frame, Ethernet header at `data`; 0: no filter says. */
export function filterClassify(q: Qdisc, skb: Skb): u32 {
  if (q.filters == 0 || skbLength(skb) < ETH_HEADER_LEN) return 0;
  const network = skb.data + ETH_HEADER_LEN, protocol = be16(skb.data, 12);
  for (let at = q.filters; at != 0; at = changetype<Filter>(at).next) {
    const f = changetype<Filter>(at);
    if (f.protocol != ETH_P_ALL && f.protocol != protocol) continue;
    if (f.kind == FILTER_BPF) {
      const classid = tcClassid(skb, changetype<NetDevice>(q.dev), f);
      if (classid != 0) return classid;
    } else if (filterHits(f, skb, network)) return f.classid;
  }
  return 0;
}

/** Received by `dev`, `data` behind the Ethernet header (sch_handle_ingress): true: it goes on; false: it was taken. */
export function ingressHook(skb: Skb, dev: NetDevice): bool {
  const at = match(asQdisc(dev.ingress), skb, skb.data, skb.vlan != 0 ? skb.vlan >>> 16 : skb.protocol);
  if (at == 0) return true;
  skbPush(skb, ETH_HEADER_LEN);
  if (!filterAct(changetype<Filter>(at), skb, dev, true)) return false;
  skbPull(skb, ETH_HEADER_LEN);
  return true;
}

/** The filter's action on a frame, Ethernet header at `data`: true: it goes on; false: it was taken. */
export function filterAct(f: Filter, skb: Skb, dev: NetDevice, incoming: bool): bool {
  const ns = changetype<Netns>(dev.ns);
  if (f.action == TC_ACT_DROP) {
    skbDrop(skb, ns, changetype<usize>(dev), incoming ? DROP_TC_INGRESS : DROP_TC_EGRESS);
    return false;
  }
  if (f.action != TC_ACT_REDIRECT && f.action != TC_ACT_MIRROR) return true;
  const to = deviceFind(ns, f.target);
  let sent = skb;
  if (f.action == TC_ACT_MIRROR) {
    sent = skbCopy(skb);
    if (changetype<usize>(sent) == 0) return true;
    sent.vlan = skb.vlan;
  }
  if (to == 0) {
    skbDrop(sent, ns, changetype<usize>(dev), incoming ? DROP_TC_INGRESS : DROP_TC_EGRESS);
    return f.action == TC_ACT_MIRROR;
  }
  if (++sent.hops > HOPS_MAX) {
    skbDrop(sent, ns, changetype<usize>(dev), DROP_TOO_MANY_HOPS);
    return f.action == TC_ACT_MIRROR;
  }
  if (incoming) {
    sent.inDev = changetype<usize>(dev);
    sent.ipFlags |= SKB_REDIRECTED;
  }
  devQueueXmit(sent, changetype<NetDevice>(to));
  return f.action == TC_ACT_MIRROR;
}

/** A frame has passed the ifb's discipline (ifb_ri_tasklet): back to where it came from. */
export function ifbXmit(skb: Skb, dev: NetDevice): void {
  const back = skb.inDev;
  if ((skb.ipFlags & SKB_REDIRECTED) == 0 || back == 0 || dev.kind != DEV_IFB) {
    dev.rxDropped++;
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_DEV_DOWN);
    return;
  }
  dev.rxPackets++;
  dev.rxBytes += <u64>skbLength(skb);
  skb.ipFlags = (skb.ipFlags & ~SKB_REDIRECTED) | SKB_TC_SKIP;
  skb.inDev = 0;
  netifRx(skb, changetype<NetDevice>(back));
}

function release(q: Qdisc, at: usize): void {
  const dev = changetype<NetDevice>(q.dev);
  if (changetype<Filter>(at).prog != 0) {
    progPut(changetype<BpfProg>(changetype<Filter>(at).prog));
    if (dev.bpf != 0) changetype<DeviceBpf>(dev.bpf).filters--;
  }
  kfree(at, <u32>offsetof<Filter>());
}

export function filtersFree(q: Qdisc): void {
  while (q.filters != 0) {
    const at = q.filters;
    q.filters = changetype<Filter>(at).next;
    release(q, at);
  }
}

/** `tc filter add`: FILTER_* record. A preference of 0: the kernel chooses (tcf_auto_prio). 0 or -errno. */
export function filterAdd(q: Qdisc, ns: Netns, record: usize): i32 {
  const kind = load<u32>(record, FILTER_KIND), keys = load<u32>(record, FILTER_KEYS), action = load<u32>(record, FILTER_ACTION);
  if (kind == 0 || kind > FILTER_BPF) return -ENOENT;
  let prog: usize = 0;
  if (kind == FILTER_BPF) {
    prog = progGet(load<u32>(record, FILTER_TARGET));
    if (prog == 0 || keys > TCA_BPF_FLAG_ACT_DIRECT) return -EINVAL;
    const type = changetype<BpfProg>(prog).type;
    if (type != TYPE_SCHED_CLS) return -EINVAL;
    if (changetype<usize>(deviceBpf(changetype<NetDevice>(q.dev))) == 0 || changetype<usize>(hookState()) == 0) return -ENOMEM;
  } else if (keys > KEYS_MAX || (kind == FILTER_U32 && keys == 0) || action > TC_ACT_PASS) return -EINVAL;
  for (let k: u32 = 0; k < keys && kind == FILTER_U32; k++) {
    const offset = load<i32>(record + <usize>(k * 12), FILTER_KEY + 8);
    if (offset < -64 || offset > 4096) return -EINVAL;
  }
  if ((action == TC_ACT_REDIRECT || action == TC_ACT_MIRROR) && deviceFind(ns, load<u32>(record, FILTER_TARGET)) == 0) return -ENODEV;
  let pref = load<u32>(record, FILTER_PREF);
  if (pref == 0) {
    pref = 49152;
    for (let at = q.filters; at != 0; at = changetype<Filter>(at).next) {
      if (changetype<Filter>(at).pref >= 0x8000) pref = min<u32>(pref, changetype<Filter>(at).pref - 1);
    }
  }
  let handles: u32 = 0;
  let link = changetype<usize>(q) + offsetof<Qdisc>("filters");
  for (let at = <usize>load<u32>(link); at != 0 && changetype<Filter>(at).pref <= pref; at = <usize>load<u32>(link)) {
    // One protocol and one kind by preference; matchall is alone.
    if (changetype<Filter>(at).pref == pref) {
      handles = max<u32>(handles, changetype<Filter>(at).handle);
      if (changetype<Filter>(at).kind != kind || changetype<Filter>(at).protocol != load<u32>(record, FILTER_PROTOCOL)) return -EINVAL;
      if (kind == FILTER_MATCHALL) return -EEXIST;
    }
    link = at; // `next` is the first field
  }
  const at = kmalloc(<u32>offsetof<Filter>());
  if (at == 0) return -ENOMEM;
  const f = changetype<Filter>(at);
  f.pref = pref;
  f.protocol = load<u32>(record, FILTER_PROTOCOL);
  f.kind = kind;
  f.handle = load<u32>(record, FILTER_HANDLE);
  f.mask = load<u32>(record, FILTER_MASK);
  f.classid = load<u32>(record, FILTER_CLASSID);
  f.action = action;
  f.target = load<u32>(record, FILTER_TARGET);
  f.keys = kind == FILTER_U32 ? keys : 0;
  if (prog != 0) {
    f.prog = prog;
    f.direct = keys & TCA_BPF_FLAG_ACT_DIRECT;
    if (f.handle == 0) f.handle = ++handles;
    progHold(changetype<BpfProg>(prog));
    changetype<DeviceBpf>(changetype<NetDevice>(q.dev).bpf).filters++;
  } else memory.copy(at + offsetof<Filter>("k0"), record + FILTER_KEY, <usize>(keys * 12));
  f.next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  return <i32>pref;
}

/** `tc filter del`; `pref` 0: all. */
export function filterDelete(q: Qdisc, pref: u32): i32 {
  if (pref == 0) {
    filtersFree(q);
    return 0;
  }
  let found = false;
  let link = changetype<usize>(q) + offsetof<Qdisc>("filters");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    if (changetype<Filter>(at).pref != pref) {
      link = at;
      continue;
    }
    store<u32>(link, <u32>changetype<Filter>(at).next);
    release(q, at);
    found = true;
  }
  return found ? 0 : -ENOENT;
}

/** One filter as a FILTER_* record. */
export function filterWrite(at: usize, dev: NetDevice, parent: u32, to: usize): void {
  const f = changetype<Filter>(at);
  memory.fill(to, 0, FILTER_BYTES);
  store<u32>(to, dev.ifindex, FILTER_IFINDEX);
  store<u32>(to, parent, FILTER_PARENT);
  store<u32>(to, f.pref, FILTER_PREF);
  store<u32>(to, f.protocol, FILTER_PROTOCOL);
  store<u32>(to, f.kind, FILTER_KIND);
  store<u32>(to, f.handle, FILTER_HANDLE);
  store<u32>(to, f.mask, FILTER_MASK);
  store<u32>(to, f.classid, FILTER_CLASSID);
  store<u32>(to, f.action, FILTER_ACTION);
  store<u32>(to, f.target, FILTER_TARGET);
  store<u32>(to, f.keys, FILTER_KEYS);
  memory.copy(to + FILTER_KEY, at + offsetof<Filter>("k0"), 96);
  if (f.prog != 0) {
    const p = changetype<BpfProg>(f.prog);
    store<u32>(to, p.id, FILTER_TARGET);
    store<u32>(to, f.direct, FILTER_KEYS);
    store<u64>(to, p.tag, FILTER_KEY);
    store<u64>(to, p.name0, FILTER_KEY + 8);
    store<u64>(to, p.name1, FILTER_KEY + 16);
    store<u32>(to, p.jitMain != 0 ? 1 : 0, FILTER_KEY + 24);
  }
  store<u64>(to, f.packets, FILTER_HITS);
  store<u64>(to, f.bytes, FILTER_HITS + 8);
}
