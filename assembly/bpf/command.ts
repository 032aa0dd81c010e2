// Commands of group OP_BPF (abi/bpf.ts): programs and runs here, maps and attachments in their folders.
import {
  BPF_FUEL, BPF_OUTCOME_ADDRESS, BPF_OUTCOME_BYTES, BPF_OUTCOME_CTX_LENGTH, BPF_OUTCOME_DATA_LENGTH, BPF_OUTCOME_FAULT, BPF_OUTCOME_FUEL, BPF_OUTCOME_HELPER,
  BPF_OUTCOME_R0, BPF_OUTCOME_SIZE, BPF_OUTCOME_SLOT, BPF_PROG_FREE, BPF_PROG_INFO, BPF_PROG_JIT, BPF_PROG_LOAD, BPF_PROG_RUN, BPF_PROG_TEST_RUN,
  BPF_TRACE_PIPE,
} from "../abi/bpf";
import { BPF_MAP_CREATE } from "../abi/bpf-maps";
import { EAGAIN, EBADF, EINVAL, ENOENT, ENOMEM, MAILBOX_BYTES } from "../abi/core";
import { traceTake } from "./helpers/printf";
import { bpfAttachCommand } from "./hooks/attach";
import { testRun } from "./hooks/test-run";
import { BPF_ATTACH } from "../abi/bpf-attach";
import { BPF_TRACE_ATTACH } from "../abi/bpf-trace";
import { traceCommand } from "./hooks/tracing";
import { kfree, kmallocRaw } from "../mm/slab";
import { bpfMapCommand } from "./maps/command";
import { testStorageGone } from "./maps/storage";
import { BpfProg, progFree, progGet, progInfo, progJit, progLoad } from "./prog";
import { BpfRun, bpfEnter, bpfGo, bpfLeave, bpfReady } from "./run";

/** The record of `length` bytes is at `at`; `uploaded` bytes were uploaded to `upload`. */
export function bpfCommand(op: u32, at: usize, length: u32, upload: usize, uploaded: u32): i32 {
  if (!bpfReady()) return -ENOMEM;
  switch (op) {
    case BPF_PROG_LOAD: return progLoad(at, length, upload, uploaded);
    case BPF_PROG_FREE: return progFree(load<u32>(at));
    case BPF_PROG_INFO: return progInfo(load<u32>(at), at);
    case BPF_PROG_RUN: return rawRun(at, length);
    case BPF_PROG_JIT: return progJit(at, length);
    case BPF_TRACE_PIPE: return traceTake(at);
    case BPF_PROG_TEST_RUN: {
      const result = testRun(at, length, upload, uploaded);
      testStorageGone();
      return result;
    }
    default:
      if (op >= BPF_TRACE_ATTACH) return traceCommand(op, at, length);
      if (op >= BPF_ATTACH) return bpfAttachCommand(op, at, length);
      return op >= BPF_MAP_CREATE ? bpfMapCommand(op, at, length, upload, uploaded) : -ENOENT;
  }
}

const RAW_BYTES: u32 = 24;

/** BPF_PROG_RUN. */
function rawRun(at: usize, length: u32): i32 {
  const found = progGet(load<u32>(at));
  if (found == 0) return -EBADF;
  const bytes = load<u32>(at, 4), fuel = load<u64>(at, 16);
  let repeat = load<u32>(at, 8);
  if (length < RAW_BYTES || bytes > length - RAW_BYTES || bytes > MAILBOX_BYTES - BPF_OUTCOME_BYTES) return -EINVAL;
  const data = bytes == 0 ? 0 : kmallocRaw(bytes);
  if (bytes != 0 && data == 0) return -ENOMEM;
  const run = bpfEnter();
  if (changetype<usize>(run) == 0) {
    kfree(data, bytes);
    return -EAGAIN;
  }
  if (bytes != 0) memory.copy(data, at + RAW_BYTES, <usize>bytes);
  run.ctx = data;
  run.packet = data;
  run.packetEnd = data + <usize>bytes;
  run.r2 = <u64>bytes;
  let r0: u64 = 0;
  if (repeat == 0) repeat = 1;
  while (repeat-- > 0) {
    run.fuel = fuel == 0 ? <i64>BPF_FUEL : <i64>min<u64>(fuel, <u64>i64.MAX_VALUE);
    r0 = bpfGo(run, changetype<BpfProg>(found));
    if (run.fault != 0) break;
  }
  putOutcome(at, run, r0);
  store<u32>(at + BPF_OUTCOME_DATA_LENGTH, bytes);
  if (bytes != 0) memory.copy(at + BPF_OUTCOME_BYTES, data, <usize>bytes);
  bpfLeave(run);
  kfree(data, bytes);
  return <i32>(BPF_OUTCOME_BYTES + bytes);
}

/** How a run ended: BPF_OUTCOME_*, without what follows. */
export function putOutcome(at: usize, run: BpfRun, r0: u64): void {
  store<u64>(at + BPF_OUTCOME_R0, r0);
  store<u32>(at + BPF_OUTCOME_FAULT, run.fault);
  store<u32>(at + BPF_OUTCOME_SLOT, run.faultSlot);
  store<u64>(at + BPF_OUTCOME_ADDRESS, run.faultAddress);
  store<u32>(at + BPF_OUTCOME_SIZE, run.faultSize);
  store<u32>(at + BPF_OUTCOME_HELPER, run.fault != 0 ? run.helper : 0);
  store<u32>(at + BPF_OUTCOME_CTX_LENGTH, 0);
  store<u32>(at + BPF_OUTCOME_DATA_LENGTH, 0);
  store<u64>(at + BPF_OUTCOME_FUEL, <u64>run.fuel);
}
