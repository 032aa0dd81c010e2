/**
 * No growth under a flood: bursts of packets of new and established flows, through rules, neighbours and connections that are replaced all
 * the time, leave memory where it was. `KUBEWIRE_GROWTH` says how many packets (10^8 takes some minutes); the arithmetic is printed.
 */
import { beforeAll, expect, test } from "vitest";
import { CORE_DELIVER_MANY, CORE_OUTBOX } from "../../../assembly/abi/core.ts";
import { createTestNode, kernelModule } from "../harness.ts";
import { fixHeader, fixL4, put16, put32 } from "./packets.ts";
import { dice } from "./random.ts";

const PACKETS = Number(process.env["KUBEWIRE_GROWTH"] ?? 10_000_000);
const PARTS = 10;
const BURST = 64;
const FLOWS = 65_536;
/** Packets between two changes of the rules, and between two steps of the clock. */
const PER_RULES = 200_000;
const PER_STEP = 20_000;
const SLAB = 65_536;
const LENGTH = 60;
const RECORD = 4 + LENGTH;

beforeAll(() => kernelModule("release"), 240_000);

const RULES = (n: number): string => {
  const services = Array.from({ length: 16 }, (_, i) => i);
  return (
    `*mangle\n-A FORWARD -m statistic --mode nth --every ${1 + (n % 5)} --packet 0 -s 10.0.1.${10 + (n % 3)}/32 -j MARK --set-mark 0x${n % 16}\nCOMMIT\n` +
    `*nat\n${services.map((i) => `:SVC-${i} - [0:0]\n`).join("")}${services.map((i) => `-A PREROUTING -d 10.96.0.${i}/32 -p udp -m udp --dport 80 -j SVC-${i}\n-A SVC-${i} -p udp -j DNAT --to-destination 10.0.2.${10 + (i % 4)}:${5000 + (n % 50)}\n`).join("")}-A POSTROUTING -o eth1 -s 10.0.1.12/32 -j MASQUERADE\nCOMMIT\n` +
    `*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -m recent --name r${n % 3} --set\nCOMMIT\n`
  );
};

test(`${PACKETS} packets in bursts leave memory where it was`, { timeout: 6 * 3600_000 }, async () => {
  const node = await createTestNode({ seed: 1, build: "release" });
  const { instance, kernel, clock } = node;
  const { host } = kernel;
  for (const [name, n] of [["eth0", 1], ["eth1", 2]] as const) {
    host.addLink({ kind: "nic", name, mac: `02:00:00:00:0${n}:01` });
    host.setLink(name, { up: true });
    host.addAddress(name, `10.0.${n}.1/24`);
    for (let i = 10; i < 14; i++) host.setNeigh({ dev: name, dst: `10.0.${n}.${i}`, lladdr: `02:00:00:00:0${n}:${i}`, state: "PERMANENT" });
  }
  host.setSysctl("net.ipv4.ip_forward", 1);
  // Flows end while others begin.
  for (const name of ["udp_timeout", "udp_timeout_stream"]) host.setSysctl(`net.netfilter.nf_conntrack_${name}`, 4);
  const nics = [host.link("eth0")!.ifindex, host.link("eth1")!.ifindex] as const;

  const d = dice(11);
  /** Requests of clients to services, and what the backends answer. */
  const frames = [0, 1].map((back) => {
    const bytes = new Uint8Array(FLOWS * RECORD);
    for (let flow = 0; flow < FLOWS; flow++) {
      const at = flow * RECORD;
      new DataView(bytes.buffer).setUint32(at, LENGTH, true);
      const frame = bytes.subarray(at + 4, at + RECORD);
      frame.set([2, 0, 0, 0, back + 1, 1, 2, 0, 0, 0, back + 1, 10, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 63, 17]);
      const ip = frame.subarray(14);
      const [client, service, port] = [0x0a00010a + (flow & 3), flow & 15, 1024 + (flow >> 2)];
      put32(ip, 12, back ? 0x0a00020a + (service % 4) : client);
      put32(ip, 16, back ? client : 0x0a600000 + service);
      put16(ip, 20, back ? 5000 + d.below(50) : port);
      put16(ip, 22, back ? port : 80);
      put16(ip, 24, 26);
      fixHeader(ip);
      fixL4(ip);
    }
    return bytes;
  });

  let sent = 0;
  let out = 0;
  let rules = 0;
  const burst = (nic: number, from: number): void => {
    instance.view.setUint32(0, nics[nic]!, true);
    instance.view.setUint32(4, BURST, true);
    instance.u8.set(frames[nic]!.subarray(from * RECORD, (from + BURST) * RECORD), 8);
    let now = clock.nowNs();
    instance.command(kernel.context.handle, CORE_DELIVER_MANY, 8 + BURST * RECORD, now);
    now = instance.run(kernel.context.handle, now).nowNs;
    out += instance.command(kernel.context.handle, CORE_OUTBOX, 0, now) / ((16 + LENGTH + 7) & ~7);
    sent += BURST;
  };
  const flood = async (count: number): Promise<{ used: number; taken: number }> => {
    let step = sent;
    for (const end = sent + count; sent < end;) {
      if (sent >= rules * PER_RULES) {
        host.iptables.restore(RULES(rules++));
        host.setNeigh({ dev: "eth1", dst: "10.0.2.10", lladdr: `02:00:00:00:02:${10 + (rules % 50)}`, state: "PERMANENT" });
      }
      // The same flows for a while: they are established.
      const from = d.below(FLOWS / BURST) * BURST;
      for (let n = d.below(8); n >= 0; n--) burst(d.once(3) ? 1 : 0, from);
      if (sent - step >= PER_STEP) {
        step = sent;
        await node.advance(200);
      }
    }
    host.deleteConntrack(({ orig }) => (orig.sport ?? 0) % 7 === rules % 7);
    host.iptables.restore(RULES(0));
    await node.advance(700_000);
    node.takeFrames();
    const { used, taken } = kernel.memory();
    return { used, taken };
  };
  const parts: { used: number; taken: number }[] = [];
  for (let part = 0; part < PARTS; part++) parts.push(await flood(PACKETS / PARTS));
  const most = (some: typeof parts, of: "used" | "taken"): number => Math.max(...some.map((one) => one[of]));
  const [early, late] = [parts.slice(0, PARTS / 2), parts.slice(PARTS / 2)];
  const grown = most(late, "used") - most(early, "used");
  process.stdout.write(
    `${sent} packets, ${out} passed, ${rules} rulesets; bytes used after each tenth: ${parts.map(({ used }) => used).join(" ")}; of chunks: ${parts.map(({ taken }) => taken).join(" ")}. ` +
      `Most of the second half less most of the first: ${grown} bytes, ${(grown / (sent / 2)).toFixed(9)} per packet: ` +
      `${Math.round((Math.max(0, grown) / (sent / 2)) * 1e9)} bytes for 10^9\n`,
  );
  expect(out).toBeGreaterThan(sent / 2);
  expect(grown).toBeLessThan(SLAB);
  expect(most(late, "taken") - most(early, "taken")).toBeLessThan(4 * SLAB);
  kernel.destroy();
});
