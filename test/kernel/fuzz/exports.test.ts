/**
 * The exports of kernel.wasm under fire, with assertions on: requests of every subsystem in any order while rules are loaded and
 * packets flow, namespaces and nodes that end in the middle, and a memory that is full. Nothing traps, and nothing is left behind.
 */
import { beforeAll, expect, test } from "vitest";
import { MAILBOX_BYTES, OP_NET, OP_NETFILTER, OP_SOCK } from "../../../assembly/abi/core.ts";
import { NF_REPLACE } from "../../../assembly/abi/netfilter.ts";
import { KernelInstance } from "../../../src/kernel/memory.ts";
import type { NetnsSockets } from "../../../src/kernel/socket-calls.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { createTestNode, kernelModule, type TestNode } from "../harness.ts";
import { dice, type Dice } from "./random.ts";
import { fromHex } from "./packets.ts";
import { createTraffic } from "./traffic.ts";
import { randomWorld, type World } from "./world.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const ROUNDS = Number(process.env["KUBEWIRE_FUZZ"] ?? 12);

beforeAll(() => kernelModule(), 240_000);

/** A node with a random world's links, addresses, routes and rules, as far as they can be set up. */
function furnish(node: TestNode, world: World): Map<string, number> {
  const { host } = node.kernel;
  const attempt = (run: () => unknown): void => {
    try {
      run();
    } catch {
      // No memory, or no such thing here: what matters is that the kernel lives.
    }
  };
  attempt(() => host.setLink("lo", { up: true }));
  attempt(() => host.setSysctl("net.ipv4.ip_forward", 1));
  for (const [name, link] of Object.entries(world.frame.interfaces)) {
    if (link.kind === "vxlan") continue;
    attempt(() => host.addLink(link.kind === "bridge" ? { kind: "bridge", name, mac: link.mac } : { kind: "nic", name, mac: link.mac }));
  }
  for (const [name, link] of Object.entries(world.frame.interfaces)) {
    if (link.kind === "vxlan") continue;
    attempt(() => host.setLink(name, link.master === undefined ? { up: true } : { up: true, master: link.master }));
    for (const cidr of link.addr ?? []) attempt(() => host.addAddress(name, cidr));
  }
  for (const { ip, mac, dev } of world.frame.neighbors ?? []) attempt(() => host.setNeigh({ dev, dst: ip, lladdr: mac, state: "PERMANENT" }));
  for (const route of world.frame.routes ?? []) attempt(() => host.addRoute(route as Parameters<typeof host.addRoute>[0]));
  attempt(() => host.iptables.restore(world.rules.iptables));
  for (const port of [7, 53]) attempt(() => host.sockets.udp({ local: { port } }));
  attempt(() => host.sockets.listen({ port: 80 }));
  const nics = new Map<string, number>();
  attempt(() => {
    for (const { name, ifindex } of host.links()) nics.set(name, ifindex);
  });
  return nics;
}

function send(node: TestNode, world: World, d: Dice, nics: Map<string, number>, count: number): void {
  for (const { in: dev, frame } of createTraffic(d, world).round(count, [], undefined)) {
    const ifindex = nics.get(dev);
    if (ifindex === undefined) continue;
    try {
      node.inject(ifindex, fromHex(frame));
    } catch {
      // The link has gone, or there is no memory for the frame.
    }
  }
}

/** A request of any subsystem with random words, some of them handles and ifindexes that exist. */
function request(node: TestNode, d: Dice, handles: readonly number[]): void {
  const { instance } = node.kernel.context;
  const op = d.pick([OP_NET, OP_NETFILTER, OP_SOCK]) + d.below(d.once(10) ? 256 : 48);
  const length = d.once(10) ? d.below(MAILBOX_BYTES + 100) : 16 + 4 * d.below(40);
  for (let at = 0; at < Math.min(length, 200); at += 4) {
    const word = d.once(2) ? 0 : d.once(2) ? d.below(20) : d.once(3) ? d.below(2 ** 32) : d.pick(handles);
    instance.view.setUint32(at, word, true);
  }
  if (!d.once(5)) instance.view.setUint32(0, d.pick(handles), true);
  const result = instance.command(node.kernel.handle, op, length, node.clock.nowNs());
  expect(Number.isInteger(result)).toBe(true);
}

test("requests of all subsystems in any order, rules and traffic and ends in between, trap nothing and leave nothing", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const d = dice(SEED, 77, round);
    const keeper = await createTestNode({ seed: 1 });
    const { instance } = keeper;
    // Caches and tables of the whole instance come with the first node.
    (await createTestNode({ instance, seed: 9 })).kernel.destroy();
    const used = instance.memory.buffer.byteLength;
    const takenBefore = keeper.kernel.memory().taken;
    for (let life = 0; life < 3; life++) {
      const node = await createTestNode({ instance, seed: 2 + life });
      const world = randomWorld(dice(SEED, 78, round, life), "fuzz");
      const nics = furnish(node, world);
      const handles = [hostHandle(node.kernel.context), 0, 0xffffffff, node.kernel.handle];
      for (let n = 0; n < 4; n++) {
        const pod = node.kernel.addNetns(`pod${n}`);
        handles.push((pod as unknown as { handle?: number }).handle ?? n);
        pod.setLink("lo", { up: true });
      }
      for (let step = 0; step < 60; step++) {
        if (d.once(2)) send(node, world, d, nics, 6);
        for (let n = d.below(12); n > 0; n--) request(node, d, handles);
        if (d.once(6)) await node.advance(d.below(3000));
        else node.run();
      }
      // Whatever is under way, queued or half open ends with the node.
      send(node, world, d, nics, 8);
      node.kernel.destroy();
    }
    await keeper.advance(1_000_000);
    // Slabs stay with the instance; what one life took the next ones use again.
    expect(keeper.kernel.memory().taken - takenBefore, `seed ${SEED} round ${round}`).toBeLessThan(1 << 20);
    expect(instance.memory.buffer.byteLength).toBeLessThanOrEqual(used + (4 << 20));
    keeper.kernel.destroy();
  }
}, 240_000);

test("a namespace with rules, connections, sockets, fragments and packets under way ends: every byte comes back", async () => {
  const node = await createTestNode({ seed: SEED });
  const { host } = node.kernel;
  host.setLink("lo", { up: true });
  host.addLink({ kind: "nic", name: "eth0", mac: "02:00:00:00:01:01" });
  host.setLink("eth0", { up: true });
  host.addAddress("eth0", "10.0.1.1/24");
  host.setSysctl("net.ipv4.ip_forward", 1);
  const nic = host.link("eth0")!.ifindex;
  const life = async (number: number): Promise<number> => {
    const d = dice(SEED, 84, number);
    const world = randomWorld(dice(SEED, 85, number), "fuzz");
    const pod = node.kernel.addNetns("pod");
    host.addLink({ kind: "veth", name: "veth0", peer: { name: "eth0", netns: pod, mac: "02:00:00:00:04:01" } });
    host.setLink("veth0", { up: true });
    host.addAddress("veth0", "10.9.0.1/24");
    pod.setLink("lo", { up: true });
    pod.setLink("eth0", { up: true });
    pod.addAddress("eth0", "10.9.0.2/24");
    for (const address of world.own) pod.addAddress("eth0", `${address}/32`);
    pod.addRoute({ dst: "default", via: "10.9.0.1" });
    pod.setSysctl("net.ipv4.ip_forward", 1);
    for (const dst of ["10.0.2.0/23", "10.96.0.0/16", "8.8.8.0/24", "192.168.0.0/16"]) host.addRoute({ dst, via: "10.9.0.2" });
    try {
      pod.iptables.restore(world.rules.iptables);
    } catch {
      // A rule set that this kernel does not take: the traffic alone, then.
    }
    pod.sockets.listen({ port: 80 });
    pod.sockets.udp({ local: { port: 53 } });
    for (let step = 0; step < 12; step++) {
      for (const { in: dev, frame } of createTraffic(d, world).round(20, [], undefined)) {
        if (dev !== "local") node.inject(nic, Uint8Array.from([2, 0, 0, 0, 1, 1, ...fromHex(frame).subarray(6)]));
      }
      await node.advance(d.below(300));
    }
    // What is in the backlog, waits for a neighbour or for its other fragments, goes with the namespace.
    for (const { in: dev, frame } of createTraffic(d, world).round(10, [], undefined)) if (dev !== "local") node.inject(nic, fromHex(frame));
    pod.delete();
    await node.advance(800_000);
    return node.kernel.memory().used;
  };
  // The host's own tables (neighbours that it learned) fill in the first pass; the second leaves it as the first did.
  const pass = async (): Promise<number> => {
    let used = 0;
    for (let number = 1; number <= ROUNDS; number++) used = await life(number);
    return used;
  };
  const start = await pass();
  expect(await pass(), `seed ${SEED}`).toBe(start);
  expect((host.sockets as NetnsSockets).stats().skbs).toBe(0);
  node.kernel.destroy();
}, 240_000);

test("a memory that is full: requests fail, packets are dropped, nothing traps, and it goes on when there is room", async () => {
  for (let round = 0; round < Math.ceil(ROUNDS / 3); round++) {
    const d = dice(SEED, 79, round);
    // A memory that ends early.
    const memory = new WebAssembly.Memory({ initial: 4, maximum: d.from(48, 96), shared: true });
    const instance = new KernelInstance(await kernelModule(), memory);
    const node = await createTestNode({ instance });
    const world = randomWorld(dice(SEED, 80, round), "fuzz");
    const nics = furnish(node, world);
    const handles = [hostHandle(node.kernel.context)];
    let refused = 0;
    // Namespaces until no more are had; then half of them go.
    const pods: string[] = [];
    try {
      while (pods.length < 5000) {
        node.kernel.addNetns(`pod${pods.length}`);
        pods.push(`pod${pods.length}`);
      }
    } catch (error) {
      expect(String(error)).toMatch(/ENOMEM|Cannot allocate/);
      refused++;
    }
    expect(refused).toBe(1);
    for (let n = 0; n < 400; n++) {
      send(node, world, d, nics, 4);
      for (let i = 0; i < 8; i++) request(node, d, handles);
      if (n % 8 === 0) await node.advance(d.below(200));
      else node.run();
    }
    node.kernel.destroy();
    const again = await createTestNode({ instance });
    expect(again.kernel.host.links().map(({ name }) => name)).toEqual(["lo"]);
    again.kernel.destroy();
  }
}, 240_000);

test("rules that are replaced while packets flow are the old ones or the new ones, never a mix", async () => {
  const node = await createTestNode({ seed: SEED });
  const { host } = node.kernel;
  for (const [name, n] of [["eth0", 1], ["eth1", 2]] as const) {
    host.addLink({ kind: "nic", name, mac: `02:00:00:00:0${n}:01` });
    host.setLink(name, { up: true });
    host.addAddress(name, `10.0.${n}.1/24`);
  }
  host.setNeigh({ dev: "eth1", dst: "10.0.2.10", lladdr: "02:00:00:00:02:0a", state: "PERMANENT" });
  host.setSysctl("net.ipv4.ip_forward", 1);
  // Each generation marks in two rules of two chains; what leaves shows both parts in its TOS.
  const rules = (generation: number): string =>
    `*mangle\n:A - [0:0]\n-A FORWARD -j TOS --set-tos ${generation << 4}/0xf0\n-A FORWARD -j A\n-A A -j TOS --set-tos ${generation}/0x0f\nCOMMIT\n`;
  const frame = fromHex("02000000010102000000010a080045000021100100003f1154ae0a00010a0a00020a045708ae000d97df68656c6c6f");
  const sum = (bytes: Uint8Array): void => {
    bytes[24] = bytes[25] = 0;
    let total = 0;
    for (let i = 14; i < 34; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    bytes[24] = (~total >> 8) & 255;
    bytes[25] = ~total & 255;
  };
  sum(frame);
  const d = dice(SEED, 81);
  let seen = 0;
  for (let generation = 1; generation < 300; generation++) {
    const low = 1 + (generation % 15);
    const batch = d.from(1, 40);
    for (let n = 0; n < batch; n++) {
      node.inject(host.link("eth0")!.ifindex, frame);
      // The change comes between any two packets, some of which wait in the backlog.
      if (n === batch >> 1) host.iptables.restore(rules(low));
      if (d.once(5)) node.run();
    }
    node.run();
    for (const { bytes } of node.takeFrames()) {
      if (bytes[12] !== 8 || bytes[13] !== 0) continue;
      seen++;
      expect(bytes[15]! >> 4).toBe(bytes[15]! & 15);
    }
  }
  expect(seen).toBeGreaterThan(2000);
  node.kernel.destroy();
});

test("a rule set that fails changes nothing of that table, and the line is named", async () => {
  const node = await createTestNode({ seed: SEED });
  const { host } = node.kernel;
  const wrong = [
    "-A FORWARD -j NOWHERE", "-A NOWHERE -j ACCEPT", "-A FORWARD --no-such-option", "-A FORWARD -p tcp -m tcp --dport 70000 -j ACCEPT",
    "-A FORWARD -s 10.0.0.0/33 -j DROP", "-A FORWARD -m nosuchmatch -j DROP", "-A INPUT -o eth0 -j ACCEPT", "garbage", "-A FORWARD -j DNAT --to-destination 1.2.3.4",
    "-A FORWARD -m limit --limit nonsense -j DROP", "-I FORWARD 99 -j DROP", "-D FORWARD -s 1.2.3.4 -j DROP", "-P NOWHERE DROP",
  ];
  for (let round = 0; round < 150; round++) {
    const d = dice(SEED, 82, round);
    const good = (n: number): string[] => Array.from({ length: n }, () => `-A ${d.pick(["INPUT", "FORWARD", "A"])} -s 10.${d.below(256)}.0.0/16 -j ${d.pick(["ACCEPT", "DROP"])}`);
    host.iptables.restore(`*filter\n:A - [0:0]\n${good(d.below(10)).join("\n")}\nCOMMIT\n*mangle\n-A FORWARD -j MARK --set-mark 0x1\nCOMMIT\n`);
    const before = host.iptables.save({ table: "filter" }).replace(/^#.*\n/gm, "");
    const first = good(d.below(20));
    const bad = d.pick(wrong);
    const text = ["*filter", ":A - [0:0]", ":B - [0:0]", ...first, bad, ...good(d.below(5)), "COMMIT"];
    let message = "";
    try {
      host.iptables.restore(`${text.join("\n")}\n`, { noflush: d.once(2) });
    } catch (error) {
      message = (error as Error).message;
    }
    // The tool finds some mistakes when it reads the line, others when the kernel refuses at COMMIT.
    const line = /line:? (\d+)/.exec(message);
    expect(line, `${bad}: ${message}`).not.toBeNull();
    expect([text.indexOf(bad) + 1, text.length], `${bad}: ${message}`).toContain(Number(line![1]));
    expect(host.iptables.save({ table: "filter" }).replace(/^#.*\n/gm, ""), bad).toBe(before);
  }
  // The kernel's own check: a blob that is refused leaves the table that is there.
  const { instance } = node.kernel.context;
  const before = host.iptables.save({ table: "filter" });
  for (let round = 0; round < 500; round++) {
    const d = dice(SEED, 83, round);
    instance.upload(Uint8Array.from({ length: d.from(1, 300) }, () => (d.once(3) ? d.below(256) : 0)));
    instance.view.setUint32(0, hostHandle(node.kernel.context), true);
    instance.view.setUint32(4, 3, true);
    instance.view.setUint32(8, 0, true);
    if (instance.command(node.kernel.handle, NF_REPLACE, 12, node.clock.nowNs()) < 0) continue;
    throw new Error("a random blob was taken");
  }
  expect(host.iptables.save({ table: "filter" }).replace(/^#.*\n/gm, "")).toBe(before.replace(/^#.*\n/gm, ""));
  node.kernel.destroy();
});
