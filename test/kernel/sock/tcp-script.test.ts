import { describe, expect, it } from "vitest";
import { SocketError } from "../../../src/kernel/sockets.ts";
import { accepted, script } from "./script.ts";
import { icmpError, option, readTcp } from "./segments.ts";

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => "fulfilled", (error: unknown) => (error instanceof SocketError ? error.code : String(error)));

describe("TCP handshake", () => {
  it("offers mss, sackOK, TS, wscale in a SYN, in Linux's order", async () => {
    const s = await script();
    void code(s.host.sockets.connect({ address: "10.0.0.2", port: 1000 }));
    await s.net.settle();
    expect(s.take()).toEqual(["S 0 win 64240 <mss 1460,sackOK,TS ecr 0,nop,wscale 10>"]);
  });

  it("agrees in the SYN-ACK to what was offered, without an IP id", async () => {
    const s = await script();
    const { synAck } = await accepted(s);
    expect(synAck).toEqual(["SA 0 ack 1 win 65160 <mss 1460,sackOK,TS ecr 100,nop,wscale 10> id 0"]);
  });

  it("agrees to nothing when nothing was offered", async () => {
    const s = await script();
    s.host.sockets.listen({ port: 80 });
    expect(await s.send({ flags: "S" })).toEqual(["SA 0 ack 1 win 64240 <mss 1460> id 0"]);
  });

  it("words SACK without timestamps with padding", async () => {
    const s = await script();
    s.host.sockets.listen({ port: 80 });
    expect(await s.send({ flags: "S", options: [...option.mss(536), ...option.sackOk] }))
      .toEqual(["SA 0 ack 1 win 64240 <mss 1460,nop,nop,sackOK> id 0"]);
  });

  it("repeats the SYN-ACK after 1, 3, 7, 15 and 31 s and gives up after 63", async () => {
    const s = await script();
    s.host.sockets.listen({ port: 80 });
    await s.send({ flags: "S" });
    const times = (await s.wait(62_900)).map((line) => Math.round(Number(line.split(" ")[0]) / 1000));
    expect(times).toEqual([1, 3, 7, 15, 31]);
    expect(s.host.sockets.stats().connections).toBe(1);
    expect(await s.wait(200)).toEqual([]);
    expect(s.host.sockets.stats().connections).toBe(0);
  });

  it("repeats the SYN every second four times, then doubles the pause, and fails after 131 s", async () => {
    const s = await script();
    const failed = code(s.host.sockets.connect({ address: "10.0.0.2", port: 1000 }));
    const times = (await s.wait(130_000)).map((line) => Math.round(Number(line.split(" ")[0]) / 1000));
    expect(times).toEqual([0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]);
    await s.net.advance(2500);
    expect(await failed).toBe("ETIMEDOUT");
  });

  it("a RST answers the SYN: ECONNREFUSED", async () => {
    const s = await script();
    const failed = code(s.host.sockets.connect({ address: "10.0.0.2", port: 1000 }));
    await s.net.settle();
    s.take();
    s.inject({ flags: "R", ack: 1 }); // no ACK: ignored
    await s.net.settle();
    s.inject({ flags: "RA", ack: 1 });
    await s.net.settle();
    expect(await failed).toBe("ECONNREFUSED");
    expect(s.take()).toEqual([]);
  });

  it("a SYN-ACK of something else is answered by RST and ignored", async () => {
    const s = await script();
    void code(s.host.sockets.connect({ address: "10.0.0.2", port: 1000 }));
    await s.net.settle();
    s.take();
    expect(await s.send({ flags: "SA", ack: 77 })).toEqual(["R 77 id 0"]);
    expect((await s.wait(8)).length).toBe(1); // and the SYN again, at once
  });

  it("both ends open at once", async () => {
    const s = await script();
    const opening = s.host.sockets.connect({ address: "10.0.0.2", port: 1000 });
    await s.net.settle();
    s.take();
    expect(await s.send({ flags: "S", options: option.mss(1460) })).toEqual(["SA 0 ack 1 win 64240 <mss 1460> id 0"]);
    await s.send({ flags: "A", seq: 1, ack: 1 });
    const stream = await opening;
    await stream.write(new Uint8Array(3));
    await s.net.settle();
    expect(s.take()).toEqual(["PA 1:4 ack 1 win 64240"]);
  });

  it.each([
    [3, 3, "ECONNREFUSED"], [3, 1, "EHOSTUNREACH"], [3, 0, "ENETUNREACH"], [3, 2, "ENOPROTOOPT"], [3, 13, "EHOSTUNREACH"],
    [11, 0, "EHOSTUNREACH"],
  ])("ICMP %i/%i ends an opening connection with %s", async (type, icmpCode, errno) => {
    const s = await script();
    const failed = code(s.host.sockets.connect({ address: "10.0.0.2", port: 1000 }));
    await s.net.settle();
    s.host.inject(icmpError(type, icmpCode, 0, s.net.sent[0]!.frame));
    await s.net.settle();
    expect(await failed).toBe(errno);
  });

  it("a full accept queue drops SYNs, and ACKs of what is half open", async () => {
    const s = await script();
    const listener = s.host.sockets.listen({ port: 80 }, { backlog: 1 });
    for (const port of [1, 2]) {
      s.sport = port;
      expect((await s.send({ flags: "S" })).length).toBe(1);
      expect(await s.send({ flags: "A", seq: 1, ack: 1 })).toEqual([]);
    }
    s.sport = 3;
    expect(await s.send({ flags: "S" })).toEqual([]);
    await listener.accept();
    expect((await s.send({ flags: "S" })).length).toBe(1);
  });
});

describe("TCP data", () => {
  it("acknowledges data, delivers it, and closes from the passive side", async () => {
    const s = await script();
    const { stream, listener } = await accepted(s, { synOptions: option.mss(1460) });
    expect(await s.send({ flags: "PA", seq: 1, ack: 1, data: 10 })).toEqual(["A 1 ack 11 win 64230"]);
    expect([...(await stream.read())!]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await s.send({ flags: "FA", seq: 11, ack: 1 });
    expect(await stream.read()).toBeUndefined();
    expect(await s.wait(40)).toEqual(["40 A 1 ack 12 win 64229"]);
    stream.close();
    await s.net.settle();
    expect(s.take()).toEqual(["FA 1 ack 12 win 64229"]);
    expect(s.host.sockets.stats().sockets).toBe(2); // the listener and the orphan
    await s.send({ flags: "A", seq: 12, ack: 2 });
    expect(s.host.sockets.stats()).toMatchObject({ sockets: 1, connections: 0, timeWaits: 0 });
    listener.close();
  });

  it("closes actively through FIN_WAIT and TIME_WAIT, which answers for 60 s", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    stream.close();
    await s.net.settle();
    expect(s.take()).toEqual(["FA 1 ack 1 win 64240"]);
    expect(await s.send({ flags: "A", seq: 1, ack: 2 })).toEqual([]);
    expect(s.host.sockets.stats()).toMatchObject({ sockets: 1, timeWaits: 1 });
    expect(await s.send({ flags: "FA", seq: 1, ack: 2 })).toEqual(["A 2 ack 2 win 64240 id 0"]);
    await s.net.advance(30_000);
    expect(await s.send({ flags: "FA", seq: 1, ack: 2 })).toEqual(["A 2 ack 2 win 64240 id 0"]);
    await s.net.advance(59_900);
    expect(s.host.sockets.stats().timeWaits).toBe(1);
    await s.net.advance(200);
    expect(s.host.sockets.stats().timeWaits).toBe(0);
  });

  it("an orphan waits 60 s for the peer's FIN, as does TIME_WAIT after both closed at once", async () => {
    for (const both of [false, true]) {
      const s = await script();
      const { stream } = await accepted(s, { synOptions: option.mss(1460) });
      stream.close();
      await s.net.settle();
      s.take();
      if (both) expect(await s.send({ flags: "FA", seq: 1, ack: 1 })).toEqual(["A 2 ack 2 win 64239"]); // CLOSING
      await s.send({ flags: "A", seq: both ? 2 : 1, ack: 2 });
      expect(s.host.sockets.stats()).toMatchObject({ sockets: 1, timeWaits: 1 });
      await s.net.advance(59_900);
      expect(s.host.sockets.stats().timeWaits).toBe(1);
      await s.net.advance(200);
      expect(s.host.sockets.stats().timeWaits).toBe(0);
    }
  });

  it("a new SYN above the old numbers reopens a connection in TIME_WAIT", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    stream.close();
    await s.net.settle();
    s.take();
    await s.send({ flags: "FA", seq: 1, ack: 2 });
    const before = s.isn;
    const again = await s.send({ flags: "S", seq: 100_000, options: option.mss(1460) });
    expect(again.map((line) => line.split(" win")[0])).toEqual(["SA 0 ack 100001"]);
    expect((s.isn - before) >>> 0).toBe(2 + 65535 + 2);
  });

  it("sends full segments up to the initial window of ten, the last with PSH", async () => {
    const s = await script();
    const { stream } = await accepted(s);
    await stream.write(new Uint8Array(20_000));
    await s.net.settle();
    const sent = s.take();
    expect(sent.length).toBe(10);
    expect(sent[0]).toBe("A 1:1449 ack 1 win 64 <nop,nop,TS ecr 101>");
    expect(sent[9]).toBe("A 13033:14481 ack 1 win 64 <nop,nop,TS ecr 101>");
  });

  it("retransmits after 200 ms and the round trip, doubling", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    await stream.write(new Uint8Array(10));
    await s.net.settle();
    expect(s.take()).toEqual(["PA 1:11 ack 1 win 64240"]);
    const times = (await s.wait(3500)).map((line) => Number(line.split(" ")[0]));
    expect(times.length).toBe(4);
    [204, 612, 1428, 3060].forEach((expected, index) => expect(Math.abs(times[index]! - expected)).toBeLessThan(5));
  });

  it("gives up after tcp_retries2 and reports ETIMEDOUT", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    await stream.write(new Uint8Array(10));
    const failed = code(stream.read());
    await s.net.advance(924_000);
    expect(s.host.sockets.stats().connections).toBe(1);
    await s.net.advance(130_000);
    expect(await failed).toBe("ETIMEDOUT");
    expect(s.host.sockets.stats().connections).toBe(0);
  });

  it("three SACKed segments above a hole bring it again at once", async () => {
    const s = await script();
    const { stream } = await accepted(s);
    await stream.write(new Uint8Array(1448 * 5));
    await s.net.advance(10);
    s.take();
    const sacked = (end: number) => ({
      flags: "A", seq: 1, ack: 1, win: 500,
      options: [1, 1, ...option.timestamp(110, s.tsval), 1, 1, ...option.sack([s.isn + 1449, s.isn + end])],
    });
    expect(await s.send(sacked(1449 + 1448))).toEqual([]);
    expect(await s.send(sacked(1449 + 2 * 1448))).toEqual([]);
    expect((await s.send(sacked(1449 + 3 * 1448))).map((line) => line.split(" ack")[0])).toEqual(["A 1:1449"]);
  });

  it("without SACK the third duplicate ACK does", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    await stream.write(new Uint8Array(1460 * 5));
    await s.net.advance(10);
    s.take();
    for (let i = 0; i < 2; i++) expect(await s.send({ flags: "A", seq: 1, ack: 1 })).toEqual([]);
    expect(await s.send({ flags: "A", seq: 1, ack: 1 })).toEqual(["A 1:1461 ack 1 win 64240"]);
  });

  it("reports what came out of order, the latest range first, and duplicates", async () => {
    const s = await script();
    const { stream } = await accepted(s);
    const ts = () => [1, 1, ...option.timestamp(120, s.tsval)];
    const data = (seq: number, length: number) => s.send({ flags: "A", seq, ack: 1, data: length, options: ts(), win: 500 });
    expect(await data(101, 100)).toEqual(["A 1 ack 1 win 64 <nop,nop,TS ecr 101,nop,nop,sack 101:201>"]);
    expect(await data(301, 100)).toEqual(["A 1 ack 1 win 64 <nop,nop,TS ecr 101,nop,nop,sack 301:401 101:201>"]);
    expect(await data(201, 100)).toEqual(["A 1 ack 1 win 64 <nop,nop,TS ecr 101,nop,nop,sack 101:401>"]);
    expect(await data(1, 100)).toEqual(["A 1 ack 401 win 64 <nop,nop,TS ecr 120>"]);
    expect(await data(1, 100)).toEqual(["A 1 ack 401 win 64 <nop,nop,TS ecr 120,nop,nop,sack 1:101>"]);
    const got = (await stream.read())!;
    expect(got.length).toBe(400);
    expect([...got].every((byte, index) => byte === ((index + 1) & 0xff))).toBe(true);
  });

  it("waits for a closed window, probing after 200, 400, 800 ms", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460), win: 1000 });
    await s.send({ flags: "A", seq: 1, ack: 1, win: 1000 });
    await stream.write(new Uint8Array(3000));
    const sent = await s.wait(1);
    expect(sent.map((line) => line.split(" ack")[0])).toEqual(["0 A 1:501", "0 PA 501:1001"]);
    await s.send({ flags: "A", seq: 1, ack: 1001, win: 0 });
    const probes = await s.wait(3100);
    expect(probes.every((line) => line.includes(" A 1000 ack 1 "))).toBe(true);
    const times = probes.map((line) => Number(line.split(" ")[0]));
    [204, 612, 1428, 3060].forEach((expected, index) => expect(Math.abs(times[index]! - expected)).toBeLessThan(5));
    expect((await s.send({ flags: "A", seq: 1, ack: 1001, win: 1000 })).map((line) => line.split(" ack")[0]))
      .toEqual(["A 1001:1501", "PA 1501:2001"]);
  });

  it("holds small writes back while one is under way, unless TCP_NODELAY", async () => {
    for (const noDelay of [false, true]) {
      const s = await script();
      const { stream } = await accepted(s, { synOptions: option.mss(1460), noDelay });
      for (let i = 0; i < 3; i++) {
        await stream.write(new Uint8Array(10));
        await s.net.settle();
      }
      const before = s.take().map((line) => line.split(" ack")[0]);
      expect(before).toEqual(noDelay ? ["PA 1:11", "PA 11:21", "PA 21:31"] : ["PA 1:11"]);
      if (!noDelay) {
        expect((await s.send({ flags: "A", seq: 1, ack: 11 })).map((line) => line.split(" ack")[0])).toEqual(["PA 11:31"]);
      }
    }
  });

  it("sends what was too large again in smaller pieces when a router says so", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    await stream.write(new Uint8Array(1460));
    await s.net.settle();
    const large = s.net.sent[s.net.sent.length - 1]!.frame;
    s.take();
    s.host.inject(icmpError(3, 4, 1000, large));
    await s.net.settle();
    expect(s.take().map((line) => line.split(" ack")[0])).toEqual(["A 1:961", "PA 961:1461"]);
  });

  it("what one connection learns of the path, others to the same host find out by themselves", async () => {
    const s = await script();
    const first = await accepted(s, { synOptions: option.mss(1460) });
    s.sport = 2000;
    await s.send({ flags: "S", options: option.mss(1460) });
    await s.send({ flags: "A", seq: 1, ack: 1 });
    const second = await first.listener.accept();
    await first.stream.write(new Uint8Array(1460));
    await s.net.settle();
    s.host.inject(icmpError(3, 4, 1000, s.net.sent[s.net.sent.length - 1]!.frame));
    await s.net.settle();
    s.take();
    await second.write(new Uint8Array(1460));
    const sizes: number[] = [];
    await s.net.advance(220);
    for (const { frame } of s.net.takeSent()) {
      const { dport, data } = readTcp(frame);
      if (dport === 2000) sizes.push(data.length);
    }
    expect(sizes.every((size) => size <= 960)).toBe(true);
    expect(sizes.length).toBeGreaterThan(0);
  });
});

describe("TCP: what is not to be believed", () => {
  it("RST: exactly the next byte resets, within the window draws a challenge, outside nothing", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    const failed = code(stream.read());
    expect(await s.send({ flags: "R", seq: 100 })).toEqual(["A 1 ack 1 win 64240"]);
    expect(await s.send({ flags: "R", seq: 200 })).toEqual([]); // one challenge per half second
    expect(await s.send({ flags: "R", seq: 70_000 })).toEqual([]);
    await s.net.advance(600);
    expect(await s.send({ flags: "R", seq: 2 })).toEqual(["A 1 ack 1 win 64240"]);
    expect(await s.send({ flags: "R", seq: 1 })).toEqual([]);
    expect(await failed).toBe("ECONNRESET");
    expect(s.host.sockets.stats().connections).toBe(0);
    stream.close();
  });

  it("a SYN on an established connection draws a challenge", async () => {
    const s = await script();
    await accepted(s, { synOptions: option.mss(1460) });
    expect(await s.send({ flags: "S", seq: 1 })).toEqual(["A 1 ack 1 win 64240"]);
  });

  it("an ACK of what was never sent is dropped; data with an old timestamp, too", async () => {
    const s = await script();
    const { stream } = await accepted(s);
    void code(stream.read());
    expect(await s.send({ flags: "A", seq: 1, ack: 5000, data: 4 })).toEqual([]);
    const old = [1, 1, ...option.timestamp(50, s.tsval)];
    expect(await s.send({ flags: "A", seq: 1, ack: 1, data: 4, options: old, win: 500 }))
      .toEqual(["A 1 ack 1 win 64 <nop,nop,TS ecr 101>"]);
  });

  it("closing with unread data resets the peer; so does abort of what waits to be accepted", async () => {
    const s = await script();
    const { stream, listener } = await accepted(s, { synOptions: option.mss(1460) });
    await s.send({ flags: "PA", seq: 1, ack: 1, data: 10 });
    stream.close();
    await s.net.settle();
    expect(s.take()).toEqual(["RA 1 ack 11"]);
    s.sport = 2000;
    await s.send({ flags: "S", options: option.mss(1460) });
    await s.send({ flags: "A", seq: 1, ack: 1 });
    listener.close();
    await s.net.settle();
    expect(s.take()).toEqual(["RA 1 ack 1"]);
    expect(s.host.sockets.stats()).toEqual({ sockets: 0, connections: 0, timeWaits: 0, skbs: 0 });
  });

  it("data after close is answered by RST", async () => {
    const s = await script();
    const { stream } = await accepted(s, { synOptions: option.mss(1460) });
    stream.close();
    await s.net.settle();
    s.take();
    await s.send({ flags: "A", seq: 1, ack: 2 });
    expect(await s.send({ flags: "PA", seq: 1, ack: 2, data: 5 })).toEqual(["R 2 id 0"]);
    expect(s.host.sockets.stats().timeWaits).toBe(0);
  });

  it("a closed port: RST by RFC 9293's rules, never for a RST", async () => {
    const s = await script();
    s.isn = 0;
    expect(await s.send({ flags: "S" })).toEqual(["RA 0 ack 1 id 0"]);
    expect(await s.send({ flags: "S", data: 5 })).toEqual(["RA 0 ack 6 id 0"]);
    expect(await s.send({ flags: "A", ack: 9000 })).toEqual(["R 9000 id 0"]);
    expect(await s.send({ flags: "F" })).toEqual(["RA 0 ack 1 id 0"]);
    expect(await s.send({ flags: "R" })).toEqual([]);
    expect(await s.send({ flags: "S", spoil: 1 })).toEqual([]);
    expect(await s.send({ flags: "" })).toEqual(["RA 0 ack 0 id 0"]);
  });
});
