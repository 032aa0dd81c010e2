// Links: an attachment that is an object of its own (kernel/bpf/syscall.c, bpf_link). A link holds its program; its target may end before
// it, then nothing runs any more and the link says so.
import { BPF_FLOW_DISSECTOR, BPF_NETFILTER, BPF_SK_LOOKUP, BPF_TCX_EGRESS, BPF_TCX_INGRESS, BPF_XDP, LINKI_BYTES, LINKI_HOOK, LINKI_ID, LINKI_IFINDEX, LINKI_PF,
  LINKI_PRIORITY, LINKI_PROG, LINKI_TARGET, LINKI_TYPE } from "../../abi/bpf-attach";
import { NetDevice, Netns } from "../../layout";
import { HANDLE_BPF_LINK, handleFree, handleGet, handleNew } from "../../mm/handle";
import { kfree, kmalloc } from "../../mm/slab";
import { BpfProg, progHold, progPut } from "../prog";
import { HookState, hookState } from "./state";

@unmanaged export class Link {
  next: usize;
  handle: u32;
  id: u32;
  type: u32; // attach type
  prog: usize; // BpfProg, a reference
  target: usize; // NetDevice, Netns, Cgroup; 0: it is gone
  flags: u32; // as it was attached with
  cookie: u64; // bpf_get_attach_cookie
  // netfilter
  pf: u32; hook: u32; priority: i32;
  sequence: u32;
}

/** A link without a target; null (0): no memory. */
export function linkNew(type: u32, prog: usize): Link {
  const s = hookState();
  if (changetype<usize>(s) == 0) return changetype<Link>(0);
  const at = kmalloc(<u32>offsetof<Link>());
  if (at == 0) return changetype<Link>(0);
  const link = changetype<Link>(at);
  link.handle = handleNew(HANDLE_BPF_LINK, at);
  if (link.handle == 0) {
    kfree(at, <u32>offsetof<Link>());
    return changetype<Link>(0);
  }
  link.id = s.nextLink++;
  link.type = type;
  link.prog = prog;
  progHold(changetype<BpfProg>(prog));
  link.next = s.links;
  s.links = at;
  return link;
}

@inline export function linkGet(handle: u32): usize {
  return handleGet(HANDLE_BPF_LINK, handle);
}

/** By id, or 0. */
export function linkById(id: u32): usize {
  const s = hookState();
  if (changetype<usize>(s) == 0) return 0;
  for (let at = s.links; at != 0; at = changetype<Link>(at).next) if (changetype<Link>(at).id == id) return at;
  return 0;
}

/** Its target ends. */
export function linkDetached(link: usize): void {
  changetype<Link>(link).target = 0;
}

/** BPF_TRACE_RAW_TP, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_PERF_EVENT: its target is the node, its hook the point. */
export function isTraceLink(type: u32): bool {
  return (type >= 23 && type <= 25) || type == 41;
}

/** Ends a link that is detached. */
export function linkRelease(link: Link): void {
  const s = hookState(), at = changetype<usize>(link);
  let before = changetype<usize>(s) + offsetof<HookState>("links");
  while (<usize>load<u32>(before) != at) before = <usize>load<u32>(before); // `next` is the first field
  store<u32>(before, <u32>link.next);
  handleFree(link.handle);
  progPut(changetype<BpfProg>(link.prog));
  kfree(at, <u32>offsetof<Link>());
}

/** LINKI_* record; returns its length. */
export function linkInfo(link: Link, to: usize): i32 {
  memory.fill(to, 0, LINKI_BYTES);
  store<u32>(to, link.id, LINKI_ID);
  store<u32>(to, link.type, LINKI_TYPE);
  store<u32>(to, changetype<BpfProg>(link.prog).id, LINKI_PROG);
  if (link.target != 0) {
    const type = link.type;
    if (type == BPF_XDP || type == BPF_TCX_INGRESS || type == BPF_TCX_EGRESS) {
      const dev = changetype<NetDevice>(link.target);
      store<u32>(to, changetype<Netns>(dev.ns).handle, LINKI_TARGET);
      store<u32>(to, dev.ifindex, LINKI_IFINDEX);
    } else if (isTraceLink(type)) store<u32>(to, link.hook, LINKI_HOOK);
    else if (type == BPF_NETFILTER || type == BPF_FLOW_DISSECTOR || type == BPF_SK_LOOKUP) store<u32>(to, changetype<Netns>(link.target).handle, LINKI_TARGET);
    else store<u32>(to, load<u32>(link.target, 4), LINKI_TARGET); // Cgroup.id
  }
  store<i32>(to, link.priority, LINKI_PRIORITY);
  store<u32>(to, link.hook, LINKI_HOOK);
  store<u32>(to, link.pf, LINKI_PF);
  return LINKI_BYTES;
}
