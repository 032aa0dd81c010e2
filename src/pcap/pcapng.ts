/**
 * Writes pcapng (draft-ietf-opsawg-pcapng), the format Wireshark keeps: one section, one interface description per
 * device with its name and nanosecond timestamps, one enhanced packet block per packet with its direction.
 */
import { type Capture, type CaptureInterface, type CapturePacket, LINKTYPE_ETHERNET } from "./capture.ts";

/** Block types (section 11.1 of the draft). */
export const BLOCK = { section: 0x0a0d0d0a, interface: 1, packet: 2, simplePacket: 3, enhancedPacket: 6 } as const;

/** Option codes: the general ones, and those of the section, interface and enhanced packet blocks. */
export const OPTION = {
  end: 0,
  comment: 1,
  sectionApplication: 4,
  interfaceName: 2,
  interfaceDescription: 3,
  interfaceTimeResolution: 9,
  interfaceTimeOffset: 14,
  packetFlags: 2,
} as const;

/** Lets a reader tell the byte order of the section. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Values of the low two bits of epb_flags. */
export const DIRECTION = { in: 1, out: 2 } as const;

const NANOSECONDS = 9;
const CHUNK_BYTES = 1 << 16;
const OPTION_BYTES_MAX = 0xffff;

/**
 * The file in chunks of about 64 KiB. Packets are read one by one while it is written; their order is kept.
 * Throws RangeError for a packet on an interface that is not described.
 */
export function* writePcapng(capture: Capture, application = "kubewire"): Generator<Uint8Array> {
  const out = new BlockWriter();
  out.section(application);
  for (const description of capture.interfaces) out.interface(description);
  for (const packet of capture.packets) {
    if (capture.interfaces[packet.interface] === undefined) {
      throw new RangeError(`packet on interface ${packet.interface}, but there are ${capture.interfaces.length}`);
    }
    if (out.length >= CHUNK_BYTES) yield out.take();
    out.packet(packet);
  }
  yield out.take();
}

/** The file as one array. */
export function encodePcapng(capture: Capture, application?: string): Uint8Array {
  const chunks = [...writePcapng(capture, application)];
  const file = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

class BlockWriter {
  length = 0;
  private bytes = new Uint8Array(CHUNK_BYTES + 4096);
  private view = new DataView(this.bytes.buffer);
  private start = 0;

  /** What was written so far; later blocks go to a new array. */
  take(): Uint8Array {
    const chunk = this.bytes.slice(0, this.length);
    this.length = 0;
    return chunk;
  }

  section(application: string): void {
    this.open(BLOCK.section, 16);
    this.u32(BYTE_ORDER_MAGIC);
    this.u16(1);
    this.u16(0);
    // The section's length is not known beforehand.
    this.u32(0xffffffff);
    this.u32(0xffffffff);
    this.text(OPTION.sectionApplication, application);
    this.close();
  }

  interface({ name, description, linkType = LINKTYPE_ETHERNET, snapLength = 0 }: CaptureInterface): void {
    this.open(BLOCK.interface, 8);
    this.u16(linkType);
    this.u16(0);
    this.u32(snapLength);
    if (name !== undefined) this.text(OPTION.interfaceName, name);
    if (description !== undefined) this.text(OPTION.interfaceDescription, description);
    this.option(OPTION.interfaceTimeResolution, Uint8Array.of(NANOSECONDS));
    this.close();
  }

  packet({ interface: index, timeNs, data, originalLength, direction, comment }: CapturePacket): void {
    this.open(BLOCK.enhancedPacket, 20 + data.length);
    this.u32(index);
    this.u32(Number((timeNs >> 32n) & 0xffffffffn));
    this.u32(Number(timeNs & 0xffffffffn));
    this.u32(data.length);
    this.u32(originalLength ?? data.length);
    this.padded(data);
    if (comment !== undefined) this.text(OPTION.comment, comment);
    if (direction !== undefined) this.option(OPTION.packetFlags, Uint8Array.of(DIRECTION[direction], 0, 0, 0));
    this.close();
  }

  private text(code: number, text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.option(code, bytes.length <= OPTION_BYTES_MAX ? bytes : cutUtf8(bytes, OPTION_BYTES_MAX));
  }

  private option(code: number, value: Uint8Array): void {
    this.reserve(8 + value.length);
    this.u16(code);
    this.u16(value.length);
    this.padded(value);
  }

  private open(type: number, bodyBytes: number): void {
    this.start = this.length;
    this.reserve(bodyBytes + 32);
    this.u32(type);
    this.u32(0);
  }

  /** Ends the options, and writes the block's length at both of its ends. */
  private close(): void {
    this.reserve(8);
    this.u32(OPTION.end);
    const total = this.length + 4 - this.start;
    this.u32(total);
    this.view.setUint32(this.start + 4, total, true);
  }

  private padded(data: Uint8Array): void {
    this.bytes.set(data, this.length);
    const end = this.length + data.length;
    this.length = (end + 3) & ~3;
    // The array is used again after `take`: padding has to be cleared.
    this.bytes.fill(0, end, this.length);
  }

  private u16(value: number): void {
    this.view.setUint16(this.length, value, true);
    this.length += 2;
  }

  private u32(value: number): void {
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + bytes));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
}

/** At most `bytesMax` bytes, cut between two characters. */
function cutUtf8(bytes: Uint8Array, bytesMax: number): Uint8Array {
  let end = bytesMax;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}
