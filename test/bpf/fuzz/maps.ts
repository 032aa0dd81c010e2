/** The maps of every random case, by number, and how programs name them. */
import type { Insn } from "../../../src/bpf/insn.ts";
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from "../../../src/bpf/insn.ts";
import { lddw } from "../host/asm.ts";

/** Numbers of the maps that every case has. */
export const MAP = {
  OUT: 0, ARRAY: 1, HASH: 2, PERCPU: 3, LRU: 4, QUEUE: 5, STACK: 6, LPM: 7, RINGBUF: 8, PROGS: 9,
  PERCPU_HASH: 10, DATA: 11,
} as const;
export const OUT_BYTES = 96;
export const ARRAY_VALUE = 48;
export const ARRAY_ENTRIES = 4;
/** An array of one: the only kind whose value `lddw` can name. */
export const DATA_VALUE = 48;
export const HASH_VALUE = 24;
export const RINGBUF_BYTES = 4096;

export const mapFd = (dst: number, map: number): Insn[] => lddw(dst, BigInt(map), BPF_PSEUDO_MAP_FD);
export const mapValue = (dst: number, map: number, addend = 0): Insn[] => lddw(dst, BigInt(map) | (BigInt(addend) << 32n), BPF_PSEUDO_MAP_VALUE);
