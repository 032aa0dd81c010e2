/** Programs that watch the kernel: what they are called with, and where. */
import { expect, test } from "vitest";
import * as layout from "../../assembly/abi/bpf-trace.ts";
import * as b from "../../src/bpf/insn.ts";
import { dropReason, kernelOffset } from "../../src/bpf/kernel-btf.ts";
import { AttachType, Helper, MapType, ProgType } from "../../src/bpf/uapi.ts";
import { createBpfMaps } from "../../src/kernel/bpf-maps.ts";
import { tracingOf } from "../../src/kernel/bpf-tracing.ts";
import { createBpfPrograms } from "../../src/kernel/bpf.ts";
import { createTestNode } from "../kernel/harness.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Slot = readonly [code: number, dst: number, src: number, off: number, imm: number];
const assemble = (...slots: readonly Slot[]): Uint8Array => b.encodeInsns(slots.map(([code, dst, src, off, imm]) => ({ code, dst, src, off, imm })));
const mov = (dst: number, imm: number): Slot => [b.BPF_ALU64 | b.BPF_MOV | b.BPF_K, dst, 0, 0, imm];
const movReg = (dst: number, src: number): Slot => [b.BPF_ALU64 | b.BPF_MOV | b.BPF_X, dst, src, 0, 0];
const add = (dst: number, imm: number): Slot => [b.BPF_ALU64 | b.BPF_ADD | b.BPF_K, dst, 0, 0, imm];
const call = (helper: number): Slot => [b.BPF_JMP | b.BPF_CALL, 0, 0, 0, helper];
const exit: Slot = [b.BPF_JMP | b.BPF_EXIT, 0, 0, 0, 0];
const load = (size: number, dst: number, src: number, off: number): Slot => [b.BPF_LDX | b.BPF_MEM | size, dst, src, off, 0];
const store = (size: number, dst: number, src: number, off: number): Slot => [b.BPF_STX | b.BPF_MEM | size, dst, src, off, 0];
const mapAddress = (dst: number, address: number): Slot[] => [[b.BPF_LD | b.BPF_IMM | b.BPF_DW, dst, 0, 0, address], [0, 0, 0, 0, 0]];

test("the copies are laid out as Linux has the structures", () => {
  const members: readonly (readonly [number, string, string])[] = [
    [layout.SKBUFF_DEV, "sk_buff", "dev"], [layout.SKBUFF_SK, "sk_buff", "sk"], [layout.SKBUFF_TSTAMP, "sk_buff", "tstamp"], [layout.SKBUFF_LEN, "sk_buff", "len"],
    [layout.SKBUFF_MAC_LEN, "sk_buff", "mac_len"], [layout.SKBUFF_PKT_TYPE, "sk_buff", "__pkt_type_offset"], [layout.SKBUFF_PRIORITY, "sk_buff", "priority"], [layout.SKBUFF_IIF, "sk_buff", "skb_iif"],
    [layout.SKBUFF_VLAN_PROTO, "sk_buff", "vlan_proto"], [layout.SKBUFF_VLAN_TCI, "sk_buff", "vlan_tci"], [layout.SKBUFF_MARK, "sk_buff", "mark"], [layout.SKBUFF_PROTOCOL, "sk_buff", "protocol"],
    [layout.SKBUFF_TRANSPORT, "sk_buff", "transport_header"], [layout.SKBUFF_NETWORK, "sk_buff", "network_header"], [layout.SKBUFF_MAC, "sk_buff", "mac_header"], [layout.SKBUFF_TAIL, "sk_buff", "tail"],
    [layout.SKBUFF_END, "sk_buff", "end"], [layout.SKBUFF_HEAD, "sk_buff", "head"], [layout.SKBUFF_DATA, "sk_buff", "data"], [layout.SKBUFF_TRUESIZE, "sk_buff", "truesize"], [layout.SKBUFF_USERS, "sk_buff", "users"],
    [layout.NETDEV_MTU, "net_device", "mtu"], [layout.NETDEV_FLAGS, "net_device", "flags"], [layout.NETDEV_IFINDEX, "net_device", "ifindex"], [layout.NETDEV_NET, "net_device", "nd_net"],
    [layout.NETDEV_NAME, "net_device", "name"], [layout.NETDEV_TYPE, "net_device", "type"], [layout.NETDEV_ADDR_LEN, "net_device", "addr_len"], [layout.NETDEV_ADDR, "net_device", "dev_addr"],
    [layout.KSOCK_DADDR, "sock_common", "skc_daddr"], [layout.KSOCK_RCV_SADDR, "sock_common", "skc_rcv_saddr"], [layout.KSOCK_DPORT, "sock_common", "skc_dport"], [layout.KSOCK_NUM, "sock_common", "skc_num"],
    [layout.KSOCK_FAMILY, "sock_common", "skc_family"], [layout.KSOCK_STATE, "sock_common", "skc_state"], [layout.KSOCK_NET, "sock_common", "skc_net"], [layout.KSOCK_V6_DADDR, "sock_common", "skc_v6_daddr"],
    [layout.KSOCK_V6_RCV_SADDR, "sock_common", "skc_v6_rcv_saddr"], [layout.KSOCK_MARK, "sock", "sk_mark"], [layout.KSOCK_UID, "sock", "sk_uid"], [layout.KSOCK_PROTOCOL, "sock", "sk_protocol"],
    [layout.KSOCK_TYPE, "sock", "sk_type"], [layout.KSOCK_SPORT, "inet_sock", "inet_sport"], [layout.NET_COOKIE, "net", "net_cookie"],
  ];
  for (const [offset, struct, member] of members) expect([struct, member, offset]).toEqual([struct, member, kernelOffset(struct, member)]);
  expect(layout.NET_INUM).toBe(kernelOffset("net", "ns") + kernelOffset("ns_common", "inum"));
});

/** A node with two namespaces that reach each other, and a ring buffer that programs write to. */
async function setUp() {
  const node = await createTestNode();
  const a = node.kernel.addNetns("a");
  const c = node.kernel.addNetns("c");
  a.addLink({ kind: "veth", name: "eth0", mac: "02:00:00:00:00:01", peer: { name: "eth0", netns: c, mac: "02:00:00:00:00:02" } });
  for (const netns of [a, c]) for (const dev of ["eth0", "lo"]) netns.setLink(dev, { up: true });
  a.addAddress("eth0", "10.0.0.1/24");
  c.addAddress("eth0", "10.0.0.2/24");
  const maps = createBpfMaps(node.kernel.context);
  const ring = maps.create({ type: MapType.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 65536, name: "events" });
  const programs = createBpfPrograms(node.kernel.context);
  const tracing = tracingOf(node.kernel, dropReason);
  /** A program that writes `bytes` of stack, which `body` fills from r6 (the context), to the ring. */
  const watcher = (type: number, bytes: number, body: readonly Slot[], attachType = 0) => programs.load({
    type, attachType, name: "watch", verified: true,
    maps: [ring.address], program: assemble(movReg(6, 1), ...body, ...mapAddress(1, ring.address), movReg(2, 10), add(2, -bytes), mov(3, bytes), mov(4, 0), call(Helper.ringbuf_output), mov(0, 0), exit),
  });
  const seen = (): DataView[] => {
    const records: DataView[] = [];
    ring.consume((record) => records.push(new DataView(record.buffer, record.byteOffset, record.byteLength)));
    return records;
  };
  return { node, a, c, tracing, watcher, seen };
}

test("skb:kfree_skb tells why a packet was dropped, as record, as arguments and as a structure", async () => {
  const { node, a, tracing, watcher, seen, c } = await setUp();
  c.iptables.run(["-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP"]);
  const record = watcher(ProgType.TRACEPOINT, 8, [load(b.BPF_H, 2, 6, 32), store(b.BPF_W, 10, 2, -8), load(b.BPF_W, 2, 6, 36), store(b.BPF_W, 10, 2, -4)]);
  // The third argument; the packet's length by bpf_probe_read_kernel, its device's name through two pointers.
  const raw = watcher(ProgType.RAW_TRACEPOINT, 32, [
    load(b.BPF_DW, 2, 6, 16), store(b.BPF_DW, 10, 2, -32),
    movReg(1, 10), add(1, -24), mov(2, 4), load(b.BPF_DW, 3, 6, 0), add(3, kernelOffset("sk_buff", "len")), call(Helper.probe_read_kernel),
    movReg(1, 10), add(1, -8), mov(2, 8), load(b.BPF_DW, 3, 6, 0), add(3, kernelOffset("sk_buff", "dev")), call(Helper.probe_read_kernel),
    load(b.BPF_DW, 3, 10, -8), add(3, kernelOffset("net_device", "name")), movReg(1, 10), add(1, -16), mov(2, 8), call(Helper.probe_read_kernel),
  ]);
  const first = tracing.attachTracepoint(record, "skb/kfree_skb");
  tracing.attachTracepoint(raw, "kfree_skb");
  const send = async (): Promise<void> => {
    const socket = a.sockets.udp();
    socket.send(new TextEncoder().encode("hello"), { address: "10.0.0.2", port: 9 });
    await node.advance(20);
    socket.close();
  };
  await send();
  const [whole, args] = seen();
  expect([whole!.getUint32(0, true), whole!.getUint32(4, true)]).toEqual([0x0800, dropReason("NETFILTER_DROP")]);
  expect([Number(args!.getBigUint64(0, true)), args!.getUint32(8, true), new TextDecoder().decode(new Uint8Array(args!.buffer, args!.byteOffset + 16, 4))]).toEqual([dropReason("NETFILTER_DROP"), 33, "eth0"]);
  first.close();
  await send();
  expect(seen()).toHaveLength(1);
});

test("kprobes see the arguments of a connection's functions, kretprobes what they return, tracepoints its states", async () => {
  const { node, a, c, tracing, watcher, seen } = await setUp();
  // struct sockaddr_in behind the second argument: port and address.
  const connect = watcher(ProgType.KPROBE, 8, [movReg(1, 10), add(1, -8), mov(2, 8), load(b.BPF_DW, 3, 6, 104), call(Helper.probe_read_kernel)]);
  const returned = watcher(ProgType.KPROBE, 8, [load(b.BPF_DW, 2, 6, 80), store(b.BPF_DW, 10, 2, -8)]);
  const states = watcher(ProgType.TRACEPOINT, 16, [load(b.BPF_W, 2, 6, 16), store(b.BPF_W, 10, 2, -16), load(b.BPF_W, 2, 6, 20), store(b.BPF_W, 10, 2, -12), load(b.BPF_H, 2, 6, 26), store(b.BPF_W, 10, 2, -8), load(b.BPF_W, 2, 6, 36), store(b.BPF_W, 10, 2, -4)]);
  const listener = await c.sockets.listen({ port: 80 });
  tracing.attachFunction(connect, "tcp_v4_connect");
  tracing.attachFunction(returned, "tcp_v4_connect", { atReturn: true });
  void listener.accept().catch(() => undefined);
  const connecting = a.sockets.connect({ address: "10.0.0.2", port: 80 });
  await node.advance(20);
  const connection = await connecting;
  const [before, after] = seen();
  expect([before!.getUint16(0, true), before!.getUint16(2, false), before!.getUint32(4, false)]).toEqual([2, 80, 0x0a000002]);
  expect(after!.getBigInt64(0, true)).toBeLessThanOrEqual(0n);
  tracing.attachTracepoint(states, "sock/inet_sock_set_state");
  connection.close();
  await node.advance(20);
  const ESTABLISHED = 1, FIN_WAIT1 = 4;
  const [closing] = seen();
  expect([closing!.getUint32(0, true), closing!.getUint32(4, true), closing!.getUint32(8, true), closing!.getUint32(12, false)]).toEqual([ESTABLISHED, FIN_WAIT1, 80, 0x0a000002]);
  listener.close();
});

test("what happens outside of the kernel is told", async () => {
  const { tracing, watcher, seen } = await setUp();
  const comm = watcher(ProgType.TRACEPOINT, 8, [load(b.BPF_W, 2, 6, 12), store(b.BPF_W, 10, 2, -8), load(b.BPF_W, 2, 6, 16), store(b.BPF_W, 10, 2, -4)]);
  tracing.attachTracepoint(comm, "sched/sched_process_exec");
  tracing.tell("sched/sched_process_exec", new Uint8Array(Uint32Array.of(0, 41, 40).buffer));
  tracing.tell("sched/sched_process_exit", new Uint8Array(24));
  const [told, ...others] = seen();
  expect([told!.getUint32(0, true), told!.getUint32(4, true), others.length]).toEqual([41, 40, 0]);
  expect(() => tracing.tell("skb/kfree_skb", new Uint8Array(8))).toThrow("No such file or directory");
  expect(() => tracing.tell("sched/sched_process_exec", new Uint8Array(4096))).toThrow("EINVAL");
});

test("what does not fit is refused", async () => {
  const { tracing, watcher } = await setUp();
  const probe = watcher(ProgType.KPROBE, 8, [mov(2, 0), store(b.BPF_DW, 10, 2, -8)]);
  const entry = watcher(ProgType.TRACING, 8, [mov(2, 0), store(b.BPF_DW, 10, 2, -8)], AttachType.TRACE_FENTRY);
  expect(() => tracing.attachFunction(probe, "no_such_function")).toThrow("no_such_function: No such file or directory");
  expect(() => tracing.attachFunction(probe, "ip_rcv", { atReturn: true })).toThrow("ip_rcv: No such file or directory");
  expect(() => tracing.attachTracepoint(probe, "skb/kfree_skb")).toThrow("EINVAL");
  expect(() => tracing.attachTracepoint(entry, "kfree_skb")).toThrow("EINVAL");
  tracing.attachFunction(entry, "ip_rcv").close();
});

test("a flow that was recorded goes past no function while one is watched", async () => {
  const { node, a, c, tracing, watcher, seen } = await setUp();
  const receiver = c.sockets.udp({ local: { port: 7 } });
  const sender = a.sockets.udp();
  const send = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      sender.send(new Uint8Array(8), { address: "10.0.0.2", port: 7 });
      await node.advance(1);
    }
  };
  await send(20);
  const link = tracing.attachFunction(watcher(ProgType.KPROBE, 8, [mov(2, 1), store(b.BPF_DW, 10, 2, -8)]), "ip_rcv");
  await send(10);
  expect(seen().length).toBe(10);
  link.close();
  await send(10);
  expect(seen()).toHaveLength(0);
  receiver.close();
});
