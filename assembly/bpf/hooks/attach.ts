// The driver's requests about attachments (kernel/bpf/syscall.c BPF_PROG_ATTACH, BPF_LINK_CREATE and their like; net/core/dev.c
// dev_xdp_attach). Each kind of hook keeps what is attached to it in its own file.
import {
  ATTACH_BYTES, ATTACH_FLAGS, ATTACH_IFINDEX, ATTACH_PROG, ATTACH_RELATIVE, ATTACH_REPLACED, ATTACH_REVISION, ATTACH_TARGET, ATTACH_TYPE, BPF_ATTACH,
  BPF_CGROUP_DELETE, BPF_CGROUP_JOIN, BPF_CGROUP_NEW, BPF_DETACH, BPF_HOOK_STATS, BPF_LINK_CREATE, BPF_LINK_DETACH, BPF_LINK_FREE, BPF_LINK_INFO,
  BPF_LINK_UPDATE, BPF_QUERY, BPF_SOCK_FILTER, BPF_TCX_EGRESS, BPF_TCX_INGRESS, BPF_XDP, BPF_XDP_INFO, QUERY_BYTES, QUERY_FLAGS, QUERY_LINK, QUERY_NAME, QUERY_PROG, QUERY_TAG, QUERY_TYPE,
  XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE, XDP_FLAGS_REPLACE, XDP_FLAGS_SKB_MODE, XDP_FLAGS_UPDATE_IF_NOEXIST,
} from "../../abi/bpf-attach";
import { EBADF, EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, EPERM, MAILBOX_BYTES } from "../../abi/core";
import { DEV_NIC, DEV_TAP, DEV_TUN, DEV_VETH } from "../../abi/net";
import { NetDevice, Netns } from "../../layout";
import { deviceFind } from "../../net/devices";
import { flowsInvalidate } from "../../net/flow";
import { netnsGet } from "../../net/netns";
import { attachMore, detachMore, linkTakeMore, linkUpdateMore, queryMore } from "./attach-more";
import { cgroupDelete, cgroupJoin, cgroupNew } from "./cgroup";
import { sockFilterCommand } from "./sock";
import { progById } from "./program";
import { BpfProg, progGet, progHold, progPut } from "../prog";
import { DeviceBpf, XDP_DRV, XDP_SKB, deviceBpf, deviceBpfTidy } from "./device";
import { Link, linkById, linkGet, linkInfo, isTraceLink, linkNew, linkRelease } from "./link";
import { BPF_F_ID, BPF_F_LINK, BPF_F_REPLACE, ProgList, listAttach, listDetach, listLink, listProg, listUpdate, progListNew } from "./list";
import { hookState } from "./state";
import { traceDetach } from "./tracing";

const TYPE_SCHED_CLS: u32 = 3, TYPE_XDP: u32 = 6;
const XDP_DEVMAP: u32 = 33, XDP_CPUMAP: u32 = 35;

/** Every request may change what becomes of packets, but for those that only look. */
export function bpfAttachCommand(op: u32, record: usize, length: u32): i32 {
  const s = hookState();
  if (changetype<usize>(s) == 0) return -ENOMEM;
  if (op != BPF_QUERY && op != BPF_LINK_INFO && op != BPF_XDP_INFO && op != BPF_HOOK_STATS) flowsInvalidate();
  switch (op) {
    case BPF_ATTACH: return length < ATTACH_BYTES ? -EINVAL : attach(record);
    case BPF_DETACH: return length < ATTACH_BYTES ? -EINVAL : detach(record);
    case BPF_LINK_CREATE: return length < ATTACH_BYTES ? -EINVAL : linkCreate(record);
    case BPF_LINK_UPDATE: return linkUpdate(record);
    case BPF_QUERY: return length < ATTACH_BYTES ? -EINVAL : query(record);
    case BPF_LINK_DETACH: case BPF_LINK_FREE: case BPF_LINK_INFO: {
      const at = linkGet(load<u32>(record));
      if (at == 0) return -EBADF;
      const link = changetype<Link>(at);
      if (op == BPF_LINK_INFO) return linkInfo(link, record);
      linkTake(link);
      if (op == BPF_LINK_FREE) linkRelease(link);
      return 0;
    }
    case BPF_XDP_INFO: return xdpInfo(record);
    case BPF_CGROUP_NEW: return cgroupNew(load<u32>(record));
    case BPF_CGROUP_DELETE: return cgroupDelete(load<u32>(record));
    case BPF_CGROUP_JOIN: return cgroupJoin(load<u32>(record), load<u32>(record, 4));
    case BPF_SOCK_FILTER: return sockFilterCommand(record, length);
    case BPF_HOOK_STATS: {
      store<u32>(record, s.missed);
      store<u32>(record, s.exceptions, 4);
      store<u32>(record, s.redirectErrors, 8);
      return 12;
    }
    default: return -ENOENT;
  }
}

// What the record names; the errno's negative in `failure` where there is none.
let failure: i32 = 0;

function programOf(record: usize): usize {
  const prog = progGet(load<u32>(record, ATTACH_PROG));
  if (prog == 0) failure = -EBADF;
  return prog;
}

function deviceOf(record: usize): usize {
  const ns = netnsGet(load<u32>(record, ATTACH_TARGET));
  if (changetype<usize>(ns) == 0) {
    failure = -EBADF;
    return 0;
  }
  const dev = deviceFind(ns, load<u32>(record, ATTACH_IFINDEX));
  if (dev == 0) failure = -ENODEV;
  return dev;
}

/** The program or link that BPF_F_BEFORE and BPF_F_AFTER relate to; 0 with `failure` 0: none is named. */
function relativeOf(record: usize): usize {
  const which = load<u32>(record, ATTACH_RELATIVE), flags = load<u32>(record, ATTACH_FLAGS);
  failure = 0;
  if (which == 0) return 0;
  const isLink = (flags & BPF_F_LINK) != 0, byId = (flags & BPF_F_ID) != 0;
  const at = isLink ? byId ? linkById(which) : linkGet(which) : byId ? progById(which) : progGet(which);
  if (at == 0) failure = byId ? -ENOENT : -EBADF;
  return at;
}

function isTcx(type: u32): bool {
  return type == BPF_TCX_INGRESS || type == BPF_TCX_EGRESS;
}

/** The list of tcx programs, made where there is none; 0: no memory. */
function tcxList(dev: NetDevice, type: u32): usize {
  const b = deviceBpf(dev);
  if (changetype<usize>(b) == 0) return 0;
  if (type == BPF_TCX_INGRESS) {
    if (b.ingress == 0) b.ingress = progListNew();
    return b.ingress;
  }
  if (b.egress == 0) b.egress = progListNew();
  return b.egress;
}

function attach(record: usize): i32 {
  const type = load<u32>(record, ATTACH_TYPE);
  const prog = programOf(record);
  if (prog == 0) return failure;
  if (type == BPF_XDP || isTcx(type)) {
    const at = deviceOf(record);
    if (at == 0) return failure;
    const dev = changetype<NetDevice>(at);
    const result = type == BPF_XDP ? xdpAttach(dev, prog, 0, record) : tcxAttach(dev, type, prog, 0, record);
    deviceBpfTidy(dev);
    return result;
  }
  return attachMore(type, prog, 0, record);
}

function linkCreate(record: usize): i32 {
  const type = load<u32>(record, ATTACH_TYPE);
  const prog = programOf(record);
  if (prog == 0) return failure;
  const link = linkNew(type, prog);
  if (changetype<usize>(link) == 0) return -ENOMEM;
  let result: i32;
  if (type == BPF_XDP || isTcx(type)) {
    const at = deviceOf(record);
    if (at == 0) result = failure;
    else {
      link.target = at;
      const dev = changetype<NetDevice>(at);
      result = type == BPF_XDP ? xdpAttach(dev, prog, changetype<usize>(link), record) : tcxAttach(dev, type, prog, changetype<usize>(link), record);
      deviceBpfTidy(dev);
    }
  } else result = attachMore(type, prog, changetype<usize>(link), record);
  if (result < 0) {
    linkRelease(link);
    return result;
  }
  return <i32>link.handle;
}

/** tcx_prog_attach, tcx_link_attach */
function tcxAttach(dev: NetDevice, type: u32, prog: usize, link: usize, record: usize): i32 {
  if (changetype<BpfProg>(prog).type != TYPE_SCHED_CLS) return -EINVAL;
  const relative = relativeOf(record);
  if (failure != 0) return failure;
  let replaced: usize = 0;
  const flags = load<u32>(record, ATTACH_FLAGS);
  if (flags & BPF_F_REPLACE) {
    replaced = progGet(load<u32>(record, ATTACH_REPLACED));
    if (replaced == 0) return -EBADF;
  }
  const list = tcxList(dev, type);
  if (list == 0) return -ENOMEM;
  if (link == 0) progHold(changetype<BpfProg>(prog));
  const result = listAttach(list, prog, link, replaced, relative, flags, load<u64>(record, ATTACH_REVISION));
  if (result != 0 && link == 0) progPut(changetype<BpfProg>(prog));
  return result;
}

/** dev_xdp_mode: which way the program runs; 0: the driver has none of the kind that the flags ask for. */
function xdpMode(dev: NetDevice, flags: u32): u32 {
  if (flags & XDP_FLAGS_HW_MODE) return 0;
  const kind = dev.kind;
  const native = kind == DEV_NIC || kind == DEV_VETH || kind == DEV_TAP || kind == DEV_TUN;
  if (flags & XDP_FLAGS_DRV_MODE) return native ? XDP_DRV : 0;
  return (flags & XDP_FLAGS_SKB_MODE) != 0 || !native ? XDP_SKB : XDP_DRV;
}

/** dev_xdp_attach. */
function xdpAttach(dev: NetDevice, prog: usize, link: usize, record: usize): i32 {
  const flags = load<u32>(record, ATTACH_FLAGS);
  const modes = flags & (XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE | XDP_FLAGS_HW_MODE);
  if ((modes & (modes - 1)) != 0 || flags > 31) return -EINVAL;
  if (link != 0 && (flags & ~modes) != 0) return -EINVAL;
  const p = changetype<BpfProg>(prog);
  if (p.type != TYPE_XDP) return -EINVAL;
  if (p.attachType == XDP_DEVMAP || p.attachType == XDP_CPUMAP) return -EINVAL;
  const mode = xdpMode(dev, flags);
  if (mode == 0) return -EOPNOTSUPP;
  const b = deviceBpf(dev);
  if (changetype<usize>(b) == 0) return -ENOMEM;
  if (b.xdpLink != 0) return -EBUSY;
  if (link != 0 && b.xdp != 0) return -EBUSY;
  if (b.xdp != 0 && b.xdpMode != mode) return -EEXIST;
  if (flags & XDP_FLAGS_REPLACE) {
    if (progGet(load<u32>(record, ATTACH_REPLACED)) != b.xdp) return -EEXIST;
  } else if ((flags & XDP_FLAGS_UPDATE_IF_NOEXIST) != 0 && b.xdp != 0) return -EBUSY;
  if (b.xdp == prog && link == 0) return 0;
  if (link == 0) progHold(p);
  if (b.xdp != 0) progPut(changetype<BpfProg>(b.xdp));
  b.xdp = prog;
  b.xdpMode = mode;
  b.xdpLink = link;
  return 0;
}

function xdpDetach(dev: NetDevice, flags: u32): i32 {
  if (dev.bpf == 0) return 0;
  const b = changetype<DeviceBpf>(dev.bpf);
  if (b.xdp == 0) return 0;
  if (b.xdpLink != 0) return -EBUSY;
  const modes = flags & (XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE);
  // Another way's program is not this one's to take away.
  if (modes != 0 && b.xdpMode != xdpMode(dev, flags)) return 0;
  progPut(changetype<BpfProg>(b.xdp));
  b.xdp = 0;
  b.xdpMode = 0;
  return 0;
}

function detach(record: usize): i32 {
  const type = load<u32>(record, ATTACH_TYPE), flags = load<u32>(record, ATTACH_FLAGS);
  if (type == BPF_XDP || isTcx(type)) {
    const at = deviceOf(record);
    if (at == 0) return failure;
    const dev = changetype<NetDevice>(at);
    let result = -ENOENT;
    if (type == BPF_XDP) result = xdpDetach(dev, flags);
    else if (dev.bpf != 0) {
      const b = changetype<DeviceBpf>(dev.bpf), list = type == BPF_TCX_INGRESS ? b.ingress : b.egress;
      const relative = relativeOf(record);
      if (failure != 0) return failure;
      const handle = load<u32>(record, ATTACH_PROG), prog: usize = handle == 0 ? 0 : progGet(handle);
      if (handle != 0 && prog == 0) return -EBADF;
      if (list != 0) result = listDetach(list, prog, 0, relative, flags, load<u64>(record, ATTACH_REVISION));
    }
    deviceBpfTidy(dev);
    return result;
  }
  return detachMore(type, record);
}

/** Takes a link off its target. */
function linkTake(link: Link): void {
  if (link.target == 0) return;
  const type = link.type, at = changetype<usize>(link);
  if (type == BPF_XDP || isTcx(type)) {
    const dev = changetype<NetDevice>(link.target), b = changetype<DeviceBpf>(dev.bpf);
    if (type == BPF_XDP) {
      b.xdp = 0;
      b.xdpMode = 0;
      b.xdpLink = 0;
    } else listDetach(type == BPF_TCX_INGRESS ? b.ingress : b.egress, 0, at, 0, 0, 0);
    link.target = 0;
    deviceBpfTidy(dev);
    return;
  }
  if (isTraceLink(type)) traceDetach(link);
  else linkTakeMore(link);
  link.target = 0;
}

/** bpf_link_update: the old program is checked where one is named; types have to agree. */
function linkUpdate(record: usize): i32 {
  const at = linkGet(load<u32>(record));
  const prog = progGet(load<u32>(record, 4)), flags = load<u32>(record, 8);
  if (at == 0 || prog == 0) return -EBADF;
  if ((flags & ~BPF_F_REPLACE) != 0) return -EINVAL;
  const link = changetype<Link>(at), old = link.prog, p = changetype<BpfProg>(prog);
  if (link.target == 0) return -67; // ENOLINK
  if (flags & BPF_F_REPLACE) {
    const named = progGet(load<u32>(record, 12));
    if (named == 0) return -EBADF;
    if (named != old) return -EPERM;
  } else if (load<u32>(record, 12) != 0) return -EINVAL;
  if (p.type != changetype<BpfProg>(old).type) return -EINVAL;
  if (p.attachType != changetype<BpfProg>(old).attachType && link.type != BPF_TCX_INGRESS && link.type != BPF_TCX_EGRESS) return -EINVAL;
  if (old == prog) return 0;
  const type = link.type;
  if (type == BPF_XDP) changetype<DeviceBpf>(changetype<NetDevice>(link.target).bpf).xdp = prog;
  else if (isTcx(type)) {
    const b = changetype<DeviceBpf>(changetype<NetDevice>(link.target).bpf);
    listUpdate(type == BPF_TCX_INGRESS ? b.ingress : b.egress, at, prog);
  } else if (!isTraceLink(type)) linkUpdateMore(link, prog);
  progHold(p);
  link.prog = prog;
  progPut(changetype<BpfProg>(old));
  return 0;
}

function query(record: usize): i32 {
  const type = load<u32>(record, ATTACH_TYPE);
  if (!isTcx(type)) return queryMore(type, record);
  const at = deviceOf(record);
  if (at == 0) return failure;
  const dev = changetype<NetDevice>(at);
  const list: usize = dev.bpf == 0 ? 0 : type == BPF_TCX_INGRESS ? changetype<DeviceBpf>(dev.bpf).ingress : changetype<DeviceBpf>(dev.bpf).egress;
  return listWrite(list, record);
}

/** {u64 revision, u32 count, u32 flags, QUERY_* records} of a list. */
export function listWrite(list: usize, to: usize): i32 {
  const count: u32 = list == 0 ? 0 : changetype<ProgList>(list).count;
  store<u64>(to, list == 0 ? 1 : changetype<ProgList>(list).revision);
  store<u32>(to, count, 8);
  store<u32>(to, 0, 12);
  for (let i: u32 = 0; i < count; i++) queryEntry(to + 16 + <usize>(i * QUERY_BYTES), listProg(list, i), listLink(list, i), 0);
  return <i32>(16 + count * QUERY_BYTES);
}

export function queryEntry(at: usize, prog: usize, link: usize, flags: u32): void {
  const p = changetype<BpfProg>(prog);
  store<u32>(at, p.id, QUERY_PROG);
  store<u32>(at, link == 0 ? 0 : changetype<Link>(link).id, QUERY_LINK);
  store<u32>(at, flags, QUERY_FLAGS);
  store<u32>(at, p.type, QUERY_TYPE);
  store<u64>(at, p.tag, QUERY_TAG);
  store<u64>(at, p.name0, QUERY_NAME);
  store<u64>(at, p.name1, QUERY_NAME + 8);
}

function xdpInfo(record: usize): i32 {
  const ns = netnsGet(load<u32>(record));
  if (changetype<usize>(ns) == 0) return -EBADF;
  const at = deviceFind(ns, load<u32>(record, 4));
  if (at == 0) return -ENODEV;
  memory.fill(record, 0, 40);
  const b = changetype<DeviceBpf>(changetype<NetDevice>(at).bpf);
  if (changetype<usize>(b) == 0 || b.xdp == 0) return 40;
  const p = changetype<BpfProg>(b.xdp);
  store<u32>(record, b.xdpMode);
  store<u32>(record, p.id, 4);
  store<u64>(record, p.tag, 8);
  store<u32>(record, p.jitMain != 0 ? 1 : 0, 16);
  store<u64>(record, p.name0, 24);
  store<u64>(record, p.name1, 32);
  return 40;
}
