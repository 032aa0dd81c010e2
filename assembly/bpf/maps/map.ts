// What all maps have (struct bpf_map): the structure whose address programs hold, references, ids, names, possible CPUs.
import { HANDLE_BPF_MAP, handleFree, handleGet, handleNew } from "../../mm/handle";
import { node } from "../../mm/node";
import { kfree, kmalloc } from "../../mm/slab";
import {
  BPFMC_FIELD_BYTES, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
  BPF_MAP_TYPE_PERCPU_HASH,
} from "../../abi/bpf-maps";
import { mapFree, mapReleaseUser } from "./free";

/** One map. Types use the fields from `data` on as their files say. */
@unmanaged export class BpfMap {
  type: u32; // BPF_MAP_TYPE_*
  keySize: u32;
  valueSize: u32;
  maxEntries: u32;
  flags: u32;
  /** BPF_F_RDONLY, BPF_F_WRONLY: of the handle, not of the map. */
  access: u32;
  /** Bytes from one value to the next: the value rounded up to 8. */
  stride: u32;
  /** Arrays: the values (per CPU: all of CPU 0, then all of CPU 1). */
  data: usize;
  dataBytes: u32;
  // hash tables
  buckets: usize; bucketMask: u32;
  seed: u32;
  count: u32;
  /** Offset of the value in an element. */
  valueAt: u32;
  elementBytes: u32;
  /** Elements that were used before, chained by their first word. */
  free: usize;
  /** Elements taken from the arena so far, and the most there may be. */
  taken: u32; takenMax: u32;
  /** What a preallocated hash table swaps with an element that is replaced (extra_elems). */
  extra: usize;
  /** The type's own: LruList, trie's root, Ring, list of elements, … */
  priv: usize;
  privBytes: u32;

  id: u32;
  handle: u32; // 0: the driver let go of it
  refs: u32;
  next: usize; // BpfMap of the node, by id
  frozen: u32;
  mapExtra: u64;
  name0: u64; name1: u64;
  btfKey: u32; btfValue: u32;
  ifindex: u32;
  /** {u32 BPF_FIELD_*, u32 offset, u32 bytes, u32 more}[] by offset. */
  fields: usize; fieldCount: u32;
  /** Maps of maps: what inner maps have to be like, a BpfMap without elements. */
  inner: usize;
  /** Type of the programs of a prog array (owner) plus 1; 0: there was none yet. */
  owner: u32;
  /** Waits in BpfMapState.wakeHead. */
  woken: u32; wakeNext: usize;
}
const MAP_BYTES: u32 = <u32>offsetof<BpfMap>();

/** Of a node: its maps, possible CPUs, and maps whose consumers are to be woken. */
@unmanaged export class BpfMapState {
  maps: usize; // BpfMap, newest first
  nextId: u32;
  cpus: u32;
  wakeHead: usize; wakeTail: usize;
  timers: usize; // BpfTimer, maps/timer.ts
}

/** The node's; null (0): no memory. */
export function mapState(): BpfMapState {
  const n = node();
  if (n.bpfMaps == 0) {
    n.bpfMaps = kmalloc(<u32>offsetof<BpfMapState>());
    if (n.bpfMaps == 0) return changetype<BpfMapState>(0);
    const state = changetype<BpfMapState>(n.bpfMaps);
    state.cpus = 1;
    state.nextId = 1;
  }
  return changetype<BpfMapState>(n.bpfMaps);
}

/** num_possible_cpus(): CPU 0 alone runs programs. */
export function possibleCpus(): u32 {
  return mapState().cpus;
}

@inline export function round8(bytes: u32): u32 {
  return (bytes + 7) & ~7;
}

/** roundup_pow_of_two; 0 above 2^31. */
export function roundUpPow2(n: u32): u32 {
  return n <= 1 ? 1 : n > 0x80000000 ? 0 : 1 << (32 - clz<u32>(n - 1));
}

export function isPerCpu(type: u32): bool {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_LRU_PERCPU_HASH
    || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

/** A structure for a map with one reference; not yet of the node. null (0): no memory. */
export function mapNew(): BpfMap {
  const map = changetype<BpfMap>(kmalloc(MAP_BYTES));
  if (changetype<usize>(map) != 0) map.refs = 1;
  return map;
}

/** Makes a map the node's and gives it an id and a handle; false: no memory. */
export function mapPublish(map: BpfMap): bool {
  const state = mapState();
  const handle = handleNew(HANDLE_BPF_MAP, changetype<usize>(map));
  if (handle == 0) return false;
  map.handle = handle;
  map.id = state.nextId++;
  map.next = state.maps;
  state.maps = changetype<usize>(map);
  return true;
}

/** The map of a handle, 0: there is none. */
export function bpfMapGet(handle: u32): usize {
  return handleGet(HANDLE_BPF_MAP, handle);
}

/** The map with an id, 0: none. */
export function mapById(id: u32): usize {
  let at = mapState().maps;
  while (at != 0 && changetype<BpfMap>(at).id != id) at = changetype<BpfMap>(at).next;
  return at;
}

/** The map at an address that an unverified program passed, 0: there is none. */
export function bpfMapFind(address: u64): usize {
  if (node().bpfMaps == 0) return 0;
  let at = mapState().maps;
  while (at != 0 && <u64>at != address) at = changetype<BpfMap>(at).next;
  return at;
}

/** One more that holds the map: a program, a slot of another map. */
export function bpfMapHold(map: usize): void {
  changetype<BpfMap>(map).refs++;
}

/** One less; the last ends the map. */
export function bpfMapPut(at: usize): void {
  const map = changetype<BpfMap>(at);
  if (--map.refs != 0) return;
  if (map.id != 0) {
    const state = mapState();
    let link = changetype<usize>(state) + offsetof<BpfMapState>("maps");
    while (load<usize>(link) != at) link = changetype<usize>(load<usize>(link)) + offsetof<BpfMap>("next");
    store<usize>(link, map.next);
    mapUnwake(state, map);
  }
  mapFree(map);
  mapDispose(map);
}

/** Gives the structure and what all types have back. */
export function mapDispose(map: BpfMap): void {
  if (map.inner != 0) mapDispose(changetype<BpfMap>(map.inner));
  if (map.fieldCount != 0) kfree(map.fields, map.fieldCount * BPFMC_FIELD_BYTES);
  kfree(changetype<usize>(map), MAP_BYTES);
}

/** BPF_MAP_CLOSE. What could hold the map through programs ends with the driver's reference (map_release_uref). */
export function mapClose(map: BpfMap): void {
  handleFree(map.handle);
  map.handle = 0;
  mapReleaseUser(map);
  bpfMapPut(changetype<usize>(map));
}

/** Who consumes the map is to be woken: the driver hears of it when the node has run. */
export function mapWake(map: BpfMap): void {
  if (map.woken) return;
  const state = mapState();
  map.woken = 1;
  map.wakeNext = 0;
  if (state.wakeTail != 0) changetype<BpfMap>(state.wakeTail).wakeNext = changetype<usize>(map);
  else state.wakeHead = changetype<usize>(map);
  state.wakeTail = changetype<usize>(map);
}

function mapUnwake(state: BpfMapState, map: BpfMap): void {
  if (!map.woken) return;
  let before: usize = 0;
  for (let at = state.wakeHead; at != 0; before = at, at = changetype<BpfMap>(at).wakeNext) {
    if (at != changetype<usize>(map)) continue;
    if (before == 0) state.wakeHead = map.wakeNext;
    else changetype<BpfMap>(before).wakeNext = map.wakeNext;
    if (state.wakeTail == at) state.wakeTail = before;
    return;
  }
}

/** Are there maps for BPF_MAP_EVENTS? */
export function bpfMapEventsPending(): bool {
  const at = node().bpfMaps;
  return at != 0 && changetype<BpfMapState>(at).wakeHead != 0;
}

/** BPF_MAP_EVENTS: ids of maps that were woken; bytes. */
export function mapEventsTake(at: usize, max: u32): u32 {
  const state = mapState();
  let bytes: u32 = 0;
  while (state.wakeHead != 0 && bytes + 4 <= max) {
    const map = changetype<BpfMap>(state.wakeHead);
    state.wakeHead = map.wakeNext;
    if (state.wakeHead == 0) state.wakeTail = 0;
    map.woken = 0;
    store<u32>(at + <usize>bytes, map.id);
    bytes += 4;
  }
  return bytes;
}
