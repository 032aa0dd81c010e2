// BPF_PROG_TEST_RUN of types whose context is all there is: the bytes given are what the program sees, and go back as it left them. Linux has test
// runs of a few of these only (raw tracepoints, sk_lookup, syscall); the others run here as their hooks would run them.
import { BPF_FUEL } from "../../abi/bpf";
import { E2BIG, EAGAIN, EINVAL, ENOMEM, ERANGE } from "../../abi/core";
import { Netns } from "../../layout";
import { kfree, kmallocRaw } from "../../mm/slab";
import { BpfProg } from "../prog";
import { BpfRun, CTX_ROOM, RUN_NONE, RUN_SK_LOOKUP, RUN_SK_MSG, RUN_SOCK_ADDR, RUN_SOCK_OPS, RUN_TRACE, bpfEnter, bpfGo, bpfLeave } from "../run";
import { TestOut } from "./test-run";

const KPROBE: u32 = 2, TRACEPOINT: u32 = 5, PERF_EVENT: u32 = 7, SOCK_OPS: u32 = 13, SK_MSG: u32 = 16, RAW_TRACEPOINT: u32 = 17, SOCK_ADDR: u32 = 18,
  SK_REUSEPORT: u32 = 21, RAW_TRACEPOINT_WRITABLE: u32 = 24, CGROUP_SOCKOPT: u32 = 25, TRACING: u32 = 26, SK_LOOKUP: u32 = 30;
/** Arguments of a raw tracepoint at most (MAX_BPF_FUNC_ARGS). */
const RAW_ARGUMENTS: u32 = 12;
const SK_LOOKUP_BYTES: u32 = 64; // struct bpf_sk_lookup

/** One run of `prog`: 0 or -errno; `ctx` is changed in place, `out` is as testRunSkb() leaves it. */
export function testRunContext(prog: BpfProg, ns: Netns, ctx: usize, ctxLength: u32, data: usize, length: u32, repeat: u32, flags: u32, out: TestOut): i32 {
  const refused = admissible(prog.type, ctx, ctxLength, length, repeat, flags);
  if (refused != 0) return refused;
  const bytes = length == 0 ? 0 : kmallocRaw(length);
  if (length != 0 && bytes == 0) return -ENOMEM;
  const run = bpfEnter();
  if (changetype<usize>(run) == 0) {
    kfree(bytes, length);
    return -EAGAIN;
  }
  if (length != 0) memory.copy(bytes, data, <usize>length);
  memory.copy(run.ctx, ctx, <usize>ctxLength);
  memory.fill(run.ctx + <usize>ctxLength, 0, <usize>(CTX_ROOM - ctxLength));
  run.ctxLength = CTX_ROOM;
  run.kind = kindOf(prog.type);
  run.ns = changetype<usize>(ns);
  run.packet = bytes;
  run.packetEnd = bytes + <usize>length;
  pointers(prog.type, run, true);
  if (run.kind == RUN_TRACE) {
    run.args = run.ctx;
    run.argCount = prog.type == RAW_TRACEPOINT || prog.type == TRACING ? ctxLength >>> 3 : 0;
  }
  for (let i: u32 = 0; i < max<u32>(repeat, 1); i++) {
    run.fuel = <i64>BPF_FUEL;
    out.r0 = bpfGo(run, prog);
    if (run.fault != 0) break;
  }
  out.fault = run.fault;
  out.slot = run.faultSlot;
  out.address = run.faultAddress;
  out.size = run.faultSize;
  out.helper = run.fault != 0 ? run.helper : 0;
  out.fuel = <u64>run.fuel;
  pointers(prog.type, run, false);
  memory.copy(ctx, run.ctx, <usize>ctxLength);
  out.ctxLength = ctxLength;
  out.dataLength = length;
  if (length != 0) memory.copy(data, bytes, <usize>length);
  out.dataAt = data;
  bpfLeave(run);
  kfree(bytes, length);
  return 0;
}

/** What bpf_prog_test_run_raw_tp and bpf_prog_test_run_sk_lookup look at first. */
function admissible(type: u32, ctx: usize, ctxLength: u32, length: u32, repeat: u32, flags: u32): i32 {
  if (ctxLength > CTX_ROOM) return -E2BIG;
  switch (type) {
    case RAW_TRACEPOINT: case RAW_TRACEPOINT_WRITABLE:
      if (length != 0 || repeat != 0 || (flags & ~<u32>1) != 0 || ctxLength > RAW_ARGUMENTS << 3) return -EINVAL;
      return 0;
    case SK_LOOKUP: {
      if (flags != 0 || length != 0 || ctxLength == 0) return -EINVAL;
      if (load<u64>(ctx) != 0) return -EINVAL;
      for (let i: u32 = SK_LOOKUP_BYTES + 8; i < ctxLength; i++) if (load<u8>(ctx + <usize>i) != 0) return -E2BIG;
      // local_port is in host order and of 16 bits
      return ctxLength >= 64 && load<u32>(ctx, 60) > 0xffff ? -ERANGE : 0;
    }
    default: return 0;
  }
}

function kindOf(type: u32): u32 {
  switch (type) {
    case SOCK_ADDR: return RUN_SOCK_ADDR;
    case SOCK_OPS: return RUN_SOCK_OPS;
    case SK_MSG: return RUN_SK_MSG;
    case SK_LOOKUP: return RUN_SK_LOOKUP;
    case KPROBE: case TRACEPOINT: case PERF_EVENT: case RAW_TRACEPOINT: case RAW_TRACEPOINT_WRITABLE: case TRACING: return RUN_TRACE;
    default: return RUN_NONE;
  }
}

/** The pointers to the data that a context has: put in before the run, and out after it. */
function pointers(type: u32, run: BpfRun, put: bool): void {
  let at: usize = 0;
  if (type == CGROUP_SOCKOPT) at = 8; // optval, optval_end
  else if (type != SK_MSG && type != SK_REUSEPORT) return;
  store<u64>(run.ctx + at, put ? <u64>run.packet : 0);
  store<u64>(run.ctx + at, put ? <u64>run.packetEnd : 0, 8);
}
