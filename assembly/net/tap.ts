// tun and tap (drivers/net/tun.c): devices whose other end is the embedding program. What the host sends by one goes to the outbox under
// the device's port; what the program writes comes in by it. A tap carries Ethernet frames, a tun IP packets (inside the kernel those have
// an Ethernet header of zeros, as loopback's have).
import { EBUSY, EINVAL, ENODEV, EOPNOTSUPP } from "../abi/core";
import { DEV_TAP, DEV_TUN, TAP_PORT } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { ETH_HEADER_LEN, ETH_P_IP, ETH_P_IPV6, EthernetView } from "../wire/ethernet";
import { forwardable, netifRx, outboxAppend } from "./dev";
import { deviceFind } from "./devices";
import { skbAlloc, skbFree, skbPull } from "./skb";

/** What names the sender of a frame of the outbox: a NIC's ifindex, or the port of a tun or tap. */
export function outboxPort(dev: NetDevice): u32 {
  return dev.kind == DEV_TAP || dev.kind == DEV_TUN ? <u32>dev.priv : dev.ifindex;
}

/** Opens (or closes) a device for the driver: `priv` is its port while it is open. The port, 0, or -errno. */
export function tapOpen(ns: Netns, ifindex: u32, close: bool): i32 {
  const at = deviceFind(ns, ifindex);
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  if (dev.kind != DEV_TAP && dev.kind != DEV_TUN) return -EOPNOTSUPP;
  if (close) {
    dev.priv = 0;
    return 0;
  }
  if (dev.priv != 0) return -EBUSY;
  const n = node();
  n.tapNext++;
  dev.priv = <usize>(TAP_PORT | (n.tapNext & 0x3fffffff));
  return <i32>(<u32>dev.priv & ~TAP_PORT);
}

/** The program writes (tun_get_user). A packet of a tun tells its family by its first four bits. */
export function tapSend(ns: Netns, ifindex: u32, from: usize, length: u32): i32 {
  const at = deviceFind(ns, ifindex);
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  if (dev.kind != DEV_TAP && dev.kind != DEV_TUN) return -EOPNOTSUPP;
  const header = dev.kind == DEV_TUN ? ETH_HEADER_LEN : 0;
  if (length == 0 || (header == 0 && length < ETH_HEADER_LEN)) return -EINVAL;
  const skb = forwardable(length + header, dev) ? skbAlloc(length + header) : changetype<Skb>(0);
  if (changetype<usize>(skb) == 0) {
    dev.rxDropped++;
    return 0;
  }
  if (header != 0) {
    const version = <u32>load<u8>(from) >>> 4;
    EthernetView.at(skb.data).write(0, 0, 0, 0, version == 4 ? ETH_P_IP : version == 6 ? ETH_P_IPV6 : 0);
  }
  memory.copy(skb.data + <usize>header, from, <usize>length);
  skb.tail = skb.data + <usize>(header + length);
  netifRx(skb, dev);
  return 0;
}

/** The host sends by the device (tun_net_xmit). Nobody has it open: lost. */
export function tapXmit(skb: Skb, dev: NetDevice): void {
  if (dev.priv == 0) {
    dev.txDropped++;
    skbFree(skb);
    return;
  }
  if (dev.kind == DEV_TUN) skbPull(skb, ETH_HEADER_LEN);
  skb.dev = changetype<usize>(dev);
  outboxAppend(skb);
}
