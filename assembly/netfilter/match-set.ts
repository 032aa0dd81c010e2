// IP sets of one dimension, net/netfilter/ipset/ip_set_hash_ip.c, ip_set_hash_net.c, and the match that asks them (xt_set.c). An
// element is a prefix; a look-up tries the lengths that are in use, longest first.
import { EEXIST, ENOENT, ENOMEM } from "../abi/core";
import { IPSET_HASH_NET, IPSET_NOMATCH, SETDIM_DESTINATION, SETFLAG_RETURN_NOMATCH } from "../abi/netfilter";
import { Skb } from "../layout";
import { mix32 } from "../mm/hash";
import { kfree, kmalloc } from "../mm/slab";
import { NfNet, XtTable } from "./state";

export const SET_NAME: u32 = 32;
export const SET_STATE_AT: u32 = 8;
export const SET_NAME_AT: u32 = 12;
const BUCKETS: u32 = 256;

@unmanaged class IpSet {
  next: usize;
  kind: u32;
  elements: u32;
  lengths: u64; // bit per prefix length in use
  name0: u64; name1: u64; name2: u64; name3: u64;
  buckets: usize;
}
@unmanaged class Element {
  next: usize;
  address: u32;
  length: u32;
  flags: u32;
}

@inline function prefixMask(length: u32): u32 {
  return length == 0 ? 0 : bswap<u32>(0xffffffff << (32 - length));
}

@inline function bucketOf(set: IpSet, address: u32, length: u32): usize {
  return set.buckets + (<usize>(mix32(address ^ length * 0x9e3779b1) & (BUCKETS - 1)) << 2);
}

function find(nf: NfNet, name: usize): usize {
  let at = nf.sets;
  while (at != 0 && memory.compare(at + offsetof<IpSet>("name0"), name, SET_NAME) != 0) at = load<usize>(at);
  return at;
}

export function ipsetNew(nf: NfNet, name: usize, kind: u32): i32 {
  if (find(nf, name) != 0) return -EEXIST;
  const at = kmalloc(<u32>offsetof<IpSet>()), buckets = kmalloc(BUCKETS << 2);
  if (at == 0 || buckets == 0) {
    if (at != 0) kfree(at, <u32>offsetof<IpSet>());
    if (buckets != 0) kfree(buckets, BUCKETS << 2);
    return -ENOMEM;
  }
  const set = changetype<IpSet>(at);
  set.kind = kind;
  set.buckets = buckets;
  memory.copy(at + offsetof<IpSet>("name0"), name, SET_NAME);
  set.next = nf.sets;
  nf.sets = at;
  return 0;
}

export function ipsetAdd(nf: NfNet, name: usize, address: u32, length: u32, flags: u32): i32 {
  const at = find(nf, name);
  if (at == 0) return -ENOENT;
  const set = changetype<IpSet>(at);
  const masked = address & prefixMask(length);
  const bucket = bucketOf(set, masked, length);
  let e = load<usize>(bucket);
  while (e != 0) {
    const element = changetype<Element>(e);
    if (element.address == masked && element.length == length) return -EEXIST;
    e = element.next;
  }
  e = kmalloc(<u32>offsetof<Element>());
  if (e == 0) return -ENOMEM;
  const element = changetype<Element>(e);
  element.address = masked;
  element.length = length;
  element.flags = flags;
  element.next = load<usize>(bucket);
  store<usize>(bucket, e);
  set.lengths |= <u64>1 << <u64>length;
  return <i32>++set.elements;
}

/** Number of elements, or -ENOENT. */
export function ipsetTest(nf: NfNet, name: usize): i32 {
  const at = find(nf, name);
  return at == 0 ? -ENOENT : <i32>changetype<IpSet>(at).elements;
}

/** All sets of a namespace that ends. */
export function ipsetExit(nf: NfNet): void {
  let at = nf.sets;
  while (at != 0) {
    const set = changetype<IpSet>(at);
    for (let i: u32 = 0; i < BUCKETS; i++) {
      let e = load<usize>(set.buckets + (<usize>i << 2));
      while (e != 0) {
        const next = load<usize>(e);
        kfree(e, <u32>offsetof<Element>());
        e = next;
      }
    }
    kfree(set.buckets, BUCKETS << 2);
    const next = set.next;
    kfree(at, <u32>offsetof<IpSet>());
    at = next;
  }
  nf.sets = 0;
}

/** state {u32 set}. False: there is no such set. */
export function setInit(d: usize, state: usize, nf: NfNet): bool {
  store<usize>(state, find(nf, d + SET_NAME_AT));
  return load<usize>(state) != 0;
}

export function matchSet(d: usize, skb: Skb, t: XtTable): bool {
  const set = changetype<IpSet>(load<usize>(t.state + <usize>load<u32>(d, SET_STATE_AT)));
  const address = load<u32>(skb.network + ((load<u32>(d) & 3) == SETDIM_DESTINATION ? 16 : 12));
  const nomatchWanted = set.kind == IPSET_HASH_NET && (load<u32>(d, 4) & SETFLAG_RETURN_NOMATCH) != 0;
  for (let length: i32 = 32; length >= 0; length--) {
    if (!(set.lengths & (<u64>1 << <u64>length))) continue;
    const masked = address & prefixMask(<u32>length);
    let e = load<usize>(bucketOf(set, masked, <u32>length));
    while (e != 0) {
      const element = changetype<Element>(e);
      if (element.address == masked && element.length == <u32>length) {
        return ((element.flags & IPSET_NOMATCH) != 0) == nomatchWanted;
      }
      e = element.next;
    }
  }
  return false;
}
