/**
 * Reads capture files: classic pcap (draft-ietf-opsawg-pcap; microseconds or nanoseconds, either byte order) and
 * pcapng (draft-ietf-opsawg-pcapng; any number of sections, unknown blocks skipped).
 */
import { type Capture, CaptureError, type CaptureInterface, type CapturePacket } from "./capture.ts";
import { BLOCK, BYTE_ORDER_MAGIC, DIRECTION, OPTION } from "./pcapng.ts";

/** A capture that is all in memory; packets are views of the file's bytes. */
export interface ReadCapture extends Capture {
  readonly packets: readonly CapturePacket[];
}

/** Throws CaptureError with the place, for what is no capture and for a broken one. */
export function readCapture(file: Uint8Array): ReadCapture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 4) throw new CaptureError("not a capture file: too short", 0);
  if (view.getUint32(0, false) === BLOCK.section) return readPcapng(file, view);
  for (const little of [true, false]) {
    const magic = view.getUint32(0, little);
    if (magic === PCAP_MICROSECONDS) return readPcap(file, view, little, 1000n);
    if (magic === PCAP_NANOSECONDS) return readPcap(file, view, little, 1n);
  }
  throw new CaptureError("not a capture file: unknown magic number", 0);
}

const PCAP_MICROSECONDS = 0xa1b2c3d4;
const PCAP_NANOSECONDS = 0xa1b23c4d;
const PCAP_HEADER_BYTES = 24;
const PCAP_RECORD_BYTES = 16;

function readPcap(file: Uint8Array, view: DataView, little: boolean, unitNs: bigint): ReadCapture {
  if (file.length < PCAP_HEADER_BYTES) throw new CaptureError("truncated pcap header", 0);
  const snapLength = view.getUint32(16, little);
  // The upper bits say whether frames carry a check sequence, and how long it is.
  const linkType = view.getUint32(20, little) & 0xffff;
  const packets: CapturePacket[] = [];
  for (let at = PCAP_HEADER_BYTES; at < file.length;) {
    if (file.length - at < PCAP_RECORD_BYTES) throw new CaptureError("truncated packet header", at);
    const length = view.getUint32(at + 8, little);
    const start = at + PCAP_RECORD_BYTES;
    if (length > file.length - start) throw new CaptureError("truncated packet", at);
    const timeNs =
      BigInt(view.getUint32(at, little)) * 1_000_000_000n + BigInt(view.getUint32(at + 4, little)) * unitNs;
    packets.push(packetOf(0, timeNs, file.subarray(start, start + length), view.getUint32(at + 12, little)));
    at = start + length;
  }
  return { interfaces: [{ linkType, snapLength }], packets };
}

/** What reading one section of a pcapng file needs to know of its interfaces. */
interface TimedInterface {
  /** Ticks per second. */
  readonly resolution: bigint;
  readonly offsetSeconds: bigint;
  readonly snapLength: number;
}

const BLOCK_BYTES_MIN = 12;

function readPcapng(file: Uint8Array, view: DataView): ReadCapture {
  const interfaces: CaptureInterface[] = [];
  const timed: TimedInterface[] = [];
  const packets: CapturePacket[] = [];
  // Interfaces are numbered anew in each section.
  let first = 0;
  let little = true;
  for (let at = 0; at < file.length;) {
    if (file.length - at < BLOCK_BYTES_MIN) throw new CaptureError("truncated block", at);
    const isSection = view.getUint32(at, false) === BLOCK.section;
    if (isSection) {
      little = view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
      if (!little && view.getUint32(at + 8, false) !== BYTE_ORDER_MAGIC)
        throw new CaptureError("bad byte-order magic", at);
      first = interfaces.length;
    }
    const total = view.getUint32(at + 4, little);
    if (total < BLOCK_BYTES_MIN || total % 4 !== 0) throw new CaptureError(`bad block length ${total}`, at);
    if (total > file.length - at) throw new CaptureError("truncated block", at);
    if (view.getUint32(at + total - 4, little) !== total) throw new CaptureError("block lengths differ", at);
    const block: Block = { file, view, little, start: at + 8, end: at + total - 4 };
    const type = view.getUint32(at, little);
    if (isSection) need(block, 16);
    else if (type === BLOCK.interface) readInterface(block, interfaces, timed);
    else if (type === BLOCK.enhancedPacket || type === BLOCK.packet || type === BLOCK.simplePacket) {
      packets.push(readPacket(block, type, first, timed));
    }
    at += total;
  }
  return { interfaces, packets };
}

/** The body of one block. */
interface Block {
  readonly file: Uint8Array;
  readonly view: DataView;
  readonly little: boolean;
  readonly start: number;
  readonly end: number;
}

function need({ start, end }: Block, bytes: number): void {
  if (end - start < bytes) throw new CaptureError("block too short for its type", start);
}

function readInterface(block: Block, interfaces: CaptureInterface[], timed: TimedInterface[]): void {
  need(block, 8);
  const { view, little, start } = block;
  const linkType = view.getUint16(start, little);
  const snapLength = view.getUint32(start + 4, little);
  let name: string | undefined;
  let description: string | undefined;
  let resolution = 1_000_000n;
  let offsetSeconds = 0n;
  for (const { code, value, at } of options(block, start + 8)) {
    if (code === OPTION.interfaceName) name = new TextDecoder().decode(value);
    else if (code === OPTION.interfaceDescription) description = new TextDecoder().decode(value);
    else if (code === OPTION.interfaceTimeResolution) {
      if (value.length !== 1) throw new CaptureError("bad if_tsresol", at);
      const exponent = BigInt(value[0]! & 0x7f);
      resolution = (value[0]! & 0x80) === 0 ? 10n ** exponent : 2n ** exponent;
    } else if (code === OPTION.interfaceTimeOffset) {
      if (value.length !== 8) throw new CaptureError("bad if_tsoffset", at);
      offsetSeconds = view.getBigInt64(at, little);
    }
  }
  timed.push({ resolution, offsetSeconds, snapLength });
  interfaces.push({
    linkType,
    snapLength,
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
  });
}

function readPacket(block: Block, type: number, first: number, timed: readonly TimedInterface[]): CapturePacket {
  const { view, little, start, file } = block;
  const interfaceOf = (index: number): TimedInterface => {
    const found = timed[first + index];
    if (found === undefined) throw new CaptureError(`packet on unknown interface ${index}`, start);
    return found;
  };
  if (type === BLOCK.simplePacket) {
    need(block, 4);
    const { snapLength } = interfaceOf(0);
    const original = view.getUint32(start, little);
    const kept = Math.min(original, snapLength === 0 ? original : snapLength);
    need(block, 4 + kept);
    return packetOf(first, 0n, file.subarray(start + 4, start + 4 + kept), original);
  }
  need(block, 20);
  const index = type === BLOCK.packet ? view.getUint16(start, little) : view.getUint32(start, little);
  const { resolution, offsetSeconds } = interfaceOf(index);
  const ticks = (BigInt(view.getUint32(start + 4, little)) << 32n) | BigInt(view.getUint32(start + 8, little));
  const timeNs = (ticks * 1_000_000_000n) / resolution + offsetSeconds * 1_000_000_000n;
  const kept = view.getUint32(start + 12, little);
  if (kept > block.end - start - 20) throw new CaptureError("packet longer than its block", start);
  const data = file.subarray(start + 20, start + 20 + kept);
  let direction: "in" | "out" | undefined;
  let comment: string | undefined;
  for (const { code, value, at } of options(block, start + 20 + ((kept + 3) & ~3))) {
    if (code === OPTION.comment) comment ??= new TextDecoder().decode(value);
    else if (code === OPTION.packetFlags) {
      if (value.length !== 4) throw new CaptureError("bad epb_flags", at);
      const bits = view.getUint32(at, little) & 3;
      direction = bits === DIRECTION.in ? "in" : bits === DIRECTION.out ? "out" : undefined;
    }
  }
  return {
    ...packetOf(first + index, timeNs, data, view.getUint32(start + 16, little)),
    ...(direction === undefined ? {} : { direction }),
    ...(comment === undefined ? {} : { comment }),
  };
}

function* options(block: Block, from: number): Generator<{ code: number; value: Uint8Array; at: number }> {
  const { view, little, file, end } = block;
  for (let at = from; at < end;) {
    if (end - at < 4) throw new CaptureError("truncated option", at);
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === OPTION.end) return;
    if (length > end - at - 4) throw new CaptureError("option longer than its block", at);
    yield { code, value: file.subarray(at + 4, at + 4 + length), at: at + 4 };
    at += 4 + ((length + 3) & ~3);
  }
}

function packetOf(index: number, timeNs: bigint, data: Uint8Array, originalLength: number): CapturePacket {
  return { interface: index, timeNs, data, ...(originalLength === data.length ? {} : { originalLength }) };
}
