// The instructions of one function as Wasm code, one after the other. Registers and known stack slots are locals; what is known
// of their values (values.ts) saves the code that would compute it again.
//
// Parameters: the frame's first byte (r10 - 512), the run, then r1 and on, as many as the function reads.
import * as abi from "../../../assembly/abi/bpf.ts";
import {
  BPF_ABS, BPF_ADD, BPF_ALU64, BPF_AND, BPF_ARSH, BPF_ATOMIC, BPF_CALL, BPF_CMPXCHG, BPF_DIV, BPF_DW, BPF_END, BPF_FETCH, BPF_IMM, BPF_IND, BPF_JCOND, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JLE,
  BPF_JLT, BPF_JMP, BPF_JMP32, BPF_JNE, BPF_JSET, BPF_JSGE, BPF_JSGT, BPF_JSLE, BPF_JSLT, BPF_LD, BPF_LDX, BPF_LOAD_ACQ, BPF_LSH, BPF_MEM, BPF_MEMSX,
  BPF_MOD, BPF_MOV, BPF_MUL, BPF_NEG, BPF_OR, BPF_PSEUDO_CALL, BPF_RSH, BPF_ST, BPF_STORE_REL, BPF_STX, BPF_SUB, BPF_TO_BE, BPF_X, BPF_XCHG,
  BPF_XOR, bpfBytes, bpfClass, bpfMode, bpfOp, bpfSrc,
} from "../insn.ts";
import { Helper } from "../uapi.ts";
import type { Shape } from "./dominators.ts";
import { FRAME, type FramePlan } from "./frame.ts";
import { callsBack, helperArguments } from "./helpers.ts";
import { CALL, JitError, type Slots } from "./program.ts";
import { Kind, Values, foldedResult, knownNumber, loadValues, step, width, type BlockValues, type ValueOptions } from "./values.ts";
import { Code, I32, I64, Op, type FunctionBody } from "./wasm.ts";
import type { JitMap } from "./index.ts";

/** Numbers of the imported functions. */
export const Import = { helper: 0, callx: 1, tailCall: 2, check: 3, packetLoad: 4, mapLookup: 5 } as const;

/** What the functions of a program share. */
export interface Module {
  readonly slots: Slots;
  readonly checked: boolean;
  readonly mapAt: (slot: number) => JitMap | undefined;
  /** Loads that give 0 outside of the memory. */
  readonly probes: ReadonlySet<number>;
  /** Number of the Wasm function that begins at a slot, and how many of r1 to r5 it takes. */
  /** Slot of the function that the `lddw` at a slot refers to. */
  readonly reference: (slot: number) => number | undefined;
  /** A callee may end the whole program (bpf_throw), which shows as a fault. */
  readonly throws: boolean;
  readonly functionAt: ReadonlyMap<number, { readonly index: number; readonly parameters: number }>;
}

export interface FunctionInput {
  readonly shape: Shape;
  readonly blocks: BlockValues;
  readonly values: ValueOptions;
  readonly plan: FramePlan;
  readonly dead: Uint8Array;
  readonly parameters: number;
}

const LOADS: Readonly<Record<number, number>> = { 1: Op.i64_load8_u, 2: Op.i64_load16_u, 4: Op.i64_load32_u, 8: Op.i64_load };
const SIGNED_LOADS: Readonly<Record<number, number>> = { 1: Op.i64_load8_s, 2: Op.i64_load16_s, 4: Op.i64_load32_s };
const STORES: Readonly<Record<number, number>> = { 1: Op.i64_store8, 2: Op.i64_store16, 4: Op.i64_store32, 8: Op.i64_store };
const SIGN_EXTEND: Readonly<Record<number, number>> = { 1: Op.i64_extend8_s, 2: Op.i64_extend16_s, 4: Op.i64_extend32_s };
const LDDW = BPF_LD | BPF_IMM | BPF_DW;
const SHIFT_UP = BPF_ALU64 | BPF_LSH;
const SHIFT_DOWN = BPF_ALU64 | BPF_RSH;
const SHIFT_DOWN_SIGNED = BPF_ALU64 | BPF_ARSH;
const ATOMICS: Readonly<Record<number, number>> = {
  [BPF_ADD]: Op.i64_add, [BPF_OR]: Op.i64_or, [BPF_AND]: Op.i64_and, [BPF_XOR]: Op.i64_xor,
};
/** Of 32 bits; the 64-bit operation is 0x12 above. */
const ARITHMETIC: Readonly<Record<number, number>> = {
  [BPF_ADD]: Op.i32_add, [BPF_SUB]: Op.i32_sub, [BPF_MUL]: Op.i32_mul, [BPF_OR]: Op.i32_or, [BPF_AND]: Op.i32_and, [BPF_XOR]: Op.i32_xor,
  [BPF_LSH]: Op.i32_shl, [BPF_RSH]: Op.i32_shr_u, [BPF_ARSH]: Op.i32_shr_s,
};
const WIDER = Op.i64_add - Op.i32_add;
/** Comparison of 32 bits and its opposite; the 64-bit operations are 0xb above. */
const COMPARE: Readonly<Record<number, readonly [number, number]>> = {
  [BPF_JEQ]: [Op.i32_eq, Op.i32_ne], [BPF_JNE]: [Op.i32_ne, Op.i32_eq], [BPF_JGT]: [Op.i32_gt_u, Op.i32_le_u], [BPF_JGE]: [Op.i32_ge_u, Op.i32_lt_u],
  [BPF_JLT]: [Op.i32_lt_u, Op.i32_ge_u], [BPF_JLE]: [Op.i32_le_u, Op.i32_gt_u], [BPF_JSGT]: [Op.i32_gt_s, Op.i32_le_s],
  [BPF_JSGE]: [Op.i32_ge_s, Op.i32_lt_s], [BPF_JSLT]: [Op.i32_lt_s, Op.i32_ge_s], [BPF_JSLE]: [Op.i32_le_s, Op.i32_gt_s],
};
const WIDER_COMPARE = Op.i64_eq - Op.i32_eq;
/** BPF_MAX_LOOPS of bpf_loop and may_goto, 1 << 23. */
const MAX_LOOPS = 8388608;
const E2BIG = 7;
const EINVAL = 22;
/** Up to so many bytes of the frame are cleared by stores of 8. */
const CLEAR_BY_STORES = 64;


export class InstructionWriter {
  protected readonly module: Module;
  protected readonly input: FunctionInput;
  protected readonly slots: Slots;
  protected readonly checked: boolean;
  protected readonly code = new Code(4096);
  protected readonly values = new Values();
  /** Locals of r0 to r9. */
  readonly #register: number[] = [];
  readonly #frame = 0;
  readonly #run = 1;
  readonly #word: number;
  protected readonly label: number;
  readonly #a: number;
  readonly #b: number;
  readonly #fuel: number;
  readonly #loops: number;
  readonly #firstSlot: number;
  /** A slot whose work was done with the one before. */
  #skip = -1;

  constructor(module: Module, input: FunctionInput) {
    this.module = module;
    this.input = input;
    this.slots = module.slots;
    this.checked = module.checked;
    const { parameters } = input;
    this.#word = 2 + parameters;
    this.label = this.#word + 1;
    let next = this.label + 1;
    for (let register = 0; register < 10; register++) {
      this.#register.push(register >= 1 && register <= parameters ? 1 + register : next++);
    }
    this.#a = next++;
    this.#b = next++;
    this.#fuel = next++;
    this.#loops = next++;
    this.#firstSlot = next;
  }

  /** The finished function. */
  protected finish(): FunctionBody {
    const { parameters, plan } = this.input;
    const params = [I32, I32];
    for (let register = 1; register <= parameters; register++) params.push(I64);
    return {
      type: { params, results: [I64] },
      i32s: 2,
      i64s: this.#firstSlot + plan.from.length - this.#word - 2,
      code: this.code,
    };
  }

  /** In an unverified program a frame begins as zeros; what of it is in locals does so by itself. */
  protected prologue(): void {
    if (!this.checked) return;
    const { code } = this;
    this.#takeFuel();
    const { memory, usesMemory } = this.input.plan;
    if (!usesMemory) return;
    const first = memory.indexOf(1) & ~7;
    const words: number[] = [];
    for (let at = first; at < FRAME; at += 8) if (memory.subarray(at, at + 8).includes(1)) words.push(at);
    if (words.length * 8 <= CLEAR_BY_STORES) {
      for (const at of words) {
        code.get(this.#frame);
        code.i64s(0);
        code.memory(Op.i64_store, at);
      }
      return;
    }
    code.get(this.#frame);
    code.i32(first);
    code.byte(Op.i32_add);
    code.i32(0);
    code.i32(FRAME - first);
    code.fill();
  }

  /** All instructions of a block but the jump at its end. */
  protected body(block: number): void {
    const { graph } = this.input.shape;
    const { slots, values } = this;
    loadValues(values, this.input.blocks, block);
    const stop = graph.stop[block]!;
    let charged = this.checked;
    for (let slot = graph.start[block]!; slot < stop; slot++) {
      if (slots.second[slot] === 1) continue;
      if (charged) this.#charge(slot, stop);
      charged = false;
      const code = slots.code[slot]!;
      const family = bpfClass(code);
      if (family === BPF_JMP || family === BPF_JMP32) {
        if (bpfOp(code) === BPF_CALL) {
          this.#call(slot);
          charged = this.checked;
        }
      } else if (this.input.dead[slot] === 0 && slot !== this.#skip) this.#instruction(slot, stop);
      step(slots, slot, values, this.input.values);
    }
  }

  // Fuel, faults.

  #takeFuel(): void {
    this.code.get(this.#run);
    this.code.memory(Op.i64_load, abi.BPF_RUN_FUEL);
    this.code.set(this.#fuel);
  }

  protected saveFuel(): void {
    if (!this.checked) return;
    this.code.get(this.#run);
    this.code.get(this.#fuel);
    this.code.memory(Op.i64_store, abi.BPF_RUN_FUEL);
  }

  /** The instructions from `slot` up to the block's end or past the next call are paid for, all or none. */
  #charge(slot: number, stop: number): void {
    const { code, slots } = this;
    let count = 0;
    for (let at = slot; at < stop; at++) {
      if (slots.second[at] === 1) continue;
      count++;
      if ((slots.code[at]! & 0xf7) === CALL) break;
    }
    code.get(this.#fuel);
    code.i64s(count);
    code.byte(Op.i64_lt_u);
    code.open(Op.if);
    this.#setFault(abi.BPF_FAULT_FUEL);
    this.#returnFault(slot);
    code.byte(Op.end);
    code.get(this.#fuel);
    code.i64s(count);
    code.byte(Op.i64_sub);
    code.set(this.#fuel);
  }

  #setFault(fault: number): void {
    this.code.get(this.#run);
    this.code.i32(fault);
    this.code.memory(Op.i32_store, abi.BPF_RUN_FAULT);
  }

  /** Ends the function; who called it sees the fault. */
  #returnFault(slot: number): void {
    this.#faultSlot(slot);
    this.#returnFaulted();
  }

  #faultSlot(slot: number): void {
    const { code } = this;
    code.get(this.#run);
    code.i32(slot);
    code.memory(Op.i32_store, abi.BPF_RUN_FAULT_SLOT);
  }

  #returnFaulted(): void {
    this.saveFuel();
    this.code.i64s(0);
    this.code.byte(Op.return);
  }

  /** Ends the function when what was called left a fault, which says where. */
  #ifFault(): void {
    const { code } = this;
    code.get(this.#run);
    code.memory(Op.i32_load, abi.BPF_RUN_FAULT);
    code.open(Op.if);
    this.#returnFaulted();
    code.byte(Op.end);
  }

  // Values.

  /** Pushes a register as i64. */
  protected push(register: number): void {
    const { code, values } = this;
    const known = knownNumber(this.slots, values, register);
    if (known !== undefined) code.i64(known.low, known.high);
    else if (values.kind[register] === Kind.frame) {
      code.get(this.#frame);
      code.byte(Op.i64_extend_i32_u);
      code.i64s(values.low[register]! + FRAME);
      code.byte(Op.i64_add);
    } else code.get(this.#register[register]!);
  }

  /** Pushes the lower half of a register. */
  #push32(register: number): void {
    const { code, values } = this;
    const known = knownNumber(this.slots, values, register);
    if (known !== undefined) code.i32(known.low);
    else if (values.kind[register] === Kind.frame) {
      code.get(this.#frame);
      code.i32(values.low[register]! + FRAME);
      code.byte(Op.i32_add);
    } else {
      code.get(this.#register[register]!);
      code.byte(Op.i32_wrap_i64);
    }
  }

  #set(register: number): void {
    this.code.set(this.#register[register]!);
  }

  /** The second operand of arithmetic and jumps. */
  #operand(slot: number): void {
    if (bpfSrc(this.slots.code[slot]!) === BPF_X) this.push(this.slots.src[slot]!);
    else this.code.i64s(this.slots.imm[slot]!);
  }

  #operand32(slot: number): void {
    if (bpfSrc(this.slots.code[slot]!) === BPF_X) this.#push32(this.slots.src[slot]!);
    else this.code.i32(this.slots.imm[slot]!);
  }

  /** Pushes what a conditional jump at `slot` tests, as i32; `inverted`: its opposite. */
  protected condition(slot: number, inverted: boolean): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const what = bpfOp(op);
    const dst = slots.dst[slot]!;
    const narrow = bpfClass(op) === BPF_JMP32;
    if (what === BPF_JCOND) {
      // may_goto: taken when the loops of this call are used up.
      code.get(this.#loops);
      code.i64s(1);
      code.byte(Op.i64_add);
      code.tee(this.#loops);
      code.i64s(MAX_LOOPS);
      code.byte(inverted ? Op.i64_le_u : Op.i64_gt_u);
      return;
    }
    const zero = bpfSrc(op) !== BPF_X && slots.imm[slot] === 0;
    if (narrow) this.#push32(dst);
    else this.push(dst);
    if (zero && (what === BPF_JEQ || what === BPF_JNE)) {
      code.byte(narrow ? Op.i32_eqz : Op.i64_eqz);
      if ((what === BPF_JNE) !== inverted) code.byte(Op.i32_eqz);
      return;
    }
    if (narrow) this.#operand32(slot);
    else this.#operand(slot);
    if (what === BPF_JSET) {
      code.byte(narrow ? Op.i32_and : Op.i64_and);
      code.byte(narrow ? Op.i32_eqz : Op.i64_eqz);
      if (!inverted) code.byte(Op.i32_eqz);
      return;
    }
    const pair = COMPARE[what];
    if (pair === undefined) throw new JitError(`slot ${slot}: opcode 0x${op.toString(16)}`);
    code.byte(pair[inverted ? 1 : 0] + (narrow ? 0 : WIDER_COMPARE));
  }

  #instruction(slot: number, stop: number): void {
    const code = this.slots.code[slot]!;
    switch (bpfClass(code)) {
      case BPF_LD: {
        if (code !== LDDW) return this.#packetLoad(slot);
        const reference = this.module.reference(slot);
        if (reference !== undefined) this.code.i64s(reference);
        else this.code.i64(this.slots.imm[slot]!, this.slots.imm[slot + 1]!);
        return this.#set(this.slots.dst[slot]!);
      }
      case BPF_LDX:
        return this.#load(slot);
      case BPF_ST:
      case BPF_STX:
        if (bpfClass(code) === BPF_STX && bpfMode(code) === BPF_ATOMIC) return this.#atomic(slot);
        return this.#store(slot);
      default:
        return this.#alu(slot, stop);
    }
  }

  /** The packet loads of classic BPF: outside of the packet they end the program with 0. */
  #packetLoad(slot: number): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const indirect = bpfMode(op) === BPF_IND;
    if ((!indirect && bpfMode(op) !== BPF_ABS) || bpfBytes(op) === 8) throw new JitError(`slot ${slot}: opcode 0x${op.toString(16)}`);
    if (!this.input.values.main) throw new JitError(`slot ${slot}: packet load in a subprogram`);
    code.i32(slots.imm[slot]!);
    if (indirect) {
      this.#push32(slots.src[slot]!);
      code.byte(Op.i32_add);
    }
    code.i32(31 - Math.clz32(bpfBytes(op)));
    code.call(Import.packetLoad);
    code.tee(this.#register[0]!);
    code.i64s(-1);
    code.byte(Op.i64_eq);
    code.open(Op.if);
    this.#returnFaulted();
    code.byte(Op.end);
  }

  // Memory.

  /**
   * Pushes the address `register + off` and returns the offset that the access itself has to add. That offset is only used where the
   * register's 64 bits are known to be an address: elsewhere the sum may wrap, which Wasm's does not.
   */
  #address(slot: number, register: number, off: number, bytes: number, write: boolean): number {
    const { code, values } = this;
    if (values.kind[register] === Kind.frame) {
      const at = values.low[register]! + off + FRAME;
      if (at >= 0 && at + bytes <= FRAME) {
        code.get(this.#frame);
        return at;
      }
    }
    if (this.checked) {
      this.push(register);
      if (off !== 0) {
        code.i64s(off);
        code.byte(Op.i64_add);
      }
      code.tee(this.#a);
      code.i32(bytes);
      code.i32(write ? 1 : 0);
      code.call(Import.check);
      code.byte(Op.i32_eqz);
      code.open(Op.if);
      this.#returnFault(slot);
      code.byte(Op.end);
      code.get(this.#a);
      code.byte(Op.i32_wrap_i64);
      return 0;
    }
    const known = knownNumber(this.slots, values, register);
    if (known !== undefined) {
      code.i32(known.low + off);
      return 0;
    }
    this.#push32(register);
    if (off === 0) return 0;
    if (off > 0 && width(values, register) !== Kind.any) return off;
    code.i32(off);
    code.byte(Op.i32_add);
    return 0;
  }

  /** The local that holds `bytes` bytes of the frame at register + off, and by how many bits they are shifted in it. */
  #slot(register: number, off: number, bytes: number): { local: number; shift: number; whole: boolean } | undefined {
    if (this.values.kind[register] !== Kind.frame) return undefined;
    const { slotOf, from, bytes: sizes } = this.input.plan;
    const at = this.values.low[register]! + off + FRAME;
    const slot = slotOf[at] ?? 0;
    if (slot === 0) return undefined;
    return { local: this.#firstSlot + slot - 1, shift: (at - from[slot - 1]!) * 8, whole: sizes[slot - 1] === bytes };
  }

  /** Pushes bytes of a frame's local, zero-extended. */
  #pushSlot(slot: { local: number; shift: number; whole: boolean }, bytes: number): void {
    const { code } = this;
    code.get(slot.local);
    if (slot.whole) return;
    if (slot.shift !== 0) {
      code.i64s(slot.shift);
      code.byte(Op.i64_shr_u);
    }
    if (slot.shift + bytes * 8 < 64) this.#mask(bytes);
  }

  /** Keeps the lower bytes of the i64 on the stack. */
  #mask(bytes: number): void {
    if (bytes === 8) return;
    this.code.i64(bytes === 4 ? -1 : (1 << (bytes * 8)) - 1, 0);
    this.code.byte(Op.i64_and);
  }

  #load(slot: number): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const [dst, src, off, bytes] = [slots.dst[slot]!, slots.src[slot]!, slots.off[slot]!, bpfBytes(op)];
    const signed = bpfMode(op) === BPF_MEMSX;
    if (!signed && bpfMode(op) !== BPF_MEM) throw new JitError(`slot ${slot}: opcode 0x${op.toString(16)}`);
    const local = this.#slot(src, off, bytes);
    if (local !== undefined) {
      this.#pushSlot(local, bytes);
      if (signed) code.byte(SIGN_EXTEND[bytes]!);
      return this.#set(dst);
    }
    const instruction = signed ? SIGNED_LOADS[bytes]! : LOADS[bytes]!;
    if (this.module.probes.has(slot)) return this.#probe(slot, instruction, bytes);
    code.memory(instruction, this.#address(slot, src, off, bytes, false));
    this.#set(dst);
  }

  /** A load through any number: outside of the memory it gives 0. */
  #probe(slot: number, instruction: number, bytes: number): void {
    const { code, slots } = this;
    this.push(slots.src[slot]!);
    code.i64s(slots.off[slot]!);
    code.byte(Op.i64_add);
    code.tee(this.#a);
    code.memorySize();
    code.byte(Op.i64_extend_i32_u);
    code.i64s(16);
    code.byte(Op.i64_shl);
    code.i64s(bytes);
    code.byte(Op.i64_sub);
    code.byte(Op.i64_le_u);
    code.open(Op.if, I64);
    code.get(this.#a);
    code.byte(Op.i32_wrap_i64);
    code.memory(instruction, 0);
    code.byte(Op.else);
    code.i64s(0);
    code.byte(Op.end);
    this.#set(slots.dst[slot]!);
  }

  #store(slot: number): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    if (bpfMode(op) !== BPF_MEM) throw new JitError(`slot ${slot}: opcode 0x${op.toString(16)}`);
    const [dst, off, bytes] = [slots.dst[slot]!, slots.off[slot]!, bpfBytes(op)];
    const value = (): void => {
      if (bpfClass(op) === BPF_ST) code.i64s(slots.imm[slot]!);
      else this.push(slots.src[slot]!);
    };
    const local = this.#slot(dst, off, bytes);
    if (local === undefined) {
      const offset = this.#address(slot, dst, off, bytes, true);
      value();
      code.memory(STORES[bytes]!, offset);
      return;
    }
    value();
    if (bpfClass(op) === BPF_ST || !narrow(width(this.values, slots.src[slot]!), bytes)) this.#mask(bytes);
    if (!local.whole) {
      // Into its place among the other bytes of the word.
      if (local.shift !== 0) {
        code.i64s(local.shift);
        code.byte(Op.i64_shl);
      }
      code.get(local.local);
      const others = ~(((1n << BigInt(bytes * 8)) - 1n) << BigInt(local.shift));
      code.i64(Number(BigInt.asIntN(32, others)), Number(BigInt.asIntN(32, others >> 32n)));
      code.byte(Op.i64_and);
      code.byte(Op.i64_or);
    }
    code.set(local.local);
  }

  /** One thread runs a node's programs, so plain operations are atomic; where memory is shared, they are whole all the same. */
  #atomic(slot: number): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const [dst, src, off, what, bytes] = [slots.dst[slot]!, slots.src[slot]!, slots.off[slot]!, slots.imm[slot]!, bpfBytes(op)];
    const unknown = (): JitError => new JitError(`slot ${slot}: atomic operation 0x${what.toString(16)}`);
    if (what === BPF_LOAD_ACQ) {
      code.memory(LOADS[bytes]!, this.#address(slot, src, off, bytes, false));
      return this.#set(dst);
    }
    if (what === BPF_STORE_REL) {
      const offset = this.#address(slot, dst, off, bytes, true);
      this.push(src);
      return code.memory(STORES[bytes]!, offset);
    }
    if (bytes < 4) throw unknown();
    const offset = this.#address(slot, dst, off, bytes, true);
    code.tee(this.#word);
    code.memory(LOADS[bytes]!, offset);
    code.set(this.#b);
    if (what === BPF_CMPXCHG) {
      this.push(0);
      this.#mask(bytes);
      code.get(this.#b);
      code.byte(Op.i64_eq);
      code.open(Op.if);
      code.get(this.#word);
      this.push(src);
      code.memory(STORES[bytes]!, offset);
      code.byte(Op.end);
      code.get(this.#b);
      return this.#set(0);
    }
    code.get(this.#word);
    if (what === BPF_XCHG) this.push(src);
    else {
      const instruction = ATOMICS[what & ~BPF_FETCH];
      if (instruction === undefined) throw unknown();
      code.get(this.#b);
      this.push(src);
      code.byte(instruction);
    }
    code.memory(STORES[bytes]!, offset);
    if ((what & BPF_FETCH) === 0) return;
    code.get(this.#b);
    this.#set(src);
  }

  // Arithmetic.

  #alu(slot: number, stop: number): void {
    const { code, slots, values } = this;
    const op = slots.code[slot]!;
    const dst = slots.dst[slot]!;
    const wide = bpfClass(op) === BPF_ALU64;
    const what = bpfOp(op);
    if (this.#constant(slot)) return;
    switch (what) {
      case BPF_MOV:
        this.#move(slot, wide);
        break;
      case BPF_NEG:
        if (wide) {
          code.i64s(0);
          this.push(dst);
          code.byte(Op.i64_sub);
        } else {
          code.i32(0);
          this.#push32(dst);
          code.byte(Op.i32_sub);
          code.byte(Op.i64_extend_i32_u);
        }
        break;
      case BPF_END:
        this.#byteOrder(slot);
        break;
      case BPF_DIV:
      case BPF_MOD:
        this.#divide(slot, wide);
        break;
      case BPF_LSH: {
        // Shifted up by 32 and down again: an extension.
        const next = slot + 1;
        if (wide && op === SHIFT_UP && slots.imm[slot] === 32 && next < stop && slots.dst[next] === dst && slots.imm[next] === 32 &&
          (slots.code[next] === SHIFT_DOWN || slots.code[next] === SHIFT_DOWN_SIGNED) && this.input.dead[next] === 0) {
          this.push(dst);
          code.byte(Op.i32_wrap_i64);
          code.byte(slots.code[next] === SHIFT_DOWN ? Op.i64_extend_i32_u : Op.i64_extend_i32_s);
          this.#set(dst);
          this.#skip = next;
          return;
        }
        this.#plain(slot, wide);
        break;
      }
      case BPF_AND: {
        const imm = slots.imm[slot]!;
        // A mask that takes nothing away.
        if (bpfSrc(op) !== BPF_X && ((imm === 0xff && width(values, dst) === Kind.bits8) || (imm === 0xffff && narrow(width(values, dst), 2)))) return;
        this.#plain(slot, wide);
        break;
      }
      default:
        this.#plain(slot, wide);
    }
    this.#set(dst);
  }

  /** Sets a register to the number that the instruction is known to give. */
  #constant(slot: number): boolean {
    const { code, slots } = this;
    const dst = slots.dst[slot]!;
    const result = foldedResult(slots, slot, this.values);
    if (result === undefined) return false;
    code.i64(result.low, result.high);
    this.#set(dst);
    return true;
  }

  #plain(slot: number, wide: boolean): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const instruction = ARITHMETIC[bpfOp(op)];
    if (instruction === undefined) throw new JitError(`slot ${slot}: opcode 0x${op.toString(16)}`);
    if (wide) {
      this.push(slots.dst[slot]!);
      this.#operand(slot);
      code.byte(instruction + WIDER);
    } else {
      this.#push32(slots.dst[slot]!);
      this.#operand32(slot);
      code.byte(instruction);
      code.byte(Op.i64_extend_i32_u);
    }
  }

  #move(slot: number, wide: boolean): void {
    const { code, slots, values } = this;
    const off = slots.off[slot]!;
    const src = slots.src[slot]!;
    if (bpfSrc(slots.code[slot]!) !== BPF_X) {
      if (wide) code.i64s(slots.imm[slot]!);
      else code.i64(slots.imm[slot]!, 0);
      return;
    }
    if (off === 0) {
      if (wide || width(values, src) !== Kind.any) return this.push(src);
      this.#push32(src);
      code.byte(Op.i64_extend_i32_u);
      return;
    }
    if (wide) {
      this.push(src);
      code.byte(SIGN_EXTEND[off / 8] ?? fail(slot));
      return;
    }
    this.#push32(src);
    code.byte(off === 8 ? Op.i32_extend8_s : off === 16 ? Op.i32_extend16_s : fail(slot));
    code.byte(Op.i64_extend_i32_u);
  }

  #byteOrder(slot: number): void {
    const { code, slots, values } = this;
    const op = slots.code[slot]!;
    const dst = slots.dst[slot]!;
    const bits = slots.imm[slot]!;
    if (bits !== 16 && bits !== 32 && bits !== 64) fail(slot);
    if (bpfClass(op) !== BPF_ALU64 && (op & BPF_TO_BE) === 0) {
      this.push(dst);
      if (!narrow(width(values, dst), bits / 8)) this.#mask(bits / 8);
      return;
    }
    if (bits === 64) {
      // Bytes, then halves, then words change places.
      this.push(dst);
      code.set(this.#a);
      this.#exchange(0x00ff00ff, 8);
      this.#exchange(0x0000ffff, 16);
      code.get(this.#a);
      code.i64s(32);
      code.byte(Op.i64_rotl);
      return;
    }
    this.#push32(dst);
    code.tee(this.#word);
    if (bits === 16) {
      code.i32(8);
      code.byte(Op.i32_shl);
      code.i32(0xff00);
      code.byte(Op.i32_and);
      code.get(this.#word);
      code.i32(8);
      code.byte(Op.i32_shr_u);
      if (!narrow(width(values, dst), 2)) {
        code.i32(0xff);
        code.byte(Op.i32_and);
      }
    } else {
      code.i32(8);
      code.byte(Op.i32_rotl);
      code.i32(0x00ff00ff);
      code.byte(Op.i32_and);
      code.get(this.#word);
      code.i32(24);
      code.byte(Op.i32_rotl);
      code.i32(~0x00ff00ff);
      code.byte(Op.i32_and);
    }
    code.byte(Op.i32_or);
    code.byte(Op.i64_extend_i32_u);
  }

  /** Neighbouring groups of `bits` bits of local a change places; `mask` has the lower ones of each pair, in both halves. */
  #exchange(mask: number, bits: number): void {
    const { code } = this;
    code.get(this.#a);
    code.i64(mask, mask);
    code.byte(Op.i64_and);
    code.i64s(bits);
    code.byte(Op.i64_shl);
    code.get(this.#a);
    code.i64s(bits);
    code.byte(Op.i64_shr_u);
    code.i64(mask, mask);
    code.byte(Op.i64_and);
    code.byte(Op.i64_or);
    code.set(this.#a);
  }

  /** Wasm traps on division by 0 and on the least number by -1; here these are 0 (or the dividend) and the least number. */
  #divide(slot: number, wide: boolean): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const dst = slots.dst[slot]!;
    const modulo = bpfOp(op) === BPF_MOD;
    const signed = slots.off[slot] === 1;
    if (slots.off[slot]! >>> 1 !== 0) fail(slot);
    const known = bpfSrc(op) === BPF_X ? knownNumber(slots, this.values, slots.src[slot]!) : { low: slots.imm[slot]!, high: slots.imm[slot]! >> 31 };
    const type = wide ? I64 : I32;
    const shift = wide ? WIDER : 0;
    const instruction = (modulo ? (signed ? Op.i32_rem_s : Op.i32_rem_u) : signed ? Op.i32_div_s : Op.i32_div_u) + shift;
    const left = (): void => (wide ? this.push(dst) : this.#push32(dst));
    const right = (): void => (wide ? this.#operand(slot) : this.#operand32(slot));
    const constant = (value: number): void => (wide ? code.i64s(value) : code.i32(value));
    const divide = (): void => {
      left();
      right();
      code.byte(instruction);
    };
    const zero = known === undefined ? undefined : known.low === 0 && (!wide || known.high === 0);
    const minusOne = known === undefined ? undefined : known.low === -1 && (!wide || known.high === -1);
    const whenZero = (): void => (modulo ? left() : constant(0));
    const negate = (): void => {
      constant(0);
      left();
      code.byte(Op.i32_sub + shift);
    };
    const trapsAtMinusOne = signed && !modulo;
    if (zero === true) whenZero();
    else if (zero === false) {
      if (trapsAtMinusOne && minusOne === true) negate();
      else divide();
    } else {
      right();
      code.byte(wide ? Op.i64_eqz : Op.i32_eqz);
      code.open(Op.if, type);
      whenZero();
      code.byte(Op.else);
      if (trapsAtMinusOne) {
        right();
        constant(-1);
        code.byte(wide ? Op.i64_eq : Op.i32_eq);
        code.open(Op.if, type);
        negate();
        code.byte(Op.else);
        divide();
        code.byte(Op.end);
      } else divide();
      code.byte(Op.end);
    }
    if (!wide) code.byte(Op.i64_extend_i32_u);
  }

  // Calls.

  #call(slot: number): void {
    const { code, slots } = this;
    if (slots.code[slot] !== CALL) {
      // callx: the helper's number is in a register, which older compilers name in imm.
      const dst = slots.dst[slot]!;
      this.#push32(dst === 0 && slots.imm[slot] !== 0 ? slots.imm[slot]! & 0xf : dst);
      return this.#helper(slot, 5, Import.callx);
    }
    if (slots.src[slot] === BPF_PSEUDO_CALL) return this.#local(slot, slot + 1 + slots.imm[slot]!, [1, 2, 3, 4, 5]);
    const id = slots.imm[slot]!;
    if (slots.src[slot] !== 0) {
      code.i32(id);
      return this.#helper(slot, 5);
    }
    if (id === Helper.tail_call) return this.#tailCall(slot);
    if (id === Helper.loop && this.#loop(slot)) return;
    if (id === Helper.map_lookup_elem && this.#lookup(slot)) return;
    code.i32(id);
    this.#helper(slot, helperArguments(id));
  }

  /** The general way: its number is on the stack. */
  #helper(slot: number, count: number, by: number = Import.helper): void {
    const { code } = this;
    // What a callback faults with overwrites it.
    if (this.checked) this.#faultSlot(slot);
    for (let register = 1; register <= 5; register++) {
      if (register <= count) this.push(register);
      else code.i64s(0);
    }
    const back = this.slots.code[slot] !== CALL || this.slots.src[slot] !== 0 || callsBack(this.slots.imm[slot]!);
    if (back) {
      this.#setFrame();
      this.saveFuel();
    }
    code.call(by);
    this.#set(0);
    if (this.checked) {
      this.#ifFault();
      if (back) this.#takeFuel();
    } else if (this.module.throws) this.#ifFault();
  }

  /** Tells the run where this frame is: for what it calls back, and for what a tail call goes to. */
  #setFrame(): void {
    const { code } = this;
    code.get(this.#run);
    code.get(this.#frame);
    code.i32(FRAME);
    code.byte(Op.i32_add);
    code.memory(Op.i32_store, abi.BPF_RUN_FP);
  }

  #tailCall(slot: number): void {
    const { code } = this;
    this.#setFrame();
    this.saveFuel();
    if (this.checked) this.#faultSlot(slot);
    for (let register = 1; register <= 3; register++) this.push(register);
    code.call(Import.tailCall);
    code.open(Op.if);
    code.get(this.#run);
    code.memory(Op.i64_load, abi.BPF_RUN_R0);
    code.byte(Op.return);
    code.byte(Op.end);
    // It was not taken: on with the next instruction, r0 as it was.
    if (this.checked) {
      this.#ifFault();
      this.#takeFuel();
    }
  }

  /** Calls the function at `target` with these registers, each pushed as an argument if the function reads it. */
  #local(slot: number, target: number, registers: readonly number[]): void {
    this.#pushFrame(slot);
    const { parameters } = this.module.functionAt.get(target)!;
    for (let at = 0; at < parameters; at++) this.push(registers[at]!);
    this.#finishLocal(target);
    this.#set(0);
  }

  /** Pushes the callee's frame and the run. */
  #pushFrame(slot: number): void {
    const { code } = this;
    if (this.checked) {
      code.get(this.#frame);
      code.i32(2 * FRAME);
      code.byte(Op.i32_add);
      code.tee(this.#word);
      code.get(this.#run);
      code.memory(Op.i32_load, abi.BPF_RUN_STACK_END);
      code.byte(Op.i32_gt_u);
      code.open(Op.if);
      this.#setFault(abi.BPF_FAULT_DEPTH);
      this.#returnFault(slot);
      code.byte(Op.end);
      // What the program owns of the stack ends with the frame that runs.
      code.get(this.#run);
      code.get(this.#word);
      code.memory(Op.i32_store, abi.BPF_RUN_FP);
      this.saveFuel();
    }
    code.get(this.#frame);
    code.i32(FRAME);
    code.byte(Op.i32_add);
    code.get(this.#run);
  }

  #finishLocal(target: number): void {
    const { code } = this;
    code.call(this.module.functionAt.get(target)!.index);
    if (this.checked) {
      this.#setFrame();
      this.#ifFault();
      this.#takeFuel();
    } else if (this.module.throws) this.#ifFault();
  }

  /** bpf_loop with a callback that is known: a loop of local calls. */
  #loop(slot: number): boolean {
    const { code, values } = this;
    if (values.kind[2] !== Kind.func) return false;
    const target = this.module.reference(values.low[2]!)!;
    const { parameters } = this.module.functionAt.get(target)!;
    // a counts; b holds what the callback returned, first the error.
    this.#push32(1);
    code.i32(MAX_LOOPS);
    code.byte(Op.i32_gt_u);
    code.open(Op.if, I64);
    code.i64s(-E2BIG);
    code.byte(Op.else);
    this.push(4);
    code.byte(Op.i64_eqz);
    code.byte(Op.i32_eqz);
    code.open(Op.if, I64);
    code.i64s(-EINVAL);
    code.byte(Op.else);
    code.i64s(0);
    code.set(this.#a);
    code.open(Op.block);
    code.open(Op.loop);
    code.get(this.#a);
    this.#push32(1);
    code.byte(Op.i64_extend_i32_u);
    code.byte(Op.i64_ge_u);
    code.br(Op.br_if, 1);
    this.#pushFrame(slot);
    for (let at = 1; at <= parameters; at++) {
      if (at === 1) code.get(this.#a);
      else if (at === 2) this.push(3);
      else code.i64s(0);
    }
    this.#finishLocal(target);
    code.get(this.#a);
    code.i64s(1);
    code.byte(Op.i64_add);
    code.set(this.#a);
    code.byte(Op.i64_eqz);
    code.br(Op.br_if, 0);
    code.byte(Op.end);
    code.byte(Op.end);
    code.get(this.#a);
    code.byte(Op.end);
    code.byte(Op.end);
    this.#set(0);
    return true;
  }

  /** bpf_map_lookup_elem without the switch over helpers; an array's element is found in place. */
  #lookup(slot: number): boolean {
    const { code, values } = this;
    if (this.checked || values.kind[1] !== Kind.map) return false;
    const map = this.module.mapAt(values.low[1]!);
    if (map === undefined) return false;
    if (map.array === undefined) {
      this.#push32(1);
      this.#push32(2);
      code.call(Import.mapLookup);
      code.byte(Op.i64_extend_i32_u);
      this.#set(0);
      return true;
    }
    const { data, stride, entries } = map.array;
    const local = this.#slot(2, 0, 4);
    if (local !== undefined) this.#pushSlot(local, 4);
    else code.memory(Op.i64_load32_u, this.#address(slot, 2, 0, 4, false));
    code.byte(Op.i32_wrap_i64);
    code.tee(this.#word);
    code.i32(entries);
    code.byte(Op.i32_lt_u);
    code.open(Op.if, I32);
    code.get(this.#word);
    if ((stride & (stride - 1)) === 0) {
      code.i32(31 - Math.clz32(stride));
      code.byte(Op.i32_shl);
    } else {
      code.i32(stride);
      code.byte(Op.i32_mul);
    }
    code.i32(data);
    code.byte(Op.i32_add);
    code.byte(Op.else);
    code.i32(0);
    code.byte(Op.end);
    code.byte(Op.i64_extend_i32_u);
    this.#set(0);
    return true;
  }
}

/** Whether a width is at most so many bytes. */
const narrow = (kind: number, bytes: number): boolean =>
  bytes === 8 || kind === Kind.bits8 || (kind === Kind.bits16 && bytes >= 2) || (kind === Kind.bits32 && bytes >= 4);

function fail(slot: number): never {
  throw new JitError(`slot ${slot}: reserved fields are used`);
}
