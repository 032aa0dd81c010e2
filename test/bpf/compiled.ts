// Programs compiled to Wasm and run over a memory of the test's own, with stand-ins for what the kernel exports: the compiler alone.
import * as abi from "../../assembly/abi/bpf.ts";
import { compile, type CompileOptions } from "../../src/bpf/jit/index.ts";
import type { Machine, Outcome } from "./reference.ts";

/** Where things are in the memory: a run, eight frames, and what is beyond for packets and the like. */
export const RUN_AT = 1024;
export const STACK_AT = 8192;
export const DATA_AT = 16384;

export const newMemory = (): WebAssembly.Memory => new WebAssembly.Memory({ initial: 2, maximum: 65536 });

export type CompiledOptions = Omit<CompileOptions, "shared">;

const FAULTS: Readonly<Record<number, Outcome["fault"]>> = {
  [abi.BPF_FAULT_READ]: "access", [abi.BPF_FAULT_WRITE]: "access", [abi.BPF_FAULT_FUEL]: "fuel", [abi.BPF_FAULT_DEPTH]: "depth",
};

/** Compiles and runs a program as `interpret` does. */
export function runCompiled(program: Uint8Array, memory: WebAssembly.Memory, machine: Omit<Machine, "memory">, options: CompiledOptions = {}): Outcome {
  const { bytes } = compile(program, { ...options, shared: false });
  const view = new DataView(memory.buffer);
  const module = new WebAssembly.Module(bytes);
  const exports = new WebAssembly.Instance(module, {
    env: {
      memory,
      bpf_helper: (id: number, ...args: bigint[]): bigint => {
        const call = (slot: number, ...values: bigint[]): bigint => {
          const fp = view.getUint32(RUN_AT + abi.BPF_RUN_FP, true);
          if (fp + 512 > view.getUint32(RUN_AT + abi.BPF_RUN_STACK_END, true)) {
            view.setUint32(RUN_AT + abi.BPF_RUN_FAULT, abi.BPF_FAULT_DEPTH, true);
            return 0n;
          }
          view.setUint32(RUN_AT + abi.BPF_RUN_FP, fp + 512, true);
          const [r1 = 0n, r2 = 0n, r3 = 0n, r4 = 0n, r5 = 0n] = values;
          const result = exports[`slot${slot}`]!(r1, r2, r3, r4, r5, RUN_AT) as bigint;
          view.setUint32(RUN_AT + abi.BPF_RUN_FP, fp, true);
          return result;
        };
        return machine.helper?.(id, args.map((value) => BigInt.asUintN(64, value)), { call }) ?? 0n;
      },
      bpf_callx: () => 0n,
      bpf_packet_load: () => -1n,
      bpf_tail_call: () => 0,
      bpf_check: (address: bigint, size: number, write: number): number => {
        const owned = machine.owns?.(BigInt.asUintN(64, address), size, write === 1, view.getUint32(RUN_AT + abi.BPF_RUN_FP, true)) ?? true;
        if (!owned) view.setUint32(RUN_AT + abi.BPF_RUN_FAULT, write === 1 ? abi.BPF_FAULT_WRITE : abi.BPF_FAULT_READ, true);
        return owned ? 1 : 0;
      },
      bpf_map_lookup: () => 0,
    },
  }).exports as Record<string, (...args: (number | bigint)[]) => bigint>;
  view.setUint32(RUN_AT + abi.BPF_RUN_FP, machine.fp, true);
  view.setUint32(RUN_AT + abi.BPF_RUN_STACK_END, machine.fp + ((machine.frames ?? 8) - 1) * 512, true);
  view.setBigUint64(RUN_AT + abi.BPF_RUN_FUEL, BigInt(machine.fuel ?? 0), true);
  view.setUint32(RUN_AT + abi.BPF_RUN_FAULT, 0, true);
  view.setUint32(RUN_AT + abi.BPF_RUN_FAULT_SLOT, 0, true);
  view.setBigUint64(RUN_AT + abi.BPF_RUN_R2, machine.r2, true);
  const r0 = BigInt.asUintN(64, exports["main"]!(Number(machine.r1), RUN_AT));
  const left = machine.fuel === undefined ? Infinity : Number(view.getBigUint64(RUN_AT + abi.BPF_RUN_FUEL, true));
  const fault = FAULTS[view.getUint32(RUN_AT + abi.BPF_RUN_FAULT, true)];
  if (fault === undefined) return { r0, fuel: left };
  return { r0: 0n, fault, slot: view.getUint32(RUN_AT + abi.BPF_RUN_FAULT_SLOT, true), fuel: left };
}
