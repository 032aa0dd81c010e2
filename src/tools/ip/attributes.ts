/**
 * What `ip addr add` says about an address that changes no packet: its label and broadcast address. The kernel keeps no record of
 * these; they are remembered here, as long as the address is there.
 */
import { parseIpv4 } from "../../kernel/address.ts";
import type { Netns } from "../../kernel/netns.ts";
import { addressRecords, type AddressRecord, type LinkRecord } from "../kernel.ts";

interface Remembered {
  readonly label?: string;
  readonly broadcast?: string;
}

const remembered = new WeakMap<Netns, Map<string, Remembered>>();

const keyOf = ({ ifindex, address, bits }: Pick<AddressRecord, "ifindex" | "address" | "bits">): string => `${ifindex} ${address}/${bits}`;

export function remember(netns: Netns, record: Pick<AddressRecord, "ifindex" | "address" | "bits">, what: Remembered): void {
  let table = remembered.get(netns);
  if (table === undefined) remembered.set(netns, (table = new Map()));
  table.set(keyOf(record), what);
}

export function forget(netns: Netns, record: Pick<AddressRecord, "ifindex" | "address" | "bits">): void {
  remembered.get(netns)?.delete(keyOf(record));
}

export interface Attributes {
  readonly label: string;
  readonly broadcast: string | undefined;
  /** Another address of the same subnet came first (IFA_F_SECONDARY). */
  readonly secondary: boolean;
}

export function attributesOf(netns: Netns, link: LinkRecord, record: AddressRecord): Attributes {
  const found = remembered.get(netns)?.get(keyOf(record));
  let secondary = false;
  if (record.family === "inet") {
    const subnet = (text: string): number => Math.floor((parseIpv4(text) ?? 0) / 2 ** (32 - record.bits));
    for (const other of addressRecords(netns)) {
      if (other.ifindex !== record.ifindex || other.family !== "inet") continue;
      if (other.address === record.address && other.bits === record.bits) break;
      if (other.bits === record.bits && subnet(other.address) === subnet(record.address)) secondary = true;
    }
  }
  return { label: found?.label ?? link.name, broadcast: found?.broadcast, secondary };
}
