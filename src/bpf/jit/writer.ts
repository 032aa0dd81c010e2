// What the parts of a function's compiler share: its code, its locals, the values that are known where it is, fuel and faults.
//
// Parameters of a function: the frame's first byte (r10 - 512), the run, then r1 and on, as many as it reads.
import * as abi from "../../../assembly/abi/bpf.ts";
import { BPF_X, bpfSrc } from "../insn.ts";
import type { Shape } from "./dominators.ts";
import { FRAME, type FramePlan } from "./frame.ts";
import { CALL, type Slots } from "./program.ts";
import { Kind, Values, knownNumber, type BlockValues, type ValueOptions } from "./values.ts";
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
  /** Slot of the function that the `lddw` at a slot refers to. */
  readonly reference: (slot: number) => number | undefined;
  /** A callee may end the whole program (bpf_throw), which shows as a fault. */
  readonly throws: boolean;
  /** Number of the Wasm function that begins at a slot, and how many of r1 to r5 it takes. */
  readonly functionAt: ReadonlyMap<number, { readonly index: number; readonly parameters: number }>;
}

export interface FunctionInput {
  readonly shape: Shape;
  readonly blocks: BlockValues;
  readonly values: ValueOptions;
  readonly plan: FramePlan;
  readonly dead: Uint8Array;
  readonly parameters: number;
  /** The function is the exported `main(ctx, run)`, which nothing in the program calls. */
  readonly exported: boolean;
}

/** Up to so many bytes of the frame are cleared by stores of 8. */
const CLEAR_BY_STORES = 64;

/** Locals, values and faults: what instructions are written with. */
export class FunctionWriter {
  protected readonly module: Module;
  protected readonly input: FunctionInput;
  protected readonly slots: Slots;
  protected readonly checked: boolean;
  protected readonly code = new Code(4096);
  protected readonly values = new Values();
  /** Locals of r0 to r9. */
  protected readonly register: number[] = [];
  protected readonly frame: number;
  protected readonly run = 1;
  protected readonly word: number;
  protected readonly label: number;
  protected readonly scratchA: number;
  protected readonly scratchB: number;
  protected readonly fuel: number;
  protected readonly loops: number;
  protected readonly firstSlot: number;
  /** The first local of 64 bits that is no parameter. */
  readonly #longs: number;
  /** A slot whose work was done with the one before. */
  protected skip = -1;

  constructor(module: Module, input: FunctionInput) {
    this.module = module;
    this.input = input;
    this.slots = module.slots;
    this.checked = module.checked;
    const passed = input.exported ? 0 : input.parameters;
    this.word = 2 + passed;
    this.label = this.word + 1;
    this.frame = input.exported ? this.word + 2 : 0;
    let next = 2 + passed + (input.exported ? 3 : 2);
    this.#longs = next;
    for (let register = 0; register < 10; register++) {
      this.register.push(register >= 1 && register <= passed ? 1 + register : next++);
    }
    this.scratchA = next++;
    this.scratchB = next++;
    this.fuel = next++;
    this.loops = next++;
    this.firstSlot = next;
  }

  /** The finished function. */
  protected finish(): FunctionBody {
    const { parameters, plan, exported } = this.input;
    const params = [I32, I32];
    if (!exported) for (let register = 1; register <= parameters; register++) params.push(I64);
    return {
      type: { params, results: [I64] },
      i32s: exported ? 3 : 2,
      i64s: this.firstSlot + plan.from.length - this.#longs,
      code: this.code,
      ...(exported ? { name: "main" } : {}),
    };
  }

  protected prologue(): void {
    if (this.input.exported) this.#takeArguments();
    if (this.checked) this.#clearFrame();
  }

  /** Of `main(ctx, run)`: the frame is where the run says. */
  #takeArguments(): void {
    const { code } = this;
    code.get(this.run);
    code.memory(Op.i32_load, abi.BPF_RUN_FP);
    code.i32(FRAME);
    code.byte(Op.i32_sub);
    code.set(this.frame);
    if (this.input.parameters >= 1) {
      code.get(0);
      code.byte(Op.i64_extend_i32_u);
      code.set(this.register[1]!);
    }
    if (this.input.parameters >= 2) {
      code.get(this.run);
      code.memory(Op.i64_load, abi.BPF_RUN_R2);
      code.set(this.register[2]!);
    }
  }

  /** In an unverified program a frame begins as zeros; what of it is in locals does so by itself. */
  #clearFrame(): void {
    const { code } = this;
    this.takeFuel();
    const { memory, usesMemory } = this.input.plan;
    if (!usesMemory) return;
    const first = memory.indexOf(1) & ~7;
    const words: number[] = [];
    for (let at = first; at < FRAME; at += 8) if (memory.subarray(at, at + 8).includes(1)) words.push(at);
    if (words.length * 8 <= CLEAR_BY_STORES) {
      for (const at of words) {
        code.get(this.frame);
        code.i64s(0);
        code.memory(Op.i64_store, at);
      }
      return;
    }
    code.get(this.frame);
    code.i32(first);
    code.byte(Op.i32_add);
    code.i32(0);
    code.i32(FRAME - first);
    code.fill();
  }

  // Fuel, faults.

  protected takeFuel(): void {
    this.code.get(this.run);
    this.code.memory(Op.i64_load, abi.BPF_RUN_FUEL);
    this.code.set(this.fuel);
  }

  protected saveFuel(): void {
    if (!this.checked) return;
    this.code.get(this.run);
    this.code.get(this.fuel);
    this.code.memory(Op.i64_store, abi.BPF_RUN_FUEL);
  }

  /** The instructions from `slot` up to the block's end or past the next call are paid for, all or none. */
  protected charge(slot: number, stop: number): void {
    const { code, slots } = this;
    let count = 0;
    for (let at = slot; at < stop; at++) {
      if (slots.second[at] === 1) continue;
      count++;
      if ((slots.code[at]! & 0xf7) === CALL) break;
    }
    code.get(this.fuel);
    code.i64s(count);
    code.byte(Op.i64_lt_u);
    code.open(Op.if);
    this.setFault(abi.BPF_FAULT_FUEL);
    this.returnFault(slot);
    code.byte(Op.end);
    code.get(this.fuel);
    code.i64s(count);
    code.byte(Op.i64_sub);
    code.set(this.fuel);
  }

  protected setFault(fault: number): void {
    this.code.get(this.run);
    this.code.i32(fault);
    this.code.memory(Op.i32_store, abi.BPF_RUN_FAULT);
  }

  /** Ends the function; who called it sees the fault. */
  protected returnFault(slot: number): void {
    this.faultSlot(slot);
    this.returnFaulted();
  }

  protected faultSlot(slot: number): void {
    const { code } = this;
    code.get(this.run);
    code.i32(slot);
    code.memory(Op.i32_store, abi.BPF_RUN_FAULT_SLOT);
  }

  protected returnFaulted(): void {
    this.saveFuel();
    this.code.i64s(0);
    this.code.byte(Op.return);
  }

  /** Ends the function when what was called left a fault, which says where. `saved`: the run has the fuel that is left, not the local. */
  protected ifFault(saved: boolean): void {
    const { code } = this;
    code.get(this.run);
    code.memory(Op.i32_load, abi.BPF_RUN_FAULT);
    code.open(Op.if);
    if (!saved) this.saveFuel();
    code.i64s(0);
    code.byte(Op.return);
    code.byte(Op.end);
  }

  // Values.

  /** Pushes a register as i64. */
  protected push(register: number): void {
    const { code, values } = this;
    const known = knownNumber(this.slots, values, register);
    if (known !== undefined) code.i64(known.low, known.high);
    else if (values.kind[register] === Kind.frame) {
      code.get(this.frame);
      code.byte(Op.i64_extend_i32_u);
      code.i64s(values.low[register]! + FRAME);
      code.byte(Op.i64_add);
    } else code.get(this.register[register]!);
  }

  /** Pushes the lower half of a register. */
  protected push32(register: number): void {
    const { code, values } = this;
    const known = knownNumber(this.slots, values, register);
    if (known !== undefined) code.i32(known.low);
    else if (values.kind[register] === Kind.frame) {
      code.get(this.frame);
      code.i32(values.low[register]! + FRAME);
      code.byte(Op.i32_add);
    } else {
      code.get(this.register[register]!);
      code.byte(Op.i32_wrap_i64);
    }
  }

  protected set(register: number): void {
    this.code.set(this.register[register]!);
  }

  /** The second operand of arithmetic and jumps. */
  protected operand(slot: number): void {
    if (bpfSrc(this.slots.code[slot]!) === BPF_X) this.push(this.slots.src[slot]!);
    else this.code.i64s(this.slots.imm[slot]!);
  }

  protected operand32(slot: number): void {
    if (bpfSrc(this.slots.code[slot]!) === BPF_X) this.push32(this.slots.src[slot]!);
    else this.code.i32(this.slots.imm[slot]!);
  }
}
