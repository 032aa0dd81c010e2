// What belongs to one socket: its cgroup, its filter, its cookie (net/core/sock.c, filter.c sk_attach_filter, sock_diag.c). Sockets without any
// of it have a 0 in SockCreds.bpf and belong to the cgroup of their namespace.
import { BPF_SOCK_FILTER, SOCKFILTER_BPF, SOCKFILTER_CLASSIC, SOCKFILTER_NONE } from "../../abi/bpf-attach";
import { EBADF, EINVAL, ENOENT, ENOMEM } from "../../abi/core";
import { Netns, Skb } from "../../layout";
import { HANDLE_SOCKET, handleGet } from "../../mm/handle";
import { kfree, kmalloc } from "../../mm/slab";
import { skbLength } from "../../net/skb";
import { SockCreds, Socket, sockCreds } from "../../sock/socket";
import { BPF_INSTRUCTION, BPF_MAXINSNS, BPF_SCRATCH, cbpfCheck, cbpfRun } from "../cbpf";
import { BpfProg, progGet, progHold, progPut } from "../prog";
import { RUN_SKB } from "../run";
import { cgroupRelease, cgroupSkbIngress } from "./cgroup";
import { SKB_CTX_BYTES, skbCtxFill, skbCtxStore } from "./context";
import { HookRun, HookState, hookEnter, hookGo, hookLeave, hookSkb, hookState, progFields } from "./state";
import { observeVerdict } from "./trace";

const TYPE_SOCKET_FILTER: u32 = 1;

@unmanaged export class SockBpf {
  cookie: u64;
  cgroup: usize; // Cgroup, a reference; 0: the namespace's
  filter: usize; // BpfProg, a reference
  classic: usize; // instructions, behind them BPF_SCRATCH bytes
  classicCount: u32;
  /** bpf_sock_ops_cb_flags_set */
  opsFlags: u32;
  priority: u32;
}

/** The socket's, made where there is none; null (0): no memory. */
export function sockBpf(sk: Socket): SockBpf {
  const creds = sockCreds(sk);
  if (changetype<usize>(creds) == 0 || changetype<usize>(hookState()) == 0) return changetype<SockBpf>(0);
  if (creds.bpf == 0) creds.bpf = kmalloc(<u32>offsetof<SockBpf>());
  return changetype<SockBpf>(creds.bpf);
}

/** The socket's; 0: it has none. */
@inline export function sockBpfOf(sk: Socket): usize {
  return sk.creds == 0 ? 0 : changetype<SockCreds>(sk.creds).bpf;
}

/** The socket ends. */
export function sockBpfExit(sk: Socket): void {
  cgroupRelease(sk);
  const at = sockBpfOf(sk);
  if (at == 0) return;
  filterFree(changetype<SockBpf>(at));
  kfree(at, <u32>offsetof<SockBpf>());
  changetype<SockCreds>(sk.creds).bpf = 0;
}

function filterFree(b: SockBpf): void {
  if (b.filter != 0) progPut(changetype<BpfProg>(b.filter));
  if (b.classic != 0) kfree(b.classic, b.classicCount * BPF_INSTRUCTION + BPF_SCRATCH);
  b.filter = 0;
  b.classic = 0;
}

/** A number that no other socket of the node had (sock_gen_cookie). 0: no memory. */
export function sockCookie(sk: Socket): u64 {
  const b = sockBpf(sk);
  if (changetype<usize>(b) == 0) return 0;
  if (b.cookie == 0) b.cookie = ++hookState().cookie;
  return b.cookie;
}

/** SO_ATTACH_BPF, SO_ATTACH_FILTER, SO_DETACH_FILTER: the record of BPF_SOCK_FILTER. */
export function sockFilterCommand(record: usize, length: u32): i32 {
  const at = handleGet(HANDLE_SOCKET, load<u32>(record));
  if (at == 0 || length < 12) return at == 0 ? -EBADF : -EINVAL;
  const sk = changetype<Socket>(at), kind = load<u32>(record, 4), what = load<u32>(record, 8);
  const b = sockBpf(sk);
  if (changetype<usize>(b) == 0) return -ENOMEM;
  if (kind == SOCKFILTER_NONE) {
    if (b.filter == 0 && b.classic == 0) return -ENOENT;
    filterFree(b);
    return 0;
  }
  if (kind == SOCKFILTER_BPF) {
    const prog = progGet(what);
    if (prog == 0) return -EBADF;
    if (changetype<BpfProg>(prog).type != TYPE_SOCKET_FILTER) return -EINVAL;
    progHold(changetype<BpfProg>(prog));
    filterFree(b);
    b.filter = prog;
    return 0;
  }
  if (kind != SOCKFILTER_CLASSIC || what == 0 || what > BPF_MAXINSNS || length - 12 < what * BPF_INSTRUCTION) return -EINVAL;
  const bytes = what * BPF_INSTRUCTION;
  const masks = kmalloc(what << 1), own = kmalloc(bytes + BPF_SCRATCH);
  if (masks == 0 || own == 0) {
    kfree(masks, what << 1);
    kfree(own, bytes + BPF_SCRATCH);
    return -ENOMEM;
  }
  memory.copy(own, record + 12, <usize>bytes);
  const sound = cbpfCheck(own, what, masks);
  kfree(masks, what << 1);
  if (!sound) {
    kfree(own, bytes + BPF_SCRATCH);
    return -EINVAL;
  }
  filterFree(b);
  b.classic = own;
  b.classicCount = what;
  return 0;
}

/**
 * A packet, its data where the socket's protocol has them, is about to be queued (sk_filter_trim_cap): programs of the cgroup, then
 * the socket's filter, which may cut it down to `least` bytes. False: it is to be dropped.
 */
export function sockFilter(sk: Socket, skb: Skb, least: u32): bool {
  if (!cgroupSkbIngress(sk, skb)) return false;
  const own = sockBpfOf(sk);
  if (own == 0) return true;
  const b = changetype<SockBpf>(own);
  let keep: u32;
  if (b.classic != 0) {
    const code = b.classic;
    memory.fill(code + <usize>(b.classicCount * BPF_INSTRUCTION), 0, BPF_SCRATCH);
    keep = cbpfRun(code, b.classicCount, skb, code + <usize>(b.classicCount * BPF_INSTRUCTION), skb.data);
  } else if (b.filter != 0) keep = runFilter(sk, skb, b.filter);
  else return true;
  if (keep == 0) return false;
  if (keep < least) keep = least;
  if (keep < skbLength(skb)) skb.tail = skb.data + <usize>keep;
  return true;
}

/** bpf_prog_run_save_cb: cb is the program's own, and TCP's again afterwards. */
function runFilter(sk: Socket, skb: Skb, prog: usize): u32 {
  const r = hookEnter(RUN_SKB, 0, sk.ns, SKB_CTX_BYTES);
  if (changetype<usize>(r) == 0) return 0;
  const cb0 = skb.cb0, cb1 = skb.cb1, cb2 = skb.cb2;
  const answer = sockProgram(r, sk, skb, prog, 0);
  skb.cb0 = cb0;
  skb.cb1 = cb1;
  skb.cb2 = cb2;
  hookLeave(r);
  return answer;
}

/** One program on a packet of a socket, with cb zeroed. */
export function sockProgram(r: HookRun, sk: Socket, skb: Skb, prog: usize, attach: u32): u32 {
  hookSkb(r, skb);
  r.sock = changetype<usize>(sk);
  r.dev = skb.dev != 0 ? skb.dev : skb.rtDev;
  r.fields = progFields(prog);
  skb.cb0 = 0;
  skb.cb1 = 0;
  skb.cb2 = 0;
  skbCtxFill(r);
  const answer = hookGo(r, prog, 0);
  skbCtxStore(r);
  observeVerdict(skb, sk.ns, r.dev, attach, prog, answer);
  return answer;
}
