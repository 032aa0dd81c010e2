// UDP, RFC 768.
//   0                              16                             31
//  ├──────────── source ───────────┼───────── destination ─────────┤  0
//  ├──────────── length ───────────┼────────── checksum ───────────┤  4
import { be16, putBe16 } from "./bytes";

export const UDP_HEADER_LEN: u32 = 8;
const DESTINATION: usize = 2, LENGTH: usize = 4, CHECKSUM: usize = 6;

@unmanaged export class UdpView {
  @inline static at(p: usize): UdpView { return changetype<UdpView>(p); }
  @inline get sourcePort(): u32 { return be16(changetype<usize>(this), 0); }
  @inline get destinationPort(): u32 { return be16(changetype<usize>(this), DESTINATION); }
  @inline get length(): u32 { return be16(changetype<usize>(this), LENGTH); }
  /** As stored; 0: the sender made none. */
  @inline get checksum(): u32 { return <u32>load<u16>(changetype<usize>(this) + CHECKSUM); }
  @inline set checksum(value: u32) { store<u16>(changetype<usize>(this) + CHECKSUM, <u16>value); }
  @inline get checksumAt(): usize { return changetype<usize>(this) + CHECKSUM; }

  @inline write(source: u32, destination: u32, length: u32): void {
    const p = changetype<usize>(this);
    putBe16(p, 0, source);
    putBe16(p, DESTINATION, destination);
    putBe16(p, LENGTH, length);
    store<u16>(p, 0, CHECKSUM);
  }
}
