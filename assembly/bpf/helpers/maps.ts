// Helpers about maps (kernel/bpf/helpers.c, ringbuf.c, bpf_local_storage.c, stackmap.c, kernel/trace/bpf_trace.c). Pointers of an unverified program
// are checked before they are used; what is handed out to it is its own until the run ends.
import { E2BIG, EAGAIN, EBUSY, EFAULT, EINVAL, ENOTSUPP } from "../../abi/core";
import { BPF_FAULT_ARGUMENT } from "../../abi/bpf";
import {
  BPF_FIELD_RES_SPIN_LOCK, BPF_FIELD_SPIN_LOCK, BPF_FIELD_TIMER, BPF_FIELD_WORKQUEUE, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_STACK_TRACE, BPF_MAP_TYPE_USER_RINGBUF,
} from "../../abi/bpf-maps";
import { Skb } from "../../layout";
import { kfree, kmalloc } from "../../mm/slab";
import { isFull, sockOfView } from "../hooks/sock-view";
import { hookRun } from "../hooks/state";
import { mapArgument } from "../maps/argument";
import { fieldAt } from "../maps/fields";
import { ELEMENT_KEY, elementNext, valueOf } from "../maps/hash";
import { BpfMap, bpfMapFind } from "../maps/map";
import { listPeek, listPop, listPush, objectHold, objectNew, objectPut, treeAdd, treeFirst, treeRemove } from "../maps/object";
import { mapDelete, mapLookup, mapLookupPerCpu, mapPop, mapPush, mapUpdate, valueBytes, valueWritable } from "../maps/ops";
import { perfOutput, perfRead } from "../maps/perf";
import { BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, ringBusy, ringCommit, ringOf, ringOutput, ringQuery, ringReserve, userRingPeek, userRingRelease } from "../maps/ringbuf";
import { stackTracePut } from "../maps/stackmap";
import { cgroupStorage, isCgroupStorage, isStorage, storageDelete, storageGet } from "../maps/storage";
import { timerCancel, timerInit, timerKnown, timerSetCallback, timerStart, workInit } from "../maps/timer";
import { bpfCopy, bpfDisown, bpfFault, bpfFill, bpfOwn, bpfOwned, bpfReadable, bpfWritable } from "../memory";
import { BpfProg } from "../prog";
import { RUN_SKB, RUN_XDP, bpfCallSubprogram, bpfCurrent } from "../run";
import { DYNPTR_BYTES, DYNPTR_LOCAL, DYNPTR_RINGBUF, dynptrInit, dynptrNull } from "./dynptr";

const INDEX_MASK: u64 = 0xffffffff, CTXLEN_SHIFT: u64 = 32, CTXLEN_MASK: u64 = 0xfffff00000000;
const USER_SAMPLES_MAX: u32 = 131072;
const DYNPTR_MAX: u64 = 0xffffff;
const FRAMES: u32 = 4;

/** Is it a helper or kfunc of this file? */
export function isMapHelper(id: u32): bool {
  switch (id) {
    case 1: case 2: case 3: case 22: case 25: case 27: case 55: case 67: case 81: case 87: case 88: case 89: case 107: case 108:
    case 130: case 131: case 132: case 133: case 134: case 145: case 146: case 156: case 157: case 164: case 169: case 170: case 171:
    case 172: case 194: case 195: case 198: case 199: case 200: case 209: case 210: case 211:
    case 0x10026: case 0x10027: case 0x10028: case 0x10029: case 0x1002a: case 0x1002b: case 0x1002c: case 0x1002d: case 0x1002e: case 0x1002f:
    case 0x10030: case 0x10031: case 0x10032: case 0x10033: case 0x10034: case 0x10035: case 0x10047: case 0x10048: case 0x10049:
      return true;
    default: return false;
  }
}

@inline function errno(error: i32): u64 {
  return <u64><i64>error;
}

/** Calls one of them. */
export function mapHelper(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  switch (id) {
    case 1: return lookup(r1, r2);
    case 2: return update(r1, r2, r3, r4);
    case 3: return remove(r1, r2);
    case 22: return perfEventRead(r1, r2);
    case 25: return perfEventOutput(r2, r3, r4, r5);
    case 27: return getStackId(r2, r3);
    case 55: return perfEventReadValue(r1, r2, r3, r4);
    case 67: return getStack(r2, r3, r4);
    case 81: return getLocalStorage(r1);
    case 87: return push(r1, r2, r3);
    case 88: return pop(r1, r2, true);
    case 89: return pop(r1, r2, false);
    case 107: case 145: case 156: case 210: return storage(r1, r2, r3, r4);
    case 108: case 146: case 157: case 211: return dropStorage(r1, r2);
    case 130: return output(r1, r2, r3, r4);
    case 131: return reserve(r1, r2, r3);
    case 132: return commit(r1, r2, false);
    case 133: return commit(r1, r2, true);
    case 134: {
      const at = typed(r1, BPF_MAP_TYPE_RINGBUF);
      return at == 0 ? 0 : ringQuery(changetype<BpfMap>(at), r2);
    }
    case 164: return forEach(r1, r2, r3, r4);
    case 169: {
      const at = mapArgument(r2);
      return at == 0 || !timerField(r1, at) ? errno(-EINVAL) : <u64>timerInit(<usize>r1, at, r3);
    }
    case 170: return timerField(r1, 0) ? <u64>timerSetCallback(<usize>r1, r2, changetype<BpfProg>(bpfCurrent().prog)) : errno(-EINVAL);
    case 171: return timerField(r1, 0) ? <u64>timerStart(<usize>r1, r2, r3) : errno(-EINVAL);
    case 172: return timerField(r1, 0) ? <u64>timerCancel(<usize>r1) : errno(-EINVAL);
    case 194: {
      // Only the verifier can tell what r2 points to.
      if (bpfCurrent().checked != 0) return 0;
      const old = load<u64>(<usize>r1);
      store<u64>(<usize>r1, r2);
      return old;
    }
    case 195: {
      const at = mapArgument(r1);
      if (at == 0) return 0;
      const map = changetype<BpfMap>(at);
      if (!bpfReadable(r2, map.keySize)) return 0;
      const value = mapLookupPerCpu(map, <usize>r2, <u32>r3);
      if (value != 0) ownValue(map, value);
      return <u64>value;
    }
    case 198: return reserveDynptr(r1, r2, r3, r4);
    case 199: return commitDynptr(r1, r2, false);
    case 200: return commitDynptr(r1, r2, true);
    case 209: return drain(r1, r2, r3, r4);
    default: return mapKfunc(id, r1, r2, r3, r4, r5);
  }
}

/** A map argument of this type, 0: it is not. */
function typed(address: u64, type: u32): usize {
  const at = mapArgument(address);
  return at != 0 && changetype<BpfMap>(at).type == type ? at : 0;
}

/** An unverified program owns the bytes of a value, but not its timers and kptrs: those are addresses that the kernel trusts. */
function ownValue(map: BpfMap, value: usize): void {
  if (bpfCurrent().checked == 0) return;
  const writable = valueWritable(map);
  if (map.fieldCount == 0) {
    bpfOwn(value, map.valueSize, writable);
    return;
  }
  // The beginning is noted even where a field stands there: timerField() asks for it.
  bpfOwn(value, 0, false);
  let from: u32 = 0;
  for (let i: u32 = 0; i < map.fieldCount; i++) {
    const field = fieldAt(map, i);
    if (field.kind == BPF_FIELD_SPIN_LOCK || field.kind == BPF_FIELD_RES_SPIN_LOCK) continue;
    if (field.offset > from) bpfOwn(value + <usize>from, field.offset - from, writable);
    from = field.offset + field.bytes;
  }
  if (map.valueSize > from) bpfOwn(value + <usize>from, map.valueSize - from, writable);
}

/** Is this a timer's (work queue's) place in a value? Of an unverified program only a value of `map` that it was given, or one with a timer. */
function timerField(field: u64, map: usize): bool {
  if (bpfCurrent().checked == 0) return true;
  if (map == 0) {
    if (timerKnown(<usize>field)) return true;
  } else {
    const m = changetype<BpfMap>(map);
    for (let i: u32 = 0; i < m.fieldCount; i++) {
      const f = fieldAt(m, i);
      if ((f.kind == BPF_FIELD_TIMER || f.kind == BPF_FIELD_WORKQUEUE) && bpfOwned(field - <u64>f.offset)) return true;
    }
  }
  bpfFault(bpfCurrent(), BPF_FAULT_ARGUMENT, field, 16);
  return false;
}

function lookup(address: u64, key: u64): u64 {
  const at = mapArgument(address);
  if (at == 0) return 0;
  const map = changetype<BpfMap>(at);
  if (!bpfReadable(key, map.keySize)) return 0;
  const value = mapLookup(map, <usize>key);
  if (value != 0 && valueBytes(map) != 0) ownValue(map, value);
  return <u64>value;
}

function update(address: u64, key: u64, value: u64, flags: u64): u64 {
  const at = mapArgument(address);
  if (at == 0) return errno(-EINVAL);
  const map = changetype<BpfMap>(at);
  if (!bpfReadable(key, map.keySize) || !bpfReadable(value, map.valueSize)) return errno(-EFAULT);
  return errno(mapUpdate(map, <usize>key, <usize>value, flags));
}

function remove(address: u64, key: u64): u64 {
  const at = mapArgument(address);
  if (at == 0) return errno(-EINVAL);
  const map = changetype<BpfMap>(at);
  return bpfReadable(key, map.keySize) ? errno(mapDelete(map, <usize>key)) : errno(-EFAULT);
}

function push(address: u64, value: u64, flags: u64): u64 {
  const at = mapArgument(address);
  if (at == 0) return errno(-EINVAL);
  const map = changetype<BpfMap>(at);
  return bpfReadable(value, map.valueSize) ? errno(mapPush(map, <usize>value, flags)) : errno(-EFAULT);
}

function pop(address: u64, value: u64, take: bool): u64 {
  const at = mapArgument(address);
  if (at == 0) return errno(-EINVAL);
  const map = changetype<BpfMap>(at);
  return bpfWritable(value, map.valueSize) ? errno(mapPop(map, <usize>value, take)) : errno(-EFAULT);
}

// Ring buffers

function output(address: u64, data: u64, size: u64, flags: u64): u64 {
  const at = typed(address, BPF_MAP_TYPE_RINGBUF);
  if (at == 0) return errno(-EINVAL);
  if (size > INDEX_MASK || !bpfReadable(data, <u32>size)) return errno(-EAGAIN);
  return errno(ringOutput(changetype<BpfMap>(at), <usize>data, size, flags));
}

function reserve(address: u64, size: u64, flags: u64): u64 {
  const at = typed(address, BPF_MAP_TYPE_RINGBUF);
  if (at == 0 || flags != 0) return 0;
  const record = ringReserve(changetype<BpfMap>(at), size);
  if (record != 0) bpfOwn(record, <u32>size, true);
  return <u64>record;
}

/** Of an unverified program the record has to be one that it was given and has not given back. */
function commit(record: u64, flags: u64, discard: bool): u64 {
  if (!bpfOwned(record)) return 0;
  const at = <usize>record;
  if (bpfCurrent().checked != 0) {
    const map = bpfMapFind(<u64>load<u32>(at - 4));
    if (map == 0 || changetype<BpfMap>(map).type != BPF_MAP_TYPE_RINGBUF || !ringBusy(changetype<BpfMap>(map), at)) {
      bpfFault(bpfCurrent(), BPF_FAULT_ARGUMENT, record, 0);
      return 0;
    }
  }
  bpfDisown(at);
  ringCommit(at, flags, discard);
  return 0;
}

function reserveDynptr(address: u64, size: u64, flags: u64, to: u64): u64 {
  if (!bpfWritable(to, DYNPTR_BYTES)) return errno(-EINVAL);
  dynptrNull(<usize>to);
  const at = typed(address, BPF_MAP_TYPE_RINGBUF);
  if (at == 0 || flags != 0) return errno(-EINVAL);
  if (size > DYNPTR_MAX) return errno(-E2BIG);
  const record = ringReserve(changetype<BpfMap>(at), size);
  if (record == 0) return errno(-EINVAL);
  bpfOwn(record, <u32>size, true);
  dynptrInit(<usize>to, record, <u32>size, DYNPTR_RINGBUF, false);
  return 0;
}

function commitDynptr(dynptr: u64, flags: u64, discard: bool): u64 {
  if (!bpfWritable(dynptr, DYNPTR_BYTES)) return 0;
  const record = load<u32>(<usize>dynptr);
  if (record == 0) return 0;
  dynptrNull(<usize>dynptr);
  return commit(<u64>record, flags, discard);
}

/** bpf_user_ringbuf_drain: how many samples the callback saw. */
function drain(address: u64, callback: u64, context: u64, flags: u64): u64 {
  const at = typed(address, BPF_MAP_TYPE_USER_RINGBUF);
  if (at == 0 || flags & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) return errno(-EINVAL);
  const map = changetype<BpfMap>(at), ring = ringOf(map);
  if (ring.busy) return errno(-EBUSY);
  const dynptr = kmalloc(DYNPTR_BYTES);
  if (dynptr == 0) return errno(-EBUSY);
  ring.busy = 1;
  let samples: u64 = 0, stop: u64 = 0;
  for (let i: u32 = 0; i < USER_SAMPLES_MAX && stop == 0; i++) {
    const record = userRingPeek(map);
    if (record == 0) break;
    const length = load<u32>(record - 8);
    dynptrInit(dynptr, record, min<u32>(length, <u32>DYNPTR_MAX), DYNPTR_LOCAL, false);
    bpfOwn(dynptr, DYNPTR_BYTES, true);
    bpfOwn(record, length, true);
    stop = bpfCallSubprogram(<u32>callback, <u64>dynptr, context, 0, 0, 0);
    userRingRelease(map);
    samples++;
    if (bpfCurrent().fault != 0) break;
  }
  ring.busy = 0;
  bpfDisown(dynptr);
  kfree(dynptr, DYNPTR_BYTES);
  return samples;
}

// Walks

/** bpf_for_each_map_elem: how many elements the callback (map, key, value, context) saw; what it returns ends the walk unless it is 0. */
function forEach(address: u64, callback: u64, context: u64, flags: u64): u64 {
  const at = mapArgument(address);
  if (at == 0 || flags != 0) return errno(-EINVAL);
  const map = changetype<BpfMap>(at);
  switch (map.type) {
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: return eachIndex(map, <u32>callback, context);
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
      return eachElement(map, <u32>callback, context);
    default: return errno(-ENOTSUPP);
  }
}

function call(map: BpfMap, callback: u32, key: usize, value: usize, context: u64): bool {
  bpfOwn(key, map.keySize, false);
  ownValue(map, value);
  const result = bpfCallSubprogram(callback, <u64>changetype<usize>(map), <u64>key, <u64>value, context, 0);
  return result == 0 && bpfCurrent().fault == 0;
}

function eachIndex(map: BpfMap, callback: u32, context: u64): u64 {
  const key = kmalloc(8);
  if (key == 0) return 0;
  let n: u32 = 0;
  while (n < map.maxEntries) {
    store<u32>(key, n);
    const value = map.data + <usize>(n * map.stride);
    n++;
    if (!call(map, callback, key, value, context)) break;
  }
  bpfDisown(key);
  kfree(key, 8);
  return <u64>n;
}

function eachElement(map: BpfMap, callback: u32, context: u64): u64 {
  let n: u32 = 0;
  for (let bucket: u32 = 0; bucket <= map.bucketMask; bucket++) {
    let e = <usize>load<u32>(map.buckets + (<usize>bucket << 2));
    while (e != 0) {
      const next = elementNext(e);
      n++;
      if (!call(map, callback, e + ELEMENT_KEY, valueOf(map, e), context)) return <u64>n;
      // A callback that deletes and inserts can turn a chain into one that leads back.
      if (n > map.taken << 2) return <u64>n;
      e = next;
    }
  }
  return <u64>n;
}

// Events

/** bpf_perf_event_output; of a packet's program the upper flags say how much of the packet follows the data. */
function perfEventOutput(address: u64, flags: u64, data: u64, size: u64): u64 {
  const at = typed(address, BPF_MAP_TYPE_PERF_EVENT_ARRAY), run = bpfCurrent();
  const packet = run.kind == RUN_SKB || run.kind == RUN_XDP;
  if (at == 0 || flags & ~(packet ? CTXLEN_MASK | INDEX_MASK : INDEX_MASK)) return errno(-EINVAL);
  const more = packet ? <u32>((flags & CTXLEN_MASK) >> CTXLEN_SHIFT) : 0;
  let from: usize = 0;
  if (more != 0) {
    const hook = hookRun(), skb = changetype<Skb>(changetype<usize>(hook) == 0 ? 0 : hook.skb);
    if (changetype<usize>(skb) == 0 || more > <u32>(skb.tail - skb.data)) return errno(-EFAULT);
    from = skb.data;
  }
  if (size > INDEX_MASK || !bpfReadable(data, <u32>size)) return errno(-E2BIG);
  return errno(perfOutput(changetype<BpfMap>(at), flags & INDEX_MASK, <usize>data, size, from, more));
}

function perfEventRead(address: u64, flags: u64): u64 {
  const at = typed(address, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  return at == 0 ? errno(-EINVAL) : <u64>perfRead(changetype<BpfMap>(at), flags);
}

/** bpf_perf_event_read_value: {u64 counter, u64 enabled, u64 running}. */
function perfEventReadValue(address: u64, flags: u64, to: u64, size: u64): u64 {
  const at = typed(address, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  if (at == 0 || size != 24) return errno(-EINVAL);
  if (!bpfWritable(to, 24)) return errno(-EFAULT);
  bpfFill(<usize>to, 0, 24);
  return <u64>perfRead(changetype<BpfMap>(at), flags);
}

/** The call chain, innermost first, as u64[] of at most FRAMES: the traced function where there is one, and the program. */
function callChain(to: usize): u32 {
  const run = bpfCurrent();
  let n: u32 = 0;
  if (run.func != 0) store<u64>(to + <usize>((n++) << 3), <u64>run.func);
  store<u64>(to + <usize>((n++) << 3), <u64>run.prog);
  return n;
}

function getStackId(address: u64, flags: u64): u64 {
  const at = typed(address, BPF_MAP_TYPE_STACK_TRACE);
  if (at == 0) return errno(-EINVAL);
  const chain = kmalloc(FRAMES << 3);
  if (chain == 0) return errno(-EFAULT);
  const id = stackTracePut(changetype<BpfMap>(at), chain, callChain(chain), flags);
  kfree(chain, FRAMES << 3);
  return errno(id);
}

/** bpf_get_stack: bytes written. */
function getStack(to: u64, size: u64, flags: u64): u64 {
  const skip = <u32>(flags & 0xff);
  if (flags & ~(<u64>0xff | 0x100 | 0x800) || size % 8 != 0 || size > INDEX_MASK) return errno(-EINVAL);
  if (!bpfWritable(to, <u32>size)) return errno(-EFAULT);
  const chain = kmalloc(FRAMES << 3);
  if (chain == 0) return errno(-EFAULT);
  const depth = callChain(chain), bytes = depth <= skip ? 0 : min<u32>((depth - skip) << 3, <u32>size);
  bpfCopy(<usize>to, chain + <usize>(skip << 3), <usize>bytes);
  bpfFill(<usize>to + <usize>bytes, 0, <usize>(<u32>size - bytes));
  kfree(chain, FRAMES << 3);
  return depth <= skip ? errno(-EFAULT) : <u64>bytes;
}

// Storage

/** Whose storage a pointer means: a socket as programs see it stands for the socket. 0: nobody's. */
function ownerOf(map: BpfMap, pointer: u64): u64 {
  const hook = hookRun();
  if (map.type != BPF_MAP_TYPE_SK_STORAGE || changetype<usize>(hook) == 0) return pointer;
  const socket = sockOfView(hook, pointer);
  return socket == 0 || !isFull(socket) ? 0 : <u64>socket;
}

function storage(address: u64, pointer: u64, value: u64, flags: u64): u64 {
  const at = mapArgument(address);
  if (at == 0 || !isStorage(changetype<BpfMap>(at).type)) return 0;
  const map = changetype<BpfMap>(at);
  if (value != 0 && !bpfReadable(value, map.valueSize)) return 0;
  const found = storageGet(at, ownerOf(map, pointer), <usize>value, flags);
  if (found != 0) ownValue(map, found);
  return <u64>found;
}

function dropStorage(address: u64, pointer: u64): u64 {
  const at = mapArgument(address);
  if (at == 0 || !isStorage(changetype<BpfMap>(at).type)) return errno(-EINVAL);
  const owner = ownerOf(changetype<BpfMap>(at), pointer);
  return owner == 0 ? errno(-EINVAL) : errno(storageDelete(at, owner));
}

/** bpf_get_local_storage: that of the control group and attach type for which the program runs; in a test run one of its own. */
function getLocalStorage(address: u64): u64 {
  const at = mapArgument(address);
  if (at == 0) return 0;
  const map = changetype<BpfMap>(at), hook = hookRun();
  if (!isCgroupStorage(map.type)) return 0;
  const cgroup: u64 = changetype<usize>(hook) == 0 ? 0 : <u64>hook.cgroup;
  const value = cgroupStorage(at, cgroup, changetype<BpfProg>(bpfCurrent().prog).attachType);
  if (value != 0) ownValue(map, value);
  return <u64>value;
}

// Kfuncs: objects, lists, trees, work queues

function own(object: usize, bytes: u32): u64 {
  if (object != 0) bpfOwn(object, bytes, true);
  return <u64>object;
}

function mapKfunc(id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const run = bpfCurrent();
  switch (id) {
    case 0x10026: {
      const at = mapArgument(r1);
      return at == 0 ? 0 : <u64>changetype<BpfMap>(at).count;
    }
    case 0x10047: {
      const at = mapArgument(r2);
      return at == 0 || !timerField(r1, at) ? errno(-EINVAL) : <u64>workInit(<usize>r1, at, r3);
    }
    case 0x10048: return r3 == 0 && timerField(r1, 0) ? <u64>timerSetCallback(<usize>r1, r2, changetype<BpfProg>(run.prog)) : errno(-EINVAL);
    case 0x10049: return r2 == 0 && timerField(r1, 0) ? <u64>timerStart(<usize>r1, 0, 0) : errno(-EINVAL);
    default: break;
  }
  // What follows takes pointers into objects, which only the verifier can vouch for.
  if (run.checked != 0) return errno(-EINVAL);
  switch (id) {
    case 0x10027: return own(objectNew(<u32>r1), <u32>r1); // the driver puts the type's size in the place of its id
    case 0x10028:
      objectPut(<usize>r1);
      return 0;
    case 0x10029: return <u64>objectHold(<usize>r1);
    case 0x1002a: return <u64>listPush(<usize>r1, <usize>r2, <u32>r4, true);
    case 0x1002b: return <u64>listPush(<usize>r1, <usize>r2, <u32>r4, false);
    case 0x1002c: return <u64>listPop(<usize>r1, true);
    case 0x1002d: return <u64>listPop(<usize>r1, false);
    case 0x1002e: return <u64>listPeek(<usize>r1, true);
    case 0x1002f: return <u64>listPeek(<usize>r1, false);
    case 0x10030: return <u64>treeAdd(<usize>r1, <usize>r2, r3, <u32>r5);
    case 0x10031: return <u64>treeRemove(<usize>r1, <usize>r2);
    case 0x10032: return <u64>treeFirst(<usize>r1);
    case 0x10033: return load<u64>(<usize>r1);
    case 0x10034: return load<u64>(<usize>r2);
    case 0x10035: return load<u64>(<usize>r2, 8);
    default: return errno(-EINVAL);
  }
}
