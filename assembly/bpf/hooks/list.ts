// Several programs at one hook, in an order that who attaches them chooses (kernel/bpf/mprog.c): before or after a program or link, in
// place of one, at either end.
import { EBUSY, EEXIST, EINVAL, ENOENT, ERANGE } from "../../abi/core";
import { kfree, kmalloc } from "../../mm/slab";
import { BpfProg, progPut } from "../prog";
import { linkDetached } from "./link";

// include/uapi/linux/bpf.h
export const BPF_F_REPLACE: u32 = 4;
export const BPF_F_BEFORE: u32 = 8;
export const BPF_F_AFTER: u32 = 16;
export const BPF_F_ID: u32 = 32;
export const BPF_F_LINK: u32 = 0x2000;
const ESTALE: i32 = 116;
/** BPF_MPROG_MAX */
export const PROGS_MAX: u32 = 64;

/** {usize prog, usize link} follow, in the order in which they run. */
@unmanaged export class ProgList {
  revision: u64;
  count: u32;
}
const ENTRIES_AT: usize = (offsetof<ProgList>() + 7) & ~7;
const ENTRY_BYTES: usize = 8;
const LIST_BYTES: u32 = <u32>(ENTRIES_AT + ENTRY_BYTES * PROGS_MAX);

@inline export function listProg(list: usize, i: u32): usize {
  return <usize>load<u32>(list + ENTRIES_AT + <usize>i * ENTRY_BYTES);
}
@inline export function listLink(list: usize, i: u32): usize {
  return <usize>load<u32>(list + ENTRIES_AT + <usize>i * ENTRY_BYTES, 4);
}
@inline function setEntry(list: usize, i: u32, prog: usize, link: usize): void {
  store<u32>(list + ENTRIES_AT + <usize>i * ENTRY_BYTES, <u32>prog);
  store<u32>(list + ENTRIES_AT + <usize>i * ENTRY_BYTES, <u32>link, 4);
}

/** 0: no memory. */
export function progListNew(): usize {
  const at = kmalloc(LIST_BYTES);
  if (at != 0) changetype<ProgList>(at).revision = 1;
  return at;
}

/** The hook ends with all that is attached to it. */
export function progListFree(list: usize): void {
  if (list == 0) return;
  const l = changetype<ProgList>(list);
  for (let i: u32 = 0; i < l.count; i++) {
    if (listLink(list, i) != 0) linkDetached(listLink(list, i));
    else progPut(changetype<BpfProg>(listProg(list, i)));
  }
  kfree(list, LIST_BYTES);
}

/** Where the entry with this program or link stands; -1: nowhere. */
export function listFind(list: usize, prog: usize, link: usize): i32 {
  const l = changetype<ProgList>(list);
  for (let i: u32 = 0; i < l.count; i++) {
    if (link != 0 ? listLink(list, i) == link : listLink(list, i) == 0 && listProg(list, i) == prog) return <i32>i;
  }
  return -1;
}

/** The position of what BPF_F_BEFORE or BPF_F_AFTER relates to: a program (`relative`) or a link; -1: it is not attached here. */
function position(list: usize, relative: usize, isLink: bool): i32 {
  const l = changetype<ProgList>(list);
  for (let i: u32 = 0; i < l.count; i++) {
    if ((isLink ? listLink(list, i) : listProg(list, i)) == relative) return <i32>i;
  }
  return -1;
}

/**
 * bpf_mprog_attach: `prog` by itself or for `link`; `relative` is a program, or with BPF_F_LINK a link, `replaced` the program that
 * BPF_F_REPLACE names. The caller's reference to the program becomes the list's. 0 or -errno.
 */
export function listAttach(list: usize, prog: usize, link: usize, replaced: usize, relative: usize, flags: u32, revision: u64): i32 {
  const l = changetype<ProgList>(list);
  if (revision != 0 && revision != l.revision) return -ESTALE;
  if (flags & BPF_F_REPLACE) {
    if ((flags & (BPF_F_BEFORE | BPF_F_AFTER)) != 0 || link != 0) return -EINVAL;
    if (listFind(list, prog, 0) >= 0) return -EEXIST;
    const at = position(list, replaced, false);
    if (at < 0) return -ENOENT;
    if (listLink(list, <u32>at) != 0) return -EBUSY;
    progPut(changetype<BpfProg>(replaced));
    setEntry(list, <u32>at, prog, 0);
    l.revision++;
    return 0;
  }
  for (let i: u32 = 0; i < l.count; i++) if (listProg(list, i) == prog) return -EEXIST;
  let at: i32 = <i32>l.count;
  if (relative != 0) {
    if ((flags & (BPF_F_BEFORE | BPF_F_AFTER)) == 0) return -EINVAL;
    const found = position(list, relative, (flags & BPF_F_LINK) != 0);
    if (found < 0) return -ENOENT;
    if ((flags & (BPF_F_BEFORE | BPF_F_AFTER)) == (BPF_F_BEFORE | BPF_F_AFTER)) return -ERANGE;
    at = flags & BPF_F_BEFORE ? found : found + 1;
  } else if (flags & BPF_F_BEFORE) {
    // At the front; with BPF_F_AFTER too there has to be nothing yet.
    if ((flags & BPF_F_AFTER) != 0 && l.count != 0) return -ERANGE;
    at = 0;
  }
  if (l.count == PROGS_MAX) return -ERANGE;
  for (let i = <i32>l.count; i > at; i--) setEntry(list, <u32>i, listProg(list, <u32>i - 1), listLink(list, <u32>i - 1));
  setEntry(list, <u32>at, prog, link);
  l.count++;
  l.revision++;
  return 0;
}

/** Puts an entry at `at`, or in place of the one there; the caller looked at everything. The list takes over the reference of a program. */
export function listPut(list: usize, at: i32, prog: usize, link: usize, over: bool): void {
  const l = changetype<ProgList>(list);
  if (over) {
    if (listLink(list, <u32>at) != 0) linkDetached(listLink(list, <u32>at));
    else progPut(changetype<BpfProg>(listProg(list, <u32>at)));
  } else {
    for (let i = <i32>l.count; i > at; i--) setEntry(list, <u32>i, listProg(list, <u32>i - 1), listLink(list, <u32>i - 1));
    l.count++;
  }
  setEntry(list, <u32>at, prog, link);
  l.revision++;
}

/**
 * bpf_mprog_detach: the program (0: the one at the end that the flags name), or what stands for `link`. The list's reference goes,
 * where it is not a link's. 0 or -errno.
 */
export function listDetach(list: usize, prog: usize, link: usize, relative: usize, flags: u32, revision: u64): i32 {
  const l = changetype<ProgList>(list);
  if (flags & BPF_F_REPLACE) return -EINVAL;
  if (revision != 0 && revision != l.revision) return -ESTALE;
  if (l.count == 0) return -ENOENT;
  let at: i32;
  if (link != 0) at = listFind(list, 0, link);
  else if (relative != 0) {
    at = position(list, relative, (flags & BPF_F_LINK) != 0);
    if (at >= 0) at += flags & BPF_F_BEFORE ? -1 : flags & BPF_F_AFTER ? 1 : 0;
    if (at >= <i32>l.count) return -ENOENT;
  } else if (prog != 0) at = position(list, prog, false);
  else at = flags & BPF_F_BEFORE ? 0 : <i32>l.count - 1;
  if (at < 0) return -ENOENT;
  if (prog != 0 && listProg(list, <u32>at) != prog) return -EINVAL;
  if (link == 0) {
    if (listLink(list, <u32>at) != 0) return -EBUSY;
    progPut(changetype<BpfProg>(listProg(list, <u32>at)));
  }
  for (let i = <u32>at; i + 1 < l.count; i++) setEntry(list, i, listProg(list, i + 1), listLink(list, i + 1));
  l.count--;
  l.revision++;
  return 0;
}

/** The program of a link changes. */
export function listUpdate(list: usize, link: usize, prog: usize): void {
  const at = listFind(list, 0, link);
  if (at >= 0) setEntry(list, <u32>at, prog, link);
  changetype<ProgList>(list).revision++;
}
