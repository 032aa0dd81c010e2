/** What `npm run recordings` needs of eBPF. */
export { caseDifference, verdictDifference } from "../../src/bpf/recordings.ts";
export { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
