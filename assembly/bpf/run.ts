// Running a program: what a run owns, nesting, callbacks and tail calls (kernel/bpf/trampoline.c, kernel/bpf/core.c bpf_prog_run,
// include/linux/filter.h). A hook takes a run with bpfEnter(), fills in what the program shall see, calls bpfGo() once or more, and ends with
// bpfLeave(). Runs nest 4 deep: a tracing program runs while a program of tc runs.
//
//   BpfRun │ register files │ owned pieces │ context │ stack: frames of 512 bytes, the main program's first
import { BPF_FAULT_DEPTH, BPF_FUEL, BPF_MAX_CALL_FRAMES, BPF_MAX_TAIL_CALLS, BPF_STACK } from "../abi/bpf";
import { kmalloc } from "../mm/slab";
import { node } from "../mm/node";
import { bpfFault, progChecked } from "./memory";
import { bpfProgArrayGet } from "./maps/prog-array";
import { BpfProg, progCompiled } from "./prog";
import { RETURN, interpret } from "./vm";

/** What stands behind a context. */
export const RUN_NONE: u32 = 0, RUN_SKB: u32 = 1, RUN_XDP: u32 = 2, RUN_SOCK: u32 = 3, RUN_SOCK_ADDR: u32 = 4, RUN_SOCK_OPS: u32 = 5,
  RUN_SK_MSG: u32 = 6, RUN_SK_LOOKUP: u32 = 7, RUN_NETFILTER: u32 = 8, RUN_REUSEPORT: u32 = 9, RUN_FLOW: u32 = 10, RUN_TRACE: u32 = 11;

export const RUNS_NESTED: u32 = 4;
/** Frames of all programs of a run together; one program has at most BPF_MAX_CALL_FRAMES. */
const FRAMES: u32 = 64;
/** r0 to r10; where an interpreted caller goes on; its count of may_goto. */
export const REGISTERS: usize = 128;
export const OWNED_MAX: u32 = 256;
export const CTX_ROOM: u32 = 512;

/** A run. The first fields are those of BPF_RUN_* (abi/bpf.ts), which compiled code knows. */
@unmanaged export class BpfRun {
  fp: usize; stackEnd: usize;
  fuel: i64;
  r0: u64;
  fault: u32; faultSlot: u32;
  faultAddress: u64;
  faultSize: u32;
  tailCalls: u32;
  prog: usize; // BpfProg that runs
  ctx: usize;
  r2: u64;

  ctxLength: u32; // bytes of the context that an unverified program may touch
  kind: u32; // RUN_*
  object: usize; // Skb, XdpBuff, Socket … by kind
  packet: usize; packetEnd: usize; // what an unverified program may touch of it
  ns: usize; // Netns
  checked: u32; // 1: the program that runs is not verified
  stack: usize; stackLimit: usize;
  registers: usize;
  owned: usize; ownedCount: u32;
  helper: u32; // the one that is running, for faults
  context: usize; // CTX_ROOM bytes
  cookie: u64; // bpf_get_attach_cookie
  func: usize; // bpf_get_func_ip
  args: usize; // arguments of the traced function: u64[], and what it returned
  argCount: u32;
  returned: u32; // 1: it has
  // bpf_redirect_info and what belongs to it: the hooks'
  redirect0: u64; redirect1: u64; redirect2: u64; redirect3: u64; redirect4: u64; redirect5: u64; redirect6: u64; redirect7: u64;
}

/** What a node keeps for BPF. */
@unmanaged export class BpfState {
  progs: usize; // BpfProg, the newest first
  nextId: u32;
  depth: u32;
  run0: usize; run1: usize; run2: usize; run3: usize;
  trace: usize; traceBytes: u32; traceLost: u32; // helpers/printf.ts
  tracing: usize; // hooks/tracing.ts
  // The task that is said to run: tgid << 32 | pid, gid << 32 | uid, TASK_COMM_LEN bytes; where a task_struct would begin.
  pidTgid: u64;
  uidGid: u64;
  comm: u64; comm1: u64;
  task: u64;
}

let current: usize = 0;

/** The run of the program that is running: for helpers. */
@inline export function bpfCurrent(): BpfRun {
  return changetype<BpfRun>(current);
}

/** The state of the node, made when it is first asked for; never 0 (a node without memory traps nowhere: see bpfReady). */
export function bpfState(): BpfState {
  return changetype<BpfState>(node().bpf);
}

/** Makes the node's state; false: no memory. */
export function bpfReady(): bool {
  const n = node();
  if (n.bpf != 0) return true;
  n.bpf = kmalloc(offsetof<BpfState>());
  return n.bpf != 0;
}

function newRun(): usize {
  const head: u32 = <u32>((offsetof<BpfRun>() + 15) & ~15);
  const bytes = head + FRAMES * (<u32>REGISTERS + BPF_STACK) + OWNED_MAX * 12 + CTX_ROOM;
  const at = kmalloc(bytes);
  if (at == 0) return 0;
  const run = changetype<BpfRun>(at);
  run.registers = at + <usize>head;
  run.owned = run.registers + <usize>FRAMES * REGISTERS;
  run.context = run.owned + <usize>(OWNED_MAX * 12);
  run.stack = run.context + <usize>CTX_ROOM;
  run.stackLimit = run.stack + <usize>(FRAMES * BPF_STACK);
  return at;
}

/** The next level of nesting, with `ctx` at CTX_ROOM bytes of scratch; 0: nested too deeply, or no memory: a miss. */
export function bpfEnter(): BpfRun {
  const state = bpfState();
  if (state.depth >= RUNS_NESTED) return changetype<BpfRun>(0);
  const level = changetype<usize>(state) + offsetof<BpfState>("run0") + (<usize>state.depth << 2);
  let at = <usize>load<u32>(level);
  if (at == 0) {
    at = newRun();
    if (at == 0) return changetype<BpfRun>(0);
    store<u32>(level, <u32>at);
  }
  state.depth++;
  current = at;
  const run = changetype<BpfRun>(at);
  run.ctx = run.context;
  run.ctxLength = 0;
  run.kind = RUN_NONE;
  run.object = 0;
  run.packet = 0;
  run.packetEnd = 0;
  run.ns = 0;
  run.r2 = 0;
  run.fuel = <i64>BPF_FUEL;
  run.fault = 0;
  run.ownedCount = 0;
  run.cookie = 0;
  run.func = 0;
  run.args = 0;
  run.argCount = 0;
  run.returned = 0;
  run.redirect0 = 0; run.redirect1 = 0; run.redirect2 = 0; run.redirect3 = 0;
  run.redirect4 = 0; run.redirect5 = 0; run.redirect6 = 0; run.redirect7 = 0;
  return run;
}

/** Ends what bpfEnter() began. */
export function bpfLeave(run: BpfRun): void {
  const state = bpfState();
  state.depth--;
  current = state.depth == 0 ? 0 : <usize>load<u32>(changetype<usize>(state) + offsetof<BpfState>("run0") + (<usize>(state.depth - 1) << 2));
}

/** Runs a program from its first frame: r0; 0 with run.fault set when it came to a bad end. */
export function bpfGo(run: BpfRun, prog: BpfProg): u64 {
  run.tailCalls = 0;
  run.fault = 0;
  run.faultSlot = u32.MAX_VALUE;
  run.faultAddress = 0;
  run.faultSize = 0;
  run.helper = 0;
  run.ownedCount = 0;
  run.fp = run.stack + <usize>BPF_STACK;
  prog.runs++;
  const r0 = start(run, prog, <u64>run.ctx);
  if (run.fault == 0) return r0;
  prog.faults++;
  return 0;
}

/** The program in the frame run.fp. */
function start(run: BpfRun, prog: BpfProg, ctx: u64): u64 {
  run.prog = changetype<usize>(prog);
  run.checked = progChecked(prog);
  run.stackEnd = min<usize>(run.stackLimit, run.fp + <usize>((BPF_MAX_CALL_FRAMES - 1) * BPF_STACK));
  if (run.checked) memory.fill(run.fp - <usize>BPF_STACK, 0, <usize>BPF_STACK);
  if (prog.jitMain != 0) return call_indirect<u64>(prog.jitMain, <u32>ctx, changetype<usize>(run));
  const r = registersOf(run);
  // Not where the frame's caller goes on: a tail call's target returns there.
  if (run.checked) memory.fill(r, 0, RETURN);
  store<u64>(r, ctx, 8);
  store<u64>(r, run.r2, 16);
  store<u64>(r, <u64>run.fp, 80);
  return interpret(run, <usize>load<u32>(prog.entries), r);
}

/** The register file of the frame run.fp. */
@inline function registersOf(run: BpfRun): usize {
  return run.registers + ((run.fp - run.stack) / <usize>BPF_STACK - 1) * REGISTERS;
}

/**
 * Calls the subprogram that begins at `slot` of the program that is running, in a frame of its own: for helpers that call back. Returns r0; callers
 * look at run.fault afterwards and stop when it is set.
 */
export function bpfCallSubprogram(slot: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const run = bpfCurrent(), prog = changetype<BpfProg>(run.prog);
  const entry = slot < prog.slots ? <usize>load<u32>(prog.entries + <usize>(slot << 2)) : 0;
  const fp = run.fp;
  if (entry == 0 || fp + <usize>BPF_STACK > run.stackEnd) {
    bpfFault(run, BPF_FAULT_DEPTH, 0, 0);
    return 0;
  }
  run.fp = fp + <usize>BPF_STACK;
  if (run.checked) memory.fill(fp, 0, <usize>BPF_STACK);
  const compiled = prog.jitMain != 0 ? progCompiled(prog, slot) : 0;
  let r0: u64 = 0;
  if (compiled != 0) r0 = call_indirect<u64>(compiled, r1, r2, r3, r4, r5, changetype<usize>(run));
  else {
    const r = registersOf(run);
    if (run.checked) memory.fill(r, 0, REGISTERS);
    store<u64>(r, r1, 8);
    store<u64>(r, r2, 16);
    store<u64>(r, r3, 24);
    store<u64>(r, r4, 32);
    store<u64>(r, r5, 40);
    store<u64>(r, <u64>run.fp, 80);
    r0 = interpret(run, entry, r);
  }
  run.fp = fp;
  return run.fault == 0 ? r0 : 0;
}

/** Runs a subprogram by itself, outside of any program: timers, work queues. Not run when nested too deeply. */
export function bpfRunCallback(at: usize, slot: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const run = bpfEnter(), prog = changetype<BpfProg>(at);
  if (changetype<usize>(run) == 0) {
    prog.misses++;
    return 0;
  }
  run.prog = at;
  run.checked = progChecked(prog);
  run.tailCalls = 0;
  run.faultSlot = u32.MAX_VALUE;
  run.helper = 0;
  // The callback's frame comes behind an empty one, as that of a program that calls back.
  run.fp = run.stack + <usize>BPF_STACK;
  run.stackEnd = run.fp + <usize>(BPF_MAX_CALL_FRAMES * BPF_STACK);
  const r0 = bpfCallSubprogram(slot, r1, r2, r3, r4, r5);
  if (run.fault != 0) prog.faults++;
  bpfLeave(run);
  return r0;
}

/** The program that is running: after a tail call the target. */
@inline export function bpfCurrentProg(): BpfProg {
  return changetype<BpfProg>(bpfCurrent().prog);
}

/**
 * bpf_tail_call: the program at `index` of the prog array runs in the frame of the one that is running, and what it returns (run.r0) is what the
 * frame returns. False: there is none, or it was one too many: the caller goes on.
 */
export function bpfTailCall(ctx: u64, map: u64, index: u64): bool {
  const run = bpfCurrent();
  const target = bpfProgArrayGet(map, <u32>index);
  if (target == 0 || run.tailCalls >= BPF_MAX_TAIL_CALLS) return false;
  run.tailCalls++;
  const prog = run.prog, checked = run.checked, fp = run.fp, stackEnd = run.stackEnd;
  run.r0 = start(run, changetype<BpfProg>(target), ctx);
  if (run.fault == 0) {
    run.prog = prog;
    run.checked = checked;
  }
  run.stackEnd = stackEnd;
  run.fp = fp;
  return true;
}
