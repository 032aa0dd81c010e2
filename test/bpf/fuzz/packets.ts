/** Packets for random programs: Ethernet frames that mean something to the kernel's helpers, and nonsense. */
import type { Dice } from "../../kernel/fuzz/random.ts";

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export function packet(d: Dice): Uint8Array {
  const bytes = Uint8Array.from({ length: d.weighted([[6, d.from(54, 120)], [1, d.from(14, 53)], [1, d.from(121, 400)]]) }, () => d.below(256));
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
  const view = new DataView(bytes.buffer);
  const kind = d.below(4);
  if (kind === 0 || bytes.length < 54) {
    // Neither IPv4 nor IPv6: what the protocol says is not looked at.
    view.setUint16(12, 0x88b5);
    return bytes;
  }
  if (kind === 1) {
    view.setUint16(12, 0x86dd);
    bytes[14] = 0x60;
    view.setUint16(18, bytes.length - 54);
    bytes[20] = d.pick([6, 17, 59]);
    return bytes;
  }
  view.setUint16(12, 0x0800);
  bytes[14] = 0x45;
  view.setUint16(16, bytes.length - 14);
  view.setUint16(20, 0);
  bytes[23] = d.pick([6, 17, 1]);
  view.setUint16(24, 0);
  view.setUint16(24, checksum(bytes.subarray(14, 34)));
  return bytes;
}
