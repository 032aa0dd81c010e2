/**
 * Random programs as trees, so that parts can be taken out of them: straight pieces, conditions, loops, functions. Lowered to slots, with the
 * maps that they refer to. In a tree, `lddw` of a map has the map's number in imm, that of a function and calls of functions have its.
 */
import { BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, encodeInsns, type Insn, isLddw } from "../../../src/bpf/insn.ts";
import { exit, ja } from "../host/asm.ts";

export type Node =
  | { readonly insns: readonly Insn[] }
  /** Jumps over `body` when `test` holds; with `otherwise`, to that. */
  | { readonly test: Insn; readonly body: readonly Node[]; readonly otherwise?: readonly Node[] }
  /** `body`, then `back` to its start when that holds. */
  | { readonly body: readonly Node[]; readonly back: Insn }
  | { readonly group: readonly Node[] }
  | { readonly exit: true };

export interface FuzzMap {
  readonly type: string;
  readonly key: number;
  readonly value: number;
  readonly entries: number;
  readonly flags?: number;
  /** What it holds before the first run. */
  readonly content: readonly (readonly [key: Uint8Array, value: Uint8Array])[];
}

export interface FuzzProgram {
  readonly type: "xdp" | "sched_cls";
  /** The main function, then the others. */
  readonly functions: readonly (readonly Node[])[];
}

export interface FuzzCase {
  readonly name: string;
  readonly maps: readonly FuzzMap[];
  /** The first is run; the others are in the prog array, if there is one. */
  readonly programs: readonly FuzzProgram[];
  readonly packets: readonly Uint8Array[];
}

export interface Lowered {
  readonly type: "xdp" | "sched_cls";
  readonly insns: readonly Insn[];
  readonly bytes: Uint8Array;
  readonly relocs: readonly { readonly slot: number; readonly kind: "map" | "mapvalue"; readonly map: number; readonly addend: number }[];
  /** Where its functions start. */
  readonly functions: readonly number[];
}

const MOST_DISTANCE = 30_000;

export function lower({ type, functions }: FuzzProgram): Lowered {
  const insns: Insn[] = [];
  const starts: number[] = [];
  const emit = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      if ("insns" in node) for (const insn of node.insns) insns.push({ ...insn });
      else if ("group" in node) emit(node.group);
      else if ("exit" in node) insns.push(exit());
      else if ("back" in node) {
        const start = insns.length;
        emit(node.body);
        insns.push({ ...node.back, off: start - insns.length - 1 });
      } else {
        const test = { ...node.test };
        insns.push(test);
        const after = insns.length;
        emit(node.body);
        if (node.otherwise === undefined || node.otherwise.length === 0) test.off = insns.length - after;
        else {
          const over = ja(0);
          insns.push(over);
          test.off = insns.length - after;
          const start = insns.length;
          emit(node.otherwise);
          over.off = insns.length - start;
        }
        if (Math.abs(test.off) > MOST_DISTANCE) throw new RangeError("a jump too far");
      }
    }
  };
  for (const nodes of functions) {
    starts.push(insns.length);
    emit(nodes);
  }
  const relocs: { slot: number; kind: "map" | "mapvalue"; map: number; addend: number }[] = [];
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    if (isLddw(insn)) {
      if (insn.src === BPF_PSEUDO_FUNC) insn.imm = starts[insn.imm]! - slot - 1;
      else if (insn.src === BPF_PSEUDO_MAP_FD || insn.src === BPF_PSEUDO_MAP_VALUE) {
        relocs.push({ slot, kind: insn.src === BPF_PSEUDO_MAP_FD ? "map" : "mapvalue", map: insn.imm, addend: insns[slot + 1]!.imm });
      }
      slot++;
    } else if (insn.code === (BPF_JMP | BPF_CALL) && insn.src === BPF_PSEUDO_CALL) insn.imm = starts[insn.imm]! - slot - 1;
  }
  return { type, insns, bytes: encodeInsns(insns), relocs, functions: starts };
}

/** How many nodes there are, for what makes programs small. */
export const sizeOf = (nodes: readonly Node[]): number => nodes.reduce((sum, node) => sum + 1 + childrenOf(node).reduce((n, each) => n + sizeOf(each), 0), 0);

const childrenOf = (node: Node): (readonly Node[])[] =>
  "group" in node ? [node.group] : "body" in node ? ("otherwise" in node && node.otherwise !== undefined ? [node.body, node.otherwise] : [node.body]) : [];

/** Every program with something less: nodes taken out, conditions replaced by what they guard, instructions dropped. */
export function* smaller(nodes: readonly Node[]): Generator<readonly Node[]> {
  // Halves first, then single nodes.
  for (let length = nodes.length >> 1; length > 1; length >>= 1) {
    for (let at = 0; at + length <= nodes.length; at += length) yield [...nodes.slice(0, at), ...nodes.slice(at + length)];
  }
  for (let at = 0; at < nodes.length; at++) yield [...nodes.slice(0, at), ...nodes.slice(at + 1)];
  for (let at = 0; at < nodes.length; at++) {
    const node = nodes[at]!;
    const replaced = (...by: readonly Node[]): readonly Node[] => [...nodes.slice(0, at), ...by, ...nodes.slice(at + 1)];
    for (const child of childrenOf(node)) yield replaced(...child);
    if ("group" in node) for (const group of smaller(node.group)) yield replaced({ group });
    else if ("body" in node) {
      for (const body of smaller(node.body)) yield replaced({ ...node, body });
      if ("otherwise" in node && node.otherwise !== undefined) for (const otherwise of smaller(node.otherwise)) yield replaced({ ...node, otherwise });
    } else if ("insns" in node && node.insns.length > 1) {
      for (let n = 0; n < node.insns.length; n++) {
        const two = isLddw(node.insns[n]!) ? 2 : 1;
        yield replaced({ insns: [...node.insns.slice(0, n), ...node.insns.slice(n + two)] });
        n += two - 1;
      }
    }
  }
}
