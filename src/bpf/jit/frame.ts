// Where a function's stack lives: the parts of the 512-byte frame that are only read and written at known offsets become
// Wasm locals; what pointers reach (a key given to a helper) stays in memory.
import {
  BPF_ADD, BPF_ALU, BPF_ALU64, BPF_ATOMIC, BPF_CALL, BPF_END, BPF_JMP, BPF_LDX, BPF_MOV, BPF_NEG, BPF_PSEUDO_CALL, BPF_ST,
  BPF_STX, BPF_SUB, BPF_X, bpfBytes, bpfClass, bpfMode, bpfOp, bpfSrc,
} from "../insn.ts";
import { Helper } from "../uapi.ts";
import { callsBack, helperArguments, mapArgument, sizeRegister } from "./helpers.ts";
import { CALL, End, successors, type Graph, type Slots } from "./program.ts";
import { Kind, REGISTERS, loadValues, step, Values, type BlockValues, type ValueOptions } from "./values.ts";

export const FRAME = 512;

export interface FrameMap {
  readonly keySize: number;
  readonly valueSize: number;
  /** Lookups are inlined: they read the key as the program itself does. */
  readonly inlined: boolean;
}

export interface FramePlan {
  /** By byte of the frame (0 is r10 - 512): local slot + 1; 0: in memory. */
  readonly slotOf: Uint16Array;
  /** First byte of each local slot, and its bytes: 1, 2, 4 or 8. */
  readonly from: readonly number[];
  readonly bytes: readonly number[];
  /** Bytes of the frame that are used in memory. */
  readonly memory: Uint8Array;
  readonly usesMemory: boolean;
  /** A pointer to the frame went where it can not be followed. */
  readonly escapes: boolean;
}

/** Looks at every access to the frame of one function. */
export function planFrame(
  slots: Slots, graph: Graph, blocks: BlockValues, liveIn: Uint16Array, options: ValueOptions & { readonly mapAt: (slot: number) => FrameMap | undefined },
  dead: Uint8Array,
): FramePlan {
  const memory = new Uint8Array(FRAME);
  const accessed = new Int32Array(FRAME);
  const values = new Values();
  let escapes = false;
  let used = false;
  const reach = (offset: number, bytes: number): void => {
    used = true;
    const from = Math.max(0, offset + FRAME);
    memory.fill(1, from, Math.min(FRAME, Math.max(from, offset + FRAME + bytes)));
    if (offset < -FRAME || offset > 0) escapes = true;
  };
  const access = (offset: number, bytes: number): void => {
    used = true;
    if (offset < -FRAME || offset + bytes > 0) {
      escapes = true;
      return;
    }
    // One bit for each size that is accessed here: 1, 2, 4, 8.
    accessed[offset + FRAME]! |= bytes;
  };
  const call = (slot: number): void => {
    const plain = slots.code[slot] === CALL;
    const local = plain && slots.src[slot] === BPF_PSEUDO_CALL;
    const id = plain && slots.src[slot] === 0 ? slots.imm[slot]! : -1;
    const count = local || id === -1 ? 5 : helperArguments(id);
    for (let register = 1; register <= count; register++) {
      if (values.kind[register] !== Kind.frame) continue;
      const offset = values.low[register]!;
      if (local || callsBack(id)) {
        used = escapes = true;
        continue;
      }
      const what = mapArgument(id, register);
      const map = what !== undefined && values.kind[1] === Kind.map ? options.mapAt(values.low[1]!) : undefined;
      const size = sizeRegister(id, register);
      if (map !== undefined && map.inlined && id === Helper.map_lookup_elem) access(offset, 4);
      else if (map !== undefined) reach(offset, what === "key" ? map.keySize : map.valueSize);
      else if (size !== 0 && values.kind[size] === Kind.constant && values.high[size] === 0 && values.low[size]! >= 0) reach(offset, values.low[size]!);
      else reach(offset, Math.max(0, -offset));
    }
  };
  const escaping = (register: number): void => {
    if (values.kind[register] === Kind.frame) used = escapes = true;
  };
  const visit = (slot: number): void => {
    const code = slots.code[slot]!;
    const dst = slots.dst[slot]!;
    const src = slots.src[slot]!;
    const off = slots.off[slot]!;
    switch (bpfClass(code)) {
      case BPF_LDX:
        if (values.kind[src] === Kind.frame) access(values.low[src]! + off, bpfBytes(code));
        return;
      case BPF_ST:
        if (values.kind[dst] === Kind.frame) access(values.low[dst]! + off, bpfBytes(code));
        return;
      case BPF_STX:
        if (bpfMode(code) === BPF_ATOMIC) {
          // dst and src: which of them is the address depends on the operation.
          if (values.kind[dst] === Kind.frame) reach(values.low[dst]! + off, bpfBytes(code));
          if (values.kind[src] === Kind.frame) used = escapes = true;
          return;
        }
        if (values.kind[dst] === Kind.frame) access(values.low[dst]! + off, bpfBytes(code));
        escaping(src);
        return;
      case BPF_ALU:
      case BPF_ALU64: {
        const op = bpfOp(code);
        if (op === BPF_NEG || op === BPF_END) return escaping(dst);
        const register = bpfSrc(code) === BPF_X;
        if (bpfClass(code) === BPF_ALU64 && op === BPF_MOV && off === 0) return;
        if (additive(code)) return;
        if (op !== BPF_MOV) escaping(dst);
        if (register) escaping(src);
        return;
      }
      default:
        if (bpfOp(code) === BPF_CALL && bpfClass(code) === BPF_JMP) call(slot);
    }
  };
  for (let block = 0; block < graph.count && !escapes; block++) {
    loadValues(values, blocks, block);
    for (let slot = graph.start[block]!; slot < graph.stop[block]!; slot++) {
      if (slots.second[slot] === 1) continue;
      if (dead[slot] === 1) {
        step(slots, slot, values, options);
        continue;
      }
      const dst = slots.dst[slot]!;
      const shifted = additive(slots.code[slot]!) &&
        (values.kind[dst] === Kind.frame || (bpfSrc(slots.code[slot]!) === BPF_X && values.kind[slots.src[slot]!] === Kind.frame));
      visit(slot);
      step(slots, slot, values, options);
      if (shifted && values.kind[dst] !== Kind.frame) used = escapes = true;
    }
    if (graph.end[block] === End.exit) continue;
    successors(graph, block, (to) => {
      for (let register = 0; register < REGISTERS - 1; register++) {
        if (values.kind[register] !== Kind.frame || (liveIn[to]! & (1 << register)) === 0) continue;
        if (blocks.kind[to * REGISTERS + register] !== Kind.frame) used = escapes = true;
      }
    });
  }
  if (escapes || !used) {
    return { slotOf: new Uint16Array(FRAME), from: [], bytes: [], memory: memory.fill(escapes ? 1 : 0), usesMemory: escapes, escapes };
  }
  return place(accessed, memory);
}

/** 64-bit addition and subtraction: what keeps a pointer into the frame one. */
const additive = (code: number): boolean => bpfClass(code) === BPF_ALU64 && (bpfOp(code) === BPF_ADD || bpfOp(code) === BPF_SUB);

/**
 * Accesses that overlap make one group. A group becomes a local when no pointer reaches it, and it is always accessed whole, or lies
 * within eight aligned bytes (its parts are then shifted out).
 */
function place(accessed: Int32Array, memory: Uint8Array): FramePlan {
  const slotOf = new Uint16Array(FRAME);
  const from: number[] = [];
  const bytes: number[] = [];
  for (let at = 0; at < FRAME;) {
    if (accessed[at] === 0) {
      at++;
      continue;
    }
    let stop = at;
    let single = true;
    let reached = false;
    for (let byte = at; byte === at || byte < stop; byte++) {
      const sizes = accessed[byte]!;
      const widest = sizes >= 8 ? 8 : sizes >= 4 ? 4 : sizes >= 2 ? 2 : sizes;
      if (sizes !== 0 && (byte !== at || (sizes & (sizes - 1)) !== 0)) single = false;
      stop = Math.max(stop, byte + widest);
    }
    for (let byte = at; byte < stop; byte++) reached ||= memory[byte] === 1;
    const word = at & ~7;
    if (reached || (!single && stop > word + 8)) memory.fill(1, at, stop);
    else {
      // Parts of one word share its local.
      const begin = single ? at : word;
      const shared = single ? 0 : (slotOf.subarray(word, word + 8).find((slot) => slot !== 0 && from[slot - 1] === word && bytes[slot - 1] === 8) ?? 0);
      if (shared !== 0) slotOf.fill(shared, at, stop);
      else {
        from.push(begin);
        slotOf.fill(bytes.push(single ? stop - at : 8), at, stop);
      }
    }
    at = stop;
  }
  return { slotOf, from, bytes, memory, usesMemory: memory.includes(1), escapes: false };
}
