// VXLAN, RFC 7348.
//   0               8                              24             31
//  ├──── flags ────┼─────────────── reserved ──────────────────────┤  0
//  ├──────────────────── VNI ───────────────────────┼── reserved ──┤  4
import { be32, putBe32 } from "./bytes";

export const VXLAN_HEADER_LEN: u32 = 8;
/** The I flag: the VNI is valid. */
export const VXLAN_I: u32 = 0x08000000;

@unmanaged export class VxlanView {
  @inline static at(p: usize): VxlanView { return changetype<VxlanView>(p); }
  @inline get flags(): u32 { return be32(changetype<usize>(this), 0); }
  /** VNI and the reserved byte behind it. */
  @inline get word(): u32 { return be32(changetype<usize>(this), 4); }
  @inline write(vni: u32, flags: u32): void {
    putBe32(changetype<usize>(this), 0, VXLAN_I | flags);
    putBe32(changetype<usize>(this), 4, vni << 8);
  }
}
