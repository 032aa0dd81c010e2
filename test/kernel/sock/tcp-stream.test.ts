import { describe, expect, it } from "vitest";
import type { TcpStream } from "../../../src/kernel/sockets.ts";
import { createHosts, seeded, type Hosts } from "./hosts.ts";

const bytesOf = (seed: number, length: number): Uint8Array => {
  const random = seeded(seed);
  return new Uint8Array(length).map(() => Math.floor(random() * 256));
};

const readAll = async (stream: TcpStream): Promise<Uint8Array> => {
  const pieces: Uint8Array[] = [];
  for (let piece = await stream.read(); piece !== undefined; piece = await stream.read()) pieces.push(piece);
  return Buffer.concat(pieces);
};

/** Writes in pieces of changing size, then shuts down. */
const writeAll = async (stream: TcpStream, data: Uint8Array, random: () => number): Promise<void> => {
  for (let at = 0; at < data.length;) {
    const size = Math.min(data.length - at, 1 + Math.floor(random() * 20_000));
    await stream.write(data.subarray(at, at + size));
    at += size;
  }
  stream.shutdown();
};

const emptied = (net: Hosts): void => {
  for (const host of net.hosts) {
    expect(host.sockets.stats()).toEqual({ sockets: 0, connections: 0, timeWaits: 0, skbs: 0 });
  }
};

/** 200 KB both ways at once; both sides close. */
async function exchange(net: Hosts, seed: number, length = 200_000): Promise<void> {
  const [server, client] = net.hosts;
  const down = bytesOf(seed, length), up = bytesOf(seed + 1, length);
  const random = seeded(seed + 2);
  const listener = server!.sockets.listen({ port: 80 });
  const serve = async (): Promise<Uint8Array> => {
    const stream = await listener.accept();
    const [got] = await Promise.all([readAll(stream), writeAll(stream, down, random)]);
    stream.close();
    return got;
  };
  const use = async (): Promise<Uint8Array> => {
    const stream = await client!.sockets.connect({ address: server!.address, port: 80 });
    const [got] = await Promise.all([readAll(stream), writeAll(stream, up, random)]);
    stream.close();
    return got;
  };
  const [atServer, atClient] = await net.until(Promise.all([serve(), use()]), 3_600_000);
  expect(Buffer.compare(atServer, up), "what the server got").toBe(0);
  expect(Buffer.compare(atClient, down), "what the client got").toBe(0);
  listener.close();
  await net.advance(200_000);
  emptied(net);
}

describe("TCP between two hosts", () => {
  it("carries a stream both ways over a good wire, without a retransmission", async () => {
    const net = await createHosts({ seed: 7 });
    await exchange(net, 7);
  });

  const SEEDS = Number(process.env["KUBEWIRE_SEEDS"] ?? 200);
  for (let group = 0; group < 4; group++) {
    it(`survives loss, repetition and reordering (${SEEDS / 4} seeds from ${group * (SEEDS / 4)})`, { timeout: 120_000 }, async () => {
      for (let seed = group * (SEEDS / 4); seed < (group + 1) * (SEEDS / 4); seed++) {
        const random = seeded(seed ^ 0x5eed);
        const wire = {
          delayMs: random() * 20, jitterMs: random() * 10, loss: random() * 0.12, duplicate: random() * 0.1,
        };
        const net = await createHosts({ seed, wire, build: seed % 2 === 0 ? "debug" : "release" });
        try {
          await exchange(net, seed);
        } catch (error) {
          throw new Error(`seed ${seed} ${JSON.stringify(wire)}: ${String(error)}`, { cause: error });
        }
      }
    });
  }
});
