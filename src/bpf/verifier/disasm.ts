// Instructions as the kernel's log prints them: kernel/bpf/disasm.c, print_bpf_insn.

import * as op from "../insn.ts";
import type { Insn } from "../insn.ts";
import { Helper, Kfunc } from "../uapi.ts";

const ALU: Record<number, string> = {
  [op.BPF_ADD]: "+=", [op.BPF_SUB]: "-=", [op.BPF_MUL]: "*=", [op.BPF_DIV]: "/=", [op.BPF_OR]: "|=",
  [op.BPF_AND]: "&=", [op.BPF_LSH]: "<<=", [op.BPF_RSH]: ">>=", [op.BPF_NEG]: "neg", [op.BPF_MOD]: "%=",
  [op.BPF_XOR]: "^=", [op.BPF_MOV]: "=", [op.BPF_ARSH]: "s>>=", [op.BPF_END]: "endian",
};
const JMP: Record<number, string> = {
  [op.BPF_JA]: "jmp", [op.BPF_JEQ]: "==", [op.BPF_JGT]: ">", [op.BPF_JLT]: "<", [op.BPF_JGE]: ">=",
  [op.BPF_JLE]: "<=", [op.BPF_JSET]: "&", [op.BPF_JNE]: "!=", [op.BPF_JSGT]: "s>", [op.BPF_JSLT]: "s<",
  [op.BPF_JSGE]: "s>=", [op.BPF_JSLE]: "s<=", [op.BPF_CALL]: "call", [op.BPF_EXIT]: "exit",
};
const ATOMIC: Record<number, string> = { [op.BPF_ADD]: "add", [op.BPF_AND]: "and", [op.BPF_OR]: "or", [op.BPF_XOR]: "xor" };
const LOAD: Record<number, string> = { [op.BPF_W]: "u32", [op.BPF_H]: "u16", [op.BPF_B]: "u8", [op.BPF_DW]: "u64" };
const LOAD_SX: Record<number, string> = { [op.BPF_W]: "s32", [op.BPF_H]: "s16", [op.BPF_B]: "s8", [op.BPF_DW]: "s64" };

const hex = (value: number): string => (value & 0xff).toString(16).padStart(2, "0");
const hex32 = (value: number): string => "0x" + (value >>> 0).toString(16);
const signed = (value: number): string => (value < 0 ? `${value}` : `+${value}`);

function reverse(numbers: Readonly<Record<string, number>>): Map<number, string> {
  const names = new Map<number, string>();
  for (const name of Object.keys(numbers)) names.set(numbers[name]!, name);
  return names;
}

let helperNames: Map<number, string> | undefined;
let kfuncNames: Map<number, string> | undefined;

/** func_id_name: `bpf_map_lookup_elem`, or "unknown". */
export function helperName(id: number): string {
  helperNames ??= reverse(Helper);
  const name = helperNames.get(id);
  return name === undefined ? "unknown" : `bpf_${name}`;
}

/** Name of one of our kfunc numbers, or undefined. */
export function kfuncName(id: number): string | undefined {
  kfuncNames ??= reverse(Kfunc);
  return kfuncNames.get(id);
}

function alu(insn: Insn, wide: boolean): string {
  const letter = wide ? "r" : "w";
  const operation = insn.code & 0xf0;
  const head = `(${hex(insn.code)}) `;
  if (operation === op.BPF_END) {
    if (wide) return `${head}r${insn.dst} = bswap${insn.imm} r${insn.dst}`;
    return `${head}r${insn.dst} = ${(insn.code & 8) === op.BPF_TO_BE ? "be" : "le"}${insn.imm} r${insn.dst}`;
  }
  if (operation === op.BPF_NEG) return `${head}${letter}${insn.dst} = -${letter}${insn.dst}`;
  const name = ALU[operation];
  if (name === undefined) return `${head}${letter}${insn.dst} (null) `;
  const isSigned = (operation === op.BPF_DIV || operation === op.BPF_MOD) && insn.off === 1 ? "s" : "";
  if ((insn.code & 8) === op.BPF_X) {
    if (operation === op.BPF_MOV && wide && insn.off === 1 && insn.imm !== 0) {
      return `${head}r${insn.dst} = addr_space_cast(r${insn.src}, ${insn.imm >>> 16}, ${insn.imm & 0xffff})`;
    }
    if (operation === op.BPF_MOV && wide && insn.off === -1 && insn.imm === 0) {
      return `${head}r${insn.dst} = &(void __percpu *)(r${insn.src})`;
    }
    const cast = operation === op.BPF_MOV && insn.off !== 0 ? `(s${insn.off})` : "";
    return `${head}${letter}${insn.dst} ${isSigned}${name} ${cast}${letter}${insn.src}`;
  }
  return `${head}${letter}${insn.dst} ${isSigned}${name} ${insn.imm}`;
}

function atomic(insn: Insn): string {
  const head = `(${hex(insn.code)}) `;
  const wide = (insn.code & 0x18) === op.BPF_DW ? "64" : "";
  const place = `(${LOAD[insn.code & 0x18]} *)(r${insn.dst} ${signed(insn.off)})`;
  const plain = insn.imm & ~op.BPF_FETCH;
  if (ATOMIC[insn.imm] !== undefined) {
    return `${head}lock *${place} ${ALU[insn.imm]} r${insn.src}`;
  }
  if ((insn.imm & op.BPF_FETCH) !== 0 && ATOMIC[plain] !== undefined) {
    return `${head}r${insn.src} = atomic${wide}_fetch_${ATOMIC[plain]}(${place}, r${insn.src})`;
  }
  if (insn.imm === op.BPF_CMPXCHG) return `${head}r0 = atomic${wide}_cmpxchg(${place}, r0, r${insn.src})`;
  if (insn.imm === op.BPF_XCHG) return `${head}r${insn.src} = atomic${wide}_xchg(${place}, r${insn.src})`;
  if (insn.imm === op.BPF_LOAD_ACQ) {
    return `${head}r${insn.dst} = load_acquire((${LOAD[insn.code & 0x18]} *)(r${insn.src} ${signed(insn.off)}))`;
  }
  if (insn.imm === op.BPF_STORE_REL) return `${head}store_release(${place}, r${insn.src})`;
  return `BUG_${hex(insn.code)}`;
}

function call(insn: Insn): string {
  if (insn.src === op.BPF_PSEUDO_CALL) return `call pc${signed(insn.imm)}`;
  if (insn.src === op.BPF_PSEUDO_KFUNC_CALL) return `call ${kfuncName(insn.imm) ?? "kernel-function"}#${insn.imm}`;
  return `call ${helperName(insn.imm)}#${insn.imm}`;
}

function jump(insn: Insn, wide: boolean): string {
  const head = `(${hex(insn.code)}) `;
  const letter = wide ? "r" : "w";
  const operation = insn.code & 0xf0;
  if (operation === op.BPF_CALL) return head + call(insn);
  if (insn.code === (op.BPF_JMP | op.BPF_JA)) return `${head}goto pc${signed(insn.off)}`;
  if (insn.code === (op.BPF_JMP | op.BPF_JCOND) && insn.src === 0) return `${head}may_goto pc${signed(insn.off)}`;
  if (insn.code === (op.BPF_JMP32 | op.BPF_JA)) return `${head}gotol pc${signed(insn.imm)}`;
  if (insn.code === (op.BPF_JMP | op.BPF_EXIT)) return `${head}exit`;
  const name = JMP[operation] ?? "(null)";
  const right = (insn.code & 8) === op.BPF_X ? `${letter}${insn.src}` : hex32(insn.imm);
  return `${head}if ${letter}${insn.dst} ${name} ${right} goto pc${signed(insn.off)}`;
}

/** One instruction, without a line end. `next` is the second slot of an `lddw`. */
export function printInsn(insn: Insn, next?: Insn): string {
  const head = `(${hex(insn.code)}) `;
  const size = insn.code & 0x18;
  switch (insn.code & 7) {
    case op.BPF_ALU64:
      return alu(insn, true);
    case op.BPF_ALU:
      return alu(insn, false);
    case op.BPF_STX:
      if ((insn.code & 0xe0) === op.BPF_MEM) {
        return `${head}*(${LOAD[size]} *)(r${insn.dst} ${signed(insn.off)}) = r${insn.src}`;
      }
      return (insn.code & 0xe0) === op.BPF_ATOMIC ? atomic(insn) : `BUG_${hex(insn.code)}`;
    case op.BPF_ST:
      if ((insn.code & 0xe0) === op.BPF_MEM) {
        return `${head}*(${LOAD[size]} *)(r${insn.dst} ${signed(insn.off)}) = ${insn.imm}`;
      }
      return `BUG_st_${hex(insn.code)}`;
    case op.BPF_LDX:
      if ((insn.code & 0xe0) !== op.BPF_MEM && (insn.code & 0xe0) !== op.BPF_MEMSX) return `BUG_ldx_${hex(insn.code)}`;
      return `${head}r${insn.dst} = *(${((insn.code & 0xe0) === op.BPF_MEM ? LOAD : LOAD_SX)[size]} *)` +
        `(r${insn.src} ${signed(insn.off)})`;
    case op.BPF_LD:
      switch (insn.code & 0xe0) {
        case op.BPF_ABS:
          return `${head}r0 = *(${LOAD[size]} *)skb[${insn.imm}]`;
        case op.BPF_IND:
          return `${head}r0 = *(${LOAD[size]} *)skb[r${insn.src} + ${insn.imm}]`;
        case op.BPF_IMM: {
          if (size !== op.BPF_DW) return `BUG_ld_${hex(insn.code)}`;
          const value = (BigInt(next?.imm ?? 0) << 32n) | BigInt(insn.imm >>> 0);
          // Addresses of maps are not shown.
          const pointer = insn.src === op.BPF_PSEUDO_MAP_FD || insn.src === op.BPF_PSEUDO_MAP_VALUE;
          return `${head}r${insn.dst} = 0x${pointer ? "0" : BigInt.asUintN(64, value).toString(16)}`;
        }
      }
      return `BUG_ld_${hex(insn.code)}`;
    case op.BPF_JMP32:
      return jump(insn, false);
    default:
      return jump(insn, true);
  }
}
