/** The capture writer, judged by Wireshark's own tools; the reader, by round trips, by them, and by broken files. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Capture, CaptureError, type CaptureInterface, type CapturePacket } from "../../src/pcap/capture.ts";
import { encodePcapng, writePcapng } from "../../src/pcap/pcapng.ts";
import { readCapture } from "../../src/pcap/read.ts";

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "kubewire-pcap-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tool(name: string, args: readonly string[], file: Uint8Array): string {
  const path = join(folder, "capture");
  writeFileSync(path, file);
  return execFileSync(
    name,
    args.map((arg) => (arg === "FILE" ? path : arg)),
    { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
}

/** mulberry32: the tests' own chance, from a seed that a failure names. */
function chance(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const frame = (length: number, fill: number): Uint8Array => {
  const bytes = new Uint8Array(length).fill(fill);
  // An experimental ether type: no dissector of tshark feels called upon.
  bytes.set([0x88, 0xb5], 12);
  return bytes;
};

const DEMO: { interfaces: CaptureInterface[]; packets: CapturePacket[] } = {
  interfaces: [{ name: "node-1/eth0", description: "underlay" }, { name: "node-1/cni0" }, { name: "web-7d4b/eth0 ü" }],
  packets: [
    {
      interface: 0,
      timeNs: 1_700_000_000_123_456_789n,
      data: frame(60, 1),
      direction: "out",
      comment: "SYN, after DNAT",
    },
    { interface: 2, timeNs: 1_700_000_000_123_456_790n, data: frame(61, 2), direction: "in" },
    { interface: 1, timeNs: 1_700_000_001_000_000_000n, data: frame(64, 3), originalLength: 1514 },
  ],
};

test("tshark reads names, directions, nanoseconds, lengths and comments", () => {
  const fields = [
    "frame.interface_name",
    "frame.time_epoch",
    "frame.len",
    "frame.cap_len",
    "frame.packet_flags_direction",
    "frame.comment",
  ];
  const text = tool(
    "tshark",
    ["-r", "FILE", "-T", "fields", ...fields.flatMap((name) => ["-e", name])],
    encodePcapng(DEMO),
  );
  expect(
    text
      .replace(/\n$/, "")
      .split("\n")
      .map((line) => line.split("\t")),
  ).toEqual([
    ["node-1/eth0", "1700000000.123456789", "60", "60", "2", "SYN, after DNAT"].map(expectFlag),
    ["web-7d4b/eth0 ü", "1700000000.123456790", "61", "61", "1", ""].map(expectFlag),
    ["node-1/cni0", "1700000001.000000000", "1514", "64", "", ""].map(expectFlag),
  ]);
});

/** tshark prints the direction as a number or, in some versions, in hex. */
const expectFlag = (text: string, column: number): unknown =>
  column === 4 && text !== "" ? expect.stringMatching(new RegExp(`^(?:0x0*)?${text}$`)) : text;

test("capinfos sees one section by kubewire, its interfaces and all packets", () => {
  const text = tool("capinfos", ["FILE"], encodePcapng(DEMO));
  expect(text).toMatch(/File type:\s+Wireshark\/\.\.\. - pcapng/);
  expect(text).toMatch(/File encapsulation:\s+Ethernet/);
  expect(text).toMatch(/Number of packets:\s+3\b/);
  expect(text).toMatch(/Capture application:\s+kubewire/);
  expect(text).toMatch(/Number of interfaces in file:\s+3\b/);
  expect(text).toMatch(/Name = node-1\/cni0/);
  expect(text).toMatch(/Time precision = nanoseconds \(9\)/);
});

test("a packet on an interface that is not described is refused", () => {
  expect(() => encodePcapng({ interfaces: [], packets: DEMO.packets })).toThrow(RangeError);
});

test("a comment longer than an option is cut between characters", () => {
  const comment = "ü".repeat(40_000);
  const { packets } = readCapture(encodePcapng({ ...DEMO, packets: [{ ...DEMO.packets[0]!, comment }] }));
  expect(packets[0]!.comment).toBe("ü".repeat(32_767));
});

function randomCapture(seed: number): { interfaces: CaptureInterface[]; packets: CapturePacket[] } {
  const below = chance(seed);
  const interfaces = Array.from({ length: 1 + below(5) }, (_, n): CaptureInterface => ({
    linkType: below(4) === 0 ? 101 : 1,
    snapLength: below(2) * 65535,
    ...(below(3) > 0 ? { name: `node-${n}/eth${below(10)}` } : {}),
    ...(below(3) === 0 ? { description: "π".repeat(below(9)) } : {}),
  }));
  const packets = Array.from({ length: below(30) }, (): CapturePacket => {
    const data = Uint8Array.from({ length: below(8) === 0 ? below(2000) : below(80) }, () => below(256));
    const direction = ([undefined, "in", "out"] as const)[below(3)];
    return {
      interface: below(interfaces.length),
      timeNs: BigInt(below(2 ** 31)) * 1_000_000_000n + BigInt(below(1_000_000_000)),
      data,
      ...(below(3) === 0 ? { originalLength: data.length + 1 + below(1000) } : {}),
      ...(direction === undefined ? {} : { direction }),
      ...(below(4) === 0 ? { comment: `rule ${below(1000)}` } : {}),
    };
  });
  return { interfaces, packets };
}

test("what was written is read back, over 100 seeds; chunks hold the same bytes", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const capture = randomCapture(seed);
    const file = encodePcapng(capture);
    const read = readCapture(file);
    expect({ interfaces: read.interfaces, packets: read.packets }, `seed ${seed}`).toEqual(capture);
    expect(Buffer.concat([...writePcapng(capture)]).equals(file), `seed ${seed}`).toBe(true);
  }
});

test("a file of several chunks is one file", () => {
  const packets = Array.from({ length: 500 }, (_, n): CapturePacket => ({
    interface: 0,
    timeNs: BigInt(n),
    data: frame(1514, n & 255),
  }));
  const capture: Capture = { interfaces: [{ name: "eth0", linkType: 1, snapLength: 0 }], packets };
  expect([...writePcapng(capture)].length).toBeGreaterThan(5);
  expect(readCapture(encodePcapng(capture)).packets).toEqual(packets);
});

describe("files by other tools", () => {
  // editcap's own words for each format.
  test.each(["pcap", "nsecpcap", "pcapng"])("%s, as Wireshark writes it", (format) => {
    const source = join(folder, "source");
    const target = join(folder, "target");
    const packets = DEMO.packets.map(({ data, timeNs }) => ({ interface: 0, data, timeNs }));
    writeFileSync(source, encodePcapng({ interfaces: [{ name: "eth0" }], packets }));
    execFileSync("editcap", ["-F", format, source, target]);
    const read = readCapture(new Uint8Array(readFileSync(target)));
    const unit = format === "pcap" ? 1000n : 1n;
    expect(read.packets).toEqual(
      packets.map((packet) => ({ ...packet, timeNs: packet.timeNs - (packet.timeNs % unit) })),
    );
    expect(read.interfaces[0]).toMatchObject({ linkType: 1 });
  });

  /** Writes classic pcap in the given byte order. */
  function classic(little: boolean, magic: number): Uint8Array {
    const file = new DataView(new ArrayBuffer(24 + 16 + 60));
    file.setUint32(0, magic, little);
    file.setUint16(4, 2, little);
    file.setUint16(6, 4, little);
    file.setUint32(16, 262144, little);
    file.setUint32(20, 1, little);
    [1_700_000_000, 5, 60, 1514].forEach((value, n) => file.setUint32(24 + 4 * n, value, little));
    return new Uint8Array(file.buffer);
  }
  test.each([
    [true, 0xa1b2c3d4, 5000n],
    [false, 0xa1b2c3d4, 5000n],
    [true, 0xa1b23c4d, 5n],
    [false, 0xa1b23c4d, 5n],
  ])("classic pcap, little-endian %s, magic %i", (little, magic, ns) => {
    const file = classic(little, magic);
    expect(readCapture(file)).toEqual({
      interfaces: [{ linkType: 1, snapLength: 262144 }],
      packets: [
        { interface: 0, timeNs: 1_700_000_000n * 1_000_000_000n + ns, data: new Uint8Array(60), originalLength: 1514 },
      ],
    });
    expect(tool("tshark", ["-r", "FILE", "-T", "fields", "-e", "frame.len"], file).trim()).toBe("1514");
    for (let length = 0; length < file.length; length++) {
      if (length !== 24) expect(() => readCapture(file.subarray(0, length)), `${length} bytes`).toThrow(CaptureError);
    }
  });

  test("two sections number their interfaces anew, and a section may be big-endian", () => {
    const one = encodePcapng({
      interfaces: [{ name: "a" }],
      packets: [{ interface: 0, timeNs: 1n, data: frame(60, 1) }],
    });
    const two = encodePcapng({
      interfaces: [{ name: "b" }],
      packets: [{ interface: 0, timeNs: 2n, data: frame(60, 2) }],
    });
    const { interfaces, packets } = readCapture(Uint8Array.from([...one, ...two]));
    expect(interfaces.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(packets.map((packet) => packet.interface)).toEqual([0, 1]);

    const big = new DataView(new ArrayBuffer(28 + 20 + 20));
    [0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00010000, 0xffffffff, 0xffffffff, 28].forEach((value, n) =>
      big.setUint32(4 * n, value),
    );
    [1, 20, 0x00010000, 0, 20].forEach((value, n) => big.setUint32(28 + 4 * n, value));
    // A simple packet block: 4 bytes, and no time.
    [3, 20, 4, 0x01020304, 20].forEach((value, n) => big.setUint32(48 + 4 * n, value));
    expect(readCapture(new Uint8Array(big.buffer)).packets).toEqual([
      { interface: 0, timeNs: 0n, data: Uint8Array.of(1, 2, 3, 4) },
    ]);
  });
});

test("any broken file is a CaptureError with a place, or a capture", () => {
  let refused = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const below = chance(seed);
    const capture = randomCapture(seed % 7);
    const file = encodePcapng({ ...capture, packets: capture.packets.slice(0, 4) });
    for (let n = below(4); n >= 0; n--) file[below(Math.min(file.length, 400))] = below(256);
    const broken = below(3) === 0 ? file.subarray(0, below(file.length)) : file;
    try {
      readCapture(broken);
    } catch (error) {
      if (!(error instanceof CaptureError)) throw new Error(`seed ${seed}: ${String(error)}`);
      expect(error.offset).toBeLessThanOrEqual(broken.length);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(500);
});
