/** Programs on sockets: control groups with what is in effect, addresses that programs change, filters. */
import { describe, expect, it } from "vitest";
import * as b from "../../src/bpf/insn.ts";
import { AttachType, Helper, ProgType } from "../../src/bpf/uapi.ts";
import { attachSocketFilter, bpfOf, rootCgroup } from "../../src/kernel/bpf-attach.ts";
import type { BpfProgram, BpfPrograms } from "../../src/kernel/bpf.ts";
import { socketHandle } from "../../src/kernel/socket-calls.ts";
import { assemble, call, cls, datagram, exit, loadWord, mov, movReg, pair, returns, storeWord } from "./hand.ts";

const egress = (programs: BpfPrograms, program: Uint8Array, name = "prog"): BpfProgram =>
  programs.load({ name, type: ProgType.CGROUP_SKB, attachType: AttachType.CGROUP_INET_EGRESS, program });
const ingress = (programs: BpfPrograms, program: Uint8Array): BpfProgram =>
  programs.load({ type: ProgType.CGROUP_SKB, attachType: AttachType.CGROUP_INET_INGRESS, program });
const address = (programs: BpfPrograms, attachType: number, program: Uint8Array): BpfProgram =>
  programs.load({ type: ProgType.CGROUP_SOCK_ADDR, attachType, program });

describe("control groups", () => {
  it("let packets of their sockets go, or not, by the programs in effect", async () => {
    const p = await pair();
    const root = rootCgroup(p.node.kernel.context);
    const pods = root.child();
    const pod = pods.child();
    pod.join(p.a);
    const deny = egress(p.programs, returns(0), "deny");
    const allow = egress(p.programs, returns(1), "allow");
    const type = AttachType.CGROUP_INET_EGRESS;
    expect(await datagram(p)).toBe("hello");
    pods.attach(type, deny, { mode: "override" });
    await expect(datagram(p)).rejects.toThrow("EPERM");
    expect(p.a.drops()["BPF_CGROUP_EGRESS"]).toBeGreaterThan(0);
    // The group below may have its own instead.
    pod.attach(type, allow, { mode: "single" });
    expect(pod.query(type, true).programs.map(({ name }) => name)).toEqual(["allow"]);
    expect(await datagram(p)).toBe("hello");
    pod.detach(type);
    pods.detach(type);
    // With several, all have to agree.
    pods.attach(type, deny, { mode: "multi" });
    const link = pod.link(type, allow);
    expect(pod.query(type, true).programs.map(({ name }) => name)).toEqual(["allow", "deny"]);
    await expect(datagram(p, 10)).rejects.toThrow("EPERM");
    pods.detach(type, deny);
    expect(await datagram(p)).toBe("hello");
    link.close();
    // What stands above and allows nothing forbids.
    pods.attach(type, allow);
    expect(() => pod.attach(type, deny)).toThrow("EPERM");
    expect(() => pods.attach(type, deny, { mode: "multi" })).toThrow("EPERM");
    expect(() => pods.attach(type, cls(p.programs, returns(0)))).toThrow("EINVAL");
    expect(() => pods.delete()).toThrow("EBUSY");
    expect(() => pod.delete()).toThrow("EBUSY");
    p.a.delete();
    pod.delete();
    pods.delete();
  });

  it("drop what comes in before the socket has it", async () => {
    const p = await pair();
    const group = rootCgroup(p.node.kernel.context).child();
    group.join(p.c);
    group.attach(AttachType.CGROUP_INET_INGRESS, ingress(p.programs, returns(0)));
    expect(await datagram(p)).toBeUndefined();
    expect(p.c.drops()["SOCKET_FILTER"]).toBe(1);
  });

  it("send a connection elsewhere, and hide it", async () => {
    const p = await pair();
    const root = rootCgroup(p.node.kernel.context);
    // 10.96.0.1:80 becomes 10.0.0.2:8080, and back for who asks.
    const forth = assemble(
      loadWord(2, 1, 4), mov(0, 1),
      [b.BPF_JMP32 | b.BPF_JNE | b.BPF_K, 2, 0, 2, 0x0100600a],
      storeWord(1, 4, 0x0200000a), storeWord(1, 24, 0x901f), exit,
    );
    const back = assemble(
      loadWord(2, 1, 4), mov(0, 1),
      [b.BPF_JMP32 | b.BPF_JNE | b.BPF_K, 2, 0, 2, 0x0200000a],
      storeWord(1, 4, 0x0100600a), storeWord(1, 24, 0x5000), exit,
    );
    root.attach(AttachType.CGROUP_INET4_CONNECT, address(p.programs, AttachType.CGROUP_INET4_CONNECT, forth));
    const listener = p.c.sockets.listen({ port: 8080 });
    const [stream] = await Promise.all([p.a.sockets.connect({ address: "10.96.0.1", port: 80 }), p.node.advance(50)]);
    expect(stream.remote).toEqual({ address: "10.0.0.2", port: 8080 });
    root.attach(AttachType.CGROUP_INET4_GETPEERNAME, address(p.programs, AttachType.CGROUP_INET4_GETPEERNAME, back));
    const [second] = await Promise.all([p.a.sockets.connect({ address: "10.96.0.1", port: 80 }), p.node.advance(50)]);
    expect(second.remote).toEqual({ address: "10.96.0.1", port: 80 });
    stream.close();
    second.close();
    listener.close();
  });

  it("refuse to connect, to bind and to be made", async () => {
    const p = await pair();
    const root = rootCgroup(p.node.kernel.context);
    const no = (type: number): BpfProgram => address(p.programs, type, returns(0));
    root.attach(AttachType.CGROUP_INET4_CONNECT, no(AttachType.CGROUP_INET4_CONNECT));
    await expect(Promise.all([p.a.sockets.connect({ address: "10.0.0.2", port: 1 }), p.node.advance(5)])).rejects.toThrow("EPERM");
    root.attach(AttachType.CGROUP_INET4_BIND, no(AttachType.CGROUP_INET4_BIND));
    expect(() => p.c.sockets.listen({ port: 99 })).toThrow("EPERM");
    root.detach(AttachType.CGROUP_INET4_BIND);
    root.attach(AttachType.CGROUP_INET_SOCK_CREATE,
      p.programs.load({ type: ProgType.CGROUP_SOCK, attachType: AttachType.CGROUP_INET_SOCK_CREATE, program: returns(0) }));
    expect(() => p.c.sockets.udp()).toThrow("EPERM");
  });
});

describe("socket filters", () => {
  it("decide by the datagram's bytes, and cut it", async () => {
    const p = await pair();
    const { context } = p.node.kernel;
    const receive = async (filter: BpfProgram | Uint8Array): Promise<string | undefined> => {
      const receiver = p.c.sockets.udp({ local: { port: 9 } });
      attachSocketFilter(context, socketHandle(receiver), filter);
      const sender = p.a.sockets.udp();
      let got: string | undefined;
      void receiver.receive().then(({ data }) => (got = new TextDecoder().decode(data)), () => undefined);
      sender.send(new TextEncoder().encode("hello"), { address: "10.0.0.2", port: 9 });
      await p.node.advance(20);
      receiver.close();
      sender.close();
      return got;
    };
    const program = (code: number): BpfProgram => p.programs.load({ type: ProgType.SOCKET_FILTER, program: returns(code) });
    expect(await receive(program(0))).toBeUndefined();
    expect(await receive(program(0xffff))).toBe("hello");
    expect(await receive(program(11))).toBe("hel");
    // `tcpdump -ddd` of what begins with an h: ldb [8]; jeq #0x68; ret #-1; ret #0
    const classic = (letter: number): Uint8Array => {
      const bytes = new Uint8Array(32);
      const view = new DataView(bytes.buffer);
      const put = (at: number, code: number, jt: number, jf: number, k: number): void => {
        view.setUint16(at, code, true);
        bytes[at + 2] = jt;
        bytes[at + 3] = jf;
        view.setUint32(at + 4, k, true);
      };
      put(0, 0x30, 0, 0, 8);
      put(8, 0x15, 0, 1, letter);
      put(16, 0x06, 0, 0, 0xffffffff);
      put(24, 0x06, 0, 0, 0);
      return bytes;
    };
    expect(await receive(classic(0x68))).toBe("hello");
    expect(await receive(classic(0x69))).toBeUndefined();
    expect(() => attachSocketFilter(context, socketHandle(p.a.sockets.udp()), new Uint8Array(8))).toThrow("EINVAL");
  });
});

describe("sockets from tc", () => {
  it("are found by a packet's tuple, with what they are", async () => {
    const p = await pair();
    const receiver = p.c.sockets.udp({ local: { port: 9 } });
    // {saddr, daddr, sport, dport} on the stack; drop when there is a socket whose source port is 9.
    const program = assemble(
      storeWord(10, -16, 0x0100000a), storeWord(10, -12, 0x0200000a), storeWord(10, -8, 0x09000000 | 0x3412),
      movReg(2, 10), [b.BPF_ALU64 | b.BPF_ADD | b.BPF_K, 2, 0, 0, -16], mov(3, 12), mov(4, -1), mov(5, 0), call(Helper.sk_lookup_udp),
      [b.BPF_JMP | b.BPF_JEQ | b.BPF_K, 0, 0, 7, 0],
      movReg(6, 0), loadWord(7, 6, 44), movReg(1, 6), call(Helper.sk_release), mov(0, 0),
      [b.BPF_JMP | b.BPF_JNE | b.BPF_K, 7, 0, 2, 9],
      mov(0, 2), exit, mov(0, 0), exit,
    );
    bpfOf(p.c).attachTcx("eth0", "ingress", cls(p.programs, program));
    const sender = p.a.sockets.udp();
    sender.send(new Uint8Array(4), { address: "10.0.0.2", port: 10 });
    await p.node.advance(10);
    expect(p.c.drops()["TC_INGRESS"]).toBeGreaterThan(0);
    receiver.close();
    const before = p.c.drops()["TC_INGRESS"];
    sender.send(new Uint8Array(4), { address: "10.0.0.2", port: 10 });
    await p.node.advance(10);
    expect(p.c.drops()["TC_INGRESS"]).toBe(before);
  });
});
