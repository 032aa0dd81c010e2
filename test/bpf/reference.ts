// A third engine, to compare the others with: RFC 9669 word for word over BigInt, one instruction after the other. Plain and slow;
// it knows no maps and no helpers but those that are given to it.
import { BPF_PSEUDO_FUNC, decodeInsns, type Insn } from "../../src/bpf/insn.ts";

export interface Machine {
  /** The memory that addresses are of. */
  readonly memory: DataView;
  readonly r1: bigint;
  readonly r2: bigint;
  /** r10 of the program's frame; callees' are 512 above. */
  readonly fp: number;
  /** Instructions that may run. */
  readonly fuel?: number;
  /** Frames, the program's own among them: 8. */
  readonly frames?: number;
  /** Whether the program may touch these bytes; all when left out. `fp`: r10 of the frame that runs. */
  readonly owns?: (address: bigint, bytes: number, write: boolean, fp: number) => boolean;
  readonly helper?: (id: number, args: readonly bigint[], machine: { call(slot: number, ...args: bigint[]): bigint }) => bigint;
  /** Frames are zeros at their start. */
  readonly clear?: boolean;
}

export interface Outcome {
  readonly r0: bigint;
  readonly fault?: "access" | "fuel" | "depth";
  readonly slot?: number;
  /** What is left. */
  readonly fuel: number;
}

class Fault extends Error {
  readonly kind: "access" | "fuel" | "depth";
  readonly slot: number;
  constructor(kind: "access" | "fuel" | "depth", slot: number) {
    super(kind);
    this.kind = kind;
    this.slot = slot;
  }
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const s64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** Slots where a block begins: what is paid for together. */
function leaders(insns: readonly Insn[]): Uint8Array {
  const leader = new Uint8Array(insns.length + 1);
  leader[0] = 1;
  for (let slot = 0; slot < insns.length; slot++) {
    const { code, src, off, imm } = insns[slot]!;
    if (code === 0x18) {
      if (src === BPF_PSEUDO_FUNC) leader[imm] = 1;
      slot++;
      continue;
    }
    const kind = code & 7;
    if (kind !== 5 && kind !== 6) continue;
    leader[slot + 1] = 1;
    if (code === 0x85 && src === 1) leader[slot + 1 + imm] = 1;
    if ((code & 0xf0) !== 0x80 && (code & 0xf0) !== 0x90) leader[slot + 1 + (code === 0x06 ? imm : off)] = 1;
  }
  return leader;
}

/** Runs a program from its first slot to its exit, or to its fault. */
export function interpret(program: Uint8Array, machine: Machine): Outcome {
  const insns = decodeInsns(program);
  const leader = leaders(insns);
  const { memory } = machine;
  let fuel = machine.fuel ?? Infinity;
  const frames = machine.frames ?? 8;

  const run = (entry: number, fp: number, depth: number, args: readonly bigint[]): bigint => {
    const r = new Array<bigint>(11).fill(0n);
    for (let at = 0; at < 5; at++) r[at + 1] = args[at] ?? 0n;
    r[10] = BigInt(fp);
    let loops = 0;
    if (machine.clear ?? true) new Uint8Array(memory.buffer, memory.byteOffset + fp - 512, 512).fill(0);

    const address = (slot: number, register: number, off: number, bytes: number, write: boolean): number => {
      const at = u64(r[register]! + BigInt(off));
      if (machine.owns !== undefined && !machine.owns(at, bytes, write, fp)) throw new Fault("access", slot);
      return Number(at);
    };
    const read = (at: number, bytes: number): bigint =>
      bytes === 1 ? BigInt(memory.getUint8(at))
        : bytes === 2 ? BigInt(memory.getUint16(at, true))
          : bytes === 4 ? BigInt(memory.getUint32(at, true))
            : memory.getBigUint64(at, true);
    const write = (at: number, bytes: number, value: bigint): void => {
      if (bytes === 1) memory.setUint8(at, Number(value & 0xffn));
      else if (bytes === 2) memory.setUint16(at, Number(value & 0xffffn), true);
      else if (bytes === 4) memory.setUint32(at, Number(value & 0xffffffffn), true);
      else memory.setBigUint64(at, value, true);
    };

    for (let slot = entry; ;) {
      if (leader[slot] === 1 && machine.fuel !== undefined) {
        const cost = blockLength(insns, leader, slot);
        if (fuel < cost) throw new Fault("fuel", slot);
        fuel -= cost;
      }
      const { code, dst, src, off, imm } = insns[slot]!;
      const here = slot++;
      const kind = code & 7;
      const bytes = [4, 2, 1, 8][(code >> 3) & 3]!;
      switch (kind) {
        case 0:
          if (code !== 0x18) throw new Error(`opcode ${code}`);
          r[dst] = src === BPF_PSEUDO_FUNC ? BigInt(imm) : u64((BigInt(insns[slot]!.imm) << 32n) | BigInt(imm >>> 0));
          slot++;
          break;
        case 1: {
          const value = read(address(here, src, off, bytes, false), bytes);
          r[dst] = (code & 0xe0) === 0x80 ? u64(BigInt.asIntN(bytes * 8, value)) : value;
          break;
        }
        case 2:
          write(address(here, dst, off, bytes, true), bytes, u64(BigInt(imm)));
          break;
        case 3: {
          if ((code & 0xe0) === 0x60) {
            write(address(here, dst, off, bytes, true), bytes, r[src]!);
            break;
          }
          if (imm === 0x100) {
            r[dst] = read(address(here, src, off, bytes, false), bytes);
            break;
          }
          const at = address(here, dst, off, bytes, true);
          if (imm === 0x110) {
            write(at, bytes, r[src]!);
            break;
          }
          const old = read(at, bytes);
          const given = r[src]!;
          if (imm === 0xf1) {
            if (old === BigInt.asUintN(bytes * 8, r[0]!)) write(at, bytes, given);
            r[0] = old;
            break;
          }
          if (imm === 0xe1) write(at, bytes, given);
          else {
            const op = imm & ~1;
            const value = op === 0 ? old + given : op === 0x40 ? old | given : op === 0x50 ? old & given : old ^ given;
            write(at, bytes, u64(value));
          }
          if ((imm & 1) === 1) r[src] = old;
          break;
        }
        case 4:
        case 7:
          r[dst] = arithmetic(code, off, imm, r[dst]!, r[src]!);
          break;
        default: {
          const op = code & 0xf0;
          if (op === 0x00) {
            slot += kind === 6 ? imm : off;
            break;
          }
          if (op === 0x90) return r[0]!;
          if (op === 0xe0) {
            if (++loops > 8388608) slot += off;
            break;
          }
          if (op === 0x80) {
            if (code === 0x85 && src === 1) {
              if (depth === frames) throw new Fault("depth", here);
              r[0] = run(slot + imm, fp + 512, depth + 1, r.slice(1, 6));
            } else {
              const id = code === 0x85 ? imm : Number(BigInt.asIntN(32, r[dst === 0 && imm !== 0 ? imm & 15 : dst]!));
              const call = (target: number, ...values: bigint[]): bigint => {
                if (depth === frames) throw new Fault("depth", here);
                return run(target, fp + 512, depth + 1, values);
              };
              r[0] = u64(machine.helper?.(id, r.slice(1, 6), { call }) ?? 0n);
            }
            break;
          }
          if (jumps(op, kind === 6 ? 32 : 64, r[dst]!, (code & 8) !== 0 ? r[src]! : u64(BigInt(imm)))) slot += off;
        }
      }
    }
  };
  try {
    return { r0: run(0, machine.fp, 1, [machine.r1, machine.r2]), fuel };
  } catch (error) {
    if (error instanceof Fault) return { r0: 0n, fault: error.kind, slot: error.slot, fuel };
    throw error;
  }
}

/** Instructions from a leader to the next: `lddw` is one. */
function blockLength(insns: readonly Insn[], leader: Uint8Array, slot: number): number {
  let count = 0;
  for (let at = slot; at < insns.length && (at === slot || leader[at] === 0); at++) {
    count++;
    if (insns[at]!.code === 0x18) at++;
  }
  return count;
}

function jumps(op: number, bits: number, left: bigint, right: bigint): boolean {
  const [a, b] = [BigInt.asUintN(bits, left), BigInt.asUintN(bits, right)];
  const [c, d] = [BigInt.asIntN(bits, left), BigInt.asIntN(bits, right)];
  switch (op) {
    case 0x10: return a === b;
    case 0x20: return a > b;
    case 0x30: return a >= b;
    case 0x40: return (a & b) !== 0n;
    case 0x50: return a !== b;
    case 0x60: return c > d;
    case 0x70: return c >= d;
    case 0xa0: return a < b;
    case 0xb0: return a <= b;
    case 0xc0: return c < d;
    case 0xd0: return c <= d;
    default: throw new Error(`jump ${op}`);
  }
}

function swapped(value: bigint, bytes: number): bigint {
  let result = 0n;
  for (let at = 0; at < bytes; at++) result = (result << 8n) | ((value >> BigInt(8 * at)) & 0xffn);
  return result;
}

/** What arithmetic leaves in dst. */
function arithmetic(code: number, off: number, imm: number, dst: bigint, src: bigint): bigint {
  const wide = (code & 7) === 7;
  const bits = wide ? 64 : 32;
  const op = code & 0xf0;
  if (op === 0xd0) {
    if (wide || (code & 8) !== 0) return swapped(dst, imm / 8);
    return BigInt.asUintN(imm, dst);
  }
  const right = (code & 8) !== 0 ? src : u64(BigInt(imm));
  const [a, b] = [BigInt.asUintN(bits, dst), BigInt.asUintN(bits, right)];
  const [c, d] = [BigInt.asIntN(bits, dst), BigInt.asIntN(bits, right)];
  const shift = b & BigInt(bits - 1);
  const result = ((): bigint => {
    switch (op) {
      case 0x00: return a + b;
      case 0x10: return a - b;
      case 0x20: return a * b;
      case 0x30: return b === 0n ? 0n : off === 1 ? c / d : a / b;
      case 0x40: return a | b;
      case 0x50: return a & b;
      case 0x60: return a << shift;
      case 0x70: return a >> shift;
      case 0x80: return -a;
      case 0x90: return b === 0n ? a : off === 1 ? c % d : a % b;
      case 0xa0: return a ^ b;
      case 0xb0: return off === 0 ? b : BigInt.asIntN(off, b);
      case 0xc0: return c >> shift;
      default: throw new Error(`arithmetic ${op}`);
    }
  })();
  return BigInt.asUintN(bits, s64(result));
}
