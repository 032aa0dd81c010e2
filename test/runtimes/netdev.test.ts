/** Netdevs over sockets: both ends here. What other programs make of them is in netdev.long.ts. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createCluster } from "../../runtimes/node/index.ts";
import { openNetdev, type Netdev, type NetdevOptions } from "../../runtimes/netdev.ts";

const folder = mkdtempSync(join(tmpdir(), "kubewire-netdev-"));
const open: Netdev[] = [];

afterEach(async () => {
  for (const netdev of open.splice(0)) await netdev.close();
});

async function netdev(address: string, got: Uint8Array[], options?: NetdevOptions): Promise<Netdev> {
  const one = await openNetdev(address, (frame) => got.push(frame), options);
  open.push(one);
  return one;
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i > 500) throw new Error("nothing came of it");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const frame = (fill: number, length = 60): Uint8Array => new Uint8Array(length).fill(fill);
const portOf = ({ address }: Netdev): number => ("port" in address ? address.port : 0);

for (const kind of ["tcp", "unix"] as const) {
  test(`${kind}: frames both ways, one end at a time, again after a break`, async () => {
    const here: Uint8Array[] = [];
    const there: Uint8Array[] = [];
    const states: boolean[] = [];
    const path = join(folder, "a.sock");
    const listener = await netdev(kind === "tcp" ? "tcp-listen:127.0.0.1:0" : `unix-listen:${path}`, here);
    const to = kind === "tcp" ? `tcp:127.0.0.1:${portOf(listener)}` : `unix:${path}`;
    const other = await netdev(to, there, { reconnectMs: 20, onState: (connected) => states.push(connected) });
    await until(() => other.connected && listener.connected);
    for (let i = 0; i < 50; i++) other.send(frame(i, 14 + i));
    listener.send(frame(99, 1514));
    await until(() => here.length === 50 && there.length === 1);
    expect(here.map(({ length }) => length)).toEqual(Array.from({ length: 50 }, (_, i) => 14 + i));
    expect(there[0]).toEqual(frame(99, 1514));
    // A third is turned away, and the two go on.
    const third = await netdev(to, [], { reconnectMs: 0 }).catch(() => undefined);
    await until(() => third?.connected !== true);
    // Short ones are none.
    other.send(frame(1, 13));
    await until(() => listener.stats.refused === 1);
    expect(here.length).toBe(50);
    // The listener goes and comes back.
    await listener.close();
    await until(() => !other.connected);
    other.send(frame(7));
    expect(other.stats.lost).toBe(1);
    const again = await netdev(kind === "tcp" ? `tcp-listen:127.0.0.1:${portOf(listener)}` : `unix-listen:${path}`, here);
    await until(() => again.connected && other.connected);
    other.send(frame(8));
    await until(() => here.length === 51);
    expect(states).toEqual([true, false, true]);
    await again.close();
    if (kind === "unix") expect(existsSync(path)).toBe(false);
  });
}

test("a stream that lies about a length is closed, and another may come", async () => {
  const here: Uint8Array[] = [];
  const reasons: string[] = [];
  const listener = await netdev("tcp-listen:127.0.0.1:0", here, { onState: (connected, reason) => !connected && reasons.push(String(reason)) });
  const bad: Socket = connect({ host: "127.0.0.1", port: portOf(listener) });
  bad.on("error", () => {});
  bad.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
  await new Promise((resolve) => bad.once("close", resolve));
  await until(() => reasons.length === 1);
  expect(reasons).toEqual(["NetdevFrameError: a frame of 4294967295 bytes: at most 69632"]);
  const cut = connect({ host: "127.0.0.1", port: portOf(listener) });
  await until(() => listener.connected);
  cut.end(Buffer.from([0, 0, 0, 60, 1, 2, 3]));
  await until(() => !listener.connected);
  expect(here).toEqual([]);
  const good = await netdev(`tcp:127.0.0.1:${portOf(listener)}`, []);
  await until(() => good.connected && listener.connected);
  good.send(frame(1));
  await until(() => here.length === 1);
});

test("an end that does not read loses frames, and does not fill the memory", async () => {
  const server = createServer((socket) => socket.pause());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const sender = await netdev(`tcp:127.0.0.1:${port}`, []);
  await until(() => sender.connected);
  for (let i = 0; i < 400; i++) sender.send(frame(1, 65000));
  expect(sender.stats.lost).toBeGreaterThan(100);
  await sender.close();
  server.close();
});

test("datagrams are frames", async () => {
  const here: Uint8Array[] = [];
  const there: Uint8Array[] = [];
  const first = await netdev("udp:127.0.0.1:9,127.0.0.1:0", here);
  const local = first.address.transport === "udp" ? first.address.local.port : 0;
  const second = await netdev(`udp:127.0.0.1:${local},127.0.0.1:0`, there);
  second.send(frame(5));
  second.send(frame(5, 3));
  await until(() => here.length === 1 && first.stats.refused === 1);
  expect(here[0]).toEqual(frame(5));
});

test("a port that is taken is told, as is one where nobody listens", async () => {
  const listener = await netdev("tcp-listen:127.0.0.1:0", []);
  await expect(openNetdev(`tcp-listen:127.0.0.1:${portOf(listener)}`, () => {})).rejects.toThrow("EADDRINUSE");
  await listener.close();
  await expect(openNetdev(`tcp:127.0.0.1:${portOf(listener)}`, () => {}, { reconnectMs: 0 })).rejects.toThrow("ECONNREFUSED");
});

test("a cluster's underlay takes plugs: a node answers what comes by one", async () => {
  const cluster = await createCluster({ nodes: 1, controllers: false }).catch(() => createCluster({ nodes: 1 }));
  const got: Uint8Array[] = [];
  const plug = cluster.plug((bytes) => got.push(bytes));
  // Who has 172.18.0.2? Tell 172.18.255.1.
  const request = Uint8Array.from(Buffer.from(
    "ffffffffffff" + "02000000ff01" + "0806" + "0001080006040001" + "02000000ff01" + "ac12ff01" + "000000000000" + "ac120002", "hex"));
  plug.send(request);
  expect(() => plug.send(new Uint8Array(13))).toThrow(RangeError);
  expect(() => plug.send(new Uint8Array(1519))).toThrow(RangeError);
  await cluster.advance(50);
  const answers = got.map((bytes) => Buffer.from(bytes).toString("hex")).filter((text) => text.startsWith("02000000ff01"));
  expect(answers).toEqual(["02000000ff01" + "0242ac120002" + "0806" + "0001080006040002" + "0242ac120002" + "ac120002" + "02000000ff01" + "ac12ff01"]);
  expect(plug.stats).toMatchObject({ fromNode: 1 });
  plug.unplug();
  plug.send(request);
  const before = got.length;
  await cluster.advance(50);
  expect(got.length).toBe(before);
  cluster.close();
});

process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
