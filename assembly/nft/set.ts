// Sets and maps, net/netfilter/nft_set_hash.c, nft_set_rbtree.c, nft_set_pipapo.c. Exact keys stand in a hash table; intervals of
// one field in an array sorted by their begin, searched by halves; intervals of concatenations are looked at one by one.
import {
  NFTELEM_CATCHALL, NFTSET_INTERVAL, NFTSET_TIMEOUT, NFT_ELEMENT_HEADER, NFT_SET_HEADER,
} from "../abi/nft";
import { hashWords } from "../mm/hash";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { elementOpsValid, opsStates, opsStatesFree, padded, stateful } from "./ops";

@unmanaged export class NftSet {
  id: u32;
  flags: u32;
  keyBytes: u32; // padded
  dataBytes: u32; // padded
  timeout: u64; // ms
  size: u32;
  fields: u32;
  lengths0: u64; lengths1: u64; // bytes of each field
  buckets: usize; // Element by hash of the key
  mask: u32;
  count: u32;
  sorted: usize; // Element by begin
  sortedMax: u32;
  /** Elements that a transaction under way adds. */
  pending: u32;
  catchall: usize;
  ops: usize; // of every element
  opsBytes: u32;
  dirty: u32;
  orders: u32; // given out so far
}
const SET_BYTES: u32 = <u32>((offsetof<NftSet>() + 7) & ~7);

/** An element: key, end of the key (intervals), data follow. */
@unmanaged export class Element {
  next: usize;
  set: usize;
  bytes: u32; // of the whole allocation
  flags: u32;
  timeout: u64; // ms; 0: none
  expires: u64; // ns of the node's clock; 0: never
  ops: usize; // its stateful operations
  opsBytes: u32;
  order: u32; // of those of its set, the earlier the smaller
}
const ELEMENT_BYTES: u32 = 48;
const FIRST_BUCKETS: u32 = 8;
const NS_PER_MS: u64 = 1_000_000;

@inline export function elementKey(e: Element): usize {
  return changetype<usize>(e) + ELEMENT_BYTES;
}
@inline function elementEnd(set: NftSet, e: Element): usize {
  return elementKey(e) + <usize>set.keyBytes;
}
@inline export function elementData(set: NftSet, e: Element): usize {
  return elementKey(e) + <usize>(set.flags & NFTSET_INTERVAL ? set.keyBytes << 1 : set.keyBytes);
}
@inline function live(e: Element): bool {
  return e.expires == 0 || e.expires > node().now;
}
@inline function isInterval(set: NftSet): bool {
  return (set.flags & NFTSET_INTERVAL) != 0;
}

/** A set by its record; 0: no memory, 1: malformed. */
export function setNew(r: usize, length: u32): usize {
  const key = load<u32>(r, 8), data = load<u32>(r, 12), fields = load<u32>(r, 28), ops = length - NFT_SET_HEADER;
  if (key == 0 || key > 64 || key & 3 || data > 64 || data & 3 || fields == 0 || fields > 16) return 1;
  let sum: u32 = 0;
  for (let i: u32 = 0; i < fields; i++) {
    const bytes = <u32>load<u8>(r + 32 + <usize>i);
    if (bytes == 0) return 1;
    sum += padded(bytes);
  }
  if (sum != key || !elementOpsValid(r + NFT_SET_HEADER, ops)) return 1;
  const at = kmalloc(SET_BYTES);
  if (at == 0) return 0;
  const set = changetype<NftSet>(at);
  set.id = load<u32>(r);
  set.flags = load<u32>(r, 4);
  set.keyBytes = key;
  set.dataBytes = data;
  set.timeout = load<u64>(r, 16);
  set.size = load<u32>(r, 24);
  set.fields = fields;
  set.lengths0 = load<u64>(r, 32);
  set.lengths1 = load<u64>(r, 40);
  set.mask = FIRST_BUCKETS - 1;
  set.buckets = kmalloc((set.mask + 1) << 2);
  if (ops != 0) {
    set.ops = kmalloc(ops);
    if (set.ops != 0) memory.copy(set.ops, r + NFT_SET_HEADER, <usize>ops);
    set.opsBytes = ops;
  }
  if (set.buckets == 0 || (ops != 0 && set.ops == 0)) {
    setFree(at);
    return 0;
  }
  return at;
}

export function setFree(at: usize): void {
  if (at == 0) return;
  const set = changetype<NftSet>(at);
  if (set.buckets != 0) {
    setFlush(set);
    kfree(set.buckets, (set.mask + 1) << 2);
  }
  if (set.sorted != 0) kfree(set.sorted, set.sortedMax << 2);
  if (set.ops != 0) kfree(set.ops, set.opsBytes);
  kfree(at, SET_BYTES);
}

export function setFlush(set: NftSet): void {
  for (let i: u32 = 0; i <= set.mask; i++) {
    const bucket = set.buckets + (<usize>i << 2);
    let e = load<usize>(bucket);
    while (e != 0) {
      const next = changetype<Element>(e).next;
      setElementFree(e);
      e = next;
    }
    store<usize>(bucket, 0);
  }
  if (set.catchall != 0) setElementFree(set.catchall);
  set.catchall = 0;
  set.count = 0;
  set.dirty = 1;
}

/** Puts the operations of the set, or those given, into an element of its own copy. */
function opsCopy(e: Element, ops: usize, bytes: u32): bool {
  if (bytes == 0) return true;
  e.ops = kmalloc(bytes);
  if (e.ops == 0) return false;
  memory.copy(e.ops, ops, <usize>bytes);
  e.opsBytes = bytes;
  return opsStates(e.ops, bytes);
}

/** An element by its record, not yet in the set; 0: no memory, 1: malformed. One to delete is only key and end. */
export function setElementNew(set: NftSet, r: usize, length: u32, remove: bool): usize {
  const catchall = (load<u32>(r, 4) & NFTELEM_CATCHALL) != 0;
  const keys = isInterval(set) ? set.keyBytes << 1 : set.keyBytes;
  const header: u32 = remove ? 8 : NFT_ELEMENT_HEADER, data = remove ? 0 : set.dataBytes;
  const fixed = header + keys + data, own = length - fixed;
  // Operations of its own stand behind the data.
  if (length < fixed || (own != 0 && (remove || !elementOpsValid(r + <usize>fixed, own)))) return 1;
  const at = alloc(set, set.dataBytes);
  if (at == 0) return 0;
  const e = changetype<Element>(at);
  e.flags = catchall ? NFTELEM_CATCHALL : 0;
  memory.copy(elementKey(e), r + <usize>header, <usize>(keys + data));
  if (remove) return at;
  let timeout = load<u64>(r, 8), expires = load<u64>(r, 16);
  if (timeout == 0 && set.flags & NFTSET_TIMEOUT) timeout = set.timeout;
  e.timeout = min<u64>(timeout, 1 << 40);
  if (e.timeout != 0) e.expires = node().now + (expires != 0 ? min<u64>(expires, 1 << 40) : e.timeout) * NS_PER_MS;
  if (!opsCopy(e, own != 0 ? r + <usize>fixed : set.ops, own != 0 ? own : set.opsBytes)) {
    setElementFree(at);
    return 0;
  }
  set.pending++;
  return at;
}

function alloc(set: NftSet, data: u32): usize {
  const bytes = ELEMENT_BYTES + (isInterval(set) ? set.keyBytes << 1 : set.keyBytes) + data;
  const at = kmalloc(bytes);
  if (at == 0) return 0;
  const e = changetype<Element>(at);
  e.bytes = bytes;
  e.set = changetype<usize>(set);
  return at;
}

export function setElementFree(at: usize): void {
  const e = changetype<Element>(at);
  if (e.ops != 0) {
    opsStatesFree(e.ops, e.opsBytes);
    kfree(e.ops, e.opsBytes);
  }
  kfree(at, e.bytes);
}

/** Makes room in the sorted array for all elements a transaction adds. False: no memory. */
export function setIntervalsRoom(set: NftSet): bool {
  if (!isInterval(set) || set.fields != 1) return true;
  const need = set.count + set.pending;
  if (need <= set.sortedMax) return true;
  const room = need + (need >>> 1) + 8, at = kmalloc(room << 2);
  if (at == 0) return false;
  if (set.sorted != 0) {
    memory.copy(at, set.sorted, <usize>set.sortedMax << 2);
    kfree(set.sorted, set.sortedMax << 2);
  }
  set.sorted = at;
  set.sortedMax = room;
  return true;
}

@inline function bucketOf(set: NftSet, key: usize): usize {
  return set.buckets + (<usize>(hashWords(key, set.keyBytes >>> 2, 0x6e667461) & set.mask) << 2);
}

/** The element with exactly this key (and end), timed out or not; 0: none. */
function exact(set: NftSet, key: usize): usize {
  const bytes = <usize>(isInterval(set) ? set.keyBytes << 1 : set.keyBytes);
  let e = load<usize>(bucketOf(set, key));
  while (e != 0 && memory.compare(elementKey(changetype<Element>(e)), key, bytes) != 0) e = changetype<Element>(e).next;
  return e;
}

/** A prepared element enters its set; if one with its key is there, that one gets the new time and data. */
export function setApply(at: usize): void {
  const e = changetype<Element>(at), set = changetype<NftSet>(e.set);
  if (set.pending != 0) set.pending--;
  if (e.flags & NFTELEM_CATCHALL) {
    if (set.catchall != 0) setElementFree(set.catchall);
    set.catchall = at;
    return;
  }
  const there = exact(set, elementKey(e));
  if (there != 0) {
    const old = changetype<Element>(there);
    if (live(old)) {
      memory.copy(elementData(set, old), elementData(set, e), <usize>set.dataBytes);
      old.timeout = e.timeout;
      old.expires = e.expires;
      setElementFree(at);
      return;
    }
    unlink(set, there);
  }
  link(set, at);
}

export function setApplyDelete(at: usize): void {
  const e = changetype<Element>(at), set = changetype<NftSet>(e.set);
  if (e.flags & NFTELEM_CATCHALL) {
    if (set.catchall != 0) setElementFree(set.catchall);
    set.catchall = 0;
  } else {
    const there = exact(set, elementKey(e));
    if (there != 0) unlink(set, there);
  }
  setElementFree(at);
}

function link(set: NftSet, at: usize): void {
  const e = changetype<Element>(at), bucket = bucketOf(set, elementKey(e));
  e.order = set.orders++;
  e.next = load<usize>(bucket);
  store<usize>(bucket, at);
  set.count++;
  set.dirty = 1;
  if (set.count > set.mask + 1) grow(set);
}

function unlink(set: NftSet, at: usize): void {
  let from = bucketOf(set, elementKey(changetype<Element>(at)));
  while (load<usize>(from) != 0 && load<usize>(from) != at) from = load<usize>(from);
  if (load<usize>(from) == 0) return;
  store<usize>(from, changetype<Element>(at).next);
  set.count--;
  set.dirty = 1;
  setElementFree(at);
}

/** Doubles the buckets; without memory the chains just get longer. */
function grow(set: NftSet): void {
  const old = set.mask + 1, buckets = kmalloc(old << 3), before = set.buckets;
  if (buckets == 0) return;
  set.buckets = buckets;
  set.mask = (old << 1) - 1;
  for (let i: u32 = 0; i < old; i++) {
    let e = load<usize>(before + (<usize>i << 2));
    while (e != 0) {
      const next = changetype<Element>(e).next, bucket = bucketOf(set, elementKey(changetype<Element>(e)));
      changetype<Element>(e).next = load<usize>(bucket);
      store<usize>(bucket, e);
      e = next;
    }
  }
  kfree(before, old << 2);
}

/** Sorts the intervals by their begin: a heap in the array itself. */
function sortIntervals(set: NftSet): void {
  set.dirty = 0;
  let n: u32 = 0;
  for (let i: u32 = 0; i <= set.mask; i++) {
    for (let e = load<usize>(set.buckets + (<usize>i << 2)); e != 0 && n < set.sortedMax; e = changetype<Element>(e).next) {
      store<usize>(set.sorted + (<usize>(n++) << 2), e);
    }
  }
  for (let i = n >>> 1; i > 0; i--) sift(set, i - 1, n);
  for (let end = n; end > 1; end--) {
    const last = set.sorted + (<usize>(end - 1) << 2), first = load<usize>(set.sorted);
    store<usize>(set.sorted, load<usize>(last));
    store<usize>(last, first);
    sift(set, 0, end - 1);
  }
}

@inline function sortedKey(set: NftSet, i: u32): usize {
  return elementKey(changetype<Element>(load<usize>(set.sorted + (<usize>i << 2))));
}

function sift(set: NftSet, from: u32, n: u32): void {
  let i = from;
  while (true) {
    let child = (i << 1) + 1;
    if (child >= n) return;
    const bytes = <usize>set.keyBytes;
    if (child + 1 < n && memory.compare(sortedKey(set, child), sortedKey(set, child + 1), bytes) < 0) child++;
    if (memory.compare(sortedKey(set, i), sortedKey(set, child), bytes) >= 0) return;
    const a = set.sorted + (<usize>i << 2), b = set.sorted + (<usize>child << 2), kept = load<usize>(a);
    store<usize>(a, load<usize>(b));
    store<usize>(b, kept);
    i = child;
  }
}

/** The live element that `key` belongs to, or null (0). */
export function setLookup(set: NftSet, key: usize): Element {
  let e: usize = 0;
  if (!isInterval(set)) {
    e = exact(set, key);
    if (e != 0 && !live(changetype<Element>(e))) e = 0;
  } else if (set.fields != 1) {
    // Of several the one that came first (nft_pipapo_lookup).
    for (let i: u32 = 0; i <= set.mask; i++) {
      for (let at = load<usize>(set.buckets + (<usize>i << 2)); at != 0; at = changetype<Element>(at).next) {
        if (e != 0 && changetype<Element>(e).order < changetype<Element>(at).order) continue;
        if (live(changetype<Element>(at)) && inFields(set, changetype<Element>(at), key)) e = at;
      }
    }
  } else {
    if (set.dirty) sortIntervals(set);
    // The last interval that begins at the key or before it: they do not overlap.
    let lo: u32 = 0, hi = set.count;
    while (lo < hi) {
      const middle = (lo + hi) >>> 1;
      if (memory.compare(sortedKey(set, middle), key, <usize>set.keyBytes) <= 0) lo = middle + 1;
      else hi = middle;
    }
    if (lo != 0) {
      e = load<usize>(set.sorted + (<usize>(lo - 1) << 2));
      const found = changetype<Element>(e);
      if (memory.compare(elementEnd(set, found), key, <usize>set.keyBytes) < 0 || !live(found)) e = 0;
    }
  }
  if (e == 0 && set.catchall != 0 && live(changetype<Element>(set.catchall))) e = set.catchall;
  return changetype<Element>(e);
}

function inFields(set: NftSet, e: Element, key: usize): bool {
  const from = elementKey(e), to = elementEnd(set, e);
  let at: usize = 0;
  for (let i: u32 = 0; i < set.fields; i++) {
    const bytes = <usize>padded(<u32>load<u8>(changetype<usize>(set) + offsetof<NftSet>("lengths0") + <usize>i));
    if (memory.compare(from + at, key + at, bytes) > 0 || memory.compare(to + at, key + at, bytes) < 0) return false;
    at += bytes;
  }
  return true;
}

/** An element that a packet adds (nft_rhash_update): the one with its key, or a new one; null (0): the set is full. */
export function setUpdate(set: NftSet, key: usize, data: usize, timeout: u64, ops: usize, opsBytes: u32): Element {
  if (isInterval(set)) return changetype<Element>(0);
  const there = exact(set, key);
  if (there != 0) {
    if (live(changetype<Element>(there))) return changetype<Element>(there);
    unlink(set, there);
  }
  if (set.size != 0 && set.count >= set.size) return changetype<Element>(0);
  const at = alloc(set, set.dataBytes);
  if (at == 0) return changetype<Element>(0);
  const e = changetype<Element>(at);
  memory.copy(elementKey(e), key, <usize>set.keyBytes);
  if (data != 0) memory.copy(elementData(set, e), data, <usize>set.dataBytes);
  e.timeout = timeout;
  if (timeout != 0) e.expires = node().now + timeout * NS_PER_MS;
  if (!opsCopy(e, opsBytes != 0 ? ops : set.ops, opsBytes != 0 ? opsBytes : set.opsBytes)) {
    setElementFree(at);
    return changetype<Element>(0);
  }
  link(set, at);
  return e;
}

export function setDelete(set: NftSet, key: usize): bool {
  const there = isInterval(set) ? <usize>0 : exact(set, key);
  if (there == 0 || !live(changetype<Element>(there))) return false;
  unlink(set, there);
  return true;
}

/** Restarts an element's time. */
export function elementRefresh(e: Element, timeout: u64): void {
  e.timeout = timeout;
  e.expires = node().now + timeout * NS_PER_MS;
}

/** Takes out what has timed out; may any element of the set ever? */
export function setSweep(set: NftSet): bool {
  if (!(set.flags & NFTSET_TIMEOUT)) return false;
  for (let i: u32 = 0; i <= set.mask; i++) {
    let e = load<usize>(set.buckets + (<usize>i << 2));
    while (e != 0) {
      const next = changetype<Element>(e).next;
      if (!live(changetype<Element>(e))) unlink(set, e);
      e = next;
    }
  }
  return set.count != 0;
}

/** Room for an element's operations, each with its state of 16 bytes behind it. */
function statesBytes(e: Element): u32 {
  let n: u32 = 0;
  for (let at: u32 = 0; at < e.opsBytes; at += <u32>load<u16>(e.ops + <usize>at, 2)) n++;
  return e.opsBytes + (n << 4);
}

function listStates(e: Element, out: usize): void {
  let to = out;
  for (let at: u32 = 0; at < e.opsBytes;) {
    const op = e.ops + <usize>at, length = <u32>load<u16>(op, 2), state = <usize>load<u32>(op, 4);
    const kept = state != 0 && stateful(<u32>load<u8>(op));
    memory.copy(to, op, <usize>length);
    store<u32>(to, 0, 4);
    store<u64>(to + <usize>length, kept ? load<u64>(state) : 0);
    store<u64>(to + <usize>length, kept ? load<u64>(state, 8) : 0, 8);
    to += <usize>(length + 16);
    at += length;
  }
}

/** Writes live elements from bucket `cursor` on; see NF_NFT_SET. */
export function setList(set: NftSet, cursor: u32, to: usize, room: u32): u32 {
  const keys = isInterval(set) ? set.keyBytes << 1 : set.keyBytes, fixed = NFT_ELEMENT_HEADER + keys + set.dataBytes;
  let bytes: u32 = 8, entries: u32 = 0, bucket = cursor;
  const now = node().now;
  while (bucket <= set.mask) {
    let need: u32 = 0;
    for (let e = load<usize>(set.buckets + (<usize>bucket << 2)); e != 0; e = changetype<Element>(e).next) {
      need += fixed + statesBytes(changetype<Element>(e));
    }
    if (bytes + need > room) {
      if (entries == 0) { bucket++; continue; } // more than an answer holds: passed over
      break;
    }
    for (let at = load<usize>(set.buckets + (<usize>bucket << 2)); at != 0; at = changetype<Element>(at).next) {
      const e = changetype<Element>(at);
      if (!live(e)) continue;
      const record = to + <usize>bytes;
      store<u32>(record, set.id);
      const states = statesBytes(e);
      store<u32>(record, e.flags | states << 8, 4);
      store<u64>(record, e.timeout, 8);
      store<u64>(record, e.expires == 0 ? 0 : (e.expires - now) / NS_PER_MS, 16);
      memory.copy(record + NFT_ELEMENT_HEADER, elementKey(e), <usize>(keys + set.dataBytes));
      bytes += fixed;
      listStates(e, to + <usize>bytes);
      bytes += states;
      entries++;
    }
    bucket++;
  }
  store<u32>(to, bucket <= set.mask ? bucket : 0);
  store<u32>(to, entries, 4);
  return bytes;
}
