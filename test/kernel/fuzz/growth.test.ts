/**
 * No growth: packets of ever new flows through rules that are replaced all the time leave memory where it was. A short run in the
 * suite; `KUBEWIRE_GROWTH=10000000 npx vitest run test/kernel/fuzz/growth.test.ts` is the long one, and prints the bytes.
 */
import { beforeAll, expect, test } from "vitest";
import { createTestNode, kernelModule } from "../harness.ts";
import { dice } from "./random.ts";
import { fixHeader, fixL4, fromHex, put16, put32 } from "./packets.ts";

const PACKETS = Number(process.env["KUBEWIRE_GROWTH"] ?? 60_000);
const PACKETS_PER_ROUND = 500;
/** The rules are replaced as a whole after so many packets. */
const ROUNDS_PER_RULES = 4;
const SLAB = 65536;

beforeAll(() => kernelModule("release"), 240_000);

const RULES = (n: number): string => {
  const services = Array.from({ length: 10 + (n % 7) }, (_, i) => i);
  return (
    `*raw\n-A PREROUTING -d 10.0.2.200/32 -j NOTRACK\nCOMMIT\n*mangle\n-A FORWARD -m statistic --mode nth --every ${1 + (n % 5)} --packet 0 -j MARK --set-mark 0x${n % 16}\nCOMMIT\n` +
    `*nat\n${services.map((i) => `:SVC-${i} - [0:0]\n`).join("")}${services.map((i) => `-A PREROUTING -d 10.96.0.${i}/32 -p udp -j SVC-${i}\n-A SVC-${i} -p udp -j DNAT --to-destination 10.0.2.${10 + (i % 4)}:${5000 + (n % 50)}\n`).join("")}-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n` +
    `*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -m recent --name r${n % 3} --set\n-A FORWARD -m hashlimit --hashlimit-upto ${100 + n % 9}/sec --hashlimit-mode srcip,srcport --hashlimit-name h\n-A FORWARD -d 10.0.2.13/32 -j REJECT\nCOMMIT\n`
  );
};

test(`${PACKETS} packets through rules that change leave memory where it was`, { timeout: 6 * 3600_000 }, async () => {
  const node = await createTestNode({ seed: 1, build: "release" });
  const { host } = node.kernel;
  for (const [name, n] of [["eth0", 1], ["eth1", 2]] as const) {
    host.addLink({ kind: "nic", name, mac: `02:00:00:00:0${n}:01` });
    host.setLink(name, { up: true });
    host.addAddress(name, `10.0.${n}.1/24`);
    for (let i = 10; i < 14; i++) host.setNeigh({ dev: name, dst: `10.0.${n}.${i}`, lladdr: `02:00:00:00:0${n}:${i}`, state: "PERMANENT" });
  }
  host.setSysctl("net.ipv4.ip_forward", 1);
  // Flows end sooner, so that a short run sees as many ends as beginnings.
  for (const name of ["udp_timeout", "udp_timeout_stream", "icmp_timeout", "tcp_timeout_syn_sent", "tcp_timeout_established"]) {
    host.setSysctl(`net.netfilter.nf_conntrack_${name}`, 5);
  }
  const nic = host.link("eth0")!.ifindex;
  const d = dice(7);
  const udp = fromHex("02000000010102000000010a080045000021100100003f1100000a00010a0a600001045708ae000d00006d68656c6c");
  const tcp = fromHex("02000000010102000000010a080045000028100200003f0600000a00010a0a00020b04570050000000010000000050022000000000000000");
  const packet = (): Uint8Array => {
    const frame = (d.once(3) ? tcp : udp).slice();
    const ip = frame.subarray(14);
    put16(ip, 4, d.below(65536));
    put32(ip, 12, 0x0a00010a + d.below(4));
    if (frame.length === udp.length && !d.once(4)) ip[19] = d.below(20);
    else ip.set([10, 0, 2, d.pick([10, 11, 12, 13, 200])], 16);
    put16(ip, 20, d.below(65536));
    if (d.once(30)) put16(ip, 6, 0x2000 | d.below(3)); // the rest never comes
    fixHeader(ip);
    fixL4(ip);
    return frame;
  };
  let sent = 0;
  let rounds = 0;
  const flood = async (count: number): Promise<{ used: number; taken: number }> => {
    for (const end = sent + count; sent < end; rounds++) {
      if (rounds % ROUNDS_PER_RULES === 0) host.iptables.restore(RULES(rounds));
      for (let n = 0; n < PACKETS_PER_ROUND; n++) node.inject(nic, packet());
      sent += PACKETS_PER_ROUND;
      node.run();
      node.takeFrames();
      if (rounds % 8 === 7) await node.advance(400);
    }
    // Everything that was under way comes to its end: connections, fragments, neighbours. Rules are those of the beginning.
    host.iptables.restore(RULES(0));
    await node.advance(700_000);
    node.takeFrames();
    const { used, taken } = node.kernel.memory();
    return { used, taken };
  };
  // What is left after each part depends on its last packets (recent's entries, neighbours); what matters is that it has a bound that
  // does not know how many there were: the most that any of the later parts left is what the first ones left, give or take a slab.
  const PARTS = 10;
  const parts: { used: number; taken: number }[] = [];
  for (let part = 0; part < PARTS; part++) parts.push(await flood(PACKETS / PARTS));
  const most = (some: typeof parts, of: "used" | "taken"): number => Math.max(...some.map((one) => one[of]));
  const [early, late] = [parts.slice(0, PARTS / 2), parts.slice(PARTS / 2)];
  const grown = most(late, "used") - most(early, "used");
  if (PACKETS >= 1_000_000) {
    process.stdout.write(
      `${sent} packets; bytes used after each tenth: ${parts.map(({ used }) => used).join(" ")}; of chunks: ${parts.map(({ taken }) => taken).join(" ")}. ` +
        `Most of the second half less most of the first: ${grown} bytes, ${(grown / (sent / 2)).toFixed(6)} per packet: ` +
        `${Math.round((Math.max(0, grown) / (sent / 2)) * 1e9)} bytes for 10^9\n`,
    );
  }
  expect(grown).toBeLessThan(SLAB);
  expect(most(late, "taken") - most(early, "taken")).toBeLessThan(4 * SLAB);
  node.kernel.destroy();
});
