/** Queueing disciplines in virtual time: exact moments for tbf and netem, shares for HTB, the bandwidth plugin's ifb. */
import { expect, test } from "vitest";
import { deviceCalls } from "../../../src/kernel/devices.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { createTestNode, type TestNode } from "../harness.ts";

const PORT = 9;

/** Sends UDP datagrams of `bytes` of payload from the host by its NIC, and says when each frame left, in ns from the first one's send. */
async function burst(node: TestNode, count: number, bytes: number, options: { readonly port?: number; readonly ms?: number } = {}): Promise<number[]> {
  const { host } = node.kernel;
  const socket = host.sockets.udp({ local: { address: "10.0.0.1", port: 0 } });
  const start = node.clock.nowNs();
  for (let i = 0; i < count; i++) socket.send(new Uint8Array(bytes), { address: "10.0.0.2", port: options.port ?? PORT });
  await node.advance(options.ms ?? 2000);
  socket.close();
  return node.takeFrames().map(({ timeNs }) => timeNs - start);
}

async function nic(seed = 1): Promise<{ node: TestNode; host: Netns }> {
  const node = await createTestNode({ seed });
  const { host } = node.kernel;
  host.addLink({ kind: "nic", name: "eth0", mac: "02:00:00:00:00:01" });
  host.setLink("eth0", { up: true });
  host.addAddress("eth0", "10.0.0.1/24");
  host.setNeigh({ dev: "eth0", dst: "10.0.0.2", lladdr: "02:00:00:00:00:02" });
  return { node, host };
}

test("tbf: a burst at once, then one packet per its length at the rate, to the nanosecond", async () => {
  const { node, host } = await nic();
  // 1000-byte frames (14 + 20 + 8 + 958) at 1 Mbyte/s: 1 ms each; the bucket holds three.
  deviceCalls(host).setQdisc("eth0", { kind: "tbf", rate: 1_000_000, burst: 3000, limit: 100_000 });
  const times = await burst(node, 8, 958);
  expect(times).toHaveLength(8);
  expect(times[2]! - times[0]!).toBeLessThan(50_000);
  const gaps = times.slice(4).map((at, index) => at - times[3 + index]!);
  expect(gaps.every((gap) => Math.abs(gap - 1_000_000) < 1000)).toBe(true);
  const [root] = deviceCalls(host).qdiscs("eth0");
  expect(root).toMatchObject({ kind: "tbf", stats: { packets: 8, bytes: 8000, dropped: 0, qlen: 0, backlog: 0 } });
  expect(root!.stats.overlimits).toBeGreaterThan(0);
});

test("tbf: what is longer than the bucket or finds no room is dropped", async () => {
  const { node, host } = await nic();
  deviceCalls(host).setQdisc("eth0", { kind: "tbf", rate: 1_000_000, burst: 1500, latency: 2e6 });
  // Room: 2 ms at the rate and the burst, 3,500 bytes.
  expect(await burst(node, 10, 958)).toHaveLength(4);
  expect(host.link("eth0")!.stats.txDropped).toBe(6);
  expect(host.drops()).toEqual({ QDISC_DROP: 6 });
  deviceCalls(host).setQdisc("eth0", { kind: "tbf", rate: 1_000_000, burst: 500, limit: 9000 });
  expect(await burst(node, 2, 958)).toHaveLength(0);
});

test("netem: delay, rate, and a limit", async () => {
  const { node, host } = await nic();
  deviceCalls(host).setQdisc("eth0", { kind: "netem", latency: 10e6 });
  const delayed = await burst(node, 3, 100);
  expect(delayed.every((at) => at >= 10e6 && at < 10.1e6)).toBe(true);
  deviceCalls(host).setQdisc("eth0", { kind: "netem", rate: 1_000_000 });
  const paced = await burst(node, 4, 958);
  expect(paced.map((at) => Math.round(at / 1e6))).toEqual([1, 2, 3, 4]);
  deviceCalls(host).setQdisc("eth0", { kind: "netem", latency: 10e6, limit: 2 });
  expect(await burst(node, 5, 100)).toHaveLength(2);
});

test("netem: chance is the node's, the same for one seed, and in the asked proportion", async () => {
  const run = async (seed: number): Promise<{ sent: number; times: number[] }> => {
    const { node, host } = await nic(seed);
    deviceCalls(host).setQdisc("eth0", { kind: "netem", latency: 5e6, jitter: 2e6, loss: 0.25, duplicate: 0.1, limit: 10_000 });
    const times = await burst(node, 600, 40);
    return { sent: times.length, times };
  };
  const first = await run(7);
  expect(first).toEqual(await run(7));
  expect(first).not.toEqual(await run(8));
  // 600 less a quarter, and a tenth more.
  expect(first.sent).toBeGreaterThan(440);
  expect(first.sent).toBeLessThan(580);
  expect(Math.min(...first.times)).toBeGreaterThanOrEqual(3e6);
  expect(Math.max(...first.times)).toBeLessThan(7e6 + 2e6);
});

test("netem: some overtake the others", async () => {
  const { node, host } = await nic();
  deviceCalls(host).setQdisc("eth0", { kind: "netem", latency: 10e6, reorder: 1, gap: 5 });
  const times = await burst(node, 10, 40);
  expect(times.filter((at) => at < 1e6)).toHaveLength(2);
  expect(times.filter((at) => at >= 10e6)).toHaveLength(8);
});

test("htb: classes get their rates, borrow up to their ceiling, and filters choose", async () => {
  const { node, host } = await nic();
  const calls = deviceCalls(host);
  const major = 0x10000;
  calls.setQdisc("eth0", { kind: "htb", handle: major, default: 0x20 });
  calls.setQdisc("eth0", { kind: "class", handle: major | 1, rate: 1_000_000, burst: 2000, peakBurst: 2000 });
  calls.setQdisc("eth0", { kind: "class", handle: major | 0x10, parent: major | 1, rate: 750_000, peak: 1_000_000, burst: 2000, peakBurst: 2000 });
  calls.setQdisc("eth0", { kind: "class", handle: major | 0x20, parent: major | 1, rate: 250_000, peak: 1_000_000, burst: 2000, peakBurst: 2000 });
  // UDP to port 9 is the first class'.
  calls.addFilter("eth0", {
    parent: major, protocol: 0x0800, classid: major | 0x10,
    u32: [{ value: 0x00110000, mask: 0x00ff0000, at: 8 }, { value: 9, mask: 0xffff, at: 20 }],
  });
  const socket = host.sockets.udp({ local: { address: "10.0.0.1", port: 0 } });
  for (let i = 0; i < 200; i++) {
    socket.send(new Uint8Array(958), { address: "10.0.0.2", port: 9 });
    socket.send(new Uint8Array(958), { address: "10.0.0.2", port: 10 });
  }
  await node.advance(100);
  const both = node.takeFrames();
  const first = both.filter(({ bytes }) => bytes[37] === 9).length;
  expect(both.length).toBeGreaterThan(95);
  expect(both.length).toBeLessThan(112);
  expect(first / both.length).toBeGreaterThan(0.68);
  expect(first / both.length).toBeLessThan(0.82);
  await node.advance(1000);
  node.takeFrames();
  // Alone, the second class borrows all of it.
  for (let i = 0; i < 150; i++) socket.send(new Uint8Array(958), { address: "10.0.0.2", port: 10 });
  await node.advance(100);
  const alone = node.takeFrames().length;
  expect(alone).toBeGreaterThan(95);
  expect(alone).toBeLessThan(112);
  expect(calls.filters("eth0", major)).toMatchObject([{ classid: major | 0x10, packets: 200 }]);
  expect(calls.qdiscs("eth0").map(({ kind }) => kind)).toEqual(["htb", "class", "class", "class"]);
  expect(() => calls.deleteQdisc("eth0", major | 1)).toThrow("Invalid argument");
  calls.deleteQdisc("eth0");
  expect(calls.qdiscs("eth0")).toEqual([]);
});

test("pfifo_fast sends by priority once it is held up", async () => {
  const { node, host } = await nic();
  const calls = deviceCalls(host);
  host.setSysctl("net.ipv4.ip_forward", 1);
  host.addLink({ kind: "nic", name: "eth1", mac: "02:00:00:00:01:01" });
  host.setLink("eth1", { up: true });
  host.addAddress("eth1", "10.0.1.1/24");
  calls.setQdisc("eth0", { kind: "tbf", handle: 0x10000, rate: 100_000, burst: 200, limit: 100_000 });
  calls.setQdisc("eth0", { kind: "pfifo_fast", handle: 0x20000, parent: 0x10001 });
  const frame = (tos: number): Uint8Array => {
    const bytes = Buffer.from("020000000101020000000009080045000064000100003f110000" + "0a000102" + "0a000002" + "00090009" + "0050" + "0000", "hex");
    const all = new Uint8Array(114);
    all.set(bytes);
    all[15] = tos;
    let sum = 0;
    for (let i = 14; i < 34; i += 2) sum += (all[i]! << 8) | all[i + 1]!;
    sum = (sum & 0xffff) + (sum >>> 16);
    sum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
    all[24] = sum >>> 8;
    all[25] = sum & 255;
    return all;
  };
  for (const tos of [0, 0, 0, 0, 0x08, 0x10]) node.inject(host.link("eth1")!.ifindex, frame(tos));
  await node.advance(1000);
  // The first is held by the bucket already; then interactive, best effort, bulk.
  expect(node.takeFrames().map(({ bytes }) => bytes[15])).toEqual([0, 0x10, 0, 0, 0, 0x08]);
});

test("ifb: what a device receives is queued, as the bandwidth plugin sets it up", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  const pod = node.kernel.addNetns("pod");
  host.addLink({ kind: "veth", name: "veth0", peer: { name: "eth0", netns: pod } });
  host.setLink("veth0", { up: true });
  pod.setLink("eth0", { up: true });
  host.addAddress("veth0", "10.0.0.1/24");
  pod.addAddress("eth0", "10.0.0.2/24");
  host.addLink({ kind: "ifb", name: "bwp0" });
  host.setLink("bwp0", { up: true });
  const calls = deviceCalls(host);
  calls.setQdisc("veth0", { kind: "ingress" });
  calls.addFilter("veth0", { parent: "ingress", pref: 1, u32: [{ value: 0, mask: 0, at: 0 }], action: { kind: "redirect", dev: "bwp0" } });
  calls.setQdisc("bwp0", { kind: "tbf", rate: 100_000, burst: 2000, limit: 50_000 });
  const server = host.sockets.udp({ local: { address: "10.0.0.1", port: 5000 } });
  const client = pod.sockets.udp({ local: { address: "10.0.0.2", port: 0 } });
  for (let i = 0; i < 20; i++) client.send(new Uint8Array(958), { address: "10.0.0.1", port: 5000 });
  await node.advance(100);
  // 2 at once (with the ARP request before them not quite), then one per 10 ms
  const received = host.link("bwp0")!.stats.rxPackets;
  expect(received).toBeGreaterThanOrEqual(11);
  expect(received).toBeLessThanOrEqual(13);
  await node.advance(1000);
  expect(host.link("bwp0")!.stats).toMatchObject({ rxPackets: 21, txPackets: 21 });
  expect(host.link("veth0")!.stats.rxPackets).toBe(21); // counted once
  server.close();
  client.close();
});

test("mirred copies, a verdict drops", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  for (const name of ["eth0", "eth1"]) {
    host.addLink({ kind: "nic", name });
    host.setLink(name, { up: true });
  }
  const calls = deviceCalls(host);
  calls.setQdisc("eth0", { kind: "ingress" });
  calls.addFilter("eth0", { parent: "ingress", pref: 5, action: { kind: "mirror", dev: "eth1" } });
  const frame = "ffffffffffff02000000000908060001";
  node.inject(host.link("eth0")!.ifindex, frame);
  await node.settle();
  expect(node.takeFrames().map(({ bytes }) => Buffer.from(bytes).toString("hex"))).toEqual([frame]);
  expect(host.drops()).toEqual({ PKT_TOO_SMALL: 1 }); // the ARP it was meant to be went on
  calls.addFilter("eth0", { parent: "ingress", pref: 1, protocol: 0x0806, u32: [{ value: 0, mask: 0, at: 0 }], action: { kind: "drop" } });
  node.inject(host.link("eth0")!.ifindex, frame);
  await node.settle();
  expect(node.takeFrames()).toEqual([]);
  expect(host.drops()).toMatchObject({ TC_INGRESS: 1 });
});

// What `tc -s qdisc` said on Linux 6.18.44 after twenty frames of 1,000 bytes at once into a veth: the queue stands still at 8 kbit/s.
test.each([
  [{ rate: 1000, burst: 5000, limit: 6000 }, { packets: 5, bytes: 5000, dropped: 9, overlimits: 15, backlog: 6000, qlen: 6 }],
  [{ rate: 1000, burst: 2000, limit: 3000 }, { packets: 2, bytes: 2000, dropped: 15, overlimits: 18, backlog: 3000, qlen: 3 }],
  [{ rate: 1000, burst: 1500, limit: 1500 }, { packets: 1, bytes: 1000, dropped: 18, overlimits: 19, backlog: 1000, qlen: 1 }],
  [{ rate: 1000, burst: 4000, limit: 20000, peak: 2000, peakBurst: 1600 }, { packets: 1, bytes: 1000, dropped: 0, overlimits: 19, backlog: 19000, qlen: 19 }],
])("tbf passes, keeps and drops as Linux does: %o", async (spec, stats) => {
  const { node, host } = await nic();
  deviceCalls(host).setQdisc("eth0", { kind: "tbf", ...spec });
  await burst(node, 20, 958, { ms: 1 });
  expect(deviceCalls(host).qdiscs("eth0")[0]!.stats).toMatchObject(stats);
});
