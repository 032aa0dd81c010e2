/**
 * Journeys: what happened to each packet, from the socket that sent it to the socket that got it (or to where it died), across
 * namespaces, tunnels and nodes. Put together from the observations of all nodes; the packet itself carries nothing.
 */
import { TCP_STATES } from "../kernel/conntrack.ts";
import { TABLE_NAMES } from "../kernel/iptables/tables.ts";
import { DROP_NAMES } from "../kernel/names.ts";
import { describe, dissect, innermost, type Dissection } from "./dissect.ts";
import type { DeviceName, Observations, RuleText } from "./observer.ts";
import { decodeRecords, type TraceEvent } from "./records.ts";

/** One thing that happened to a packet. `text` says it in a line; the rest is for programs. */
export interface Step {
  readonly timeNs: number;
  readonly node: string;
  /** The pod whose namespace this happened in, `namespace/name`; absent: the node itself. */
  readonly pod?: string;
  readonly device?: string;
  readonly type: TraceEvent["type"];
  readonly text: string;
}

/** The way of one packet. */
export interface Journey {
  /** The packet as it set out: `TCP 10.244.1.2:40000 > 10.96.7.1:80 SYN`. */
  readonly packet: string;
  /** The same as it arrived, after all translations. */
  readonly arrived: string;
  readonly startNs: number;
  readonly endNs: number;
  readonly steps: readonly Step[];
  /** Addresses that any header of it bore on the way. */
  readonly addresses: ReadonlySet<string>;
  /** What became of it. */
  readonly outcome: "delivered" | "dropped" | "on its way";
  readonly first: Dissection;
}

/** One node's part of a way: all events of one skb id. */
interface Leg {
  readonly node: string;
  readonly events: TraceEvent[];
  /** Legs on other nodes that began with a frame that this one sent. */
  readonly next: Leg[];
  /** Set when this leg goes on from another. */
  linked: boolean;
}

export interface JourneyOptions {
  /** Tell at which connection and in which state of it conntrack saw the packet. */
  readonly conntrack?: boolean;
}

/** All journeys in the observations, in order of their beginning. */
export const journeys = (all: readonly Observations[], options: JourneyOptions = {}): Journey[] => {
  const names = new Map(all.map((observations) => [observations.node, new Names(observations)]));
  const legs = all.flatMap((observations) => legsOf(observations));
  link(legs, names);
  return legs
    .filter((leg) => !leg.linked)
    .map((leg) => journeyOf(leg, names, options))
    .filter((journey) => journey !== undefined)
    .sort((a, b) => a.startNs - b.startNs);
};

/** Says in a line what one of the node's records tells; undefined for frames, and for what says nothing to a reader. */
export const stepTexts = (observations: Observations): ((event: TraceEvent) => string | undefined) => {
  const names = new Names(observations);
  return (event) => (event.type === "frame" ? undefined : event.type === "conntrack" ? conntrackText(event) : stepText(event, names));
};

/** What the numbers in one node's records mean. */
class Names {
  readonly #devices = new Map<number, DeviceName>();
  readonly #rules: Observations["rules"];
  readonly #pods: Observations["pods"];

  constructor({ devices, rules, pods }: Observations) {
    for (const device of devices) this.#devices.set(device.netns * 65536 + device.ifindex, device);
    this.#rules = rules;
    this.#pods = pods;
  }

  device(netns: number, ifindex: number): string | undefined {
    return ifindex === 0 ? undefined : (this.#devices.get(netns * 65536 + ifindex)?.name ?? `if${ifindex}`);
  }

  nft(netns: number, chain: number, handle: number): RuleText | undefined {
    return this.#rules[`${netns}/nft/${chain}/${handle}`];
  }

  pod(netns: number): string | undefined {
    return netns === 0 ? undefined : this.#pods[netns];
  }

  rule(netns: number, table: number, chain: number, rule: number): RuleText | undefined {
    return this.#rules[`${netns}/${table}/${chain}/${rule}`];
  }
}

const legsOf = ({ node, records }: Observations): Leg[] => {
  const bySkb = new Map<number, Leg>();
  for (const chunk of records) {
    for (const event of decodeRecords(chunk)) {
      if (event.skb === 0) continue;
      let leg = bySkb.get(event.skb);
      if (leg === undefined) bySkb.set(event.skb, (leg = { node, events: [], next: [], linked: false }));
      leg.events.push(event);
    }
  }
  return [...bySkb.values()];
};

const NIC = "eth0";
const LATIN1 = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

/** Joins legs over the underlay: the same bytes left one NIC and arrived, later, at another. */
const link = (legs: readonly Leg[], names: ReadonlyMap<string, Names>): void => {
  const sent = new Map<string, { leg: Leg; timeNs: number }[]>();
  for (const leg of legs) {
    for (const event of leg.events) {
      if (event.type !== "frame" || event.direction !== "tx" || !isNic(names, leg.node, event)) continue;
      const key = LATIN1(event.bytes);
      const list = sent.get(key) ?? [];
      list.push({ leg, timeNs: event.timeNs });
      sent.set(key, list);
    }
  }
  for (const leg of legs) {
    const event = leg.events[0];
    if (event?.type !== "frame" || event.direction !== "rx" || !isNic(names, leg.node, event)) continue;
    // The last one sent before: a retransmission has the same bytes as the original.
    const from = sent.get(LATIN1(event.bytes))?.findLast((entry) => entry.timeNs <= event.timeNs && entry.leg.node !== leg.node);
    if (from === undefined) continue;
    from.leg.next.push(leg);
    leg.linked = true;
  }
};

const isNic = (names: ReadonlyMap<string, Names>, node: string, { netns, ifindex }: TraceEvent): boolean =>
  netns === 0 && names.get(node)?.device(netns, ifindex) === NIC;

const journeyOf = (leg: Leg, names: ReadonlyMap<string, Names>, options: JourneyOptions): Journey | undefined => {
  const steps: Step[] = [];
  const frames: Dissection[] = [];
  let outcome: Journey["outcome"] = "on its way";
  const walk = (at: Leg): void => {
    const nodeNames = names.get(at.node) as Names;
    for (const event of at.events) {
      if (event.type === "frame") {
        const frame = dissect(event.bytes);
        if (frame !== undefined) frames.push(frame);
      }
      if (event.type === "deliver") outcome = "delivered";
      if (event.type === "drop") outcome = "dropped";
      const text = event.type === "conntrack" ? (options.conntrack === true ? conntrackText(event) : undefined) : stepText(event, nodeNames);
      if (text === undefined) continue;
      const pod = nodeNames.pod(event.netns);
      const device = nodeNames.device(event.netns, event.ifindex);
      steps.push({
        timeNs: event.timeNs, node: at.node, type: event.type, text,
        ...(pod === undefined ? {} : { pod }), ...(device === undefined ? {} : { device }),
      });
    }
    for (const next of at.next) walk(next);
  };
  walk(leg);
  const [first] = frames;
  const last = frames.at(-1);
  const [start] = steps;
  const end = steps.at(-1);
  if (first === undefined || last === undefined || start === undefined || end === undefined) return undefined;
  return {
    packet: describe(first), arrived: describe(last), startNs: start.timeNs, endNs: end.timeNs, steps, outcome, first,
    addresses: new Set(frames.flatMap((frame) => {
      const { ip, arp } = innermost(frame);
      return ip !== undefined ? [ip.source, ip.destination] : arp !== undefined ? [arp.sender, arp.target] : [];
    })),
  };
};

/** By HOOK_* and NF_* numbers (include/uapi/linux/netfilter.h). */
const HOOKS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const;
const VERDICTS = ["DROP", "ACCEPT", "STOLEN", "QUEUE", "REPEAT"] as const;
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP" };
const port = (address: string, number: number): string => (number === 0 ? address : `${address}:${number}`);

/** The line for one event; undefined for those that say nothing to a reader (a hook that let the packet pass). */
const stepText = (event: Exclude<TraceEvent, { type: "conntrack" }>, names: Names): string | undefined => {
  switch (event.type) {
    case "frame": {
      const frame = dissect(event.bytes);
      const arrow = event.direction === "tx" ? "out of" : "into";
      const device = names.device(event.netns, event.ifindex) ?? "?";
      if (frame === undefined) return `${arrow} ${device}`;
      const wrapped = frame.vxlan === undefined || frame.ip === undefined || frame.udp === undefined ? ""
        : `VXLAN ${frame.ip.source}:${frame.udp.sourcePort} > ${frame.ip.destination}:${frame.udp.destinationPort} VNI ${frame.vxlan.vni} [`;
      return `${arrow} ${device}: ${wrapped}${describe(frame)}${wrapped === "" ? "" : "]"}`;
    }
    case "drop":
      return `dropped: ${DROP_NAMES[event.reason] ?? `reason ${event.reason}`}`;
    case "route": {
      const out = names.device(event.netns, event.out);
      const via = event.gateway === event.destination || event.gateway === "0.0.0.0" ? "" : ` via ${event.gateway}`;
      return out === undefined ? `route: ${event.destination} has none` : `route: ${event.destination}${via} dev ${out}`;
    }
    case "neigh":
      return `neighbour: ${event.address} is at ${event.lladdr}`;
    case "encap":
      return event.direction === "encap"
        ? `VXLAN encapsulation: VNI ${event.vni}, ${event.local} to ${event.remote}`
        : `VXLAN decapsulation: VNI ${event.vni}, from ${event.remote}`;
    case "deliver":
      return `delivered to ${event.socket === 0 ? "the host's" : "a socket's"} ${PROTOCOLS[event.protocol] ?? `protocol ${event.protocol}`}`;
    case "send":
      return event.socket === 0 ? undefined : `a socket sends ${PROTOCOLS[event.protocol] ?? `protocol ${event.protocol}`}`;
    case "bridge":
      return event.local ? "bridge: for the host" : event.out === 0 ? "bridge: flooded" : `bridge: to port ${names.device(event.netns, event.out) ?? "?"}`;
    case "hook":
      return event.verdict === 0 ? `${HOOKS[event.hook]} ${TABLE_NAMES[event.table]}: DROP` : undefined;
    case "rule": {
      const hook = `${HOOKS[event.hook]} ${TABLE_NAMES[event.table]}`;
      const rule = names.rule(event.netns, event.table, event.chain, event.rule);
      if (event.rule === 0) return event.verdict === 0 ? `${hook} ${rule?.chain ?? "?"} policy ${VERDICTS[event.verdict]}` : undefined;
      return `${hook} ${rule?.chain ?? "?"} rule ${event.rule}: ${rule?.ruleText ?? "(replaced since)"}`;
    }
    case "nft": {
      const rule = names.nft(event.netns, event.chain, event.handle);
      const where = rule === undefined ? "nft ?" : `${rule.family} ${rule.table} ${rule.chain}`;
      if (event.handle === 0) return event.verdict === 0 ? `${where} policy drop` : undefined;
      return `${where} rule: ${rule?.ruleText ?? "(replaced since)"}`;
    }
    case "nat":
      return `${event.kind === "source" ? "SNAT" : "DNAT"} ${port(event.from, event.fromPort)} to ${port(event.to, event.toPort)}`;
  }
};

/** enum ip_conntrack_info (include/uapi/linux/netfilter/nf_conntrack_common.h); +3: in the direction of the replies. */
const CTINFO = ["ESTABLISHED", "RELATED", "NEW", "ESTABLISHED in reply direction", "RELATED in reply direction"] as const;

const conntrackText = ({ ctinfo, id, protocol, state }: Extract<TraceEvent, { type: "conntrack" }>): string => {
  const inner = protocol === 6 ? ` ${TCP_STATES[state] ?? ""}` : "";
  return `conntrack: ${CTINFO[ctinfo] ?? "INVALID"}${id === 0 ? "" : `, connection ${id} ${PROTOCOLS[protocol] ?? `protocol ${protocol}`}${inner}`}`;
};

