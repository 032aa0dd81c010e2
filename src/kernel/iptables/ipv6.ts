/** The family of ip6tables: its addresses, and which extensions it has (iptables/ip6tables.c). */
import { TABLES } from "../../../assembly/abi/netfilter.ts";
import { CONNTRACK6_DATA, MATCH_CONNTRACK6, MATCH_DESTINATION6, MATCH_SOURCE6 } from "../../../assembly/abi/xtables.ts";
import { formatIpv6, parseIpv6 } from "../address6.ts";
import { named, type Family } from "./family.ts";
import { IPV6_MATCHES } from "./ipv6-matches.ts";
import { IPV6_TARGETS } from "./ipv6-targets.ts";
import { NO_HOST, formatMask6, maskLength6, parseHost6, parseOptionHost6, writeBytes } from "./ipv6-text.ts";
import { HEADER_MATCHES } from "./matches.ts";
import { CONNECTION_MATCHES, connlimitOf, policyOf } from "./matches-connections.ts";
import { CONTENT_MATCHES } from "./matches-content.ts";
import { ORIGIN_MATCHES } from "./matches-origin.ts";
import { PACKET_MATCHES } from "./matches-packet.ts";
import { RATE_MATCHES, hashlimitOf } from "./matches-rate.ts";
import { STATE_MATCHES, conntrackOf, recentOf, type Masked } from "./matches-state.ts";
import { TARGET_EXTENSIONS } from "./targets.ts";
import { MORE_TARGETS } from "./targets-more.ts";
import { PACKET_TARGETS } from "./targets-packet.ts";

/** Extensions of IPv4 alone. */
const ONLY_IPV4 = ["icmp", "ttl", "realm", "TTL", "ECN"];

/** `ADDRESS[/LENGTH]` of an option. */
const hostText = (text: string): string => {
  const { address, mask } = parseHost6(text, NO_HOST);
  return `${formatIpv6(address)}${maskLength6(mask) === 128 ? "" : `/${formatMask6(mask)}`}`;
};
const masked = (text: string): Masked => {
  const { address, mask } = parseHost6(text, NO_HOST);
  return {
    text: hostText(text),
    encode(w) {
      writeBytes(w, address);
      writeBytes(w, mask);
    },
  };
};
const recentMask = (text: string): Masked => {
  const mask = parseIpv6(text) ?? parseOptionHost6(text);
  return { text: formatIpv6(mask), encode: (w) => writeBytes(w, mask) };
};

export const newIpv6Family = (): Family => ({
  tool: "ip6tables",
  firstTable: TABLES,
  parseHost(text) {
    const { address, mask } = parseHost6(text);
    return {
      text: `${formatIpv6(address)}/${formatMask6(mask)}`,
      any: maskLength6(mask) === 0,
      encode(w) {
        writeBytes(w, address);
        writeBytes(w, mask);
      },
    };
  },
  hostBytes: 32,
  source: MATCH_SOURCE6,
  destination: MATCH_DESTINATION6,
  matches: named([
    ...[...HEADER_MATCHES, ...PACKET_MATCHES, ...STATE_MATCHES, ...RATE_MATCHES, ...CONTENT_MATCHES, ...ORIGIN_MATCHES, ...CONNECTION_MATCHES]
      .filter(({ name }) => !ONLY_IPV4.includes(name)),
    ...IPV6_MATCHES,
    conntrackOf(MATCH_CONNTRACK6, CONNTRACK6_DATA, 16, masked), hashlimitOf(128, (w, bits) => void w.u32(bits)),
    recentOf(recentMask("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), recentMask, true), connlimitOf(128, (w, bits) => void w.u32(bits)),
    policyOf(hostText),
  ]),
  targets: named([...[...TARGET_EXTENSIONS, ...PACKET_TARGETS, ...MORE_TARGETS].filter(({ name }) => !ONLY_IPV4.includes(name)), ...IPV6_TARGETS]),
  protocolMatches: { 6: "tcp", 17: "udp", 33: "dccp", 58: "icmp6", 132: "sctp", 135: "mh" },
  remembered: new Map(),
});
