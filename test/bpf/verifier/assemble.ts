/**
 * Programs as the verifier's log prints them, one instruction a line: `r1 = r2`, `w3 s>>= 4`, `r0 = *(u8 *)(r1 +2)`,
 * `*(u32 *)(r10 -4) = 7`, `if r1 s< 5 goto out`, `out:`, `r1 = map m`, `r1 = value m 8`, `call 1`, `call f`, `exit`,
 * `fetch_add *(u64 *)(r10 -8) r1`, `raw HEX`.
 */
import * as op from "../../../src/bpf/insn.ts";
import { encodeInsns, decodeInsns, type Insn } from "../../../src/bpf/insn.ts";

const SIZES: Readonly<Record<string, number>> = { "8": op.BPF_B, "16": op.BPF_H, "32": op.BPF_W, "64": op.BPF_DW };
const ALU: Readonly<Record<string, number>> = {
  "+=": op.BPF_ADD, "-=": op.BPF_SUB, "*=": op.BPF_MUL, "/=": op.BPF_DIV, "|=": op.BPF_OR, "&=": op.BPF_AND, "<<=": op.BPF_LSH,
  ">>=": op.BPF_RSH, "%=": op.BPF_MOD, "^=": op.BPF_XOR, "=": op.BPF_MOV, "s>>=": op.BPF_ARSH,
};
const JUMPS: Readonly<Record<string, number>> = {
  "==": op.BPF_JEQ, "!=": op.BPF_JNE, ">": op.BPF_JGT, ">=": op.BPF_JGE, "<": op.BPF_JLT, "<=": op.BPF_JLE, "&": op.BPF_JSET,
  "s>": op.BPF_JSGT, "s>=": op.BPF_JSGE, "s<": op.BPF_JSLT, "s<=": op.BPF_JSLE,
};
const ATOMICS: Readonly<Record<string, number>> = {
  add: op.BPF_ADD, fetch_add: op.BPF_ADD | op.BPF_FETCH, or: op.BPF_OR, and: op.BPF_AND, xor: op.BPF_XOR, xchg: op.BPF_XCHG,
  cmpxchg: op.BPF_CMPXCHG,
};

export interface Assembled {
  readonly hex: string;
  readonly relocs: readonly { slot: number; kind: string; name: string; addend: number }[];
}

export function assemble(text: string): Assembled {
  const insns: Insn[] = [];
  const labels = new Map<string, number>();
  const jumps: { slot: number; label: string; call: boolean }[] = [];
  const relocs: { slot: number; kind: string; name: string; addend: number }[] = [];
  const put = (code: number, dst = 0, src = 0, off = 0, imm = 0): number => insns.push({ code, dst, src, off, imm });
  const target = (label: string, call = false): number => {
    if (/^[+-]\d+$/.test(label)) return Number(label);
    jumps.push({ slot: insns.length, label, call });
    return 0;
  };
  for (const raw of text.split(/[\n;]/)) {
    let line = raw.trim();
    let m: RegExpMatchArray | null;
    while ((m = line.match(/^(\w+):\s*/))) {
      labels.set(m[1]!, insns.length);
      line = line.slice(m[0].length);
    }
    if (line === "") continue;
    if ((m = line.match(/^raw ([0-9a-f]+)$/))) insns.push(...decodeInsns(new Uint8Array(Buffer.from(m[1]!, "hex"))));
    else if (line === "exit") put(op.BPF_JMP | op.BPF_EXIT);
    else if ((m = line.match(/^call (\d+)$/))) put(op.BPF_JMP | op.BPF_CALL, 0, 0, 0, Number(m[1]));
    else if ((m = line.match(/^call (\w+)$/))) put(op.BPF_JMP | op.BPF_CALL, 0, 1, 0, target(m[1]!, true));
    else if ((m = line.match(/^goto (\S+)$/))) put(op.BPF_JMP | op.BPF_JA, 0, 0, target(m[1]!));
    else if ((m = line.match(/^r(\d+) = (map|value) (\w+)(?: (\d+))?$/))) {
      relocs.push({ slot: insns.length, kind: m[2] === "map" ? "map" : "mapvalue", name: m[3]!, addend: Number(m[4] ?? 0) });
      put(op.BPF_LD | op.BPF_IMM | op.BPF_DW, Number(m[1]));
      put(0);
    } else if ((m = line.match(/^r(\d+) = (-?\d+) ll$/))) {
      const value = BigInt.asUintN(64, BigInt(m[2]!));
      put(op.BPF_LD | op.BPF_IMM | op.BPF_DW, Number(m[1]), 0, 0, Number(value & 0xffff_ffffn) | 0);
      put(0, 0, 0, 0, Number(value >> 32n) | 0);
    } else if ((m = line.match(/^(\w+) \*\(u(\d+) \*\)\(r(\d+) ([+-]\d+)\) r(\d+)$/))) {
      put(op.BPF_STX | op.BPF_ATOMIC | SIZES[m[2]!]!, Number(m[3]), Number(m[5]), Number(m[4]), ATOMICS[m[1]!]!);
    } else if ((m = line.match(/^r(\d+) = \*\(([us])(\d+) \*\)\(r(\d+) ([+-]\d+)\)$/))) {
      put(op.BPF_LDX | (m[2] === "u" ? op.BPF_MEM : op.BPF_MEMSX) | SIZES[m[3]!]!, Number(m[1]), Number(m[4]), Number(m[5]));
    } else if ((m = line.match(/^\*\(u(\d+) \*\)\(r(\d+) ([+-]\d+)\) = r(\d+)$/))) {
      put(op.BPF_STX | op.BPF_MEM | SIZES[m[1]!]!, Number(m[2]), Number(m[4]), Number(m[3]));
    } else if ((m = line.match(/^\*\(u(\d+) \*\)\(r(\d+) ([+-]\d+)\) = (-?\d+)$/))) {
      put(op.BPF_ST | op.BPF_MEM | SIZES[m[1]!]!, Number(m[2]), 0, Number(m[3]), Number(m[4]));
    } else if ((m = line.match(/^if ([rw])(\d+) (\S+) (?:[rw](\d+)|(-?\d+)) goto (\S+)$/))) {
      const code = (m[1] === "r" ? op.BPF_JMP : op.BPF_JMP32) | JUMPS[m[3]!]!;
      const off = target(m[6]!);
      if (m[4] === undefined) put(code, Number(m[2]), 0, off, Number(m[5]));
      else put(code | op.BPF_X, Number(m[2]), Number(m[4]), off);
    } else if ((m = line.match(/^([rw])(\d+) = -[rw]\2$/))) {
      put((m[1] === "r" ? op.BPF_ALU64 : op.BPF_ALU) | op.BPF_NEG, Number(m[2]));
    } else if ((m = line.match(/^([rw])(\d+) (\S+) (?:\(s(\d+)\))?(?:[rw](\d+)|(-?\d+))$/))) {
      const code = (m[1] === "r" ? op.BPF_ALU64 : op.BPF_ALU) | ALU[m[3]!]!;
      if (m[5] === undefined) put(code, Number(m[2]), 0, 0, Number(m[6]));
      else put(code | op.BPF_X, Number(m[2]), Number(m[5]), Number(m[4] ?? 0));
    } else throw new Error(`no instruction: ${line}`);
  }
  for (const { slot, label, call } of jumps) {
    const at = labels.get(label);
    if (at === undefined) throw new Error(`no label ${label}`);
    if (call) insns[slot]!.imm = at - slot - 1;
    else insns[slot]!.off = at - slot - 1;
  }
  return { hex: Buffer.from(encodeInsns(insns)).toString("hex"), relocs };
}
