/** The oracle's cases of plain networking, counters included: what Linux did with the same packets. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { compareResults, replayCase, type OracleCase, type OracleResult } from "../../../src/replay/oracle-case.ts";
import { kernelModule, shared } from "../harness.ts";

const CASES = [
  "arp", "bridge_learning", "frag_conntrack", "frag_df", "frag_local", "fwd_disabled", "fwd_plain", "ip_malformed", "local_closed_tcp",
  "mark_policy_routing", "martian_dst", "match_addrtype", "mtu_df", "route_localnet", "rp_filter_loose", "ttl_expiry",
  "vxlan_decap", "vxlan_encap_noudpcsum", "vxlan_flood",
];

const read = <T>(path: string): T => JSON.parse(readFileSync(new URL(`oracle/${path}.json`, shared), "utf8")) as T;

const run = async (name: string, result: OracleResult): Promise<string | undefined> => {
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  return compareResults(result, await replayCase(instance, read<OracleCase>(`cases/${name}`)), true);
};

for (const name of CASES) {
  test(name, async () => {
    expect(await run(name, read<OracleResult>(`results/${name}`))).toBeUndefined();
  });
}
