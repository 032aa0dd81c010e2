// Arrays, kernel/bpf/arraymap.c: array and per-CPU array; fdarray.ts has those whose slots hold programs, maps or events.
import { E2BIG, EEXIST, EINVAL } from "../../abi/core";
import { BPF_FIELD_SPIN_LOCK, BPF_MAP_TYPE_PERCPU_ARRAY } from "../../abi/bpf-maps";
import { kfree, kmalloc } from "../../mm/slab";
import { fieldOf, fieldsCopy, fieldsFree } from "./fields";
import { BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST } from "./flags";
import { BpfMap, possibleCpus } from "./map";

/** array_map_alloc behind its checks; false: no memory. */
export function arrayInit(map: BpfMap): bool {
  const copies: u32 = map.type == BPF_MAP_TYPE_PERCPU_ARRAY ? possibleCpus() : 1;
  const bytes = <u64>map.stride * <u64>map.maxEntries * <u64>copies;
  if (bytes > 0x1fff0000) return false;
  map.dataBytes = <u32>bytes;
  map.data = kmalloc(map.dataBytes);
  return map.data != 0;
}

/** The value of CPU 0, 0: the index is out of range. */
@inline export function arrayLookup(map: BpfMap, key: usize): usize {
  const index = load<u32>(key);
  return index < map.maxEntries ? map.data + <usize>(index * map.stride) : 0;
}

/** The value of a CPU that there is. */
export function arrayOfCpu(map: BpfMap, index: u32, cpu: u32): usize {
  return map.data + <usize>((cpu * map.maxEntries + index) * map.stride);
}

/** `all`: the value has one part for each CPU. 0, -EINVAL, -E2BIG, -EEXIST. */
export function arrayUpdate(map: BpfMap, key: usize, value: usize, flags: u64, all: bool): i32 {
  const perCpu = map.type == BPF_MAP_TYPE_PERCPU_ARRAY;
  if ((perCpu && all ? flags : flags & ~BPF_F_LOCK) > BPF_EXIST) return -EINVAL;
  const index = load<u32>(key);
  if (index >= map.maxEntries) return -E2BIG;
  if (flags & BPF_NOEXIST) return -EEXIST;
  if (flags & BPF_F_LOCK && fieldOf(map, BPF_FIELD_SPIN_LOCK) == 0) return -EINVAL;
  const copies: u32 = perCpu && all ? possibleCpus() : 1;
  for (let cpu: u32 = 0; cpu < copies; cpu++) {
    const to = arrayOfCpu(map, index, cpu);
    fieldsCopy(map, to, value + <usize>(cpu * map.stride));
    if (!(flags & BPF_F_LOCK)) fieldsFree(map, to);
  }
  return 0;
}

export function arrayFree(map: BpfMap): void {
  if (map.data == 0) return;
  if (map.fieldCount != 0) {
    const end = map.data + <usize>map.dataBytes;
    for (let at = map.data; at < end; at += <usize>map.stride) fieldsFree(map, at);
  }
  kfree(map.data, map.dataBytes);
}
