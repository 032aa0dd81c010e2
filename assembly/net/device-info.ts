// What a listing says about devices that only the full kernel has: options behind a LINKINFO_* record.
import {
  DEV_IPVLAN, DEV_MACVLAN, DEV_VLAN, LINKINFO_DSTPORT, LINKINFO_IKEY, LINKINFO_LOCAL, LINKINFO_MODE, LINKINFO_OKEY,
  LINKINFO_OPTIONS, LINKINFO_REMOTE, LINKINFO_TOS, LINKINFO_TTL, LINKINFO_VNI, LINK_F_8021AD,
} from "../abi/net";
import { NetDevice } from "../layout";
import { mapped4 } from "../wire/bytes";
import { Ipvlan } from "./ipvlan";
import { macvlanPort } from "./macvlan";
import { Tunnel, isTunnel } from "./tunnel";
import { Vlan } from "./vlan";

/** Completes the record at `to`, whose rest is zero. */
export function deviceWrite(dev: NetDevice, to: usize): void {
  if (dev.priv == 0) return;
  if (dev.kind == DEV_VLAN) {
    const tag = changetype<Vlan>(dev.priv).tag;
    store<u32>(to, tag & 0xfff, LINKINFO_VNI);
    if (tag >>> 16 == 0x88a8) store<u32>(to, LINK_F_8021AD, LINKINFO_OPTIONS);
  } else if (dev.kind == DEV_MACVLAN) {
    store<u32>(to, macvlanPort(dev).mode, LINKINFO_MODE);
    store<u32>(to, macvlanPort(dev).flags, LINKINFO_OPTIONS);
  } else if (dev.kind == DEV_IPVLAN) {
    store<u32>(to, changetype<Ipvlan>(dev.priv).mode, LINKINFO_MODE);
    store<u32>(to, changetype<Ipvlan>(dev.priv).flags, LINKINFO_OPTIONS);
  } else if (isTunnel(dev.kind)) {
    const t = changetype<Tunnel>(dev.priv);
    store<u32>(to, t.vni, LINKINFO_VNI);
    store<u32>(to, t.flags, LINKINFO_OPTIONS);
    store<u32>(to, t.port, LINKINFO_DSTPORT);
    if (t.local != 0) store<u64>(to, mapped4(t.local), LINKINFO_LOCAL + 8);
    if (t.remote != 0) store<u64>(to, mapped4(t.remote), LINKINFO_REMOTE + 8);
    store<u32>(to, t.ikey, LINKINFO_IKEY);
    store<u32>(to, t.okey, LINKINFO_OKEY);
    store<u32>(to, t.ttl, LINKINFO_TTL);
    store<u32>(to, t.tos, LINKINFO_TOS);
  }
}
