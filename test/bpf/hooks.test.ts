/** Programs at the hooks of devices: XDP and tcx, what they do to packets on the way through a node, and how they are attached. */
import { describe, expect, it } from "vitest";
import * as b from "../../src/bpf/insn.ts";
import { AttachType, Helper, ProgType } from "../../src/bpf/uapi.ts";
import { bpfOf, bpfStats } from "../../src/kernel/bpf-attach.ts";
import { createBpfPrograms, type BpfProgram, type BpfPrograms } from "../../src/kernel/bpf.ts";
import type { Netns } from "../../src/kernel/netns.ts";
import { createTestNode, type TestNode } from "../kernel/harness.ts";

/** Slots by hand: [code, dst, src, off, imm]. */
type Slot = readonly [code: number, dst: number, src: number, off: number, imm: number];
const assemble = (...slots: readonly Slot[]): Uint8Array =>
  b.encodeInsns(slots.map(([code, dst, src, off, imm]) => ({ code, dst, src, off, imm })));
const mov = (dst: number, imm: number): Slot => [b.BPF_ALU64 | b.BPF_MOV | b.BPF_K, dst, 0, 0, imm];
const movReg = (dst: number, src: number): Slot => [b.BPF_ALU64 | b.BPF_MOV | b.BPF_X, dst, src, 0, 0];
const call = (helper: number): Slot => [b.BPF_JMP | b.BPF_CALL, 0, 0, 0, helper];
const exit: Slot = [b.BPF_JMP | b.BPF_EXIT, 0, 0, 0, 0];
const loadWord = (dst: number, src: number, off: number): Slot => [b.BPF_LDX | b.BPF_MEM | b.BPF_W, dst, src, off, 0];
const storeWord = (dst: number, off: number, imm: number): Slot => [b.BPF_ST | b.BPF_MEM | b.BPF_W, dst, 0, off, imm];
const returns = (code: number): Uint8Array => assemble(mov(0, code), exit);

const XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3;
const TC_ACT_OK = 0, TC_ACT_SHOT = 2;

interface Pair { readonly node: TestNode; readonly a: Netns; readonly c: Netns; readonly programs: BpfPrograms; }

/** Two namespaces, 10.0.0.1 on `eth0` of one, 10.0.0.2 on `eth0` of the other. */
async function pair(): Promise<Pair> {
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
async function datagram({ node, a, c }: Pair, port = 9): Promise<string | undefined> {
  const receiver = c.sockets.udp({ local: { port } });
  const sender = a.sockets.udp();
  let got: string | undefined;
  void receiver.receive().then(({ data }) => (got = new TextDecoder().decode(data)), () => undefined);
  sender.send(new TextEncoder().encode("hello"), { address: "10.0.0.2", port });
  await node.advance(20);
  receiver.close();
  sender.close();
  return got;
}

const xdp = (programs: BpfPrograms, program: Uint8Array, name = "prog"): BpfProgram =>
  programs.load({ name, type: ProgType.XDP, attachType: AttachType.XDP, program });
const cls = (programs: BpfPrograms, program: Uint8Array, name = "prog"): BpfProgram =>
  programs.load({ name, type: ProgType.SCHED_CLS, program });

/** Returns `hit` for UDP to port 9, else `miss`: what XDP and tc programs begin with. `data` and `end`: where the context has them. */
const portFilter = (data: number, end: number, hit: number, miss: number): Uint8Array =>
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

describe("XDP", () => {
  it("passes, drops and counts what it dropped", async () => {
    const p = await pair();
    const bpf = bpfOf(p.c);
    expect(await datagram(p)).toBe("hello");
    bpf.attachXdp("eth0", xdp(p.programs, portFilter(0, 4, XDP_DROP, XDP_PASS)));
    expect(await datagram(p)).toBeUndefined();
    expect(await datagram(p, 10)).toBe("hello");
    expect(p.c.drops()["XDP"]).toBe(1);
    bpf.detachXdp("eth0");
    expect(await datagram(p)).toBe("hello");
  });

  it("counts an answer that is none as an exception, and drops", async () => {
    const p = await pair();
    bpfOf(p.c).attachXdp("eth0", xdp(p.programs, returns(77)));
    expect(await datagram(p)).toBeUndefined();
    expect(bpfStats(p.node.kernel.context).xdpExceptions).toBeGreaterThan(0);
  });

  it("sends a frame back where it came from", async () => {
    const node = await createTestNode();
    const host = node.kernel.host;
    host.addLink({ kind: "nic", name: "eth0", mac: "02:00:00:00:00:01" });
    host.setLink("eth0", { up: true });
    bpfOf(host).attachXdp("eth0", xdp(createBpfPrograms(node.kernel.context), returns(XDP_TX)));
    await node.settle();
    node.takeFrames();
    const frame = `02000000000102000000000208004500${"00".repeat(40)}`;
    node.inject(host.link("eth0")!.ifindex, frame);
    await node.settle();
    expect(node.takeFrames().map(({ bytes }) => Buffer.from(bytes).toString("hex"))).toEqual([frame]);
  });

  it("moves the head, and metadata reaches tc", async () => {
    const p = await pair();
    // Four bytes of metadata, 0x2a; tc drops what has them.
    const first = xdp(p.programs, assemble(
      movReg(6, 1), mov(2, -4), call(Helper.xdp_adjust_meta),
      loadWord(2, 6, 8), loadWord(3, 6, 0), movReg(4, 2),
      [b.BPF_ALU64 | b.BPF_ADD | b.BPF_K, 4, 0, 0, 4],
      [b.BPF_JMP | b.BPF_JGT | b.BPF_X, 4, 3, 1, 0],
      storeWord(2, 0, 42),
      mov(0, XDP_PASS), exit,
    ));
    const second = cls(p.programs, assemble(
      loadWord(2, 1, 140), loadWord(3, 1, 76), mov(0, TC_ACT_OK), movReg(4, 2),
      [b.BPF_ALU64 | b.BPF_ADD | b.BPF_K, 4, 0, 0, 4],
      [b.BPF_JMP | b.BPF_JGT | b.BPF_X, 4, 3, 3, 0],
      loadWord(5, 2, 0),
      [b.BPF_JMP | b.BPF_JNE | b.BPF_K, 5, 0, 1, 42],
      mov(0, TC_ACT_SHOT), exit,
    ));
    const bpf = bpfOf(p.c);
    bpf.attachTcx("eth0", "ingress", second);
    expect(await datagram(p)).toBe("hello");
    bpf.attachXdp("eth0", first);
    expect(await datagram(p)).toBeUndefined();
    expect(p.c.drops()["TC_INGRESS"]).toBeGreaterThan(0);
  });

  it("knows its modes: native where the driver has it, one at a time", async () => {
    const { c, programs, node } = await pair();
    const bpf = bpfOf(c);
    const one = xdp(programs, returns(XDP_PASS), "one");
    const two = xdp(programs, returns(XDP_PASS), "two");
    expect(() => bpf.attachXdp("lo", one, { mode: "native" })).toThrow("EOPNOTSUPP");
    bpf.attachXdp("lo", one);
    expect(bpf.xdp("lo")?.mode).toBe("generic");
    bpf.attachXdp("eth0", one);
    expect(bpf.xdp("eth0")).toMatchObject({ mode: "native", id: one.id, name: "one" });
    expect(() => bpf.attachXdp("eth0", two, { mode: "generic" })).toThrow("EEXIST");
    expect(() => bpf.attachXdp("eth0", two, { noReplace: true })).toThrow("EBUSY");
    expect(() => bpf.attachXdp("eth0", one, { replace: two })).toThrow("EEXIST");
    bpf.attachXdp("eth0", two, { replace: one });
    expect(bpf.xdp("eth0")?.name).toBe("two");
    expect(() => bpf.attachXdp("eth0", cls(programs, returns(0)))).toThrow("EINVAL");
    bpf.detachXdp("eth0");
    const link = bpf.linkXdp("eth0", one);
    expect(() => bpf.attachXdp("eth0", two)).toThrow("EBUSY");
    expect(() => bpf.detachXdp("eth0")).toThrow("EBUSY");
    expect(() => link.update(two, two)).toThrow("EPERM");
    link.update(two, one);
    expect(bpf.xdp("eth0")?.name).toBe("two");
    // The link outlives its device.
    c.deleteLink("eth0");
    expect(link.info()).toMatchObject({ programId: two.id, target: 0, ifindex: 0 });
    link.close();
    expect(() => link.info()).toThrow("EBADF");
    one.free();
    two.free();
    void node;
  });
});

describe("tcx", () => {
  it("runs in the order that was asked for, until one decides", async () => {
    const p = await pair();
    const bpf = bpfOf(p.c);
    const next = cls(p.programs, returns(-1), "next");
    const ok = cls(p.programs, returns(TC_ACT_OK), "ok");
    const shot = cls(p.programs, portFilter(76, 80, TC_ACT_SHOT, -1), "shot");
    bpf.attachTcx("eth0", "ingress", next);
    bpf.attachTcx("eth0", "ingress", shot);
    expect(await datagram(p)).toBeUndefined();
    bpf.attachTcx("eth0", "ingress", ok, { before: shot });
    const names = (): string[] => bpf.queryTcx("eth0", "ingress").programs.map(({ name }) => name);
    expect(names()).toEqual(["next", "ok", "shot"]);
    expect(await datagram(p)).toBe("hello");
    expect(() => bpf.attachTcx("eth0", "ingress", ok)).toThrow("EEXIST");
    expect(() => bpf.attachTcx("eth0", "ingress", cls(p.programs, returns(0)), { expectedRevision: 1n })).toThrow("errno 116");
    bpf.detachTcx("eth0", "ingress", ok);
    const link = bpf.linkTcx("eth0", "ingress", ok, { before: "first" });
    expect(names()).toEqual(["ok", "next", "shot"]);
    bpf.attachTcx("eth0", "ingress", cls(p.programs, returns(-1), "mid"), { after: link });
    expect(names()).toEqual(["ok", "mid", "next", "shot"]);
    expect(() => bpf.detachTcx("eth0", "ingress", ok)).toThrow("EBUSY");
    link.close();
    bpf.attachTcx("eth0", "ingress", ok, { replace: shot });
    expect(names()).toEqual(["mid", "next", "ok"]);
    bpf.detachTcx("eth0", "ingress");
    bpf.detachTcx("eth0", "ingress", undefined, true);
    expect(names()).toEqual(["next"]);
  });

  it("drops what leaves", async () => {
    const p = await pair();
    bpfOf(p.a).attachTcx("eth0", "egress", cls(p.programs, portFilter(76, 80, TC_ACT_SHOT, TC_ACT_OK)));
    expect(await datagram(p)).toBeUndefined();
    expect(await datagram(p, 10)).toBe("hello");
    expect(p.a.drops()["TC_EGRESS"]).toBe(1);
  });

  it("says what it did to those who watch", async () => {
    const p = await pair();
    bpfOf(p.a).attachTcx("eth0", "egress", cls(p.programs, returns(TC_ACT_SHOT), "doorman"));
    p.node.kernel.observe({ capture: false, trace: true });
    await datagram(p);
    const text = Buffer.concat(p.node.observed).toString("latin1");
    expect(text).toContain("doorman");
  });
});
