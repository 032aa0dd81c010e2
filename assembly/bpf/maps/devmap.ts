// Where XDP redirects to: devices (kernel/bpf/devmap.c, by index or by hash), CPUs (cpumap.c), AF_XDP sockets (net/xdp/xskmap.c).
//
//   DevValue │ ifindex u32 │ program id u32 │ NetDevice u32 │ BpfProg u32 │   the first 8 bytes are what a look-up sees
//   CpuValue │ qsize u32   │ program id u32 │ 1: in use     │ BpfProg u32 │
import { E2BIG, EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, EBADF } from "../../abi/core";
import { BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH, EOVERFLOW } from "../../abi/bpf-maps";
import { NetDevice, Netns } from "../../layout";
import { node } from "../../mm/node";
import { kfree, kmalloc } from "../../mm/slab";
import { BpfProg, progGet, progHold, progPut } from "../prog";
import { BPF_EXIST, BPF_NOEXIST } from "./flags";
import { BPF_XDP_CPUMAP, BPF_XDP_DEVMAP, BPF_PROG_TYPE_XDP } from "./prog-types";
import { BpfMap, mapState, possibleCpus } from "./map";

/** A value of a devmap or cpumap; `next` and `key` are those of the hash. */
@unmanaged export class DevValue {
  ifindex: u32;
  progId: u32;
  device: usize; // NetDevice
  prog: usize; // BpfProg
  key: u32;
  next: usize;
}
const VALUE_BYTES: u32 = <u32>offsetof<DevValue>();

/** An array of {u32 DevValue} or of chains. */
export function devmapInit(map: BpfMap, slots: u32): bool {
  map.bucketMask = slots - 1;
  const bytes = <u64>slots << 2;
  if (bytes > 0x1fff0000) return false;
  map.dataBytes = <u32>bytes;
  map.data = kmalloc(map.dataBytes);
  return map.data != 0;
}

/** Where the value of a key stands or would stand. */
function slotOf(map: BpfMap, key: u32): usize {
  if (map.type != BPF_MAP_TYPE_DEVMAP_HASH) return map.data + (<usize>key << 2);
  let slot = map.data + (<usize>(key & map.bucketMask) << 2);
  while (load<u32>(slot) != 0 && changetype<DevValue>(<usize>load<u32>(slot)).key != key) {
    slot = <usize>load<u32>(slot) + offsetof<DevValue>("next");
  }
  return slot;
}

/** The DevValue of a key, 0: none. */
export function devmapLookup(at: usize, key: u32): usize {
  const map = changetype<BpfMap>(at);
  if (map.type != BPF_MAP_TYPE_DEVMAP_HASH && key >= map.maxEntries) return 0;
  return <usize>load<u32>(slotOf(map, key));
}

/** The CpuValue of a key, 0: none. */
export function cpumapLookup(map: usize, key: u32): usize {
  return devmapLookup(map, key);
}

/** No AF_XDP socket is ever in a slot: there are none. */
export function xskmapLookup(map: usize, key: u32): usize {
  return devmapLookup(map, key);
}

/** The key after `after` (-1: the first) that has a value, -1: none. For BPF_F_BROADCAST. */
export function devmapNext(at: usize, after: i64): i64 {
  const map = changetype<BpfMap>(at);
  if (map.type == BPF_MAP_TYPE_DEVMAP_HASH) {
    const next = after < 0 ? hashFirst(map, 0) : hashAfter(map, <u32>after);
    return next == 0 ? -1 : <i64>changetype<DevValue>(next).key;
  }
  for (let i = after + 1; i < <i64>map.maxEntries; i++) if (load<u32>(map.data + (<usize>i << 2)) != 0) return i;
  return -1;
}

function hashFirst(map: BpfMap, bucket: u32): usize {
  for (let i = bucket; i <= map.bucketMask; i++) {
    const at = <usize>load<u32>(map.data + (<usize>i << 2));
    if (at != 0) return at;
  }
  return 0;
}

function hashAfter(map: BpfMap, key: u32): usize {
  const at = devmapLookup(changetype<usize>(map), key);
  if (at == 0) return hashFirst(map, 0);
  const next = changetype<DevValue>(at).next;
  return next != 0 ? next : hashFirst(map, (key & map.bucketMask) + 1);
}

/** dev_map_hash_get_next_key: 0 or -ENOENT. */
export function devmapHashNextKey(map: BpfMap, key: usize, to: usize): i32 {
  const at = key == 0 ? hashFirst(map, 0) : hashAfter(map, load<u32>(key));
  if (at == 0) return -ENOENT;
  store<u32>(to, changetype<DevValue>(at).key);
  return 0;
}

function deviceOf(ifindex: u32): usize {
  let at = changetype<Netns>(node().netns).devices;
  while (at != 0 && changetype<NetDevice>(at).ifindex != ifindex) at = changetype<NetDevice>(at).next;
  return at;
}

/** The XDP program of a value's handle, for this attach type, its reference taken; 0: none is named, -EBADF, -EINVAL. */
function progOf(map: BpfMap, value: usize, attach: u32): i32 {
  if (map.valueSize < 8) return 0;
  const handle = load<i32>(value, 4);
  if (handle == 0 || handle == -1) return 0;
  const at = progGet(<u32>handle);
  if (at == 0) return -EBADF;
  const prog = changetype<BpfProg>(at);
  if (prog.type != BPF_PROG_TYPE_XDP || prog.attachType != attach) return -EINVAL;
  progHold(prog);
  return <i32>at;
}

/** dev_map_update_elem, dev_map_hash_update_elem, cpu_map_update_elem: 0 or -errno. */
export function devmapUpdate(map: BpfMap, key: usize, value: usize, flags: u64): i32 {
  const index = load<u32>(key), cpu = map.type == BPF_MAP_TYPE_CPUMAP;
  if (flags > BPF_EXIST) return -EINVAL;
  if (map.type == BPF_MAP_TYPE_DEVMAP_HASH) {
    if (load<u32>(value) == 0) return -EINVAL;
    if (flags & BPF_NOEXIST && devmapLookup(changetype<usize>(map), index) != 0) return -EEXIST;
  } else {
    if (index >= map.maxEntries) return -E2BIG;
    if (flags == BPF_NOEXIST) return -EEXIST;
    if (cpu && load<u32>(value) > 16384) return -EOVERFLOW;
    if (cpu && index >= possibleCpus()) return -ENODEV;
    if (load<u32>(value) == 0) {
      // No queue, no device: the slot is emptied; it names no program.
      if (!cpu && map.valueSize >= 8 && load<i32>(value, 4) > 0) return -EINVAL;
      drop(map, slotOf(map, index));
      return 0;
    }
  }
  const device: usize = cpu ? 0 : deviceOf(load<u32>(value));
  if (!cpu && device == 0) return -EINVAL;
  const prog = progOf(map, value, cpu ? BPF_XDP_CPUMAP : BPF_XDP_DEVMAP);
  if (prog < 0 && prog > -4096) return cpu ? -ENOMEM : -EINVAL;
  const slot = slotOf(map, index);
  const old = <usize>load<u32>(slot);
  if (old == 0 && map.type == BPF_MAP_TYPE_DEVMAP_HASH && map.count >= map.maxEntries) {
    if (prog != 0) progPut(changetype<BpfProg>(<usize>prog));
    return -E2BIG;
  }
  const at = kmalloc(VALUE_BYTES);
  if (at == 0) return -ENOMEM;
  const made = changetype<DevValue>(at);
  made.ifindex = load<u32>(value);
  made.device = device;
  made.prog = <usize>prog;
  if (prog != 0) made.progId = changetype<BpfProg>(<usize>prog).id;
  made.key = index;
  if (old != 0) drop(map, slot);
  if (map.type == BPF_MAP_TYPE_DEVMAP_HASH) {
    const head = map.data + (<usize>(index & map.bucketMask) << 2);
    made.next = <usize>load<u32>(head);
    store<u32>(head, <u32>at);
  } else store<u32>(slot, <u32>at);
  map.count++;
  return 0;
}

function drop(map: BpfMap, slot: usize): bool {
  const at = <usize>load<u32>(slot);
  if (at == 0) return false;
  const value = changetype<DevValue>(at);
  store<u32>(slot, <u32>value.next);
  if (value.prog != 0) progPut(changetype<BpfProg>(value.prog));
  kfree(at, VALUE_BYTES);
  map.count--;
  return true;
}

/** 0; -EINVAL: out of range; -ENOENT: devmap_hash has no such key. */
export function devmapDelete(map: BpfMap, key: usize): i32 {
  const index = load<u32>(key), hash = map.type == BPF_MAP_TYPE_DEVMAP_HASH;
  if (!hash && index >= map.maxEntries) return -EINVAL;
  return !drop(map, slotOf(map, index)) && hash ? -ENOENT : 0;
}

/** dev_map_notification: a device that ends leaves all maps. */
export function devmapDeviceGone(device: usize): void {
  if (node().bpfMaps == 0) return;
  for (let at = mapState().maps; at != 0; at = changetype<BpfMap>(at).next) {
    const map = changetype<BpfMap>(at);
    if (map.type != BPF_MAP_TYPE_DEVMAP && map.type != BPF_MAP_TYPE_DEVMAP_HASH) continue;
    const end = map.data + <usize>map.dataBytes;
    for (let bucket = map.data; bucket < end; bucket += 4) {
      let slot = bucket;
      while (load<u32>(slot) != 0) {
        const value = changetype<DevValue>(<usize>load<u32>(slot));
        if (value.device == device) drop(map, slot);
        else slot = changetype<usize>(value) + offsetof<DevValue>("next");
      }
    }
  }
}

export function devmapFree(map: BpfMap): void {
  if (map.data == 0) return;
  const end = map.data + <usize>map.dataBytes;
  for (let slot = map.data; slot < end; slot += 4) while (drop(map, slot)) {}
  kfree(map.data, map.dataBytes);
}
