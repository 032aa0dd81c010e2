// Memory of programs that no verifier proved: every access is looked up in what the run owns, which is its frames' stacks, the packet or memory
// argument, the context, the areas of its program (map values named by lddw) and what helpers gave it (bpfOwn). In the run of a verified
// program all questions are answered yes.
import {
  BPF_FAULT_ARGUMENT, BPF_FAULT_READ, BPF_FAULT_WRITE, BPF_LOAD_F_VERIFIED,
} from "../abi/bpf";
import { Skb } from "../layout";
import { be16, be32 } from "../wire/bytes";
import { AREA_BYTES, BpfProg } from "./prog";
import { BpfRun, OWNED_MAX, RUN_SKB, RUN_SOCK, bpfCurrent } from "./run";

// An owned piece: {u32 from, u32 to, u32 writable}
const OWNED_BYTES: u32 = 12;

/** memory.copy and memory.fill for helpers: nothing is copied from or to any address; WebAssembly traps there even then. */
@inline export function bpfCopy(to: usize, from: usize, length: usize): void {
  if (length != 0) memory.copy(to, from, length);
}
@inline export function bpfFill(to: usize, value: u8, length: usize): void {
  if (length != 0) memory.fill(to, value, length);
}

/** May the running program read `length` bytes at `at`? Otherwise its run is over (BpfRun.fault). */
@inline export function bpfReadable(at: u64, length: u32): bool {
  const run = bpfCurrent();
  return run.checked == 0 || bpfArgument(run, at, length, false);
}

/** The same for writing. */
@inline export function bpfWritable(at: u64, length: u32): bool {
  const run = bpfCurrent();
  return run.checked == 0 || bpfArgument(run, at, length, true);
}

function bpfArgument(run: BpfRun, at: u64, length: u32, write: bool): bool {
  if (length == 0 || owns(run, at, length, write)) return true;
  bpfFault(run, BPF_FAULT_ARGUMENT, at, length);
  return false;
}

/** An access of the program itself. */
export function bpfAccess(run: BpfRun, at: u64, length: u32, write: bool): bool {
  if (owns(run, at, length, write)) return true;
  bpfFault(run, write ? BPF_FAULT_WRITE : BPF_FAULT_READ, at, length);
  return false;
}

/** bpfAccess for compiled code: 1: the program owns it. */
export function bpfCheck(at: u64, length: u32, write: u32): u32 {
  return bpfAccess(bpfCurrent(), at, length, write != 0) ? 1 : 0;
}

/** Ends the run of the program; the first fault is the one that counts. */
export function bpfFault(run: BpfRun, fault: u32, at: u64, length: u32): void {
  if (run.fault != 0) return;
  run.fault = fault;
  run.faultAddress = at;
  run.faultSize = length;
}

function owns(run: BpfRun, at: u64, length: u32, write: bool): bool {
  const end = at + <u64>length;
  if (end > 0xffffffff || end < at) return false;
  if (at >= <u64>run.stack && end <= <u64>run.fp) return true;
  if (at >= <u64>run.packet && end <= <u64>run.packetEnd) return true;
  if (at >= <u64>run.ctx && end <= <u64>run.ctx + <u64>run.ctxLength) return true;
  const from = <u32>at, to = <u32>end;
  const prog = changetype<BpfProg>(run.prog);
  if (among(prog.areas, prog.areaCount, from, to, write)) return true;
  return among(run.owned, min<u32>(run.ownedCount, OWNED_MAX), from, to, write);
}

function among(list: usize, count: u32, from: u32, to: u32, write: bool): bool {
  for (let i: u32 = 0; i < count; i++) {
    const piece = list + <usize>(i * AREA_BYTES);
    if (from >= load<u32>(piece) && to <= load<u32>(piece, 4) && (!write || load<u32>(piece, 8) != 0)) return true;
  }
  return false;
}

/** The helper that is running hands out `length` bytes at `at`: the program may touch them until the run ends. */
export function bpfOwn(at: usize, length: u32, writable: bool): void {
  const run = bpfCurrent();
  if (changetype<usize>(run) == 0 || run.checked == 0) return;
  const end = <u32>at + length;
  const known = min<u32>(run.ownedCount, OWNED_MAX);
  for (let i: u32 = 0; i < known; i++) {
    const piece = run.owned + <usize>(i * OWNED_BYTES);
    if (load<u32>(piece) != <u32>at || load<u32>(piece, 4) != end) continue;
    if (run.ownedCount <= OWNED_MAX) return;
    store<u64>(piece, 0); // it is the newest again
    break;
  }
  // When there are too many, the oldest is forgotten.
  const piece = run.owned + <usize>((run.ownedCount % OWNED_MAX) * OWNED_BYTES);
  run.ownedCount++;
  store<u32>(piece, <u32>at);
  store<u32>(piece, end, 4);
  store<u32>(piece, writable ? 1 : 0, 8);
}

/** The piece at `at` is given back: submitted, discarded, released. */
export function bpfDisown(at: usize): void {
  const run = bpfCurrent();
  if (changetype<usize>(run) == 0 || run.checked == 0) return;
  const known = min<u32>(run.ownedCount, OWNED_MAX);
  for (let i: u32 = 0; i < known; i++) {
    const piece = run.owned + <usize>(i * OWNED_BYTES);
    if (load<u32>(piece) != <u32>at) continue;
    store<u64>(piece, 0);
    store<u32>(piece, 0, 8);
  }
}

/** Is `at` the start of a piece that a helper handed out? For arguments that must be such a pointer. */
export function bpfOwned(at: u64): bool {
  const run = bpfCurrent();
  if (run.checked == 0) return true;
  const known = min<u32>(run.ownedCount, OWNED_MAX);
  for (let i: u32 = 0; i < known; i++) {
    const piece = run.owned + <usize>(i * OWNED_BYTES);
    if (<u64>load<u32>(piece) == at && load<u32>(piece, 4) != 0) return true;
  }
  bpfFault(run, BPF_FAULT_ARGUMENT, at, 0);
  return false;
}

export function progChecked(prog: BpfProg): u32 {
  return prog.flags & BPF_LOAD_F_VERIFIED ? 0 : 1;
}

const NET_OFF: i32 = -0x100000, LL_OFF: i32 = -0x200000;

/**
 * BPF_LD_ABS and BPF_LD_IND (net/core/filter.c bpf_skb_load_helper_*): `width` as in ops.ts. All ones: not in the packet, which ends the program
 * with 0.
 */
export function bpfPacketLoad(run: BpfRun, offset: i32, width: u32): u64 {
  const size: usize = 1 << width;
  let at: usize = 0, end: usize = run.packetEnd;
  if (run.kind == RUN_SKB || run.kind == RUN_SOCK) {
    const skb = changetype<Skb>(run.object);
    end = skb.tail;
    if (offset >= 0) at = skb.data + <usize>offset;
    else if (offset >= NET_OFF) at = skb.network + <usize>(offset - NET_OFF);
    else if (offset >= LL_OFF && skb.mac != 0) at = skb.mac + <usize>(offset - LL_OFF);
    else return u64.MAX_VALUE;
  } else if (offset >= 0 && run.packet != 0) at = run.packet + <usize>offset;
  else return u64.MAX_VALUE;
  if (at > end || end - at < size) return u64.MAX_VALUE;
  return width == 2 ? <u64>be32(at, 0) : width == 1 ? <u64>be16(at, 0) : <u64>load<u8>(at);
}
