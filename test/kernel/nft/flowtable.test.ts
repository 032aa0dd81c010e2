/**
 * Flowtables between two namespaces and a router, as nf_flow_table_core.c and nf_flow_table_ip.c of Linux 6.18 have them: the kernel on which
 * the other cases were recorded has none.
 */
import { beforeAll, expect, test } from "vitest";
import type { Netns } from "../../../src/kernel/netns.ts";
import { NftError, nftOf } from "../../../src/kernel/nft/index.ts";
import { conntrack } from "../../../src/tools/conntrack.ts";
import { kernelModule } from "../harness.ts";
import { twoPods as world } from "../two-pods.ts";

beforeAll(() => kernelModule(), 240_000);

const RULES = `table ip t {
  flowtable f {
    hook ingress priority 0
    devices = { p-a, p-b }
    counter
  }
  chain fwd {
    type filter hook forward priority 0
    counter
    flow add @f counter
  }
  chain post {
    type nat hook postrouting priority 100
    oifname "p-b" masquerade
  }
  chain pre {
    type nat hook prerouting priority -100
    tcp dport 8080 dnat to 10.0.2.2:80
  }
}
`;

const forwarded = (host: Netns): number => Number(nftOf(host).counters("ip", "t", "fwd")![0]![0]);
function tracked(host: Netns): string {
  const streams = { stdout: "", stderr: "" };
  conntrack({ netns: host, namespaces: new Map() }, ["-L"], streams);
  return streams.stdout;
}
const refused = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof NftError) return error.message;
    throw error;
  }
  return "";
};

test("an established connection of TCP with NAT both ways passes by the rules until it is idle, and closes", async () => {
  const { node, host, a, b } = await world();
  host.setSysctl("net.netfilter.nf_conntrack_acct", 1);
  nftOf(host).run(RULES);
  nftOf(b).run("table ip w { chain in { type filter hook input priority 0; ip ttl 63 counter; ip ttl != 63 counter; }; }");
  const listener = b.sockets.listen({ port: 80 });
  const dialled = a.sockets.connect({ address: "10.0.1.1", port: 8080 });
  await node.advance(100);
  const client = await dialled;
  const server = await listener.accept();
  expect(server.remote.address).toBe("10.0.2.1");
  let got = "";
  void (async () => {
    for (let data = await server.read(); data !== undefined; data = await server.read()) {
      got += Buffer.from(data).toString();
      await server.write(data);
    }
  })().catch(() => undefined);
  let echoed = "";
  void (async () => {
    for (let data = await client.read(); data !== undefined; data = await client.read()) echoed += Buffer.from(data).toString();
  })().catch(() => undefined);
  const say = async (text: string): Promise<void> => {
    await client.write(Buffer.from(text));
    await node.advance(100);
  };
  // SYN and SYN ACK do not enter; the ACK that ends the handshake makes it established and assured.
  expect(forwarded(host)).toBe(3);
  expect(tracked(host)).toMatch(/^tcp {6}6 src=10\.0\.1\.2 dst=10\.0\.1\.1 .* src=10\.0\.2\.2 dst=10\.0\.2\.1 .* \[OFFLOAD\] mark=0 use=1\n$/);
  for (let i = 0; i < 20; i++) await say(`message ${i};`);
  const said = Array.from({ length: 20 }, (_, i) => `message ${i};`).join("");
  expect([got, echoed]).toEqual([said, said]);
  expect(forwarded(host)).toBe(3);
  // A hop less, on the long way and on the short one; nothing with another TTL.
  expect(nftOf(b).counters("ip", "w", "in")![1]).toEqual([0n, 0n]);
  // The counters of the connection count what the flowtable passes.
  expect(Number(/packets=(\d+)/.exec(tracked(host))![1])).toBeGreaterThan(20);

  await node.advance(32_000);
  // Back in conntrack with what is left of the day that it had when it entered, which is less than its state's five.
  expect(tracked(host)).toMatch(/^tcp {6}6 863\d\d ESTABLISHED .* \[ASSURED\] mark=0 use=1\n$/);
  await say("again;");
  expect(forwarded(host)).toBe(4);
  expect(tracked(host)).toContain("[OFFLOAD]");
  client.close();
  await node.advance(100);
  server.close();
  await node.advance(1000);
  expect(forwarded(host)).toBe(4);
  expect(echoed).toBe(`${said}again;`);
  await node.advance(31_000);
  expect(tracked(host)).toMatch(/^tcp {6}6 \d CLOSE .* \[ASSURED\] mark=0 use=1\n$/);
  await node.advance(32_000);
  expect(tracked(host)).toBe("");
});

test("UDP enters with the second packet; what is too long, or comes after routes changed, goes the way of all", async () => {
  const { node, host, a, b } = await world();
  nftOf(host).run(RULES);
  const server = b.sockets.udp({ local: { port: 53 } });
  const client = a.sockets.udp({ remote: { address: "10.0.2.2", port: 53 } });
  const got: number[] = [];
  void (async () => {
    for (;;) got.push((await server.receive()).data.length);
  })().catch(() => undefined);
  const send = async (length: number): Promise<void> => {
    client.send(new Uint8Array(length));
    await node.advance(50);
  };
  await send(10);
  expect([forwarded(host), tracked(host).includes("[OFFLOAD]")]).toEqual([1, false]);
  await send(11);
  expect([forwarded(host), tracked(host).includes("[OFFLOAD]")]).toEqual([2, true]);
  for (let i = 0; i < 5; i++) await send(100 + i);
  expect(forwarded(host)).toBe(2);
  // Two fragments, put together for the rules; they do not end the entry.
  await send(2000);
  expect(forwarded(host)).toBe(3);
  expect(tracked(host)).toContain("[OFFLOAD]");
  await send(12);
  expect(forwarded(host)).toBe(3);
  // A route more: this packet goes the long way and enters anew once the entry is swept away.
  host.addRoute({ dst: "10.9.0.0/16", type: "blackhole" });
  await send(13);
  expect(forwarded(host)).toBe(4);
  await node.advance(1500);
  await send(14);
  expect(forwarded(host)).toBeGreaterThanOrEqual(4);
  const before = forwarded(host);
  await send(15);
  expect(forwarded(host)).toBe(before);
  expect(got).toEqual([10, 11, 100, 101, 102, 103, 104, 2000, 12, 13, 14, 15]);
  // The flowtable goes: conntrack has the connection, unanswered.
  nftOf(host).run("flush chain ip t fwd; delete flowtable ip t f");
  expect(tracked(host)).toMatch(/^udp {6}17 (?:29|30) .*\[UNREPLIED\].* mark=0 use=1\n$/);
  await send(16);
  expect(got.at(-1)).toBe(16);
});

test("a datagram longer than the MTU of the way out ends its entry", async () => {
  const { node, host, a, b } = await world();
  b.setLink("eth0", { mtu: 1000 });
  host.setLink("p-b", { mtu: 1000 });
  nftOf(host).run(RULES.replace("masquerade", "accept"));
  const server = b.sockets.udp({ local: { port: 53 } });
  const client = a.sockets.udp({ remote: { address: "10.0.2.2", port: 53 } });
  const got: number[] = [];
  void (async () => {
    for (;;) got.push((await server.receive()).data.length);
  })().catch(() => undefined);
  for (const length of [10, 11, 12, 1200]) {
    client.send(new Uint8Array(length));
    await node.advance(50);
  }
  // The last one is too long before it comes to the rules, and conntrack has the connection again.
  expect(forwarded(host)).toBe(2);
  expect(tracked(host)).not.toContain("[OFFLOAD]");
  expect(host.snmp()["Ip.FragCreates"] ?? 0).toBe(0);
  expect(host.snmp()["Ip.FragFails"]).toBe(1);
  expect(got).toEqual([10, 11, 12]);
});

test("listing, devices more and less, deletion, refusals", async () => {
  const { host } = await world();
  const nft = nftOf(host);
  nft.run(RULES);
  const listed = (devices: string, counter: boolean): string =>
    `\tflowtable f {\n\t\thook ingress priority filter\n\t\tdevices = { ${devices} }\n${counter ? "\t\tcounter\n" : ""}\t}\n`;
  expect(nft.run("list flowtable ip t f")).toBe(`table ip t {\n${listed("p-a, p-b", true)}}\n`);
  expect(nft.run("list flowtables")).toBe(`table ip t {\n${listed("p-a, p-b", true)}}\n`);
  expect(nft.list()).toContain(`table ip t {\n${listed("p-a, p-b", true)}\n\tchain fwd {\n`);
  expect(nft.list()).toContain("\t\tflow add @f counter packets 0 bytes 0\n");
  // What is listed can be loaded.
  const text = nft.list();
  nft.run(`flush ruleset\n${text}`);
  expect(nft.list()).toBe(text);
  nft.run("add flowtable ip t f { devices = { lo }; }");
  expect(nft.run("list flowtable ip t f")).toContain(listed("lo, p-a, p-b", false));
  nft.run("delete flowtable ip t f { devices = { p-a }; }");
  expect(nft.run("list flowtable ip t f")).toContain(listed("lo, p-b", false));

  expect(refused(() => nft.run("delete flowtable ip t f"))).toContain("Error: Could not process rule: Device or resource busy\n");
  expect(refused(() => nft.run("create flowtable ip t f { hook ingress priority 0; }"))).toContain("File exists");
  expect(refused(() => nft.run("add flowtable ip t f { hook ingress priority 5; }"))).toContain("Operation not supported");
  expect(refused(() => nft.run("add flowtable ip t g { devices = { lo }; }"))).toContain("missing hook and priority in flowtable declaration");
  expect(refused(() => nft.run("add flowtable ip t g { hook ingress priority 0; devices = { p-b }; }"))).toContain("File exists");
  expect(refused(() => nft.run("add flowtable ip t g { hook ingress priority 0; devices = { no }; }"))).toContain("No such file or directory");
  expect(refused(() => nft.run("add flowtable ip t g { hook ingress priority 0; flags offload; }"))).toContain("Operation not supported");
  expect(refused(() => nft.run("add flowtable ip t g { hook input priority 0; }"))).toContain("unknown chain hook");
  expect(refused(() => nft.run("add rule ip t fwd flow add @none"))).toContain("No such file or directory");
  expect(refused(() => nft.run("add rule ip t pre flow add @f"))).toContain("Operation not supported");
  expect(refused(() => nft.run("delete flowtable ip t g"))).toContain("No such file or directory");
  nft.run("destroy flowtable ip t g");
  nft.run("add flowtable ip t g { hook ingress priority filter + 5; }");
  expect(nft.run("list flowtable ip t g")).toBe("table ip t {\n\tflowtable g {\n\t\thook ingress priority filter + 5\n\t}\n}\n");
  nft.run("flush chain ip t fwd; delete flowtable ip t f; delete flowtable ip t g");
  expect(nft.run("list flowtables")).toBe("table ip t {\n}\n");
  nft.run("delete table ip t");
  expect(nft.list()).toBe("");
});
