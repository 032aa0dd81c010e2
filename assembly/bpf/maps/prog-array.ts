// Arrays of what the driver has handles of, kernel/bpf/arraymap.c (fd_array_map_ops): programs, maps, perf events, cgroups. A slot is
// {u32 object, u32 0}.
import { E2BIG, EBADF, EINVAL, ENOENT, ENOTSUPP } from "../../abi/core";
import {
  BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_CGROUP_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_PROG_ARRAY,
} from "../../abi/bpf-maps";
import { kfree } from "../../mm/slab";
import { BpfProg, progGet, progHold, progPut } from "../prog";
import { BPF_ANY } from "./flags";
import { innerFits } from "./inner";
import { mapArgument } from "./argument";
import { BpfMap, bpfMapGet, bpfMapHold, bpfMapPut } from "./map";
import { perfEventFree } from "./perf";

export const SLOT: u32 = 8;

@inline function slotOf(map: BpfMap, index: u32): usize {
  return map.data + <usize>(index * SLOT);
}

/** The program in a slot of the prog array at an address that the running program passed (a BpfProg), 0: none. */
export function bpfProgArrayGet(address: u64, index: u32): usize {
  const at = mapArgument(address);
  if (at == 0) return 0;
  const map = changetype<BpfMap>(at);
  return map.type == BPF_MAP_TYPE_PROG_ARRAY ? fdArrayGet(map, index) : 0;
}

/** The object in a slot, 0: none. */
export function fdArrayGet(map: BpfMap, index: u32): usize {
  return index < map.maxEntries ? <usize>load<u32>(slotOf(map, index)) : 0;
}

/** bpf_prog_map_compatible: the first program settles what kind the others have to be; the reference is the slot's. 0: -EINVAL. */
export function progFor(map: BpfMap, handle: u32): i32 {
  const at = progGet(handle);
  if (at == 0) return -EBADF;
  const prog = changetype<BpfProg>(at);
  if (map.owner == 0) map.owner = prog.type + 1;
  if (map.owner != prog.type + 1) return -EINVAL;
  progHold(prog);
  return <i32>at;
}

/** bpf_fd_array_map_update_elem: `handle` is of what the map holds. 0, -EINVAL, -E2BIG, -EBADF. */
export function fdArrayUpdate(map: BpfMap, key: usize, handle: u32, flags: u64): i32 {
  if (flags != BPF_ANY) return -EINVAL;
  const index = load<u32>(key);
  if (index >= map.maxEntries) return -E2BIG;
  let object: usize;
  if (map.type == BPF_MAP_TYPE_PROG_ARRAY) {
    const prog = progFor(map, handle);
    if (prog < 0 && prog > -4096) return prog;
    object = <usize>prog;
  } else if (map.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
    object = bpfMapGet(handle);
    if (object == 0) return -EBADF;
    if (!innerFits(map, changetype<BpfMap>(object))) return -EINVAL;
    bpfMapHold(object);
  } else return -EBADF;
  put(map, index, object);
  return 0;
}

/** fd_array_map_delete_elem: 0, -E2BIG, -ENOENT. */
export function fdArrayDelete(map: BpfMap, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= map.maxEntries) return -E2BIG;
  if (load<u32>(slotOf(map, index)) == 0) return -ENOENT;
  put(map, index, 0);
  return 0;
}

/** Puts an object (its reference goes with it) in the place of another, whose reference ends. */
export function put(map: BpfMap, index: u32, object: usize): void {
  const before = <usize>load<u32>(slotOf(map, index));
  store<u32>(slotOf(map, index), <u32>object);
  if (before == 0) return;
  switch (map.type) {
    case BPF_MAP_TYPE_PROG_ARRAY: progPut(changetype<BpfProg>(before)); break;
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: bpfMapPut(before); break;
    case BPF_MAP_TYPE_PERF_EVENT_ARRAY: perfEventFree(before); break;
    default: break;
  }
}

/** bpf_fd_array_map_lookup_elem: the id of what is in the slot; -ENOTSUPP for what has no ids, -ENOENT. */
export function fdArrayId(map: BpfMap, key: usize): i32 {
  if (map.type == BPF_MAP_TYPE_PERF_EVENT_ARRAY || map.type == BPF_MAP_TYPE_CGROUP_ARRAY) return -ENOTSUPP;
  const object = fdArrayGet(map, load<u32>(key));
  if (object == 0) return -ENOENT;
  return <i32>(map.type == BPF_MAP_TYPE_PROG_ARRAY ? changetype<BpfProg>(object).id : changetype<BpfMap>(object).id);
}

export function fdArrayFree(map: BpfMap): void {
  if (map.data == 0) return;
  for (let i: u32 = 0; i < map.maxEntries; i++) put(map, i, 0);
  kfree(map.data, map.dataBytes);
}
