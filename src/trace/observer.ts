/**
 * Keeps what a node's kernel tells about its packets: the frames of every device hashed as they come (for digests), the records
 * themselves (for captures and journeys), and the names of devices, which may be gone when somebody asks.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Netns } from "../kernel/netns.ts";
import { nftDescribers } from "../kernel/nft/describers.ts";
import { decodeRecords, eachFrame } from "./records.ts";

export interface ObserveOptions {
  /** Hash every frame of every device. */
  readonly digest?: boolean;
  /** Keep frames. */
  readonly capture?: boolean;
  /** Keep steps: hooks, rules, NAT, routes, drops. */
  readonly trace?: boolean;
}

/** A device that was seen, by the numbers in the records. */
export interface DeviceName {
  readonly netns: number;
  readonly ifindex: number;
  /** Name of the namespace, "" for the host. */
  readonly netnsName: string;
  readonly name: string;
}

/** A rule in words: its chain and itself, as iptables-save writes it. */
export interface RuleText {
  readonly chain: string;
  readonly ruleText: string;
  /** Of a policy: how many rules stand before it. Of a jump: how many rules the chain has that it leads to. */
  readonly rules?: number;
  /** Of a rule of nftables: the family and the table it stands in. */
  readonly family?: string;
  readonly table?: string;
  /** Its place in its chain. */
  readonly number?: number;
  /** Of a rule that iptables-nft made: as iptables-save prints it. */
  readonly iptables?: string;
}

/** What an observer asks about a node. */
export interface Observed {
  readonly node: string;
  /** The node's namespaces by their number, those that ended included. */
  readonly namespaces: readonly Netns[];
  /** The pod whose sandbox a namespace is, `namespace/name`. */
  podOf(netnsName: string): string | undefined;
}

export interface Observations {
  readonly node: string;
  readonly devices: readonly DeviceName[];
  /** The rules that records name, by `netns/table/chain/rule`, as they stand now. */
  readonly rules: Readonly<Record<string, RuleText>>;
  /** Whose namespaces these are, `namespace/name` of the pod by the namespace's number. */
  readonly pods: Readonly<Record<number, string>>;
  /** Observation records, whole, in order. */
  readonly records: readonly Uint8Array[];
}

/** The wire of a device in digests: `node-1/0/2`, the numbers of its namespace and its ifindex. */
export const wireName = (node: string, netns: number, ifindex: number): string => `${node}/${netns}/${ifindex}`;

const HEAD = 13;

/**
 * What is hashed, and written to frame files, of one frame: u64 time in ns, u8 1 if received else 0, u32 length (little-endian),
 * then the bytes.
 */
export const frameHead = (into: DataView, timeNs: number, received: boolean, length: number): void => {
  into.setUint32(0, timeNs % 4294967296, true);
  into.setUint32(4, Math.floor(timeNs / 4294967296), true);
  into.setUint8(8, received ? 1 : 0);
  into.setUint32(9, length, true);
};

export class Observer {
  readonly #observed: Observed;
  readonly #devices = new Map<number, DeviceName>();
  readonly #hashes = new Map<string, ReturnType<typeof sha256.create>>();
  readonly #head = new Uint8Array(HEAD);
  #records: Uint8Array[] = [];
  #options: ObserveOptions = {};

  constructor(observed: Observed) {
    this.#observed = observed;
  }

  set options(options: ObserveOptions) {
    this.#options = options;
  }

  /** Takes whole records, as the kernel hands them out. */
  take(records: Uint8Array<ArrayBuffer>): void {
    const { digest, capture, trace } = this.#options;
    if (capture || trace) this.#records.push(records);
    const head = new DataView(this.#head.buffer);
    eachFrame(records, ({ timeNs, netns, ifindex, received, bytes }) => {
      const key = netns * 65536 + ifindex;
      if (!this.#devices.has(key)) this.#look(netns);
      if (!digest) return;
      const wire = wireName(this.#observed.node, netns, ifindex);
      let hash = this.#hashes.get(wire);
      if (hash === undefined) this.#hashes.set(wire, (hash = sha256.create()));
      frameHead(head, timeNs, received, bytes.length);
      hash.update(this.#head).update(bytes);
    });
  }

  /** SHA-256 of each wire's frames so far, by the wire's name. */
  digests(): [wire: string, sha256: string][] {
    return [...this.#hashes].map(([wire, hash]) => [wire, bytesToHex(hash.clone().digest())]);
  }

  /** What was kept, and forgets it. */
  observations(): Observations {
    const records = this.#records;
    this.#records = [];
    const { node, namespaces, podOf } = this.#observed;
    const pods: Record<number, string> = {};
    namespaces.forEach(({ name }, netns) => {
      const pod = netns === 0 ? undefined : podOf(name);
      if (pod !== undefined) pods[netns] = pod;
    });
    return { node, devices: [...this.#devices.values()], rules: this.#rules(records), pods, records };
  }

  /** The texts of all rules that the records name. */
  #rules(records: readonly Uint8Array[]): Record<string, RuleText> {
    const rules: Record<string, RuleText> = {};
    for (const chunk of records) {
      for (const event of decodeRecords(chunk)) {
        if (event.type === "nft") {
          for (const [chain, handle] of [[event.chain, event.handle], ...(event.to === 0 ? [] : [[event.to, 0] as const])] as const) {
            const key = `${event.netns}/nft/${chain}/${handle}`;
            const namespace = this.#observed.namespaces[event.netns];
            const text = rules[key] !== undefined || namespace === undefined ? undefined : nftDescribers.get(namespace)?.(chain, handle);
            if (text !== undefined) rules[key] = text;
          }
          continue;
        }
        if (event.type !== "rule") continue;
        const { netns, table, chain, rule } = event;
        const key = `${netns}/${table}/${chain}/${rule}`;
        if (rules[key] !== undefined) continue;
        const text = this.#observed.namespaces[netns]?.iptables.describe(table, chain, rule);
        if (text !== undefined) rules[key] = text;
      }
    }
    return rules;
  }

  /** Learns the names of all devices that a namespace has now. */
  #look(netns: number): void {
    const namespace = this.#observed.namespaces[netns];
    if (namespace === undefined) return;
    for (const { ifindex, name } of namespace.links()) {
      const netnsName = netns === 0 ? "" : namespace.name;
      this.#devices.set(netns * 65536 + ifindex, { netns, ifindex, netnsName, name });
    }
  }
}
