// Batches of elements: generic_map_*_batch of kernel/bpf/syscall.c, and those of hash tables (kernel/bpf/hashtab.c), which go bucket by bucket.
import { EINVAL, ENOENT, ENOSPC, ENOTSUPP, EPERM } from "../../abi/core";
import {
  BATCH_LOOKUP_DELETE, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
} from "../../abi/bpf-maps";
import { copyBytes } from "../../mm/copy";
import { kfree, kmalloc } from "../../mm/slab";
import { BPF_F_LOCK } from "./flags";
import { ELEMENT_KEY, elementNext, hashRemove } from "./hash";
import { BpfMap, round8 } from "./map";
import { hasLock, mayRead, mayWrite, sysCopyValue, sysDeleteKey, sysNextKeyOf, sysUpdateValue, sysValueBytes } from "./syscall";

/** Answer of BPF_MAP_BATCH: {u32 errno, u32 count}, then where to go on. */
const HEAD: u32 = 8;

function isHash(type: u32): bool {
  return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH
    || type == BPF_MAP_TYPE_HASH_OF_MAPS;
}

function hasBatch(type: u32): bool {
  return isHash(type) || type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_ARRAY_OF_MAPS
    || type == BPF_MAP_TYPE_LPM_TRIE;
}

/**
 * BPF_MAP_LOOKUP_BATCH and BPF_MAP_LOOKUP_AND_DELETE_BATCH of `count` elements at most after `from` (0: the first; of a hash table the number of
 * a bucket). The answer at `to`, of at most `max` bytes; its bytes or -errno. -ENOENT (all were seen) and -ENOSPC (a bucket has more) stand in it.
 */
export function batchLookup(map: BpfMap, operation: u32, elementFlags: u64, flags: u64, count: u32, from: usize, to: usize, max: u32): i32 {
  const take = operation == BATCH_LOOKUP_DELETE;
  if (!mayRead(map) || (take && !mayWrite(map))) return -EPERM;
  if (!hasBatch(map.type) || (take && !isHash(map.type))) return -ENOTSUPP;
  if (elementFlags & ~BPF_F_LOCK || (elementFlags & BPF_F_LOCK && !hasLock(map))) return -EINVAL;
  if (isHash(map.type) && flags != 0) return -EINVAL;
  const keyBytes = map.keySize, valueBytes = sysValueBytes(map), place = round8(keyBytes > 4 ? keyBytes : 4);
  store<u64>(to, 0);
  if (count == 0) return <i32>HEAD;
  const bytes = <u64>HEAD + <u64>place + <u64>count * (<u64>keyBytes + <u64>valueBytes);
  if (bytes > <u64>max) return -EINVAL;
  const keys = to + <usize>(HEAD + place), values = keys + <usize>(count * keyBytes);
  const error = isHash(map.type) ? hashBatch(map, take, count, from, to, keys, values, valueBytes)
    : keyBatch(map, count, from, to, keys, values, valueBytes);
  if (error < 0) return error;
  store<u32>(to, <u32>error);
  return <i32>bytes;
}

/** The positive errno that stands in the answer. */
function hashBatch(map: BpfMap, take: bool, count: u32, from: usize, to: usize, keys: usize, values: usize, valueBytes: u32): i32 {
  let bucket: u32 = from == 0 ? 0 : load<u32>(from), done: u32 = 0, error: i32 = 0;
  if (bucket > map.bucketMask) return -ENOENT;
  while (true) {
    let n: u32 = 0;
    const head = map.buckets + (<usize>bucket << 2);
    for (let e = <usize>load<u32>(head); e != 0; e = elementNext(e)) n++;
    if (n > count - done) {
      if (done == 0) error = ENOSPC;
      break;
    }
    for (let e = <usize>load<u32>(head); e != 0;) {
      const next = elementNext(e);
      copyBytes(keys + <usize>(done * map.keySize), e + ELEMENT_KEY, <usize>map.keySize);
      sysCopyValue(map, e + ELEMENT_KEY, 0, values + <usize>(done * valueBytes));
      if (take) hashRemove(map, e);
      done++;
      e = next;
    }
    bucket++;
    if (bucket > map.bucketMask) {
      error = ENOENT;
      break;
    }
  }
  store<u32>(to, done, 4);
  store<u32>(to, bucket, 8);
  return error;
}

function keyBatch(map: BpfMap, count: u32, from: usize, to: usize, keys: usize, values: usize, valueBytes: u32): i32 {
  let done: u32 = 0, error: i32 = 0;
  // `from` may be where the answer goes.
  const place = round8(map.keySize), key = kmalloc(place);
  if (key == 0) return 0;
  let before: usize = 0;
  if (from != 0) {
    copyBytes(key, from, <usize>map.keySize);
    before = key;
  }
  while (done < count) {
    error = -sysNextKeyOf(map, before, key);
    if (error != 0) break;
    before = key;
    const bytes = sysCopyValue(map, key, 0, values + <usize>(done * valueBytes));
    if (bytes == -ENOENT) continue;
    if (bytes < 0) {
      error = -bytes;
      break;
    }
    copyBytes(keys + <usize>(done * map.keySize), key, <usize>map.keySize);
    done++;
  }
  store<u32>(to, done, 4);
  // Nothing was seen: where to go on is not written.
  if (done != 0) copyBytes(to + <usize>HEAD, keys + <usize>((done - 1) * map.keySize), <usize>map.keySize);
  kfree(key, place);
  return error;
}

/** BPF_MAP_UPDATE_BATCH: how many were done to `to`; 0 or -errno. */
export function batchUpdate(map: BpfMap, elementFlags: u64, count: u32, keys: usize, bytes: u32, to: usize): i32 {
  if (!mayWrite(map)) return -EPERM;
  if (!hasBatch(map.type)) return -ENOTSUPP;
  if (elementFlags & ~BPF_F_LOCK || (elementFlags & BPF_F_LOCK && !hasLock(map))) return -EINVAL;
  const valueBytes = sysValueBytes(map);
  store<u32>(to, 0);
  if (<u64>count * (<u64>map.keySize + <u64>valueBytes) > <u64>bytes) return -EINVAL;
  const values = keys + <usize>(count * map.keySize);
  for (let i: u32 = 0; i < count; i++) {
    const error = sysUpdateValue(map, keys + <usize>(i * map.keySize), values + <usize>(i * valueBytes), elementFlags);
    if (error != 0) return error;
    store<u32>(to, i + 1);
  }
  return 0;
}

/** BPF_MAP_DELETE_BATCH. */
export function batchDelete(map: BpfMap, elementFlags: u64, count: u32, keys: usize, bytes: u32, to: usize): i32 {
  if (!mayWrite(map)) return -EPERM;
  if (!isHash(map.type) && map.type != BPF_MAP_TYPE_LPM_TRIE) return -ENOTSUPP;
  if (elementFlags & ~BPF_F_LOCK || (elementFlags & BPF_F_LOCK && !hasLock(map))) return -EINVAL;
  store<u32>(to, 0);
  if (<u64>count * <u64>map.keySize > <u64>bytes) return -EINVAL;
  for (let i: u32 = 0; i < count; i++) {
    const error = sysDeleteKey(map, keys + <usize>(i * map.keySize));
    if (error != 0) return error;
    store<u32>(to, i + 1);
  }
  return 0;
}
