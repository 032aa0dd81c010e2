import { describe, expect, it } from "vitest";
import { BETWEEN } from "../../src/time/loop.ts";
import { newRandom } from "../../src/time/random.ts";
import { defaultLink, UnderlaySwitch, type LinkOptions, type UnderlayFrame } from "../../src/underlay/switch.ts";

const frame = (to: number, from: number, length = 60): Uint8Array => {
  const bytes = new Uint8Array(length);
  bytes.set([2, 0, 0, 0, 0, to], 0);
  bytes.set([2, 0, 0, 0, 0, from], 6);
  return bytes;
};
const broadcast = (from: number): Uint8Array => {
  const bytes = frame(0, from);
  bytes.fill(255, 0, 6);
  return bytes;
};

function plugged(link: Partial<LinkOptions> = {}, ports = 3) {
  const underlay = new UnderlaySwitch(newRandom(1));
  for (let site = 2; site < 2 + ports; site++) underlay.plug(site, { ...defaultLink, ...link });
  let sequence = 0;
  const send = (from: number, timeNs: number, bytes: Uint8Array): void => {
    const data: UnderlayFrame = { bytes };
    underlay.accept({ to: BETWEEN, from, timeNs, sequence: sequence++, port: "frame", data });
  };
  const arrivals = (endNs: number): [site: number, timeNs: number][] =>
    underlay.flush(endNs).map(({ to, timeNs }) => [to, timeNs]);
  return { underlay, send, arrivals };
}

describe("the underlay switch", () => {
  it("takes latency twice and the serialisation of both links", () => {
    const { send, arrivals } = plugged({ latencyNs: 1000, bandwidthBps: 1e9 });
    send(2, 100, broadcast(2));
    // 84 bytes with preamble, FCS and gap at 8 ns each, per link.
    expect(arrivals(1e9)).toEqual([[3, 100 + 2 * (672 + 1000)], [4, 100 + 2 * (672 + 1000)]]);
  });

  it("learns where addresses are and forgets them with the port", () => {
    const { underlay, send, arrivals } = plugged();
    send(3, 0, broadcast(3));
    expect(arrivals(1e9).map(([site]) => site)).toEqual([2, 4]);
    send(2, 1e9, frame(3, 2));
    expect(arrivals(2e9).map(([site]) => site)).toEqual([3]);
    underlay.unplug(3);
    send(2, 2e9, frame(3, 2));
    expect(arrivals(3e9).map(([site]) => site)).toEqual([4]);
  });

  it("never sends a frame back where it came from", () => {
    const { send, arrivals } = plugged();
    send(2, 0, broadcast(2));
    arrivals(1e9);
    send(2, 1e9, frame(2, 2));
    expect(arrivals(2e9)).toEqual([]);
  });

  it("queues behind a frame that is still on the wire, and drops when the queue is full", () => {
    const { underlay, send, arrivals } = plugged({ latencyNs: 1000, bandwidthBps: 1e6, queueBytes: 200 }, 2);
    for (let i = 0; i < 5; i++) send(2, 0, broadcast(2));
    // 84 bytes take 672 µs; three fit (0, 84 and 168 bytes wait before them).
    expect(arrivals(1e12).map(([, timeNs]) => timeNs)).toEqual([2, 3, 4].map((n) => n * 672_000 + 2000));
    expect(underlay.stats(2)).toMatchObject({ fromNode: 5, dropped: 2 });
  });

  it("keeps order by time of arrival across flushes, wherever the window ends", () => {
    const all = plugged();
    const cut = plugged();
    const random = newRandom(5);
    const sent = Array.from({ length: 200 }, () => [2 + random.below(3), random.below(1_000_000)] as const).sort((a, b) => a[1] - b[1]);
    for (const [from, timeNs] of sent) all.send(from, timeNs, broadcast(from));
    const whole = all.arrivals(1e9);
    expect(all.underlay.pathNs).toBe(100_000);
    const pieces: [number, number][] = [];
    let i = 0;
    for (let end = 100_000; end <= 2_000_000; end += 100_000) {
      for (; i < sent.length && (sent[i]?.[1] ?? 0) < end; i++) cut.send(sent[i]![0], sent[i]![1], broadcast(sent[i]![0]));
      for (const arrival of cut.arrivals(end)) {
        // What comes out of a window arrives after it: the sites are that far already.
        expect(arrival[1]).toBeGreaterThanOrEqual(end);
        pieces.push(arrival);
      }
    }
    expect(pieces).toEqual(whole);
  });

  it("loses the asked share of frames, the same ones for the same seed", () => {
    const lost = (): number[] => {
      const { send, arrivals } = plugged({ loss: 0.1 }, 2);
      const got: number[] = [];
      for (let i = 0; i < 5000; i++) {
        send(2, i * 1e6, broadcast(2));
        if (arrivals((i + 1) * 1e6).length === 0) got.push(i);
      }
      return got;
    };
    const first = lost();
    // Two links at 10 % lose 19 % of 5,000 = 950; five standard deviations are 139.
    expect(Math.abs(first.length - 950)).toBeLessThan(139);
    expect(lost()).toEqual(first);
  });

  it("refuses links that are none", () => {
    const { underlay } = plugged();
    expect(() => underlay.plug(9, { ...defaultLink, latencyNs: 10 })).toThrow("at least 1000 ns");
    expect(() => underlay.plug(9, { ...defaultLink, loss: 2 })).toThrow("a share from 0 to 1");
  });
});
