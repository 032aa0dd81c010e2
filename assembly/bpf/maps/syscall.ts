// What the driver does with maps: BPF_MAP_*_ELEM of kernel/bpf/syscall.c, dispatched by type.
import { E2BIG, EBADF, EINVAL, ENOENT, ENOTSUPP, EOPNOTSUPP, EPERM } from "../../abi/core";
import {
  BPF_FIELD_SPIN_LOCK, BPF_F_RDONLY, BPF_F_WRONLY, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_BLOOM_FILTER,
  BPF_MAP_TYPE_CGROUP_ARRAY, BPF_MAP_TYPE_CGROUP_STORAGE, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SOCKMAP,
  BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_STACK_TRACE, BPF_MAP_TYPE_XSKMAP,
} from "../../abi/bpf-maps";
import { copyBytes } from "../../mm/copy";
import { arrayLookup, arrayOfCpu, arrayUpdate } from "./array";
import { bloomPeek } from "./bloom";
import { devmapDelete, devmapHashNextKey, devmapLookup, devmapUpdate } from "./devmap";
import { fieldOf, fieldsZero } from "./fields";
import { BPF_EXIST, BPF_F_LOCK } from "./flags";
import { hashDelete, hashFind, hashNextKey, hashRemove, hashSetInner, hashUpdate, valueOf } from "./hash";
import { innerFits } from "./inner";
import { trieDelete, trieLookup, trieNextKey, trieUpdate } from "./lpm-trie";
import { BpfMap, bpfMapGet, bpfMapHold, bpfMapPut, isPerCpu, possibleCpus } from "./map";
import { mapPop, mapPush } from "./ops";
import { fdArrayDelete, fdArrayId, fdArrayUpdate } from "./prog-array";
import { sockmapDelete, sockmapLookupSys, sockmapUpdateSys, sockhashNextKey } from "./sockmap";
import { stackTraceCopy, stackTraceDelete, stackTraceNextKey } from "./stackmap";
import { isStorage, storageKnows, storageLookup, storageNextKey, storageRemove, storageUpdate } from "./storage";

/** map_get_sys_perms. */
export function mayRead(map: BpfMap): bool {
  return !(map.access & BPF_F_WRONLY);
}
export function mayWrite(map: BpfMap): bool {
  return !(map.access & BPF_F_RDONLY) && !map.frozen;
}

export function hasLock(map: BpfMap): bool {
  return fieldOf(map, BPF_FIELD_SPIN_LOCK) != 0;
}

/** bpf_map_value_size: bytes of a value as the driver sees it. */
export function sysValueBytes(map: BpfMap): u32 {
  if (isPerCpu(map.type)) return map.stride * possibleCpus();
  switch (map.type) {
    case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY: case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS:
    case BPF_MAP_TYPE_HASH_OF_MAPS: return 4;
    default: return map.valueSize;
  }
}

/** Copies the value at an address out, one part for each CPU `apart` bytes from the other. */
function copyOut(map: BpfMap, value: usize, apart: u32, to: usize): i32 {
  if (!isPerCpu(map.type)) {
    copyBytes(to, value, <usize>map.valueSize);
    if (map.fieldCount != 0) fieldsZero(map, to);
    return <i32>map.valueSize;
  }
  const cpus = possibleCpus();
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    copyBytes(to + <usize>(cpu * map.stride), value + <usize>(cpu * apart), <usize>map.stride);
    if (map.fieldCount != 0) fieldsZero(map, to + <usize>(cpu * map.stride));
  }
  return <i32>(map.stride * cpus);
}

/** Where the value of a key stands for the driver (maps that have addressable values), 0: none. The LRU does not count it as used. */
function sysAddress(map: BpfMap, key: usize): usize {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH: {
      const e = hashFind(map, key);
      return e == 0 ? 0 : valueOf(map, e);
    }
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: return arrayLookup(map, key);
    case BPF_MAP_TYPE_LPM_TRIE: return trieLookup(map, key);
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH: case BPF_MAP_TYPE_CPUMAP: return devmapLookup(changetype<usize>(map), load<u32>(key));
    default: return isStorage(map.type) ? storageLookup(map, key) : 0;
  }
}

/** bpf_map_copy_value: the value of a key to `to`; its bytes or -errno. `value` is what a bloom filter is asked about. */
export function sysCopyValue(map: BpfMap, key: usize, value: usize, to: usize): i32 {
  switch (map.type) {
    case BPF_MAP_TYPE_STACK_TRACE: {
      const error = stackTraceCopy(map, key, to);
      return error != 0 ? error : <i32>map.valueSize;
    }
    case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY: case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS: {
      const id = fdArrayId(map, key);
      if (id < 0) return id;
      store<u32>(to, <u32>id);
      return 4;
    }
    case BPF_MAP_TYPE_HASH_OF_MAPS: {
      const e = hashFind(map, key);
      if (e == 0) return -ENOENT;
      store<u32>(to, changetype<BpfMap>(<usize>load<u32>(valueOf(map, e))).id);
      return 4;
    }
    case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH: case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: {
      const error = sockmapLookupSys(map, key, to);
      return error != 0 ? error : 8;
    }
    case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: {
      const error = mapPop(map, to, false);
      return error != 0 ? error : <i32>map.valueSize;
    }
    case BPF_MAP_TYPE_BLOOM_FILTER: return bloomPeek(map, value);
    case BPF_MAP_TYPE_XSKMAP: return -EOPNOTSUPP;
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: case BPF_MAP_TYPE_LPM_TRIE: case BPF_MAP_TYPE_DEVMAP:
    case BPF_MAP_TYPE_DEVMAP_HASH: case BPF_MAP_TYPE_CPUMAP: break;
    default:
      if (!isStorage(map.type)) return -ENOTSUPP;
      if (!storageKnows(map, key)) return -EBADF;
  }
  const at = sysAddress(map, key);
  if (at == 0) return -ENOENT;
  const apart: u32 = map.type == BPF_MAP_TYPE_PERCPU_ARRAY ? <u32>(arrayOfCpu(map, 0, 1) - arrayOfCpu(map, 0, 0)) : map.stride;
  return copyOut(map, at, apart, to);
}

/** BPF_MAP_LOOKUP_ELEM. `max`: room at `to`; a longer value of one CPU is answered by its address. */
export function sysLookup(map: BpfMap, flags: u64, key: usize, to: usize, max: u32): i32 {
  if (flags & ~BPF_F_LOCK) return -EINVAL;
  if (!mayRead(map)) return -EPERM;
  if (flags & BPF_F_LOCK && !hasLock(map)) return -EINVAL;
  if (sysValueBytes(map) <= max) return sysCopyValue(map, key, key, to);
  const at = sysAddress(map, key);
  if (at == 0) return -ENOENT;
  store<u32>(to, <u32>at);
  return <i32>sysValueBytes(map);
}

/** bpf_map_update_value. */
export function sysUpdateValue(map: BpfMap, key: usize, value: usize, flags: u64): i32 {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
      return hashUpdate(map, key, value, flags, true);
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: return arrayUpdate(map, key, value, flags, true);
    case BPF_MAP_TYPE_LPM_TRIE: return trieUpdate(map, key, value, flags);
    case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY: case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS:
      return fdArrayUpdate(map, key, load<u32>(value), flags);
    case BPF_MAP_TYPE_HASH_OF_MAPS: {
      const inner = bpfMapGet(load<u32>(value));
      if (inner == 0) return -EBADF;
      if (!innerFits(map, changetype<BpfMap>(inner))) return -EINVAL;
      bpfMapHold(inner);
      const error = hashSetInner(map, key, inner, flags);
      if (error != 0) bpfMapPut(inner);
      return error;
    }
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH: case BPF_MAP_TYPE_CPUMAP: return devmapUpdate(map, key, value, flags);
    case BPF_MAP_TYPE_XSKMAP: return flags > BPF_EXIST ? -EINVAL : load<u32>(key) >= map.maxEntries ? -E2BIG : -EBADF;
    case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH: case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: return sockmapUpdateSys(map, key, value, flags);
    case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: case BPF_MAP_TYPE_BLOOM_FILTER: return mapPush(map, value, flags);
    case BPF_MAP_TYPE_STACK_TRACE: return -EINVAL;
    default: return isStorage(map.type) ? storageUpdate(map, key, value, flags) : -ENOTSUPP;
  }
}

/** BPF_MAP_UPDATE_ELEM. */
export function sysUpdate(map: BpfMap, flags: u64, key: usize, value: usize): i32 {
  if (!mayWrite(map)) return -EPERM;
  if (flags & BPF_F_LOCK && !hasLock(map)) return -EINVAL;
  return sysUpdateValue(map, key, value, flags);
}

/** ops->map_delete_elem for the driver. */
export function sysDeleteKey(map: BpfMap, key: usize): i32 {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS: return hashDelete(map, key);
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: return -EINVAL;
    case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY: case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS:
      return fdArrayDelete(map, key);
    case BPF_MAP_TYPE_LPM_TRIE: return trieDelete(map, key);
    case BPF_MAP_TYPE_STACK_TRACE: return stackTraceDelete(map, key);
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH: case BPF_MAP_TYPE_CPUMAP: case BPF_MAP_TYPE_XSKMAP: return devmapDelete(map, key);
    case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH: case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: return sockmapDelete(map, key);
    case BPF_MAP_TYPE_BLOOM_FILTER: return -EOPNOTSUPP;
    default: return isStorage(map.type) ? storageRemove(map, key) : -ENOTSUPP;
  }
}

/** BPF_MAP_DELETE_ELEM. */
export function sysDelete(map: BpfMap, key: usize): i32 {
  return mayWrite(map) ? sysDeleteKey(map, key) : -EPERM;
}

/** ops->map_get_next_key to `to`, which may be where `key` (0: none) is. 0 or -errno. */
export function sysNextKeyOf(map: BpfMap, key: usize, to: usize): i32 {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS: case BPF_MAP_TYPE_SOCKHASH: {
      const next = map.type == BPF_MAP_TYPE_SOCKHASH ? sockhashNextKey(map, key) : hashNextKey(map, key);
      if (next == 0) return -ENOENT;
      copyBytes(to, next, <usize>map.keySize);
      return 0;
    }
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
    case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS: case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_CPUMAP:
    case BPF_MAP_TYPE_XSKMAP: case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: {
      const index = key == 0 ? u32.MAX_VALUE : load<u32>(key);
      if (index == map.maxEntries - 1) return -ENOENT;
      store<u32>(to, index >= map.maxEntries ? 0 : index + 1);
      return 0;
    }
    case BPF_MAP_TYPE_LPM_TRIE: return trieNextKey(map, key, to);
    case BPF_MAP_TYPE_STACK_TRACE: return stackTraceNextKey(map, key, to);
    case BPF_MAP_TYPE_DEVMAP_HASH: return devmapHashNextKey(map, key, to);
    case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: return -EINVAL;
    case BPF_MAP_TYPE_BLOOM_FILTER: return -EOPNOTSUPP;
    case BPF_MAP_TYPE_CGROUP_STORAGE: case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: return storageNextKey(map, key, to);
    default: return -ENOTSUPP;
  }
}

/** BPF_MAP_GET_NEXT_KEY: bytes of the key. */
export function sysNextKey(map: BpfMap, key: usize, to: usize): i32 {
  if (!mayRead(map)) return -EPERM;
  const error = sysNextKeyOf(map, key, to);
  return error != 0 ? error : <i32>map.keySize;
}

/** BPF_MAP_LOOKUP_AND_DELETE_ELEM. */
export function sysLookupDelete(map: BpfMap, flags: u64, key: usize, to: usize): i32 {
  if (flags & ~BPF_F_LOCK) return -EINVAL;
  if (!mayRead(map) || !mayWrite(map)) return -EPERM;
  const queue = map.type == BPF_MAP_TYPE_QUEUE || map.type == BPF_MAP_TYPE_STACK;
  if (flags != 0 && queue) return -EINVAL;
  if (flags & BPF_F_LOCK && !hasLock(map)) return -EINVAL;
  if (queue) {
    const error = mapPop(map, to, true);
    return error != 0 ? error : <i32>map.valueSize;
  }
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH: {
      const e = hashFind(map, key);
      if (e == 0) return -ENOENT;
      const bytes = copyOut(map, valueOf(map, e), map.stride, to);
      hashRemove(map, e);
      return bytes;
    }
    case BPF_MAP_TYPE_STACK_TRACE: {
      const id = load<u32>(key), error = stackTraceCopy(map, key, to);
      if (error != 0) return error;
      const bytes = map.valueSize;
      store<u32>(to + <usize>bytes, id);
      stackTraceDelete(map, to + <usize>bytes);
      return <i32>bytes;
    }
    default: return -ENOTSUPP;
  }
}

/** BPF_MAP_FREEZE. */
export function sysFreeze(map: BpfMap): i32 {
  if (map.fieldCount != 0) return -ENOTSUPP;
  if (!mayWrite(map)) return -EPERM;
  map.frozen = 1;
  return 0;
}
