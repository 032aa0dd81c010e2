/** What tests of hooks share: programs by hand, two namespaces with a cable. */
import * as b from "../../src/bpf/insn.ts";
import { AttachType, ProgType } from "../../src/bpf/uapi.ts";
import { createBpfPrograms, type BpfProgram, type BpfPrograms } from "../../src/kernel/bpf.ts";
import type { Netns } from "../../src/kernel/netns.ts";
import { createTestNode, type TestNode } from "../kernel/harness.ts";

/** Slots by hand: [code, dst, src, off, imm]. */
export type Slot = readonly [code: number, dst: number, src: number, off: number, imm: number];
export const assemble = (...slots: readonly Slot[]): Uint8Array =>
  b.encodeInsns(slots.map(([code, dst, src, off, imm]) => ({ code, dst, src, off, imm })));
export const mov = (dst: number, imm: number): Slot => [b.BPF_ALU64 | b.BPF_MOV | b.BPF_K, dst, 0, 0, imm];
export const movReg = (dst: number, src: number): Slot => [b.BPF_ALU64 | b.BPF_MOV | b.BPF_X, dst, src, 0, 0];
export const call = (helper: number): Slot => [b.BPF_JMP | b.BPF_CALL, 0, 0, 0, helper];
export const exit: Slot = [b.BPF_JMP | b.BPF_EXIT, 0, 0, 0, 0];
export const loadWord = (dst: number, src: number, off: number): Slot => [b.BPF_LDX | b.BPF_MEM | b.BPF_W, dst, src, off, 0];
export const storeWord = (dst: number, off: number, imm: number): Slot => [b.BPF_ST | b.BPF_MEM | b.BPF_W, dst, 0, off, imm];
export const returns = (code: number): Uint8Array => assemble(mov(0, code), exit);

export interface Pair { readonly node: TestNode; readonly a: Netns; readonly c: Netns; readonly programs: BpfPrograms; }

/** Two namespaces, 10.0.0.1 on `eth0` of one, 10.0.0.2 on `eth0` of the other. */
export async function pair(): Promise<Pair> {
  const node = await createTestNode();
  const a = node.kernel.addNetns("a");
  const c = node.kernel.addNetns("c");
  a.addLink({ kind: "veth", name: "eth0", mac: "02:00:00:00:00:01", peer: { name: "eth0", netns: c, mac: "02:00:00:00:00:02" } });
  a.setLink("eth0", { up: true });
  c.setLink("eth0", { up: true });
  a.addAddress("eth0", "10.0.0.1/24");
  c.addAddress("eth0", "10.0.0.2/24");
  a.setLink("lo", { up: true });
  c.setLink("lo", { up: true });
  return { node, a, c, programs: createBpfPrograms(node.kernel.context) };
}

/** Sends one datagram from one to the other; what arrives. */
export async function datagram({ node, a, c }: Pair, port = 9): Promise<string | undefined> {
  const receiver = c.sockets.udp({ local: { port } });
  const sender = a.sockets.udp();
  let got: string | undefined;
  void receiver.receive().then(({ data }) => (got = new TextDecoder().decode(data)), () => undefined);
  try {
    sender.send(new TextEncoder().encode("hello"), { address: "10.0.0.2", port });
    await node.advance(20);
  } finally {
    receiver.close();
    sender.close();
  }
  return got;
}

export const xdp = (programs: BpfPrograms, program: Uint8Array, name = "prog"): BpfProgram =>
  programs.load({ name, type: ProgType.XDP, attachType: AttachType.XDP, program });
export const cls = (programs: BpfPrograms, program: Uint8Array, name = "prog"): BpfProgram =>
  programs.load({ name, type: ProgType.SCHED_CLS, program });

/** Returns `hit` for UDP to port 9, else `miss`: what XDP and tc programs begin with. `data` and `end`: where the context has them. */
export const portFilter = (data: number, end: number, hit: number, miss: number): Uint8Array =>
  assemble(
    loadWord(2, 1, data),
    loadWord(3, 1, end),
    mov(0, miss),
    movReg(4, 2),
    [b.BPF_ALU64 | b.BPF_ADD | b.BPF_K, 4, 0, 0, 42],
    [b.BPF_JMP | b.BPF_JGT | b.BPF_X, 4, 3, 6, 0],
    [b.BPF_LDX | b.BPF_MEM | b.BPF_H, 5, 2, 12, 0],
    [b.BPF_JMP | b.BPF_JNE | b.BPF_K, 5, 0, 4, 0x0008],
    [b.BPF_LDX | b.BPF_MEM | b.BPF_H, 5, 2, 36, 0],
    [b.BPF_JMP | b.BPF_JNE | b.BPF_K, 5, 0, 2, 0x0900],
    mov(0, hit),
    [b.BPF_JMP | b.BPF_JA, 0, 0, 0, 0],
    exit,
  );

