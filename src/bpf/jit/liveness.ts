// Which registers are read later: calls need not pass the others on, and what only computes them is left out.
import {
  BPF_ALU, BPF_ALU64, BPF_ATOMIC, BPF_CALL, BPF_CMPXCHG, BPF_END, BPF_EXIT, BPF_FETCH, BPF_IMM, BPF_IND, BPF_JA, BPF_JCOND, BPF_JMP32, BPF_LD,
  BPF_LDX, BPF_LOAD_ACQ, BPF_MOV, BPF_NEG, BPF_PSEUDO_CALL, BPF_ST, BPF_STORE_REL, BPF_STX, BPF_X, bpfClass, bpfMode, bpfOp, bpfSrc,
} from "../insn.ts";
import { Helper } from "../uapi.ts";
import { helperArguments } from "./helpers.ts";
import { CALL, successors, type Graph, type Slots } from "./program.ts";

const ARGUMENTS = 0b111110;

export interface Liveness {
  /** Registers (bit n: rn) that are read before they are written, from the start of each block. */
  readonly liveIn: Uint16Array;
}

/** What the instructions of one program read and write; `entryOf` tells what local functions read, as far as that is known. */
export interface Effects {
  reads(slot: number): number;
  writes(slot: number): number;
}

/**
 * Masks of registers. `clobber`: calls leave r1 to r5 undefined (a verified program never reads them), otherwise unchanged.
 */
export function effects(slots: Slots, clobber: boolean, entryOf: (slot: number) => number | undefined): Effects {
  const { code, dst, src, imm } = slots;
  const reads = (slot: number): number => {
    const op = code[slot]!;
    const d = 1 << dst[slot]!;
    const s = 1 << src[slot]!;
    switch (bpfClass(op)) {
      case BPF_LD:
        return bpfMode(op) === BPF_IND ? s : 0;
      case BPF_LDX:
        return s;
      case BPF_ST:
        return d;
      case BPF_STX: {
        if (bpfMode(op) !== BPF_ATOMIC) return d | s;
        const what = imm[slot]!;
        if (what === BPF_LOAD_ACQ) return s;
        return d | s | (what === BPF_CMPXCHG ? 1 : 0);
      }
      case BPF_ALU:
      case BPF_ALU64: {
        const what = bpfOp(op);
        if (what === BPF_NEG || what === BPF_END) return d;
        if (what === BPF_MOV) return bpfSrc(op) === BPF_X ? s : 0;
        return d | (bpfSrc(op) === BPF_X ? s : 0);
      }
      default: {
        const what = bpfOp(op);
        if (what === BPF_JA || what === BPF_JCOND) return 0;
        if (what === BPF_EXIT) return 1;
        if (what !== BPF_CALL) return d | (bpfSrc(op) === BPF_X ? s : 0);
        if (op !== CALL) return ARGUMENTS | d | (dst[slot] === 0 ? 1 << (imm[slot]! & 0xf) : 0);
        if (src[slot] === BPF_PSEUDO_CALL) return entryOf(slot + 1 + imm[slot]!) ?? ARGUMENTS;
        return src[slot] === 0 ? (1 << (helperArguments(imm[slot]!) + 1)) - 2 : ARGUMENTS;
      }
    }
  };
  const writes = (slot: number): number => {
    const op = code[slot]!;
    switch (bpfClass(op)) {
      case BPF_LD:
        return bpfMode(op) === BPF_IMM ? 1 << dst[slot]! : 1;
      case BPF_LDX:
      case BPF_ALU:
      case BPF_ALU64:
        return 1 << dst[slot]!;
      case BPF_ST:
        return 0;
      case BPF_STX: {
        if (bpfMode(op) !== BPF_ATOMIC) return 0;
        const what = imm[slot]!;
        if (what === BPF_LOAD_ACQ) return 1 << dst[slot]!;
        if (what === BPF_STORE_REL) return 0;
        if (what === BPF_CMPXCHG) return 1;
        return (what & BPF_FETCH) !== 0 ? 1 << src[slot]! : 0;
      }
      default:
        if (bpfOp(op) !== BPF_CALL || bpfClass(op) === BPF_JMP32) return 0;
        // A tail call that is not taken leaves r0 alone.
        return (op === CALL && src[slot] === 0 && imm[slot] === Helper.tail_call ? 0 : 1) | (clobber ? ARGUMENTS : 0);
    }
  };
  // Both are asked for more than once.
  const readMask = new Int16Array(slots.count).fill(-1);
  const writeMask = new Int16Array(slots.count).fill(-1);
  return {
    reads(slot) {
      const known = readMask[slot]!;
      return known !== -1 ? known : (readMask[slot] = reads(slot));
    },
    writes(slot) {
      const known = writeMask[slot]!;
      return known !== -1 ? known : (writeMask[slot] = writes(slot));
    },
  };
}

/** Goes backward through the blocks until nothing changes. */
export function liveness(slots: Slots, graph: Graph, { reads, writes }: Effects): Liveness {
  const { count } = graph;
  const use = new Uint16Array(count);
  const def = new Uint16Array(count);
  for (let block = 0; block < count; block++) {
    let used = 0;
    let defined = 0;
    for (let slot = graph.start[block]!; slot < graph.stop[block]!; slot++) {
      if (slots.second[slot] === 1) continue;
      used |= reads(slot) & ~defined;
      defined |= writes(slot);
    }
    use[block] = used;
    def[block] = defined;
  }
  const liveIn = new Uint16Array(count);
  let out = 0;
  const add = (to: number): void => {
    out |= liveIn[to]!;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let block = count - 1; block >= 0; block--) {
      out = 0;
      successors(graph, block, add);
      const live = use[block]! | (out & ~def[block]!);
      if (live !== liveIn[block]) {
        liveIn[block] = live;
        changed = true;
      }
    }
  }
  return { liveIn };
}

/** Whether an instruction does nothing but write registers. Loads may fault, unless the program is verified. */
function pure(op: number, verified: boolean): boolean {
  switch (bpfClass(op)) {
    case BPF_LD:
      return bpfMode(op) === BPF_IMM;
    case BPF_ALU:
    case BPF_ALU64:
      return true;
    case BPF_LDX:
      return verified;
    default:
      return false;
  }
}

/** Marks in `dead` the slots of the function that compute what nobody reads. */
export function markDead(slots: Slots, graph: Graph, { reads, writes }: Effects, { liveIn }: Liveness, verified: boolean, dead: Uint8Array): void {
  for (let block = 0; block < graph.count; block++) {
    let live = 0;
    successors(graph, block, (to) => {
      live |= liveIn[to]!;
    });
    for (let slot = graph.stop[block]! - 1; slot >= graph.start[block]!; slot--) {
      if (slots.second[slot] === 1) continue;
      const written = writes(slot);
      if (pure(slots.code[slot]!, verified) && (written & live) === 0) {
        dead[slot] = 1;
        continue;
      }
      live = (live & ~written) | reads(slot);
    }
  }
}
