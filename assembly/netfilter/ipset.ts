// IP sets, net/netfilter/ipset/: one store for all types. An element is a key of 32 bytes (abi/ipset.ts) in a hash; a look-up of a
// type with networks tries the prefix lengths that are in use, longest first. Elements are listed in the order in which they came.
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM } from "../abi/core";
import {
  IPSETE_BYTE_COUNT, IPSETE_BYTES, IPSETE_CIDR, IPSETE_CIDR2, IPSETE_FLAGS, IPSETE_ID, IPSETE_IP, IPSETE_IP2, IPSETE_KEY_BYTES,
  IPSETE_MARK, IPSETE_MARKMASK, IPSETE_MEMBER, IPSETE_NAME, IPSETE_PACKETS, IPSETE_PORT, IPSETE_PRIO,
  IPSETE_QUEUE, IPSETE_TIMEOUT, IPSETH_BYTES, IPSETH_ELEMENTS, IPSETH_REFERENCES, IPSETO_FORCEADD,
  IPSETE_IP26, IPSETE_IP6, IPSETO_INET6, IPSETO_TIMEOUT, IPSET_CMD_DESTROY, IPSET_CMD_FLUSH, IPSET_CMD_RENAME, IPSET_ERR_CIDR, IPSET_ERR_EXIST, IPSET_ERR_EXIST_SETNAME2, IPSET_ERR_FULL,
  IPSET_ERR_LOOP, IPSET_ERR_NAME, IPSET_ERR_NAMEREF, IPSET_ERR_NULL, IPSET_ERR_RANGE, IPSET_ERR_REFERENCED, IPSET_ERR_TYPE_MISMATCH,
  IPSET_EXIST, IPSET_NOMATCH, IPSET_OP_ADD, IPSET_OP_DEL, KIND_BITMAP, KIND_IFACE, KIND_IP, KIND_IP2, KIND_LIST, KIND_MAC, KIND_NET,
  KIND_NET2, KIND_PORT,
} from "../abi/ipset";
import { hashWords } from "../mm/hash";
import { node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { FULL } from "../features";
import { address6, address6Known, bytes6, hold6, release6 } from "./address6";
import { NfNet } from "./state";

export const SET_NAME: u32 = 32;
const FIRST_BUCKETS: u32 = 64;
const KEY: usize = 16;
const NS: u64 = 1_000_000_000;
const KIND_SECOND: u32 = KIND_IP2 | KIND_NET2;
const FOR_EVER: u32 = 0xffffffff;

@unmanaged export class IpSet {
  next: usize;
  refs: u32;
  name0: u64; name1: u64; name2: u64; name3: u64;
  // What a swap exchanges begins here: the fields of IPSETH_*, then the elements.
  kind: u32;
  options: u32;
  timeout: u32;
  maxelem: u32;
  first: u32; last: u32;
  mask: u32;
  type: u32;
  elements: u32;
  nextId: u32;
  buckets: usize; bucketMask: u32;
  head: usize; tail: usize; // elements as they came
  sweep: usize; // where the search for what is over goes on
  lengths0: u32; lengths1: u32; lengths2: u32; lengths3: u32; // bit by prefix length in use, address; second address
  long0: u64; long1: u64; long2: u64; long3: u64; // the same of IPv6, without the length 0: bit by length less one
}
const SET_BYTES: u32 = <u32>offsetof<IpSet>();
const SWAP_AT: usize = offsetof<IpSet>("kind");

/** {chain, previous, following, 0, key}, then the element's other fields as abi/ipset.ts has them. */
@unmanaged export class Element {
  chain: usize;
  before: usize;
  after: usize;
  /** list:set: the member. */
  member: usize;
  key0: u64; key1: u64; key2: u64; key3: u64;
  id: u32;
  flags: u32;
  expires: u64; // ns, 0: never
  packets: u64;
  bytes: u64;
  mark: u32; markMask: u32; prio: u32; queue: u32;
}
const ELEMENT_BYTES: u32 = <u32>offsetof<Element>();

export function ipsetFind(nf: NfNet, name: usize): usize {
  let at = nf.sets;
  while (at != 0 && memory.compare(at + offsetof<IpSet>("name0"), name, SET_NAME) != 0) at = load<usize>(at);
  return at;
}

/** `fields`: IPSETH_*. */
export function ipsetNew(nf: NfNet, name: usize, fields: usize): i32 {
  if (ipsetFind(nf, name) != 0) return -EEXIST;
  const at = kmalloc(SET_BYTES), buckets = kmalloc(FIRST_BUCKETS << 2);
  if (at == 0 || buckets == 0) {
    if (at != 0) kfree(at, SET_BYTES);
    if (buckets != 0) kfree(buckets, FIRST_BUCKETS << 2);
    return -ENOMEM;
  }
  const set = changetype<IpSet>(at);
  memory.copy(at + SWAP_AT, fields, 32);
  set.buckets = buckets;
  set.bucketMask = FIRST_BUCKETS - 1;
  memory.copy(at + offsetof<IpSet>("name0"), name, SET_NAME);
  // In the order in which they were made.
  let link = changetype<usize>(nf) + offsetof<NfNet>("sets");
  while (load<usize>(link) != 0) link = load<usize>(link);
  store<usize>(link, at);
  return 0;
}

/** NF_IPSET_COMMAND. */
export function ipsetCommand(nf: NfNet, command: u32, name: usize, other: usize): i32 {
  if (load<u8>(name) == 0) {
    if (command == IPSET_CMD_DESTROY) {
      for (let at = nf.sets; at != 0; at = load<usize>(at)) if (changetype<IpSet>(at).refs != 0) return -EBUSY;
      ipsetExit(nf);
    } else {
      for (let at = nf.sets; at != 0; at = load<usize>(at)) flush(changetype<IpSet>(at));
    }
    return 0;
  }
  const at = ipsetFind(nf, name);
  if (at == 0) return -ENOENT;
  const set = changetype<IpSet>(at);
  if (command == IPSET_CMD_FLUSH) {
    flush(set);
    return 0;
  }
  if (command == IPSET_CMD_DESTROY) {
    if (set.refs != 0) return -EBUSY;
    unlinkSet(nf, at);
    freeSet(set);
    return 0;
  }
  const second = ipsetFind(nf, other);
  if (command == IPSET_CMD_RENAME) {
    if (set.refs != 0) return -IPSET_ERR_REFERENCED;
    if (second != 0) return -IPSET_ERR_EXIST_SETNAME2;
    memory.copy(at + offsetof<IpSet>("name0"), other, SET_NAME);
    return 0;
  }
  if (second == 0) return -IPSET_ERR_EXIST_SETNAME2;
  if (set.type != changetype<IpSet>(second).type || isSix(set) != isSix(changetype<IpSet>(second))) return -IPSET_ERR_TYPE_MISMATCH;
  const bytes = <usize>SET_BYTES - SWAP_AT;
  const copy = kmalloc(<u32>bytes);
  if (copy == 0) return -ENOMEM;
  memory.copy(copy, at + SWAP_AT, bytes);
  memory.copy(at + SWAP_AT, second + SWAP_AT, bytes);
  memory.copy(second + SWAP_AT, copy, bytes);
  kfree(copy, <u32>bytes);
  return 0;
}

function unlinkSet(nf: NfNet, at: usize): void {
  let link = changetype<usize>(nf) + offsetof<NfNet>("sets");
  while (load<usize>(link) != at) link = load<usize>(link);
  store<usize>(link, load<usize>(at));
}

function freeSet(set: IpSet): void {
  flush(set);
  kfree(set.buckets, (set.bucketMask + 1) << 2);
  kfree(changetype<usize>(set), SET_BYTES);
}

/** All sets of a namespace that ends, or that `ipset destroy` names. */
export function ipsetExit(nf: NfNet): void {
  // Lists first: they point at the others.
  for (let at = nf.sets; at != 0; at = load<usize>(at)) if (changetype<IpSet>(at).kind & KIND_LIST) flush(changetype<IpSet>(at));
  let at = nf.sets;
  nf.sets = 0;
  while (at != 0) {
    const next = load<usize>(at);
    freeSet(changetype<IpSet>(at));
    at = next;
  }
}

function flush(set: IpSet): void {
  while (set.head != 0) remove(set, changetype<Element>(set.head));
  memory.fill(changetype<usize>(set) + offsetof<IpSet>("lengths0"), 0, 48);
}

@inline function bucketOf(set: IpSet, key: usize): usize {
  // Of a set with interfaces a network's elements stand in one chain.
  return set.buckets + (<usize>(hashWords(key, set.kind & KIND_IFACE ? 3 : IPSETE_KEY_BYTES >>> 2, 0) & set.bucketMask) << 2);
}

function over(e: Element): bool {
  return e.expires != 0 && e.expires <= node().now;
}

function remove(set: IpSet, e: Element): void {
  const at = changetype<usize>(e);
  if (e.member != 0) changetype<IpSet>(e.member).refs--;
  else {
    let link = bucketOf(set, at + KEY);
    while (load<usize>(link) != at) link = load<usize>(link);
    store<usize>(link, e.chain);
  }
  if (set.sweep == at) set.sweep = e.after;
  if (e.before != 0) changetype<Element>(e.before).after = e.after;
  else set.head = e.after;
  if (e.after != 0) changetype<Element>(e.after).before = e.before;
  else set.tail = e.before;
  set.elements--;
  if (isSix(set)) {
    release6(load<u32>(at + KEY, IPSETE_IP));
    if (set.kind & KIND_SECOND) release6(load<u32>(at + KEY, IPSETE_IP2));
  }
  kfree(at, ELEMENT_BYTES);
}

/** The element of exactly this key, or 0. */
function exact(set: IpSet, key: usize): usize {
  let at = load<usize>(bucketOf(set, key));
  while (at != 0) {
    const e = changetype<Element>(at);
    if (memory.compare(at + KEY, key, IPSETE_KEY_BYTES) == 0) {
      if (!over(e)) return at;
      remove(set, e);
      return 0;
    }
    at = e.chain;
  }
  return 0;
}

@inline export function prefixMask(length: u32): u32 {
  return length == 0 ? 0 : bswap<u32>(0xffffffff << (32 - length));
}

/** Are addresses numbers (address6.ts)? */
@inline export function isSix(set: IpSet): bool {
  return FULL && (set.options & IPSETO_INET6) != 0;
}

/** The length of a whole address. */
@inline export function hostBits(set: IpSet): u32 {
  return isSix(set) ? 128 : 32;
}

@inline function highMask(length: u32): u64 {
  return length == 0 ? 0 : length >= 64 ? ~<u64>0 : bswap<u64>(~<u64>0 << (64 - length));
}

/** The number of the network in which an address is; with `make` it is made if there is none. */
export function network6(number: u32, length: u32, make: bool): u32 {
  if (length >= 128 || number == 0) return number;
  const at = bytes6(number), hi = load<u64>(at) & highMask(length), lo = length <= 64 ? 0 : load<u64>(at, 8) & highMask(length - 64);
  return make ? address6(hi, lo) : address6Known(hi, lo);
}

/** An address of IPv6 in a key: a number, 0 if there is no such one and none is to be made. */
export function keyAddress6(from: usize, make: bool): u32 {
  const hi = load<u64>(from), lo = load<u64>(from, 8);
  return make ? address6(hi, lo) : address6Known(hi, lo);
}

/** lengths: bits 0 to 32 of 64. */
@inline function lengthUsed(set: IpSet, second: bool, length: u32): bool {
  if (isSix(set)) {
    if (length == 0) return ((second ? set.lengths2 : set.lengths0) & 1) != 0;
    const low = second ? set.long2 : set.long0, high = second ? set.long3 : set.long1;
    return (((length > 64 ? high : low) >>> <u64>((length - 1) & 63)) & 1) != 0;
  }
  const low = second ? set.lengths2 : set.lengths0, high = second ? set.lengths3 : set.lengths1;
  return length == 32 ? high != 0 : ((low >>> length) & 1) != 0;
}

/** The most specific element that holds the key, whose addresses are whole; 0: none. The key is changed. */
export function ipsetLookup(set: IpSet, key: usize): usize {
  if (!(set.kind & (KIND_NET | KIND_NET2))) return exact(set, key);
  const first = load<u32>(key, IPSETE_IP), second = load<u32>(key, IPSETE_IP2);
  const isNet = (set.kind & KIND_NET) != 0, isNet2 = (set.kind & KIND_NET2) != 0;
  const six = isSix(set), whole = <i32>hostBits(set);
  for (let a = whole; a >= 0; a--) {
    if (isNet) {
      if (!lengthUsed(set, false, <u32>a)) continue;
      store<u32>(key, six ? network6(first, <u32>a, false) : first & prefixMask(<u32>a), IPSETE_IP);
      store<u8>(key, <u8>a, IPSETE_CIDR);
      if (six && load<u32>(key, IPSETE_IP) == 0) continue;
    } else if (a != whole) break;
    for (let b = whole; b >= 0; b--) {
      if (isNet2) {
        if (!lengthUsed(set, true, <u32>b)) continue;
        store<u32>(key, six ? network6(second, <u32>b, false) : second & prefixMask(<u32>b), IPSETE_IP2);
        store<u8>(key, <u8>b, IPSETE_CIDR2);
      } else if (b != whole) break;
      const found = exact(set, key);
      if (found != 0) return found;
      // The same network with another interface: no wider one is asked (IP_SET_HASH_WITH_MULTI).
      if (set.kind & KIND_IFACE && sameNetwork(set, key)) return 0;
    }
  }
  return 0;
}

function sameNetwork(set: IpSet, key: usize): bool {
  for (let at = load<usize>(bucketOf(set, key)); at != 0; at = changetype<Element>(at).chain) {
    if (memory.compare(at + KEY, key, 12) == 0 && !over(changetype<Element>(at))) return true;
  }
  return false;
}

function grow(set: IpSet): void {
  const bytes = (set.bucketMask + 1) << 3, buckets = kmalloc(bytes);
  if (buckets == 0) return;
  kfree(set.buckets, bytes >>> 1);
  set.buckets = buckets;
  set.bucketMask = (bytes >>> 2) - 1;
  for (let at = set.head; at != 0; at = changetype<Element>(at).after) {
    const bucket = bucketOf(set, at + KEY);
    changetype<Element>(at).chain = load<usize>(bucket);
    store<usize>(bucket, at);
  }
}

/** The longest prefix in use, as -j SET adds networks; 32 where there is none. */
export function ipsetLongest(set: IpSet, second: bool): u32 {
  for (let a = <i32>hostBits(set); a >= 0; a--) if (lengthUsed(set, second, <u32>a)) return <u32>a;
  return hostBits(set);
}

/** Looks at a few elements each time, so that what is over does not pile up. */
function sweep(set: IpSet): void {
  for (let i = 0; i < 2; i++) {
    if (set.sweep == 0) set.sweep = set.head;
    const at = set.sweep;
    if (at == 0) return;
    set.sweep = changetype<Element>(at).after;
    if (over(changetype<Element>(at))) remove(set, changetype<Element>(at));
  }
}

/** Adds the element at `from` (IPSETE_*); its id or -IPSET_ERR_*. */
export function ipsetAdd(set: IpSet, from: usize, exist: bool): i32 {
  if (set.kind & KIND_BITMAP) {
    const value = set.kind & KIND_PORT ? <u32>load<u16>(from, IPSETE_PORT) : bswap<u32>(load<u32>(from, IPSETE_IP));
    if (value < set.first || value > set.last) return -IPSET_ERR_RANGE;
  } else {
    if (set.kind & KIND_NET && load<u8>(from, IPSETE_CIDR) == 0 && !(set.kind & (KIND_IFACE | KIND_NET2))) return -IPSET_ERR_CIDR;
    if (set.kind & KIND_IP && !(set.kind & KIND_NET) && isNull(set, load<u32>(from, IPSETE_IP))) return -IPSET_ERR_NULL;
    if (set.kind == KIND_MAC && load<u64>(from, IPSETE_NAME) == 0) return -IPSET_ERR_NULL;
  }
  let at = exact(set, from);
  const known = at != 0;
  if (known && !exist) return -IPSET_ERR_EXIST;
  if (!known) {
    sweep(set);
    if (!(set.kind & KIND_BITMAP) && set.elements >= set.maxelem) {
      if (!(set.options & IPSETO_FORCEADD) || set.head == 0) return -IPSET_ERR_FULL;
      let gone = set.head;
      for (let i = randomBelow(set.elements); i > 0; i--) gone = changetype<Element>(gone).after;
      remove(set, changetype<Element>(gone));
    }
    at = kmalloc(ELEMENT_BYTES);
    if (at == 0) return -ENOMEM;
    memory.copy(at + KEY, from, IPSETE_KEY_BYTES);
    if (isSix(set)) {
      hold6(load<u32>(from, IPSETE_IP));
      if (set.kind & KIND_SECOND) hold6(load<u32>(from, IPSETE_IP2));
    }
    append(set, at);
    const bucket = bucketOf(set, from);
    changetype<Element>(at).chain = load<usize>(bucket);
    store<usize>(bucket, at);
    if (set.elements > set.bucketMask << 1) grow(set);
    use(set, from);
  }
  return settle(set, changetype<Element>(at), from);
}

function isNull(set: IpSet, address: u32): bool {
  return address == 0 || (isSix(set) && (load<u64>(bytes6(address)) | load<u64>(bytes6(address), 8)) == 0);
}

function use(set: IpSet, key: usize): void {
  const a = <u32>load<u8>(key, IPSETE_CIDR), b = <u32>load<u8>(key, IPSETE_CIDR2);
  if (isSix(set)) {
    if (set.kind & KIND_NET) {
      if (a == 0) set.lengths0 = 1;
      else if (a > 64) set.long1 |= <u64>1 << <u64>(a - 65);
      else set.long0 |= <u64>1 << <u64>(a - 1);
    }
    if (set.kind & KIND_NET2) {
      if (b == 0) set.lengths2 = 1;
      else if (b > 64) set.long3 |= <u64>1 << <u64>(b - 65);
      else set.long2 |= <u64>1 << <u64>(b - 1);
    }
    return;
  }
  if (set.kind & KIND_NET) {
    if (a == 32) set.lengths1 = 1;
    else set.lengths0 |= 1 << a;
  }
  if (set.kind & KIND_NET2) {
    if (b == 32) set.lengths3 = 1;
    else set.lengths2 |= 1 << b;
  }
}

function append(set: IpSet, at: usize): void {
  const e = changetype<Element>(at);
  e.id = ++set.nextId;
  e.before = set.tail;
  if (set.tail != 0) changetype<Element>(set.tail).after = at;
  else set.head = at;
  set.tail = at;
  set.elements++;
}

/** What stands beside the key. */
function settle(set: IpSet, e: Element, from: usize): i32 {
  e.flags = load<u32>(from, IPSETE_FLAGS);
  if (set.options & IPSETO_TIMEOUT) {
    const given = load<u32>(from, IPSETE_TIMEOUT);
    const seconds = given == FOR_EVER ? set.timeout : given;
    e.expires = seconds == 0 ? 0 : node().now + <u64>seconds * NS;
  }
  e.packets = load<u64>(from, IPSETE_PACKETS);
  e.bytes = load<u64>(from, IPSETE_BYTE_COUNT);
  e.mark = load<u32>(from, IPSETE_MARK);
  e.markMask = load<u32>(from, IPSETE_MARKMASK);
  e.prio = load<u32>(from, IPSETE_PRIO);
  e.queue = load<u32>(from, IPSETE_QUEUE);
  e.id = ++set.nextId;
  return <i32>e.id;
}

export function ipsetDel(set: IpSet, key: usize): i32 {
  if (set.kind & KIND_BITMAP) {
    const value = set.kind & KIND_PORT ? <u32>load<u16>(key, IPSETE_PORT) : bswap<u32>(load<u32>(key, IPSETE_IP));
    if (value < set.first || value > set.last) return -IPSET_ERR_RANGE;
  }
  const at = exact(set, key);
  if (at == 0) return -IPSET_ERR_EXIST;
  remove(set, changetype<Element>(at));
  return 0;
}

/** NF_IPSET_ELEMENT: `names`: {32 bytes member, 32 bytes reference, u32 where}. */
export function ipsetElement(nf: NfNet, name: usize, operation: u32, flags: u32, element: usize, names: usize): i32 {
  const at = ipsetFind(nf, name);
  if (at == 0) return -ENOENT;
  const set = changetype<IpSet>(at), exist = (flags & IPSET_EXIST) != 0;
  if (set.kind & KIND_LIST) return listElement(nf, set, operation, exist, element, names);
  const host = hostBits(set);
  if (<u32>load<u8>(element, IPSETE_CIDR) > host || <u32>load<u8>(element, IPSETE_CIDR2) > host) return -EINVAL;
  if (isSix(set)) {
    // To find a network that there is, the address itself need not be one that is known.
    const first = keyAddress6(element + IPSETE_IP6, true);
    if (first == 0) return -ENOMEM;
    store<u32>(element, first, IPSETE_IP);
    if (set.kind & KIND_SECOND) {
      const second = keyAddress6(element + IPSETE_IP26, true);
      if (second == 0) return -ENOMEM;
      store<u32>(element, second, IPSETE_IP2);
    }
  }
  if (operation == IPSET_OP_ADD) return ipsetAdd(set, element, exist);
  if (operation == IPSET_OP_DEL) {
    const result = ipsetDel(set, element);
    return result == -IPSET_ERR_EXIST && exist ? 0 : result;
  }
  // A network is looked for as it is, an address in any network.
  const whole = (!(set.kind & KIND_NET) || load<u8>(element, IPSETE_CIDR) == host)
    && (!(set.kind & KIND_NET2) || load<u8>(element, IPSETE_CIDR2) == host);
  const found = whole ? ipsetLookup(set, element) : exact(set, element);
  return found == 0 ? 0 : changetype<Element>(found).flags & IPSET_NOMATCH ? 2 : 1;
}

function listElement(nf: NfNet, list: IpSet, operation: u32, exist: bool, element: usize, names: usize): i32 {
  const member = ipsetFind(nf, names);
  if (member == 0) return -IPSET_ERR_NAME;
  if (changetype<IpSet>(member).kind & KIND_LIST) return -IPSET_ERR_LOOP;
  const where = load<u32>(names, 64);
  let reference: usize = 0;
  if (where != 0) {
    const other = ipsetFind(nf, names + 32);
    if (other == 0) return -IPSET_ERR_NAMEREF;
    reference = memberOf(list, other);
    if (reference == 0) return operation == IPSET_OP_ADD ? -IPSET_ERR_NAMEREF : -IPSET_ERR_EXIST;
  }
  let at = memberOf(list, member);
  if (operation == IPSET_OP_DEL) {
    if (at == 0) return exist ? 0 : -IPSET_ERR_EXIST;
    remove(list, changetype<Element>(at));
    return 0;
  }
  if (operation != IPSET_OP_ADD) return at == 0 ? 0 : 1;
  if (at != 0) return exist ? settle(list, changetype<Element>(at), element) : -IPSET_ERR_EXIST;
  if (list.elements >= list.maxelem) return -IPSET_ERR_FULL;
  at = kmalloc(ELEMENT_BYTES);
  if (at == 0) return -ENOMEM;
  const e = changetype<Element>(at);
  e.member = member;
  changetype<IpSet>(member).refs++;
  if (reference == 0) append(list, at);
  else {
    const r = changetype<Element>(reference);
    list.elements++;
    if (where == 1) {
      e.before = r.before;
      e.after = reference;
      if (r.before != 0) changetype<Element>(r.before).after = at;
      else list.head = at;
      r.before = at;
    } else {
      e.after = r.after;
      e.before = reference;
      if (r.after != 0) changetype<Element>(r.after).before = at;
      else list.tail = at;
      r.after = at;
    }
  }
  return settle(list, e, element);
}

function memberOf(list: IpSet, member: usize): usize {
  let at = list.head;
  while (at != 0) {
    const e = changetype<Element>(at);
    const next = e.after;
    if (over(e)) remove(list, e);
    else if (e.member == member) return at;
    at = next;
  }
  return 0;
}

/** Number of elements, or -ENOENT. */
export function ipsetTest(nf: NfNet, name: usize): i32 {
  const at = ipsetFind(nf, name);
  return at == 0 ? -ENOENT : <i32>changetype<IpSet>(at).elements;
}

/** NF_IPSET_HEADER. */
export function ipsetHeader(nf: NfNet, number: u32, to: usize): i32 {
  let at = nf.sets;
  for (let i: u32 = 0; i < number && at != 0; i++) at = load<usize>(at);
  if (at == 0) return -ENOENT;
  const set = changetype<IpSet>(at);
  let next: usize = 0;
  for (let e = set.head; e != 0; e = next) {
    next = changetype<Element>(e).after;
    if (over(changetype<Element>(e))) remove(set, changetype<Element>(e));
  }
  memory.copy(to, at + offsetof<IpSet>("name0"), SET_NAME);
  memory.copy(to + SET_NAME, at + SWAP_AT, 32);
  store<u32>(to, set.elements, SET_NAME + IPSETH_ELEMENTS);
  store<u32>(to, set.refs, SET_NAME + IPSETH_REFERENCES);
  return <i32>(SET_NAME + IPSETH_BYTES);
}

/** NF_IPSET_LIST. */
export function ipsetList(nf: NfNet, name: usize, first: u32, to: usize, room: u32): i32 {
  const found = ipsetFind(nf, name);
  if (found == 0) return -ENOENT;
  const set = changetype<IpSet>(found), now = node().now;
  let at = set.head, bytes: u32 = 0;
  for (let i: u32 = 0; i < first && at != 0; i++) at = changetype<Element>(at).after;
  while (at != 0 && bytes + IPSETE_BYTES <= room) {
    const e = changetype<Element>(at);
    const out = to + <usize>bytes;
    memory.copy(out, at + KEY, IPSETE_KEY_BYTES);
    memory.fill(out + IPSETE_IP6, 0, 32);
    if (isSix(set)) {
      memory.copy(out + IPSETE_IP6, bytes6(load<u32>(out, IPSETE_IP)), 16);
      if (set.kind & KIND_SECOND) memory.copy(out + IPSETE_IP26, bytes6(load<u32>(out, IPSETE_IP2)), 16);
    }
    store<u32>(out, e.id, IPSETE_ID);
    store<u32>(out, e.flags, IPSETE_FLAGS);
    store<u32>(out, e.expires == 0 ? 0 : <u32>((e.expires - now) / NS), IPSETE_TIMEOUT);
    store<u32>(out, e.queue, IPSETE_QUEUE);
    store<u64>(out, e.packets, IPSETE_PACKETS);
    store<u64>(out, e.bytes, IPSETE_BYTE_COUNT);
    store<u32>(out, e.mark, IPSETE_MARK);
    store<u32>(out, e.markMask, IPSETE_MARKMASK);
    store<u32>(out, e.prio, IPSETE_PRIO);
    if (e.member != 0) memory.copy(out + IPSETE_MEMBER, e.member + offsetof<IpSet>("name0"), SET_NAME);
    bytes += IPSETE_BYTES;
    at = e.after;
  }
  return <i32>bytes;
}
