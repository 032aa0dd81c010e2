// Control groups and their programs (kernel/bpf/cgroup.c): what sockets of a group may do, and the packets they send and get. A node's groups
// are a tree; sockets belong to the group that was said for them, else to their namespace's, else to the root.
import {
  ATTACH_FLAGS, ATTACH_PROG, ATTACH_RELATIVE, ATTACH_REPLACED, ATTACH_REVISION, ATTACH_TARGET, ATTACH_TYPE, BPF_F_ALLOW_MULTI, BPF_F_ALLOW_OVERRIDE, BPF_F_QUERY_EFFECTIVE,
  QUERY_BYTES,
} from "../../abi/bpf-attach";
import { E2BIG, EBADF, EBUSY, EFAULT, EINVAL, ENOENT, ENOMEM, EPERM } from "../../abi/core";
import { Netns, Skb } from "../../layout";
import { HANDLE_NETNS, HANDLE_SOCKET, handleGet } from "../../mm/handle";
import { node } from "../../mm/node";
import { kfree, kmalloc } from "../../mm/slab";
import { SK_INET6 } from "../../sock/family";
import { SockCreds, Socket, setScope, sockCreds } from "../../sock/socket";
import { raw4, mapped4 } from "../../wire/bytes";
import { BpfProg, progGet, progHold, progPut } from "../prog";
import { RUN_SKB, RUN_SOCK, RUN_SOCK_ADDR } from "../run";
import { queryEntry } from "./attach";
import { SKB_CTX_BYTES } from "./context";
import { Link, linkDetached } from "./link";
import { BPF_F_AFTER, BPF_F_BEFORE, BPF_F_ID, BPF_F_LINK, BPF_F_REPLACE, ProgList, listDetach, listFind, listLink, listProg, listPut, listUpdate, progListFree, progListNew } from "./list";
import { NetnsBpf, netnsBpf } from "./netns";
import { SockBpf, sockBpf, sockBpfOf, sockProgram } from "./sock";
import { BPF_SOCK_BYTES, sockProtocol, sockType, sockView, sockWrite } from "./sock-view";
import { HookRun, HookState, hookEnter, hookGo, hookLeave, hookState, progFields } from "./state";

// enum bpf_attach_type
export const CGROUP_INET_INGRESS: u32 = 0, CGROUP_INET_EGRESS: u32 = 1, CGROUP_INET_SOCK_CREATE: u32 = 2, CGROUP_SOCK_OPS: u32 = 3;
export const CGROUP_INET4_BIND: u32 = 8, CGROUP_INET6_BIND: u32 = 9, CGROUP_INET4_CONNECT: u32 = 10, CGROUP_INET6_CONNECT: u32 = 11;
export const CGROUP_INET4_POST_BIND: u32 = 12, CGROUP_INET6_POST_BIND: u32 = 13, CGROUP_UDP4_SENDMSG: u32 = 14, CGROUP_UDP6_SENDMSG: u32 = 15;
export const CGROUP_UDP4_RECVMSG: u32 = 19, CGROUP_UDP6_RECVMSG: u32 = 20, CGROUP_INET4_GETPEERNAME: u32 = 29, CGROUP_INET6_GETPEERNAME: u32 = 30;
export const CGROUP_INET4_GETSOCKNAME: u32 = 31, CGROUP_INET6_GETSOCKNAME: u32 = 32, CGROUP_INET_SOCK_RELEASE: u32 = 34;
const TYPES: u32 = 36;
/** BPF_CGROUP_MAX_PROGS */
const PROGS_MOST: u32 = 64;
const SOCK_ADDR_BYTES: u32 = 72;

@unmanaged export class Cgroup {
  next: usize; // Cgroup of the node
  id: u32; // the second field: hooks/link.ts reads it
  parent: usize;
  children: u32;
  refs: u32; // sockets and namespaces in it
}
const FLAGS_AT: usize = offsetof<Cgroup>();
const LISTS_AT: usize = (FLAGS_AT + TYPES + 3) & ~3;
const CGROUP_BYTES: u32 = <u32>(LISTS_AT + (TYPES << 2));

@inline function listOf(cgroup: usize, type: u32): usize {
  return <usize>load<u32>(cgroup + LISTS_AT + (<usize>type << 2));
}
@inline function flagsOf(cgroup: usize, type: u32): u32 {
  return <u32>load<u8>(cgroup + FLAGS_AT + <usize>type);
}
@inline function countOf(cgroup: usize, type: u32): u32 {
  const list = listOf(cgroup, type);
  return list == 0 ? 0 : changetype<ProgList>(list).count;
}

/** Is anything attached anywhere for this type? What the paths of sockets ask first. */
@inline export function cgroupActive(type: u32): bool {
  const s = changetype<HookState>(node().bpfHooks);
  return changetype<usize>(s) != 0 && (s.active & (<u64>1 << <u64>type)) != 0;
}

/** The group of that id; 1 is the root. 0: there is none (or no memory for the root). */
export function cgroupFind(id: u32): usize {
  const s = hookState();
  if (changetype<usize>(s) == 0) return 0;
  if (s.cgroups == 0) s.cgroups = make(s, 0);
  for (let at = s.cgroups; at != 0; at = changetype<Cgroup>(at).next) if (changetype<Cgroup>(at).id == id) return at;
  return 0;
}

/** The root stays the last of the list. */
function make(s: HookState, parent: usize): usize {
  const at = kmalloc(CGROUP_BYTES);
  if (at == 0) return 0;
  const c = changetype<Cgroup>(at);
  c.id = s.nextCgroup++;
  c.parent = parent;
  c.next = s.cgroups;
  s.cgroups = at;
  if (parent != 0) changetype<Cgroup>(parent).children++;
  return at;
}

/** BPF_CGROUP_NEW */
export function cgroupNew(parent: u32): i32 {
  const above = cgroupFind(parent == 0 ? 1 : parent);
  if (above == 0) return -ENOENT;
  const at = make(hookState(), above);
  return at == 0 ? -ENOMEM : <i32>changetype<Cgroup>(at).id;
}

/** BPF_CGROUP_DELETE: programs go with it, sockets in it fall back to its parent. */
export function cgroupDelete(id: u32): i32 {
  const at = id <= 1 ? 0 : cgroupFind(id);
  if (at == 0) return -ENOENT;
  const c = changetype<Cgroup>(at), s = hookState();
  if (c.children != 0 || c.refs != 0) return -EBUSY;
  for (let type: u32 = 0; type < TYPES; type++) progListFree(listOf(at, type));
  changetype<Cgroup>(c.parent).children--;
  let link = changetype<usize>(s) + offsetof<HookState>("cgroups");
  while (<usize>load<u32>(link) != at) link = <usize>load<u32>(link);
  store<u32>(link, <u32>c.next);
  kfree(at, CGROUP_BYTES);
  for (let type: u32 = 0; type < TYPES; type++) noteActive(s, type);
  return 0;
}

/** BPF_CGROUP_JOIN: a socket, or a namespace for those made there. */
export function cgroupJoin(handle: u32, id: u32): i32 {
  const at = cgroupFind(id);
  if (at == 0) return -ENOENT;
  const sk = handleGet(HANDLE_SOCKET, handle);
  let field: usize;
  if (sk != 0) {
    const b = sockBpf(changetype<Socket>(sk));
    if (changetype<usize>(b) == 0) return -ENOMEM;
    field = changetype<usize>(b) + offsetof<SockBpf>("cgroup");
  } else {
    const ns = handleGet(HANDLE_NETNS, handle);
    if (ns == 0) return -EBADF;
    const own = netnsBpf(changetype<Netns>(ns));
    if (changetype<usize>(own) == 0) return -ENOMEM;
    field = changetype<usize>(own) + offsetof<NetnsBpf>("cgroup");
  }
  if (load<u32>(field) != 0) changetype<Cgroup>(<usize>load<u32>(field)).refs--;
  store<u32>(field, <u32>at);
  changetype<Cgroup>(at).refs++;
  return 0;
}

/** The group of a socket; 0: there are no groups. */
export function sockCgroup(sk: Socket): usize {
  if (sockBpfOf(sk) != 0 && changetype<SockBpf>(sockBpfOf(sk)).cgroup != 0) return changetype<SockBpf>(sockBpfOf(sk)).cgroup;
  const ns = changetype<Netns>(sk.ns);
  if (ns.bpf != 0 && changetype<NetnsBpf>(ns.bpf).cgroup != 0) return changetype<NetnsBpf>(ns.bpf).cgroup;
  return cgroupFind(1);
}

/** bpf_skb_cgroup_id, bpf_sk_cgroup_id; with `level` the ancestor's at that depth (0: the root), 0: none. */
export function cgroupId(sk: Socket, level: i32): u64 {
  let at = sockCgroup(sk);
  if (at == 0) return 1;
  if (level < 0) return <u64>changetype<Cgroup>(at).id;
  let depth = 0;
  for (let p = changetype<Cgroup>(at).parent; p != 0; p = changetype<Cgroup>(p).parent) depth++;
  for (; depth > level; depth--) at = changetype<Cgroup>(at).parent;
  return depth == level ? <u64>changetype<Cgroup>(at).id : 0;
}

function noteActive(s: HookState, type: u32): void {
  let any = false;
  for (let at = s.cgroups; at != 0 && !any; at = changetype<Cgroup>(at).next) any = countOf(at, type) != 0;
  const bit = <u64>1 << <u64>type;
  s.active = any ? s.active | bit : s.active & ~bit;
}

export function isCgroupType(type: u32): bool {
  switch (type) {
    case CGROUP_INET_INGRESS: case CGROUP_INET_EGRESS: case CGROUP_INET_SOCK_CREATE: case CGROUP_SOCK_OPS: case CGROUP_INET4_BIND: case CGROUP_INET6_BIND:
    case CGROUP_INET4_CONNECT: case CGROUP_INET6_CONNECT: case CGROUP_INET4_POST_BIND: case CGROUP_INET6_POST_BIND: case CGROUP_UDP4_SENDMSG:
    case CGROUP_UDP6_SENDMSG: case CGROUP_UDP4_RECVMSG: case CGROUP_UDP6_RECVMSG: case CGROUP_INET4_GETPEERNAME: case CGROUP_INET6_GETPEERNAME:
    case CGROUP_INET4_GETSOCKNAME: case CGROUP_INET6_GETSOCKNAME: case CGROUP_INET_SOCK_RELEASE: return true;
    default: return false;
  }
}

/** attach_type_to_prog_type */
function progTypeOf(type: u32): u32 {
  switch (type) {
    case CGROUP_INET_INGRESS: case CGROUP_INET_EGRESS: return 8;
    case CGROUP_INET_SOCK_CREATE: case CGROUP_INET_SOCK_RELEASE: case CGROUP_INET4_POST_BIND: case CGROUP_INET6_POST_BIND: return 9;
    case CGROUP_SOCK_OPS: return 13;
    default: return 18;
  }
}

/** hierarchy_allows_attach */
function allowed(cgroup: usize, type: u32): bool {
  for (let p = changetype<Cgroup>(cgroup).parent; p != 0; p = changetype<Cgroup>(p).parent) {
    const flags = flagsOf(p, type);
    if (flags & BPF_F_ALLOW_MULTI) return true;
    if (countOf(p, type) == 1) return (flags & BPF_F_ALLOW_OVERRIDE) != 0;
  }
  return true;
}

/** __cgroup_bpf_attach: of a program, or for `link` (which is always one of several). 0 or -errno. */
export function cgroupAttach(type: u32, prog: usize, link: usize, record: usize): i32 {
  const at = cgroupFind(load<u32>(record, ATTACH_TARGET));
  if (at == 0) return -EBADF;
  const p = changetype<BpfProg>(prog);
  if (p.type != progTypeOf(type)) return -EINVAL;
  // Types that say more than one thing are checked by what they were loaded for.
  if (p.type != 8 && p.type != 13 && p.attachType != type) return -EINVAL;
  if (p.type == 8 && p.attachType != type && p.attachType != 0) return -EINVAL;
  let flags = load<u32>(record, ATTACH_FLAGS);
  if (link != 0) flags = (flags & (BPF_F_BEFORE | BPF_F_AFTER | BPF_F_ID | BPF_F_LINK)) | BPF_F_ALLOW_MULTI;
  const kept = flags & (BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI), multi = (flags & BPF_F_ALLOW_MULTI) != 0;
  if (kept == (BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI) || ((flags & BPF_F_REPLACE) != 0 && !multi)) return -EINVAL;
  if (!allowed(at, type)) return -EPERM;
  const count = countOf(at, type);
  if (count != 0 && flagsOf(at, type) != kept) return -EPERM;
  if (count >= PROGS_MOST) return -E2BIG;
  let list = listOf(at, type);
  if (list == 0) {
    list = progListNew();
    if (list == 0) return -ENOMEM;
    store<u32>(at + LISTS_AT + (<usize>type << 2), <u32>list);
  }
  let place: i32 = <i32>count, over = false;
  if (!multi) {
    place = 0;
    over = count != 0;
  } else {
    let replaced: usize = 0;
    if (flags & BPF_F_REPLACE) {
      replaced = progGet(load<u32>(record, ATTACH_REPLACED));
      if (replaced == 0) return -EBADF;
    }
    for (let i: u32 = 0; i < count; i++) if (listProg(list, i) == prog && prog != replaced && listLink(list, i) == 0 && link == 0) return -EINVAL;
    if (replaced != 0) {
      place = listFind(list, replaced, 0);
      if (place < 0) return -ENOENT;
      over = true;
    } else if ((flags & (BPF_F_BEFORE | BPF_F_AFTER)) != 0) {
      const which = load<u32>(record, ATTACH_RELATIVE);
      if (which == 0) place = flags & BPF_F_BEFORE ? 0 : <i32>count;
      else {
        const other = progGet(which);
        place = other == 0 ? -1 : listFind(list, other, 0);
        if (place < 0) return -ENOENT;
        if (flags & BPF_F_AFTER) place++;
      }
    }
  }
  if (link == 0) progHold(p);
  listPut(list, place, prog, link, over);
  store<u8>(at + FLAGS_AT + <usize>type, <u8>kept);
  if (link != 0) changetype<Link>(link).target = at;
  noteActive(hookState(), type);
  return 0;
}

/** __cgroup_bpf_detach: of a program; without MULTI whichever there is. */
export function cgroupDetach(type: u32, record: usize): i32 {
  const at = cgroupFind(load<u32>(record, ATTACH_TARGET));
  if (at == 0) return -EBADF;
  const list = listOf(at, type), handle = load<u32>(record, ATTACH_PROG);
  if (list == 0 || changetype<ProgList>(list).count == 0) return -ENOENT;
  let prog: usize = 0;
  if (flagsOf(at, type) & BPF_F_ALLOW_MULTI) {
    prog = progGet(handle);
    if (prog == 0) return -EINVAL;
    if (listFind(list, prog, 0) < 0) return -ENOENT;
  } else prog = listProg(list, 0);
  const result = listDetach(list, prog, 0, 0, 0, 0);
  if (changetype<ProgList>(list).count == 0) store<u8>(at + FLAGS_AT + <usize>type, 0);
  noteActive(hookState(), type);
  return result;
}

export function cgroupLinkTake(link: Link): void {
  const list = listOf(link.target, link.type);
  listDetach(list, 0, changetype<usize>(link), 0, 0, 0);
  if (changetype<ProgList>(list).count == 0) store<u8>(link.target + FLAGS_AT + <usize>link.type, 0);
  noteActive(hookState(), link.type);
}

export function cgroupLinkUpdate(link: Link, prog: usize): void {
  listUpdate(listOf(link.target, link.type), changetype<usize>(link), prog);
}

/** BPF_QUERY, with BPF_F_QUERY_EFFECTIVE of all groups above, too. */
export function cgroupQuery(type: u32, record: usize): i32 {
  const effective = (load<u32>(record, ATTACH_FLAGS) & BPF_F_QUERY_EFFECTIVE) != 0;
  const at = cgroupFind(load<u32>(record, ATTACH_TARGET));
  if (at == 0) return -EBADF;
  const flags = effective ? 0 : flagsOf(at, type), own = listOf(at, type);
  let count: u32 = 0;
  for (let p = at; p != 0; p = changetype<Cgroup>(p).parent) {
    if (count != 0 && (flagsOf(p, type) & BPF_F_ALLOW_MULTI) == 0) continue;
    const list = listOf(p, type), n = countOf(p, type);
    for (let i: u32 = 0; i < n && count < 512; i++, count++) queryEntry(record + 16 + <usize>(count * QUERY_BYTES), listProg(list, i), listLink(list, i), flagsOf(p, type));
    if (!effective) break;
  }
  store<u64>(record, own == 0 ? 1 : changetype<ProgList>(own).revision);
  store<u32>(record, count, 8);
  store<u32>(record, flags, 12);
  return <i32>(16 + count * QUERY_BYTES);
}

// Running what is in effect: the group's own programs, then those of the groups above that allow several (compute_effective_progs).
// All run; one that says 0 decides (bpf_prog_run_array_cg).

/** The next group above `at` whose programs count too; 0: none. */
function above(at: usize, type: u32, ran: bool): usize {
  for (let p = changetype<Cgroup>(at).parent; p != 0; p = changetype<Cgroup>(p).parent) {
    if (!ran || (flagsOf(p, type) & BPF_F_ALLOW_MULTI) != 0) return p;
  }
  return 0;
}

let retFlags: u32 = 0;

/** Runs them on the context of `r`: 0 or -errno; `retFlags` are the bits above the lowest. */
function runAll(r: HookRun, sk: Socket, type: u32): i32 {
  retFlags = 0;
  r.retval = 0;
  let ran = false;
  for (let at = sockCgroup(sk); at != 0; at = above(at, type, ran)) {
    const list = listOf(at, type), n = countOf(at, type);
    r.cgroup = changetype<Cgroup>(at).id;
    for (let i: u32 = 0; i < n; i++) {
      const prog = listProg(list, i);
      ran = true;
      const answer = r.kind == RUN_SKB ? sockProgram(r, sk, changetype<Skb>(r.skb), prog, type) : plain(r, prog);
      retFlags |= answer >>> 1;
      if ((answer & 1) == 0 && r.retval == 0) r.retval = -EPERM;
    }
  }
  return r.retval;
}

function plain(r: HookRun, prog: usize): u32 {
  r.fields = progFields(prog);
  return hookGo(r, prog, 0);
}

/** Packets to a socket, data where its protocol has them; false: dropped. */
export function cgroupSkbIngress(sk: Socket, skb: Skb): bool {
  return !cgroupActive(CGROUP_INET_INGRESS) || runSkb(sk, skb, CGROUP_INET_INGRESS) == 0;
}

/** A packet of a socket leaves, data at its IP header: 0, or -errno. */
export function cgroupSkbEgress(sk: Socket, skb: Skb): i32 {
  const result = runSkb(sk, skb, CGROUP_INET_EGRESS);
  return result;
}

/** __cgroup_bpf_run_filter_skb: programs see it from the network header on. */
function runSkb(sk: Socket, skb: Skb, type: u32): i32 {
  const r = hookEnter(RUN_SKB, 0, sk.ns, SKB_CTX_BYTES);
  if (changetype<usize>(r) == 0) return 0;
  const data = skb.data, cb0 = skb.cb0, cb1 = skb.cb1, cb2 = skb.cb2;
  skb.data = skb.network;
  r.skb = changetype<usize>(skb);
  const result = runAll(r, sk, type);
  skb.data = data;
  skb.cb0 = cb0;
  skb.cb1 = cb1;
  skb.cb2 = cb2;
  hookLeave(r);
  return result;
}

/** Programs on the socket itself: creation, release, after a bind. 0 or -errno. */
export function cgroupSock(sk: Socket, type: u32): i32 {
  if (!cgroupActive(type)) return 0;
  const r = hookEnter(RUN_SOCK, 0, sk.ns, BPF_SOCK_BYTES);
  if (changetype<usize>(r) == 0) return 0;
  r.sock = changetype<usize>(sk);
  sockWrite(r.sock, r.ctx);
  const result = runAll(r, sk, type);
  if (type == CGROUP_INET_SOCK_CREATE && result == 0) {
    // bound_dev_if, mark and priority may be written.
    setScope(sk, load<u32>(r.ctx));
    const mark = load<u32>(r.ctx, 16);
    if (mark != 0 && changetype<usize>(sockCreds(sk)) != 0) changetype<SockCreds>(sk.creds).mark = mark;
  }
  hookLeave(r);
  return result;
}

export function cgroupRelease(sk: Socket): void {
  if (cgroupActive(CGROUP_INET_SOCK_RELEASE)) cgroupSock(sk, CGROUP_INET_SOCK_RELEASE);
  if (sockBpfOf(sk) != 0 && changetype<SockBpf>(sockBpfOf(sk)).cgroup != 0) changetype<Cgroup>(changetype<SockBpf>(sockBpfOf(sk)).cgroup).refs--;
}

// What programs made of an address (struct sockaddr); read at once.
export let addressHi: u64 = 0;
export let addressLo: u64 = 0;
export let addressPort: u32 = 0;
export let messageHi: u64 = 0;
export let messageLo: u64 = 0;

/** Takes an address as it is, where no program looks at it. */
export function addressIs(hi: u64, lo: u64, port: u32): void {
  addressHi = hi;
  addressLo = lo;
  addressPort = port;
}

/**
 * Programs on an address that the socket is to bind or connect to, sends to, got something from, or is told: 0 with the address in
 * `address*`, or -errno. `type4` is the attach type of AF_INET, the next one that of AF_INET6. `source`: of a datagram that is sent.
 */
export function cgroupAddress(sk: Socket, type4: u32, hi: u64, lo: u64, port: u32, sourceHi: u64 = 0, sourceLo: u64 = 0): i32 {
  const six = (sk.flags & SK_INET6) != 0, type = six ? type4 + 1 : type4;
  addressIs(hi, lo, port);
  messageHi = sourceHi;
  messageLo = sourceLo;
  if (!cgroupActive(type)) return 0;
  const r = hookEnter(RUN_SOCK_ADDR, 0, sk.ns, SOCK_ADDR_BYTES);
  if (changetype<usize>(r) == 0) return 0;
  r.sock = changetype<usize>(sk);
  const c = r.ctx;
  memory.fill(c, 0, SOCK_ADDR_BYTES);
  store<u32>(c, six ? 10 : 2);
  if (six) {
    store<u64>(c, hi, 8);
    store<u64>(c, lo, 16);
    store<u64>(c, sourceHi, 44);
    store<u64>(c, sourceLo, 52);
  } else {
    store<u32>(c, raw4(lo), 4);
    store<u32>(c, raw4(sourceLo), 40);
  }
  store<u32>(c, <u32>bswap<u16>(<u16>port), 24);
  store<u32>(c, six ? 10 : 2, 28);
  store<u32>(c, sockType(r.sock), 32);
  store<u32>(c, sockProtocol(r.sock), 36);
  store<u64>(c, <u64>sockView(r, r.sock), 64);
  const result = runAll(r, sk, type);
  if (six) {
    addressHi = load<u64>(c, 8);
    addressLo = load<u64>(c, 16);
    messageHi = load<u64>(c, 44);
    messageLo = load<u64>(c, 52);
  } else {
    addressLo = mapped4(load<u32>(c, 4));
    messageLo = mapped4(load<u32>(c, 40));
  }
  addressPort = <u32>bswap<u16>(load<u16>(c, 24));
  hookLeave(r);
  return result;
}
