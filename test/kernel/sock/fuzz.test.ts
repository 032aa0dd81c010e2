import { describe, expect, it } from "vitest";
import { MAILBOX_BYTES, OP_SOCK } from "../../../assembly/abi/core.ts";
import { createHosts, seeded, type Hosts } from "./hosts.ts";
import { icmpError, isTcp, option, readTcp, tcpFrame, udpFrame } from "./segments.ts";

const ROUNDS = Number(process.env["KUBEWIRE_FUZZ"] ?? 60);

const emptyAfterwards = async (net: Hosts): Promise<void> => {
  for (const host of net.hosts) {
    host.sockets.closeAll();
    host.kernel.context.kick();
  }
  await net.advance(2_000_000);
  for (const host of net.hosts) {
    expect(host.sockets.stats()).toEqual({ sockets: 0, connections: 0, timeWaits: 0, skbs: 0 });
  }
};

describe("sockets under fire", () => {
  it("random segments around what is expected, in every state, trap nothing and leave nothing behind", { timeout: 120_000 }, async () => {
    for (let seed = 0; seed < ROUNDS; seed++) {
      const random = seeded(seed + 900);
      const below = (bound: number): number => Math.floor(random() * bound);
      const net = await createHosts({ count: 1, seed });
      const host = net.hosts[0]!;
      const catchAll = (promise: Promise<unknown>): void => void promise.catch(() => undefined);
      const listener = host.sockets.listen({ port: 80 }, { backlog: 1 + below(4) });
      const serve = async (): Promise<void> => {
        while (true) {
          const stream = await listener.accept();
          const kind = below(5);
          const work = async (): Promise<void> => {
            if (kind === 0) return stream.close();
            if (kind === 1) await stream.write(new Uint8Array(below(50_000)));
            if (kind === 2) stream.shutdown();
            while ((await stream.read()) !== undefined && kind !== 3);
            stream.close();
          };
          catchAll(work());
        }
      };
      catchAll(serve());
      const udp = host.sockets.udp({ local: { port: 53 } });
      const drain = async (): Promise<void> => {
        while (true) udp.send((await udp.receive()).data, { address: "10.0.0.2", port: 9 });
      };
      catchAll(drain());
      let last = { seq: below(2 ** 32), ack: 0, sport: 1000, dport: 80 };
      try {
        for (let step = 0; step < 150; step++) {
          const dice = below(20);
          if (dice === 0) catchAll(host.sockets.connect({ address: "10.0.0.2", port: 7 }).then((stream) => stream.write(new Uint8Array(below(5000)))));
          if (dice === 1) await net.advance(below(3) === 0 ? below(100_000) : below(300));
          const recent = net.sent.findLast(({ frame }) => isTcp(frame));
          if (recent !== undefined && below(3) !== 0) {
            const seen = readTcp(recent.frame);
            expect(seen.valid).toBe(true);
            const length = seen.data.length + (seen.flags.includes("S") ? 1 : 0) + (seen.flags.includes("F") ? 1 : 0);
            last = { seq: seen.ack, ack: seen.seq + length, sport: seen.dport, dport: seen.sport };
          }
          const jitter = (): number => [0, 0, 0, 1, -1, 100, -100, 65_000, 2 ** 31][below(9)]!;
          const flags = [..."SFRPAU"].filter(() => below(3) === 0).join("");
          const options = below(3) === 0
            ? Array.from({ length: 4 * below(11) }, () => below(256))
            : below(2) === 0
              ? [...option.mss(below(3) === 0 ? below(1500) : 1460), ...option.sackOk, ...option.timestamp(below(2 ** 31), below(1000)),
                ...option.nop, ...option.wscale(below(16))]
              : option.sack([last.ack - below(5000), last.ack - below(3000)], [last.ack, last.ack + below(3000)]);
          if (dice < 16) {
            host.inject(tcpFrame({
              flags: below(3) === 0 ? flags : ["S", "A", "A", "PA", "FA", "R", "RA", "SA"][below(8)]!,
              seq: (last.seq + jitter()) >>> 0, ack: (last.ack + jitter()) >>> 0, win: below(2) === 0 ? below(65536) : below(3),
              sport: below(10) === 0 ? below(65536) : last.sport, dport: below(10) === 0 ? below(65536) : last.dport, options,
              data: new Uint8Array(below(2) === 0 ? 0 : below(1400)), spoil: below(40) === 0 ? 1 : 0,
            }));
          } else if (dice < 18) {
            const frame = udpFrame(below(65536), below(3) === 0 ? below(65536) : 53, new Uint8Array(below(1400)));
            if (below(4) === 0) frame[34 + below(8)] = below(256);
            host.inject(frame);
          } else if (recent !== undefined) {
            host.inject(icmpError(below(2) === 0 ? 3 : below(20), below(17), below(2000), recent.frame));
          }
          if (below(2) === 0) await net.settle();
        }
        await emptyAfterwards(net);
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
  });

  it("random requests trap nothing", { timeout: 120_000 }, async () => {
    for (let seed = 0; seed < ROUNDS; seed++) {
      const random = seeded(seed + 77);
      const below = (bound: number): number => Math.floor(random() * bound);
      const net = await createHosts({ count: 1, seed });
      const { context } = net.hosts[0]!.kernel;
      const { instance } = context;
      const netns = context.command(0x100, 0, "netns");
      const handles: number[] = [netns, 0, 0xffffffff];
      for (let step = 0; step < 400; step++) {
        const op = OP_SOCK + (below(20) === 0 ? below(256) : below(15));
        const view = instance.view;
        const length = below(10) === 0 ? below(MAILBOX_BYTES + 100) : 48 + below(3000);
        for (let at = 0; at < 48; at += 4) view.setUint32(at, below(2) === 0 ? 0 : Math.floor(random() * 2 ** 32), true);
        view.setUint32(0, op === OP_SOCK || op === OP_SOCK + 14 ? netns : handles[below(handles.length)]!, true);
        if (below(3) !== 0) view.setUint32(4, below(5), true);
        if (below(3) !== 0) view.setUint32(8, below(3) === 0 ? 0 : below(70_000), true);
        if (below(3) !== 0) view.setUint32(12, below(2) === 0 ? length - 48 : below(4000), true);
        if (below(4) !== 0) {
          for (const at of [16, 32]) {
            view.setUint32(at, 0);
            view.setUint32(at + 4, 0);
            view.setUint32(at + 8, 0xffff);
            view.setUint32(at + 12, [0, 0x0a000001, 0x0a000002, 0x7f000001][below(4)]!);
          }
        }
        const result = instance.command(context.handle, op, length, context.clock.nowNs());
        if ((op === OP_SOCK || op === OP_SOCK + 5) && result !== 0 && result !== -9) handles.push(result >>> 0);
        if (below(8) === 0) await net.advance(below(1000));
        if (below(16) === 0) {
          const seen = net.sent.findLast(({ frame }) => isTcp(frame));
          if (seen !== undefined) {
            const { seq, ack, sport, dport, flags } = readTcp(seen.frame);
            net.hosts[0]!.inject(tcpFrame({
              flags: flags === "S" ? "SA" : "A", seq: ack, ack: seq + 1, sport: dport, dport: sport,
            }));
          }
        }
      }
      for (const handle of handles) {
        instance.view.setUint32(0, handle, true);
        instance.view.setUint32(4, 0, true);
        instance.command(context.handle, OP_SOCK + 11, 48, context.clock.nowNs());
      }
      await emptyAfterwards(net);
    }
  });
});
