// Stack traces, kernel/bpf/stackmap.c: a call chain is kept under the number of its hash. A bucket is 0 or the address of
// {u32 hash, u32 addresses, u64 address[]}.
import { E2BIG, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM } from "../../abi/core";
import { kfree, kmalloc } from "../../mm/slab";
import { jhash } from "./jhash";
import { BpfMap, roundUpPow2 } from "./map";

export const BPF_F_SKIP_FIELD_MASK: u64 = 0xff, BPF_F_USER_STACK: u64 = 0x100, BPF_F_FAST_STACK_CMP: u64 = 0x200, BPF_F_REUSE_STACKID: u64 = 0x400;
const HEADER: u32 = 8;

export function stackTraceInit(map: BpfMap): bool {
  const buckets = roundUpPow2(map.maxEntries);
  if (buckets == 0 || buckets > 0x4000000) return false;
  map.bucketMask = buckets - 1;
  map.buckets = kmalloc(buckets << 2);
  return map.buckets != 0;
}

@inline function bucketOf(map: BpfMap, id: u32): usize {
  return map.buckets + (<usize>id << 2);
}
@inline function bytesOf(trace: usize): u32 {
  return HEADER + (load<u32>(trace, 4) << 3);
}

/** __bpf_get_stackid of `depth` addresses at `chain`, the innermost first: the number, -EINVAL, -EFAULT, -EEXIST (another trace is there), -ENOMEM. */
export function stackTracePut(map: BpfMap, chain: usize, depth: u32, flags: u64): i32 {
  if (flags & ~(BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP | BPF_F_REUSE_STACKID)) return -EINVAL;
  const skip = <u32>(flags & BPF_F_SKIP_FIELD_MASK);
  if (depth <= skip) return -EFAULT;
  const most = map.valueSize >>> 3, ips = chain + (<usize>skip << 3), n = min<u32>(depth - skip, most);
  const hash = jhash(ips, n << 3, 0), id = hash & map.bucketMask, slot = bucketOf(map, id);
  const old = <usize>load<u32>(slot);
  if (old != 0) {
    const same = load<u32>(old) == hash;
    if (same && flags & BPF_F_FAST_STACK_CMP) return <i32>id;
    if (same && load<u32>(old, 4) == n && memory.compare(old + <usize>HEADER, ips, <usize>n << 3) == 0) return <i32>id;
    if (!(flags & BPF_F_REUSE_STACKID)) return -EEXIST;
  }
  if (old == 0 && map.count >= map.maxEntries) return -ENOMEM;
  const made = kmalloc(HEADER + (n << 3));
  if (made == 0) return -ENOMEM;
  store<u32>(made, hash);
  store<u32>(made, n, 4);
  memory.copy(made + <usize>HEADER, ips, <usize>n << 3);
  store<u32>(slot, <u32>made);
  if (old != 0) kfree(old, bytesOf(old));
  else map.count++;
  return <i32>id;
}

/** bpf_stackmap_extract: the addresses, then zeros. */
export function stackTraceCopy(map: BpfMap, key: usize, to: usize): i32 {
  const id = load<u32>(key);
  if (id > map.bucketMask) return -ENOENT;
  const trace = <usize>load<u32>(bucketOf(map, id));
  if (trace == 0) return -ENOENT;
  const bytes = load<u32>(trace, 4) << 3;
  memory.copy(to, trace + <usize>HEADER, <usize>bytes);
  memory.fill(to + <usize>bytes, 0, <usize>(map.valueSize - bytes));
  return 0;
}

/** 0, -E2BIG (no such number), -ENOENT. */
export function stackTraceDelete(map: BpfMap, key: usize): i32 {
  const id = load<u32>(key);
  if (id > map.bucketMask) return -E2BIG;
  const slot = bucketOf(map, id), trace = <usize>load<u32>(slot);
  if (trace == 0) return -ENOENT;
  store<u32>(slot, 0);
  kfree(trace, bytesOf(trace));
  map.count--;
  return 0;
}

/** stack_map_get_next_key: a number that is not in use is before the first. */
export function stackTraceNextKey(map: BpfMap, key: usize, to: usize): i32 {
  let id: u32 = 0;
  if (key != 0) {
    id = load<u32>(key);
    id = id > map.bucketMask || load<u32>(bucketOf(map, id)) == 0 ? 0 : id + 1;
  }
  while (id <= map.bucketMask && load<u32>(bucketOf(map, id)) == 0) id++;
  if (id > map.bucketMask) return -ENOENT;
  store<u32>(to, id);
  return 0;
}

export function stackTraceFree(map: BpfMap): void {
  if (map.buckets == 0) return;
  for (let id: u32 = 0; id <= map.bucketMask; id++) {
    const trace = <usize>load<u32>(bucketOf(map, id));
    if (trace != 0) kfree(trace, bytesOf(trace));
  }
  kfree(map.buckets, (map.bucketMask + 1) << 2);
}
