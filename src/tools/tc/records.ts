/** Queueing disciplines, classes and filters as the kernel keeps them: QDISC_* and FILTER_* records of assembly/abi/net.ts. */
import * as abi from "../../../assembly/abi/net.ts";
import { kernelOf } from "../../kernel/namespace.ts";
import type { Netns } from "../../kernel/netns.ts";

export const QDISC_KINDS = ["", "pfifo", "bfifo", "pfifo_fast", "tbf", "netem", "htb", "ingress", "class"] as const;
export type QdiscKind = (typeof QDISC_KINDS)[number];

/** What the kernel is told; numbers in its units (bytes per second, ns, shares of 2^32). */
export interface QdiscParameters {
  limit?: number;
  rate?: number;
  peak?: number;
  burstNs?: number;
  peakBurstNs?: number;
  delay?: number;
  jitter?: number;
  loss?: number;
  duplicate?: number;
  reorder?: number;
  gap?: number;
  corrupt?: number;
  default?: number;
  prio?: number;
  quantum?: number;
  lossCorr?: number;
  delayCorr?: number;
  duplicateCorr?: number;
  reorderCorr?: number;
  corruptCorr?: number;
}

export interface QdiscRecord extends Required<QdiscParameters> {
  readonly kind: QdiscKind;
  readonly handle: number;
  readonly parent: number;
  readonly bytes: number;
  readonly packets: number;
  readonly dropped: number;
  readonly overlimits: number;
  readonly backlog: number;
  readonly qlen: number;
  readonly level: number;
  readonly lended: number;
  readonly borrowed: number;
  readonly tokens: number;
  readonly ctokens: number;
}

const WORDS = {
  limit: abi.QDISC_LIMIT, loss: abi.QDISC_LOSS, duplicate: abi.QDISC_DUPLICATE, reorder: abi.QDISC_REORDER, gap: abi.QDISC_GAP,
  corrupt: abi.QDISC_CORRUPT, default: abi.QDISC_DEFAULT, prio: abi.QDISC_PRIO, quantum: abi.QDISC_QUANTUM, lossCorr: abi.QDISC_LOSS_CORR,
  delayCorr: abi.QDISC_DELAY_CORR, duplicateCorr: abi.QDISC_DUPLICATE_CORR, reorderCorr: abi.QDISC_REORDER_CORR, corruptCorr: abi.QDISC_CORRUPT_CORR,
} as const;
const LONGS = {
  rate: abi.QDISC_RATE, peak: abi.QDISC_PEAK, burstNs: abi.QDISC_BURST, peakBurstNs: abi.QDISC_PEAK_BURST, delay: abi.QDISC_DELAY, jitter: abi.QDISC_JITTER,
} as const;

function begin(netns: Netns, bytes: number, second: number): ReturnType<typeof kernelOf>["context"] {
  const { context, handle } = kernelOf(netns);
  context.instance.u8.fill(0, 0, bytes);
  context.instance.view.setUint32(0, handle, true);
  context.instance.view.setUint32(4, second, true);
  return context;
}

/** 0 or -errno. */
export function setQdisc(netns: Netns, ifindex: number, kind: QdiscKind, handle: number, parent: number, values: QdiscParameters): number {
  const context = begin(netns, abi.QDISC_BYTES, ifindex);
  const { instance } = context;
  instance.view.setUint32(abi.QDISC_KIND, QDISC_KINDS.indexOf(kind), true);
  instance.view.setUint32(abi.QDISC_HANDLE, handle, true);
  instance.view.setUint32(abi.QDISC_PARENT, parent, true);
  for (const [key, at] of Object.entries(WORDS) as [keyof typeof WORDS, number][]) instance.view.setUint32(at, values[key] ?? 0, true);
  for (const [key, at] of Object.entries(LONGS) as [keyof typeof LONGS, number][]) instance.putU64(at, Math.round(values[key] ?? 0));
  const result = context.command(abi.NET_QDISC_SET, abi.QDISC_BYTES, "tc", true);
  context.kick();
  return result;
}

export function deleteQdisc(netns: Netns, ifindex: number, handle: number): number {
  const context = begin(netns, 12, ifindex);
  context.instance.view.setUint32(8, handle, true);
  const result = context.command(abi.NET_QDISC_DELETE, 12, "tc", true);
  context.kick();
  return result;
}

function list(netns: Netns, op: number, size: number, ifindex: number, parent: number, each: (at: number) => void): void {
  for (let skip = 0; ;) {
    const context = begin(netns, 16, skip);
    context.instance.view.setUint32(8, ifindex, true);
    context.instance.view.setUint32(12, parent, true);
    const bytes = context.command(op, 16, "tc");
    if (bytes === 0) return;
    for (let at = 0; at < bytes; at += size) each(at);
    skip += bytes / size;
  }
}

/** The disciplines and classes of a device that somebody asked for: the root, what is below it, ingress. */
export function qdiscRecords(netns: Netns, ifindex: number): QdiscRecord[] {
  const found: QdiscRecord[] = [];
  const { instance } = kernelOf(netns).context;
  list(netns, abi.NET_QDISC_LIST, abi.QDISC_BYTES, ifindex, 0, (at) => {
    const u32 = (offset: number): number => instance.view.getUint32(at + offset, true);
    const i64 = (offset: number): number => Number(instance.view.getBigInt64(at + offset, true));
    const values: Record<string, number> = {};
    for (const [key, offset] of Object.entries(WORDS)) values[key] = u32(offset);
    for (const [key, offset] of Object.entries(LONGS)) values[key] = instance.u64(at + offset);
    found.push({
      ...(values as unknown as Required<QdiscParameters>), kind: QDISC_KINDS[u32(abi.QDISC_KIND)] ?? "", handle: u32(abi.QDISC_HANDLE), parent: u32(abi.QDISC_PARENT),
      bytes: instance.u64(at + abi.QDISC_STATS), packets: instance.u64(at + abi.QDISC_STATS + 8), dropped: u32(abi.QDISC_STATS + 16),
      overlimits: u32(abi.QDISC_STATS + 20), backlog: u32(abi.QDISC_STATS + 24), qlen: u32(abi.QDISC_STATS + 28),
      level: u32(abi.QDISC_LEVEL), lended: u32(abi.QDISC_LENDED), borrowed: u32(abi.QDISC_BORROWED),
      tokens: i64(abi.QDISC_TOKENS), ctokens: i64(abi.QDISC_CTOKENS),
    });
  });
  return found;
}

export interface FilterKey {
  readonly value: number;
  readonly mask: number;
  readonly at: number;
}

export const FILTER_KINDS = ["", "u32", "fw", "matchall"] as const;
export const FILTER_ACTIONS = ["classify", "redirect", "mirror", "drop", "pass"] as const;
export type FilterAction = (typeof FILTER_ACTIONS)[number];

export interface FilterParameters {
  readonly kind: (typeof FILTER_KINDS)[number];
  /** 0: the kernel chooses. */
  readonly pref: number;
  /** Ethertype; 3: all. */
  readonly protocol: number;
  /** fw: the mark. */
  readonly handle: number;
  readonly mask: number;
  readonly classid: number;
  readonly action: FilterAction;
  /** ifindex that mirred sends to. */
  readonly target: number;
  readonly keys: readonly FilterKey[];
}

export interface FilterRecord extends FilterParameters {
  readonly packets: number;
  readonly bytes: number;
}

/** The preference, or -errno. */
export function addFilter(netns: Netns, ifindex: number, parent: number, filter: FilterParameters): number {
  const context = begin(netns, abi.FILTER_BYTES, ifindex);
  const { view } = context.instance;
  for (const [at, value] of [
    [abi.FILTER_PARENT, parent], [abi.FILTER_PREF, filter.pref], [abi.FILTER_PROTOCOL, filter.protocol], [abi.FILTER_KIND, FILTER_KINDS.indexOf(filter.kind)],
    [abi.FILTER_HANDLE, filter.handle], [abi.FILTER_MASK, filter.mask], [abi.FILTER_CLASSID, filter.classid],
    [abi.FILTER_ACTION, FILTER_ACTIONS.indexOf(filter.action)], [abi.FILTER_TARGET, filter.target], [abi.FILTER_KEYS, filter.keys.length],
  ] as const) view.setUint32(at, value, true);
  filter.keys.forEach(({ value, mask, at }, i) => {
    view.setUint32(abi.FILTER_KEY + i * 12, value);
    view.setUint32(abi.FILTER_KEY + i * 12 + 4, mask);
    view.setInt32(abi.FILTER_KEY + i * 12 + 8, at, true);
  });
  return context.command(abi.NET_FILTER_ADD, abi.FILTER_BYTES, "tc", true);
}

/** `pref` 0: all of the hook. */
export function deleteFilter(netns: Netns, ifindex: number, parent: number, pref: number): number {
  const context = begin(netns, 16, ifindex);
  context.instance.view.setUint32(8, parent, true);
  context.instance.view.setUint32(12, pref, true);
  return context.command(abi.NET_FILTER_DELETE, 16, "tc", true);
}

export function filterRecords(netns: Netns, ifindex: number, parent: number): FilterRecord[] {
  const found: FilterRecord[] = [];
  const { instance } = kernelOf(netns).context;
  list(netns, abi.NET_FILTER_LIST, abi.FILTER_BYTES, ifindex, parent, (at) => {
    const { view } = instance;
    const u32 = (offset: number): number => view.getUint32(at + offset, true);
    found.push({
      kind: FILTER_KINDS[u32(abi.FILTER_KIND)] ?? "", pref: u32(abi.FILTER_PREF), protocol: u32(abi.FILTER_PROTOCOL), handle: u32(abi.FILTER_HANDLE),
      mask: u32(abi.FILTER_MASK), classid: u32(abi.FILTER_CLASSID), action: FILTER_ACTIONS[u32(abi.FILTER_ACTION)] ?? "classify",
      target: u32(abi.FILTER_TARGET),
      keys: Array.from({ length: u32(abi.FILTER_KEYS) }, (_, i) => {
        const key = at + abi.FILTER_KEY + i * 12;
        return { value: view.getUint32(key), mask: view.getUint32(key + 4), at: view.getInt32(key + 8, true) };
      }),
      packets: instance.u64(at + abi.FILTER_HITS), bytes: instance.u64(at + abi.FILTER_HITS + 8),
    });
  });
  return found;
}
