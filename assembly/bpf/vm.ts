// The interpreter: RFC 9669, kernel/bpf/core.c ___bpf_prog_run, over the instructions that decode.ts made. Registers are eight bytes each in the
// run's register files, one file a frame. Nothing here traps: divisions by zero and of the smallest number are answered as the RFC says, accesses
// of unverified programs are looked up first (memory.ts).
import {
  BPF_FAULT_CALL, BPF_FAULT_DEPTH, BPF_FAULT_FUEL, BPF_STACK,
} from "../abi/bpf";
import { atomic } from "./atomic";
import { slotOf } from "./decode";
import { bpfHelper, bpfHelperKnown } from "./helpers/index";
import { bpfAccess, bpfFault, bpfPacketLoad } from "./memory";
import {
  ADD, ALU32_K, ALU32_X, ALU64_K, ALU64_X, AND, ARSH, ATOMIC, CALLX, CATOMIC, CLDX, CLDXS, CST, CSTX, DIV, EXIT, FUEL, HELPER, JA, JEQ, JGE, JGT, JLE, JLT,
  JMP32_K, JMP32_X, JMP64_K, JMP64_X, JNE, JSET, JSGE, JSGT, JSLE, JSLT, LDX, LDXS, LDX_PROBE, LD_ABS, LD_IND, LOCAL_CALL, LSH, MAY_GOTO, MOD, MOV,
  MOVSX32_16, MOVSX32_8, MOVSX64_16, MOVSX64_32, MOVSX64_8, MUL, NEG, NOP, OR, RSH, SDIV, SMOD, ST, STX, SUB, SWAP16, SWAP32, SWAP64, TAIL_CALL, XOR,
  ZEXT16, ZEXT32,
} from "./ops";
import { BpfProg } from "./prog";
import { BpfRun, REGISTERS, bpfTailCall } from "./run";

// Behind r10 in a register file: where the caller goes on, and how often may_goto went on.
export const RETURN: usize = 88;
const MAY_GOTOS: usize = 92;
const BPF_MAX_LOOPS: u32 = 8 * 1024 * 1024;
const R1: usize = 8, R2: usize = 16, R3: usize = 24, R4: usize = 32, R5: usize = 40, R10: usize = 80;

@inline function dst(r: usize, pc: usize): usize { return r + <usize>load<u8>(pc, 2); }
@inline function src(r: usize, pc: usize): usize { return r + <usize>load<u8>(pc, 3); }
@inline function imm(pc: usize): u64 { return load<u64>(pc, 8); }
@inline function imm32(pc: usize): u32 { return load<u32>(pc, 8); }
// The lower halves, by functions: in `<u64>(load<u32>(…) + …)` AssemblyScript would add 64 bits.
@inline function d32(r: usize, pc: usize): u32 { return load<u32>(dst(r, pc)); }
@inline function s32(r: usize, pc: usize): u32 { return load<u32>(src(r, pc)); }
/** Where the branch goes. */
@inline function branch(pc: usize, taken: bool): usize { return taken ? <usize>load<u32>(pc, 4) : pc + 16; }
/** The address of a load, and of a store. */
@inline function from(r: usize, pc: usize): usize { return <usize>(<u32>load<u64>(src(r, pc)) + load<u32>(pc, 4)); }
@inline function to(r: usize, pc: usize): usize { return <usize>(<u32>load<u64>(dst(r, pc)) + load<u32>(pc, 4)); }
@inline function allowedRead(run: BpfRun, r: usize, pc: usize, bytes: u32): bool {
  return bpfAccess(run, load<u64>(src(r, pc)) + <u64><i64>load<i32>(pc, 4), bytes, false);
}
@inline function allowedWrite(run: BpfRun, r: usize, pc: usize, bytes: u32): bool {
  return bpfAccess(run, load<u64>(dst(r, pc)) + <u64><i64>load<i32>(pc, 4), bytes, true);
}

function sdiv64(a: i64, b: i64): i64 {
  if (b == 0) return 0;
  return b == -1 ? 0 - a : a / b;
}
function smod64(a: i64, b: i64): i64 {
  if (b == 0) return a;
  return b == -1 ? 0 : a % b;
}
function sdiv32(a: i32, b: i32): i32 {
  if (b == 0) return 0;
  return b == -1 ? 0 - a : a / b;
}
function smod32(a: i32, b: i32): i32 {
  if (b == 0) return a;
  return b == -1 ? 0 : a % b;
}
@inline function neg32(x: u32): u32 { return 0 - x; }
function swap16(x: u64): u64 { return ((x & 0xff) << 8) | ((x >> 8) & 0xff); }
function swap32(x: u64): u64 { return <u64>bswap<u32>(<u32>x); }

/** bpf_probe_read's manner: what is not there reads as 0. */
function probe(at: u64, how: u32): u64 {
  const end = at + <u64>(1 << (how & 3));
  if (end < at || end > <u64>memory.size() << 16) return 0;
  const p = <usize>at;
  switch (how) {
    case 0: return <u64>load<u8>(p);
    case 1: return <u64>load<u16>(p);
    case 2: return <u64>load<u32>(p);
    case 3: return load<u64>(p);
    case 4: return <u64><i64>load<i8>(p);
    case 5: return <u64><i64>load<i16>(p);
    default: return <u64><i64>load<i32>(p);
  }
}

/** The frame of a call of the same program: its register file, or 0 when there is no room. */
function enterFrame(run: BpfRun, r: usize, back: usize): usize {
  const fp = run.fp + <usize>BPF_STACK;
  if (fp > run.stackEnd) return 0;
  const callee = r + REGISTERS;
  if (run.checked) {
    memory.fill(run.fp, 0, <usize>BPF_STACK);
    memory.fill(callee, 0, REGISTERS);
  }
  store<u64>(callee, load<u64>(r, R1), R1);
  store<u64>(callee, load<u64>(r, R2), R2);
  store<u64>(callee, load<u64>(r, R3), R3);
  store<u64>(callee, load<u64>(r, R4), R4);
  store<u64>(callee, load<u64>(r, R5), R5);
  store<u64>(callee, <u64>fp, R10);
  store<u32>(callee, <u32>back, RETURN);
  store<u32>(callee, 0, MAY_GOTOS);
  run.fp = fp;
  return callee;
}

/**
 * Runs from the instruction at `entry` with the registers at `registers`, until the frame that begins there exits: its r0. When run.fault is set
 * afterwards, run.faultSlot tells where.
 */
export function interpret(run: BpfRun, entry: usize, registers: usize): u64 {
  let pc = entry, r = registers;
  store<u32>(r, 0, MAY_GOTOS);
  while (true) {
    switch (<u32>load<u16>(pc)) {
      case ALU64_K + ADD: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) + imm(pc)); pc += 16; continue;
      case ALU64_K + SUB: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) - imm(pc)); pc += 16; continue;
      case ALU64_K + MUL: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) * imm(pc)); pc += 16; continue;
      case ALU64_K + DIV: { const d = imm(pc); store<u64>(dst(r, pc), d == 0 ? 0 : load<u64>(dst(r, pc)) / d); pc += 16; continue; }
      case ALU64_K + MOD: { const d = imm(pc); if (d != 0) store<u64>(dst(r, pc), load<u64>(dst(r, pc)) % d); pc += 16; continue; }
      case ALU64_K + SDIV: store<i64>(dst(r, pc), sdiv64(load<i64>(dst(r, pc)), <i64>imm(pc))); pc += 16; continue;
      case ALU64_K + SMOD: store<i64>(dst(r, pc), smod64(load<i64>(dst(r, pc)), <i64>imm(pc))); pc += 16; continue;
      case ALU64_K + OR: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) | imm(pc)); pc += 16; continue;
      case ALU64_K + AND: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) & imm(pc)); pc += 16; continue;
      case ALU64_K + LSH: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) << (imm(pc) & 63)); pc += 16; continue;
      case ALU64_K + RSH: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) >> (imm(pc) & 63)); pc += 16; continue;
      case ALU64_K + ARSH: store<i64>(dst(r, pc), load<i64>(dst(r, pc)) >> <i64>(imm(pc) & 63)); pc += 16; continue;
      case ALU64_K + NEG: store<u64>(dst(r, pc), 0 - load<u64>(dst(r, pc))); pc += 16; continue;
      case ALU64_K + XOR: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) ^ imm(pc)); pc += 16; continue;
      case ALU64_K + MOV: store<u64>(dst(r, pc), imm(pc)); pc += 16; continue;

      case ALU64_X + ADD: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) + load<u64>(src(r, pc))); pc += 16; continue;
      case ALU64_X + SUB: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) - load<u64>(src(r, pc))); pc += 16; continue;
      case ALU64_X + MUL: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) * load<u64>(src(r, pc))); pc += 16; continue;
      case ALU64_X + DIV: { const d = load<u64>(src(r, pc)); store<u64>(dst(r, pc), d == 0 ? 0 : load<u64>(dst(r, pc)) / d); pc += 16; continue; }
      case ALU64_X + MOD: { const d = load<u64>(src(r, pc)); if (d != 0) store<u64>(dst(r, pc), load<u64>(dst(r, pc)) % d); pc += 16; continue; }
      case ALU64_X + SDIV: store<i64>(dst(r, pc), sdiv64(load<i64>(dst(r, pc)), load<i64>(src(r, pc)))); pc += 16; continue;
      case ALU64_X + SMOD: store<i64>(dst(r, pc), smod64(load<i64>(dst(r, pc)), load<i64>(src(r, pc)))); pc += 16; continue;
      case ALU64_X + OR: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) | load<u64>(src(r, pc))); pc += 16; continue;
      case ALU64_X + AND: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) & load<u64>(src(r, pc))); pc += 16; continue;
      case ALU64_X + LSH: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) << (load<u64>(src(r, pc)) & 63)); pc += 16; continue;
      case ALU64_X + RSH: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) >> (load<u64>(src(r, pc)) & 63)); pc += 16; continue;
      case ALU64_X + ARSH: store<i64>(dst(r, pc), load<i64>(dst(r, pc)) >> <i64>(load<u64>(src(r, pc)) & 63)); pc += 16; continue;
      case ALU64_X + XOR: store<u64>(dst(r, pc), load<u64>(dst(r, pc)) ^ load<u64>(src(r, pc))); pc += 16; continue;
      case ALU64_X + MOV: store<u64>(dst(r, pc), load<u64>(src(r, pc))); pc += 16; continue;

      case ALU32_K + ADD: store<u64>(dst(r, pc), <u64>(d32(r, pc) + imm32(pc))); pc += 16; continue;
      case ALU32_K + SUB: store<u64>(dst(r, pc), <u64>(d32(r, pc) - imm32(pc))); pc += 16; continue;
      case ALU32_K + MUL: store<u64>(dst(r, pc), <u64>(d32(r, pc) * imm32(pc))); pc += 16; continue;
      case ALU32_K + DIV: { const d = imm32(pc); store<u64>(dst(r, pc), d == 0 ? 0 : <u64>(d32(r, pc) / d)); pc += 16; continue; }
      case ALU32_K + MOD: { const d = imm32(pc); store<u64>(dst(r, pc), <u64>(d == 0 ? d32(r, pc) : d32(r, pc) % d)); pc += 16; continue; }
      case ALU32_K + SDIV: store<u64>(dst(r, pc), <u64><u32>sdiv32(<i32>d32(r, pc), <i32>imm32(pc))); pc += 16; continue;
      case ALU32_K + SMOD: store<u64>(dst(r, pc), <u64><u32>smod32(<i32>d32(r, pc), <i32>imm32(pc))); pc += 16; continue;
      case ALU32_K + OR: store<u64>(dst(r, pc), <u64>(d32(r, pc) | imm32(pc))); pc += 16; continue;
      case ALU32_K + AND: store<u64>(dst(r, pc), <u64>(d32(r, pc) & imm32(pc))); pc += 16; continue;
      case ALU32_K + LSH: store<u64>(dst(r, pc), <u64>(d32(r, pc) << (imm32(pc) & 31))); pc += 16; continue;
      case ALU32_K + RSH: store<u64>(dst(r, pc), <u64>(d32(r, pc) >>> (imm32(pc) & 31))); pc += 16; continue;
      case ALU32_K + ARSH: store<u64>(dst(r, pc), <u64><u32>(<i32>d32(r, pc) >> <i32>(imm32(pc) & 31))); pc += 16; continue;
      case ALU32_K + NEG: store<u64>(dst(r, pc), <u64>neg32(d32(r, pc))); pc += 16; continue;
      case ALU32_K + XOR: store<u64>(dst(r, pc), <u64>(d32(r, pc) ^ imm32(pc))); pc += 16; continue;
      case ALU32_K + MOV: store<u64>(dst(r, pc), <u64>imm32(pc)); pc += 16; continue;

      case ALU32_X + ADD: store<u64>(dst(r, pc), <u64>(d32(r, pc) + s32(r, pc))); pc += 16; continue;
      case ALU32_X + SUB: store<u64>(dst(r, pc), <u64>(d32(r, pc) - s32(r, pc))); pc += 16; continue;
      case ALU32_X + MUL: store<u64>(dst(r, pc), <u64>(d32(r, pc) * s32(r, pc))); pc += 16; continue;
      case ALU32_X + DIV: { const d = s32(r, pc); store<u64>(dst(r, pc), d == 0 ? 0 : <u64>(d32(r, pc) / d)); pc += 16; continue; }
      case ALU32_X + MOD: {
        const d = s32(r, pc);
        store<u64>(dst(r, pc), <u64>(d == 0 ? d32(r, pc) : d32(r, pc) % d));
        pc += 16;
        continue;
      }
      case ALU32_X + SDIV: store<u64>(dst(r, pc), <u64><u32>sdiv32(<i32>d32(r, pc), <i32>s32(r, pc))); pc += 16; continue;
      case ALU32_X + SMOD: store<u64>(dst(r, pc), <u64><u32>smod32(<i32>d32(r, pc), <i32>s32(r, pc))); pc += 16; continue;
      case ALU32_X + OR: store<u64>(dst(r, pc), <u64>(d32(r, pc) | s32(r, pc))); pc += 16; continue;
      case ALU32_X + AND: store<u64>(dst(r, pc), <u64>(d32(r, pc) & s32(r, pc))); pc += 16; continue;
      case ALU32_X + LSH: store<u64>(dst(r, pc), <u64>(d32(r, pc) << (s32(r, pc) & 31))); pc += 16; continue;
      case ALU32_X + RSH: store<u64>(dst(r, pc), <u64>(d32(r, pc) >>> (s32(r, pc) & 31))); pc += 16; continue;
      case ALU32_X + ARSH: store<u64>(dst(r, pc), <u64><u32>(<i32>d32(r, pc) >> (<i32>s32(r, pc) & 31))); pc += 16; continue;
      case ALU32_X + XOR: store<u64>(dst(r, pc), <u64>(d32(r, pc) ^ s32(r, pc))); pc += 16; continue;
      case ALU32_X + MOV: store<u64>(dst(r, pc), <u64>s32(r, pc)); pc += 16; continue;

      case MOVSX32_8: store<u64>(dst(r, pc), <u64><u32><i32>load<i8>(src(r, pc))); pc += 16; continue;
      case MOVSX32_16: store<u64>(dst(r, pc), <u64><u32><i32>load<i16>(src(r, pc))); pc += 16; continue;
      case MOVSX64_8: store<i64>(dst(r, pc), <i64>load<i8>(src(r, pc))); pc += 16; continue;
      case MOVSX64_16: store<i64>(dst(r, pc), <i64>load<i16>(src(r, pc))); pc += 16; continue;
      case MOVSX64_32: store<i64>(dst(r, pc), <i64>load<i32>(src(r, pc))); pc += 16; continue;
      case ZEXT16: store<u64>(dst(r, pc), <u64>load<u16>(dst(r, pc))); pc += 16; continue;
      case ZEXT32: store<u64>(dst(r, pc), <u64>load<u32>(dst(r, pc))); pc += 16; continue;
      case SWAP16: store<u64>(dst(r, pc), swap16(load<u64>(dst(r, pc)))); pc += 16; continue;
      case SWAP32: store<u64>(dst(r, pc), swap32(load<u64>(dst(r, pc)))); pc += 16; continue;
      case SWAP64: store<u64>(dst(r, pc), bswap<u64>(load<u64>(dst(r, pc)))); pc += 16; continue;
      case NOP: pc += 16; continue;

      case JA: pc = <usize>load<u32>(pc, 4); continue;
      case JMP64_K + JEQ: pc = branch(pc, load<u64>(dst(r, pc)) == imm(pc)); continue;
      case JMP64_K + JNE: pc = branch(pc, load<u64>(dst(r, pc)) != imm(pc)); continue;
      case JMP64_K + JGT: pc = branch(pc, load<u64>(dst(r, pc)) > imm(pc)); continue;
      case JMP64_K + JGE: pc = branch(pc, load<u64>(dst(r, pc)) >= imm(pc)); continue;
      case JMP64_K + JLT: pc = branch(pc, load<u64>(dst(r, pc)) < imm(pc)); continue;
      case JMP64_K + JLE: pc = branch(pc, load<u64>(dst(r, pc)) <= imm(pc)); continue;
      case JMP64_K + JSET: pc = branch(pc, (load<u64>(dst(r, pc)) & imm(pc)) != 0); continue;
      case JMP64_K + JSGT: pc = branch(pc, load<i64>(dst(r, pc)) > <i64>imm(pc)); continue;
      case JMP64_K + JSGE: pc = branch(pc, load<i64>(dst(r, pc)) >= <i64>imm(pc)); continue;
      case JMP64_K + JSLT: pc = branch(pc, load<i64>(dst(r, pc)) < <i64>imm(pc)); continue;
      case JMP64_K + JSLE: pc = branch(pc, load<i64>(dst(r, pc)) <= <i64>imm(pc)); continue;
      case JMP64_X + JEQ: pc = branch(pc, load<u64>(dst(r, pc)) == load<u64>(src(r, pc))); continue;
      case JMP64_X + JNE: pc = branch(pc, load<u64>(dst(r, pc)) != load<u64>(src(r, pc))); continue;
      case JMP64_X + JGT: pc = branch(pc, load<u64>(dst(r, pc)) > load<u64>(src(r, pc))); continue;
      case JMP64_X + JGE: pc = branch(pc, load<u64>(dst(r, pc)) >= load<u64>(src(r, pc))); continue;
      case JMP64_X + JLT: pc = branch(pc, load<u64>(dst(r, pc)) < load<u64>(src(r, pc))); continue;
      case JMP64_X + JLE: pc = branch(pc, load<u64>(dst(r, pc)) <= load<u64>(src(r, pc))); continue;
      case JMP64_X + JSET: pc = branch(pc, (load<u64>(dst(r, pc)) & load<u64>(src(r, pc))) != 0); continue;
      case JMP64_X + JSGT: pc = branch(pc, load<i64>(dst(r, pc)) > load<i64>(src(r, pc))); continue;
      case JMP64_X + JSGE: pc = branch(pc, load<i64>(dst(r, pc)) >= load<i64>(src(r, pc))); continue;
      case JMP64_X + JSLT: pc = branch(pc, load<i64>(dst(r, pc)) < load<i64>(src(r, pc))); continue;
      case JMP64_X + JSLE: pc = branch(pc, load<i64>(dst(r, pc)) <= load<i64>(src(r, pc))); continue;
      case JMP32_K + JEQ: pc = branch(pc, d32(r, pc) == imm32(pc)); continue;
      case JMP32_K + JNE: pc = branch(pc, d32(r, pc) != imm32(pc)); continue;
      case JMP32_K + JGT: pc = branch(pc, d32(r, pc) > imm32(pc)); continue;
      case JMP32_K + JGE: pc = branch(pc, d32(r, pc) >= imm32(pc)); continue;
      case JMP32_K + JLT: pc = branch(pc, d32(r, pc) < imm32(pc)); continue;
      case JMP32_K + JLE: pc = branch(pc, d32(r, pc) <= imm32(pc)); continue;
      case JMP32_K + JSET: pc = branch(pc, (d32(r, pc) & imm32(pc)) != 0); continue;
      case JMP32_K + JSGT: pc = branch(pc, <i32>d32(r, pc) > <i32>imm32(pc)); continue;
      case JMP32_K + JSGE: pc = branch(pc, <i32>d32(r, pc) >= <i32>imm32(pc)); continue;
      case JMP32_K + JSLT: pc = branch(pc, <i32>d32(r, pc) < <i32>imm32(pc)); continue;
      case JMP32_K + JSLE: pc = branch(pc, <i32>d32(r, pc) <= <i32>imm32(pc)); continue;
      case JMP32_X + JEQ: pc = branch(pc, d32(r, pc) == s32(r, pc)); continue;
      case JMP32_X + JNE: pc = branch(pc, d32(r, pc) != s32(r, pc)); continue;
      case JMP32_X + JGT: pc = branch(pc, d32(r, pc) > s32(r, pc)); continue;
      case JMP32_X + JGE: pc = branch(pc, d32(r, pc) >= s32(r, pc)); continue;
      case JMP32_X + JLT: pc = branch(pc, d32(r, pc) < s32(r, pc)); continue;
      case JMP32_X + JLE: pc = branch(pc, d32(r, pc) <= s32(r, pc)); continue;
      case JMP32_X + JSET: pc = branch(pc, (d32(r, pc) & s32(r, pc)) != 0); continue;
      case JMP32_X + JSGT: pc = branch(pc, <i32>d32(r, pc) > <i32>s32(r, pc)); continue;
      case JMP32_X + JSGE: pc = branch(pc, <i32>d32(r, pc) >= <i32>s32(r, pc)); continue;
      case JMP32_X + JSLT: pc = branch(pc, <i32>d32(r, pc) < <i32>s32(r, pc)); continue;
      case JMP32_X + JSLE: pc = branch(pc, <i32>d32(r, pc) <= <i32>s32(r, pc)); continue;

      case LDX: store<u64>(dst(r, pc), <u64>load<u8>(from(r, pc))); pc += 16; continue;
      case LDX + 1: store<u64>(dst(r, pc), <u64>load<u16>(from(r, pc))); pc += 16; continue;
      case LDX + 2: store<u64>(dst(r, pc), <u64>load<u32>(from(r, pc))); pc += 16; continue;
      case LDX + 3: store<u64>(dst(r, pc), load<u64>(from(r, pc))); pc += 16; continue;
      case LDXS: store<i64>(dst(r, pc), <i64>load<i8>(from(r, pc))); pc += 16; continue;
      case LDXS + 1: store<i64>(dst(r, pc), <i64>load<i16>(from(r, pc))); pc += 16; continue;
      case LDXS + 2: store<i64>(dst(r, pc), <i64>load<i32>(from(r, pc))); pc += 16; continue;
      case ST: store<u8>(to(r, pc), load<u8>(pc, 8)); pc += 16; continue;
      case ST + 1: store<u16>(to(r, pc), load<u16>(pc, 8)); pc += 16; continue;
      case ST + 2: store<u32>(to(r, pc), load<u32>(pc, 8)); pc += 16; continue;
      case ST + 3: store<u64>(to(r, pc), load<u64>(pc, 8)); pc += 16; continue;
      case STX: store<u8>(to(r, pc), load<u8>(src(r, pc))); pc += 16; continue;
      case STX + 1: store<u16>(to(r, pc), load<u16>(src(r, pc))); pc += 16; continue;
      case STX + 2: store<u32>(to(r, pc), load<u32>(src(r, pc))); pc += 16; continue;
      case STX + 3: store<u64>(to(r, pc), load<u64>(src(r, pc))); pc += 16; continue;
      case ATOMIC: atomic(r, pc); pc += 16; continue;

      case LDX_PROBE:
        store<u64>(dst(r, pc), probe(load<u64>(src(r, pc)) + <u64><i64>load<i32>(pc, 4), imm32(pc)));
        pc += 16;
        continue;
      case CLDX: if (!allowedRead(run, r, pc, 1)) break; store<u64>(dst(r, pc), <u64>load<u8>(from(r, pc))); pc += 16; continue;
      case CLDX + 1: if (!allowedRead(run, r, pc, 2)) break; store<u64>(dst(r, pc), <u64>load<u16>(from(r, pc))); pc += 16; continue;
      case CLDX + 2: if (!allowedRead(run, r, pc, 4)) break; store<u64>(dst(r, pc), <u64>load<u32>(from(r, pc))); pc += 16; continue;
      case CLDX + 3: if (!allowedRead(run, r, pc, 8)) break; store<u64>(dst(r, pc), load<u64>(from(r, pc))); pc += 16; continue;
      case CLDXS: if (!allowedRead(run, r, pc, 1)) break; store<i64>(dst(r, pc), <i64>load<i8>(from(r, pc))); pc += 16; continue;
      case CLDXS + 1: if (!allowedRead(run, r, pc, 2)) break; store<i64>(dst(r, pc), <i64>load<i16>(from(r, pc))); pc += 16; continue;
      case CLDXS + 2: if (!allowedRead(run, r, pc, 4)) break; store<i64>(dst(r, pc), <i64>load<i32>(from(r, pc))); pc += 16; continue;
      case CST: if (!allowedWrite(run, r, pc, 1)) break; store<u8>(to(r, pc), load<u8>(pc, 8)); pc += 16; continue;
      case CST + 1: if (!allowedWrite(run, r, pc, 2)) break; store<u16>(to(r, pc), load<u16>(pc, 8)); pc += 16; continue;
      case CST + 2: if (!allowedWrite(run, r, pc, 4)) break; store<u32>(to(r, pc), load<u32>(pc, 8)); pc += 16; continue;
      case CST + 3: if (!allowedWrite(run, r, pc, 8)) break; store<u64>(to(r, pc), load<u64>(pc, 8)); pc += 16; continue;
      case CSTX: if (!allowedWrite(run, r, pc, 1)) break; store<u8>(to(r, pc), load<u8>(src(r, pc))); pc += 16; continue;
      case CSTX + 1: if (!allowedWrite(run, r, pc, 2)) break; store<u16>(to(r, pc), load<u16>(src(r, pc))); pc += 16; continue;
      case CSTX + 2: if (!allowedWrite(run, r, pc, 4)) break; store<u32>(to(r, pc), load<u32>(src(r, pc))); pc += 16; continue;
      case CSTX + 3: if (!allowedWrite(run, r, pc, 8)) break; store<u64>(to(r, pc), load<u64>(src(r, pc))); pc += 16; continue;
      case CATOMIC: {
        // BPF_LOAD_ACQ reads through src, the others write through dst.
        const bytes = 1 << (imm32(pc) >>> 16);
        if (!((imm32(pc) & 0xffff) == 0x100 ? allowedRead(run, r, pc, bytes) : allowedWrite(run, r, pc, bytes))) break;
        atomic(r, pc);
        pc += 16;
        continue;
      }

      case HELPER:
        store<u64>(r, bpfHelper(imm32(pc), load<u64>(r, R1), load<u64>(r, R2), load<u64>(r, R3), load<u64>(r, R4), load<u64>(r, R5)));
        if (run.fault != 0) break;
        pc += 16;
        continue;
      case LOCAL_CALL: {
        const callee = enterFrame(run, r, pc + 16);
        if (callee == 0) {
          bpfFault(run, BPF_FAULT_DEPTH, 0, 0);
          break;
        }
        r = callee;
        pc = <usize>load<u32>(pc, 4);
        continue;
      }
      case EXIT: {
        if (r == registers) return load<u64>(r);
        pc = <usize>load<u32>(r, RETURN);
        const r0 = load<u64>(r);
        r -= REGISTERS;
        run.fp -= <usize>BPF_STACK;
        store<u64>(r, r0);
        continue;
      }
      case TAIL_CALL:
        if (!bpfTailCall(load<u64>(r, R1), load<u64>(r, R2), load<u64>(r, R3))) {
          if (run.fault != 0) break;
          pc += 16;
          continue;
        }
        if (run.fault != 0) return 0;
        if (r == registers) return run.r0;
        pc = <usize>load<u32>(r, RETURN);
        r -= REGISTERS;
        run.fp -= <usize>BPF_STACK;
        store<u64>(r, run.r0);
        continue;
      case FUEL: {
        const left = run.fuel - <i64>imm(pc);
        if (left < 0) {
          bpfFault(run, BPF_FAULT_FUEL, 0, 0);
          pc += 16;
          break;
        }
        run.fuel = left;
        pc += 16;
        continue;
      }
      case CALLX: {
        const number = <u64>d32(r, pc);
        if (number >= 0x10000 || !bpfHelperKnown(<i32>number)) {
          bpfFault(run, BPF_FAULT_CALL, number, 0);
          break;
        }
        store<u64>(r, bpfHelper(<u32>number, load<u64>(r, R1), load<u64>(r, R2), load<u64>(r, R3), load<u64>(r, R4), load<u64>(r, R5)));
        if (run.fault != 0) break;
        pc += 16;
        continue;
      }
      case LD_ABS: case LD_IND: {
        const offset = imm32(pc) + (load<u16>(pc) == <u16>LD_IND ? load<u32>(src(r, pc)) : 0);
        const value = bpfPacketLoad(run, <i32>offset, load<u32>(pc, 4));
        // Outside of the packet: the function returns 0 (net/core/filter.c bpf_gen_ld_abs).
        if (value == u64.MAX_VALUE) {
          if (r == registers) return 0;
          pc = <usize>load<u32>(r, RETURN);
          r -= REGISTERS;
          run.fp -= <usize>BPF_STACK;
          store<u64>(r, 0);
          continue;
        }
        store<u64>(r, value);
        pc += 16;
        continue;
      }
      case MAY_GOTO: {
        const times = load<u32>(r, MAY_GOTOS);
        if (times >= BPF_MAX_LOOPS) {
          pc = <usize>load<u32>(pc, 4);
          continue;
        }
        store<u32>(r, times + 1, MAY_GOTOS);
        pc += 16;
        continue;
      }
      default: break;
    }
    // A fault.
    if (run.faultSlot == u32.MAX_VALUE) run.faultSlot = slotOf(changetype<BpfProg>(run.prog), pc);
    return 0;
  }
}
