// The rule set of a namespace, net/netfilter/nf_tables_api.c: chains, sets and objects by the driver's ids. A transaction first
// makes all that is new beside what is there, then, when nothing can fail any more, puts it in its place: packets see the old
// rules or the new ones.
import { EINVAL, ENOMEM } from "../abi/core";
import {
  HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, TABLES, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT, TABLE_RAW,
  TABLE_SECURITY,
} from "../abi/netfilter";
import {
  NFTCHAIN_BASE, NFTCHAIN_COUNTERS_SET, NFTCHAIN_FLOWTABLE, NFTCHAIN_INET, NFTCHAIN_IP6, NFTCHAIN_NAT, NFTREC_CHAIN, NFTREC_CHAIN_DELETE, NFTREC_ELEMENT, NFTREC_ELEMENT_DELETE, NFTREC_OBJECT,
  NFTREC_OBJECT_DELETE, NFTREC_SET, NFTREC_SET_DELETE, NFTREC_SET_FLUSH, NFT_CHAIN_HEADER, NFT_ELEMENT_HEADER, NFT_IDS_MAX,
  NFT_HOOKS, NFT_HOOK_ARP_INPUT, NFT_HOOK_ARP_OUTPUT, NFT_HOOK_BRIDGE, NFT_HOOK_BROUTING, NFT_HOOK_INGRESS, NFT_RECORD_HEADER, NFT_RULE_HEADER,
  NFT_SET_HEADER,
} from "../abi/nft";
import { Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { Timer, timerAfter, timerDelete } from "../mm/timer";
import { NFQ_PROGRAMS } from "../abi/queue";
import { PROGRAM_IPV6, nfProgramAt, nfPrograms } from "../netfilter/queue";
import { FRAME_HOOKS, NfNet, nfNet, nfTable } from "../netfilter/state";
import { tableHooks } from "../netfilter/xtables";
import { TIMER_NFT_GC } from "../net/timers";
import { flowtableFree } from "./flowtable";
import { opsNeedConntrack, opsStates, opsStatesFree, opsStatesMove, opsStatesNone, opsValid } from "./ops";
import {
  NftSet, setApply, setApplyDelete, setElementFree, setElementNew, setFlush, setFree, setIntervalsRoom, setNew, setSweep,
} from "./set";

/** A chain. The rules follow each other in `rules`; their states stand apart. */
@unmanaged export class NftChain {
  id: u32;
  flags: u32; // NFTCHAIN_*
  hook: u32;
  priority: i32;
  policy: u32;
  count: u32;
  rules: usize;
  bytes: u32;
  conntrackUsers: u32;
  /** When it was registered: of two with the same priority the later one runs first (nf_hook_entries_grow). */
  sequence: u32;
  devices: usize; // names of its devices, 16 bytes each
  deviceCount: u32;
  flows: usize; // of a flowtable (flowtable.ts): Flowtable, 0: nothing was entered yet
  packets: u64; // of the policy, with NFTCHAIN_COUNTERS
  octets: u64;
}

/** nftables of one namespace (`NfNet.nft`). */
@unmanaged export class NftNet {
  // id -> NftChain, NftSet, NftObject
  chains: usize; sets: usize; objects: usize;
  chainsMax: u32; setsMax: u32; objectsMax: u32;
  // What runs at each hook in order: HOOK_ENTRY_BYTES each, tables of iptables and connection tracking among them.
  hooks: usize;
  hooksMax: u32; // entries per hook
  counts0: u32; counts1: u32; counts2: u32; counts3: u32; counts4: u32; counts5: u32;
  // those of IPv6
  counts6: u32; counts7: u32; counts8: u32; counts9: u32; counts10: u32;
  /** Hooks of frames at which a chain is: bit per NFT_HOOK_*. */
  frameHooks: u32;
  natChains: u32; natChains6: u32;
  sequence: u32;
  natSequence: u32; natSequence6: u32;
  /** Registers and stacks, NFT_NESTED times. */
  frames: usize;
  nested: u32;
  ns: usize;
  timer: Timer;
}
const TIMER_AT: usize = offsetof<NftNet>("timer");
const NFTNET_BYTES: u32 = 256;
const CHAIN_BYTES: u32 = 88;
export const NFT_NESTED: u32 = 4;
/** Registers (128), verdict {u32 code, u32 chain}, stack of {u32 rule, u32 end, u32 chain, u32 0}. */
export const NFT_FRAME_BYTES: u32 = 128 + 8 + 16 * 16;
/** Hooks of IP, and one row for all the others: there the kind of an entry is its hook. */
const HOOK_ROWS: u32 = 11, FRAMES: u32 = 5;
const GC_INTERVAL: u64 = 1_000_000_000;

/** An entry of a hook: {i32 priority, u32 sequence, u32 kind, u32 NftChain}. */
export const HOOK_ENTRY_BYTES: u32 = 16;
export const ENTRY_TABLE: u32 = 0; // + TABLE_*; that of the nat table only tells ENTRY_NAT its place among ENTRY_NFT_NAT
export const ENTRY_CONNTRACK: u32 = 8;
export const ENTRY_NAT: u32 = 9;
export const ENTRY_CONFIRM: u32 = 10;
export const ENTRY_NFT: u32 = 11;
export const ENTRY_NFT_NAT: u32 = 12; // run by ENTRY_NAT
export const ENTRY_PROGRAM: u32 = 14; // queue.ts
/** Added to a hook: its row for packets of IPv6. */
export const HOOKS6: u32 = 6;
/** Entries of a hook that are not chains of nftables. */
const BUILTIN_ENTRIES: u32 = 8 + NFQ_PROGRAMS;

/** A named stateful object: one operation. */
@unmanaged class NftObject {
  bytes: u32;
  pad: u32;
}

@inline export function nftNet(nf: NfNet): NftNet {
  return changetype<NftNet>(nf.nft);
}

@inline function timerOf(n: NftNet): Timer {
  return changetype<Timer>((changetype<usize>(n) + TIMER_AT + 7) & ~7);
}

/** The chain of an id, or 0. */
@inline export function nftChain(n: NftNet, id: u32): usize {
  return id < n.chainsMax ? load<usize>(n.chains + (<usize>id << 2)) : <usize>0;
}
@inline export function nftSet(n: NftNet, id: u32): usize {
  return id < n.setsMax ? load<usize>(n.sets + (<usize>id << 2)) : <usize>0;
}
/** The operation of the object of an id, or 0. */
export function nftObject(n: NftNet, id: u32): usize {
  const at: usize = id < n.objectsMax ? load<usize>(n.objects + (<usize>id << 2)) : 0;
  return at == 0 ? 0 : at + 8;
}

function create(ns: Netns, nf: NfNet): bool {
  if (nf.nft != 0) return true;
  const at = kmalloc(NFTNET_BYTES);
  if (at == 0) return false;
  const n = changetype<NftNet>(at);
  n.frames = kmalloc(NFT_FRAME_BYTES * NFT_NESTED);
  if (n.frames == 0) {
    kfree(at, NFTNET_BYTES);
    return false;
  }
  n.ns = changetype<usize>(ns);
  const timer = timerOf(n);
  timer.kind = TIMER_NFT_GC;
  timer.owner = at;
  nf.nft = at;
  return true;
}

/** What runs at the hooks is a list from now on. The number of a registration; 0: no memory. */
export function nftEnsure(ns: Netns, nf: NfNet): u32 {
  if (!create(ns, nf)) return 0;
  const n = nftNet(nf);
  if (n.hooks == 0) {
    n.hooks = kmalloc(BUILTIN_ENTRIES * 5 * HOOK_ENTRY_BYTES);
    if (n.hooks == 0) return 0;
    n.hooksMax = BUILTIN_ENTRIES;
  }
  return ++n.sequence;
}

/** All of a namespace that ends. */
export function nftExit(nf: NfNet): void {
  if (nf.nft == 0) return;
  const n = nftNet(nf);
  timerDelete(timerOf(n));
  for (let i: u32 = 0; i < n.chainsMax; i++) chainFree(load<usize>(n.chains + (<usize>i << 2)));
  for (let i: u32 = 0; i < n.setsMax; i++) setFree(load<usize>(n.sets + (<usize>i << 2)));
  for (let i: u32 = 0; i < n.objectsMax; i++) objectFree(load<usize>(n.objects + (<usize>i << 2)));
  if (n.chains != 0) kfree(n.chains, n.chainsMax << 2);
  if (n.sets != 0) kfree(n.sets, n.setsMax << 2);
  if (n.objects != 0) kfree(n.objects, n.objectsMax << 2);
  if (n.hooks != 0) kfree(n.hooks, n.hooksMax * HOOK_ROWS * HOOK_ENTRY_BYTES);
  kfree(n.frames, NFT_FRAME_BYTES * NFT_NESTED);
  kfree(nf.nft, NFTNET_BYTES);
  nf.nft = 0;
}

function chainFree(at: usize): void {
  if (at == 0) return;
  const chain = changetype<NftChain>(at);
  if (chain.rules != 0) {
    rulesStatesFree(chain);
    kfree(chain.rules, chain.bytes);
  }
  if (chain.devices != 0) kfree(chain.devices, chain.deviceCount << 4);
  if (chain.flows != 0) flowtableFree(chain.flows);
  kfree(at, CHAIN_BYTES);
}

function rulesStatesFree(chain: NftChain): void {
  let rule = chain.rules;
  for (let i: u32 = 0; i < chain.count; i++) {
    const bytes = load<u32>(rule);
    opsStatesFree(rule + NFT_RULE_HEADER, bytes - NFT_RULE_HEADER);
    rule += <usize>bytes;
  }
}

function objectFree(at: usize): void {
  if (at == 0) return;
  const bytes = load<u32>(at);
  opsStatesFree(at + 8, bytes - 8);
  kfree(at, bytes);
}

// A transaction: what it has made so far. Tables of ids are copies; {u32 record, u32 thing} pairs wait in `made`.
@unmanaged class Draft {
  chains: usize; sets: usize; objects: usize;
  chainsMax: u32; setsMax: u32; objectsMax: u32;
  made: usize; madeMax: u32; count: u32;
  hooks: usize; hooksMax: u32;
}
const DRAFT_BYTES: u32 = <u32>offsetof<Draft>();

/** See NF_NFT_COMMIT. */
export function nftCommit(ns: Netns, records: usize, bytes: u32): i32 {
  const nf = nfNet(ns);
  if (bytes < 8 || bytes & 3) return -EINVAL;
  // Copied, so that nobody can change it between the check and its use.
  const copy = kmalloc(bytes);
  if (copy == 0) return -ENOMEM;
  memory.copy(copy, records, <usize>bytes);
  let result = -ENOMEM;
  if (create(ns, nf)) {
    const at = kmalloc(DRAFT_BYTES);
    if (at != 0) {
      const n = nftNet(nf), d = changetype<Draft>(at);
      result = prepare(n, changetype<usize>(nf), d, copy, bytes);
      if (result == 0) apply(n, nf, ns, d);
      else discard(n, d);
      if (d.made != 0) kfree(d.made, d.madeMax << 3);
      kfree(at, DRAFT_BYTES);
    }
  }
  kfree(copy, bytes);
  return result;
}

/** How far ids reach after the transaction, and how many records it has; -EINVAL for one whose length lies. */
function measure(d: Draft, records: usize, bytes: u32): i32 {
  let at: u32 = 0;
  while (at < bytes) {
    if (bytes - at < NFT_RECORD_HEADER + 4) return -EINVAL;
    const r = records + <usize>at, kind = load<u32>(r), length = load<u32>(r, 4), id = load<u32>(r, 8);
    if (length & 3 || length < NFT_RECORD_HEADER + 4 || length > bytes - at || id >= NFT_IDS_MAX) return -EINVAL;
    if (kind == NFTREC_CHAIN) d.chainsMax = max<u32>(d.chainsMax, id + 1);
    else if (kind == NFTREC_SET) d.setsMax = max<u32>(d.setsMax, id + 1);
    else if (kind == NFTREC_OBJECT) d.objectsMax = max<u32>(d.objectsMax, id + 1);
    else if (kind == 0 || kind > NFTREC_OBJECT_DELETE) return -EINVAL;
    d.madeMax++;
    at += length;
  }
  return 0;
}

/** A copy of a table of ids with room for `need`; grown by half so that many small transactions stay cheap. */
function tableCopy(from: usize, have: u32, room: u32): usize {
  if (room == 0) return 0;
  const at = kmalloc(room << 2);
  if (at != 0 && have != 0) memory.copy(at, from, <usize>have << 2);
  return at;
}

function roomFor(have: u32, need: u32): u32 {
  return need <= have ? have : (need + (need >>> 1) + 15) & ~15;
}

function prepare(n: NftNet, nf: usize, d: Draft, records: usize, bytes: u32): i32 {
  const result = measure(d, records, bytes);
  if (result != 0) {
    d.madeMax = 0;
    return result;
  }
  d.chainsMax = roomFor(n.chainsMax, d.chainsMax);
  d.setsMax = roomFor(n.setsMax, d.setsMax);
  d.objectsMax = roomFor(n.objectsMax, d.objectsMax);
  d.made = kmalloc(d.madeMax << 3);
  d.chains = tableCopy(n.chains, n.chainsMax, d.chainsMax);
  d.sets = tableCopy(n.sets, n.setsMax, d.setsMax);
  d.objects = tableCopy(n.objects, n.objectsMax, d.objectsMax);
  if (d.made == 0 || (d.chains == 0 && d.chainsMax != 0) || (d.sets == 0 && d.setsMax != 0)
    || (d.objects == 0 && d.objectsMax != 0)) return -ENOMEM;
  let at: u32 = 0, bases: u32 = 0;
  while (at < bytes) {
    const r = records + <usize>at, kind = load<u32>(r), length = load<u32>(r, 4);
    const made = d.made + (<usize>d.count << 3);
    store<u32>(made, <u32>r);
    d.count++;
    const step = prepareOne(d, nf, made, r, kind, length);
    if (step != 0) return step;
    at += length;
  }
  for (let i: u32 = 0; i < d.chainsMax; i++) {
    const chain = changetype<NftChain>(load<usize>(d.chains + (<usize>i << 2)));
    if (changetype<usize>(chain) != 0 && chain.flags & NFTCHAIN_BASE) bases++;
  }
  // Sorted arrays of intervals take what is added without asking for memory again.
  for (let i: u32 = 0; i < d.setsMax; i++) {
    const set = load<usize>(d.sets + (<usize>i << 2));
    if (set != 0 && !setIntervalsRoom(changetype<NftSet>(set))) return -ENOMEM;
  }
  d.hooksMax = bases + BUILTIN_ENTRIES;
  d.hooks = kmalloc(d.hooksMax * HOOK_ROWS * HOOK_ENTRY_BYTES);
  return d.hooks == 0 ? -ENOMEM : 0;
}

function prepareOne(d: Draft, nf: usize, made: usize, r: usize, kind: u32, length: u32): i32 {
  const id = load<u32>(r, 8);
  switch (kind) {
    case NFTREC_CHAIN: {
      if (length < NFT_RECORD_HEADER + NFT_CHAIN_HEADER) return -EINVAL;
      return chainNew(d, nf, made, r + 8, length - 8);
    }
    case NFTREC_CHAIN_DELETE:
      if (id < d.chainsMax) store<usize>(d.chains + (<usize>id << 2), 0);
      return 0;
    case NFTREC_SET: {
      if (length < NFT_RECORD_HEADER + NFT_SET_HEADER) return -EINVAL;
      const at = setNew(r + 8, length - 8);
      if (at < 16) return at == 0 ? -ENOMEM : -EINVAL;
      store<u32>(made, <u32>at, 4);
      store<usize>(d.sets + (<usize>id << 2), at);
      return 0;
    }
    case NFTREC_SET_DELETE:
      if (id < d.setsMax) store<usize>(d.sets + (<usize>id << 2), 0);
      return 0;
    case NFTREC_ELEMENT: case NFTREC_ELEMENT_DELETE: {
      if (length < NFT_RECORD_HEADER + (kind == NFTREC_ELEMENT ? NFT_ELEMENT_HEADER : 8)) return -EINVAL;
      const set: usize = id < d.setsMax ? load<usize>(d.sets + (<usize>id << 2)) : 0;
      if (set == 0) return -EINVAL;
      const element = setElementNew(changetype<NftSet>(set), r + 8, length - 8, kind == NFTREC_ELEMENT_DELETE);
      if (element < 16) return element == 0 ? -ENOMEM : -EINVAL;
      store<u32>(made, <u32>element, 4);
      return 0;
    }
    case NFTREC_OBJECT: {
      const size = length - 4; // {u32 bytes, u32 0} and the operation, where the record has {kind, bytes, id}
      if (!opsValid(r + 12, length - 12)) return -EINVAL;
      const at = kmalloc(size);
      if (at == 0) return -ENOMEM;
      changetype<NftObject>(at).bytes = size;
      memory.copy(at + 8, r + 12, <usize>(length - 12));
      store<u32>(made, <u32>at, 4);
      if (!opsStates(at + 8, size - 8)) return -ENOMEM;
      store<usize>(d.objects + (<usize>id << 2), at);
      return 0;
    }
    case NFTREC_OBJECT_DELETE:
      if (id < d.objectsMax) store<usize>(d.objects + (<usize>id << 2), 0);
      return 0;
    default: return 0; // NFTREC_SET_FLUSH
  }
}

/** How many devices a chain may name. */
const CHAIN_DEVICES: u32 = 256;

function hookKnown(hook: u32): bool {
  return hook <= HOOK_POSTROUTING || (hook >= NFT_HOOK_BRIDGE && hook <= NFT_HOOK_BROUTING) || hook == NFT_HOOK_ARP_INPUT
    || hook == NFT_HOOK_ARP_OUTPUT || (hook >= NFT_HOOK_INGRESS && hook < NFT_HOOKS);
}

function chainNew(d: Draft, nf: usize, made: usize, r: usize, length: u32): i32 {
  const id = load<u32>(r), flags = load<u32>(r, 4), hook = load<u32>(r, 8), rules = load<u32>(r, 20);
  if (!hookKnown(hook) || load<u32>(r, 16) > 1) return -EINVAL;
  if (flags & NFTCHAIN_FLOWTABLE && (!(flags & NFTCHAIN_BASE) || hook != NFT_HOOK_INGRESS || rules != 0)) return -EINVAL;
  const at = kmalloc(CHAIN_BYTES);
  if (at == 0) return -ENOMEM;
  store<u32>(made, <u32>at, 4);
  const chain = changetype<NftChain>(at);
  let head: u32 = NFT_CHAIN_HEADER;
  if (flags & NFTCHAIN_BASE && hook >= NFT_HOOK_INGRESS) {
    const names: u32 = length < NFT_CHAIN_HEADER + 8 ? u32.MAX_VALUE : load<u32>(r, NFT_CHAIN_HEADER);
    if (names > CHAIN_DEVICES || length < NFT_CHAIN_HEADER + 8 + (names << 4)) return -EINVAL;
    if (names != 0) {
      chain.devices = kmalloc(names << 4);
      if (chain.devices == 0) return -ENOMEM;
      chain.deviceCount = names;
      memory.copy(chain.devices, r + NFT_CHAIN_HEADER + 8, <usize>names << 4);
    }
    head += 8 + (names << 4);
  }
  const bytes = length - head;
  chain.id = id;
  chain.flags = flags;
  chain.hook = hook;
  chain.priority = load<i32>(r, 12);
  chain.policy = load<u32>(r, 16);
  chain.packets = load<u64>(r, 24);
  chain.octets = load<u64>(r, 32);
  let offset: u32 = 0;
  for (let i: u32 = 0; i < rules; i++) {
    const rule = r + <usize>(head + offset);
    if (bytes - offset < NFT_RULE_HEADER) return -EINVAL;
    const size = load<u32>(rule);
    if (size & 3 || size < NFT_RULE_HEADER || size > bytes - offset) return -EINVAL;
    if (!opsValid(rule + NFT_RULE_HEADER, size - NFT_RULE_HEADER)) return -EINVAL;
    offset += size;
  }
  if (offset != bytes) return -EINVAL;
  if (bytes != 0) {
    chain.rules = kmalloc(bytes);
    if (chain.rules == 0) return -ENOMEM;
    memory.copy(chain.rules, r + <usize>head, <usize>bytes);
    chain.bytes = bytes;
    // States of rules that stay are taken over from the old chain when nothing can fail any more.
    let rule = chain.rules;
    for (let i: u32 = 0; i < rules; i++) {
      const size = load<u32>(rule);
      opsStatesNone(rule + NFT_RULE_HEADER, size - NFT_RULE_HEADER);
      chain.count = i + 1;
      if (load<u32>(rule, 8) == 0 && !opsStates(rule + NFT_RULE_HEADER, size - NFT_RULE_HEADER, nf)) return -ENOMEM;
      rule += <usize>size;
    }
  }
  const before = load<usize>(d.chains + (<usize>id << 2));
  chain.sequence = before == 0 ? 0 : changetype<NftChain>(before).sequence;
  store<usize>(d.chains + (<usize>id << 2), at);
  return 0;
}

/** Takes back all that a transaction has made. */
function discard(n: NftNet, d: Draft): void {
  for (let i: u32 = 0; i < d.count; i++) {
    const made = d.made + (<usize>i << 3), at = <usize>load<u32>(made, 4);
    if (at == 0) continue;
    switch (load<u32>(<usize>load<u32>(made))) {
      case NFTREC_CHAIN: chainFree(at); break;
      case NFTREC_SET: setFree(at); break;
      case NFTREC_ELEMENT: case NFTREC_ELEMENT_DELETE: setElementFree(at); break;
      case NFTREC_OBJECT: objectFree(at); break;
      default: break;
    }
  }
  for (let i: u32 = 0; i < n.setsMax; i++) {
    const set = load<usize>(n.sets + (<usize>i << 2));
    if (set != 0) changetype<NftSet>(set).pending = 0;
  }
  if (d.chains != 0) kfree(d.chains, d.chainsMax << 2);
  if (d.sets != 0) kfree(d.sets, d.setsMax << 2);
  if (d.objects != 0) kfree(d.objects, d.objectsMax << 2);
  if (d.hooks != 0) kfree(d.hooks, d.hooksMax * HOOK_ROWS * HOOK_ENTRY_BYTES);
}

/** Nothing here can fail. */
function apply(n: NftNet, nf: NfNet, ns: Netns, d: Draft): void {
  // Rules that stay keep their counters: the newest version of a chain takes them from the one that runs now.
  for (let i: u32 = 0; i < d.chainsMax; i++) {
    const now = load<usize>(d.chains + (<usize>i << 2)), old = nftChain(n, i);
    if (now == old) continue;
    if (now != 0) {
      const chain = changetype<NftChain>(now);
      if (old != 0) {
        statesTake(chain, changetype<NftChain>(old));
        chain.flows = changetype<NftChain>(old).flows;
        changetype<NftChain>(old).flows = 0;
        if (!(chain.flags & NFTCHAIN_COUNTERS_SET)) {
          chain.packets = changetype<NftChain>(old).packets;
          chain.octets = changetype<NftChain>(old).octets;
        }
      }
      chain.conntrackUsers = tracks(chain);
      if (chain.sequence == 0) chain.sequence = ++n.sequence;
      chainUsers(nf, chain, <i32>chain.conntrackUsers);
    }
    if (old != 0) {
      chainUsers(nf, changetype<NftChain>(old), -<i32>changetype<NftChain>(old).conntrackUsers);
      chainFree(old);
    }
  }
  for (let i: u32 = 0; i < d.count; i++) {
    const made = d.made + (<usize>i << 3), r = <usize>load<u32>(made), at = <usize>load<u32>(made, 4), id = load<u32>(r, 8);
    switch (load<u32>(r)) {
      // A chain or set that the same transaction replaced or took away again.
      case NFTREC_CHAIN:
        if (load<usize>(d.chains + (<usize>id << 2)) != at) chainFree(at);
        break;
      case NFTREC_OBJECT:
        if (load<usize>(d.objects + (<usize>id << 2)) != at) objectFree(at);
        break;
      case NFTREC_SET_FLUSH: {
        const set: usize = id < d.setsMax ? load<usize>(d.sets + (<usize>id << 2)) : 0;
        if (set != 0) setFlush(changetype<NftSet>(set));
        break;
      }
      case NFTREC_ELEMENT: setApply(at); break;
      case NFTREC_ELEMENT_DELETE: setApplyDelete(at); break;
      default: break;
    }
  }
  for (let i: u32 = 0; i < d.count; i++) {
    const made = d.made + (<usize>i << 3), r = <usize>load<u32>(made), at = <usize>load<u32>(made, 4);
    if (load<u32>(r) == NFTREC_SET && load<usize>(d.sets + (<usize>load<u32>(r, 8) << 2)) != at) setFree(at);
  }
  for (let i: u32 = 0; i < n.setsMax; i++) {
    const old = load<usize>(n.sets + (<usize>i << 2));
    if (old != 0 && load<usize>(d.sets + (<usize>i << 2)) != old) setFree(old);
  }
  for (let i: u32 = 0; i < n.objectsMax; i++) {
    const old = load<usize>(n.objects + (<usize>i << 2));
    if (old != 0 && load<usize>(d.objects + (<usize>i << 2)) != old) objectFree(old);
  }
  if (n.chains != 0) kfree(n.chains, n.chainsMax << 2);
  if (n.sets != 0) kfree(n.sets, n.setsMax << 2);
  if (n.objects != 0) kfree(n.objects, n.objectsMax << 2);
  if (n.hooks != 0) kfree(n.hooks, n.hooksMax * HOOK_ROWS * HOOK_ENTRY_BYTES);
  n.chains = d.chains; n.sets = d.sets; n.objects = d.objects; n.hooks = d.hooks;
  n.chainsMax = d.chainsMax; n.setsMax = d.setsMax; n.objectsMax = d.objectsMax; n.hooksMax = d.hooksMax;
  ns.ruleGeneration++;
  const timer = timerOf(n);
  if (timer.next == 0 && sweep(n)) timerAfter(timer, GC_INTERVAL);
}

/** How many of its operations need connection tracking. */
function tracks(chain: NftChain): u32 {
  let rule = chain.rules, n: u32 = 0;
  for (let i: u32 = 0; i < chain.count; i++) {
    const bytes = load<u32>(rule);
    n += opsNeedConntrack(rule + NFT_RULE_HEADER, bytes - NFT_RULE_HEADER);
    rule += <usize>bytes;
  }
  return n;
}

function statesTake(chain: NftChain, old: NftChain): void {
  let rule = chain.rules, before = old.rules, left = old.count;
  for (let i: u32 = 0; i < chain.count; i++) {
    const bytes = load<u32>(rule);
    if (load<u32>(rule, 8) != 0) {
      while (left != 0 && load<u32>(before, 4) != load<u32>(rule, 4)) {
        before += <usize>load<u32>(before);
        left--;
      }
      if (left == 0) return;
      opsStatesMove(rule + NFT_RULE_HEADER, bytes - NFT_RULE_HEADER, before + NFT_RULE_HEADER, load<u32>(before) - NFT_RULE_HEADER);
    }
    rule += <usize>bytes;
  }
}

/** Takes what has timed out out of the sets; is there any set with timeouts? */
function sweep(n: NftNet): bool {
  let timeouts = false;
  for (let i: u32 = 0; i < n.setsMax; i++) {
    const set = load<usize>(n.sets + (<usize>i << 2));
    if (set != 0 && setSweep(changetype<NftSet>(set))) timeouts = true;
  }
  return timeouts;
}

/** The timer of a namespace whose sets have elements that end. */
export function nftGc(owner: usize): void {
  const n = changetype<NftNet>(owner);
  if (sweep(n)) timerAfter(timerOf(n), GC_INTERVAL);
}

// Hooks

/** Entries at a hook. */
@inline export function hookEntries(n: NftNet, hook: u32): usize {
  return n.hooks + <usize>(hook * n.hooksMax * HOOK_ENTRY_BYTES);
}
@inline export function hookCount(n: NftNet, hook: u32): u32 {
  return load<u32>(changetype<usize>(n) + offsetof<NftNet>("counts0") + (<usize>hook << 2));
}

@inline export function frameEntries(n: NftNet): usize {
  return hookEntries(n, FRAMES);
}
@inline export function frameCount(n: NftNet): u32 {
  return n.counts5;
}

/** The number of a registration that comes after all there are; 0 before the first nft command. */
export function nftSequence(nf: NfNet): u32 {
  return nf.nft == 0 ? 0 : ++nftNet(nf).sequence;
}

/** Is the chain for packets of IPv4 (of IPv6 with `six`)? */
@inline function chainOf(chain: NftChain, six: bool): bool {
  return chain.flags & NFTCHAIN_INET ? true : ((chain.flags & NFTCHAIN_IP6) != 0) == six;
}

/** Puts everything that is registered for IPv4 in order; returns the hooks at which a chain of nftables is (bit per HOOK_*). */
export function nftHooks(nf: NfNet): u32 {
  return nf.nft == 0 || nftNet(nf).hooks == 0 ? 0 : hooksOf(nf, nftNet(nf), false);
}
/** The same for IPv6. */
export function nftHooks6(nf: NfNet): u32 {
  return nf.nft == 0 || nftNet(nf).hooks == 0 ? 0 : hooksOf(nf, nftNet(nf), true);
}

function hooksOf(nf: NfNet, n: NftNet, six: bool): u32 {
  let mask: u32 = 0, nat: u32 = 0;
  const firstHook: u32 = six ? HOOKS6 : 0, firstTable: u32 = six ? TABLES : 0;
  memory.fill(changetype<usize>(n) + offsetof<NftNet>("counts0") + <usize>(firstHook << 2), 0, six ? 20 : 24);
  if (!six) n.frameHooks = 0;
  for (let i: u32 = 0; i < n.chainsMax; i++) {
    const chain = changetype<NftChain>(load<usize>(n.chains + (<usize>i << 2)));
    if (changetype<usize>(chain) == 0 || !(chain.flags & NFTCHAIN_BASE)) continue;
    if (chain.hook > HOOK_POSTROUTING) {
      if (six) continue;
      n.frameHooks |= 1 << chain.hook;
      enter(n, FRAMES, chain.priority, chain.sequence, chain.hook, changetype<usize>(chain));
      continue;
    }
    if (!chainOf(chain, six)) continue;
    mask |= 1 << chain.hook;
    if (chain.flags & NFTCHAIN_NAT) nat++;
  }
  const tableNat = nfTable(nf, firstTable + TABLE_NAT) != 0;
  if (nat != 0 && (six ? n.natChains6 : n.natChains) == 0 && !tableNat) {
    if (six) n.natSequence6 = ++n.sequence;
    else n.natSequence = ++n.sequence;
  }
  if (six) n.natChains6 = nat;
  else n.natChains = nat;
  const anyNat = nat != 0 || tableNat, tracked = (six ? nf.conntrackUsers6 : nf.conntrackUsers) != 0;
  for (let hook: u32 = HOOK_PREROUTING; hook <= HOOK_POSTROUTING; hook++) {
    const first = hook == HOOK_PREROUTING || hook == HOOK_OUTPUT, last = hook == HOOK_INPUT || hook == HOOK_POSTROUTING;
    const at = firstHook + hook;
    for (let t: u32 = 0; t < TABLES; t++) {
      if (nfTable(nf, firstTable + t) == 0 || !(tableHooks(t) & (1 << hook))) continue;
      enter(n, at, tablePriority(t, hook),
        load<u32>(changetype<usize>(nf) + offsetof<NfNet>("sequence0") + (<usize>(firstTable + t) << 2)), ENTRY_TABLE + t, 0);
    }
    if (tracked) {
      if (first) enter(n, at, -200, u32.MAX_VALUE, ENTRY_CONNTRACK, 0);
      if (last) enter(n, at, i32.MAX_VALUE, 0, ENTRY_CONFIRM, 0);
    }
    if (anyNat && (first || last)) enter(n, at, first ? -100 : 100, six ? n.natSequence6 : n.natSequence, ENTRY_NAT, 0);
    for (let i: u32 = 0; i < n.chainsMax; i++) {
      const chain = changetype<NftChain>(load<usize>(n.chains + (<usize>i << 2)));
      if (changetype<usize>(chain) == 0 || !(chain.flags & NFTCHAIN_BASE) || chain.hook != hook || !chainOf(chain, six)) continue;
      enter(n, at, chain.priority, chain.sequence, chain.flags & NFTCHAIN_NAT ? ENTRY_NFT_NAT : ENTRY_NFT, changetype<usize>(chain));
    }
  }
  for (let id: u32 = 0, left = nfPrograms(nf); left > 0 && id < NFQ_PROGRAMS; id++) {
    const program = nfProgramAt(nf, id);
    if (program == 0) continue;
    left--;
    if ((load<u32>(program) == PROGRAM_IPV6) != six) continue;
    enter(n, firstHook + load<u32>(program, 4), load<i32>(program, 8), load<u32>(program, 12), ENTRY_PROGRAM, <usize>id);
    mask |= 1 << load<u32>(program, 4);
  }
  if (!six && n.frameHooks != 0) mask |= FRAME_HOOKS;
  if (nat != 0) mask |= 1 << HOOK_PREROUTING | 1 << HOOK_INPUT | 1 << HOOK_OUTPUT | 1 << HOOK_POSTROUTING;
  return mask;
}

/** Rules that need connection tracking become `more`, or less, for the families of the chain. */
function chainUsers(nf: NfNet, chain: NftChain, more: i32): void {
  if (chainOf(chain, false)) nf.conntrackUsers += more;
  if (chainOf(chain, true)) nf.conntrackUsers6 += more;
}

function tablePriority(table: u32, hook: u32): i32 {
  switch (table) {
    case TABLE_RAW: return -300;
    case TABLE_MANGLE: return -150;
    case TABLE_FILTER: return 0;
    case TABLE_SECURITY: return 50;
    default: return hook == HOOK_INPUT || hook == HOOK_POSTROUTING ? 100 : -100;
  }
}

/** Inserts by priority; of two alike the one registered later comes first. */
function enter(n: NftNet, hook: u32, priority: i32, sequence: u32, kind: u32, chain: usize): void {
  const entries = hookEntries(n, hook), countAt = changetype<usize>(n) + offsetof<NftNet>("counts0") + (<usize>hook << 2);
  const count = load<u32>(countAt);
  if (count >= n.hooksMax) return;
  let i = count;
  while (i > 0) {
    const before = entries + <usize>((i - 1) * HOOK_ENTRY_BYTES);
    const p = load<i32>(before);
    if (p < priority || (p == priority && load<u32>(before, 4) >= sequence)) break;
    memory.copy(before + HOOK_ENTRY_BYTES, before, HOOK_ENTRY_BYTES);
    i--;
  }
  const at = entries + <usize>(i * HOOK_ENTRY_BYTES);
  store<i32>(at, priority);
  store<u32>(at, sequence, 4);
  store<u32>(at, kind, 8);
  store<u32>(at, <u32>chain, 12);
  store<u32>(countAt, count + 1);
}
