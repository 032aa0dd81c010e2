// Arithmetic, loads and stores, and the conditions of jumps as Wasm code. What is known of the values (values.ts) saves the code that would
// compute it again; what of the frame is in locals (frame.ts) is not loaded.
import * as abi from "../../../assembly/abi/bpf.ts";
import {
  BPF_ABS, BPF_ADD, BPF_ALU64, BPF_AND, BPF_ARSH, BPF_ATOMIC, BPF_CMPXCHG, BPF_DIV, BPF_DW, BPF_END, BPF_FETCH, BPF_IMM, BPF_IND,
  BPF_JCOND, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JLE, BPF_JLT, BPF_JMP32, BPF_JNE, BPF_JSET, BPF_JSGE, BPF_JSGT, BPF_JSLE, BPF_JSLT, BPF_LD,
  BPF_LDX, BPF_LOAD_ACQ, BPF_LSH, BPF_MEM, BPF_MEMSX, BPF_MOD, BPF_MOV, BPF_MUL, BPF_NEG, BPF_OR, BPF_RSH, BPF_ST, BPF_STORE_REL, BPF_STX,
  BPF_SUB, BPF_TO_BE, BPF_X, BPF_XCHG, BPF_XOR, bpfBytes, bpfClass, bpfMode, bpfOp, bpfSrc,
} from "../insn.ts";
import { FRAME } from "./frame.ts";
import { JitError } from "./program.ts";
import { Kind, foldedResult, knownNumber, width } from "./values.ts";
import { I32, I64, Op } from "./wasm.ts";
import { FunctionWriter, Import } from "./writer.ts";

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

export class InstructionWriter extends FunctionWriter {
  /** Pushes what a conditional jump at `slot` tests, as i32; `inverted`: its opposite. */
  protected condition(slot: number, inverted: boolean): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const what = bpfOp(op);
    const dst = slots.dst[slot]!;
    const narrow = bpfClass(op) === BPF_JMP32;
    if (what === BPF_JCOND) {
      // may_goto: taken when the loops of this call are used up.
      code.get(this.loops);
      code.i64s(1);
      code.byte(Op.i64_add);
      code.tee(this.loops);
      code.i64s(MAX_LOOPS);
      code.byte(inverted ? Op.i64_le_u : Op.i64_gt_u);
      return;
    }
    const zero = bpfSrc(op) !== BPF_X && slots.imm[slot] === 0;
    if (narrow) this.push32(dst);
    else this.push(dst);
    if (zero && (what === BPF_JEQ || what === BPF_JNE)) {
      code.byte(narrow ? Op.i32_eqz : Op.i64_eqz);
      if ((what === BPF_JNE) !== inverted) code.byte(Op.i32_eqz);
      return;
    }
    if (narrow) this.operand32(slot);
    else this.operand(slot);
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

  protected instruction(slot: number, stop: number): void {
    const code = this.slots.code[slot]!;
    switch (bpfClass(code)) {
      case BPF_LD: {
        if (code !== LDDW) return this.#packetLoad(slot);
        const reference = this.module.reference(slot);
        if (reference !== undefined) this.code.i64s(reference);
        else this.code.i64(this.slots.imm[slot]!, this.slots.imm[slot + 1]!);
        return this.set(this.slots.dst[slot]!);
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
      this.push32(slots.src[slot]!);
      code.byte(Op.i32_add);
    }
    code.i32(31 - Math.clz32(bpfBytes(op)));
    code.call(Import.packetLoad);
    code.tee(this.register[0]!);
    code.i64s(-1);
    code.byte(Op.i64_eq);
    code.open(Op.if);
    this.returnFaulted();
    code.byte(Op.end);
  }

  // Memory.

  /**
   * Pushes the address `register + off` and returns the offset that the access itself has to add. That offset is only used where the
   * register's 64 bits are known to be an address: elsewhere the sum may wrap, which Wasm's does not.
   */
  protected address(slot: number, register: number, off: number, bytes: number, write: boolean): number {
    const { code, values } = this;
    if (values.kind[register] === Kind.frame) {
      const at = values.low[register]! + off + FRAME;
      if (at >= 0 && at + bytes <= FRAME) {
        code.get(this.frame);
        return at;
      }
    }
    if (this.checked) {
      this.push(register);
      if (off !== 0) {
        code.i64s(off);
        code.byte(Op.i64_add);
      }
      code.set(this.scratchA);
      // Most are in the packet: from <= address <= to - bytes, as numbers with a sign.
      code.get(this.scratchA);
      this.#runAddress(abi.BPF_RUN_PACKET);
      code.byte(Op.i64_lt_s);
      code.get(this.scratchA);
      this.#runAddress(abi.BPF_RUN_PACKET_END);
      code.i64s(bytes);
      code.byte(Op.i64_sub);
      code.byte(Op.i64_gt_s);
      code.byte(Op.i32_or);
      code.open(Op.if);
      code.get(this.scratchA);
      code.i32(bytes);
      code.i32(write ? 1 : 0);
      code.call(Import.check);
      code.byte(Op.i32_eqz);
      code.open(Op.if);
      this.returnFault(slot);
      code.byte(Op.end);
      code.byte(Op.end);
      code.get(this.scratchA);
      code.byte(Op.i32_wrap_i64);
      return 0;
    }
    const known = knownNumber(this.slots, values, register);
    if (known !== undefined) {
      code.i32(known.low + off);
      return 0;
    }
    this.push32(register);
    if (off === 0) return 0;
    if (off > 0 && width(values, register) !== Kind.any) return off;
    code.i32(off);
    code.byte(Op.i32_add);
    return 0;
  }

  #runAddress(field: number): void {
    this.code.get(this.run);
    this.code.memory(Op.i64_load32_u, field);
  }

  /** The local that holds `bytes` bytes of the frame at register + off, and by how many bits they are shifted in it. */
  protected frameSlot(register: number, off: number, bytes: number): { local: number; shift: number; whole: boolean } | undefined {
    if (this.values.kind[register] !== Kind.frame) return undefined;
    const { slotOf, from, bytes: sizes } = this.input.plan;
    const at = this.values.low[register]! + off + FRAME;
    const slot = slotOf[at] ?? 0;
    if (slot === 0) return undefined;
    return { local: this.firstSlot + slot - 1, shift: (at - from[slot - 1]!) * 8, whole: sizes[slot - 1] === bytes };
  }

  /** Pushes bytes of a frame's local, zero-extended. */
  protected pushSlot(slot: { local: number; shift: number; whole: boolean }, bytes: number): void {
    const { code } = this;
    code.get(slot.local);
    if (slot.whole) return;
    if (slot.shift !== 0) {
      code.i64s(slot.shift);
      code.byte(Op.i64_shr_u);
    }
    if (slot.shift + bytes * 8 < 64) this.mask(bytes);
  }

  /** Keeps the lower bytes of the i64 on the stack. */
  protected mask(bytes: number): void {
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
    const local = this.frameSlot(src, off, bytes);
    if (local !== undefined) {
      this.pushSlot(local, bytes);
      if (signed) code.byte(SIGN_EXTEND[bytes]!);
      return this.set(dst);
    }
    const instruction = signed ? SIGNED_LOADS[bytes]! : LOADS[bytes]!;
    if (this.module.probes.has(slot)) return this.#probe(slot, instruction, bytes);
    code.memory(instruction, this.address(slot, src, off, bytes, false));
    this.set(dst);
  }

  /** A load through any number: outside of the memory it gives 0. */
  #probe(slot: number, instruction: number, bytes: number): void {
    const { code, slots } = this;
    this.push(slots.src[slot]!);
    code.i64s(slots.off[slot]!);
    code.byte(Op.i64_add);
    code.tee(this.scratchA);
    code.memorySize();
    code.byte(Op.i64_extend_i32_u);
    code.i64s(16);
    code.byte(Op.i64_shl);
    code.i64s(bytes);
    code.byte(Op.i64_sub);
    code.byte(Op.i64_le_u);
    code.open(Op.if, I64);
    code.get(this.scratchA);
    code.byte(Op.i32_wrap_i64);
    code.memory(instruction, 0);
    code.byte(Op.else);
    code.i64s(0);
    code.byte(Op.end);
    this.set(slots.dst[slot]!);
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
    const local = this.frameSlot(dst, off, bytes);
    if (local === undefined) {
      const offset = this.address(slot, dst, off, bytes, true);
      value();
      code.memory(STORES[bytes]!, offset);
      return;
    }
    value();
    if (bpfClass(op) === BPF_ST || !narrow(width(this.values, slots.src[slot]!), bytes)) this.mask(bytes);
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
      code.memory(LOADS[bytes]!, this.address(slot, src, off, bytes, false));
      return this.set(dst);
    }
    if (what === BPF_STORE_REL) {
      const offset = this.address(slot, dst, off, bytes, true);
      this.push(src);
      return code.memory(STORES[bytes]!, offset);
    }
    if (bytes < 4) throw unknown();
    const offset = this.address(slot, dst, off, bytes, true);
    code.tee(this.word);
    code.memory(LOADS[bytes]!, offset);
    code.set(this.scratchB);
    if (what === BPF_CMPXCHG) {
      this.push(0);
      this.mask(bytes);
      code.get(this.scratchB);
      code.byte(Op.i64_eq);
      code.open(Op.if);
      code.get(this.word);
      this.push(src);
      code.memory(STORES[bytes]!, offset);
      code.byte(Op.end);
      code.get(this.scratchB);
      return this.set(0);
    }
    code.get(this.word);
    if (what === BPF_XCHG) this.push(src);
    else {
      const instruction = ATOMICS[what & ~BPF_FETCH];
      if (instruction === undefined) throw unknown();
      code.get(this.scratchB);
      this.push(src);
      code.byte(instruction);
    }
    code.memory(STORES[bytes]!, offset);
    if ((what & BPF_FETCH) === 0) return;
    code.get(this.scratchB);
    this.set(src);
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
          this.push32(dst);
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
          this.set(dst);
          this.skip = next;
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
    this.set(dst);
  }

  /** Sets a register to the number that the instruction is known to give. */
  #constant(slot: number): boolean {
    const { code, slots } = this;
    const dst = slots.dst[slot]!;
    const result = foldedResult(slots, slot, this.values);
    if (result === undefined) return false;
    code.i64(result.low, result.high);
    this.set(dst);
    return true;
  }

  #plain(slot: number, wide: boolean): void {
    const { code, slots } = this;
    const op = slots.code[slot]!;
    const instruction = ARITHMETIC[bpfOp(op)];
    if (instruction === undefined) throw new JitError(`slot ${slot}: opcode 0x${op.toString(16)}`);
    if (wide) {
      this.push(slots.dst[slot]!);
      this.operand(slot);
      code.byte(instruction + WIDER);
    } else {
      this.push32(slots.dst[slot]!);
      this.operand32(slot);
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
      this.push32(src);
      code.byte(Op.i64_extend_i32_u);
      return;
    }
    if (wide) {
      this.push(src);
      code.byte(SIGN_EXTEND[off / 8] ?? fail(slot));
      return;
    }
    this.push32(src);
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
      if (!narrow(width(values, dst), bits / 8)) this.mask(bits / 8);
      return;
    }
    if (bits === 64) {
      // Bytes, then halves, then words change places.
      this.push(dst);
      code.set(this.scratchA);
      this.#exchange(0x00ff00ff, 8);
      this.#exchange(0x0000ffff, 16);
      code.get(this.scratchA);
      code.i64s(32);
      code.byte(Op.i64_rotl);
      return;
    }
    this.push32(dst);
    code.tee(this.word);
    if (bits === 16) {
      code.i32(8);
      code.byte(Op.i32_shl);
      code.i32(0xff00);
      code.byte(Op.i32_and);
      code.get(this.word);
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
      code.get(this.word);
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
    code.get(this.scratchA);
    code.i64(mask, mask);
    code.byte(Op.i64_and);
    code.i64s(bits);
    code.byte(Op.i64_shl);
    code.get(this.scratchA);
    code.i64s(bits);
    code.byte(Op.i64_shr_u);
    code.i64(mask, mask);
    code.byte(Op.i64_and);
    code.byte(Op.i64_or);
    code.set(this.scratchA);
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
    const left = (): void => (wide ? this.push(dst) : this.push32(dst));
    const right = (): void => (wide ? this.operand(slot) : this.operand32(slot));
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
}

/** Whether a width is at most so many bytes. */
const narrow = (kind: number, bytes: number): boolean =>
  bytes === 8 || kind === Kind.bits8 || (kind === Kind.bits16 && bytes >= 2) || (kind === Kind.bits32 && bytes >= 4);

function fail(slot: number): never {
  throw new JitError(`slot ${slot}: reserved fields are used`);
}
