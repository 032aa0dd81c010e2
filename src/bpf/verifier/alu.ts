// Arithmetic on registers: which operations pointers allow, and what becomes of their offsets.
// kernel/bpf/verifier.c: check_alu_op, adjust_ptr_min_max_vals, and of sanitize_ptr_alu what refuses programs.

import * as op from "../insn.ts";
import type { Insn } from "../insn.ts";
import { MAX_BPF_STACK } from "../uapi.ts";
import { Reject, type Env } from "./env.ts";
import { checkMapAccess } from "./memory.ts";
import { markChainPrecision } from "./precision.ts";
import {
  BPF_ADD_CONST, CONST_PTR_TO_DYNPTR, CONST_PTR_TO_MAP, PTR_MAYBE_NULL, PTR_TO_ARENA, PTR_TO_BTF_ID, PTR_TO_BUF, PTR_TO_CTX,
  PTR_TO_FLOW_KEYS, PTR_TO_FUNC, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_PACKET, PTR_TO_PACKET_META,
  PTR_TO_STACK, PTR_TO_TP_BUFFER, PTR_UNTRUSTED, RegState, S32_MAX, S64_MAX, S64_MIN, SCALAR_VALUE, baseType,
  isPktPointer, regTypeString,
} from "./reg.ts";
import { checkRegArg } from "./regs.ts";
import {
  adjustScalar, coerceSubregToSizeSx, coerceToSizeSx, regBoundsContradict, regBoundsSync, swapScalar, zext32to64,
} from "./scalar.ts";
import { MAX_VAR_OFF, assignScalarId, isPointerValue } from "./stack.ts";
import { U64_MAX, fls64, tnumAdd, tnumString, tnumSub } from "./tnum.ts";

const OPERATORS: Readonly<Record<number, string>> = {
  [op.BPF_ADD]: "+=", [op.BPF_SUB]: "-=", [op.BPF_MUL]: "*=", [op.BPF_DIV]: "/=", [op.BPF_OR]: "|=", [op.BPF_AND]: "&=",
  [op.BPF_LSH]: "<<=", [op.BPF_RSH]: ">>=", [op.BPF_NEG]: "neg", [op.BPF_MOD]: "%=", [op.BPF_XOR]: "^=",
  [op.BPF_MOV]: "=", [op.BPF_ARSH]: "s>>=", [op.BPF_END]: "endian",
};

/** check_reg_sane_offset. */
function checkSaneOffset(env: Env, reg: RegState, type: number): void {
  const value = BigInt.asIntN(64, reg.varOff.value);
  const name = regTypeString(type);
  if (reg.isConst() && (value >= MAX_VAR_OFF || value <= -MAX_VAR_OFF)) {
    env.reject("EINVAL", `math between ${name} pointer and ${value} is not allowed`);
  }
  if (BigInt(reg.off) >= MAX_VAR_OFF || BigInt(reg.off) <= -MAX_VAR_OFF) {
    env.reject("EINVAL", `${name} pointer offset ${reg.off} is not allowed`);
  }
  if (reg.smin === S64_MIN) {
    env.reject("EINVAL", `math between ${name} pointer and register with unbounded min value is not allowed`);
  }
  if (reg.smin >= MAX_VAR_OFF || reg.smin <= -MAX_VAR_OFF) {
    env.reject("EINVAL", `value ${reg.smin} makes ${name} pointer be out of bounds`);
  }
}

/** What an instruction's masking would have to be, by slot: alu_state and alu_limit. */
interface AluState {
  readonly state: string;
  readonly limit: number;
}

const aluStates = new WeakMap<Env, Map<number, AluState>>();

/** update_alu_sanitation_state: false when another path needs another mask. */
function sameSanitation(env: Env, state: string, limit: number): boolean {
  let states = aluStates.get(env);
  if (states === undefined) {
    states = new Map();
    aluStates.set(env, states);
  }
  const old = states.get(env.insnIdx);
  if (old !== undefined && (old.state !== state || old.limit !== limit)) return false;
  states.set(env.insnIdx, { state, limit });
  return true;
}

const PROHIBITED = "pointer arithmetic with it prohibited for !root";

type Reason = "bounds" | "type" | "paths" | "limit";

/** sanitize_err. */
function rejectUnsafe(env: Env, insn: Insn, reason: Reason, offIsDst: boolean): never {
  const verb = (insn.code & 0xf0) === op.BPF_ADD ? "add" : "sub";
  switch (reason) {
    case "bounds":
      return env.reject("EACCES",
        `R${offIsDst ? insn.dst : insn.src} has unknown scalar with mixed signed bounds, ${PROHIBITED}`);
    case "type":
      return env.reject("EACCES",
        `R${offIsDst ? insn.src : insn.dst} has pointer with unsupported alu operation, ${PROHIBITED}`);
    case "paths":
      return env.reject("EACCES", `R${insn.dst} tried to ${verb} from different maps, paths or scalars, ${PROHIBITED}`);
    case "limit":
      return env.reject("EACCES", `R${insn.dst} tried to ${verb} beyond pointer bounds, ${PROHIBITED}`);
  }
}

/** retrieve_ptr_limit: how far the pointer may move, or why it may not. */
function pointerLimit(reg: RegState, left: boolean): number | Reason {
  switch (reg.type) {
    case PTR_TO_STACK: {
      const limit = -(Number(BigInt.asIntN(64, reg.varOff.value)) + reg.off) >>> 0;
      return limit >= MAX_BPF_STACK + (left ? 1 : 0) ? "limit" : limit;
    }
    case PTR_TO_MAP_VALUE: {
      const limit = Number(BigInt.asUintN(32, (left ? reg.smin : reg.umax) + BigInt(reg.off)));
      return limit >= reg.map!.valueSize ? "limit" : limit;
    }
    default:
      return "type";
  }
}

interface Sanitation {
  left: boolean;
  limit: number;
  state: string;
}

/** sanitize_ptr_alu without its speculative paths: before the operation, and again with `commit` behind it. */
function sanitizePointer(
  env: Env, insn: Insn, pointer: RegState, off: RegState, ptrIsDst: boolean, info: Sanitation, commit: boolean,
): Reason | null {
  if (env.bypassSpecV1 || (insn.code & 8) === op.BPF_K) return null;
  const negative = off.smin < 0n;
  if (!commit) {
    if (!off.isConst() && negative !== off.smax < 0n) return "bounds";
    const isAdd = (insn.code & 0xf0) === op.BPF_ADD;
    info.left = (isAdd && negative) || (!isAdd && !negative);
  }
  let limit = pointerLimit(pointer, info.left);
  if (typeof limit !== "number") return limit;
  if (commit) {
    limit = Math.abs(info.limit - limit);
    return sameSanitation(env, info.state, limit) ? null : "paths";
  }
  info.state = `${negative ? "neg" : ""},${off.isConst() ? "imm" : ""},${ptrIsDst ? "src" : "dst"}`;
  info.limit = limit;
  return null;
}

/** sanitize_check_bounds: without CAP_PERFMON a pointer must stay within what it points to at once. */
function checkResultBounds(env: Env, insn: Insn, reg: RegState): void {
  if (env.bypassSpecV1) return;
  if (reg.type === PTR_TO_STACK) {
    const off = reg.off + Number(BigInt.asIntN(64, reg.varOff.value));
    if (!reg.isConst()) {
      env.reject("EACCES",
        `R${insn.dst} variable stack access prohibited for !root, var_off=${tnumString(reg.varOff)} off=${off}`);
    }
    if (off >= 0 || off < -MAX_BPF_STACK) {
      env.reject("EACCES", `R${insn.dst} stack pointer arithmetic goes out of range, prohibited for !root; off=${off}`);
    }
  } else if (reg.type === PTR_TO_MAP_VALUE) {
    try {
      checkMapAccess(env, insn.dst, reg.off, 1, false, true);
    } catch (error) {
      if (!(error instanceof Reject)) throw error;
      env.reject("EACCES", `R${insn.dst} pointer arithmetic of map value goes out of range, prohibited for !root`);
    }
  }
}

const outOfS64 = (value: bigint): boolean => value < S64_MIN || value > S64_MAX;

/** What the type of a pointer says of its object, and its id: for `scalar += pointer`. */
function copyObject(dst: RegState, from: RegState): void {
  dst.type = from.type;
  dst.id = from.id;
  dst.frameno = from.frameno;
  dst.refObjId = from.refObjId;
  dst.dynptrId = from.dynptrId;
  dst.map = from.map;
  dst.mapUid = from.mapUid;
  dst.memSize = from.memSize;
  dst.btf = from.btf;
  dst.btfType = from.btfType;
  dst.subprogno = from.subprogno;
  dst.range = from.range;
}

/** adjust_ptr_min_max_vals: dst = pointer `operation` off; dst is one of the two. */
function adjustPointer(env: Env, insn: Insn, pointer: RegState, off: RegState): void {
  const dst = env.reg(insn.dst);
  const operation = insn.code & 0xf0;
  const known = off.isConst();
  if ((known && (off.smin !== off.smax || off.umin !== off.umax)) || off.smin > off.smax || off.umin > off.umax) {
    dst.markUnknown(false);
    return;
  }
  if ((insn.code & 7) !== op.BPF_ALU64) {
    if (operation === op.BPF_SUB && env.allowPtrLeaks) {
      dst.markUnknown(false);
      return;
    }
    env.reject("EACCES", `R${insn.dst} 32-bit pointer arithmetic prohibited`);
  }
  const name = regTypeString(pointer.type);
  if ((pointer.type & PTR_MAYBE_NULL) !== 0) {
    env.reject("EACCES", `R${insn.dst} pointer arithmetic on ${name} prohibited, null-check it first`);
  }
  if (baseType(pointer.type) === PTR_TO_MEM && (pointer.type & PTR_UNTRUSTED) !== 0) return;
  switch (baseType(pointer.type)) {
    case PTR_TO_CTX:
    case PTR_TO_MAP_VALUE:
    case PTR_TO_MAP_KEY:
    case PTR_TO_STACK:
    case PTR_TO_PACKET_META:
    case PTR_TO_PACKET:
    case PTR_TO_TP_BUFFER:
    case PTR_TO_BTF_ID:
    case PTR_TO_MEM:
    case PTR_TO_BUF:
    case PTR_TO_FUNC:
    case CONST_PTR_TO_DYNPTR:
      break;
    default: {
      const fixed = baseType(pointer.type) === PTR_TO_FLOW_KEYS && known;
      const nothing = (pointer.type === CONST_PTR_TO_MAP || pointer.type === PTR_TO_FLOW_KEYS) && known && off.smin === 0n &&
        operation === op.BPF_ADD;
      if (!fixed && !nothing) env.reject("EACCES", `R${insn.dst} pointer arithmetic on ${name} prohibited`);
    }
  }
  // The result may overwrite either operand: what is read of them later is kept.
  const base = pointer === dst ? pointer.clone() : pointer;
  const delta = off === dst ? off.clone() : off;
  if (dst !== pointer) copyObject(dst, base);
  checkSaneOffset(env, delta, base.type);
  checkSaneOffset(env, base, base.type);
  dst.unbounded32();
  const info: Sanitation = { left: false, limit: 0, state: "" };
  const sanitized = operation === op.BPF_ADD || operation === op.BPF_SUB;
  if (sanitized) {
    const reason = sanitizePointer(env, insn, base, delta, dst === pointer, info, false);
    if (reason !== null) rejectUnsafe(env, insn, reason, off === dst);
  }
  const value = delta.smin;
  const moved = BigInt(base.off) + (operation === op.BPF_SUB ? -value : value);
  const fixed = known && BigInt.asIntN(32, moved) === moved;
  dst.off = base.off;
  dst.range = base.range;
  switch (operation) {
    case op.BPF_ADD:
      if (fixed) {
        keepBounds(dst, base);
        dst.off = Number(moved);
        break;
      }
      dst.smin = base.smin + delta.smin;
      dst.smax = base.smax + delta.smax;
      if (outOfS64(dst.smin) || outOfS64(dst.smax)) {
        dst.smin = S64_MIN;
        dst.smax = S64_MAX;
      }
      dst.umin = base.umin + delta.umin;
      dst.umax = base.umax + delta.umax;
      if (dst.umin > U64_MAX || dst.umax > U64_MAX) {
        dst.umin = 0n;
        dst.umax = U64_MAX;
      }
      dst.varOff = tnumAdd(base.varOff, delta.varOff);
      if (isPktPointer(base.type)) {
        dst.id = env.newId();
        dst.range = 0;
      }
      break;
    case op.BPF_SUB:
      if (off === dst) env.reject("EACCES", `R${insn.dst} tried to subtract pointer from scalar`);
      if (base.type === PTR_TO_STACK) env.reject("EACCES", `R${insn.dst} subtraction from stack pointer prohibited`);
      if (fixed) {
        keepBounds(dst, base);
        dst.id = base.id;
        dst.off = Number(moved);
        break;
      }
      dst.smin = base.smin - delta.smax;
      dst.smax = base.smax - delta.smin;
      if (outOfS64(dst.smin) || outOfS64(dst.smax)) {
        dst.smin = S64_MIN;
        dst.smax = S64_MAX;
      }
      if (base.umin < delta.umax) {
        dst.umin = 0n;
        dst.umax = U64_MAX;
      } else {
        dst.umin = base.umin - delta.umax;
        dst.umax = base.umax - delta.umin;
      }
      dst.varOff = tnumSub(base.varOff, delta.varOff);
      if (isPktPointer(base.type)) {
        dst.id = env.newId();
        if (delta.smin < 0n) dst.range = 0;
      }
      break;
    case op.BPF_AND:
    case op.BPF_OR:
    case op.BPF_XOR:
      env.reject("EACCES", `R${insn.dst} bitwise operator ${OPERATORS[operation]} on pointer prohibited`);
      break;
    default:
      env.reject("EACCES", `R${insn.dst} pointer arithmetic with ${OPERATORS[operation]} operator prohibited`);
  }
  checkSaneOffset(env, dst, base.type);
  regBoundsSync(dst);
  checkResultBounds(env, insn, dst);
  if (sanitized) {
    const reason = sanitizePointer(env, insn, dst, delta, true, info, true);
    if (reason !== null) rejectUnsafe(env, insn, reason, off === dst);
  }
}

function keepBounds(dst: RegState, base: RegState): void {
  dst.smin = base.smin;
  dst.smax = base.smax;
  dst.umin = base.umin;
  dst.umax = base.umax;
  dst.varOff = base.varOff;
}

/** adjust_reg_min_max_vals: arithmetic of two operands. */
function adjustRegister(env: Env, insn: Insn): void {
  const dst = env.reg(insn.dst);
  const operation = insn.code & 0xf0;
  const alu32 = (insn.code & 7) !== op.BPF_ALU64;
  if (dst.type === PTR_TO_ARENA) return;
  const isPointer = dst.type !== SCALAR_VALUE;
  let src: RegState;
  if ((insn.code & 8) === op.BPF_X) {
    src = env.reg(insn.src);
    if (src.type !== SCALAR_VALUE) {
      if (isPointer) {
        if (operation === op.BPF_SUB && env.allowPtrLeaks) {
          dst.markUnknown(false);
          return;
        }
        env.reject("EACCES", `R${insn.dst} pointer ${OPERATORS[operation]} pointer prohibited`);
      }
      markChainPrecision(env, insn.dst);
      return adjustPointer(env, insn, src, dst);
    }
    if (isPointer) {
      markChainPrecision(env, insn.src);
      return adjustPointer(env, insn, dst, src);
    }
    if (dst.precise) markChainPrecision(env, insn.src);
  } else {
    src = immediate;
    src.setConst(BigInt(insn.imm));
    if (isPointer) return adjustPointer(env, insn, dst, src);
  }
  if ((operation === op.BPF_ADD || operation === op.BPF_SUB) && !env.bypassSpecV1 && (insn.code & 8) === op.BPF_X) {
    if (!sameSanitation(env, "scalar", 0)) rejectUnsafe(env, insn, "paths", false);
  }
  if (src === dst) {
    operand.set(src);
    src = operand;
  }
  const { id } = dst;
  adjustScalar(dst, src, operation, alu32, false);
  // `r1 = r2; r1 += 8`: r1 stays linked to r2 at a distance.
  if (operation === op.BPF_ADD && !alu32 && id !== 0 && dst.id !== 0 && src.isConst()) {
    const delta = src.varOff.value;
    if ((dst.id & BPF_ADD_CONST) !== 0 || delta > BigInt(S32_MAX)) {
      dst.off = 0;
      dst.id = 0;
    } else {
      dst.id |= BPF_ADD_CONST;
      dst.off = Number(delta);
    }
  } else {
    dst.id = 0;
  }
}

/** Scratch registers: an immediate operand, and the copy of an operand that is the destination too. */
const immediate = new RegState();
immediate.type = SCALAR_VALUE;
const operand = new RegState();

const width = (reg: RegState): number => fls64(reg.umax);

function checkMove(env: Env, insn: Insn): void {
  const wide = (insn.code & 7) === op.BPF_ALU64;
  const isReg = (insn.code & 8) === op.BPF_X;
  if (isReg) {
    if (wide && insn.off === 1) {
      if (insn.imm !== 1 && insn.imm !== 1 << 16) {
        env.reject("EINVAL", "addr_space_cast insn can only convert between address space 1 and 0");
      }
      env.reject("EINVAL", "addr_space_cast insn can only be used in a program that has an associated arena");
    }
    const offOk = insn.off === 0 || insn.off === 8 || insn.off === 16 || (wide && insn.off === 32);
    if (!offOk || insn.imm !== 0) env.reject("EINVAL", "BPF_MOV uses reserved fields");
    checkRegArg(env, insn.src, "src");
  } else if (insn.src !== 0 || insn.off !== 0) {
    env.reject("EINVAL", "BPF_MOV uses reserved fields");
  }
  checkRegArg(env, insn.dst, "dst-no-mark");
  const dst = env.reg(insn.dst);
  if (!isReg) {
    dst.clear();
    dst.type = SCALAR_VALUE;
    dst.setConst(wide ? BigInt(insn.imm) : BigInt(insn.imm >>> 0));
    return;
  }
  const src = env.reg(insn.src);
  if (wide && insn.off === 0) {
    assignScalarId(env, src);
    dst.set(src);
    return;
  }
  if (isPointerValue(env.allowPtrLeaks, src)) {
    env.reject("EACCES", `R${insn.src} ${wide ? "sign-extension part" : "partial copy"} of pointer`);
  }
  if (src.type !== SCALAR_VALUE) {
    dst.markUnknown(false);
  } else {
    const keeps = insn.off === 0 ? width(src) <= 32 : src.umax < 1n << BigInt(insn.off - 1);
    if (keeps) assignScalarId(env, src);
    dst.set(src);
    if (!keeps) dst.id = 0;
    if (insn.off !== 0) {
      if (wide) coerceToSizeSx(dst, insn.off >> 3);
      else coerceSubregToSizeSx(dst, insn.off >> 3);
    }
  }
  if (wide) return;
  zext32to64(dst);
  regBoundsSync(dst);
}

/** check_alu_op: BPF_ALU and BPF_ALU64. */
export function checkAlu(env: Env, insn: Insn): void {
  const operation = insn.code & 0xf0;
  const isReg = (insn.code & 8) === op.BPF_X;
  const wide = (insn.code & 7) === op.BPF_ALU64;
  if (operation === op.BPF_NEG || operation === op.BPF_END) {
    if (operation === op.BPF_NEG) {
      if (isReg || insn.src !== 0 || insn.off !== 0 || insn.imm !== 0) {
        env.reject("EINVAL", "BPF_NEG uses reserved fields");
      }
    } else if (
      insn.src !== 0 || insn.off !== 0 || (insn.imm !== 16 && insn.imm !== 32 && insn.imm !== 64) || (wide && isReg)
    ) {
      env.reject("EINVAL", "BPF_END uses reserved fields");
    }
    checkRegArg(env, insn.dst, "src");
    const dst = env.reg(insn.dst);
    if (isPointerValue(env.allowPtrLeaks, dst)) env.reject("EACCES", `R${insn.dst} pointer arithmetic prohibited`);
    if (operation === op.BPF_NEG && dst.type === SCALAR_VALUE) {
      checkRegArg(env, insn.dst, "dst-no-mark");
      adjustScalar(dst, dst, operation, !wide, false);
      dst.id = 0;
    } else if (operation === op.BPF_END && dst.type === SCALAR_VALUE) {
      checkRegArg(env, insn.dst, "dst-no-mark");
      swapScalar(dst, insn.imm >> 3, wide || isReg);
      dst.id = 0;
    } else {
      checkRegArg(env, insn.dst, "dst");
    }
  } else if (operation === op.BPF_MOV) {
    checkMove(env, insn);
  } else if (operation > op.BPF_END) {
    env.reject("EINVAL", `invalid BPF_ALU opcode ${operation.toString(16)}`);
  } else {
    const divides = operation === op.BPF_DIV || operation === op.BPF_MOD;
    const offOk = insn.off === 0 || (insn.off === 1 && divides);
    if (!offOk || (isReg ? insn.imm !== 0 : insn.src !== 0)) env.reject("EINVAL", "BPF_ALU uses reserved fields");
    if (isReg) checkRegArg(env, insn.src, "src");
    checkRegArg(env, insn.dst, "src");
    if (divides && !isReg && insn.imm === 0) env.reject("EINVAL", "div by zero");
    if ((operation === op.BPF_LSH || operation === op.BPF_RSH || operation === op.BPF_ARSH) && !isReg) {
      if (insn.imm < 0 || insn.imm >= (wide ? 64 : 32)) env.reject("EINVAL", `invalid shift ${insn.imm}`);
    }
    checkRegArg(env, insn.dst, "dst-no-mark");
    adjustRegister(env, insn);
  }
  regBoundsContradict(env.reg(insn.dst));
}
