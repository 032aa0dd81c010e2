/**
 * Programs of one helper call, whose arguments and results stand in the value of an array: a key, at 64 a value, at 128 flags (u64); afterwards at
 * 136 what the helper answered (s64), at 144 the value that was found.
 */
import { encodeInsns, type Insn } from "../../../src/bpf/insn.ts";
import { alu, exit, helper, jump, ldx, lddw, mov, st, stx } from "../host/asm.ts";

export const ARGUMENTS = 256;
export const VALUE_AT = 64, FLAGS_AT = 128, RESULT_AT = 136, FOUND_AT = 144;

/**
 * lookup adds 1 to the first byte of what it found; stale keeps the address from before an update, or a deletion, and adds 7 there afterwards.
 */
export const CALLS = ["lookup", "update", "delete", "push", "pop", "peek", "stale-update", "stale-delete", "output", "query", "percpu"] as const;
export type Call = (typeof CALLS)[number];

export interface CallProgram {
  readonly program: Uint8Array;
  /** Slots of the `lddw` of the map, and of the array of arguments. */
  readonly map: readonly number[];
  readonly args: number;
}

const CONST_MAP = 1;
const pointer = (register: number, from: number, offset: number): Insn[] => [mov(register, { reg: from }), alu(64, "add", register, { imm: offset })];

/** r6: the arguments. */
export function callProgram(call: Call, valueSize: number): CallProgram {
  const code: Insn[] = [];
  const map: number[] = [];
  const add = (...insns: readonly Insn[]): void => {
    code.push(...insns);
  };
  const theMap = (): void => {
    map.push(code.length);
    add(...lddw(1, 0n, CONST_MAP));
  };
  const key = (): void => add(mov(2, { reg: 6 }));
  const value = (register: number): void => add(...pointer(register, 6, VALUE_AT));
  const flags = (register: number): void => add(ldx("dw", register, 6, FLAGS_AT));
  add(st("w", 10, -4, 0));
  const args = code.length;
  add(...lddw(1, 0n, CONST_MAP), mov(2, { reg: 10 }), alu(64, "add", 2, { imm: -4 }), helper(1), jump(64, "jne", 0, { imm: 0 }, 2), mov(0, 0), exit());
  add(mov(6, { reg: 0 }));
  const lookup = (id = 1): void => {
    theMap();
    key();
    if (id !== 1) flags(3);
    add(helper(id));
  };
  /** Copies what r0 points to, or notes that it is 0. */
  const found = (): void => {
    add(mov(1, -2), stx("dw", 6, RESULT_AT, 1));
    const copy: Insn[] = [mov(1, 0), stx("dw", 6, RESULT_AT, 1)];
    for (let i = 0; i < valueSize; i++) copy.push(ldx("b", 1, 0, i), stx("b", 6, FOUND_AT + i, 1));
    copy.push(ldx("b", 1, 0, 0), alu(64, "add", 1, { imm: 1 }), stx("b", 0, 0, 1));
    add(jump(64, "jeq", 0, { imm: 0 }, copy.length), ...copy);
  };
  const result = (): void => add(stx("dw", 6, RESULT_AT, 0));
  const update = (): void => {
    theMap();
    key();
    value(3);
    flags(4);
    add(helper(2));
  };
  const remove = (): void => {
    theMap();
    key();
    add(helper(3));
  };
  switch (call) {
    case "lookup": lookup(); found(); break;
    case "percpu": lookup(195); found(); break;
    case "update": update(); result(); break;
    case "delete": remove(); result(); break;
    case "push": theMap(); value(2); flags(3); add(helper(87)); result(); break;
    case "pop": case "peek": theMap(); add(...pointer(2, 6, FOUND_AT), helper(call === "pop" ? 88 : 89)); result(); break;
    case "stale-update": case "stale-delete": {
      lookup();
      add(mov(7, { reg: 0 }));
      if (call === "stale-update") update();
      else remove();
      result();
      const touch = [ldx("b", 1, 7, 0), alu(64, "add", 1, { imm: 7 }), stx("b", 7, 0, 1)];
      add(jump(64, "jeq", 7, { imm: 0 }, touch.length), ...touch);
      break;
    }
    case "output":
      theMap();
      value(2);
      add(ldx("w", 3, 6, 0), alu(64, "and", 3, { imm: 63 }));
      flags(4);
      add(helper(130));
      result();
      break;
    case "query": theMap(); flags(2); add(helper(134)); result(); break;
  }
  add(mov(0, 0), exit());
  return { program: encodeInsns(code), map, args };
}
