// IPv4, RFC 791.
//   0       4       8               16    19                      31
//  ├version┼─ ihl ─┼───── tos ─────┼───────── total length ────────┤  0
//  ├─────────────── id ────────────┼flags┼───── fragment offset ───┤  4
//  ├───── ttl ─────┼── protocol ───┼──────── header checksum ──────┤  8
//  ├──────────────────────────── source ───────────────────────────┤ 12
//  ├────────────────────────── destination ────────────────────────┤ 16
import { be16 } from "./bytes";
import { checksum, checksumFold, checksumPatch16 } from "./checksum";

export const IPV4_HEADER_LEN: u32 = 20;
export const IPPROTO_ICMP: u32 = 1;
export const IPPROTO_IGMP: u32 = 2;
export const IPPROTO_TCP: u32 = 6;
export const IPPROTO_UDP: u32 = 17;
export const IP_DF: u32 = 0x4000;
export const IP_MF: u32 = 0x2000;
export const IP_OFFSET: u32 = 0x1fff;

const TOS: usize = 1, LENGTH: usize = 2, ID: usize = 4, FRAGMENT: usize = 6, TTL: usize = 8, PROTOCOL: usize = 9,
  CHECKSUM: usize = 10, SOURCE: usize = 12, DESTINATION: usize = 16;

@unmanaged export class Ipv4View {
  @inline static at(p: usize): Ipv4View { return changetype<Ipv4View>(p); }

  /** True when the header is whole, its lengths agree with `available` and its checksum is right (ip_rcv_core's tests). */
  check(available: u32): bool {
    if (available < IPV4_HEADER_LEN) return false;
    const header = this.headerLength;
    if (load<u8>(changetype<usize>(this)) >>> 4 != 4 || header < IPV4_HEADER_LEN || header > available) return false;
    const length = this.length;
    if (length < header || length > available) return false;
    return checksum(changetype<usize>(this), header) == 0;
  }

  @inline get headerLength(): u32 { return (<u32>load<u8>(changetype<usize>(this)) & 15) << 2; }
  @inline get tos(): u32 { return <u32>load<u8>(changetype<usize>(this) + TOS); }
  @inline get length(): u32 { return be16(changetype<usize>(this), LENGTH); }
  @inline get id(): u32 { return be16(changetype<usize>(this), ID); }
  /** Flags and offset in one word: IP_DF, IP_MF, IP_OFFSET. */
  @inline get fragment(): u32 { return be16(changetype<usize>(this), FRAGMENT); }
  @inline get ttl(): u32 { return <u32>load<u8>(changetype<usize>(this) + TTL); }
  @inline get protocol(): u32 { return <u32>load<u8>(changetype<usize>(this) + PROTOCOL); }
  /** Raw words (see bytes.ts). */
  @inline get source(): u32 { return load<u32>(changetype<usize>(this) + SOURCE); }
  @inline get destination(): u32 { return load<u32>(changetype<usize>(this) + DESTINATION); }

  /** Writes a header without options and its checksum. */
  write(tos: u32, length: u32, id: u32, fragment: u32, ttl: u32, protocol: u32, source: u32, destination: u32): void {
    const p = changetype<usize>(this);
    // By words, and summed before they are stored: to read back what small stores left would take longer.
    const first: u32 = <u32>0x45 | (tos & 0xff) << 8 | <u32>bswap<u16>(<u16>length) << 16;
    const second: u32 = <u32>bswap<u16>(<u16>id) | <u32>bswap<u16>(<u16>fragment) << 16;
    const third: u32 = (ttl & 0xff) | (protocol & 0xff) << 8;
    const sum = checksumFold(<u64>first + <u64>second + <u64>third + <u64>source + <u64>destination);
    store<u32>(p, first);
    store<u32>(p, second, ID);
    store<u32>(p, third | (~sum & 0xffff) << 16, TTL);
    store<u32>(p, source, SOURCE);
    store<u32>(p, destination, DESTINATION);
  }

  /** Computes the header checksum anew. */
  updateChecksum(): void {
    const p = changetype<usize>(this);
    store<u16>(p, 0, CHECKSUM);
    store<u16>(p, <u16>checksum(p, this.headerLength), CHECKSUM);
  }

  /** Sets the time to live and patches the checksum. */
  setTtl(ttl: u32): void {
    const p = changetype<usize>(this);
    // One store of both bytes: a load of what two stores left would wait for them.
    const before = <u32>load<u16>(p + TTL), after = (before & 0xff00) | (ttl & 0xff);
    store<u16>(p, <u16>after, TTL);
    checksumPatch16(p + CHECKSUM, before, after);
  }

  @inline get checksumAt(): usize { return changetype<usize>(this) + CHECKSUM; }
  @inline get sourceAt(): usize { return changetype<usize>(this) + SOURCE; }
  @inline get destinationAt(): usize { return changetype<usize>(this) + DESTINATION; }
}
