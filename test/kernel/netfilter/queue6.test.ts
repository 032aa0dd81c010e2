/** Packets of IPv6 that programs decide about: ip6tables' NFQUEUE, nft's queue and hook programs, at every hook. */
import { expect, test } from "vitest";
import { bindQueue, registerHook, type HeldPacket, type Hook, type Verdict } from "../../../src/kernel/queue.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { nftOf } from "../../../src/kernel/nft/index.ts";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import { packetsOf, sendDatagrams as send, twoPods6 as world, type TwoPods as World } from "../two-pods.ts";

useFullIptables();

/** The hook that a path passes, who sends to whom, and where. */
const PATHS: readonly (readonly [Hook, (w: World) => readonly [Netns, Netns, string]])[] = [
  ["PREROUTING", ({ a, b }) => [a, b, "2001:db8:2::2"]],
  ["FORWARD", ({ a, b }) => [a, b, "2001:db8:2::2"]],
  ["POSTROUTING", ({ a, b }) => [a, b, "2001:db8:2::2"]],
  ["INPUT", ({ a, host }) => [a, host, "2001:db8:1::1"]],
  ["OUTPUT", ({ host, b }) => [host, b, "2001:db8:2::2"]],
];

const HEADERS = 48;
const udp = (packet: HeldPacket): boolean => packet.bytes[6] === 17;
const payload = (packet: HeldPacket): string => Buffer.from(packet.bytes.subarray(HEADERS)).toString();

for (const [hook, path] of PATHS) {
  test(`a program at ${hook} accepts, drops, repeats and keeps packets, of its family alone`, async () => {
    const w = await world();
    const [from, to, address] = path(w);
    const seen: string[] = [];
    const words: Record<string, Verdict> = { one: "accept", two: "drop", three: "stolen", four: "repeat" };
    const other = registerHook(w.host, { hook, priority: 4 }, () => "drop");
    const program = registerHook(w.host, { hook, priority: 5, family: "ipv6" }, (packet) => {
      expect(packet.protocol).toBe(0x86dd);
      if (!udp(packet)) return "accept";
      seen.push(payload(packet));
      const again = payload(packet) === "four" && seen.filter((text) => text === "four").length > 2;
      return again ? "accept" : words[payload(packet)]!;
    });
    expect(await send(w, from, to, address, ["one", "two", "three", "four"])).toEqual(["one", "four"]);
    expect(seen).toEqual(["one", "two", "three", "four", "four", "four"]);
    program.close();
    expect(await send(w, from, to, address, ["two"])).toEqual(["two"]);
    other.close();
  });

  test(`ip6tables and nft queue at ${hook}; the listener answers at once, later, or not at all`, async () => {
    const w = await world();
    const [from, to, address] = path(w);
    w.host.ip6tables!.restore(`*mangle\n-A ${hook} -p udp -m udp --dport 7000 -j NFQUEUE --queue-num 5\nCOMMIT\n*filter\nCOMMIT\n`);
    if (hook === "OUTPUT") await expect(send(w, from, to, address, ["nobody listens"])).rejects.toThrow("EPERM");
    else expect(await send(w, from, to, address, ["nobody listens"])).toEqual([]);
    nftOf(w.host).run(`table inet t { chain c { type filter hook ${hook.toLowerCase()} priority 150; udp dport 7000 queue to 6; }; }`);
    const devices: unknown[] = [];
    const queue = bindQueue(w.host, 5, async (packet) => {
      devices.push([packet.in, packet.out]);
      if (payload(packet) === "late") await w.node.clock.sleep(20);
      return payload(packet) === "never" ? new Promise<Verdict>(() => undefined) : "accept";
    });
    const second = bindQueue(w.host, 6, () => "accept");
    expect(await send(w, from, to, address, ["now", "late", "never"])).toEqual(["now", "late"]);
    const inside = hook === "OUTPUT" ? undefined : "p-a";
    const out = hook === "PREROUTING" || hook === "INPUT" ? undefined : "p-b";
    expect(devices).toEqual([[inside, out], [inside, out], [inside, out]]);
    expect(queue.stats()).toEqual({ waiting: 1, dropped: 0, packets: 3 });
    expect(second.stats()).toEqual({ waiting: 0, dropped: 0, packets: 2 });
    expect(packetsOf(w.host.ip6tables, "mangle", hook)).toEqual([4]);
    queue.close();
  });
}

/** The packet with another payload; UDP's checksum by RFC 8200 section 8.1. */
function rewritten(bytes: Uint8Array, text: string): Uint8Array {
  const packet = new Uint8Array(HEADERS + text.length);
  packet.set(bytes.subarray(0, HEADERS));
  packet.set(Buffer.from(text), HEADERS);
  const view = new DataView(packet.buffer);
  view.setUint16(4, 8 + text.length);
  view.setUint16(44, 8 + text.length);
  view.setUint16(46, 0);
  let sum = 17 + 8 + text.length;
  for (let i = 8; i < packet.length; i += 2) sum += i + 1 < packet.length ? view.getUint16(i) : view.getUint8(i) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(46, ~sum & 0xffff);
  return packet;
}

test("a packet may be rewritten, longer or shorter, and marked; what is no packet of IPv6 is refused", async () => {
  const w = await world();
  w.host.ip6tables!.restore("*mangle\n-A FORWARD -p udp -j NFQUEUE --queue-num 1\n-A FORWARD -p udp\nCOMMIT\n*filter\n-A FORWARD -m mark --mark 7\nCOMMIT\n");
  const errors: string[] = [];
  const hopOptions = (bytes: Uint8Array): Uint8Array => {
    const packet = bytes.slice(0, 48);
    packet[5] = 8;
    packet[6] = 0;
    packet[41] = 200; // more than there is
    return packet;
  };
  bindQueue(w.host, 1, (packet) => {
    const text = payload(packet);
    const bytes = text === "short" ? new Uint8Array(20) : text === "old" ? Uint8Array.from([0x45, ...packet.bytes.subarray(1)])
      : text === "cut" ? packet.bytes.subarray(0, 50) : text === "hop" ? hopOptions(packet.bytes) : rewritten(packet.bytes, text === "long" ? "x".repeat(1200) : "s");
    return { verdict: "accept", mark: 7, packet: bytes };
  }, { onError: (error) => errors.push((error as Error).message) });
  expect(await send(w, w.a, w.b, "2001:db8:2::2", ["long", "something longer", "short", "old", "cut", "hop"])).toEqual(["x".repeat(1200), "s"]);
  expect(errors.length).toBe(4);
  expect(packetsOf(w.host.ip6tables, "mangle", "FORWARD")).toEqual([6, 0]);
  expect(packetsOf(w.host.ip6tables, "filter", "FORWARD")).toEqual([2]);
});

test("a new destination in OUTPUT means a new route", async () => {
  const w = await world();
  w.host.ip6tables!.restore("*mangle\n-A POSTROUTING -o p-b -p udp\n-A POSTROUTING -o p-a -p udp\nCOMMIT\n");
  registerHook(w.host, { hook: "OUTPUT", priority: 0, family: "ipv6" }, (packet) => {
    if (!udp(packet)) return "accept";
    const bytes = packet.bytes.slice();
    bytes.set([0x20, 0x01, 0x0d, 0xb8, 0, 1], 24); // to a, not b
    return { verdict: "accept", packet: rewritten(bytes, payload(packet)) };
  });
  expect(await send(w, w.host, w.a, "2001:db8:2::2", ["moved"])).toEqual(["moved"]);
  expect(packetsOf(w.host.ip6tables, "mangle", "POSTROUTING")).toEqual([0, 1]);
});

test("a bypassed queue goes on with the next table, and connections are confirmed; balance; fragments are held whole", async () => {
  const w = await world();
  w.host.ip6tables!.restore("*filter\n-A FORWARD -p udp -j NFQUEUE --queue-num 3 --queue-bypass\n-A FORWARD -p udp\nCOMMIT\n"
    + "*security\n-A FORWARD -p udp\nCOMMIT\n*mangle\n-A POSTROUTING -p udp -m conntrack --ctstate NEW\nCOMMIT\n");
  expect(await send(w, w.a, w.b, "2001:db8:2::2", ["bypassed"])).toEqual(["bypassed"]);
  expect(packetsOf(w.host.ip6tables, "filter", "FORWARD")).toEqual([1, 0]);
  expect(packetsOf(w.host.ip6tables, "security", "FORWARD")).toEqual([1]);
  expect(packetsOf(w.host.ip6tables, "mangle", "POSTROUTING")).toEqual([1]);

  const big = "y".repeat(3000);
  const lengths: number[] = [];
  const queue = bindQueue(w.host, 3, async ({ length }) => {
    lengths.push(length);
    await w.node.clock.sleep(1);
    return "accept" as const;
  });
  expect(await send(w, w.a, w.b, "2001:db8:2::2", [big])).toEqual([big]);
  expect(lengths).toEqual([3048]);
  queue.close();

  w.host.ip6tables!.restore("*filter\n-A FORWARD -p udp -j NFQUEUE --queue-balance 10:13\nCOMMIT\n");
  const hit: number[] = [];
  for (const n of [10, 11, 12, 13]) bindQueue(w.host, n, () => (hit.push(n), "accept"));
  expect(await send(w, w.a, w.b, "2001:db8:2::2", ["1", "2"])).toEqual(["1", "2"]);
  expect(hit.length).toBe(2);
  expect(hit[0]).toBe(hit[1]);
});

test("a group's packet that loops back is held, too, and comes in once it is let go", async () => {
  const w = await world();
  const held: string[] = [];
  registerHook(w.host, { hook: "POSTROUTING", priority: 0, family: "ipv6" }, async (packet): Promise<Verdict> => {
    if (!udp(packet)) return "accept";
    held.push(payload(packet));
    await w.node.clock.sleep(5);
    return "accept";
  });
  expect(await send(w, w.host, w.host, "ff02::1%p-a", ["to all"])).toEqual(["to all"]);
  expect(held).toEqual(["to all", "to all"]);
});

test("what waits goes with its device and its namespace", async () => {
  const w = await world();
  w.host.ip6tables!.restore("*filter\n-A FORWARD -p udp -j NFQUEUE --queue-num 1\nCOMMIT\n");
  const held = bindQueue(w.host, 1, () => new Promise<Verdict>(() => undefined));
  await send(w, w.a, w.b, "2001:db8:2::2", ["x", "y"]);
  expect(held.stats().waiting).toBe(2);
  w.host.deleteLink("p-b");
  expect(held.stats().waiting).toBe(0);
  await send(w, w.a, w.host, "2001:db8:1::1", ["z"]);
  w.node.kernel.destroy();
});
