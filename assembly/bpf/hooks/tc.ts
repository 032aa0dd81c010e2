// Programs where packets enter and leave a device: tcx lists, then the filters of clsact (net/core/dev.c sch_handle_ingress,
// sch_handle_egress, tcx_run, tc_run; net/sched/cls_bpf.c).
import { DROP_NO_MEMORY, DROP_PKT_TOO_SMALL, DROP_TC_EGRESS, DROP_TC_INGRESS, FILTER_BPF } from "../../abi/net";
import { NetDevice, Netns, Skb } from "../../layout";
import { Filter, filterAct, filterHits } from "../../net/sched/filter";
import { asQdisc } from "../../net/sched/qdisc";
import { skbDrop, skbFree, skbLength, skbPull, skbPush, skbScrub } from "../../net/skb";
import { isLayer3 } from "../../net/tunnel";
import { be16 } from "../../wire/bytes";
import { ETH_HEADER_LEN } from "../../wire/ethernet";
import { RUN_SKB } from "../run";
import { SKB_CTX_BYTES, skbCtxFill, skbCtxStore } from "./context";
import { DeviceBpf } from "./device";
import { ProgList, listProg } from "./list";
import { obeyRedirect } from "./redirect";
import { skbSocket } from "./sock-view";
import { HR_INGRESS, HR_L2, HookRun, hookEnter, hookGo, hookLeave, hookSkb, progFields } from "./state";
import { observeVerdict } from "./trace";

export const TC_ACT_UNSPEC: i32 = -1, TC_ACT_OK: i32 = 0, TC_ACT_RECLASSIFY: i32 = 1, TC_ACT_SHOT: i32 = 2, TC_ACT_PIPE: i32 = 3;
export const TC_ACT_STOLEN: i32 = 4, TC_ACT_QUEUED: i32 = 5, TC_ACT_REPEAT: i32 = 6, TC_ACT_REDIRECT: i32 = 7, TC_ACT_TRAP: i32 = 8;
const ATTACH_TCX_INGRESS: u32 = 46, ATTACH_TCX_EGRESS: u32 = 47;
const ETH_P_ALL: u32 = 3;

/** The packet after a hook let it pass: its buffer may be another one. Read at once. */
export let tcPacket: usize = 0;

/**
 * Received by `dev`, data behind the Ethernet header. Returns the device by which it goes on (another one: bpf_redirect_peer) with
 * the packet in tcPacket, or 0: it was taken.
 */
export function tcIngress(skb: Skb, dev: NetDevice): usize {
  const b = changetype<DeviceBpf>(dev.bpf);
  const at = changetype<usize>(dev), flat = isLayer3(dev.kind);
  skb.network = skb.data;
  skb.transport = skb.data;
  tcPacket = changetype<usize>(skb);
  if (b.ingress == 0 && dev.ingress == 0) return at;
  const r = hookEnter(RUN_SKB, HR_INGRESS | HR_L2, dev.ns, SKB_CTX_BYTES);
  if (changetype<usize>(r) == 0) return at;
  if (!flat) skbPush(skb, <u32>(skb.data - skb.mac));
  const verdict = classify(r, skb, dev, b.ingress, dev.ingress, ATTACH_TCX_INGRESS);
  const to = obey(r, verdict, dev, flat);
  hookLeave(r);
  return to;
}

/** About to leave by `dev`, data at the Ethernet header. Returns the packet; 0: it was taken. */
export function tcEgress(skb: Skb, dev: NetDevice): usize {
  const b = changetype<DeviceBpf>(dev.bpf);
  if ((b.egress == 0 && b.egressFilters == 0) || skbLength(skb) < ETH_HEADER_LEN) return changetype<usize>(skb);
  const r = hookEnter(RUN_SKB, HR_L2, dev.ns, SKB_CTX_BYTES);
  if (changetype<usize>(r) == 0) return changetype<usize>(skb);
  const flat = isLayer3(dev.kind);
  skb.mac = skb.data;
  skb.network = skb.data + ETH_HEADER_LEN;
  skb.protocol = be16(skb.data, 12);
  if (skb.transport < skb.network || skb.transport > skb.tail) skb.transport = skb.network;
  if (flat) skbPull(skb, ETH_HEADER_LEN);
  skb.dev = changetype<usize>(dev);
  const verdict = classify(r, skb, dev, b.egress, b.egressFilters, ATTACH_TCX_EGRESS);
  let result: usize = 0;
  if (settle(r, verdict, dev)) {
    result = r.skb;
    if (flat) skbPush(changetype<Skb>(result), ETH_HEADER_LEN);
  }
  hookLeave(r);
  return result;
}

function obey(r: HookRun, verdict: i32, dev: NetDevice, flat: bool): usize {
  if (verdict == TC_ACT_REDIRECT) {
    const peer = obeyRedirect(r);
    if (peer == 0) return 0;
    // Into the peer's namespace at once (another_round).
    const skb = changetype<Skb>(r.skb), mac = skb.mac, protocol = skb.protocol, mark = skb.mark, type = skb.pktType;
    skbScrub(skb, changetype<NetDevice>(peer));
    skb.mark = mark;
    skb.pktType = type;
    skb.protocol = protocol;
    skb.mac = mac;
    skbPull(skb, ETH_HEADER_LEN);
    tcPacket = changetype<usize>(skb);
    return peer;
  }
  if (!settle(r, verdict, dev)) return 0;
  const skb = changetype<Skb>(r.skb);
  // A program may have changed how long the headers in front are.
  let header: u32 = 0;
  if (!flat && skb.network > skb.data) header = <u32>(skb.network - skb.data);
  if (header > skbLength(skb)) {
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_PKT_TOO_SMALL);
    return 0;
  }
  skbPull(skb, header);
  tcPacket = changetype<usize>(skb);
  return changetype<usize>(dev);
}

/** The rest of sch_handle_ingress and sch_handle_egress: does the packet go on? */
function settle(r: HookRun, verdict: i32, dev: NetDevice): bool {
  const skb = changetype<Skb>(r.skb);
  switch (verdict) {
    case TC_ACT_REDIRECT: {
      obeyRedirect(r);
      return false;
    }
    case TC_ACT_SHOT: {
      skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), r.flags & HR_INGRESS ? DROP_TC_INGRESS : DROP_TC_EGRESS);
      return false;
    }
    case TC_ACT_STOLEN: case TC_ACT_QUEUED: case TC_ACT_TRAP: {
      skbFree(skb);
      return false;
    }
    case TAKEN: return false;
    case TC_ACT_OK: case TC_ACT_RECLASSIFY: skb.tcIndex = (skb.tcIndex & 0xffff0000) | (r.classid & 0xffff);
    default:
  }
  return true;
}

/** An action other than a program's took the packet. */
const TAKEN: i32 = -2;

/** tcx_run, then tc_run. */
function classify(r: HookRun, skb: Skb, dev: NetDevice, list: usize, filters: usize, attach: u32): i32 {
  hookSkb(r, skb);
  r.dev = changetype<usize>(dev);
  r.wireLen = skbLength(skb);
  r.sock = attach == ATTACH_TCX_EGRESS ? skbSocket(skb) : 0;
  if (list != 0) {
    const l = changetype<ProgList>(list);
    for (let i: u32 = 0; i < l.count; i++) {
      const code = <i32>run(r, listProg(list, i), attach, 0xffffffff);
      // Everything else reads as TCX_NEXT, and so does what asks for the next.
      if (code == TC_ACT_UNSPEC) continue;
      if (code == TC_ACT_OK || code == TC_ACT_SHOT || code == TC_ACT_REDIRECT) return code;
      break;
    }
  }
  return filters == 0 ? TC_ACT_UNSPEC : runFilters(r, filters, dev, attach);
}

/** One program on the packet. */
function run(r: HookRun, prog: usize, attach: u32, otherwise: u32): u32 {
  r.fields = progFields(prog);
  skbCtxFill(r);
  const code = hookGo(r, prog, otherwise);
  skbCtxStore(r);
  observeVerdict(changetype<Skb>(r.skb), r.ns, r.dev, attach, prog, code);
  return code;
}

/** tcf_classify over filters by preference: programs, and what net/sched/filter.ts matches. */
function runFilters(r: HookRun, filters: usize, dev: NetDevice, attach: u32): i32 {
  for (let at = asQdisc(filters).filters; at != 0; at = changetype<Filter>(at).next) {
    const f = changetype<Filter>(at), skb = changetype<Skb>(r.skb);
    const protocol = skb.vlan != 0 ? skb.vlan >>> 16 : skb.protocol;
    if (f.protocol != ETH_P_ALL && f.protocol != protocol) continue;
    if (f.kind == FILTER_BPF) {
      r.classid = f.classid;
      const code = <i32>run(r, f.prog, attach, 0xffffffff);
      if (f.direct != 0) {
        // cls_bpf_exec_opcode
        if (code == TC_ACT_OK || code == TC_ACT_SHOT || code == TC_ACT_STOLEN || code == TC_ACT_TRAP || code == TC_ACT_REDIRECT) return code;
        continue;
      }
      if (code == 0) continue;
      r.classid = code == -1 ? f.classid : <u32>code;
      return TC_ACT_OK;
    }
    const network = skb.network < skb.data ? skb.data : skb.network;
    if (!filterHits(f, skb, network)) continue;
    const result = filterAct(f, skb, dev, (r.flags & HR_INGRESS) != 0);
    if (result == 0) return TAKEN;
    return TC_ACT_OK;
  }
  return TC_ACT_UNSPEC;
}

/** The classid that HTB asks a program for (cls_bpf_classify without direct action); 0: none. */
export function tcClassid(skb: Skb, dev: NetDevice, f: Filter): u32 {
  const r = hookEnter(RUN_SKB, HR_L2, dev.ns, SKB_CTX_BYTES);
  if (changetype<usize>(r) == 0) return 0;
  hookSkb(r, skb);
  r.dev = changetype<usize>(dev);
  r.wireLen = skbLength(skb);
  r.classid = f.classid;
  const code = run(r, f.prog, ATTACH_TCX_EGRESS, 0);
  const classid = f.direct != 0 ? r.classid : code == 0xffffffff ? f.classid : code;
  hookLeave(r);
  return classid;
}
