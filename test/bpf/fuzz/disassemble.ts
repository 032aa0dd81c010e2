/** A program in hex as lines. */
import { decodeInsns, isLddw } from "../../../src/bpf/insn.ts";

export function disassemble(program: string): string {
  const insns = decodeInsns(Uint8Array.from(program.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));
  const lines: string[] = [];
  for (let slot = 0; slot < insns.length; slot++) {
    const { code, dst, src, off, imm } = insns[slot]!;
    lines.push(`${String(slot).padStart(4)}: (${code.toString(16).padStart(2, "0")}) r${dst} r${src} off ${off} imm ${imm}`);
    if (isLddw(insns[slot]!)) slot++;
  }
  return lines.join("\n");
}
