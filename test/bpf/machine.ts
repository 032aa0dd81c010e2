/** One node with its eBPF programs, for tests of programs that want nothing else. */
import { kernelModule } from "../kernel/harness.ts";
import { createBpfPrograms, type BpfPrograms } from "../../src/kernel/bpf.ts";
import { createNodeKernel, type NodeKernelHandle } from "../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { manualClock } from "../../src/replay/clock.ts";

export interface BpfMachine {
  readonly instance: KernelInstance;
  readonly kernel: NodeKernelHandle;
  readonly programs: BpfPrograms;
}

export async function bpfMachine(build: "debug" | "release" = "debug"): Promise<BpfMachine> {
  const instance = new KernelInstance(await kernelModule(build), newKernelMemory(true));
  const kernel = createNodeKernel(instance, { name: "node", seed: 1, clock: manualClock().clock });
  return { instance, kernel, programs: createBpfPrograms(kernel.context) };
}
