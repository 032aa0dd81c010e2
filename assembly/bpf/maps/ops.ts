// What programs do with maps (struct bpf_map_ops), dispatched by type.
import { EINVAL, ENOENT, ENOTSUPP, EOPNOTSUPP } from "../../abi/core";
import {
  BPF_F_RDONLY_PROG, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_BLOOM_FILTER, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP,
  BPF_MAP_TYPE_DEVMAP_HASH, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_QUEUE,
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_STACK_TRACE,
  BPF_MAP_TYPE_XSKMAP,
} from "../../abi/bpf-maps";
import { sockView } from "../hooks/sock-view";
import { hookRun } from "../hooks/state";
import { arrayLookup, arrayOfCpu, arrayUpdate } from "./array";
import { bloomPeek, bloomPush } from "./bloom";
import { devmapDelete, devmapLookup } from "./devmap";
import { hashDelete, hashFind, hashLookup, hashUpdate, lruLookup, valueOf } from "./hash";
import { trieDelete, trieLookup, trieUpdate } from "./lpm-trie";
import { lruSetRef } from "./lru";
import { BpfMap, possibleCpus } from "./map";
import { fdArrayGet } from "./prog-array";
import { queuePop, queuePush } from "./queue-stack";
import { sockmapDelete, sockmapLookup } from "./sockmap";
import { stackTraceDelete } from "./stackmap";

/**
 * bpf_map_lookup_elem: the address of the value of CPU 0 (maps of maps: of the inner map; maps of sockets: the socket as programs see it), 0: none. Key and map
 * are valid.
 */
export function mapLookup(map: BpfMap, key: usize): usize {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: return hashLookup(map, key);
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: return arrayLookup(map, key);
    case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH: return lruLookup(map, key);
    case BPF_MAP_TYPE_LPM_TRIE: return trieLookup(map, key);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: return fdArrayGet(map, load<u32>(key));
    case BPF_MAP_TYPE_HASH_OF_MAPS: {
      const value = hashLookup(map, key);
      return value == 0 ? 0 : <usize>load<u32>(value);
    }
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH: case BPF_MAP_TYPE_CPUMAP: case BPF_MAP_TYPE_XSKMAP:
      return devmapLookup(changetype<usize>(map), load<u32>(key));
    case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH: {
      const socket = sockmapLookup(changetype<usize>(map), key), run = hookRun();
      return socket == 0 || changetype<usize>(run) == 0 ? 0 : sockView(run, socket);
    }
    default: return 0;
  }
}

/** How many bytes a program may touch at what mapLookup answered; 0: it is no value. */
export function valueBytes(map: BpfMap): u32 {
  switch (map.type) {
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: case BPF_MAP_TYPE_HASH_OF_MAPS: case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH:
    case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: case BPF_MAP_TYPE_XSKMAP: return 0;
    default: return map.valueSize;
  }
}

/** May a program write there? */
export function valueWritable(map: BpfMap): bool {
  return !(map.flags & BPF_F_RDONLY_PROG);
}

/** bpf_map_lookup_percpu_elem. */
export function mapLookupPerCpu(map: BpfMap, key: usize, cpu: u32): usize {
  if (cpu >= possibleCpus()) return 0;
  if (map.type == BPF_MAP_TYPE_PERCPU_ARRAY) {
    const index = load<u32>(key);
    return index < map.maxEntries ? arrayOfCpu(map, index, cpu) : 0;
  }
  if (map.type != BPF_MAP_TYPE_PERCPU_HASH && map.type != BPF_MAP_TYPE_LRU_PERCPU_HASH) return 0;
  const e = hashFind(map, key);
  if (e == 0) return 0;
  if (map.type == BPF_MAP_TYPE_LRU_PERCPU_HASH) lruSetRef(e);
  return valueOf(map, e) + <usize>(cpu * map.stride);
}

/** bpf_map_update_elem: 0 or -errno. */
export function mapUpdate(map: BpfMap, key: usize, value: usize, flags: u64): i32 {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
      return hashUpdate(map, key, value, flags, false);
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: return arrayUpdate(map, key, value, flags, false);
    case BPF_MAP_TYPE_LPM_TRIE: return trieUpdate(map, key, value, flags);
    case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: case BPF_MAP_TYPE_STACK_TRACE: return -EINVAL;
    case BPF_MAP_TYPE_BLOOM_FILTER: return -EINVAL;
    default: return -ENOTSUPP;
  }
}

/** bpf_map_delete_elem: 0 or -errno. */
export function mapDelete(map: BpfMap, key: usize): i32 {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
      return hashDelete(map, key);
    case BPF_MAP_TYPE_ARRAY: case BPF_MAP_TYPE_PERCPU_ARRAY: case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: return -EINVAL;
    case BPF_MAP_TYPE_LPM_TRIE: return trieDelete(map, key);
    case BPF_MAP_TYPE_STACK_TRACE: return stackTraceDelete(map, key);
    case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH: return sockmapDelete(map, key);
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH: case BPF_MAP_TYPE_CPUMAP: case BPF_MAP_TYPE_XSKMAP: return devmapDelete(map, key);
    case BPF_MAP_TYPE_BLOOM_FILTER: return -EOPNOTSUPP;
    default: return -ENOTSUPP;
  }
}

/** bpf_map_push_elem. */
export function mapPush(map: BpfMap, value: usize, flags: u64): i32 {
  if (map.type == BPF_MAP_TYPE_BLOOM_FILTER) return bloomPush(map, value, flags);
  return map.type == BPF_MAP_TYPE_QUEUE || map.type == BPF_MAP_TYPE_STACK ? queuePush(map, value, flags) : -ENOTSUPP;
}

/** bpf_map_pop_elem (`take`), bpf_map_peek_elem. */
export function mapPop(map: BpfMap, value: usize, take: bool): i32 {
  if (map.type == BPF_MAP_TYPE_BLOOM_FILTER) return take ? -EOPNOTSUPP : bloomPeek(map, value);
  return map.type == BPF_MAP_TYPE_QUEUE || map.type == BPF_MAP_TYPE_STACK ? queuePop(map, value, take) : -ENOENT;
}
