// Every export of kernel.wasm, and nothing else. The driver (src/kernel/) is the only caller; it writes a record to the
// mailbox of its instance, calls, and reads the answer there. Handles and lengths are checked here and in the
// subsystems' commands: no bytes and no order of calls may trap.
import {
  CORE_CHARGE, CORE_DELIVER, CORE_DELIVER_MANY, CORE_EVENTS, CORE_MEMORY, CORE_OBSERVE, CORE_OBSERVED, CORE_OUTBOX, EBADF, EINVAL, ENOENT,
  ENOMEM, MAILBOX_BYTES, OP_NET, OP_NETFILTER, OP_SOCK, RUN_BPF, RUN_EVENTS, RUN_MORE, RUN_OBSERVED, RUN_OUTBOX, RUN_QUEUED,
  RUN_STATUS_DEADLINE, RUN_STATUS_NOW,
} from "./abi/core";
import { OP_BPF } from "./abi/bpf";
import { bpfCommand } from "./bpf/command";
import { bpfMapEventsPending } from "./bpf/maps/map";
import { FULL } from "./features";
import { BOOT_MAGIC, BOOT_MAGIC_AT, NetDevice, Netns, Node, Skb } from "./layout";
import { arenaDestroy } from "./mm/slab";
import { chunkAlloc, chunkFree, chunkOrder } from "./mm/chunk";
import { copyBytes, copyRound } from "./mm/copy";
import { nodeCreate, nodeFind, nodeForget } from "./mm/nodes";
import { FULL } from "./features";
import { hrtimerRunOne, hrtimersDeadline } from "./mm/hrtimer";
import { BURST, SCRATCH_BURST, node, scratch, setNode, setScratch } from "./mm/node";
import { ctManyConnections, ctTouchBucket, ctTouchEntry } from "./netfilter/conntrack";
import { ETH_HEADER_LEN } from "./wire/ethernet";
import { timersDeadline, timersRun } from "./mm/timer";
import { backlogRunOne, nicReceive } from "./net/dev";
import { netChanges, netCommand, nicDeliver, nicFind } from "./net/command";
import { flowsInvalidate } from "./net/flow";
import { outboxPort } from "./net/tap";
import { netfilterChanges, netfilterCommand } from "./netfilter/command";
import { sockCommand } from "./sock/command";
import { sockEventsPending, sockEventsTake } from "./sock/events";
import { skbFree, skbLength } from "./net/skb";
import { observeDrain, observeFull, observeSet } from "./trace/observe";

// Per instance, not per node: where this instance's driver writes.
let mailboxAt: usize = 0;
let uploadAt: usize = 0;
let uploadOrder: u32 = 0;
let uploadLength: u32 = 0;

/** Prepares the memory (the first instance) and this instance's mailbox. Returns the mailbox' address, 0: no memory. */
export function boot(): u32 {
  atomic.store<u32>(BOOT_MAGIC_AT, BOOT_MAGIC);
  if (mailboxAt == 0) {
    const at = chunkAlloc(0);
    if (at == 0) return 0;
    setScratch(at);
    mailboxAt = chunkAlloc(chunkOrder(MAILBOX_BYTES));
  }
  return <u32>mailboxAt;
}

/** Room for `bytes` that the next command of netfilter or BPF reads beside its record; returns the address, 0: no memory. */
export function upload(bytes: u32): u32 {
  if (bytes > 0x10000000) return 0;
  const order = chunkOrder(<usize>bytes);
  if (uploadAt != 0 && uploadOrder < order) {
    chunkFree(uploadAt, uploadOrder);
    uploadAt = 0;
  }
  if (uploadAt == 0) {
    uploadAt = chunkAlloc(order);
    uploadOrder = order;
  }
  uploadLength = uploadAt == 0 ? 0 : bytes;
  return <u32>uploadAt;
}

/** A new node with its initial namespace and a seeded generator. Returns its handle, or -errno. */
export function node_create(seed: u32, nowLo: u32, nowHi: u32): i32 {
  return nodeCreate(seed, <u64>nowLo | (<u64>nowHi << 32));
}

/** Ends a node and gives its memory back. */
export function node_destroy(handle: u32): i32 {
  const at = nodeFind(handle);
  if (at == 0) return -EBADF;
  setNode(at);
  nodeForget(handle);
  arenaDestroy();
  setNode(0);
  return 0;
}

/**
 * Handles all that is due at `now`: timers, then waiting frames, until nothing is left or the observation ring wants
 * draining. Leaves the status block in the mailbox. Returns RUN_* flags, or -EBADF.
 */
export function run(handle: u32, nowLo: u32, nowHi: u32): i32 {
  if (!enter(handle)) return -EBADF;
  const n = node();
  const now = <u64>nowLo | (<u64>nowHi << 32);
  if (now > n.now) n.now = now;
  let more = false;
  while (true) {
    if (observeFull()) { more = true; break; }
    if (backlogRunOne()) continue;
    if (FULL && hrtimerRunOne()) continue;
    if (!timersRun(16)) continue;
    if (n.backlogHead == 0) break;
  }
  store<u64>(mailboxAt + RUN_STATUS_NOW, n.now);
  store<u64>(mailboxAt + RUN_STATUS_DEADLINE, FULL ? min<u64>(timersDeadline(), hrtimersDeadline()) : timersDeadline());
  return <i32>((more ? RUN_MORE : 0) | (sockEventsPending() ? RUN_EVENTS : 0)
    | (n.outboxHead != 0 ? RUN_OUTBOX : 0) | (n.obsWrite != 0 ? RUN_OBSERVED : 0)
    | (FULL && n.parked != 0 ? RUN_QUEUED : 0) | (FULL && bpfMapEventsPending() ? RUN_BPF : 0));
}

/** One request at time `now`: the record of `length` bytes stands in the mailbox. Returns 0 or more, or -errno. */
export function command(handle: u32, op: u32, length: u32, nowLo: u32, nowHi: u32): i32 {
  if (!enter(handle)) return -EBADF;
  const n = node();
  const now = <u64>nowLo | (<u64>nowHi << 32);
  if (now > n.now) n.now = now;
  if (length > MAILBOX_BYTES) return -EINVAL;
  // What follows the record is zero, so that a short record reads as zeros, not as an earlier answer.
  memory.fill(mailboxAt + <usize>length, 0, <usize>min<u32>(64, MAILBOX_BYTES - length));
  switch (op & 0xf00) {
    case 0: return coreCommand(op, length);
    case OP_NET:
      if (FULL && netChanges(op)) flowsInvalidate();
      return netCommand(op, mailboxAt, length);
    case OP_NETFILTER: {
      if (FULL && netfilterChanges(op)) flowsInvalidate();
      const bytes = uploadLength;
      uploadLength = 0;
      return netfilterCommand(op, mailboxAt, length, uploadAt, bytes);
    }
    case OP_SOCK: return sockCommand(op, mailboxAt, length);
    case OP_BPF: {
      if (!FULL) return -ENOENT;
      const bytes = uploadLength;
      uploadLength = 0;
      return bpfCommand(op, mailboxAt, length, uploadAt, bytes);
    }
    default: return -ENOENT;
  }
}

function enter(handle: u32): bool {
  if (mailboxAt == 0) return false;
  const at = nodeFind(handle);
  if (at == 0) return false;
  setNode(at);
  return true;
}

function coreCommand(op: u32, length: u32): i32 {
  const n = node();
  switch (op) {
    case CORE_EVENTS: return <i32>sockEventsTake(mailboxAt, MAILBOX_BYTES);
    case CORE_OUTBOX: return <i32>outboxTake(n);
    case CORE_OBSERVED: return <i32>observeDrain(mailboxAt, MAILBOX_BYTES);
    case CORE_OBSERVE: return observeSet(load<u32>(mailboxAt) & 3) ? 0 : -ENOMEM;
    case CORE_DELIVER: {
      const frame = load<u32>(mailboxAt, 4);
      if (length < 8 || frame > length - 8) return -EINVAL;
      return nicDeliver(load<u32>(mailboxAt), mailboxAt + 8, frame);
    }
    case CORE_DELIVER_MANY: return FULL ? deliverMany(length) : -ENOENT;
    case CORE_MEMORY: {
      store<u64>(mailboxAt, n.bytesUsed);
      store<u64>(mailboxAt, n.bytesTaken, 8);
      store<u64>(mailboxAt, <u64>memory.size() << 16, 16);
      return 24;
    }
    case CORE_CHARGE: {
      const ns = load<u64>(mailboxAt);
      if (ns > 1_000_000_000_000) return -EINVAL;
      n.now += ns;
      return 0;
    }
    default: return -ENOENT;
  }
}

function deliverMany(length: u32): i32 {
  const ifindex = load<u32>(mailboxAt), frames = load<u32>(mailboxAt, 4);
  const dev = nicFind(ifindex);
  if (dev == 0) return nicDeliver(ifindex, 0, 0);
  let at: u32 = 8, taken: u32 = 0;
  const many = ctManyConnections();
  while (taken < frames && at + 4 <= length) {
    if (many && taken % BURST == 0) touchConnections(at, length, min<u32>(frames - taken, BURST));
    const frame = load<u32>(mailboxAt + <usize>at);
    if (frame > length - at - 4) break;
    nicReceive(changetype<NetDevice>(dev), mailboxAt + <usize>at + 4, frame, at + 4 + frame + 16 <= MAILBOX_BYTES);
    at += 4 + ((frame + 3) & ~3);
    taken++;
  }
  return <i32>taken;
}

/** Brings the connections of the next frames into the caches. */
function touchConnections(from: u32, length: u32, frames: u32): void {
  const ns = changetype<Netns>(node().netns), links = scratch(SCRATCH_BURST);
  let at = from, n: u32 = 0;
  for (; n < frames && at + 4 <= length; n++) {
    const frame = load<u32>(mailboxAt + <usize>at);
    if (frame > length - at - 4) break;
    const packet = mailboxAt + <usize>(at + 4 + ETH_HEADER_LEN);
    store<u32>(links + <usize>(n << 2), frame < ETH_HEADER_LEN ? 0 : <u32>ctTouchBucket(ns, packet, frame - ETH_HEADER_LEN));
    at += 4 + ((frame + 3) & ~3);
  }
  let sum: u32 = 0;
  for (let i: u32 = 0; i < n; i++) sum += ctTouchEntry(<usize>load<u32>(links + <usize>(i << 2)));
  // Kept, so that the reads are.
  store<u32>(links, sum);
}

function outboxTake(n: Node): u32 {
  let bytes: u32 = 0;
  while (n.outboxHead != 0) {
    const skb = changetype<Skb>(n.outboxHead);
    const length = skbLength(skb);
    const size = (16 + length + 7) & ~7;
    if (bytes + size > MAILBOX_BYTES) break;
    const at = mailboxAt + <usize>bytes;
    store<u64>(at, skb.tstamp);
    store<u32>(at, FULL ? outboxPort(changetype<NetDevice>(skb.dev)) : changetype<NetDevice>(skb.dev).ifindex, 8);
    store<u32>(at, length, 12);
    if (FULL && length <= 256 && bytes + size + 16 <= MAILBOX_BYTES) copyRound(at + 16, skb.data, <usize>length);
    else copyBytes(at + 16, skb.data, <usize>length);
    bytes += size;
    n.outboxHead = skb.next;
    if (n.outboxHead == 0) n.outboxTail = 0;
    n.outboxLength--;
    skbFree(skb);
  }
  return bytes;
}
