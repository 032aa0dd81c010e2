// Devices that stand on another one: 802.1Q VLANs, macvlans, ipvlans. The lower device knows its uppers; an upper one may live in
// another namespace. Kinds by name follow net/8021q/vlan.c, drivers/net/macvlan.c and drivers/net/ipvlan/ipvlan_main.c.
import { EBUSY, EEXIST, EINVAL, ELOOP, ENETDOWN, ENOMEM, ERANGE } from "../abi/core";
import {
  DEV_IPVLAN, DEV_LOOPBACK, DEV_MACVLAN, DEV_VLAN, IFF_NOARP, IPVLAN_MODE_L2, IPVLAN_MODE_L3S, LINK_FLAGS, LINK_F_8021AD, LINK_MODE,
  LINK_VNI, MACVLAN_MODE_PASSTHRU, MACVLAN_MODE_SOURCE,
} from "../abi/net";
import { NetDevice } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { deviceSetMtu, deviceSetUp } from "./devices";
import { Ipvlan } from "./ipvlan";
import { Macvlan, macvlanPort, macvlanSourcesFree } from "./macvlan";
import { Vlan, vlanFind } from "./vlan";

/** Devices may stand on one another so many deep (MAX_NEST_DEV). */
const NEST_MAX: u32 = 8;

/** Has this kind a lower device of this sort? */
@inline export function isStacked(kind: u32): bool {
  return kind == DEV_VLAN || kind == DEV_MACVLAN || kind == DEV_IPVLAN;
}

/** Before the device is made: is what is asked for possible on `lower`? 0 or -errno. `mtu` 0: the lower one's. */
export function stackedCheck(lower: NetDevice, kind: u32, record: usize, mtu: u32): i32 {
  let depth: u32 = 0;
  for (let at = lower.lower; at != 0; at = changetype<NetDevice>(at).lower) if (++depth >= NEST_MAX) return -ELOOP;
  const mode = load<u32>(record, LINK_MODE), flags = load<u32>(record, LINK_FLAGS), id = load<u32>(record, LINK_VNI);
  if (kind == DEV_VLAN) {
    if (id > 4095) return -ERANGE;
    if (vlanFind(lower, ((flags & LINK_F_8021AD) != 0 ? 0x88a80000 : 0x81000000) | id) != 0) return -EEXIST;
    return mtu > lower.mtu ? -ERANGE : 0;
  }
  if (lower.kind == DEV_LOOPBACK || mtu > lower.mtu) return -EINVAL;
  if (lower.master != 0 || (lower.rxHandler != 0 && lower.rxHandler != kind)) return -EBUSY;
  if (kind == DEV_IPVLAN) return mode > IPVLAN_MODE_L3S ? -EINVAL : 0;
  if (mode == 0 || mode > MACVLAN_MODE_SOURCE || (mode & (mode - 1)) != 0) return -EINVAL;
  // Passthru is alone on its device.
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    if (changetype<NetDevice>(at).kind != DEV_MACVLAN) continue;
    if (mode == MACVLAN_MODE_PASSTHRU || macvlanPort(changetype<NetDevice>(at)).mode == MACVLAN_MODE_PASSTHRU) return -EINVAL;
  }
  return 0;
}

/** Puts a new device on its lower one; 0 or -ENOMEM. */
export function stackedInit(dev: NetDevice, lower: NetDevice, record: usize, hasMac: bool, hasMtu: bool): i32 {
  const mode = load<u32>(record, LINK_MODE), flags = load<u32>(record, LINK_FLAGS);
  if (!hasMtu) dev.mtu = lower.mtu;
  if (dev.kind == DEV_VLAN) {
    dev.priv = kmalloc(<u32>offsetof<Vlan>());
    if (dev.priv == 0) return -ENOMEM;
    const vlan = changetype<Vlan>(dev.priv);
    vlan.tag = ((flags & LINK_F_8021AD) != 0 ? 0x88a80000 : 0x81000000) | load<u32>(record, LINK_VNI);
    vlan.macSet = hasMac ? 1 : 0;
  } else if (dev.kind == DEV_MACVLAN) {
    dev.priv = kmalloc(<u32>offsetof<Macvlan>());
    if (dev.priv == 0) return -ENOMEM;
    const macvlan = changetype<Macvlan>(dev.priv);
    macvlan.mode = mode;
    macvlan.flags = flags;
  } else {
    dev.priv = kmalloc(<u32>offsetof<Ipvlan>());
    if (dev.priv == 0) return -ENOMEM;
    changetype<Ipvlan>(dev.priv).flags = flags;
    let last: u32 = 0;
    // The mode is the lower device's: the last one given holds for all on it (ipvlan_set_port_mode).
    for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
      if (changetype<NetDevice>(at).kind != DEV_IPVLAN) continue;
      ipvlanSetMode(changetype<NetDevice>(at), mode);
      last = max<u32>(last, changetype<Ipvlan>(changetype<NetDevice>(at).priv).id);
    }
    changetype<Ipvlan>(dev.priv).id = last + 1;
    ipvlanSetMode(dev, mode);
  }
  if ((dev.kind == DEV_VLAN && !hasMac) || dev.kind == DEV_IPVLAN || (dev.kind == DEV_MACVLAN && mode == MACVLAN_MODE_PASSTHRU)) {
    dev.mac0 = lower.mac0;
    dev.mac1 = lower.mac1;
  }
  dev.lower = changetype<usize>(lower);
  // At the end: they are asked in the order in which they were made.
  let link = changetype<usize>(lower) + offsetof<NetDevice>("uppers");
  while (load<u32>(link) != 0) link = <usize>load<u32>(link) + offsetof<NetDevice>("upperNext");
  store<u32>(link, <u32>changetype<usize>(dev));
  if (dev.kind != DEV_VLAN) lower.rxHandler = dev.kind;
  return 0;
}

function ipvlanSetMode(dev: NetDevice, mode: u32): void {
  changetype<Ipvlan>(dev.priv).mode = mode;
  dev.flags = mode == IPVLAN_MODE_L2 ? dev.flags & ~IFF_NOARP : dev.flags | IFF_NOARP;
}

/** The device ends. */
export function stackedDelete(dev: NetDevice): void {
  const lower = changetype<NetDevice>(dev.lower);
  if (dev.lower != 0) {
    let link = changetype<usize>(lower) + offsetof<NetDevice>("uppers");
    while (<usize>load<u32>(link) != changetype<usize>(dev)) link = <usize>load<u32>(link) + offsetof<NetDevice>("upperNext");
    store<u32>(link, <u32>dev.upperNext);
    dev.lower = 0;
    let handler: u32 = 0;
    for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
      if (changetype<NetDevice>(at).kind != DEV_VLAN) handler = changetype<NetDevice>(at).kind;
    }
    lower.rxHandler = handler;
  }
  if (dev.kind == DEV_MACVLAN) macvlanSourcesFree(dev);
  kfree(dev.priv, dev.kind == DEV_VLAN ? <u32>offsetof<Vlan>() : dev.kind == DEV_MACVLAN ? <u32>offsetof<Macvlan>() : <u32>offsetof<Ipvlan>());
  dev.priv = 0;
}

/** May it come up? A VLAN only on a lower device that is up; a macvlan with a MAC that no other one on the lower device has. */
export function stackedUpCheck(dev: NetDevice): i32 {
  const lower = changetype<NetDevice>(dev.lower);
  if (dev.kind == DEV_VLAN) return lower.up ? 0 : -ENETDOWN;
  if (dev.kind != DEV_MACVLAN || macvlanPort(dev).mode == MACVLAN_MODE_PASSTHRU) return 0;
  if (lower.mac0 == dev.mac0 && lower.mac1 == dev.mac1) return -EBUSY;
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const other = changetype<NetDevice>(at);
    if (other.kind == DEV_MACVLAN && other.up && other.mac0 == dev.mac0 && other.mac1 == dev.mac1) return -EBUSY;
  }
  return 0;
}

/** The lower device came up or went down: its VLANs follow (vlan_device_event). */
export function stackedLowerUp(lower: NetDevice, up: bool): void {
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    if (changetype<NetDevice>(at).kind == DEV_VLAN) deviceSetUp(changetype<NetDevice>(at), up);
  }
}

/** The largest MTU of an upper device: its lower one's. -ERANGE or -EINVAL as the kind answers, or 0. */
export function stackedMtuCheck(dev: NetDevice, mtu: u32): i32 {
  if (mtu <= changetype<NetDevice>(dev.lower).mtu) return 0;
  return dev.kind == DEV_VLAN ? -ERANGE : -EINVAL;
}

/** The lower device's MTU changed: nobody on it has a larger one; ipvlans have the same. */
export function stackedLowerMtu(lower: NetDevice): void {
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.mtu > lower.mtu || dev.kind == DEV_IPVLAN) deviceSetMtu(dev, lower.mtu);
  }
}

/** The lower device's MAC changed: ipvlans have the same, VLANs unless theirs was set by hand. */
export function stackedLowerMac(lower: NetDevice): void {
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.kind == DEV_MACVLAN ? macvlanPort(dev).mode != MACVLAN_MODE_PASSTHRU
      : dev.kind == DEV_VLAN && changetype<Vlan>(dev.priv).macSet != 0) continue;
    dev.mac0 = lower.mac0;
    dev.mac1 = lower.mac1;
    stackedLowerMac(dev);
  }
}

