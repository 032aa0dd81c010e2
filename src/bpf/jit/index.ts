// From a program's slots to a Wasm module that runs it over the kernel's memory: `compile` gives the bytes, `install` (install.ts)
// puts them into a kernel's table. docs/decisions/bpf-jit.md says what was measured.
import { BPF_PSEUDO_CALL, BPF_PSEUDO_KFUNC_CALL } from "../insn.ts";
import { Kfunc } from "../uapi.ts";
import { shapeOf } from "./dominators.ts";
import { planFrame, type FramePlan } from "./frame.ts";
import { compileFunction } from "./function.ts";
import type { Module } from "./writer.ts";
import { effects, liveness, markDead } from "./liveness.ts";
import { CALL, functionEntries, functionGraphs, functionReference, readSlots, type Slots } from "./program.ts";
import { forwardValues, type ValueOptions } from "./values.ts";
import { Code, I32, I64, Op, moduleBytes, type FunctionBody, type FunctionImport } from "./wasm.ts";
import * as abi from "../../../assembly/abi/bpf.ts";

export { JitError } from "./program.ts";

/** What the compiler makes use of, of a map that a program names. */
export interface JitMap {
  readonly keySize: number;
  readonly valueSize: number;
  /** Array maps whose elements never move: element i < entries is at `data + i * stride`. */
  readonly array?: { readonly data: number; readonly stride: number; readonly entries: number };
}

export interface CompileOptions {
  /** Maps by the slot of the `lddw` that loads their address. */
  readonly maps?: ReadonlyMap<number, JitMap>;
  /** Every access is tested against what the program owns, and every block paid for out of the run's fuel. */
  readonly checked?: boolean;
  /** Slots of loads that give 0 when their address is outside of the memory. */
  readonly probes?: ReadonlySet<number>;
  /** Whether the kernel's memory is a shared one. */
  readonly shared: boolean;
}

export interface CompiledProgram {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Slots of the functions that something outside may call back; each is exported as `slot<n>`. `main` is the program. */
  readonly callbacks: readonly number[];
}

/** Imports, in the order of `Import`: exports of the full kernel. */
const IMPORTS: readonly FunctionImport[] = [
  { name: "bpf_helper", type: { params: [I32, I64, I64, I64, I64, I64], results: [I64] } },
  { name: "bpf_callx", type: { params: [I32, I64, I64, I64, I64, I64], results: [I64] } },
  { name: "bpf_tail_call", type: { params: [I64, I64, I64], results: [I32] } },
  { name: "bpf_check", type: { params: [I64, I32, I32], results: [I32] } },
  { name: "bpf_packet_load", type: { params: [I32, I32], results: [I64] } },
  { name: "bpf_map_lookup", type: { params: [I32, I32], results: [I32] } },
];

const FRAME = abi.BPF_STACK;

/** Compiles the slots of a program (`lddw` resolved, function references with the function's slot). Throws JitError. */
export function compile(bytes: Uint8Array, options: CompileOptions): CompiledProgram {
  const slots = readSlots(bytes);
  const checked = options.checked ?? false;
  const reference = (slot: number): number | undefined => functionReference(slots, slot);
  const entries = functionEntries(slots, reference);
  const shapes = functionGraphs(slots, entries).map(shapeOf);
  const maps = options.maps ?? new Map<number, JitMap>();

  // Functions read registers, and functions that call them pass those: from the last to the first, most are known in time.
  const read = new Map<number, number>();
  const work = effects(slots, !checked, (slot) => read.get(slot));
  const dead = new Uint8Array(slots.count);
  const lives = new Array<Uint16Array>(shapes.length);
  for (let at = shapes.length - 1; at >= 0; at--) {
    const { graph } = shapes[at]!;
    const live = liveness(slots, graph, work);
    markDead(slots, graph, work, live, !checked, dead);
    lives[at] = live.liveIn;
    read.set(graph.entry, live.liveIn[0]! & 0b111110);
  }

  const analysed = shapes.map((shape, at) => {
    const values: ValueOptions = { isMap: (slot) => maps.has(slot), clobber: !checked, main: at === 0 };
    const live = lives[at]!;
    const blocks = forwardValues(slots, shape.graph, live, values);
    const mapAt = (slot: number): { keySize: number; valueSize: number; inlined: boolean } | undefined => {
      const map = maps.get(slot);
      return map === undefined ? undefined : { ...map, inlined: map.array !== undefined && !checked };
    };
    const plan = planFrame(slots, shape.graph, blocks, live, { ...values, mapAt }, dead);
    return { shape, values, blocks, plan };
  });
  // An unverified function that holds a pointer to one frame may reach the others by it.
  const loose = checked && analysed.some(({ plan }) => plan.escapes);

  const callbacks = [...referenced(slots)];
  const reentered = callbacks.includes(0) || callsStart(slots);
  const functionAt = new Map(entries.map((entry, at) => [entry, { index: IMPORTS.length + at, parameters: highest(read.get(entry)!) }]));
  const module: Module = {
    slots, checked, reference, functionAt, mapAt: (slot) => maps.get(slot), probes: options.probes ?? new Set(), throws: throws(slots),
  };
  const functions: FunctionBody[] = analysed.map(({ shape, values, blocks, plan }) =>
    compileFunction(module, {
      shape, values, blocks, dead, plan: loose ? inMemory(plan) : plan, parameters: functionAt.get(shape.graph.entry)!.parameters,
      exported: shape.graph.entry === 0 && !reentered,
    }));
  if (reentered) functions.push(mainEntry(functionAt.get(0)!));
  for (const slot of callbacks) functions.push(callbackEntry(slot, functionAt.get(slot)!));
  return { bytes: moduleBytes(options.shared, IMPORTS, functions), callbacks };
}

/** The highest register of a mask of r1 to r5, which is how many arguments are passed. */
const highest = (mask: number): number => (mask === 0 ? 0 : 31 - Math.clz32(mask));

const inMemory = (plan: FramePlan): FramePlan => ({
  slotOf: new Uint16Array(FRAME), from: [], bytes: [], memory: new Uint8Array(FRAME).fill(1), usesMemory: true, escapes: plan.escapes,
});

/** Slots of functions whose address the program takes. */
function referenced(slots: Slots): Set<number> {
  const found = new Set<number>();
  for (let slot = 0; slot < slots.count; slot++) {
    const target = slots.second[slot] === 1 ? undefined : functionReference(slots, slot);
    if (target !== undefined) found.add(target);
  }
  return found;
}

/** Whether a program calls itself: its first slot. */
function callsStart(slots: Slots): boolean {
  for (let slot = 0; slot < slots.count; slot++) {
    if (slots.code[slot] === CALL && slots.src[slot] === BPF_PSEUDO_CALL && slot + 1 + slots.imm[slot]! === 0 && slots.second[slot] === 0) return true;
  }
  return false;
}

/** Whether a program calls bpf_throw. */
function throws(slots: Slots): boolean {
  for (let slot = 0; slot < slots.count; slot++) {
    if (slots.code[slot] === CALL && slots.src[slot] === BPF_PSEUDO_KFUNC_CALL && slots.imm[slot] === Kfunc.bpf_throw) return true;
  }
  return false;
}

/** `main(ctx, run)` of a program that calls itself. */
function mainEntry({ index, parameters }: { index: number; parameters: number }): FunctionBody {
  const code = new Code(64);
  pushFrame(code, 1);
  if (parameters >= 1) {
    code.get(0);
    code.byte(Op.i64_extend_i32_u);
  }
  if (parameters >= 2) {
    code.get(1);
    code.memory(Op.i64_load, abi.BPF_RUN_R2);
  }
  for (let register = 3; register <= parameters; register++) code.i64s(0);
  code.call(index);
  return { type: { params: [I32, I32], results: [I64] }, i32s: 0, i64s: 0, code, name: "main" };
}

/** `slot<n>(r1, r2, r3, r4, r5, run)`. */
function callbackEntry(slot: number, { index, parameters }: { index: number; parameters: number }): FunctionBody {
  const code = new Code(64);
  pushFrame(code, 5);
  for (let register = 0; register < parameters; register++) code.get(register);
  code.call(index);
  return { type: { params: [I64, I64, I64, I64, I64, I32], results: [I64] }, i32s: 0, i64s: 0, code, name: `slot${slot}` };
}

/** Pushes the first byte of the frame that the run is at, and the run, which is in local `run`. */
function pushFrame(code: Code, run: number): void {
  code.get(run);
  code.memory(Op.i32_load, abi.BPF_RUN_FP);
  code.i32(FRAME);
  code.byte(Op.i32_sub);
  code.get(run);
}
