/** A kernel of ours with one node, for random programs: each engine has its own, over the same module. */
import { BPF_TEST_BYTES, BPF_TEST_CTX_LENGTH, BPF_TEST_DATA_LENGTH, BPF_TEST_PROGRAM, BPF_TEST_REPEAT, BPF_OUTCOME_BYTES, BPF_OUTCOME_CTX_LENGTH, BPF_OUTCOME_DATA_LENGTH, BPF_OUTCOME_R0, BPF_PROG_TEST_RUN } from "../../../assembly/abi/bpf.ts";
import { jit, type JitState } from "../../../src/bpf/jit/install.ts";
import type { JitMap } from "../../../src/bpf/jit/index.ts";
import { type BpfProgram, createBpfPrograms, readFault } from "../../../src/kernel/bpf.ts";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { manualClock } from "../../../src/replay/clock.ts";

export const ENGINES = ["interpreter", "checked interpreter", "JIT", "checked JIT"] as const;
export type Engine = (typeof ENGINES)[number];

export interface Loaded {
  readonly program: BpfProgram;
  free(): void;
}

export interface Machine {
  readonly engine: Engine;
  readonly instance: KernelInstance;
  readonly context: ReturnType<typeof createNodeKernel>["context"];
  /** Slots with `lddw` resolved. */
  load(type: number, program: Uint8Array, options?: LoadOptions): Loaded;
  /** BPF_PROG_TEST_RUN. */
  testRun(program: BpfProgram, run: { data: Uint8Array; ctx?: Uint8Array; repeat?: number }): { retval: number; data: Uint8Array; ctx: Uint8Array };
}

export interface LoadOptions {
  readonly attachType?: number;
  readonly maps?: readonly number[];
  readonly areas?: readonly { readonly address: number; readonly bytes: number }[];
  readonly jitMaps?: ReadonlyMap<number, JitMap>;
}

export function createMachine(module: WebAssembly.Module, engine: Engine): Machine {
  const instance = new KernelInstance(module, newKernelMemory(true));
  const { context } = createNodeKernel(instance, { name: "node", seed: 1, clock: manualClock().clock });
  const programs = createBpfPrograms(context);
  const checked = engine.startsWith("checked");
  return {
    engine, instance, context,
    load(type, program, { attachType = 0, maps = [], areas = [], jitMaps = new Map() } = {}) {
      const loaded = programs.load({ type, attachType, program, verified: !checked, gpl: true, maps, areas });
      let compiled: JitState | undefined;
      if (engine.endsWith("JIT")) {
        compiled = jit(instance, loaded, program, { checked, maps: jitMaps });
        if (!compiled.jited) throw new Error(`not compiled: ${compiled.reason}`);
      }
      return {
        program: loaded,
        free() {
          if (compiled?.jited === true) compiled.remove();
          loaded.free();
        },
      };
    },
    testRun(program, { data, ctx = new Uint8Array(0), repeat = 1 }) {
      const { view, u8 } = instance;
      u8.fill(0, 0, BPF_TEST_BYTES);
      view.setUint32(BPF_TEST_PROGRAM, program.handle, true);
      view.setUint32(BPF_TEST_REPEAT, repeat, true);
      view.setUint32(BPF_TEST_CTX_LENGTH, ctx.length, true);
      view.setUint32(BPF_TEST_DATA_LENGTH, data.length, true);
      u8.set(ctx, BPF_TEST_BYTES);
      u8.set(data, BPF_TEST_BYTES + ctx.length);
      context.command(BPF_PROG_TEST_RUN, BPF_TEST_BYTES + ctx.length + data.length, "bpf");
      const fault = readFault(instance.view);
      if (fault !== undefined) throw new Error(fault.message);
      const ctxLength = instance.view.getUint32(BPF_OUTCOME_CTX_LENGTH, true);
      return {
        retval: Number(instance.view.getBigUint64(BPF_OUTCOME_R0, true) & 0xffffffffn),
        ctx: instance.copy(BPF_OUTCOME_BYTES, ctxLength),
        data: instance.copy(BPF_OUTCOME_BYTES + ctxLength, instance.view.getUint32(BPF_OUTCOME_DATA_LENGTH, true)),
      };
    },
  };
}
