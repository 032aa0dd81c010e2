// The end of a map: what its type took is given back.
import {
  BPF_FIELD_TIMER, BPF_FIELD_WORKQUEUE, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_BLOOM_FILTER, BPF_MAP_TYPE_CGROUP_ARRAY, BPF_MAP_TYPE_CGROUP_STORAGE,
  BPF_MAP_TYPE_CGRP_STORAGE, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH, BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_INODE_STORAGE, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_SOCKHASH,
  BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_STACK_TRACE, BPF_MAP_TYPE_TASK_STORAGE, BPF_MAP_TYPE_USER_RINGBUF,
  BPF_MAP_TYPE_XSKMAP,
} from "../../abi/bpf-maps";
import { arrayFree } from "./array";
import { bloomFree } from "./bloom";
import { devmapFree } from "./devmap";
import { fieldOf, fieldsFreeTimers } from "./fields";
import { elementNext, hashFree, valueOf } from "./hash";
import { trieFree } from "./lpm-trie";
import { lruFree } from "./lru";
import { BpfMap } from "./map";
import { fdArrayFree, put } from "./prog-array";
import { queueFree } from "./queue-stack";
import { ringFree } from "./ringbuf";
import { sockmapFree } from "./sockmap";
import { stackTraceFree } from "./stackmap";
import { storageFree } from "./storage";

/** map_free; also of a map that came into being only in part. */
export function mapFree(map: BpfMap): void {
  switch (map.type) {
    case BPF_MAP_TYPE_HASH: case BPF_MAP_TYPE_PERCPU_HASH: case BPF_MAP_TYPE_HASH_OF_MAPS: hashFree(map); break;
    case BPF_MAP_TYPE_LRU_HASH: case BPF_MAP_TYPE_LRU_PERCPU_HASH:
      hashFree(map);
      lruFree(map);
      break;
    case BPF_MAP_TYPE_PROG_ARRAY: case BPF_MAP_TYPE_PERF_EVENT_ARRAY: case BPF_MAP_TYPE_CGROUP_ARRAY: case BPF_MAP_TYPE_ARRAY_OF_MAPS:
      fdArrayFree(map);
      break;
    case BPF_MAP_TYPE_LPM_TRIE: trieFree(map); break;
    case BPF_MAP_TYPE_STACK_TRACE: stackTraceFree(map); break;
    case BPF_MAP_TYPE_DEVMAP: case BPF_MAP_TYPE_DEVMAP_HASH: case BPF_MAP_TYPE_CPUMAP: case BPF_MAP_TYPE_XSKMAP: devmapFree(map); break;
    case BPF_MAP_TYPE_SOCKMAP: case BPF_MAP_TYPE_SOCKHASH: case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: sockmapFree(map); break;
    case BPF_MAP_TYPE_CGROUP_STORAGE: case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: case BPF_MAP_TYPE_SK_STORAGE:
    case BPF_MAP_TYPE_INODE_STORAGE: case BPF_MAP_TYPE_TASK_STORAGE: case BPF_MAP_TYPE_CGRP_STORAGE: storageFree(map); break;
    case BPF_MAP_TYPE_RINGBUF: case BPF_MAP_TYPE_USER_RINGBUF: ringFree(map); break;
    case BPF_MAP_TYPE_QUEUE: case BPF_MAP_TYPE_STACK: queueFree(map); break;
    case BPF_MAP_TYPE_BLOOM_FILTER: bloomFree(map); break;
    default: arrayFree(map);
  }
}

/** map_release_uref: a prog array lets go of its programs, timers of values end: both may hold programs that hold the map. */
export function mapReleaseUser(map: BpfMap): void {
  if (map.type == BPF_MAP_TYPE_PROG_ARRAY) {
    for (let i: u32 = 0; i < map.maxEntries; i++) put(map, i, 0);
    return;
  }
  if (fieldOf(map, BPF_FIELD_TIMER) == 0 && fieldOf(map, BPF_FIELD_WORKQUEUE) == 0) return;
  if (map.type == BPF_MAP_TYPE_ARRAY) {
    const end = map.data + <usize>map.dataBytes;
    for (let value = map.data; value < end; value += <usize>map.stride) fieldsFreeTimers(map, value);
    return;
  }
  for (let bucket: u32 = 0; bucket <= map.bucketMask; bucket++) {
    for (let e = <usize>load<u32>(map.buckets + (<usize>bucket << 2)); e != 0; e = elementNext(e)) fieldsFreeTimers(map, valueOf(map, e));
  }
}
