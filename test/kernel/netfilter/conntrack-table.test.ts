// The connection table while it grows: entries move a few at a time, and every one is found, listed once and ended all the while.
import { beforeAll, expect, test } from "vitest";
import { createTestNode, kernelModule, type TestNode } from "../harness.ts";
import { fixHeader, fixL4, put16, put32 } from "../fuzz/packets.ts";

beforeAll(() => kernelModule(), 240_000);

async function router(rules: string): Promise<{ node: TestNode; send: (client: number, sport: number, server: number, reply?: boolean) => void }> {
  const node = await createTestNode({ seed: 3 });
  const { host } = node.kernel;
  for (const [name, n] of [["eth0", 0], ["eth1", 1]] as const) {
    host.addLink({ kind: "nic", name, mac: `02:00:00:00:0${n}:01` });
    host.setLink(name, { up: true });
    host.addAddress(name, `10.${n}.0.1/16`);
    host.setNeigh({ dev: name, dst: `10.${n}.255.1`, lladdr: `02:00:00:00:0${n}:99`, state: "PERMANENT" });
    host.addRoute({ dst: `10.${n + 2}.0.0/16`, via: `10.${n}.255.1`, dev: name });
  }
  host.setSysctl("net.ipv4.ip_forward", 1);
  host.iptables.restore(rules);
  const nics = [host.link("eth0")!.ifindex, host.link("eth1")!.ifindex] as const;
  const send = (client: number, sport: number, server: number, reply = false): void => {
    const frame = new Uint8Array(42);
    frame.set([2, 0, 0, 0, reply ? 1 : 0, 1, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17]);
    const ip = frame.subarray(14);
    put32(ip, reply ? 16 : 12, 0x0a020000 + client);
    put32(ip, reply ? 12 : 16, 0x0a030000 + server);
    put16(ip, reply ? 22 : 20, sport);
    put16(ip, reply ? 20 : 22, 53);
    put16(ip, 24, 8);
    fixHeader(ip);
    fixL4(ip);
    node.inject(nics[reply ? 1 : 0], frame);
    node.run();
  };
  return { node, send };
}

test("connections are found, listed once and deleted at every stage of the table's growth", async () => {
  const { node, send } = await router("*filter\n-A FORWARD -m conntrack --ctstate NEW\n-A FORWARD -m conntrack --ctstate ESTABLISHED\nCOMMIT\n");
  const { host } = node.kernel;
  const key = (n: number): [number, number, number] => [n % 97, 1000 + (n % 5003), n % 61];
  let established = 0;
  let deleted = 0;
  const gone = new Set<number>();
  for (let n = 0; n < 6000; n++) {
    send(...key(n));
    if (n % 7 === 0) {
      // An answer to an earlier one.
      const earlier = (n * 2654435761) % (n + 1);
      if (!gone.has(earlier)) {
        send(...key(earlier), true);
        established++;
      }
    }
    if (n === 700 || n === 3000) {
      deleted += host.deleteConntrack(({ orig }) => orig.sport! % 10 === 3);
      for (let m = 0; m <= n; m++) if (key(m)[1] % 10 === 3) gone.add(m);
    }
    if ([100, 127, 128, 129, 200, 255, 256, 600, 1030, 2047, 2100, 4095, 4200, 5999].includes(n)) {
      const entries = host.conntrack();
      const names = new Set(entries.map(({ orig }) => `${orig.src} ${orig.sport} ${orig.dst}`));
      expect(names.size, `after ${n}`).toBe(entries.length);
      expect(entries.length, `after ${n}`).toBe(n + 1 - gone.size);
    }
  }
  expect(deleted).toBe(gone.size);
  expect(host.conntrack().filter(({ flags }) => !flags.includes("UNREPLIED")).length).toBeGreaterThan(500);
  expect(host.iptables.save({ counters: true })).toContain(`[${established}:${established * 28}] -A FORWARD -m conntrack --ctstate ESTABLISHED`);
  expect(host.iptables.save({ counters: true })).toContain("[6000:168000] -A FORWARD -m conntrack --ctstate NEW");
  // A size asked for: nothing is lost on the way there.
  host.setSysctl("net.netfilter.nf_conntrack_buckets", 65536);
  expect(host.conntrack().length).toBe(6000 - gone.size);
  await node.advance(300_000);
  expect(host.conntrack()).toEqual([]);
  node.kernel.destroy();
});

test("one source keeps its mapping towards every destination, those of before the first question included", async () => {
  const { node, send } = await router("*nat\n-A POSTROUTING -o eth1 -j SNAT --to-source 10.1.1.10-10.1.1.200\nCOMMIT\n");
  for (let n = 0; n < 400; n++) send(n % 20, 2000 + (n % 20), n);
  const mappings = new Map<string, Set<string>>();
  for (const { orig, reply } of node.kernel.host.conntrack()) {
    const source = `${orig.src}:${orig.sport}`;
    mappings.set(source, (mappings.get(source) ?? new Set()).add(`${reply.dst}:${reply.dport}`));
  }
  expect(mappings.size).toBe(20);
  for (const [source, to] of mappings) expect([...to], source).toHaveLength(1);
  node.kernel.destroy();
});
