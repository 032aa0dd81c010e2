/** A case of programs.ts through our kernel's BPF_PROG_TEST_RUN. */
import * as abi from "../../../assembly/abi/bpf.ts";
import { ProgType } from "../../../src/bpf/uapi.ts";
import { createBpfPrograms, type BpfPrograms } from "../../../src/kernel/bpf.ts";
import type { NodeContext } from "../../../src/kernel/context.ts";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import type { PacketCase } from "./programs.ts";

export interface PacketAnswer {
  /** Errno's name of a refused run, else "". */
  readonly errno: string;
  readonly retval: number;
  readonly data_out: string;
  readonly ctx_out: string;
}

/** A node and its programs. */
export function newMachine(module: WebAssembly.Module): { readonly context: NodeContext; readonly programs: BpfPrograms } {
  const instance = new KernelInstance(module, newKernelMemory(true));
  const { context } = createNodeKernel(instance, { name: "node", seed: 1, clock: manualClock().clock });
  return { context, programs: createBpfPrograms(context) };
}

const TYPES = {
  sched_cls: ProgType.SCHED_CLS, xdp: ProgType.XDP, cgroup_skb: ProgType.CGROUP_SKB, lwt_xmit: ProgType.LWT_XMIT, socket_filter: ProgType.SOCKET_FILTER,
} as const;
const ERRNO: Readonly<Record<number, string>> = { 22: "EINVAL", 19: "ENODEV", 7: "E2BIG", 12: "ENOMEM", 95: "EOPNOTSUPP", 524: "ENOTSUPP" };
const bytes = (hex = ""): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

/** `verified`: as the kernel's verifier accepted them; without, every access is checked, too. */
export function runPacketCase(context: NodeContext, programs: BpfPrograms, { type, program, data_in, ctx_in }: PacketCase, verified: boolean): PacketAnswer {
  const loaded = programs.load({ type: TYPES[type], program: bytes(program), verified, gpl: true });
  const { instance } = context;
  const data = bytes(data_in), ctx = bytes(ctx_in);
  const { view, u8 } = instance;
  u8.fill(0, 0, abi.BPF_TEST_BYTES);
  view.setUint32(abi.BPF_TEST_PROGRAM, loaded.handle, true);
  view.setUint32(abi.BPF_TEST_REPEAT, 1, true);
  view.setUint32(abi.BPF_TEST_CTX_LENGTH, ctx.length, true);
  view.setUint32(abi.BPF_TEST_DATA_LENGTH, data.length, true);
  u8.set(ctx, abi.BPF_TEST_BYTES);
  u8.set(data, abi.BPF_TEST_BYTES + ctx.length);
  const result = context.command(abi.BPF_PROG_TEST_RUN, abi.BPF_TEST_BYTES + ctx.length + data.length, "test run", true);
  let answer: PacketAnswer = { errno: ERRNO[-result] ?? `${-result}`, retval: 0, data_out: "", ctx_out: "" };
  if (result >= 0) {
    const ctxLength = instance.view.getUint32(abi.BPF_OUTCOME_CTX_LENGTH, true);
    const fault = instance.view.getUint32(abi.BPF_OUTCOME_FAULT, true);
    answer = {
      errno: fault === 0 ? "" : `fault ${fault} at ${instance.view.getUint32(abi.BPF_OUTCOME_SLOT, true)}`,
      retval: instance.view.getUint32(abi.BPF_OUTCOME_R0, true),
      data_out: Buffer.from(instance.copy(abi.BPF_OUTCOME_BYTES + ctxLength, instance.view.getUint32(abi.BPF_OUTCOME_DATA_LENGTH, true))).toString("hex"),
      ctx_out: Buffer.from(instance.copy(abi.BPF_OUTCOME_BYTES, ctxLength)).toString("hex"),
    };
  }
  loaded.free();
  return answer;
}
