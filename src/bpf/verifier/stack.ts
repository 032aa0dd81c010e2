// Loads and stores of the program's stack: spills and fills of registers, bytes written, accesses at offsets that are
// not known exactly. kernel/bpf/verifier.c: check_stack_read, check_stack_write, check_stack_range_initialized.

import * as op from "../insn.ts";
import { MAX_BPF_STACK } from "../uapi.ts";
import type { Env } from "./env.ts";
import { destroyIfDynptrSlot } from "./objects.ts";
import { markChainPrecision } from "./precision.ts";
import {
  BPF_ADD_CONST, CONST_PTR_TO_MAP, CONST_PTR_TO_DYNPTR, NOT_INIT, PTR_TO_ARENA, PTR_TO_BTF_ID, PTR_TO_BUF, PTR_TO_CTX,
  PTR_TO_FLOW_KEYS, PTR_TO_FUNC, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_PACKET, PTR_TO_PACKET_END,
  PTR_TO_PACKET_META, PTR_TO_SOCKET, PTR_TO_SOCK_COMMON, PTR_TO_STACK, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK, RegState,
  SCALAR_VALUE, baseType, regIsNull,
} from "./reg.ts";
import {
  type FuncState, INSN_F_STACK_ACCESS, STACK_DYNPTR, STACK_INVALID, STACK_IRQ_FLAG, STACK_ITER, STACK_MISC, STACK_SPILL,
  STACK_ZERO,
} from "./state.ts";
import { fls64, tnumString } from "./tnum.ts";

/** Offsets beyond this are of no use: BPF_MAX_VAR_OFF. */
export const MAX_VAR_OFF = 1n << 29n;

/** How a call uses memory it is given: bpf_call_arg_meta's raw_mode, with what was found. */
export interface RawMode {
  raw: boolean;
  regno: number;
  accessSize: number;
}

const SPILLABLE = new Set([
  PTR_TO_MAP_VALUE, PTR_TO_STACK, PTR_TO_CTX, PTR_TO_PACKET, PTR_TO_PACKET_META, PTR_TO_PACKET_END, PTR_TO_FLOW_KEYS,
  CONST_PTR_TO_MAP, PTR_TO_SOCKET, PTR_TO_SOCK_COMMON, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK, PTR_TO_BTF_ID, PTR_TO_BUF,
  PTR_TO_MEM, PTR_TO_FUNC, PTR_TO_MAP_KEY, PTR_TO_ARENA, CONST_PTR_TO_DYNPTR,
]);

/** __is_pointer_value: pointers leak without CAP_PERFMON. */
export const isPointerValue = (allowLeaks: boolean, reg: RegState): boolean => !allowLeaks && reg.type !== SCALAR_VALUE;

const width = (reg: RegState): number => fls64(reg.umax);

/** assign_scalar_id_before_mov: the copy about to be made is the same scalar as `reg`. */
export function assignScalarId(env: Env, reg: RegState): void {
  if (reg.type !== SCALAR_VALUE) return;
  if ((reg.id & BPF_ADD_CONST) !== 0) {
    reg.id = 0;
    reg.off = 0;
  }
  if (reg.id === 0 && !reg.isConst()) reg.id = env.newId();
}

/** The frame a stack pointer points into: func(). */
export const pointedFrame = (env: Env, reg: RegState): FuncState => env.cur.frames[reg.frameno]!;

function updateStackDepth(env: Env, frame: FuncState, size: number): void {
  frame.grow(size);
  const subprog = env.subprogs[frame.subprogno]!;
  const rounded = (size + 7) & ~7;
  if (rounded > subprog.stackDepth) subprog.stackDepth = rounded;
}

/** check_stack_access_within_bounds: also makes the frame large enough. */
export function checkStackBounds(env: Env, regno: number, off: number, size: number, write: boolean): void {
  const reg = env.reg(regno);
  const frame = pointedFrame(env, reg);
  const kind = write ? " write to" : " read from";
  let min: bigint;
  let max: bigint;
  if (reg.isConst()) {
    min = BigInt.asIntN(64, reg.varOff.value) + BigInt(off);
    max = min + BigInt(size);
  } else {
    if (reg.smax >= MAX_VAR_OFF || reg.smin <= -MAX_VAR_OFF) {
      env.reject("EACCES", `invalid unbounded variable-offset${kind} stack R${regno}`);
    }
    min = reg.smin + BigInt(off);
    max = reg.smax + BigInt(off) + BigInt(size);
  }
  const lowest = write || env.allowUninitStack ? -MAX_BPF_STACK : -frame.allocated;
  if (min < BigInt(lowest) || min > -1n || max > 0n || size < 0) {
    if (reg.isConst()) {
      env.reject(min < BigInt(lowest) || min > -1n ? "EACCES" : "EINVAL", `invalid${kind} stack R${regno} off=${min} size=${size}`);
    }
    env.reject(min < BigInt(lowest) || min > -1n ? "EACCES" : "EINVAL",
      `invalid variable-offset${kind} stack R${regno} var_off=${tnumString(reg.varOff)} off=${off} size=${size}`);
  }
  updateStackDepth(env, frame, Number(-min));
}

/** mark_stack_slot_misc: what a partial write leaves of the rest of its slot. */
function misc(frame: FuncState, byte: number): void {
  const type = frame.slotType[byte]!;
  if (type === STACK_ZERO || type === STACK_INVALID) return;
  frame.slotType[byte] = STACK_MISC;
}

/** save_register_state. */
function spill(frame: FuncState, spi: number, reg: RegState, size: number): void {
  frame.spilledAt(spi).set(reg);
  for (let i = 8; i > 8 - size; i--) frame.slotType[spi * 8 + i - 1] = STACK_SPILL;
  for (let i = 8 - size; i > 0; i--) misc(frame, spi * 8 + i - 1);
}

/** scrub_spilled_slot for a whole slot. */
export function scrubSlot(frame: FuncState, spi: number): void {
  for (let i = spi * 8; i < spi * 8 + 8; i++) if (frame.slotType[i] !== STACK_INVALID) frame.slotType[i] = STACK_MISC;
}

function isSpecial(frame: FuncState, spi: number): boolean {
  switch (frame.slotType[spi * 8 + 7]) {
    case STACK_SPILL:
    case STACK_DYNPTR:
    case STACK_ITER:
    case STACK_IRQ_FLAG:
      return true;
    default:
      return false;
  }
}

/** check_stack_write_fixed_off. `valueRegno` is -1 for BPF_ST and for helpers. */
function writeFixed(env: Env, frame: FuncState, off: number, size: number, valueRegno: number, slot: number): void {
  const last = -off - 1;
  const spi = last >> 3;
  const insn = env.insns[slot]!;
  const cur = env.cur.frame;
  if (!env.allowPtrLeaks && frame.isSpilled(spi) && !frame.isSpilledScalar(spi, false) && size !== 8) {
    env.reject("EACCES", "attempt to corrupt spilled pointer on stack");
  }
  const reg = valueRegno >= 0 ? cur.regs[valueRegno]! : null;
  destroyIfDynptrSlot(env, frame, spi);
  const aligned = off % 8 === 0;
  if (aligned && size === 8) env.liveness.markWrite(frame.frameno, spi);
  env.markSlotScratched(spi);
  const storesImm = (insn.code & 7) === op.BPF_ST && (insn.code & 0xe0) === op.BPF_MEM;
  if (reg !== null && aligned && reg.type === SCALAR_VALUE) {
    const fits = width(reg) <= size * 8;
    if (fits) assignScalarId(env, reg);
    spill(frame, spi, reg, size);
    if (!fits) frame.spilledAt(spi).id = 0;
  } else if (reg === null && aligned && storesImm) {
    const value = new RegState();
    value.type = SCALAR_VALUE;
    value.setConst(BigInt(insn.imm));
    spill(frame, spi, value, size);
  } else if (reg !== null && SPILLABLE.has(baseType(reg.type))) {
    if (size !== 8) {
      env.printLine(slot, "; ");
      env.reject("EACCES", "invalid size of register spill");
    }
    if (frame !== cur && reg.type === PTR_TO_STACK) {
      env.reject("EINVAL", "cannot spill pointers to stack into stack frame of the caller");
    }
    spill(frame, spi, reg, size);
  } else {
    frame.spilledAt(spi).type = NOT_INIT;
    if (isSpecial(frame, spi)) scrubSlot(frame, spi);
    let type = STACK_MISC;
    if ((reg !== null && regIsNull(reg)) || (reg === null && storesImm && insn.imm === 0)) {
      // The zero may be relied upon later: the register it came from must be exact.
      markChainPrecision(env, valueRegno);
      type = STACK_ZERO;
    }
    for (let i = 0; i < size; i++) frame.slotType[last - i] = type;
    return;
  }
  env.recordHistory(env.cur, { flags: INSN_F_STACK_ACCESS, frameno: frame.frameno, spi }, null);
}

/** check_stack_write_var_off. */
function writeVariable(env: Env, frame: FuncState, pointer: RegState, off: number, size: number, valueRegno: number, slot: number): void {
  const insn = env.insns[slot]!;
  const min = Number(pointer.smin) + off;
  const max = Number(pointer.smax) + off + size;
  const reg = valueRegno >= 0 ? env.reg(valueRegno) : null;
  const storesImm = (insn.code & 7) === op.BPF_ST && (insn.code & 0xe0) === op.BPF_MEM;
  const zero = (reg !== null && regIsNull(reg)) || (reg === null && storesImm && insn.imm === 0);
  let zeroUsed = false;
  for (let i = min; i < max; i++) destroyIfDynptrSlot(env, frame, (-i - 1) >> 3);
  for (let i = min; i < max; i++) {
    const byte = -i - 1;
    const spi = byte >> 3;
    const type = frame.slotType[byte]!;
    env.markSlotScratched(spi);
    if (!env.allowPtrLeaks && type !== STACK_MISC && type !== STACK_ZERO) {
      env.reject("EINVAL", `spilled ptr in range of var-offset stack write; insn ${slot}, ptr off: ${i}`);
    }
    if (zero && type === STACK_SPILL && frame.isSpilledScalar(spi, false) && regIsNull(frame.spilledAt(spi))) {
      zeroUsed = true;
      continue;
    }
    if (isSpecial(frame, spi)) scrubSlot(frame, spi);
    frame.spilledAt(spi).type = NOT_INIT;
    let next = STACK_MISC;
    if (zero && type === STACK_ZERO) {
      next = STACK_ZERO;
      zeroUsed = true;
    }
    if (type === STACK_INVALID && !env.allowUninitStack) {
      env.reject("EINVAL", `uninit stack in range of var-offset write prohibited for !root; insn ${slot}, off: ${i}`);
    }
    frame.slotType[byte] = next;
  }
  if (zeroUsed) markChainPrecision(env, valueRegno);
}

/** check_stack_write. */
export function checkStackWrite(env: Env, regno: number, off: number, size: number, valueRegno: number, slot: number): void {
  const pointer = env.reg(regno);
  const frame = pointedFrame(env, pointer);
  if (pointer.isConst()) {
    writeFixed(env, frame, off + Number(BigInt.asIntN(64, pointer.varOff.value)), size, valueRegno, slot);
  } else {
    writeVariable(env, frame, pointer, off, size, valueRegno, slot);
  }
}

/** mark_reg_stack_read: bytes that are not a register: zero when all are, else unknown. */
function readBytes(env: Env, frame: FuncState, min: number, max: number, dst: number): void {
  const reg = env.reg(dst);
  let zeros = 0;
  for (let i = min; i < max; i++) {
    const byte = -i - 1;
    env.liveness.markRead(frame.frameno, byte >> 3);
    if (frame.slotType[byte] !== STACK_ZERO) break;
    zeros++;
  }
  if (zeros === max - min) markConstZero(reg);
  else reg.markUnknown(false);
}

function markConstZero(reg: RegState): void {
  reg.clear();
  reg.type = SCALAR_VALUE;
  reg.setConst(0n);
}

/** check_stack_read_fixed_off; `dst` -1: the caller only asks whether the bytes may be read. */
function readFixed(env: Env, frame: FuncState, off: number, size: number, dst: number): void {
  const last = -off - 1;
  const spi = last >> 3;
  const types = frame.slotType;
  const reg = frame.spilled[spi] ?? null;
  env.markSlotScratched(spi);
  env.liveness.markRead(frame.frameno, spi);
  const target = dst >= 0 ? env.reg(dst) : null;
  const readable = (type: number): boolean =>
    type === STACK_MISC || type === STACK_ZERO || (type === STACK_INVALID && env.allowUninitStack);
  let isFill = true;
  if (reg !== null && frame.isSpilled(spi)) {
    let spillSize = 1;
    for (let i = 7; i > 0 && types[spi * 8 + i - 1] === STACK_SPILL; i--) spillSize++;
    if (size !== 8 || spillSize !== 8) {
      if (reg.type !== SCALAR_VALUE) {
        env.printLine(env.insnIdx, "; ");
        env.reject("EACCES", "invalid size of register fill");
      }
      if (target === null) return;
      if (size <= spillSize && off % 8 === 0) {
        if (size === 4 && spillSize === 4 && width(reg) <= 32) assignScalarId(env, reg);
        target.set(reg);
        if (width(reg) > size * 8) target.id = 0;
      } else {
        let spills = 0;
        let zeros = 0;
        for (let i = 0; i < size; i++) {
          const type = types[last - i]!;
          if (type === STACK_SPILL) spills++;
          else if (type === STACK_ZERO) zeros++;
          else if (!readable(type)) env.reject("EACCES", `invalid read from stack off ${off}+${i} size ${size}`);
        }
        if (spills === size && reg.isConst() && reg.varOff.value === 0n) {
          markConstZero(target);
        } else if (zeros === size) {
          markConstZero(target);
          isFill = false;
        } else {
          target.markUnknown(false);
          isFill = false;
        }
      }
    } else if (target !== null) {
      assignScalarId(env, reg);
      target.set(reg);
    } else if (isPointerValue(env.allowPtrLeaks, reg)) {
      env.reject("EACCES", `leaking pointer from stack off ${off}`);
    }
  } else {
    for (let i = 0; i < size; i++) {
      if (!readable(types[last - i]!)) env.reject("EACCES", `invalid read from stack off ${off}+${i} size ${size}`);
    }
    if (dst >= 0) readBytes(env, frame, off, off + size, dst);
    isFill = false;
  }
  if (isFill) env.recordHistory(env.cur, { flags: INSN_F_STACK_ACCESS, frameno: frame.frameno, spi }, null);
}

/** check_stack_read. */
export function checkStackRead(env: Env, regno: number, off: number, size: number, dst: number): void {
  const pointer = env.reg(regno);
  const frame = pointedFrame(env, pointer);
  if (pointer.isConst()) {
    readFixed(env, frame, off + Number(BigInt.asIntN(64, pointer.varOff.value)), size, dst);
    return;
  }
  if (dst < 0) {
    env.reject("EACCES", "variable offset stack pointer cannot be passed into helper function; " +
      `var_off=${tnumString(pointer.varOff)} off=${off} size=${size}`);
  }
  checkStackRange(env, regno, off, size, false, false, null);
  readBytes(env, frame, Number(pointer.smin) + off, Number(pointer.smax) + off + size, dst);
}

/**
 * check_stack_range_initialized: memory on the stack that a helper reads, or writes (`write`: then what was there is
 * unknown afterwards). In raw mode the helper writes all of it and nothing needs to be there.
 */
export function checkStackRange(
  env: Env, regno: number, off: number, size: number, zeroAllowed: boolean, write: boolean, raw: RawMode | null,
): void {
  const reg = env.reg(regno);
  const frame = pointedFrame(env, reg);
  if (size === 0 && !zeroAllowed) env.reject("EACCES", "invalid zero-sized read");
  checkStackBounds(env, regno, off, size, write);
  let min: number;
  let max: number;
  let mode = raw;
  if (reg.isConst()) {
    min = max = Number(BigInt.asIntN(64, reg.varOff.value)) + off;
  } else {
    if (!env.bypassSpecV1) {
      env.reject("EACCES", `R${regno} variable offset stack access prohibited for !root, var_off=${tnumString(reg.varOff)}`);
    }
    mode = null;
    min = Number(reg.smin) + off;
    max = Number(reg.smax) + off;
  }
  if (mode !== null && mode.raw) {
    for (let i = min; i < max + size; i++) {
      const byte = -i - 1;
      if (byte < frame.allocated && frame.slotType[byte] === STACK_DYNPTR) {
        env.reject("EACCES", `potential write to dynptr at off=${i} disallowed`);
      }
    }
    mode.accessSize = size;
    mode.regno = regno;
    return;
  }
  for (let i = min; i < max + size; i++) {
    const byte = -i - 1;
    const spi = byte >> 3;
    if (byte >= frame.allocated) env.bug("allocated_stack too small");
    const type = frame.slotType[byte]!;
    const spilled = frame.spilled[spi];
    if (type !== STACK_MISC) {
      if (type === STACK_ZERO || (type === STACK_INVALID && env.allowUninitStack)) {
        if (write) frame.slotType[byte] = STACK_MISC;
      } else if (frame.isSpilled(spi) && (spilled!.type === SCALAR_VALUE || env.allowPtrLeaks)) {
        if (write) {
          spilled!.markUnknown(false);
          scrubSlot(frame, spi);
        }
      } else if (reg.isConst()) {
        env.reject("EACCES", `invalid read from stack R${regno} off ${min}+${i - min} size ${size}`);
      } else {
        env.reject("EACCES", `invalid read from stack R${regno} var_off ${tnumString(reg.varOff)}+${i - min} size ${size}`);
      }
    }
    env.liveness.markRead(frame.frameno, spi);
  }
}
