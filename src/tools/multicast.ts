/** Which groups devices are in: of IPv4 the all-hosts group of those that are up, of IPv6 what the kernel keeps, and what both ask of the link. */
import { ipv6Of } from "../kernel/ipv6.ts";
import type { Netns } from "../kernel/netns.ts";
import { linkRecords, type LinkRecord } from "./kernel.ts";
import { hasIpv6 } from "./ip/tuntap.ts";
import { parseIpv6 } from "./ip/context.ts";
import { extrasOf } from "./ip/extras.ts";

export interface LinkGroup {
  readonly mac: string;
  readonly users: number;
}

/** Groups of IPv6 by device, the newest first, as idev->mc_list stands. */
export function groups6(netns: Netns): ReadonlyMap<number, readonly { readonly address: string; readonly users: number }[]> {
  const found = new Map<number, { address: string; users: number }[]>();
  for (const { ifindex, address, users } of ipv6Of(netns).groups()) {
    const list = found.get(ifindex) ?? [];
    found.set(ifindex, list);
    list.push({ address, users });
  }
  // Bridges that listen to memberships are in the group of those that do (br_multicast_join_snoopers()), before they have an address.
  for (const link of linkRecords(netns)) {
    const list = found.get(link.ifindex);
    if (list !== undefined && snoops(netns, link)) list.splice(Math.max(0, list.findIndex(({ address }) => address === "ff02::1")), 0, { address: SNOOPERS, users: 1 });
  }
  // What has never been up is in the groups of all nodes from its making on (ipv6_add_dev()); the kernel here joins them as it comes up.
  if (found.size > 0 || hasIpv6(netns)) {
    for (const { ifindex, mtu } of linkRecords(netns)) {
      if (!found.has(ifindex) && mtu >= 1280) found.set(ifindex, [{ address: "ff02::1", users: 1 }, { address: "ff01::1", users: 1 }]);
    }
  }
  return found;
}

const SNOOPERS = "ff02::6a";
const snoops = (netns: Netns, link: LinkRecord): boolean => link.kind === "bridge" && link.up && extrasOf(netns, link).bridge?.mcast_snooping !== 0;
/** Groups of IPv4 by device. */
export const groups4 = (netns: Netns, link: LinkRecord): readonly string[] =>
  (!link.up ? [] : snoops(netns, link) ? ["224.0.0.1", "224.0.0.106"] : ["224.0.0.1"]);

/** ipv6_eth_mc_map() */
function macOf(group: string): string {
  const words = parseIpv6(group) ?? [];
  const tail = [words[6] ?? 0, words[7] ?? 0].flatMap((word) => [word >>> 8, word & 255]);
  return `33:33:${tail.map((part) => part.toString(16).padStart(2, "0")).join(":")}`;
}

/** Devices without a link address hear no groups of their own. */
const NO_LINK: readonly string[] = ["loopback", "tun", "ipip", "gre"];

/** dev->mc of every device, in the order of joining; what is on top of another asks it as well (dev_mc_sync). */
export function linkGroups(netns: Netns, links: readonly LinkRecord[]): ReadonlyMap<number, readonly LinkGroup[]> {
  const v6 = groups6(netns);
  const all = new Map<number, LinkGroup[]>();
  for (const link of links) {
    const list: LinkGroup[] = [];
    all.set(link.ifindex, list);
    if (NO_LINK.includes(link.kind)) continue;
    // The first is joined when the device is made, that of IPv4 when it comes up.
    const joined = [...(v6.get(link.ifindex) ?? [])].reverse().map(({ address }) => address).filter((address) => !address.startsWith("ff01:"));
    const [first, ...rest] = joined;
    if (first !== undefined) list.push({ mac: macOf(first), users: 1 });
    if (snoops(netns, link)) list.push({ mac: "01:00:5e:00:00:6a", users: 1 });
    if (rest.includes(SNOOPERS)) list.push({ mac: macOf(SNOOPERS), users: 1 });
    if (link.up) list.push({ mac: "01:00:5e:00:00:01", users: 1 });
    for (const address of rest) if (!list.some(({ mac }) => mac === macOf(address))) list.push({ mac: macOf(address), users: 1 });
  }
  for (const link of links) {
    if (!["macvlan", "ipvlan", "vlan"].includes(link.kind) || !link.up || link.linkNetns) continue;
    const own = all.get(link.ifindex) ?? [];
    const below = all.get(link.linkIfindex);
    if (below === undefined) continue;
    all.set(link.ifindex, own.map(({ mac, users }) => ({ mac, users: users + 1 })));
    for (const { mac } of own) {
      const at = below.findIndex((group) => group.mac === mac);
      if (at < 0) below.push({ mac, users: 1 });
      else below[at] = { mac, users: below[at]!.users + 1 };
    }
  }
  return all;
}

/** dev->uc: what stands on a device wants its own address heard (dev_uc_add). */
export function linkAddresses(links: readonly LinkRecord[], link: LinkRecord): string[] {
  return links.filter((above) => above.kind === "macvlan" && above.up && above.linkIfindex === link.ifindex && !above.linkNetns).map(({ mac }) => mac);
}
