/**
 * Programs as text: each instruction as the kernel prints it (kernel/bpf/disasm.c), with the source line it was compiled from before it, and
 * the names of maps, functions and kernel functions where numbers would stand. Like `bpftool prog dump xlated linum`.
 */
import { BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_PSEUDO_KFUNC_CALL, bpfClass, bpfOp, isLddw, type Insn } from "./insn.ts";
import type { LinkedProgram } from "./link.ts";
import { kfuncName, printInsn } from "./verifier/disasm.ts";

export interface DisassembledSlot {
  readonly slot: number;
  /** "(b7) r0 = 2". */
  readonly text: string;
  /** The slot's bytes; sixteen of an `lddw`. */
  readonly bytes: string;
  /** Where it comes from, when that differs from the slot before. */
  readonly source?: { readonly line: string; readonly file: string; readonly number: number; readonly column: number };
  /** The function that starts here. */
  readonly function?: string;
}

/** All slots of a linked program but the second halves of `lddw`. */
export function disassemble({ insns, maps, functions, lineInfo }: LinkedProgram): DisassembledSlot[] {
  const names = new Map(functions.map(({ name, slot }) => [slot, name]));
  const lines = new Map(lineInfo.map((info) => [info.slot, info]));
  const listing: DisassembledSlot[] = [];
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    const wide = isLddw(insn) && slot + 1 < insns.length;
    const line = lines.get(slot);
    const name = names.get(slot);
    listing.push({
      slot, text: textOf(insn, insns[slot + 1], slot, maps.get(slot), names), bytes: hexOf(insn) + (wide ? ` ${hexOf(insns[slot + 1]!)}` : ""),
      ...(line === undefined ? {} : { source: { line: line.line.trim(), file: line.file ?? "", number: line.number ?? 0, column: line.column } }),
      ...(name === undefined ? {} : { function: name }),
    });
    if (wide) slot++;
  }
  return listing;
}

/** The instruction, with the names that its numbers stand for. */
function textOf(insn: Insn, next: Insn | undefined, slot: number, map: { readonly map: { readonly name: string }; readonly value: boolean; readonly addend: number } | undefined, names: ReadonlyMap<number, string>): string {
  if (isLddw(insn)) {
    const head = `(18) r${insn.dst} = `;
    if (map !== undefined) return `${head}map[${map.map.name}]${map.value ? `[0]+${map.addend}` : ""}`;
    if (insn.src === BPF_PSEUDO_FUNC) return `${head}subprog[${names.get(slot + insn.imm + 1) ?? `+${insn.imm}`}]`;
  }
  const isCall = bpfClass(insn.code) === BPF_JMP && bpfOp(insn.code) === BPF_CALL;
  if (isCall && insn.src === BPF_PSEUDO_CALL) return `(85) call pc${insn.imm < 0 ? "" : "+"}${insn.imm}#${names.get(slot + insn.imm + 1) ?? "?"}`;
  if (isCall && insn.src === BPF_PSEUDO_KFUNC_CALL) return `(85) call kernel-function#${kfuncName(insn.imm) ?? insn.imm}`;
  return printInsn(insn, next);
}

const byte = (value: number): string => (value & 0xff).toString(16).padStart(2, "0");
const hexOf = ({ code, dst, src, off, imm }: Insn): string =>
  [code, (src << 4) | dst, off, off >> 8, imm, imm >> 8, imm >> 16, imm >> 24].map(byte).join(" ");

/** The listing as lines: functions by name, source lines with `;`, slots with their numbers; with `bytes` their bytes below. */
export function listing(program: LinkedProgram, options: { readonly bytes?: boolean; readonly source?: boolean } = {}): string[] {
  return disassemble(program).flatMap(({ slot, text, bytes, source, function: name }) => [
    ...(name === undefined ? [] : [`${name}:`]),
    ...(source === undefined || options.source === false ? [] : [`; ${source.line} [file:${source.file} line_num:${source.number} line_col:${source.column}]`]),
    `${String(slot).padStart(4)}: ${text}`,
    ...(options.bytes === true ? [`       ${bytes}`] : []),
  ]);
}
