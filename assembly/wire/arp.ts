// ARP for IPv4 over Ethernet, RFC 826.
//   0               8              16                             31
//  ├──────── hardware type ────────┼─────── protocol type ─────────┤  0
//  ├─ hw length ───┼─ proto length ┼────────── operation ──────────┤  4
//  ├──────────────────────── sender hardware ──────────────────────┤  8
//  ├────────────────────────  sender protocol ─────────────────────┤ 14
//  ├──────────────────────── target hardware ──────────────────────┤ 18
//  ├────────────────────────  target protocol ─────────────────────┤ 24
import { be16, putBe16 } from "./bytes";

export const ARP_LEN: u32 = 28;
export const ARP_REQUEST: u32 = 1;
export const ARP_REPLY: u32 = 2;

const OPERATION: usize = 6, SENDER_MAC: usize = 8, SENDER_IP: usize = 14, TARGET_MAC: usize = 18, TARGET_IP: usize = 24;

@unmanaged export class ArpView {
  @inline static at(p: usize): ArpView { return changetype<ArpView>(p); }
  /** Ethernet (or IEEE 802) hardware, IPv4, lengths 6 and 4. */
  @inline get valid(): bool {
    const p = changetype<usize>(this);
    const hardware = be16(p, 0);
    return (hardware == 1 || hardware == 6) && be16(p, 2) == 0x0800 && load<u16>(p, 4) == 0x0406;
  }
  @inline get operation(): u32 { return be16(changetype<usize>(this), OPERATION); }
  @inline get senderMac0(): u32 { return load<u32>(changetype<usize>(this) + SENDER_MAC); }
  @inline get senderMac1(): u32 { return <u32>load<u16>(changetype<usize>(this) + SENDER_MAC + 4); }
  @inline get targetMac0(): u32 { return load<u32>(changetype<usize>(this) + TARGET_MAC); }
  @inline get targetMac1(): u32 { return <u32>load<u16>(changetype<usize>(this) + TARGET_MAC + 4); }
  /** Raw words (see bytes.ts). */
  @inline get senderIp(): u32 { return load<u32>(changetype<usize>(this) + SENDER_IP); }
  @inline get targetIp(): u32 { return load<u32>(changetype<usize>(this) + TARGET_IP); }

  write(operation: u32, senderMac0: u32, senderMac1: u32, senderIp: u32, targetMac0: u32, targetMac1: u32,
    targetIp: u32): void {
    const p = changetype<usize>(this);
    putBe16(p, 0, 1);
    putBe16(p, 2, 0x0800);
    store<u16>(p, 0x0406, 4);
    putBe16(p, OPERATION, operation);
    store<u32>(p, senderMac0, SENDER_MAC);
    store<u16>(p, <u16>senderMac1, SENDER_MAC + 4);
    store<u32>(p, senderIp, SENDER_IP);
    store<u32>(p, targetMac0, TARGET_MAC);
    store<u16>(p, <u16>targetMac1, TARGET_MAC + 4);
    store<u32>(p, targetIp, TARGET_IP);
  }
}
