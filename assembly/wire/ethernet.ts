// Ethernet II.
//   0                 6                12         14
//  ├── destination ──┼──── source ────┼─ ethertype ┤ payload
import { be16, putBe16 } from "./bytes";

export const ETH_HEADER_LEN: u32 = 14;
export const ETH_P_IP: u32 = 0x0800;
export const ETH_P_ARP: u32 = 0x0806;
export const ETH_P_8021Q: u32 = 0x8100;
export const ETH_P_IPV6: u32 = 0x86dd;

const SOURCE: usize = 6, TYPE: usize = 12;

// A MAC address in registers: the first four bytes and the last two, as little-endian loads give them.
@unmanaged export class EthernetView {
  @inline static at(p: usize): EthernetView { return changetype<EthernetView>(p); }
  @inline get dst0(): u32 { return load<u32>(changetype<usize>(this)); }
  @inline get dst1(): u32 { return <u32>load<u16>(changetype<usize>(this) + 4); }
  @inline get src0(): u32 { return load<u32>(changetype<usize>(this) + SOURCE); }
  @inline get src1(): u32 { return <u32>load<u16>(changetype<usize>(this) + SOURCE + 4); }
  @inline get type(): u32 { return be16(changetype<usize>(this), TYPE); }

  @inline write(dst0: u32, dst1: u32, src0: u32, src1: u32, type: u32): void {
    const p = changetype<usize>(this);
    store<u32>(p, dst0);
    store<u16>(p, <u16>dst1, 4);
    store<u32>(p, src0, 6);
    store<u16>(p, <u16>src1, 10);
    putBe16(p, TYPE, type);
  }
}

/** The group bit: broadcast or multicast. */
@inline export function macIsGroup(mac0: u32): bool { return (mac0 & 1) != 0; }
@inline export function macIsBroadcast(mac0: u32, mac1: u32): bool { return mac0 == 0xffffffff && mac1 == 0xffff; }
