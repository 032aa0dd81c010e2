// Which element of an LRU hash gives way, kernel/bpf/bpf_lru_list.c. An element is in one of three lists of the map (active, inactive,
// free) or, with the common LRU, in one of two of its CPU (free, pending: not looked at yet). A look-up only sets the reference bit; lists
// are sorted when free elements run out, up to `scans` elements at a time. CPU 0 alone takes elements; the others' share of a per-CPU LRU
// (BPF_F_NO_COMMON_LRU) is never used.
//
//   node (before the element) │ previous u32 │ next u32 │ list u8 │ referenced u8 │
import { BPF_F_NO_COMMON_LRU } from "../../abi/bpf-maps";
import { kfree, kmalloc } from "../../mm/slab";
import { elementTake, hashEvict } from "./hash";
import { BpfMap, possibleCpus } from "./map";

/** Bytes of a node. */
export const LRU_NODE: usize = 16;
const PREVIOUS: usize = 0, NEXT: usize = 4, LIST: usize = 8, REFERENCED: usize = 9;

const ACTIVE: u32 = 0, INACTIVE: u32 = 1, FREE: u32 = 2, LOCAL_FREE: u32 = 3, LOCAL_PENDING: u32 = 4;

const LOCAL_FREE_TARGET: u32 = 128;
const PERCPU_FREE_TARGET: u32 = 4;

/** Behind `map.priv`: heads of the five lists as nodes, then this. */
@unmanaged class Lru {
  head0: u64; head1: u64; head2: u64; head3: u64; head4: u64;
  active: u32; inactive: u32;
  /** Where the next rotation of the inactive list begins: a node or the head. */
  rotation: usize;
  scans: u32;
  /** How many free elements the local list is filled with at once. */
  target: u32;
}

@inline function lruOf(map: BpfMap): Lru {
  return changetype<Lru>(map.priv);
}
@inline function head(lru: Lru, list: u32): usize {
  return changetype<usize>(lru) + (<usize>list << 3);
}
@inline function next(node: usize): usize {
  return <usize>load<u32>(node, NEXT);
}
@inline function previous(node: usize): usize {
  return <usize>load<u32>(node, PREVIOUS);
}
@inline function referenced(node: usize): bool {
  return load<u8>(node, REFERENCED) != 0;
}
@inline function isEmpty(list: usize): bool {
  return next(list) == list;
}
function add(node: usize, list: usize): void {
  const first = next(list);
  store<u32>(node, <u32>list, PREVIOUS);
  store<u32>(node, <u32>first, NEXT);
  store<u32>(list, <u32>node, NEXT);
  store<u32>(first, <u32>node, PREVIOUS);
}
function remove(node: usize): void {
  store<u32>(next(node), <u32>previous(node), PREVIOUS);
  store<u32>(previous(node), <u32>next(node), NEXT);
}

/** bpf_lru_init and bpf_lru_populate; elements come later. False: no memory. */
export function lruInit(map: BpfMap): bool {
  map.privBytes = <u32>offsetof<Lru>();
  map.priv = kmalloc(map.privBytes);
  if (map.priv == 0) return false;
  const lru = lruOf(map);
  for (let list: u32 = 0; list < 5; list++) {
    store<u32>(head(lru, list), <u32>head(lru, list), PREVIOUS);
    store<u32>(head(lru, list), <u32>head(lru, list), NEXT);
  }
  lru.rotation = head(lru, INACTIVE);
  if (map.flags & BPF_F_NO_COMMON_LRU) {
    lru.scans = lru.target = PERCPU_FREE_TARGET;
    map.takenMax = map.maxEntries / possibleCpus();
  } else {
    lru.scans = LOCAL_FREE_TARGET;
    lru.target = min<u32>(max<u32>(map.maxEntries / possibleCpus() / 2, 1), LOCAL_FREE_TARGET);
    map.takenMax = map.maxEntries;
  }
  return true;
}

/** bpf_lru_node_set_ref: the element was used. */
@inline export function lruSetRef(element: usize): void {
  store<u8>(element - LRU_NODE, 1, REFERENCED);
}

/** bpf_lru_pop_free: an element for a key with this hash, evicting others if need be; 0: none can be had. */
export function lruPopFree(map: BpfMap, hash: u32): usize {
  const node = map.flags & BPF_F_NO_COMMON_LRU ? perCpuPop(map) : commonPop(map);
  if (node == 0) return 0;
  // The hash stands in the element: an eviction finds its chain by it.
  store<u32>(node + LRU_NODE, hash, 4);
  return node + LRU_NODE;
}

/** bpf_lru_push_free: the element is in no chain any more. */
export function lruPushFree(map: BpfMap, element: usize): void {
  const lru = lruOf(map), node = element - LRU_NODE;
  if (load<u8>(node, LIST) != LOCAL_PENDING) {
    moveTo(lru, node, FREE);
    return;
  }
  store<u8>(node, LOCAL_FREE, LIST);
  store<u8>(node, 0, REFERENCED);
  remove(node);
  add(node, head(lru, LOCAL_FREE));
}

/** Gives all elements back: they are in the lists of free ones. */
export function lruFree(map: BpfMap): void {
  if (map.priv == 0) return;
  const lru = lruOf(map);
  for (let list: u32 = 0; list < 5; list++) {
    for (let node = next(head(lru, list)); node != head(lru, list);) {
      const after = next(node);
      kfree(node, map.elementBytes + <u32>LRU_NODE);
      node = after;
    }
  }
  kfree(map.priv, map.privBytes);
}

function count(lru: Lru, list: u32, by: u32): void {
  if (list == ACTIVE) lru.active += by;
  else if (list == INACTIVE) lru.inactive += by;
}

/** __bpf_lru_node_move: within or between the lists of the map. */
function moveTo(lru: Lru, node: usize, list: u32): void {
  const from = <u32>load<u8>(node, LIST);
  if (from != list) {
    count(lru, from, <u32>-1);
    count(lru, list, 1);
    store<u8>(node, <u8>list, LIST);
  }
  store<u8>(node, 0, REFERENCED);
  if (node == lru.rotation) lru.rotation = previous(node);
  remove(node);
  add(node, head(lru, list));
}

/** __bpf_lru_node_move_to_free. */
function moveToFree(lru: Lru, node: usize, list: u32): void {
  if (node == lru.rotation) lru.rotation = previous(node);
  count(lru, load<u8>(node, LIST), <u32>-1);
  store<u8>(node, <u8>list, LIST);
  remove(node);
  add(node, head(lru, list));
}

function rotateActive(lru: Lru): void {
  const active = head(lru, ACTIVE), first = next(active);
  let i: u32 = 0;
  for (let node = previous(active); node != active;) {
    const before = previous(node);
    moveTo(lru, node, referenced(node) ? ACTIVE : INACTIVE);
    if (++i == lru.scans || node == first) break;
    node = before;
  }
}

function rotateInactive(lru: Lru): void {
  const inactive = head(lru, INACTIVE);
  if (isEmpty(inactive)) return;
  let last = next(lru.rotation);
  if (last == inactive) last = next(last);
  let at = lru.rotation, then = inactive;
  for (let i: u32 = 0; i < lru.scans;) {
    if (at == inactive) {
      at = previous(at);
      continue;
    }
    then = previous(at);
    if (referenced(at)) moveTo(lru, at, ACTIVE);
    if (at == last) break;
    at = then;
    i++;
  }
  lru.rotation = then;
}

function rotate(lru: Lru): void {
  if (lru.inactive < lru.active) rotateActive(lru);
  rotateInactive(lru);
}

function shrinkInactive(map: BpfMap, lru: Lru, wanted: u32, list: u32): u32 {
  const inactive = head(lru, INACTIVE);
  let got: u32 = 0, i: u32 = 0;
  for (let node = previous(inactive); node != inactive;) {
    const before = previous(node);
    if (referenced(node)) moveTo(lru, node, ACTIVE);
    else if (hashEvict(map, node + LRU_NODE)) {
      moveToFree(lru, node, list);
      if (++got == wanted) break;
    }
    if (++i == lru.scans) break;
    node = before;
  }
  return got;
}

/** __bpf_lru_list_shrink: elements that were not used; if there is none, one that was. */
function shrink(map: BpfMap, lru: Lru, wanted: u32, list: u32): void {
  if (shrinkInactive(map, lru, wanted, list) != 0) return;
  const from = head(lru, isEmpty(head(lru, INACTIVE)) ? ACTIVE : INACTIVE);
  for (let node = previous(from); node != from; node = previous(node)) {
    if (!hashEvict(map, node + LRU_NODE)) continue;
    moveToFree(lru, node, list);
    return;
  }
}

/** A node that was never used, as a member of `list`; 0: all were. */
function fresh(map: BpfMap, list: u32): usize {
  const element = elementTake(map, LRU_NODE);
  if (element == 0) return 0;
  const node = element - LRU_NODE;
  store<u8>(node, <u8>list, LIST);
  add(node, head(lruOf(map), list));
  return node;
}

/** bpf_lru_list_pop_free_to_local. */
function fillLocal(map: BpfMap, lru: Lru): void {
  const pending = head(lru, LOCAL_PENDING);
  for (let node = previous(pending); node != pending;) {
    const before = previous(node);
    const list = referenced(node) ? ACTIVE : INACTIVE;
    count(lru, list, 1);
    store<u8>(node, <u8>list, LIST);
    store<u8>(node, 0, REFERENCED);
    remove(node);
    add(node, head(lru, list));
    node = before;
  }
  rotate(lru);
  const free = head(lru, FREE);
  let got: u32 = 0;
  while (got < lru.target && !isEmpty(free)) {
    moveToFree(lru, next(free), LOCAL_FREE);
    got++;
  }
  while (got < lru.target && fresh(map, LOCAL_FREE) != 0) got++;
  if (got < lru.target) shrink(map, lru, lru.target - got, LOCAL_FREE);
}

function localPop(lru: Lru): usize {
  const free = head(lru, LOCAL_FREE);
  if (isEmpty(free)) return 0;
  const node = next(free);
  remove(node);
  return node;
}

/** __local_list_pop_pending: the oldest that was not used, else the oldest. */
function stealPending(map: BpfMap, lru: Lru): usize {
  const pending = head(lru, LOCAL_PENDING);
  for (let force: u32 = 0; force < 2; force++) {
    for (let node = previous(pending); node != pending; node = previous(node)) {
      if ((referenced(node) && force == 0) || !hashEvict(map, node + LRU_NODE)) continue;
      remove(node);
      return node;
    }
  }
  return 0;
}

function commonPop(map: BpfMap): usize {
  const lru = lruOf(map);
  let node = localPop(lru);
  if (node == 0) {
    fillLocal(map, lru);
    node = localPop(lru);
    if (node == 0) node = stealPending(map, lru);
    if (node == 0) return 0;
  }
  store<u8>(node, LOCAL_PENDING, LIST);
  store<u8>(node, 0, REFERENCED);
  add(node, head(lru, LOCAL_PENDING));
  return node;
}

function perCpuPop(map: BpfMap): usize {
  const lru = lruOf(map), free = head(lru, FREE);
  rotate(lru);
  if (isEmpty(free) && fresh(map, FREE) == 0) shrink(map, lru, PERCPU_FREE_TARGET, FREE);
  if (isEmpty(free)) return 0;
  const node = next(free);
  store<u8>(node, 0, REFERENCED);
  moveTo(lru, node, INACTIVE);
  return node;
}
