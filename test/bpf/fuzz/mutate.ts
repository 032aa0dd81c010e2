/** Small changes to a program that keep its jumps, calls and maps in place, as a careless programmer or a bug in a compiler would make them. */
import {
  BPF_ALU, BPF_ALU64, BPF_CALL, BPF_EXIT, BPF_JA, BPF_JMP, BPF_JMP32, BPF_LDX, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_ST, BPF_STX, BPF_X, bpfClass, bpfOp, type Insn,
  isLddw,
} from "../../../src/bpf/insn.ts";
import type { Dice } from "../../kernel/fuzz/random.ts";

export interface Mutable {
  readonly insns: readonly Insn[];
  /** First slots of functions; those of `lddw` with a map. */
  readonly functions: readonly number[];
  readonly maps: readonly { readonly slot: number; readonly map: number; readonly kind: "map" | "mapvalue"; readonly addend: number }[];
}

const EDGES = [0, 1, -1, 2, 4, 7, 8, 15, 16, 20, 31, 32, 63, 64, 255, 256, 512, -8, -16, -512, 0x7fff, 0xffff, 0x7fffffff, -0x80000000];
const isJump = ({ code }: Insn): boolean => (bpfClass(code) === BPF_JMP || bpfClass(code) === BPF_JMP32) && bpfOp(code) !== BPF_CALL && bpfOp(code) !== BPF_EXIT;
const isGotol = ({ code }: Insn): boolean => code === (BPF_JMP32 | BPF_JA);
const relativeCall = ({ code, src }: Insn): boolean => code === (BPF_JMP | BPF_CALL) && src === BPF_PSEUDO_CALL;

/** Where a slot leads, for everything that is relative. */
function target(insn: Insn, slot: number): number | undefined {
  if (isGotol(insn) || relativeCall(insn) || (isLddw(insn) && insn.src === BPF_PSEUDO_FUNC)) return slot + 1 + insn.imm;
  return isJump(insn) ? slot + 1 + insn.off : undefined;
}

/** The program with `count` slots at `at` replaced by `by`; what is relative still leads where it did. */
function splice(program: Mutable, at: number, count: number, by: readonly Insn[]): Mutable {
  const grown = by.length - count;
  const moved = (slot: number): number => (slot >= at + count ? slot + grown : Math.min(slot, at + by.length));
  const insns: Insn[] = [];
  const { insns: before } = program;
  for (let slot = 0; slot < before.length; slot++) {
    if (slot === at) insns.push(...by.map((insn) => ({ ...insn })));
    if (slot >= at && slot < at + count) continue;
    const insn = { ...before[slot]! };
    const to = target(insn, slot);
    const lddw = isLddw(insn);
    if (to !== undefined) {
      const distance = moved(to) - moved(slot) - 1;
      if (isJump(insn) && !isGotol(insn)) insn.off = distance;
      else insn.imm = distance;
    }
    insns.push(insn);
    if (lddw && slot + 1 < before.length && slot + 1 !== at) insns.push({ ...before[++slot]! });
  }
  return {
    insns, functions: program.functions.map((slot) => (slot <= at ? slot : moved(slot))),
    maps: program.maps.filter(({ slot }) => slot < at || slot >= at + count).map((each) => ({ ...each, slot: moved(each.slot) })),
  };
}

const changed = (program: Mutable, slot: number, change: Partial<Insn>): Mutable => {
  const insns = program.insns.slice();
  insns[slot] = { ...insns[slot]!, ...change };
  return { ...program, insns };
};

const NOP: Insn = { code: BPF_JMP | BPF_JA, dst: 0, src: 0, off: 0, imm: 0 };

// What an instruction makes use of: a change elsewhere is refused for its form alone, which one in ten shall be.
const isArithmetic = (kind: number): boolean => kind === BPF_ALU || kind === BPF_ALU64 || kind === BPF_JMP || kind === BPF_JMP32;
const usesRegisters = ({ code }: Insn): boolean => !(bpfClass(code) === BPF_JMP && (bpfOp(code) === BPF_CALL || bpfOp(code) === BPF_EXIT || bpfOp(code) === BPF_JA));
const usesSource = (insn: Insn): boolean => {
  const kind = bpfClass(insn.code);
  return isArithmetic(kind) ? usesRegisters(insn) && (insn.code & BPF_X) !== 0 : kind === BPF_LDX || kind === BPF_STX;
};
const usesImm = (insn: Insn): boolean => {
  const kind = bpfClass(insn.code);
  return isArithmetic(kind) ? (insn.code & BPF_X) === 0 : kind === BPF_ST || isLddw(insn);
};
const usesOff = (insn: Insn): boolean => {
  const kind = bpfClass(insn.code);
  return kind === BPF_LDX || kind === BPF_ST || kind === BPF_STX || isJump(insn);
};

/** One change. */
export function mutate(d: Dice, program: Mutable, maps: number): Mutable {
  const { insns } = program;
  let slot = d.below(insns.length);
  // Not the second half of an `lddw`.
  if (slot > 0 && insns[slot]!.code === 0 && isLddw(insns[slot - 1]!)) slot--;
  const insn = insns[slot]!;
  const kind = bpfClass(insn.code);
  const width = isLddw(insn) ? 2 : 1;
  return d.weighted<() => Mutable>([
    [8, () => (usesImm(insn) || d.once(10) ? changed(program, slot, { imm: d.pick(EDGES) }) : program)],
    [4, () => (usesImm(insn) || d.once(10) ? changed(program, slot, { imm: (insn.imm + d.pick([-1, 1, 4, -4, 8])) | 0 }) : program)],
    [8, () => !usesOff(insn) && !d.once(10) ? program : changed(program, slot, { off: Math.max(-32768, Math.min(32767, insn.off + d.pick([-1, 1, 2, -2, 4, -4, 8, -8, 16, 64, -64]))) })],
    [6, () => (usesRegisters(insn) || d.once(10) ? changed(program, slot, { dst: d.below(d.once(20) ? 16 : 11) }) : program)],
    [6, () => (usesSource(insn) || d.once(10) ? changed(program, slot, { src: d.below(d.once(20) ? 16 : 11) }) : program)],
    // Another operation, width or source of the same class.
    [6, () => changed(program, slot, {
      code: kind | (kind === BPF_LDX || kind === BPF_ST || kind === BPF_STX ? (insn.code & 0xe0) | d.pick([0, 8, 16, 24]) : (d.below(14) << 4) | (insn.code & 8)),
    })],
    [2, () => changed(program, slot, { code: insn.code ^ (kind === BPF_ALU || kind === BPF_ALU64 ? 3 : kind === BPF_JMP || kind === BPF_JMP32 ? 3 : 8) })],
    [1, () => changed(program, slot, { code: d.below(256) })],
    // A check or anything else left out.
    [10, () => splice(program, slot, width, [])],
    [3, () => (width === 1 ? changed(program, slot, NOP) : program)],
    // Twice, or something from elsewhere before it.
    [3, () => (width === 1 && !relativeCall(insn) ? splice(program, slot, 0, [insn]) : program)],
    [3, () => {
      const other = insns[d.below(insns.length)]!;
      return isLddw(other) || relativeCall(other) || other.code === 0 ? program : splice(program, slot, 0, [isJump(other) ? { ...other, off: d.below(3) } : other]);
    }],
    [3, () => {
      const next = insns[slot + 1];
      if (width === 2 || next === undefined || isLddw(next) || isJump(next) || isJump(insn) || relativeCall(insn) || relativeCall(next)) return program;
      const swapped = insns.slice();
      [swapped[slot], swapped[slot + 1]] = [next, insn];
      return { ...program, insns: swapped };
    }],
    [3, () => {
      const calls = insns.flatMap((each, n) => (each.code === (BPF_JMP | BPF_CALL) && each.src === 0 ? [n] : []));
      return calls.length === 0 ? program : changed(program, d.pick(calls), { imm: d.once(4) ? d.below(220) : d.pick([1, 2, 3, 5, 6, 7, 8, 12, 25, 26, 28, 87, 130, 131]) });
    }],
    [3, () => {
      if (program.maps.length === 0 || maps < 2) return program;
      const chosen = d.below(program.maps.length);
      return { ...program, maps: program.maps.map((each, n) => (n === chosen ? { ...each, map: d.below(maps) } : each)) };
    }],
  ])();
}
