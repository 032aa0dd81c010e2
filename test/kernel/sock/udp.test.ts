import { describe, expect, it } from "vitest";
import { SocketError } from "../../../src/kernel/sockets.ts";
import { createHosts, type Hosts } from "./hosts.ts";
import { udpFrame } from "./segments.ts";

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => "fulfilled", (error: unknown) => (error instanceof SocketError ? error.code : String(error)));
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return "returned";
  } catch (error) {
    return error instanceof SocketError ? error.code : String(error);
  }
};
const text = (data: Uint8Array): string => Buffer.from(data).toString();
const bytes = (data: string): Uint8Array => Buffer.from(data);

const emptied = (net: Hosts): void => {
  for (const host of net.hosts) {
    expect(host.sockets.stats()).toEqual({ sockets: 0, connections: 0, timeWaits: 0, skbs: 0 });
  }
};

describe("UDP", () => {
  it("carries datagrams between hosts and over loopback, and tells which address was asked", async () => {
    const net = await createHosts();
    const [a, b] = net.hosts;
    const server = a!.sockets.udp({ local: { port: 53 } });
    const client = b!.sockets.udp();
    expect(client.local.port).toBeGreaterThanOrEqual(32768);
    expect(client.local.port).toBeLessThanOrEqual(60999);
    client.send(bytes("ping"), { address: a!.address, port: 53 });
    const got = await net.until(server.receive());
    expect(got).toMatchObject({ from: { address: b!.address, port: client.local.port }, to: a!.address });
    expect(text(got.data)).toBe("ping");
    server.send(bytes("pong"), got.from, got.to);
    expect(text((await net.until(client.receive())).data)).toBe("pong");
    const local = a!.sockets.udp();
    local.send(bytes("self"), { address: "127.0.0.1", port: 53 });
    expect((await net.until(server.receive())).from.address).toBe("127.0.0.1");
    local.send(bytes(""), { address: a!.address, port: 53 });
    expect((await net.until(server.receive())).data.length).toBe(0);
    for (const host of net.hosts) host.sockets.closeAll();
    await net.settle();
    emptied(net);
  });

  it("sends large datagrams in fragments and refuses too large ones", async () => {
    const net = await createHosts();
    const [a, b] = net.hosts;
    const server = a!.sockets.udp({ local: { port: 53 } });
    const client = b!.sockets.udp();
    const large = new Uint8Array(20_000).map((_, index) => index & 0xff);
    client.send(large, { address: a!.address, port: 53 });
    expect(Buffer.compare((await net.until(server.receive())).data, large)).toBe(0);
    expect(codeOf(() => client.send(new Uint8Array(65_508), { address: a!.address, port: 53 }))).toBe("EMSGSIZE");
  });

  it("tells a connected socket of a closed port, and no other", async () => {
    const net = await createHosts();
    const [a, b] = net.hosts;
    const connected = b!.sockets.udp({ remote: { address: a!.address, port: 99 } });
    const free = b!.sockets.udp();
    connected.send(bytes("x"));
    free.send(bytes("x"), { address: a!.address, port: 99 });
    const waiting = code(connected.receive());
    await net.advance(10);
    expect(await waiting).toBe("ECONNREFUSED");
    connected.send(bytes("x"));
    await net.advance(10);
    expect(codeOf(() => connected.send(bytes("x")))).toBe("ECONNREFUSED");
    expect(codeOf(() => connected.send(bytes("x")))).toBe("returned");
    await net.advance(10);
    expect(codeOf(() => free.send(bytes("x"), { address: a!.address, port: 99 }))).toBe("returned");
    expect(a!.kernel.host.snmp()["Udp.NoPorts"]).toBe(4);
  });

  it("a connected socket hears its peer only, and before a socket on any address", async () => {
    const net = await createHosts({ count: 3 });
    const [a, b, c] = net.hosts;
    const any = a!.sockets.udp({ local: { port: 7 } });
    const client = b!.sockets.udp({ local: { port: 70 } });
    const other = c!.sockets.udp({ local: { port: 70 } });
    any.close();
    const connected = a!.sockets.udp({ local: { port: 7 }, remote: { address: b!.address, port: 70 } });
    other.send(bytes("no"), { address: a!.address, port: 7 });
    client.send(bytes("yes"), { address: a!.address, port: 7 });
    expect(text((await net.until(connected.receive())).data)).toBe("yes");
    expect(a!.kernel.host.snmp()["Udp.NoPorts"]).toBe(1);
  });

  it("refuses what can not be bound or reached", async () => {
    const net = await createHosts();
    const [a] = net.hosts;
    a!.sockets.udp({ local: { port: 53 } });
    expect(codeOf(() => a!.sockets.udp({ local: { port: 53 } }))).toBe("EADDRINUSE");
    expect(codeOf(() => a!.sockets.udp({ local: { port: 53, address: "127.0.0.1" } }))).toBe("EADDRINUSE");
    expect(codeOf(() => a!.sockets.udp({ local: { port: 54, address: "10.9.9.9" } }))).toBe("EADDRNOTAVAIL");
    expect(codeOf(() => a!.sockets.udp({ local: { port: 70_000 } }))).toBe("EINVAL");
    expect(codeOf(() => a!.sockets.udp().send(bytes("x")))).toBe("EDESTADDRREQ");
    expect(codeOf(() => a!.sockets.udp().send(bytes("x"), { address: "192.0.2.1", port: 1 }))).toBe("ENETUNREACH");
    expect(codeOf(() => a!.sockets.udp().send(bytes("x"), { address: "::1", port: 1 }))).toBe("EAFNOSUPPORT");
    expect(codeOf(() => a!.sockets.udp().send(bytes("x"), { address: "10.0.0.255", port: 1 }))).toBe("EACCES");
    expect(await code(a!.sockets.connect({ address: "192.0.2.1", port: 1 }))).toBe("ENETUNREACH");
    expect(await code(a!.sockets.connect({ address: "10.0.0.2", port: 1 }, { local: { address: "10.0.0.77" } }))).toBe("EADDRNOTAVAIL");
    a!.sockets.listen({ port: 80 });
    expect(codeOf(() => a!.sockets.listen({ port: 80 }))).toBe("EADDRINUSE");
    expect(a!.sockets.stats().sockets).toBe(6);
    a!.sockets.closeAll();
    emptied(net);
  });

  it("drops what the buffer has no room for, and counts it; so with bad checksums and lengths", async () => {
    const net = await createHosts();
    const [a] = net.hosts;
    const server = a!.sockets.udp({ local: { port: 53 } });
    for (let i = 0; i < 300; i++) {
      a!.inject(udpFrame(9, 53, new Uint8Array(1000)));
      if (i % 50 === 0) await net.settle();
    }
    await net.settle();
    const snmp = a!.kernel.host.snmp();
    const lost = snmp["Udp.RcvbufErrors"]!;
    expect(lost).toBeGreaterThan(100);
    expect(snmp["Udp.InErrors"]).toBe(lost);
    for (let i = lost; i < 300; i++) await server.receive();
    expect(a!.kernel.host.snmp()["Udp.InDatagrams"]).toBe(300 - lost);
    a!.inject(udpFrame(9, 53, bytes("bad"), 0x1234));
    a!.inject(udpFrame(9, 53, bytes("none"), 0));
    const short = udpFrame(9, 53, bytes("short"), 0);
    short[39] = 200; // longer than the packet
    a!.inject(short);
    const pending = server.receive();
    expect(text((await net.until(pending)).data)).toBe("none");
    await net.settle();
    expect(a!.kernel.host.snmp()).toMatchObject({ "Udp.InCsumErrors": 1, "Udp.InErrors": lost + 2 });
    server.close();
    emptied(net);
  });

  it("settles waiting calls in order; abort and close reject them", async () => {
    const net = await createHosts();
    const [a, b] = net.hosts;
    const server = a!.sockets.udp({ local: { port: 53 } });
    const abort = new AbortController();
    const first = server.receive();
    const second = server.receive(abort.signal);
    const third = server.receive();
    const fourth = code(server.receive());
    abort.abort(new Error("enough"));
    await expect(second).rejects.toThrow("enough");
    const client = b!.sockets.udp();
    for (const word of ["one", "two"]) client.send(bytes(word), { address: a!.address, port: 53 });
    expect([text((await net.until(first)).data), text((await net.until(third)).data)]).toEqual(["one", "two"]);
    server.close();
    expect(await fourth).toBe("EBADF");
    expect(await code(server.receive())).toBe("EBADF");
  });
});

describe("ping and raw sockets", () => {
  it("ping measures the way there and back, or rejects", async () => {
    const net = await createHosts({ wire: { delayMs: 3 } });
    const [a, b] = net.hosts;
    const ns = await net.until(a!.sockets.ping(b!.address));
    expect(ns).toBeGreaterThan(6e6);
    expect(ns).toBeLessThan(6.2e6);
    expect(await net.until(a!.sockets.ping("127.0.0.1"))).toBeLessThan(1e6);
    expect(await net.until(code(a!.sockets.ping("10.0.0.99", { timeoutMs: 500 })))).toBe("ETIMEDOUT");
    expect(await net.until(code(a!.sockets.ping("192.0.2.9")))).toBe("ENETUNREACH");
    expect(await net.until(code(a!.sockets.ping("10.0.0.98", { timeoutMs: 9000 })))).toBe("EHOSTUNREACH"); // nobody answers ARP
    await net.advance(5000);
    emptied(net);
  });

  it("a raw socket sees what is delivered, ICMP too, and sends whole packets", async () => {
    const net = await createHosts();
    const [a, b] = net.hosts;
    const raw = a!.sockets.raw();
    await net.until(b!.sockets.ping(a!.address));
    b!.sockets.udp().send(bytes("x"), { address: a!.address, port: 5 });
    await net.advance(10);
    const packets = raw.receive();
    expect(packets.map((packet) => packet[9])).toEqual([1, 17]);
    expect(packets.map((packet) => packet[0])).toEqual([0x45, 0x45]);
    const server = b!.sockets.udp({ local: { port: 6 } });
    raw.send(udpFrame(1, 6, bytes("raw"), undefined, 0, 1).subarray(14));
    expect(text((await net.until(server.receive())).data)).toBe("raw");
    expect(codeOf(() => raw.send(new Uint8Array(10)))).toBe("EINVAL");
    for (const each of net.hosts) each.sockets.closeAll();
    await net.settle();
    emptied(net);
  });
});
