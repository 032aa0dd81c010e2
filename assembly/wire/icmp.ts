// ICMP, RFC 792.
//   0               8              16                             31
//  ├───── type ────┼───── code ────┼────────── checksum ───────────┤  0
//  ├─────────────────── rest: id and sequence, mtu … ──────────────┤  4
import { be16, putBe16, putBe32 } from "./bytes";

export const ICMP_HEADER_LEN: u32 = 8;
export const ICMP_ECHOREPLY: u32 = 0;
export const ICMP_DEST_UNREACH: u32 = 3;
export const ICMP_REDIRECT: u32 = 5;
export const ICMP_ECHO: u32 = 8;
export const ICMP_TIME_EXCEEDED: u32 = 11;
export const ICMP_PARAMETERPROB: u32 = 12;
// Codes of ICMP_DEST_UNREACH.
export const ICMP_NET_UNREACH: u32 = 0;
export const ICMP_HOST_UNREACH: u32 = 1;
export const ICMP_PROT_UNREACH: u32 = 2;
export const ICMP_PORT_UNREACH: u32 = 3;
export const ICMP_FRAG_NEEDED: u32 = 4;
export const ICMP_PKT_FILTERED: u32 = 13;

const CODE: usize = 1, CHECKSUM: usize = 2, REST: usize = 4, ID: usize = 4, SEQUENCE: usize = 6;

@unmanaged export class IcmpView {
  @inline static at(p: usize): IcmpView { return changetype<IcmpView>(p); }
  @inline get type(): u32 { return <u32>load<u8>(changetype<usize>(this)); }
  @inline get code(): u32 { return <u32>load<u8>(changetype<usize>(this) + CODE); }
  @inline get id(): u32 { return be16(changetype<usize>(this), ID); }
  @inline get sequence(): u32 { return be16(changetype<usize>(this), SEQUENCE); }
  @inline get checksumAt(): usize { return changetype<usize>(this) + CHECKSUM; }

  /** Writes the header with a zero checksum. */
  @inline write(type: u32, code: u32, rest: u32): void {
    const p = changetype<usize>(this);
    store<u8>(p, <u8>type);
    store<u8>(p, <u8>code, CODE);
    putBe16(p, CHECKSUM, 0);
    putBe32(p, REST, rest);
  }
}
