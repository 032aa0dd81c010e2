import { expect, test } from "vitest";
import { decode, DnsError, encode, query, TYPE, type Message } from "../../src/dns/message.ts";
import { parseResolvConf, resolve, ResolveError, searchOrder } from "../../src/dns/resolver.ts";
import { newRandom } from "../../src/time/random.ts";
import { TurnedClock } from "./clock.ts";
import { Fabric, FakeKernel } from "./fake-netns.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(text.replace(/\s/g, "").match(/../g)!, (byte) => parseInt(byte, 16));

test("a query is the bytes of RFC 1035", () => {
  expect(encode(query(0xabcd, "www.example.com", TYPE.A))).toEqual(
    hex("abcd 0100 0001 0000 0000 0000 03 777777 07 6578616d706c65 03 636f6d 00 0001 0001"));
});

test("an answer with compression, in and out", () => {
  const bytes = hex(
    "abcd 8580 0001 0002 0000 0001 03777777 076578616d706c65 03636f6d 00 0001 0001" +
    "c00c 0005 0001 0000003c 0006 03616263 c010" + "c02d 0001 0001 0000003c 0004 c0000201" + "00 0029 04d0 0000 8000 0000");
  const message = decode(bytes);
  expect(message).toMatchObject({
    id: 0xabcd, response: true, authoritative: true, recursionAvailable: true, edns: { udpSize: 1232, dnssecOk: true },
    answers: [
      { name: "www.example.com.", ttl: 60, data: { type: 5, target: "abc.example.com." } },
      { name: "abc.example.com.", ttl: 60, data: { type: 1, address: "192.0.2.1" } },
    ],
  });
  expect(encode(message)).toEqual(bytes);
});

test("pointers that loop, and names that are too long, are errors", () => {
  const head = "abcd 0100 0001 0000 0000 0000";
  expect(() => decode(hex(`${head} c00c 0001 0001`))).toThrow(DnsError);
  expect(() => decode(hex(`${head} 01 61 c00c 0001 0001`))).toThrow(DnsError);
  expect(() => decode(hex(head + "3f".concat("61".repeat(63)).repeat(4) + "00 0001 0001"))).toThrow(DnsError);
  expect(() => encode(query(1, "a..b", TYPE.A))).toThrow(DnsError);
});

test("TC is set where records do not fit, and what is sent can be read", () => {
  const answers = Array.from({ length: 60 }, (_, i) => ({ name: "a.example.", class: 1, ttl: 5, data: { type: 1 as const, address: `10.0.0.${i}` } }));
  const cut = decode(encode({ ...query(1, "a.example.", TYPE.A), response: true, answers }, 512));
  expect(cut.truncated).toBe(true);
  expect(cut.answers.length).toBe(30);
});

test("any bytes are a message or a DnsError; a message read can be written and read again", () => {
  const random = newRandom(11);
  const base = encode({
    ...query(9, "a.b.example.", TYPE.SRV), response: true, rcode: 3, edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [{ code: 10, data: Uint8Array.of(1, 2) }] },
    answers: [{ name: "a.b.example.", class: 1, ttl: 9, data: { type: 33, priority: 1, weight: 2, port: 3, target: "x.example." } },
      { name: "a.b.example.", class: 1, ttl: 9, data: { type: 16, texts: ["hello", ""] } }],
    authorities: [{ name: "example.", class: 1, ttl: 9, data: { type: 6, mname: "m.example.", rname: "r\\.x.example.", serial: 4294967295, refresh: 1, retry: 2, expire: 3, minimum: 4 } }],
  });
  let read = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = i % 2 === 0 ? base.slice() : random.bytes(new Uint8Array(random.below(120)));
    for (let flips = random.below(4); flips >= 0; flips--) if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    let message: Message;
    try {
      message = decode(bytes.subarray(0, i % 3 === 0 ? random.below(bytes.length + 1) : bytes.length));
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      continue;
    }
    read++;
    expect(decode(encode(message))).toEqual(message);
  }
  expect(read).toBeGreaterThan(1000);
});

test("resolv.conf and the search list", () => {
  const conf = parseResolvConf("nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local # x\noptions ndots:5 timeout:2 attempts:99 rotate\n");
  expect(conf).toEqual({
    nameservers: ["10.96.0.10"], search: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"], ndots: 5, timeoutSeconds: 2, attempts: 5,
  });
  expect(searchOrder("web", conf)).toEqual(["web.default.svc.cluster.local.", "web.svc.cluster.local.", "web.cluster.local.", "web."]);
  expect(searchOrder("a.b.c.d.e.f", conf)[0]).toBe("a.b.c.d.e.f.");
  expect(searchOrder("web.", conf)).toEqual(["web."]);
});

test("silent servers are asked again, attempts by servers; then EAI_AGAIN", async () => {
  const clock = new TurnedClock();
  const kernel = new FakeKernel("n", new Fabric(), clock);
  kernel.host.setLink("lo", { up: true });
  const server = kernel.host.sockets.udp({ local: { port: 53 } });
  const heard: string[] = [];
  void (async () => {
    for (;;) {
      const { data } = await server.receive();
      const message = decode(data);
      heard.push(`${clock.nowMs() % 100_000} ${message.questions[0]!.name} ${message.questions[0]!.type}`);
    }
  })().catch(() => undefined);
  const text = "nameserver 127.0.0.1\nsearch x.test\noptions timeout:1 attempts:2\n";
  let outcome: unknown;
  resolve({ net: kernel.host.sockets, clock, random: newRandom(1), readFile: (path) => (path === "/etc/resolv.conf" ? new TextEncoder().encode(text) : undefined) }, "host")
    .catch((error: unknown) => { outcome = error; });
  await clock.advance(20_000);
  expect(heard).toEqual(["0 host.x.test. 1", "0 host.x.test. 28", "1000 host.x.test. 1", "1000 host.x.test. 28"]);
  expect(outcome).toBeInstanceOf(ResolveError);
  expect((outcome as ResolveError).code).toBe("EAI_AGAIN");
});
