// Storage that belongs to an object: of sockets, tasks, inodes, cgroups (kernel/bpf/bpf_local_storage.c and its users) and the older storage of a
// cgroup and attach type (kernel/bpf/local_storage.c). Upstream hangs the elements on the object; here they stand in the map, by the object's
// address or number, so that objects without storage carry nothing.
//
//   element │ next u32 │ attach type u32 │ owner u64 │ value, padded to 8 (per CPU: one each) │
import { EBADF, EEXIST, EINVAL, ENOENT, ENOMEM } from "../../abi/core";
import {
  BPF_FIELD_SPIN_LOCK, BPF_F_CLONE, BPF_MAP_TYPE_CGROUP_STORAGE, BPF_MAP_TYPE_CGRP_STORAGE, BPF_MAP_TYPE_INODE_STORAGE,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_TASK_STORAGE,
} from "../../abi/bpf-maps";
import { HANDLE_SOCKET, handleGet } from "../../mm/handle";
import { mix32 } from "../../mm/hash";
import { node } from "../../mm/node";
import { kfree, kmalloc } from "../../mm/slab";
import { fieldOf, fieldsCopy, fieldsFree } from "./fields";
import { BPF_ANY, BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST } from "./flags";
import { BpfMap, isPerCpu, mapState, possibleCpus } from "./map";

export const BPF_LOCAL_STORAGE_GET_F_CREATE: u64 = 1;
const BUCKETS: u32 = 64;
const ATTACH: usize = 4, OWNER: usize = 8, VALUE: usize = 16;

export function storageInit(map: BpfMap): bool {
  map.valueAt = <u32>VALUE;
  map.elementBytes = <u32>VALUE + map.stride * (isPerCpu(map.type) ? possibleCpus() : 1);
  map.bucketMask = BUCKETS - 1;
  map.buckets = kmalloc(BUCKETS << 2);
  return map.buckets != 0;
}

@inline function bucketOf(map: BpfMap, owner: u64): usize {
  return map.buckets + (<usize>(mix32(<u32>owner) & map.bucketMask) << 2);
}

function find(map: BpfMap, owner: u64, attach: u32): usize {
  let e = <usize>load<u32>(bucketOf(map, owner));
  while (e != 0 && (load<u64>(e, OWNER) != owner || load<u32>(e, ATTACH) != attach)) e = <usize>load<u32>(e);
  return e;
}

function add(map: BpfMap, owner: u64, attach: u32): usize {
  const e = kmalloc(map.elementBytes);
  if (e == 0) return 0;
  const bucket = bucketOf(map, owner);
  store<u32>(e, load<u32>(bucket));
  store<u32>(e, attach, ATTACH);
  store<u64>(e, owner, OWNER);
  store<u32>(bucket, <u32>e);
  map.count++;
  return e;
}

function drop(map: BpfMap, e: usize): void {
  let link = bucketOf(map, load<u64>(e, OWNER));
  while (<usize>load<u32>(link) != e) link = <usize>load<u32>(link);
  store<u32>(link, load<u32>(e));
  fieldsFree(map, e + VALUE);
  kfree(e, map.elementBytes);
  map.count--;
}

/** bpf_*_storage_get: the value's address; with F_CREATE one that begins as `value` (0: zeros) is made. 0: none, or bad flags. */
export function storageGet(at: usize, owner: u64, value: usize, flags: u64): usize {
  const map = changetype<BpfMap>(at);
  if (owner == 0 || flags > BPF_LOCAL_STORAGE_GET_F_CREATE) return 0;
  let e = find(map, owner, 0);
  if (e == 0 && flags == BPF_LOCAL_STORAGE_GET_F_CREATE) {
    e = add(map, owner, 0);
    if (e != 0 && value != 0) fieldsCopy(map, e + VALUE, value);
  }
  return e == 0 ? 0 : e + VALUE;
}

/** bpf_*_storage_delete: 0 or -ENOENT. */
export function storageDelete(at: usize, owner: u64): i32 {
  const map = changetype<BpfMap>(at), e = find(map, owner, 0);
  if (e == 0) return -ENOENT;
  drop(map, e);
  return 0;
}

/** A test run ends: the storage that its program got is nobody's. */
export function testStorageGone(): void {
  storageOwnerGone(0);
}

/** The storage of a cgroup for an attach type, 0 that of a test run; made when a program is attached there (bpf_cgroup_storages_alloc); 0: no memory. */
export function cgroupStorage(at: usize, cgroup: u64, attach: u32): usize {
  const map = changetype<BpfMap>(at), type: u32 = map.keySize == 8 ? 0 : attach;
  let e = find(map, cgroup, type);
  if (e == 0) e = add(map, cgroup, type);
  return e == 0 ? 0 : e + VALUE;
}

/** An object ends: its storage does too. */
export function storageOwnerGone(owner: u64): void {
  if (node().bpfMaps == 0) return;
  for (let at = mapState().maps; at != 0; at = changetype<BpfMap>(at).next) {
    const map = changetype<BpfMap>(at);
    if (!isStorage(map.type) || map.count == 0) continue;
    const bucket = bucketOf(map, owner);
    for (let e = <usize>load<u32>(bucket); e != 0;) {
      const next = <usize>load<u32>(e);
      if (load<u64>(e, OWNER) == owner) drop(map, e);
      e = next;
    }
  }
}

/** bpf_sk_storage_clone: a socket made by a listener gets copies of what BPF_F_CLONE maps have of that. */
export function storageClone(from: u64, to: u64): void {
  if (node().bpfMaps == 0) return;
  for (let at = mapState().maps; at != 0; at = changetype<BpfMap>(at).next) {
    const map = changetype<BpfMap>(at);
    if (map.type != BPF_MAP_TYPE_SK_STORAGE || !(map.flags & BPF_F_CLONE)) continue;
    const old = find(map, from, 0);
    if (old == 0) continue;
    const made = add(map, to, 0);
    if (made != 0) fieldsCopy(map, made + VALUE, old + VALUE);
  }
}

export function isStorage(type: u32): bool {
  return type == BPF_MAP_TYPE_SK_STORAGE || type == BPF_MAP_TYPE_INODE_STORAGE || type == BPF_MAP_TYPE_TASK_STORAGE
    || type == BPF_MAP_TYPE_CGRP_STORAGE || isCgroupStorage(type);
}

export function isCgroupStorage(type: u32): bool {
  return type == BPF_MAP_TYPE_CGROUP_STORAGE || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

/** The owner that a key of the driver names, 0: none. Sockets by their handle, cgroups and tasks by their number. */
function ownerOf(map: BpfMap, key: usize): u64 {
  if (isCgroupStorage(map.type)) return load<u64>(key);
  return map.type == BPF_MAP_TYPE_SK_STORAGE ? <u64>handleGet(HANDLE_SOCKET, load<u32>(key)) : <u64>load<u32>(key);
}

@inline function attachOf(map: BpfMap, key: usize): u32 {
  return isCgroupStorage(map.type) && map.keySize == 16 ? load<u32>(key, 8) : 0;
}

/** BPF_MAP_LOOKUP_ELEM: the value's address, 0: none. */
export function storageLookup(map: BpfMap, key: usize): usize {
  const e = find(map, ownerOf(map, key), attachOf(map, key));
  return e == 0 ? 0 : e + VALUE;
}

/** Does the key name an object? Otherwise -EBADF is the answer to all. */
export function storageKnows(map: BpfMap, key: usize): bool {
  return isCgroupStorage(map.type) || ownerOf(map, key) != 0;
}

/** BPF_MAP_UPDATE_ELEM. */
export function storageUpdate(map: BpfMap, key: usize, value: usize, flags: u64): i32 {
  const owner = ownerOf(map, key), attach = attachOf(map, key);
  if (isCgroupStorage(map.type)) {
    if (isPerCpu(map.type)) {
      if (flags != BPF_ANY && flags != BPF_EXIST) return -EINVAL;
    } else if (flags & ~(BPF_F_LOCK | BPF_EXIST)) return -EINVAL;
    if (flags & BPF_F_LOCK && fieldOf(map, BPF_FIELD_SPIN_LOCK) == 0) return -EINVAL;
    const e = find(map, owner, attach);
    if (e == 0) return -ENOENT;
    const copies: u32 = isPerCpu(map.type) ? possibleCpus() : 1;
    for (let cpu: u32 = 0; cpu < copies; cpu++) fieldsCopy(map, e + VALUE + <usize>(cpu * map.stride), value + <usize>(cpu * map.stride));
    return 0;
  }
  if (owner == 0) return -EBADF;
  if ((flags & ~BPF_F_LOCK) > BPF_EXIST || (flags & BPF_F_LOCK && fieldOf(map, BPF_FIELD_SPIN_LOCK) == 0)) return -EINVAL;
  let e = find(map, owner, 0);
  const wanted = flags & ~BPF_F_LOCK;
  if (e != 0 && wanted == BPF_NOEXIST) return -EEXIST;
  if (e == 0 && wanted == BPF_EXIST) return -ENOENT;
  if (e == 0) e = add(map, owner, 0);
  if (e == 0) return -ENOMEM;
  fieldsCopy(map, e + VALUE, value);
  return 0;
}

/** BPF_MAP_DELETE_ELEM. */
export function storageRemove(map: BpfMap, key: usize): i32 {
  if (isCgroupStorage(map.type)) return -EINVAL;
  const owner = ownerOf(map, key);
  return owner == 0 ? -EBADF : storageDelete(changetype<usize>(map), owner);
}

/** cgroup_storage_get_next_key. */
export function storageNextKey(map: BpfMap, key: usize, to: usize): i32 {
  let e: usize = 0, bucket: u32 = 0;
  if (key != 0) {
    e = find(map, ownerOf(map, key), attachOf(map, key));
    if (e == 0) return -ENOENT;
    bucket = (mix32(<u32>load<u64>(e, OWNER)) & map.bucketMask) + 1;
    e = <usize>load<u32>(e);
  }
  while (e == 0 && bucket <= map.bucketMask) e = <usize>load<u32>(map.buckets + (<usize>(bucket++) << 2));
  if (e == 0) return -ENOENT;
  store<u64>(to, load<u64>(e, OWNER));
  if (map.keySize == 16) store<u64>(to, <u64>load<u32>(e, ATTACH), 8);
  return 0;
}

export function storageFree(map: BpfMap): void {
  if (map.buckets == 0) return;
  for (let bucket: u32 = 0; bucket <= map.bucketMask; bucket++) {
    const head = map.buckets + (<usize>bucket << 2);
    while (load<u32>(head) != 0) drop(map, <usize>load<u32>(head));
  }
  kfree(map.buckets, BUCKETS << 2);
}
