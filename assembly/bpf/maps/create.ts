// BPF_MAP_CREATE: kernel/bpf/syscall.c map_create with the checks of each type's map_alloc_check and map_alloc, in their order.
import { E2BIG, EACCES, EINVAL, ENOENT, ENOMEM, ENOTSUPP, EOPNOTSUPP } from "../../abi/core";
import {
  BPFMC_BTF_KEY, BPFMC_BTF_VALUE, BPFMC_BYTES, BPFMC_EXTRA, BPFMC_FIELDS, BPFMC_FIELD_BYTES, BPFMC_FLAGS, BPFMC_IFINDEX, BPFMC_INNER,
  BPFMC_KEY_SIZE, BPFMC_MAX_ENTRIES, BPFMC_NAME, BPFMC_NUMA_NODE, BPFMC_TYPE, BPFMC_VALUE_SIZE, BPF_FIELD_LIST_HEAD, BPF_FIELD_LIST_NODE,
  BPF_FIELD_RB_NODE, BPF_FIELD_RB_ROOT, BPF_FIELD_REFCOUNT, BPF_FIELD_RES_SPIN_LOCK, BPF_FIELD_SPIN_LOCK, BPF_FIELD_TIMER,
  BPF_FIELD_WORKQUEUE, BPF_F_CLONE, BPF_F_INNER_MAP, BPF_F_MMAPABLE, BPF_F_NO_COMMON_LRU, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE,
  BPF_F_PRESERVE_ELEMS, BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_STACK_BUILD_ID, BPF_F_WRONLY, BPF_F_WRONLY_PROG, BPF_F_ZERO_SEED,
  BPF_MAP_TYPE_ARENA, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_BLOOM_FILTER, BPF_MAP_TYPE_CGROUP_ARRAY,
  BPF_MAP_TYPE_CGROUP_STORAGE, BPF_MAP_TYPE_CGRP_STORAGE, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_INODE_STORAGE, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, BPF_MAP_TYPE_RINGBUF,
  BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_STACK_TRACE,
  BPF_MAP_TYPE_TASK_STORAGE, BPF_MAP_TYPE_USER_RINGBUF, BPF_MAP_TYPE_XSKMAP,
} from "../../abi/bpf-maps";
import { random32 } from "../../mm/rng";
import { kmalloc } from "../../mm/slab";
import { arrayInit } from "./array";
import { bloomInit } from "./bloom";
import { devmapInit } from "./devmap";
import { mapFree } from "./free";
import { hashInit } from "./hash";
import { innerMeta } from "./inner";
import { trieInit } from "./lpm-trie";
import { lruInit } from "./lru";
import { BpfMap, isPerCpu, mapDispose, mapNew, mapPublish, mapState, possibleCpus, round8, roundUpPow2 } from "./map";
import { queueInit } from "./queue-stack";
import { ringInit } from "./ringbuf";
import { sockmapInit } from "./sockmap";
import { stackTraceInit } from "./stackmap";
import { storageInit } from "./storage";

const ACCESS: u32 = BPF_F_RDONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY | BPF_F_WRONLY_PROG;
const USER_ACCESS: u32 = BPF_F_RDONLY | BPF_F_WRONLY;
/** KMALLOC_MAX_SIZE: 2^10 pages of 4 KiB. */
const KMALLOC_MAX: u64 = 1 << 22;
/** PCPU_MIN_UNIT_SIZE. */
const PERCPU_MAX: u32 = 32768;
const HTAB_ELEM: u64 = 48;
const LPM_NODE: u64 = 24;
const LPM_DATA_MAX: u32 = 256;
/** BPF_LOCAL_STORAGE_MAX_VALUE_SIZE: 64 KiB less the heads of an element. */
const STORAGE_MAX: u32 = 65407;
/** NR_CPUS of the kernel that answers were recorded from. */
const NR_CPUS: u32 = 256;
const MAX_BPF_STACK: u32 = 512;
/** sysctl_perf_event_max_stack. */
const STACK_DEPTH_MAX: u32 = 127;
const PAGE: u32 = 4096;
const FIELDS_MAX: u32 = 11;
const VALUE_MAX: u32 = 0x7fffffff;

/** Creates a map from a BPFMC_* record of `length` bytes: its handle or -errno. */
export function mapCreate(at: usize, length: u32): i32 {
  if (length < BPFMC_BYTES || changetype<usize>(mapState()) == 0) return length < BPFMC_BYTES ? -EINVAL : -ENOMEM;
  const type = load<u32>(at, BPFMC_TYPE), flags = load<u32>(at, BPFMC_FLAGS);
  if (load<u32>(at, BPFMC_BTF_KEY) != 0 && load<u32>(at, BPFMC_BTF_VALUE) == 0) return -EINVAL;
  if (type != BPF_MAP_TYPE_BLOOM_FILTER && type != BPF_MAP_TYPE_ARENA && load<u64>(at, BPFMC_EXTRA) != 0) return -EINVAL;
  if (flags & BPF_F_RDONLY && flags & BPF_F_WRONLY) return -EINVAL;
  if (flags & BPF_F_NUMA_NODE && load<u32>(at, BPFMC_NUMA_NODE) != 0) return -EINVAL;
  const error = check(at, type, flags);
  if (error != 0) return error;
  const map = mapNew();
  if (changetype<usize>(map) == 0) return -ENOMEM;
  map.type = type;
  map.flags = flags & ~USER_ACCESS;
  map.access = flags & USER_ACCESS;
  map.keySize = load<u32>(at, BPFMC_KEY_SIZE);
  map.valueSize = load<u32>(at, BPFMC_VALUE_SIZE);
  map.maxEntries = load<u32>(at, BPFMC_MAX_ENTRIES);
  map.stride = round8(map.valueSize);
  map.mapExtra = load<u64>(at, BPFMC_EXTRA);
  map.ifindex = load<u32>(at, BPFMC_IFINDEX);
  map.btfKey = load<u32>(at, BPFMC_BTF_KEY);
  map.btfValue = load<u32>(at, BPFMC_BTF_VALUE);
  let result = alloc(map, load<u32>(at, BPFMC_INNER));
  if (result == 0) result = name(map, at + BPFMC_NAME);
  if (result == 0) result = fields(map, at + BPFMC_BYTES, load<u32>(at, BPFMC_FIELDS), length - BPFMC_BYTES);
  if (result == 0 && !mapPublish(map)) result = -ENOMEM;
  if (result != 0) {
    mapFree(map);
    mapDispose(map);
    return result;
  }
  return <i32>map.handle;
}

@inline function accessOk(flags: u32): bool {
  return (flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) != (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG);
}

/** The checks that need no memory. */
function check(at: usize, type: u32, flags: u32): i32 {
  const key = load<u32>(at, BPFMC_KEY_SIZE), value = load<u32>(at, BPFMC_VALUE_SIZE), entries = load<u32>(at, BPFMC_MAX_ENTRIES);
  switch (type) {
    case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY: case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS:
      if (value != 4 || flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) return -EINVAL;
      return checkArray(type, flags, key, value, entries);
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: return checkArray(type, flags, key, value, entries);
    case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:
      return value != 4 && value != 8 ? -EINVAL : checkArray(type, flags, key, value, entries);
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
      return checkHash(type, flags, key, value, entries);
    case BPF_MAP_TYPE_HASH_OF_MAPS: return value != 4 ? -EINVAL : checkHash(type, flags, key, value, entries);
    case BPF_MAP_TYPE_LPM_TRIE:
      return entries == 0 || !(flags & BPF_F_NO_PREALLOC) || flags & ~(BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | ACCESS) || !accessOk(flags)
        || key < 5 || key > LPM_DATA_MAX + 4 || value == 0 || <u64>value > KMALLOC_MAX - <u64>LPM_DATA_MAX - LPM_NODE ? -EINVAL : 0;
    case BPF_MAP_TYPE_STACK_TRACE: {
      if (flags & ~(BPF_F_NUMA_NODE | USER_ACCESS | BPF_F_STACK_BUILD_ID)) return -EINVAL;
      const each: u32 = flags & BPF_F_STACK_BUILD_ID ? 32 : 8;
      if (entries == 0 || key != 4 || value < 8 || value % 8 != 0 || value % each != 0 || value / each > STACK_DEPTH_MAX) return -EINVAL;
      return entries > 0x80000000 ? -E2BIG : 0;
    }
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH:
      if (entries == 0 || key != 4 || (value != 4 && value != 8) || flags & ~(BPF_F_NUMA_NODE | USER_ACCESS)) return -EINVAL;
      return type == BPF_MAP_TYPE_DEVMAP_HASH && entries > 0x80000000 ? -EINVAL : 0;
    case BPF_MAP_TYPE_CPUMAP:
      if (entries == 0 || key != 4 || (value != 4 && value != 8) || flags & ~BPF_F_NUMA_NODE) return -EINVAL;
      return entries > NR_CPUS ? -E2BIG : 0;
    case BPF_MAP_TYPE_XSKMAP:
      return entries == 0 || key != 4 || value != 4 || flags & ~(BPF_F_NUMA_NODE | USER_ACCESS) ? -EINVAL : 0;
    case BPF_MAP_TYPE_SOCKMAP:
      return entries == 0 || key != 4 || (value != 4 && value != 8) || flags & ~(BPF_F_NUMA_NODE | USER_ACCESS) ? -EINVAL : 0;
    case BPF_MAP_TYPE_SOCKHASH:
      if (entries == 0 || key == 0 || (value != 4 && value != 8) || flags & ~(BPF_F_NUMA_NODE | USER_ACCESS)) return -EINVAL;
      if (key > MAX_BPF_STACK) return -E2BIG;
      return entries > 0x8000000 ? -EINVAL : 0;
    case BPF_MAP_TYPE_CGROUP_STORAGE: case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: {
      const most: u32 = type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE ? PERCPU_MAX : STORAGE_MAX;
      if (key != 16 && key != 8) return -EINVAL;
      if (value == 0) return -EINVAL;
      if (value > most) return -E2BIG;
      return flags & ~(BPF_F_NUMA_NODE | ACCESS) || !accessOk(flags) || entries != 0 ? -EINVAL : 0;
    }
    case BPF_MAP_TYPE_SK_STORAGE: case BPF_MAP_TYPE_INODE_STORAGE: case BPF_MAP_TYPE_TASK_STORAGE: case BPF_MAP_TYPE_CGRP_STORAGE:
      if (flags & ~(BPF_F_NO_PREALLOC | BPF_F_CLONE) || !(flags & BPF_F_NO_PREALLOC) || entries != 0 || key != 4 || value == 0
        || load<u32>(at, BPFMC_BTF_KEY) == 0 || load<u32>(at, BPFMC_BTF_VALUE) == 0) return -EINVAL;
      return value > STORAGE_MAX ? -E2BIG : 0;
    case BPF_MAP_TYPE_RINGBUF: case BPF_MAP_TYPE_USER_RINGBUF:
      return flags & ~BPF_F_NUMA_NODE || key != 0 || value != 0 || entries == 0 || (entries & (entries - 1)) != 0 || entries % PAGE != 0 ? -EINVAL : 0;
    case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK:
      if (entries == 0 || key != 0 || value == 0 || flags & ~(BPF_F_NUMA_NODE | ACCESS) || !accessOk(flags)) return -EINVAL;
      return <u64>value > KMALLOC_MAX ? -E2BIG : 0;
    case BPF_MAP_TYPE_BLOOM_FILTER:
      if (<u64>value > KMALLOC_MAX) return -E2BIG;
      return key != 0 || value == 0 || entries == 0 || flags & ~(BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | ACCESS) || !accessOk(flags)
        || load<u64>(at, BPFMC_EXTRA) & ~15 ? -EINVAL : 0;
    default: return -EINVAL;
  }
}

function checkArray(type: u32, flags: u32, key: u32, value: u32, entries: u32): i32 {
  const perCpu = type == BPF_MAP_TYPE_PERCPU_ARRAY;
  if (entries == 0 || key != 4 || value == 0
    || flags & ~(BPF_F_NUMA_NODE | BPF_F_MMAPABLE | ACCESS | BPF_F_PRESERVE_ELEMS | BPF_F_INNER_MAP) || !accessOk(flags)
    || (perCpu && flags & BPF_F_NUMA_NODE)) return -EINVAL;
  if (type != BPF_MAP_TYPE_ARRAY && flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP)) return -EINVAL;
  if (type != BPF_MAP_TYPE_PERF_EVENT_ARRAY && flags & BPF_F_PRESERVE_ELEMS) return -EINVAL;
  if (value > VALUE_MAX) return -E2BIG;
  return perCpu && round8(value) > PERCPU_MAX ? -E2BIG : 0;
}

function checkHash(type: u32, flags: u32, key: u32, value: u32, entries: u32): i32 {
  const lru = type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
  const perCpu = type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
  if (flags & ~(BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE | ACCESS | BPF_F_ZERO_SEED) || !accessOk(flags)) return -EINVAL;
  if (!lru && flags & BPF_F_NO_COMMON_LRU) return -EINVAL;
  if (lru && flags & BPF_F_NO_PREALLOC) return -ENOTSUPP;
  if (flags & BPF_F_NUMA_NODE && (perCpu || flags & BPF_F_NO_COMMON_LRU)) return -EINVAL;
  if (entries == 0 || key == 0 || value == 0) return -EINVAL;
  if (<u64>key + <u64>value >= KMALLOC_MAX - HTAB_ELEM) return -E2BIG;
  return perCpu && round8(value) > PERCPU_MAX ? -E2BIG : 0;
}

/** map_alloc. What it took before an error is given back by mapFree. */
function alloc(map: BpfMap, inner: u32): i32 {
  let done: bool;
  switch (map.type) {
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: case BPF_MAP_TYPE_HASH_OF_MAPS: {
      const error = innerMeta(map, inner);
      if (error != 0) return error;
      return map.type == BPF_MAP_TYPE_HASH_OF_MAPS ? allocHash(map) : arrayInit(map) ? 0 : -ENOMEM;
    }
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH: return allocHash(map);
    case BPF_MAP_TYPE_LPM_TRIE: done = trieInit(map); break;
    case BPF_MAP_TYPE_STACK_TRACE: done = stackTraceInit(map); break;
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH:
      map.flags |= BPF_F_RDONLY_PROG;
      done = devmapInit(map, map.type == BPF_MAP_TYPE_DEVMAP_HASH ? roundUpPow2(map.maxEntries) : map.maxEntries);
      break;
    case BPF_MAP_TYPE_CPUMAP: case BPF_MAP_TYPE_XSKMAP: done = devmapInit(map, map.maxEntries); break;
    case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH: case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: done = sockmapInit(map); break;
    case BPF_MAP_TYPE_CGROUP_STORAGE: case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: case BPF_MAP_TYPE_SK_STORAGE:
    case BPF_MAP_TYPE_INODE_STORAGE: case BPF_MAP_TYPE_TASK_STORAGE: case BPF_MAP_TYPE_CGRP_STORAGE: done = storageInit(map); break;
    case BPF_MAP_TYPE_RINGBUF: case BPF_MAP_TYPE_USER_RINGBUF: done = ringInit(map); break;
    case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: done = queueInit(map); break;
    case BPF_MAP_TYPE_BLOOM_FILTER:
      if (!(map.flags & BPF_F_ZERO_SEED)) map.seed = random32();
      done = bloomInit(map);
      break;
    default: done = arrayInit(map);
  }
  return done ? 0 : -ENOMEM;
}

function allocHash(map: BpfMap): i32 {
  if (map.flags & BPF_F_NO_COMMON_LRU) {
    const cpus = possibleCpus(), wanted = map.maxEntries;
    map.maxEntries = (wanted + cpus - 1) / cpus * cpus;
    if (map.maxEntries < wanted) map.maxEntries = wanted / cpus * cpus;
  }
  const buckets = roundUpPow2(map.maxEntries);
  // struct bucket has 16 bytes.
  if (buckets == 0 || buckets > 0xfffffff) return -E2BIG;
  if (!(map.flags & BPF_F_ZERO_SEED)) map.seed = random32();
  if (!hashInit(map, buckets)) return -ENOMEM;
  const lru = map.type == BPF_MAP_TYPE_LRU_HASH || map.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
  return lru && !lruInit(map) ? -ENOMEM : 0;
}

/** bpf_obj_name_cpy: letters, digits, `_` and `.`, closed by a zero. */
function name(map: BpfMap, at: usize): i32 {
  let i: usize = 0;
  for (; i < 16; i++) {
    const c = load<u8>(at + i);
    if (c == 0) break;
    const letter = (c | 32) >= 97 && (c | 32) <= 122;
    if (!letter && !(c >= 48 && c <= 57) && c != 95 && c != 46) return -EINVAL;
  }
  if (i == 16) return -EINVAL;
  memory.copy(changetype<usize>(map) + offsetof<BpfMap>("name0"), at, i);
  return 0;
}

/** map_check_btf: which special fields the type may have. */
function fields(map: BpfMap, at: usize, count: u32, room: u32): i32 {
  if (count == 0) return 0;
  if (count > FIELDS_MAX || count * BPFMC_FIELD_BYTES > room) return -EINVAL;
  if (map.flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) return -EACCES;
  let past: u32 = 0, owns = false;
  for (let i: u32 = 0; i < count; i++) {
    const field = at + <usize>(i * BPFMC_FIELD_BYTES);
    const kind = load<u32>(field), offset = load<u32>(field, 4), bytes = load<u32>(field, 8);
    if (offset < past || bytes > map.valueSize || offset > map.valueSize - bytes || bytes > 64) return -EINVAL;
    past = offset + bytes;
    if (!fieldAllowed(map.type, kind)) return -EOPNOTSUPP;
    if (kind == BPF_FIELD_LIST_HEAD || kind == BPF_FIELD_RB_ROOT) owns = true;
  }
  if (owns && !hasLock(at, count)) return -EINVAL;
  map.fields = kmalloc(count * BPFMC_FIELD_BYTES);
  if (map.fields == 0) return -ENOMEM;
  memory.copy(map.fields, at, <usize>(count * BPFMC_FIELD_BYTES));
  map.fieldCount = count;
  return 0;
}

/** Lists and trees live under a lock of their value. */
function hasLock(at: usize, count: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    const kind = load<u32>(at + <usize>(i * BPFMC_FIELD_BYTES));
    if (kind == BPF_FIELD_SPIN_LOCK || kind == BPF_FIELD_RES_SPIN_LOCK) return true;
  }
  return false;
}

function isStorage(type: u32): bool {
  return type == BPF_MAP_TYPE_SK_STORAGE || type == BPF_MAP_TYPE_INODE_STORAGE || type == BPF_MAP_TYPE_TASK_STORAGE
    || type == BPF_MAP_TYPE_CGRP_STORAGE;
}

function fieldAllowed(type: u32, kind: u32): bool {
  switch (kind) {
    case BPF_FIELD_SPIN_LOCK: case BPF_FIELD_RES_SPIN_LOCK:
      return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_CGROUP_STORAGE || isStorage(type);
    case BPF_FIELD_TIMER: case BPF_FIELD_WORKQUEUE:
    case BPF_FIELD_LIST_HEAD: case BPF_FIELD_RB_ROOT:
      return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_ARRAY;
    case BPF_FIELD_LIST_NODE: case BPF_FIELD_RB_NODE: case BPF_FIELD_REFCOUNT: return false;
    default:
      return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_ARRAY || isPerCpu(type) || isStorage(type);
  }
}
