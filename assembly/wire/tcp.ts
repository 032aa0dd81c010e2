// TCP, RFC 9293.
//   0                              16                             31
//  ├──────────── source ───────────┼───────── destination ─────────┤  0
//  ├─────────────────────── sequence number ───────────────────────┤  4
//  ├───────────────────── acknowledgment number ───────────────────┤  8
//  ├offset┼ rsvd ┼──── flags ──────┼──────────── window ───────────┤ 12
//  ├──────────── checksum ─────────┼───────── urgent pointer ──────┤ 16
import { be16, be32, putBe16, putBe32 } from "./bytes";

export const TCP_HEADER_LEN: u32 = 20;
export const TCP_FIN: u32 = 1;
export const TCP_SYN: u32 = 2;
export const TCP_RST: u32 = 4;
export const TCP_PSH: u32 = 8;
export const TCP_ACK: u32 = 16;
export const TCP_URG: u32 = 32;
export const TCP_ECE: u32 = 64;
export const TCP_CWR: u32 = 128;

const DESTINATION: usize = 2, SEQUENCE: usize = 4, ACKNOWLEDGMENT: usize = 8, OFFSET: usize = 12, FLAGS: usize = 13,
  WINDOW: usize = 14, CHECKSUM: usize = 16, URGENT: usize = 18;

@unmanaged export class TcpView {
  @inline static at(p: usize): TcpView { return changetype<TcpView>(p); }
  @inline get sourcePort(): u32 { return be16(changetype<usize>(this), 0); }
  @inline get destinationPort(): u32 { return be16(changetype<usize>(this), DESTINATION); }
  @inline get sequence(): u32 { return be32(changetype<usize>(this), SEQUENCE); }
  @inline get acknowledgment(): u32 { return be32(changetype<usize>(this), ACKNOWLEDGMENT); }
  @inline get headerLength(): u32 { return (<u32>load<u8>(changetype<usize>(this) + OFFSET) >>> 4) << 2; }
  @inline get flags(): u32 { return <u32>load<u8>(changetype<usize>(this) + FLAGS); }
  @inline get window(): u32 { return be16(changetype<usize>(this), WINDOW); }
  @inline get checksum(): u32 { return <u32>load<u16>(changetype<usize>(this) + CHECKSUM); }
  @inline set checksum(value: u32) { store<u16>(changetype<usize>(this) + CHECKSUM, <u16>value); }
  @inline get checksumAt(): usize { return changetype<usize>(this) + CHECKSUM; }

  /** Writes the fixed part with a zero checksum; `headerLength` counts the options. */
  @inline write(source: u32, destination: u32, sequence: u32, acknowledgment: u32, headerLength: u32, flags: u32,
    window: u32): void {
    const p = changetype<usize>(this);
    putBe16(p, 0, source);
    putBe16(p, DESTINATION, destination);
    putBe32(p, SEQUENCE, sequence);
    putBe32(p, ACKNOWLEDGMENT, acknowledgment);
    store<u8>(p, <u8>(headerLength << 2), OFFSET);
    store<u8>(p, <u8>flags, FLAGS);
    putBe16(p, WINDOW, window);
    store<u16>(p, 0, CHECKSUM);
    store<u16>(p, 0, URGENT);
  }
}
