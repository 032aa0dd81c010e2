// What inner maps have to be like, kernel/bpf/map_in_map.c: the map given at creation leaves its shape behind, a BpfMap without elements.
import { EBADF, EINVAL, ENOMEM, ENOTSUPP } from "../../abi/core";
import {
  BPFMC_FIELD_BYTES, BPF_F_INNER_MAP, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_CGROUP_STORAGE,
  BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_STRUCT_OPS, BPF_MAP_TYPE_XSKMAP,
} from "../../abi/bpf-maps";
import { kmalloc } from "../../mm/slab";
import { BpfMap, bpfMapGet, mapNew } from "./map";

/** Types without map_meta_equal. */
function neverInner(type: u32): bool {
  return type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_CGROUP_STORAGE || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
    || type == BPF_MAP_TYPE_STRUCT_OPS;
}

/** bpf_map_meta_alloc: the shape of the map with this handle, into `map.inner`. 0, -EBADF, -EINVAL (a map of maps), -ENOTSUPP, -ENOMEM. */
export function innerMeta(map: BpfMap, handle: u32): i32 {
  const at = bpfMapGet(handle);
  if (at == 0) return -EBADF;
  const inner = changetype<BpfMap>(at);
  if (inner.type == BPF_MAP_TYPE_ARRAY_OF_MAPS || inner.type == BPF_MAP_TYPE_HASH_OF_MAPS) return -EINVAL;
  if (neverInner(inner.type)) return -ENOTSUPP;
  const meta = mapNew();
  if (changetype<usize>(meta) == 0) return -ENOMEM;
  if (inner.fieldCount != 0) {
    meta.fields = kmalloc(inner.fieldCount * BPFMC_FIELD_BYTES);
    if (meta.fields != 0) memory.copy(meta.fields, inner.fields, <usize>(inner.fieldCount * BPFMC_FIELD_BYTES));
    meta.fieldCount = meta.fields == 0 ? 0 : inner.fieldCount;
  }
  meta.type = inner.type;
  meta.keySize = inner.keySize;
  meta.valueSize = inner.valueSize;
  meta.flags = inner.flags;
  meta.maxEntries = inner.maxEntries;
  map.inner = changetype<usize>(meta);
  return 0;
}

/** map_meta_equal: may this map be an inner map? */
export function innerFits(map: BpfMap, inner: BpfMap): bool {
  const meta = changetype<BpfMap>(map.inner);
  if (meta.type != inner.type || meta.keySize != inner.keySize || meta.valueSize != inner.valueSize || meta.flags != inner.flags
    || meta.fieldCount != inner.fieldCount
    || memory.compare(meta.fields, inner.fields, <usize>(meta.fieldCount * BPFMC_FIELD_BYTES)) != 0) return false;
  if (meta.type == BPF_MAP_TYPE_ARRAY) return (meta.flags & BPF_F_INNER_MAP) != 0 || meta.maxEntries == inner.maxEntries;
  return meta.type != BPF_MAP_TYPE_XSKMAP || meta.maxEntries == inner.maxEntries;
}
