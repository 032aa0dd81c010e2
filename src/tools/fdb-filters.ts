/**
 * Addresses that a device which is no switch was told to receive as well (dev_uc_add, ndo_dflt_fdb_add). These devices receive every
 * frame, as veth does on Linux: the list is only kept.
 */
import type { Netns } from "../kernel/netns.ts";
import type { LinkRecord } from "./kernel.ts";

const filters = new WeakMap<Netns, Map<number, Set<string>>>();

/** The addresses of one device; the set is the caller's to change. */
export function filtersOf(netns: Netns, { ifindex }: Pick<LinkRecord, "ifindex">): Set<string> {
  let table = filters.get(netns);
  if (table === undefined) filters.set(netns, (table = new Map()));
  let list = table.get(ifindex);
  if (list === undefined) table.set(ifindex, (list = new Set()));
  return list;
}
