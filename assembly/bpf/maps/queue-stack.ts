// Queue and stack, kernel/bpf/queue_stack_maps.c: a ring of max_entries + 1 values. `count` is the head (where the next goes),
// `taken` the tail (the oldest).
import { E2BIG, EINVAL, ENOENT } from "../../abi/core";
import { BPF_MAP_TYPE_STACK } from "../../abi/bpf-maps";
import { copyBytes } from "../../mm/copy";
import { kfree, kmalloc } from "../../mm/slab";
import { BPF_EXIST, BPF_NOEXIST } from "./flags";
import { BpfMap } from "./map";

export function queueInit(map: BpfMap): bool {
  const bytes = <u64>(<u64>map.maxEntries + 1) * <u64>map.valueSize;
  if (bytes > 0x1fff0000) return false;
  map.privBytes = <u32>bytes;
  map.priv = kmalloc(map.privBytes);
  return map.priv != 0;
}

export function queueFree(map: BpfMap): void {
  if (map.priv != 0) kfree(map.priv, map.privBytes);
}

@inline function after(map: BpfMap, i: u32): u32 {
  return i >= map.maxEntries ? 0 : i + 1;
}

/** bpf_map_push_elem: BPF_EXIST drops the oldest of a full one. 0, -EINVAL, -E2BIG. */
export function queuePush(map: BpfMap, value: usize, flags: u64): i32 {
  if (flags & BPF_NOEXIST || flags > BPF_EXIST) return -EINVAL;
  const next = after(map, map.count);
  if (next == map.taken) {
    if (!(flags & BPF_EXIST)) return -E2BIG;
    map.taken = after(map, map.taken);
  }
  copyBytes(map.priv + <usize>(map.count * map.valueSize), value, <usize>map.valueSize);
  map.count = next;
  return 0;
}

/** bpf_map_peek_elem and bpf_map_pop_elem (`take`): -ENOENT, and zeros, of an empty one. */
export function queuePop(map: BpfMap, value: usize, take: bool): i32 {
  if (map.count == map.taken) {
    memory.fill(value, 0, <usize>map.valueSize);
    return -ENOENT;
  }
  const stack = map.type == BPF_MAP_TYPE_STACK;
  const index = !stack ? map.taken : map.count == 0 ? map.maxEntries : map.count - 1;
  copyBytes(value, map.priv + <usize>(index * map.valueSize), <usize>map.valueSize);
  if (take) {
    if (stack) map.count = index;
    else map.taken = after(map, index);
  }
  return 0;
}

/** How many values there are. */
export function queueLength(map: BpfMap): u32 {
  return map.count >= map.taken ? map.count - map.taken : map.count + map.maxEntries + 1 - map.taken;
}
