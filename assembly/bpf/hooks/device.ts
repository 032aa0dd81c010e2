// What is attached to a device: one XDP program, lists of tcx programs and the egress side of clsact (net/core/dev.c, kernel/bpf/tcx.c).
// A device without any has a 0 in NetDevice.bpf, and that is all the packet path asks.
import { NetDevice } from "../../layout";
import { kfree, kmalloc } from "../../mm/slab";
import { devmapDeviceGone } from "../maps/devmap";
import { qdiscFree } from "../../net/sched/qdisc";
import { ProgList, progListFree } from "./list";
import { linkDetached } from "./link";
import { BpfProg, progPut } from "../prog";

/** XDP_ATTACHED_* (include/uapi/linux/if_link.h) */
export const XDP_DRV: u32 = 1;
export const XDP_SKB: u32 = 2;

@unmanaged export class DeviceBpf {
  xdp: usize; // BpfProg
  xdpMode: u32; // XDP_DRV, XDP_SKB
  xdpLink: usize; // Link that attached it, 0: none
  ingress: usize; // ProgList of tcx
  egress: usize;
  egressFilters: usize; // Qdisc: clsact's other side
  filters: u32; // programs among the filters of this device
}

/** The device's, made where there is none; null (0): no memory. */
export function deviceBpf(dev: NetDevice): DeviceBpf {
  if (dev.bpf == 0) dev.bpf = kmalloc(<u32>offsetof<DeviceBpf>());
  return changetype<DeviceBpf>(dev.bpf);
}

/** Nothing is attached any more: the packet path need not ask. */
export function deviceBpfTidy(dev: NetDevice): void {
  if (dev.bpf == 0) return;
  const b = changetype<DeviceBpf>(dev.bpf);
  if (b.xdp != 0 || b.egressFilters != 0 || b.filters != 0) return;
  if (b.ingress != 0 && changetype<ProgList>(b.ingress).count != 0) return;
  if (b.egress != 0 && changetype<ProgList>(b.egress).count != 0) return;
  progListFree(b.ingress);
  progListFree(b.egress);
  kfree(dev.bpf, <u32>offsetof<DeviceBpf>());
  dev.bpf = 0;
}

/** The device ends: programs are let go, links remain without a target (dev_xdp_uninstall, tcx_uninstall). */
export function deviceBpfExit(dev: NetDevice): void {
  devmapDeviceGone(changetype<usize>(dev));
  if (dev.bpf == 0) return;
  const b = changetype<DeviceBpf>(dev.bpf);
  if (b.xdp != 0) {
    if (b.xdpLink != 0) linkDetached(b.xdpLink);
    else progPut(changetype<BpfProg>(b.xdp));
    b.xdp = 0;
  }
  progListFree(b.ingress);
  progListFree(b.egress);
  qdiscFree(b.egressFilters);
  kfree(dev.bpf, <u32>offsetof<DeviceBpf>());
  dev.bpf = 0;
}

/** The device goes to another namespace with its programs; those that only the old one knows of stay valid. */
export function deviceBpfMove(dev: NetDevice): void {
  devmapDeviceGone(changetype<usize>(dev));
}
