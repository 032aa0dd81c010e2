/** Forwarding, ARP, ICMP errors, bridges and VXLAN against what Linux did with the same packets (shared oracle). */
import { expect, test } from "vitest";
import { expected, readCase, readResult, runCase } from "./cases.ts";

const CASES = [
  "fwd_plain", "fwd_disabled", "ttl_expiry", "mtu_df", "martian_dst", "arp", "ip_malformed", "bridge_learning", "rp_filter_loose",
  "frag_local", "vxlan_decap", "vxlan_encap_noudpcsum", "vxlan_flood",
];

for (const name of CASES) {
  test(name, async () => {
    const described = readCase(name);
    const result = readResult(name);
    const { out, snmp } = await runCase(described, result);
    expect(out).toEqual(expected(result).out);
    expect(snmp).toEqual(result.snmp);
  });
}
