// The driver's requests about queueing disciplines, classes and filters: what `tc` does (net/sched/sch_api.c, cls_api.c).
import { EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, MAILBOX_BYTES } from "../../abi/core";
import {
  FILTER_BYTES, FILTER_PARENT, NET_FILTER_ADD, NET_FILTER_DELETE, NET_FILTER_LIST, NET_QDISC_DELETE, NET_QDISC_LIST, NET_QDISC_SET,
  QDISC_BFIFO, QDISC_BORROWED, QDISC_BURST, QDISC_BYTES, QDISC_CLSACT, QDISC_CORRUPT, QDISC_CORRUPT_CORR, QDISC_CTOKENS, QDISC_DEFAULT, QDISC_DELAY, QDISC_DELAY_CORR,
  QDISC_DUPLICATE, QDISC_DUPLICATE_CORR, QDISC_GAP, QDISC_HANDLE, QDISC_HTB, QDISC_HTB_CLASS, QDISC_IFINDEX, QDISC_INGRESS,
  QDISC_JITTER, QDISC_KIND, QDISC_LENDED, QDISC_LEVEL, QDISC_LIMIT, QDISC_LOSS, QDISC_LOSS_CORR, QDISC_NETEM, QDISC_PARENT, QDISC_PEAK, QDISC_PEAK_BURST,
  QDISC_PFIFO, QDISC_PRIO, QDISC_QUANTUM, QDISC_RATE, QDISC_REORDER, QDISC_REORDER_CORR, QDISC_STATS, QDISC_TBF, QDISC_TOKENS, TC_CLSACT_EGRESS, TC_CLSACT_INGRESS, TC_INGRESS,
} from "../../abi/net";
import { DeviceBpf, deviceBpf, deviceBpfTidy } from "../../bpf/hooks/device";
import { hookState } from "../../bpf/hooks/state";
import { NetDevice, Netns } from "../../layout";
import { deviceFind } from "../devices";
import { Filter, filterAdd, filterDelete, filterWrite } from "./filter";
import { HTB_DEPTH, htbFind } from "./htb";
import { Qdisc, TX_QUEUE_LEN, asQdisc, qdiscFree, qdiscKnown, qdiscNew, qdiscReplace } from "./qdisc";

const INGRESS_HANDLE: u32 = 0xffff0000;

export function schedCommand(op: u32, ns: Netns, record: usize, length: u32): i32 {
  const listing = op == NET_QDISC_LIST || op == NET_FILTER_LIST;
  const at = deviceFind(ns, listing ? load<u32>(record, 8) : load<u32>(record, 4));
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  switch (op) {
    case NET_QDISC_SET: return length < QDISC_BYTES ? -EINVAL : qdiscSet(dev, record);
    case NET_QDISC_DELETE: return qdiscDelete(dev, load<u32>(record, 8));
    case NET_QDISC_LIST: return qdiscList(dev, record, load<u32>(record, 4));
    case NET_FILTER_ADD: {
      if (length < FILTER_BYTES) return -EINVAL;
      const q = hookOf(dev, load<u32>(record, FILTER_PARENT));
      return q == 0 ? -EINVAL : filterAdd(asQdisc(q), ns, record);
    }
    case NET_FILTER_DELETE: {
      const q = hookOf(dev, load<u32>(record, 8));
      const result = q == 0 ? -EINVAL : filterDelete(asQdisc(q), load<u32>(record, 12));
      deviceBpfTidy(dev);
      return result;
    }
    default: return filterList(dev, record, load<u32>(record, 4), load<u32>(record, 12));
  }
}

/** What filters with that parent hang on: the ingress hook, HTB, a class; 0: nothing. */
function hookOf(dev: NetDevice, parent: u32): usize {
  if (parent == TC_INGRESS || (parent == TC_CLSACT_INGRESS && dev.ingress != 0)) return dev.ingress;
  if (parent == TC_CLSACT_EGRESS) return dev.bpf == 0 ? 0 : changetype<DeviceBpf>(dev.bpf).egressFilters;
  if (dev.qdisc == 0 || asQdisc(dev.qdisc).kind != QDISC_HTB) return 0;
  return parent == 0 || parent == asQdisc(dev.qdisc).handle ? dev.qdisc : htbFind(asQdisc(dev.qdisc), parent);
}

/** The discipline or class below which `parent` says something stands; 0: nowhere. */
function parentFind(at: usize, parent: u32): usize {
  let found = at;
  for (let depth: u32 = 0; found != 0 && depth < 16; depth++) {
    const q = asQdisc(found);
    if (q.kind == QDISC_HTB) {
      const c = htbFind(q, parent);
      if (c != 0) return c;
      for (let s = q.classes; s != 0; s = asQdisc(s).sibling) {
        const child = asQdisc(s).child;
        if (child != 0 && (asQdisc(child).handle & 0xffff0000) == (parent & 0xffff0000)) return child;
      }
      return 0;
    }
    if (q.handle != 0 && (q.handle & 0xffff0000) == (parent & 0xffff0000)) return found;
    found = q.child;
  }
  return 0;
}

/** `tc qdisc replace`, `tc class replace`. */
function qdiscSet(dev: NetDevice, record: usize): i32 {
  const kind = load<u32>(record, QDISC_KIND), parent = load<u32>(record, QDISC_PARENT);
  if (!qdiscKnown(kind)) return -ENOENT;
  if (kind == QDISC_INGRESS || kind == QDISC_CLSACT) {
    if (dev.ingress != 0) return -EEXIST;
    if (kind == QDISC_CLSACT) {
      const b = deviceBpf(dev);
      if (changetype<usize>(b) == 0 || changetype<usize>(hookState()) == 0) return -ENOMEM;
      b.egressFilters = qdiscNew(dev, kind, 0, TC_INGRESS, 0);
      if (b.egressFilters == 0) return -ENOMEM;
    }
    // Both stand at ffff:, with the same parent (TC_H_CLSACT is TC_H_INGRESS).
    dev.ingress = qdiscNew(dev, kind, INGRESS_HANDLE, TC_INGRESS, 0);
    return dev.ingress == 0 ? -ENOMEM : 0;
  }
  if (kind == QDISC_HTB_CLASS) return classSet(dev, record);
  let handle = load<u32>(record, QDISC_HANDLE);
  if (handle == 0) handle = 0x80010000;
  if ((handle & 0xffff) != 0) return -EINVAL;
  if (kind == QDISC_HTB && parent != 0) return -EOPNOTSUPP; // a tree within a tree
  if (kind == QDISC_TBF && (load<u64>(record, QDISC_RATE) == 0 || load<u64>(record, QDISC_BURST) == 0)) return -EINVAL;
  let above: usize = 0;
  if (parent != 0) {
    above = parentFind(dev.qdisc, parent);
    if (above == 0) return -ENOENT;
    const q = asQdisc(above);
    if ((q.kind != QDISC_TBF && q.kind != QDISC_NETEM && q.kind != QDISC_HTB_CLASS) || (q.kind == QDISC_HTB_CLASS && q.level != 0)) {
      return -EINVAL;
    }
    if (q.kind != QDISC_HTB_CLASS && depthOf(dev.qdisc) > 8) return -EINVAL;
  }
  const at = build(dev, kind, handle, parent, record);
  if (at == 0) return -ENOMEM;
  if (above == 0) {
    qdiscReplace(dev, at);
    return 0;
  }
  // What waited in the old one is dropped with it.
  const q = asQdisc(above);
  const old = q.child;
  if (old != 0) lose(dev, q, asQdisc(old));
  q.child = at;
  qdiscFree(old);
  return 0;
}

function depthOf(at: usize): u32 {
  let depth: u32 = 0;
  for (let q = at; q != 0; q = asQdisc(q).child) depth++;
  return depth;
}

/** The packets of `old` are no longer counted above it. */
function lose(dev: NetDevice, q: Qdisc, old: Qdisc): void {
  const packets = old.length, bytes = old.backlog;
  q.length -= min<u32>(q.length, packets);
  q.backlog -= min<u32>(q.backlog, bytes);
  const root = asQdisc(dev.qdisc);
  if (changetype<usize>(root) == changetype<usize>(q)) return;
  root.length -= min<u32>(root.length, packets);
  root.backlog -= min<u32>(root.backlog, bytes);
}

/** A new discipline from a QDISC_* record, with the child it has by default; 0: no memory. */
function build(dev: NetDevice, kind: u32, handle: u32, parent: u32, record: usize): usize {
  const limit = load<u32>(record, QDISC_LIMIT);
  const fallback: u32 = kind == QDISC_BFIFO ? TX_QUEUE_LEN * dev.mtu : TX_QUEUE_LEN;
  const at = qdiscNew(dev, kind, handle, parent, limit == 0 && kind != QDISC_TBF ? fallback : limit);
  if (at == 0) return 0;
  const q = asQdisc(at);
  q.rate = load<u64>(record, QDISC_RATE);
  q.peak = load<u64>(record, QDISC_PEAK);
  q.burst = min<u64>(load<u64>(record, QDISC_BURST), <u64>1 << 62);
  q.peakBurst = min<u64>(load<u64>(record, QDISC_PEAK_BURST), <u64>1 << 62);
  q.delay = min<u64>(load<u64>(record, QDISC_DELAY), <u64>1 << 60);
  q.jitter = min<u64>(load<u64>(record, QDISC_JITTER), <u64>1 << 60);
  q.loss = load<u32>(record, QDISC_LOSS);
  q.duplicate = load<u32>(record, QDISC_DUPLICATE);
  q.reorder = load<u32>(record, QDISC_REORDER);
  q.gap = load<u32>(record, QDISC_GAP);
  if (q.reorder != 0 && q.gap == 0) q.gap = 1;
  q.corrupt = load<u32>(record, QDISC_CORRUPT);
  q.lossCorr = load<u32>(record, QDISC_LOSS_CORR);
  q.delayCorr = load<u32>(record, QDISC_DELAY_CORR);
  q.duplicateCorr = load<u32>(record, QDISC_DUPLICATE_CORR);
  q.reorderCorr = load<u32>(record, QDISC_REORDER_CORR);
  q.corruptCorr = load<u32>(record, QDISC_CORRUPT_CORR);
  q.otherwise = load<u32>(record, QDISC_DEFAULT);
  q.prio = load<u32>(record, QDISC_PRIO);
  q.quantum = load<u32>(record, QDISC_QUANTUM);
  if (kind == QDISC_HTB && q.quantum == 0) q.quantum = 10;
  q.tokens = <i64>q.burst;
  q.ctokens = <i64>q.peakBurst;
  if (kind == QDISC_TBF || kind == QDISC_HTB_CLASS) {
    q.child = qdiscNew(dev, kind == QDISC_TBF ? QDISC_BFIFO : QDISC_PFIFO, 0, handle, kind == QDISC_TBF ? limit : TX_QUEUE_LEN);
    if (q.child == 0) {
      qdiscFree(at);
      return 0;
    }
  }
  return at;
}

/** `tc class replace dev DEV parent P classid C htb rate … ceil …`. */
function classSet(dev: NetDevice, record: usize): i32 {
  if (dev.qdisc == 0 || asQdisc(dev.qdisc).kind != QDISC_HTB) return -ENOENT;
  const root = asQdisc(dev.qdisc);
  const classid = load<u32>(record, QDISC_HANDLE), parent = load<u32>(record, QDISC_PARENT);
  if ((classid & 0xffff) == 0 || (classid & 0xffff0000) != root.handle || load<u64>(record, QDISC_RATE) == 0) return -EINVAL;
  let above = dev.qdisc;
  if (parent != 0 && parent != root.handle) {
    above = htbFind(root, parent);
    if (above == 0) return -ENOENT;
  }
  let count: u32 = 0;
  for (let s = root.classes; s != 0; s = asQdisc(s).sibling) count++;
  if (count >= 1024) return -ENOMEM;
  const at = build(dev, QDISC_HTB_CLASS, classid, parent, record);
  if (at == 0) return -ENOMEM;
  const c = asQdisc(at);
  if (c.peak == 0) c.peak = c.rate;
  c.prio = min<u32>(c.prio, 7);
  if (c.quantum == 0) c.quantum = <u32>max<u64>(1000, min<u64>(200000, c.rate / max<u32>(root.quantum, 1)));
  const found = htbFind(root, classid);
  if (found != 0) {
    // The rates change; what waits stays (htb_change_class).
    const old = asQdisc(found);
    old.rate = c.rate;
    old.peak = c.peak;
    old.burst = c.burst;
    old.peakBurst = c.peakBurst;
    old.prio = c.prio;
    old.quantum = c.quantum;
    qdiscFree(at);
    return 0;
  }
  if (above != dev.qdisc) {
    // Its parent is a leaf no more: its packets go.
    const p = asQdisc(above);
    if (p.level == 0) {
      let depth: u32 = 0;
      for (let a = p.up; a != 0 && asQdisc(a).kind == QDISC_HTB_CLASS; a = asQdisc(a).up) depth++;
      if (depth + 2 > HTB_DEPTH) {
        qdiscFree(at);
        return -EINVAL;
      }
      if (p.child != 0) lose(dev, p, asQdisc(p.child));
      qdiscFree(p.child);
      p.child = 0;
      p.level = HTB_DEPTH - 1 - depth;
    }
  }
  c.up = above;
  let link = dev.qdisc + offsetof<Qdisc>("classes");
  while (load<u32>(link) != 0) link = <usize>load<u32>(link) + offsetof<Qdisc>("sibling");
  store<u32>(link, <u32>at);
  return 0;
}

function qdiscDelete(dev: NetDevice, handle: u32): i32 {
  if (handle == INGRESS_HANDLE) {
    if (dev.ingress == 0) return -EINVAL;
    qdiscFree(dev.ingress);
    dev.ingress = 0;
    if (dev.bpf != 0) {
      const b = changetype<DeviceBpf>(dev.bpf);
      qdiscFree(b.egressFilters);
      b.egressFilters = 0;
      deviceBpfTidy(dev);
    }
    return 0;
  }
  if (dev.qdisc == 0) return -ENOENT;
  const root = asQdisc(dev.qdisc);
  if (handle == 0 || handle == root.handle) {
    qdiscReplace(dev, 0);
    return 0;
  }
  const at = root.kind == QDISC_HTB ? htbFind(root, handle) : 0;
  if (at == 0) return childDelete(dev, handle);
  const c = asQdisc(at);
  for (let s = root.classes; s != 0; s = asQdisc(s).sibling) if (asQdisc(s).up == at) return -EINVAL;
  let link = dev.qdisc + offsetof<Qdisc>("classes");
  while (<usize>load<u32>(link) != at) link = <usize>load<u32>(link) + offsetof<Qdisc>("sibling");
  store<u32>(link, <u32>c.sibling);
  if (root.turn == at) root.turn = 0;
  root.length -= min<u32>(root.length, c.length);
  root.backlog -= min<u32>(root.backlog, c.backlog);
  // A parent without classes is a leaf again.
  const above = c.up;
  c.sibling = 0;
  qdiscFree(at);
  if (above == dev.qdisc) return 0;
  for (let s = root.classes; s != 0; s = asQdisc(s).sibling) if (asQdisc(s).up == above) return 0;
  const child = qdiscNew(dev, QDISC_PFIFO, 0, asQdisc(above).handle, TX_QUEUE_LEN);
  if (child == 0) return -ENOMEM;
  asQdisc(above).child = child;
  asQdisc(above).level = 0;
  return 0;
}

/** What hangs on a class or on a discipline with a child: a FIFO takes its place (htb_graft), its packets are gone. */
function childDelete(dev: NetDevice, handle: u32): i32 {
  let above = dev.qdisc;
  if (asQdisc(above).kind == QDISC_HTB) {
    for (above = asQdisc(above).classes; above != 0; above = asQdisc(above).sibling) {
      if (asQdisc(above).child != 0 && asQdisc(asQdisc(above).child).handle == handle) break;
    }
  } else while (above != 0 && (asQdisc(above).child == 0 || asQdisc(asQdisc(above).child).handle != handle)) above = asQdisc(above).child;
  if (above == 0) return -ENOENT;
  const q = asQdisc(above);
  const tbf = q.kind == QDISC_TBF;
  const child: usize = q.kind == QDISC_NETEM ? <usize>0
    : qdiscNew(dev, tbf ? QDISC_BFIFO : QDISC_PFIFO, 0, q.handle, tbf ? q.limit : TX_QUEUE_LEN);
  if (child == 0 && q.kind != QDISC_NETEM) return -ENOMEM;
  lose(dev, q, asQdisc(q.child));
  qdiscFree(q.child);
  q.child = child;
  return 0;
}

// Where qdiscList stands: within one call.
let listTo: usize = 0;
let listSkip: u32 = 0;
let listBytes: u32 = 0;

function qdiscList(dev: NetDevice, to: usize, skip: u32): i32 {
  listTo = to;
  listSkip = skip;
  listBytes = 0;
  write(dev, dev.qdisc);
  write(dev, dev.ingress);
  return <i32>listBytes;
}

/** The discipline or class, then what stands below it. A FIFO that nobody asked for is not shown. */
function write(dev: NetDevice, at: usize): void {
  if (at == 0) return;
  const q = asQdisc(at);
  if (q.handle != 0) {
    if (listSkip != 0) listSkip--;
    else if (listBytes + QDISC_BYTES <= MAILBOX_BYTES) {
      writeOne(dev, q, listTo + <usize>listBytes);
      listBytes += QDISC_BYTES;
    }
  }
  write(dev, q.child);
  for (let c = q.classes; c != 0; c = asQdisc(c).sibling) write(dev, c);
}

function writeOne(dev: NetDevice, q: Qdisc, p: usize): void {
  memory.fill(p, 0, QDISC_BYTES);
  store<u32>(p, dev.ifindex, QDISC_IFINDEX);
  store<u32>(p, q.kind, QDISC_KIND);
  store<u32>(p, q.handle, QDISC_HANDLE);
  store<u32>(p, q.parent, QDISC_PARENT);
  store<u32>(p, q.limit, QDISC_LIMIT);
  store<u64>(p, q.rate, QDISC_RATE);
  store<u64>(p, q.peak, QDISC_PEAK);
  store<u64>(p, q.burst, QDISC_BURST);
  store<u64>(p, q.peakBurst, QDISC_PEAK_BURST);
  store<u64>(p, q.delay, QDISC_DELAY);
  store<u64>(p, q.jitter, QDISC_JITTER);
  store<u32>(p, q.loss, QDISC_LOSS);
  store<u32>(p, q.duplicate, QDISC_DUPLICATE);
  store<u32>(p, q.reorder, QDISC_REORDER);
  store<u32>(p, q.gap, QDISC_GAP);
  store<u32>(p, q.corrupt, QDISC_CORRUPT);
  store<u32>(p, q.otherwise, QDISC_DEFAULT);
  store<u32>(p, q.prio, QDISC_PRIO);
  store<u32>(p, q.quantum, QDISC_QUANTUM);
  store<u64>(p, q.bytes, QDISC_STATS);
  store<u64>(p, q.packets, QDISC_STATS + 8);
  store<u32>(p, q.dropped, QDISC_STATS + 16);
  store<u32>(p, q.overlimits, QDISC_STATS + 20);
  store<u32>(p, q.backlog, QDISC_STATS + 24);
  store<u32>(p, q.length, QDISC_STATS + 28);
  store<u32>(p, q.lossCorr, QDISC_LOSS_CORR);
  store<u32>(p, q.delayCorr, QDISC_DELAY_CORR);
  store<u32>(p, q.duplicateCorr, QDISC_DUPLICATE_CORR);
  store<u32>(p, q.reorderCorr, QDISC_REORDER_CORR);
  store<u32>(p, q.corruptCorr, QDISC_CORRUPT_CORR);
  store<u32>(p, q.level, QDISC_LEVEL);
  store<u32>(p, q.lends, QDISC_LENDED);
  store<u32>(p, q.borrows, QDISC_BORROWED);
  store<i64>(p, q.tokens, QDISC_TOKENS);
  store<i64>(p, q.ctokens, QDISC_CTOKENS);
}

function filterList(dev: NetDevice, to: usize, skip: u32, parent: u32): i32 {
  const hook = hookOf(dev, parent);
  if (hook == 0) return 0;
  let index: u32 = 0, bytes: u32 = 0;
  for (let at = asQdisc(hook).filters; at != 0 && bytes + FILTER_BYTES <= MAILBOX_BYTES; at = changetype<Filter>(at).next) {
    if (index++ < skip) continue;
    filterWrite(at, dev, parent, to + <usize>bytes);
    bytes += FILTER_BYTES;
  }
  return <i32>bytes;
}
