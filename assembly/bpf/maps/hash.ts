// Hash tables, kernel/bpf/hashtab.c: hash, per-CPU hash, LRU hash (lru.ts), hash of maps.
//
//   element │ next u32 │ hash u32 │ key, padded to 8 │ value, padded to 8 (per CPU: one each) │
//
// Elements come from the arena when they are first needed and stay the map's: what was deleted can be read until it is used again,
// and is the first to be used again. `next` of a deleted element still leads on, so that a walk that stands on it goes on; the
// chain of free elements is in the place of the hash. Nodes of an LRU stand before the element.
import { E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM } from "../../abi/core";
import {
  BPF_FIELD_SPIN_LOCK, BPF_F_NO_PREALLOC, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_HASH,
} from "../../abi/bpf-maps";
import { copyBytes } from "../../mm/copy";
import { kfree, kmalloc } from "../../mm/slab";
import { fieldOf, fieldsCopy, fieldsFree } from "./fields";
import { BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST } from "./flags";
import { jhash, jhash16, jhash4, jhash8, sameBytes } from "./jhash";
import { LRU_NODE, lruPopFree, lruPushFree, lruSetRef } from "./lru";
import { BpfMap, bpfMapPut, possibleCpus } from "./map";

export const ELEMENT_KEY: usize = 8;

@inline export function elementNext(e: usize): usize {
  return <usize>load<u32>(e);
}
@inline export function elementHash(e: usize): u32 {
  return load<u32>(e, 4);
}

@inline function isLru(map: BpfMap): bool {
  return map.type == BPF_MAP_TYPE_LRU_HASH || map.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
@inline function perCpu(map: BpfMap): bool {
  return map.type == BPF_MAP_TYPE_PERCPU_HASH || map.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}
@inline export function valueOf(map: BpfMap, e: usize): usize {
  return e + <usize>map.valueAt;
}

export function hashKey(map: BpfMap, key: usize): u32 {
  switch (map.keySize) {
    case 4: return jhash4(key, map.seed);
    case 8: return jhash8(key, map.seed);
    case 16: return jhash16(key, map.seed);
    default: return jhash(key, map.keySize, map.seed);
  }
}

function findHashed(map: BpfMap, key: usize, hash: u32): usize {
  let e = <usize>load<u32>(map.buckets + (<usize>(hash & map.bucketMask) << 2));
  while (e != 0 && (elementHash(e) != hash || !sameBytes(e + ELEMENT_KEY, key, map.keySize))) e = elementNext(e);
  return e;
}

/** The element of a key, or 0. */
export function hashFind(map: BpfMap, key: usize): usize {
  switch (map.keySize) {
    case 4: {
      const hash = jhash4(key, map.seed), word = load<u32>(key);
      let e = <usize>load<u32>(map.buckets + (<usize>(hash & map.bucketMask) << 2));
      while (e != 0 && load<u32>(e, ELEMENT_KEY) != word) e = elementNext(e);
      return e;
    }
    case 8: {
      const hash = jhash8(key, map.seed), word = load<u64>(key);
      let e = <usize>load<u32>(map.buckets + (<usize>(hash & map.bucketMask) << 2));
      while (e != 0 && load<u64>(e, ELEMENT_KEY) != word) e = elementNext(e);
      return e;
    }
    case 16: {
      const hash = jhash16(key, map.seed), low = load<u64>(key), high = load<u64>(key, 8);
      let e = <usize>load<u32>(map.buckets + (<usize>(hash & map.bucketMask) << 2));
      while (e != 0 && (load<u64>(e, ELEMENT_KEY) != low || load<u64>(e, ELEMENT_KEY + 8) != high)) e = elementNext(e);
      return e;
    }
    default: return findHashed(map, key, hashKey(map, key));
  }
}

/** bpf_map_lookup_elem of a hash that is no LRU: the address of the value, 0: none. */
export function hashLookup(map: BpfMap, key: usize): usize {
  const e = hashFind(map, key);
  return e == 0 ? 0 : e + <usize>map.valueAt;
}

/** The same of an LRU: the element counts as used. */
export function lruLookup(map: BpfMap, key: usize): usize {
  const e = hashFind(map, key);
  if (e == 0) return 0;
  lruSetRef(e);
  return e + <usize>map.valueAt;
}

/** htab_map_alloc behind its checks; false: no memory. */
export function hashInit(map: BpfMap, buckets: u32): bool {
  map.valueAt = <u32>ELEMENT_KEY + ((map.keySize + 7) & ~7);
  map.elementBytes = map.valueAt + map.stride * (perCpu(map) ? possibleCpus() : 1);
  map.bucketMask = buckets - 1;
  map.buckets = kmalloc(buckets << 2);
  // A hash table without an LRU that is preallocated has one element more per CPU, for what an update replaces.
  const spare: u32 = !isLru(map) && !perCpu(map) && !(map.flags & BPF_F_NO_PREALLOC) ? 1 : 0;
  map.takenMax = map.maxEntries + spare;
  return map.buckets != 0;
}

function freePush(map: BpfMap, e: usize): void {
  store<u32>(e, <u32>map.free, 4);
  map.free = e;
}

/** An element from the arena, or 0. `before`: bytes of the LRU's node. */
export function elementTake(map: BpfMap, before: usize): usize {
  if (map.taken >= map.takenMax) return 0;
  const at = kmalloc(map.elementBytes + <u32>before);
  if (at == 0) return 0;
  map.taken++;
  return at + before;
}

function freePop(map: BpfMap): usize {
  const e = map.free;
  if (e == 0) return elementTake(map, 0);
  map.free = <usize>load<u32>(e, 4);
  return e;
}

function link(map: BpfMap, e: usize, hash: u32): void {
  const bucket = map.buckets + (<usize>(hash & map.bucketMask) << 2);
  store<u32>(e, load<u32>(bucket));
  store<u32>(e, hash, 4);
  store<u32>(bucket, <u32>e);
  map.count++;
}

/** Takes an element out of its chain; false: it is in none. */
function unlink(map: BpfMap, e: usize): bool {
  let at = map.buckets + (<usize>(elementHash(e) & map.bucketMask) << 2);
  while (load<u32>(at) != 0) {
    if (<usize>load<u32>(at) == e) {
      store<u32>(at, load<u32>(e));
      map.count--;
      return true;
    }
    at = <usize>load<u32>(at);
  }
  return false;
}

/** htab_lru_map_delete_node: the LRU wants this element. */
export function hashEvict(map: BpfMap, e: usize): bool {
  if (!unlink(map, e)) return false;
  valueGone(map, e);
  return true;
}

function valueGone(map: BpfMap, e: usize): void {
  if (map.fieldCount != 0) {
    const copies: u32 = perCpu(map) ? possibleCpus() : 1;
    for (let cpu: u32 = 0; cpu < copies; cpu++) fieldsFree(map, valueOf(map, e) + <usize>(cpu * map.stride));
  }
  if (map.type == BPF_MAP_TYPE_HASH_OF_MAPS) {
    const inner = <usize>load<u32>(valueOf(map, e));
    if (inner != 0) bpfMapPut(inner);
    store<u32>(valueOf(map, e), 0);
  }
}

/** An element that is out of its chain goes back to where it came from. */
function release(map: BpfMap, e: usize): void {
  if (isLru(map)) lruPushFree(map, e);
  else freePush(map, e);
}

function checkFlags(old: usize, flags: u64): i32 {
  const wanted = flags & ~BPF_F_LOCK;
  if (old != 0 && wanted == BPF_NOEXIST) return -EEXIST;
  if (old == 0 && wanted == BPF_EXIST) return -ENOENT;
  return 0;
}

/**
 * bpf_map_update_elem. `all`: the value has one part for each CPU (the syscall's); else it is CPU 0's. 0, -EINVAL (flags), -EEXIST, -ENOENT,
 * -E2BIG (full), -ENOMEM.
 */
export function hashUpdate(map: BpfMap, key: usize, value: usize, flags: u64, all: bool): i32 {
  if (perCpu(map)) {
    if (flags > BPF_EXIST) return -EINVAL;
    return isLru(map) ? lruPerCpuUpdate(map, key, value, flags, all) : perCpuUpdate(map, key, value, flags, all);
  }
  if (isLru(map)) return flags > BPF_EXIST ? -EINVAL : lruUpdate(map, key, value, flags);
  if ((flags & ~BPF_F_LOCK) > BPF_EXIST) return -EINVAL;
  const hash = hashKey(map, key);
  const old = findHashed(map, key, hash);
  if (flags & BPF_F_LOCK) {
    if (fieldOf(map, BPF_FIELD_SPIN_LOCK) == 0) return -EINVAL;
    const error = checkFlags(old, flags);
    if (error != 0) return error;
    if (old != 0) {
      fieldsCopy(map, valueOf(map, old), value);
      return 0;
    }
  }
  const error = checkFlags(old, flags);
  if (error != 0) return error;
  let e: usize;
  if (map.flags & BPF_F_NO_PREALLOC) {
    if (old == 0 && map.count >= map.maxEntries) return -E2BIG;
    map.takenMax = u32.MAX_VALUE;
    e = freePop(map);
    if (e == 0) return -ENOMEM;
  } else if (old != 0) {
    e = map.extra != 0 ? map.extra : freePop(map);
    if (e == 0) return -ENOMEM;
    map.extra = old;
  } else {
    // The last one is kept for replacements.
    if (map.count >= map.maxEntries) return -E2BIG;
    e = freePop(map);
    if (e == 0) return -ENOMEM;
  }
  copyBytes(e + ELEMENT_KEY, key, <usize>map.keySize);
  fieldsCopy(map, valueOf(map, e), value);
  if (old != 0) unlink(map, old);
  link(map, e, hash);
  if (old != 0) {
    valueGone(map, old);
    if (map.flags & BPF_F_NO_PREALLOC) freePush(map, old);
  }
  return 0;
}

/** Writes a value of each CPU, or CPU 0's; `fresh`: the others' become zero. */
function perCpuCopy(map: BpfMap, to: usize, value: usize, all: bool, fresh: bool): void {
  const cpus = possibleCpus();
  if (!all) {
    fieldsCopy(map, to, value);
    if (fresh) for (let cpu: u32 = 1; cpu < cpus; cpu++) memory.fill(to + <usize>(cpu * map.stride), 0, <usize>map.stride);
    return;
  }
  for (let cpu: u32 = 0; cpu < cpus; cpu++) fieldsCopy(map, to + <usize>(cpu * map.stride), value + <usize>(cpu * map.stride));
}

function perCpuUpdate(map: BpfMap, key: usize, value: usize, flags: u64, all: bool): i32 {
  const hash = hashKey(map, key);
  const old = findHashed(map, key, hash);
  const error = checkFlags(old, flags);
  if (error != 0) return error;
  if (old != 0) {
    perCpuCopy(map, valueOf(map, old), value, all, false);
    return 0;
  }
  if (map.count >= map.maxEntries) return -E2BIG;
  const e = freePop(map);
  if (e == 0) return -ENOMEM;
  copyBytes(e + ELEMENT_KEY, key, <usize>map.keySize);
  perCpuCopy(map, valueOf(map, e), value, all, true);
  link(map, e, hash);
  return 0;
}

/** htab_lru_map_update_elem: the element is taken before the key is looked for, so that an update that fails may have evicted one. */
function lruUpdate(map: BpfMap, key: usize, value: usize, flags: u64): i32 {
  const hash = hashKey(map, key);
  const e = lruPopFree(map, hash);
  if (e == 0) return -ENOMEM;
  copyBytes(e + ELEMENT_KEY, key, <usize>map.keySize);
  fieldsCopy(map, valueOf(map, e), value);
  const old = findHashed(map, key, hash);
  const error = checkFlags(old, flags);
  if (error != 0) {
    lruPushFree(map, e);
    return error;
  }
  if (old != 0) unlink(map, old);
  link(map, e, hash);
  if (old != 0) {
    lruSetRef(e);
    valueGone(map, old);
    lruPushFree(map, old);
  }
  return 0;
}

function lruPerCpuUpdate(map: BpfMap, key: usize, value: usize, flags: u64, all: bool): i32 {
  const hash = hashKey(map, key);
  let e: usize = 0;
  if (flags != BPF_EXIST) {
    e = lruPopFree(map, hash);
    if (e == 0) return -ENOMEM;
  }
  const old = findHashed(map, key, hash);
  const error = checkFlags(old, flags);
  if (error != 0) {
    if (e != 0) lruPushFree(map, e);
    return error;
  }
  if (old != 0) {
    lruSetRef(old);
    perCpuCopy(map, valueOf(map, old), value, all, false);
    if (e != 0) lruPushFree(map, e);
    return 0;
  }
  copyBytes(e + ELEMENT_KEY, key, <usize>map.keySize);
  perCpuCopy(map, valueOf(map, e), value, all, true);
  link(map, e, hash);
  return 0;
}

/** Deletes an element; its memory stays readable. */
export function hashRemove(map: BpfMap, e: usize): void {
  unlink(map, e);
  valueGone(map, e);
  release(map, e);
}

/** bpf_map_delete_elem: 0 or -ENOENT. */
export function hashDelete(map: BpfMap, key: usize): i32 {
  const e = hashFind(map, key);
  if (e == 0) return -ENOENT;
  hashRemove(map, e);
  return 0;
}

/** The first element of the buckets from `bucket` on, 0: none. */
export function hashFirst(map: BpfMap, bucket: u32): usize {
  const end = map.bucketMask + 1;
  for (let i = bucket; i < end; i++) {
    const e = <usize>load<u32>(map.buckets + (<usize>i << 2));
    if (e != 0) return e;
    if (i == u32.MAX_VALUE) break;
  }
  return 0;
}

/** Address of the key after `key` (0: the first), 0: there is none. */
export function hashNextKey(map: BpfMap, key: usize): usize {
  let e: usize = 0;
  if (key != 0) {
    e = hashFind(map, key);
    if (e != 0) {
      const hash = elementHash(e);
      e = elementNext(e);
      if (e == 0) e = hashFirst(map, (hash & map.bucketMask) + 1);
      return e == 0 ? 0 : e + ELEMENT_KEY;
    }
  }
  e = hashFirst(map, 0);
  return e == 0 ? 0 : e + ELEMENT_KEY;
}

/** bpf_fd_htab_map_update_elem: the slot of a key holds `inner`, whose reference it takes over. */
export function hashSetInner(map: BpfMap, key: usize, inner: usize, flags: u64): i32 {
  if ((flags & ~BPF_F_LOCK) > BPF_EXIST || flags & BPF_F_LOCK) return -EINVAL;
  const hash = hashKey(map, key);
  const old = findHashed(map, key, hash);
  const error = checkFlags(old, flags);
  if (error != 0) return error;
  if (old != 0) {
    const before = <usize>load<u32>(valueOf(map, old));
    store<u32>(valueOf(map, old), <u32>inner);
    if (before != 0) bpfMapPut(before);
    // A replaced element is a new one: it goes to the front of its chain.
    unlink(map, old);
    link(map, old, hash);
    return 0;
  }
  if (map.count >= map.maxEntries) return -E2BIG;
  if (map.flags & BPF_F_NO_PREALLOC) map.takenMax = u32.MAX_VALUE;
  const e = freePop(map);
  if (e == 0) return -ENOMEM;
  copyBytes(e + ELEMENT_KEY, key, <usize>map.keySize);
  store<u64>(valueOf(map, e), <u64>inner);
  link(map, e, hash);
  return 0;
}

/** Gives all memory back. */
export function hashFree(map: BpfMap): void {
  if (map.buckets == 0) return;
  const lru = isLru(map);
  const before: usize = lru ? LRU_NODE : 0;
  for (let i: u32 = 0; i <= map.bucketMask; i++) {
    let e = <usize>load<u32>(map.buckets + (<usize>i << 2));
    while (e != 0) {
      const next = elementNext(e);
      valueGone(map, e);
      if (lru) lruPushFree(map, e);
      else kfree(e, map.elementBytes);
      e = next;
    }
  }
  if (!lru) {
    for (let e = map.free; e != 0;) {
      const next = <usize>load<u32>(e, 4);
      kfree(e, map.elementBytes);
      e = next;
    }
    if (map.extra != 0) kfree(map.extra, map.elementBytes);
  }
  assert(before == 0 || lru);
  kfree(map.buckets, (map.bucketMask + 1) << 2);
}
