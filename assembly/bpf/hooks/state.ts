// What a hook keeps while its programs run: the packet or socket behind the context, where a program sends it (struct
// bpf_redirect_info), and scratch for the uapi structures that programs see. One HookRun by depth of nesting; the programs
// of one list share it.
import { Skb } from "../../layout";
import { node } from "../../mm/node";
import { kmalloc } from "../../mm/slab";
import { BpfProg } from "../prog";
import { BpfRun, RUNS_NESTED, bpfCurrent, bpfEnter, bpfGo, bpfLeave, bpfReady } from "../run";

// HookRun.flags
export const HR_INGRESS: u32 = 1;
/** The packet begins with its Ethernet header. */
export const HR_L2: u32 = 2;
/** XDP on a packet that already is an skb (generic). */
export const HR_GENERIC: u32 = 4;
/** BPF_PROG_TEST_RUN: nothing may leave. */
export const HR_TEST: u32 = 8;
/** The packet's frame header is there (skb_mac_header_was_set). */
export const HR_LWT: u32 = 16;

@unmanaged export class HookRun {
  run: usize; // BpfRun
  kind: u32; // RUN_*
  flags: u32;
  skb: usize; // Skb; helpers change it when its buffer is another one
  dev: usize; // NetDevice of the hook
  ns: usize; // Netns
  sock: usize; // Socket
  fields: u64; // words of the context that the program looks at or writes
  ctx: usize; // the uapi structure
  wireLen: u32; // __sk_buff.wire_len
  classid: u32; // __sk_buff.tc_classid
  // XDP
  room: u32; // bytes that may still go before the data (and metadata)
  meta: u32; // bytes of metadata before the data
  limit: u32; // bytes that the data may grow at its end
  low: u32; // the least `room` so far
  egress: u32; // ifindex, in a device map's program
  // struct bpf_redirect_info
  riFlags: u32;
  riIfindex: u32;
  riMap: usize; riValue: usize; // an element of a map that leads somewhere
  riMapType: u32;
  riFamily: u32; // AF_*, 0: no next hop given
  riHi: u64; riLo: u64;
  // views of sockets handed out (bpf/hooks/sock-view.ts)
  views: u32;
  /** bpf_get_retval, bpf_set_retval. */
  retval: i32;
  selected: usize; // Socket: bpf_sk_assign, bpf_sk_select_reuseport
  selectedFlags: u32;
  /** Bytes of a cork or of an applied verdict; words of a sockops' reply. */
  word0: u32; word1: u32; word2: u32; word3: u32;
  extra: usize; // by kind
  iif: u32; // ingress_ifindex where the test run gives it
  testOut: usize;
  /** Id of the control group whose program runs, 0: none. */
  cgroup: u32;
}

export const KEYS_AT: usize = 256; // struct bpf_flow_keys
const KEYS_BYTES: usize = 64;
export const VIEWS_AT: usize = KEYS_AT + KEYS_BYTES;
export const VIEW_BYTES: usize = 224;
export const VIEWS_MAX: u32 = 8;
const LEVEL_BYTES: usize = VIEWS_AT + VIEW_BYTES * VIEWS_MAX;

/** Node.bpfHooks */
@unmanaged export class HookState {
  levels: usize; // HookRun at every LEVEL_BYTES
  depth: u32;
  redirects: u32; // sent from a program, one within another
  links: usize; // bpf/hooks/link.ts: all links
  cgroups: usize; // bpf/hooks/cgroup.ts: Cgroup list
  nextLink: u32;
  nextCgroup: u32;
  tunnels: usize; // bpf/hooks/tunnel.ts
  tunnelNext: u32;
  active: u64; // bit by attach type: some cgroup has programs of it
  missed: u32; // programs that could not be run: nested too deep
  cookie: u64; // bpf_get_socket_cookie, bpf_get_netns_cookie: the next one
  redirectErrors: u32;
  exceptions: u32; // XDP programs that aborted, or answered what is none
  netns: usize;
}

/** The node's, made where there is none; null (0): no memory. */
export function hookState(): HookState {
  const n = node();
  if (n.bpfHooks != 0) return changetype<HookState>(n.bpfHooks);
  const at = bpfReady() ? kmalloc(<u32>offsetof<HookState>()) : 0;
  if (at == 0) return changetype<HookState>(0);
  const s = changetype<HookState>(at);
  s.levels = kmalloc(<u32>LEVEL_BYTES * RUNS_NESTED);
  if (s.levels == 0) return changetype<HookState>(0);
  s.nextLink = 1;
  s.nextCgroup = 1;
  n.bpfHooks = at;
  return s;
}

/** The state of the hook whose program runs; null (0): the run is none of a hook's. */
@inline export function hookRun(): HookRun {
  return changetype<HookRun>(<usize>bpfCurrent().redirect0);
}

/** Begins a run; null (0): too deep, or nothing was ever attached. `hookLeave` ends it. `bytes`: of the context. */
export function hookEnter(kind: u32, flags: u32, ns: usize, bytes: u32): HookRun {
  const s = changetype<HookState>(node().bpfHooks);
  if (changetype<usize>(s) == 0) return changetype<HookRun>(0);
  const run = bpfEnter();
  if (changetype<usize>(run) == 0) {
    s.missed++;
    return changetype<HookRun>(0);
  }
  const at = s.levels + <usize>s.depth * LEVEL_BYTES;
  s.depth++;
  memory.fill(at, 0, offsetof<HookRun>());
  const r = changetype<HookRun>(at);
  r.run = changetype<usize>(run);
  r.kind = kind;
  r.flags = flags;
  r.ns = ns;
  r.ctx = run.ctx;
  run.kind = kind;
  run.ns = ns;
  run.ctxLength = bytes;
  run.redirect0 = <u64>at;
  return r;
}

export function hookLeave(r: HookRun): void {
  changetype<HookState>(node().bpfHooks).depth--;
  bpfLeave(changetype<BpfRun>(r.run));
}

/** The packet of the run, which may be another one than before. */
@inline export function hookSkb(r: HookRun, skb: Skb): void {
  r.skb = changetype<usize>(skb);
  changetype<BpfRun>(r.run).object = changetype<usize>(skb);
}

/** Runs a program on the context that stands there. A fault reads as `otherwise`. */
@inline export function hookGo(r: HookRun, prog: usize, otherwise: u32): u32 {
  const run = changetype<BpfRun>(r.run);
  const answer = <u32>bpfGo(run, changetype<BpfProg>(prog));
  return run.fault != 0 ? otherwise : answer;
}

/** Words of the context that a program uses. */
@inline export function progFields(prog: usize): u64 {
  const p = changetype<BpfProg>(prog);
  return p.ctxRead | p.ctxWritten;
}
