/**
 * What a link can be told that changes no packet and that the kernel does not keep: its alias, group, other names, the length of its queue
 * as it is shown, whether a macvlan is a macvtap, and settings of bridges for protocols that are off here. Remembered as long as the link is
 * there, by its number.
 */
import type { Netns } from "../../kernel/netns.ts";
import type { LinkRecord } from "../kernel.ts";

export interface Extras {
  alias?: string;
  group?: number;
  altnames?: string[];
  txqlen?: number;
  macvtap?: boolean;
  /** Settings of a bridge by their words: STP's timers and priority. */
  bridge?: Record<string, number>;
}

const remembered = new WeakMap<Netns, Map<string, Extras>>();

/** A number may be given again when its link is gone: the MAC tells them apart no better, the kind does mostly. */
const keyOf = ({ ifindex, kind }: Pick<LinkRecord, "ifindex" | "kind">): string => `${ifindex} ${kind}`;

const NONE: Extras = {};

export const extrasOf = (netns: Netns, link: Pick<LinkRecord, "ifindex" | "kind">): Readonly<Extras> => remembered.get(netns)?.get(keyOf(link)) ?? NONE;

export function changeExtras(netns: Netns, link: Pick<LinkRecord, "ifindex" | "kind">, change: Extras): void {
  let table = remembered.get(netns);
  if (table === undefined) remembered.set(netns, (table = new Map()));
  table.set(keyOf(link), { ...table.get(keyOf(link)), ...change });
}

/** The link went, or goes to another namespace: what was remembered. */
export function takeExtras(netns: Netns, link: Pick<LinkRecord, "ifindex" | "kind">): Extras | undefined {
  const found = remembered.get(netns)?.get(keyOf(link));
  remembered.get(netns)?.delete(keyOf(link));
  return found;
}

/** tx_queue_len that a kind begins with. */
const QUEUES: Readonly<Record<string, number>> = { tun: 500, ifb: 32 };

export const queueLength = (netns: Netns, link: LinkRecord): number => {
  const extras = extrasOf(netns, link);
  return extras.txqlen ?? (extras.macvtap === true ? 500 : (QUEUES[link.kind] ?? 1000));
};
