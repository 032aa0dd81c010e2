// A program as the compiler walks it: slots in typed arrays, the functions it is made of, and the basic blocks and edges
// of each. Whatever does not hold together (a jump into the middle of `lddw`, a function without an end) is a JitError:
// such a program runs in the interpreter, which faults where it gets there.
import {
  BPF_CALL, BPF_DW, BPF_EXIT, BPF_IMM, BPF_JA, BPF_JCOND, BPF_JMP, BPF_JMP32, BPF_LD, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, bpfClass, bpfOp,
} from "../insn.ts";

/** Why a program can not be compiled. */
export class JitError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "JitError";
  }
}

const LDDW = BPF_LD | BPF_IMM | BPF_DW;
export const CALL = BPF_JMP | BPF_CALL;

/** Slots, one field an array. */
export interface Slots {
  readonly count: number;
  readonly code: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  readonly off: Int16Array;
  readonly imm: Int32Array;
  /** 1: the second slot of an `lddw`. */
  readonly second: Uint8Array;
}

export function readSlots(bytes: Uint8Array): Slots {
  if (bytes.length % 8 !== 0 || bytes.length === 0) throw new JitError(`program of ${bytes.length} bytes`);
  const count = bytes.length / 8;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slots = {
    count,
    code: new Uint8Array(count),
    dst: new Uint8Array(count),
    src: new Uint8Array(count),
    off: new Int16Array(count),
    imm: new Int32Array(count),
    second: new Uint8Array(count),
  };
  for (let slot = 0, at = 0; slot < count; slot++, at += 8) {
    const registers = bytes[at + 1]!;
    slots.code[slot] = bytes[at]!;
    slots.dst[slot] = registers & 0xf;
    slots.src[slot] = registers >> 4;
    slots.off[slot] = view.getInt16(at + 2, true);
    slots.imm[slot] = view.getInt32(at + 4, true);
    if ((bytes[at]! & 0x07) === BPF_JMP32 && ((bytes[at]! & 0xf0) === BPF_CALL || (bytes[at]! & 0xf0) === BPF_EXIT)) {
      throw new JitError(`slot ${slot}: opcode 0x${bytes[at]!.toString(16)}`);
    }
    if ((registers & 0xf) > 10 || registers >> 4 > 10) throw new JitError(`slot ${slot}: register out of range`);
  }
  for (let slot = 0; slot < count; slot++) {
    if (slots.code[slot] !== LDDW) continue;
    if (slot + 1 === count || slots.code[slot + 1] !== 0) throw new JitError(`slot ${slot}: half an lddw`);
    slots.second[++slot] = 1;
  }
  return slots;
}

/** How a block ends. `next`: it runs into the next one. */
export const End = { next: 0, jump: 1, branch: 2, exit: 3, dispatch: 4 } as const;

/**
 * One function: its blocks in reverse postorder (0 is the entry, and empty), up to two edges each. `dispatch` blocks have no slots: they go
 * where the label says that the edge to them carries.
 */
export interface Graph {
  readonly entry: number;
  count: number;
  /** First slot and the slot after the last. */
  start: Int32Array;
  stop: Int32Array;
  end: Uint8Array;
  /** Edges 2b (falls through, or jumps) and 2b + 1 (branch taken); -1: none. */
  edges: Int32Array;
  /** Label that an edge to a dispatch block carries, else -1. */
  labels: Int32Array;
  /** Targets of dispatch blocks by label. */
  targets: Map<number, readonly number[]>;
}

/** Where functions begin: 0, and every target of a local call or function reference, in order. */
export function functionEntries(slots: Slots, reference: (slot: number) => number | undefined): number[] {
  const entries = new Set([0]);
  for (let slot = 0; slot < slots.count; slot++) {
    if (slots.second[slot] === 1) continue;
    const target = slots.code[slot] === CALL && slots.src[slot] === BPF_PSEUDO_CALL ? slot + 1 + slots.imm[slot]! : reference(slot);
    if (target === undefined) continue;
    if (target < 0 || target >= slots.count || slots.second[target] === 1) throw new JitError(`slot ${slot}: no function at ${target}`);
    entries.add(target);
  }
  return [...entries].sort((a, b) => a - b);
}

/** The slot of the subprogram that the `lddw` at `slot` refers to. */
export const functionReference = (slots: Slots, slot: number): number | undefined =>
  slots.code[slot] === LDDW && slots.src[slot] === BPF_PSEUDO_FUNC ? slots.imm[slot] : undefined;

/** Whether an opcode is a jump (not a call), and may have a target. */
function jumpTarget(slots: Slots, slot: number): number | undefined {
  const code = slots.code[slot]!;
  const kind = bpfClass(code);
  if (kind !== BPF_JMP && kind !== BPF_JMP32) return undefined;
  const op = bpfOp(code);
  if (op === BPF_CALL || op === BPF_EXIT) return undefined;
  return slot + 1 + (code === (BPF_JMP32 | BPF_JA) ? slots.imm[slot]! : slots.off[slot]!);
}

/** Builds the graphs of all functions; scratch arrays of the whole program are shared between them. */
export function functionGraphs(slots: Slots, entries: readonly number[]): Graph[] {
  const { count, code, second } = slots;
  const leader = new Uint8Array(count);
  for (const entry of entries) leader[entry] = 1;
  for (let slot = 0; slot < count; slot++) {
    if (second[slot] === 1) continue;
    const target = jumpTarget(slots, slot);
    if (target === undefined) {
      if (code[slot] === (BPF_JMP | BPF_EXIT) && slot + 1 < count) leader[slot + 1] = 1;
      continue;
    }
    if (target < 0 || target >= count || second[target] === 1) throw new JitError(`slot ${slot}: jump to ${target}`);
    leader[target] = 1;
    if (slot + 1 < count) leader[slot + 1] = 1;
  }
  const blockAt = new Int32Array(count).fill(-1);
  return entries.map((entry, index) => graphOf(slots, leader, blockAt, entry, entries[index + 1] ?? count));
}

function graphOf(slots: Slots, leader: Uint8Array, blockAt: Int32Array, entry: number, limit: number): Graph {
  const { code, second } = slots;
  // Blocks in the order they are found.
  const start: number[] = [];
  const stop: number[] = [];
  const end: number[] = [];
  const edges: number[] = [];
  const found = (slot: number, from: number): number => {
    if (slot < entry || slot >= limit) throw new JitError(`slot ${from}: leaves its function for ${slot}`);
    if (blockAt[slot] === -1) {
      blockAt[slot] = start.length;
      start.push(slot);
      edges.push(-1, -1);
    }
    return blockAt[slot]!;
  };
  // An entry of its own, which no jump leads to.
  start.push(entry);
  stop.push(entry);
  end.push(End.next);
  edges.push(-1, -1);
  edges[0] = found(entry, entry);
  for (let block = 1; block < start.length; block++) {
    let slot = start[block]!;
    let last = slot;
    let kind: number = End.next;
    while (true) {
      last = slot;
      const op = code[slot]!;
      const family = bpfClass(op);
      slot += slot + 1 < slots.count && second[slot + 1] === 1 ? 2 : 1;
      if (family === BPF_JMP || family === BPF_JMP32) {
        const what = bpfOp(op);
        if (what === BPF_EXIT) {
          kind = End.exit;
          break;
        }
        if (what === BPF_JA) {
          kind = End.jump;
          break;
        }
        if (what !== BPF_CALL) {
          kind = End.branch;
          break;
        }
      }
      if (slot >= limit || leader[slot] === 1) break;
    }
    stop[block] = slot;
    end[block] = kind;
    if (kind === End.exit) continue;
    if (kind === End.jump) edges[2 * block] = found(jumpTarget(slots, last)!, last);
    else edges[2 * block] = found(slot, last);
    if (kind === End.branch) {
      // Both ways to one place, unless passing by counts.
      const taken = found(jumpTarget(slots, last)!, last);
      if (taken === edges[2 * block] && bpfOp(code[last]!) !== BPF_JCOND) end[block] = End.next;
      else edges[2 * block + 1] = taken;
    }
  }
  return inOrder({
    entry,
    count: start.length,
    start: Int32Array.from(start),
    stop: Int32Array.from(stop),
    end: Uint8Array.from(end),
    edges: Int32Array.from(edges),
    labels: new Int32Array(edges.length).fill(-1),
    targets: new Map(),
  });
}

/** Calls `visit` for each block that `block` goes to. */
export function successors(graph: Graph, block: number, visit: (to: number) => void): void {
  const many = graph.targets.get(block);
  if (many !== undefined) for (const to of many) visit(to);
  const first = graph.edges[2 * block]!;
  const second = graph.edges[2 * block + 1]!;
  if (second !== -1) visit(second);
  if (first !== -1) visit(first);
}

/** Number of edges out of a block, and the n-th of them, in the order of `successors`. */
const edgeCount = (graph: Graph, block: number): number => graph.targets.get(block)?.length ?? 2;
const edgeTo = (graph: Graph, block: number, n: number): number => graph.targets.get(block)?.[n] ?? graph.edges[2 * block + 1 - n] ?? -1;

/** The graph with its blocks renumbered in reverse postorder; what is not reached is left out. */
export function inOrder(graph: Graph): Graph {
  const { count } = graph;
  const state = new Int32Array(count).fill(-1);
  const postorder = new Int32Array(count);
  const stack = new Int32Array(count);
  let depth = 0;
  let done = 0;
  stack[depth++] = 0;
  state[0] = 0;
  while (depth > 0) {
    const block = stack[depth - 1]!;
    const next = state[block]!;
    if (next >= edgeCount(graph, block)) {
      postorder[done++] = block;
      depth--;
      continue;
    }
    state[block] = next + 1;
    // The way that falls through is walked last, so that it comes right behind its block.
    const to = edgeTo(graph, block, next);
    if (to !== -1 && state[to] === -1) {
      state[to] = 0;
      stack[depth++] = to;
    }
  }
  const number = new Int32Array(count).fill(-1);
  for (let at = 0; at < done; at++) number[postorder[at]!] = done - 1 - at;
  const ordered: Graph = {
    entry: graph.entry,
    count: done,
    start: new Int32Array(done),
    stop: new Int32Array(done),
    end: new Uint8Array(done),
    edges: new Int32Array(2 * done),
    labels: new Int32Array(2 * done),
    targets: new Map(),
  };
  for (let block = 0; block < count; block++) {
    const to = number[block]!;
    if (to === -1) continue;
    ordered.start[to] = graph.start[block]!;
    ordered.stop[to] = graph.stop[block]!;
    ordered.end[to] = graph.end[block]!;
    for (let side = 0; side < 2; side++) {
      const edge = graph.edges[2 * block + side]!;
      ordered.edges[2 * to + side] = edge === -1 ? -1 : number[edge]!;
      ordered.labels[2 * to + side] = graph.labels[2 * block + side]!;
    }
    const many = graph.targets.get(block);
    if (many !== undefined) ordered.targets.set(to, many.map((edge) => number[edge]!));
  }
  return ordered;
}
