/**
 * Random cases that the kernel mostly accepts. The generator knows what each register holds: scalars, which every instruction may take, and
 * pinned pointers (the context, a packet pointer behind its check, a map value behind its null check) that live as long as the piece of
 * program that was made around them. Every value at the end goes into the map `out`, so that 64 bits of each are compared.
 */
import type { Insn } from "../../../src/bpf/insn.ts";
import { BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from "../../../src/bpf/insn.ts";
import {
  ALU_OPS, type AluOp, ATOMIC_OPS, type AtomicOp, JUMP_OPS, type JumpOp, SIZE_BYTES, type Size, type Width, alu, atomic, call, helper, ja32, jump,
  lddw, ldx, ldxsx, loadAcquire, mov, movsx, neg, st, storeRelease, stx, swap,
} from "../host/asm.ts";
import { type Dice, dice } from "../../kernel/fuzz/random.ts";
import { HELPERS, type HelperContext } from "./helpers.ts";
import { ARRAY_ENTRIES, ARRAY_VALUE, DATA_VALUE, HASH_VALUE, MAP, mapFd, mapValue, OUT_BYTES, RINGBUF_BYTES } from "./maps.ts";
import { packet } from "./packets.ts";
import type { FuzzCase, FuzzMap, FuzzProgram, Node } from "./program.ts";

/** Bytes below r10 that hold numbers from a function's start. */
export const SCRATCH = 64;
/** Pointers are spilled below, a slot for each level of nesting. */
const SPILLS = 3;

/** Bytes that a raw program is given. */
export const RAW_MEMORY = 64;

const OPS = Object.keys(ALU_OPS) as AluOp[];
const JUMPS = Object.keys(JUMP_OPS) as JumpOp[];
const ATOMICS = Object.keys(ATOMIC_OPS) as AtomicOp[];
const SIZES: readonly Size[] = ["b", "h", "w", "dw"];
const EDGES = [0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, -1, -2, -8, -128, -0x80000000];

const functionAt = (dst: number, number: number): Insn[] => lddw(dst, BigInt(number), BPF_PSEUDO_FUNC);

/** What is known at a place of a function. */
interface State {
  readonly scalars: Set<number>;
  readonly pinned: Set<number>;
  /** Levels of nesting left. */
  depth: number;
  /** Times the loops around go round, multiplied. */
  times: number;
  /** A packet pointer is live: helpers that change the packet would void it. */
  packetHeld: boolean;
}

/** One function of a program. */
class FunctionMaker {
  readonly #dice: Dice;
  readonly #maker: ProgramMaker;
  /** Register of the context; undefined in functions that were not given it. */
  readonly #ctx: number | undefined;
  /** Raw programs: register of their memory, in place of a context. */
  readonly #memory: number | undefined;
  #spills = 0;

  constructor(maker: ProgramMaker, ctx: number | undefined) {
    this.#dice = maker.dice;
    this.#maker = maker;
    this.#ctx = maker.raw ? undefined : ctx;
    this.#memory = maker.raw ? ctx : undefined;
  }

  imm(): number {
    const d = this.#dice;
    return d.weighted([[3, d.pick(EDGES)], [2, d.from(-64, 64)], [2, (d.below(0x10000) * 0x10000 + d.below(0x10000)) | 0]]);
  }

  #free(state: State, among: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]): number[] {
    return this.#dice.shuffle(among.filter((register) => !state.pinned.has(register)));
  }

  #scalar(state: State): number {
    return this.#dice.pick([...state.scalars]);
  }

  #size(): Size {
    return this.#dice.pick(SIZES);
  }

  /** Whether a call may be made: nothing pinned in r0 to r5. */
  #callable(state: State): boolean {
    for (const register of state.pinned) if (register < 6) return false;
    return true;
  }

  #afterCall(state: State): void {
    for (let register = 1; register <= 5; register++) state.scalars.delete(register);
    state.scalars.add(0);
    if (state.scalars.size === 0) throw new Error("no scalar is left");
  }

  #alu(state: State): Node {
    const d = this.#dice;
    const width: Width = d.once(2) ? 64 : 32;
    const dst = this.#scalar(state);
    switch (d.below(14)) {
      case 0:
        return { insns: [neg(width, dst)] };
      case 1:
        return { insns: [movsx(width, width === 64 ? d.pick([8, 16, 32]) : d.pick([8, 16]), dst, this.#scalar(state))] };
      case 2:
        return { insns: [swap(d.pick(["le", "be", "bswap"]), d.pick([16, 32, 64]), dst)] };
      case 3: {
        const to = this.#free(state)[0]!;
        state.scalars.add(to);
        return { insns: lddw(to, (BigInt(d.below(2 ** 31)) << 33n) ^ BigInt(d.pick(EDGES)) ^ BigInt(d.below(2 ** 31))) };
      }
      case 4: {
        const to = this.#free(state)[0]!;
        const from = d.once(2) ? { reg: this.#scalar(state) } : { imm: this.imm() };
        state.scalars.add(to);
        return { insns: [alu(width, "mov", to, from)] };
      }
      default: {
        const op = d.pick(OPS);
        if (d.once(2)) return { insns: [alu(width, op, dst, { reg: this.#scalar(state) })] };
        const imm = op === "lsh" || op === "rsh" || op === "arsh" ? d.below(width) : this.imm();
        const divides = op === "div" || op === "mod" || op === "sdiv" || op === "smod";
        return { insns: [alu(width, op, dst, { imm: divides && imm === 0 ? 3 : imm })] };
      }
    }
  }

  /** A place of `size` in the scratch area: Linux wants the stack aligned everywhere. */
  #scratch(size: Size): number {
    const bytes = SIZE_BYTES[size];
    return -bytes * this.#dice.from(1, SCRATCH / bytes);
  }

  /** One access through `base` somewhere in `room` bytes from `start`. */
  #access(state: State, base: number, start: number, room: number, { atomics = false, write = true, aligned = false }): Insn[] {
    const d = this.#dice;
    const sizes = SIZES.filter((size) => SIZE_BYTES[size] <= room);
    const size = d.pick(sizes);
    const bytes = SIZE_BYTES[size];
    let off = start + d.below(room - bytes + 1);
    if (aligned) off = start + Math.floor((off - start) / bytes) * bytes;
    const load = (): Insn[] => {
      const to = this.#free(state).find((register) => register !== base);
      if (to === undefined) return [];
      state.scalars.add(to);
      return [size !== "dw" && d.once(4) ? ldxsx(size, to, base, off) : ldx(size, to, base, off)];
    };
    switch (d.below(write ? (atomics ? 6 : 4) : 2)) {
      case 0:
      case 1:
        return load();
      case 2:
        return [st(size, base, off, this.imm())];
      case 3:
        return [stx(size, base, off, this.#scalar(state))];
      default: {
        const wide = room >= 8 && d.once(2) ? "dw" : "w";
        if (room < SIZE_BYTES[wide]) return load();
        const at = start + Math.floor(d.below(room - SIZE_BYTES[wide] + 1) / SIZE_BYTES[wide]) * SIZE_BYTES[wide];
        return this.#atomic(state, base, at, wide);
      }
    }
  }

  #atomic(state: State, base: number, at: number, wide: "w" | "dw"): Insn[] {
    const d = this.#dice;
    const op = d.pick(ATOMICS);
    const src = this.#scalar(state);
    if (op === "cmpxchg") {
      if (!state.scalars.has(0) || state.pinned.has(0)) return [];
      const insns = d.once(2) ? [ldx(wide, 0, base, at)] : [];
      insns.push(atomic(wide, op, base, at, src));
      // The kernel's JIT may leave the upper half of r0 when a 32-bit exchange succeeds; RFC 9669 does not.
      if (wide === "w") insns.push(alu(32, "mov", 0, { reg: 0 }));
      return insns;
    }
    return [atomic(wide, op, base, at, src)];
  }

  #stack(state: State): Node {
    const d = this.#dice;
    if (d.once(4)) return this.#variableStack(state);
    if (d.once(4)) {
      const wide = d.once(2) ? "dw" : "w";
      return { insns: this.#atomic(state, 10, this.#scratch(wide), wide) };
    }
    if (d.once(8)) {
      const size = this.#size();
      if (d.once(2)) return { insns: [storeRelease(size, 10, this.#scratch(size), this.#scalar(state))] };
      const to = this.#free(state)[0]!;
      state.scalars.add(to);
      return { insns: [loadAcquire(size, to, 10, this.#scratch(size))] };
    }
    return { insns: this.#access(state, 10, -SCRATCH, SCRATCH, { aligned: true }) };
  }

  /** An access at a place that only the run knows. */
  #variableStack(state: State): Node {
    const d = this.#dice;
    const [index, pointer] = this.#free(state);
    if (pointer === undefined) return { insns: [] };
    const mask = d.pick([8, 16, 24, 32, 48]);
    const insns = [
      mov(index!, { reg: this.#scalar(state) }), alu(64, "and", index!, { imm: mask }), mov(pointer, { reg: 10 }), alu(64, "add", pointer, { imm: -SCRATCH }),
      alu(64, "add", pointer, { reg: index! }),
    ];
    state.scalars.add(index!);
    state.scalars.delete(pointer);
    if (state.scalars.size === 0) return { insns: [] };
    state.pinned.add(pointer);
    insns.push(...this.#access(state, pointer, 0, SCRATCH - mask, { aligned: true }));
    state.pinned.delete(pointer);
    insns.push(mov(pointer, this.imm()));
    state.scalars.add(pointer);
    return { insns };
  }

  /** Numbers into all registers that hold pointers no more. */
  #again(state: State, ...registers: number[]): Node {
    const insns: Insn[] = [];
    for (const register of registers) {
      state.pinned.delete(register);
      insns.push(mov(register, this.imm()));
      state.scalars.add(register);
    }
    return { insns };
  }

  /** Accesses through a pointer with other things between them; `base` is pinned. The state is a branch's. */
  #around(state: State, base: number, start: number, room: number, options: { atomics?: boolean; write?: boolean; aligned?: boolean }): Node[] {
    const nodes: Node[] = [];
    for (let n = this.#dice.from(1, 4); n > 0; n--) {
      if (state.scalars.size === 0) nodes.push(this.#again(state, this.#free(state)[0]!));
      nodes.push({ insns: this.#access(state, base, start, room, options) });
      if (this.#dice.once(2) && state.depth > 0) nodes.push(...this.statements(state, this.#dice.from(1, 2)));
    }
    return nodes;
  }

  /** Runs `make` in a branch and keeps only what both ways know. */
  #branch(state: State, make: (inner: State) => Node[]): Node[] {
    const inner: State = { ...state, scalars: new Set(state.scalars), pinned: new Set(state.pinned), depth: state.depth - 1 };
    const nodes = make(inner);
    for (const register of [...state.scalars]) if (!inner.scalars.has(register)) state.scalars.delete(register);
    return nodes;
  }

  /** After a branch there may be no scalar at all. */
  #refill(state: State, node: Node): Node {
    return state.scalars.size > 0 ? node : { group: [node, this.#again(state, this.#free(state)[0]!)] };
  }

  #packet(state: State): Node {
    const d = this.#dice;
    if (this.#ctx === undefined) return this.#alu(state);
    const keep = d.once(2);
    const [data, end, third] = this.#free(state, keep ? [6, 7, 8, 9, 0, 1, 2, 3, 4, 5] : undefined);
    if (third === undefined) return this.#alu(state);
    const [dataOff, endOff] = this.#maker.type === "xdp" ? [0, 4] : [76, 80];
    const room = d.pick([1, 2, 4, 8, 14, 20, 34, 54, 64]);
    const insns = [ldx("w", data!, this.#ctx, dataOff), ldx("w", end!, this.#ctx, endOff)];
    state.scalars.delete(data!);
    state.scalars.delete(end!);
    const variable = d.once(3) && state.scalars.size > 0;
    if (variable) {
      const index = d.pick([...state.scalars].filter((register) => !state.pinned.has(register)));
      insns.push(alu(64, "and", index, { imm: d.pick([1, 3, 7, 31, 63, 255]) }), alu(64, "add", data!, { reg: index }));
    }
    insns.push(mov(third, { reg: data! }), alu(64, "add", third, { imm: room }));
    state.scalars.delete(third);
    const test = d.once(2) ? jump(64, "jgt", third, { reg: end! }, 0) : jump(64, "jlt", end!, { reg: third }, 0);
    const body = this.#branch(state, (inner) => {
      const held = inner.packetHeld;
      inner.packetHeld = true;
      const again = this.#again(inner, end!, third);
      inner.pinned.add(data!);
      const nodes = [again, ...this.#around(inner, data!, 0, room, {})];
      inner.packetHeld = held;
      inner.pinned.delete(data!);
      return nodes;
    });
    return { group: [{ insns }, { test, body }, this.#again(state, data!, end!, third)] };
  }

  /** A number of 32 bits, small, into the scratch area: a key. */
  #key(state: State, off: number, most: number): Insn[] {
    const d = this.#dice;
    if (d.once(2)) return [st("w", 10, off, d.below(most + 1))];
    const register = this.#scalar(state);
    return state.pinned.has(register) ? [] : [alu(64, "and", register, { imm: d.pick([1, 3, 7]) }), stx("w", 10, off, register)];
  }

  #lookup(state: State): Node {
    const d = this.#dice;
    if (!this.#callable(state)) return this.#alu(state);
    const [map, room] = d.pick([
      [MAP.ARRAY, ARRAY_VALUE], [MAP.HASH, HASH_VALUE], [MAP.PERCPU, 16], [MAP.LRU, 8], [MAP.LPM, 8], [MAP.PERCPU_HASH, 16],
    ] as const);
    const key = d.pick([-4, -8, -16, -64]);
    const insns = map === MAP.LPM
      ? [st("w", 10, -16, d.pick([0, 8, 24, 31, 32])), stx("w", 10, -12, this.#scalar(state)), mov(2, { reg: 10 }), alu(64, "add", 2, { imm: -16 })]
      : [...this.#key(state, key, map === MAP.ARRAY ? ARRAY_ENTRIES : 8), mov(2, { reg: 10 }), alu(64, "add", 2, { imm: key })];
    insns.push(...mapFd(1, map), helper(1));
    this.#afterCall(state);
    state.scalars.delete(0);
    const kept = d.once(2) ? this.#free(state, [6, 7, 8, 9])[0] : undefined;
    const spill = kept === undefined && this.#spills < SPILLS && d.once(2) && this.#maker.spills;
    if (kept !== undefined && kept !== 0) {
      insns.push(mov(kept, { reg: 0 }));
      state.scalars.delete(kept);
    }
    if (state.scalars.size === 0) insns.push(...this.#refillInsns(state, kept));
    const test = jump(64, "jeq", kept ?? 0, { imm: 0 }, 0);
    const body = this.#branch(state, (inner) => {
      if (kept !== undefined) {
        // The lookup's r0 is the same pointer.
        inner.pinned.add(kept);
        const nodes = [this.#again(inner, 0), ...this.#around(inner, kept, 0, room, { atomics: true })];
        inner.pinned.delete(kept);
        return nodes;
      }
      if (spill) {
        this.#spills++;
        const slot = -SCRATCH - 8 * this.#spills;
        const nodes: Node[] = [{ insns: [stx("dw", 10, slot, 0)] }, this.#again(inner, 0), ...this.statements(inner, d.from(1, 3))];
        const back = this.#free(inner)[0]!;
        inner.scalars.delete(back);
        if (inner.scalars.size === 0) nodes.push(this.#again(inner, this.#free(inner).find((each) => each !== back)!));
        inner.pinned.add(back);
        nodes.push({ insns: [ldx("dw", back, 10, slot)] }, ...this.#around(inner, back, 0, room, { atomics: true }));
        inner.pinned.delete(back);
        this.#spills--;
        nodes.push(this.#again(inner, back));
        return nodes;
      }
      inner.pinned.add(0);
      const nodes = this.#around({ ...inner, depth: 0 }, 0, 0, room, { atomics: true });
      inner.pinned.delete(0);
      return nodes;
    });
    return { group: [{ insns }, { test, body }, this.#again(state, ...(kept === undefined ? [0] : [0, kept]))] };
  }

  #refillInsns(state: State, except: number | undefined): Insn[] {
    const register = this.#free(state).find((each) => each !== 0 && each !== except)!;
    state.scalars.add(register);
    return [mov(register, this.imm())];
  }

  /** The value of an array by its address, at a variable offset at times. */
  #direct(state: State): Node {
    const d = this.#dice;
    const [base, index] = this.#free(state);
    if (index === undefined || state.scalars.size < 3) return this.#alu(state);
    const start = d.once(2) ? 8 * d.below(4) : 0;
    const insns: Insn[] = mapValue(base!, MAP.DATA, start);
    state.scalars.delete(base!);
    let room = DATA_VALUE - start;
    if (d.once(3)) {
      insns.push(mov(index, { reg: this.#scalar(state) }), alu(64, "and", index, { imm: 7 }), alu(64, "add", base!, { reg: index }));
      state.scalars.add(index);
      room -= 7;
      state.pinned.add(base!);
      const nodes: Node[] = [{ insns }, ...this.#around(state, base!, 0, room, {})];
      return { group: [...nodes, this.#again(state, base!)] };
    }
    state.pinned.add(base!);
    const nodes: Node[] = [{ insns }, ...this.#around(state, base!, 0, room, { atomics: true })];
    return { group: [...nodes, this.#again(state, base!)] };
  }

  #condition(state: State): Node {
    const d = this.#dice;
    const width: Width = d.once(2) ? 64 : 32;
    const test = jump(width, d.pick(JUMPS), this.#scalar(state), d.once(2) ? { reg: this.#scalar(state) } : { imm: this.imm() }, 0);
    const before = new Set(state.scalars);
    const body = this.#branch(state, (inner) => this.statements(inner, d.from(1, 4)));
    if (d.once(2)) return this.#refill(state, { test, body });
    const other: State = { ...state, scalars: before };
    const otherwise = this.#branch(other, (inner) => this.statements(inner, d.from(1, 4)));
    for (const register of [...state.scalars]) if (!other.scalars.has(register)) state.scalars.delete(register);
    return this.#refill(state, { test, body, otherwise });
  }

  #loop(state: State): Node {
    const d = this.#dice;
    const times = d.pick([2, 3, 5, 8, 16]);
    const counter = this.#free(state, [6, 7, 8, 9])[0];
    if (counter === undefined || state.times * times > 64) return this.#condition(state);
    state.scalars.delete(counter);
    const first: Node = state.scalars.size === 0 ? { insns: this.#refillInsns(state, counter) } : { insns: [] };
    const entry = new Set(state.scalars);
    const inner: State = { ...state, scalars: new Set(entry), pinned: new Set(state.pinned).add(counter), depth: state.depth - 1, times: state.times * times };
    const nodes = this.statements(inner, d.from(1, 4));
    const lost = [...entry].filter((register) => !inner.scalars.has(register));
    if (lost.length > 0) nodes.push({ insns: lost.map((register) => mov(register, this.imm())) });
    const [step, op, bound, start] = d.pick([[1, "jlt", times, 0], [1, "jne", times, 0], [-1, "jsgt", 0, times], [2, "jslt", 2 * times, 0]] as const);
    nodes.push({ insns: [alu(64, "add", counter, { imm: step })] });
    state.scalars.add(counter);
    return {
      group: [first, { insns: [mov(counter, start)] }, { body: nodes, back: jump(d.once(4) ? 32 : 64, op, counter, { imm: bound }, 0) }],
    };
  }

  #call(state: State): Node {
    const d = this.#dice;
    if (!this.#callable(state) || state.times > 8) return this.#alu(state);
    const first = this.#ctx ?? this.#memory;
    const target = this.#maker.functionFor(d.once(2) && first !== undefined && !state.packetHeld);
    if (target === undefined) return this.#alu(state);
    const insns: Insn[] = [];
    const from = target.ctx ? 2 : 1;
    const sources = [...state.scalars].filter((register) => register > 5 || register === 0);
    for (let register = from; register < from + 3; register++) {
      insns.push(sources.length > 0 && d.once(2) ? mov(register, { reg: d.pick(sources) }) : mov(register, this.imm()));
    }
    if (target.ctx) insns.push(mov(1, { reg: first! }));
    insns.push({ ...call(0), src: BPF_PSEUDO_CALL, imm: target.number });
    this.#afterCall(state);
    return { insns };
  }

  /** bpf_loop with a callback. */
  #callback(state: State): Node {
    const d = this.#dice;
    if (!this.#callable(state) || state.times > 8 || state.packetHeld) return this.#alu(state);
    const number = this.#maker.callback();
    if (number === undefined) return this.#alu(state);
    const insns = [
      mov(1, d.pick([0, 1, 3, 10])), ...functionAt(2, number), mov(3, { reg: 10 }), alu(64, "add", 3, { imm: -8 * d.from(1, 8) }), mov(4, 0), helper(181),
    ];
    this.#afterCall(state);
    return { insns };
  }

  #helper(state: State): Node {
    if (!this.#callable(state) || state.scalars.size === 0) return this.#alu(state);
    const context: HelperContext = {
      dice: this.#dice, ctx: this.#ctx, type: this.#maker.type, packetHeld: state.packetHeld, imm: () => this.imm(),
      scalar: () => {
        const saved = [...state.scalars].filter((register) => register > 5);
        return saved.length > 0 ? this.#dice.pick(saved) : undefined;
      },
      key: (off, most) => [st("w", 10, off, this.#dice.below(most + 1))],
    };
    const node = this.#dice.pick(HELPERS)(context);
    if (node === undefined) return this.#alu(state);
    this.#afterCall(state);
    return node;
  }

  #context(state: State): Node {
    const d = this.#dice;
    if (this.#ctx === undefined) return this.#alu(state);
    const to = this.#free(state)[0]!;
    const load = (size: Size, off: number): Node => {
      state.scalars.add(to);
      return { insns: [ldx(size, to, this.#ctx!, off)] };
    };
    if (this.#maker.type === "xdp") return load("w", d.pick([12, 16]));
    switch (d.below(4)) {
      case 0:
        // mark, priority, cb[0..4]; tc_index
        return { insns: [stx("w", this.#ctx, d.pick([8, 32, 48, 52, 56, 60, 64, 44]), this.#scalar(state))] };
      case 1:
        // narrow loads
        return load(d.pick(["b", "h"]), d.pick([0, 8, 16, 32, 48]));
      default:
        // len, pkt_type, mark, protocol, vlan_present, vlan_tci, vlan_proto, priority, tc_index, cb
        return load("w", d.pick([0, 4, 8, 16, 20, 24, 28, 32, 44, 48, 52, 56, 60, 64]));
    }
  }

  /** Raw programs: somewhere in their memory, at a variable offset at times. */
  #memoryAccess(state: State): Node {
    const d = this.#dice;
    const memory = this.#memory;
    if (memory === undefined) return this.#alu(state);
    if (d.once(2)) return { insns: this.#access(state, memory, 0, RAW_MEMORY, { atomics: true }) };
    const [pointer, index] = this.#free(state);
    const mask = d.pick([1, 3, 7, 15, 31]);
    if (index === undefined || state.scalars.size < 3) return this.#alu(state);
    const insns = [
      mov(index, { reg: this.#scalar(state) }), alu(64, "and", index, { imm: mask }), mov(pointer!, { reg: memory }), alu(64, "add", pointer!, { reg: index }),
    ];
    state.scalars.add(index);
    state.scalars.delete(pointer!);
    state.pinned.add(pointer!);
    return { group: [{ insns }, ...this.#around(state, pointer!, 0, RAW_MEMORY - mask, {}), this.#again(state, pointer!)] };
  }

  #jump(state: State): Node {
    // Over something that is never run, yet reached by another way: gotol among them.
    const test = jump(64, this.#dice.pick(JUMPS), this.#scalar(state), { imm: this.imm() }, 0);
    const rest = this.#branch(state, (inner) => this.statements(inner, 1));
    return this.#refill(state, { test, body: [{ insns: [ja32(0)] }, ...rest] });
  }

  /** So many random pieces. */
  statements(state: State, count: number): Node[] {
    const nodes: Node[] = [];
    for (let n = 0; n < count && this.#maker.budget > 0; n++) {
      this.#maker.budget--;
      if (state.scalars.size === 0) nodes.push(this.#again(state, this.#free(state)[0]!));
      const deep = state.depth > 0;
      if (this.#maker.raw) {
        nodes.push(this.#dice.weighted<(state: State) => Node>([
          [30, (s) => this.#alu(s)], [10, (s) => this.#stack(s)], [10, (s) => this.#memoryAccess(s)], [3, (s) => this.#jump(s)],
          [deep ? 8 : 0, (s) => this.#condition(s)], [deep ? 5 : 0, (s) => this.#loop(s)], [3, (s) => this.#call(s)],
        ])(state));
        continue;
      }
      const make = this.#dice.weighted<(state: State) => Node>([
        [30, (s) => this.#alu(s)], [10, (s) => this.#stack(s)], [4, (s) => this.#context(s)], [4, (s) => this.#helper(s)], [3, (s) => this.#jump(s)],
        [deep ? 9 : 0, (s) => this.#packet(s)], [deep ? 7 : 0, (s) => this.#lookup(s)], [deep ? 4 : 0, (s) => this.#direct(s)],
        [deep ? 8 : 0, (s) => this.#condition(s)], [deep ? 4 : 0, (s) => this.#loop(s)], [2, (s) => this.#call(s)], [1, (s) => this.#callback(s)],
        [this.#maker.tails ? 1 : 0, (s) => this.#tailCall(s)],
      ]);
      nodes.push(make(state));
    }
    return nodes;
  }

  #tailCall(state: State): Node {
    if (!this.#callable(state) || this.#ctx === undefined || state.packetHeld) return this.#alu(state);
    const d = this.#dice;
    const source = [...state.scalars].filter((register) => register > 5);
    const index = source.length > 0 && d.once(3) ? [mov(3, { reg: d.pick(source) }), alu(64, "and", 3, { imm: 3 })] : [mov(3, d.below(5))];
    this.#afterCall(state);
    // Falls through when there is no such program.
    return { insns: [...index, mov(1, { reg: this.#ctx }), ...mapFd(2, MAP.PROGS), helper(12), mov(0, this.imm())] };
  }

  /** Numbers into the scratch area. */
  prologue(scalars: readonly number[]): Insn[] {
    const insns: Insn[] = [];
    for (let off = -SCRATCH; off < 0; off += 8) {
      insns.push(scalars.length > 0 && this.#dice.once(3) ? stx("dw", 10, off, this.#dice.pick(scalars)) : st("dw", 10, off, this.imm()));
    }
    return insns;
  }
}

/** One program: its main function and what that calls. */
class ProgramMaker {
  readonly dice: Dice;
  readonly type: "xdp" | "sched_cls";
  readonly tails: boolean;
  /** A program of the batch protocol: r1 = RAW_MEMORY bytes. */
  readonly raw: boolean;
  readonly functions: (Node[] | undefined)[] = [undefined];
  readonly #kinds: { ctx: boolean; callback: boolean }[] = [{ ctx: true, callback: false }];
  /** Pieces left to make. */
  budget: number;
  /** Whether the function that is made may spill pointers. */
  spills = true;
  #level = 0;

  constructor(d: Dice, type: "xdp" | "sched_cls", tails: boolean, budget: number, raw = false) {
    this.dice = d;
    this.type = type;
    this.tails = tails;
    this.budget = budget;
    this.raw = raw;
  }

  /** A function to call: one that is there, or a new one. */
  functionFor(ctx: boolean): { number: number; ctx: boolean } | undefined {
    if (this.#level >= 2) return undefined;
    const there = this.#kinds.flatMap((kind, number) => (number > 0 && !kind.callback && kind.ctx === ctx && this.functions[number] !== undefined ? [number] : []));
    if (there.length > 0 && this.#level === 0 && this.dice.once(2)) return { number: this.dice.pick(there), ctx };
    if (this.functions.length >= 5) return undefined;
    return { number: this.#make(ctx, false), ctx };
  }

  callback(): number | undefined {
    return this.functions.length >= 5 || this.#level >= 1 ? undefined : this.#make(false, true);
  }

  #make(ctx: boolean, callback: boolean): number {
    const number = this.functions.length;
    this.functions.push(undefined);
    this.#kinds.push({ ctx, callback });
    this.#level++;
    const [spills, level] = [this.spills, this.#level];
    this.spills = false;
    const register = ctx ? this.dice.from(6, 9) : undefined;
    const maker = new FunctionMaker(this, register);
    const insns: Insn[] = [];
    const scalars = new Set<number>();
    const pinned = new Set<number>();
    if (register !== undefined) {
      insns.push(mov(register, { reg: 1 }));
      pinned.add(register);
    }
    if (callback) {
      // r1 is the index, r2 the caller's stack: 8 bytes of it.
      insns.push(ldx("dw", 3, 2, 0), alu(64, "add", 3, { reg: 1 }), stx("dw", 2, 0, 3), mov(2, 0));
      scalars.add(1).add(2).add(3);
    } else for (let argument = ctx ? 2 : 1; argument < (ctx ? 5 : 4); argument++) scalars.add(argument);
    insns.push(...maker.prologue([...scalars]));
    const state: State = { scalars, pinned, depth: 2, times: callback ? 16 : 4, packetHeld: callback };
    const nodes: Node[] = [{ insns }, ...maker.statements(state, this.dice.from(2, 8))];
    const last: Insn[] = callback
      ? [mov(0, this.dice.pick([0, 0, 0, 1]))]
      : state.scalars.has(0) ? [] : [state.scalars.size > 0 ? mov(0, { reg: this.dice.pick([...state.scalars]) }) : mov(0, maker.imm())];
    nodes.push({ insns: last }, { exit: true });
    this.functions[number] = nodes;
    this.spills = spills;
    this.#level = level - 1;
    return number;
  }

  main(): FuzzProgram {
    const ctx = this.dice.from(6, 9);
    const maker = new FunctionMaker(this, ctx);
    const insns: Insn[] = [mov(ctx, { reg: 1 })];
    const scalars = new Set<number>();
    for (const register of this.dice.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((each) => each !== ctx)).slice(0, this.dice.from(3, 8))) {
      insns.push(mov(register, maker.imm()));
      scalars.add(register);
    }
    insns.push(...maker.prologue([...scalars]));
    const state: State = { scalars, pinned: new Set([ctx]), depth: 3, times: 1, packetHeld: false };
    const nodes: Node[] = [{ insns }, ...maker.statements(state, this.dice.from(8, 30))];
    nodes.push({ insns: this.raw ? rawEnding(state.scalars) : ending(state.scalars, ctx) }, { exit: true });
    this.functions[0] = nodes;
    return { type: this.type, functions: this.functions.map((each) => each!) };
  }
}

/** All scalars and the scratch area into `out`; r0 is one of them. */
function ending(scalars: ReadonlySet<number>, ctx: number): Insn[] {
  const insns: Insn[] = mapValue(ctx, MAP.OUT);
  let last = 0;
  for (const register of scalars) {
    insns.push(stx("dw", ctx, 8 * register, register));
    last = register;
  }
  if (!scalars.has(0)) insns.push(scalars.size > 0 ? mov(0, { reg: last }) : mov(0, 1));
  // What the stack holds, mixed.
  insns.push(mov(1, 0));
  for (let off = -SCRATCH; off < 0; off += 8) insns.push(ldx("dw", 2, 10, off), alu(64, "mul", 1, { imm: 31 }), alu(64, "xor", 1, { reg: 2 }));
  insns.push(stx("dw", ctx, 80, 1));
  return insns;
}

/** r0 of all numbers and of the scratch area. */
function rawEnding(scalars: ReadonlySet<number>): Insn[] {
  const insns = scalars.has(0) ? [] : [mov(0, 1)];
  for (const register of scalars) if (register !== 0) insns.push(alu(64, "mul", 0, { imm: 31 }), alu(64, "xor", 0, { reg: register }));
  for (let off = -SCRATCH; off < 0; off += 8) insns.push(ldx("dw", 2, 10, off), alu(64, "mul", 0, { imm: 31 }), alu(64, "xor", 0, { reg: 2 }));
  return insns;
}

/** A program of the batch protocol and what is in its memory. */
export function generateRaw(seed: number, number: number): { program: FuzzProgram; memory: Uint8Array } {
  const d = dice(seed, number, 3);
  return { program: new ProgramMaker(d, "xdp", false, d.pick([15, 40, 120]), true).main(), memory: randomBytes(d, RAW_MEMORY) };
}

function randomBytes(d: Dice, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => (d.once(3) ? d.pick([0, 1, 0x7f, 0x80, 0xff]) : d.below(256)));
}

function u32Key(value: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, value, true);
  return key;
}

function maps(d: Dice): FuzzMap[] {
  const some = (keys: number, value: number): (readonly [Uint8Array, Uint8Array])[] =>
    Array.from({ length: keys }, (_, n) => n).filter(() => d.once(2)).map((n) => [u32Key(n), randomBytes(d, value)] as const);
  const prefixes = [0, 8, 24, 32].filter(() => d.once(2)).map((length) => {
    const key = randomBytes(d, 8);
    new DataView(key.buffer).setUint32(0, length, true);
    return [key, randomBytes(d, 8)] as const;
  });
  return [
    { type: "array", key: 4, value: OUT_BYTES, entries: 1, content: [] },
    { type: "array", key: 4, value: ARRAY_VALUE, entries: ARRAY_ENTRIES, content: some(ARRAY_ENTRIES, ARRAY_VALUE) },
    { type: "hash", key: 4, value: HASH_VALUE, entries: 6, content: some(5, HASH_VALUE) },
    { type: "percpu_array", key: 4, value: 16, entries: 4, content: [] },
    { type: "lru_hash", key: 4, value: 8, entries: 1024, content: some(4, 8) },
    { type: "queue", key: 0, value: 8, entries: 3, content: [] },
    { type: "stack", key: 0, value: 8, entries: 3, content: [] },
    { type: "lpm_trie", key: 8, value: 8, entries: 16, flags: 1, content: prefixes },
    { type: "ringbuf", key: 0, value: 0, entries: RINGBUF_BYTES, content: [] },
    { type: "prog_array", key: 4, value: 4, entries: 4, content: [] },
    { type: "percpu_hash", key: 4, value: 16, entries: 8, content: [] },
    { type: "array", key: 4, value: DATA_VALUE, entries: 1, content: [[u32Key(0), randomBytes(d, DATA_VALUE)]] },
  ];
}

/** Case `number` of a seed. */
export function generate(seed: number, number: number): FuzzCase {
  const d = dice(seed, number);
  const type = d.once(2) ? "xdp" : "sched_cls";
  const tails = d.once(4);
  const programs = [new ProgramMaker(d, type, tails, d.pick([15, 40, 120])).main()];
  if (tails) for (let n = d.from(1, 3); n > 0; n--) programs.push(new ProgramMaker(d, type, d.once(2), 15).main());
  const packets = Array.from({ length: d.from(1, 3) }, () => packet(d));
  return { name: `fuzz-${seed}-${number}`, maps: maps(d), programs, packets };
}
