/**
 * The extensions beyond those that pods, Services and an overlay use, and the listing of `-L`. Pages and the edge do without: they
 * load the core kernel, which evaluates few of them, and get these with the host's tools.
 */
import { setListing } from "./commands.ts";
import { setIpv6Family } from "./family.ts";
import { newIpv6Family } from "./ipv6.ts";
import { listing } from "./listing.ts";
import { CONNECTION_MATCHES } from "./matches-connections.ts";
import { CONTENT_MATCHES } from "./matches-content.ts";
import { ORIGIN_MATCHES } from "./matches-origin.ts";
import { PACKET_MATCHES } from "./matches-packet.ts";
import { RATE_MATCHES } from "./matches-rate.ts";
import { extend } from "./rule.ts";
import { MORE_TARGETS } from "./targets-more.ts";
import { PACKET_TARGETS } from "./targets-packet.ts";

let done = false;

/** Makes all of iptables known to this instance of the library. To be called before rules are read; more than once does no harm. */
export function useFullIptables(): void {
  if (done) return;
  done = true;
  extend([...PACKET_MATCHES, ...RATE_MATCHES, ...CONTENT_MATCHES, ...ORIGIN_MATCHES, ...CONNECTION_MATCHES], [...PACKET_TARGETS, ...MORE_TARGETS]);
  setIpv6Family(newIpv6Family());
  setListing(listing);
}
