// Bloom filter, kernel/bpf/bloom_filter.c. `bucketMask` is the mask of bit numbers, `count` the number of hash functions.
import { EINVAL, ENOENT } from "../../abi/core";
import { kfree, kmalloc } from "../../mm/slab";
import { BPF_ANY } from "./flags";
import { jhash } from "./jhash";
import { BpfMap, roundUpPow2 } from "./map";

export function bloomInit(map: BpfMap): bool {
  map.count = <u32>(map.mapExtra & 15);
  if (map.count == 0) map.count = 5;
  // The optimal number of bits is functions x entries / ln 2, for which 7/5 stands.
  const product = <u64>map.maxEntries * <u64>map.count;
  const bits = product > 0xffffffff ? u64.MAX_VALUE : product / 5 * 7;
  if (bits > 0x80000000) map.bucketMask = u32.MAX_VALUE;
  else map.bucketMask = max<u32>(roundUpPow2(<u32>bits), 64) - 1;
  map.privBytes = <u32>((<u64>map.bucketMask + 1) >>> 3);
  map.priv = kmalloc(map.privBytes);
  return map.priv != 0;
}

export function bloomFree(map: BpfMap): void {
  if (map.priv != 0) kfree(map.priv, map.privBytes);
}

@inline function bit(map: BpfMap, value: usize, i: u32): u32 {
  return jhash(value, map.valueSize, map.seed + i) & map.bucketMask;
}

/** bpf_map_push_elem: 0 or -EINVAL. */
export function bloomPush(map: BpfMap, value: usize, flags: u64): i32 {
  if (flags != BPF_ANY) return -EINVAL;
  for (let i: u32 = 0; i < map.count; i++) {
    const n = bit(map, value, i), at = map.priv + <usize>(n >>> 3);
    store<u8>(at, <u32>load<u8>(at) | (1 << (n & 7)));
  }
  return 0;
}

/** bpf_map_peek_elem: 0 the value may be in it, -ENOENT it is not. */
export function bloomPeek(map: BpfMap, value: usize): i32 {
  for (let i: u32 = 0; i < map.count; i++) {
    const n = bit(map, value, i);
    if (!(load<u8>(map.priv + <usize>(n >>> 3)) & (1 << (n & 7)))) return -ENOENT;
  }
  return 0;
}
