import { describe, expect, it } from "vitest";
import { SocketError, type TcpStream } from "../../../src/kernel/sockets.ts";
import { createHosts, type Hosts } from "./hosts.ts";

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => "fulfilled", (error: unknown) => (error instanceof SocketError ? error.code : String(error)));

const readAll = async (stream: TcpStream): Promise<number> => {
  let total = 0;
  for (let piece = await stream.read(); piece !== undefined; piece = await stream.read()) total += piece.length;
  return total;
};

const emptied = (net: Hosts): void => {
  for (const host of net.hosts) {
    expect(host.sockets.stats()).toEqual({ sockets: 0, connections: 0, timeWaits: 0, skbs: 0 });
  }
};

/** `count` connections at once, each with a request and an answer of its own length. */
async function conversations(net: Hosts, count: number): Promise<void> {
  const [server, client] = net.hosts;
  const listener = server!.sockets.listen({ port: 80 });
  const serve = async (): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const stream = await listener.accept();
      void (async () => {
        const request = (await stream.read())!;
        await stream.write(new Uint8Array(request[0]! * 100 + 1));
        stream.shutdown();
        await readAll(stream);
        stream.close();
      })();
    }
  };
  const ask = async (index: number): Promise<void> => {
    const stream = await client!.sockets.connect({ address: server!.address, port: 80 });
    await stream.write(new Uint8Array([index & 0xff]));
    expect(await readAll(stream)).toBe((index & 0xff) * 100 + 1);
    stream.close();
  };
  await net.until(Promise.all([serve(), ...Array.from({ length: count }, (_, index) => ask(index))]));
  listener.close();
  await net.advance(130_000);
  emptied(net);
}

describe("many connections", () => {
  it("hundreds at once, over a wire that loses some, and memory is where it was", async () => {
    const net = await createHosts({ seed: 5, wire: { loss: 0.02, jitterMs: 2 } });
    await conversations(net, 400);
    const before = net.hosts.map(({ kernel }) => kernel.memory().used);
    await conversations(net, 400);
    expect(net.hosts.map(({ kernel }) => kernel.memory().used)).toEqual(before);
  });

  it("over loopback, with its large segments", async () => {
    const net = await createHosts({ count: 1 });
    const [host] = net.hosts;
    const listener = host!.sockets.listen({ port: 80 });
    const opening = host!.sockets.connect({ address: "0.0.0.0", port: 80 });
    const accepted = await net.until(listener.accept());
    expect(accepted.remote.address).toBe("127.0.0.1");
    const stream = await net.until(opening);
    const writing = stream.write(new Uint8Array(1_000_000)).then(() => stream.shutdown());
    expect(await net.until(readAll(accepted))).toBe(1_000_000);
    await writing;
    accepted.close();
    stream.close();
    listener.close();
    await net.advance(130_000);
    emptied(net);
  });

  it("an idle connection takes at most 512 bytes on each side", async () => {
    const net = await createHosts({ seed: 6 });
    const [server, client] = net.hosts;
    const listener = server!.sockets.listen({ port: 80 });
    const open = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const opening = client!.sockets.connect({ address: server!.address, port: 80 });
        await net.until(listener.accept());
        await net.until(opening);
      }
      await net.advance(1000);
    };
    await open(40); // the tables of handles and connections have grown to 64
    const before = server!.kernel.memory().used;
    await open(20);
    expect(server!.kernel.memory().used - before).toBeLessThanOrEqual(20 * 512);
  });

  it("a peer that does not read stops the writer, and nothing is lost when it reads again", async () => {
    const net = await createHosts({ seed: 8, wire: { loss: 0.05 } });
    const [server, client] = net.hosts;
    const listener = server!.sockets.listen({ port: 80 });
    const opening = client!.sockets.connect({ address: server!.address, port: 80 });
    const accepted = await net.until(listener.accept());
    const stream = await net.until(opening);
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < 100; i++) {
        await stream.write(new Uint8Array(10_000).fill(i));
        written += 10_000;
      }
      stream.shutdown();
    })();
    await net.advance(60_000);
    expect(written).toBeGreaterThan(60_000);
    expect(written).toBeLessThan(300_000);
    const got: number[] = [];
    const reading = (async () => {
      for (let piece = await accepted.read(); piece !== undefined; piece = await accepted.read()) {
        for (const byte of piece) got.push(byte);
      }
    })();
    await net.until(Promise.all([writing, reading]));
    expect(got.length).toBe(1_000_000);
    expect(got.every((byte, index) => byte === Math.floor(index / 10_000))).toBe(true);
    listener.close();
    accepted.close();
    stream.close();
    await net.advance(130_000);
    emptied(net);
  });

  it("small segments do not eat the receive buffer: all that was acknowledged is read", async () => {
    const net = await createHosts({ seed: 9 });
    const [server, client] = net.hosts;
    const listener = server!.sockets.listen({ port: 80 });
    const opening = client!.sockets.connect({ address: server!.address, port: 80 });
    const accepted = await net.until(listener.accept());
    const stream = await net.until(opening);
    for (let i = 0; i < 3000; i++) {
      await net.until(stream.write(new Uint8Array(7).fill(i & 0xff)));
      if (i % 20 === 0) await net.advance(3);
    }
    stream.shutdown();
    await net.advance(1000);
    const reading = readAll(accepted);
    expect(await net.until(reading)).toBe(21_000);
    accepted.close();
    stream.close();
    listener.close();
    await net.advance(130_000);
    emptied(net);
  });

  it("closing a namespace's sockets rejects all that waits and leaves nothing", async () => {
    const net = await createHosts({ seed: 10 });
    const [server, client] = net.hosts;
    const listener = server!.sockets.listen({ port: 80 });
    const accepting = code((async () => {
      await listener.accept();
      await listener.accept();
    })());
    const stream = await net.until(client!.sockets.connect({ address: server!.address, port: 80 }));
    const reading = code(stream.read());
    const connecting = code(client!.sockets.connect({ address: "10.0.0.77", port: 1 }));
    const receiving = code(client!.sockets.udp().receive());
    await net.settle();
    for (const host of net.hosts) (host.sockets.closeAll(true));
    expect(await Promise.all([accepting, reading, connecting, receiving])).toEqual(["EBADF", "EBADF", "EBADF", "EBADF"]);
    await net.advance(5000);
    emptied(net);
  });

  it("a namespace that goes away takes its sockets with it", async () => {
    const net = await createHosts({ count: 1 });
    const { kernel } = net.hosts[0]!;
    const used: number[] = [];
    for (let round = 0; round < 3; round++) {
      const pod = kernel.addNetns(`pod${round}`);
      pod.setLink("lo", { up: true });
      const listener = pod.sockets.listen({ port: 80 });
      const opening = pod.sockets.connect({ address: "127.0.0.1", port: 80 });
      const accepted = await net.until(listener.accept());
      const stream = await net.until(opening);
      await stream.write(new Uint8Array(50_000));
      const half = pod.sockets.connect({ address: "127.0.0.1", port: 80 });
      const reading = code(stream.read());
      await net.settle();
      await half;
      pod.delete();
      await net.settle();
      expect(await code(accepted.read())).toBe("EBADF");
      expect(await reading).toBe("EBADF");
      used.push(kernel.memory().used);
    }
    expect(used[1]).toBe(used[2]);
    expect(net.hosts[0]!.sockets.stats().skbs).toBe(0);
  });
});
