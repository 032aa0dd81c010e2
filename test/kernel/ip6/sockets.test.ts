/** Programs over IPv6: TCP and UDP between namespaces and over loopback, dual-stack listeners, echo, addresses of the link. */
import { beforeAll, expect, test } from "vitest";
import { ipv6Of, setIpv6 } from "../../../src/kernel/ipv6.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { createTestNode, type TestNode } from "../harness.ts";

let node: TestNode;
let a: Netns;
let b: Netns;

beforeAll(async () => {
  node = await createTestNode();
  a = node.kernel.host;
  setIpv6(a, true);
  b = node.kernel.addNetns("b");
  a.addLink({ kind: "veth", name: "v0", mac: "02:00:00:00:00:01", peer: { name: "v1", mac: "02:00:00:00:00:02", netns: b } });
  for (const [netns, dev] of [[a, "v0"], [b, "v1"]] as const) {
    netns.setLink("lo", { up: true });
    netns.setLink(dev, { up: true });
  }
  a.addAddress("v0", "2001:db8::1/64");
  a.addAddress("v0", "10.0.0.1/24");
  b.addAddress("v1", "2001:db8::2/64");
  b.addAddress("v1", "10.0.0.2/24");
  await node.advance(4000);
});

const text = new TextEncoder();
const waited = async <T>(promise: Promise<T>): Promise<T> => {
  let done = false;
  promise.then(() => (done = true), () => (done = true));
  for (let i = 0; i < 300 && !done; i++) await node.advance(20);
  return promise;
};
const codeOf = (promise: Promise<unknown>): Promise<string> => waited(promise).then(() => "none", (error: { code: string }) => error.code);

test("both ends have resolved their link-local addresses, and nobody else has them", () => {
  expect(ipv6Of(a).addresses().filter(({ ifindex }) => ifindex !== 1).map(({ address, flagNames }) => [address, flagNames])).toEqual([
    ["2001:db8::1", []], ["fe80::ff:fe00:1", []],
  ]);
});

test("a megabyte by TCP, both directions, with an MSS of 1440", async () => {
  const listener = b.sockets.listen({ port: 80, address: "::" });
  const accepted = listener.accept();
  const client = await waited(a.sockets.connect({ address: "2001:db8::2", port: 80 }));
  const server = await waited(accepted);
  expect(server.remote.address).toBe("2001:db8::1");
  expect(client.local.address).toBe("2001:db8::1");
  const data = new Uint8Array(1 << 20).map((_, i) => (i * 31 + (i >> 8)) & 255);
  const pump = async (): Promise<number> => {
    let at = 0;
    for (let part = await server.read(); part !== undefined; part = await server.read()) {
      for (const byte of part) if (byte !== data[at++]) throw new Error(`byte ${at - 1} differs`);
    }
    await server.write(text.encode("thanks"));
    server.close();
    return at;
  };
  const pumped = pump();
  await waited(client.write(data));
  client.shutdown();
  expect(await waited(pumped)).toBe(data.length);
  expect(new TextDecoder().decode(await waited(client.read()))).toBe("thanks");
  client.close();
  listener.close();
});

test("a listener on :: takes IPv4, unless it is v6only", async () => {
  const both = b.sockets.listen({ port: 81, address: "::" });
  const accepted = both.accept();
  const client = await waited(a.sockets.connect({ address: "10.0.0.2", port: 81 }));
  expect((await waited(accepted)).remote.address).toBe("10.0.0.1");
  client.close();
  const only = b.sockets.listen({ port: 82, address: "::" }, { v6only: true });
  expect(await codeOf(a.sockets.connect({ address: "10.0.0.2", port: 82 }))).toBe("ECONNREFUSED");
  // Beside it, one of IPv4 has the port for itself.
  b.sockets.listen({ port: 82, address: "0.0.0.0" }).close();
  expect(() => b.sockets.listen({ port: 81, address: "0.0.0.0" })).toThrow("EADDRINUSE");
  both.close();
  only.close();
});

test("UDP in both directions, more than fits a packet included", async () => {
  const server = b.sockets.udp({ local: { port: 53, address: "::" } });
  const client = a.sockets.udp({ remote: { address: "2001:db8::2", port: 53 } });
  const question = new Uint8Array(4000).map((_, i) => i & 255);
  client.send(question);
  const { data, from, to } = await waited(server.receive());
  expect([data.length, from.address, to]).toEqual([4000, "2001:db8::1", "2001:db8::2"]);
  server.send(text.encode("answer"), from);
  expect((await waited(client.receive())).data).toEqual(text.encode("answer"));
  expect(ipv6Of(a).snmp()["Ip6FragCreates"]).toBeGreaterThanOrEqual(3);
  server.close();
  client.send(text.encode("gone"));
  expect(await codeOf(client.receive())).toBe("ECONNREFUSED");
  client.close();
});

test("addresses of the link, by name and number of the device", async () => {
  const server = b.sockets.udp({ local: { port: 54, address: "::" } });
  const client = a.sockets.udp({ local: { address: "fe80::ff:fe00:1%v0" } });
  client.send(text.encode("hello"), { address: "fe80::ff:fe00:2%v0", port: 54 });
  const { from } = await waited(server.receive());
  expect(from.address).toBe(`fe80::ff:fe00:1%${b.link("v1")!.ifindex}`);
  expect(() => a.sockets.udp({ local: { address: "fe80::ff:fe00:1" } })).toThrow("EINVAL");
  expect(() => a.sockets.udp({ local: { address: "fe80::99%v0" } })).toThrow("EADDRNOTAVAIL");
  client.close();
  server.close();
});

test("echo, over loopback too, and what no route leads to", async () => {
  expect(await waited(a.sockets.ping("2001:db8::2"))).toBeGreaterThan(0);
  expect(await waited(a.sockets.ping("::1"))).toBeGreaterThan(0);
  expect(await waited(a.sockets.ping("fe80::ff:fe00:2%v0"))).toBeGreaterThan(0);
  expect(await codeOf(a.sockets.ping("3001::1"))).toBe("ENETUNREACH");
  expect(await codeOf(a.sockets.ping("2001:db8::77", { timeoutMs: 5000 }))).toBe("EHOSTUNREACH");
});

test("a router on the way: errors and path MTU reach the socket", async () => {
  const c = node.kernel.addNetns("c");
  b.addLink({ kind: "veth", name: "w0", mtu: 1300, peer: { name: "w1", netns: c, mtu: 1300 } });
  for (const [netns, dev] of [[b, "w0"], [c, "w1"]] as const) netns.setLink(dev, { up: true });
  b.addAddress("w0", "2001:db8:1::1/64", { nodad: true });
  c.addAddress("w1", "2001:db8:1::2/64", { nodad: true });
  b.setSysctl("net.ipv6.conf.all.forwarding", 1);
  a.addRoute({ dst: "2001:db8:1::/64", via: "2001:db8::2" });
  c.addRoute({ dst: "::/0", via: "2001:db8:1::1" });
  await node.advance(3000);
  const listener = c.sockets.listen({ port: 80, address: "::" });
  const accepted = listener.accept();
  const client = await waited(a.sockets.connect({ address: "2001:db8:1::2", port: 80 }));
  const server = await waited(accepted);
  await waited(client.write(new Uint8Array(20000).fill(7)));
  let got = 0;
  for (let i = 0; i < 60 && got < 20000; i++) got += (await waited(server.read()))!.length;
  expect(got).toBe(20000);
  expect(await codeOf(a.sockets.ping("2001:db8:1::2", { bytes: 1400 }))).toBe("EMSGSIZE");
  expect(ipv6Of(a).routeGet("2001:db8:1::2").mtu).toBe(1300);
  expect(await waited(a.sockets.ping("2001:db8:1::2", { bytes: 1400 }))).toBeGreaterThan(0);
  expect(await codeOf(a.sockets.ping("2001:db8:1::2", { ttl: 1 }))).toBe("EHOSTUNREACH");
});
