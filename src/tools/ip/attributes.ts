/**
 * What `ip addr add` says about an address that changes no packet: its label. And how long it holds, where that is limited: the address is
 * taken away when its time is over. The kernel keeps no record of either for IPv4; they are remembered here, as long as the address is
 * there.
 */
import { parseIpv4 } from "../../kernel/address.ts";
import { kernelOf } from "../../kernel/namespace.ts";
import { KernelError, type Netns } from "../../kernel/netns.ts";
import { addressRecords, type AddressRecord, type LinkRecord } from "../kernel.ts";

/** Seconds; Infinity: for ever. */
export interface Lifetimes {
  readonly valid: number;
  readonly preferred: number;
}

interface Remembered {
  readonly label?: string;
  readonly lifetimes?: Lifetimes & { readonly sinceNs: number; readonly cancel: () => void };
}

type Key = Pick<AddressRecord, "ifindex" | "address" | "bits">;

const remembered = new WeakMap<Netns, Map<string, Remembered>>();

const keyOf = ({ ifindex, address, bits }: Key): string => `${ifindex} ${address}/${bits}`;

export function remember(netns: Netns, record: Key, what: { readonly label?: string | undefined; readonly lifetimes?: Lifetimes | undefined }): void {
  let table = remembered.get(netns);
  if (table === undefined) remembered.set(netns, (table = new Map()));
  const key = keyOf(record);
  const before = table.get(key);
  const { label = before?.label, lifetimes } = what;
  let limit = before?.lifetimes;
  if (lifetimes !== undefined) {
    limit?.cancel();
    const { clock } = kernelOf(netns).context;
    const cancel = Number.isFinite(lifetimes.valid) ? clock.after(lifetimes.valid * 1000, () => expire(netns, record)) : (): void => {};
    limit = { ...lifetimes, sinceNs: clock.nowNs(), cancel };
  }
  table.set(key, { ...(label === undefined ? {} : { label }), ...(limit === undefined ? {} : { lifetimes: limit }) });
}

function expire(netns: Netns, record: Key): void {
  forget(netns, record);
  try {
    const link = netns.links().find(({ ifindex }) => ifindex === record.ifindex);
    if (link !== undefined) netns.deleteAddress(link.name, `${record.address}/${record.bits}`);
  } catch (error) {
    // The address or its namespace went before.
    if (!(error instanceof KernelError)) throw error;
  }
}

export function forget(netns: Netns, record: Key): void {
  const table = remembered.get(netns);
  table?.get(keyOf(record))?.lifetimes?.cancel();
  table?.delete(keyOf(record));
}

export interface Attributes {
  readonly label: string;
  readonly broadcast: string | undefined;
  /** Another address of the same subnet came first (IFA_F_SECONDARY). */
  readonly secondary: boolean;
  /** Seconds that are left; undefined: for ever. */
  readonly lifetimes: Lifetimes | undefined;
}

export function attributesOf(netns: Netns, link: LinkRecord, record: AddressRecord): Attributes {
  const found = remembered.get(netns)?.get(keyOf(record));
  let secondary = false;
  if (record.family === "inet") {
    const subnet = ({ peer, address }: AddressRecord): number => Math.floor((parseIpv4(peer ?? address) ?? 0) / 2 ** (32 - record.bits));
    for (const other of addressRecords(netns)) {
      if (other.ifindex !== record.ifindex || other.family !== "inet") continue;
      if (other.address === record.address && other.bits === record.bits) break;
      if (other.bits === record.bits && subnet(other) === subnet(record)) secondary = true;
    }
  }
  let lifetimes: Lifetimes | undefined = record.family === "inet6" ? { valid: record.valid, preferred: record.preferred } : undefined;
  if (found?.lifetimes !== undefined) {
    const { valid, preferred, sinceNs } = found.lifetimes;
    const gone = Math.floor((kernelOf(netns).context.clock.nowNs() - sinceNs) / 1e9);
    lifetimes = { valid: Math.max(0, valid - gone), preferred: Math.max(0, preferred - gone) };
  }
  return { label: found?.label ?? link.name, broadcast: record.broadcast, secondary, lifetimes };
}
