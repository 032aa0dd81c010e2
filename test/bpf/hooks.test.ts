/** Programs at the hooks of devices: XDP and tcx, what they do to packets on the way through a node, and how they are attached. */
import { describe, expect, it } from "vitest";
import * as b from "../../src/bpf/insn.ts";
import { Helper, MapType, ProgType } from "../../src/bpf/uapi.ts";
import { bpfOf, bpfStats } from "../../src/kernel/bpf-attach.ts";
import { createBpfMaps } from "../../src/kernel/bpf-maps.ts";
import { createBpfPrograms } from "../../src/kernel/bpf.ts";
import { createTestNode } from "../kernel/harness.ts";
import { assemble, call, cls, datagram, exit, loadWord, mov, movReg, pair, portFilter, returns, storeWord, xdp } from "./hand.ts";

const XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3;
const TC_ACT_OK = 0, TC_ACT_SHOT = 2;

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

describe("redirects", () => {
  it("go through a device map, or end as the flags say", async () => {
    const node = await createTestNode();
    const { host } = node.kernel;
    for (const [i, name] of ["eth0", "eth1"].entries()) {
      host.addLink({ kind: "nic", name, mac: `02:00:00:00:00:0${i + 1}` });
      host.setLink(name, { up: true });
    }
    const map = createBpfMaps(node.kernel.context).create({ type: MapType.DEVMAP, keySize: 4, valueSize: 4, maxEntries: 2 });
    const programs = createBpfPrograms(node.kernel.context);
    const program = programs.load({
      type: ProgType.XDP, maps: [map.address],
      program: assemble([0x18, 1, 1, 0, map.address], [0, 0, 0, 0, 0], mov(2, 1), mov(3, XDP_TX), call(Helper.redirect_map), exit),
    });
    bpfOf(host).attachXdp("eth0", program);
    await node.settle();
    const frame = `02000000000102000000000208004500${"00".repeat(40)}`;
    const sentBy = async (): Promise<number[]> => {
      node.takeFrames();
      node.inject(host.link("eth0")!.ifindex, frame);
      await node.settle();
      return node.takeFrames().map(({ ifindex }) => ifindex);
    };
    expect(await sentBy()).toEqual([host.link("eth0")!.ifindex]);
    const words = (...numbers: number[]): Uint8Array => new Uint8Array(Uint32Array.from(numbers).buffer);
    map.update(words(1), words(host.link("eth1")!.ifindex));
    expect(await sentBy()).toEqual([host.link("eth1")!.ifindex]);
    host.setLink("eth1", { up: false });
    expect(await sentBy()).toEqual([]);
    expect(bpfStats(node.kernel.context).redirectErrors).toBe(1);
  });

  it("reach the peer's namespace at once, and neighbours by their addresses", async () => {
    const p = await pair();
    // A packet for 10.0.0.2 that comes back in by `lo` of a third namespace's cable goes straight into c.
    const host = p.node.kernel.host;
    host.addLink({ kind: "nic", name: "eth0", mac: "02:00:00:00:00:0a" });
    host.setLink("eth0", { up: true });
    host.addLink({ kind: "veth", name: "lxc", mac: "02:00:00:00:00:0b", peer: { name: "eth1", netns: p.c, mac: "02:00:00:00:00:0c" } });
    host.setLink("lxc", { up: true });
    p.c.setLink("eth1", { up: true });
    p.c.addAddress("eth1", "10.1.0.2/24");
    const to = cls(p.programs, assemble(mov(1, host.link("lxc")!.ifindex), mov(2, 0), call(Helper.redirect_peer), exit));
    bpfOf(host).attachTcx("eth0", "ingress", to);
    // An ARP request for 10.1.0.2 is answered by c, through eth1 and lxc.
    p.node.inject(host.link("eth0")!.ifindex, "ffffffffffff02000000000d08060001080006040001" + "02000000000d0a010009" + "0000000000000a010002");
    await p.node.settle();
    expect(p.c.link("eth1")!.stats).toMatchObject({ rxPackets: expect.any(Number) as number });
    expect(p.c.neighbours().some(({ dst }) => dst === "10.1.0.9")).toBe(true);
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
