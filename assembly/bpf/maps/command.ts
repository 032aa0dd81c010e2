// Requests of the driver about maps: lengths and handles are checked here. Keys and values stand in the upload buffer where one was filled, else
// behind the record's head.
import { EBADF, EBUSY, EFAULT, EINVAL, ENOENT, MAILBOX_BYTES } from "../../abi/core";
import {
  BPFMA_ADDRESS, BPFMA_BYTES, BPFMA_DATA, BPFMA_DATA_BYTES, BPFMA_ID, BPFMA_STRIDE, BPFMI_BTF_KEY, BPFMI_BTF_VALUE, BPFMI_BYTES,
  BPFMI_COUNT, BPFMI_EXTRA, BPFMI_FLAGS, BPFMI_FROZEN, BPFMI_ID, BPFMI_IFINDEX, BPFMI_KEY_SIZE, BPFMI_MAX_ENTRIES, BPFMI_NAME,
  BPFMI_REFS, BPFMI_TYPE, BPFMI_VALUE_SIZE, BPF_CPUS, BPF_MAP_BATCH, BPF_MAP_BATCH_DELETE, BPF_MAP_BATCH_UPDATE, BPF_MAP_BY_ID,
  BPF_MAP_CLOSE, BPF_MAP_CREATE, BPF_MAP_DELETE, BPF_MAP_EVENTS, BPF_MAP_FREEZE, BPF_MAP_INFO, BPF_MAP_LOOKUP, BPF_MAP_LOOKUP_DELETE,
  BPF_MAP_NEXT_ID, BPF_MAP_NEXT_KEY, BPF_MAP_TYPE_BLOOM_FILTER, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_RINGBUF,
  BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_USER_RINGBUF, BPF_MAP_UPDATE, BPF_PERF_CONSUME, BPF_PERF_OPEN, BPF_RINGBUF_CONSUME, BPF_RINGBUF_SKIP,
  BPF_RINGBUF_STATE, BPF_USER_RINGBUF_PUT,
} from "../../abi/bpf-maps";
import { HANDLE_BPF_MAP, handleNew } from "../../mm/handle";
import { batchDelete, batchLookup, batchUpdate } from "./batch";
import { mapCreate } from "./create";
import { BpfMap, bpfMapGet, bpfMapHold, mapById, mapClose, mapEventsTake, mapState, round8 } from "./map";
import { perfConsume, perfOpen } from "./perf";
import { queueLength } from "./queue-stack";
import { ringConsume, ringOf, ringSkip, userRingPut } from "./ringbuf";
import { sysDelete, sysFreeze, sysLookup, sysLookupDelete, sysNextKey, sysUpdate, sysValueBytes } from "./syscall";

/** {u32 map, u32 …, u64 flags} before a key. */
const HEAD: u32 = 16;
const CPUS_MAX: u32 = 64;

/** One request whose record of `length` bytes stands at `at`, where the answer goes. 0 or more, or -errno. */
export function bpfMapCommand(op: u32, at: usize, length: u32, upload: usize, uploadBytes: u32): i32 {
  switch (op) {
    case BPF_MAP_CREATE: {
      const handle = mapCreate(at, length);
      if (handle != 0 && bpfMapGet(<u32>handle) != 0) answer(changetype<BpfMap>(bpfMapGet(<u32>handle)), at);
      return handle;
    }
    case BPF_MAP_BY_ID: return byId(at);
    case BPF_MAP_NEXT_ID: return nextId(at);
    case BPF_MAP_EVENTS: return <i32>mapEventsTake(at, MAILBOX_BYTES);
    case BPF_CPUS: {
      const cpus = load<u32>(at);
      if (cpus == 0 || cpus > CPUS_MAX) return -EINVAL;
      if (mapState().maps != 0) return -EBUSY;
      mapState().cpus = cpus;
      return 0;
    }
    default: break;
  }
  const found = length < 4 ? 0 : bpfMapGet(load<u32>(at));
  if (found == 0) return -EBADF;
  const map = changetype<BpfMap>(found);
  const payload = uploadBytes != 0 ? upload : at + <usize>HEAD;
  const bytes: u32 = uploadBytes != 0 ? uploadBytes : length > HEAD ? length - HEAD : 0;
  switch (op) {
    case BPF_MAP_CLOSE:
      mapClose(map);
      return 0;
    case BPF_MAP_INFO: return info(map, at);
    case BPF_MAP_LOOKUP:
      if (!keyFits(map, bytes, map.type == BPF_MAP_TYPE_BLOOM_FILTER ? map.valueSize : 0)) return -EINVAL;
      return sysLookup(map, load<u64>(at, 8), payload, at, MAILBOX_BYTES);
    case BPF_MAP_UPDATE: {
      const value = round8(map.keySize);
      if (<u64>bytes < <u64>value + <u64>sysValueBytes(map)) return -EFAULT;
      return sysUpdate(map, load<u64>(at, 8), payload, payload + <usize>value);
    }
    case BPF_MAP_DELETE: return keyFits(map, bytes, 0) ? sysDelete(map, payload) : -EINVAL;
    case BPF_MAP_NEXT_KEY: {
      const given = load<u32>(at, 4) != 0;
      if (given && (map.keySize == 0 || !keyFits(map, bytes, 0))) return -EINVAL;
      return sysNextKey(map, given ? payload : 0, at);
    }
    case BPF_MAP_LOOKUP_DELETE: return keyFits(map, bytes, 0) ? sysLookupDelete(map, load<u64>(at, 8), payload, at) : -EINVAL;
    case BPF_MAP_FREEZE: return sysFreeze(map);
    case BPF_MAP_BATCH: {
      if (length < 32) return -EINVAL;
      const from = load<u32>(at, 12) != 0 ? at + 32 : 0;
      return batchLookup(map, load<u32>(at, 4), load<u64>(at, 16), load<u64>(at, 24), load<u32>(at, 8), from, at, MAILBOX_BYTES);
    }
    case BPF_MAP_BATCH_UPDATE: return batchUpdate(map, load<u64>(at, 8), load<u32>(at, 24), upload, uploadBytes, at);
    case BPF_MAP_BATCH_DELETE: return batchDelete(map, load<u64>(at, 8), load<u32>(at, 24), upload, uploadBytes, at);
    case BPF_RINGBUF_CONSUME: {
      const most = load<u32>(at, 4);
      return map.type == BPF_MAP_TYPE_RINGBUF ? <i32>ringConsume(map, at, most == 0 || most > MAILBOX_BYTES ? MAILBOX_BYTES : most) : -EINVAL;
    }
    case BPF_RINGBUF_SKIP:
      if (map.type != BPF_MAP_TYPE_RINGBUF) return -EINVAL;
      ringSkip(map);
      return 0;
    case BPF_RINGBUF_STATE: {
      if (map.type != BPF_MAP_TYPE_RINGBUF && map.type != BPF_MAP_TYPE_USER_RINGBUF) return -EINVAL;
      const ring = ringOf(map);
      store<u64>(at, ring.consumer);
      store<u64>(at, ring.producer, 8);
      store<u64>(at, ring.pending, 16);
      store<u32>(at, ring.mask + 1, 24);
      store<u32>(at, map.woken, 28);
      return 32;
    }
    case BPF_USER_RINGBUF_PUT: {
      const most = load<u32>(at, 4);
      if (map.type != BPF_MAP_TYPE_USER_RINGBUF) return -EINVAL;
      return most > bytes ? -EFAULT : userRingPut(map, payload, most);
    }
    case BPF_PERF_OPEN: return map.type == BPF_MAP_TYPE_PERF_EVENT_ARRAY ? perfOpen(map, load<u32>(at, 4), load<u32>(at, 8)) : -EINVAL;
    case BPF_PERF_CONSUME:
      return map.type == BPF_MAP_TYPE_PERF_EVENT_ARRAY ? perfConsume(map, load<u32>(at, 4), at, MAILBOX_BYTES) : -EINVAL;
    default: return -ENOENT;
  }
}

/** A key of a map that has keys, nothing (or the value asked about) of one that has none. */
function keyFits(map: BpfMap, bytes: u32, without: u32): bool {
  return map.keySize == 0 ? bytes == without : bytes >= map.keySize;
}

function answer(map: BpfMap, at: usize): void {
  const values = map.type != BPF_MAP_TYPE_RINGBUF && map.type != BPF_MAP_TYPE_USER_RINGBUF;
  memory.fill(at, 0, BPFMA_BYTES);
  store<u32>(at, <u32>changetype<usize>(map), BPFMA_ADDRESS);
  store<u32>(at, values ? <u32>map.data : 0, BPFMA_DATA);
  store<u32>(at, map.stride, BPFMA_STRIDE);
  store<u32>(at, values ? map.dataBytes : 0, BPFMA_DATA_BYTES);
  store<u32>(at, map.id, BPFMA_ID);
}

/** BPF_MAP_GET_FD_BY_ID: the handle is another where the first is still there. */
function byId(at: usize): i32 {
  const found = mapById(load<u32>(at));
  if (found == 0) return -ENOENT;
  const map = changetype<BpfMap>(found);
  if (map.handle == 0) {
    map.handle = handleNew(HANDLE_BPF_MAP, found);
    if (map.handle == 0) return -ENOENT;
    bpfMapHold(found);
  }
  answer(map, at);
  return <i32>map.handle;
}

/** BPF_MAP_GET_NEXT_ID. */
function nextId(at: usize): i32 {
  const after = load<u32>(at);
  let best: u32 = u32.MAX_VALUE;
  for (let map = mapState().maps; map != 0; map = changetype<BpfMap>(map).next) {
    const id = changetype<BpfMap>(map).id;
    if (id > after && id < best) best = id;
  }
  return best == u32.MAX_VALUE ? -ENOENT : <i32>best;
}

function info(map: BpfMap, at: usize): i32 {
  store<u32>(at, map.type, BPFMI_TYPE);
  store<u32>(at, map.id, BPFMI_ID);
  store<u32>(at, map.keySize, BPFMI_KEY_SIZE);
  store<u32>(at, map.valueSize, BPFMI_VALUE_SIZE);
  store<u32>(at, map.maxEntries, BPFMI_MAX_ENTRIES);
  store<u32>(at, map.flags, BPFMI_FLAGS);
  store<u64>(at, map.name0, BPFMI_NAME);
  store<u64>(at, map.name1, BPFMI_NAME + 8);
  store<u32>(at, map.ifindex, BPFMI_IFINDEX);
  store<u32>(at, map.frozen, BPFMI_FROZEN);
  store<u64>(at, map.mapExtra, BPFMI_EXTRA);
  store<u32>(at, map.btfKey, BPFMI_BTF_KEY);
  store<u32>(at, map.btfValue, BPFMI_BTF_VALUE);
  const queue = map.type == BPF_MAP_TYPE_QUEUE || map.type == BPF_MAP_TYPE_STACK;
  store<u32>(at, queue ? queueLength(map) : map.type == BPF_MAP_TYPE_BLOOM_FILTER ? 0 : map.count, BPFMI_COUNT);
  store<u32>(at, map.refs, BPFMI_REFS);
  return <i32>BPFMI_BYTES;
}
