/** What differs between iptables and ip6tables: names, addresses, extensions. */
import { MATCH_DESTINATION, MATCH_SOURCE } from "../../../assembly/abi/netfilter.ts";
import { formatIpv4 } from "../address.ts";
import type { Extension } from "./extension.ts";
import { HEADER_MATCHES } from "./matches.ts";
import { STATE_MATCHES } from "./matches-state.ts";
import { TARGET_EXTENSIONS } from "./targets.ts";
import type { ParsedRule } from "./rule.ts";
import { formatMask, parseHost } from "./text.ts";
import type { Writer } from "./writer.ts";

/** What -s or -d names. */
export interface Host {
  /** `ADDRESS/MASK` as iptables-save prints it. */
  readonly text: string;
  /** A mask of no bits: every address. */
  readonly any: boolean;
  /** Appends address and mask, {@link Family.hostBytes} in all. */
  encode(writer: Writer): void;
}

export interface Family {
  readonly tool: "iptables" | "ip6tables";
  /** Added to TABLE_* where the kernel is told of a table. */
  readonly firstTable: number;
  /** `ADDRESS[/MASK]`; throws `Refusal`. */
  readonly parseHost: (text: string) => Host;
  readonly hostBytes: number;
  /** Numbers of the matches of source and destination. */
  readonly source: number;
  readonly destination: number;
  readonly matches: Map<string, Extension>;
  readonly targets: Map<string, Extension>;
  /** Matches that `-p` brings along for its options, by protocol. */
  readonly protocolMatches: Record<number, string>;
  /** What texts of rules say, by the built-in chain and the text; to be cleared when the extensions change. */
  readonly remembered: Map<string, ParsedRule>;
}

export const named = (extensions: readonly Extension[]): Map<string, Extension> =>
  new Map(extensions.map((extension) => [extension.name, extension]));

let ipv4: Family | undefined;
/** The family of iptables. */
export const ipv4Family = (): Family =>
  (ipv4 ??= {
    tool: "iptables",
    firstTable: 0,
    parseHost(text) {
      const { address, mask } = parseHost(text);
      return {
        text: `${formatIpv4(address)}/${formatMask(mask)}`,
        any: mask === 0,
        encode: (writer) => void writer.address(address).address(mask),
      };
    },
    hostBytes: 8,
    source: MATCH_SOURCE,
    destination: MATCH_DESTINATION,
    matches: named([...HEADER_MATCHES, ...STATE_MATCHES]),
    targets: named(TARGET_EXTENSIONS),
    protocolMatches: { 6: "tcp", 17: "udp" },
    remembered: new Map(),
  });

let ipv6: Family | undefined;
/** Makes ip6tables known; see full.ts. */
export const setIpv6Family = (family: Family): void => {
  ipv6 = family;
};
/** The family of ip6tables, or undefined where only the core of iptables was loaded. */
export const ipv6Family = (): Family | undefined => ipv6;
