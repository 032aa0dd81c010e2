/**
 * No bytes and no order of requests trap the kernel (assertions on), and every frame is accounted for: what came in was
 * sent, delivered or counted as dropped, and no packet buffer is lost.
 */
import { expect, test } from "vitest";
import { EBADF } from "../../../assembly/abi/core.ts";
import * as abi from "../../../assembly/abi/net.ts";
import { createTestNode, type TestNode } from "../harness.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

/** xorshift32: the seed is all there is to a run. */
function generator(seed: number): (below: number) => number {
  let x = seed >>> 0 || 1;
  return (below) => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % below;
  };
}

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

function checksum(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i += 2) sum += ((bytes[i] ?? 0) << 8) | (i + 1 < to ? bytes[i + 1]! : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Makes the IPv4 header's checksum right, so that the mutation gets further than the first test. */
function fixIp(frame: Uint8Array, at: number): void {
  const length = Math.min(((frame[at] ?? 0) & 15) * 4, frame.length - at);
  if (length < 20) return;
  frame[at + 10] = 0;
  frame[at + 11] = 0;
  const sum = checksum(frame, at, at + length);
  frame[at + 10] = sum >> 8;
  frame[at + 11] = sum & 255;
}

/** Two NICs, a bridge with a NIC and a namespace behind it, VXLAN over the first NIC, routes, connection-free. */
async function bigNode(): Promise<{ node: TestNode; nics: number[] }> {
  const node = await createTestNode({ seed: SEED });
  const { host } = node.kernel;
  host.setLink("lo", { up: true });
  host.setSysctl("net.ipv4.ip_forward", 1);
  for (const [name, mac] of [["eth0", "02:00:00:00:01:01"], ["eth1", "02:00:00:00:02:01"], ["eth2", "02:00:00:00:03:01"]] as const) {
    host.addLink({ kind: "nic", name, mac });
    host.setLink(name, { up: true });
  }
  host.addAddress("eth0", "10.0.1.1/24");
  host.addAddress("eth1", "10.0.2.1/24");
  host.addLink({ kind: "bridge", name: "br0" });
  host.setLink("eth2", { master: "br0" });
  host.setLink("br0", { up: true });
  host.addAddress("br0", "10.244.1.1/24");
  const pod = node.kernel.addNetns("pod");
  host.addLink({ kind: "veth", name: "veth0", peer: { name: "eth0", netns: pod, mac: "02:00:00:00:04:01" } });
  host.setLink("veth0", { up: true, master: "br0", hairpin: true });
  pod.setLink("lo", { up: true });
  pod.setLink("eth0", { up: true });
  pod.addAddress("eth0", "10.244.1.7/24");
  pod.addRoute({ dst: "default", via: "10.244.1.1" });
  host.addLink({
    kind: "vxlan", name: "vx0", mac: "02:00:00:00:05:01", vni: 42, local: "10.0.1.1", dev: "eth0", dstPort: 8472, learning: true,
  });
  host.setLink("vx0", { up: true });
  host.addAddress("vx0", "10.244.1.0/32");
  host.setFdb({ dev: "vx0", lladdr: "00:00:00:00:00:00", dst: "10.0.1.20", append: true });
  host.setNeigh({ dev: "vx0", dst: "10.244.2.0", lladdr: "02:00:00:00:05:02" });
  host.addRoute({ dst: "10.244.2.0/24", via: "10.244.2.0", dev: "vx0", onlink: true });
  host.setNeigh({ dev: "eth1", dst: "10.0.2.20", lladdr: "02:00:00:00:02:14" });
  await node.settle();
  return { node, nics: ["eth0", "eth1", "eth2"].map((name) => host.link(name)!.ifindex) };
}

const SAMPLES = [
  // UDP to be forwarded, ICMP echo to us, ARP, a fragment, VXLAN with UDP inside, echo with options, to the pod
  "02000000010102000000010a080045000021100100003f1154ae0a00010a0a000214045708ae000d97df68656c6c6f",
  "02000000010102000000010a080045000024100300003f0155cc0a00010a0a000101080065f2007700016162636465666768",
  "ffffffffffff02000000010a0806000108000604000102000000010a0a00010a0000000000000a000101",
  "02000000010102000000010a080045000024100320003f0135b90a00010a0a000214080065f2007700016162636465666768",
  "02000000010102000000010a0800450000530001000040116285" + "0a000114" + "0a000101" + "c0002118003f0000" + "0800000000002a00"
    + "02000000050102000000050208004500002110010000" + "3e1154c70af40207" + "0af4010703e80035000d9fe068656c6c6f",
  "02000000010102000000010a080048000030100300003f0155cc0a00010a0a000101" + "070b04000000000000000000" + "080065f2007700016162636465666768",
  "02000000030102000000030a080045000021100100003f1154ae0af401090af40107045708ae000d97df68656c6c6f",
  "02000000040102000000030a080045000021100100003f1154ae0af401090af40107045708ae000d97df68656c6c6f",
].map(hex);

function mutate(random: (below: number) => number): Uint8Array {
  let frame: Uint8Array;
  if (random(8) === 0) {
    frame = new Uint8Array(random(random(4) === 0 ? 4000 : 120));
    for (let i = 0; i < frame.length; i++) frame[i] = random(256);
    return frame;
  }
  const sample = SAMPLES[random(SAMPLES.length)]!;
  frame = sample.slice(0, random(3) === 0 ? random(sample.length + 1) : sample.length);
  if (random(6) === 0) {
    const longer = new Uint8Array(frame.length + random(3000));
    longer.set(frame);
    frame = longer;
  }
  for (let i = random(4); i > 0 && frame.length > 0; i--) frame[random(Math.min(frame.length, 90))] = random(256);
  if (random(2) === 0 && frame.length > 17) {
    const total = frame.length - 14;
    frame[16] = total >> 8;
    frame[17] = total & 255;
  }
  if (random(8) !== 0) fixIp(frame, 14);
  return frame;
}

test("frames of every length and shape are handled or counted, never a trap, and no buffer is lost", async () => {
  const { node, nics } = await bigNode();
  const random = generator(SEED);
  for (let length = 0; length <= 1600; length++) {
    const frame = new Uint8Array(length).fill(length & 255);
    frame.set(SAMPLES[length % SAMPLES.length]!.subarray(0, length));
    node.inject(nics[length % 3]!, frame);
    if (length % 50 === 0) node.run();
  }
  for (let round = 0; round < 20_000; round++) {
    node.inject(nics[random(3)]!, mutate(random));
    if (random(40) === 0) node.run();
    if (random(400) === 0) await node.advance(random(2000));
  }
  await node.advance(120_000); // neighbours fail, fragments time out
  const { host } = node.kernel;
  const drops = Object.values(host.drops()).reduce((sum, count) => sum + count, 0);
  expect(drops).toBeGreaterThan(1000);
  for (const { name, up } of host.links()) expect([name, up]).toEqual([name, true]);
  // All packets have gone: what memory is in use now is tables, and the same flood again does not add to it for ever.
  const before = node.kernel.memory().taken;
  for (let round = 0; round < 20_000; round++) {
    node.inject(nics[random(3)]!, mutate(random));
    if (random(40) === 0) node.run();
  }
  await node.advance(120_000);
  expect(node.kernel.memory().taken).toBeLessThan(before * 2);
}, 120_000);

test("requests with any bytes are refused or obeyed, never a trap", async () => {
  const { node } = await bigNode();
  const random = generator(SEED + 7);
  const { context, host } = node.kernel;
  const handles = [context.command(abi.NET_NETNS_HOST, 0)];
  let obeyed = 0;
  for (let round = 0; round < 40_000; round++) {
    const op = abi.NET_NETNS_HOST + random(0x20);
    if (op === abi.NET_NETNS_ADD && handles.length > 6) continue;
    // Ends are rarer than beginnings, or there would be nothing to work on.
    if ((op === abi.NET_NETNS_DELETE || op === abi.NET_LINK_DELETE) && random(4) !== 0) continue;
    const { u8, view } = context.instance;
    const bytes = random(4) === 0 ? random(140) : 112;
    for (let i = 0; i < bytes; i++) u8[i] = random(3) === 0 ? random(256) : 0;
    if (random(20) !== 0) view.setUint32(0, handles[random(handles.length)]!, true);
    if (random(3) !== 0) view.setUint32(4, random(14), true);
    if (random(2) === 0) view.setUint32(8, random(8), true);
    if (op === abi.NET_LINK_ADD && random(4) !== 0) {
      view.setUint32(4, 2 + random(4), true);
      u8.fill(0, 16, 32);
      u8[16] = 97 + random(20);
      u8.fill(0, 48, 64);
      u8[48] = 117 + random(5);
      view.setUint32(12, random(3) === 0 ? random(70000) : 0, true);
      view.setUint32(40, random(2) === 0 ? 0 : handles[random(handles.length)]!, true);
      view.setUint32(44, 0, true);
      view.setUint32(96, random(3) === 0 ? random(8) : 0, true);
    }
    if (op === abi.NET_LINK_SET) view.setUint32(8, 1 << random(7), true);
    if ((op === abi.NET_ADDRESS_ADD || op === abi.NET_NEIGH_SET) && random(4) !== 0) {
      u8.fill(0, 16, 26);
      u8[26] = u8[27] = 255;
      if (op === abi.NET_ADDRESS_ADD) view.setUint32(8, 96 + random(33), true);
    }
    if ((op === abi.NET_ROUTE_ADD || op === abi.NET_ROUTE_DELETE) && random(4) !== 0) {
      for (const at of [48, 64, 80]) {
        u8.fill(0, at, at + 16);
        if (at === 64 && random(2) === 0) continue;
        u8[at + 10] = u8[at + 11] = 255;
        u8[at + 12] = 10;
      }
      view.setUint32(16, 96 + 8 * random(5), true);
      view.setUint32(20, 255, true);
    }
    if (op === abi.NET_LINK_SET && random(2) === 0) {
      view.setUint32(20, random(14), true);
      view.setUint32(24, handles[random(handles.length)]!, true);
      view.setUint32(8, 1 << random(7), true);
    }
    const result = context.command(op, bytes, "fuzz", true);
    if (op === abi.NET_NETNS_ADD && result > 0) handles.push(result);
    if (result === -EBADF && handles.length > 1 && random(8) === 0) handles.splice(1 + random(handles.length - 1), 1);
    obeyed += result >= 0 ? 1 : 0;
    if (random(10) === 0) {
      const nic = host.links().find(({ kind }) => kind === "nic");
      if (nic !== undefined) node.inject(nic.ifindex, mutate(random));
    }
    if (random(100) === 0) await node.advance(random(3000));
  }
  await node.advance(60_000);
  expect(obeyed).toBeGreaterThan(10_000);
  expect(host.links().length).toBeGreaterThan(0);
}, 120_000);
