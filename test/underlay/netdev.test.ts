/** QEMU's framing, apart from any socket. */
import { expect, test } from "vitest";
import { NETDEV_FRAME_MAX, NetdevFrameError, StreamFrames, parseNetdevAddress, toStream } from "../../src/underlay/netdev.ts";

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

test("frames come out of a stream as they went in, however it is cut", () => {
  const frames = [bytes(60, 1), bytes(14, 2), bytes(1514, 3), bytes(0, 4), bytes(NETDEV_FRAME_MAX, 5)];
  const stream = Buffer.concat(frames.map(toStream));
  expect(stream.subarray(0, 4)).toEqual(Buffer.from([0, 0, 0, 60]));
  for (const size of [1, 3, 7, 64, 1000, stream.length]) {
    const out: Uint8Array[] = [];
    const decoder = new StreamFrames((frame) => out.push(frame));
    for (let at = 0; at < stream.length; at += size) decoder.push(stream.subarray(at, at + size));
    expect(out.map(({ length }) => length)).toEqual(frames.map(({ length }) => length));
    out.forEach((frame, i) => expect(Buffer.compare(frame, frames[i]!)).toBe(0));
  }
});

test("a length that no frame has ends the stream; what is cut short never comes out", () => {
  for (const length of [NETDEV_FRAME_MAX + 1, 0x7fffffff, 0xffffffff]) {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, length);
    expect(() => new StreamFrames(() => {}).push(head)).toThrow(NetdevFrameError);
  }
  expect(() => toStream(bytes(NETDEV_FRAME_MAX + 1, 0))).toThrow(NetdevFrameError);
  const out: Uint8Array[] = [];
  const decoder = new StreamFrames((frame) => out.push(frame));
  decoder.push(toStream(bytes(100, 1)).subarray(0, 103));
  expect(out).toEqual([]);
});

test("no bytes make the decoder hand over more than came", () => {
  let state = 12345;
  const random = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16;
  for (let round = 0; round < 300; round++) {
    let handed = 0;
    let given = 0;
    const decoder = new StreamFrames((frame) => (handed += 4 + frame.length));
    try {
      for (let i = 0; i < 20; i++) {
        const chunk = Uint8Array.from({ length: random() % 40 }, () => (random() % 3 === 0 ? random() & 255 : 0));
        given += chunk.length;
        decoder.push(chunk);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(NetdevFrameError);
    }
    expect(handed).toBeLessThanOrEqual(given);
  }
});

test("addresses", () => {
  expect(parseNetdevAddress("tcp:127.0.0.1:4000")).toEqual({ transport: "tcp", host: "127.0.0.1", port: 4000 });
  expect(parseNetdevAddress("tcp-listen:[::1]:0")).toEqual({ transport: "tcp-listen", host: "::1", port: 0 });
  expect(parseNetdevAddress("unix:/run/a:b")).toEqual({ transport: "unix", path: "/run/a:b" });
  expect(parseNetdevAddress("udp:10.0.0.1:4001,0.0.0.0:4002"))
    .toEqual({ transport: "udp", host: "10.0.0.1", port: 4001, local: { host: "0.0.0.0", port: 4002 } });
  for (const text of ["", "tcp", "tcp:", "tcp:host", "tcp:host:70000", "unix:", "udp:host:1", "udp:a:1,b", "sctp:a:1", "tcp:a:b:1"]) {
    expect(() => parseNetdevAddress(text), text).toThrow(`netdev "${text}"`);
  }
});
