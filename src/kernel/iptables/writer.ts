/** The bytes of rules: headers and data of matches and targets (assembly/abi/netfilter.ts). */

const EXT_HEADER = 4;

/** A growing buffer; numbers are little-endian, as the kernel reads them. */
export class Writer {
  bytes = new Uint8Array(1024);
  view = new DataView(this.bytes.buffer);
  at = 0;

  reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.bytes.length * 2, this.at + count));
    bytes.set(this.bytes.subarray(0, this.at));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  u8(value: number): this {
    this.reserve(1);
    this.bytes[this.at++] = value;
    return this;
  }
  u16(value: number): this {
    this.reserve(2);
    this.view.setUint16(this.at, value, true);
    this.at += 2;
    return this;
  }
  u32(value: number): this {
    this.reserve(4);
    this.view.setUint32(this.at, value, true);
    this.at += 4;
    return this;
  }
  u64(value: bigint): this {
    this.reserve(8);
    this.view.setBigUint64(this.at, value, true);
    this.at += 8;
    return this;
  }
  /** An IPv4 address (host order) as its bytes stand in a packet. */
  address(value: number): this {
    this.reserve(4);
    this.view.setUint32(this.at, value);
    this.at += 4;
    return this;
  }
  /** Text in `length` bytes, zeros behind it. */
  text(value: string, length: number): this {
    this.reserve(length);
    for (let i = 0; i < length; i++) this.bytes[this.at + i] = i < value.length ? value.charCodeAt(i) & 255 : 0;
    this.at += length;
    return this;
  }
  /** The header of a match or target whose data `length` bytes follow. */
  head(kind: number, inverted: boolean, length: number): this {
    return this.u8(kind).u8(inverted ? 1 : 0).u16(EXT_HEADER + length);
  }
  /** An unshared copy of what was written from `from` on. */
  copy(from = 0): Uint8Array {
    return this.bytes.slice(from, this.at);
  }
}
