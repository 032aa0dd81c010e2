/** Packets that programs decide about: NFQUEUE and hook programs, at every hook and on a bridge. */
import { expect, test } from "vitest";
import { bindQueue, registerHook, type HeldPacket, type Hook, type Verdict } from "../../../src/kernel/queue.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import { packetsOf, sendDatagrams as send, twoPods as world, type TwoPods as World } from "../two-pods.ts";

useFullIptables();

/** The hook that a path passes, who sends to whom, and where. */
const PATHS: readonly (readonly [Hook, (w: World) => readonly [Netns, Netns, string]])[] = [
  ["PREROUTING", ({ a, b }) => [a, b, "10.0.2.2"]],
  ["FORWARD", ({ a, b }) => [a, b, "10.0.2.2"]],
  ["POSTROUTING", ({ a, b }) => [a, b, "10.0.2.2"]],
  ["INPUT", ({ a, host }) => [a, host, "10.0.1.1"]],
  ["OUTPUT", ({ host, b }) => [host, b, "10.0.2.2"]],
];

const udp = (packet: HeldPacket): boolean => packet.bytes[9] === 17;
const payload = (packet: HeldPacket): string => Buffer.from(packet.bytes.subarray(28)).toString();

for (const [hook, path] of PATHS) {
  test(`a program at ${hook} accepts, drops, repeats and keeps packets`, async () => {
    const w = await world();
    const [from, to, address] = path(w);
    const seen: string[] = [];
    const words: Record<string, Verdict> = { one: "accept", two: "drop", three: "stolen", four: "repeat" };
    const program = registerHook(w.host, { hook, priority: 5 }, (packet) => {
      if (!udp(packet)) return "accept";
      seen.push(payload(packet));
      const again = payload(packet) === "four" && seen.filter((text) => text === "four").length > 2;
      return again ? "accept" : words[payload(packet)]!;
    });
    expect(await send(w, from, to, address, ["one", "two", "three", "four"])).toEqual(["one", "four"]);
    expect(seen).toEqual(["one", "two", "three", "four", "four", "four"]);
    program.close();
    expect(await send(w, from, to, address, ["two"])).toEqual(["two"]);
  });

  test(`a rule at ${hook} queues; the listener answers at once, later, or not at all`, async () => {
    const w = await world();
    const [from, to, address] = path(w);
    w.host.iptables.restore(`*mangle\n-A ${hook} -p udp -m udp --dport 7000 -j NFQUEUE --queue-num 5\nCOMMIT\n*filter\nCOMMIT\n`);
    if (hook === "OUTPUT") await expect(send(w, from, to, address, ["nobody listens"])).rejects.toThrow("EPERM");
    else expect(await send(w, from, to, address, ["nobody listens"])).toEqual([]);
    const devices: unknown[] = [];
    const queue = bindQueue(w.host, 5, async (packet) => {
      devices.push([packet.in, packet.out]);
      if (payload(packet) === "late") await w.node.clock.sleep(20);
      return payload(packet) === "never" ? new Promise<Verdict>(() => undefined) : "accept";
    });
    expect(() => bindQueue(w.host, 5, () => "accept")).toThrow("EBUSY");
    expect(await send(w, from, to, address, ["now", "late", "never"])).toEqual(["now", "late"]);
    const inside = hook === "OUTPUT" ? undefined : "p-a";
    const out = hook === "PREROUTING" || hook === "INPUT" ? undefined : "p-b";
    expect(devices).toEqual([[inside, out], [inside, out], [inside, out]]);
    expect(queue.stats()).toEqual({ waiting: 1, dropped: 0, packets: 3 });
    expect(packetsOf(w.host.iptables, "mangle", hook)).toEqual([4]);
    queue.close();
  });
}

test("a bridged frame is held at each hook and goes on over the bridge", async () => {
  const w = await world(true);
  w.host.iptables.restore(["*mangle", ...["PREROUTING", "FORWARD", "POSTROUTING"].map((c, i) => `-A ${c} -p udp -j NFQUEUE --queue-num ${i}`), "COMMIT", ""].join("\n"));
  const seen: unknown[] = [];
  for (let i = 0; i < 3; i++) {
    bindQueue(w.host, i, async ({ hook, in: inside, out, physIn, physOut }) => {
      seen.push([hook, inside, out, physIn, physOut]);
      await w.node.clock.sleep(1);
      return "accept" as const;
    });
  }
  expect(await send(w, w.a, w.b, "10.0.1.3", ["over the bridge"])).toEqual(["over the bridge"]);
  expect(seen).toEqual([
    ["PREROUTING", "br0", undefined, "p-a", undefined],
    ["FORWARD", "br0", "br0", "p-a", "p-b"],
    ["POSTROUTING", undefined, "br0", "p-a", "p-b"],
  ]);
});

test("a packet may be rewritten, longer or shorter, and marked; it goes on behind the table", async () => {
  const w = await world();
  w.host.iptables.restore("*mangle\n-A FORWARD -p udp -j NFQUEUE --queue-num 1\n-A FORWARD\nCOMMIT\n*filter\n-A FORWARD -m mark --mark 7\nCOMMIT\n");
  bindQueue(w.host, 1, ({ bytes }) => {
    const text = Buffer.from(bytes.subarray(28)).toString();
    const long = text === "long" ? "x".repeat(1200) : "s";
    const packet = new Uint8Array(28 + long.length);
    packet.set(bytes.subarray(0, 28));
    packet.set(Buffer.from(long), 28);
    const view = new DataView(packet.buffer);
    view.setUint16(2, packet.length);
    view.setUint16(24, 8 + long.length);
    view.setUint16(26, 0);
    view.setUint16(10, 0);
    let sum = 0;
    for (let i = 0; i < 20; i += 2) sum += view.getUint16(i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(10, ~sum & 0xffff);
    return { verdict: "accept", mark: 7, packet };
  });
  expect(await send(w, w.a, w.b, "10.0.2.2", ["long", "something longer"])).toEqual(["x".repeat(1200), "s"]);
  expect(packetsOf(w.host.iptables, "mangle", "FORWARD")).toEqual([2, 0]);
  expect(packetsOf(w.host.iptables, "filter", "FORWARD")).toEqual([2]);
});

test("balance, bypass, another queue, fail-open and a full queue", async () => {
  const w = await world();
  const rule = (text: string): void => w.host.iptables.restore(`*filter\n-A FORWARD -p udp -j NFQUEUE ${text}\nCOMMIT\n`);
  rule("--queue-num 3 --queue-bypass");
  expect(await send(w, w.a, w.b, "10.0.2.2", ["bypassed"])).toEqual(["bypassed"]);

  rule("--queue-balance 10:13");
  const hit: number[] = [];
  const listeners = [10, 11, 12, 13].map((n) => bindQueue(w.host, n, () => (hit.push(n), "accept")));
  expect(await send(w, w.a, w.b, "10.0.2.2", ["1", "2"])).toEqual(["1", "2"]);
  expect(hit.length).toBe(2);
  expect(hit[0]).toBe(hit[1]); // by addresses: always the same queue
  for (const listener of listeners) listener.close();

  rule("--queue-num 20");
  bindQueue(w.host, 20, () => ({ queue: 21 }));
  bindQueue(w.host, 21, ({ bytes }) => (bytes.length === 30 ? "accept" : "drop"), { copyBytes: 30 });
  expect(await send(w, w.a, w.b, "10.0.2.2", ["handed on"])).toEqual(["handed on"]);

  rule("--queue-num 30");
  const full = bindQueue(w.host, 30, () => new Promise<Verdict>(() => undefined), { maxLength: 1 });
  expect(await send(w, w.a, w.b, "10.0.2.2", ["a", "b", "c"])).toEqual([]);
  expect(full.stats()).toEqual({ waiting: 1, dropped: 2, packets: 1 });
  full.close();
  bindQueue(w.host, 30, () => new Promise<Verdict>(() => undefined), { maxLength: 1, failOpen: true });
  expect(await send(w, w.a, w.b, "10.0.2.2", ["a", "b", "c"])).toEqual(["b", "c"]);
});

test("programs run in the order of priorities, among the tables", async () => {
  const w = await world();
  w.host.iptables.restore("*mangle\n-A FORWARD -m mark --mark 1 -j MARK --set-mark 2\nCOMMIT\n");
  const order: [number, number][] = [];
  const marked = (priority: number, mark?: number): void => {
    registerHook(w.host, { hook: "FORWARD", priority }, (packet) => {
      if (!udp(packet)) return "accept";
      order.push([priority, packet.mark]);
      return mark === undefined ? "accept" : { verdict: "accept", mark };
    });
  };
  marked(10);
  marked(-100);
  marked(-200, 1);
  expect(await send(w, w.a, w.b, "10.0.2.2", ["x"])).toEqual(["x"]);
  expect(order).toEqual([[-200, 0], [-100, 2], [10, 2]]);
});

test("a wrong word, an error, an end of a device or of the namespace drop what waits; nothing is left", async () => {
  const w = await world();
  w.host.iptables.restore("*filter\n-A FORWARD -p udp -j NFQUEUE --queue-num 1\nCOMMIT\n");
  const errors: string[] = [];
  const words: (() => unknown)[] = [
    () => { throw new Error("mine"); },
    () => "perhaps",
    () => ({ verdict: "accept", packet: new Uint8Array(3) }),
    () => ({ queue: 70_000 }),
    () => Promise.reject(new Error("later")),
  ];
  let n = 0;
  const queue = bindQueue(w.host, 1, () => words[n++]!() as Verdict, { onError: (error) => errors.push((error as Error).message) });
  expect(await send(w, w.a, w.b, "10.0.2.2", ["1", "2", "3", "4", "5"])).toEqual([]);
  expect(errors.length).toBe(5);
  queue.close();

  const held = bindQueue(w.host, 1, () => new Promise<Verdict>(() => undefined));
  await send(w, w.a, w.b, "10.0.2.2", ["x", "y"]);
  expect(held.stats().waiting).toBe(2);
  w.host.deleteLink("p-b");
  expect(held.stats().waiting).toBe(0);
  const loop = registerHook(w.host, { hook: "FORWARD", priority: 0 }, () => "repeat");
  await send(w, w.a, w.a, "10.0.9.9", ["for ever"]);
  loop.close();
  w.node.kernel.destroy();
});

test("the seventeenth program of a namespace is refused", async () => {
  const { host } = await world();
  const programs = Array.from({ length: 16 }, () => registerHook(host, { hook: "INPUT", priority: 0 }, () => "accept"));
  expect(() => registerHook(host, { hook: "INPUT", priority: 0 }, () => "accept")).toThrow("ENOSPC");
  programs[3]!.close();
  expect(() => registerHook(host, { hook: "INPUT", priority: 0 }, () => "accept")).not.toThrow();
});
