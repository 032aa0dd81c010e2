// Calls as Wasm code: helpers by way of the kernel's exports, the program's own functions directly, loops and lookups in place. And the blocks of
// instructions in which they stand.
import * as abi from "../../../assembly/abi/bpf.ts";
import { BPF_CALL, BPF_JMP, BPF_JMP32, BPF_PSEUDO_CALL, bpfClass, bpfOp } from "../insn.ts";
import { Helper } from "../uapi.ts";
import { FRAME } from "./frame.ts";
import { callsBack, helperArguments } from "./helpers.ts";
import { CALL } from "./program.ts";
import { Kind, loadValues, step } from "./values.ts";
import { I32, I64, Op } from "./wasm.ts";
import { InstructionWriter } from "./instructions.ts";
import { Import } from "./writer.ts";

/** BPF_MAX_LOOPS of bpf_loop and may_goto, 1 << 23. */
const MAX_LOOPS = 8388608;
const E2BIG = 7;
const EINVAL = 22;

export class CallWriter extends InstructionWriter {
  /** All instructions of a block but the jump at its end. */
  protected body(block: number): void {
    const { graph } = this.input.shape;
    const { slots, values } = this;
    loadValues(values, this.input.blocks, block);
    const stop = graph.stop[block]!;
    let charged = this.checked;
    for (let slot = graph.start[block]!; slot < stop; slot++) {
      if (slots.second[slot] === 1) continue;
      if (charged) this.charge(slot, stop);
      charged = false;
      const code = slots.code[slot]!;
      const family = bpfClass(code);
      if (family === BPF_JMP || family === BPF_JMP32) {
        if (bpfOp(code) === BPF_CALL) {
          this.call(slot);
          charged = this.checked;
        }
      } else if (this.input.dead[slot] === 0 && slot !== this.skip) this.instruction(slot, stop);
      step(slots, slot, values, this.input.values);
    }
  }

  // Calls.

  protected call(slot: number): void {
    const { code, slots } = this;
    if (slots.code[slot] !== CALL) {
      // callx: the helper's number is in a register, which older compilers name in imm.
      const dst = slots.dst[slot]!;
      this.push32(dst === 0 && slots.imm[slot] !== 0 ? slots.imm[slot]! & 0xf : dst);
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
    if (this.checked) this.faultSlot(slot);
    for (let register = 1; register <= 5; register++) {
      if (register <= count) this.push(register);
      else code.i64s(0);
    }
    const back = this.slots.code[slot] !== CALL || this.slots.src[slot] !== 0 || callsBack(this.slots.imm[slot]!);
    if (back) {
      this.setFrame();
      this.saveFuel();
    }
    code.call(by);
    this.set(0);
    if (this.checked || this.module.throws) this.ifFault(back);
    if (this.checked && back) this.takeFuel();
  }

  /** Tells the run where this frame is: for what it calls back, and for what a tail call goes to. */
  protected setFrame(): void {
    const { code } = this;
    code.get(this.run);
    code.get(this.frame);
    code.i32(FRAME);
    code.byte(Op.i32_add);
    code.memory(Op.i32_store, abi.BPF_RUN_FP);
  }

  #tailCall(slot: number): void {
    const { code } = this;
    this.setFrame();
    this.saveFuel();
    if (this.checked) this.faultSlot(slot);
    for (let register = 1; register <= 3; register++) this.push(register);
    code.call(Import.tailCall);
    code.open(Op.if);
    code.get(this.run);
    code.memory(Op.i64_load, abi.BPF_RUN_R0);
    code.byte(Op.return);
    code.byte(Op.end);
    // It was not taken: on with the next instruction, r0 as it was.
    if (this.checked) {
      this.ifFault(true);
      this.takeFuel();
    }
  }

  /** Calls the function at `target` with these registers, each pushed as an argument if the function reads it. */
  #local(slot: number, target: number, registers: readonly number[]): void {
    this.#pushFrame(slot);
    const { parameters } = this.module.functionAt.get(target)!;
    for (let at = 0; at < parameters; at++) this.push(registers[at]!);
    this.#finishLocal(target);
    this.set(0);
  }

  /** Pushes the callee's frame and the run. */
  #pushFrame(slot: number): void {
    const { code } = this;
    if (this.checked) {
      code.get(this.frame);
      code.i32(2 * FRAME);
      code.byte(Op.i32_add);
      code.tee(this.word);
      code.get(this.run);
      code.memory(Op.i32_load, abi.BPF_RUN_STACK_END);
      code.byte(Op.i32_gt_u);
      code.open(Op.if);
      this.setFault(abi.BPF_FAULT_DEPTH);
      this.returnFault(slot);
      code.byte(Op.end);
      // What the program owns of the stack ends with the frame that runs.
      code.get(this.run);
      code.get(this.word);
      code.memory(Op.i32_store, abi.BPF_RUN_FP);
      this.saveFuel();
    }
    code.get(this.frame);
    code.i32(FRAME);
    code.byte(Op.i32_add);
    code.get(this.run);
  }

  #finishLocal(target: number): void {
    const { code } = this;
    code.call(this.module.functionAt.get(target)!.index);
    if (this.checked) {
      this.setFrame();
      this.ifFault(true);
      this.takeFuel();
    } else if (this.module.throws) this.ifFault(true);
  }

  /** bpf_loop with a callback that is known: a loop of local calls. */
  #loop(slot: number): boolean {
    const { code, values } = this;
    if (values.kind[2] !== Kind.func) return false;
    const target = this.module.reference(values.low[2]!)!;
    const { parameters } = this.module.functionAt.get(target)!;
    this.push(4);
    code.byte(Op.i64_eqz);
    code.byte(Op.i32_eqz);
    code.open(Op.if, I64);
    code.i64s(-EINVAL);
    code.byte(Op.else);
    this.push32(1);
    code.i32(MAX_LOOPS);
    code.byte(Op.i32_gt_u);
    code.open(Op.if, I64);
    code.i64s(-E2BIG);
    code.byte(Op.else);
    // scratchA counts.
    code.i64s(0);
    code.set(this.scratchA);
    code.open(Op.block);
    code.open(Op.loop);
    code.get(this.scratchA);
    this.push32(1);
    code.byte(Op.i64_extend_i32_u);
    code.byte(Op.i64_ge_u);
    code.br(Op.br_if, 1);
    this.#pushFrame(slot);
    for (let at = 1; at <= parameters; at++) {
      if (at === 1) code.get(this.scratchA);
      else if (at === 2) this.push(3);
      else code.i64s(0);
    }
    this.#finishLocal(target);
    code.get(this.scratchA);
    code.i64s(1);
    code.byte(Op.i64_add);
    code.set(this.scratchA);
    code.byte(Op.i64_eqz);
    code.br(Op.br_if, 0);
    code.byte(Op.end);
    code.byte(Op.end);
    code.get(this.scratchA);
    code.byte(Op.end);
    code.byte(Op.end);
    this.set(0);
    return true;
  }

  /** bpf_map_lookup_elem without the switch over helpers; an array's element is found in place. */
  #lookup(slot: number): boolean {
    const { code, values } = this;
    if (this.checked || values.kind[1] !== Kind.map) return false;
    const map = this.module.mapAt(values.low[1]!);
    if (map === undefined) return false;
    if (map.array === undefined) {
      this.push32(1);
      this.push32(2);
      code.call(Import.mapLookup);
      code.byte(Op.i64_extend_i32_u);
      this.set(0);
      return true;
    }
    const { data, stride, entries } = map.array;
    const local = this.frameSlot(2, 0, 4);
    if (local !== undefined) this.pushSlot(local, 4);
    else code.memory(Op.i64_load32_u, this.address(slot, 2, 0, 4, false));
    code.byte(Op.i32_wrap_i64);
    code.tee(this.word);
    code.i32(entries);
    code.byte(Op.i32_lt_u);
    code.open(Op.if, I32);
    code.get(this.word);
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
    this.set(0);
    return true;
  }
}
